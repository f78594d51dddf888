"""A proxy between the daemon and the emulator that loses answers after the server has done what was asked."""

import asyncio
import contextlib
import json
import random
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

__all__ = ["LossyProxy"]

PATIENCE_SECONDS = 30.0


@dataclass
class Counts:
    """What passed, in answers to uploads that were stored unless said otherwise."""

    requests: int = 0
    stored: int = 0
    dropped: int = 0
    dropped_of_any: int = 0
    connections: int = 0
    given_back: set[str] = field(default_factory=set)


class LossyProxy:
    """HTTP/1.1 on loopback, in a thread with a loop of its own.

    A whole request is read before it is passed on, and a whole answer before it is given back or lost: so what is
    dropped was done, and what the daemon could not finish sending never arrives.
    """

    def __init__(self, host: str, port: int, *, seed: int, share: float = 0.1) -> None:
        self._upstream = (host, port)
        self._random = random.Random(seed)
        self._share = share
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self.counts = Counts()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def drop_nothing(self) -> None:
        """From now on every answer is given back."""
        self._share = 0.0

    def take_given_back(self) -> set[str]:
        """Return the ids whose answers were given back since the last time, whether anybody read them or not."""
        taken, self.counts.given_back = self.counts.given_back, set()
        return taken

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = (OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError)
        self.counts.connections += 1
        try:
            with contextlib.suppress(*gone):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self.counts.connections -= 1
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass one request on and its answer back; say whether the connection goes on."""
        request = await _message(reader)
        is_upload = request.startswith(b"POST /v1/files")
        self.counts.requests += 1
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await self._ask(request)
        is_stored = is_upload and answer.split(b" ", 2)[1] == b"200"
        self.counts.stored += is_stored
        if self._random.random() < self._share:
            self.counts.dropped_of_any += 1
            self.counts.dropped += is_stored
            return False
        if is_stored:
            self.counts.given_back.add(json.loads(answer.partition(b"\r\n\r\n")[2])["id"])
        writer.write(answer)
        await writer.drain()
        return True

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(request)
            await writer.drain()
            return await _message(reader)
        finally:
            writer.transport.abort()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """Read one whole request or answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    headers = {
        name.strip().lower(): value.strip().lower()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if headers.get(b"transfer-encoding") != b"chunked":
        return head + await reader.readexactly(int(headers.get(b"content-length", b"0")))
    parts = [head]
    while True:
        line = await reader.readuntil(b"\r\n")
        length = int(line.split(b";")[0], 16)
        parts += [line, await reader.readexactly(length + 2)]
        if length == 0:
            return b"".join(parts)
