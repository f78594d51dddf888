"""What a configuration may say, and who goes before whom."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fileferry.config import schema
from fileferry.config.load import Config, from_table, load
from fileferry.errors import ConfigError
from fileferry.model import Dedup, Folder, RemoteSettings, Rule

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = '[[folder]]\nname = "docs"\npath = "/srv/docs"\n'
HOME = {"HOME": "/home/ada"}


def loaded(tmp_path: Path, text: str, **variables: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load(str(path), HOME | variables)


def refusal(tmp_path: Path, text: str, **variables: str) -> str:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(str(path), HOME | variables)
    assert caught.value.exit_code == 78
    assert caught.value.hint
    return caught.value.message


class TestWhatAFileMaySay:
    def test_nothing_means_the_defaults_of_the_model(self, tmp_path: Path) -> None:
        config = loaded(tmp_path, FOLDER)
        assert config.remote == RemoteSettings()
        assert config.folders == (Folder("docs", b"/srv/docs"),)
        assert config.state.group == ""
        assert config.warnings == ()

    def test_every_key_of_a_folder_arrives(self, tmp_path: Path) -> None:
        text = """
            [[folder]]
            name = "a.b-c_1"
            path = "/srv/./x//../docs/"
            purpose = "assistants"
            expires_after = "never"
            settle = "500ms"
            settle_max = "1m"
            delete_delay = "0"
            retire_delay = 0
            rescan_interval = "1h30m"
            ignore = ["drafts/", "", "# why", "*.tmp"]
            default_ignore = false
            upload_budget = "0"
            delete_budget = 0
            dedup = "content+name"
            remote_name = "{stem}-{digest8}{suffix}"
            digest = "sha256"
            symlinks = "inside"
            [[folder.rule]]
            match = "*.jsonl"
            purpose = "batch"
            expires_after = "never"
            [[folder.rule]]
            match = "*.md"
            expires_after = "1h"
            remote_name = "{path}"
            dedup = "off"
        """
        rules = (
            Rule("*.jsonl", purpose="batch", expires_never=True),
            Rule("*.md", expires_after_seconds=3600, remote_name="{path}", dedup=Dedup.OFF),
        )
        expected = Folder(
            name="a.b-c_1", root=b"/srv/docs", purpose="assistants", expires_after_seconds=None,
            settle_seconds=0.5, settle_max_seconds=60, delete_delay_seconds=0,
            retire_delay_seconds=0, rescan_interval_seconds=5400,
            ignore=("drafts/", "", "# why", "*.tmp"), default_ignore=False, upload_budget_bytes=0,
            delete_budget=0, dedup=Dedup.CONTENT_AND_NAME, digest="sha256", symlinks="inside",
            remote_name="{stem}-{digest8}{suffix}", rules=rules,
        )  # fmt: skip
        assert loaded(tmp_path, text).folders == (expected,)

    def test_every_key_of_the_remote_arrives(self, tmp_path: Path) -> None:
        text = """
            [remote]
            base_url = "HTTPS://API.example.com/v1/"
            organization = "org-1"
            project = "proj_1"
            uploads_per_minute = "0"
            concurrency = 64
            bandwidth = "10MiB/s"
            list_lag = "0s"
            multipart_threshold = "512MB"
            check_interval = "1s"
        """
        assert loaded(tmp_path, text).remote == RemoteSettings(
            "https://api.example.com/v1",
            "org-1",
            "proj_1",
            0,
            64,
            10 * 1024**2,
            0,
            512_000_000,
            4,
            1,
        )

    @pytest.mark.parametrize(
        ("path", "root"),
        [
            pytest.param("~/a", b"/home/ada/a", id="the tilde is home"),
            pytest.param("~", b"/home/ada", id="home itself"),
            pytest.param("/srv/\\u00e9", b"/srv/\xc3\xa9", id="letters become bytes"),
            pytest.param("//srv//a/.", b"/srv/a", id="slashes are normalised"),
            pytest.param("a/~b", b"HERE/a/~b", id="a relative one starts from the file"),
        ],
    )
    def test_a_root_is_absolute_bytes(self, tmp_path: Path, path: str, root: bytes) -> None:
        text = f'[[folder]]\nname = "a"\npath = "{path}"\n'
        config = loaded(tmp_path, text, FILEFERRY_STATE_DIRECTORY="/state")
        assert config.folders[0].root == root.replace(b"HERE", os.fsencode(tmp_path))

    def test_a_folder_may_lie_inside_another(self, tmp_path: Path) -> None:
        text = FOLDER + '[[folder]]\nname = "inner"\npath = "/srv/docs/inner"\n'
        assert [folder.name for folder in loaded(tmp_path, text).folders] == ["docs", "inner"]

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:8700/v1",
            "http://localhost/v1",
            "http://[::1]:1/v1",
            "http://a.localhost",
        ],
    )
    def test_plain_http_is_fine_on_this_machine(self, tmp_path: Path, url: str) -> None:
        assert loaded(tmp_path, f'[remote]\nbase_url = "{url}/"\n').remote.base_url == url

    def test_no_folder_is_odd_but_no_mistake(self, tmp_path: Path) -> None:
        assert loaded(tmp_path, "").warnings == (
            "there is no `[[folder]]`, so nothing is mirrored",
        )


class TestPrecedence:
    def test_our_variable_then_the_file_then_the_known_names(self, tmp_path: Path) -> None:
        ours = {"FILEFERRY_REMOTE_PROJECT": "ours"}
        known = {"OPENAI_PROJECT_ID": "known"}
        text = '[remote]\nproject = "file"\n'
        assert loaded(tmp_path, text, **ours, **known).remote.project == "ours"
        assert loaded(tmp_path, text, **known).remote.project == "file"
        assert loaded(tmp_path, "", **known).remote.project == "known"
        assert loaded(tmp_path, "").remote.project is None

    def test_nothing_in_the_file_is_an_answer_too(self, tmp_path: Path) -> None:
        text = '[remote]\nproject = ""\n'
        assert loaded(tmp_path, text, OPENAI_PROJECT_ID="known").remote.project is None

    @pytest.mark.parametrize(
        ("variable", "text", "attribute", "value"),
        [
            ("FILEFERRY_REMOTE_BASE_URL", "https://a/v1", "base_url", "https://a/v1"),
            ("OPENAI_BASE_URL", "https://a/v1", "base_url", "https://a/v1"),
            ("OPENAI_ORG_ID", "org", "organization", "org"),
            ("FILEFERRY_REMOTE_UPLOADS_PER_MINUTE", "0", "uploads_per_minute", 0),
            ("FILEFERRY_REMOTE_CONCURRENCY", "3", "concurrency", 3),
            ("FILEFERRY_REMOTE_BANDWIDTH", "1MB", "bandwidth_bytes_per_second", 1_000_000),
            ("FILEFERRY_REMOTE_LIST_LAG", "2m", "list_lag_seconds", 120),
        ],
    )
    def test_variables_are_text_of_the_right_kind(
        self, tmp_path: Path, variable: str, text: str, attribute: str, value: object
    ) -> None:
        config = loaded(tmp_path, "", **{variable: text})
        assert getattr(config.remote, attribute) == value
        assert variable in config.origins.values()

    def test_an_empty_variable_is_unset(self, tmp_path: Path) -> None:
        config = loaded(tmp_path, "", FILEFERRY_REMOTE_CONCURRENCY="", OPENAI_BASE_URL="")
        assert config.remote == RemoteSettings()

    def test_a_wrong_variable_is_named(self, tmp_path: Path) -> None:
        message = refusal(tmp_path, "", FILEFERRY_REMOTE_CONCURRENCY="many")
        assert message == (
            '`FILEFERRY_REMOTE_CONCURRENCY` is `"many"`, expected a whole number from 1 to 64'
        )

    def test_an_unknown_variable_is_only_a_warning(self, tmp_path: Path) -> None:
        odd = {"FILEFERRY_REMOTE_CONCURENCY": "3", "FILEFERRY_X": "1", "FILEFERRY_EMPTY": ""}
        warnings = loaded(tmp_path, FOLDER, **odd).warnings
        assert warnings == (
            (
                "`FILEFERRY_REMOTE_CONCURENCY` is set, but no such variable is known;"
                " did you mean `FILEFERRY_REMOTE_CONCURRENCY`?"
            ),
            "`FILEFERRY_X` is set, but no such variable is known",
        )

    def test_every_value_is_explained_with_its_origin(self, tmp_path: Path) -> None:
        text = "[remote]\nbandwidth = '2MiB'\n" + FOLDER + "ignore = ['a', 'b']\n" + (
            "[[folder.rule]]\nmatch = '*.x'\nexpires_after = 'never'\n"
        )  # fmt: skip
        config = loaded(tmp_path, text, FILEFERRY_REMOTE_CONCURRENCY="2")
        explained = {key: (value, origin) for key, value, origin in config.explain()}
        assert explained["remote.bandwidth"] == ("2MiB/s", f"{config.path}:2")
        assert explained["remote.concurrency"] == ("2", "FILEFERRY_REMOTE_CONCURRENCY")
        assert explained["remote.check_interval"] == ("1h", "default")
        assert explained["folder.docs.path"] == ("/srv/docs", f"{config.path}:5")
        assert explained["folder.docs.ignore"] == ('["a", "b"]', f"{config.path}:6")
        assert explained["folder.docs.expires_after"] == ("7d", "default")
        assert explained["folder.docs.rule.1.expires_after"] == ("never", f"{config.path}:9")
        assert "folder.docs.rule.1.purpose" not in explained
        once = [key for key in schema.KEYS if key.section != "folder.rule"]
        assert len(explained) == len(once) + 2


def test_a_parsed_file_needs_no_disk() -> None:
    config = from_table({"folder": [{"name": "a", "path": "b"}]}, "/etc/f/config.toml", HOME)
    assert config.folders[0].root == b"/etc/f/b"
    assert config.origins["folder.a.path"] == "/etc/f/config.toml"
