"""What may be sent, as what, under which name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.model import ContentKey, Dedup, Folder, Policy, Rule
from fileferry.plan import rules

DIGEST = "xxh3_128:0123456789abcdef0123456789abcdef"
DAY = 86_400


def folder(*its_rules: Rule, **values: object) -> Folder:
    return Folder("docs", b"/docs", rules=its_rules, **values)  # type: ignore[arg-type]  # tests


def policy(remote_name: str = "{name}", dedup: Dedup = Dedup.CONTENT) -> Policy:
    return Policy("user_data", None, remote_name, dedup)


def content(**values: object) -> ContentKey:
    known: dict[str, object] = {
        "digest": DIGEST,
        "size": 10,
        "purpose": "user_data",
        "extension": ".txt",
        "variant": "",
    }
    return ContentKey(**{**known, **values})  # type: ignore[arg-type]  # tests


@pytest.mark.parametrize(
    ("match", "path", "expected"),
    [
        pytest.param("**/*.jsonl", b"a.jsonl", True, id="two stars stand for no directory"),
        pytest.param("**/*.jsonl", b"a/b/c.jsonl", True, id="two stars stand for many"),
        pytest.param("**/*.jsonl", b"a.json", False, id="another extension is another"),
        pytest.param("*.jsonl", b"a/b/c.jsonl", True, id="without a slash it is at any depth"),
        pytest.param("/*.jsonl", b"a/c.jsonl", False, id="a leading slash binds it to the root"),
        pytest.param("in/*.txt", b"in/a.txt", True, id="a path is from the root"),
        pytest.param("in/*.txt", b"x/in/a.txt", False, id="and from nowhere else"),
        pytest.param("in/*.txt", b"in/deep/a.txt", False, id="a star does not cross a slash"),
        pytest.param("in/", b"in/deep/a.txt", True, id="a directory is about all below it"),
        pytest.param("in/", b"in", False, id="and not about a file of its name"),
        pytest.param("in/**", b"in/deep/a.txt", True, id="so are two stars at the end"),
        pytest.param("[ab].txt", b"b.txt", True, id="a class of characters"),
        pytest.param("[[:digit:]].txt", b"7.txt", True, id="a named class, as git has it"),
        pytest.param("*.TXT", b"a.txt", False, id="case counts"),
        pytest.param("*.txt", b"caf\xe9.txt", True, id="a star takes a byte that is not UTF-8"),
        pytest.param("caf\udce9.txt", b"caf\xe9.txt", True, id="an odd byte may be named"),
        pytest.param("!*.txt", b"a.txt", False, id="a negated pattern is about nothing"),
        pytest.param("*", b".ferryignore", True, id="the rule file itself is a file like any"),
        pytest.param("*.bin", b".ferryignore", False, id="and has no rule of its own"),
        pytest.param("a.*", b"a.pem", True, id="secrets are not left out here"),
    ],
)
def test_a_rule_matches_as_a_line_of_gitignore_does(
    match: str, path: bytes, expected: bool
) -> None:
    found = rules.policy_for(folder(Rule(match, purpose="batch")), path)
    assert (found.purpose == "batch") == expected


def test_without_rules_the_folder_decides() -> None:
    found = rules.policy_for(
        folder(purpose="assistants", expires_after_seconds=DAY, remote_name="{stem}"), b"a.txt"
    )
    assert found == Policy("assistants", DAY, "{stem}", Dedup.CONTENT)


def test_the_last_rule_that_matches_wins_key_by_key() -> None:
    its = folder(
        Rule("*.jsonl", purpose="batch", expires_after_seconds=DAY),
        Rule("big/", remote_name="{stem}-{digest8}{suffix}", dedup=Dedup.OFF),
        Rule("big/*.jsonl", expires_never=True),
        Rule("*.csv", purpose="evals"),
    )
    assert rules.policy_for(its, b"a.jsonl") == Policy("batch", DAY, "{name}", Dedup.CONTENT)
    assert rules.policy_for(its, b"big/a.jsonl") == Policy(
        "batch", None, "{stem}-{digest8}{suffix}", Dedup.OFF
    )
    assert rules.policy_for(its, b"big/a.txt").purpose == "user_data"


def test_a_later_rule_takes_back_that_something_never_expires() -> None:
    its = folder(
        Rule("*.txt", expires_never=True),
        Rule("a.*", expires_after_seconds=DAY),
        expires_after_seconds=7 * DAY,
    )
    assert rules.policy_for(its, b"a.txt").expires_after_seconds == DAY
    assert rules.policy_for(its, b"b.txt").expires_after_seconds is None
    assert rules.policy_for(its, b"c.md").expires_after_seconds == 7 * DAY


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        pytest.param("{name}", b"x/Report.PDF", "Report.pdf", id="the extension is lower-cased"),
        pytest.param("{name}", b"A.Tar.GZ", "A.Tar.gz", id="only the last one"),
        pytest.param("{name}", b"README", "README", id="a name without one stays"),
        pytest.param("{name}", b".Profile", ".Profile", id="a leading dot begins no extension"),
        pytest.param("{name}", b"a.", "a.", id="a dot at the end"),
        pytest.param("{stem}-{digest8}{suffix}", b"x/A.MD", "A-01234567.md", id="stem and digest"),
        pytest.param("{path}", b"a/b/C.MD", "a_b_C.md", id="the path, its slashes as lines"),
        pytest.param("{stem}.MD", b"a.txt", "a.md", id="an extension of the pattern's own"),
        pytest.param("{name}", b"caf\xe9.TXT", "caf\\xe9.txt", id="a byte that is not UTF-8"),
        pytest.param(
            "{name}", "gr\u00fc\u00df.md".encode(), "gr\u00fc\u00df.md", id="other alphabets stay"
        ),
        pytest.param("{name}", b"a\nb\x1b[31m.txt", "a_b_[31m.txt", id="control characters"),
        pytest.param(
            "{name}", "a\u202eb\u2028.txt".encode(), "a_b_.txt", id="what turns text round"
        ),
        pytest.param("{name}", b"{stem}.txt", "{stem}.txt", id="braces of a name are no pattern"),
    ],
)
def test_a_name_is_one_printable_line_with_a_small_extension(
    pattern: str, path: bytes, expected: str
) -> None:
    assert rules.sent_name(policy(pattern), path, DIGEST) == expected


def test_a_long_name_is_shortened_in_its_stem() -> None:
    found = rules.sent_name(policy("{path}"), b"d/" * 200 + b"a.txt", DIGEST)
    assert found.endswith(".txt")
    assert len(found.encode()) == 255


def test_a_character_is_not_cut_in_its_middle() -> None:
    found = rules.sent_name(policy(), "\u00e4".encode() * 126 + b".txt", DIGEST)
    assert found == "\u00e4" * 125 + ".txt"
    assert len(found.encode()) == 254


def test_an_extension_that_leaves_no_room_is_no_extension() -> None:
    found = rules.sent_name(policy(), b"a." + b"\xff" * 250, DIGEST)
    assert len(found.encode()) <= 255
    assert found.startswith("a.\\xff")


@given(
    path=st.binary(min_size=1, max_size=600).map(lambda text: text.replace(b"\0", b"0")),
    pattern=st.sampled_from(["{name}", "{path}", "{stem}-{digest8}{suffix}", "x{suffix}"]),
)
def test_every_name_is_printable_and_fits(path: bytes, pattern: str) -> None:
    found = rules.sent_name(policy(pattern), path, DIGEST)
    assert found.isprintable()
    assert len(found.encode()) <= 255


def test_the_same_bytes_under_two_names_are_one_content() -> None:
    one = rules.content_key(folder(), b"a.txt", digest=DIGEST, size=3)
    assert one == rules.content_key(folder(), b"x/B.TXT", digest=DIGEST, size=3)
    assert one == ContentKey(DIGEST, 3, "user_data", ".txt", "")


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        pytest.param({}, b"a.md", id="another extension"),
        pytest.param({"purpose": "assistants"}, b"a.txt", id="another purpose"),
        pytest.param({"remote_name": "{stem}-x{suffix}"}, b"a.txt", id="another name pattern"),
        pytest.param({"dedup": Dedup.OFF}, b"a.txt", id="no dedup"),
        pytest.param({"dedup": Dedup.CONTENT_AND_NAME}, b"a.txt", id="dedup by name too"),
    ],
)
def test_what_the_api_would_be_told_otherwise_is_another_content(
    changed: dict[str, object], path: bytes
) -> None:
    one = rules.content_key(folder(), b"a.txt", digest=DIGEST, size=3)
    assert rules.content_key(folder(**changed), path, digest=DIGEST, size=3) != one


def test_dedup_by_name_shares_equal_names_in_two_directories() -> None:
    its = folder(dedup=Dedup.CONTENT_AND_NAME)
    keys = {
        path: rules.content_key(its, path, digest=DIGEST, size=3)
        for path in (b"x/a.txt", b"y/a.txt", b"y/b.txt")
    }
    assert keys[b"x/a.txt"] == keys[b"y/a.txt"] != keys[b"y/b.txt"]


def test_without_dedup_no_two_paths_share() -> None:
    its = folder(dedup=Dedup.OFF)
    paths = [b"x/a.txt", b"y/a.txt", b"\xff", b"\\xff", b"\\\xff", b"\\\\xff"]
    assert len({rules.content_key(its, path, digest=DIGEST, size=3) for path in paths}) == 6


@pytest.mark.parametrize(
    ("values", "multipart", "expected"),
    [
        pytest.param({"size": 1}, False, None, id="one byte is enough"),
        pytest.param({"size": 0}, True, "empty", id="no byte is not"),
        pytest.param({"size": 512_000_000}, False, None, id="512 MB"),
        pytest.param({"size": 512_000_001}, False, "more than the API takes", id="a byte more"),
        pytest.param({"size": 512_000_001}, True, None, id="unless in parts"),
        pytest.param({"size": 8 * 1024**3}, True, None, id="8 GB in parts"),
        pytest.param(
            {"size": 8 * 1024**3 + 1}, True, "more than the API takes", id="a byte more yet"
        ),
        pytest.param({"purpose": "batch"}, False, "takes only .jsonl", id="batch of text"),
        pytest.param({"purpose": "fine-tune"}, False, "takes only .jsonl", id="fine-tune of text"),
        pytest.param({"purpose": "batch", "extension": ".jsonl"}, False, None, id="batch"),
        pytest.param(
            {"purpose": "batch", "extension": ".jsonl", "size": 200_000_000}, False, None,
            id="batch of 200 MB",
        ),
        pytest.param(
            {"purpose": "batch", "extension": ".jsonl", "size": 200_000_001}, True,
            "a batch file may have 200,000,000", id="and a byte more",
        ),
        pytest.param(
            {"purpose": "fine-tune", "extension": ".jsonl", "size": 200_000_001}, False, None,
            id="fine-tune has no such limit",
        ),
        pytest.param({"extension": ""}, False, None, id="no extension at all"),
    ],
)  # fmt: skip
def test_what_the_api_would_refuse_is_refused_here(
    values: dict[str, object], multipart: bool, expected: str | None
) -> None:
    reason = rules.refusal(content(**values), multipart=multipart)
    assert (reason is None) == (expected is None)
    assert (expected or "") in (reason or "")


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        pytest.param(
            {"expires_after_seconds": DAY}, True, id="an expiry counts from the next upload"
        ),
        pytest.param({"settle_seconds": 9.0}, True, id="settling is no content"),
        pytest.param({"purpose": "vision"}, False, id="purpose"),
        pytest.param({"remote_name": "{stem}"}, False, id="name"),
        pytest.param({"dedup": Dedup.OFF}, False, id="dedup"),
        pytest.param({"digest": "sha256"}, False, id="digest"),
        pytest.param({"rules": (Rule("*.md", purpose="vision"),)}, False, id="a rule"),
        pytest.param({"rules": (Rule("*.md", expires_never=True),)}, False, id="its pattern"),
    ],
)
def test_entries_are_planned_anew_when_purpose_or_name_may_differ(
    changed: dict[str, object], same: bool
) -> None:
    changed = {"rules": (), **changed}
    its = Folder("docs", b"/docs", **changed)  # type: ignore[arg-type]  # tests
    assert (rules.fingerprint_text(folder()) == rules.fingerprint_text(its)) == same
