"""The pass and the one loop.

Nothing here remembers work. Events, timers and commands mark a scope; a pass looks at it, notes differences in the
index, and everything that follows is derived from the index: what to read, what to send, what to let go, what to
delete. A crash anywhere is answered by the next pass.

    survey -> inspect -> place -> (uploads, in the background) -> let go -> delete -> audit
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fileferry.daemon.enlist import HALT_KEY
from fileferry.daemon.placing import Placed
from fileferry.index import folders, horizon

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fileferry.clock import Clock
    from fileferry.daemon.departures import Departures
    from fileferry.daemon.liaison import Liaison
    from fileferry.daemon.logs import Log
    from fileferry.daemon.lookout import Lookout
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.progress import Progress
    from fileferry.daemon.readings import Readings
    from fileferry.index.horizon import Horizon
    from fileferry.index.leaving import Leaving
    from fileferry.index.writer import Writer

LONGEST_SLEEP_SECONDS = 20.0
STOP_GRACE_SECONDS = 5.0
OVERDUE_SECONDS = 0.01
LONGEST_OVERDUE_SECONDS = 5.0


@dataclass(slots=True)
class Switches:
    """What commands can turn while the engine runs."""

    paused_until: float | None = None  # wall seconds; inf: until told otherwise
    delete_now: bool = False  # `sync --now`: delete delays are skipped


@dataclass(slots=True)
class PassSummary:
    """What one pass did, for its one line in the log."""

    surveyed: int = 0
    placed: Placed = field(default_factory=Placed)
    let_go: int = 0
    deleted: int = 0

    @property
    def idle(self) -> bool:
        """Say whether nothing happened."""
        placed = self.placed
        return not (
            placed.linked
            or placed.to_send
            or placed.rejected
            or placed.vanished
            or self.let_go
            or self.deleted
        )


class Engine:
    """Keeps the index and the remote what the disk says.

    Args:
        mirrors: the folders, by the id of their row.
        lookout: surveys them.
        readings: reads what differs.
        departures: lets go and deletes.
        liaison: what speaks to the remote; it connects when first needed.
        writer, clock, progress, log: collaborators.

    Attributes:
        longest_sleep_seconds: how long the loop rests at most.
        on_step: called after each step of a pass, which may have many: the watchdog of a service wants to know.
    """

    def __init__(
        self,
        *,
        mirrors: dict[int, Mirror],
        lookout: Lookout,
        readings: Readings,
        departures: Departures,
        liaison: Liaison,
        writer: Writer,
        clock: Clock,
        progress: Progress,
        log: Log,
    ) -> None:
        self.mirrors = mirrors
        self.lookout = lookout
        self.liaison = liaison
        self.switches = Switches()
        self.passes = 0
        self.last_pass_at: float | None = None
        self.progress = progress
        self._readings = readings
        self._departures = departures
        self._writer = writer
        self._clock = clock
        self._log = log
        self._wake = asyncio.Event()
        self._stopping = False
        self._idle_passes = 0
        self.longest_sleep_seconds = LONGEST_SLEEP_SECONDS
        self.on_step: Callable[[], None] = lambda: None
        lookout.on_change = self.wake
        liaison.on_change = self.wake
        readings.on_end = self.wake
        readings.server_now = liaison.server_now

    def wake(self) -> None:
        """Have the loop look at its work now. From the loop's own thread only."""
        self._wake.set()

    def stop(self) -> None:
        """Have `run` or `drain` return soon."""
        self._stopping = True
        self._wake.set()

    async def run(self, turn: Callable[[], Awaitable[None]]) -> None:
        """Keep going until `stop`; `turn` is awaited once for each turn of the loop."""
        while not self._stopping:
            self._wake.clear()
            await turn()
            ahead = await self._pass()
            await self._sleep(self._seconds_to(ahead))
        await self._end()

    async def drain(self, rounds: int = 1) -> None:
        """Do all that can be done now, wait for what settles soon, then return.

        Args:
            rounds: how often every folder is scanned: a delete needs a scan that began after its path went.
        """
        for number in range(rounds):
            if number:
                self.lookout.mark_all()
            while not self._stopping:
                self._wake.clear()
                ahead = await self._pass()
                if not self._moving() and await self._done(ahead):
                    break
                await self._sleep(self._seconds_to(ahead))
        await self._end()

    @property
    def paused(self) -> bool:
        """Say whether nothing is to be sent or deleted now."""
        until = self.switches.paused_until
        if until is not None and self._clock.wall() >= until:
            self.switches.paused_until = None
        return self.switches.paused_until is not None

    async def _pass(self) -> Horizon:
        summary = PassSummary()
        began = self._clock.monotonic()
        summary.surveyed = await self.lookout.start_due()
        await self._inspect(summary)
        if not self.paused and await self._may_act():
            await self.liaison.send(await self._horizon())
            await self._leave(summary)
            await self.liaison.audit_if_due()
        else:
            self.liaison.hold()
        self.passes += 1
        self._idle_passes = self._idle_passes + 1 if summary.idle else 0
        self.last_pass_at = self._clock.wall()
        if not summary.idle:
            self._log.info(
                "pass",
                linked=summary.placed.linked,
                to_send=summary.placed.to_send,
                rejected=summary.placed.rejected,
                waiting=summary.placed.waiting,
                let_go=summary.let_go,
                deleted=summary.deleted,
                ms=round((self._clock.monotonic() - began) * 1000),
            )
        return await self._horizon()

    async def _may_act(self) -> bool:
        return await self._writer.run(lambda db: folders.meta(db, HALT_KEY)) is None

    async def _inspect(self, summary: PassSummary) -> None:
        while not self._stopping and await self._readings.read_due(summary.placed):
            self.on_step()
            if not self.paused and self.liaison.is_ready:
                await self.liaison.send(await self._horizon())

    async def _leave(self, summary: PassSummary) -> None:
        if self.lookout.busy or self._readings.busy or self.liaison.busy_with_small:
            return  # a rename may still be matched, and new ids come before old ones go
        summary.let_go = await self._departures.let_go(delete_now=self.switches.delete_now)
        summary.deleted = await self._departures.delete(self._delete, self.liaison.is_reachable)

    async def _delete(self, item: Leaving) -> None:
        await self.liaison.delete(item)
        self.on_step()

    async def _horizon(self) -> Horizon:
        return await self._writer.run(horizon.look)

    def _moving(self) -> bool:
        return self.lookout.busy or self._readings.busy or self.liaison.busy

    async def settled(self) -> bool:
        """Say whether nothing moves and nothing is left that a `sync` should wait for."""
        return not self._moving() and await self._done(await self._horizon())

    async def _done(self, ahead: Horizon) -> bool:
        """Say whether a `sync` has nothing left that it should wait for."""
        if self.paused or self.liaison.given_up:
            return True
        if not await self._may_act():
            return True
        now = self._clock.wall()
        return (
            ahead.unfinished == 0
            and ahead.unknown == 0
            and ahead.absent == 0
            and not ahead.audit_asked
            and not (ahead.renew_at is not None and ahead.renew_at <= self.liaison.server_now())
            and not await self._departures.ready(now)
        )

    def _seconds_to(self, ahead: Horizon) -> float:
        now = self._clock.wall()
        server_now = self.liaison.server_now()
        # What is overdue was due in the pass that just ended, and waits for something that may not wake us: a remote
        # that is down, a root that is away, a pause. It is tried again soon, and less and less often.
        again = min(OVERDUE_SECONDS * 2 ** min(self._idle_passes, 16), LONGEST_OVERDUE_SECONDS)
        moments = [self.longest_sleep_seconds, self.lookout.due_in_seconds()]
        moments += [
            at - now for at in (ahead.read_at, ahead.send_at, ahead.cancel_at) if at is not None
        ]
        if ahead.renew_at is not None:
            moments.append(ahead.renew_at - server_now)
        if ahead.delete_at is not None:
            moments.append(ahead.delete_at - now)
        if ahead.absent:
            moments.append(max(self._departures.look_again_seconds, again))
        moments.append(self.liaison.due_in_seconds(ahead))
        return min(max(moment, OVERDUE_SECONDS) if moment > 0 else again for moment in moments)

    async def _sleep(self, seconds: float) -> None:
        waiter = asyncio.ensure_future(self._wake.wait())
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({waiter, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            timer.cancel()
            await asyncio.gather(waiter, timer, return_exceptions=True)

    async def _end(self) -> None:
        await self.lookout.stop()
        await self.liaison.stop(STOP_GRACE_SECONDS)
        await self._readings.stop()
