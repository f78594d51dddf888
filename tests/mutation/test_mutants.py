"""Every mistake that can be made in the planner, the guard, the settling of intents and deletes is noticed by a test.

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
    "plan.reconcile", "plan.guard", "plan.settlement", "plan.renewals", "plan.settle", "plan.expiry", "plan.backoff",
    "plan.rules", "plan.adoption", "plan.comparison", "plan.parts",
    "index.intents", "index.leaving", "daemon.audit", "daemon.corrections",
)  # fmt: skip
SECONDS = 600

CAPPED = "five minutes are reached at the tenth failure: the exponent only must not grow for ever"
NO_TIME = "what falls due again at the very moment has had no time yet to fall due again"
ANY_ORDER = "where the search begins is chance, so which way round it goes is promised to nobody"

ONE_COLUMN = "the row has one column: its first is its last"
ONE_CONTENT = "all claims that are left are of one content, and agree about it"
FALSY = "it is only asked whether it holds"
PRIMARY_KEY = "within a folder rows come in the order of the primary key, which is the path"
ONLY_CLOSED = "what is not closed has no outcome, and no moment at which it was closed"
INDEX = "said only so that SQLite finds the index of what is not closed"
SAVES_TIME = (
    "with nothing to settle there is nothing to be found: it saves a walk through the listing"
)

_CEILING = "ceiling_seconds: return float(min(CAP_SECONDS, BASE_SECONDS * 2 ** min(failures, 20)))"
_CEILING_NOW = "return float(min(CAP_SECONDS, BASE_SECONDS * 2 ** min(failures, {})))"

EQUIVALENT = {
    "plan.reconcile": {
        "decide: case _: assert_never(found) -> (dropped)": (
            "no finding gets there, which mypy proves; the case is there for mypy"
        ),
    },
    "plan.renewals": {
        "_pressing: while again[place][0] <= due_at: -> while again[place][0] < due_at:": NO_TIME,
    },
    "plan.expiry": {
        "with_nonce: nonce = 1 + (start + step) % width -> nonce = 1 + (start - step) % width": (
            ANY_ORDER
        ),
    },
    "plan.adoption": {
        "adopt: " + line.format("0") + " -> " + line.format("-1"): ONE_CONTENT
        for line in (
            "if len({{claim.content_id for claim in alike}}) != 1 or not alike[{}].wanted:",
            "taken[alike[{}].content_id] = file",
        )
    },
    "plan.parts": {"_never: return False -> return None": FALSY},
    "index.intents": dict.fromkeys(
        (
            "open_one: return int(cursor.fetchone()[0]) -> return int(cursor.fetchone()[-1])",
            (
                "used_expiries: return frozenset((int(row[0]) for row in rows))"
                " -> return frozenset((int(row[-1]) for row in rows))"
            ),
            (
                "known_ids: return frozenset((str(row[0]) for row in db.execute('SELECT file_id FROM remote')))"
                " -> return frozenset((str(row[-1]) for row in db.execute('SELECT file_id FROM remote')))"
            ),
            (
                "count_unknown: return int(db.execute(f'SELECT count(*) FROM intent WHERE {_UNKNOWN}').fetchone()[0])"
                " -> return int(db.execute(f'SELECT count(*) FROM intent WHERE {_UNKNOWN}').fetchone()[-1])"
            ),
            "opened_since: return [float(row[0]) for row in rows] -> return [float(row[-1]) for row in rows]",
        ),
        ONE_COLUMN,
    )
    | {
        "module: _UNKNOWN = \"state <> 'closed' AND state = 'unknown'\""
        " -> _UNKNOWN = \"(state <> 'closed' OR TRUE) AND state = 'unknown'\"": INDEX,
        "give_up_others: … id, content_id FROM intent WHERE state <> 'closed' AND state = 'open'\").fetchall() if …"
        " -> … id, content_id FROM intent WHERE (state <> 'closed' OR TRUE) AND state = 'open'\").fetchall() if …": (
            INDEX
        ),
        "unanswered: … FROM intent AS given_up WHERE state = 'closed' AND outcome = 'none' AND …"
        " -> … FROM intent AS given_up WHERE (state = 'closed' OR TRUE) AND outcome = 'none' AND …": ONLY_CLOSED,
        "prune: db.execute(\"DELETE FROM intent WHERE state = 'closed' AND closed_at < ?\", (now …"
        " -> db.execute(\"DELETE FROM intent WHERE (state = 'closed' OR TRUE) AND closed_at < ?\", (now …": ONLY_CLOSED,
    },
    "index.leaving": dict.fromkeys(
        (
            (
                "absences: … ?', (folder_id, RetireReason.REMOVED, now - window)).fetchone()[0]"
                " -> … ?', (folder_id, RetireReason.REMOVED, now - window)).fetchone()[-1]"
            ),
            (
                "absences: … entry WHERE folder_id = ?', (folder_id,)).fetchone()[0]"
                " -> … entry WHERE folder_id = ?', (folder_id,)).fetchone()[-1]"
            ),
            (
                "absences: … AND hold_id IS NOT NULL', (folder_id,)).fetchone()[0]"
                " -> … AND hold_id IS NOT NULL', (folder_id,)).fetchone()[-1]"
            ),
            "unread: return int(row[0]) -> return int(row[-1])",
        ),
        ONE_COLUMN,
    )
    | {
        "absences: … IS NULL AND state <> 'kept' ORDER BY path\", (folder_id,)).fetchall()"
        " -> … IS NULL AND state <> 'kept'\", (folder_id,)).fetchall()": PRIMARY_KEY,
    },
    "daemon.corrections": {
        "learn_ends: if not ends: -> if False:": SAVES_TIME,
        "learn_ends: return [] -> return None": FALSY,
    },
    "daemon.audit": {"_settle: if not unknown and (not unanswered): -> if False:": SAVES_TIME},
    "plan.backoff": {f"{_CEILING} -> {_CEILING_NOW.format(most)}": CAPPED for most in (19, 21, 40)},
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
