"""What an audit makes of uploads whose answers were lost, and of files that turn up late."""

from typing import Any

import pytest

from auditing import LIFE, SHOWN, Scene
from fileferry.daemon.audit import Audit
from fileferry.index import intents
from fileferry.model import Proof, RemoteFile
from index_rows import NOW

# Uploads whose answers were lost.


def test_what_was_stored_after_all_is_taken_over(scene: Scene) -> None:
    content_id = scene.lost_answer()
    scene.stored()
    assert scene.audit() == Audit(listed=1, lost=0, settled=1, unsettled=0, halted=False)
    assert scene.remote("file-1") == ("live", "proven", None, content_id)
    assert scene.story.files() == {"a.txt": ("synced", "file-1")}
    assert scene.outcomes() == [("closed", "done", "file-1")]
    (renew_at,) = scene.db.execute("SELECT renew_at FROM content").fetchone()
    assert renew_at == NOW + LIFE - LIFE / 4


def test_without_an_expiry_it_is_matched_and_not_proven(scene: Scene) -> None:
    content_id = scene.lost_answer(life=None)
    scene.stored(life=None)
    scene.audit()
    assert scene.remote("file-1") == ("live", "matched", None, content_id)


def test_a_renewal_whose_answer_was_lost_retires_the_old_id_in_its_time(scene: Scene) -> None:
    content_id = scene.wanted()
    scene.story.answer(content_id, "file-0", expires_at=int(NOW) + 100)
    scene.shelf.files.append(
        RemoteFile("file-0", "a.txt", 3, "user_data", int(NOW), int(NOW) + 100)
    )
    intent_id = intents.open_one(
        scene.db, content_id=content_id, name="a.txt", size=3, purpose="user_data",
        expires_seconds=LIFE, server_now=NOW, now=NOW,
    )  # fmt: skip
    assert intent_id is not None
    intents.give_up(scene.db, intent_id, now=NOW)
    scene.stored()
    scene.audit()
    assert scene.story.files() == {"a.txt": ("synced", "file-1")}
    assert scene.remote("file-0") == ("retiring", "proven", "renewed", content_id)
    (delete_at,) = scene.db.execute(
        "SELECT delete_at FROM remote WHERE file_id = 'file-0'"
    ).fetchone()
    assert delete_at == NOW + 30


def looked_at(scene: Scene) -> tuple[str, float | None]:
    row: tuple[str, float | None] = scene.db.execute(
        "SELECT state, due_at FROM entry WHERE path = ?", (b"a.txt",)
    ).fetchone()
    return row


def test_what_was_read_while_it_was_sent_is_taken_over_if_the_file_is_still_the_same(
    scene: Scene,
) -> None:
    content_id = scene.lost_answer(was_read=True)
    reading = intents.Reading(scene.story.folder_id, b"a.txt", scene.story.stamp(b"one"))
    scene.unchanged.add(reading)
    scene.stored()
    assert scene.audit().settled == 1
    assert scene.remote("file-1") == ("live", "proven", None, content_id)


def test_but_not_if_the_file_has_changed_since_and_then_the_path_is_read_again(
    scene: Scene,
) -> None:
    content_id = scene.lost_answer(was_read=True)
    scene.stored()
    scene.story.now += 7
    assert scene.audit().settled == 1
    assert scene.remote("file-1") == ("retiring", "proven", "race", None)
    assert scene.outcomes() == [("closed", "done", "file-1")]
    assert scene.due_at(content_id) == NOW + 7
    assert looked_at(scene) == ("pending", NOW + 7)
    assert scene.notes.said[-1] == ("info", "settled", "spoilt")


@pytest.mark.parametrize(
    ("is_same", "state"),
    [pytest.param(True, "live", id="the same"), pytest.param(False, "retiring", id="another")],
)
def test_what_was_compared_after_it_was_sent_depends_on_no_file(
    scene: Scene, is_same: bool, state: str
) -> None:
    scene.lost_answer(was_read=True)
    intents.compared(scene.db, 1, is_same=is_same)
    before = looked_at(scene)
    scene.stored()
    assert scene.audit().settled == 1
    remote = scene.remote("file-1")
    assert remote is not None
    assert remote[0] == state
    assert scene.outcomes() == [("closed", "done", "file-1")]
    if not is_same:
        assert looked_at(scene) == before


