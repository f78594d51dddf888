"""How much sooner than due renewals begin, given how many fall due together and how fast they may be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.index import wants
from fileferry.plan import renewals

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.index.writer import Writer

PLANNED_FOR_SECONDS = 30.0
LATE_SECONDS = 60.0


class RenewalPlan:
    """Looks ahead in the index from time to time, no further than the rate makes necessary.

    Args:
        uploads_per_minute: the limit that renewals share with new uploads; 0 for none.
        server_now: the server's wall clock, as far as known.

    Attributes:
        lead_seconds: how much sooner than due the next renewal begins.
    """

    def __init__(
        self,
        uploads_per_minute: int,
        *,
        writer: Writer,
        clock: Clock,
        server_now: Callable[[], float],
        log: Log,
    ) -> None:
        self._rate = renewals.per_second(uploads_per_minute)
        self._writer = writer
        self._clock = clock
        self._server_now = server_now
        self._log = log
        self._good_until = 0.0
        self.lead_seconds = 0.0

    async def before(self) -> float:
        """Return the server second up to which renewals are to begin now."""
        now = self._clock.monotonic()
        if now >= self._good_until:
            self._good_until = now + PLANNED_FOR_SECONDS
            due = await self._writer.run(self._look_ahead)
            self.lead_seconds = renewals.lead_seconds(due, self._rate)
            late = self._server_now() - (due[0] - self.lead_seconds) if due else 0.0
            if late > LATE_SECONDS and self.lead_seconds > 0:
                self._log.warning("renewals_late", late_seconds=round(late), due=len(due))
        return self._server_now() + self.lead_seconds

    def starts_at(self, renew_at: float) -> float:
        """Return when the renewal that is due first begins, server seconds."""
        return renew_at - self.lead_seconds

    def _look_ahead(self, db: sqlite3.Connection) -> list[float]:
        # All of them together take this long: what is due later than that cannot press yet.
        longest = wants.renewable(db) / self._rate
        return wants.renewals_until(db, self._server_now() + longest)
