"""What a new index may take for its own, as a table."""

import pytest

from fileferry.model import RemoteFile
from fileferry.plan.adoption import Claim, adopt

NOW = 10_000.0


def file(file_id: str, created_at: int = 1_000, **changes: object) -> RemoteFile:
    facts: dict[str, object] = {
        "name": "a.txt",
        "size": 5,
        "purpose": "user_data",
        "expires_at": None,
    }
    return RemoteFile(file_id, created_at=created_at, **(facts | changes))  # type: ignore[arg-type]


def claim(content_id: int = 1, since: float | None = 900.0, **changes: object) -> Claim:
    facts: dict[str, object] = {"name": "a.txt", "size": 5, "purpose": "user_data", "wanted": True}
    return Claim(content_id, since=since, **(facts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("claims", "files", "expected"),
    [
        pytest.param([claim()], [file("f")], {1: "f"}, id="one content, one file"),
        pytest.param([claim()], [file("f", name="b.txt")], {}, id="another name"),
        pytest.param([claim()], [file("f", size=6)], {}, id="another size"),
        pytest.param([claim()], [file("f", size=None)], {}, id="a size that the API does not tell"),
        pytest.param([claim()], [file("f", purpose="vision")], {}, id="another purpose"),
        pytest.param([claim(1), claim(2)], [file("f")], {}, id="two contents it may have been"),
        pytest.param(
            [claim(1), claim(2, wanted=False)], [file("f")], {}, id="one of them has a file already"
        ),
        pytest.param([claim(1), claim(1)], [file("f")], {1: "f"}, id="two paths of one content"),
        pytest.param([claim(wanted=False)], [file("f")], {}, id="it has a file already"),
        pytest.param(
            [claim()],
            [file("old", 1_000), file("new", 2_000)],
            {1: "new"},
            id="the youngest of two",
        ),
        pytest.param(
            [claim(since=1_500.0)], [file("f")], {}, id="the path changed after it was made"
        ),
        pytest.param([claim(since=1_000.9)], [file("f")], {1: "f"}, id="both in the same second"),
        pytest.param(
            [claim(since=1_500.0), claim(since=900.0)],
            [file("f")],
            {1: "f"},
            id="another path has had these bytes for longer",
        ),
        pytest.param([claim(since=None)], [file("f")], {1: "f"}, id="the name proves the bytes"),
        pytest.param([claim()], [file("f", expires_at=10_500)], {}, id="it is about to run out"),
        pytest.param([claim()], [file("f", expires_at=20_000)], {1: "f"}, id="it runs out later"),
    ],
)
def test_what_is_taken(
    claims: list[Claim], files: list[RemoteFile], expected: dict[int, str]
) -> None:
    actual = adopt(claims, files, server_now=NOW)
    assert {content_id: one.file_id for content_id, one in actual.items()} == expected
