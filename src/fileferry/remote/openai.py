"""The OpenAI API through its SDK: the only module that imports `openai`.

Retries of the SDK are off: it repeats a POST whose answer was lost, and the API has no idempotency key, so that
each repeat may leave a second file (measured; API contract, "Idempotency and retries"). Errors are translated
here, once, into the three kinds of `remote.base`.

Answers are read raw: building the SDK's models for a page of 10,000 files blocks the loop for half a second.
"""

from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn

import httpx2
import openai

from fileferry.errors import (
    CredentialsRefused,
    FerryError,
    OutcomeUnknown,
    QuotaExhausted,
    RemoteError,
    RemoteMissing,
    RemoteRefused,
    RemoteUnavailable,
)
from fileferry.model import RemoteFile
from fileferry.remote.bandwidth import Throttle
from fileferry.remote.base import Account, Page
from fileferry.remote.mime import mime_type
from fileferry.remote.streaming import StreamingTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from fileferry.clock import Clock
    from fileferry.remote.base import Body, Upload

PAGE_FILES = 1_000
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 120.0
SLOWEST_BYTES_PER_SECOND = 50_000
KEEPALIVE_SECONDS = 4.0  # below the five seconds after which servers commonly hang up

_QUOTA_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "storage_quota_exceeded",
    "quotaExceeded",
}
_NOT_ARRIVED = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
_TOO_EARLY = 425
_ASK_AGAIN = {408, 409, _TOO_EARLY}


def connect(
    *,
    api_key: str,
    base_url: str,
    organization: str | None,
    project: str | None,
    clock: Clock,
    offload: Callable[..., Awaitable[Any]],
    transport: httpx2.AsyncBaseTransport | None = None,
    throttle: Throttle | None = None,
) -> OpenAIRemote:
    """Return a Remote for an account.

    Args:
        api_key: the bearer token.
        base_url: of the API, with its `/v1`.
        organization: sent as `OpenAI-Organization`, or None.
        project: sent as `OpenAI-Project`, or None.
        clock: our own; compared with the server's `Date`.
        offload: runs a blocking function elsewhere: reads of large bodies go there.
        transport: what carries requests; None for the network.
        throttle: the limit on bytes per second; None for none.
    """
    inner = transport or httpx2.AsyncHTTPTransport(
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=KEEPALIVE_SECONDS)
    )
    # Left out, not filled in from OPENAI_ORG_ID and the like: the configuration decides alone.
    no_environment: Any = {
        "OpenAI-Organization": organization or openai.omit,
        "OpenAI-Project": project or openai.omit,
    }
    client = openai.AsyncOpenAI(
        api_key=api_key,
        base_url=base_url,
        organization=organization or "",
        project=project or "",
        max_retries=0,
        timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
        http_client=httpx2.AsyncClient(
            transport=StreamingTransport(inner, offload, throttle or Throttle(clock, 0))
        ),
        default_headers=no_environment,
    )
    return OpenAIRemote(client, clock)


