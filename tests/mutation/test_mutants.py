"""Every mistake that can be made in the planner, the guard or the settling of intents is noticed by their tests.

Each module is mutated place by place (`mutants.py`), and the unit tests are run against each mutant (`trial.py`). A
mutant that lives has to be in the table below with the reason why no promise of the module is broken by it, and a
mutant in the table has to live.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mutation.mutants import mutants_of
from mutation.trial import source_of

pytestmark = pytest.mark.slow

MODULES = (
    "reconcile", "guard", "settlement", "renewals", "settle", "expiry", "backoff", "rules",
)  # fmt: skip
SECONDS = 600

CAPPED = "five minutes are reached at the tenth failure: the exponent only must not grow for ever"
OVERWRITTEN = "every place of the list is written before it is read"
ANY_ORDER = "where the search begins is chance, so which way round it goes is promised to nobody"

_CEILING = "ceiling_seconds: return float(min(CAP_SECONDS, BASE_SECONDS * 2 ** min(failures, 20)))"
_CEILING_NOW = "return float(min(CAP_SECONDS, BASE_SECONDS * 2 ** min(failures, {})))"
_STARTS = "latest_starts: starts = [0.0] * len(due) -> starts = [{}] * len(due)"

EQUIVALENT = {
    "reconcile": {
        "decide: case _: assert_never(found) -> (dropped)": (
            "no finding gets there, which mypy proves; the case is there for mypy"
        ),
    },
    "renewals": {_STARTS.format(value): OVERWRITTEN for value in ("1.0", "-1.0")},
    "expiry": {
        "with_nonce: nonce = 1 + (start + step) % width -> nonce = 1 + (start - step) % width": (
            ANY_ORDER
        ),
    },
    "backoff": {f"{_CEILING} -> {_CEILING_NOW.format(most)}": CAPPED for most in (19, 21, 40)},
}


@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize("module", MODULES)
def test_every_mistake_is_noticed(module: str) -> None:
    """Each mutant dies but for those of the table; the module as it is lives."""
    trial = Path(__file__).with_name("trial.py")
    done = subprocess.run(
        [sys.executable, str(trial), module],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    verdicts = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert not verdicts.pop("as it is")["died"], "the tests fail without any mutant"
    assert len(verdicts) == len(mutants_of(source_of(module).read_text())) > 20
    equivalent = EQUIVALENT.get(module, {})
    alive = {name for name, row in verdicts.items() if not row["died"]}
    print(f"{module}: {len(verdicts)} mutants, {len(verdicts) - len(alive)} died, "
          f"{len(alive & equivalent.keys())} equivalent")  # fmt: skip
    unnoticed = [f"{name}\n{verdicts[name]['diff']}" for name in sorted(alive - equivalent.keys())]
    assert not unnoticed, "no test notices:\n\n" + "\n\n".join(unnoticed)
    assert alive == equivalent.keys(), "the table names a mutant that dies, or that is none"


SAMPLE = '''
"""A module."""
LIMIT = 3

def verdict(values: list[int], *, strict: bool = False) -> bool:
    """Say something."""
    for value in values:
        if not strict and value > LIMIT:
            continue
        match value:
            case 1:
                return any(values) or value == 2
            case _:
                pass
    return min(values) + 1 < 5
'''


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param("module: LIMIT = 3 -> LIMIT = 4", id="a constant one off"),
        pytest.param("module: LIMIT = 3 -> LIMIT = 6", id="a constant doubled"),
        pytest.param(
            "verdict: if not strict and value > LIMIT: -> if not strict and value >= LIMIT:",
            id="a comparison",
        ),
        pytest.param(
            "verdict: if not strict and value > LIMIT: -> if not strict or value > LIMIT:",
            id="`and` for `or`",
        ),
        pytest.param(
            "verdict: if not strict and value > LIMIT: -> if not not strict and value > LIMIT:",
            id="`not` taken back",
        ),
        pytest.param("verdict: if not strict and value > LIMIT: -> if True:", id="always"),
        pytest.param("verdict: if not strict and value > LIMIT: -> if False:", id="never"),
        pytest.param("verdict: continue -> pass", id="nothing skipped"),
        pytest.param("verdict: case _: pass -> (dropped)", id="a case dropped"),
        pytest.param(
            "verdict: return any(values) or value == 2 -> return all(values) or value == 2",
            id="`any` for `all`",
        ),
        pytest.param(
            "verdict: return min(values) + 1 < 5 -> return max(values) + 1 < 5",
            id="`min` for `max`",
        ),
        pytest.param(
            "verdict: return min(values) + 1 < 5 -> return min(values) - 1 < 5", id="plus for minus"
        ),
        pytest.param(
            "verdict: return min(values) + 1 < 5 -> return not min(values) + 1 < 5", id="negated"
        ),
        pytest.param("verdict: return min(values) + 1 < 5 -> return None", id="nothing returned"),
    ],
)
def test_the_mistakes_that_are_made(expected: str) -> None:
    assert expected in {mutant.name for mutant in mutants_of(SAMPLE)}


def test_mutants_are_the_same_each_time_and_no_two_are_alike() -> None:
    mutants = mutants_of(SAMPLE)
    assert mutants == mutants_of(SAMPLE)
    assert len({mutant.source for mutant in mutants}) == len(mutants)
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        compile(mutant.source, "mutant", "exec")
