"""The example and the template say what the schema says, and the schema what the model says."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fileferry.config import schema, template
from fileferry.config.load import Config, load
from fileferry.errors import ConfigError
from fileferry.model import Folder, RemoteSettings

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
HOME = {"HOME": "/home/ada"}


def loaded(tmp_path: Path, text: str, **variables: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load(str(path), HOME | variables)


class TestSchema:
    def uncommented(self) -> str:
        return re.sub("^#(?=[a-z_[])", "", EXAMPLE.read_text(), flags=re.MULTILINE)

    def test_the_example_loads_as_it_is(self) -> None:
        config = load(str(EXAMPLE), HOME)
        assert config.folders == (Folder("handbook", b"/home/ada/handbook"),)

    def test_the_example_shows_exactly_the_defaults(self, tmp_path: Path) -> None:
        config = loaded(tmp_path, self.uncommented())
        plain = loaded(tmp_path, "")
        assert (config.remote, config.state) == (plain.remote, plain.state)
        (folder,) = config.folders
        assert replace(folder, rules=()) == Folder("handbook", b"/home/ada/handbook")
        assert len(folder.rules) == 1

    @pytest.mark.parametrize("key", schema.KEYS, ids=lambda key: key.dotted)
    def test_every_key_stands_in_the_example(self, key: schema.Key) -> None:
        shown: Any = tomllib.loads(self.uncommented())
        for part in key.section.split("."):
            shown = shown[part][0] if isinstance(shown[part], list) else shown[part]
        default = schema.toml_default(key)
        if default is None:
            assert key.name in shown
        else:
            assert f"\n#{key.name} = {default}\n" in EXAMPLE.read_text()
            assert shown[key.name] == key.default

    def test_defaults_are_those_of_the_model(self) -> None:
        model = {"remote": RemoteSettings(), "folder": Folder("x", b"/x")}
        for key in schema.KEYS:
            if key.section in model and key.default is not schema.REQUIRED:
                expected = getattr(model[key.section], key.attribute)
                assert key.kind.parse(key.default) == expected, key.dotted

    def test_the_table_for_readers_has_every_key(self) -> None:
        table = schema.markdown_table()
        assert '| `remote.list_lag` | `"60s"` | how long' in table
        assert "| `folder.name` | required |" in table
        assert "| `folder.rule.dedup` | the folder's |" in table
        rows = table.splitlines()
        assert len(rows) == len(schema.KEYS) + 2
        assert {row.count("|") for row in rows} == {4}


class TestTemplate:
    def test_it_loads_to_a_plain_folder(self, tmp_path: Path) -> None:
        config = loaded(tmp_path, template.render("/srv/docs", "docs"))
        assert config.folders == (Folder("docs", b"/srv/docs"),)
        assert config.remote == RemoteSettings()

    def test_its_comments_show_true_defaults(self, tmp_path: Path) -> None:
        text = re.sub("^#(?=[a-z_[])", "", template.render("/d", "d"), flags=re.MULTILINE)
        config = loaded(tmp_path, text)
        assert config.remote == RemoteSettings()
        assert replace(config.folders[0], rules=()) == Folder("d", b"/d")

    @pytest.mark.parametrize("directory", ["", "/a\0b", "/a\udcff"])
    def test_what_toml_cannot_write_is_refused(self, directory: str) -> None:
        with pytest.raises(ConfigError, match="cannot be written in a TOML file"):
            template.render(directory, "docs")

    def test_a_name_that_is_none_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="expected letters"):
            template.render("/a", "a:b")

    @pytest.mark.parametrize(
        ("directory", "name"),
        [("/srv/docs/", "docs"), ("/srv/My Files!", "My-Files"), ("/", "folder"),
         ("/日本", "folder"),
         ("/.config", "config"), ("/a.b_c-d", "a.b_c-d")],
    )  # fmt: skip
    def test_a_name_is_made_from_the_directory(self, directory: str, name: str) -> None:
        assert template.name_for(directory) == name
