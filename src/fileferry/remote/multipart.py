"""The parts of one large file: several under way at once, each recorded as it arrives.

Each part is read straight from the file and hashed while it is sent. Beside them one reader surveys the whole file in
order, never far ahead, so that both find it in the page cache. A part has to have the digest that the survey finds:
then the bytes that were sent are the bytes whose digest and MD5 are known.

A part that fails is sent again, alone, while the API is down; others that are under way may end, so that nothing that
arrived is sent twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from fileferry.errors import FerryError, RemoteUnavailable, SourceChanged
from fileferry.model import Part
from fileferry.remote.base import Body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from fileferry.clock import Clock
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

TRIES = 4  # failures without a part that got through, beyond one for each connection


class Slice(Body, Protocol):
    """The bytes of one part."""

    def digest(self) -> str:
        """Return their digest, once they were read."""


class Survey(Protocol):
    """Reads the file in order, part by part."""

    def take(self, size: int) -> str:
        """Read the next part and return its digest. Blocks."""

    def finish(self) -> tuple[str, str]:
        """Return the digest and the MD5 of all."""


class Shipment:
    """Sends the parts of an Upload that are missing.

    Args:
        remote, pace, clock: collaborators.
        offload: runs a blocking function elsewhere.
        upload_id: of the Upload.
        spans: where each part begins, and its size.
        cut: returns the bytes of a span, from its start.
        survey: of the same file.
        still: says whether the file is as it was.
        go_on: says whether further parts may be begun.
        connections: parts at once.
        record: called with each part that arrived.

    Attributes:
        moved_bytes: sent so far by this shipment.
    """

    def __init__(
        self,
        remote: Remote,
        pace: Pace,
        clock: Clock,
        offload: Callable[..., Awaitable[Any]],
        *,
        upload_id: str,
        spans: Sequence[tuple[int, int]],
        cut: Callable[[int, int], Slice],
        survey: Survey,
        still: Callable[[], bool],
        go_on: Callable[[], bool],
        connections: int,
        record: Callable[[int, Part], Awaitable[None]],
    ) -> None:
        self._remote = remote
        self._pace = pace
        self._clock = clock
        self._offload = offload
        self._upload_id = upload_id
        self._spans = spans
        self._cut = cut
        self._survey = survey
        self._still = still
        self._go_on = go_on
        self._connections = connections
        self._record = record
        self._missing: deque[int] = deque()
        self._arrived: dict[int, Part] = {}
        self._surveyed: dict[int, str] = {}
        self._under_way: dict[int, Slice] = {}
        self._reached = 0
        self._went_on = asyncio.Event()
        self._turn = asyncio.Lock()
        self._failures = 0
        self._arrived_bytes = 0

    @property
    def arrived_parts(self) -> int:
        """Return how many parts are there, those of earlier shipments included."""
        return len(self._arrived)

    @property
    def moved_bytes(self) -> int:
        """Return how many bytes were sent so far, those of parts under way included."""
        return self._arrived_bytes + sum(body.tell() for body in self._under_way.values())

    async def run(self, arrived: Mapping[int, Part]) -> tuple[list[str], str, str]:
        """Send what is missing; return the ids of all parts in order, the digest and the MD5 of the file.

        Args:
            arrived: the parts that an earlier shipment of the same Upload sent.

        Raises:
            SourceError: the file moved.
            RemoteError: a part did not get through.
            CancelledError: it was not to go on; what was under way has ended.
        """
        self._arrived = dict(arrived)
        self._missing.extend(set(range(len(self._spans))) - arrived.keys())
        self._missing = deque(sorted(self._missing))
        self._reached = self._missing[0] if self._missing else len(self._spans)
        survey = asyncio.create_task(self._take_survey())
        lanes = [asyncio.create_task(self._lane()) for _ in range(self._connections)]
        try:
            await asyncio.wait([survey, *lanes], return_when=asyncio.FIRST_EXCEPTION)
            failure = _first_failure([survey, *lanes])
            if isinstance(failure, RemoteUnavailable | _Held):
                self._missing.clear()
                await asyncio.wait(lanes)
                failure = _first_failure([survey, *lanes])
            if isinstance(failure, _Held):
                raise asyncio.CancelledError
            if failure is not None:
                raise failure
            digest, md5 = survey.result()
        finally:
            for task in (survey, *lanes):
                task.cancel()
            await asyncio.gather(survey, *lanes, return_exceptions=True)
        return [self._arrived[number].part_id for number in range(len(self._spans))], digest, md5

    async def _lane(self) -> None:
        while self._missing:
            self._heed()
            number = self._missing.popleft()
            self._reached = max(self._reached, number)
            self._went_on.set()
            if not self._still():
                raise SourceChanged("the file changed while it was sent")
            while True:
                try:
                    part = await self._when_open(number)
                except RemoteUnavailable:
                    self._failures += 1
                    if self._failures >= self._connections + TRIES:
                        raise
                else:
                    break
            self._failures = 0
            self._arrived[number] = part
            self._compare(number)
            await self._record(number, part)
        self._reached = len(self._spans)
        self._went_on.set()

    async def _when_open(self, number: int) -> Part:
        async with self._turn:
            while True:
                self._heed()
                if self._pace.open_in_seconds():
                    await self._pace.until_open()
                elif self._pace.is_down:
                    # A small call finds out whether the API is there again: all others wait for it, and a part is long.
                    async with self._pace.call():
                        await self._remote.hello()
                else:
                    break
        return await self._send(number)

    def _heed(self) -> None:
        if not self._go_on():
            raise _Held

    async def _send(self, number: int) -> Part:
        offset, size = self._spans[number]
        body = self._under_way[number] = self._cut(offset, size)
        try:
            async with self._pace.part():
                part_id = await self._remote.send_part(self._upload_id, body, size)
        finally:
            del self._under_way[number]
        self._arrived_bytes += size
        return Part(part_id, body.digest())

    async def _take_survey(self) -> tuple[str, str]:
        for number, (_, size) in enumerate(self._spans):
            while number > self._reached + self._connections:
                self._went_on.clear()
                await self._went_on.wait()
            self._surveyed[number] = await self._offload(self._survey.take, size)
            self._compare(number)
        result: tuple[str, str] = await self._offload(self._survey.finish)
        return result

    def _compare(self, number: int) -> None:
        part, surveyed = self._arrived.get(number), self._surveyed.get(number)
        if part is not None and surveyed is not None and part.digest != surveyed:
            raise SourceChanged("the bytes that were sent are not those of the file any more")


def _first_failure(tasks: Sequence[asyncio.Task[Any]]) -> BaseException | None:
    failures = [
        error
        for task in tasks
        if task.done() and not task.cancelled() and (error := task.exception()) is not None
    ]
    # What nobody expects goes first; then what concerns the whole upload, what concerns one part, and a wish to rest.
    return min(failures, key=_rank, default=None)


def _rank(error: BaseException) -> int:
    if isinstance(error, _Held):
        return 3
    if isinstance(error, RemoteUnavailable):
        return 2
    return 1 if isinstance(error, FerryError) else 0


class _Held(Exception):
    """No further part is to be begun."""
