"""Finds, among many rules, the last one that matches a name, and rules most names out quickly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fileferry.ignore.pattern import Rule, Segment

__all__ = ["TAIL", "NameTable"]

TAIL = 4  # enough to tell `.pem` from `.html`, and one slice for all suffixes


class _Finder:
    """Finds the last of some rules that matches a name: exact names, extensions, and the rest."""

    __slots__ = ("_exact", "_extensions", "_globs", "_indexes", "_search")

    def __init__(self, tests: Iterable[tuple[int, Segment]]) -> None:
        self._exact: dict[bytes, int] = {}
        self._extensions: dict[bytes, int] = {}
        self._globs: list[bytes] = []
        self._indexes: list[int] = []
        self._search: Callable[[bytes], re.Match[bytes] | None] | None = None
        for index, segment in tests:
            if segment.literal is not None:
                self._exact[segment.literal] = index
            elif segment.is_suffix and segment.tail.rfind(b".") == 0:
                self._extensions[segment.tail] = index
            else:
                self._globs.append(segment.regex)
                self._indexes.append(index)

    def last(self, name: bytes) -> int:
        """Give the highest index among the rules that match, or -1."""
        best = self._exact.get(name, -1)
        if self._extensions:
            index = self._extensions.get(name[name.rfind(b".") :], -1)
            best = max(best, index)
        if self._globs and best < self._indexes[-1]:
            if self._search is None:
                # The first alternative that matches is taken, so the last rule must come first.
                latest_first = b"|".join(b"(%s\\Z)" % glob for glob in reversed(self._globs))
                self._search = re.compile(latest_first, re.DOTALL).match
            found = self._search(name)
            if found is not None and found.lastindex is not None:
                index = self._indexes[-found.lastindex]
                best = max(best, index)
        return best


class NameTable:
    """Some rules ready for names of one directory, and what a name needs for any to match."""

    __slots__ = ("always", "ends", "exact", "finders", "heads", "tails")

    def __init__(self, tests: Sequence[tuple[int, Segment]], rules: Sequence[Rule]) -> None:
        self.finders = (
            _Finder(test for test in tests if not rules[test[0]].only_directories),
            _Finder(tests),
        )
        self.exact: set[bytes] = set()
        self.tails: set[bytes] = set()
        self.heads: set[int] = set()
        self.ends: set[int] = set()
        self.always = False
        for _, segment in tests:
            if segment.literal is not None:
                self.exact.add(segment.literal)
            elif segment.head:
                self.heads.add(segment.head[0])
            elif len(segment.tail) >= TAIL:
                self.tails.add(segment.tail[-TAIL:])
            elif segment.tail:
                self.ends.add(segment.tail[-1])
            else:
                self.always = True

    def last(self, name: bytes, is_dir: bool) -> int:
        """Give the highest index among the rules that match, or -1."""
        if (
            self.always
            or name in self.exact
            or name[-TAIL:] in self.tails
            or name[0] in self.heads
            or name[-1] in self.ends
        ):
            return self.finders[is_dir].last(name)
        return -1
