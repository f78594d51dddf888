"""Ignore rules: what each kind of line means, which source wins, and where a rule came from."""

from __future__ import annotations

import sys
import time

import pytest

from fileferry.ignore.rules import Matcher, Rules, parse_lines


def verdict(rules_text: bytes, path: bytes, *, is_dir: bool = False) -> bool:
    """Judge a path by the lines of one `.ferryignore` file in the root."""
    files = {b".ferryignore": rules_text}
    rule = Rules(default_ignore=False).explain(path, is_dir, files.get)
    return rule is not None and not rule.negated


@pytest.mark.parametrize(
    ("rules_text", "path", "expected"),
    [
        pytest.param(b"a.txt", b"deep/down/a.txt", True, id="a bare name matches at any depth"),
        pytest.param(b"/a.txt", b"deep/a.txt", False, id="a leading slash binds to the directory"),
        pytest.param(b"docs/a.txt", b"x/docs/a.txt", False, id="so does a slash in the middle"),
        pytest.param(b"docs/a.txt", b"docs/a.txt", True, id="a path matches from the directory"),
        pytest.param(b"docs/", b"docs", False, id="a trailing slash spares files"),
        pytest.param(b"docs/", b"x/docs/a", True, id="a trailing slash takes directories anywhere"),
        pytest.param(b"*.txt", b"caf\xe9.txt", True, id="a star takes a byte that is not UTF-8"),
        pytest.param(b"caf?.txt", b"caf\xe9.txt", True, id="so does a question mark"),
        pytest.param("café".encode(), b"caf\xe9", False, id="encodings are not guessed"),
        pytest.param(b"*.TXT", b"a.txt", False, id="case counts"),
        pytest.param(b"/*.c", b"a/b.c", False, id="a star does not cross a slash"),
        pytest.param(b"a?b/c", b"a/b/c", False, id="nor does a question mark"),
        pytest.param(b"a[!x]b/c", b"a/b/c", False, id="nor does a negated class"),
        pytest.param(b"**/b", b"b", True, id="two stars in front stand for no directory too"),
        pytest.param(b"a/**/b", b"a/b", True, id="two stars in the middle for none"),
        pytest.param(b"a/**/b", b"a/x/y/b", True, id="two stars in the middle for many"),
        pytest.param(b"a/**", b"a/x/y", True, id="two stars at the end for all below"),
        pytest.param(b"a/**", b"a", False, id="two stars at the end spare the directory"),
        pytest.param(b"x/a**b", b"x/a/b", False, id="two stars inside a wild name are one star"),
        pytest.param(b"a**/b", b"ax/y/b", True, id="two stars after plain text cross slashes"),
        pytest.param(b"a**/b", b"ab", True, id="and stand for nothing, as git has it"),
        pytest.param(
            b"aa/*\n!a**/a**", b"aa/x", True, id="but two stars later in the name are one star"
        ),
        pytest.param(b"[a-c]x", b"bx", True, id="a range of characters"),
        pytest.param(b"[]-]x", b"]x", True, id="a bracket that comes first is a member"),
        pytest.param(b"[\\]]x", b"]x", True, id="a backslash escapes in a class"),
        pytest.param(b"[z-a]x", b"zx", True, id="a range turned round holds its first character"),
        pytest.param(b"[[:digit:]]x", b"7x", True, id="a named class"),
        pytest.param(b"\\#a", b"#a", True, id="an escaped hash is a name"),
        pytest.param(b"#a", b"#a", False, id="a hash begins a comment"),
        pytest.param(b"\\!a", b"!a", True, id="an escaped exclamation mark is a name"),
        pytest.param(b"a ", b"a", True, id="trailing spaces do not count"),
        pytest.param(b"a\\ ", b"a ", True, id="an escaped trailing space does"),
        pytest.param(b"a\\\\ ", b"a\\", True, id="an escaped backslash escapes no space"),
        pytest.param(b"a\t", b"a", False, id="a trailing tab belongs to the name"),
        pytest.param(b" a", b" a", True, id="so does a leading space"),
        pytest.param(b"a\r\nb\r\n", b"a", True, id="Windows line ends are cut"),
        pytest.param(b"\xef\xbb\xbfa", b"a", True, id="a byte order mark is skipped"),
        pytest.param(b"*\n!a", b"a", False, id="a later rule takes an earlier one back"),
        pytest.param(b"!a\n*", b"a", True, id="an earlier rule does not"),
        pytest.param(b"d/\n!d/a", b"d/a", True, id="nothing returns from an ignored directory"),
        pytest.param(b"d/*\n!d/a", b"d/a", False, id="unless only its entries were ignored"),
        pytest.param(b"a\nb", b"a\nb", False, id="a line end in a name is no line of rules"),
        pytest.param(b"a*b", b"a\nb", True, id="a star takes a line end"),
    ],
)
def test_a_line_means_what_git_means_by_it(rules_text: bytes, path: bytes, expected: bool) -> None:
    assert verdict(rules_text, path) == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"!", "there is nothing to match"),
        (b"/", "there is nothing to match"),
        (b"a//b", "no name is empty: two slashes, or nothing, where one should be"),
        (b"a[bc", "the bracket is not closed"),
        (b"a[[:digit:]", "the bracket is not closed"),
        (b"a[b\\", "the bracket is not closed"),
        (b"a\\", "a backslash at the end escapes nothing"),
        (b"[[:word:]]", "there is no class of characters of this name"),
        (b"x[/]", "no character fits between the brackets"),
        (b"a" * 4_097, "it has more than 4,096 bytes, as no path can have"),
    ],
)
def test_a_line_that_can_never_match_is_harmless_and_says_why(line: bytes, problem: str) -> None:
    (rule,) = parse_lines("x", line)
    assert rule.problem == problem
    assert not verdict(line, b"a")
    assert [rule.line for rule in Rules(["*.c", line.decode()]).problems()] == [2]


