"""The whole configuration as one frozen value that also knows where each part came from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from fileferry.config import schema, source
from fileferry.config.check import DEFAULT, Checker, Setting
from fileferry.config.folders import Placed, read_folders
from fileferry.config.kinds import printable
from fileferry.config.lines import key_lines
from fileferry.errors import ConfigError
from fileferry.model import Folder, RemoteSettings, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fileferry.config.schema import Key

_SECTIONS = ("remote", "state")  # the tables that stand once
_PREFIX = "FILEFERRY_"


@dataclass(frozen=True, slots=True)
class StateSettings:
    """`[state]`, checked; the directory is absolute, an empty group is none."""

    directory: str
    group: str = ""


class Explained(NamedTuple):
    """One line of `config show`."""

    key: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Config:
    """What somebody wants, all of it but the API key.

    Args:
        path: of the file.
        remote: how to talk to the API.
        state: where the index is.
        folders: what to mirror, in the order of the file.
        origins: for each dotted key `FILE:LINE`, the name of a variable, or `default`.
        warnings: what is odd, but no mistake.
    """

    path: str
    remote: RemoteSettings
    state: StateSettings
    folders: tuple[Folder, ...]
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def explain(self) -> list[Explained]:
        """List every value as a person would write it, with where it came from."""
        return [
            Explained(dotted, printable(shown), self.origins.get(dotted, DEFAULT))
            for dotted, shown in self._shown()
        ]

    def _shown(self) -> Iterator[tuple[str, str]]:
        yield from _shown_section("remote", "remote", self.remote)
        yield from _shown_section("state", "state", self.state)
        for folder in self.folders:
            prefix = f"folder.{folder.name}"
            yield from _shown_section("folder", prefix, folder)
            for number, rule in enumerate(folder.rules, start=1):
                for dotted, shown in _shown_section("folder.rule", f"{prefix}.rule.{number}", rule):
                    if dotted in self.origins:  # the rest is the folder's
                        yield dotted, shown


def load(path: str | None, environ: Mapping[str, str]) -> Config:
    """Find, read and check the configuration.

    Args:
        path: what `--config` named, or None.
        environ: the environment.

    Raises:
        NotInitialised: there is no such file.
        ConfigError: with everything that is wrong in it, one per line.
    """
    found = source.find(path, environ)
    text = source.read_text(found)
    return from_table(source.parse(text, found), found, environ, lines=key_lines(text))


def from_table(
    table: dict[str, Any],
    path: str,
    environ: Mapping[str, str],
    *,
    lines: Mapping[str, int] | None = None,
) -> Config:
    """Check a parsed file; `path` is where it was, `lines` where its keys stand."""
    checker = Checker(path, lines or {})
    checker.known("", table, "")
    written = {name: checker.table(name, table.get(name, {}), name) for name in _SECTIONS}
    sections = {name: checker.overlay(name, written[name], environ) for name in _SECTIONS}
    sections["state"]["directory"] = _state_directory(
        checker, written["state"].get("directory"), path, environ
    )
    state = StateSettings(**_values("state", sections["state"]))
    placed = read_folders(checker, table.get("folder", []), os.path.dirname(path), environ)
    _keep_apart(checker, state, placed)
    checker.finish()

    remote = RemoteSettings(**_values("remote", sections["remote"]))
    origins = {
        f"{section}.{name}": setting.origin
        for section, settings in sections.items()
        for name, setting in settings.items()
    }
    for one in placed:
        origins |= one.origins
    folders = tuple(one.folder for one in placed)
    warnings = (*_unknown_variables(environ), *_nothing_to_do(folders))
    return Config(path, remote, state, folders, origins, warnings)


def _state_directory(
    checker: Checker, written: Setting | None, path: str, environ: Mapping[str, str]
) -> Setting:
    """Let the quick commands' own rule decide, so that both always agree."""
    in_file = None if written is None else written.value
    try:
        directory, origin = source.choose_state_directory(in_file, path, environ)
    except ConfigError as error:
        checker.add("state.directory", f"`state.directory`: {error.message}")
        return Setting("/", DEFAULT)
    return Setting(directory, origin or checker.origin("state.directory"))


def _keep_apart(checker: Checker, state: StateSettings, placed: list[Placed]) -> None:
    """Refuse a state directory inside a mirrored folder: nothing is ever written there."""
    real = os.path.realpath(os.fsencode(state.directory))
    for one in placed:
        if real == one.real or real.startswith(one.real.rstrip(b"/") + b"/"):
            checker.add(
                f"{one.address}.path",
                f"`folder.path` of `{one.folder.name}` holds the state directory"
                f" `{printable(state.directory)}`, expected a directory where nothing of ours is"
                " written; set `state.directory` to a place outside of it",
            )
            return


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = {key.variable for key in schema.KEYS if key.variable} | {"FILEFERRY_CONFIG"}
    for name in sorted(environ):
        if name.startswith(_PREFIX) and environ[name] and name not in known:
            # Without the prefix, which makes everything look alike.
            endings = [one.removeprefix(_PREFIX).lower() for one in sorted(known)]
            near = schema.nearest(name.removeprefix(_PREFIX), endings)
            meant = f"; did you mean `{_PREFIX}{near.upper()}`?" if near else ""
            yield f"`{printable(name)}` is set, but no such variable is known{meant}"


def _nothing_to_do(folders: tuple[Folder, ...]) -> Iterator[str]:
    if not folders:
        yield "there is no `[[folder]]`, so nothing is mirrored"


def _shown_section(
    section: str, prefix: str, value: RemoteSettings | StateSettings | Folder | Rule
) -> Iterator[tuple[str, str]]:
    for key in _keys(section):
        held = getattr(value, key.attribute)
        shown = os.fsdecode(held) if isinstance(held, bytes) else key.kind.show(held)
        yield f"{prefix}.{key.name}", shown


def _values(section: str, settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {key.attribute: settings[key.name].value for key in _keys(section)}


def _keys(section: str) -> list[Key]:
    return list(schema.keys_of(section).values())
