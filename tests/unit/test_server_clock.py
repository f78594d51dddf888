"""What is believed of the server's clock: `Date` of answers, and `created_at` of files just made."""

import pytest

from fileferry.remote.server_clock import ServerClock

HOUR = 3_600.0
FAR = 10 * HOUR


class Heard:
    """A server's clock and what was heard of it; `set_ours` moves our own clock."""

    def __init__(self) -> None:
        self.clock = ServerClock()
        self.drift = 0.0

    def dates(self, *ahead: float) -> "Heard":
        for each in ahead:
            self.clock.hear_date(each - self.drift, drift=self.drift)
        return self

    def birth(self, ahead: float) -> "Heard":
        self.clock.hear_birth(ahead - self.drift, drift=self.drift)
        return self

    def created(self, *, date: float, at: float) -> "Heard":
        return self.dates(date).birth(at)

    def set_ours(self, seconds: float) -> "Heard":
        self.drift += seconds
        return self

    @property
    def ahead(self) -> float:
        return self.clock.ahead_seconds() + self.drift


def test_nothing_is_known_before_the_first_answer() -> None:
    assert Heard().ahead == 0.0


@pytest.mark.parametrize("ahead", [FAR, -FAR, 90.0])
def test_the_first_answer_is_believed(ahead: float) -> None:
    assert Heard().dates(ahead).ahead == ahead
    assert Heard().birth(ahead).ahead == ahead


def test_the_last_answer_counts_where_all_are_near() -> None:
    assert Heard().dates(100.0, 110.0, 105.0).ahead == 105.0
    assert Heard().dates(1.5).ahead == 0.0


def test_one_odd_answer_moves_nothing() -> None:
    heard = Heard().dates(0.0, FAR)
    assert heard.ahead == 0.0
    assert heard.clock.is_doubtful
    assert heard.dates(3.0).ahead == 3.0
    assert not heard.clock.is_doubtful


def test_an_odd_answer_is_forgotten_when_the_next_is_not_odd() -> None:
    assert Heard().dates(0.0, FAR, 0.0, FAR).ahead == 0.0


def test_two_answers_that_agree_are_believed() -> None:
    heard = Heard().dates(0.0, FAR, FAR + 5)
    assert heard.ahead == FAR + 5
    assert not heard.clock.is_doubtful


def test_a_first_answer_that_was_odd_is_outvoted_by_the_next_two() -> None:
    assert Heard().dates(FAR, 0.0).ahead == FAR
    assert Heard().dates(FAR, 0.0, 0.0).ahead == 0.0


def test_answers_that_all_differ_are_not_asked_for_without_end() -> None:
    heard = Heard().dates(0.0)
    doubts = []
    for number in range(1, 5):
        heard.dates(number * FAR)
        doubts.append(heard.clock.is_doubtful)
    assert doubts == [True, False, True, False]
    assert heard.ahead == 0.0


def test_an_odd_date_is_believed_when_a_file_was_made_at_that_time() -> None:
    assert Heard().dates(0.0).created(date=FAR, at=FAR).ahead == FAR


def test_a_file_tells_the_time_better_than_a_date_that_is_always_off() -> None:
    heard = Heard().dates(FAR).created(date=FAR, at=0.0)
    assert heard.ahead == 0.0
    assert heard.dates(FAR, FAR + 1, FAR + 1).ahead == 0.0
    assert heard.created(date=FAR, at=0.0).ahead == 0.0


def test_a_date_that_was_always_off_may_become_right() -> None:
    heard = Heard().dates(FAR).created(date=FAR, at=0.0)
    assert heard.dates(0.0, 4.0).ahead == 4.0


def test_where_our_own_clock_disagrees_too_a_second_file_decides() -> None:
    heard = Heard().dates(FAR).created(date=FAR, at=HOUR)
    assert heard.ahead == FAR
    assert heard.created(date=FAR, at=HOUR).ahead == HOUR
    assert heard.dates(FAR, FAR).ahead == HOUR


@pytest.mark.parametrize("at", [-1.7e9, FAR])
def test_one_file_with_an_odd_time_moves_nothing(at: float) -> None:
    heard = Heard().created(date=0.0, at=0.0).created(date=0.0, at=at)
    assert heard.ahead == 0.0
    assert heard.created(date=0.0, at=0.0).created(date=0.0, at=at).ahead == 0.0


@pytest.mark.parametrize("jump", [-2 * HOUR, 2 * HOUR, 10.0])
def test_when_our_clock_was_set_the_next_answer_is_believed(jump: float) -> None:
    heard = Heard().dates(0.0).set_ours(jump).dates(0.0)
    assert heard.ahead == 0.0
    assert Heard().dates(0.0).set_ours(jump).birth(0.0).ahead == 0.0


def test_that_the_date_is_always_off_is_known_when_our_clock_was_set() -> None:
    heard = Heard().dates(FAR).created(date=FAR, at=0.0).set_ours(HOUR)
    assert heard.dates(FAR).ahead == 0.0
