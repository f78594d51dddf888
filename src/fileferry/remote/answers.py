"""What the API's answers mean: a file, or one of three kinds of failure. Knows no SDK: it reads what it is given."""

from __future__ import annotations

import contextlib
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx2

from fileferry.errors import (
    Barred,
    CredentialsRefused,
    OutcomeUnknown,
    QuotaExhausted,
    RemoteError,
    RemoteMissing,
    RemoteRefused,
    RemoteUnavailable,
)
from fileferry.model import RemoteFile
from fileferry.remote.base import Page, PendingUpload

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUOTA_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "storage_quota_exceeded",
    "quotaExceeded",
}
NOT_ARRIVED = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
_TOO_EARLY = 425
_ASK_AGAIN = {408, 409, _TOO_EARLY}


def file_of(body: Any, headers: Mapping[str, str] | None, *, may_have_arrived: bool) -> RemoteFile:
    """Read a file object."""
    try:
        size = body.get("bytes")
        expires_at = body.get("expires_at")
        return RemoteFile(
            file_id=_id_of(body),
            name=str(body.get("filename") or ""),
            size=None if size is None else int(size),
            purpose=str(body.get("purpose") or ""),
            created_at=int(body["created_at"]),
            expires_at=None if expires_at is None else int(expires_at),
            request_id=None if headers is None else headers.get("x-request-id"),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise cut_off(may_have_arrived=may_have_arrived, detail="no file object") from error


def _id_of(body: Any) -> str:
    """Read the id of an object.

    Raises:
        TypeError, KeyError: it has none that could be asked for.
    """
    file_id = body["id"]
    if not isinstance(file_id, str) or not file_id.strip():
        raise TypeError("an id is a text")
    return file_id


def page_of(body: Mapping[str, Any]) -> Page:
    """Read a page of a listing. What cannot be read is left out: it is not ours, or a question about it alone tells."""
    items = body.get("data")
    if not isinstance(items, list):
        raise cut_off(may_have_arrived=False, detail="no list of files")
    files: list[RemoteFile] = []
    behind: str | None = None
    for item in items:
        with contextlib.suppress(TypeError, KeyError):
            behind = _id_of(item)
        with contextlib.suppress(RemoteUnavailable):
            files.append(file_of(item, None, may_have_arrived=False))
    more = bool(body.get("has_more")) and bool(items)
    if more and behind is None:
        raise cut_off(may_have_arrived=False, detail="no file of a page has an id")
    return Page(tuple(files), behind if more else None)


def pending_of(body: Mapping[str, Any]) -> PendingUpload:
    """Read an Upload that was begun."""
    try:
        return PendingUpload(
            upload_id=text_of(body, "id"),
            created_at=int(body["created_at"]),
            expires_at=int(body["expires_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise cut_off(may_have_arrived=False, detail="no upload object") from error


def text_of(body: Mapping[str, Any], key: str) -> str:
    """Read a text that has to be there."""
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise cut_off(may_have_arrived=False, detail=f"no `{key}`")
    return value


def words(error: BaseException) -> str:
    """Return what to say of an error that may have no words."""
    return str(error).strip().lower() or type(error).__name__


def cut_off(*, may_have_arrived: bool, detail: str) -> RemoteError:
    """Return what an answer means that cannot be read."""
    message = f"the answer was cut off or not understood: {detail}"
    return OutcomeUnknown(message) if may_have_arrived else RemoteUnavailable(message)


def of_status(error: Any, *, may_have_arrived: bool, of_file: bool = False) -> RemoteError:
    """Return what an answer with an error status means; `error` as the SDK raises it.

    Args:
        of_file: the request carried or announced a file, which may be what was objected to.
    """
    status = error.status_code
    code = error.code if isinstance(error.code, str) else None
    body = error.body if isinstance(error.body, dict) else {}
    is_of_api = "message" in body  # and not a page of a gateway or a filter on the way
    message = str(body.get("message") or f"HTTP {status}")
    known: dict[str, Any] = {"status": status, "code": code, "request_id": error.request_id}
    if status == 403 and not is_of_api:
        return _barred(of_file=of_file, known=known)
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
        if is_of_api:
            return RemoteMissing(message, **known)
        return RemoteUnavailable(
            "something that is not the API answered: HTTP 404",
            hint="check [remote] base_url, and what stands before it",
            **known,
        )
    if status in _ASK_AGAIN or status >= 500:
        kind = OutcomeUnknown if may_have_arrived else RemoteUnavailable
        wait = _retry_after(error.response.headers)
        return kind(f"the API failed: {message}", retry_after_seconds=wait, **known)
    return RemoteRefused(message, **known)


def _barred(*, of_file: bool, known: dict[str, Any]) -> RemoteError:
    message = "something that is not the API refused the request: HTTP 403"
    hint = "a proxy or a filter on the way, perhaps: it is tried again later"
    kind = Barred if of_file else RemoteUnavailable
    return kind(message, hint=hint, **known)


_RESET = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
LONGEST_RESET_SECONDS = 300.0
LONGEST_RETRY_AFTER_SECONDS = (
    86_400.0  # limits are by the day at most: who asks for more is in error
)


def reset_seconds(text: str) -> float:
    """Return how long `x-ratelimit-reset-requests` says to wait: `1s`, `6m0s`, `250ms`; 0.0 when it makes no sense."""
    match = _RESET.fullmatch(text.strip())
    if match is None:
        return 0.0
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    return min(total, LONGEST_RESET_SECONDS)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) * factor
        except ValueError:
            seconds = _seconds_to(text, headers.get("date"))
        if 0 <= seconds < float("inf"):
            return min(seconds, LONGEST_RETRY_AFTER_SECONDS)
    return None


def _seconds_to(text: str, date: str | None) -> float:
    """Return how long after an answer's own date an HTTP date is; below 0 where one of them makes no sense."""
    try:
        moment, now = parsedate_to_datetime(text), parsedate_to_datetime(date or "")
        return max(0.0, moment.timestamp() - now.timestamp())
    except (TypeError, ValueError):
        return -1.0


def has_no_parts(error: Any) -> bool:
    """Say whether it is not this file that is refused, but its purpose, or that there is no such call here."""
    if error.status_code != 400:
        return error.status_code in {404, 405, 501}
    if error.param is not None:
        return bool(error.param == "purpose")
    body = error.body if isinstance(error.body, dict) else {}
    message = str(body.get("message") or "").lower()
    return "mime" not in message and _OF_PURPOSE.search(message) is not None


# The purpose as the subject: not a type that is unsupported "for your file purpose".
_OF_PURPOSE = re.compile(
    r"^purpose\b|[`'\"]purpose[`'\"]|\b(?:invalid|unsupported|unknown)(?: value for)?(?: file)? purpose\b"
)
