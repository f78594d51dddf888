"""What the API's answers mean for when to come back."""

from dataclasses import dataclass, field
from email.utils import formatdate

import httpx2
import pytest

from fileferry.errors import OutcomeUnknown, RemoteUnavailable
from fileferry.remote.answers import LONGEST_RESET_SECONDS, of_status, reset_seconds

NOW = 1_900_000_000.0
DATE = {"date": formatdate(NOW, usegmt=True)}


@dataclass
class Refused:
    """An answer as the SDK raises it."""

    status_code: int
    response: httpx2.Response
    code: str | None = None
    body: dict[str, str] = field(default_factory=dict)
    request_id: str | None = None


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
