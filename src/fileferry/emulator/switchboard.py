"""The switchboard: how a test in another process makes things go wrong and sees what came in.

JSON under `/_emulator`, without a key, for loopback only by the server's own rule. Everything here
is also a method of the state object.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .errors import ApiError
from .exchange import emulator_of
from .faults import Fault, FaultKind, Moment, PlantedFault
from .keys import DEFAULT_ORGANIZATION, DEFAULT_PROJECT, Key, KeyStatus
from .records import FileRecord

__all__ = ["routes"]


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status, media_type="application/json")


async def _body(request: Request) -> dict[str, object]:
    try:
        value = json.loads(await request.body())
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApiError(400, "the body is not a JSON object")
    return value


def _text(body: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise ApiError(400, f"`{name}` must be a string", param=name)
    return value


def _number(body: Mapping[str, object], name: str) -> float:
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ApiError(400, f"`{name}` must be a number", param=name)
    return value


def fault_of(body: Mapping[str, object]) -> Fault:
    """Return the fault that a JSON object describes, or refuse it."""
    unknown = set(body) - {field.name for field in fields(Fault)}
    if unknown:
        raise ApiError(400, f"unknown keys: {', '.join(sorted(unknown))}")
    values = dict(body)
    try:
        values["kind"] = FaultKind(_text(body, "kind"))
        if values.get("when") is not None:
            values["when"] = Moment(_text(body, "when"))
        # The types of the rest are the caller's business: this is a tool of tests.
        return Fault(**cast("dict[str, FaultKind]", values))  # type: ignore[arg-type]  # see above
    except ValueError as error:
        raise ApiError(400, str(error)) from error


def _fault(planted: PlantedFault) -> dict[str, object]:
    return {
        **asdict(planted.fault),
        "number": planted.number,
        "seen": planted.seen,
        "hits": planted.hits,
    }


async def add_fault(request: Request) -> Response:
    """POST /_emulator/faults."""
    return _json(_fault(emulator_of(request).add_fault(fault_of(await _body(request)))), 201)


async def list_faults(request: Request) -> Response:
    """GET /_emulator/faults."""
    return _json({"data": [_fault(planted) for planted in emulator_of(request).faults.all()]})


async def clear_faults(request: Request) -> Response:
    """DELETE /_emulator/faults."""
    emulator_of(request).clear_faults()
    return _json({})


async def show_clock(request: Request) -> Response:
    """GET /_emulator/clock."""
    clock = emulator_of(request).clock
    return _json({"now": clock.now(), "offset": clock.offset})


async def turn_clock(request: Request) -> Response:
    """POST /_emulator/clock with one of `offset`, `set`, `advance`."""
    clock = emulator_of(request).clock
    body = await _body(request)
    if "offset" in body:
        clock.offset = _number(body, "offset")
    elif "set" in body:
        clock.set(_number(body, "set"))
    elif "advance" in body:
        clock.advance(_number(body, "advance"))
    else:
        raise ApiError(400, "one of `offset`, `set`, `advance` is needed")
    return await show_clock(request)


async def list_requests(request: Request) -> Response:
    """GET /_emulator/requests."""
    return _json({"data": [asdict(entry) for entry in emulator_of(request).requests()]})


async def clear_requests(request: Request) -> Response:
    """DELETE /_emulator/requests."""
    emulator_of(request).clear_requests()
    return _json({})


def _file(record: FileRecord, now: float) -> dict[str, object]:
    return {
        **asdict(record),
        "deleted": record.deleted_at is not None,
        "expired": record.is_expired(now),
    }


async def list_files(request: Request) -> Response:
    """GET /_emulator/files."""
    emulator = emulator_of(request)
    now = emulator.clock.now()
    return _json({"data": [_file(record, now) for record in emulator.files()]})


async def add_file(request: Request) -> Response:
    """POST /_emulator/files with `filename` and `content` (text) or `content_base64`."""
    emulator = emulator_of(request)
    body = await _body(request)
    if "content_base64" in body:
        content = base64.b64decode(_text(body, "content_base64"))
    else:
        content = _text(body, "content", "x").encode()
    record = await emulator.add_file(
        content,
        filename=_text(body, "filename"),
        purpose=_text(body, "purpose", "user_data"),
        project=_text(body, "project", DEFAULT_PROJECT),
        expires_after=(
            int(_number(body, "expires_after")) if body.get("expires_after") is not None else None
        ),
    )
    return _json(_file(record, emulator.clock.now()), 201)


async def set_key(request: Request) -> Response:
    """POST /_emulator/keys."""
    body = await _body(request)
    try:
        status = KeyStatus(_text(body, "status", KeyStatus.OK))
    except ValueError as error:
        raise ApiError(400, str(error), param="status") from error
    key = Key(
        _text(body, "key"),
        status,
        _text(body, "project", DEFAULT_PROJECT),
        _text(body, "organization", DEFAULT_ORGANIZATION),
    )
    emulator_of(request).set_key(key)
    return _json(asdict(key), 201)


async def settings(request: Request) -> Response:
    """POST /_emulator/settings: change some, answer with all."""
    emulator = emulator_of(request)
    body = await _body(request)
    if "requests_per_minute" in body:
        limit = (
            None if body["requests_per_minute"] is None else _number(body, "requests_per_minute")
        )
        emulator.set_requests_per_minute(None if limit is None else int(limit))
    if "latency_ms" in body:
        emulator.set_latency_ms(_number(body, "latency_ms"))
    if "uploads_all_purposes" in body:
        emulator.set_uploads_all_purposes(bool(body["uploads_all_purposes"]))
    options = emulator.options
    return _json(
        {
            "requests_per_minute": options.requests_per_minute,
            "latency_ms": options.latency_ms,
            "uploads_all_purposes": options.uploads_all_purposes,
        }
    )


routes = [
    Route("/_emulator/settings", settings, methods=["POST"]),
    Route("/_emulator/faults", add_fault, methods=["POST"]),
    Route("/_emulator/faults", list_faults, methods=["GET"]),
    Route("/_emulator/faults", clear_faults, methods=["DELETE"]),
    Route("/_emulator/clock", show_clock, methods=["GET"]),
    Route("/_emulator/clock", turn_clock, methods=["POST"]),
    Route("/_emulator/requests", list_requests, methods=["GET"]),
    Route("/_emulator/requests", clear_requests, methods=["DELETE"]),
    Route("/_emulator/files", list_files, methods=["GET"]),
    Route("/_emulator/files", add_file, methods=["POST"]),
    Route("/_emulator/keys", set_key, methods=["POST"]),
]
