"""Intents: what is written ahead of an upload, and what is made of it when the answer was lost."""

import sqlite3

import pytest

from fileferry.index import contents, intents, parts
from index_rows import NOW, Story

DAY = 86_400.0
LIFE = 7_000


def attempt(
    story: Story,
    content_id: int,
    *,
    name: str = "a.txt",
    size: int = 3,
    purpose: str = "user_data",
    life: int | None = LIFE,
) -> int | None:
    return intents.open_one(
        story.db,
        content_id=content_id,
        name=name,
        size=size,
        purpose=purpose,
        expires_seconds=life,
        server_now=story.now + 5,
        now=story.now,
    )


def opened(story: Story, content: bytes, *, name: str = "a.txt", life: int | None = LIFE) -> int:
    intent_id = attempt(story, story.read(name.encode(), content), name=name, life=life)
    assert intent_id is not None
    return intent_id


def in_parts(story: Story, content: bytes, name: str, *, completing: bool = False) -> int:
    intent_id = opened(story, content, name=name)
    (content_id,) = story.db.execute(
        "SELECT content_id FROM intent WHERE id = ?", (intent_id,)
    ).fetchone()
    parts.announce(
        story.db,
        content_id=content_id,
        intent_id=intent_id,
        name=name,
        expires_seconds=LIFE,
        life_seconds=LIFE + 1,
        part_bytes=1,
    )
    if completing:
        story.db.execute("UPDATE upload SET state = 'completing' WHERE intent_id = ?", (intent_id,))
    return intent_id


def states(story: Story) -> dict[int, tuple[str, str | None]]:
    """Return state and outcome of every intent."""
    rows = story.db.execute("SELECT id, state, outcome FROM intent")
    return {intent_id: (state, outcome) for intent_id, state, outcome in rows}


def uploads(db: sqlite3.Connection) -> set[int]:
    """Return the intents that have an Upload in parts."""
    return {row[0] for row in db.execute("SELECT intent_id FROM upload")}


# One in flight.


@pytest.mark.parametrize(
    ("details", "allowed"),
    [
        pytest.param({}, False, id="of name, size and purpose alike"),
        pytest.param({"name": "b.txt"}, True, id="by another name"),
        pytest.param({"size": 4}, True, id="of another size"),
        pytest.param({"purpose": "vision"}, True, id="of another purpose"),
    ],
)
def test_of_uploads_alike_one_is_in_flight(
    story: Story, details: dict[str, object], allowed: bool
) -> None:
    one, two = story.read(b"a.txt", b"one"), story.read(b"b.txt", b"two")
    assert attempt(story, one) is not None
    assert (attempt(story, two, **details) is not None) == allowed  # type: ignore[arg-type]  # a table


def test_of_one_content_one_upload_is_in_flight(story: Story) -> None:
    content_id = story.read(b"a.txt", b"one")
    assert attempt(story, content_id) is not None
    assert attempt(story, content_id, name="b.txt", size=4, purpose="vision") is None


def test_while_its_outcome_is_unknown_it_is_in_flight(story: Story) -> None:
    one, two = story.read(b"a.txt", b"one"), story.read(b"b.txt", b"two")
    first = attempt(story, one)
    assert first is not None
    intents.give_up(story.db, first, now=story.now)
    assert attempt(story, two) is None
    intents.close(story.db, first, "done", now=story.now)
    assert attempt(story, two) is not None


def test_an_intent_says_what_was_sent_and_when(story: Story) -> None:
    content_id = story.read(b"a.txt", b"one")
    intent_id = attempt(story, content_id)
    assert intents.give_up_all(story.db, now=story.now + 9) == 1
    (intent,) = intents.unknown(story.db)
    assert intent == intents.Intent(
        intent_id=intent_id or 0,
        content_id=content_id,
        name="a.txt",
        size=3,
        purpose="user_data",
        expires_seconds=LIFE,
        state="unknown",
        opened_at=NOW + 5,
        begun_at=NOW,
        unknown_at=NOW + 9,
        absences=0,
        closed_at=None,
        spoilt=False,
        reading=None,
    )


def read_while_sent(story: Story, name: bytes) -> tuple[int, intents.Reading]:
    reading = intents.Reading(story.folder_id, name, story.stamp(name))
    intent_id = intents.open_one(
        story.db,
        content_id=story.read(name, name),
        name=name.decode("latin-1"),
        size=3,
        purpose="user_data",
        expires_seconds=None,
        server_now=NOW,
        now=NOW,
        reading=reading,
    )
    assert intent_id is not None
    return intent_id, reading


def test_an_intent_says_which_file_is_read_while_it_is_sent(story: Story) -> None:
    _, reading = read_while_sent(story, b"caf\xe9.txt")
    intents.give_up_all(story.db, now=NOW)
    (intent,) = intents.unknown(story.db)
    assert intent.reading == reading
    assert not intent.spoilt


