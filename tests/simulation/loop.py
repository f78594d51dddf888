"""An event loop whose time is a number: when nothing is ready, it jumps to the next timer.

Nothing here sleeps, no thread is started, no descriptor is watched, so a run costs what its code costs and happens
in the same order every time. When nothing is ready and no timer is set, nothing can ever happen again: `Deadlock`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_STANDSTILL = 100_000  # turns of the loop without a wait: something spins
TURN_SECONDS = 1e-6  # as on a real machine, everything takes a moment


class Deadlock(Exception):
    """Nothing is ready, and no timer will ever make anything ready."""


class Livelock(Exception):
    """The loop turns and turns, and time does not pass."""


class _Selector:
    """What BaseEventLoop asks for events: there are none, but waiting for them is how time passes."""

    def __init__(self) -> None:
        self.now = 0.0
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock(f"nothing is ready and no timer is set at {self.now:.3f} s")
        if timeout > 0:
            self.now += timeout
            self._turns = 0
        self.now += TURN_SECONDS
        self._turns += 1
        if self._turns > LONGEST_STANDSTILL:
            raise Livelock(f"the loop spins at {self.now:.3f} s")
        return []

    def close(self) -> None:
        """Nothing to close."""


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop with virtual time, starting at `start` seconds.

    Exceptions that nobody fetched are kept in `complaints`.
    """

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self._selector = _Selector()
        self._selector.now = start
        self._clock_resolution = 1e-6
        self.complaints: list[str] = []
        self.set_exception_handler(self._complain)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._selector.now

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list, "the selector gives none"

    def _write_to_self(self) -> None:
        """No other thread waits to be heard."""

    def run_in_executor(  # type: ignore[override]  # nobody here cares for its exact type
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        """Do it here and now: a simulation has no threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits
            future.set_exception(error)
        return future

    def drop(self) -> None:
        """End as a killed process does: what was pending never goes on.

        Its coroutines are closed at once, so that nothing of them runs at some later moment.
        """
        self.set_exception_handler(lambda _loop, _context: None)
        dropped: set[asyncio.Task[Any]] = set()
        while left := asyncio.all_tasks(self) - dropped:  # a `finally` may begin others
            for task in left:
                _drop(task)
            dropped |= left
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.close()

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")


def _drop(task: asyncio.Task[Any]) -> None:
    coroutine = task.get_coro()
    for _ in range(16):
        try:
            if coroutine is not None:
                coroutine.close()
        except RuntimeError:
            continue  # it awaited in a `finally`: close it where it waits now
        except BaseException:  # noqa: BLE001 - the dead may say what they like
            break
        break
    task._log_destroy_pending = False  # type: ignore[attr-defined]


class VirtualClock:
    """The host's Clock: monotonic time is the loop's, wall time is that on top of a moment, and may jump.

    Args:
        base: wall seconds at virtual zero.
        now: virtual seconds.
    """

    def __init__(self, base: float, now: Callable[[], float]) -> None:
        self._base = base
        self._now = now
        self.jumps: list[float] = []  # by how much this host's clock alone was set
        self.slept_seconds = 0.0  # the host was suspended: for everybody time went on

    def wall(self) -> float:
        """Return the host's wall seconds."""
        return self.true_wall() + sum(self.jumps)

    def true_wall(self) -> float:
        """Return everybody else's wall seconds."""
        return self._base + self._now() + self.slept_seconds

    def monotonic(self) -> float:
        """Return virtual seconds; they stand still while the host is suspended."""
        return self._now()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(max(0.0, seconds))
