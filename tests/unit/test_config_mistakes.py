"""What is said when a configuration is wrong: the key, the value, and what was expected."""
# ruff: noqa: E501 - one case, one or two lines

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fileferry.config.load import load
from fileferry.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = '[[folder]]\nname = "docs"\npath = "/srv/docs"\n'
HOME = {"HOME": "/home/ada"}


def refusal(tmp_path: Path, text: str, **variables: str) -> str:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(str(path), HOME | variables)
    assert caught.value.exit_code == 78
    assert caught.value.hint
    return caught.value.message


class TestMistakes:
    CASES = (
        ("an unknown key", "[remote]\nconcurency = 4",
         "line 2: `remote.concurency` is not a known key; did you mean `concurrency`?"),
        ("a key in the wrong table", "[state]\nconcurrency = 4", "did you mean `concurrency` of `[remote]`?"),
        ("a key outside of any table", "settle = '2s'", "did you mean `settle` of `[[folder]]`?"),
        ("an unknown table", "[remotes]", "line 1: `remotes` is not a known key; did you mean `remote`?"),
        ("an unknown table like nothing", "[zzz]", "known are `remote`, `state`, `folder`"),
        ("an unknown key of a rule", FOLDER + "[[folder.rule]]\nmatch='a'\ndedup='off'\nname='x'",
         "line 7: `folder.rule.name` is not a known key"),
        ("a reserved table", "[batch]", "`batch` is not a known key; it is reserved for a later version"),
        ("a reserved table of a folder", FOLDER + "[folder.vector_store]", "it is reserved"),
        ("the API key", "[remote]\napi_key = 'sk-abc'", "the API key does not belong here"),
        ("a table that is a list", "[[remote]]", "`remote` is a list, expected a table `[remote]`"),
        ("a folder that is one table", "[folder]\nname = 'a'", "expected tables below `[[folder]]`"),
        ("a folder that is text", "folder = 'docs'", '`folder` is `"docs"`, expected tables'),
        ("folders that are text", "folder = ['docs']", "`folder` is a list, expected tables"),
        ("a rule that is one table", FOLDER + "[folder.rule]\nmatch = 'a'", "expected tables below `[[folder.rule]]`"),
        ("no URL", "remote.base_url = 'api'", '`remote.base_url` is `"api"`, expected an http or https URL'),
        ("an empty URL", "remote.base_url = ''", "expected an http or https URL"),
        ("another scheme", "remote.base_url = 'ftp://a/'", "expected an http or https URL"),
        ("a URL with a bad port", "remote.base_url = 'https://a:b/'", "it cannot be taken apart"),
        ("a URL with half an address", "remote.base_url = 'https://[::1/'", "it cannot be taken apart"),
        ("a URL with a query", "remote.base_url = 'https://a/?k=v'", "without `?` or `#`"),
        ("plain http to elsewhere", "remote.base_url = 'http://a.example/v1'", "plain http would show the key"),
        ("plain http to a number that is elsewhere", "remote.base_url = 'http://10.0.0.1/'", "plain http"),
        ("an identifier with a line break", 'remote.project = "a\\r\\nb"', "expected text without spaces"),
        ("no concurrency", "remote.concurrency = 0", "is `0`, expected a whole number from 1 to 64"),
        ("much concurrency", "remote.concurrency = 65", "is `65`, expected a whole number from 1 to 64"),
        ("a truth for a number", "remote.concurrency = true", "is `true`, expected a whole number"),
        ("a text for a number", "remote.concurrency = '8'", 'is `"8"`, expected a whole number'),
        ("a broken rate", "remote.uploads_per_minute = 1.5", "is `1.5`, expected a whole number, 0 for no limit"),
        ("a huge rate", "remote.uploads_per_minute = 0x" + "f" * 99, "is a huge number, expected"),
        ("a bandwidth without a unit", "remote.bandwidth = 5", "a unit is missing: `5MB`"),
        ("too large a threshold", "remote.multipart_threshold = '512MiB'", "more than 512MB"),
        ("too short an interval", "remote.check_interval = '0'", "shorter than 1s"),
        ("a number for a group", "state.group = 4", "`state.group` is `4`, expected the name of a group"),
        ("a state directory of nobody", "state.directory = '~nobody-here/x'", "home directory that is not known"),
        ("an empty state directory", "state.directory = ''", "expected the path of a directory"),
        ("no name", "[[folder]]\npath = '/a'", "line 1: `folder.name` is missing"),
        ("no path", "[[folder]]\nname = 'a'", "line 1: `folder.path` is missing"),
        ("an empty path", "[[folder]]\nname = 'a'\npath = ''", "expected the path of a directory"),
        ("a path with NUL", '[[folder]]\nname = "a"\npath = "/a\\u0000"', "expected the path of a directory"),
        ("a home of nobody", "[[folder]]\nname = 'a'\npath = '~nobody-here/x'", "line 3: `folder.path`: `~nobody"),
        ("a name with a colon", "[[folder]]\nname = 'a:b'\npath = '/a'", "expected letters, digits"),
        ("a name with a line break", '[[folder]]\nname = "a\\n"\npath = "/a"', 'is `"a\\n"`, expected letters'),
        ("a name with a dot first", "[[folder]]\nname = '.a'\npath = '/a'", "expected letters, digits"),
        ("a name twice", FOLDER + "[[folder]]\nname = 'docs'\npath = '/b'", "line 5: `folder.name` is `docs` a second time"),
        ("a root twice", FOLDER + "[[folder]]\nname = 'b'\npath = '/srv/../srv/docs/'",
         "line 6: `folder.path` of `b` is the same directory as that of `docs`"),
        ("a short life", FOLDER + "expires_after = '59m'", "shorter than 1h"),
        ("a long life", FOLDER + "expires_after = '31d'", "longer than 30d"),
        ("a life in parts of a second", FOLDER + "expires_after = '1h1ms'", "not whole seconds"),
        ("never where it makes no sense", FOLDER + "settle = 'never'", "expected a duration"),
        ("settle_max below settle", FOLDER + "settle = '3s'\nsettle_max = '2s'", "line 5: `folder.settle_max` is `2s`"),
        ("the default settle_max below settle", FOLDER + "settle = '1h'", "line 4: `folder.settle_max` is `5m`"),
        ("an unknown purpose", FOLDER + "purpose = 'books'", "`assistants`, `batch`, `fine-tune`, `vision`"),
        ("an unknown digest", FOLDER + "digest = 'md5'", "expected `xxh3_128` or `sha256`"),
        ("unknown symlinks", FOLDER + "symlinks = 'follow'", "expected `skip` or `inside`"),
        ("an unknown dedup", FOLDER + "dedup = true", "is `true`, expected `content`, `content+name` or `off`"),
        ("fewer than no deletes", FOLDER + "delete_budget = -1", "is `-1`, expected a whole number from 0"),
        ("a text for a truth", FOLDER + "default_ignore = 'no'", "expected `true` or `false`"),
        ("one pattern for many", FOLDER + "ignore = '*.tmp'", "expected a list of patterns"),
        ("a pattern that is none", FOLDER + "ignore = ['a', 7]", "number 2 of the list is `7`"),
        ("an unknown placeholder", FOLDER + "remote_name = '{x}'", "`{x}` is not a placeholder"),
        ("a lonely brace", FOLDER + "remote_name = '{name'", "a brace has lost its partner"),
        ("a name that can be empty", FOLDER + "remote_name = ' {suffix}'", "without a suffix would be empty"),
        ("an empty remote name", FOLDER + "remote_name = ''", "expected a name with any of"),
        ("a rule without a match", FOLDER + "[[folder.rule]]\ndedup = 'off'", "`folder.rule.match` is missing"),
        ("a rule that changes nothing", FOLDER + "[[folder.rule]]\nmatch = 'a'", "line 4: `folder.rule` changes nothing"),
        ("a date", "remote.list_lag = 2020-01-01", "is `2020-01-01`, expected a duration"),
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
    )
    def test_is_refused_by_name(self, tmp_path: Path, text: str, expected: str) -> None:
        message = refusal(tmp_path, text)
        assert expected in message
        assert str(tmp_path / "config.toml") in message

    def test_all_of_them_are_told_at_once_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        text = "[state]\ngroup = 1\n[remote]\nlist_lag = 'x'\nconcurrency = 0\n"
        first, *others = refusal(tmp_path, text).split("\n")
        assert first == f"`{tmp_path}/config.toml` has 3 mistakes"
        assert [line[:9] for line in others] == ["  line 2:", "  line 4:", "  line 5:"]

    @pytest.mark.parametrize(
        "text",
        [
            "[remote]\nbase_url = 'https://ada:hunter2@a.example/v1'",
            "[remote]\nbase_url = 'https://a.example/v1?key=hunter2'",
            "[remote]\nbase_url = 'ftp://ada:hunter2@a.example/v1'",
            "[remote]\nproject = 'Bearer sk-hunter2'",
            "[remote]\napi_key = 'hunter2'",
            "[remote]\nconcurrency = 'sk-hunter2'",
        ],
    )
    def test_no_message_repeats_a_secret(self, tmp_path: Path, text: str) -> None:
        assert "hunter2" not in refusal(tmp_path, text)

    def test_a_root_behind_a_link_is_found_twice(self, tmp_path: Path) -> None:
        (tmp_path / "docs").mkdir()
        (tmp_path / "link").symlink_to("docs")
        text = "".join(
            f'[[folder]]\nname = "{name}"\npath = "{name}"\n' for name in ("docs", "link")
        )
        assert "`link` is the same directory as that of `docs`" in refusal(tmp_path, text)

    def test_lines_are_right_in_an_awkward_file(self, tmp_path: Path) -> None:
        text = (
            'remote . "concurrency" = 99 # comment\n'
            "[[ folder ]] # [[folder]]\n"
            'name = "a"\n'
            'path = """\n'
            "digest = 1\n"
            '"""\n'
            'ignore = [\n  "purpose = 4",\n]\n'
            "'digest' = 'md5'\n"
            "purpose = 'x'\n"
        )
        message = refusal(tmp_path, text)
        assert "line 1: `remote.concurrency`" in message
        assert "line 10: `folder.digest`" in message
        assert "line 11: `folder.purpose`" in message
