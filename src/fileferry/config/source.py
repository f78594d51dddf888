"""Where the configuration and the state directory are, and what the file says, unjudged.

Quick commands start here, so this module imports almost nothing: no dataclasses, no typing, no
pathlib, and tomllib only when there is a file that has to be parsed.
"""

from __future__ import annotations

import os

from fileferry.errors import ConfigError, NotInitialised

TYPE_CHECKING = (
    False  # the real one lives in typing, which costs as much as the rest of a quick command
)
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_INIT_HINT = "write one with `fileferry init DIR`"


def locate(path: str | None, environ: Mapping[str, str]) -> str | None:
    """Find the configuration file, as an absolute path; None when there is none at all.

    A file that is named, by `path` (from `--config`) or `$FILEFERRY_CONFIG`, has to exist; the
    usual places, `$CONFIGURATION_DIRECTORY` and `$XDG_CONFIG_HOME`, are merely looked at.
    """
    for named in (path, environ.get("FILEFERRY_CONFIG")):
        if named:
            found = os.path.abspath(expand_home(named, environ))
            if not _exists(found):
                raise NotInitialised(f"`{found}` does not exist", hint=_INIT_HINT)
            return found
    for directory in environ.get("CONFIGURATION_DIRECTORY", "").split(":"):
        found = os.path.join(directory, "config.toml")
        if directory and _exists(found):
            return found
    found = default_path(environ)  # last, because a service may have no home
    return found if _exists(found) else None


def default_path(environ: Mapping[str, str]) -> str:
    """Say where a user's own configuration file belongs."""
    base = _xdg("XDG_CONFIG_HOME", "~/.config", environ)
    return os.path.join(base, "fileferry", "config.toml")


def find(path: str | None, environ: Mapping[str, str]) -> str:
    """Find the configuration file, or raise NotInitialised."""
    found = locate(path, environ)
    if found is None:
        usual = default_path(environ)
        raise NotInitialised(f"there is no configuration, not even `{usual}`", hint=_INIT_HINT)
    return found


def read_text(path: str) -> str:
    """Read the file as UTF-8, or raise ConfigError."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(f"`{path}` cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"`{path}` is not UTF-8 text", hint="save it again with the encoding UTF-8"
        ) from error


def parse(text: str, path: str) -> dict[str, Any]:
    """Parse TOML; what is wrong with it is a ConfigError with line and column."""
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"`{path}` is nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, and int() on thousands of digits
        what, place = _split_place(str(error), text)
        raise ConfigError(
            f"`{path}` {place}: {what}",
            hint="strings need quotes, every key a line of its own: see https://toml.io",
        ) from error


def state_directory(path: str | None, environ: Mapping[str, str]) -> str:
    """Say where the index is, reading as little as possible.

    `path` is what `--config` named, or None. Without any configuration the answer is the default
    place: an index can be read where there is no configuration.
    """
    if environ.get("FILEFERRY_STATE_DIRECTORY"):
        return choose_state_directory(None, "", environ)[0]
    found = locate(path, environ)
    in_file = None
    if found is not None:
        text = read_text(found)
        if _may_set_state(text):
            in_file = _state_in(parse(text, found), found)
    return choose_state_directory(in_file, found or "", environ)[0]


def choose_state_directory(
    in_file: str | None, config_path: str, environ: Mapping[str, str]
) -> tuple[str, str]:
    """Choose among environment, file and defaults: the absolute directory, and who said so.

    Who said so is the name of a variable, `default`, or an empty string for the file.
    """
    if named := environ.get("FILEFERRY_STATE_DIRECTORY"):
        return os.path.abspath(expand_home(named, environ)), "FILEFERRY_STATE_DIRECTORY"
    if in_file is not None:
        return absolute(in_file, os.path.dirname(config_path), environ), ""
    if given := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return os.path.abspath(given), "STATE_DIRECTORY"
    base = _xdg("XDG_STATE_HOME", "~/.local/state", environ)
    return os.path.abspath(os.path.join(base, "fileferry")), "default"


def absolute(path: str, base: str, environ: Mapping[str, str]) -> str:
    """Expand `~`, take a relative path from `base`, and drop `.`, `..` and doubled slashes."""
    whole = os.path.normpath(os.path.join(base, expand_home(path, environ)))
    return "/" + whole.lstrip("/")  # POSIX lets two slashes at the start be something else


def expand_home(path: str, environ: Mapping[str, str]) -> str:
    """Expand a leading `~` by the given environment, and `~someone` by the user database."""
    home = environ.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return home.rstrip("/") + path[1:] or "/"
    expanded = os.path.expanduser(path)
    if path.startswith("~") and expanded == path:
        raise ConfigError(
            f"`{path}` names a home directory that is not known",
            hint="write the whole path, or set `HOME`",
        )
    return expanded


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass  # it may well be there; reading it will say what is wrong
    return True


def _xdg(variable: str, otherwise: str, environ: Mapping[str, str]) -> str:
    given = environ.get(variable, "")
    # The XDG specification wants relative values ignored.
    return given if given.startswith("/") else expand_home(otherwise, environ)


def _may_set_state(text: str) -> bool:
    """Tell whether parsing could find a state directory: tomllib alone is half of a quick command.

    True when in doubt. A commented line, or an empty `[state]`, sets nothing.
    """
    stripped = (line.strip() for line in text.split("\n"))
    lines = [line for line in stripped if line and not line.startswith("#")]
    for line, following in zip(lines, [*lines, "["][1:], strict=True):
        if "\\u" in line or "\\U" in line:  # a key may be spelt with escapes
            return True
        if "state" in line and not (line == "[state]" and following.startswith("[")):
            return True
    return False


def _state_in(table: dict[str, Any], path: str) -> str | None:
    section = table.get("state", {})
    if not isinstance(section, dict):
        raise ConfigError(f"`{path}`: `state` is not a table, expected `[state]`")
    directory = section.get("directory")
    if directory is not None and (not isinstance(directory, str) or not directory):
        raise ConfigError(f"`{path}`: `state.directory` is not the path of a directory")
    if directory is not None and "\0" in directory:
        raise ConfigError(f"`{path}`: `state.directory` has a NUL character in it")
    return directory


def _split_place(message: str, text: str) -> tuple[str, str]:
    """Take "(at line 3, column 5)" off the end of tomllib's message."""
    what, _, place = message.rpartition(" (at ")
    if not what:
        return _lower(message), "cannot be read"
    place = place.rstrip(")")
    if not place.startswith("line "):  # "end of document"
        rows = text.rstrip("\n").split("\n")
        place = f"line {len(rows)}, column {len(rows[-1]) + 1}"
    return _lower(what), place


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
