"""How long to wait after the n-th failure in a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.plan.backoff import ceiling_seconds, delay_seconds


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0.5), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (10**6, 300)]
)
def test_the_longest_wait_doubles_up_to_five_minutes(failures: int, seconds: float) -> None:
    assert ceiling_seconds(failures) == seconds


@given(failures=st.integers(1, 10**6), jitter=st.floats(0, 1, exclude_max=True))
def test_chance_spreads_the_wait_and_never_makes_it_nothing(failures: int, jitter: float) -> None:
    ceiling = ceiling_seconds(failures)
    assert ceiling / 10 <= delay_seconds(failures, jitter) <= ceiling
