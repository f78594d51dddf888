"""The Files API as the contract states it, through the real SDK in one process."""

import email.utils
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from emulator_inprocess import http_client
from fileferry.emulator import Emulator, EmulatorApp, Key, KeyStatus, create_app

START = 1_800_000_000.0
DAY = 86_400


@pytest.fixture
def app() -> Iterator[EmulatorApp]:
    app = create_app(clock=lambda: START, inline_io=True, seed=1, max_file_bytes=4096)
    yield app
    app.state.emulator.close()


@pytest.fixture
def emulator(app: EmulatorApp) -> Emulator:
    return cast("Emulator", app.state.emulator)


@pytest.fixture
async def raw(app: EmulatorApp) -> AsyncIterator[httpx2.AsyncClient]:
    async with http_client(app) as client:
        client.headers["Authorization"] = "Bearer sk-test"
        yield client


@pytest.fixture
def sdk(raw: httpx2.AsyncClient) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key="sk-test", base_url="http://emulator/v1", http_client=raw, max_retries=0
    )


async def test_a_file_object_has_every_field(sdk: AsyncOpenAI) -> None:
    made = await sdk.files.create(file=("a.txt", b"hello"), purpose="user_data")

    assert made.model_dump() == {
        "id": made.id,
        "bytes": 5,
        "created_at": int(START),
        "filename": "a.txt",
        "object": "file",
        "purpose": "user_data",
        "status": "processed",
        "status_details": None,
        "expires_at": None,
    }
    assert made.id.startswith("file-")
    assert len(made.id) == len("file-") + 24
    assert made.id[5:].isalnum()
    assert await sdk.files.retrieve(made.id) == made


@pytest.mark.parametrize(
    "name",
    ["größe.txt", "文件.txt", "a b.txt", 'quo"te.txt', "back\\slash.txt", "c;d=e.txt", "t\tb\n.x"],
)
async def test_names_come_back_as_they_were_sent(sdk: AsyncOpenAI, name: str) -> None:
    made = await sdk.files.create(file=(name, b"x"), purpose="user_data")

    assert made.filename == name


@pytest.mark.parametrize(
    ("purpose", "name"),
    [
        ("assistants", "a.pdf"),
        ("batch", "a.jsonl"),
        ("fine-tune", "a.jsonl"),
        ("vision", "a.png"),
        ("user_data", "a"),
        ("evals", "a.csv"),
    ],
)
async def test_every_purpose_can_be_uploaded(
    raw: httpx2.AsyncClient, purpose: str, name: str
) -> None:
    answer = await raw.post("files", data={"purpose": purpose}, files={"file": (name, b"x")})

    assert answer.status_code == 200
    expiry = START + 30 * DAY if purpose == "batch" else None
    assert answer.json()["expires_at"] == expiry


