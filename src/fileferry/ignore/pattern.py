"""The language of ignore rules: a line of gitignore(5) becomes a test for each path segment.

Decides what one line means, and keeps where it came from; which rule wins is decided in `ignore`.

The reference is git's own code (`dir.c`, `wildmatch.c`) where the manual is silent. The translation
is our own: importing `pathspec` costs more than the whole scan of a small folder may, and it
differs from git inside brackets (escapes, `[:alpha:]`) and at a `**` that directly follows literal
text, where git lets `a**/b` match `ab` and `ax/y/b`.
"""

from __future__ import annotations

import os
import re

__all__ = ["Rule", "Segment", "parse_line", "parse_lines"]

_SPECIAL = re.compile(rb"[*?\[\\]")
_STAR = b""
_ANY_BYTE = b"."
LONGEST_PATTERN_BYTES = 4_096  # PATH_MAX: what is longer is no rule that anybody wrote
_BOM = b"\xef\xbb\xbf"
_POSIX_CLASSES = {  # first and last of each range, in turn
    b"alnum": b"09AZaz",
    b"alpha": b"AZaz",
    b"blank": b"  \t\t",
    b"cntrl": b"\x00\x1f\x7f\x7f",
    b"digit": b"09",
    b"graph": b"!~",
    b"lower": b"az",
    b"print": b" ~",
    b"punct": b"!/:@[`{~",
    b"space": b"  \t\n\r\r",  # as git counts them: no form feed
    b"upper": b"AZ",
    b"xdigit": b"09AFaf",
}


class InvalidPatternError(ValueError):
    """A pattern that can never match; git accepts such a line in silence."""


class Segment:
    """The test for one name: what stands between two slashes of a pattern.

    `literal` is the name itself where nothing is wild. Otherwise `head` and `tail` are the literal
    ends, `is_suffix` says that only a star precedes the tail, and `regex` (without the closing
    anchor) is exact. Names never hold a slash, so `.` may stand for any byte.
    """

    __slots__ = ("_fullmatch", "head", "is_suffix", "literal", "regex", "tail")

    def __init__(self, items: list[int | bytes]) -> None:
        wild = [place for place, item in enumerate(items) if not isinstance(item, int)]
        codes = [item for item in items if isinstance(item, int)]
        self.literal = None if wild else bytes(codes)
        self.head = bytes(codes[: wild[0]]) if wild else b""
        self.tail = bytes(codes[wild[-1] + 1 - len(wild) :]) if wild else b""
        self.is_suffix = wild == [0] and items[0] == _STAR
        self.regex = _regex(items)
        self._fullmatch: re.Pattern[bytes] | None = None

    def matches(self, name: bytes) -> bool:
        """Tell whether a whole name matches."""
        if self.literal is not None:
            return name == self.literal
        if self._fullmatch is None:
            self._fullmatch = re.compile(self.regex, re.DOTALL)
        return self._fullmatch.fullmatch(name) is not None


class Rule:
    """One line of a source, with its origin.

    `source` is `default`, `config`, or the path of a `.ferryignore` file relative to the root.
    `problem` says why the rule never matches; it is empty for a sound rule.
    `paths` are alternatives: each a list of segments from the directory of the source down, `None`
    standing for any number of directories (or, at the end, for everything below). A rule that is
    `floating` has one segment, and is tested against names at every depth.
    """

    __slots__ = (
        "floating", "line", "negated", "only_directories", "paths", "pattern", "problem", "source",
    )  # fmt: skip

    def __init__(self, source: str, line: int, pattern: bytes) -> None:
        self.source = source
        self.line = line
        self.pattern = pattern
        self.negated = pattern.startswith(b"!")
        body = pattern[1:] if self.negated else pattern
        self.only_directories = body.endswith(b"/")
        if self.only_directories:
            body = body[:-1]
        self.floating = b"/" not in body
        self.problem = ""
        self.paths: list[list[Segment | None]] = []
        if len(body) > LONGEST_PATTERN_BYTES:
            self.problem = f"it has more than {LONGEST_PATTERN_BYTES:,} bytes, as no path can have"
            return
        try:
            self.paths = [[Segment(_one_name(body))]] if self.floating else _paths(body)
        except InvalidPatternError as error:
            self.problem = str(error)

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{os.fsdecode(self.pattern)}"

    def __repr__(self) -> str:
        return f"<Rule {self}>"


def parse_line(source: str, line: int, text: bytes) -> Rule | None:
    """Read one line; None for a blank one and for a comment."""
    text = text.partition(b"\0")[0]
    if text.startswith(b"#"):
        return None
    text = _without_trailing_spaces(text)
    return Rule(source, line, text) if text else None


def parse_lines(source: str, content: bytes) -> list[Rule]:
    """Read a whole rule file, with a byte order mark or Windows line ends where it has them."""
    rules = []
    for line, text in enumerate(content.removeprefix(_BOM).split(b"\n"), start=1):
        rule = parse_line(source, line, text.removesuffix(b"\r"))
        if rule is not None:
            rules.append(rule)
    return rules


def _without_trailing_spaces(text: bytes) -> bytes:
    kept = text.rstrip(b" ")
    backslashes = len(kept) - len(kept.rstrip(b"\\"))
    is_escaped = backslashes % 2 == 1 and len(kept) < len(text)
    return text[: len(kept) + 1] if is_escaped else kept


