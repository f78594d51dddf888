"""From checked settings to `Folder` and `Rule`, with the checks that need more than one key."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fileferry.config import schema, source
from fileferry.config.check import DEFAULT, Checker, Setting
from fileferry.config.units import format_duration
from fileferry.errors import ConfigError
from fileferry.model import Folder, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Placed:
    """A folder with where it stands in the file and where each of its values came from.

    Args:
        real: where its path leads, through all links.
    """

    folder: Folder
    address: str
    origins: dict[str, str]
    real: bytes


def read_folders(
    checker: Checker, raw: object, base: str, environ: Mapping[str, str]
) -> list[Placed]:
    """Read all `[[folder]]` tables.

    Args:
        checker: takes what is wrong.
        raw: what TOML says of `folder`.
        base: the directory that relative paths start from.
        environ: for `~`.
    """
    placed = []
    for address, table in checker.tables("folder", raw, "folder"):
        one = _read_folder(checker, table, address, base, environ)
        if one is not None:
            placed.append(one)
    _refuse_twins(checker, placed)
    return placed


def _read_folder(
    checker: Checker, table: dict[str, Any], address: str, base: str, environ: Mapping[str, str]
) -> Placed | None:
    settings = checker.table("folder", table, address)
    rules, rule_origins = _read_rules(checker, table.get("rule", []), f"{address}.rule")
    root = _root(checker, settings, address, base, environ)
    _check_settle(checker, settings, address)
    if root is None or "name" not in settings:
        return None
    prefix = f"folder.{settings['name'].value}"
    origins = {
        f"{prefix}.{name}": settings[name].origin if name in settings else DEFAULT
        for name in schema.keys_of("folder")
    }
    origins |= {f"{prefix}.{name}": origin for name, origin in rule_origins.items()}
    values = {
        key.attribute: settings[name].value
        for name, key in schema.keys_of("folder").items()
        if name in settings
    }
    folder = Folder(**values | {"root": root, "rules": rules})
    return Placed(folder, address, origins, real_path(folder.root))


def _read_rules(
    checker: Checker, raw: object, address: str
) -> tuple[tuple[Rule, ...], dict[str, str]]:
    rules: list[Rule] = []
    origins: dict[str, str] = {}
    for number, (place, table) in enumerate(checker.tables("folder.rule", raw, address), start=1):
        settings = checker.table("folder.rule", table, place)
        overrides = schema.keys_of("folder.rule").keys() - {"match"}
        if not overrides & table.keys():
            names = ", ".join(
                f"`{name}`" for name in schema.keys_of("folder.rule") if name in overrides
            )
            checker.add(place, f"`folder.rule` changes nothing, expected one of {names}")
        if "match" not in settings:
            continue
        values = {
            key.attribute: settings[name].value
            for name, key in schema.keys_of("folder.rule").items()
            if name in settings
        }
        is_endless = "expires_after" in settings and settings["expires_after"].value is None
        rules.append(Rule(**values, expires_never=is_endless))
        origins |= {f"rule.{number}.{name}": setting.origin for name, setting in settings.items()}
    return tuple(rules), origins


def _root(
    checker: Checker,
    settings: dict[str, Setting],
    address: str,
    base: str,
    environ: Mapping[str, str],
) -> bytes | None:
    if "path" not in settings:
        return None
    try:
        return os.fsencode(source.absolute(settings["path"].value, base, environ))
    except ConfigError as error:
        checker.add(f"{address}.path", f"`folder.path`: {error.message}")
    except UnicodeEncodeError:
        checker.add(f"{address}.path", "`folder.path` has letters that file names here cannot have")
    return None


def _check_settle(checker: Checker, settings: dict[str, Setting], address: str) -> None:
    keys = schema.keys_of("folder")
    seconds = {
        name: settings[name].value
        if name in settings
        else keys[name].kind.parse(keys[name].default)
        for name in ("settle", "settle_max")
    }
    if seconds["settle_max"] < seconds["settle"]:
        place = "settle_max" if "settle_max" in settings else "settle"
        checker.add(
            f"{address}.{place}",
            f"`folder.settle_max` is `{format_duration(seconds['settle_max'])}`, expected at least"
            f" the `{format_duration(seconds['settle'])}` of `folder.settle`",
        )


def _refuse_twins(checker: Checker, placed: list[Placed]) -> None:
    names: dict[str, Placed] = {}
    roots: dict[bytes, Placed] = {}
    for one in placed:
        folder = one.folder
        if folder.name in names:
            checker.add(
                f"{one.address}.name",
                f"`folder.name` is `{folder.name}` a second time, expected a name of its own",
            )
        first = names.setdefault(folder.name, one)
        other = roots.setdefault(one.real, one)
        if other is not one:
            whom = f"`{other.folder.name}`" if first is one else "the other one of that name"
            checker.add(
                f"{one.address}.path",
                f"`folder.path` of `{folder.name}` is the same directory as that of {whom},"
                " expected another one",
            )


def real_path(path: bytes) -> bytes:
    """Return where a path leads; where its disk does not say so in time, the path as it is written.

    A network mount that hangs would keep every command that reads the configuration.
    """
    found: list[bytes] = []
    asking = threading.Thread(
        target=lambda: found.append(os.path.realpath(path)), daemon=True, name="real path"
    )
    asking.start()
    asking.join(ANSWER_SECONDS)
    return found[0] if found else os.path.normpath(path)
