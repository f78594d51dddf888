"""Room for ids: nothing is sent whose id could not be written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.workers import Workers
    from fileferry.errors import FerryError

LOOK_SECONDS = 1.0


class Room:
    """Looks at the disk of the index, once a second at most.

    Args:
        look: says why nothing may be sent, or None. Blocks.
        workers, clock, log: collaborators.

    Attributes:
        trouble: what it said last.
    """

    def __init__(
        self, look: Callable[[], FerryError | None], *, workers: Workers, clock: Clock, log: Log
    ) -> None:
        self._look = look
        self._workers = workers
        self._clock = clock
        self._log = log
        self._good_until = 0.0
        self.trouble: FerryError | None = None

    def forget(self) -> None:
        """Look anew at the next opportunity."""
        self.trouble = None
        self._good_until = 0.0

    async def is_there(self) -> bool:
        """Say whether the ids of what is sent can be written down; log it when that changes."""
        now = self._clock.monotonic()
        if now >= self._good_until:
            before, self.trouble = self.trouble, await self._workers.run(self._look)
            self._good_until = now + LOOK_SECONDS
            if self.trouble is not None and before is None:
                self._log.error("no_room", error=self.trouble.message, hint=self.trouble.hint)
            elif before is not None and self.trouble is None:
                self._log.info("room_again")
        return self.trouble is None
