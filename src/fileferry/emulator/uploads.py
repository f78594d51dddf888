"""The Uploads API: a large file in parts that may arrive in parallel and in any order.

Source: OpenAI's specification of /uploads and the SDK's docstrings: 8 GB in all, 64 MB a part, one
hour to complete. What a repeated `complete` is answered is not published: here it is a 400.
"""

import asyncio
import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import blobs
from .errors import ApiError, bad_value, malformed_body, missing_property
from .exchange import emulator_of, exchange_of
from .forms import read_form
from .records import FileRecord
from .rules import check_name, check_purpose, expiry_of, whole_number
from .spool import Spooled
from .upload_store import PartRecord, UploadRecord

__all__ = ["routes"]

_MOST_BYTES = 8 * 1024**3
_MOST_PART_BYTES = 64 * 1024**2
_LIFE_SECONDS = 3600
_PURPOSES = ("assistants", "batch", "fine-tune", "vision")


def _json(value: Mapping[str, object]) -> Response:
    return Response(json.dumps(value), media_type="application/json")


async def _body(request: Request) -> dict[str, object]:
    try:
        value = json.loads(await request.body())
    except ValueError as error:
        raise malformed_body("it is not JSON") from error
    if not isinstance(value, dict):
        raise malformed_body("it is not a JSON object")
    return value


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise missing_property(name)
    return value


def _whole(body: Mapping[str, object], name: str, value: object, low: int, high: int) -> int:
    if name not in body or isinstance(value, bool) or not isinstance(value, int):
        raise missing_property(name)
    return whole_number(name, value, low, high)


def _expiry(body: Mapping[str, object]) -> int | None:
    value = body.get("expires_after")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise malformed_body("`expires_after` is not an object")
    seconds = value.get("seconds")
    return expiry_of(value.get("anchor"), None if seconds is None else str(seconds))


def _object(upload: UploadRecord, now: float, file: FileRecord | None = None) -> dict[str, object]:
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": upload.created_at,
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status_at(now),
        "expires_at": upload.expires_at,
        "file": None if file is None else file.as_object(),
    }


async def create(request: Request) -> Response:
    """POST /v1/uploads."""
    emulator, exchange = emulator_of(request), exchange_of(request)
    body = await _body(request)
    purpose, filename = _text(body, "purpose"), _text(body, "filename")
    _text(body, "mime_type")
    check_purpose(purpose)
    if purpose not in _PURPOSES and not emulator.options.uploads_all_purposes:
        raise bad_value("purpose", purpose, ", ".join(f"'{name}'" for name in _PURPOSES))
    check_name(purpose, filename)
    now = emulator.clock.now()
    upload = UploadRecord(
        id=emulator.fresh_id("upload_"),
        project=exchange.project,
        bytes=_whole(body, "bytes", body.get("bytes"), 1, _MOST_BYTES),
        filename=filename,
        purpose=purpose,
        created_at=int(now),
        expires_at=int(now) + _LIFE_SECONDS,
        expires_after=_expiry(body),
        status="pending",
    )
    emulator.uploads.create(upload)
    exchange.entry.filename, exchange.entry.purpose = filename, purpose
    return _json(_object(upload, now))


def _pending(request: Request) -> UploadRecord:
    """Return the upload that the path names, if it can still change, or refuse."""
    emulator, exchange = emulator_of(request), exchange_of(request)
    upload_id: str = request.path_params["upload_id"]
    upload = emulator.uploads.find(upload_id, exchange.project)
    if upload is None:
        raise ApiError(404, f"No such Upload object: {upload_id}", param="upload_id")
    status = upload.status_at(emulator.clock.now())
    if status != "pending":
        raise ApiError(400, f"Upload {upload_id} is {status}.", param="upload_id")
    return upload


def _ignore_field(_name: str, _value: str) -> None:
    """Let every field pass: a part has none that matter."""


