"""Large files through the installed command: in parts, side by side, and on from where they were."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator_process import EmulatorProcess
from integration.stories import Ferry, daemon, eventually

MIB = 1024 * 1024
REMOTE = 'multipart_threshold = "1MiB"\ncheck_interval = "1s"'


@pytest.fixture(scope="module")
def fast() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as running:
        yield running


@pytest.fixture(scope="module")
def slow() -> Iterator[EmulatorProcess]:
    """Return an emulator behind a line: 100 ms, and 4 MiB a second for each connection."""
    with EmulatorProcess(latency_ms=100, bandwidth=4 * MIB) as running:
        yield running


def ferry(
    home: Path,
    emulator: EmulatorProcess,
    *,
    all_purposes: bool = True,
    remote: str = "",
    expires_after: str = "7d",
) -> Ferry:
    emulator.clear_requests()
    emulator.settings(uploads_all_purposes=all_purposes)
    emulator.call("POST", "clock", {"offset": 0})
    it = Ferry(home / "home", emulator, f"sk-{home.name}-{os.getpid()}")
    it.configure(remote=f"{REMOTE}\n{remote}", expires_after=expires_after)
    return it


def posts(it: Ferry, end: str) -> list[dict[str, Any]]:
    """Return what this test posted to an address of the Uploads API, or to `/files`."""
    return [
        request
        for request in it.emulator.requests()
        if request["method"] == "POST" and str(request["path"]).endswith(end)
    ]


def arrived(it: Ferry) -> int:
    return sum(part["bytes"] for part in posts(it, "/parts") if part["status"] == 200)


def write(it: Ferry, size: int, name: str = "large.bin") -> str:
    content = os.urandom(size)
    it.write(name, content)
    return hashlib.sha256(content).hexdigest()


def test_parts_go_side_by_side_and_become_the_file(tmp_path: Path, slow: EmulatorProcess) -> None:
    it = ferry(tmp_path, slow, expires_after="2h")
    digest = write(it, 7_500_000)
    it.sync()
    (file,) = it.stored()
    assert (file["sha256"], file["bytes"], file["filename"]) == (digest, 7_500_000, "large.bin")
    assert 0 <= 7_200 - (file["expires_at"] - file["created_at"]) <= 3_600  # the nonce is in it
    begun = [part["at_monotonic"] for part in posts(it, "/parts")]
    assert len(begun) == 8
    assert begun[3] - begun[0] < 0.3  # four before the first could be answered
    assert posts(it, "/v1/files") == []
    assert it.file_id("large.bin") == file["id"]
    it.sync()
    assert len(it.stored()) == 1
    assert len(posts(it, "/v1/uploads")) == 1


def test_a_killed_upload_goes_on_where_it_was(tmp_path: Path, slow: EmulatorProcess) -> None:
    it = ferry(tmp_path, slow)
    size = 24 * MIB
    digest = write(it, size)
    with daemon(it) as process:
        eventually(lambda: arrived(it) >= 0.6 * size, 30)
        process.kill()
        process.wait()
    (begun,) = it.json("status")["begun"]
    assert (begun["path"], begun["bytes"], begun["parts"]) == ("docs:large.bin", size, 12)
    assert 4 <= begun["parts_sent"] <= 11
    assert (
        f"half sent: docs:large.bin, {begun['parts_sent']} of 12 parts" in it.run("status").stdout
    )
    with daemon(it):
        eventually(it.stored, 30)
    assert it.json("status")["begun"] == []
    assert [file["sha256"] for file in it.stored()] == [digest]
    assert len(posts(it, "/v1/uploads")) == 1
    # Parts of 2 MiB; one for each connection may go twice.
    assert len(posts(it, "/parts")) - 12 <= 4
    assert '"event": "upload_resumed"' in (it.home / "log").read_text()


@pytest.mark.slow
def test_an_upload_whose_hour_is_over_is_begun_again(tmp_path: Path, slow: EmulatorProcess) -> None:
    it = ferry(tmp_path, slow)
    digest = write(it, 8 * MIB)
    with daemon(it) as process:
        eventually(lambda: arrived(it) > 0)
        process.kill()
        process.wait()
    slow.advance(3_590)
    it.sync()
    assert [file["sha256"] for file in it.stored()] == [digest]
    assert len(posts(it, "/v1/uploads")) == 2


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_sent_is_sent_anew(
    tmp_path: Path, slow: EmulatorProcess
) -> None:
    it = ferry(tmp_path, slow)
    write(it, 16 * MIB)
    slow.add_fault("status", method="POST", path="/v1/uploads/*/cancel", status=500)
    with daemon(it):
        eventually(lambda: arrived(it) > 0)
        digest = write(it, 3 * MIB)
        eventually(lambda: [file["sha256"] for file in it.stored()] == [digest], 30)
        eventually(lambda: [call["status"] for call in posts(it, "/cancel")] == [500, 200])
    assert [file["sha256"] for file in it.stored()] == [digest]
    assert len(posts(it, "/complete")) == 1


@pytest.mark.slow
def test_what_was_left_of_a_file_that_changed_meanwhile_is_cancelled_whatever_comes_between(
    tmp_path: Path, slow: EmulatorProcess
) -> None:
    it = ferry(tmp_path, slow)
    write(it, 16 * MIB)
    with daemon(it) as process:
        eventually(lambda: arrived(it) > 0)
        process.kill()
        process.wait()
    digest = write(it, 3 * MIB)
    slow.add_fault("drop_before", method="POST", path="/v1/uploads/*/cancel")
    with daemon(it) as process:
        eventually(lambda: len(posts(it, "/cancel")) == 1)
        process.kill()
        process.wait()
    with daemon(it):
        eventually(lambda: [file["sha256"] for file in it.stored()] == [digest], 30)
        eventually(lambda: [call["status"] for call in posts(it, "/cancel")] == [None, 200])
    assert len(posts(it, "/complete")) == 1


@pytest.mark.slow
def test_an_edit_that_keeps_the_size_and_the_time_is_noticed(
    tmp_path: Path, slow: EmulatorProcess
) -> None:
    it = ferry(tmp_path, slow)
    write(it, 8 * MIB)
    path = it.folder / "large.bin"
    with daemon(it):
        eventually(lambda: arrived(it) > 0)
        times = path.stat()
        with path.open("r+b") as file:
            file.write(b"other")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        eventually(lambda: [file["sha256"] for file in it.stored()] == [digest], 30)


@pytest.mark.slow
def test_a_part_that_fails_is_sent_again_and_no_other(
    tmp_path: Path, fast: EmulatorProcess
) -> None:
    it = ferry(tmp_path, fast)
    digest = write(it, 8 * MIB)
    for kind, skip in (("status", 1), ("drop_before", 2), ("drop_after", 3), ("truncate", 4)):
        fast.add_fault(kind, method="POST", path="/v1/uploads/*/parts", skip=skip)
    it.sync()
    assert [file["sha256"] for file in it.stored()] == [digest]
    assert len(posts(it, "/parts")) == 8 + 4
    assert len(posts(it, "/v1/uploads")) == 1


def test_a_complete_whose_answer_is_lost_leaves_one_file(
    tmp_path: Path, fast: EmulatorProcess
) -> None:
    it = ferry(tmp_path, fast)
    write(it, 4 * MIB)
    fast.add_fault("drop_after", method="POST", path="/v1/uploads/*/complete")
    with daemon(it):
        eventually(lambda: it.states().get("large.bin") == "synced")
    (file,) = it.stored()
    assert it.file_id("large.bin") == file["id"]
    assert len(posts(it, "/complete")) == 1


@pytest.mark.slow
def test_a_complete_that_never_arrived_is_asked_for_again(
    tmp_path: Path, fast: EmulatorProcess
) -> None:
    it = ferry(tmp_path, fast)
    write(it, 4 * MIB)
    fast.add_fault("drop_before", method="POST", path="/v1/uploads/*/complete")
    with daemon(it):
        eventually(lambda: it.states().get("large.bin") == "synced")
    assert len(it.stored()) == 1
    assert len(posts(it, "/parts")) == 4  # what had arrived was not sent again
    assert len(posts(it, "/complete")) == 2


def test_a_file_that_was_damaged_on_its_way_is_sent_anew_but_not_over_and_over(
    tmp_path: Path, fast: EmulatorProcess
) -> None:
    it = ferry(tmp_path, fast)
    digest = write(it, 4 * MIB)
    damaged = "The md5 does not match the uploaded bytes."
    fast.add_fault(
        "status", method="POST", path="/v1/uploads/*/complete", status=400, message=damaged
    )
    it.sync(check=3)
    ((state, error),) = it.query("SELECT state, error FROM files")
    assert (state, len(posts(it, "/complete"))) == ("error", 1)
    assert "damaged" in error
    it.run("retry", check=0)
    it.sync()
    assert [file["sha256"] for file in it.stored()] == [digest]
    assert [call["status"] for call in posts(it, "/cancel")] == [200]


def test_an_upload_that_somebody_else_cancelled_is_begun_again(
    tmp_path: Path, fast: EmulatorProcess
) -> None:
    it = ferry(tmp_path, fast)
    digest = write(it, 4 * MIB)
    gone = "No such Upload object"
    fast.add_fault(
        "status", method="POST", path="/v1/uploads/*/parts", status=404, message=gone, skip=2
    )
    it.sync()
    assert [file["sha256"] for file in it.stored()] == [digest]
    assert len(posts(it, "/v1/uploads")) == 2


def test_a_refused_purpose_goes_in_one_piece_and_is_not_asked_for_again(
    tmp_path: Path, fast: EmulatorProcess
) -> None:
    it = ferry(tmp_path, fast, all_purposes=False)
    digests = [write(it, 2 * MIB, "a.bin")]
    it.sync()
    digests.append(write(it, 3 * MIB, "b.bin"))
    it.sync()
    assert [file["sha256"] for file in it.stored()] == digests
    assert [call["status"] for call in posts(it, "/v1/uploads")] == [400]
    assert len(posts(it, "/v1/files")) == 2


@pytest.mark.slow
def test_what_fits_no_way_is_rejected_with_the_reason(
    tmp_path: Path, fast: EmulatorProcess
) -> None:
    it = ferry(tmp_path, fast, all_purposes=False)
    with (it.folder / "huge.bin").open("wb") as file:
        file.truncate(512_000_001)
    it.sync(check=3)
    ((state, error),) = it.query("SELECT state, error FROM files")
    assert state == "rejected"
    assert "user_data" in error
    assert posts(it, "/v1/files") == []
    it.sync(check=3)
    assert len(posts(it, "/v1/uploads")) == 1


@pytest.mark.parametrize("is_running", [False, True], ids=["without a daemon", "with one"])
def test_a_retry_asks_again_for_what_was_refused(
    tmp_path: Path, fast: EmulatorProcess, is_running: bool
) -> None:
    it = ferry(tmp_path, fast, all_purposes=False)
    with (it.folder / "huge.bin").open("wb") as file:
        file.truncate(512_000_001)
    with daemon(it) if is_running else contextlib.nullcontext():
        it.sync(check=3)
        it.run("retry", check=0)
        it.sync(check=3)
        assert it.states() == {"huge.bin": "rejected"}
    assert len(posts(it, "/v1/uploads")) == 2


@pytest.mark.slow
def test_what_the_line_cannot_carry_in_an_hour_is_not_begun(
    tmp_path: Path, fast: EmulatorProcess
) -> None:
    it = ferry(tmp_path, fast, remote='bandwidth = "100KiB"')
    with (it.folder / "huge.bin").open("wb") as file:
        file.truncate(513_000_000)
    it.sync(check=3)
    ((state, error),) = it.query("SELECT state, error FROM files")
    assert state == "error"
    assert "needs 0.14 MB a second" in error
    assert posts(it, "/v1/uploads") == []


@pytest.mark.slow
def test_small_files_do_not_wait_for_large_ones(tmp_path: Path, slow: EmulatorProcess) -> None:
    it = ferry(tmp_path, slow, remote="concurrency = 1")
    write(it, 24 * MIB, "a.bin")
    with daemon(it):
        eventually(lambda: posts(it, "/parts"))
        write(it, 1_000, "b.bin")
        eventually(lambda: it.states().get("b.bin") == "synced")
        assert it.states()["a.bin"] == "pending"
        eventually(lambda: it.states().get("a.bin") == "synced", 30)


def _field_mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, fast: EmulatorProcess) -> None:
    it = ferry(tmp_path, fast)
    it.write("note.txt", b"first\n")
    with daemon(it) as process:
        eventually(lambda: it.states().get("note.txt") == "synced")
        idle = _field_mib(process.pid, "VmRSS")
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
        digest = write(it, 300 * MIB)
        eventually(lambda: it.states().get("large.bin") == "synced", 150)
        peak = _field_mib(process.pid, "VmHWM")
    assert digest in {file["sha256"] for file in it.stored()}
    assert peak - idle < 48, f"{idle:.0f} MiB idle, {peak:.0f} MiB at most"
