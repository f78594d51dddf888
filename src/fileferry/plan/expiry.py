"""How long an upload is told to live, so that it can be told from its like.

`expires_after` is made a few seconds shorter or longer by a nonce. A file in a listing whose `expires_at - created_at`
shows the nonce is ours beyond reasonable doubt, even beside another host that mirrors the same files.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_SECONDS = 3_600
MOST_SECONDS = 2_592_000
SHARE = 0.05
WIDEST_SECONDS = 3_600


def with_nonce(life_seconds: int, used: frozenset[int], pick: Callable[[int], int]) -> int:
    """Return a life close to the wanted one that no remembered intent alike was sent with.

    Args:
        life_seconds: what the folder asks for.
        used: the lives that remembered intents of the same name, size and purpose were sent with.
        pick: a random number from 0 to below its argument.
    """
    width = max(1, min(WIDEST_SECONDS, int(life_seconds * SHARE)))
    # Shorter, so that nobody's data outlives what was asked for; at the API's minimum it can only be longer.
    shorter = life_seconds - width >= LEAST_SECONDS
    start = pick(width)
    for step in range(width):
        nonce = 1 + (start + step) % width
        life = life_seconds - nonce if shorter else life_seconds + nonce
        life = min(max(life, LEAST_SECONDS), MOST_SECONDS)
        if life not in used:
            return life
    # So many uploads alike in a day: further from what was asked for, but still told apart.
    further = chain(range(life_seconds, LEAST_SECONDS, -1), range(LEAST_SECONDS, MOST_SECONDS))
    return next(life for life in further if life not in used)
