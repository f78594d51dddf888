"""Durations and sizes as people write them, and back.

A duration is a sum of whole numbers with units, each unit once and the larger one first: `90s`,
`10m`, `1h30m`, `7d`, `500ms`. A size is one whole number with a unit: `64MiB`, `512MB`. A number
without a unit is refused, because nobody can know what it meant; only 0 needs none.
"""

from __future__ import annotations

import re

_DURATIONS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile(
    "".join(rf"(?:([0-9]{{1,12}}){unit})?" for unit in ("d", "h", "m", "s", "ms"))
)
_LONGEST_DAYS = 3650

_SIZES = {
    "TiB": 1024**4,
    "TB": 1000**4,
    "GiB": 1024**3,
    "GB": 1000**3,
    "MiB": 1024**2,
    "MB": 1000**2,
    "KiB": 1024,
    "kB": 1000,
    "KB": 1000,
    "B": 1,
}
_SIZE = re.compile(rf"([0-9]{{1,19}})({'|'.join(_SIZES)})")
_LARGEST_BYTES = 2**62  # what SQLite can still count with


def parse_duration(value: object) -> float:
    """Read a duration as seconds; ValueError says what is wrong with it."""
    if _is_zero(value):
        return 0.0
    if _is_number(value):
        raise ValueError(f"a unit is missing: `{value}s`, `{value}m`, `{value}h` or `{value}d`?")
    if not isinstance(value, str) or not value:
        raise ValueError
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError
    parts = zip(match.groups(), _DURATIONS.values(), strict=True)
    milliseconds = sum(int(count) * unit for count, unit in parts if count)
    if milliseconds > _LONGEST_DAYS * _DURATIONS["d"]:
        raise ValueError(f"longer than {_LONGEST_DAYS}d")
    return milliseconds / 1000


def parse_expiry(value: object) -> float | None:
    """Read a duration, or `never` as None."""
    return None if value == "never" else parse_duration(value)


def parse_size(value: object) -> int:
    """Read a size as bytes; ValueError says what is wrong with it."""
    if _is_zero(value):
        return 0
    if _is_number(value):
        raise ValueError(f"a unit is missing: `{value}MB`, `{value}MiB` or `{value}B`?")
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError
    count = int(match[1]) * _SIZES[match[2]]
    if count > _LARGEST_BYTES:
        raise ValueError("larger than any disk")
    return count


def format_duration(seconds: float | None) -> str:
    """Write a duration with the largest unit that leaves no rest, None as `never`."""
    if seconds is None:
        return "never"
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "0s"
    name, unit = next((name, unit) for name, unit in _DURATIONS.items() if milliseconds % unit == 0)
    return f"{milliseconds // unit}{name}"


def format_size(count: int) -> str:
    """Write a size with the unit that leaves no rest and the smallest number."""
    if count == 0:
        return "0"
    name, unit = next((name, unit) for name, unit in _SIZES.items() if count % unit == 0)
    return f"{count // unit}{name}"


def _is_zero(value: object) -> bool:
    return value == "0" or (value == 0 and type(value) is int)


def _is_number(value: object) -> bool:
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20
    return digits or (type(value) is int and 0 <= value < 10**20)