def test_deeper_files_win_over_shallower_ones_and_those_over_the_configuration() -> None:
    rules = Rules(["*.log", "!.env"])
    files = {
        b".ferryignore": b"# ours\n!a.log\n",
        b"d/.ferryignore": b"a.log\n/only-here\n",
        b"d/e/.ferryignore": b"!a.log\n",
    }

    def origin(path: bytes) -> str:
        return str(rules.explain(path, False, files.get))

    assert origin(b"b.log") == "config:1:*.log"
    assert origin(b".env") == "config:2:!.env"
    assert origin(b"a.log") == ".ferryignore:2:!a.log"
    assert origin(b"d/a.log") == "d/.ferryignore:1:a.log"
    assert origin(b"d/e/a.log") == "d/e/.ferryignore:1:!a.log"
    assert origin(b"d/only-here") == "d/.ferryignore:2:/only-here"
    assert origin(b"d/e/only-here") == "None"
    assert origin(b"a.swp").startswith("default:")


def test_the_rule_of_an_ignored_directory_explains_what_is_below_and_no_file_there_is_read() -> (
    None
):
    asked = []

    def read(path: bytes) -> None:
        asked.append(path)

    rule = Rules(["drafts/"]).explain(b"x/drafts/y/z", False, read)
    assert str(rule) == "config:1:drafts/"
    assert asked == [b".ferryignore", b"x/.ferryignore"]


@pytest.mark.parametrize(
    ("path", "is_dir"),
    [
        (b".git", True), (b"x/.git", False), (b"x/node_modules", True), (b".venv", True),
        (b"x/__pycache__", True), (b".a.txt.swp", False), (b"a.txt~", False), (b".#a", False),
        (b"#a#", False), (b".~lock.a.odt#", False), (b"~$a.docx", False), (b"a.iso.part", False),
        (b"a.crdownload", False), (b".DS_Store", False), (b"Thumbs.db", False), (b"._a", False),
        (b".env", False), (b"x/.env.production", False), (b"id_rsa", False),
        (b"x/id_ed25519", False),
        (b"server.pem", False), (b"tls.key", False), (b"a.p12", False), (b"a.kdbx", False),
        (b"x/.ssh", True), (b".aws", True), (b".netrc", False), (b".pypirc", False),
        (b"x/.docker/config.json", False), (b"terraform.tfstate", False),
        (b"terraform.tfstate.backup", False), (b"x/.config/gcloud", True),
        (b"client_secret_12.json", False), (b".bash_history", False), (b".ferryignore", False),
        (b".nfs00000012", False),
    ],
)  # fmt: skip
def test_litter_and_secrets_are_ignored_by_default(path: bytes, is_dir: bool) -> None:
    rule = Rules().explain(path, is_dir, lambda _: None)
    assert rule is not None
    assert not rule.negated
    assert rule.source == "default"


