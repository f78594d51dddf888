"""An index that was moved goes on; one that was copied, cloned or restored asks first, and deletes nothing."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fileferry.daemon import backups, custody
from integration.stories import Ferry


def test_an_index_that_was_moved_goes_on_and_one_that_was_copied_asks_first(it: Ferry) -> None:
    it.write("a.txt", b"alpha")
    it.write("gone.txt", b"gone")
    it.sync()
    file_id = it.file_id("a.txt")
    shutil.move(it.state, it.home / "moved")
    it.state = it.home / "moved"
    it.configure()
    it.sync()

    original = it.state
    it.state = it.home / "clone"
    shutil.copytree(original, it.state)
    it.configure()
    it.write("new.txt", b"new")
    (it.folder / "gone.txt").unlink()
    it.emulator.clear_requests()
    for command in (("sync",), ("run",), ("sync", "--dry-run")):
        done = it.run(*command, check=8)
        assert "`fileferry accept index`" in done.stderr
    assert [one for one in it.emulator.requests() if one["project"] == it.project] == []

    assert it.json("accept", "index")["accepted"]
    assert it.run("id", "docs:a.txt", check=6).stdout == "\n", "before an audit it may be gone"
    it.sync("--now")
    assert it.file_id("a.txt") == file_id
    assert it.names() == ["a.txt", "new.txt"]
    assert it.run("accept", "index", check=0).stderr == "nothing asks for that\n"


@pytest.mark.parametrize("way", ["cp", "the daemon's own copy"])
def test_an_older_index_that_was_written_over_the_newer_one_asks_first(it: Ferry, way: str) -> None:
    it.write("a.txt", b"one")
    it.sync()
    index, copy = it.state / "index.db", it.home / "copy"
    if way == "cp":
        shutil.copyfile(index, copy)
    else:
        shutil.move(str(backups.make_copy(str(it.state))), copy)
    it.write("a.txt", b"another")
    it.sync("--now")
    index.write_bytes(copy.read_bytes())  # as `cp` does: the inode stays what it was
    it.emulator.clear_requests()
    assert it.run("id", "docs:a.txt", check=6).stdout == "\n", "the id that it had then is gone"
    for _ in range(2):
        assert "it is older than it was" in it.run("sync", check=8).stderr
    assert it.run("id", "docs:a.txt", check=6).stdout == "\n", "the id that it had then is gone"
    assert [one for one in it.emulator.requests() if one["project"] == it.project] == []
    it.run("accept", "index", check=0)
    it.sync()
    assert it.states() == {"a.txt": "synced"}


def test_an_index_that_was_deleted_is_rebuilt_and_nothing_is_sent_again(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.sync()
    file_id, sent = it.file_id("a.txt"), it.uploads()
    (it.state / "index.db").unlink()
    assert "`fileferry rebuild`" in it.run("sync").stderr
    it.run("rebuild", "--yes", check=0)
    it.sync()
    assert (it.file_id("a.txt"), it.uploads()) == (file_id, sent)


@pytest.mark.slow
def test_a_copied_index_deletes_nothing_before_an_audit_has_passed(it: Ferry) -> None:
    it.write("a.txt", b"alpha")
    it.write("b.txt", b"beta")
    it.sync()
    clone = it.home / "clone"
    shutil.copytree(it.state, clone)
    it.state = clone
    it.configure()
    (it.folder / "b.txt").unlink()
    it.run("accept", "index", check=0)
    it.emulator.add_fault("status", method="GET", path="/v1/files", status=500, skip=1, count=None)
    try:
        it.sync("--now", check=0)
        assert it.names() == ["a.txt", "b.txt"]
    finally:
        it.emulator.clear_faults()
    it.sync("--now")
    assert it.names() == ["a.txt"]


@pytest.mark.slow
def test_an_index_of_another_machine_asks_first(it: Ferry) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    if custody.machine() is None:
        # By hand alone: in `.ci/run` a skip is a failure.
        pytest.skip("nothing names this machine")
    with closing(sqlite3.connect(it.state / "index.db")) as db, db:
        pinned = db.execute("SELECT value FROM meta WHERE key = 'machine'").fetchone()[0]
        assert pinned not in Path("/etc/machine-id").read_text(), "it is kept as a digest"
        db.execute("UPDATE meta SET value = 'another' WHERE key = 'machine'")
    assert "another machine" in it.sync(check=8).stderr
    it.run("accept", "index", check=0)
    it.sync()
    assert it.file_id("a.txt")