@pytest.mark.parametrize("is_same", [True, False])
def test_what_was_sent_is_compared_for_one_intent_and_not_for_the_others(
    story: Story, is_same: bool
) -> None:
    first, _ = read_while_sent(story, b"a.txt")
    _, reading = read_while_sent(story, b"b.txt")
    intents.compared(story.db, first, is_same=is_same)
    intents.give_up_all(story.db, now=NOW)
    one, other = intents.unknown(story.db)
    assert (one.spoilt, one.reading) == (not is_same, None)
    assert (other.spoilt, other.reading) == (False, reading)


# Nonces.


@pytest.mark.parametrize(
    ("name", "size", "purpose", "expected"),
    [
        pytest.param("a.txt", 3, "user_data", {LIFE, LIFE - 1}, id="alike"),
        pytest.param("b.txt", 3, "user_data", set(), id="by another name"),
        pytest.param("a.txt", 4, "user_data", set(), id="of another size"),
        pytest.param("a.txt", 3, "vision", set(), id="of another purpose"),
    ],
)
def test_a_nonce_is_used_once_among_uploads_alike(
    story: Story, name: str, size: int, purpose: str, expected: set[int]
) -> None:
    for life in (LIFE, LIFE - 1, None):
        intents.close(story.db, opened(story, b"one", life=life), "done", now=story.now)
    assert intents.used_expiries(story.db, name=name, size=size, purpose=purpose) == expected


def test_a_nonce_is_remembered_for_a_day(story: Story) -> None:
    intents.close(story.db, opened(story, b"one"), "done", now=story.now)
    still_open = opened(story, b"two", name="b.txt")
    intents.prune(story.db, now=story.now + DAY)
    assert intents.used_expiries(story.db, name="a.txt", size=3, purpose="user_data") == {LIFE}
    intents.prune(story.db, now=story.now + DAY + 1)
    assert states(story) == {still_open: ("open", None)}


# How they end.


def test_one_is_closed_and_the_others_are_not(story: Story) -> None:
    one, two = opened(story, b"one"), opened(story, b"two", name="b.txt")
    intents.close(story.db, one, "done", now=story.now, file_id="file-1")
    assert states(story) == {one: ("closed", "done"), two: ("open", None)}


def test_one_is_given_up_and_the_others_are_not(story: Story) -> None:
    one, two = opened(story, b"one"), opened(story, b"two", name="b.txt")
    intents.give_up(story.db, two, now=story.now)
    assert states(story) == {one: ("open", None), two: ("unknown", None)}


def test_what_was_sent_in_parts_is_forgotten_when_its_upload_is_done(story: Story) -> None:
    one, two = in_parts(story, b"one", "a.txt"), in_parts(story, b"two", "b.txt")
    intents.close(story.db, one, "done", now=story.now)
    assert uploads(story.db) == {two}


def test_but_not_when_it_was_not_sent(story: Story) -> None:
    one = in_parts(story, b"one", "a.txt")
    intents.close(story.db, one, "not sent", now=story.now)
    assert uploads(story.db) == {one}


def test_listings_that_miss_one_are_counted_for_that_one(story: Story) -> None:
    one, two = opened(story, b"one"), opened(story, b"two", name="b.txt")
    intents.give_up_all(story.db, now=story.now)
    intents.missed(story.db, one)
    intents.missed(story.db, one)
    assert {i.intent_id: i.absences for i in intents.unknown(story.db)} == {one: 2, two: 0}
    intents.give_up(story.db, one, now=story.now)
    assert {i.intent_id: i.absences for i in intents.unknown(story.db)} == {one: 0, two: 0}


def test_unknown_ones_come_in_the_order_in_which_they_began(story: Story) -> None:
    made = [opened(story, b"%d" % number, name=f"{number}.txt") for number in (3, 1, 2)]
    # Whatever order the rows are found in: an index on names would give another one.
    story.db.execute("CREATE INDEX by_state ON intent (state, name)")
    intents.give_up_all(story.db, now=story.now)
    assert [intent.intent_id for intent in intents.unknown(story.db)] == made


# At a start.


def test_what_is_in_flight_or_settled_is_not_unknown(story: Story) -> None:
    lost = opened(story, b"one")
    opened(story, b"two", name="b.txt")
    settled = opened(story, b"three", name="c.txt")
    intents.close(story.db, settled, "done", now=story.now)
    assert intents.count_unknown(story.db) == 0
    intents.give_up(story.db, lost, now=story.now)
    assert [intent.intent_id for intent in intents.unknown(story.db)] == [lost]
    assert intents.count_unknown(story.db) == 1


def test_what_was_open_when_the_process_ended_is_unknown(story: Story) -> None:
    one = opened(story, b"one")
    intents.give_up(story.db, one, now=story.now)
    two, three = opened(story, b"two", name="b.txt"), opened(story, b"three", name="c.txt")
    intents.close(story.db, three, "done", now=story.now)
    story.now += 60
    assert intents.give_up_all(story.db, now=story.now) == 1
    assert states(story) == {
        one: ("unknown", None),
        two: ("unknown", None),
        three: ("closed", "done"),
    }
    assert {i.intent_id: i.unknown_at for i in intents.unknown(story.db)} == {
        one: NOW,
        two: NOW + 60,
    }


