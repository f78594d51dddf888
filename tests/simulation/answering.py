"""A server that answers oddly: what it says is changed on its way."""

from __future__ import annotations

import json
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx2

from simulation.watched import WatchedTransport

if TYPE_CHECKING:
    import pytest


def change_answers(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Have every answer go through `change(request, answer)`."""

    class Changed(WatchedTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await super().handle_async_request(request)
            await answer.aread()
            changed: httpx2.Response = change(request, answer)
            return changed

    monkeypatch.setattr("simulation.world.WatchedTransport", Changed)


def with_date(answer: httpx2.Response, seconds: float) -> httpx2.Response:
    """Return an answer whose `Date` is so many seconds later."""
    moment = parsedate_to_datetime(answer.headers["date"]).timestamp() + seconds
    answer.headers["date"] = formatdate(moment, usegmt=True)
    return answer


def with_body(answer: httpx2.Response, **changes: Any) -> httpx2.Response:
    """Return an answer whose object has other values."""
    body = json.loads(answer.content) | changes
    headers = {key: value for key, value in answer.headers.items() if key != "content-length"}
    return httpx2.Response(answer.status_code, headers=headers, json=body)


def is_create(request: httpx2.Request) -> bool:
    return (request.method, request.url.path) == ("POST", "/v1/files")


def gateway_page(request: httpx2.Request, status: int, date: str | None = None) -> httpx2.Response:
    """Return a page of a gateway that stands before the API."""
    headers = {"content-type": "text/html"} | ({} if date is None else {"date": date})
    page = f"<html>{status}</html>"
    return httpx2.Response(status, headers=headers, content=page.encode(), request=request)
