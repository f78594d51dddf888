"""Bad input: each is told as what it is, with its exit code, and never stops the rest."""

import os
import socket
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from integration.stories import Ferry


def test_a_root_that_is_missing_halts_its_folder_and_no_other(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.configure({"docs": it.folder, "gone": it.home / "gone"})
    done = it.sync(check=8)
    assert "is not there" in done.stderr
    assert it.states() == {"a.txt": "synced"}


@pytest.fixture
def shared(emulator: EmulatorProcess, public_path: Path) -> Ferry:
    """Return an installation that can become anybody's."""
    if os.geteuid() != 0:
        # `.ci/run` is root, and fails where a test was skipped.
        pytest.skip("only root can become somebody who may not read")
    return Ferry(public_path / "home", emulator, f"sk-integration-{public_path.name}")


def become_nobody(it: Ferry) -> None:
    for path in [it.home, *it.home.rglob("*")]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    it.user = 65534


def test_a_directory_that_may_not_be_read_is_reported_and_keeps_its_ids(shared: Ferry) -> None:
    it = shared
    it.write("a.txt", b"one")
    it.write("secret/b.txt", b"two")
    it.sync()
    before = it.file_id("secret/b.txt")
    os.chmod(it.folder / "secret", 0)
    it.write("c.txt", b"three")
    become_nobody(it)
    it.sync("--now", check=3)
    assert it.states() == {"a.txt": "synced", "c.txt": "synced", "secret/b.txt": "unknown"}
    assert it.file_id("secret/b.txt") == before
    assert before in it.ids()
    os.chmod(it.folder, 0)
    assert "cannot be read" in it.sync(check=8).stderr
    assert len(it.ids()) == 3


@pytest.mark.slow
def test_a_file_that_may_not_be_read_is_reported_and_keeps_its_id(shared: Ferry) -> None:
    it = shared
    it.write("a.txt", b"one")
    it.sync()
    before = it.file_id("a.txt")
    os.chmod(it.folder / "a.txt", 0)
    it.write("b.txt", b"two")
    become_nobody(it)
    it.sync("--now", check=3)
    assert it.states() == {"a.txt": "unknown", "b.txt": "synced"}
    assert it.file_id("a.txt") == before
    assert before in it.ids()


def test_an_unknown_key_names_the_nearest(it: Ferry) -> None:
    it.configure(delete_delai="1h")
    done = it.sync(check=78)
    assert "delete_delai" in done.stderr
    assert "delete_delay" in done.stderr


def test_a_wrong_key_is_told_and_nothing_is_lost(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.emulator.set_key(it.secret, status="invalid", project=it.project)
    done = it.sync(check=7)
    assert it.secret not in done.stderr + done.stdout
    assert "OPENAI_API_KEY" in done.stderr
    it.emulator.set_key(it.secret, project=it.project)
    it.sync()
    assert it.states() == {"a.txt": "synced"}


@pytest.mark.slow
def test_a_used_up_quota_is_told(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.emulator.set_key(it.secret, status="quota", project=it.project)
    assert "quota" in it.sync(check=7).stderr
    assert it.uploads() == 1


def test_without_a_network_it_is_temporary(it: Ferry) -> None:
    it.base_url = "http://127.0.0.1:9/v1"
    it.configure()
    it.write("a.txt", b"one")
    done = it.sync(check=5)
    assert "cannot be reached" in done.stderr


def test_a_path_outside_of_every_folder_is_unknown(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.sync()
    assert "is in no folder" in it.run("id", "/etc/passwd", check=4).stderr
    it.run("id", str(it.folder / "nothing.txt"), check=4)


def test_odd_things_among_the_files_stop_nothing(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.write("empty.txt", b"")
    it.write(b"caf\xe9.txt", b"two")
    it.write(b"new\nline\x1b[31m.txt", b"three")
    it.write("UPPER.PDF", b"four")
    it.write("deep/" * 30 + "x.txt", b"five")
    os.mkfifo(it.folder / "fifo")
    os.symlink("loop", it.folder / "loop")
    os.symlink("..", it.folder / "up")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(it.folder)
        try:
            listener.bind("sock")
        finally:
            os.chdir(here)
        done = it.sync(check=3)
    assert done.returncode == 3
    assert it.states() == {
        "a.txt": "synced",
        "empty.txt": "rejected",
        "caf\\xe9.txt": "synced",
        "new\nline\x1b[31m.txt": "synced",
        "UPPER.PDF": "synced",
        "deep/" * 30 + "x.txt": "synced",
    }
    assert it.names() == ["UPPER.pdf", "a.txt", "caf\\xe9.txt", "new_line_[31m.txt", "x.txt"]
    (error,) = it.json_lines("errors")
    assert error["path"] == "empty.txt"
    assert "empty" in error["error"]
    assert it.run("id", os.fsencode(it.folder) + b"/caf\xe9.txt", check=0).stdout.strip() == (
        it.file_id("caf\\xe9.txt")
    )
    assert "\x1b" not in it.run("ls", "-l", check=0).stdout


def test_a_file_that_the_api_refuses_is_rejected_with_its_words(it: Ferry) -> None:
    it.write("a.vb", b"one")
    it.write("b.txt", b"two")
    it.configure(purpose="assistants")
    it.sync(check=3)
    assert it.states() == {"a.vb": "rejected", "b.txt": "synced"}
    (error,) = it.json_lines("errors")
    assert "Invalid extension vb" in error["error"]
    sent = it.uploads()
    it.sync(check=3)
    assert it.uploads() == sent  # what can never work is not tried again


def test_bad_lines_of_a_batch_are_found_before_a_byte_is_sent(it: Ferry) -> None:
    it.configure(purpose="batch")
    it.write("good.jsonl", b'{"custom_id": "1"}\n')
    it.write("bad.jsonl", b'{"custom_id": "1"}\n{"custom_id": "1"}\n')
    it.write("deep.jsonl", b"[" * 100_000)
    it.write("text.txt", b"no batch")
    it.sync(check=3)
    assert {path for path, state in it.states().items() if state == "synced"} == {"good.jsonl"}
    assert it.uploads() == 1


@pytest.mark.slow
def test_a_rejected_edit_keeps_the_id_of_the_version_before(it: Ferry) -> None:
    file = it.write("a.txt", b"one")
    it.sync()
    before = it.file_id("a.txt")
    file.write_bytes(b"")
    it.sync(check=3)
    assert it.states() == {"a.txt": "rejected"}
    assert it.file_id("a.txt") == before
    assert it.ids() == {before}


@pytest.mark.slow
def test_deletes_over_the_budget_wait_for_a_decision(it: Ferry) -> None:
    it.configure(delete_budget=2)
    for number in range(8):
        it.write(f"{number}.txt", b"%d" % number)
    it.sync()
    for number in range(4):
        (it.folder / f"{number}.txt").unlink()
    it.write("new.txt", b"uploads go on")
    done = it.sync("--now", check=8)
    assert "fileferry approve" in done.stderr
    assert len(it.ids()) == 9
    it.run("approve", check=0)
    it.sync("--now")
    assert it.names() == ["4.txt", "5.txt", "6.txt", "7.txt", "new.txt"]


def test_an_emptied_root_is_no_mass_delete(it: Ferry) -> None:
    files = [it.write(f"{number}.txt", b"%d" % number) for number in range(3)]
    it.sync()
    for file in files:
        file.unlink()
    done = it.sync("--now", check=8)
    assert "accept root" in done.stderr
    assert len(it.ids()) == 3
    os.rename(it.folder, it.home / "away")
    it.sync("--now", check=8)
    assert len(it.ids()) == 3


def test_the_key_is_written_nowhere(it: Ferry, tmp_path: Path) -> None:
    it.write("a.txt", b"one")
    it.emulator.add_fault("status", status=500, method="POST", path="/v1/files")
    outputs = [
        it.run(*command)
        for command in (("-v", "sync"), ("config", "show"), ("status", "--json"), ("errors",))
    ]
    for output in outputs:
        assert it.secret not in output.stdout + output.stderr, output.args
    for path in it.home.rglob("*"):
        if path.is_file():
            assert it.secret.encode() not in path.read_bytes(), path


def test_fresh_never_answers_with_the_id_of_an_older_version(it: Ferry) -> None:
    file = it.write("a.txt", b"one")
    it.sync()
    file.write_bytes(b"")
    it.sync(check=3)
    assert it.run("id", "docs:a.txt", check=3).stdout.strip() == it.file_id("a.txt")
    assert it.run("id", "--fresh", "docs:a.txt", check=3).stdout == "\n"
