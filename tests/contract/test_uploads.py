"""The contract of the calls for files in parts, kept in one process and over real sockets."""

import hashlib
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from emulator_inprocess import EmulatorTransport
from emulator_process import EmulatorProcess
from fileferry.clock import SystemClock
from fileferry.daemon.workers import ThreadWorkers
from fileferry.emulator import Fault, FaultKind, create_app
from fileferry.errors import (
    OutcomeUnknown,
    PartsDamaged,
    PartsRefused,
    RemoteMissing,
    RemoteRefused,
    RemoteUnavailable,
    SourceChanged,
)
from fileferry.remote.base import Upload
from fileferry.remote.openai import OpenAIRemote, connect

CONTENT = b"first, second, third" * 50_000
HALVES = (CONTENT[:600_000], CONTENT[600_000:])
UPLOAD = Upload("a.jsonl", len(CONTENT), "batch", 7_200)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Bench:
    """A remote, and the other side of it."""

    def __init__(
        self,
        remote: OpenAIRemote,
        fault: Callable[..., object],
        files: Callable[[], list[str]],
        turn_clock: Callable[[float], object],
    ) -> None:
        self.remote = remote
        self.fault = fault
        self.files = files
        self.turn_clock = turn_clock

    async def begin(self) -> tuple[str, list[str]]:
        """Begin an upload and send both parts, the last one first."""
        pending = await self.remote.begin_upload(UPLOAD)
        ids = [await self.part(pending.upload_id, half) for half in reversed(HALVES)]
        return pending.upload_id, ids[::-1]

    async def part(self, upload_id: str, content: bytes) -> str:
        return await self.remote.send_part(upload_id, io.BytesIO(content), len(content))


@pytest.fixture(params=["in process", "over HTTP"])
async def bench(request: pytest.FixtureRequest, emulator: EmulatorProcess) -> AsyncIterator[Bench]:
    workers = ThreadWorkers(2)
    app = create_app() if request.param == "in process" else None
    transport = None if app is None else EmulatorTransport(app)
    remote = connect(
        api_key="sk-parts",
        base_url=emulator.base_url if app is None else "http://emulator/v1",
        organization=None,
        project=None,
        clock=SystemClock(),
        offload=workers.run,
        transport=transport,
    )
    if app is None:
        emulator.clear_faults()
        emulator.call("POST", "clock", {"offset": 0})
        before = len(emulator.files())
        bench = Bench(
            remote,
            emulator.add_fault,
            lambda: [str(file["sha256"]) for file in emulator.files()[before:]],
            emulator.advance,
        )
    else:
        state = app.state.emulator
        bench = Bench(
            remote,
            lambda kind, **details: state.add_fault(Fault(FaultKind(kind), **details)),
            lambda: [file.sha256 for file in state.files()],
            state.clock.advance,
        )
    yield bench
    await remote.aclose()
    if app is not None:
        app.state.emulator.close()
    workers.close()


async def test_parts_become_one_file_in_the_order_of_complete(bench: Bench) -> None:
    upload_id, ids = await bench.begin()

    file = await bench.remote.complete_upload(upload_id, ids, md5=MD5)

    assert bench.files() == [hashlib.sha256(CONTENT).hexdigest()]
    assert (file.name, file.size, file.purpose) == ("a.jsonl", len(CONTENT), "batch")
    assert file.expires_at == file.created_at + 7_200
    assert await bench.remote.get(file.file_id) == file


async def test_an_upload_says_when_it_ends(bench: Bench) -> None:
    pending = await bench.remote.begin_upload(UPLOAD)
    assert pending.expires_at == pending.created_at + 3_600


async def test_a_part_sent_twice_is_harmless(bench: Bench) -> None:
    upload_id, ids = await bench.begin()
    again = await bench.part(upload_id, HALVES[0])
    file = await bench.remote.complete_upload(upload_id, [again, ids[1]], md5=MD5)
    assert file.size == len(CONTENT)


