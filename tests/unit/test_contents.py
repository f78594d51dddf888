"""Which id answers for which bytes: recorded before the old one goes, lost only when it is, logged always."""

import pytest

from fileferry.index import contents, entries, remotes
from fileferry.model import EntryState
from index_rows import NOW, Story


def test_a_new_path_is_added(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    assert story.files() == {"a.txt": ("synced", "file-1")}
    assert story.events() == [("added", "a.txt", None, "file-1")]


def test_a_copy_points_at_the_same_id(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.read(b"b.txt", b"one")
    assert story.files() == {"a.txt": ("synced", "file-1"), "b.txt": ("synced", "file-1")}
    assert story.events()[-1] == ("added", "b.txt", None, "file-1")


def test_one_upload_answers_for_all_that_wait_for_it(story: Story) -> None:
    content_id = story.read(b"a.txt", b"one")
    story.read(b"b.txt", b"one")
    assert story.answer(content_id, "file-1") == 2
    assert {file_id for _, file_id in story.files().values()} == {"file-1"}


def test_an_edit_keeps_the_old_id_until_the_new_one_is_recorded(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    content_id = story.read(b"a.txt", b"two")
    assert story.files() == {"a.txt": ("stale", "file-1")}
    assert story.remotes() == {"file-1": "live"}
    story.answer(content_id, "file-2")
    assert story.files() == {"a.txt": ("synced", "file-2")}
    assert story.remotes() == {"file-1": "retiring", "file-2": "live"}
    assert story.events()[-1] == ("updated", "a.txt", "file-1", "file-2")


def test_a_renewal_is_logged_for_every_path_and_leaves_no_gap(story: Story) -> None:
    content_id = story.sync(b"a.txt", b"one", "file-1")
    story.read(b"b.txt", b"one")
    story.answer(content_id, "file-2")
    assert story.events()[-2:] == [
        ("renewed", "a.txt", "file-1", "file-2"),
        ("renewed", "b.txt", "file-1", "file-2"),
    ]
    assert story.remotes() == {"file-1": "retiring", "file-2": "live"}


def test_an_answer_that_nobody_waits_for_any_more_is_retired_at_once(story: Story) -> None:
    content_id = story.read(b"a.txt", b"one")
    story.read(b"a.txt", b"two")
    story.answer(content_id, "file-1")
    assert story.remotes() == {"file-1": "retiring"}


def test_a_path_that_changed_while_it_was_sent_has_the_older_version_meanwhile(
    story: Story,
) -> None:
    content_id = story.read(b"a.log", b"one")
    origin = story.origin(b"a.log")
    story.see(b"a.log", b"one, and")
    story.answer(content_id, "file-1", origins=(origin,))
    assert story.files() == {"a.log": ("stale", "file-1")}
    assert story.events() == [("added", "a.log", None, "file-1")]

    content_id = story.read(b"a.log", b"one, and two")
    origin = story.origin(b"a.log")
    story.see(b"a.log", b"one, and two, and")
    story.answer(content_id, "file-2", origins=(origin,))
    assert story.files() == {"a.log": ("stale", "file-2")}
    assert story.remotes() == {"file-1": "retiring", "file-2": "live"}
    assert story.events()[-1] == ("updated", "a.log", "file-1", "file-2")


def test_a_path_never_goes_back_to_a_version_older_than_the_one_it_has(story: Story) -> None:
    slow = story.read(b"a.log", b"one")
    origin = story.origin(b"a.log")
    story.sync(b"a.log", b"two", "file-2")
    story.answer(slow, "file-1", origins=(origin,))
    assert story.files() == {"a.log": ("synced", "file-2")}
    assert story.remotes() == {"file-1": "retiring", "file-2": "live"}

    story.see(b"a.log", b"three")
    slower = story.read(b"other.log", b"one more")
    story.answer(slower, "file-3", origins=(origin,))
    assert story.files()["a.log"] == ("stale", "file-2")


def test_a_path_that_went_while_it_was_sent_gets_no_id(story: Story) -> None:
    content_id = story.read(b"a.log", b"one")
    origin = story.origin(b"a.log")
    story.miss(b"a.log")
    story.answer(content_id, "file-1", origins=(origin,))
    assert story.remotes() == {"file-1": "retiring"}


def test_a_lost_id_is_sent_again_and_its_path_has_none_meanwhile(story: Story) -> None:
    content_id = story.sync(b"a.txt", b"one", "file-1")
    remotes.lose(story.db, "file-1", now=story.now)
    assert story.files() == {"a.txt": ("pending", None)}
    assert story.remotes() == {"file-1": "lost"}
    assert story.events()[-1] == ("lost", "a.txt", "file-1", None)
    story.answer(content_id, "file-2")
    assert story.files() == {"a.txt": ("synced", "file-2")}
    assert story.events()[-1] == ("restored", "a.txt", None, "file-2")


def test_an_id_that_is_leaving_cannot_be_lost(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.sync(b"a.txt", b"two", "file-2")
    remotes.lose(story.db, "file-1", now=story.now)
    assert story.remotes() == {"file-1": "retiring", "file-2": "live"}


def test_bytes_that_come_back_take_their_id_back(story: Story) -> None:
    content_id = story.sync(b"a.txt", b"one", "file-1")
    story.sync(b"a.txt", b"two", "file-2")
    entry = story.see(b"a.txt", b"one")
    contents.want(story.db, entry, story.stamp(b"one"), content_id, due_at=None)
    assert contents.facts(story.db, content_id, server_now=NOW).revivable
    remotes.revive(story.db, content_id, server_now=NOW)
    contents.settle(story.db, content_id, now=story.now, revived=True)
    assert story.files() == {"a.txt": ("synced", "file-1")}
    assert story.remotes() == {"file-1": "live", "file-2": "retiring"}


# What is seen at a path.


def test_what_is_as_it_was_is_not_due(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.see(b"a.txt", b"one")
    assert story.entry(b"a.txt").due_at is None


def test_what_differs_is_due_and_keeps_its_id(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.now += 60
    entry = story.see(b"a.txt", b"two")
    assert (entry.state, entry.due_at, entry.unsettled_at) == (
        EntryState.STALE, story.now, story.now,
    )  # fmt: skip
    story.now += 60
    assert story.see(b"a.txt", b"three").unsettled_at == story.now - 60


@pytest.mark.parametrize("state", ["kept", "ignored"])
def test_what_is_kept_or_ignored_cannot_go_missing(story: Story, state: str) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.db.execute("UPDATE entry SET state = ?", (state,))
    story.miss(b"a.txt")
    assert not story.entry(b"a.txt").absent


def test_a_dark_directory_concludes_nothing_about_what_is_in_it(story: Story) -> None:
    story.sync(b"d/a.txt", b"one", "file-1")
    story.sync(b"d2/b.txt", b"two", "file-2")
    story.miss(b"d/a.txt")
    entries.darkened(story.db, story.folder_id, b"d", "directory cannot be read")
    assert story.files() == {"d/a.txt": ("unknown", "file-1"), "d2/b.txt": ("synced", "file-2")}
    assert not story.entry(b"d/a.txt").absent


def test_a_path_that_is_ignored_now_keeps_its_id_or_is_dropped(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    story.see(b"b.txt", b"two")
    for path in (b"a.txt", b"b.txt"):
        entries.disregarded(story.db, story.folder_id, path)
    assert story.files() == {"a.txt": ("ignored", "file-1")}
    assert story.remotes() == {"file-1": "live"}


def test_a_rejected_edit_keeps_the_older_id(story: Story) -> None:
    story.sync(b"a.txt", b"one", "file-1")
    entry = story.see(b"a.txt", b"")
    entries.rejected(story.db, entry, story.stamp(b""), "the file is empty")
    assert story.files() == {"a.txt": ("rejected", "file-1")}


def test_a_file_that_never_rests_is_due_at_last(story: Story) -> None:
    for second in range(8):
        story.now = NOW + second
        entries.saw(
            story.db,
            story.folder_id,
            b"log.txt",
            story.stamp(b"line" * second),
            now=story.now,
            due_at=story.now + 2.0,
            settle_max_seconds=5.0,
        )
    assert story.entry(b"log.txt").due_at == NOW + 5.0
