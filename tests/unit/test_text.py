"""How facts are written for people."""

import pytest

from fileferry.cli import text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (4_330, "1 h 12 min")],
)
def test_how_long_something_takes(seconds: float, said: str) -> None:
    assert text.duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KiB"), (3 * 1024**4, "3.0 TiB")],
)
def test_how_large_something_is(count: int, said: str) -> None:
    assert text.size(count) == said
