"""When an id that expires needs a younger one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.plan.renewals import (
    latest_starts,
    lead_seconds,
    per_second,
    renew_at,
    retry_seconds,
)

HOUR, DAY = 3_600, 86_400


@pytest.mark.parametrize(
    ("life", "left"),
    [
        pytest.param(HOUR, 900, id="an hour: 15 minutes before"),
        pytest.param(2 * HOUR, 1_800, id="two hours: a quarter"),
        pytest.param(DAY, 6 * HOUR, id="a day: a quarter"),
        pytest.param(4 * DAY, DAY, id="four days: a day, which is a quarter"),
        pytest.param(30 * DAY, DAY, id="a month: no more than a day"),
        pytest.param(600, 600, id="less than the margin: at once"),
    ],
)
def test_an_id_is_renewed_with_time_to_spare(life: int, left: int) -> None:
    assert renew_at(created_at=1_000, expires_at=1_000 + life) == 1_000 + life - left


def test_an_id_that_never_expires_is_never_renewed() -> None:
    assert renew_at(created_at=1_000, expires_at=None) is None


@given(
    due=st.lists(st.integers(0, 10_000).map(float), max_size=50).map(sorted),
    rate=st.sampled_from([0.01, 0.5, 1.0, 13.3]),
)
def test_the_schedule_keeps_the_rate_and_every_deadline(due: list[float], rate: float) -> None:
    starts = latest_starts(due, rate)
    assert all(start <= moment for start, moment in zip(starts, due, strict=True))
    for early, late in pairwise(starts):
        assert late - early >= 1 / rate - 1e-6
    if due:
        assert lead_seconds(due, rate) == pytest.approx(due[0] - starts[0])
        assert starts[-1] == due[-1]


def test_a_thousand_ids_that_end_together_begin_early() -> None:
    rate = per_second(1_000)
    assert rate == pytest.approx(1_000 * 0.8 / 60)
    assert lead_seconds([500.0] * 1_000, rate) == pytest.approx(999 / rate)
    assert lead_seconds([500.0], rate) == 0.0
    assert lead_seconds([], rate) == 0.0


def test_without_a_rate_nothing_begins_early() -> None:
    assert lead_seconds([500.0] * 1_000, per_second(0)) == 0.0


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        pytest.param(900, 225, id="a quarter of what is left"),
        pytest.param(240, 60, id="but at least a minute"),
        pytest.param(239, 60, id="however little is left"),
        pytest.param(-100, 60, id="or nothing"),
        pytest.param(4 * HOUR, HOUR, id="and at most an hour"),
        pytest.param(float("inf"), HOUR, id="where an id never ends, too"),
    ],
)
def test_a_refused_renewal_is_tried_again_while_its_id_lives(left: float, seconds: float) -> None:
    assert retry_seconds(left) == seconds
