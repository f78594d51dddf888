"""`rebuild`: after the index is lost or damaged, what can be matched is kept, and nothing wrong is."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from installed import Installation
from integration.stories import eventually


def damage(path: Path) -> None:
    """Overwrite pages in the middle of a database."""
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xa5" * 4096 * 8)


def copy_index(it: Installation) -> None:
    """Leave a rotated copy, as the daemon does."""
    with closing(sqlite3.connect(it.state / "index.db")) as db:
        db.execute("VACUUM INTO ?", (str(it.state / "index.db.copy-1"),))


def posts(it: Installation, emulator: EmulatorProcess) -> int:
    project = f"proj_{it.environ['OPENAI_API_KEY'].removeprefix('sk-')}"
    return len(
        [
            one
            for one in emulator.requests()
            if one["method"] == "POST" and one["project"] == project
        ]
    )


def alive(it: Installation, emulator: EmulatorProcess) -> set[str]:
    project = f"proj_{it.environ['OPENAI_API_KEY'].removeprefix('sk-')}"
    files = [one for one in emulator.files() if one["project"] == project]
    return {str(file["id"]) for file in files if not file["deleted"]}


def test_a_damaged_index_is_refused_then_set_aside_and_its_files_are_matched(
    it: Installation, emulator: EmulatorProcess
) -> None:
    for name in ("a.txt", "b/c.txt", "d.md"):
        it.write(name, name.encode() * 3)
    it.sync()
    ids = it.run("id", "docs:a.txt", "docs:b/c.txt", "docs:d.md", check=0).stdout
    damage(it.state / "index.db")
    broken = (it.state / "index.db").read_bytes()
    refused = it.sync(check=1)
    assert "fileferry rebuild" in refused.stderr
    assert (it.state / "index.db").read_bytes() == broken, "only `rebuild` sets it aside"

    assert "--yes" in it.run("rebuild", check=2).stderr
    assert (it.state / "index.db").read_bytes() == broken
    result = it.json("rebuild", "--yes")
    assert (result["matched"], result["to_send"], result["restored_from"]) == (3, 0, None)
    assert Path(result["set_aside"]).name.startswith("index.db.damaged-20")
    assert Path(result["set_aside"]).read_bytes() == broken
    sent = posts(it, emulator)
    it.sync()
    assert posts(it, emulator) == sent
    assert it.run("id", "docs:a.txt", "docs:b/c.txt", "docs:d.md", check=0).stdout == ids
    assert (it.state / "index.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_what_more_than_one_content_may_have_been_sent_as_is_sent_again(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("one/readme.md", b"first")
    it.write("two/readme.md", b"other")
    it.write("only.md", b"alone")
    it.sync()
    before = alive(it, emulator)
    only = it.file_id("only.md")
    (it.state / "index.db").unlink()
    result = it.json("rebuild", "--yes")
    assert (result["matched"], result["to_send"]) == (1, 2)
    it.sync()
    assert it.file_id("only.md") == only
    new = {it.file_id("one/readme.md"), it.file_id("two/readme.md")}
    assert new.isdisjoint(before)
    assert before <= alive(it, emulator), "what was not proven ours is never deleted by itself"
    assert {one["file_id"] for one in it.json_lines("orphans") if one["deletable"]} == before - {
        only
    }


def test_a_file_that_was_edited_after_it_was_sent_is_not_matched_with_its_older_bytes(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"before")
    it.sync()
    older = it.file_id("a.txt")
    created = next(int(str(one["created_at"])) for one in emulator.files() if one["id"] == older)
    path = it.folder / "a.txt"
    while path.stat().st_ctime < created + 1:
        path.write_bytes(b"AFTER!")  # of the same length, and in a later second
    (it.state / "index.db").unlink()
    assert it.json("rebuild", "--yes")["matched"] == 0
    it.sync()
    assert it.file_id("a.txt") != older


@pytest.mark.slow
def test_a_digest_in_the_name_proves_the_bytes_however_young_the_file_is(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.configure(remote_name="{stem}-{digest8}{suffix}")
    it.write("a.txt", b"alpha")
    it.write("b.txt", b"gamma")
    it.sync()
    ids = {it.file_id("a.txt"), it.file_id("b.txt")}
    newest = max(int(str(one["created_at"])) for one in emulator.files() if one["id"] in ids)
    while (it.folder / "b.txt").stat().st_ctime < newest + 1:  # as after a restore of the disk
        (it.folder / "a.txt").write_bytes(b"alpha")
        (it.folder / "b.txt").write_bytes(b"other")
    (it.state / "index.db").unlink()
    result = it.json("rebuild", "--yes")
    assert (result["matched"], result["to_send"]) == (1, 1)
    assert it.file_id("a.txt") in ids


def test_a_good_copy_is_restored_and_what_it_lacks_is_matched_or_lost(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("kept.txt", b"kept")
    it.write("replaced.txt", b"old")
    it.sync()
    kept, old = it.file_id("kept.txt"), it.file_id("replaced.txt")
    copy_index(it)
    it.write("replaced.txt", b"new bytes")
    it.write("added.txt", b"added later")
    it.sync("--now")
    assert old not in alive(it, emulator)
    ids = [it.file_id(name) for name in ("kept.txt", "replaced.txt", "added.txt")]
    damage(it.state / "index.db")
    sent = posts(it, emulator)
    result = it.json("rebuild", "--yes")
    assert result["restored_from"] == str(it.state / "index.db.copy-1")
    assert (result["matched"], result["lost"], result["to_send"]) == (2, 1, 0)
    it.sync()
    assert [it.file_id(name) for name in ("kept.txt", "replaced.txt", "added.txt")] == ids
    assert posts(it, emulator) == sent
    orphans = {one["file_id"] for one in it.json_lines("orphans")}
    assert kept not in orphans, "the copy had proven it"


def test_no_id_is_printed_before_a_restored_index_was_audited(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"alpha")
    it.write("b.txt", b"beta")
    it.sync()
    file_id = it.file_id("a.txt")
    copy_index(it)
    damage(it.state / "index.db")
    # The listing passes, then the API is gone: the audit of the restored index fails.
    emulator.add_fault("status", method="GET", path="/v1/files", status=500, skip=2, count=None)
    try:
        done = it.run("rebuild", "--yes", check=0)
    finally:
        emulator.clear_faults()
    assert "could not be audited" in done.stderr
    asked = it.run("id", "docs:a.txt", check=6)
    assert asked.stdout == "\n"
    assert "audit" in asked.stderr
    assert it.json("status")["remote"]["unaudited"] is True
    with closing(sqlite3.connect(it.state / "index.db")) as db:
        assert db.execute("SELECT DISTINCT file_id FROM files").fetchall() == [(None,)]
    it.sync()
    assert it.file_id("a.txt") == file_id


def test_an_index_that_vanished_beside_its_copies_is_not_begun_anew_by_itself(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    file_id = it.file_id("a.txt")
    copy_index(it)
    (it.state / "index.db").unlink()
    sent = posts(it, emulator)
    assert "rebuild" in it.sync(check=1).stderr
    assert not (it.state / "index.db").exists()
    shutil.copy(it.state / "index.db.copy-1", it.state / "index.db.copy-2")
    damage(it.state / "index.db.copy-1")
    result = it.json("rebuild", "--yes")
    assert result["restored_from"].endswith("copy-2")
    it.sync()
    assert it.file_id("a.txt") == file_id
    assert posts(it, emulator) == sent


@pytest.mark.slow
def test_a_rebuild_that_is_killed_leaves_the_index_as_it_was(
    it: Installation, emulator: EmulatorProcess
) -> None:
    for number in range(300):
        it.write(f"{number}.txt", b"%d content" % number)
    it.sync()
    ids = it.run("ls", "-l", check=0).stdout
    command = it.start("rebuild", "--yes", "--new")
    eventually(lambda: list(it.state.glob("rebuild-*")) or command.poll() is not None)
    command.kill()
    command.communicate()
    assert list(it.state.glob("rebuild-*")), "it was killed too late to prove anything"
    assert it.run("ls", "-l", check=0).stdout == ids
    it.run("rebuild", "--yes", "--new", check=0)
    assert not list(it.state.glob("rebuild-*"))
    assert it.run("ls", "-l", check=0).stdout == ids


@pytest.mark.slow
def test_nothing_is_touched_when_the_remote_cannot_be_listed(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    damage(it.state / "index.db")
    broken = (it.state / "index.db").read_bytes()
    it.base_url = "http://127.0.0.1:9/v1"
    it.configure()
    it.run("rebuild", "--yes", check=5)
    it.environ["OPENAI_API_KEY"] = ""
    it.run("rebuild", "--yes", check=7)
    assert (it.state / "index.db").read_bytes() == broken


@pytest.mark.slow
def test_what_is_left_to_send_has_to_pass_the_budget_of_a_first_contact(
    it: Installation, emulator: EmulatorProcess
) -> None:
    for number in range(3):
        it.write(f"{number}/same.txt", b"%d bytes" % number)
    it.sync()
    (it.state / "index.db").unlink()
    it.configure(upload_budget="10B")
    assert it.json("rebuild", "--yes")["to_send"] == 3
    sent = posts(it, emulator)
    it.sync(check=8)
    assert posts(it, emulator) == sent


@pytest.mark.slow
def test_a_matched_file_is_renewed_by_one_of_our_own_and_then_left_to_whoever_owns_it(
    tmp_path: Path,
) -> None:
    with EmulatorProcess() as emulator:
        it = Installation(tmp_path / "home", emulator.base_url)
        it.configure(expires_after="1h")
        it.write("a.txt", b"alpha")
        it.sync()
        matched = it.file_id("a.txt")
        (it.state / "index.db").unlink()
        assert it.json("rebuild", "--yes")["matched"] == 1
        with closing(sqlite3.connect(it.state / "index.db")) as db, db:
            db.execute("UPDATE content SET renew_at = 1")
        it.sync()
        assert it.file_id("a.txt") != matched
        assert not [one for one in emulator.requests() if one["method"] == "DELETE"]
