"""Where blocking work runs: threads in a process, the caller's own thread in a simulation."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Workers(Protocol):
    """Runs blocking functions."""

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` returns, raise what it raises, without blocking the loop."""

    def close(self) -> None:
        """Let go of the threads; what hangs in one is left behind."""


class ThreadWorkers:
    """Workers with threads."""

    def __init__(self, threads: int = 8) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="worker")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class InlineWorkers:
    """Workers without threads: everything happens in its order, so a run can be repeated exactly."""

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` here, after giving others a turn."""
        await asyncio.sleep(0)
        return work(*args, **kwargs)

    def close(self) -> None:
        """Nothing to let go of."""
