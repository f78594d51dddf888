"""MIME types are told, not guessed."""

import pytest

from fileferry.remote.mime import mime_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.ts", "application/typescript"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.jsonl", "application/jsonl"),
        ("README", "application/octet-stream"),
        (".md", "text/markdown"),
    ],
)
def test_the_extension_says_the_type(name: str, expected: str) -> None:
    assert mime_type(name) == expected
