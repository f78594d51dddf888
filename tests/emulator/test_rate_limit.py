"""The sliding minute: never more than the limit, and never a client that waits in vain."""

from hypothesis import given
from hypothesis import strategies as st

from fileferry.emulator.limits import RateLimiter, Verdict


def ask(limiter: RateLimiter, now: float) -> Verdict:
    verdict = limiter.ask("sk", now)
    assert verdict is not None
    return verdict


def test_without_a_limit_nothing_is_counted() -> None:
    assert RateLimiter(None).ask("sk", 0.0) is None
    assert RateLimiter(0).ask("sk", 0.0) is None


def test_keys_have_windows_of_their_own() -> None:
    limiter = RateLimiter(1)
    assert ask(limiter, 0.0).is_admitted
    other = limiter.ask("other", 0.0)
    assert other is not None
    assert other.is_admitted


def test_the_headers_say_what_is_left() -> None:
    limiter = RateLimiter(2)
    assert ask(limiter, 0.0).headers() == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "1s",
    }
    assert ask(limiter, 0.0).headers()["x-ratelimit-reset-requests"] == "1m0s"


@given(
    limit=st.integers(1, 8),
    gaps=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=120),
)
def test_no_sixty_seconds_hold_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    limiter = RateLimiter(limit)
    now = 1_800_000_000.0
    admitted: list[float] = []
    for gap in gaps:
        now += gap
        if ask(limiter, now).is_admitted:
            admitted.append(now)
    for start in admitted:
        assert sum(start <= moment < start + 59.998 for moment in admitted) <= limit


@given(limit=st.integers(1, 8), gaps=st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_one_who_waits_as_told_gets_through(limit: int, gaps: list[float]) -> None:
    limiter = RateLimiter(limit)
    now = 1_800_000_000.0
    for gap in gaps:
        now += gap
        verdict = ask(limiter, now)
        if not verdict.is_admitted:
            now += verdict.reset_seconds
            assert ask(limiter, now).is_admitted


@given(limit=st.integers(2, 10), crowd=st.integers(1, 60))
def test_a_crowd_that_waits_as_told_gets_through_at_a_fair_rate(limit: int, crowd: int) -> None:
    limiter = RateLimiter(limit)
    due = [1_800_000_000.0 + number * 0.7 for number in range(crowd)]
    while due:
        due.sort()
        now = due.pop(0)
        verdict = ask(limiter, now)
        if not verdict.is_admitted:
            due.append(now + verdict.reset_seconds)
        # Refusals take at most half: so at least half of the limit gets through each minute.
        assert now < 1_800_000_000.0 + 60 * (crowd / (limit - limit // 2) + 4)


def test_a_clock_that_is_set_back_starts_anew() -> None:
    limiter = RateLimiter(1)
    assert ask(limiter, 1000.0).is_admitted
    assert ask(limiter, 500.0).is_admitted
