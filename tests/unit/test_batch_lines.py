"""The checks of the Batch API, made before a byte is sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.local.batch_lines import LIMIT_LINES, BatchLines


def problem(content: bytes, *, piece: int = 1 << 20) -> str | None:
    lines = BatchLines()
    for start in range(0, len(content), piece):
        lines.feed(content[start : start + piece])
    return lines.finish()


def request(name: str) -> bytes:
    return json.dumps({"custom_id": name, "body": {}}).encode()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(request("a") + b"\n" + request("b") + b"\n", None, id="two requests"),
        pytest.param(request("a"), None, id="the last line may end without a line end"),
        pytest.param(request("a") + b"\r\n\r\n  \n" + request("b"), None, id="blank lines"),
        pytest.param(b"", "there is no request in it", id="nothing"),
        pytest.param(b"\n \n", "there is no request in it", id="only blank lines"),
        pytest.param(b"{]\n", "line 1 is not JSON", id="no JSON"),
        pytest.param(request("a") + b"\n{", "line 2 is not JSON", id="cut off"),
        pytest.param(b"\xff\xfe\xff", "line 1 is not JSON", id="no text"),
        pytest.param(b"[" * 100_000, "line 1 is not JSON", id="nested without end"),
        pytest.param(b'{"custom_id": ""}', "line 1 has no `custom_id`", id="an empty name"),
        pytest.param(b'{"custom_id": 7}', "line 1 has no `custom_id`", id="a number for a name"),
        pytest.param(b"[1]", "line 1 has no `custom_id`", id="no object"),
        pytest.param(b"{}\n{]", "line 1 has no `custom_id`", id="the first problem is told"),
        pytest.param(
            request("a") + b"\n" + request("b") + b"\n" + request("a"),
            "line 3 repeats the `custom_id` of an earlier line",
            id="the same name twice",
        ),
    ],
)
def test_the_first_bad_line_is_named(content: bytes, expected: str | None) -> None:
    assert problem(content) == expected


def test_fifty_thousand_requests_are_allowed_and_no_more() -> None:
    lines = [request(str(number)) for number in range(LIMIT_LINES)]
    assert problem(b"\n".join(lines)) is None
    assert problem(b"\n".join([*lines, request("one more")])) == "it has more than 50,000 requests"


def test_a_line_without_end_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fileferry.local.batch_lines.LONGEST_LINE_BYTES", 100)
    assert problem(b"x" * 200, piece=50) == "line 1 is longer than 100 bytes"


@given(
    names=st.lists(st.text(min_size=1, max_size=5), max_size=8),
    piece=st.integers(1, 40),
)
def test_it_does_not_matter_where_the_pieces_are_cut(names: list[str], piece: int) -> None:
    content = b"\n".join(request(name) for name in names)
    assert problem(content, piece=piece) == problem(content)
    assert (problem(content) is None) == (0 < len(names) == len(set(names)))
