"""On which line of the file a key stands: for messages only, so a guess is good enough."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]\]?\s*(?:#.*)?$")
_BARE_OR_QUOTED = r"(?:[\w-]+|\"[^\"]*\"|'[^']*')"
_KEY = re.compile(rf"\s*({_BARE_OR_QUOTED}(?:\s*\.\s*{_BARE_OR_QUOTED})*)\s*=")


def key_lines(text: str) -> dict[str, int]:
    """Map addresses such as `remote.concurrency` or `folder[0].rule[1].match` to line numbers."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    current = ""
    is_inside_text = False
    for number, line in enumerate(text.split("\n"), start=1):
        was_inside_text = is_inside_text
        if (line.count('"""') + line.count("'''")) % 2:
            is_inside_text = not is_inside_text
        if was_inside_text:
            continue
        if header := _HEADER.match(line):
            current = _address(_plain(header[2]), counts, is_array=header[1] == "[[")
            lines.setdefault(current, number)
        elif key := _KEY.match(line):
            names = _plain(key[1])
            for end in range(1, len(names) + 1):
                lines.setdefault(".".join(filter(None, [current, *names[:end]])), number)
    return lines


def _plain(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _address(names: list[str], counts: dict[str, int], *, is_array: bool) -> str:
    """Turn a header into an address; `[[…]]` opens one more of its array."""
    address = ""
    for position, name in enumerate(names):
        address = f"{address}.{name}" if address else name
        if is_array and position == len(names) - 1:
            counts[address] = counts.get(address, 0) + 1
        if address in counts:
            address += f"[{counts[address] - 1}]"
    return address
