"""How much may go, or be sent, before a person is asked: the exact boundaries."""

import pytest

from fileferry.plan import guard


@pytest.mark.parametrize(
    ("leaving", "left", "total", "budget", "held"),
    [
        pytest.param(0, 0, 10, 25, False, id="nothing goes"),
        pytest.param(0, 5_000, 10, 25, False, id="nothing goes after much went"),
        pytest.param(25, 0, 25, 25, False, id="the budget may go, be it everything"),
        pytest.param(26, 0, 26, 25, True, id="one more may not"),
        pytest.param(26, 0, 259, 25, True, id="just over a tenth"),
        pytest.param(26, 0, 260, 25, False, id="exactly a tenth"),
        pytest.param(1, 25, 26, 25, True, id="what went in the last day counts"),
        pytest.param(1, 24, 26, 25, False, id="up to the budget"),
        pytest.param(1_000, 0, 100_000, 25, False, id="a thousand of many"),
        pytest.param(1_001, 0, 100_000, 25, True, id="and one more"),
        pytest.param(1, 1_000, 100_000, 25, True, id="and one more in the same day"),
        pytest.param(1, 0, 1, 0, True, id="a budget of nothing holds everything"),
        pytest.param(1, 0, 100, 0, False, id="but for a tenth"),
        pytest.param(2_000, 0, 2_000, 2_000, False, id="a larger budget is allowed by hand"),
        pytest.param(2_001, 0, 2_001, 2_000, True, id="and has its own end"),
    ],
)
def test_deletes_over_the_budget_are_held(
    leaving: int, left: int, total: int, budget: int, held: bool
) -> None:
    reason = guard.deletes_held(leaving=leaving, left=left, total=total, budget=budget)
    assert (reason is not None) == held


def test_the_reason_names_the_numbers() -> None:
    assert guard.deletes_held(leaving=26, left=4, total=100, budget=25) == (
        "30 of 100 files in 24 hours are more than 25 and a tenth"
    )
    assert guard.deletes_held(leaving=1_500, left=0, total=99_999, budget=25) == (
        "1,500 files in 24 hours are more than 1,000"
    )


def test_the_reason_counts_what_is_held_already_and_it_decides_nothing() -> None:
    assert guard.deletes_held(leaving=3, left=3, total=40, budget=5, held=6) == (
        "6 of 40 files in 24 hours are more than 5 and a tenth; 6 more are held already"
    )
    assert guard.deletes_held(leaving=1, left=0, total=40, budget=5, held=12) is None


@pytest.mark.parametrize(
    ("files", "size", "budget", "held"),
    [
        pytest.param(50_000, 10, 10, False, id="both limits met"),
        pytest.param(50_001, 10, 10, True, id="a file more"),
        pytest.param(50_000, 11, 10, True, id="a byte more"),
        pytest.param(10**6, 10**15, 0, False, id="zero is no limit, of files neither"),
        pytest.param(0, 0, 10, False, id="nothing to send"),
    ],
)
def test_uploads_over_the_budget_are_held(files: int, size: int, budget: int, held: bool) -> None:
    reason = guard.uploads_held(files=files, size=size, budget_bytes=budget)
    assert (reason is not None) == held


@pytest.mark.parametrize(
    ("missing", "total", "many"),
    [
        pytest.param(25, 25, False, id="within the delete budget"),
        pytest.param(26, 26, True, id="over it"),
        pytest.param(26, 1_000, False, id="within a tenth"),
        pytest.param(1_001, 10**6, True, id="over a thousand"),
        pytest.param(0, 0, False, id="none"),
    ],
)
def test_many_ids_that_vanish_at_once_are_not_believed(
    missing: int, total: int, many: bool
) -> None:
    assert guard.too_many_lost(missing=missing, total=total, budget=25) == many
