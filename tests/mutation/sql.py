"""Mistakes in SQL: conditions dropped or turned round, one at a time, in the text of a statement or of a part of one.

Deterministic, and blind to anything but words: a mutant need not be sensible, but it has to be noticed. What is bound
stays bound, so that no mutant dies of the wrong number of arguments alone.
"""

import re
from collections.abc import Iterator

__all__ = ["is_sql", "mistakes"]

_WORDS = re.compile(
    r"\b(SELECT|UPDATE|DELETE FROM|INSERT INTO|WHERE|EXISTS|IS NULL|IS NOT NULL|IN)\b"
)
_STRONG = re.compile(
    r"(\bSELECT\b.*\bFROM\b|\bUPDATE\b.*\bSET\b|\bDELETE FROM\b|\bINSERT INTO\b|\bWHERE\b| (AND|OR) |[=<>] )"
)
_VALUE = r"(?:[\w.]+|\?\d*|:\w+|'[^']*')"
_TERM = rf"{_VALUE}(?: [+-] {_VALUE})?"
_ATOM = re.compile(
    rf"{_TERM} (?P<compare><>|<=|>=|=|<|>) {_TERM}"
    rf"|{_VALUE} IS NOT NULL|{_VALUE} IS NULL"
    rf"|{_VALUE} (?:NOT )?IN \("
    r"|(?:NOT )?EXISTS \("
)
_SWAPS = {
    "=": "<>",
    "<>": "=",
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
}
_TURNS = (
    (re.compile(r"\bIS NOT NULL\b"), "IS NULL"),
    (re.compile(r"\bIS NULL\b"), "IS NOT NULL"),
    (re.compile(r"\bNOT EXISTS\b"), "EXISTS"),
    (re.compile(r"(?<!NOT )\bEXISTS\b"), "NOT EXISTS"),
    (re.compile(r"\bNOT IN\b"), "IN"),
    (re.compile(r"(?<!NOT )\bIN\b"), "NOT IN"),
    (re.compile(r"\bAND\b"), "OR"),
    (re.compile(r"\bOR\b"), "AND"),
    (re.compile(r" \+ "), " - "),
    (re.compile(r" - "), " + "),
    (re.compile(r"\bDISTINCT "), ""),
    (re.compile(r" ORDER BY [\w.]+(?: DESC)?"), ""),
    (re.compile(r" LIMIT \S+"), ""),
    (re.compile(r"\bmin\("), "max("),
    (re.compile(r"\bmax\("), "min("),
)
_LIST = re.compile(r"\bIN \(('[^)]*')\)")


def is_sql(text: str) -> bool:
    """Say whether a string is a statement, or a condition that becomes part of one."""
    return bool(_STRONG.search(text) and (_WORDS.search(text) or " AND " in text))


def mistakes(text: str) -> Iterator[str]:
    """Return the text with one mistake each; never as it is."""
    yield from _turned(text)
    yield from _shortened(text)
    yield from _decided(text)


def _turned(text: str) -> Iterator[str]:
    """Turn one word round."""
    for pattern, instead in _TURNS:
        for match in pattern.finditer(text):
            yield text[: match.start()] + instead + text[match.end() :]


def _shortened(text: str) -> Iterator[str]:
    """Leave one value out of a list."""
    for match in _LIST.finditer(text):
        values = match[1].split(", ")
        for at in range(len(values)):
            fewer = ", ".join(values[:at] + values[at + 1 :])
            yield text[: match.start(1)] + fewer + text[match.end(1) :]


def _decided(text: str) -> Iterator[str]:
    """Make one condition hold always, or never, or turn its comparison round."""
    for match in _ATOM.finditer(text):
        if _assigns(text, match.start()):
            continue
        start, end = match.span()
        if match[0].endswith("("):
            end = _closing(text, end - 1) + 1
            if end == 0:
                continue
        atom = text[start:end]
        for instead in (f"({atom} OR TRUE)", f"({atom} AND FALSE)"):
            yield text[:start] + instead + text[end:]
        if match["compare"]:
            low, high = match.span("compare")
            yield text[:low] + _SWAPS[match["compare"]] + text[high:]


def _assigns(text: str, at: int) -> bool:
    """Say whether a place is in the SET of an UPDATE, where `=` compares nothing."""
    words = re.findall(r"\b(SET|WHERE|CASE|END)\b", text[:at])
    while words and words[-1] == "END":
        words = words[: len(words) - 1 - words[::-1].index("CASE")] if "CASE" in words else []
    return bool(words) and words[-1] == "SET"


def _closing(text: str, opening: int) -> int:
    """Return where a parenthesis is closed; -1: not in this text."""
    depth = 0
    for at in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return -1
