"""What a Remote sends: no retries, no key anywhere else, nothing held in memory. `live` asks the real API."""

import io
import os
import resource
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contract.bench import (
    KEY,
    Bench,
    InProcess,
    OverHttp,
    create,
    every_call,
    listing,
    remote_at,
)
from emulator_process import EmulatorProcess
from fileferry.daemon.workers import ThreadWorkers
from fileferry.errors import (
    OutcomeUnknown,
    RemoteError,
    RemoteUnavailable,
)
from fileferry.local.reader import open_source
from fileferry.remote.base import Upload


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
    assert bench.remote.skew_seconds() == 0.0
    assert bench.remote.is_time_doubtful()
    await bench.remote.hello()
    assert not bench.remote.is_time_doubtful()
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

    def __init__(self, content: bytes, status: int = 200) -> None:
        self._content = content
        self._status = status

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(self._status, content=self._content, request=request)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"data": null}', b'{"data": [1], "has_more": true}',
     b'{"id": "file-1", "created_at": "noon"}', b'{"id": "file-1", "created_at": null}',
     b'{"id": "", "created_at": 1}', b'{"id": null, "created_at": 1}'],
)  # fmt: skip
async def test_an_answer_that_makes_no_sense_is_one_of_the_three_kinds(content: bytes) -> None:
    workers = ThreadWorkers(1)
    remote = remote_at("http://emulator/v1", workers, Answering(content), KEY)
    create_, _, page, get, delete = every_call(remote)
    with pytest.raises(OutcomeUnknown):
        await create_()
    for call in (page, get, delete):
        with pytest.raises(RemoteUnavailable):
            await call()
    await remote.aclose()
    workers.close()


@pytest.mark.parametrize(
    ("status", "content", "is_gone"),
    [
        pytest.param(200, b'{"id": "file-x", "deleted": true}', True, id="it says so"),
        pytest.param(
            200, b'{"id": "file-x", "deleted": false}', False, id="it says that it is not"
        ),
        pytest.param(200, b'{"id": "file-x"}', False, id="it does not say so"),
        pytest.param(404, b'{"error": {"message": "no such file"}}', True, id="it was gone"),
        pytest.param(404, b"<html>not found</html>", False, id="a gateway knows nothing of it"),
    ],
)
async def test_a_file_is_deleted_when_the_api_says_so(
    status: int, content: bytes, is_gone: bool
) -> None:
    workers = ThreadWorkers(1)
    remote = remote_at("http://emulator/v1", workers, Answering(content, status), KEY)
    if is_gone:
        await remote.delete("file-x")
    else:
        with pytest.raises(RemoteUnavailable):
            await remote.delete("file-x")
    await remote.aclose()
    workers.close()


@pytest.mark.live
async def test_the_real_api_keeps_the_contract() -> None:
    key = os.environ.get("OPENAI_API_KEY_LIVE")
    if not key:
        pytest.skip("OPENAI_API_KEY_LIVE is not set")  # by hand alone: nothing else has a key
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
