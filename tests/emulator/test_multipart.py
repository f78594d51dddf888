"""The form parser against what httpx2 really sends, cut at every offset."""

import re
from itertools import pairwise

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fileferry.emulator.multipart import (
    FormError,
    FormReader,
    PartBegin,
    PartData,
    boundary_of,
)

Part = tuple[str, str | None, bytes]


def encoded(name: str, content: bytes) -> tuple[bytes, bytes]:
    request = httpx2.Request(
        "POST",
        "http://emulator/",
        data={"purpose": "user_data"},
        files={"file": (name, content, "text/plain")},
    )
    return boundary_of(request.headers["content-type"].encode()), request.read()


def parsed(boundary: bytes, chunks: list[bytes]) -> list[Part]:
    reader = FormReader(boundary)
    parts: list[Part] = []
    for chunk in chunks:
        for event in reader.feed(chunk):
            if isinstance(event, PartBegin):
                parts.append((event.name, event.filename, b""))
            elif isinstance(event, PartData):
                name, filename, data = parts.pop()
                parts.append((name, filename, data + event.data))
    reader.finish()
    return parts


def cuts(body: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(offset % (len(body) + 1) for offset in at), len(body)]
    return [body[low:high] for low, high in pairwise(edges)]


# Names that spell a percent escape themselves cannot be told from an escaped character.
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: not re.search("%(22|[01][0-9A-F])", name)
)


@given(name=names, content=st.binary(max_size=300), at=st.lists(st.integers(0, 5000), max_size=12))
@example(name='a"b\\c;d="e".txt', content=b"\r\n--", at=[])
@example(name="\x1b\r\n\t", content=b"\r", at=[1, 2, 3])
def test_what_httpx2_encodes_is_what_comes_out(name: str, content: bytes, at: list[int]) -> None:
    boundary, body = encoded(name, content)

    expected = [("purpose", None, b"user_data"), ("file", name, content)]

    assert parsed(boundary, cuts(body, at)) == expected


@pytest.mark.parametrize(
    "content",
    [b"", b"\r\n", b"\r\n--", b"\r\n--B", b"--B--\r\n", b"\r\n--Bx\r\n--", b"\r\n\r\n--BB\r\n"],
)
def test_content_like_a_boundary_survives_every_single_cut(content: bytes) -> None:
    # The boundary of the body starts as the content does, so that partial matches happen.
    boundary = b"BBoundary"
    body = (
        b'--BBoundary\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        + content
        + b"\r\n--BBoundary--\r\n"
    )
    for offset in range(len(body) + 1):
        chunks = [body[:offset], body[offset:]]
        assert parsed(boundary, chunks) == [("file", "a", content)]
    assert parsed(boundary, [bytes([byte]) for byte in body]) == [("file", "a", content)]


@given(content=st.text("\r\n-BoX", max_size=30), at=st.lists(st.integers(0, 500), max_size=8))
def test_content_made_of_boundary_bytes_survives(content: str, at: list[int]) -> None:
    body = (
        b'--BoXBoX!\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        + content.encode()
        + b"\r\n--BoXBoX!--\r\n"
    )

    assert parsed(b"BoXBoX!", cuts(body, at)) == [("file", "a", content.encode())]


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ('form-data; name="file"; filename="a%22b.txt"', 'a"b.txt'),
        ('form-data; name="file"; filename="a\\"b.txt"', 'a"b.txt'),
        ("form-data; name=file; filename=plain.txt", "plain.txt"),
        ("form-data; name=\"file\"; filename*=UTF-8''%e2%82%ac.txt", "€.txt"),
        ('form-data; name="file"; filename="x"; filename*=UTF-8\'en\'%C3%BC.txt', "ü.txt"),
        ('form-data; name="file"; filename="größe.txt"', "größe.txt"),
        ('form-data; name="file"; filename="100%.txt"', "100%.txt"),
        ('FORM-DATA; NAME="file"; FILENAME="C:\\\\x.txt"', "C:\\x.txt"),
    ],
)
def test_every_way_to_write_a_name_is_read(disposition: str, expected: str) -> None:
    body = f"--B\r\ncontent-disposition: {disposition}\r\n\r\nx\r\n--B--\r\n".encode()

    assert parsed(b"B", [body]) == [("file", expected, b"x")]


@pytest.mark.parametrize("end", range(0, 60, 7))
def test_a_form_that_stops_early_is_not_a_form(end: int) -> None:
    boundary, body = encoded("a.txt", b"content")

    with pytest.raises(FormError):
        parsed(boundary, [body[: len(body) - 5 - end]])


@given(st.binary(max_size=200))
def test_rubbish_is_refused_with_a_form_error_and_nothing_else(rubbish: bytes) -> None:
    try:
        parsed(b"B", [b"--B\r\n" + rubbish])
    except FormError:
        return


def test_a_boundary_may_be_quoted() -> None:
    assert boundary_of(b'multipart/form-data; charset=utf-8; boundary="a b"') == b"a b"