async def test_an_expiry_counts_from_creation_and_ends_the_file(
    sdk: AsyncOpenAI, emulator: Emulator
) -> None:
    made = await sdk.files.create(
        file=("a.txt", b"x"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert made.expires_at == int(START) + 3600

    emulator.clock.advance(3599)
    assert (await sdk.files.retrieve(made.id)).id == made.id
    emulator.clock.advance(1)
    with pytest.raises(openai.NotFoundError, match=f"No such File object: {made.id}"):
        await sdk.files.retrieve(made.id)
    assert (await sdk.files.list()).data == []
    with pytest.raises(openai.NotFoundError):
        await sdk.files.delete(made.id)


FILE = {"file": ("a.txt", b"x")}


@pytest.mark.parametrize(
    ("data", "files", "status", "message"),
    [
        ({"purpose": "answers"}, FILE, 400, "'answers' is not one of ['fine-tune',"),
        ({}, FILE, 400, "'purpose' is a required property"),
        ({"purpose": "user_data"}, {"other": ("a", b"x")}, 400, "'file' is a required property"),
        ({"purpose": "user_data"}, {"file": ("a.txt", b"")}, 400, "File is empty."),
        ({"purpose": "user_data"}, {"file": ("a", b"x" * 4097)}, 413, "File is too large."),
        ({"purpose": "assistants"}, {"file": ("a.vb", b"x")}, 400, "Invalid extension vb. Suppor"),
        ({"purpose": "assistants"}, {"file": ("a.DOCX", b"x")}, 400, "Invalid extension DOCX."),
        ({"purpose": "fine-tune"}, FILE, 400, "Invalid file format for Fine-Tuning API."),
        (
            {"purpose": "user_data", "expires_after[anchor]": "created_at"},
            FILE,
            400,
            "'expires_after[seconds]' is a required property",
        ),
        (
            {
                "purpose": "user_data",
                "expires_after[anchor]": "last_active_at",
                "expires_after[seconds]": "3600",
            },
            FILE,
            400,
            "Invalid value: 'last_active_at'.",
        ),
        *(
            (
                {
                    "purpose": "user_data",
                    "expires_after[anchor]": "created_at",
                    "expires_after[seconds]": seconds,
                },
                FILE,
                400,
                "Invalid",
            )
            for seconds in ("3599", "2592001", "soon")
        ),
    ],
)
async def test_what_the_contract_refuses_is_refused_and_leaves_nothing(
    raw: httpx2.AsyncClient,
    emulator: Emulator,
    data: dict[str, str],
    files: dict[str, tuple[str, bytes]],
    status: int,
    message: str,
) -> None:
    answer = await raw.post("files", data=data, files=files)

    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].startswith(message)
    assert error["type"] == "invalid_request_error"
    assert emulator.files() == []
    assert list(emulator.store.incoming.iterdir()) == []


async def test_a_file_as_large_as_allowed_is_taken_in_any_order_of_fields(
    raw: httpx2.AsyncClient,
) -> None:
    files = [("file", ("a", b"x" * 4096)), ("purpose", (None, b"user_data"))]

    answer = await raw.post("files", files=files)

    assert answer.json()["bytes"] == 4096


async def test_a_listing_is_paged_in_a_stable_order(sdk: AsyncOpenAI, emulator: Emulator) -> None:
    made = []
    for number in range(7):
        made.append((await sdk.files.create(file=(f"{number}", b"x"), purpose="user_data")).id)
        emulator.clock.advance(number % 2)

    for order, expected in (("asc", made), ("desc", made[::-1])):
        direction = cast("openai.Omit", order)
        seen = [file.id async for file in sdk.files.list(limit=3, order=direction)]
        assert seen == expected
    first = await sdk.files.list(limit=3, order="asc")
    assert first.model_extra is not None
    assert (first.has_more, first.model_extra["first_id"]) == (True, made[0])
    last = await sdk.files.list(limit=4, order="asc", after=made[2])
    assert ([file.id for file in last.data], last.has_more) == (made[3:], False)


async def test_a_listing_filters_by_purpose(sdk: AsyncOpenAI) -> None:
    await sdk.files.create(file=("a", b"x"), purpose="user_data")
    kept = await sdk.files.create(file=("b.png", b"x"), purpose="vision")

    assert [file.id for file in (await sdk.files.list(purpose="vision")).data] == [kept.id]


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "order=up", "after=file-x"])
async def test_a_listing_refuses_what_it_does_not_know(raw: httpx2.AsyncClient, query: str) -> None:
    answer = await raw.get(f"files?{query}")

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == query.split("=", maxsplit=1)[0]


async def test_content_is_given_back_only_for_some_purposes(sdk: AsyncOpenAI) -> None:
    batch = await sdk.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
    data = await sdk.files.create(file=("a.txt", b"x"), purpose="user_data")

    assert (await sdk.files.content(batch.id)).content == b"{}\n"
    with pytest.raises(
        openai.BadRequestError, match="Not allowed to download files of purpose: user_data"
    ):
        await sdk.files.content(data.id)


