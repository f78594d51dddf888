"""Compare file and environment with the schema, and collect everything that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fileferry.config import schema
from fileferry.config.kinds import display, printable
from fileferry.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fileferry.config.schema import Key

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """A checked value and where it came from."""

    value: Any
    origin: str


class _Problem(NamedTuple):
    line: int
    text: str
    is_in_file: bool


class Checker:
    """The checks of one file; problems are collected, so that all of them can be told at once.

    Args:
        path: of the file, for messages and origins.
        lines: from addresses to line numbers, as far as they are known.
    """

    def __init__(self, path: str, lines: Mapping[str, int]) -> None:
        self._path = path
        self._lines = lines
        self._problems: list[_Problem] = []

    def add(self, address: str, text: str) -> None:
        """Note what is wrong at an address of the file, or outside of it when that is empty."""
        self._problems.append(_Problem(self._lines.get(address, 0), text, bool(address)))

    def finish(self) -> None:
        """Raise ConfigError when anything was wrong."""
        if not self._problems:
            return
        told = [
            (f"line {line}: " if line else "") + text
            for line, text, _ in sorted(self._problems, key=lambda problem: problem.line)
        ]
        if len(told) == 1:
            message = f"`{self._path}` {told[0]}" if self._problems[0].is_in_file else told[0]
        else:
            message = f"`{self._path}` has {len(told)} mistakes\n" + "\n".join(
                f"  {one}" for one in told
            )
        raise ConfigError(message, hint="correct it, then try `fileferry config check`")

    def origin(self, address: str) -> str:
        """Name a place in the file."""
        line = self._lines.get(address)
        return f"{self._path}:{line}" if line else self._path

    def tables(self, section: str, raw: object, address: str) -> list[tuple[str, dict[str, Any]]]:
        """Check an array of tables, and give each with its address."""
        if not isinstance(raw, list) or not all(isinstance(one, dict) for one in raw):
            expected = f"tables below {schema.header(section)}"
            self.add(address, f"`{section}` is {display(raw)}, expected {expected}")
            return []
        return [(f"{address}[{index}]", one) for index, one in enumerate(raw)]

    def table(self, section: str, raw: object, address: str) -> dict[str, Setting]:
        """Check one table and give its settings by key; what is wrong is noted and left out."""
        if not isinstance(raw, dict):
            expected = f"a table {schema.header(section)}"
            self.add(address, f"`{section}` is {display(raw)}, expected {expected}")
            return {}
        self.known(section, raw, address)
        settings: dict[str, Setting] = {}
        for name, key in schema.keys_of(section).items():
            place = f"{address}.{name}"
            if name in raw:
                setting = self._parse(key, raw[name], f"`{key.dotted}`", place, self.origin(place))
                if setting is not None:
                    settings[name] = setting
            elif key.default is schema.REQUIRED:
                self.add(address, f"`{key.dotted}` is missing, expected {key.kind.expected}")
        return settings

    def known(self, section: str, raw: dict[str, Any], address: str) -> None:
        """Refuse the keys and tables that are not known in a section."""
        allowed = {*schema.keys_of(section), *schema.NESTED.get(section, ())}
        for name in raw:
            if name not in allowed:
                whole = printable(f"{section}.{name}" if section else name)[:100]
                why = schema.explain_unknown(section, name)
                place = f"{address}.{name}" if address else name
                if place not in self._lines:  # a table header, `[[folder.x]]` for one
                    place += "[0]"
                self.add(place, f"`{whole}` is not a known key; {why}")

    def overlay(
        self, section: str, settings: dict[str, Setting], environ: Mapping[str, str]
    ) -> dict[str, Setting]:
        """Complete the settings: our variables, then the file, then fallbacks, then defaults."""
        complete: dict[str, Setting] = {}
        for name, key in schema.keys_of(section).items():
            found = self._from_variable(key, key.variable, environ) or settings.get(name)
            if found is None:
                found = self._from_variable(key, key.fallback, environ)
            if found is None:
                found = Setting(key.kind.parse(key.default), DEFAULT)
            complete[name] = found
        return complete

    def _from_variable(self, key: Key, variable: str, environ: Mapping[str, str]) -> Setting | None:
        text = environ.get(variable, "") if variable else ""
        if not text:
            return None
        return self._parse(key, key.kind.from_text(text), f"`{variable}`", "", variable)

    def _parse(
        self, key: Key, raw: object, subject: str, address: str, origin: str
    ) -> Setting | None:
        try:
            return Setting(key.kind.parse(raw), origin)
        except ValueError as error:
            is_hidden = key.kind.is_secretive and isinstance(raw, str) and set(raw) & set("@?#")
            given = "not usable" if is_hidden else display(raw)
            why = f"; {error}" if str(error) else ""
            self.add(address, f"{subject} is {given}, expected {key.kind.expected}{why}")
            return None
