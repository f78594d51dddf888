"""A call ends, however slowly its other side moves: each has a deadline as a whole, and a large one has more time.

Time is virtual: the server here takes what it is sent, and never answers.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from fileferry.errors import OutcomeUnknown, RemoteUnavailable
from fileferry.remote.base import Upload
from fileferry.remote.openai import OpenAIRemote, connect
from simulation.loop import VirtualClock, VirtualLoop

MIB = 1024 * 1024


class Silence(httpx2.AsyncBaseTransport):
    """Reads the request, slowly, and says nothing."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        async for _ in request.stream:
            await asyncio.sleep(
                1.0
            )  # never so long that a limit on a single operation would end it
        await asyncio.sleep(1e9)
        raise AssertionError("somebody waited for thirty years")


def seconds_until_given_up(
    call: Callable[[OpenAIRemote], Awaitable[object]], expected: type[Exception]
) -> float:
    loop = VirtualLoop()

    async def offload(work: Callable[..., object], *args: object) -> object:
        return work(*args)

    async def one() -> None:
        remote = connect(
            api_key="sk-x",
            base_url="http://emulator/v1",
            organization=None,
            project=None,
            clock=VirtualClock(0.0, loop.time),
            offload=offload,
            transport=Silence(),
        )
        with pytest.raises(expected):
            await call(remote)

    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(one())
        return loop.time()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def create(size: int) -> Callable[[OpenAIRemote], Awaitable[object]]:
    upload = Upload("a.bin", size, "user_data", None)
    return lambda remote: remote.create(upload, io.BytesIO(bytes(size)))


def test_an_upload_has_two_minutes_and_more_with_its_size() -> None:
    small = seconds_until_given_up(create(1), OutcomeUnknown)
    large = seconds_until_given_up(create(32 * MIB), OutcomeUnknown)
    assert small == pytest.approx(120.0, abs=1.0)
    assert large == pytest.approx(120.0 + 32 * MIB / 50_000, abs=1.0)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda remote: remote.hello(), id="hello"),
        pytest.param(lambda remote: remote.page(None), id="page"),
        pytest.param(lambda remote: remote.get("file-1"), id="get"),
        pytest.param(lambda remote: remote.delete("file-1"), id="delete"),
        pytest.param(
            lambda remote: remote.begin_upload(Upload("a.bin", MIB, "user_data", None)), id="begin"
        ),
        pytest.param(lambda remote: remote.cancel_upload("upload_1"), id="cancel"),
    ],
)
def test_small_calls_have_two_minutes(
    call: Callable[[OpenAIRemote], Awaitable[object]],
) -> None:
    assert seconds_until_given_up(call, RemoteUnavailable) == pytest.approx(120.0, abs=1.0)


def test_a_part_has_more_time_with_its_size_since_several_share_the_line() -> None:
    size = 8 * MIB
    taken = seconds_until_given_up(
        lambda remote: remote.send_part("upload_1", io.BytesIO(bytes(size)), size),
        RemoteUnavailable,
    )
    assert taken == pytest.approx(120.0 + size / 12_500, abs=1.0)


def test_putting_parts_together_has_ten_minutes() -> None:
    taken = seconds_until_given_up(
        lambda remote: remote.complete_upload("upload_1", ["part_1"], md5="0" * 32), OutcomeUnknown
    )
    assert taken == pytest.approx(600.0, abs=1.0)
