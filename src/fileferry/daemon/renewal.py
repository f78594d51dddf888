"""What is to be renewed before it is due, given how much falls due together and how fast it may be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.index import wants
from fileferry.plan import renewals
from fileferry.plan.renewals import Ahead, Batch

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from fileferry.clock import Clock
    from fileferry.index.writer import Writer

GRAINS = 1_000
LEAST_GRAIN_SECONDS = 60.0


class RenewalPlan:
    """Looks through the index from time to time.

    Args:
        uploads_per_minute: the limit that renewals share with new uploads; 0 for none.
        writer, clock: collaborators.
        server_now: the server's wall clock, as far as known.

    Attributes:
        rate: renewals a second; infinite where uploads are not limited.
        good_until: monotonic seconds; then the index is looked through again.
    """

    def __init__(
        self,
        uploads_per_minute: int,
        *,
        writer: Writer,
        clock: Clock,
        server_now: Callable[[], float],
    ) -> None:
        self.rate = renewals.per_second(uploads_per_minute)
        self._writer = writer
        self._clock = clock
        self._server_now = server_now
        self.good_until = 0.0
        self._ahead = Ahead(until=float("-inf"), share=0.0, seconds=0.0)

    def limit(self, uploads_per_minute: int) -> None:
        """Plan with another rate from now on."""
        self.rate = renewals.per_second(uploads_per_minute)
        self.good_until = 0.0

    async def ahead(self) -> Ahead:
        """Return what may begin before it is due."""
        now = self._clock.monotonic()
        if now >= self.good_until:
            batches = await self._writer.run(self._batches)
            self._ahead = renewals.look_ahead(batches, now=self._server_now(), rate=self.rate)
            self.good_until = now + self._ahead.seconds
        return self._ahead

    async def has_begun(self, renew_at: float) -> bool:
        """Say whether something may be renewed now, if this is when the first is due."""
        return renew_at <= self._server_now() or renew_at <= (await self.ahead()).until

    def _batches(self, db: sqlite3.Connection) -> list[Batch]:
        horizon = renewals.horizon_seconds(wants.renewable(db), self.rate)
        grain = max(horizon / GRAINS, LEAST_GRAIN_SECONDS)
        groups = wants.renewals_ahead(db, until=self._server_now() + horizon, grain=grain)
        return [Batch(*group) for group in groups]
