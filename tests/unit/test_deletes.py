"""Remote files on their way out: when they are deleted, what waits for a scan, and what takes them back."""

import pytest

from fileferry.index import contents, folders, leaving, remotes, trust
from fileferry.model import Proof
from index_rows import NOW, Story

DAY = 86_400.0


def deletes(story: Story, *, scans_began_at: float | None = NOW + 10**6) -> list[str]:
    due = leaving.begin_deletes(story.db, now=story.now, scans_began_at=scans_began_at, limit=100)
    return [item.file_id for item in due]


def test_an_id_is_deleted_when_its_delay_has_passed(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    story.let_go(b"a.txt")
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
    story.let_go(b"a.txt")
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
    story.let_go(b"a.txt")
    story.now += DAY
    assert deletes(story) == []
    assert story.remotes() == {"file-1": "retiring"}


@pytest.mark.parametrize("again", [b"a.txt", b"elsewhere.txt"])
def test_bytes_that_are_wanted_again_are_not_deleted(story: Story, again: bytes) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    story.let_go(b"a.txt")
    story.now += DAY
    story.read(again, b"one")
    assert deletes(story) == []


def test_an_id_that_is_being_deleted_is_not_taken_back(story: Story) -> None:
    content_id = story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    story.let_go(b"a.txt")
    assert contents.facts(story.db, content_id, server_now=story.now).revivable
    story.now += DAY
    assert deletes(story) == ["file-1"]
    assert not contents.facts(story.db, content_id, server_now=story.now).revivable


def test_an_interrupted_delete_is_repeated(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.miss(b"a.txt")
    story.let_go(b"a.txt")
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
    story.let_go(b"a.txt")
    assert contents.facts(story.db, content_id, server_now=NOW + 99).revivable
    assert not contents.facts(story.db, content_id, server_now=NOW + 100).revivable


def test_an_id_that_a_renewal_replaced_is_not_taken_back(story: Story) -> None:
    content_id = story.sync(b"a.txt", b"one", "file-1")
    story.answer(content_id, "file-2", retire_seconds=600.0)
    remotes.lose(story.db, "file-2", now=story.now)
    assert not contents.facts(story.db, content_id, server_now=story.now).revivable


# What may be deleted.


def gone(story: Story, *names: bytes) -> None:
    """These paths had ids, which are retired."""
    for name in names:
        story.sync(name, name, f"file-{name.decode()}")
    story.miss(*names)
    story.let_go(*names)


def test_an_index_that_was_restored_deletes_nothing_before_an_audit(story: Story) -> None:
    gone(story, b"a")
    folders.set_meta(story.db, "anything", "1")
    trust.distrust(story.db)
    story.now += DAY
    assert not leaving.is_due(story.db, now=story.now, scans_began_at=story.now)
    assert deletes(story) == []
    trust.audited(story.db)
    assert leaving.is_due(story.db, now=story.now, scans_began_at=story.now)
    assert deletes(story) == ["file-a"]


@pytest.mark.parametrize("column", ["held_id", "want_id"])
def test_an_id_whose_bytes_a_path_points_at_is_not_deleted(story: Story, column: str) -> None:
    gone(story, b"a", b"b")
    story.see(b"c", b"c")
    (content_id,) = story.db.execute(
        "SELECT content_id FROM remote WHERE file_id = 'file-a'"
    ).fetchone()
    story.db.execute(f"UPDATE entry SET {column} = ?", (content_id,))
    story.now += DAY
    assert deletes(story) == ["file-b"]


def test_an_edit_retires_like_a_removal(story: Story) -> None:
    story.sync(b"a", b"one", "file-1")
    story.sync(b"a", b"two", "file-2")
    story.now += DAY
    assert deletes(story, scans_began_at=NOW) == []
    assert deletes(story, scans_began_at=NOW + 1) == ["file-1"]


def test_ids_that_are_lost_or_deleted_are_not_deleted(story: Story) -> None:
    gone(story, b"a", b"b")
    story.db.execute("UPDATE remote SET state = 'lost' WHERE file_id = 'file-a'")
    story.db.execute("UPDATE remote SET state = 'deleted' WHERE file_id = 'file-b'")
    story.now += DAY
    assert deletes(story) == []


def test_a_delete_that_has_begun_goes_on_whatever_points_at_its_bytes(story: Story) -> None:
    gone(story, b"a")
    story.now += DAY
    assert deletes(story) == ["file-a"]
    story.read(b"b", b"a")
    assert deletes(story, scans_began_at=None) == ["file-a"]


def test_the_longest_due_go_first_and_no_more_than_asked_for(story: Story) -> None:
    gone(story, b"b")
    story.now += 1
    gone(story, b"a")
    story.now += 1
    gone(story, b"c")
    story.db.execute("CREATE INDEX odd ON remote (delete_at DESC)")
    story.now += DAY
    due = leaving.begin_deletes(story.db, now=story.now, scans_began_at=story.now, limit=2)
    assert [item.file_id for item in due] == ["file-b", "file-a"]
    assert story.remotes() == {"file-a": "deleting", "file-b": "deleting", "file-c": "retiring"}


def test_one_delete_is_ended_and_the_others_are_not(story: Story) -> None:
    gone(story, b"a", b"b")
    story.now += DAY
    one, _ = leaving.begin_deletes(story.db, now=story.now, scans_began_at=story.now, limit=9)
    leaving.end_delete(story.db, one.remote_id, now=story.now)
    assert story.remotes() == {one.file_id: "deleted", "file-b": "deleting"}


def test_one_delete_is_put_off_and_the_others_are_not(story: Story) -> None:
    gone(story, b"a", b"b")
    story.now += DAY
    one, two = leaving.begin_deletes(story.db, now=story.now, scans_began_at=story.now, limit=9)
    assert (one.attempts, two.attempts) == (0, 0)
    leaving.put_off_delete(story.db, one.remote_id, until=story.now + 5)
    assert deletes(story) == [two.file_id]
    story.now += 5
    again = leaving.begin_deletes(story.db, now=story.now, scans_began_at=None, limit=9)
    assert {item.file_id: item.attempts for item in again} == {one.file_id: 1, two.file_id: 0}


# What only waits for a scan.


@pytest.mark.parametrize(
    ("scans_began_at", "waits"),
    [
        pytest.param(None, True, id="no scan yet"),
        pytest.param(NOW - 1, True, id="a scan from before"),
        pytest.param(NOW, True, id="a scan of that very moment"),
        pytest.param(NOW + 1, False, id="a scan that began later"),
    ],
)
def test_a_due_delete_waits_for_a_younger_scan(
    story: Story, scans_began_at: float | None, waits: bool
) -> None:
    gone(story, b"a")

    def is_waiting() -> bool:
        return leaving.unproven_due(story.db, now=story.now, scans_began_at=scans_began_at)

    story.now += 599
    assert not is_waiting()
    story.now += 1
    assert is_waiting() == waits


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        pytest.param("reason = 'removed'", True, id="went with its path"),
        pytest.param("reason = 'changed'", True, id="went with its bytes"),
        pytest.param("reason = 'renewed'", False, id="was replaced by a younger one"),
        pytest.param("state = 'deleting'", False, id="is being deleted"),
        pytest.param("proof = 'matched'", False, id="is only matched"),
    ],
)
def test_only_what_a_scan_can_set_free_waits_for_one(
    story: Story, change: str, waits: bool
) -> None:
    gone(story, b"a")
    story.db.execute(f"UPDATE remote SET {change}")
    story.now += DAY
    assert leaving.unproven_due(story.db, now=story.now, scans_began_at=NOW) == waits