async def test_a_purpose_that_goes_in_no_parts_is_told_from_other_refusals(bench: Bench) -> None:
    with pytest.raises(PartsRefused, match="user_data"):
        await bench.remote.begin_upload(Upload("a.txt", 10, "user_data", None))
    with pytest.raises(RemoteRefused) as caught:
        await bench.remote.begin_upload(Upload("a.txt", 9 * 1024**3, "batch", None))
    assert type(caught.value) is RemoteRefused


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_an_endpoint_without_uploads_says_so(bench: Bench, status: int) -> None:
    bench.fault("status", status=status, path="/v1/uploads")
    with pytest.raises(PartsRefused):
        await bench.remote.begin_upload(UPLOAD)


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "truncate", "status"])
@pytest.mark.parametrize("call", ["begin", "part", "cancel"])
async def test_what_may_simply_be_asked_again_is_never_unknown(
    bench: Bench, kind: str, call: str
) -> None:
    upload_id, _ = await bench.begin()
    calls: dict[str, Callable[[], Any]] = {
        "begin": lambda: bench.remote.begin_upload(UPLOAD),
        "part": lambda: bench.part(upload_id, b"x"),
        "cancel": lambda: bench.remote.cancel_upload(upload_id),
    }
    bench.fault(kind, method="POST", path="/v1/uploads**")
    with pytest.raises(RemoteUnavailable):
        await calls[call]()
    await calls[call]()


@pytest.mark.parametrize(
    ("kind", "details", "stored"),
    [
        ("drop_before", {}, 0),
        ("drop_after", {}, 1),
        ("truncate", {}, 1),
        ("status", {"status": 500}, 0),
        ("status", {"status": 408}, 0),
    ],
)
async def test_a_complete_that_may_have_arrived_has_an_unknown_outcome(
    bench: Bench, kind: str, details: dict[str, Any], stored: int
) -> None:
    upload_id, ids = await bench.begin()
    bench.fault(kind, path="/v1/uploads/*/complete", **details)
    with pytest.raises(OutcomeUnknown):
        await bench.remote.complete_upload(upload_id, ids, md5=MD5)
    assert len(bench.files()) == stored


async def test_a_complete_that_was_put_off_was_not_done(bench: Bench) -> None:
    upload_id, ids = await bench.begin()
    bench.fault("status", status=429, retry_after=7, path="/v1/uploads/*/complete")
    with pytest.raises(RemoteUnavailable) as caught:
        await bench.remote.complete_upload(upload_id, ids, md5=MD5)
    assert caught.value.retry_after_seconds == 7
    await bench.remote.complete_upload(upload_id, ids, md5=MD5)


async def test_bytes_that_were_damaged_are_told_from_what_will_never_be_taken(bench: Bench) -> None:
    upload_id, ids = await bench.begin()
    with pytest.raises(PartsDamaged, match="damaged"):
        await bench.remote.complete_upload(upload_id, ids, md5="0" * 32)
    assert bench.files() == []


async def test_parts_that_are_missing_are_refused(bench: Bench) -> None:
    upload_id, ids = await bench.begin()
    with pytest.raises(RemoteRefused, match="bytes"):
        await bench.remote.complete_upload(upload_id, ids[:1], md5=MD5)
    assert bench.files() == []


async def test_what_is_over_takes_nothing_more_and_may_be_cancelled_again(bench: Bench) -> None:
    cancelled, ids = await bench.begin()
    await bench.remote.cancel_upload(cancelled)
    await bench.remote.cancel_upload(cancelled)
    await bench.remote.cancel_upload("upload_that_never_was")
    with pytest.raises(RemoteRefused):
        await bench.part(cancelled, b"x")
    with pytest.raises(RemoteMissing):
        await bench.part("upload_that_never_was", b"x")
    expired, ids = await bench.begin()
    bench.turn_clock(3_700)
    with pytest.raises(RemoteRefused):
        await bench.remote.complete_upload(expired, ids, md5=MD5)
    await bench.remote.cancel_upload(expired)


async def test_a_source_that_moves_ends_a_part(bench: Bench) -> None:
    class Moved(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 500_000:
                raise SourceChanged("it moved")
            return super().read(size)

    upload_id, _ = await bench.begin()
    with pytest.raises(SourceChanged, match="moved"):
        await bench.remote.send_part(upload_id, Moved(CONTENT), len(CONTENT))
