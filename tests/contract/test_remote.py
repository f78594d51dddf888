"""The contract of a Remote (`fileferry.remote.base`), kept by every one of them.

In process the emulator is called directly; over HTTP it is another process with real sockets; `live` is the real API,
for what can be asked of it without harm.
"""

import io
import itertools
import os
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import httpx2
import pytest

from emulator_inprocess import EmulatorTransport
from emulator_process import EmulatorProcess
from fileferry.clock import SystemClock
from fileferry.daemon.workers import ThreadWorkers
from fileferry.emulator import EmulatorApp, Fault, FaultKind, Key, KeyStatus, Moment, create_app
from fileferry.errors import (
    CredentialsRefused,
    OutcomeUnknown,
    QuotaExhausted,
    RemoteError,
    RemoteMissing,
    RemoteRefused,
    RemoteUnavailable,
    SourceChanged,
)
from fileferry.local.reader import open_source
from fileferry.model import RemoteFile
from fileferry.remote.base import Upload
from fileferry.remote.openai import OpenAIRemote, connect

KEY = "sk-contract-0123456789abcdef"
CREATE = {"method": "POST", "path": "/v1/files"}
LARGE = 3 * 1024 * 1024


class Bench(Protocol):
    """A remote, and the other side of it."""

    remote: OpenAIRemote
    secret: str
    project: str

    def fault(self, kind: str, **details: Any) -> None: ...
    def key(self, status: str) -> None: ...
    def requests(self) -> list[dict[str, Any]]: ...
    def files(self) -> list[dict[str, Any]]: ...
    def settings(self, **changes: Any) -> None: ...
    async def foreign(self, filename: str, **details: Any) -> None: ...


def remote_at(
    base_url: str, workers: ThreadWorkers, transport: httpx2.AsyncBaseTransport | None, key: str
) -> OpenAIRemote:
    return connect(
        api_key=key,
        base_url=base_url,
        organization=None,
        project=None,
        clock=SystemClock(),
        offload=workers.run,
        transport=transport,
    )


class InProcess:
    """The emulator's application, called directly."""

    def __init__(self, app: EmulatorApp, workers: ThreadWorkers) -> None:
        self.state = app.state.emulator
        self.secret = KEY
        self.project = "proj_default"
        self.remote = remote_at("http://emulator/v1", workers, EmulatorTransport(app), KEY)

    def fault(self, kind: str, **details: Any) -> None:
        if "when" in details:
            details["when"] = Moment(details["when"])
        self.state.add_fault(Fault(FaultKind(kind), **details))

    def key(self, status: str) -> None:
        self.state.set_key(Key(KEY, KeyStatus(status)))

    def requests(self) -> list[dict[str, Any]]:
        return [asdict(request) for request in self.state.requests()]

    def files(self) -> list[dict[str, Any]]:
        return [asdict(file) for file in self.state.files()]

    def settings(self, **changes: Any) -> None:
        self.state.set_requests_per_minute(changes["requests_per_minute"])

    async def foreign(self, filename: str, **details: Any) -> None:
        await self.state.add_file(b"x", filename=filename, **details)


class OverHttp:
    """The emulator as a process, with sockets between. Each bench has a key and a project of its own."""

    numbers = itertools.count()

    def __init__(self, emulator: EmulatorProcess, workers: ThreadWorkers) -> None:
        number = next(self.numbers)
        self.emulator = emulator
        self.secret = f"{KEY}-{number}"
        self.project = f"proj_{number}"
        emulator.clear_faults()
        emulator.clear_requests()
        emulator.call("POST", "clock", {"offset": 0})
        emulator.settings(requests_per_minute=None)
        self.key("ok")
        self.remote = remote_at(emulator.base_url, workers, None, self.secret)

    def fault(self, kind: str, **details: Any) -> None:
        self.emulator.add_fault(kind, **details)

    def key(self, status: str) -> None:
        self.emulator.set_key(self.secret, status=status, project=self.project)

    def requests(self) -> list[dict[str, Any]]:
        return self.emulator.requests()

    def files(self) -> list[dict[str, Any]]:
        return [file for file in self.emulator.files() if file["project"] == self.project]

    def settings(self, **changes: Any) -> None:
        self.emulator.settings(**changes)

    async def foreign(self, filename: str, **details: Any) -> None:
        self.emulator.add_file(filename, project=self.project, **details)


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as running:
        yield running


