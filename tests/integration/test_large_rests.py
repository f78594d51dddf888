"""A large file that rests: stopped, interrupted, paused, without a line, without a quota; and what is shown of it."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator_process import EmulatorProcess
from integration.stories import Ferry, daemon, eventually

MIB = 1024 * 1024
SIZE = 24 * MIB  # parts of 2 MiB: over a second each, four at once


@pytest.fixture(scope="module")
def line() -> Iterator[EmulatorProcess]:
    """Return an emulator behind a line of 1.5 MiB a second for each connection."""
    with EmulatorProcess(bandwidth=1.5 * MIB) as running:
        running.settings(uploads_all_purposes=True)
        yield running


def ferry(home: Path, emulator: EmulatorProcess) -> Ferry:
    emulator.clear_requests()
    it = Ferry(home / "home", emulator, f"sk-{home.name}-{os.getpid()}")
    it.configure(remote='multipart_threshold = "1MiB"\ncheck_interval = "1s"')
    it.write("large.bin", os.urandom(SIZE))
    return it


def posts(it: Ferry, end: str) -> list[dict[str, Any]]:
    return [
        request
        for request in it.emulator.requests()
        if request["method"] == "POST" and str(request["path"]).endswith(end)
    ]


def arrived(it: Ferry) -> int:
    return sum(part["status"] == 200 for part in posts(it, "/parts"))


def assert_every_part_went_once(it: Ferry) -> None:
    (file,) = it.stored()
    assert (file["bytes"], it.file_id("large.bin")) == (SIZE, file["id"])
    assert len(posts(it, "/v1/uploads")) == 1
    assert len(posts(it, "/parts")) == SIZE // (2 * MIB)


@pytest.mark.slow
def test_a_daemon_that_is_stopped_lets_the_parts_under_way_end_and_begins_no_other(
    tmp_path: Path, line: EmulatorProcess
) -> None:
    it = ferry(tmp_path, line)
    with daemon(it) as process:
        eventually(lambda: arrived(it) > 0)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 4
    assert 0 < arrived(it) < SIZE // (2 * MIB)
    it.sync()
    assert_every_part_went_once(it)


@pytest.mark.slow
def test_a_sync_that_is_interrupted_goes_on_with_the_next(
    tmp_path: Path, line: EmulatorProcess
) -> None:
    it = ferry(tmp_path, line)
    with it.start("sync") as process:
        eventually(lambda: arrived(it) > 0)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert time.monotonic() - began < 4
    it.sync()
    assert_every_part_went_once(it)


@pytest.mark.slow
def test_a_pause_begins_no_further_part_and_resume_goes_on(
    tmp_path: Path, line: EmulatorProcess
) -> None:
    it = ferry(tmp_path, line)
    with daemon(it):
        eventually(lambda: arrived(it) > 0)
        it.run("pause", check=0)
        time.sleep(2)
        begun = len(posts(it, "/parts"))
        time.sleep(1.5)
        assert arrived(it) == len(posts(it, "/parts")) == begun < SIZE // (2 * MIB)
        it.run("resume", check=0)
        eventually(lambda: it.states()["large.bin"] == "synced")
    assert_every_part_went_once(it)


@pytest.mark.slow
def test_status_says_how_far_it_is(tmp_path: Path, line: EmulatorProcess) -> None:
    it = ferry(tmp_path, line)
    with daemon(it):
        eventually(lambda: arrived(it) > 0)
        text = it.run("status", check=0).stdout
        (sending,) = json.loads(it.run("status", "--json", check=0).stdout)["daemon"]["sending"]
        assert "sending docs:large.bin: " in text
        assert " of 24.0 MiB (" in text
        assert "of 12 parts" in text
        assert (sending["path"], sending["bytes"], sending["parts"]) == ("docs:large.bin", SIZE, 12)
        assert 0 < sending["parts_sent"] <= 12
        assert 0 < sending["bytes_sent"] <= SIZE
        eventually(lambda: it.states()["large.bin"] == "synced")
        assert json.loads(it.run("status", "--json", check=0).stdout)["daemon"]["sending"] == []


@pytest.mark.slow
def test_a_line_that_was_cut_costs_the_parts_under_way(tmp_path: Path) -> None:
    data, port = tmp_path / "data", 0
    with EmulatorProcess(data=data, bandwidth=1.5 * MIB) as before:
        before.settings(uploads_all_purposes=True)
        port = before.port
        it = ferry(tmp_path, before)
        with daemon(it) as process:
            eventually(lambda: arrived(it) > 3)
            sent = len(posts(it, "/parts"))
            before.kill()
            time.sleep(1)
            with EmulatorProcess(data=data, port=port) as after:
                after.settings(uploads_all_purposes=True)
                after.set_key(it.secret, project=it.project)
                it.emulator = after
                eventually(lambda: it.states().get("large.bin") == "synced", 30)
                assert process.poll() is None
                assert posts(it, "/v1/uploads") == []
                assert len(posts(it, "/parts")) + sent - 12 <= 4
                assert [file["bytes"] for file in it.stored()] == [SIZE]


@pytest.mark.slow
def test_a_used_up_quota_rests_and_says_so(tmp_path: Path, line: EmulatorProcess) -> None:
    it = ferry(tmp_path, line)
    line.add_fault(
        "status", method="POST", path="/v1/uploads/*/parts", status=429, code="insufficient_quota",
        message="You exceeded your current quota.", skip=4, count=None,
    )  # fmt: skip
    with daemon(it):
        status = eventually(lambda: it.run("status").stdout if len(posts(it, "/parts")) > 4 else "")
        status = eventually(
            lambda: text if "quota" in (text := it.run("status").stdout) else "", 10
        )
        assert "trouble: the quota is used up: You exceeded your current quota." in status
        calls = len(it.emulator.requests())
        time.sleep(3)
        assert len(it.emulator.requests()) - calls <= 3  # listings, not parts
        it.write("small.txt", b"this one waits too\n")
        line.clear_faults()
        it.run("resume", check=0)
        eventually(lambda: set(it.states().values()) == {"synced"})
    assert len(posts(it, "/v1/uploads")) == 1
