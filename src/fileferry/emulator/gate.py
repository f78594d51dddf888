"""What every request passes before and after its endpoint.

Around the whole application, in plain ASGI: the journal, the faults, the key, the rate limit, the
bandwidth, and the headers of every answer. Faults are wrappers of `receive` and `send`, so no
endpoint knows of them, except for those that change what a read sees.
"""

import asyncio
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError, missing_key, rate_limited
from .exchange import ConnectionDroppedError, Exchange
from .faults import Fault, FaultKind, Moment
from .journal import ReceivedRequest
from .keys import DEFAULT_ORGANIZATION, DEFAULT_PROJECT, Key
from .records import Staleness
from .state import Emulator

__all__ = ["Gate"]

_API = "/v1/"
_SWITCHBOARD = "/_emulator/"
_MADE_UP_SECONDS = 0.05
_RATE_LIMITED = ("/v1/files", "/v1/uploads")


class Gate:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self._app = app
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, as far as faults, key and limits allow."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(_SWITCHBOARD):
            await self._app(scope, receive, send)
            return
        emulator = self._emulator
        entry = emulator.journal.open(
            at=emulator.clock.now(),
            at_monotonic=emulator.clock.monotonic(),
            method=scope["method"],
            path=path,
            query=scope["query_string"].decode("latin-1"),
        )
        faults = emulator.faults.take(scope["method"], path)
        entry.faults = tuple(str(fault.kind) for fault in faults)
        answer = _Answer(send, emulator, entry, faults)
        if emulator.options.bandwidth:
            receive = _throttled(receive, emulator.options.bandwidth)
        try:
            await self._before(faults, receive)
            exchange = self._admit(scope, entry, answer)
        except ApiError as refusal:
            await answer.refuse(refusal)
        else:
            scope["exchange"] = _with_faults(exchange, faults)
            await self._app(scope, receive, answer.send)
        answer.end()

    async def _before(self, faults: tuple[Fault, ...], receive: Receive) -> None:
        """Do what strikes before the request is handled."""
        if self._emulator.options.latency_ms:
            await asyncio.sleep(self._emulator.options.latency_ms / 1000)
        for fault in faults:
            if fault.strikes(Moment.BEFORE):
                await asyncio.sleep(fault.seconds)
            elif fault.kind is FaultKind.STATUS:
                raise _planted_refusal(fault)
            elif fault.kind is FaultKind.DROP_BEFORE:
                if fault.strikes(Moment.BODY):
                    await _drain(receive)
                raise ConnectionDroppedError(is_started=False)

    def _admit(self, scope: Scope, entry: ReceivedRequest, answer: "_Answer") -> Exchange:
        """Return what is known of the request, or refuse it for its key or its rate."""
        headers = dict(scope["headers"])
        entry.retry_count = _text(headers.get(b"x-stainless-retry-count"))
        scheme, _, name = (_text(headers.get(b"authorization")) or "").partition(" ")
        key = self._emulator.keys.get(name.strip())
        project = _text(headers.get(b"openai-project")) or key.project
        organization = _text(headers.get(b"openai-organization")) or key.organization
        answer.identify(project, organization)
        entry.project = project
        if scope["path"].startswith(_API):
            if scheme.lower() != "bearer" or not key.key:
                raise missing_key()
            entry.key_last4 = key.key[-4:]
            self._check(scope, key, answer)
        return Exchange(entry, project, organization, Staleness(), 0.0, null_bytes=False)

    def _check(self, scope: Scope, key: Key, answer: "_Answer") -> None:
        method: str = scope["method"]
        refusal = key.refusal(method)
        if refusal is not None:
            raise refusal
        if method != "POST" or not scope["path"].startswith(_RATE_LIMITED):
            return
        verdict = self._emulator.limiter.ask(key.key, self._emulator.clock.now())
        if verdict is None:
            return
        if not verdict.is_admitted:
            raise rate_limited(verdict.limit, verdict.reset_seconds, verdict.headers())
        answer.add_headers(verdict.headers().items())


