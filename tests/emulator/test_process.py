"""The emulator as a process: starting, stopping, dying, coming back, and large bodies."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI

from emulator_process import EmulatorProcess
from fileferry.emulator import serve

MEBIBYTE = 1024 * 1024


def client(emulator: EmulatorProcess) -> OpenAI:
    return OpenAI(api_key="sk-test", base_url=emulator.base_url, max_retries=0)


def frame(content_bytes: int) -> tuple[bytes, bytes, bytes]:
    """Return the head, the start and the end of a create with a file of this size."""
    start = (
        b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    )
    end = b"\r\n--B--\r\n"
    length = len(start) + content_bytes + len(end)
    head = (
        b"POST /v1/files HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer sk-test\r\n"
        b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n" % length
    )
    return head, start, end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_at_once_even_with_open_connections(number: int) -> None:
    emulator = EmulatorProcess()
    with client(emulator) as sdk, socket.create_connection((emulator.host, emulator.port)):
        sdk.files.list()
        started = time.monotonic()

        assert emulator.stop(number) == 0

    assert time.monotonic() - started < 3


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    emulator = EmulatorProcess(data=tmp_path)
    with client(emulator) as sdk:
        ids = [
            sdk.files.create(file=(f"{n}.jsonl", b"{}" * n), purpose="batch").id
            for n in (1, 10, 400_000)
        ]
        sdk.files.delete(ids[0])
        head, start, _ = frame(4 * MEBIBYTE)
        with socket.create_connection((emulator.host, emulator.port)) as unfinished:
            unfinished.sendall(head + start + b"x" * (2 * MEBIBYTE))
            emulator.kill()

    with EmulatorProcess(data=tmp_path) as again, client(again) as sdk:
        assert [file.id for file in sdk.files.list(order="asc")] == ids[1:]
        assert sdk.files.content(ids[2]).content == b"{}" * 400_000
        with pytest.raises(openai.NotFoundError):
            sdk.files.retrieve(ids[0])
    assert list((tmp_path / "incoming").iterdir()) == []
    assert {blob.name for blob in (tmp_path / "blobs").iterdir()} == set(ids[1:])


def test_two_emulators_do_not_share_a_directory(tmp_path: Path) -> None:
    with EmulatorProcess(data=tmp_path), pytest.raises(RuntimeError, match="did not start"):
        EmulatorProcess(data=tmp_path)


def test_only_loopback_is_served_unless_asked() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.org"):
        with pytest.raises(ValueError, match="not a loopback address"):
            serve(host=host, port=0)


def test_a_taken_port_is_an_error_in_words() -> None:
    with EmulatorProcess() as emulator:
        done = subprocess.run(
            [sys.executable, "-m", "fileferry.emulator", "--port", str(emulator.port)],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
            env={"PYTHONPATH": str(Path(serve.__code__.co_filename).parents[2])},
        )

    assert done.returncode == 1
    assert done.stdout == ""
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as process:
        yield process


@pytest.mark.parametrize("reason", ["key", "purpose"])
def test_an_early_refusal_of_a_large_body_reaches_the_client(
    process: EmulatorProcess, reason: str
) -> None:
    process.set_key("sk-bad", status="invalid")
    key = "sk-bad" if reason == "key" else "sk-good"
    with OpenAI(api_key=key, base_url=process.base_url, max_retries=0) as sdk:
        with pytest.raises(openai.APIStatusError) as refusal:
            sdk.files.create(
                file=("a", b"x" * (40 * MEBIBYTE)),
                purpose="nonsense" if reason == "purpose" else "user_data",  # type: ignore[arg-type]  # wrong on purpose
            )
        assert refusal.value.status_code == (401 if reason == "key" else 400)


def test_too_large_is_said_before_the_body_comes(process: EmulatorProcess) -> None:
    head, _, _ = frame(600 * MEBIBYTE)
    with socket.create_connection((process.host, process.port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_a_client_that_leaves_in_the_middle_leaves_nothing(process: EmulatorProcess) -> None:
    before = len(process.files())
    process.clear_requests()
    head, start, _ = frame(MEBIBYTE)
    with socket.create_connection((process.host, process.port)) as connection:
        connection.sendall(head + start + b"x" * 1000)
    deadline = time.monotonic() + 5
    while process.requests()[0]["status"] is None and time.monotonic() < deadline:
        time.sleep(0.02)

    assert process.requests()[0]["status"] == 499
    assert len(process.files()) == before


def test_a_chunked_body_is_taken(process: EmulatorProcess) -> None:
    _, start, end = frame(0)
    connection = http.client.HTTPConnection(process.host, process.port, timeout=5)
    connection.request(
        "POST",
        "/v1/files",
        iter([start, b"x" * 70_000, end]),
        {"Authorization": "Bearer x", "Content-Type": "multipart/form-data; boundary=B"},
        encode_chunked=True,
    )
    assert connection.getresponse().status == 200
    connection.close()
    assert process.files()[-1]["bytes"] == 70_000


def test_a_minute_is_kept_by_the_clock_of_the_server() -> None:
    with EmulatorProcess(requests_per_minute=2) as emulator, client(emulator) as sdk:
        for _ in range(2):
            sdk.files.create(file=("a", b"x"), purpose="user_data")
        with pytest.raises(openai.RateLimitError) as refusal:
            sdk.files.create(file=("a", b"x"), purpose="user_data")
        sdk.files.list()
        headers = refusal.value.response.headers
        assert refusal.value.code == "rate_limit_exceeded"
        assert headers["x-ratelimit-limit-requests"] == "2"
        assert headers["x-ratelimit-remaining-requests"] == "0"

        emulator.advance(int(headers["retry-after"]))
        sdk.files.create(file=("a", b"x"), purpose="user_data")


def test_bandwidth_and_latency_slow_a_request_down() -> None:
    with EmulatorProcess(bandwidth=MEBIBYTE, latency_ms=50) as emulator, client(emulator) as sdk:
        started = time.monotonic()
        sdk.files.create(file=("a", b"x" * (MEBIBYTE // 2)), purpose="user_data")
        assert time.monotonic() - started > 0.5


def test_foreign_files_and_settings_are_made_from_outside(process: EmulatorProcess) -> None:
    made = process.add_file("theirs.txt", "hello", project="proj_default")
    with client(process) as sdk:
        assert sdk.files.retrieve(str(made["id"])).filename == "theirs.txt"
    assert process.settings(latency_ms=0)["latency_ms"] == 0
    process.set_clock(2_000_000_000)
    assert 0 <= process.now() - 2_000_000_000 < 5
    process.call("POST", "clock", {"offset": 0})


@pytest.mark.slow
def test_half_a_gigabyte_passes_through_little_memory(process: EmulatorProcess) -> None:
    def peak_kib() -> int:
        text = Path(f"/proc/{process.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0])

    head, start, end = frame(512 * MEBIBYTE)
    before = peak_kib()
    with socket.create_connection((process.host, process.port), timeout=50) as connection:
        connection.sendall(head + start)
        for _ in range(512):
            connection.sendall(b"x" * MEBIBYTE)
        connection.sendall(end)
        answer = connection.recv(65536)
    growth_mib = (peak_kib() - before) / 1024
    print(f"peak memory grew by {growth_mib:.1f} MiB")

    assert answer.startswith(b"HTTP/1.1 200")
    assert process.files()[-1]["bytes"] == 512 * MEBIBYTE
    assert growth_mib < 24
