"""Ask the API for a command that changes no index: connections of its own, beside a daemon's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from fileferry.clock import SystemClock
from fileferry.daemon.assembly import connector
from fileferry.daemon.logs import Log
from fileferry.daemon.remote_view import RemoteView
from fileferry.daemon.workers import ThreadWorkers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

T = TypeVar("T")


def ask(
    config: Config, context: Context, index_path: str, work: Callable[[RemoteView], Awaitable[T]]
) -> T:
    """Connect, have `work` done on a view of the remote, and let go of it.

    Raises:
        RemoteError: there is no key, or the API does not answer.
    """

    async def look(remote: Remote, pace: Pace) -> T:
        return await work(RemoteView(remote, pace, index_path=index_path, settings=config.remote))

    return with_remote(config, context, look)


def with_remote(
    config: Config, context: Context, work: Callable[[Remote, Pace], Awaitable[T]]
) -> T:
    """Connect, have `work` done, and let go of the connections."""

    async def run() -> T:
        workers = ThreadWorkers(1)
        try:
            remote, pace = connector(
                config.remote,
                clock=SystemClock(),
                workers=workers,
                log=Log("error"),
                environ=context.environ,
            )()
            try:
                return await work(remote, pace)
            finally:
                await remote.aclose()
        finally:
            workers.close()

    return asyncio.run(run())
