"""The three kinds of failure of a Remote: not done, refused, and nobody knows."""

import io
import os
from pathlib import Path
from typing import Any

import pytest

from contract.bench import (
    CREATE,
    KEY,
    LARGE,
    Bench,
    create,
    every_call,
    remote_at,
)
from fileferry.daemon.workers import ThreadWorkers
from fileferry.errors import (
    CredentialsRefused,
    OutcomeUnknown,
    QuotaExhausted,
    RemoteRefused,
    RemoteUnavailable,
    SourceChanged,
)
from fileferry.local.reader import open_source
from fileferry.remote.base import Upload


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
