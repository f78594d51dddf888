"""What the API's answers mean: whose fault it is, when to come back, and which objects are files."""

from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx2
import pytest

from fileferry.errors import (
    Barred,
    CredentialsRefused,
    OutcomeUnknown,
    RemoteError,
    RemoteMissing,
    RemoteUnavailable,
)
from fileferry.remote.answers import (
    LONGEST_RESET_SECONDS,
    file_of,
    has_no_parts,
    of_status,
    page_of,
    reset_seconds,
)

NOW = 1_900_000_000.0
DATE = {"date": formatdate(NOW, usegmt=True)}


@dataclass
class Refused:
    """An answer as the SDK raises it."""

    status_code: int
    response: httpx2.Response
    code: str | None = None
    body: dict[str, str] | str = field(default_factory=dict)
    request_id: str | None = None
    param: str | None = None


def asked_to_wait(
    headers: dict[str, str], *, status: int = 429, may_have_arrived: bool = False
) -> float | None:
    refused = Refused(status, httpx2.Response(status, headers=headers))
    error = of_status(refused, may_have_arrived=may_have_arrived)
    assert isinstance(error, OutcomeUnknown if may_have_arrived else RemoteUnavailable)
    return error.retry_after_seconds


def at(moment: float) -> str:
    return formatdate(moment, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"retry-after": "20"}, 20.0, id="seconds"),
        pytest.param({"retry-after": "86400"}, 86_400.0, id="a day: further than any SDK waits"),
        pytest.param({"retry-after-ms": "250", "retry-after": "1"}, 0.25, id="milliseconds first"),
        pytest.param({"retry-after": at(NOW + 900), **DATE}, 900.0, id="a moment"),
        pytest.param({"retry-after": at(NOW - 60), **DATE}, 0.0, id="a moment that is over"),
        pytest.param({"retry-after": at(NOW + 900)}, None, id="a moment, but who knows the time?"),
        pytest.param({"retry-after": "soon", **DATE}, None, id="soon"),
        pytest.param({"retry-after": "Mon, 99 Foo 2030 00:00:00 GMT", **DATE}, None, id="no day"),
        pytest.param({"retry-after": "-1", **DATE}, None, id="in the past"),
        pytest.param({"retry-after": "inf", **DATE}, None, id="never"),
        pytest.param({"retry-after": "9000000"}, 86_400.0, id="a hundred days: a day is believed"),
        pytest.param({}, None, id="not a word"),
    ],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_to_wait(headers) == seconds
    assert asked_to_wait(headers, status=503) == seconds


def test_a_failure_after_the_bytes_were_sent_says_it_too() -> None:
    assert asked_to_wait({"retry-after": "300"}, status=503, may_have_arrived=True) == 300.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0), ("6m0s", LONGEST_RESET_SECONDS), ("250ms", 0.25), ("1m30s", 90.0), ("2.5s", 2.5),
        ("1h0m0s", LONGEST_RESET_SECONDS), ("", 0.0), ("soon", 0.0),
    ],
)  # fmt: skip
def test_when_the_limit_has_room_again(text: str, seconds: float) -> None:
    assert reset_seconds(text) == seconds


def refused(status: int, body: dict[str, str] | str, **details: Any) -> Refused:
    return Refused(status, httpx2.Response(status), body=body, **details)


PAGE, ERROR = "<html>blocked</html>", {"message": "no"}


@pytest.mark.parametrize(
    ("status", "body", "of_file", "kind"),
    [
        pytest.param(401, ERROR, True, CredentialsRefused, id="the key"),
        pytest.param(401, PAGE, True, CredentialsRefused, id="the key, whoever says so"),
        pytest.param(403, ERROR, True, CredentialsRefused, id="a scope"),
        pytest.param(403, PAGE, True, Barred, id="a filter that does not like this file"),
        pytest.param(403, PAGE, False, RemoteUnavailable, id="a filter that likes nothing"),
        pytest.param(404, ERROR, False, RemoteMissing, id="it is not there"),
        pytest.param(404, PAGE, False, RemoteUnavailable, id="somebody else does not know it"),
        pytest.param(404, {}, False, RemoteUnavailable, id="nobody says what is not there"),
    ],
)
def test_what_is_refused_by_whom(
    status: int, body: dict[str, str] | str, of_file: bool, kind: type[RemoteError]
) -> None:
    error = of_status(refused(status, body), may_have_arrived=True, of_file=of_file)
    assert type(error) is kind
    assert error.status == status


@pytest.mark.parametrize(
    ("status", "message", "param", "no_parts"),
    [
        (404, "", None, True),
        (501, "", None, True),
        (400, "Invalid value: 'vision'.", "purpose", True),
        (400, "Invalid purpose: vision", None, True),
        (400, "'vision' is not one of ['batch'] - 'purpose'", None, True),
        (400, "Purpose `vision` cannot be used here", None, True),
        (400, "MIME type text/x is not supported for your file purpose", "mime_type", False),
        (400, "MIME type text/x is not supported for your file purpose", None, False),
        (400, "the name is too long for this purpose", None, False),
        (413, "Invalid purpose", "purpose", False),
    ],
)
def test_which_refusals_are_about_the_purpose(
    status: int, message: str, param: str | None, no_parts: bool
) -> None:
    assert has_no_parts(refused(status, {"message": message}, param=param)) is no_parts


FILE = {"id": "file-1", "created_at": 1, "bytes": 3, "filename": "a", "purpose": "user_data"}


@pytest.mark.parametrize("odd", ["", " ", None, 7, ["file-1"]])
def test_a_file_without_a_usable_id_is_no_file(odd: Any) -> None:
    with pytest.raises(OutcomeUnknown):
        file_of({**FILE, "id": odd}, None, may_have_arrived=True)


@pytest.mark.parametrize(
    "odd",
    [{}, None, "file", [], {**FILE, "id": ""}, {**FILE, "created_at": None}, {**FILE, "bytes": "x"}],
)  # fmt: skip
def test_what_cannot_be_read_in_a_listing_is_left_out(odd: Any) -> None:
    page = page_of({"data": [odd, FILE, odd], "has_more": False})
    assert [file.file_id for file in page.files] == ["file-1"]
    assert page.after is None
    assert page_of({"data": [FILE, odd], "has_more": True}).after == "file-1"


def test_a_page_goes_on_behind_the_last_id_that_can_be_asked_for() -> None:
    odd = {**FILE, "id": "file-2", "created_at": None}
    page = page_of({"data": [FILE, odd], "has_more": True})
    assert (len(page.files), page.after) == (1, "file-2")


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": [{}], "has_more": True}])
def test_a_listing_that_cannot_be_gone_on_with_proves_nothing(body: dict[str, Any]) -> None:
    with pytest.raises(RemoteUnavailable):
        page_of(body)
