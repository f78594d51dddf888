"""Play histories by the thousand, print figures, or play one again and see why it failed.

python tests/simulation/run.py --histories 5000 --seed 1
python tests/simulation/run.py --seed 17 --trace
python tests/simulation/run.py --seed 17 --shrink
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from simulation import history, story
from simulation.fate import Figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.history import Step
    from simulation.story import Outcome


def shrink(seed: int, steps: Sequence[Step]) -> list[Step]:
    """Return steps that still break the same rule, as few as can be had by leaving out one run of them at a time."""
    rule = _first_rule(story.play(seed, steps))
    kept = list(steps)
    size = max(1, len(kept) // 2)
    while True:
        position = 0
        while position < len(kept):
            fewer = kept[:position] + kept[position + size :]
            if _first_rule(story.play(seed, fewer)) == rule:
                kept = fewer
            else:
                position += size
        if size == 1:
            return kept
        size //= 2


def _first_rule(outcome: Outcome) -> str | None:
    return outcome.violations[0].rule if outcome.violations else None


def play_many(seeds: Sequence[int], processes: int) -> tuple[Figures, list[Outcome]]:
    """Play these seeds; return what they came to together, and those that failed."""
    total, failed = Figures(), []
    with ProcessPoolExecutor(processes) as pool:
        for outcome in pool.map(_play_briefly, seeds, chunksize=8):
            for field in fields(Figures):
                number = getattr(total, field.name) + getattr(outcome.figures, field.name)
                setattr(total, field.name, number)
            if not outcome.is_good:
                failed.append(outcome)
                sys.stdout.write(outcome.report() + "\n")
                sys.stdout.flush()
    return total, failed


def _play_briefly(seed: int) -> Outcome:
    outcome = story.play(seed)
    return story.Outcome(seed, outcome.figures, outcome.violations, ())


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when a rule was broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="the first one, or the one to play")
    parser.add_argument("--histories", type=int, default=0, help="how many seeds, from --seed on")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--trace", action="store_true", help="print all that happened")
    parser.add_argument(
        "--shrink", action="store_true", help="leave out what is not needed to fail"
    )
    chosen = parser.parse_args(arguments)
    if chosen.histories:
        seeds = range(chosen.seed, chosen.seed + chosen.histories)
        total, failed = play_many(seeds, chosen.processes)
        lines = [f"{len(seeds)} histories, {len(failed)} broke a rule"]
        lines += [
            f"{field.name.replace('_', ' ')}: {getattr(total, field.name)}"
            for field in fields(Figures)
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        return 1 if failed else 0
    steps = history.make(chosen.seed)
    if chosen.shrink:
        steps = shrink(chosen.seed, steps)
        sys.stdout.write("".join(f"{step}\n" for step in steps))
    outcome = story.play(chosen.seed, steps)
    sys.stdout.write(outcome.report(with_trace=chosen.trace or chosen.shrink) + "\n")
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