@pytest.fixture(params=["in process", "over HTTP"])
async def bench(request: pytest.FixtureRequest, emulator: EmulatorProcess) -> AsyncIterator[Bench]:
    workers = ThreadWorkers(2)
    bench: InProcess | OverHttp
    if request.param == "in process":
        app = create_app()
        bench = InProcess(app, workers)
        yield bench
        await bench.remote.aclose()
        app.state.emulator.close()
    else:
        bench = OverHttp(emulator, workers)
        yield bench
        await bench.remote.aclose()
    workers.close()


async def create(
    bench: Bench,
    content: bytes = b"hello",
    *,
    name: str = "a.txt",
    purpose: str = "user_data",
    expires_seconds: int | None = None,
) -> RemoteFile:
    upload = Upload(name, len(content), purpose, expires_seconds)
    return await bench.remote.create(upload, io.BytesIO(content))


async def listing(remote: OpenAIRemote) -> list[RemoteFile]:
    files: list[RemoteFile] = []
    after: str | None = None
    while True:
        page = await remote.page(after)
        files += page.files
        if page.after is None:
            return files
        after = page.after


# What a call that returns has done.


async def test_what_was_created_is_there_and_what_was_deleted_is_not(bench: Bench) -> None:
    file = await create(bench, expires_seconds=7_200)
    assert (file.name, file.size, file.purpose) == ("a.txt", 5, "user_data")
    assert abs(file.created_at - time.time()) < 30
    assert file.expires_at == file.created_at + 7_200
    assert file.request_id
    assert await bench.remote.get(file.file_id) == file
    assert await listing(bench.remote) == [file]
    await bench.remote.delete(file.file_id)
    assert await listing(bench.remote) == []
    with pytest.raises(RemoteMissing):
        await bench.remote.get(file.file_id)


async def test_a_file_without_an_expiry_has_none(bench: Bench) -> None:
    assert (await create(bench)).expires_at is None


async def test_deleting_what_is_not_there_is_done(bench: Bench) -> None:
    file = await create(bench)
    await bench.remote.delete(file.file_id)
    await bench.remote.delete(file.file_id)
    await bench.remote.delete("file-that-never-was")


async def test_hello_says_whose_key_it_is(bench: Bench) -> None:
    account = await bench.remote.hello()
    assert (account.organization, account.project) == ("org-default", bench.project)


@pytest.mark.parametrize(
    "name",
    [
        'quotes "and" more.txt',
        "back\\slash.txt",
        "gr\u00fc\u00df \u65e5\u672c \U0001f40b.md",
        "semi;colon=.txt",
        "caf\\xe9.txt",
        ".hidden",
        "x" * 251 + ".txt",
    ],
)
async def test_odd_names_arrive_as_they_are(bench: Bench, name: str) -> None:
    assert (await create(bench, name=name)).name == name
    assert [file["filename"] for file in bench.files()] == [name]


