"""Progress on a terminal: files, bytes, rate and time left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
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
        TextColumn("{task.fields[files]}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bars:
        task = bars.add_task("sync", total=None, files="scanning")
        while True:
            tally = await writer.run(horizon.tally)
            done = engine.progress.sent_files
            left = tally.pending
            transfer = engine.liaison.transfer
            total = engine.progress.sent_bytes + tally.bytes_pending
            sent = engine.progress.sent_bytes + (0 if transfer is None else transfer.sent_bytes)
            files = f"{done:,} of {done + left:,} files" if total else "scanning"
            bars.update(task, completed=min(sent, total), total=total or None, files=files)
            await asyncio.sleep(STEP_SECONDS)
