"""Progress on a terminal: files, bytes, rate and time left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from fileferry.index import horizon

if TYPE_CHECKING:
    from fileferry.daemon.engine import Engine
    from fileferry.index.writer import Writer

STEP_SECONDS = 0.2


async def show(engine: Engine, writer: Writer) -> None:
    """Draw the progress of an engine on stderr until cancelled."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bars:
        files = bars.add_task("files", total=None)
        sent = bars.add_task("bytes", total=None, visible=False)
        while True:
            tally = await writer.run(horizon.tally)
            done = engine.progress.sent_files
            left = tally.states.get("pending", 0) + tally.states.get("stale", 0)
            bars.update(files, completed=done, total=done + left)
            total = engine.progress.sent_bytes + tally.bytes_pending
            bars.update(sent, completed=engine.progress.sent_bytes, total=total, visible=total > 0)
            await asyncio.sleep(STEP_SECONDS)
