"""The kinds of value that a key can have: what is expected, how it is read, how it is shown.

A parser raises ValueError; its text is added to "expected …" where it says more than that.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fileferry.config import units
from fileferry.config.urls import parse_url
from fileferry.model import Dedup

if TYPE_CHECKING:
    from collections.abc import Callable

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
PLACEHOLDERS = ("name", "stem", "suffix", "digest8", "path")

HOUR, DAY = 3_600, 86_400
_LARGEST_COUNT = 1_000_000_000
_LARGEST_MULTIPART_THRESHOLD = 512 * 1000**2  # `POST /files` takes no more
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    Args:
        expected: in words, to follow "expected".
        parse: from the TOML value to the checked one; ValueError when it cannot be.
        show: from the checked value back to what a person would write.
        from_text: from an environment variable to the TOML value.
        is_secretive: a wrong text may hold a secret, so messages do not repeat it.
    """

    expected: str
    parse: Callable[[Any], Any]
    show: Callable[[Any], str] = str
    from_text: Callable[[str], object] = str
    is_secretive: bool = False


def display(value: object) -> str:
    """Name a wrong value in a message: short, on one line, and never a whole key."""
    if isinstance(value, str):
        if re.search("(?<![A-Za-z0-9])sk-", value):  # a key that was put into the wrong place
            return '`"sk-…"`'
        short = value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…"
        return f'`"{printable(short)}"`'
    for kind, name in ((dict, "a table"), (list, "a list")):
        if isinstance(value, kind):
            return name
    if isinstance(value, int) and abs(value) > 10**_LONGEST_SHOWN:
        return "a huge number"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def printable(text: str) -> str:
    """Escape what would disturb a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


# Each parser takes whatever TOML can hold.


def _text(
    value: object, *, may_be_empty: bool = False, pattern: str = "[^\\x00-\\x1f\\x7f]*"
) -> str:
    if not isinstance(value, str) or not (value or may_be_empty):
        raise ValueError
    if value and not re.fullmatch(pattern, value):
        raise ValueError
    return value


def _optional(value: object, pattern: str) -> str | None:
    return _text(value, may_be_empty=True, pattern=pattern) or None


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - a parser has one exception
    return value


def _count(value: object, *, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value


def _rate(value: object) -> int:
    return _count(0 if value == "0" else value, low=0, high=_LARGEST_COUNT)


def _duration(value: object, *, low: float) -> float:
    seconds = units.parse_duration(value)
    if seconds < low:
        raise ValueError(f"shorter than {units.format_duration(low)}")
    return seconds


def _expiry(value: object) -> int | None:
    seconds = units.parse_expiry(value)
    if seconds is None:
        return None
    if not HOUR <= seconds <= 30 * DAY:
        raise ValueError(f"{'shorter than 1h' if seconds < HOUR else 'longer than 30d'}")
    if seconds != int(seconds):
        raise ValueError("not whole seconds")
    return int(seconds)


def _size(value: object, *, high: int | None = None) -> int:
    count = units.parse_size(value)
    if high is not None and count > high:
        raise ValueError(f"more than {units.format_size(high)}")
    return count


def _bandwidth(value: object) -> int:
    return units.parse_size(value.removesuffix("/s") if isinstance(value, str) else value)


def _show_bandwidth(count: int) -> str:
    return f"{units.format_size(count)}/s" if count else "0"


def _choice(value: object, *, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError
    return value


def _patterns(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError  # noqa: TRY004
    for index, line in enumerate(value, start=1):
        try:
            _text(line, may_be_empty=True)
        except ValueError:
            raise ValueError(f"number {index} of the list is {display(line)}") from None
    return tuple(value)


def _show_patterns(patterns: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{pattern}"' for pattern in patterns) + "]"


def _remote_name(value: object) -> str:
    text = _text(value)
    literals = re.sub(r"\{([^{}]*)\}", "", text)
    for found in re.findall(r"\{([^{}]*)\}", text):
        if found not in PLACEHOLDERS:
            raise ValueError(f"`{{{printable(found)}}}` is not a placeholder")
    if "{" in literals or "}" in literals:
        raise ValueError("a brace has lost its partner")
    # Only the suffix can be empty: a file without one has it so.
    if not literals.strip() and not re.search(r"\{(name|stem|digest8|path)\}", text):
        raise ValueError("the name of a file without a suffix would be empty")
    return text


def _alternatives(allowed: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in allowed[:-1]) + f" or `{allowed[-1]}`"


def _flag_from_text(text: str) -> object:
    return {"true": True, "false": False}.get(text.lower(), text)


def _number_from_text(text: str) -> object:
    is_number = re.fullmatch("-?[0-9]{1,18}", text) is not None
    return int(text) if is_number else text


def choice(*allowed: str, made: Callable[[str], Any] = str) -> Kind:
    """Make the kind of a word out of a few."""
    return Kind(_alternatives(allowed), lambda value: made(_choice(value, allowed=allowed)))


def count(low: int, high: int = _LARGEST_COUNT) -> Kind:
    """Make the kind of a whole number within bounds."""
    expected = f"a whole number from {low}" + (f" to {high}" if high < _LARGEST_COUNT else "")
    parse = functools.partial(_count, low=low, high=high)
    return Kind(expected, parse, from_text=_number_from_text)


def duration(low: float = 0.0) -> Kind:
    """Make the kind of a duration that is at least so many seconds."""
    least = f", at least {units.format_duration(low)}" if low else ""
    expected = f"a duration such as `90s`, `10m`, `2h` or `7d`{least}"
    return Kind(expected, functools.partial(_duration, low=low), units.format_duration)


URL = Kind("an http or https URL", parse_url, is_secretive=True)
FLAG = Kind(
    "`true` or `false`",
    _flag,
    lambda value: str(value).lower(),
    _flag_from_text,
)
RATE = Kind("a whole number, 0 for no limit", _rate, from_text=_number_from_text)
EXPIRY = Kind("`never`, or a duration from `1h` to `30d`", _expiry, units.format_duration)
SIZE = Kind("a size such as `64MiB`, `512MB` or `10GiB`", _size, units.format_size)
MULTIPART = Kind(
    "a size up to `512MB`",
    functools.partial(_size, high=_LARGEST_MULTIPART_THRESHOLD),
    units.format_size,
)
BANDWIDTH = Kind("`0`, or a size per second such as `10MiB`", _bandwidth, _show_bandwidth)
IDENTIFIER = Kind(
    "text without spaces, or nothing",
    functools.partial(_optional, pattern="[\\x21-\\x7e]*"),
    lambda value: value or "",
)
GROUP = Kind(
    "the name of a group, or nothing",
    functools.partial(_text, may_be_empty=True, pattern=r"[^\s:/,\x00-\x1f]*"),
)
PATH = Kind("the path of a directory", functools.partial(_text, pattern=r"[^\x00]*"), printable)
NAME = Kind(
    "letters, digits, `.`, `_` and `-`, with a letter or a digit first",
    functools.partial(_text, pattern="[A-Za-z0-9][A-Za-z0-9._-]*"),
)
PATTERN = Kind("a pattern as in `.gitignore`", _text)
PATTERNS = Kind("a list of patterns as in `.gitignore`", _patterns, _show_patterns)
PURPOSE = choice(*PURPOSES)
DEDUP = choice(*(mode.value for mode in Dedup), made=Dedup)
REMOTE_NAME = Kind(
    "a name with any of " + " ".join(f"`{{{name}}}`" for name in PLACEHOLDERS), _remote_name
)
