"""The OpenAI API through its SDK: the only module that imports `openai`.

Retries of the SDK are off: it repeats a POST whose answer was lost, and the API has no idempotency key, so that
each repeat may leave a second file (measured; API contract, "Idempotency and retries"). Errors are translated
here, once, into the three kinds of `remote.base`.

Answers are read raw: building the SDK's models for a page of 10,000 files blocks the loop for half a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn

import httpx2
import openai

from fileferry.errors import (
    FerryError,
    OutcomeUnknown,
    PartsDamaged,
    PartsRefused,
    RemoteMissing,
    RemoteUnavailable,
)
from fileferry.remote.answers import (
    NOT_ARRIVED,
    cut_off,
    file_of,
    has_no_parts,
    of_status,
    page_of,
    pending_of,
    reset_seconds,
    text_of,
    words,
)
from fileferry.remote.bandwidth import Throttle
from fileferry.remote.base import Account
from fileferry.remote.mime import mime_type
from fileferry.remote.server_clock import NEAR_SECONDS, ServerClock
from fileferry.remote.streaming import StreamingTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from fileferry.clock import Clock
    from fileferry.model import RemoteFile
    from fileferry.remote.base import Body, Page, PendingUpload, Upload

PAGE_FILES = 1_000
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 120.0
JOIN_SECONDS = 600.0  # `complete` may copy eight gigabytes before it answers
SLOWEST_BYTES_PER_SECOND = 50_000
SLOWEST_PART_BYTES_PER_SECOND = 12_500  # several share the line
KEEPALIVE_SECONDS = 4.0  # below the five seconds after which servers commonly hang up


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
    on_limit: Callable[[float], None] | None = None,
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
        on_limit: told for how many seconds nothing is left of the server's rate limit.
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
    return OpenAIRemote(client, clock, on_limit)


class OpenAIRemote:
    """A Remote on an SDK client."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        clock: Clock,
        on_limit: Callable[[float], None] | None = None,
    ) -> None:
        self._client = client
        self._files = client.files.with_raw_response
        self._uploads = client.uploads.with_raw_response
        self._parts = client.uploads.parts.with_raw_response
        self._clock = clock
        self._on_limit = on_limit
        self._server_clock = ServerClock()

    async def hello(self) -> Account:
        """Ask for as little as possible, to learn whether the key is good and whose it is."""
        answer = await self._ask(self._files.list(limit=1))
        self._read(answer, may_have_arrived=False)
        headers = answer.headers
        return Account(headers.get("openai-organization"), headers.get("openai-project"))

    async def create(self, upload: Upload, body: Body) -> RemoteFile:
        """Send one file, once."""
        purpose: Any = upload.purpose  # checked with the configuration
        content: Any = (upload.name, body, mime_type(upload.name))
        deadline = SILENCE_SECONDS + upload.size / SLOWEST_BYTES_PER_SECOND
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(deadline):
                answer = await self._files.create(
                    file=content,
                    purpose=purpose,
                    expires_after=_expiry(upload),
                )
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError, FerryError) as error:
            if isinstance(error, openai.NotFoundError):
                raise RemoteUnavailable(
                    "the API has no `/files` at this address",
                    status=404,
                    hint="check [remote] base_url: it ends in `/v1` for OpenAI",
                ) from error
            self._translate(error, may_have_arrived=body.tell() >= upload.size, of_file=True)
        body_of_answer = self._read(answer, may_have_arrived=True)
        file = file_of(body_of_answer, answer.headers, may_have_arrived=True)
        if self._clock.monotonic() - began <= NEAR_SECONDS:
            ahead, drift = self._compare(file.created_at)
            self._server_clock.hear_birth(ahead, drift=drift)
        return file

    async def begin_upload(self, upload: Upload) -> PendingUpload:
        """Announce a file that comes in parts."""
        purpose: Any = upload.purpose
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                answer = await self._uploads.create(
                    bytes=upload.size,
                    filename=upload.name,
                    mime_type=mime_type(upload.name),
                    purpose=purpose,
                    expires_after=_expiry(upload),
                )
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
            if isinstance(error, openai.APIStatusError) and has_no_parts(error):
                raise PartsRefused(
                    f"the API takes no files in parts for purpose `{upload.purpose}`: {error}"
                ) from error
            self._translate(error, may_have_arrived=False, of_file=True)
        return pending_of(self._read(answer, may_have_arrived=False))

    async def send_part(self, upload_id: str, body: Body, size: int) -> str:
        """Send one part; return its id."""
        content: Any = ("part", body, "application/octet-stream")
        seconds = SILENCE_SECONDS + size / SLOWEST_PART_BYTES_PER_SECOND
        asking = self._parts.create(upload_id, data=content)
        answer = await self._ask(asking, seconds, of_file=True)
        return text_of(self._read(answer, may_have_arrived=False), "id")

    async def complete_upload(
        self, upload_id: str, part_ids: Sequence[str], *, md5: str
    ) -> RemoteFile:
        """Make a file of the parts, in this order, once."""
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                answer = await self._uploads.complete(
                    upload_id, part_ids=list(part_ids), md5=md5, timeout=JOIN_SECONDS
                )
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
            if isinstance(error, openai.BadRequestError) and "md5" in str(error).lower():
                self._notice_limit(error.response.headers)
                raise PartsDamaged(
                    f"the file was damaged on its way: {error.message}", status=400
                ) from error
            self._translate(error, may_have_arrived=True, of_file=True)
        body = self._read(answer, may_have_arrived=True).get("file")
        return file_of(body, answer.headers, may_have_arrived=True)

    async def cancel_upload(self, upload_id: str) -> None:
        """Give up an Upload; one that is over in any way counts as given up."""
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                answer = await self._uploads.cancel(upload_id)
        except (openai.NotFoundError, openai.BadRequestError) as error:
            self._notice_limit(error.response.headers)
            return
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
            self._translate(error, may_have_arrived=False)
        self._read(answer, may_have_arrived=False)

    async def page(self, after: str | None) -> Page:
        """Return the files of the project, oldest first, from behind `after`."""
        behind = after if after is not None else openai.omit
        answer = await self._ask(self._files.list(after=behind, limit=PAGE_FILES, order="asc"))
        return page_of(self._read(answer, may_have_arrived=False))

    async def get(self, file_id: str) -> RemoteFile:
        """Describe one file."""
        answer = await self._ask(self._files.retrieve(file_id))
        return file_of(
            self._read(answer, may_have_arrived=False), answer.headers, may_have_arrived=False
        )

    async def delete(self, file_id: str) -> None:
        """Delete one file; one that is not there counts as deleted."""
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                answer = await self._files.delete(file_id)
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError) as error:
            with contextlib.suppress(RemoteMissing):
                self._translate(error, may_have_arrived=False)
            return
        if self._read(answer, may_have_arrived=False).get("deleted") is not True:
            raise cut_off(may_have_arrived=False, detail="it does not say that the file is deleted")

    def skew_seconds(self) -> float:
        """Return how far the server's clock is ahead of ours."""
        return self._server_clock.ahead_seconds()

    def is_time_doubtful(self) -> bool:
        """Say whether the last answer told another time than those before, so that one more has to decide."""
        return self._server_clock.is_doubtful

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _ask(
        self, call: Awaitable[Any], seconds: float = SILENCE_SECONDS, *, of_file: bool = False
    ) -> Any:
        """Await a call that may simply be made again when it fails."""
        try:
            async with asyncio.timeout(seconds):
                return await call
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError, FerryError) as error:
            self._translate(error, may_have_arrived=False, of_file=of_file)

    def _read(self, answer: Any, *, may_have_arrived: bool) -> dict[str, Any]:
        self._notice_limit(answer.headers)
        try:
            body = json.loads(answer.content)
        except ValueError as error:
            raise cut_off(may_have_arrived=may_have_arrived, detail="no JSON") from error
        if not isinstance(body, dict):
            raise cut_off(may_have_arrived=may_have_arrived, detail="no JSON object")
        self._hear_date(answer.headers)
        return body

    def _notice_limit(self, headers: Mapping[str, str]) -> None:
        if self._on_limit is not None and headers.get("x-ratelimit-remaining-requests") == "0":
            self._on_limit(reset_seconds(headers.get("x-ratelimit-reset-requests", "")))

    def _hear_date(self, headers: Mapping[str, str]) -> None:
        """Take the time from an answer of the API itself: what fails may have been answered by a gateway on the way."""
        try:
            moment = parsedate_to_datetime(headers.get("date", "")).timestamp()
        except (TypeError, ValueError):
            return
        ahead, drift = self._compare(moment)
        self._server_clock.hear_date(ahead, drift=drift)

    def _compare(self, moment: float) -> tuple[float, float]:
        """Return how far a moment of the server is ahead of our clock, and ours ahead of the monotonic one."""
        now = self._clock.wall()
        return moment - now, now - self._clock.monotonic()

    def _translate(
        self, error: BaseException, *, may_have_arrived: bool, of_file: bool = False
    ) -> NoReturn:
        """Raise what a failure means.

        Args:
            may_have_arrived: all of a request that changes something was sent.
            of_file: it carried or announced a file.
        """
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, FerryError):
            cause = cause.__cause__
        if isinstance(cause, FerryError):
            raise cause  # the source itself failed while it was read; not all of it was sent
        if isinstance(error, openai.APIStatusError):
            self._notice_limit(error.response.headers)
            raise of_status(error, may_have_arrived=may_have_arrived, of_file=of_file) from error
        # A deadline of ours has the cancellation as its cause, which says nothing.
        root = (
            TimeoutError("it took too long")
            if isinstance(error, TimeoutError)
            else error.__cause__ or error
        )
        if isinstance(root, NOT_ARRIVED):
            raise RemoteUnavailable(
                f"the API cannot be reached: {words(root)}", reached=False
            ) from error
        if may_have_arrived:
            raise OutcomeUnknown(f"the answer was lost: {words(root)}") from error
        raise RemoteUnavailable(f"the connection broke: {words(root)}") from error


def _expiry(upload: Upload) -> Any:
    if upload.expires_seconds is None:
        return openai.omit
    return {"anchor": "created_at", "seconds": upload.expires_seconds}
