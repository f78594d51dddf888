"""The daemon as a process: it follows the disk, stops when told, and loses nothing when killed."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from integration.stories import Ferry, daemon, eventually


def synced(it: Ferry, *paths: str) -> bool:
    states = it.states()
    return states == dict.fromkeys(paths, "synced")


def test_it_follows_edits_renames_and_deletes(it: Ferry) -> None:
    it.configure(settle="100ms")
    it.write("a.txt", b"one")
    with daemon(it):
        eventually(lambda: synced(it, "a.txt"))
        first = it.file_id("a.txt")
        began = time.monotonic()
        it.write("a.txt", b"two")
        eventually(lambda: it.file_id("a.txt") != first)
        assert time.monotonic() - began < 8
        sent = it.uploads()
        (it.folder / "a.txt").rename(it.folder / "b.txt")
        eventually(lambda: synced(it, "b.txt"))
        assert it.uploads() == sent
        (it.folder / "b.txt").unlink()
        eventually(lambda: it.states() == {} and it.ids() == set())


def test_sigterm_ends_it_soon_and_well(it: Ferry) -> None:
    it.write("a.txt", b"one")
    with daemon(it) as process:
        eventually(lambda: synced(it, "a.txt"))
        it.emulator.add_fault("delay", method="POST", path="/v1/files", seconds=60)
        it.write("b.txt", b"two")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 6
    assert not (it.state / "control.sock").exists()


def test_an_idle_one_stops_within_three_seconds(it: Ferry) -> None:
    it.write("a.txt", b"one")
    with daemon(it) as process:
        eventually(lambda: synced(it, "a.txt"))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 3


def test_killed_in_the_middle_it_goes_on_without_sending_twice(it: Ferry) -> None:
    for number in range(20):
        it.write(f"{number}.txt", b"%d" % number)
    it.emulator.add_fault(
        "delay", method="POST", path="/v1/files", count=None, seconds=0.2, when="after"
    )
    with daemon(it) as process:
        eventually(lambda: it.uploads() >= 5)
        process.kill()
        process.wait()
    it.emulator.clear_faults()
    with daemon(it):
        eventually(lambda: synced(it, *(f"{number}.txt" for number in range(20))), 30)
    assert len(it.ids()) == 20
    assert it.ids() == {it.file_id(f"{number}.txt") for number in range(20)}
    # Stored, deleted ones too; a request that the kill cut off in mid-body was not.
    ours = [file for file in it.emulator.files() if file["project"] == it.project]
    assert len(ours) == 20


def test_sync_asks_the_daemon_that_runs(it: Ferry) -> None:
    it.configure(rescan_interval="1d")
    it.write("a.txt", b"one")
    with daemon(it):
        it.write("b.txt", b"two")
        done = it.sync()
        assert done.stdout.startswith("2 files in sync")
        it.run("wait", "--timeout", "10", check=0)
        status = it.json("status")
        assert status["daemon"]["running"]


def test_a_second_daemon_names_the_first_and_ends(it: Ferry) -> None:
    with daemon(it) as process:
        second = it.run("run", check=11)
        assert f"process {process.pid}" in second.stderr
        stranger = Ferry(it.home / "other", it.emulator, it.secret + "x")
        stranger.configure({"docs": it.folder})
        third = stranger.run("run", check=11)
        assert str(it.folder) in third.stderr


def test_it_starts_without_a_network_and_goes_on_when_there_is_one(it: Ferry) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    it.base_url = f"http://127.0.0.1:{port}/v1"
    it.configure()
    it.write("a.txt", b"one")
    with daemon(it):
        eventually(lambda: it.states() == {"a.txt": "pending"})
        assert "cannot be reached" in it.run("status").stdout + it.run("status", "--json").stdout
        with EmulatorProcess(port=port):
            eventually(lambda: synced(it, "a.txt"), 30)


@pytest.mark.slow
def test_a_file_that_never_rests_is_read_after_settle_max(it: Ferry) -> None:
    it.configure(settle="1s", settle_max="2s")
    path = it.write("log.txt", b"line\n")
    stop = threading.Event()

    def write_on() -> None:
        while not stop.wait(0.2):
            with path.open("ab") as file:
                file.write(b"line\n")

    writer = threading.Thread(target=write_on)
    with daemon(it):
        writer.start()
        try:
            eventually(it.stored)
        finally:
            stop.set()
            writer.join()


def test_a_file_that_goes_while_it_is_sent_leaves_nothing_behind(it: Ferry) -> None:
    big = it.write("big.bin", os.urandom(3 * 1024 * 1024))
    small = it.write("small.txt", b"one")
    it.emulator.add_fault(
        "delay", method="POST", path="/v1/files", count=2, seconds=1.0, when="after"
    )
    with daemon(it):
        eventually(lambda: it.uploads() >= 2)
        big.write_bytes(os.urandom(3 * 1024 * 1024))
        small.unlink()
        eventually(lambda: synced(it, "big.bin"))
        # What was stored of a version that nobody could vouch for goes at once.
        eventually(lambda: it.ids() == {it.file_id("big.bin")})


@pytest.mark.slow
def test_readers_ask_while_it_runs_after_it_was_killed_and_after_it_stopped(it: Ferry) -> None:
    it.write("a.txt", b"one")
    with daemon(it) as process:
        eventually(lambda: synced(it, "a.txt"))
        expected = it.file_id("a.txt")
        assert it.run("id", "docs:a.txt", check=0).stdout == f"{expected}\n"
        process.kill()
        process.wait()
    assert it.run("id", "docs:a.txt", check=0).stdout == f"{expected}\n"
    with daemon(it):
        pass
    assert it.run("id", "docs:a.txt", check=0).stdout == f"{expected}\n"
    assert sorted(os.listdir(it.state)) == sorted(
        name for name in os.listdir(it.state) if not name.endswith(("-wal", "-shm"))
    )


def test_the_key_is_in_no_log(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.emulator.add_fault("status", status=401, method="POST", path="/v1/files")
    with daemon(it):
        eventually(lambda: it.emulator.faults()[0]["hits"])
        it.run("retry")
    log = (it.home / "log").read_text()
    assert "started" in log
    assert it.secret not in log


@pytest.mark.slow
def test_the_key_is_in_no_process_title(it: Ferry) -> None:
    it.is_fresh = True  # what is forked has the title of another
    it.write("a.txt", b"one")
    with daemon(it) as process:
        eventually(lambda: synced(it, "a.txt"))
        title = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert b"fileferry" in title
    assert it.secret.encode() not in title


@pytest.mark.slow
def test_a_stopped_process_catches_up_with_what_it_missed(it: Ferry) -> None:
    it.write("a.txt", b"one")
    with daemon(it) as process:
        eventually(lambda: synced(it, "a.txt"))
        process.send_signal(signal.SIGSTOP)
        try:
            for number in range(300):
                it.write(f"dir{number % 7}/{number}.txt", b"%d" % number)
            (it.folder / "a.txt").unlink()
        finally:
            process.send_signal(signal.SIGCONT)
        eventually(lambda: synced(it, *(f"dir{n % 7}/{n}.txt" for n in range(300))), 45)


@pytest.mark.slow
def test_hangup_reads_the_configuration_again(it: Ferry) -> None:
    it.write("a.txt", b"one")
    with daemon(it) as process:
        eventually(lambda: synced(it, "a.txt"))
        other = it.home / "other"
        other.mkdir()
        (other / "b.txt").write_text("two")
        it.configure({"docs": it.folder, "other": other})
        process.send_signal(signal.SIGHUP)
        eventually(lambda: synced(it, "a.txt", "b.txt"))
        assert process.poll() is None


def test_a_pause_holds_everything_back_until_it_is_resumed(it: Ferry) -> None:
    with daemon(it):
        it.run("pause", check=0)
        it.write("a.txt", b"one")
        eventually(lambda: it.states() == {"a.txt": "pending"})
        assert it.run("wait", "--timeout", "1", check=6).returncode == 6
        assert "fileferry resume" in it.sync(check=5).stderr
        assert it.uploads() == 0
        it.run("resume", check=0)
        eventually(lambda: synced(it, "a.txt"))


def test_a_wait_ends_when_nothing_is_sent_before_somebody_acts(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.sync()
    it.emulator.set_key(it.secret, project="proj_of_somebody_else")
    it.write("b.txt", b"two")
    with daemon(it):
        refused = it.run("wait", check=8)
        assert "the index belongs to the account" in refused.stderr


@pytest.mark.slow
def test_a_hangup_changes_the_bandwidth_of_what_is_being_sent(it: Ferry) -> None:
    it.configure(remote='bandwidth = "100KiB"')
    it.write("large.bin", b"x" * 4 * 1024 * 1024)  # forty seconds at that rate
    with daemon(it) as process:
        eventually(lambda: it.json("status")["daemon"]["in_flight"] == 1)
        it.configure(remote='bandwidth = "0"')
        process.send_signal(signal.SIGHUP)
        eventually(lambda: synced(it, "large.bin"), 20)
        assert it.uploads() == 1, "it was not cut off and begun again"
        assert '"event": "reloading"' not in (it.home / "log").read_text()


@pytest.mark.slow
def test_a_hangup_with_a_broken_configuration_disturbs_nothing(it: Ferry) -> None:
    it.write("a.txt", b"one")
    with daemon(it) as process:
        eventually(lambda: synced(it, "a.txt"))
        it.config.write_text("[remote")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: '"reload_failed"' in (it.home / "log").read_text())
        it.write("b.txt", b"two")
        eventually(lambda: len(it.names()) == 2)
        assert '"event": "reloading"' not in (it.home / "log").read_text()
        assert process.poll() is None
