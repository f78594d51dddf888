"""Paths that are gone: what goes with them, what a guard is told of them, and what it holds."""

import sqlite3

import pytest

from fileferry.index import contents, holds, leaving
from index_rows import Story

DAY = 86_400.0


def test_a_path_that_went_is_logged_and_its_id_retired(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    assert story.let_go(b"a.txt") == 1
    assert story.files() == {}
    assert story.remotes() == {"file-1": "retiring"}
    assert story.events()[-1] == ("removed", "a.txt", "file-1", None)


def test_a_path_that_is_there_is_never_let_go(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    assert story.let_go(b"a.txt") == 0
    assert story.files() == {"a.txt": ("synced", "file-1")}


def test_the_last_of_two_paths_takes_the_id_with_it(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.read(b"b.txt", b"one")
    story.miss(b"a.txt")
    story.let_go(b"a.txt")
    assert story.remotes() == {"file-1": "live"}
    story.miss(b"b.txt")
    story.let_go(b"b.txt")
    assert story.remotes() == {"file-1": "retiring"}


def test_a_rename_is_one_event_and_no_delete(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    story.read(b"b.txt", b"one")
    story.let_go(b"a.txt")
    assert story.remotes() == {"file-1": "live"}
    assert story.files() == {"b.txt": ("synced", "file-1")}
    assert ("renamed", "b.txt", "file-1", "file-1") in story.events()


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
    story.let_go(b"0.txt")
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
    assert story.let_go(b"a.txt") == 0
    assert absences(story).paths == ()
    assert story.files() == {"a.txt": ("stale", "file-1")}
    assert absences(story).held == 1
    (hold,) = holds.undecided(story.db)
    assert (hold.name, hold.kind, hold.files) == (name, "delete", 1)


def test_the_guard_is_told_how_many_remote_files_are_held_already(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.read(b"twin.txt", b"one")
    story.sync(b"changed.txt", b"two", "file-2")
    story.sync(b"gone.txt", b"three", "file-3")
    for path in (b"a.txt", b"twin.txt", b"gone.txt"):
        story.miss(path)
    paths = [b"a.txt", b"twin.txt"]
    holds.hold_deletes(story.db, story.folder_id, paths, reason="many", now=story.now)
    story.db.execute("UPDATE entry SET hold_id = 1 WHERE path = ?", (b"changed.txt",))
    assert absences(story).held == 1
    assert leaving.absences(story.db, story.folder_id + 1, now=story.now, window=DAY).held == 0


def test_what_was_approved_goes_and_exactly_that(story: Story) -> None:
    for number in range(2):
        story.sync(b"%d.txt" % number, b"content %d" % number, f"file-{number}")
    story.miss(b"0.txt")
    holds.hold_deletes(story.db, story.folder_id, [b"0.txt"], reason="many", now=story.now)
    (hold,) = holds.undecided(story.db)
    story.miss(b"1.txt")
    assert holds.approve(story.db, hold.hold_id, now=story.now) == 1
    assert absences(story).leaving == 1  # the one that nobody approved
    assert story.let_go(b"0.txt") == 1
    assert holds.undecided(story.db) == []


def test_what_was_discarded_is_kept_for_good(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    holds.hold_deletes(story.db, story.folder_id, [b"a.txt"], reason="many", now=story.now)
    (hold,) = holds.undecided(story.db)
    assert holds.discard(story.db, hold.hold_id, now=story.now) == 1
    story.miss(b"a.txt")
    assert story.let_go(b"a.txt") == 0
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


# Of several, exactly the one that is meant.


def other_folder(story: Story) -> Story:
    other = Story(story.db, "other")
    other.now = story.now
    return other


def test_paths_of_another_folder_are_none_of_this_ones(story: Story) -> None:
    other = other_folder(story)
    story.sync(b"a.txt", b"one", "file-1")
    other.sync(b"a.txt", b"two", "file-2")
    other.sync(b"b.txt", b"three", "file-3")
    story.miss(b"a.txt")
    other.miss(b"a.txt", b"b.txt")
    assert [gone.path for gone in absences(story).paths] == [b"a.txt"]
    assert (absences(story).leaving, absences(story).total) == (1, 1)
    assert other.let_go(b"b.txt") == 1
    assert (absences(story).left, absences(other).left) == (0, 1)
    assert story.let_go(b"a.txt") == 1
    assert other.entry(b"a.txt").absent


def test_of_several_paths_that_are_gone_those_that_are_named_go(story: Story) -> None:
    for name in (b"a.txt", b"b.txt", b"c.txt"):
        story.sync(name, name, f"file-{name.decode()}")
    story.miss(b"a.txt", b"b.txt", b"c.txt")
    assert story.let_go(b"b.txt") == 1
    assert set(story.files()) == {"a.txt", "c.txt"}


def test_paths_that_are_gone_come_in_order(story: Story) -> None:
    story.db.execute("CREATE INDEX odd ON entry (folder_id, seen_at DESC) WHERE absent = 1")
    names = [b"a.txt", b"b.txt", b"c.txt"]
    for number, name in enumerate(names):
        story.sync(name, name, f"file-{number}")
    for name in (b"b.txt", b"a.txt", b"c.txt"):
        story.now += 1
        story.miss(name)
    assert [gone.path for gone in absences(story).paths] == names


def test_a_path_that_never_had_an_id_goes_without_a_word(story: Story) -> None:
    story.read(b"a.txt", b"one")
    story.miss(b"a.txt")
    assert story.let_go(b"a.txt") == 1
    assert story.events() == []


# What else points at the same bytes.


def twins(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.read(b"b.txt", b"one")


def test_the_twin_of_a_path_that_is_held_takes_nothing_with_it(story: Story) -> None:
    twins(story)
    story.miss(b"a.txt", b"b.txt")
    holds.hold_deletes(story.db, story.folder_id, [b"b.txt"], reason="many", now=story.now)
    assert absences(story).leaving == 0
    assert story.let_go(b"a.txt") == 1
    assert story.remotes() == {"file-1": "live"}


def test_nor_does_the_twin_of_one_that_is_kept(story: Story) -> None:
    twins(story)
    story.miss(b"a.txt", b"b.txt")
    holds.hold_deletes(story.db, story.folder_id, [b"b.txt"], reason="many", now=story.now)
    (hold,) = holds.undecided(story.db)
    holds.discard(story.db, hold.hold_id, now=story.now)
    found = absences(story)
    assert [gone.path for gone in found.paths] == [b"a.txt"]
    assert found.leaving == 0
    assert story.let_go(b"b.txt") == 0


def test_nor_does_a_path_whose_bytes_another_one_wants(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.sync(b"b.txt", b"two", "file-2")
    story.miss(b"a.txt", b"b.txt")
    entry = story.see(b"c.txt", b"one")
    content_id = contents.identify(story.db, story.key(b"one"))
    contents.want(story.db, entry, story.stamp(b"one"), content_id, due_at=None)
    assert {gone.path: gone.leaves for gone in absences(story).paths} == {
        b"a.txt": False,
        b"b.txt": True,
    }


# What is still to be read.


def test_a_path_that_is_to_be_read_may_be_where_another_went(story: Story) -> None:
    story.see(b"a.txt", b"one")
    story.see(b"b.txt", b"two")
    assert leaving.unread(story.db) == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE entry SET due_at = NULL", id="nothing to be done"),
        pytest.param("UPDATE entry SET absent = 1", id="gone itself"),
        pytest.param("UPDATE entry SET attempts = 1", id="cannot be read"),
        pytest.param("UPDATE entry SET want_id = 1", id="read, and looked at again later"),
        pytest.param("UPDATE folder SET attachment = 'detached'", id="in a detached folder"),
        pytest.param("UPDATE folder SET halt = 'gone'", id="in a halted folder"),
    ],
)
def test_what_is_not_going_to_be_read_holds_nothing_up(story: Story, change: str) -> None:
    contents.identify(story.db, story.key(b"one"))
    story.see(b"a.txt", b"one")
    other = other_folder(story)
    other.sync(b"b.txt", b"two", "file-2")
    story.db.execute("UPDATE entry SET due_at = NULL WHERE folder_id = ?", (other.folder_id,))
    assert leaving.unread(story.db) == 1
    story.db.execute(f"{change} WHERE {'id' if 'folder' in change else 'folder_id'} = 1")
    assert leaving.unread(story.db) == 0


def test_nor_does_what_is_held(story: Story) -> None:
    story.see(b"a.txt", b"one")
    holds.hold_uploads(story.db, story.folder_id, files=1, size=3, reason="much", now=story.now)
    assert leaving.unread(story.db) == 0


def test_rows_of_an_index_are_real_sqlite(story: Story) -> None:
    with pytest.raises(sqlite3.IntegrityError):  # two live ids for one content cannot be
        story.db.execute(
            "INSERT INTO remote (file_id, content_id, name, size, purpose, created_at, recorded_at, state, proof)"
            " SELECT 'x' || value, 1, 'a', 1, 'user_data', 0, 0, 'live', 'proven' FROM json_each('[1,2]')"
        )
