"""The API key: where it is found, and a wrapper that keeps it out of logs and errors."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.errors import CredentialsRefused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

_NAME = "openai_api_key"  # as in `LoadCredential=openai_api_key:…`
_LONGEST_BYTES = 4096
_HINT = "set `OPENAI_API_KEY`, or `OPENAI_API_KEY_FILE` to a file that only you can read"


class Secret:
    """A text that only `reveal` shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key, where it came from, and what is odd about that place."""

    secret: Secret
    origin: str
    warnings: tuple[str, ...] = ()


def api_key(environ: Mapping[str, str]) -> ApiKey:
    """Find the API key, or raise CredentialsRefused; a place that is named must be usable."""
    path, variable = _place(environ)
    if path:
        data, warnings = _read(path)
        return ApiKey(_checked(data, f"`{path}`"), path, warnings)
    if variable:
        data = os.fsencode(environ[variable])
        return ApiKey(_checked(data, f"`{variable}`"), variable)
    raise CredentialsRefused("there is no API key", hint=_HINT)


def key_origin(environ: Mapping[str, str]) -> str:
    """Say where the key would come from, for `config show`, without reading it."""
    path, variable = _place(environ)
    return path or variable or "not set"


def _place(environ: Mapping[str, str]) -> tuple[str, str]:
    """Give the file or the variable that holds the key; both empty when nothing does."""
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        path = os.path.join(directory, _NAME)
        if os.path.lexists(path):
            return path, ""
    if path := environ.get("OPENAI_API_KEY_FILE", ""):
        return os.path.abspath(os.path.expanduser(path)), ""
    return "", "OPENAI_API_KEY" if environ.get("OPENAI_API_KEY", "").strip() else ""


def _read(path: str) -> tuple[bytes, tuple[str, ...]]:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_LONGEST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "no reason given").lower()
        raise CredentialsRefused(
            f"the API key in `{path}` cannot be read: {reason}", hint=_HINT
        ) from error
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        return data, (f"everybody can read the API key in `{path}`: try `chmod 600`",)
    return data, ()


def _checked(data: bytes, place: str) -> Secret:
    """Strip the key and check its letters; no message repeats any of them."""
    data = data.strip()
    if not data:
        raise CredentialsRefused(f"the API key in {place} is empty", hint=_HINT)
    if len(data) > _LONGEST_BYTES:
        raise CredentialsRefused(
            f"what is in {place} is too long for an API key", hint="the file holds only the key"
        )
    if not all(0x21 <= byte <= 0x7E for byte in data):
        raise CredentialsRefused(
            f"the API key in {place} has a space, a line break or a letter that is not ASCII in it",
            hint="copy the key once more, and nothing but the key",
        )
    return Secret(data.decode("ascii"))