def test_a_content_whose_upload_is_unknown_is_in_flight(story: Story) -> None:
    content_id = story.read(b"a.txt", b"one")
    attempt(story, content_id)
    intents.give_up_all(story.db, now=story.now)
    assert contents.facts(story.db, content_id, server_now=story.now).in_flight


@pytest.mark.parametrize("is_start", [True, False], ids=["at a start", "after a crash within"])
def test_nothing_comes_of_parts_that_nobody_asked_to_complete(story: Story, is_start: bool) -> None:
    whole = opened(story, b"three", name="c.txt")
    completing = in_parts(story, b"two", "b.txt", completing=True)
    pending = in_parts(story, b"one", "a.txt")
    unknown = in_parts(story, b"four", "d.txt")
    intents.give_up(story.db, unknown, now=story.now)
    if is_start:
        assert intents.give_up_all(story.db, now=story.now) == 2
    else:
        assert intents.give_up_others(story.db, sending=frozenset(), now=story.now) == 3
    assert states(story) == {
        pending: ("closed", "not sent"),
        completing: ("unknown", None),
        whole: ("unknown", None),
        unknown: ("unknown", None),
    }


def test_what_somebody_is_sending_is_not_given_up(story: Story) -> None:
    one, two = opened(story, b"one"), opened(story, b"two", name="b.txt")
    closed = opened(story, b"three", name="c.txt")
    intents.close(story.db, closed, "not sent", now=story.now)
    (content_id,) = story.db.execute(
        "SELECT content_id FROM intent WHERE id = ?", (two,)
    ).fetchone()
    sending = frozenset({content_id})
    assert intents.give_up_others(story.db, sending=sending, now=story.now) == 1
    assert states(story) == {
        one: ("unknown", None),
        two: ("open", None),
        closed: ("closed", "not sent"),
    }


# What may still turn up.


@pytest.mark.parametrize(
    ("outcome", "may_turn_up"),
    [("none", True), ("done", False), ("not sent", False), ("refused", False)],
)
def test_only_what_listings_missed_may_still_turn_up(
    story: Story, outcome: str, may_turn_up: bool
) -> None:
    one = opened(story, b"one")
    intents.close(story.db, one, outcome, now=story.now)
    assert [i.intent_id for i in intents.unanswered(story.db)] == ([one] if may_turn_up else [])


@pytest.mark.parametrize(
    ("details", "waits"),
    [
        pytest.param({}, True, id="alike"),
        pytest.param({"name": "b.txt"}, False, id="by another name"),
        pytest.param({"size": 4}, False, id="of another size"),
        pytest.param({"purpose": "vision"}, False, id="of another purpose"),
    ],
)
@pytest.mark.parametrize("state", ["open", "unknown"])
def test_what_turns_up_may_be_what_a_later_try_has_made(
    story: Story, details: dict[str, object], waits: bool, state: str
) -> None:
    one = opened(story, b"one")
    intents.close(story.db, one, "none", now=story.now)
    later = attempt(story, story.read(b"b.txt", b"two"), **details)  # type: ignore[arg-type]  # a table
    assert later is not None
    if state == "unknown":
        intents.give_up(story.db, later, now=story.now)
    assert [i.intent_id for i in intents.unanswered(story.db)] == ([] if waits else [one])
    intents.close(story.db, later, "done", now=story.now)
    assert [i.intent_id for i in intents.unanswered(story.db)] == [one]


def test_an_upload_in_parts_that_goes_on_began_when_it_was_begun_first(story: Story) -> None:
    bystander = opened(story, b"three", name="c.txt")
    intents.close(story.db, bystander, "not sent", now=story.now)
    story.now += 10
    earlier = opened(story, b"one")
    intents.close(story.db, earlier, "not sent", now=story.now)
    story.now += 100
    other, again = opened(story, b"two", name="b.txt"), opened(story, b"one")
    intents.continue_in(story.db, earlier, again)
    assert set(story.db.execute("SELECT id, opened_at, begun_at FROM intent")) == {
        (bystander, NOW + 5, NOW),
        (earlier, NOW + 15, NOW + 10),
        (other, NOW + 115, NOW + 110),
        (again, NOW + 15, NOW + 10),
    }
    assert states(story) == {
        bystander: ("closed", "not sent"),
        earlier: ("closed", "continued"),
        other: ("open", None),
        again: ("open", None),
    }


def test_ids_of_every_state_are_known(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.sync(b"a.txt", b"two", "file-2")
    assert intents.known_ids(story.db) == {"file-1", "file-2"}


def test_what_was_begun_since_a_moment_counts_for_the_limit(story: Story) -> None:
    opened(story, b"one")
    story.now += 10
    intents.close(story.db, opened(story, b"two", name="b.txt"), "done", now=story.now)
    assert intents.opened_since(story.db, NOW + 4) == [NOW + 5, NOW + 15]
    assert intents.opened_since(story.db, NOW + 5) == [NOW + 15]