async def test_a_deleted_file_is_gone(sdk: AsyncOpenAI, emulator: Emulator) -> None:
    made = await sdk.files.create(file=("a.txt", b"x"), purpose="user_data")

    answer = await sdk.files.delete(made.id)
    assert answer.model_dump() == {"id": made.id, "deleted": True, "object": "file"}
    with pytest.raises(openai.NotFoundError) as refusal:
        await sdk.files.delete(made.id)
    assert refusal.value.param == "id"
    assert emulator.files()[0].deleted_at == START
    assert not emulator.store.blob_path(made.id).exists()


async def test_projects_do_not_see_each_other(sdk: AsyncOpenAI, emulator: Emulator) -> None:
    emulator.set_key(Key("sk-other", project="proj_other"))
    mine = await sdk.files.create(file=("a.txt", b"x"), purpose="user_data")
    for other in (
        sdk.with_options(project="proj_header"),
        sdk.with_options(default_headers={"Authorization": "Bearer sk-other"}),
    ):
        assert (await other.files.list()).data == []
        with pytest.raises(openai.NotFoundError):
            await other.files.retrieve(mine.id)
        with pytest.raises(openai.NotFoundError):
            await other.files.delete(mine.id)


@pytest.mark.parametrize(
    ("status", "code", "http_status"),
    [
        (KeyStatus.INVALID, "invalid_api_key", 401),
        (KeyStatus.NO_SCOPE, None, 401),
        (KeyStatus.QUOTA, "insufficient_quota", 429),
    ],
)
async def test_a_key_can_be_refused(
    sdk: AsyncOpenAI, emulator: Emulator, status: KeyStatus, code: str | None, http_status: int
) -> None:
    emulator.set_key(Key("sk-test", status))

    with pytest.raises(openai.APIStatusError) as refusal:
        await sdk.files.create(file=("a", b"x"), purpose="user_data")

    assert (refusal.value.status_code, refusal.value.code) == (http_status, code)


async def test_no_key_is_an_invalid_key(raw: httpx2.AsyncClient) -> None:
    del raw.headers["Authorization"]

    answer = await raw.get("files")

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "nonsense", 404, "unknown_url"),
        ("GET", "files/", 404, "unknown_url"),
        ("PUT", "files", 405, "method_not_supported"),
        ("PATCH", "files/file-x", 405, "method_not_supported"),
    ],
)
async def test_unknown_routes_and_methods_have_the_error_body(
    raw: httpx2.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await raw.request(method, path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_every_answer_carries_the_common_headers(
    raw: httpx2.AsyncClient, emulator: Emulator
) -> None:
    emulator.clock.advance(DAY)
    for path in ("files", "files/file-x", "nonsense"):
        answer = await raw.get(path, headers={"OpenAI-Project": "proj_x"})
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["openai-version"] == "2020-10-01"
        assert answer.headers["openai-processing-ms"].isdigit()
        assert answer.headers["openai-project"] == "proj_x"
        assert answer.headers["openai-organization"] == "org-default"
        date = email.utils.parsedate_to_datetime(answer.headers["date"])
        assert date.timestamp() == START + DAY


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=B", b"--B\r\nContent-Disposition: form-data; name=x"),
        ("multipart/form-data; boundary=B", b"nothing"),
        ("multipart/form-data; boundary=B", b"--B\r\nX: y\r\n\r\nz\r\n--B--\r\n"),
    ],
)
async def test_a_body_that_is_no_form_is_refused(
    raw: httpx2.AsyncClient, content_type: str, body: bytes
) -> None:
    answer = await raw.post("files", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == 400
    assert "could not parse" in answer.json()["error"]["message"]


async def test_the_same_seed_gives_the_same_ids() -> None:
    ids = []
    for _ in range(2):
        app = create_app(clock=lambda: START, inline_io=True, seed=7)
        ids.append((await app.state.emulator.add_file(b"x", filename="a")).id)
        app.state.emulator.close()

    assert ids[0] == ids[1]
