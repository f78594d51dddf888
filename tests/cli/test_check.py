"""`check` and `repair` against real files, a real index and the emulator."""

import http.client
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from installed import Installation
from integration.stories import eventually


def symbols(it: Installation, *args: str, check: int) -> dict[str, str]:
    """Return the symbol of each path, and of each remote file that is not the same."""
    *findings, summary = it.json_lines("check", *args, check=check)
    assert summary["same"] is (check == 0)
    return {
        one["file_id"] if one["path"] is None else one["path"]: one["symbol"]
        for one in findings
        if one["where"] == "local" or one["symbol"] != "="
    }


def delete_behind_our_back(it: Installation, emulator: EmulatorProcess, file_id: str) -> None:
    connection = http.client.HTTPConnection(emulator.host, emulator.port, timeout=10)
    key = it.environ["OPENAI_API_KEY"]
    connection.request("DELETE", f"/v1/files/{file_id}", headers={"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


def change_in_silence(path: Path, content: bytes) -> os.stat_result:
    """Write other bytes of the same length and give the file its old times."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path.stat()


def forge_stamp(it: Installation, path: str, status: os.stat_result) -> None:
    """Make the index believe that it knows this stamp, as on a file system that lies."""
    with closing(sqlite3.connect(it.state / "index.db")) as db, db:
        db.execute(
            "UPDATE entry SET ctime_ns = ?, inode = ? WHERE path = CAST(? AS BLOB)",
            (status.st_ctime_ns, status.st_ino, path),
        )


def test_every_symbol_means_what_it_says(it: Installation, emulator: EmulatorProcess) -> None:
    for name in ("same", "changed", "gone"):
        it.write(f"{name}.txt", name.encode())
    it.write("empty.txt", b"")
    it.sync(check=3)
    it.write("changed.txt", b"other bytes")
    it.write("new.txt", b"new")
    (it.folder / "gone.txt").unlink()
    emulator.clear_requests()
    expected = {
        "same.txt": "=",
        "changed.txt": "*",
        "gone.txt": "-",
        "new.txt": "+",
        "empty.txt": "!",
    }
    assert symbols(it, check=3) == expected
    assert symbols(it, "--local", "full", check=3) == expected
    assert emulator.requests() == []


def test_an_unchanged_folder_is_the_same_on_all_sides(it: Installation) -> None:
    it.write("a.txt", b"alpha")
    it.write("b/c.txt", b"gamma")
    it.sync()
    done = it.run("check", "--local", "full", "--remote", check=0)
    assert done.stdout.splitlines()[:2] == ["= docs:a.txt", "= docs:b/c.txt"]
    assert done.stdout.splitlines()[-1] == "4 comparisons: 4 the same"
    assert it.run("check", "--differences", check=0).stdout == "2 comparisons: 2 the same\n"


def test_what_cannot_be_looked_at_is_unknown_and_not_gone(it: Installation) -> None:
    it.write("dark/a.txt", b"alpha")
    it.sync()
    it.without_privilege = True
    (it.folder / "dark").chmod(0)
    try:
        assert symbols(it, check=3) == {"dark": "?", "dark/a.txt": "?"}
    finally:
        (it.folder / "dark").chmod(0o700)


def test_a_root_that_is_gone_is_one_unknown_and_not_a_thousand_deletes(it: Installation) -> None:
    it.write("a.txt", b"alpha")
    it.write("b.txt", b"beta")
    it.sync()
    it.folder.rename(it.home / "away")
    assert symbols(it, check=3) == {"": "?"}


def test_only_a_full_check_sees_bytes_that_changed_under_the_same_stamp_and_repair_sends_them(
    it: Installation,
) -> None:
    path = it.write("a.txt", b"before")
    it.write("b.txt", b"other")
    it.sync()
    before = it.file_id("a.txt")
    forge_stamp(it, "a.txt", change_in_silence(path, b"AFTER!"))
    assert symbols(it, check=0)["a.txt"] == "="
    assert symbols(it, "--local", "full", check=3) == {"a.txt": "*", "b.txt": "="}
    done = it.run("repair", check=0)
    assert "1 file read again" in done.stdout
    assert it.file_id("a.txt") != before
    symbols(it, "--local", "full", "--remote", check=0)
    assert "nothing was broken" in it.run("repair", check=0).stdout


def test_a_remote_file_that_somebody_deleted_is_found_and_made_anew(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"alpha")
    it.write("b.txt", b"beta")
    it.sync()
    lost = it.file_id("a.txt")
    delete_behind_our_back(it, emulator, lost)
    assert symbols(it, check=0)["a.txt"] == "="
    *findings, _ = it.json_lines("check", "--remote", check=3)
    (found,) = [one for one in findings if one["symbol"] != "="]
    assert (found["symbol"], found["file_id"], found["path"]) == ("!", lost, "a.txt")
    assert "1 id gone at the remote" in it.run("repair", "--local", "quick", check=0).stdout
    assert it.file_id("a.txt") != lost
    symbols(it, "--remote", check=0)


@pytest.mark.slow
def test_a_remote_file_that_is_not_as_recorded_differs(it: Installation) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    with closing(sqlite3.connect(it.state / "index.db")) as db, db:
        db.execute("UPDATE remote SET name = 'other.txt'")
    *findings, _ = it.json_lines("check", "--remote", check=3)
    (found,) = [one for one in findings if one["symbol"] != "="]
    assert found["symbol"] == "*"
    assert "other.txt" in found["detail"]


@pytest.mark.slow
def test_repair_mends_rows_that_no_pass_would_look_at(
    it: Installation, emulator: EmulatorProcess
) -> None:
    for name in ("want", "held", "back"):
        it.write(f"{name}.txt", name.encode())
    it.sync()
    ids = {name: it.file_id(f"{name}.txt") for name in ("want", "held", "back")}
    with closing(sqlite3.connect(it.state / "index.db")) as db, db:
        # Waits for its content, which nothing would send.
        db.execute(
            "UPDATE entry SET want_id = held_id, held_id = NULL, state = 'pending'"
            " WHERE path = CAST('want.txt' AS BLOB)"
        )
        db.execute("UPDATE remote SET state = 'lost' WHERE file_id = ?", (ids["want"],))
        # Says that it is done, and has nothing.
        db.execute(
            "UPDATE entry SET held_id = NULL, state = 'synced' WHERE path = CAST('held.txt' AS BLOB)"
        )
        # On its way out, though its path is there.
        db.execute(
            "UPDATE remote SET state = 'retiring', reason = 'removed', retired_at = 0, delete_at = 9e9"
            " WHERE file_id = ?",
            (ids["back"],),
        )
    assert (
        it.run("id", "docs:want.txt", "docs:held.txt", "docs:back.txt", check=6).stdout == "\n\n\n"
    )
    done = it.json_lines("repair", "--local", "quick")
    mended = done[-1]["mended"]
    assert (mended["taken_back"], mended["sent_again"], mended["without_content"]) == (1, 1, 1)
    assert it.file_id("back.txt") == ids["back"]
    assert it.file_id("held.txt") == ids["held"]
    assert it.file_id("want.txt") != ids["want"]
    symbols(it, check=0)


@pytest.mark.slow
def test_an_upload_that_a_crash_left_open_is_settled_by_repair_without_a_second_one(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    sent = it.file_id("a.txt")
    with closing(sqlite3.connect(it.state / "index.db")) as db, db:
        db.execute("UPDATE intent SET state = 'open', outcome = NULL, closed_at = NULL")
        db.execute(
            "UPDATE entry SET want_id = held_id, held_id = NULL, state = 'pending', held_mtime_ns = NULL"
        )
        db.execute("DELETE FROM remote")
    done = it.json_lines("repair", "--local", "quick")
    assert done[-1]["mended"]["unanswered"] == 1
    assert it.file_id("a.txt") == sent
    assert len([one for one in emulator.requests() if one["method"] == "POST"]) == 1


@pytest.mark.slow
def test_check_and_repair_work_beside_a_daemon(it: Installation, emulator: EmulatorProcess) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    daemon = it.start("run", "--log-level", "error")
    try:
        eventually(lambda: it.run("wait", "--timeout", "5").returncode == 0)
        symbols(it, "--local", "full", "--remote", check=0)
        lost = it.file_id("a.txt")
        delete_behind_our_back(it, emulator, lost)
        assert it.json_lines("repair")[-1]["mended"]["daemon"] is True
        assert it.file_id("a.txt") != lost
    finally:
        daemon.terminate()
        daemon.communicate(timeout=20)


def test_check_needs_an_index_and_the_remote_that_it_belongs_to(it: Installation) -> None:
    it.run("check", check=10)
    it.write("a.txt", b"alpha")
    it.sync()
    it.environ["OPENAI_API_KEY"] = "sk-somebody-else"
    done = it.run("check", "--remote", check=8)
    assert "accept remote" in done.stderr
