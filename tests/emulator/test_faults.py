"""Every fault, over real sockets where a connection must really close, and in one process."""

import socket
import time
from collections.abc import Iterator

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from emulator_inprocess import http_client
from emulator_process import EmulatorProcess
from fileferry.emulator import Fault, FaultKind, create_app

FORM = (
    b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    b"hello\r\n--B--\r\n"
)
HEAD = (
    b"POST /v1/files HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer sk-test\r\n"
    b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n" % len(FORM)
)
CREATE = {"method": "POST", "path": "/v1/files"}


@pytest.fixture(scope="module")
def process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as process:
        yield process


@pytest.fixture
def emulator(process: EmulatorProcess) -> EmulatorProcess:
    process.clear_faults()
    process.clear_requests()
    return process


@pytest.fixture
def sdk(emulator: EmulatorProcess) -> Iterator[OpenAI]:
    with OpenAI(api_key="sk-test", base_url=emulator.base_url, max_retries=0) as client:
        yield client


def talk(emulator: EmulatorProcess, *pieces: bytes) -> bytes:
    """Send the pieces and return everything until the server closes."""
    with socket.create_connection((emulator.host, emulator.port), timeout=5) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while True:
            try:
                chunk = connection.recv(65536)
            except ConnectionResetError:
                return answer
            if not chunk:
                return answer
            answer += chunk


def stored(emulator: EmulatorProcess) -> int:
    return len(emulator.files())


def test_a_drop_at_the_head_closes_the_socket_before_the_body(emulator: EmulatorProcess) -> None:
    before = stored(emulator)
    emulator.add_fault("drop_before", when="head", **CREATE)

    assert talk(emulator, HEAD) == b""
    assert stored(emulator) == before


def test_a_drop_after_the_body_stores_nothing(emulator: EmulatorProcess) -> None:
    before = stored(emulator)
    emulator.add_fault("drop_before", **CREATE)

    assert talk(emulator, HEAD, FORM) == b""
    assert stored(emulator) == before
    assert [fault["hits"] for fault in emulator.faults()] == [1]


def test_a_drop_after_storing_keeps_the_file_and_says_nothing(emulator: EmulatorProcess) -> None:
    before = stored(emulator)
    emulator.add_fault("drop_after", **CREATE)

    assert talk(emulator, HEAD, FORM) == b""
    assert stored(emulator) == before + 1
    (entry,) = emulator.requests()
    assert (entry["status"], entry["faults"]) == (None, ["drop_after"])


def test_a_truncated_answer_is_shorter_than_it_says(emulator: EmulatorProcess) -> None:
    before = stored(emulator)
    emulator.add_fault("truncate", **CREATE)

    head, _, body = talk(emulator, HEAD, FORM).partition(b"\r\n\r\n")

    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"content-length" in line
    )
    assert head.startswith(b"HTTP/1.1 200")
    assert 0 < len(body) < length
    assert stored(emulator) == before + 1


def test_a_drop_makes_the_sdk_send_again_and_leaves_a_duplicate(
    emulator: EmulatorProcess, sdk: OpenAI
) -> None:
    before = stored(emulator)
    emulator.add_fault("drop_after", **CREATE)

    sdk.with_options(max_retries=1).files.create(file=("a", b"x"), purpose="user_data")

    assert stored(emulator) == before + 2
    assert [entry["retry_count"] for entry in emulator.requests()] == ["0", "1"]


def test_a_status_has_its_body_and_headers(emulator: EmulatorProcess, sdk: OpenAI) -> None:
    emulator.add_fault(
        "status",
        status=429,
        code="rate_limit_exceeded",
        message="slow down",
        type="invalid_request_error",
        retry_after=3,
        headers={"x-should-retry": "false"},
        **CREATE,
    )

    with pytest.raises(openai.RateLimitError) as refusal:
        sdk.files.create(file=("a", b"x"), purpose="user_data")

    error = refusal.value
    assert (error.code, error.type) == ("rate_limit_exceeded", "invalid_request_error")
    assert error.response.headers["retry-after"] == "3"
    assert error.response.headers["x-should-retry"] == "false"
    assert sdk.files.create(file=("a", b"x"), purpose="user_data").bytes == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delay_is_a_delay(emulator: EmulatorProcess, sdk: OpenAI, when: str) -> None:
    emulator.add_fault("delay", seconds=0.4, when=when, **CREATE)
    before = stored(emulator)

    with pytest.raises(openai.APITimeoutError):
        sdk.with_options(timeout=0.2).files.create(file=("a", b"x"), purpose="user_data")

    assert stored(emulator) == before + (when == "after")


