"""Histories of edits, faults and crashes: whatever happens, the rules hold, and it can be seen again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation import story

QUICK, MANY = 2, 500
GROUP = 20  # few enough for processes to share out


def play(seeds: range) -> None:
    failed = [outcome for outcome in map(story.play, seeds) if not outcome.is_good]

    assert not failed, "\n".join(outcome.report() for outcome in failed)


def test_every_rule_holds_whatever_happens() -> None:
    play(range(1, QUICK + 1))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(1, MANY + 1, GROUP))
def test_every_rule_holds_over_many_histories(first: int) -> None:
    play(range(first, first + GROUP))


@pytest.mark.parametrize(
    "seed", [17, pytest.param(3, marks=pytest.mark.slow), pytest.param(40, marks=pytest.mark.slow)]
)
def test_a_seed_always_tells_the_same_story(seed: int) -> None:
    assert story.play(seed).trace == story.play(seed).trace


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_seed_tells_the_same_story_in_every_process() -> None:
    def told(hash_seed: str) -> str:
        script = (
            "import hashlib, sys; sys.path.insert(0, sys.argv[1]);"
            "from simulation import story;"
            "print([hashlib.sha256(repr(story.play(seed).trace).encode()).hexdigest() for seed in (5, 23, 31)])"
        )
        tests = str(Path(__file__).resolve().parents[1])
        done = subprocess.run(
            [sys.executable, "-c", script, tests],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert told("1") == told("2")
