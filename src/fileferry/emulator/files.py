"""The Files API: create, list, retrieve, content, delete.

Source: OpenAI's specification of /files. Files belong to the project of the request; another
project's ids do not exist here. A file past its expiry is gone.
"""

import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import BlobResponse
from .errors import (
    ApiError,
    bad_value,
    download_refused,
    empty_file,
    missing_property,
    no_such_file,
)
from .exchange import emulator_of, exchange_of
from .forms import Form, read_form
from .records import FileRecord
from .rules import NO_DOWNLOAD, check_name, check_purpose, expiry_of, whole_number

__all__ = ["routes"]

_LONGEST_PAGE = 10_000


def _json(value: Mapping[str, object]) -> Response:
    return Response(json.dumps(value), media_type="application/json")


def _check_field(name: str, value: str) -> None:
    if name == "purpose":
        check_purpose(value)


def _check_form(form: Form) -> tuple[str, int | None]:
    """Return purpose and expiry of a form that is in order, or refuse it."""
    purpose = form.fields.get("purpose")
    if purpose is None:
        raise missing_property("purpose")
    expiry = expiry_of(
        form.fields.get("expires_after[anchor]"), form.fields.get("expires_after[seconds]")
    )
    check_name(purpose, form.filename)
    if form.body.size == 0:
        raise empty_file()
    return purpose, expiry


async def create(request: Request) -> Response:
    """POST /v1/files."""
    emulator, exchange = emulator_of(request), exchange_of(request)
    limit = emulator.options.max_file_bytes
    form = await read_form(request, emulator.spool(limit), limit=limit, check=_check_field)
    entry = exchange.entry
    entry.filename, entry.bytes = form.filename, form.body.size
    entry.purpose = form.fields.get("purpose")
    try:
        purpose, expiry = _check_form(form)
    except ApiError:
        form.body.discard()
        raise
    record = emulator.store.create(
        emulator.draft(
            project=exchange.project,
            filename=form.filename,
            purpose=purpose,
            size=form.body.size,
            sha256=form.body.sha256,
            expires_after=expiry,
        ),
        form.body,
    )
    entry.file_id = record.id
    return _json(record.as_object(null_bytes=exchange.null_bytes))


def _find(request: Request) -> FileRecord:
    """Return the living file that the path names, or refuse with 404."""
    emulator, exchange = emulator_of(request), exchange_of(request)
    file_id: str = request.path_params["file_id"]
    exchange.entry.file_id = file_id
    record = emulator.store.find(file_id, exchange.project)
    if record is None or not record.lives(emulator.clock.now()):
        raise no_such_file(file_id)
    return record


async def retrieve(request: Request) -> Response:
    """GET /v1/files/{file_id}."""
    exchange = exchange_of(request)
    record = _find(request)
    if emulator_of(request).clock.now() - record.stored_at < exchange.hide_younger:
        raise no_such_file(record.id)
    return _json(record.as_object(null_bytes=exchange.null_bytes))


async def content(request: Request) -> Response:
    """GET /v1/files/{file_id}/content."""
    emulator = emulator_of(request)
    record = _find(request)
    if record.purpose in NO_DOWNLOAD:
        raise download_refused(record.purpose)
    path = emulator.store.blob_path(record.id)
    return BlobResponse(path, record.bytes, inline=emulator.options.inline_io)


async def delete(request: Request) -> Response:
    """DELETE /v1/files/{file_id}."""
    emulator = emulator_of(request)
    record = _find(request)
    emulator.store.delete(record.id, emulator.clock.now())
    return _json({"id": record.id, "object": "file", "deleted": True})


async def page(request: Request) -> Response:
    """GET /v1/files."""
    emulator, exchange = emulator_of(request), exchange_of(request)
    query = request.query_params
    limit = whole_number("limit", query.get("limit", str(_LONGEST_PAGE)), 1, _LONGEST_PAGE)
    order = query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise bad_value("order", order, "'asc' and 'desc'")
    after = None
    if "after" in query:
        # A file that was deleted since still marks its place in the order.
        after = emulator.store.find(query["after"], exchange.project)
        if after is None:
            raise ApiError(400, f"No such File object: {query['after']}", param="after")
    exchange.entry.purpose = query.get("purpose")
    records = emulator.store.page(
        exchange.project,
        now=emulator.clock.now(),
        # One more than asked for tells whether there is more.
        limit=limit + 1,
        is_descending=order == "desc",
        purpose=query.get("purpose"),
        after=after,
        lag=exchange.staleness,
    )
    shown = records[:limit]
    return _json(
        {
            "object": "list",
            "data": [record.as_object(null_bytes=exchange.null_bytes) for record in shown],
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
            "has_more": len(records) > limit,
        }
    )


routes = [
    Route("/v1/files", create, methods=["POST"]),
    Route("/v1/files", page, methods=["GET"]),
    Route("/v1/files/{file_id}", retrieve, methods=["GET"]),
    Route("/v1/files/{file_id}", delete, methods=["DELETE"]),
    Route("/v1/files/{file_id}/content", content, methods=["GET"]),
]