async def add_part(request: Request) -> Response:
    """POST /v1/uploads/{upload_id}/parts."""
    emulator, exchange = emulator_of(request), exchange_of(request)
    upload = _pending(request)
    form = await read_form(
        request,
        emulator.spool(_MOST_PART_BYTES, hashed=False),
        limit=_MOST_PART_BYTES,
        check=_ignore_field,
        file_field="data",
    )
    try:
        # It may have been cancelled or completed while the bytes came.
        _pending(request)
    except ApiError:
        form.body.discard()
        raise
    part = PartRecord(
        emulator.fresh_id("part_"), upload.id, form.body.size, int(emulator.clock.now())
    )
    emulator.uploads.add_part(part, form.body)
    exchange.entry.bytes = part.bytes
    return _json(
        {
            "id": part.id,
            "object": "upload.part",
            "created_at": part.created_at,
            "upload_id": upload.id,
        }
    )


def _chosen(upload: UploadRecord, parts: Mapping[str, PartRecord], ids: object) -> list[str]:
    """Return the ids of the parts to join, in order, or refuse them."""
    if not isinstance(ids, list) or not ids:
        raise missing_property("part_ids")
    for part_id in ids:
        if not isinstance(part_id, str) or part_id not in parts:
            raise ApiError(400, f"No such part: {part_id}", param="part_ids")
    total = sum(parts[part_id].bytes for part_id in ids)
    if total != upload.bytes:
        raise ApiError(
            400,
            f"The parts have {total} bytes, but the upload was created for {upload.bytes}.",
            param="part_ids",
        )
    return ids


def _check_md5(expected: object, actual: str) -> None:
    if expected is not None and expected != actual:
        raise ApiError(400, "The md5 does not match the uploaded bytes.", param="md5")


async def complete(request: Request) -> Response:
    """POST /v1/uploads/{upload_id}/complete."""
    emulator = emulator_of(request)
    body = await _body(request)
    upload = _pending(request)
    ids = _chosen(upload, emulator.uploads.parts(upload.id), body.get("part_ids"))
    paths = [emulator.uploads.part_path(part_id) for part_id in ids]
    try:
        if emulator.options.inline_io:
            sha256, md5 = blobs.digests(paths)
        else:
            sha256, md5 = await asyncio.to_thread(blobs.digests, paths)
    except FileNotFoundError:
        # Another `complete` or a `cancel` took the parts away meanwhile: then that is the answer.
        _pending(request)
        raise
    _pending(request)
    _check_md5(body.get("md5"), md5)
    target = emulator.store.incoming_path()
    blobs.bind(paths, target)
    whole = Spooled(upload.bytes, sha256, None, target)
    file = emulator.store.create(
        emulator.draft(
            project=upload.project,
            filename=upload.filename,
            purpose=upload.purpose,
            size=whole.size,
            sha256=whole.sha256,
            expires_after=upload.expires_after,
        ),
        whole,
    )
    return _close(request, upload, "completed", file)


async def cancel(request: Request) -> Response:
    """POST /v1/uploads/{upload_id}/cancel."""
    return _close(request, _pending(request), "cancelled", None)


def _close(
    request: Request, upload: UploadRecord, status: str, file: FileRecord | None
) -> Response:
    emulator, exchange = emulator_of(request), exchange_of(request)
    emulator.uploads.set_status(upload.id, status)
    emulator.uploads.drop_parts(upload.id)
    if file is not None:
        entry = exchange.entry
        entry.file_id, entry.bytes, entry.filename = file.id, file.bytes, file.filename
    closed = emulator.uploads.find(upload.id, exchange.project) or upload
    return _json(_object(closed, emulator.clock.now(), file))


routes = [
    Route("/v1/uploads", create, methods=["POST"]),
    Route("/v1/uploads/{upload_id}/parts", add_part, methods=["POST"]),
    Route("/v1/uploads/{upload_id}/complete", complete, methods=["POST"]),
    Route("/v1/uploads/{upload_id}/cancel", cancel, methods=["POST"]),
]
