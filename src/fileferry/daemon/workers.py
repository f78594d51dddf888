"""Where blocking work runs: threads in a process, the caller's own thread in a simulation.

What looks at a mirrored disk runs apart, in a thread of its own: a network mount that hangs then holds up nobody
else, neither now nor at the end of the process, which does not wait for such threads.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "fileferry-worker"
GRACE_SECONDS = 1.0
P = ParamSpec("P")
T = TypeVar("T")


class Workers(Protocol):
    """Runs blocking functions."""

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` returns, raise what it raises, without blocking the loop."""

    async def run_apart(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what may hang: it takes no place from others, and is left behind when it is cancelled."""

    def close(self) -> None:
        """Let go of the threads."""


def abandon(exit_code: int) -> None:
    """End the process now if a worker still hangs, in a disk or a socket: its end would wait for it."""
    deadline = time.perf_counter() + GRACE_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith(NAME):
            thread.join(max(0.0, deadline - time.perf_counter()))
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(exit_code)


class ThreadWorkers:
    """Workers with threads; `threads` are for bodies that are sent, too, of which any may hang."""

    def __init__(self, threads: int = 64) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=NAME)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    async def run_apart(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread of its own, which does not keep the process alive."""
        outcome: Future[T] = Future()

        def run() -> None:
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                outcome.set_result(work(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - whoever awaits it raises it
                outcome.set_exception(error)

        threading.Thread(target=run, name="apart", daemon=True).start()
        return await asyncio.wrap_future(outcome)

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class InlineWorkers:
    """Workers without threads: everything happens in its order, so a run can be repeated exactly."""

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` here, after giving others a turn."""
        await asyncio.sleep(0)
        return work(*args, **kwargs)

    async def run_apart(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same: nothing hangs here."""
        return await self.run(work, *args, **kwargs)

    def close(self) -> None:
        """Nothing to let go of."""
