"""The connection to the remote: made when first needed, greeted before it is used, and then trusted to be one and
the same.

The greeting costs one small request. It tells a wrong key before a thousand uploads do, and another project's key
before anything is sent or deleted there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.clock import rfc3339
from fileferry.daemon.enlist import ACCOUNT_HALT_KEY, pinned_to
from fileferry.errors import (
    CredentialsRefused,
    FerryError,
    Held,
    QuotaExhausted,
    RemoteError,
    RemoteRefused,
    RemoteUnavailable,
)
from fileferry.index import folders, intents
from fileferry.index.identity import SKEW_KEY
from fileferry.index.rest import REST_KEY, rest_text, rest_until
from fileferry.remote.pacing import WINDOW_SECONDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.index.writer import Writer
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

ACCOUNT_KEY = "account"
REFUSED_SECONDS = 300.0
LEAST_WAIT_SECONDS = 0.05
JUMP_SECONDS = 5.0
# What a process before this one heard of the server's clock is believed for so long: shorter than the shortest time
# that is left for a renewal.
HEARD_SECONDS = 600.0
CLOCK_SECONDS = 3.0  # how far two estimates of the server's clock may be apart


class Contact:
    """Knows whether the remote may be used now.

    Args:
        connect: makes the Remote and its Pace; called once, when first needed.
        writer, clock, log: collaborators.

    Attributes:
        remote, pace: None until the first call is to be made.
        on_connect: awaited once, when both were made.
        is_greeted: the remote answered, and is the one that it should be.
        is_ended: nothing more may be asked of it.
        refused: why the API takes nothing from us, or None.
        told: that the API asked a process before this one to wait, or None.
        halted: why nothing may be sent or deleted until somebody accepts it, or None.
        account: whose the key is, as the API says, or None.
    """

    def __init__(
        self,
        connect: Callable[[], tuple[Remote, Pace]],
        *,
        writer: Writer,
        clock: Clock,
        log: Log,
    ) -> None:
        self._connect = connect
        self._writer = writer
        self._clock = clock
        self._log = log
        # Of the wall clock against the monotonic one, when this process began or the remote was greeted last.
        self._drift_seconds = self._drift()
        self._remembered_skew = 0.0  # as it is in the index
        self._was_told_lately = False  # to a process before this one, a moment before it began
        self._not_before = 0.0
        self._recalled_until = (
            0.0  # monotonic seconds, of what the server asked a process before this one for
        )
        self._noted_until = 0.0  # monotonic seconds, of what the server asked for
        self._bandwidth: int | None = None  # another than the one that it connects with
        self._has_recalled = False
        self._has_heard = False
        self.remote: Remote | None = None
        self.pace: Pace | None = None
        self.on_connect: Callable[[Remote, Pace], Awaitable[None]] | None = None
        self.is_greeted = False
        self.is_ended = False
        self.refused: FerryError | None = None
        self.told: RemoteUnavailable | None = None
        self.halted: str | None = None
        self.account: str | None = None

    @property
    def is_down(self) -> bool:
        """Say whether the last call found nobody."""
        return self.pace is not None and self.pace.is_down

    @property
    def knows_time(self) -> bool:
        """Say whether the server has told its time since this process began, and since our clock was set last."""
        return self.is_greeted and not self._was_set(self._drift())

    @property
    def trusts_time(self) -> bool:
        """Say whether the server has told its time, to this process or, a moment before it began, to another one."""
        if self.remote is not None and self.remote.is_time_doubtful():
            return False
        return (self.is_greeted or self._was_told_lately) and not self._was_set(self._drift())

    @property
    def is_resting(self) -> bool:
        """Say whether nothing should be asked yet, because of how the last greeting ended."""
        return self._clock.monotonic() < self._not_before

    def server_now(self) -> float:
        """Return the server's wall clock, as far as known."""
        return self._clock.wall() + self._skew()

    def open_in_seconds(self) -> float:
        """Return how long nothing should be asked; 0.0 when something may be."""
        pace = 0.0 if self.pace is None else self.pace.open_in_seconds()
        return max(self._not_before - self._clock.monotonic(), pace, 0.0)

    def refuse(self, error: FerryError) -> None:
        """Note that the API takes nothing from us: it is asked again in a while."""
        self.refused = error
        self._not_before = self._clock.monotonic() + REFUSED_SECONDS

    def retry(self) -> None:
        """Forget refusals and waits of our own: somebody asks to try again now."""
        self.refused = None
        self._not_before = self._recalled_until

    def end_rest(self) -> None:
        """Forget how long the server wanted to be left alone: somebody asks it at once nevertheless."""
        self.told = None
        self._not_before = self._recalled_until = 0.0
        if self.pace is not None:
            self.pace.reopen()

    def set_bandwidth(self, bytes_per_second: int) -> None:
        """Limit all uploads to so many bytes a second; 0 for no limit."""
        self._bandwidth = bytes_per_second
        if self.pace is not None:
            self.pace.throttle.bytes_per_second = bytes_per_second

    async def ready(self) -> bool:
        """Connect and greet, once, and again when our clock was set; say whether the remote may be used now."""
        drift = self._drift()
        if self._was_set(drift) or (self.remote is not None and self.remote.is_time_doubtful()):
            # What we knew of the server's clock is void, or in doubt: its next answer tells.
            self.is_greeted = False
        await self.take_notes()
        if self.is_greeted or self.is_ended or self.is_resting:
            return self.is_greeted and not self.is_ended
        try:
            await self._greet()
        except (CredentialsRefused, QuotaExhausted) as error:
            self.refuse(error)
            self._log.warning("refused", error=error.message, hint=error.hint)
            return False
        except Held as error:
            self.halted = reason = error.message
            await self._writer.run(lambda db: folders.set_meta(db, ACCOUNT_HALT_KEY, reason))
            self._not_before = self._clock.monotonic() + REFUSED_SECONDS
            self._log.warning("halted", reason=error.message, hint=error.hint)
            return False
        except RemoteError as error:
            wait = self.pace.open_in_seconds() if self.pace is not None else 1.0
            self._not_before = self._clock.monotonic() + max(wait, LEAST_WAIT_SECONDS)
            if isinstance(error, RemoteRefused):
                self.refuse(error)
            self._log.warning("remote_unavailable", error=error.message, retry_in=round(wait, 2))
            return False
        self.is_greeted = True
        self._drift_seconds = drift
        self.refused = self.halted = self.told = None
        return True

    async def take_notes(self) -> None:
        """Write down what the last answers told, where it is news: when to come back, and the server's time."""
        if self.pace is not None and abs(self._told_until() - self._noted_until) > CLOCK_SECONDS:
            await self._writer.run(self.remember_rest)
        if self.is_greeted and abs(self._skew() - self._remembered_skew) > CLOCK_SECONDS:
            await self._writer.run(self.remember_time)

    def recollect(self, db: sqlite3.Connection) -> None:
        """Take over what a process before this one knew of the server: its clock, and whether it asked us to wait."""
        now = self._clock.wall()
        if (text := folders.meta(db, SKEW_KEY)) is not None:
            skew, heard_at = map(float, text.split())
            self._remembered_skew = skew
            # A moment that is still to come says that our clock went back.
            self._was_told_lately = 0.0 <= now - heard_at <= HEARD_SECONDS
        if (text := folders.meta(db, REST_KEY)) is not None:
            until = rest_until(text, now)
            if until is not None:
                self._not_before = self._recalled_until = self._clock.monotonic() + until - now
                self.told = RemoteUnavailable(
                    f"the API asked for no request before {rfc3339(until)}",
                    hint="nothing is lost, and `run` goes on by itself; `fileferry retry` asks at once",
                    retry_after_seconds=until - now,
                )

    def remember_rest(self, db: sqlite3.Connection) -> None:
        """Write down how long the server asked us to wait, for the next process."""
        self._noted_until = self._told_until()
        now = self._clock.wall()
        is_over = self._noted_until <= self._clock.monotonic()
        until = now + self._noted_until - self._clock.monotonic()
        folders.set_meta(db, REST_KEY, None if is_over else rest_text(until, now))

    def remember_time(self, db: sqlite3.Connection) -> None:
        """Write down what is known of the server's clock, for readers and for the next process."""
        self._remembered_skew = skew = self._skew()
        folders.set_meta(db, SKEW_KEY, f"{skew!r} {self._clock.wall()!r}")

    def _told_until(self) -> float:
        left = 0.0 if self.pace is None else self.pace.told_in_seconds()
        return self._clock.monotonic() + left if left > 0 else 0.0

    def _skew(self) -> float:
        if self.remote is None or not self._has_heard:
            return self._remembered_skew
        return self.remote.skew_seconds()

    def _drift(self) -> float:
        return self._clock.wall() - self._clock.monotonic()

    def _was_set(self, drift: float) -> bool:
        return abs(drift - self._drift_seconds) > JUMP_SECONDS

    async def _greet(self) -> None:
        if self.remote is None:
            self.remote, self.pace = self._connect()
            if self._bandwidth is not None:
                self.pace.throttle.bytes_per_second = self._bandwidth
            if self.on_connect is not None:
                await self.on_connect(self.remote, self.pace)
        assert self.pace is not None
        async with self.pace.call():
            account = await self.remote.hello()
        self._has_heard = True
        if not self._has_recalled:
            await self._recall_minute(self.pace)
        text = ", ".join(part for part in (account.organization, account.project) if part)
        self.account = text or None

        def record(db: sqlite3.Connection) -> None:
            _pin_account(db, text)
            self.remember_time(db)

        await self._writer.run(record)

    async def _recall_minute(self, pace: Pace) -> None:
        """Keep the limit over a restart: what was sent a moment ago counts. After the greeting, which told the time."""
        now = self.server_now()
        since = now - WINDOW_SECONDS - CLOCK_SECONDS
        moments = await self._writer.run(lambda db: intents.opened_since(db, since))
        pace.recall_uploads(max(0.0, now - at - CLOCK_SECONDS) for at in moments)
        self._has_recalled = True


def _pin_account(db: sqlite3.Connection, account: str) -> None:
    pinned = pinned_to(db, ACCOUNT_KEY)
    if account and pinned not in {None, account}:
        raise Held(
            f"the index belongs to the account {pinned}, and this key to {account}",
            hint="`fileferry accept remote` if that was meant: everything is sent again there",
        )
    folders.set_meta(db, ACCOUNT_HALT_KEY, None)
    if account and pinned is None:
        folders.set_meta(db, ACCOUNT_KEY, account)
