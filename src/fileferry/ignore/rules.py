"""Decides which names below a mirrored directory are ignored, and by which rule of which file.

The syntax and the precedence are those of gitignore(5): the last rule that matches wins, later
sources win over earlier ones (defaults, the folder's own list, `.ferryignore` files, deeper ones
last), and nothing below an ignored directory can be included again. Names are bytes, compared
byte by byte. Nothing here touches the disk: whoever walks brings the `.ferryignore` files along.

A walk asks for every entry, and nearly every answer is no. So a `Matcher` first tries what a name
would need for any rule to match (a set look-up each for the name, its last four bytes, its first
and its last byte) and weighs rules only after that. Rules with a slash are followed directory by
directory like the states of an automaton, so a path is never put together, and directories in
the same state share one `Matcher`.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from fileferry.ignore.defaults import ALWAYS, DEFAULT
from fileferry.ignore.names import TAIL, NameTable
from fileferry.ignore.pattern import Rule, Segment, parse_line, parse_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["FILE_NAME", "Matcher", "Rule", "Rules", "parse_lines"]

FILE_NAME = b".ferryignore"

_ANY_NAME = Segment([b""])


class _Node:
    """One segment of one rule: a state of the automaton, reached when all before it matched."""

    __slots__ = ("index", "is_last", "segment", "stays")

    def __init__(self, index: int, segment: Segment | None, *, is_last: bool) -> None:
        self.index = index
        self.segment = segment or _ANY_NAME
        self.stays = segment is None
        self.is_last = is_last


class _Layer:
    """The rules of one source, compiled; immutable but for what it remembers."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.nodes: list[_Node] = []
        start: set[int] = set()
        floating: list[tuple[int, Segment]] = []
        for index, rule in enumerate(rules):
            for path in rule.paths:
                if rule.floating:
                    floating += [(index, segment) for segment in path if segment is not None]
                    continue
                first = len(self.nodes)
                end = len(path) - 1
                self.nodes += [
                    _Node(index, segment, is_last=place == end)
                    for place, segment in enumerate(path)
                ]
                start |= self._reached(first)
        self.start = frozenset(start)
        self._floating = (NameTable(floating, rules),) if floating else ()
        self._tables: dict[frozenset[int], tuple[NameTable, ...]] = {}

    def _reached(self, place: int) -> set[int]:
        """Close over `**`, which may stand for no directory at all."""
        found = {place}
        while self.nodes[place].stays and not self.nodes[place].is_last:
            place += 1
            found.add(place)
        return found

    def tables(self, state: frozenset[int]) -> tuple[NameTable, ...]:
        """Give what can match names in a directory that was reached with this state."""
        tables = self._tables.get(state)
        if tables is None:
            last = [self.nodes[place] for place in sorted(state) if self.nodes[place].is_last]
            tests = [(node.index, node.segment) for node in last]
            tables = (*self._floating, NameTable(tests, self.rules)) if tests else self._floating
            self._tables[state] = tables
        return tables

    def enter(self, state: frozenset[int], name: bytes | None) -> frozenset[int]:
        """Move on into a directory; None is a name that no pattern asks for."""
        following: set[int] = set()
        for place in state:
            node = self.nodes[place]
            if node.stays:
                following |= self._reached(place)
            elif not node.is_last and name is not None and node.segment.matches(name):
                following |= self._reached(place + 1)
        return frozenset(following)


_Stack = tuple[tuple[_Layer, frozenset[int]], ...]


