"""Rules of fileferry, each broken once, and the histories that show it: a proof that cannot fail proves nothing.

Of all that may happen, what asks for a rule happens in these histories, and little else. `python
tests/simulation/broken.py` plays some for each rule, and says which show it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pytest

from simulation import breaks, history, story
from simulation.history import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pytest import MonkeyPatch  # noqa: PT013 - only its type

LENGTH = 14  # steps of a history that asks for one rule
MOST = 40  # histories of a rule
REST_SECONDS = 3_600.0  # an hour is enough to rest from so short a history


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule, broken.

    Args:
        rule: what is done instead, in words.
        breaks: breaks it.
        by: what happens in histories that ask for the rule.
        seen_as: what the witness calls it.
        seeds: histories that show it, to be tried first.
    """

    rule: str
    breaks: Callable[[MonkeyPatch], None]
    by: Collection[Kind]
    seen_as: str
    seeds: tuple[int, ...]


RULES: tuple[Broken, ...] = (
    Broken(
        "an id that a renewal replaced is taken back",
        breaks.taken_back_after_a_renewal,
        {Kind.WRITE, Kind.OTHERS_DELETE_RENEWED},
        "what was given up is not taken back",
        (15,),
    ),
    Broken(
        "missing is concluded from one listing",
        breaks.missing_after_one_listing,
        {Kind.WRITE, Kind.BLACKOUT, Kind.FAULT},
        "bytes travel once",
        (8, 19),
    ),
    Broken(
        "missing is concluded from one late listing",
        breaks.missing_after_one_late_listing,
        {Kind.BLACKOUT},
        "bytes travel once",
        (6, 15),
    ),
    Broken(
        "the nonce is not looked at",
        breaks.nonce_not_looked_at,
        {Kind.WRITE, Kind.TWIN},
        "an id's bytes stood at its path",
        (1, 5),
    ),
    Broken(
        "a match without proof is called proven",
        breaks.match_called_proven,
        {Kind.TWIN, Kind.EDIT},
        "a foreign file is never deleted",
        (17, 35),
    ),
    Broken(
        "a directory that cannot be listed is taken for an empty one",
        breaks.dark_directory_taken_for_empty,
        {Kind.WRITE, Kind.UNREADABLE, Kind.READABLE, Kind.LOOK},
        "unreadable is not absent",
        (1, 22),
    ),
    Broken(
        "a path that cannot be looked at is taken for gone",
        breaks.unreadable_path_taken_for_gone,
        {Kind.WRITE, Kind.UNREADABLE, Kind.READABLE, Kind.LOOK},
        "unreadable is not absent",
        (1, 2),
    ),
    Broken(
        "nobody looks a second time before a path is let go",
        breaks.no_second_look,
        {Kind.WRITE, Kind.FLICKER},
        "what is there is not let go",
        (1, 4),
    ),
    Broken(
        "what is held is let go",
        breaks.held_is_let_go,
        {Kind.WRITE, Kind.REMOVE_MANY, Kind.REMOVE_DIRECTORY},
        "what is held or kept is not let go",
        (10, 11),
    ),
    Broken(
        "what somebody chose to keep is let go",
        breaks.kept_is_let_go,
        {Kind.WRITE, Kind.REMOVE_MANY, Kind.DISCARD, Kind.LOOK},
        "what is held or kept is not let go",
        (10,),
    ),
    Broken(
        "the guard is asleep",
        breaks.guard_asleep,
        {Kind.WRITE, Kind.REMOVE_MANY},
        "deletes over the budget are held",
        (11, 15),
    ),
    Broken(
        "any root is trusted",
        breaks.any_root_trusted,
        {Kind.WRITE, Kind.ROOT_AWAY, Kind.ROOT_BACK},
        "what is there is not let go",
        (1, 5),
    ),
    Broken(
        "no whole scan comes before a delete",
        breaks.no_scan_before_a_delete,
        {Kind.WRITE, Kind.RENAME, Kind.REMOVE, Kind.COPY, Kind.BRING_BACK},
        "a whole scan comes before a delete",
        (2, 10),
    ),
    Broken(
        "a delete that a crash interrupted is forgotten",
        breaks.interrupted_delete_forgotten,
        {Kind.EDIT, Kind.LOOK, Kind.FAULT},
        "it converges",
        (1, 2),
    ),
    Broken(
        "an old id is given up before there is a new one",
        breaks.given_up_while_it_answers,
        {Kind.EDIT, Kind.FAULT},
        "no delete before there is a new id",
        (2, 3),
    ),
    Broken(
        "what was open at a start is taken for not sent",
        breaks.open_at_a_start_taken_for_not_sent,
        {Kind.WRITE, Kind.DEAF},
        "bytes travel once",
        (1, 3),
    ),
    Broken(
        "a lost answer is taken for not sent",
        breaks.lost_answer_taken_for_not_sent,
        {Kind.WRITE, Kind.BLACKOUT, Kind.FAULT},
        "bytes travel once",
        (1, 3),
    ),
    Broken(
        "the SDK sends again by itself",
        breaks.sdk_retries,
        {Kind.WRITE, Kind.FAULT},
        "bytes travel once",
        (1, 2),
    ),
    Broken(
        "bytes are not compared with what was planned once they were sent",
        breaks.sent_bytes_not_verified,
        {Kind.EDIT_IN_FLIGHT},
        "an id's bytes stood at its path",
        (1, 2),
    ),
    Broken(
        "what a killed process had read is taken for what was planned",
        breaks.killed_reading_trusted,
        {Kind.EDIT_IN_FLIGHT, Kind.DEAF},
        "an id's bytes stood at its path",
        (2, 22),
    ),
    Broken(
        "an id that a listing does not show is lost",
        breaks.lost_without_asking,
        {Kind.WRITE, Kind.HOLE},
        "bytes travel once",
        (1, 3),
    ),
    Broken(
        "nothing is renewed",
        breaks.never_renewed,
        {Kind.WRITE, Kind.NEAR_EXPIRY},
        "ids are renewed in time",
        (1, 2),
    ),
    Broken(
        "what is ignored now is taken for gone",
        breaks.ignored_taken_for_gone,
        {Kind.WRITE, Kind.RULES_FILE, Kind.CONFIGURE},
        "unreadable is not absent",
        (2, 5),
    ),
    Broken(
        "a stamp as young as the clock's grain is trusted",
        breaks.racy_stamp_trusted,
        {Kind.EDIT_TWICE},
        "it converges",
        (13, 23),
    ),
    Broken(
        "change times are not compared",
        breaks.change_time_not_compared,
        {Kind.WRITE, Kind.EDIT_SAME_STAMP, Kind.LOOK},
        "it converges",
        (4, 11),
    ),
)