class OpenAIRemote:
    """A Remote on an SDK client."""

    def __init__(self, client: openai.AsyncOpenAI, clock: Clock) -> None:
        self._client = client
        self._files = client.files.with_raw_response
        self._clock = clock
        self._skew_seconds = 0.0

    async def hello(self) -> Account:
        """Ask for as little as possible, to learn whether the key is good and whose it is."""
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                answer = await self._files.list(limit=1)
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
            self._translate(error, may_have_arrived=False)
        self._read(answer, may_have_arrived=False)
        headers = answer.headers
        return Account(headers.get("openai-organization"), headers.get("openai-project"))

    async def create(self, upload: Upload, body: Body) -> RemoteFile:
        """Send one file, once."""
        expiry: Any = openai.omit
        if upload.expires_seconds is not None:
            expiry = {"anchor": "created_at", "seconds": upload.expires_seconds}
        purpose: Any = upload.purpose  # checked with the configuration
        content: Any = (upload.name, body, mime_type(upload.name))
        deadline = SILENCE_SECONDS + upload.size / SLOWEST_BYTES_PER_SECOND
        try:
            async with asyncio.timeout(deadline):
                answer = await self._files.create(
                    file=content,
                    purpose=purpose,
                    expires_after=expiry,
                )
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError, FerryError) as error:
            if isinstance(error, openai.NotFoundError):
                raise RemoteUnavailable(
                    "the API has no `/files` at this address",
                    status=404,
                    hint="check [remote] base_url: it ends in `/v1` for OpenAI",
                ) from error
            self._translate(error, may_have_arrived=body.tell() >= upload.size)
        return _file(
            self._read(answer, may_have_arrived=True), answer.headers, may_have_arrived=True
        )

    async def page(self, after: str | None) -> Page:
        """Return the files of the project, oldest first, from behind `after`."""
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                answer = await self._files.list(
                    after=after if after is not None else openai.omit, limit=PAGE_FILES, order="asc"
                )
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
            self._translate(error, may_have_arrived=False)
        body = self._read(answer, may_have_arrived=False)
        data = body.get("data")
        if not isinstance(data, list):
            raise _cut_off(may_have_arrived=False, detail="no list of files")
        files = tuple(_file(item, None, may_have_arrived=False) for item in data)
        more = bool(body.get("has_more")) and bool(files)
        return Page(files, files[-1].file_id if more else None)

    async def get(self, file_id: str) -> RemoteFile:
        """Describe one file."""
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                answer = await self._files.retrieve(file_id)
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
            self._translate(error, may_have_arrived=False)
        return _file(
            self._read(answer, may_have_arrived=False), answer.headers, may_have_arrived=False
        )

    async def delete(self, file_id: str) -> None:
        """Delete one file; one that is not there counts as deleted."""
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                answer = await self._files.delete(file_id)
        except openai.NotFoundError as error:
            self._notice(error.response.headers)
            return
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
            self._translate(error, may_have_arrived=False)
        self._read(answer, may_have_arrived=False)

    def skew_seconds(self) -> float:
        """Return how far the server's clock is ahead of ours."""
        return self._skew_seconds

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    def _read(self, answer: Any, *, may_have_arrived: bool) -> dict[str, Any]:
        self._notice(answer.headers)
        try:
            body = json.loads(answer.content)
        except ValueError as error:
            raise _cut_off(may_have_arrived=may_have_arrived, detail="no JSON") from error
        if not isinstance(body, dict):
            raise _cut_off(may_have_arrived=may_have_arrived, detail="no JSON object")
        return body

    def _notice(self, headers: Mapping[str, str]) -> None:
        date = headers.get("date")
        if date is not None:
            try:
                self._skew_seconds = parsedate_to_datetime(date).timestamp() - self._clock.wall()
            except (TypeError, ValueError):
                self._skew_seconds = 0.0
            if abs(self._skew_seconds) < 2:
                self._skew_seconds = 0.0

    def _translate(self, error: BaseException, *, may_have_arrived: bool) -> NoReturn:
        """Raise what a failure means. `may_have_arrived`: all of a request that changes something was sent."""
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, FerryError):
            cause = cause.__cause__
        if isinstance(cause, FerryError):
            raise cause  # the source itself failed while it was read; not all of it was sent
        if isinstance(error, openai.APIStatusError):
            self._notice(error.response.headers)
            raise _of_status(error, may_have_arrived=may_have_arrived) from error
        root = error.__cause__ or error
        if isinstance(root, _NOT_ARRIVED):
            raise RemoteUnavailable(
                f"the API cannot be reached: {_words(root)}", reached=False
            ) from error
        if may_have_arrived:
            raise OutcomeUnknown(f"the answer was lost: {_words(root)}") from error
        raise RemoteUnavailable(f"the connection broke: {_words(root)}") from error


def _file(body: Any, headers: Mapping[str, str] | None, *, may_have_arrived: bool) -> RemoteFile:
    try:
        size = body.get("bytes")
        expires_at = body.get("expires_at")
        return RemoteFile(
            file_id=str(body["id"]),
            name=str(body.get("filename") or ""),
            size=None if size is None else int(size),
            purpose=str(body.get("purpose") or ""),
            created_at=int(body["created_at"]),
            expires_at=None if expires_at is None else int(expires_at),
            request_id=None if headers is None else headers.get("x-request-id"),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _cut_off(may_have_arrived=may_have_arrived, detail="no file object") from error


def _words(error: BaseException) -> str:
    return str(error).strip().lower() or type(error).__name__


def _cut_off(*, may_have_arrived: bool, detail: str) -> RemoteError:
    message = f"the answer was cut off or not understood: {detail}"
    return OutcomeUnknown(message) if may_have_arrived else RemoteUnavailable(message)


def _of_status(error: openai.APIStatusError, *, may_have_arrived: bool) -> RemoteError:
    status = error.status_code
    code = error.code if isinstance(error.code, str) else None
    body = error.body if isinstance(error.body, dict) else {}
    message = str(body.get("message") or f"HTTP {status}")
    known: dict[str, Any] = {"status": status, "code": code, "request_id": error.request_id}
    if status == 401 or (status == 403 and code != "unsupported_country_region_territory"):
        return CredentialsRefused(
            f"the API refused the key: {message}",
            hint="set OPENAI_API_KEY to a key of this project that may read and write files",
            **known,
        )
    if code in _QUOTA_CODES:
        return QuotaExhausted(
            f"the quota is used up: {message}",
            hint="free storage or raise the limit; uploads go on by themselves",
            **known,
        )
    if status == 429:
        return RemoteUnavailable(
            f"the API asks to slow down: {message}",
            retry_after_seconds=_retry_after(error.response.headers),
            **known,
        )
    if status == 404:
        return RemoteMissing(message, **known)
    if status in _ASK_AGAIN or status >= 500:
        if may_have_arrived:
            return OutcomeUnknown(f"the API failed: {message}", **known)
        return RemoteUnavailable(
            f"the API failed: {message}",
            retry_after_seconds=_retry_after(error.response.headers),
            **known,
        )
    return RemoteRefused(message, **known)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) * factor
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None
