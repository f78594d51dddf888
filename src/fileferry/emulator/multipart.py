"""Cuts a multipart/form-data body into events, one chunk at a time, without any I/O.

Sans-IO around python-multipart's callback parser: bytes go in wherever the network cut them, parts
come out. It holds no more than the chunk it was given. Names follow what clients send (RFC 7578 and
the WHATWG form encoding): raw UTF-8, `%22` for a quote, control characters percent-encoded, a
backslash doubled; `filename*` (RFC 5987) is understood, and wins.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

__all__ = ["Event", "FormError", "FormReader", "PartBegin", "PartData", "PartEnd", "boundary_of"]

_MAX_HEADER_BYTES = 64 * 1024
_PARAMETER = re.compile(
    r""";\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))""", re.DOTALL
)
_ESCAPED_PAIR = re.compile(r"\\(.)", re.DOTALL)
# A name that itself contains such a sequence cannot be told apart: the encoding is ambiguous.
_PERCENT = re.compile(r"%(22|0[0-9A-F]|1[0-9A-F])")


class FormError(ValueError):
    """The body is not a multipart form."""


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part starts: its field name and, when it is a file, its file name."""

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the part that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


Event = PartBegin | PartData | PartEnd


def parameters(value: bytes) -> dict[str, str]:
    """Return the parameters of a header value, names in lower case, values unquoted."""
    text = value.decode("utf-8", errors="replace")
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(text):
        found[name.lower()] = _ESCAPED_PAIR.sub(r"\1", quoted) if quoted else bare
    return found


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary that a Content-Type names, or raise FormError."""
    if not content_type.lower().startswith(b"multipart/form-data"):
        raise FormError("expected multipart/form-data")
    boundary = parameters(content_type).get("boundary", "")
    if not boundary:
        raise FormError("the Content-Type names no boundary")
    return boundary.encode()


def _filename(found: dict[str, str]) -> str | None:
    extended = found.get("filename*")
    if extended is not None and extended.count("'") >= 2:
        charset, _, encoded = extended.split("'", 2)
        try:
            return unquote(encoded, encoding=charset or "utf-8", errors="replace")
        except LookupError:
            raise FormError(f"unknown charset `{charset}` in filename*") from None
    plain = found.get("filename")
    if plain is None:
        return None
    return _PERCENT.sub(lambda match: chr(int(match[1], 16)), plain)


class FormReader:
    """One body being read."""

    def __init__(self, boundary: bytes) -> None:
        self._events: list[Event] = []
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition: bytes | None = None
        self._is_complete = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._header_name_grows,
                    "on_header_value": self._header_value_grows,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._part_grows,
                    "on_part_end": self._part_ends,
                    "on_end": self._form_ends,
                },
                max_header_size=_MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise FormError(str(error)) from error

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes of the body and return what they complete, in order."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise FormError(str(error)) from error
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Say that no more bytes come; raise FormError when the closing boundary never came."""
        if not self._is_complete:
            raise FormError("the closing boundary is missing")

    def _part_begins(self) -> None:
        self._disposition = None

    def _header_name_grows(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_grows(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_end(self) -> None:
        if self._disposition is None:
            raise FormError("a part has no Content-Disposition")
        found = parameters(self._disposition)
        if "name" not in found:
            raise FormError("a part has no name")
        self._events.append(PartBegin(found["name"], _filename(found)))

    def _part_grows(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(data[start:end]))

    def _part_ends(self) -> None:
        self._events.append(PartEnd())

    def _form_ends(self) -> None:
        self._is_complete = True