class _Answer:
    """The way back: common headers, and the faults that strike there."""

    def __init__(
        self, send: Send, emulator: Emulator, entry: ReceivedRequest, faults: tuple[Fault, ...]
    ) -> None:
        self._send = send
        self._emulator = emulator
        self._entry = entry
        self._delay = sum(fault.seconds for fault in faults if fault.strikes(Moment.AFTER))
        kinds = {fault.kind for fault in faults}
        self._is_swallowed = FaultKind.DROP_AFTER in kinds
        self._is_truncated = FaultKind.TRUNCATE in kinds
        self._is_cut = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._project = DEFAULT_PROJECT
        self._organization = DEFAULT_ORGANIZATION

    def identify(self, project: str, organization: str) -> None:
        """Say for whom the request is answered."""
        self._project = project
        self._organization = organization

    def add_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Add headers to whatever is answered."""
        self._headers += [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]

    async def refuse(self, refusal: ApiError) -> None:
        """Answer with an error."""
        body = refusal.body()
        self.add_headers(refusal.headers.items())
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await self.send(
            {"type": "http.response.start", "status": refusal.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": body})

    async def send(self, message: Message) -> None:
        """Pass on one message of the answer, as far as the faults let it."""
        if message["type"] == "http.response.start":
            if self._delay:
                await asyncio.sleep(self._delay)
            if self._is_swallowed:
                return
            self._entry.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._common_headers()]
        elif self._is_swallowed or self._is_cut:
            return
        elif self._is_truncated:
            self._is_cut = True
            body = message.get("body", b"")
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await self._send(message)

    def end(self) -> None:
        """Close the connection, if that is the fault."""
        if self._is_swallowed or self._is_cut:
            raise ConnectionDroppedError(is_started=self._is_cut)

    def _common_headers(self) -> list[tuple[bytes, bytes]]:
        clock = self._emulator.clock
        milliseconds = round((clock.monotonic() - self._entry.at_monotonic) * 1000)
        return [
            (b"date", clock.http_date()),
            (b"x-request-id", self._emulator.request_id().encode()),
            (b"openai-processing-ms", str(milliseconds).encode()),
            (b"openai-version", b"2020-10-01"),
            (b"openai-organization", self._organization.encode("latin-1")),
            (b"openai-project", self._project.encode("latin-1")),
            *self._headers,
        ]


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _planted_refusal(fault: Fault) -> ApiError:
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        headers.setdefault("retry-after", f"{fault.retry_after:g}")
    return ApiError(fault.status, fault.message, code=fault.code, kind=fault.type, headers=headers)


def _with_faults(exchange: Exchange, faults: tuple[Fault, ...]) -> Exchange:
    for fault in faults:
        if fault.kind is FaultKind.STALE_LISTING:
            exchange.staleness = Staleness(fault.seconds, fault.deleted_seconds)
        elif fault.kind is FaultKind.STALE_GET:
            exchange.hide_younger = fault.seconds
        elif fault.kind is FaultKind.NULL_BYTES:
            exchange.null_bytes = True
    return exchange


async def _drain(receive: Receive) -> None:
    message = await receive()
    while message["type"] == "http.request" and message.get("more_body", False):
        message = await receive()


def _throttled(receive: Receive, bandwidth: float) -> Receive:
    loop = asyncio.get_running_loop()
    free_at = loop.time()

    async def throttled() -> Message:
        nonlocal free_at
        message = await receive()
        # Counted from when the line was free, not from now: a sleep that came out longer is made up for.
        free_at = max(free_at, loop.time() - _MADE_UP_SECONDS)
        free_at += len(message.get("body", b"")) / bandwidth
        if (wait := free_at - loop.time()) > 0:
            await asyncio.sleep(wait)
        return message

    return throttled
