"""A real barrier: what was on disk when somebody asked is uploaded and recorded, or in a final state.

A survey that began after the question has to end first; then the index says what is still under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fileferry.daemon.enlist import HALT_KEY
from fileferry.errors import FerryError, Held
from fileferry.index import entries, folders, horizon, trust

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from fileferry.clock import Clock
    from fileferry.daemon.engine import Engine
    from fileferry.index.writer import Writer

STEP_SECONDS = 0.05
EMPTY = "the file is empty"


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a wait ended.

    Args:
        complete: everything is in a final state.
        troubled: paths that are final without the present bytes having an id, with the reason.
        paused: nothing is sent now, so waiting makes no sense.
        stuck: why nothing is sent before somebody acts: a halt by the remote, or its refusal; None: neither.
        exit_code: what a command that waited ends with then.
    """

    complete: bool
    troubled: tuple[tuple[str, str], ...] = ()
    paused: bool = False
    stuck: str | None = None
    exit_code: int = 0


class Barrier:
    """Waits for paths of a running engine."""

    def __init__(self, engine: Engine, writer: Writer, clock: Clock) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock

    async def wait(
        self, places: Sequence[tuple[int, bytes]], *, timeout_seconds: float | None
    ) -> Arrival:
        """Wait for what is at and below these places of folders now.

        Args:
            places: folder ids with relative paths; b"" is the whole folder.
            timeout_seconds: how long at most; None: as long as it takes.
        """
        deadline = None if timeout_seconds is None else self._clock.monotonic() + timeout_seconds
        lookout = self._engine.lookout
        tickets = [lookout.mark(folder_id, path) for folder_id, path in places]
        while True:
            halted = set(lookout.troubles)
            if all(lookout.covered(ticket) or ticket.folder_id in halted for ticket in tickets):
                within = [place for place in places if place[0] not in halted]
                moving, troubled = await self._writer.run(partial(_look, places=within))
                if not moving:
                    troubled += [
                        (self._engine.mirrors[folder_id].folder.name, lookout.troubles[folder_id])
                        for folder_id in sorted({place[0] for place in places} & halted)
                    ]
                    return Arrival(complete=True, troubled=tuple(troubled))
                if self._engine.paused:
                    return Arrival(complete=False, paused=True)
                stuck = await self._writer.run(self._stuck)
                if stuck is not None:
                    return Arrival(complete=False, stuck=stuck.message, exit_code=stuck.exit_code)
            if deadline is not None and self._clock.monotonic() >= deadline:
                return Arrival(complete=False)
            await self._clock.sleep(STEP_SECONDS)

    def _stuck(self, db: sqlite3.Connection) -> FerryError | None:
        liaison = self._engine.liaison
        halt = folders.meta(db, HALT_KEY) or liaison.halted
        return liaison.refusal if halt is None else Held(halt)


def _look(
    db: sqlite3.Connection, places: Sequence[tuple[int, bytes]]
) -> tuple[bool, list[tuple[str, str]]]:
    troubled: list[tuple[str, str]] = []
    if trust.is_asked(db):
        return True, []  # an audit may find that ids are gone
    for folder_id, path in places:
        if horizon.is_moving(db, folder_id, path):
            return True, []
        for shown, error in entries.trouble(db, folder_id, path):
            if not error.startswith(EMPTY):
                troubled.append((shown, error))
    return False, troubled