@pytest.mark.parametrize(
    ("path", "is_dir"),
    [
        (b".env.example", False), (b".env.sample", False), (b".env.template", False),
        (b"environment.md", False), (b"id_rsa.pub", False), (b"a.tmp", False), (b"a.log", False),
        (b"venv", False), (b"config.json", False), (b"docker/config.json", False),
        (b"build", True), (b"a.pdf", False), (b"keyboard.txt", False), (b"client.json", False),
        (b"C#", False), (b".gitignore", False), (b".github", True), (b"a", False),
    ],
)  # fmt: skip
def test_what_people_mirror_is_not_ignored_by_default(path: bytes, is_dir: bool) -> None:
    rule = Rules().explain(path, is_dir, lambda _: None)
    assert rule is None or rule.negated


def test_without_the_defaults_only_the_rule_files_themselves_stay_behind() -> None:
    matcher = Rules(default_ignore=False).root()
    assert matcher.ignored(b".ferryignore", is_dir=False)
    assert not matcher.ignored(b".git", is_dir=True)
    assert not matcher.ignored(b".env", is_dir=False)


def test_no_default_rule_is_broken() -> None:
    from fileferry.ignore.defaults import DEFAULT

    rules = parse_lines("default", DEFAULT)
    assert [str(rule) for rule in rules if rule.problem] == []
    assert len({rule.pattern for rule in rules}) == len(rules)


def test_directories_where_the_same_rules_can_match_share_one_matcher() -> None:
    root = Rules(["*.tmp"]).root()
    assert root.enter(b"a") is root
    assert root.enter(b"a").enter(b"b") is root
    docker = root.enter(b".docker")
    assert docker is not root
    assert docker.ignored(b"config.json", is_dir=False)
    assert docker.enter(b"a") is root


def test_a_rule_with_a_slash_is_forgotten_where_it_cannot_match() -> None:
    root = Rules(["docs/*/x.md"], default_ignore=False).root()
    inside = root.enter(b"docs").enter(b"a")
    assert inside.ignored(b"x.md", is_dir=False)
    assert not root.enter(b"other").enter(b"a").ignored(b"x.md", is_dir=False)
    assert inside.enter(b"b") is root.enter(b"other")


def test_the_empty_name_adds_the_rules_of_the_same_directory() -> None:
    matcher = Rules(["/a"]).root().enter(b"", b"/b")
    assert matcher.ignored(b"a", is_dir=False)
    assert matcher.ignored(b"b", is_dir=False)
    assert not matcher.enter(b"d").ignored(b"b", is_dir=False)


def test_the_fingerprint_changes_with_every_text_and_with_nothing_else() -> None:
    file = (b"d/.ferryignore", b"a")
    prints = [
        Rules().fingerprint(),
        Rules(default_ignore=False).fingerprint(),
        Rules(["a", "b"]).fingerprint(),
        Rules(["b", "a"]).fingerprint(),
        Rules(["ab"]).fingerprint(),
        Rules().fingerprint([file]),
        Rules().fingerprint([(b"d/.ferryignore", b"b")]),
        Rules().fingerprint([file, (b".ferryignore", b"a")]),
    ]
    assert len(set(prints)) == len(prints)
    assert Rules().fingerprint([(b".ferryignore", b"a"), file]) == prints[-1]
    assert Rules(["a", "b"]).fingerprint() == prints[2]


def test_a_hostile_pattern_does_not_stall() -> None:
    name = b"a" * 250
    matcher = Rules([b"*a".decode() * 30 + "b", "a*" * 30 + "[bc]"]).root()
    began = time.perf_counter()
    assert not matcher.ignored(name, is_dir=False)
    deep: Matcher = Rules(["**/a/" * 12 + "b"]).root()
    for _ in range(60):
        deep = deep.enter(b"a")
    assert deep.ignored(b"b", is_dir=False)
    assert time.perf_counter() - began < 2


def test_judging_does_not_import_a_pattern_library() -> None:
    import subprocess

    script = "import sys, fileferry.ignore.rules as i; i.Rules(['*.c']).root(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert not {"pathspec", "dataclasses", "pathlib", "hashlib"} & set(done.stdout.split())


@pytest.mark.slow
def test_a_hundred_thousand_entries_cost_little() -> None:
    names = [b"report_%05d.%s" % (i, (b"pdf", b"md", b"json", b"java")[i % 4]) for i in range(100)]
    root = Rules().root()
    took = []
    for _ in range(5):
        began = time.perf_counter()
        for place in range(1000):
            ignored = root.enter(b"dir%d" % place).ignored
            for name in names:
                ignored(name, False)
        took.append(time.perf_counter() - began)
    print(f"{1000 * min(took):.1f} ms")
    assert min(took) < 0.3
