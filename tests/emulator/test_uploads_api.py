"""The Uploads API through the real SDK in one process."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI
from openai.types import Upload

from emulator_inprocess import http_client
from fileferry.emulator import EmulatorApp, create_app

CONTENT = b"first, second, third"


@pytest.fixture
async def app() -> AsyncIterator[EmulatorApp]:
    app = create_app(clock=lambda: 1_800_000_000.0, inline_io=True)
    yield app
    app.state.emulator.close()


@pytest.fixture
async def sdk(app: EmulatorApp) -> AsyncIterator[AsyncOpenAI]:
    async with http_client(app) as client:
        yield AsyncOpenAI(
            api_key="sk", base_url="http://emulator/v1", http_client=client, max_retries=0
        )


async def begin(sdk: AsyncOpenAI) -> tuple[Upload, list[str]]:
    """Create an upload and send its parts in parallel, the last one first."""
    upload = await sdk.uploads.create(
        bytes=len(CONTENT),
        filename="a.jsonl",
        mime_type="application/jsonl",
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )
    pieces = (CONTENT[14:], CONTENT[7:14], CONTENT[:7])
    parts = await asyncio.gather(
        *(sdk.uploads.parts.create(upload.id, data=piece) for piece in pieces)
    )
    return upload, [part.id for part in reversed(parts)]


async def test_parts_are_joined_in_the_order_of_complete(sdk: AsyncOpenAI) -> None:
    upload, ids = await begin(sdk)
    assert (upload.status, upload.expires_at) == ("pending", 1_800_003_600)

    md5 = hashlib.md5(CONTENT).hexdigest()
    done = await sdk.uploads.complete(upload.id, part_ids=ids, md5=md5)

    assert done.status == "completed"
    assert done.file is not None
    assert (done.file.bytes, done.file.expires_at) == (len(CONTENT), 1_800_007_200)
    assert (await sdk.files.content(done.file.id)).content == CONTENT
    with pytest.raises(openai.BadRequestError, match="completed"):
        await sdk.uploads.complete(upload.id, part_ids=ids)


async def test_complete_checks_sum_digest_and_parts(sdk: AsyncOpenAI, app: EmulatorApp) -> None:
    upload, ids = await begin(sdk)

    with pytest.raises(openai.BadRequestError, match="md5"):
        await sdk.uploads.complete(upload.id, part_ids=ids, md5="0" * 32)
    with pytest.raises(openai.BadRequestError, match="The parts have 14 bytes"):
        await sdk.uploads.complete(upload.id, part_ids=ids[:2])
    with pytest.raises(openai.BadRequestError, match="No such part"):
        await sdk.uploads.complete(upload.id, part_ids=["part_x"])
    assert app.state.emulator.files() == []


async def test_a_cancelled_or_expired_upload_takes_nothing_more(
    sdk: AsyncOpenAI, app: EmulatorApp
) -> None:
    cancelled, _ = await begin(sdk)
    assert (await sdk.uploads.cancel(cancelled.id)).status == "cancelled"
    expired, ids = await begin(sdk)
    app.state.emulator.clock.advance(3600)

    with pytest.raises(openai.BadRequestError, match="cancelled"):
        await sdk.uploads.parts.create(cancelled.id, data=b"x")
    with pytest.raises(openai.BadRequestError, match="expired"):
        await sdk.uploads.complete(expired.id, part_ids=ids)


async def test_purposes_are_those_of_the_reference_until_switched(
    sdk: AsyncOpenAI, app: EmulatorApp
) -> None:
    async def create() -> Upload:
        return await sdk.uploads.create(
            bytes=1, filename="a", mime_type="text/plain", purpose="user_data"
        )

    with pytest.raises(openai.BadRequestError, match="user_data"):
        await create()
    app.state.emulator.set_uploads_all_purposes(is_allowed=True)
    assert (await create()).purpose == "user_data"


async def test_another_project_has_no_such_upload(sdk: AsyncOpenAI) -> None:
    upload, _ = await begin(sdk)

    with pytest.raises(openai.NotFoundError):
        await sdk.with_options(project="proj_other").uploads.cancel(upload.id)


async def test_the_bytes_go_with_the_file(sdk: AsyncOpenAI, app: EmulatorApp) -> None:
    upload, ids = await begin(sdk)
    done = await sdk.uploads.complete(upload.id, part_ids=ids)
    assert done.file is not None
    store = app.state.emulator.store
    assert [list(place.iterdir()) for place in (store.parts, store.incoming)] == [[], []]

    await sdk.files.delete(done.file.id)

    assert list(store.blobs.iterdir()) == []


async def test_a_part_may_be_used_twice(sdk: AsyncOpenAI) -> None:
    upload = await sdk.uploads.create(
        bytes=6, filename="a.jsonl", mime_type="application/jsonl", purpose="batch"
    )
    part = await sdk.uploads.parts.create(upload.id, data=b"abc")
    done = await sdk.uploads.complete(upload.id, part_ids=[part.id, part.id])
    assert done.file is not None
    assert (await sdk.files.content(done.file.id)).content == b"abcabc"


async def test_parts_whose_time_is_over_are_let_go(sdk: AsyncOpenAI, app: EmulatorApp) -> None:
    await begin(sdk)
    app.state.emulator.clock.advance(3600)
    await begin(sdk)
    assert len(list(app.state.emulator.store.parts.iterdir())) == 3


async def test_zeros_take_no_room(sdk: AsyncOpenAI, app: EmulatorApp) -> None:
    content = bytes(4 * 1024**2)
    file = await sdk.files.create(file=("a.bin", content), purpose="user_data")
    blob = app.state.emulator.store.blob_path(file.id)
    assert blob.read_bytes() == content
    assert blob.stat().st_blocks * 512 < len(content) / 2


async def test_a_file_in_parts_outlives_the_emulator(tmp_path: Path) -> None:
    for is_first in (True, False):
        app = create_app(data=tmp_path, inline_io=True)
        async with http_client(app) as client:
            sdk = AsyncOpenAI(
                api_key="sk", base_url="http://emulator/v1", http_client=client, max_retries=0
            )
            if is_first:
                upload, ids = await begin(sdk)
                await sdk.uploads.complete(upload.id, part_ids=ids)
            (file,) = (await sdk.files.list()).data
            assert (await sdk.files.content(file.id)).content == CONTENT
        app.state.emulator.close()
