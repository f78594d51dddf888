"""The proof can fail: each rule of fileferry is broken once, and there are histories that show it."""

from __future__ import annotations

import pytest

from simulation.broken import MOST, RULES, Broken, objections, seen_by


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("broken", RULES, ids=lambda broken: broken.rule)
def test_a_broken_rule_is_noticed(broken: Broken) -> None:
    others = (seed for seed in range(1, MOST + 1) if seed not in broken.seeds)
    for seed in (*broken.seeds, *others):
        if broken.seen_as in seen_by(broken, seed):
            assert not objections(broken, seed), "the same history shows something when nothing is"
            return
    pytest.fail(f"no history shows it: {broken.rule}")