def seen_by(broken: Broken, seed: int) -> frozenset[str]:
    """Return the rules that the witness says were broken in a history of a rule that is."""
    with pytest.MonkeyPatch.context() as patch:
        broken.breaks(patch)
        return objections(broken, seed)


def objections(broken: Broken, seed: int) -> frozenset[str]:
    """Return the rules that the witness says were broken in one of the histories that ask for this one."""
    steps = history.make(seed, LENGTH, only=broken.by)
    outcome = story.play(seed, steps, rest_seconds=REST_SECONDS)
    return frozenset(violation.rule for violation in outcome.violations)


def main(arguments: Sequence[str]) -> int:
    """Print which histories show each broken rule; 1 when one is shown by none."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--histories", type=int, default=MOST, help="how many to look at")
    parser.add_argument("--first", type=int, default=1, help="the seed of the first one")
    parser.add_argument("--only", default="", help="rules whose words contain this")
    chosen = parser.parse_args(arguments)
    hidden = 0
    for broken in RULES:
        if chosen.only not in broken.rule:
            continue
        found = [
            (seed, sorted(said))
            for seed in range(chosen.first, chosen.first + chosen.histories)
            if (said := seen_by(broken, seed))
        ]
        hidden += not found
        sys.stdout.write(f"{broken.rule}: {len(found)} of {chosen.histories}\n")
        sys.stdout.write("".join(f"  {seed}: {', '.join(said)}\n" for seed, said in found))
        sys.stdout.flush()
    return 1 if hidden else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
