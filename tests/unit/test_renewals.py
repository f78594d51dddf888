"""When an id that expires needs a younger one, and what begins before it is due."""

import pytest

from fileferry.plan.renewals import (
    Ahead,
    Batch,
    again_seconds,
    horizon_seconds,
    look_ahead,
    per_second,
    renew_at,
    retry_seconds,
)

HOUR, DAY = 3_600, 86_400
NOTHING = float("-inf")


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


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        pytest.param(900.0, 225.0, id="a quarter of what is left"),
        pytest.param(240.0, 60.0, id="a minute at least"),
        pytest.param(0.0, 60.0, id="even at the very end"),
        pytest.param(14_400.0, 3_600.0, id="an hour at most"),
        pytest.param(float("inf"), 3_600.0, id="when it never ends too"),
    ],
)
def test_a_renewal_that_was_refused_is_tried_again_while_there_is_time(
    left: float, seconds: float
) -> None:
    assert retry_seconds(left) == seconds


def test_renewals_are_planned_with_four_fifths_of_the_limit() -> None:
    assert per_second(1_000) == pytest.approx(1_000 * 0.8 / 60)
    assert per_second(0) == float("inf")


def ahead(*batches: Batch, now: float = 0.0, rate: float = 0.1) -> Ahead:
    return look_ahead(batches, now=now, rate=rate)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        pytest.param(909.0, NOTHING, id="a second more than the nine before the last take"),
        pytest.param(910.0, 1_000.0, id="just enough for the last to be on its way when it is due"),
        pytest.param(990.0, 1_000.0, id="late already"),
    ],
)
def test_ids_that_fall_due_together_begin_so_early_that_the_last_is_in_time(
    now: float, until: float
) -> None:
    assert ahead(Batch(1_000.0, 2_700.0, 10), now=now).until == until


@pytest.mark.parametrize("now", [0.0, 999.0])
def test_an_id_alone_is_never_early(now: float) -> None:
    assert ahead(Batch(1_000.0, 2_700.0, 1), now=now).until == NOTHING


def test_what_is_due_before_takes_its_time_too() -> None:
    first, last = Batch(500.0, DAY, 6), Batch(1_000.0, DAY, 5)
    assert ahead(last, now=900.0).until == NOTHING
    assert ahead(first, last, now=900.0).until == 1_000.0


def test_all_that_presses_counts_and_not_what_is_further_away() -> None:
    batches = [Batch(1_000.0, DAY, 101), Batch(1_010.0, DAY, 1), Batch(50_000.0, DAY, 1)]
    assert ahead(*batches).until == 1_010.0
    assert ahead(*reversed(batches)).until == 1_010.0


@pytest.mark.parametrize(
    ("interval", "until"),
    [
        # Ten ids that are due now, and one at 1,000 s, at a tenth a second: alone they leave 900 s.
        pytest.param(DAY, NOTHING, id="once"),
        pytest.param(100.0, 1_000.0, id="nine times again: 90 more, which is all the time"),
        pytest.param(110.0, NOTHING, id="a little less often"),
    ],
)
def test_what_falls_due_again_meanwhile_is_counted(interval: float, until: float) -> None:
    seen = ahead(Batch(0.0, interval, 10), Batch(1_000.0, DAY, 1))
    assert seen.until == max(until, 0.0)  # what is due now is always pressing


def test_what_is_overdue_falls_due_again_counted_from_now() -> None:
    late = Batch(-500.0, 100.0, 10)
    assert ahead(late, Batch(1_000.0, DAY, 1)) == ahead(
        Batch(0.0, 100.0, 10), Batch(1_000.0, DAY, 1)
    )


def test_two_kinds_that_fall_due_again_are_counted_both() -> None:
    kinds = [Batch(0.0, 200.0, 10), Batch(0.0, 400.0, 10)]
    # 20 + 10 * 800 / 200 + 10 * 600 / 400 = 75 before the last: 750 s of the thousand.
    assert ahead(*kinds, Batch(1_000.0, DAY, 1)).until == 0.0
    # And with 25 more than that the time is up.
    assert ahead(*kinds, Batch(1_000.0, DAY, 26)).until == 1_000.0
    assert ahead(*kinds, Batch(1_000.0, DAY, 25)).until == 0.0


