"""Reads one multipart request: small fields as text, one file to a spool.

Fields may come in any order. Each is shown to a check as soon as it is complete, so that a request
that must be refused is refused before its file has arrived.
"""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from .errors import connection_closed, malformed_body, missing_property, too_large
from .multipart import FormError, FormReader, PartBegin, PartData, PartEnd, boundary_of
from .spool import Spool, Spooled

__all__ = ["Form", "read_form"]

_MOST_FIELD_BYTES = 64 * 1024
# What a form may weigh on top of its file before its Content-Length alone is proof.
_FORM_OVERHEAD_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was read whole."""

    fields: dict[str, str]
    filename: str
    body: Spooled


class _Reading:
    """The state between two chunks."""

    def __init__(self, spool: Spool, file_field: str, check: Callable[[str, str], None]) -> None:
        self._spool = spool
        self._file_field = file_field
        self._check = check
        self._field: str | None = None
        self._value = bytearray()
        self.fields: dict[str, str] = {}
        self.filename: str | None = None

    async def take(self, event: PartBegin | PartData | PartEnd) -> None:
        """Take one event of the form."""
        match event:
            case PartBegin(name, filename):
                self._begin(name, filename)
            case PartData(data) if self._field is None:
                await self._spool.write(data)
            case PartData(data):
                self._value += data
                if len(self._value) > _MOST_FIELD_BYTES:
                    raise malformed_body(f"the field `{self._field}` is too long")
            case PartEnd() if self._field is not None:
                text = self._value.decode("utf-8", errors="replace")
                self.fields[self._field] = text
                self._check(self._field, text)

    def _begin(self, name: str, filename: str | None) -> None:
        self._value.clear()
        self._field = name
        if name == self._file_field and filename:
            if self.filename is not None:
                raise malformed_body(f"more than one `{name}`")
            self._field = None
            self.filename = filename


async def read_form(
    request: Request,
    spool: Spool,
    *,
    limit: int,
    check: Callable[[str, str], None],
    file_field: str = "file",
) -> Form:
    """Read a request's form; on any refusal, what was spooled is discarded.

    Raises:
        ApiError: The form is malformed, too large, without its file, or refused by `check`.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit + _FORM_OVERHEAD_BYTES:
        raise too_large(limit)
    try:
        return await _read(request, _Reading(spool, file_field, check), spool, file_field)
    except BaseException as error:
        spool.discard()
        if isinstance(error, FormError):
            raise malformed_body(str(error)) from error
        if isinstance(error, ClientDisconnect):
            raise connection_closed() from error
        raise


async def _read(request: Request, reading: _Reading, spool: Spool, file_field: str) -> Form:
    reader = FormReader(boundary_of(request.headers.get("content-type", "").encode("latin-1")))
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            for event in reader.feed(chunk):
                await reading.take(event)
    reader.finish()
    if reading.filename is None:
        raise missing_property(file_field)
    return Form(reading.fields, reading.filename, await spool.finish())
