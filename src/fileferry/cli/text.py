"""How facts are written for people: names that cannot harm a terminal, moments, numbers with a noun."""

from __future__ import annotations

import time

from fileferry.index.identity import shown


def safe(text: str) -> str:
    """Return a text on one line and without control characters: names of files are other people's text."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def name(path: bytes) -> str:
    """Return a path on one line."""
    return safe(shown(path))


def place(folder: str, path: bytes) -> str:
    """Return a path in the form that every command takes."""
    return f"{folder}:{name(path)}"


def moment(seconds: float | None) -> str | None:
    """Return RFC 3339 in UTC, or None."""
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 file`, `2,000 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(count: int) -> str:
    """Return a number of bytes for a person."""
    number = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} TiB"


def duration(seconds: float) -> str:
    """Return how long something takes, for a person: `45 s`, `3 min 20 s`, `1 h 12 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
