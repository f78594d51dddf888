"""Says early and loudly that ids run out, and goes on saying it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.index import risk

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.errors import FerryError
    from fileferry.index.risk import Risk
    from fileferry.index.writer import Writer

LOOK_SECONDS = 5.0
AGAIN_SECONDS = 3_600.0
HINT = "`fileferry status` and `fileferry errors` say more; an id that runs out leaves its path without one"


class Alarm:
    """Looks from time to time whether ids run out.

    Args:
        writer, clock, log: collaborators.
        server_now: the server's wall clock, as far as known.
        trouble: says why nothing at all can be sent, or None.

    Attributes:
        risk: what runs out, as of the last look; None: nothing.
    """

    def __init__(
        self,
        *,
        writer: Writer,
        clock: Clock,
        server_now: Callable[[], float],
        trouble: Callable[[], FerryError | None],
        log: Log,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._server_now = server_now
        self._trouble = trouble
        self._log = log
        self._look_at = 0.0
        self._said_at = 0.0
        self._said_ids = 0
        self._said_left = 0.0
        self.risk: Risk | None = None

    @property
    def words(self) -> str | None:
        """Return what to say of it in a line of status."""
        if self.risk is None:
            return None
        left = max(0.0, self.risk.expires_at - self._server_now())
        return f"{risk.words(self.risk.ids)} not renewed in time, the first in {left / 60:.0f} min ({self.risk.path})"

    async def look(self) -> None:
        """Look, if the last time is a while ago; log what is new, and once an hour what is not."""
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        before, self.risk = self.risk, await self._writer.run(self._ask)
        if self.risk is None:
            if before is not None:
                self._log.info("ids_safe_again")
                self._said_ids = 0
            return
        left = self.risk.expires_at - self._server_now()
        is_worse = self.risk.ids >= 2 * self._said_ids or left < self._said_left / 2
        if is_worse or now >= self._said_at + AGAIN_SECONDS:
            self._said_at, self._said_ids, self._said_left = now, self.risk.ids, max(left, 0.0)
            self._log.warning(
                "ids_run_out",
                ids=self.risk.ids,
                first_in_seconds=round(left),
                path=self.risk.path,
                reason=self.risk.reason,
                hint=HINT,
            )

    def _ask(self, db: sqlite3.Connection) -> Risk | None:
        trouble = self._trouble()
        return risk.look(
            db.execute, self._server_now(), None if trouble is None else trouble.message
        )