class Matcher:
    """The rules as they stand in one directory; ask it for every entry there.

    Matchers do not know their path: directories where the same rules can match share one.
    """

    __slots__ = (
        "_always", "_elsewhere", "_ends", "_exact", "_heads", "_known", "_next_names",
        "_next_wild", "_stack", "_tables", "_tails",
    )  # fmt: skip

    def __init__(self, stack: _Stack, known: dict[_Stack, Matcher]) -> None:
        self._stack = stack
        self._known = known
        known[stack] = self
        self._elsewhere: Matcher | None = None
        self._tables = [(layer.rules, layer.tables(state)) for layer, state in reversed(stack)]
        tables = [table for _, some in self._tables for table in some]
        self._exact = frozenset[bytes]().union(*(table.exact for table in tables))
        self._tails = frozenset[bytes]().union(*(table.tails for table in tables))
        self._heads = frozenset[int]().union(*(table.heads for table in tables))
        self._ends = frozenset[int]().union(*(table.ends for table in tables))
        self._always = any(table.always for table in tables)
        waiting = [layer.nodes[place] for layer, state in stack for place in state]
        inner = [node.segment for node in waiting if not (node.stays or node.is_last)]
        self._next_names = {segment.literal for segment in inner}
        self._next_wild = None in self._next_names

    def ignored(self, name: bytes, is_dir: bool) -> bool:
        """Tell whether an entry of this directory is ignored; below an ignored one, all is."""
        if (
            name in self._exact
            or name[-TAIL:] in self._tails
            or name[0] in self._heads
            or name[-1] in self._ends
            or self._always
        ):
            rule = self.rule(name, is_dir)
            return rule is not None and not rule.negated
        return False

    def rule(self, name: bytes, is_dir: bool) -> Rule | None:
        """Give the rule that decides about an entry; a negated one keeps it."""
        for rules, tables in self._tables:
            best = -1
            for table in tables:
                best = max(best, table.last(name, is_dir))
            if best >= 0:
                return rules[best]
        return None

    def enter(
        self, name: bytes, rules_text: bytes | None = None, path: bytes = FILE_NAME
    ) -> Matcher:
        """Give the matcher for a directory in this one that is not ignored.

        `rules_text` is the content of its `.ferryignore`, `path` where that is from the root, to
        be named as the origin. The empty name is this directory itself.
        """
        if not name:
            inside = self
        elif self._next_wild or name in self._next_names:
            inside = self._following(name)
        else:
            inside = self._elsewhere or self._following(None)
            self._elsewhere = inside
        return inside if rules_text is None else inside.with_rules(rules_text, path)

    def with_rules(self, rules_text: bytes, path: bytes) -> Matcher:
        """Add the rules of this directory's own `.ferryignore`."""
        rules = parse_lines(os.fsdecode(path), rules_text)
        if not any(rule.paths for rule in rules):
            return self
        layer = _Layer(rules)
        return Matcher((*self._stack, (layer, layer.start)), {})

    def _following(self, name: bytes | None) -> Matcher:
        moved = ((layer, layer.enter(state, name)) for layer, state in self._stack)
        stack = tuple((layer, state) for layer, state in moved if layer.tables(state) or state)
        return self._known.get(stack) or Matcher(stack, self._known)


class Rules:
    """The rules that a folder's configuration gives, before any `.ferryignore` file.

    `ignore` holds lines of gitignore syntax; their line numbers count from 1 in that list.
    """

    def __init__(self, ignore: Iterable[str] = (), *, default_ignore: bool = True) -> None:
        self._defaults = DEFAULT if default_ignore else ALWAYS
        self._lines = [text.encode("utf-8", "surrogateescape") for text in ignore]
        numbered = enumerate(self._lines, start=1)
        parsed = (parse_line("config", line, text) for line, text in numbered)
        self._own = [rule for rule in parsed if rule is not None]

    def root(self, rules_text: bytes | None = None) -> Matcher:
        """Give the matcher for the root directory, with the content of its `.ferryignore`."""
        layers = [_default_layer(self._defaults)]
        if self._own:
            layers.append(_Layer(self._own))
        matcher = Matcher(tuple((layer, layer.start) for layer in layers), {})
        return matcher.enter(b"", rules_text)

    def explain(
        self, path: bytes, is_dir: bool, read_ferryignore: Callable[[bytes], bytes | None]
    ) -> Rule | None:
        """Give the rule that decides about a path; it is ignored unless the rule is negated.

        `read_ferryignore` is given the path of a `.ferryignore` file relative to the root, and
        answers None where there is none. An ignored directory decides for all that is below it.
        """
        matcher = self.root(read_ferryignore(FILE_NAME))
        *parents, name = path.split(b"/")
        above = b""
        for parent in parents:
            rule = matcher.rule(parent, is_dir=True)
            if rule is not None and not rule.negated:
                return rule
            above += parent + b"/"
            file = above + FILE_NAME
            matcher = matcher.enter(parent, read_ferryignore(file), file)
        return matcher.rule(name, is_dir)

    def problems(self) -> list[Rule]:
        """List the configured rules that can never match; `Rule.problem` says why."""
        return [rule for rule in self._own if rule.problem]

    def fingerprint(self, files: Iterable[tuple[bytes, bytes]] = ()) -> str:
        """Digest the text of all rules, with `.ferryignore` files given as (path, content)."""
        import hashlib

        digest = hashlib.blake2b(digest_size=16)
        named = [part for file in sorted(files) for part in file]
        counts = [b"%d" % len(self._lines), b"%d" % len(named)]
        for text in (*counts, self._defaults, *self._lines, *named):
            digest.update(b"%d:" % len(text) + text)
        return digest.hexdigest()


@functools.cache
def _default_layer(text: bytes) -> _Layer:
    return _Layer(parse_lines("default", text))
