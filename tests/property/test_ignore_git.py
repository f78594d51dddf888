"""The judge of ignore rules is git itself: same verdict and same deciding line for every path."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fileferry.ignore.rules import Matcher, Rule, Rules

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is the reference")

NAMES = [
    b"a", b"b", b"c", b"ab", b"aa", b"abc", b"abab", b"a.b", b".a", b"a b", b"b ", b"a\\b", b"\\",
    b"#a", b"!a", b"a#", b"a!", b"*", b"a*", b"**", b"[a]", b"a]", b"-", b"A", b"a\t", b"a\r",
    b"caf\xe9", b"caf\xc3\xa9", b"caf\xe9.b", b"\xe9", b"1", b"a\nb", b"bab", b"acb",
]  # fmt: skip
PIECES = [
    b"a", b"a", b"b", b"b", b"c", b"ab", b".", b"-", b"]", b"1", b"A", b"\xe9", b"caf",
    b"*", b"*", b"*", b"**", b"**", b"***", b"?", b"?", b"/", b"/", b"/", b"/**/", b"**/", b"/**",
    b"[a-c]", b"[!a]", b"[^b]", b"[]-a]", b"[!]a]", b"[a-]", b"[a\\-c]", b"[\\]]", b"[c-a]",
    b"[/a]", b"[!/]", b"[--/]", b"[[:alpha:]]", b"[[:upper:]b]", b"[![:alnum:]]", b"[[:space:]]",
    b"[[:nonsense:]]", b"[[:a]", b"[[:]", b"[[a-c]", b"[\xe0-\xff]", b"[a", b"[",
    b"\\", b"\\a", b"\\*", b"\\\\", b"\\/", b"\\ ", b"\\#", b"!", b"#", b" ", b"\t", b"\r",
]  # fmt: skip
COMMON = [
    b"*", b"!*", b"*/", b"!*/", b"/*", b"!a", b"!b/", b"!ab", b"a/**", b"!a/**", b"**/a", b"*a",
]  # fmt: skip
SEGMENTS = [
    b"a", b"a", b"b", b"b", b"ab", b"x", b"*", b"*", b"**", b"**", b"***", b"a*", b"*b", b"a**",
    b"a**", b"ab**", b"**b", b"?", b"[ab]", b"[!a]", b"\\a", b"\\a**", b"a?", b"", b"caf?", b"*a*b",
]  # fmt: skip

soup = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map(b"".join)
paths = st.builds(
    lambda first, others, end: first + b"".join(slash + name for slash, name in others) + end,
    st.sampled_from([*SEGMENTS, b"/a", b"/**", b"/*", b"/a**"]),
    st.lists(
        st.tuples(st.sampled_from([b"/", b"/", b"/", b"\\/"]), st.sampled_from(SEGMENTS)),
        max_size=4,
    ),
    st.sampled_from([b"", b"", b"/"]),
)
ends = st.builds(
    lambda name, backslashes, spaces: name + b"\\" * backslashes + b" " * spaces,
    st.sampled_from([b"a", b"b", b"*", b"a*", b""]),
    st.integers(0, 3),
    st.integers(0, 2),
)
patterns = st.one_of(soup, paths, paths, ends)
lines = st.one_of(
    patterns,
    patterns,
    patterns.map(lambda pattern: b"!" + pattern),
    patterns.map(lambda pattern: pattern + b"/"),
    st.sampled_from(COMMON),
)
# Where all files are ignored and no directory is, a `!` rule shows each path that it matches.
bare = patterns.map(lambda pattern: [b"*", b"!*/", b"!" + pattern])
plot_lines = st.lists(st.one_of(bare, st.lists(lines, min_size=1, max_size=3)), max_size=30)


class Tree:
    """A real repository with directories, whose rule files change from example to example."""

    RULED: tuple[bytes, ...] = (b"", b"a/", b"ab/", b"a/a/", b"a/ab/", b"ab/a/")

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(root.parent),
        }
        self._git("init", "--quiet")
        self._place(b".git/info").mkdir(exist_ok=True)
        self.entries: dict[bytes, list[tuple[bytes, bool]]] = {}
        self._grow(b"", 0, random.Random(7))
        self.paths = sorted(
            above + name for above, entries in self.entries.items() for name, _ in entries
        )

    def _grow(self, above: bytes, depth: int, choice: random.Random) -> None:
        names = choice.sample(NAMES, (len(NAMES), 14, 10)[depth])
        if depth < 2:  # so that rule files have fixed places
            names = [b"a", b"ab", *(name for name in names if name not in {b"a", b"ab"})]
        directories = names[: (8, 3, 0)[depth]]
        self.entries[above] = [(name, name in directories) for name in names]
        for name in names:
            place = self._place(above + name)
            if name in directories:
                place.mkdir()
                self._grow(above + name + b"/", depth + 1, choice)
            else:
                place.touch()

    def _place(self, path: bytes) -> Path:
        return self.root / os.fsdecode(path)

    def _git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=self.environment,
            input=stdin,
            stdout=subprocess.PIPE,
            check=False,
        )
        assert done.returncode in {0, 1}
        return done.stdout

    def write(self, exclude: list[bytes], files: dict[bytes, bytes]) -> None:
        """Replace all rules: those of the configuration, and those of each directory."""
        self._place(b".git/info/exclude").write_bytes(b"\n".join(exclude))
        for above in self.RULED:
            place = self._place(above + b".gitignore")
            if above in files:
                place.write_bytes(files[above])
            else:
                place.unlink(missing_ok=True)

    def judged_by_git(self) -> dict[bytes, str]:
        """Give the deciding `source:line` for every path, empty where no rule matches."""
        asked = b"".join(path + b"\0" for path in self.paths)
        output = self._git("check-ignore", "--no-index", "-v", "-n", "-z", "--stdin", stdin=asked)
        fields = output.split(b"\0")[:-1]
        found = {}
        for source, line, pattern, path in zip(
            *(fields[part::4] for part in range(4)), strict=True
        ):
            verdict = "keeps" if pattern.startswith(b"!") else "ignores"
            found[path] = f"{os.fsdecode(source)}:{line.decode()} {verdict}" if source else ""
        return found


class Plots(Tree):
    """Many equal directories side by side, each with rules of its own: many rules in one call."""

    COUNT = 30
    RULED = tuple(b"%d/" % plot for plot in range(COUNT))
    INSIDE = (
        b"a/", b"a/b", b"a/x/", b"a/x/b", b"a/x/a/", b"a/x/a/b", b"a/x/ab", b"a/ab/", b"a/ab/b",
        b"a/a", b"ab/", b"ab/b", b"ab/x/", b"ab/x/b", b"ab/x/abx", b"abx", b"abb", b"ax/", b"ax/b",
        b"b", b"x/", b"x/a/", b"x/a/b", b"x/b", b"x/ab/", b"x/ab/x/", b"x/ab/x/b", b"aab",
        *(name for name in NAMES if name not in {b"a", b"b", b"ab"}),
    )  # fmt: skip

    def _grow(self, above: bytes, depth: int, choice: random.Random) -> None:
        del above, depth, choice
        self.entries[b""] = [(b"%d" % plot, True) for plot in range(self.COUNT)]
        for plot in range(self.COUNT):
            for path in (b"", *self.INSIDE):
                place = b"%d/" % plot + path
                if place.endswith(b"/"):
                    self._place(place).mkdir()
                    self.entries[place] = []
                else:
                    self._place(place).touch()
                if path:
                    above, _, name = place.removesuffix(b"/").rpartition(b"/")
                    self.entries[above + b"/"].append((name, place.endswith(b"/")))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def plots(tmp_path_factory: pytest.TempPathFactory) -> Plots:
    return Plots(tmp_path_factory.mktemp("plots"))


def spoken(rule: Rule | None) -> str:
    if rule is None:
        return ""
    source = rule.source.replace(".ferryignore", ".gitignore")
    source = source.replace("config", ".git/info/exclude")
    return f"{source}:{rule.line} {'keeps' if rule.negated else 'ignores'}"


def judged_by_walk(tree: Tree, rules: Rules, files: dict[bytes, bytes]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}

    def walk(above: bytes, matcher: Matcher) -> None:
        for name, is_dir in tree.entries[above]:
            rule = matcher.rule(name, is_dir)
            is_ignored = matcher.ignored(name, is_dir)
            assert is_ignored == (rule is not None and not rule.negated)
            found[above + name] = spoken(rule)
            below = above + name + b"/"
            if is_dir and is_ignored:
                inside = (path for path in tree.paths if path.startswith(below))
                found.update(dict.fromkeys(inside, spoken(rule)))
            elif is_dir:
                walk(below, matcher.enter(name, files.get(below), below + b".ferryignore"))

    walk(b"", rules.root(files.get(b"")))
    return found


@st.composite
def rule_files(draw: st.DrawFn) -> dict[bytes, bytes]:
    files = {}
    for above in Tree.RULED:
        if not above or draw(st.booleans()):
            start = draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf"]))
            end = draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
            last = draw(st.sampled_from([b"", b"\n", b"\r"]))
            files[above] = start + end.join(draw(st.lists(lines, max_size=5))) + last
    return files


def agrees_with_git(
    tree: Tree, exclude: list[bytes], files: dict[bytes, bytes], sampled: list[bytes]
) -> None:
    tree.write(exclude, files)
    listed = [line.decode("utf-8", "surrogateescape") for line in exclude]
    rules = Rules(listed, default_ignore=False)
    expected = tree.judged_by_git()
    actual = judged_by_walk(tree, rules, files)
    assert actual == expected
    for path in sampled:
        rule = rules.explain(
            path,
            path + b"/" in tree.entries,
            lambda file: files.get(file.removesuffix(b".ferryignore")),
        )
        assert spoken(rule) == expected[path], path


excludes = st.lists(lines.filter(lambda line: not line.endswith(b"\r")), max_size=4)
quick = settings(
    max_examples=2 * settings().max_examples,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@quick
@given(excludes, rule_files(), st.data())
def test_every_path_gets_the_verdict_and_the_line_that_git_gives(
    tree: Tree, exclude: list[bytes], files: dict[bytes, bytes], data: st.DataObject
) -> None:
    sampled = data.draw(st.lists(st.sampled_from(tree.paths), min_size=5, max_size=5))
    agrees_with_git(tree, exclude, files, sampled)


@quick
@given(plot_lines)
def test_a_few_lines_by_themselves_mean_what_git_means(
    plots: Plots, texts: list[list[bytes]]
) -> None:
    files = {b"%d/" % plot: b"\n".join(text) for plot, text in enumerate(texts)}
    agrees_with_git(plots, [], files, [])


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(quick, max_examples=3000)
@given(plot_lines)
def test_many_more_lines_by_themselves_mean_what_git_means(
    plots: Plots, texts: list[list[bytes]]
) -> None:
    files = {b"%d/" % plot: b"\n".join(text) for plot, text in enumerate(texts)}
    agrees_with_git(plots, [], files, [])


CLASSES = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "xdigit",
]  # fmt: skip
ODD = ["[!-~]", "[^[:print:]]", "[\\--0]", "[%--]", "[a-c-e]", "[[-a]", "[z-a]", "[]-z]", "[![:a-]"]


@pytest.mark.parametrize("bracket", [*(f"[[:{name}:]]" for name in CLASSES), *ODD])
def test_a_character_class_holds_the_bytes_that_git_says(tmp_path: Path, bracket: str) -> None:
    rules_text = b"x" + bracket.encode()
    codes = [bytes([code]) for code in range(1, 256) if code not in b"/."]
    names = [b"x" + code for code in codes]
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_bytes(rules_text)
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=tmp_path, input=b"\0".join(names), stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    matcher = Rules(default_ignore=False).root(rules_text)
    actual = [name for name in names if matcher.ignored(name, is_dir=False)]
    assert actual == done.stdout.split(b"\0")[:-1]
