"""When a changed file has been quiet long enough to be read."""

import pytest

from fileferry.model import Stamp
from fileferry.plan.settle import is_racy, quiet_at

NOW = 1_700_000_000.0


def stamp(*, changed_at: float, modified_at: float | None = None) -> Stamp:
    mtime = changed_at if modified_at is None else modified_at
    return Stamp(1, int(mtime * 1e9), int(changed_at * 1e9), 1, 1)


@pytest.mark.parametrize(
    ("changed_at", "seen_at", "unsettled_at", "expected"),
    [
        pytest.param(NOW - 1, NOW, None, NOW + 1, id="it rests from its change on"),
        pytest.param(NOW - 60, NOW, None, NOW - 58, id="what rested before it was seen is due"),
        pytest.param(NOW, NOW, None, NOW + 2, id="changed this moment"),
        pytest.param(NOW + 900, NOW - 1, None, NOW + 1, id="a change in the future: since seen"),
        pytest.param(NOW - 1, NOW, NOW - 9, NOW + 1, id="it has not been moving for long"),
        pytest.param(NOW, NOW, NOW - 9.5, NOW + 0.5, id="it has, almost"),
        pytest.param(NOW, NOW, NOW - 10, NOW, id="it never rests, and is read anyway"),
        pytest.param(NOW, NOW, NOW - 99, NOW - 89, id="long overdue"),
        pytest.param(NOW, NOW, NOW + 99, NOW + 2, id="moving since the future counts for nothing"),
    ],
)
def test_a_file_is_read_when_it_has_rested(
    changed_at: float, seen_at: float, unsettled_at: float | None, expected: float
) -> None:
    found = quiet_at(
        stamp(changed_at=changed_at),
        seen_at=seen_at,
        now=NOW,
        settle_seconds=2.0,
        unsettled_at=unsettled_at,
        settle_max_seconds=10.0,
    )
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_modification_time_that_a_program_set_does_not_count() -> None:
    for modified_at in (0.0, NOW + 10**9):
        old = stamp(changed_at=NOW - 5, modified_at=modified_at)
        assert quiet_at(old, seen_at=NOW, now=NOW, settle_seconds=2.0) < NOW


def test_a_clock_that_was_set_back_delays_by_no_more_than_the_rest() -> None:
    future = stamp(changed_at=NOW + 86_400)
    assert quiet_at(future, seen_at=NOW, now=NOW, settle_seconds=2.0) == NOW + 2.0


@pytest.mark.parametrize(
    ("changed_at", "modified_at", "racy"),
    [
        pytest.param(NOW - 60, NOW - 60, False, id="old"),
        pytest.param(NOW, NOW, True, id="as young as the look"),
        pytest.param(NOW - 0.03, NOW - 60, False, id="older than the grain"),
        pytest.param(NOW - 0.01, NOW - 60, True, id="younger than the grain"),
        pytest.param(NOW + 0.5, NOW - 60, True, id="from a clock that is a little ahead"),
        pytest.param(NOW + 86_400, NOW - 60, False, id="from another clock altogether"),
        pytest.param(NOW - 60, NOW, False, id="a modification that a program set"),
    ],
)
def test_a_file_as_young_as_the_grain_of_the_clock_is_looked_at_again(
    changed_at: float, modified_at: float, racy: bool
) -> None:
    found = is_racy(stamp(changed_at=changed_at, modified_at=modified_at), read_at=NOW)
    assert found == racy
