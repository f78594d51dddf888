"""How long an upload is told to live."""

from hypothesis import given
from hypothesis import strategies as st

from fileferry.plan.expiry import LEAST_SECONDS, MOST_SECONDS, with_nonce

lives = st.integers(LEAST_SECONDS, MOST_SECONDS)


@given(life=lives, fraction=st.floats(0, 1, exclude_max=True), used=st.frozensets(lives))
def test_a_life_is_allowed_close_and_not_used_yet(
    life: int, fraction: float, used: frozenset[int]
) -> None:
    told = with_nonce(life, used, lambda count: int(count * fraction))
    assert LEAST_SECONDS <= told <= MOST_SECONDS
    assert told not in used
    assert abs(told - life) <= min(3_600, life * 0.05)


@given(life=st.integers(LEAST_SECONDS + 400, MOST_SECONDS))
def test_nobody_s_data_outlives_what_was_asked_for(life: int) -> None:
    for choice in (0, 1, 2**40):
        assert with_nonce(life, frozenset(), choice.__mod__) < life


def test_at_the_minimum_of_the_api_it_can_only_be_longer() -> None:
    assert with_nonce(LEAST_SECONDS, frozenset(), lambda _: 0) == LEAST_SECONDS + 1


@given(life=lives, tries=st.integers(2, 60))
def test_no_two_uploads_alike_are_told_the_same(life: int, tries: int) -> None:
    used: set[int] = set()
    for _ in range(tries):
        used.add(with_nonce(life, frozenset(used), lambda _: 0))
    assert len(used) == tries
    assert life not in used


def test_a_thousand_uploads_alike_in_a_day_are_still_told_apart() -> None:
    used: set[int] = set()
    for _ in range(1_000):  # more than a nonce has room for at so short a life
        used.add(with_nonce(3_700, frozenset(used), lambda _: 0))
    assert len(used) == 1_000
    assert min(used) >= LEAST_SECONDS


def test_the_whole_width_is_used() -> None:
    day = 86_400
    told = {with_nonce(day, frozenset(), choice.__mod__) for choice in range(5_000)}
    assert told == set(range(day - 3_600, day))
