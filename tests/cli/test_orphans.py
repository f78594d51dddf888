"""`orphans`: what looks like ours and is not proven ours is listed, and deleted only when asked for."""

import sqlite3
from contextlib import closing

import pytest

from emulator_process import EmulatorProcess
from installed import Installation


def add_foreign(it: Installation, emulator: EmulatorProcess, name: str, content: str) -> str:
    """Store a file that this index did not make, in its project."""
    project = f"proj_{it.environ['OPENAI_API_KEY'].removeprefix('sk-')}"
    return str(emulator.add_file(name, content, purpose="user_data", project=project)["id"])


def alive(emulator: EmulatorProcess) -> set[str]:
    return {str(file["id"]) for file in emulator.files() if not file["deleted"]}


def test_only_files_alike_are_listed_and_only_those_are_deleted(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    ours = it.file_id("a.txt")
    assert "nothing looks like ours" in it.run("orphans", check=0).stderr
    alike = add_foreign(it, emulator, "a.txt", "ALPHA")
    longer = add_foreign(it, emulator, "a.txt", "longer than ours")
    other = add_foreign(it, emulator, "b.txt", "alpha")
    (found,) = it.json_lines("orphans")
    assert (found["file_id"], found["name"], found["size"]) == (alike, "a.txt", 5)
    assert found["deletable"] is True
    assert "same name, size and purpose" in found["why"]

    asked = it.run("orphans", "--delete", check=2)
    assert "colleague" in asked.stderr
    assert alike in alive(emulator)
    assert "1 remote file deleted" in it.run("orphans", "--delete", "--yes", check=0).stdout
    assert {ours, longer, other} <= alive(emulator)
    assert alike not in alive(emulator)
    assert it.file_id("a.txt") == ours


def test_what_is_alike_an_upload_without_an_answer_is_left_alone(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    add_foreign(it, emulator, "a.txt", "ALPHA")
    with closing(sqlite3.connect(it.state / "index.db")) as db, db:
        db.execute("UPDATE intent SET state = 'unknown', outcome = NULL, unknown_at = 0")
    (found,) = it.json_lines("orphans")
    assert found["deletable"] is False
    assert "without an answer" in found["why"]
    before = alive(emulator)
    assert "not deleted" in it.run("orphans", "--delete", "--yes", check=0).stderr
    assert alive(emulator) == before


@pytest.mark.slow
def test_a_matched_file_goes_when_no_path_needs_it_and_not_before(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"alpha")
    it.write("b.txt", b"beta")
    it.sync()
    matched = it.file_id("a.txt")
    (it.state / "index.db").unlink()
    it.run("rebuild", "--yes", check=0)
    it.sync()
    assert it.file_id("a.txt") == matched
    used = {one["file_id"]: one for one in it.json_lines("orphans")}
    assert used[matched]["used_by"] == ["docs:a.txt"]
    it.run("orphans", "--delete", "--yes", check=0)
    assert matched in alive(emulator)

    (it.folder / "a.txt").unlink()
    it.sync("--now")
    assert matched in alive(emulator), "nothing proves that it is ours"
    deletable = [one["file_id"] for one in it.json_lines("orphans") if one["deletable"]]
    assert deletable == [matched]
    assert "1 remote file deleted" in it.run("orphans", "--delete", "--yes", check=0).stdout
    assert matched not in alive(emulator)
    it.run("id", "docs:b.txt", check=0)
