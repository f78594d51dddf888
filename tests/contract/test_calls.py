"""What a call of a Remote (`fileferry.remote.base`) that returns has done."""

import os
import time
from pathlib import Path

import pytest

from contract.bench import CREATE, LARGE, Bench, create, listing
from fileferry.errors import (
    RemoteMissing,
)
from fileferry.local.reader import open_source
from fileferry.remote.base import Upload


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
