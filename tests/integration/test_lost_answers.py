"""Answers that are lost while listings are compared: what is asked for again is neither doubled nor taken away."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from integration.stories import Ferry, daemon, eventually

MIB = 1024 * 1024
ENDINGS = {1_000: "/v1/files", 4 * MIB: "/v1/uploads/*/complete"}  # of the call that makes the file


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as running:
        running.settings(uploads_all_purposes=True)
        yield running


def ferry(home: Path, emulator: EmulatorProcess, expires_after: str) -> Ferry:
    emulator.clear_requests()
    it = Ferry(home / "home", emulator, f"sk-{home.name}-{os.getpid()}")
    it.configure(
        remote='multipart_threshold = "1MiB"\ncheck_interval = "1s"', expires_after=expires_after
    )
    return it


def calls(it: Ferry, size: int) -> int:
    last = ENDINGS[size].rpartition("/")[2]
    return sum(
        request["method"] == "POST" and str(request["path"]).endswith(last)
        for request in it.emulator.requests()
    )


@pytest.mark.slow
@pytest.mark.parametrize("expires_after", ["7d", "never"])
@pytest.mark.parametrize("size", ENDINGS, ids=["in one piece", "in parts"])
def test_a_listing_does_not_take_what_a_second_try_is_just_making(
    tmp_path: Path, emulator: EmulatorProcess, size: int, expires_after: str
) -> None:
    it = ferry(tmp_path, emulator, expires_after)
    it.write("note.txt", b"because of it there are listings\n")
    it.sync()
    it.write("a.bin", os.urandom(size))
    emulator.add_fault("drop_before", method="POST", path=ENDINGS[size])
    # Listings come and go while the second try waits for its answer: what it made is in them already.
    emulator.add_fault("delay", method="POST", path=ENDINGS[size], when="after", seconds=4)
    with daemon(it):
        eventually(lambda: it.states().get("a.bin") == "synced", 30)
    assert it.ids() == {it.file_id("note.txt"), it.file_id("a.bin")}
    assert it.query("SELECT DISTINCT state FROM remote_files") == [("live",)]
    assert calls(it, size) == 2 + (size == 1_000)
    assert "crashed" not in (it.home / "log").read_text()


@pytest.mark.parametrize(("expires_after", "proof"), [("7d", "proven"), ("never", "matched")])
@pytest.mark.parametrize("size", ENDINGS, ids=["in one piece", "in parts"])
def test_a_file_that_was_made_for_a_daemon_that_was_killed_meanwhile_is_taken(
    tmp_path: Path, emulator: EmulatorProcess, size: int, expires_after: str, proof: str
) -> None:
    it = ferry(tmp_path, emulator, expires_after)
    it.write("a.bin", os.urandom(size))
    emulator.add_fault("delay", method="POST", path=ENDINGS[size], when="after", seconds=30)
    with daemon(it) as process:
        eventually(it.stored)
        process.kill()
        process.wait()
    with daemon(it):
        eventually(lambda: it.states().get("a.bin") == "synced", 30)
    assert it.ids() == {it.file_id("a.bin")}
    assert calls(it, size) == 1
    assert f'"proof": "{proof}"' in (it.home / "log").read_text()


def test_an_id_that_was_called_lost_and_turns_up_again_is_not_left_behind(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.sync()
    (before,) = it.ids()
    for kind, path in (("stale_listing", "/v1/files"), ("stale_get", "/v1/files/*")):
        it.emulator.add_fault(kind, method="GET", path=path, count=None, seconds=3_600)
    it.run("repair", check=0)
    it.emulator.clear_faults()
    assert it.ids() == {before, it.file_id("a.txt")}
    assert before != it.file_id("a.txt")
    it.run("repair", check=0)
    it.sync()
    assert it.ids() == {it.file_id("a.txt")}


def test_what_was_written_off_with_its_remote_is_never_deleted(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.sync()
    before = it.ids()
    it.base_url = it.base_url.replace("127.0.0.1", "localhost")
    it.configure()
    it.run("accept", "remote", check=0)
    it.sync()
    it.run("repair", check=0)
    it.sync()
    assert len(it.ids()) == 2
    assert before < it.ids()