@pytest.mark.parametrize("size", [1, 64 * 1024, 256 * 1024 + 1, LARGE])
async def test_the_bytes_that_arrive_are_the_bytes_of_the_file(
    bench: Bench, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    with open_source(os.fsencode(tmp_path), b"f", algorithm="sha256") as source:
        file = await bench.remote.create(Upload("f.bin", size, "user_data", None), source)
        digest = source.digest()
    assert file.size == size
    assert [f"sha256:{stored['sha256']}" for stored in bench.files()] == [digest]


async def test_a_listing_has_every_purpose_oldest_first_beyond_a_page(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileferry.remote.openai.PAGE_FILES", 10)
    for number in range(25):  # most of them in the same second
        purpose = ("user_data", "batch_output", "assistants")[number % 3]
        await bench.foreign(f"{number}.txt", purpose=purpose)
    files = await listing(bench.remote)
    assert sorted(file.name for file in files) == sorted(f"{number}.txt" for number in range(25))
    assert [file.created_at for file in files] == sorted(file.created_at for file in files)
    assert len([request for request in bench.requests() if request["method"] == "GET"]) == 3


@pytest.mark.slow
async def test_a_listing_beyond_a_thousand_is_whole(bench: Bench) -> None:
    for number in range(2_001):
        await bench.foreign(f"{number}.txt")
    files = await listing(bench.remote)
    assert len({file.file_id for file in files}) == len(files) == 2_001


async def test_a_size_that_is_not_known_yet_is_none(bench: Bench) -> None:
    bench.fault("null_bytes", **CREATE)
    assert (await create(bench)).size is None


# The three kinds of failure.


async def test_nobody_there_is_known_not_to_have_been_done(unused_tcp_port_: int) -> None:
    workers = ThreadWorkers(1)
    remote = remote_at(f"http://127.0.0.1:{unused_tcp_port_}/v1", workers, None, KEY)
    for call in every_call(remote):
        with pytest.raises(RemoteUnavailable) as caught:
            await call()
        assert caught.value.reached is False
    await remote.aclose()
    workers.close()


@pytest.fixture
def unused_tcp_port_() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def every_call(remote: OpenAIRemote) -> list[Callable[[], Any]]:
    upload = Upload("a.txt", 5, "user_data", None)
    return [
        lambda: remote.create(upload, io.BytesIO(b"hello")),
        remote.hello,
        lambda: remote.page(None),
        lambda: remote.get("file-x"),
        lambda: remote.delete("file-x"),
    ]


@pytest.mark.parametrize(
    ("kind", "details", "stored"),
    [
        pytest.param("drop_before", {}, 0, id="the connection closes after the body"),
        pytest.param("drop_before", {"when": "head"}, 0, id="or after the head"),
        pytest.param("drop_after", {}, 1, id="or when the file is stored"),
        pytest.param("truncate", {}, 1, id="the answer is cut off"),
        pytest.param("status", {"status": 408}, 0, id="408 after the body"),
        pytest.param("status", {"status": 409}, 0, id="409 after the body"),
        pytest.param("status", {"status": 500}, 0, id="500 after the body"),
        pytest.param("status", {"status": 503}, 0, id="503 after the body"),
    ],
)
async def test_an_upload_that_may_have_arrived_has_an_unknown_outcome(
    bench: Bench, kind: str, details: dict[str, Any], stored: int
) -> None:
    bench.fault(kind, **CREATE, **details)
    with pytest.raises(OutcomeUnknown):
        await create(bench)
    assert len(bench.files()) == stored
    assert len(bench.requests()) == 1


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "truncate", "status"])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
async def test_what_may_simply_be_asked_again_is_never_unknown(
    bench: Bench, kind: str, call: int
) -> None:
    bench.fault(kind, path="/v1/files**")
    with pytest.raises(RemoteUnavailable):
        await every_call(bench.remote)[call]()
    assert len(bench.requests()) == 1


@pytest.mark.parametrize("seconds", [0.0, 1.0, 20.0, 900.0])
async def test_a_server_that_asks_to_slow_down_says_for_how_long(
    bench: Bench, seconds: float
) -> None:
    for _ in range(5):
        bench.fault("status", status=429, retry_after=seconds, code="rate_limit_exceeded")
    for call in every_call(bench.remote):
        with pytest.raises(RemoteUnavailable) as caught:
            await call()
        assert caught.value.retry_after_seconds == seconds
        assert caught.value.status == 429
        assert caught.value.reached
    assert bench.files() == []


async def test_the_rate_limit_of_the_server_is_such_an_answer(bench: Bench) -> None:
    bench.settings(requests_per_minute=1)
    await create(bench)
    with pytest.raises(RemoteUnavailable) as caught:
        await create(bench)
    assert caught.value.retry_after_seconds
    assert caught.value.code == "rate_limit_exceeded"


