"""Whatever the SDK sends, and in whatever pieces it arrives: the emulator stores what was sent, under its name."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import httpx2
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, Omit, omit

from emulator_inprocess import EmulatorTransport
from fileferry.emulator import EmulatorApp, create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.types import FileObject
    from openai.types.file_create_params import ExpiresAfter


class Cut(EmulatorTransport):
    """Delivers each body in pieces, cut at these places; an empty piece is a piece too."""

    def __init__(self, app: EmulatorApp, at: list[int]) -> None:
        super().__init__(app)
        self._at = at

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        edges = [0, *sorted(place % (len(body) + 1) for place in self._at), len(body)]

        async def pieces() -> AsyncIterator[bytes]:
            for low, high in pairwise(edges):
                yield body[low:high]

        headers = [
            (key, value) for key, value in request.headers.raw if key.lower() != b"content-length"
        ]
        cut = httpx2.Request(request.method, request.url, headers=headers, content=pieces())
        return await super().handle_async_request(cut)


def sent(name: str, content: bytes, life: int | None, at: list[int]) -> tuple[FileObject, str, str]:
    """Send a file; return what the API answered, and the name and digest that it stored."""

    async def send() -> tuple[FileObject, str, str]:
        app = create_app(inline_io=True)
        http = httpx2.AsyncClient(transport=Cut(app, at))
        client = AsyncOpenAI(
            api_key="sk-test", base_url="http://emulator/v1", max_retries=0, http_client=http
        )
        expiry: ExpiresAfter | Omit = (
            omit if life is None else {"anchor": "created_at", "seconds": life}
        )
        try:
            answer = await client.files.create(
                file=(name, io.BytesIO(content), "text/plain"),
                purpose="user_data",
                expires_after=expiry,
            )
            (record,) = app.state.emulator.store.history()
            return answer, record.filename, record.sha256
        finally:
            await client.close()
            app.state.emulator.close()

    return asyncio.run(send())


# Names that spell a percent escape themselves cannot be told from an escaped character.
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: not re.search("%(22|[01][0-9A-F])", name)
)
contents = st.binary(min_size=1, max_size=400) | st.text("\r\n-", min_size=1, max_size=40).map(
    str.encode
)


@settings(deadline=None)
@given(
    name=names,
    content=contents,
    life=st.none() | st.integers(3_600, 2_592_000),
    at=st.lists(st.integers(0, 2_000), max_size=12),
)
@example(name='a "b"; c=\\"d\\".txt', content=b"\r\n--", life=3_600, at=[])
@example(name="\x1b[31m\r\nX-Evil: 1", content=b"--\r\n", life=None, at=[100, 101, 102])
def test_what_the_sdk_sends_is_what_is_stored(
    name: str, content: bytes, life: int | None, at: list[int]
) -> None:
    answer, stored_name, stored_digest = sent(name, content, life, at)

    assert stored_name == answer.filename == name
    assert stored_digest == hashlib.sha256(content).hexdigest()
    assert (answer.bytes, answer.purpose) == (len(content), "user_data")
    assert answer.expires_at == (None if life is None else answer.created_at + life)