# `sync --now`.


def due_at(story: Story) -> dict[str, float]:
    return dict(story.db.execute("SELECT file_id, delete_at - ? FROM remote", (NOW,)).fetchall())


def test_what_went_with_its_path_can_be_hastened_and_nothing_else(story: Story) -> None:
    gone(story, b"a", b"b", b"c")
    story.sync(b"d", b"one", "file-d")
    story.sync(b"d", b"two", "file-e")
    story.miss(b"d")
    story.let_go(b"d")
    story.db.execute("UPDATE remote SET state = 'deleting' WHERE file_id = 'file-b'")
    story.db.execute("UPDATE remote SET delete_at = ? WHERE file_id = 'file-c'", (NOW + 9,))
    story.now += 10
    assert leaving.hasten(story.db, now=story.now) == 2
    assert due_at(story) == {
        "file-a": 10.0,
        "file-b": 600.0,  # its delete has begun, and is put off for a reason
        "file-c": 9.0,
        "file-d": 600.0,  # replaced: readers may still hold it
        "file-e": 10.0,
    }
    assert leaving.hasten(story.db, now=story.now) == 0


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


def test_a_delete_that_has_begun_does_not_wait_anew(story: Story) -> None:
    gone(story, b"a", b"b")
    story.db.execute("UPDATE remote SET state = 'deleting' WHERE file_id = 'file-b'")
    assert leaving.count_anew(story.db, now=NOW - 10) == 1
    assert due_at(story) == {"file-a": 590.0, "file-b": 600.0}
