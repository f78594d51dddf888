"""What is asked in each pass, or for each upload, reads no table whole: an index may hold a million files, and a day's
hundred thousand uploads are remembered in it.
"""

import sqlite3
from collections.abc import Callable, Iterator

import pytest

from fileferry.index import horizon, intents, remotes, risk, wants
from fileferry.index.schema import migrate

TABLES = ("content", "entry", "intent", "remote", "change_log")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db)
    yield db
    db.close()


def whole_tables(db: sqlite3.Connection, ask: Callable[[sqlite3.Connection], object]) -> list[str]:
    """Return the steps in which all of a table is read."""
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    ask(db)
    db.set_trace_callback(None)
    assert asked
    return [
        f"{step[3]}: {sql}"
        for sql in asked
        for step in db.execute(f"EXPLAIN QUERY PLAN {sql}")
        if step[3].startswith("SCAN") and "USING" not in step[3] and step[3].split()[1] in TABLES
    ]


def due(db: sqlite3.Connection) -> object:
    return wants.due(
        db, now=1e9, server_now=1e9, limit=9, busy=frozenset(), early_until=2e9, early_share=0.1
    )


def open_one(db: sqlite3.Connection) -> object:
    db.execute(
        "INSERT INTO content (id, digest, size, purpose, extension, variant) VALUES (1, '', 1, '', '', '')"
    )
    return intents.open_one(
        db,
        content_id=1,
        name="a.txt",
        size=1,
        purpose="user_data",
        expires_seconds=3_600,
        server_now=1e9,
        now=1e9,
    )


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(horizon.look, id="what is to come"),
        pytest.param(due, id="what is to be sent"),
        pytest.param(
            lambda db: wants.renewals_ahead(db, until=1e9, grain=60.0), id="renewals ahead"
        ),
        pytest.param(lambda db: risk.look(db.execute, 1e9), id="whether ids run out"),
        pytest.param(lambda db: remotes.has_expired(db, 1e9), id="whether ids have run out"),
        pytest.param(wants.renewable, id="how many are renewed some day"),
        pytest.param(intents.unknown, id="whose outcome is unknown"),
        pytest.param(
            lambda db: intents.used_expiries(db, name="a.txt", size=1, purpose="user_data"),
            id="which nonces are used",
        ),
        pytest.param(open_one, id="an upload begins"),
        pytest.param(
            lambda db: intents.give_up_others(db, sending=frozenset(), now=1e9), id="a crash within"
        ),
    ],
)
def test_no_table_is_read_whole(
    db: sqlite3.Connection, ask: Callable[[sqlite3.Connection], object]
) -> None:
    assert whole_tables(db, ask) == []


def test_the_sensor_works(db: sqlite3.Connection) -> None:
    question = "SELECT count(*) FROM intent WHERE state = 'unknown'"
    assert whole_tables(db, lambda db: db.execute(question).fetchone()) != []
