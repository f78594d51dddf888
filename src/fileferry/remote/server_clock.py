"""The server's clock, as its answers tell it.

Two things witness it: the `Date` of an answer, which a gateway on the way may have written, and `created_at` of a file
just made, which comes from where `expires_at` comes from too, and so goes before. The first that is heard is believed;
after that, one witness that is far off what is known moves nothing: another one has to agree with it.
"""

from __future__ import annotations

NEAR_SECONDS = 60.0  # witnesses that are less apart agree: answers are under way for a while
JUMP_SECONDS = 5.0
GRAIN_SECONDS = 2.0  # less is rounding: both tell whole seconds


class ServerClock:
    """Judges what is heard. All in seconds by which the server's clock is ahead of ours.

    `drift`, wherever it is given, is our wall clock less our monotonic one: when it jumps, our clock was set, and
    what was known is void: the next witness is believed.

    Attributes:
        is_doubtful: the last `Date` was far off what is known; one more answer decides.
    """

    def __init__(self) -> None:
        self._known: float | None = None
        self._drift = 0.0
        self._date: float | None = None  # what the last `Date` said, true or not
        self._lie = 0.0  # how far the `Date` of all answers is off, as births have shown
        self._odd_date: float | None = None
        self._odd_birth: float | None = None
        self.is_doubtful = False

    def ahead_seconds(self) -> float:
        """Return how far the server's clock is ahead of ours, as far as known; 0.0 before anything was heard."""
        known = self._known or 0.0
        return 0.0 if abs(known) < GRAIN_SECONDS else known

    def hear_date(self, ahead: float, *, drift: float) -> None:
        """Take the `Date` of an answer of the API."""
        is_void = self._is_void(drift)
        self._date = ahead
        if not is_void and _near(self._known, ahead):
            self._lie = 0.0
            self._believe_date(ahead, drift)
        elif is_void or _near(self._known, ahead - self._lie):
            self._believe_date(ahead - self._lie, drift)
        elif _near(self._odd_date, ahead) or _near(self._odd_birth, ahead):
            self._lie = 0.0
            self._believe_date(ahead, drift)
        else:
            # Whoever cares asks once more; answers that all differ are not asked for without end.
            self.is_doubtful = not self.is_doubtful
            self._odd_date = ahead

    def hear_birth(self, ahead: float, *, drift: float) -> None:
        """Take `created_at` of a file that was made just now."""
        if not self._is_void(drift) and _near(self._known, ahead):
            self._odd_birth = None
            return
        others = (self._odd_date, self._odd_birth, 0.0)  # the last: our own clock agrees
        if self._is_void(drift) or any(_near(other, ahead) for other in others):
            self._known, self._drift = ahead, drift
            self._lie = (
                0.0 if self._date is None or _near(self._date, ahead) else self._date - ahead
            )
            self._odd_date = self._odd_birth = None
            self.is_doubtful = False
        else:
            self._odd_birth = ahead

    def _is_void(self, drift: float) -> bool:
        return self._known is None or abs(drift - self._drift) > JUMP_SECONDS

    def _believe_date(self, ahead: float, drift: float) -> None:
        self._known, self._drift = ahead, drift
        self._odd_date = None
        self.is_doubtful = False


def _near(one: float | None, other: float) -> bool:
    return one is not None and abs(one - other) <= NEAR_SECONDS
