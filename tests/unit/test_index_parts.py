"""What the index remembers of uploads in parts, and when it lets go of them."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fileferry.index import contents, intents, parts
from fileferry.index.connection import open_writer
from fileferry.model import ContentKey, Part

KEY = ContentKey("xxh3_128:00", 5_000_000, "batch", ".jsonl", "")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_writer(str(tmp_path / "index.db"))
    yield connection
    connection.close()


def begin(db: sqlite3.Connection, *, upload_id: str | None = "upload_1") -> tuple[int, int]:
    """Record an upload that was begun; return its content and its intent."""
    content_id = contents.identify(db, KEY)
    contents.call_for(db, content_id, now=1.0)
    intent_id = open_intent(db, content_id)
    parts.announce(
        db,
        content_id=content_id,
        intent_id=intent_id,
        name="a.jsonl",
        expires_seconds=7_190,
        life_seconds=7_200,
        part_bytes=1_000_000,
    )
    parcel = parts.of_intent(db, intent_id)
    assert parcel is not None
    if upload_id is not None:
        parts.begun(db, parcel.parcel_id, upload_id=upload_id, expires_at=3_600.0)
    return content_id, intent_id


def open_intent(db: sqlite3.Connection, content_id: int, *, opened_at: float = 0.0) -> int:
    intent_id = intents.open_one(
        db,
        content_id=content_id,
        name="a.jsonl",
        size=KEY.size,
        purpose="batch",
        expires_seconds=7_190,
        server_now=opened_at,
        now=0.0,
    )
    assert intent_id is not None
    return intent_id


def resumable(
    db: sqlite3.Connection, content_id: int, *, life: int | None = 7_200, after: float = 100.0
) -> parts.Parcel | None:
    return parts.resumable(db, content_id, life_seconds=life, expires_after=after)


def state(db: sqlite3.Connection, intent_id: int) -> tuple[str, str | None]:
    row = db.execute("SELECT state, outcome FROM intent WHERE id = ?", (intent_id,)).fetchone()
    return row[0], row[1]


def test_what_was_left_goes_on_under_another_intent(db: sqlite3.Connection) -> None:
    content_id, intent_id = begin(db)
    parcel = parts.of_intent(db, intent_id)
    assert parcel is not None
    parts.arrived(db, parcel.parcel_id, 2, Part("part_2", "aa"))
    intents.give_up_all(db, now=5.0)
    assert state(db, intent_id) == ("closed", "not sent")  # nothing can have come of it
    left = resumable(db, content_id)
    assert left is not None
    assert (left.upload_id, left.name, left.expires_seconds) == ("upload_1", "a.jsonl", 7_190)
    again = open_intent(db, content_id)
    parts.take_over(db, left.parcel_id, again)
    assert parts.of_intent(db, again) == left
    assert parts.all_arrived(db, left.parcel_id) == {2: Part("part_2", "aa")}


def test_from_complete_on_the_outcome_is_unknown(db: sqlite3.Connection) -> None:
    _, intent_id = begin(db)
    parcel = parts.of_intent(db, intent_id)
    assert parcel is not None
    parts.completing(db, parcel.parcel_id)
    intents.give_up_all(db, now=5.0)
    assert state(db, intent_id)[0] == "unknown"


def test_a_crash_within_the_process_is_no_other(db: sqlite3.Connection) -> None:
    _, intent_id = begin(db)
    intents.give_up_others(db, sending=frozenset(), now=5.0)
    assert state(db, intent_id) == ("closed", "not sent")


@pytest.mark.parametrize(
    ("life", "after"), [(7_200, 3_600.0), (None, 100.0), (3_600, 100.0)], ids=str
)
def test_what_is_over_or_was_begun_otherwise_does_not_go_on(
    db: sqlite3.Connection, life: int | None, after: float
) -> None:
    content_id, _ = begin(db)
    assert resumable(db, content_id, life=life, after=after) is None


def test_what_was_never_answered_leaves_nothing(db: sqlite3.Connection) -> None:
    content_id, _ = begin(db, upload_id=None)
    assert resumable(db, content_id) is None
    parts.doom(db, content_id)
    assert parts.doomed(db, now=9.0) == []


def test_a_new_one_has_the_old_one_cancelled_until_that_is_done(db: sqlite3.Connection) -> None:
    content_id, intent_id = begin(db)
    intents.close(db, intent_id, "not sent", now=5.0)
    begin(db, upload_id="upload_2")
    ((row, upload_id, attempts),) = parts.doomed(db, now=9.0)
    assert (upload_id, attempts) == ("upload_1", 0)
    parts.cancel_failed(db, row, until=20.0)
    assert parts.doomed(db, now=9.0) == []
    assert parts.cancel_at(db) == 20.0
    assert parts.doomed(db, now=20.0) == [(row, "upload_1", 1)]
    parts.forget(db, row)
    assert parts.cancel_at(db) is None
    left = resumable(db, content_id)
    assert left is not None
    assert left.upload_id == "upload_2"


def test_what_nobody_wants_any_more_is_cancelled_or_ends_by_itself(db: sqlite3.Connection) -> None:
    content_id, intent_id = begin(db)
    db.execute("UPDATE content SET due_at = NULL WHERE id = ?", (content_id,))
    assert parts.cancel_at(db) is None  # it is being sent
    intents.close(db, intent_id, "not sent", now=5.0)
    assert parts.cancel_at(db) == 0.0
    parts.doom_unwanted(db, server_now=100.0)
    assert [each[1] for each in parts.doomed(db, now=9.0)] == ["upload_1"]
    parts.doom_unwanted(db, server_now=3_600.0)
    assert parts.cancel_at(db) is None


def test_what_was_stored_is_forgotten_and_so_is_what_was_pruned(db: sqlite3.Connection) -> None:
    content_id, intent_id = begin(db)
    intents.close(db, intent_id, "done", now=5.0, file_id="file-1")
    assert resumable(db, content_id) is None
    _, intent_id = begin(db, upload_id="upload_2")
    intents.close(db, intent_id, "not sent", now=5.0)
    intents.prune(db, now=5.0 + 2 * 86_400)
    assert db.execute("SELECT count(*) FROM upload").fetchone()[0] == 0


def test_what_gets_on_has_not_failed(db: sqlite3.Connection) -> None:
    content_id, intent_id = begin(db)
    db.execute("UPDATE content SET attempts = 2 WHERE id = ?", (content_id,))
    parcel = parts.of_intent(db, intent_id)
    assert parcel is not None
    parts.arrived(db, parcel.parcel_id, 0, Part("part_0", "aa"))
    assert db.execute("SELECT attempts FROM content").fetchone()[0] == 0


def test_who_goes_on_answers_for_what_was_begun_before(db: sqlite3.Connection) -> None:
    content_id, earlier_id = begin(db)
    parcel = parts.of_intent(db, earlier_id)
    assert parcel is not None
    parts.completing(db, parcel.parcel_id)
    intents.give_up(db, earlier_id, now=5.0)
    intents.close(db, earlier_id, "none", now=70.0)
    assert [intent.intent_id for intent in intents.unanswered(db)] == [earlier_id]
    again = open_intent(db, content_id, opened_at=71.0)
    parts.take_over(db, parcel.parcel_id, again)
    intents.give_up(db, again, now=72.0)
    assert intents.unanswered(db) == []  # a file of this Upload is the later one's
    assert [(intent.intent_id, intent.opened_at) for intent in intents.unknown(db)] == [(again, 0)]