@pytest.mark.parametrize(
    "details",
    [
        pytest.param({"name": "b.txt"}, id="by another name"),
        pytest.param({"size": 4}, id="of another size"),
        pytest.param({"purpose": "vision"}, id="of another purpose"),
        pytest.param({"life": LIFE + 1}, id="with another nonce"),
    ],
)
def test_what_is_not_alike_is_somebody_elses(scene: Scene, details: dict[str, Any]) -> None:
    scene.lost_answer()
    scene.stored(**details)
    assert scene.audit().unsettled == 1
    assert scene.remote("file-1") is None


def test_a_file_whose_size_the_server_does_not_know_yet_may_be_ours(scene: Scene) -> None:
    scene.lost_answer()
    scene.stored(size=None)
    assert scene.audit().settled == 1


def test_a_name_is_known_whichever_way_its_quotes_come_back(scene: Scene) -> None:
    scene.lost_answer('a "b".txt')
    scene.stored(name="a %22b%22.txt")
    assert scene.audit().settled == 1


def test_an_id_that_the_index_knows_is_nobody_elses_answer(scene: Scene) -> None:
    content_id = scene.wanted("old.txt", b"old")
    scene.story.answer(content_id, "file-1")
    scene.stored(life=None)
    scene.lost_answer(life=None)
    assert scene.audit().unsettled == 1
    assert scene.remote("file-1") == ("live", "proven", None, content_id)


def test_a_listing_that_ran_while_an_answer_was_lost_says_nothing(scene: Scene) -> None:
    scene.lost_answer()
    scene.stored()

    def meanwhile() -> None:
        scene.story.now += 5
        intents.give_up(scene.db, 1, now=scene.story.now)

    scene.shelf.meanwhile = meanwhile
    assert scene.audit() == Audit(listed=1, lost=0, settled=0, unsettled=1, halted=False)
    assert scene.outcomes() == [("unknown", None, None)]


def test_a_clock_that_was_set_back_since_holds_nothing_up(scene: Scene) -> None:
    scene.lost_answer()
    scene.stored()
    scene.story.now -= 1_000
    scene.shelf.ahead_seconds = 1_000.0
    assert scene.audit().settled == 1


def test_a_clock_that_was_set_ahead_since_makes_nothing_missing_sooner(scene: Scene) -> None:
    scene.lost_answer()
    scene.story.now += 5_000
    scene.shelf.ahead_seconds = -5_000.0
    scene.audit()
    scene.story.now += SHOWN - 1
    assert scene.audit().unsettled == 1
    scene.story.now += 1
    assert scene.audit().unsettled == 0


def test_a_listing_of_that_very_moment_does(scene: Scene) -> None:
    scene.lost_answer()
    scene.stored()
    assert scene.audit().settled == 1


def test_two_listings_are_needed_to_call_it_missing(scene: Scene) -> None:
    content_id = scene.lost_answer()
    assert scene.audit() == Audit(listed=0, lost=0, settled=0, unsettled=1, halted=False)
    assert scene.outcomes() == [("unknown", None, None)]
    assert scene.notes.said == []
    assert scene.due_at(content_id) is None
    scene.story.now += SHOWN
    assert scene.audit() == Audit(listed=0, lost=0, settled=1, unsettled=0, halted=False)
    assert scene.outcomes() == [("closed", "none", None)]
    assert scene.due_at(content_id) == scene.story.now
    assert scene.notes.said == [("info", "settled", "none")]


@pytest.mark.parametrize(("failures", "waits"), [(2, 0.0), (3, 3_600.0)])
def test_what_was_lost_three_times_waits_an_hour(scene: Scene, failures: int, waits: float) -> None:
    content_id = scene.lost_answer()
    scene.db.execute("UPDATE content SET attempts = ?", (failures,))
    scene.audit()
    scene.story.now += SHOWN
    scene.audit()
    assert scene.due_at(content_id) == scene.story.now + waits