async def test_without_a_time_it_is_ours_to_choose(bench: Bench) -> None:
    for header in ({}, {"retry-after": "soon"}, {"retry-after": "inf"}, {"retry-after": "-1"}):
        bench.fault("status", status=429, headers=header)
        with pytest.raises(RemoteUnavailable) as caught:
            await create(bench)
        assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize(
    ("upload", "content"),
    [
        pytest.param(Upload("a.vb", 1, "assistants", None), b"x", id="its extension"),
        pytest.param(Upload("a.txt", 1, "answers", None), b"x", id="its purpose"),
        pytest.param(Upload("a.txt", 0, "user_data", None), b"", id="its emptiness"),
        pytest.param(Upload("a.txt", 1, "user_data", 60), b"x", id="its life"),
    ],
)
async def test_what_is_refused_is_refused_for_good(
    bench: Bench, upload: Upload, content: bytes
) -> None:
    with pytest.raises(RemoteRefused) as caught:
        await bench.remote.create(upload, io.BytesIO(content))
    assert type(caught.value) is RemoteRefused
    assert caught.value.status == 400
    assert caught.value.request_id
    assert bench.files() == []


@pytest.mark.parametrize("status", [413, 415, 422])
async def test_other_refusals_are_as_final(bench: Bench, status: int) -> None:
    bench.fault("status", status=status, message="no, thank you")
    with pytest.raises(RemoteRefused, match="no, thank you"):
        await create(bench)


@pytest.mark.parametrize("status", ["invalid", "no_scope"])
async def test_a_wrong_key_is_refused_in_every_call(bench: Bench, status: str) -> None:
    bench.key(status)
    for call in every_call(bench.remote):
        with pytest.raises(CredentialsRefused) as caught:
            await call()
        assert caught.value.exit_code == 7
        assert caught.value.hint is not None
        assert caught.value.status == 401


async def test_a_forbidden_country_is_no_matter_of_the_key(bench: Bench) -> None:
    bench.fault("status", status=403, code="unsupported_country_region_territory")
    with pytest.raises(RemoteRefused) as caught:
        await bench.remote.hello()
    assert not isinstance(caught.value, CredentialsRefused)


async def test_a_used_up_quota_is_not_asked_again(bench: Bench) -> None:
    bench.key("quota")
    with pytest.raises(QuotaExhausted) as caught:
        await create(bench)
    assert caught.value.exit_code == 7
    await bench.remote.hello()


async def test_an_address_without_files_is_no_refusal_of_this_file(bench: Bench) -> None:
    bench.fault("status", status=404, **CREATE)
    with pytest.raises(RemoteUnavailable) as caught:
        await create(bench)
    assert "base_url" in (caught.value.hint or "")