def test_all_are_early_by_the_same_share_and_by_no_more_than_keeps_the_rate_busy() -> None:
    # A tenth a second for two minutes and a little: thirteen are enough, twelve are not.
    long, short = Batch(1_000.0, 10_000.0, 13), Batch(1_000.0, 2_000.0, 100)
    assert ahead(long, short).share == 0.1
    assert ahead(Batch(1_000.0, 10_000.0, 12), short).share == 0.5
    assert ahead(Batch(1_500.0, 10_000.0, 12), Batch(1_500.0, 2_000.0, 100), now=500.0).share == 0.5
    late = Batch(-1.0, 2_000.0, 1)
    assert ahead(late, Batch(1_000.0, 10_000.0, 12), short).share == 0.1
    assert ahead(Batch(-1.0, 2_000.0, 13), long, short).share == 0.0


@pytest.mark.parametrize(("count", "share"), [(22, 0.1), (21, 0.5)])
def test_how_many_keep_the_rate_busy_goes_by_how_long_it_holds(count: int, share: float) -> None:
    # A million are looked through less often: every 220 s, in which 22 are sent.
    far = Batch(5e7, DAY, 10**6 - 122)
    seen = ahead(Batch(1_000.0, 10_000.0, count), Batch(1_000.0, 2_000.0, 100), far)
    assert seen.until == 1_000.0
    assert seen.seconds == pytest.approx(220.0, abs=0.1)
    assert seen.share == share


def test_what_does_not_press_is_not_early_however_long_it_lives() -> None:
    # The first cannot be in time any more, the last has all the time in the world.
    seen = ahead(Batch(100.0, 1_000.0, 13), Batch(90_000.0, 10.0 * DAY, 1))
    assert (seen.until, seen.share) == (100.0, 0.1)


@pytest.mark.parametrize(
    ("batch", "seconds"),
    [
        pytest.param(Batch(100.0, DAY, 1), 3_600.0, id="one: an hour"),
        pytest.param(Batch(5_000.0, DAY, 13), 3_600.0, id="two minutes of work: few"),
        pytest.param(Batch(5_000.0, DAY, 14), 0.3 * (5_000 - 130), id="a little more: some"),
        pytest.param(Batch(10_000.0, DAY, 131), 0.3 * (10_000 - 1_300), id="some: a share"),
        pytest.param(Batch(1_310.0, DAY, 131), 120.0131, id="hardly any time: soon"),
        pytest.param(Batch(100_000.0, DAY, 1_301), 3_600.0, id="a lot of time: an hour"),
    ],
)
def test_the_more_time_is_to_spare_the_longer_it_holds(batch: Batch, seconds: float) -> None:
    assert ahead(batch).seconds == pytest.approx(seconds)


@pytest.mark.parametrize(("count", "seconds"), [(121, 3_600.0), (122, 0.3 * (1_000 - 121))])
def test_two_minutes_of_work_are_few_and_a_second_more_is_not(count: int, seconds: float) -> None:
    assert ahead(Batch(1_000.0, DAY, count), rate=1.0).seconds == pytest.approx(seconds)


def test_the_least_time_to_spare_decides_for_how_long_it_holds() -> None:
    soon, later = Batch(10_000.0, DAY, 131), Batch(90_000.0, DAY, 1)
    assert ahead(soon, later).seconds == ahead(soon).seconds


def test_with_nothing_to_renew_nothing_is_early_and_the_next_look_is_in_an_hour() -> None:
    assert ahead() == Ahead(NOTHING, 0.0, 3_600.0)


def test_without_a_limit_nothing_is_early() -> None:
    seen = ahead(Batch(1_000.0, DAY, 10**6), rate=float("inf"))
    assert (seen.until, seen.share) == (NOTHING, 0.0)


def test_so_far_ahead_is_looked_as_four_times_all_of_them_take_and_at_least_an_hour() -> None:
    assert horizon_seconds(1_000, 0.1) == 40_000.0
    assert horizon_seconds(1, 0.1) == 3_600.0
    assert horizon_seconds(10**6, float("inf")) == 3_600.0


@pytest.mark.parametrize(
    ("left", "tries", "seconds"),
    [
        (-1.0, 0, 60.0),
        (-0.5, 1, 120.0),
        (-1.0, 5, 1_920.0),
        (-1.0, 6, 3_600.0),
        (-1.0, 9_999, 3_600.0),
        (0.0, 1, 120.0),
        (1.0, 1, 60.0),
        (600.0, 9, 150.0),
    ],
)
def test_an_id_that_is_due_when_it_comes_is_tried_again_less_and_less_often(
    left: float, tries: int, seconds: float
) -> None:
    assert again_seconds(left=left, tries=tries) == seconds