def test_but_a_renewal_no_longer_than_its_id_lives(scene: Scene) -> None:
    content_id = scene.wanted()
    scene.story.answer(content_id, "file-0", expires_at=int(NOW + SHOWN) + 1_000)
    scene.stored("file-0", life=int(SHOWN) + 1_000)
    intent_id = intents.open_one(
        scene.db, content_id=content_id, name="a.txt", size=3, purpose="user_data",
        expires_seconds=LIFE, server_now=NOW, now=NOW,
    )  # fmt: skip
    assert intent_id is not None
    intents.give_up(scene.db, intent_id, now=NOW)
    scene.db.execute("UPDATE content SET attempts = 3")
    scene.shelf.ahead_seconds = 200.0
    scene.audit()
    scene.story.now += SHOWN
    scene.audit()
    assert scene.due_at(content_id) == scene.story.now + (1_000 - 200) / 4


# What turns up late.


def given_up(scene: Scene, life: int | None, *, content: bytes = b"one") -> None:
    scene.lost_answer(content=content, life=life)
    scene.audit()
    scene.story.now += SHOWN
    scene.audit()


@pytest.mark.parametrize(
    ("life", "proof", "said"),
    [
        pytest.param(LIFE, Proof.PROVEN, ("info", "late_file_retired", "file-1"), id="proven"),
        pytest.param(None, Proof.MATCHED, ("info", "settled", "none"), id="matched: it stays"),
    ],
)
def test_a_file_that_turns_up_late_is_retired(
    scene: Scene, life: int | None, proof: Proof, said: tuple[str, str, str]
) -> None:
    given_up(scene, life)
    scene.story.now -= SHOWN
    scene.stored(life=life)
    scene.story.now += SHOWN
    assert scene.audit() == Audit(listed=1, lost=0, settled=0, unsettled=0, halted=False)
    assert scene.remote("file-1") == ("retiring", proof, "race", None)
    assert scene.outcomes() == [("closed", "done", "file-1")]
    assert scene.story.files()["a.txt"][1] is None
    assert scene.notes.said[-1] == said


@pytest.mark.parametrize(
    ("turn_up", "outcomes"),
    [
        pytest.param(("one",), [("done", "one"), ("none", None)], id="one of them"),
        pytest.param(("one", "two"), [("done", "one"), ("done", "two")], id="both"),
    ],
)
def test_a_late_file_is_the_answer_to_one_upload(
    scene: Scene, turn_up: tuple[str, ...], outcomes: list[tuple[str, str | None]]
) -> None:
    scene.lost_answer(content=b"one", life=None)
    scene.story.now += 20
    intents.give_up(scene.db, 1, now=scene.story.now)
    scene.audit()
    scene.story.now += SHOWN
    scene.audit()
    scene.story.now -= 5
    given_up(scene, None, content=b"two")
    scene.story.now = NOW + 50  # by how much clocks may be off: it might be of either
    for file_id in turn_up:
        scene.stored(file_id, life=None)
    scene.story.now = NOW + 200
    scene.audit()
    assert [(outcome, file_id) for _, outcome, file_id in scene.outcomes()] == outcomes


def test_a_file_that_a_later_try_may_have_made_is_not_late(scene: Scene) -> None:
    given_up(scene, None)
    scene.lost_answer(content=b"two", life=None)
    scene.stored("file-1", life=None)
    scene.audit()
    assert [(outcome, file_id) for _, outcome, file_id in scene.outcomes()] == [
        ("none", None),
        ("done", "file-1"),
    ]


def test_late_files_are_looked_for_beside_unsettled_ones(scene: Scene) -> None:
    given_up(scene, LIFE)
    scene.lost_answer("b.txt", b"two")
    scene.stored("late")
    scene.stored("found", "b.txt")
    assert scene.audit().settled == 1
    assert scene.remote("late") == ("retiring", "proven", "race", None)