@pytest.mark.parametrize("size", [1_000, LARGE])
async def test_a_file_that_shrinks_while_it_is_sent_is_stored_by_nobody(
    bench: Bench, tmp_path: Path, size: int
) -> None:
    (tmp_path / "f").write_bytes(b"x" * size)
    with open_source(os.fsencode(tmp_path), b"f", algorithm="sha256") as source:
        os.truncate(tmp_path / "f", size // 2)
        with pytest.raises(SourceChanged):
            await bench.remote.create(Upload("f.txt", size, "user_data", None), source)
    assert bench.files() == []


async def test_a_file_that_grows_while_it_is_sent_arrives_as_it_was(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"x" * LARGE)
    with open_source(os.fsencode(tmp_path), b"f", algorithm="sha256") as source:
        with open(tmp_path / "f", "ab") as file:
            file.write(b"more" * 1_000)
        sent = await bench.remote.create(Upload("f.txt", LARGE, "user_data", None), source)
        with pytest.raises(SourceChanged):
            source.digest()
    assert sent.size == LARGE


# No retries, and no key anywhere.


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "truncate", "status"])
async def test_every_call_is_one_request(bench: Bench, kind: str) -> None:
    bench.fault(kind, count=None, path="/v1/files**", retry_after=0.01, status=429)
    for call in every_call(bench.remote):
        with pytest.raises(RemoteError):
            await call()
    requests = bench.requests()
    assert [request["method"] for request in requests] == ["POST", "GET", "GET", "GET", "DELETE"]
    # What a planted fault ends at once is written down before its headers are.
    assert {request["retry_count"] for request in requests} <= {"0", None}
    if kind in {"drop_after", "truncate"}:
        assert {request["retry_count"] for request in requests} == {"0"}


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("status", {"status": 401}),
        ("status", {"status": 400}),
        ("status", {"status": 500}),
        ("drop_after", {}),
        ("truncate", {}),
    ],
)
async def test_the_key_is_in_no_error(bench: Bench, kind: str, details: dict[str, Any]) -> None:
    import traceback

    bench.fault(kind, **details)
    with pytest.raises(RemoteError) as caught:
        await create(bench)
    error: BaseException | None = caught.value
    assert bench.secret not in "".join(traceback.format_exception(caught.value))
    while error is not None:
        assert bench.secret not in repr(error)
        error = error.__cause__


async def test_the_clock_of_the_server_is_noticed(bench: Bench) -> None:
    await bench.remote.hello()
    assert bench.remote.skew_seconds() == 0.0
    if isinstance(bench, OverHttp):
        bench.emulator.advance(3_600)
    else:
        assert isinstance(bench, InProcess)
        bench.state.clock.advance(3_600)
    await bench.remote.hello()
    assert bench.remote.skew_seconds() == pytest.approx(3_600, abs=3)


@pytest.mark.slow
async def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    size = 200 * 1024 * 1024
    with open(tmp_path / "f", "wb") as file:
        file.truncate(size)
    workers = ThreadWorkers(2)
    with EmulatorProcess() as emulator:
        remote = remote_at(emulator.base_url, workers, None, KEY)
        await remote.hello()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with open_source(os.fsencode(tmp_path), b"f", algorithm="xxh3_128") as source:
            sent = await remote.create(Upload("f.bin", size, "user_data", None), source)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await remote.aclose()
    workers.close()
    assert sent.size == size
    assert after - before < 32 * 1024  # KiB


class Answering(httpx2.AsyncBaseTransport):
    """Answers everything with the same words."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=self._content, request=request)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"data": null}', b'{"data": [1]}', b'{"data": [{}]}',
     b'{"id": "file-1", "created_at": "noon"}', b'{"id": "file-1", "created_at": null}'],
)  # fmt: skip
async def test_an_answer_that_makes_no_sense_is_one_of_the_three_kinds(content: bytes) -> None:
    workers = ThreadWorkers(1)
    remote = remote_at("http://emulator/v1", workers, Answering(content), KEY)
    create_, _, page, get, _ = every_call(remote)
    with pytest.raises(OutcomeUnknown):
        await create_()
    for call in (page, get):
        with pytest.raises(RemoteUnavailable):
            await call()
    await remote.aclose()
    workers.close()


@pytest.mark.live
async def test_the_real_api_keeps_the_contract() -> None:
    key = os.environ.get("OPENAI_API_KEY_LIVE")
    if not key:
        pytest.skip("OPENAI_API_KEY_LIVE is not set")
    workers = ThreadWorkers(1)
    remote = remote_at("https://api.openai.com/v1", workers, None, key)
    upload = Upload("fileferry-contract-test.txt", 5, "user_data", 3_600)
    file = await remote.create(upload, io.BytesIO(b"hello"))
    try:
        assert (file.name, file.purpose) == (upload.name, upload.purpose)
        assert file.expires_at == file.created_at + 3_600
        assert file.file_id in {one.file_id for one in await listing(remote)}
        assert (await remote.get(file.file_id)).file_id == file.file_id
    finally:
        await remote.delete(file.file_id)
    await remote.delete(file.file_id)
    await remote.aclose()
    workers.close()
