"""What leaves: paths that are gone, remote files on their way out, and what takes them back."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fileferry.index import contents, holds, leaving, remotes
from fileferry.index.connection import open_writer
from fileferry.model import Proof
from index_rows import NOW, Story

DAY = 86_400.0


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    db = open_writer(str(tmp_path / "index.db"))
    db.execute("BEGIN")
    yield Story(db)
    db.close()


def let_go(story: Story, *paths: bytes) -> int:
    return leaving.let_go(story.db, story.folder_id, list(paths), now=story.now, at_once=False)


def deletes(story: Story, *, scans_began_at: float | None = NOW + 10**6) -> list[str]:
    due = leaving.begin_deletes(story.db, now=story.now, scans_began_at=scans_began_at, limit=100)
    return [item.file_id for item in due]


def test_a_path_that_went_is_logged_and_its_id_retired(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    assert let_go(story, b"a.txt") == 1
    assert story.files() == {}
    assert story.remotes() == {"file-1": "retiring"}
    assert story.events()[-1] == ("removed", "a.txt", "file-1", None)


def test_a_path_that_is_there_is_never_let_go(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    assert let_go(story, b"a.txt") == 0
    assert story.files() == {"a.txt": ("synced", "file-1")}


def test_the_last_of_two_paths_takes_the_id_with_it(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.read(b"b.txt", b"one")
    story.miss(b"a.txt")
    let_go(story, b"a.txt")
    assert story.remotes() == {"file-1": "live"}
    story.miss(b"b.txt")
    let_go(story, b"b.txt")
    assert story.remotes() == {"file-1": "retiring"}


def test_a_rename_is_one_event_and_no_delete(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    story.read(b"b.txt", b"one")
    let_go(story, b"a.txt")
    assert story.remotes() == {"file-1": "live"}
    assert story.files() == {"b.txt": ("synced", "file-1")}
    assert ("renamed", "b.txt", "file-1", "file-1") in story.events()


def test_an_id_is_deleted_when_its_delay_has_passed(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    let_go(story, b"a.txt")
    story.now += 599
    assert deletes(story) == []
    story.now += 1
    assert deletes(story) == ["file-1"]
    assert story.remotes() == {"file-1": "deleting"}


@pytest.mark.parametrize(
    ("scans_began_at", "goes"),
    [
        pytest.param(None, False, id="no scan yet"),
        pytest.param(NOW - 1, False, id="a scan from before"),
        pytest.param(NOW, False, id="a scan of that very moment"),
        pytest.param(NOW + 1, True, id="a scan that began later"),
    ],
)
def test_what_went_with_its_path_needs_a_whole_scan_from_later(
    story: Story, scans_began_at: float | None, goes: bool
) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    let_go(story, b"a.txt")
    story.now += DAY
    is_due = leaving.is_due(story.db, now=story.now, scans_began_at=scans_began_at)
    assert is_due == goes
    assert deletes(story, scans_began_at=scans_began_at) == (["file-1"] if goes else [])


def test_an_id_that_a_younger_one_replaced_needs_none(story: Story) -> None:
    content_id = story.sync(b"a.txt", b"one", "file-1")
    story.answer(content_id, "file-2", retire_seconds=60.0)
    assert story.files() == {"a.txt": ("synced", "file-2")}
    story.now += 60
    assert deletes(story, scans_began_at=None) == ["file-1"]


def test_an_id_that_is_only_matched_is_never_deleted(story: Story) -> None:
    content_id = story.read(b"a.txt", b"one")
    story.answer(content_id, "file-1", proof=Proof.MATCHED)
    story.miss(b"a.txt")
    let_go(story, b"a.txt")
    story.now += DAY
    assert deletes(story) == []
    assert story.remotes() == {"file-1": "retiring"}


@pytest.mark.parametrize("again", [b"a.txt", b"elsewhere.txt"])
def test_bytes_that_are_wanted_again_are_not_deleted(story: Story, again: bytes) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    let_go(story, b"a.txt")
    story.now += DAY
    story.read(again, b"one")
    assert deletes(story) == []


def test_an_id_that_is_being_deleted_is_not_taken_back(story: Story) -> None:
    content_id = story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    let_go(story, b"a.txt")
    assert contents.facts(story.db, content_id, server_now=story.now).revivable
    story.now += DAY
    assert deletes(story) == ["file-1"]
    assert not contents.facts(story.db, content_id, server_now=story.now).revivable


def test_an_interrupted_delete_is_repeated(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    let_go(story, b"a.txt")
    story.now += DAY
    assert deletes(story) == ["file-1"]
    assert deletes(story, scans_began_at=None) == ["file-1"]
    (item,) = leaving.begin_deletes(story.db, now=story.now, scans_began_at=None, limit=9)
    leaving.put_off_delete(story.db, item.remote_id, until=story.now + 5)
    assert deletes(story) == []
    story.now += 5
    assert deletes(story) == ["file-1"]
    leaving.end_delete(story.db, item.remote_id, now=story.now)
    assert deletes(story) == []
    assert story.remotes() == {"file-1": "deleted"}


def test_what_is_about_to_expire_is_not_worth_taking_back(story: Story) -> None:
    content_id = story.read(b"a.txt", b"one")
    story.answer(content_id, "file-1", expires_at=int(NOW) + 1_000)
    story.miss(b"a.txt")
    let_go(story, b"a.txt")
    assert contents.facts(story.db, content_id, server_now=NOW + 99).revivable
    assert not contents.facts(story.db, content_id, server_now=NOW + 100).revivable


def test_an_id_that_a_renewal_replaced_is_not_taken_back(story: Story) -> None:
    content_id = story.sync(b"a.txt", b"one", "file-1")
    story.answer(content_id, "file-2", retire_seconds=600.0)
    remotes.lose(story.db, "file-2", now=story.now)
    assert not contents.facts(story.db, content_id, server_now=story.now).revivable


# What the guard is told.


def absences(story: Story) -> leaving.Absences:
    return leaving.absences(story.db, story.folder_id, now=story.now, window=DAY)


def test_the_guard_counts_remote_files_and_not_paths(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.read(b"b.txt", b"one")
    story.sync(b"c.txt", b"two", "file-2")
    story.read(b"d.txt", b"two")
    story.read(b"unsent.txt", b"three")
    story.miss(b"a.txt", b"b.txt", b"c.txt", b"unsent.txt")
    found = absences(story)
    assert len(found.paths) == 4
    assert found.leaving == 1  # file-1; file-2 is still at d.txt
    assert (found.left, found.total) == (0, 2)


def test_the_guard_remembers_a_day(story: Story) -> None:
    for number in range(3):
        story.sync(b"%d.txt" % number, b"content %d" % number, f"file-{number}")
    story.miss(b"0.txt")
    let_go(story, b"0.txt")
    found = absences(story)
    assert (found.left, found.total) == (1, 3)
    story.now += DAY
    assert absences(story).left == 0


def test_edits_do_not_count(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.sync(b"a.txt", b"two", "file-2")
    found = absences(story)
    assert (found.leaving, found.left) == (0, 0)


# What a guard holds.


def test_what_is_held_stays_until_somebody_decides(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    name = holds.hold_deletes(story.db, story.folder_id, [b"a.txt"], reason="many", now=story.now)
    assert let_go(story, b"a.txt") == 0
    assert absences(story).paths == ()
    assert story.files() == {"a.txt": ("stale", "file-1")}
    (hold,) = holds.undecided(story.db)
    assert (hold.name, hold.kind, hold.files) == (name, "delete", 1)


def test_what_was_approved_goes_and_exactly_that(story: Story) -> None:
    for number in range(2):
        story.sync(b"%d.txt" % number, b"content %d" % number, f"file-{number}")
    story.miss(b"0.txt")
    holds.hold_deletes(story.db, story.folder_id, [b"0.txt"], reason="many", now=story.now)
    (hold,) = holds.undecided(story.db)
    story.miss(b"1.txt")
    assert holds.approve(story.db, hold.hold_id, now=story.now) == 1
    assert absences(story).leaving == 1  # the one that nobody approved
    assert let_go(story, b"0.txt") == 1
    assert holds.undecided(story.db) == []


def test_what_was_discarded_is_kept_for_good(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    holds.hold_deletes(story.db, story.folder_id, [b"a.txt"], reason="many", now=story.now)
    (hold,) = holds.undecided(story.db)
    assert holds.discard(story.db, hold.hold_id, now=story.now) == 1
    story.miss(b"a.txt")
    assert let_go(story, b"a.txt") == 0
    assert story.files() == {"a.txt": ("kept", "file-1")}


def test_a_held_path_that_comes_back_is_held_no_more(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    holds.hold_deletes(story.db, story.folder_id, [b"a.txt"], reason="many", now=story.now)
    story.read(b"a.txt", b"one")
    assert holds.undecided(story.db) == []
    assert story.files() == {"a.txt": ("synced", "file-1")}


def test_held_uploads_are_exactly_what_was_waiting(story: Story) -> None:
    story.see(b"a.txt", b"one")
    assert holds.waiting_uploads(story.db, story.folder_id) == (1, 3)
    holds.hold_uploads(story.db, story.folder_id, files=1, size=3, reason="much", now=story.now)
    story.see(b"b.txt", b"more")
    assert holds.waiting_uploads(story.db, story.folder_id) == (1, 4)
    (hold,) = holds.undecided(story.db)
    assert (hold.name[0], hold.files) == ("U", 1)
    holds.approve(story.db, hold.hold_id, now=story.now)
    assert story.entry(b"a.txt").due_at == story.now


def test_rows_of_an_index_are_real_sqlite(story: Story) -> None:
    with pytest.raises(sqlite3.IntegrityError):  # two live ids for one content cannot be
        story.db.execute(
            "INSERT INTO remote (file_id, content_id, name, size, purpose, created_at, recorded_at, state, proof)"
            " SELECT 'x' || value, 1, 'a', 1, 'user_data', 0, 0, 'live', 'proven' FROM json_each('[1,2]')"
        )


def test_what_was_retired_before_the_clock_was_set_back_waits_its_delay_from_now(
    story: Story,
) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    year = 365 * 86_400
    leaving.let_go(story.db, story.folder_id, [b"a.txt"], now=NOW + year, at_once=False)
    assert leaving.count_anew(story.db, now=NOW) == 1
    assert leaving.count_anew(story.db, now=NOW) == 0
    assert not leaving.is_due(story.db, now=NOW + 599, scans_began_at=NOW + 1)
    assert leaving.is_due(story.db, now=NOW + 600, scans_began_at=NOW + 1)