def test_faults_skip_count_and_match_their_route(emulator: EmulatorProcess, sdk: OpenAI) -> None:
    emulator.add_fault("status", method="GET", path="/v1/files/*", skip=1, count=2, status=404)
    made = sdk.files.create(file=("a", b"x"), purpose="user_data")

    outcomes = []
    for _ in range(4):
        try:
            sdk.files.retrieve(made.id)
        except openai.NotFoundError:
            outcomes.append("refused")
        else:
            outcomes.append("passed")
    sdk.files.list(limit=1)

    assert outcomes == ["passed", "refused", "refused", "passed"]
    assert [fault["hits"] for fault in emulator.faults()] == [2]


def test_a_fault_that_makes_no_sense_is_refused(emulator: EmulatorProcess) -> None:
    for details in ({"when": "after"}, {"nonsense": 1}, {"count": -1}):
        with pytest.raises(ValueError, match="400"):
            emulator.add_fault("drop_before", **details)
    with pytest.raises(ValueError, match="400"):
        emulator.add_fault("nonsense")


async def test_reads_can_lag_behind_writes() -> None:
    now = [1_800_000_000.0]
    app = create_app(clock=lambda: now[0], inline_io=True)
    emulator = app.state.emulator
    async with http_client(app) as client:
        sdk = AsyncOpenAI(
            api_key="sk", base_url="http://emulator/v1", http_client=client, max_retries=0
        )
        old = await sdk.files.create(file=("old", b"x"), purpose="user_data")
        gone = await sdk.files.create(file=("gone", b"x"), purpose="user_data")
        now[0] += 100
        await sdk.files.delete(gone.id)
        new = await sdk.files.create(file=("new", b"x"), purpose="user_data")
        emulator.add_fault(
            Fault(FaultKind.STALE_LISTING, path="/v1/files", seconds=60, deleted_seconds=60)
        )
        emulator.add_fault(Fault(FaultKind.STALE_GET, path="/v1/files/*", count=2, seconds=60))
        emulator.add_fault(Fault(FaultKind.NULL_BYTES, method="POST", path="/v1/files"))

        stale = [file.id for file in (await sdk.files.list(order="asc")).data]
        fresh = [file.id for file in (await sdk.files.list(order="asc")).data]
        with pytest.raises(openai.NotFoundError):
            await sdk.files.retrieve(new.id)
        assert (await sdk.files.retrieve(old.id)).bytes == 1
        assert (await sdk.files.retrieve(new.id)).bytes == 1
        unknown = await sdk.files.create(file=("a", b"x"), purpose="user_data")

    assert stale == [old.id, gone.id]
    assert fresh == [old.id, new.id]
    assert unknown.model_dump()["bytes"] is None
    emulator.close()


@pytest.mark.parametrize(
    ("kind", "cause", "count"),
    [
        (FaultKind.DROP_BEFORE, httpx2.ReadError, 0),
        (FaultKind.DROP_AFTER, httpx2.ReadError, 1),
        (FaultKind.TRUNCATE, httpx2.RemoteProtocolError, 1),
    ],
)
async def test_in_one_process_a_drop_is_an_error_of_the_network(
    kind: FaultKind, cause: type[Exception], count: int
) -> None:
    app = create_app(inline_io=True)
    app.state.emulator.add_fault(Fault(kind))
    async with http_client(app) as client:
        sdk = AsyncOpenAI(
            api_key="sk", base_url="http://emulator/v1", http_client=client, max_retries=0
        )
        with pytest.raises(openai.APIConnectionError) as failure:
            await sdk.files.create(file=("a", b"x"), purpose="user_data")

    assert isinstance(failure.value.__cause__, cause)
    assert len(app.state.emulator.files()) == count
    app.state.emulator.close()


def test_a_fault_with_a_probability_is_repeatable(emulator: EmulatorProcess) -> None:
    def outcomes() -> list[object]:
        emulator.clear_faults()
        emulator.clear_requests()
        emulator.add_fault("status", count=None, probability=0.5, seed=3)
        for _ in range(16):
            httpx2.get(f"{emulator.base_url}/files?limit=1", headers={"Authorization": "Bearer x"})
        return [entry["status"] for entry in emulator.requests()]

    first = outcomes()

    assert outcomes() == first
    assert set(first) == {200, 500}


def test_a_slow_request_does_not_hold_up_others(emulator: EmulatorProcess, sdk: OpenAI) -> None:
    emulator.add_fault("delay", seconds=2, **CREATE)
    with socket.create_connection((emulator.host, emulator.port)) as slow:
        slow.sendall(HEAD + FORM)
        while not emulator.requests():
            time.sleep(0.01)
        sdk.files.list(limit=1)
        answered = {entry["method"]: entry["status"] for entry in emulator.requests()}
    assert answered == {"POST": None, "GET": 200}
