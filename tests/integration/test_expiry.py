"""Ids that expire, in real processes: who reads never gets a dead one, and who is responsible hears early of danger.

The server's clock is turned on instead of waiting; a new file makes the daemon ask, and so hear of it.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from integration.stories import Ferry, daemon, eventually

NOBODY = 65534
LATE_SECONDS = 3_300.0  # of an hour; it was due after three quarters

# Asks for every path, and for every id that it got asks the server whether it has it.
READER = """
import http.client, signal, sys
from fileferry import Index

host, port, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
server = http.client.HTTPConnection(host, port, timeout=10)
answers, gaps, dead, seen = 0, 0, [], set()
print("begun", flush=True)
with Index.open() as index:
    while not stop:
        for file in index.files("docs:kept"):
            answers += 1
            gaps += file.file_id is None
            if file.file_id is not None:
                seen.add(file.file_id)
                server.request("GET", "/v1/files/" + file.file_id, headers={"Authorization": "Bearer " + key})
                answer = server.getresponse()
                answer.read()
                if answer.status != 200:
                    dead.append(file.file_id)
print([answers, gaps, len(dead), len(seen)])
"""


@pytest.fixture
def it(public_path: Path) -> Iterator[Ferry]:
    with EmulatorProcess() as emulator:
        yield Ferry(public_path / "home", emulator, "sk-integration-expiry-secret")


@pytest.mark.slow
def test_a_reader_in_a_loop_never_gets_an_id_that_the_server_no_longer_has(it: Ferry) -> None:
    it.configure(expires_after="1h", retire_delay="2s")
    for number in range(8):
        it.write(f"kept/{number}.txt", b"%d" % number)
    with daemon(it):
        eventually(lambda: list(it.states().values()) == ["synced"] * 8)
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, it.emulator.host, str(it.emulator.port), it.secret],
            env=it.environ, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert reader.stdout is not None
        assert reader.stdout.readline() == "begun\n"
        for step in range(16):
            before = it.uploads()
            it.emulator.advance(600.0)
            it.write(f"news/{step}.txt", b"news %d" % step)
            eventually(partial(has_gone_on, it, before))
        reader.terminate()
        answers, gaps, dead, seen = json.loads(reader.communicate(timeout=10)[0])
    print(f"{answers} answers, {seen} ids")
    assert (gaps, dead) == (0, 0)
    assert seen >= 8 * 3  # most of three hours, and then some
    assert answers > 100


def has_gone_on(it: Ferry, uploads: int) -> bool:
    """Say whether more was sent than that, and nothing is left that is due within the next step."""
    soonest = it.query(
        "SELECT min(strftime('%s', expires_at) + 0) FROM remote_files WHERE state = 'live'"
    )
    return it.uploads() > uploads and bool(soonest[0][0] > it.emulator.now() + 900.0)


def refuse_uploads(it: Ferry) -> Callable[[], object]:
    it.emulator.add_fault("status", status=401, method="POST", path="/v1/files", count=999)
    return it.emulator.clear_faults


def empty(it: Ferry) -> Callable[[], object]:
    it.write("a.txt", b"")
    return lambda: it.write("a.txt", b"one")


def make_unreadable(it: Ferry) -> Callable[[], object]:
    path = it.folder / "a.txt"
    path.chmod(0)
    return lambda: path.chmod(0o644)


def as_nobody(it: Ferry) -> None:
    """Become one to whom a file can be unreadable, if it is root who runs the tests."""
    if os.geteuid() == 0:
        it.user = NOBODY
        for path in (it.home, *it.home.rglob("*")):
            os.chown(path, NOBODY, NOBODY)


@pytest.mark.parametrize(
    ("hinder", "exit_code", "reason"),
    [
        (refuse_uploads, 7, "the API refused the key"),
        (empty, 3, "its bytes are gone, and the new ones cannot be sent"),
        (make_unreadable, 3, "ermission denied"),
    ],
)
def test_sync_and_status_say_that_an_id_runs_out_and_why(
    it: Ferry, hinder: Callable[[Ferry], Callable[[], object]], exit_code: int, reason: str
) -> None:
    it.configure(expires_after="1h")
    it.write("a.txt", b"one")
    as_nobody(it)
    it.sync()
    assert it.json("status")["at_risk"] is None
    first = it.file_id("a.txt")
    it.emulator.advance(LATE_SECONDS)
    mend = hinder(it)
    it.write("b.txt", b"two")
    said = it.sync(check=exit_code).stderr
    assert "warning: 1 id not renewed in time, the first runs out " in said
    assert reason in said
    lines = it.run("status", check=0).stdout.splitlines()
    assert lines[1].startswith("1 id not renewed in time, the first runs out in ")
    assert lines[1].endswith(": docs:a.txt")
    assert reason in lines[2]
    risk = it.json("status")["at_risk"]
    assert (risk["ids"], risk["path"]) == (1, "docs:a.txt")
    assert 0 < risk["seconds"] < 600
    assert it.file_id("a.txt") == first
    mend()
    it.sync()
    assert it.json("status")["at_risk"] is None
    assert it.file_id("a.txt") != first


@pytest.mark.slow
def test_the_daemon_warns_in_its_log_and_where_systemd_shows_it(it: Ferry) -> None:
    it.configure(expires_after="1h")
    it.write("a.txt", b"one")
    with (
        tempfile.TemporaryDirectory() as place,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        systemd.bind(f"{place}/notify")
        systemd.settimeout(0.5)
        it.environ["NOTIFY_SOCKET"] = f"{place}/notify"
        it.sync()
        it.emulator.advance(LATE_SECONDS)
        refuse_uploads(it)  # a refusal tells no time: the greeting does
        with daemon(it):
            until, heard, number = time.monotonic() + 40, "", 0
            while "1 id not renewed in time, the first in " not in heard:
                assert time.monotonic() < until, heard
                it.write("b.txt", b"%d" % (number := number + 1))  # so that it has something to do
                with contextlib.suppress(TimeoutError):
                    heard = systemd.recv(65_536).decode()
            assert "STATUS=" in heard
            (warning,) = logged(it, "ids_run_out")
            assert (warning["level"], warning["ids"]) == ("warning", 1)
            assert warning["path"] == "docs:a.txt"
            assert "the API refused the key" in str(warning["reason"])
            # Others go by what the daemon has heard of the server's clock meanwhile.
            assert it.json("status")["at_risk"]["ids"] == 1


def logged(it: Ferry, event: str) -> list[dict[str, object]]:
    lines = (it.home / "log").read_text().splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    return [entry for entry in entries if entry.get("event") == event]


def test_status_says_how_far_the_clocks_are_apart_and_reckons_with_it(it: Ferry) -> None:
    it.emulator.advance(7_170.0)
    it.configure(expires_after="1h")
    it.write("a.txt", b"one")
    it.sync()
    status = it.json("status")
    (kept,) = it.query("SELECT strftime('%s', expires_at) + 0 FROM remote_files")[0]
    assert kept == it.stored()[0]["expires_at"]
    assert abs(status["remote"]["clock_skew_seconds"] - 7_170) < 5
    assert 3_500 < status["min_seconds_to_expiry"] <= 3_780
    assert "this machine's clock is 1 h 59 min behind the API's" in it.run("status").stdout


def test_an_id_that_has_run_out_by_the_server_s_clock_is_not_printed(it: Ferry) -> None:
    it.emulator.advance(-7_200.0)
    it.configure(expires_after="1h")
    it.write("a.txt", b"one")
    it.sync()
    (file,) = it.stored()
    assert it.file_id("a.txt") == file["id"]  # by our clock it ended before it was made
    it.emulator.advance(3_900.0)
    refuse_uploads(it)
    it.write("b.txt", b"two")
    it.sync(check=7)
    assert it.emulator.now() > file["expires_at"]
    assert it.run("id", "docs:a.txt").stdout == "\n"
    assert it.query("SELECT file_id FROM files WHERE path = 'a.txt'") == [(None,)]
