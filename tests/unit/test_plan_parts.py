"""How a large file is cut, and whether it can be through in an hour."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.plan.parts import (
    LEAST_PART_BYTES,
    MOST_PART_BYTES,
    Cut,
    Outlook,
    fits,
    is_alive,
    needed_rate,
    outlook,
    part_bytes,
)

MIB = 1024**2


@given(size=st.integers(1, 8 * 1024**3), connections=st.integers(1, 16))
def test_parts_cover_the_file_once_and_keep_the_limit(size: int, connections: int) -> None:
    cut = Cut(size, part_bytes(size, connections))
    assert LEAST_PART_BYTES <= cut.part_bytes <= MOST_PART_BYTES
    spans = [cut.span(number) for number in range(cut.count)]
    assert spans[0][0] == 0
    assert all(bytes_ > 0 for _, bytes_ in spans)
    assert all(
        offset + bytes_ == following
        for (offset, bytes_), (following, _) in itertools.pairwise(spans)
    )
    assert sum(spans[-1]) == size


@pytest.mark.parametrize(
    ("size", "connections", "expected"),
    [
        pytest.param(2 * MIB, 4, MIB, id="a small one in parts of a MiB"),
        pytest.param(129 * MIB, 4, 9 * MIB, id="four for each connection"),
        pytest.param(2048 * MIB, 4, 64 * MIB, id="never more than the API takes"),
        pytest.param(8192 * MIB, 1, 64 * MIB, id="however large"),
    ],
)
def test_the_size_of_parts(size: int, connections: int, expected: int) -> None:
    assert part_bytes(size, connections) == expected


def test_what_fits_into_an_hour() -> None:
    assert fits(10**12, 0)
    assert fits(3_540_000, 1_000)
    assert not fits(3_540_001, 1_000)
    assert needed_rate(3_540_000) == 1_000
    assert is_alive(5_000, 4_939)
    assert not is_alive(5_000, 4_940)


@pytest.mark.parametrize(
    ("moved", "elapsed", "left", "left_seconds", "expected"),
    [
        pytest.param(0, 59, 1_000_000, 3_000, Outlook.IN_TIME, id="too early to tell"),
        pytest.param(60_000, 60, 940_000, 1_000, Outlook.IN_TIME, id="it will do"),
        pytest.param(6_000, 60, 994_000, 3_600, Outlook.TOO_SLOW, id="never at this rate"),
        pytest.param(
            60_000, 60, 940_000, 500, Outlook.START_OVER, id="in a whole hour, not in what is left"
        ),
        pytest.param(
            30_000, 30, 900_000, 60, Outlook.START_OVER, id="it is over before anything is known"
        ),
        pytest.param(6_000, 90, 900_000, 30, Outlook.TOO_SLOW, id="it is over, and was too slow"),
        pytest.param(0, 60, 1_000_000, 3_000, Outlook.TOO_SLOW, id="nothing moves"),
    ],
)
def test_the_forecast(
    moved: int, elapsed: float, left: int, left_seconds: float, expected: Outlook
) -> None:
    verdict = outlook(
        size=1_000_000,
        left_bytes=left,
        moved_bytes=moved,
        elapsed_seconds=elapsed,
        left_seconds=left_seconds,
    )
    assert verdict is expected