def _paths(body: bytes) -> list[list[Segment | None]]:
    """Translate a pattern that holds a slash: it is bound to the directory of its source."""
    body = body.removeprefix(b"/")
    special = _SPECIAL.search(body)
    start = special.start() if special else len(body)
    paths = []
    error = None
    for plain in _plain(body[:start], body[start:]):
        try:
            paths.append(_segments(plain))
        except InvalidPatternError as found:
            error = found
    if error is not None and not paths:
        raise error
    return paths


def _plain(before: bytes, rest: bytes) -> list[bytes]:
    """Spell out a `**` directly after literal text as patterns where every `**` is a segment.

    Git compares the literal beginning by itself and matches the rest as if the pattern began there,
    so that such a `**` crosses slashes although it does not stand alone between them.
    """
    after = rest.lstrip(b"*")
    if not before or before.endswith(b"/") or len(rest) - len(after) < 2:
        return [before + rest]
    if not after:
        return [before + b"*", before + b"*/**"]
    if after.startswith(b"\\/"):
        return [before + b"*/**/" + after[2:]]
    if after.startswith(b"/"):
        return [*_plain(before, after[1:]), before + b"*/**/" + after[1:]]
    return [before + rest]


def _segments(body: bytes) -> list[Segment | None]:
    found: list[Segment | None] = []
    place = 0
    while place <= len(body):
        items, end = _items(body, place)
        text = body[place:end]
        if not items:
            raise InvalidPatternError(
                "no name is empty: two slashes, or nothing, where one should be"
            )
        if len(text) > 1 and not text.strip(b"*"):
            # Before an escaped slash git's `**` stands for one directory or more, not for none.
            if body[end : end + 1] == b"\\":
                found.append(Segment([_STAR]))
            found.append(None)
        else:
            found.append(Segment(items))
        place = end + (2 if body[end : end + 1] == b"\\" else 1)
    return found


def _one_name(body: bytes) -> list[int | bytes]:
    if not body:
        raise InvalidPatternError("there is nothing to match")
    return _items(body, 0)[0]


def _items(body: bytes, place: int) -> tuple[list[int | bytes], int]:
    """Read up to the next slash: literal bytes as numbers, what is wild as regular expressions."""
    items: list[int | bytes] = []
    while place < len(body):
        code = body[place : place + 1]
        if code == b"/" or body.startswith(b"\\/", place):
            break
        if code == b"[":
            item, place = _bracket(body, place + 1)
            items.append(item)
            continue
        if code == b"\\":
            place += 1
            if place == len(body):
                raise InvalidPatternError("a backslash at the end escapes nothing")
            items.append(body[place])
        elif code == b"*":
            items.append(_STAR)
        else:
            items.append(_ANY_BYTE if code == b"?" else body[place])
        place += 1
    return items, place


def _bracket(body: bytes, place: int) -> tuple[bytes, int]:
    """Read a character class from behind its `[`; give its regular expression and its end.

    A `]` that comes first is a member, a backslash escapes, and a slash is never matched.
    """
    negated = body[place : place + 1] in {b"!", b"^"}
    place += negated
    first = place
    members: set[int] = set()
    previous = 0
    while place == first or body[place : place + 1] != b"]":
        if body.startswith(b"[:", place) and (named := _posix_class(body, place)):
            codes, place = named
            members |= codes
            previous = 0
        elif body[place : place + 1] == b"-" and previous and body[place + 1 : place + 2] != b"]":
            last, place = _member(body, place + 1)
            members.update(range(previous, last + 1))
            previous = 0
        else:
            previous, place = _member(body, place)
            members.add(previous)
    chosen = (set(range(256)) - members if negated else members) - {ord("/")}
    if not chosen:
        raise InvalidPatternError("no character fits between the brackets")
    few = set(range(256)) - chosen if negated else chosen
    listed = b"".join(b"\\x%02x" % code for code in sorted(few))
    return b"[%s%s]" % (b"^" if negated else b"", listed), place + 1


def _member(body: bytes, place: int) -> tuple[int, int]:
    place += body[place : place + 1] == b"\\"
    if place >= len(body):
        raise InvalidPatternError("the bracket is not closed")
    return body[place], place + 1


def _posix_class(body: bytes, place: int) -> tuple[set[int], int] | None:
    """Read `[:name:]`; None where it is an ordinary member `[` after all."""
    start = place + 2
    end = body.find(b"]", start)
    if end < 0:
        raise InvalidPatternError("the bracket is not closed")
    if end == start or body[end - 1 : end] != b":":
        return None
    ranges = _POSIX_CLASSES.get(body[start : end - 1])
    if ranges is None:
        raise InvalidPatternError("there is no class of characters of this name")
    pairs = zip(ranges[::2], ranges[1::2], strict=True)
    return {code for first, last in pairs for code in range(first, last + 1)}, end + 1


def _regex(items: list[int | bytes]) -> bytes:
    """Write a segment as a regular expression that cannot take exponential time.

    What follows a star may be found at its first occurrence for good when another star comes after.
    """
    chunks = [b""]
    for item in items:
        if item == _STAR:
            chunks.append(b"")
        else:
            chunks[-1] += re.escape(bytes([item])) if isinstance(item, int) else item
    if len(chunks) == 1:
        return chunks[0]
    inner = b"".join(b"(?>.*?%s)" % chunk for chunk in chunks[1:-1] if chunk)
    return b"%s%s.*%s" % (chunks[0], inner, chunks[-1])
