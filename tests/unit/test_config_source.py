"""Where the configuration and the index are, and what becomes of bad TOML."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fileferry.config import source, template
from fileferry.config.load import Config, load
from fileferry.errors import ConfigError, NotInitialised

SOURCES = Path(__file__).parents[2] / "src"
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


class TestWhereTheFileIs:
    def test_the_named_one_goes_before_all_others(self, tmp_path: Path) -> None:
        environ = self.environ(tmp_path)
        named = self.made(tmp_path / "named.toml")
        assert source.locate(named, environ) == named

    def test_the_others_follow_in_order(self, tmp_path: Path) -> None:
        environ = self.environ(tmp_path)
        for variable in ("FILEFERRY_CONFIG", "CONFIGURATION_DIRECTORY", "XDG_CONFIG_HOME", "HOME"):
            found = source.locate(None, environ)
            assert found is not None
            assert found.startswith(environ[variable])
            del environ[variable]
            environ.setdefault("HOME", str(tmp_path / "nobody"))
        assert source.locate(None, environ) is None

    def test_a_directory_of_systemd_without_a_file_is_passed_over(self, tmp_path: Path) -> None:
        user = self.made(tmp_path / ".config/fileferry/config.toml")
        environ = {"HOME": str(tmp_path), "CONFIGURATION_DIRECTORY": f"{tmp_path}/a:{tmp_path}/b"}
        assert source.locate(None, environ) == user

    def test_a_relative_xdg_directory_is_ignored(self) -> None:
        environ = HOME | {"XDG_CONFIG_HOME": "conf"}
        assert source.default_path(environ) == "/home/ada/.config/fileferry/config.toml"

    @pytest.mark.parametrize("variables", [{}, {"FILEFERRY_CONFIG": "gone.toml"}])
    def test_none_at_all_is_not_initialised(
        self, tmp_path: Path, variables: dict[str, str]
    ) -> None:
        with pytest.raises(NotInitialised) as caught:
            load(None, {"HOME": str(tmp_path)} | variables)
        assert caught.value.exit_code == 10
        assert "fileferry init DIR" in str(caught.value.hint)

    def test_a_directory_in_its_place_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: is a directory"):
            load(str(tmp_path), HOME)

    def test_a_way_that_never_ends_is_refused(self, tmp_path: Path) -> None:
        loop = tmp_path / "loop.toml"
        loop.symlink_to(loop)
        with pytest.raises(ConfigError, match="cannot be read: too many levels"):
            load(str(loop), HOME)

    @staticmethod
    def made(path: Path) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return str(path)

    def environ(self, tmp_path: Path) -> dict[str, str]:
        self.made(tmp_path / "system/config.toml")
        self.made(tmp_path / "xdg/fileferry/config.toml")
        self.made(tmp_path / "home/.config/fileferry/config.toml")
        return {
            "FILEFERRY_CONFIG": self.made(tmp_path / "variable.toml"),
            "CONFIGURATION_DIRECTORY": str(tmp_path / "system"),
            "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
            "HOME": str(tmp_path / "home"),
        }


class TestBadToml:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            pytest.param("a = 1\nb c\n", "line 2, column 3: expected '='", id="no equals sign"),
            pytest.param("a = 1\nb =", "line 2, column 4: invalid value", id="no value at the end"),
            pytest.param("a = 1\na = 2\n", "cannot overwrite a value", id="a key twice"),
            pytest.param("a = " + "[" * 99_999, "nested too deeply", id="endless nesting"),
            pytest.param("a = " + "9" * 9_999, "exceeds the limit", id="thousands of digits"),
        ],
    )
    def test_is_refused_with_its_place(self, tmp_path: Path, text: str, expected: str) -> None:
        with pytest.raises(ConfigError) as caught:
            loaded(tmp_path, text)
        assert expected in caught.value.message
        assert str(tmp_path / "config.toml") in caught.value.message

    def test_other_encodings_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        path.write_bytes(b"# caf\xe9\n")
        with pytest.raises(ConfigError, match="not UTF-8"):
            load(str(path), HOME)

    def test_a_byte_order_mark_is_no_mistake(self, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        path.write_bytes(b"\xef\xbb\xbf" + FOLDER.encode())
        assert load(str(path), HOME).folders[0].name == "docs"


class TestStateDirectory:
    CASES = (
        pytest.param({"FILEFERRY_STATE_DIRECTORY": "/v", "STATE_DIRECTORY": "/s"}, "/f", "/v",
                     "FILEFERRY_STATE_DIRECTORY", id="our variable goes before all"),
        pytest.param({"STATE_DIRECTORY": "/s"}, "/f", "/f", "FILE", id="the file before systemd"),
        pytest.param({"STATE_DIRECTORY": "/s:/t"}, None, "/s", "STATE_DIRECTORY",
                     id="systemd before the default, its first directory"),
        pytest.param({"XDG_STATE_HOME": "/x"}, None, "/x/fileferry", "default",
                     id="XDG is honoured"),
        pytest.param({"XDG_STATE_HOME": "x"}, None, "/home/ada/.local/state/fileferry", "default",
                     id="XDG is not honoured when relative"),
        pytest.param({"FILEFERRY_STATE_DIRECTORY": ""}, "~/s/", "/home/ada/s", "FILE",
                     id="an empty variable is unset and the tilde is home"),
    )  # fmt: skip

    @pytest.mark.parametrize(("variables", "in_file", "expected", "origin"), CASES)
    def test_is_chosen_by_precedence(
        self,
        tmp_path: Path,
        variables: dict[str, str],
        in_file: str | None,
        expected: str,
        origin: str,
    ) -> None:
        text = f'[state]\ndirectory = "{in_file}"\n' if in_file else "[state]\n"
        config = loaded(tmp_path, text, **variables)
        assert config.state.directory == expected
        assert config.origins["state.directory"] == origin.replace(
            "FILE", f"{config.path}:2", origin == "FILE"
        )
        assert source.state_directory(config.path, HOME | variables) == expected

    def test_a_relative_one_starts_from_the_file(self, tmp_path: Path) -> None:
        config = loaded(tmp_path, '[state]\ndirectory = "../here"\n')
        assert config.state.directory == str(tmp_path.parent / "here")

    @pytest.mark.parametrize(
        "text",
        [
            "[state]\ndirectory = '/x'",
            "state = {directory = '/x'}",
            "state.directory = '/x'",
            '["state"]\n"directory" = "/x"',
            '["\\u0073tate"]\ndirectory = "/x"',
            "[ state ]\ngroup = ''\ndirectory = '/x'",
            "[state]\n# [remote]\ndirectory = '/x'",
        ],
    )
    def test_the_short_way_sees_it_however_it_is_written(self, tmp_path: Path, text: str) -> None:
        config = loaded(tmp_path, text)
        assert config.state.directory == "/x"
        assert source.state_directory(config.path, HOME) == "/x"

    @pytest.mark.parametrize(
        "text", ["# [state]\n#directory = '/x'", "[state]\n\n[remote]", FOLDER]
    )
    def test_the_short_way_parses_nothing_without_need(
        self, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "config.toml"
        path.write_text(text)
        monkeypatch.setattr(source, "parse", None)
        assert source.state_directory(str(path), HOME) == "/home/ada/.local/state/fileferry"

    @pytest.mark.parametrize("text", ["state = 3", "state.directory = 3", "state.directory = ''"])
    def test_the_short_way_refuses_what_is_no_directory(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "config.toml"
        path.write_text(text)
        with pytest.raises(ConfigError, match="`state"):
            source.state_directory(str(path), HOME)

    def test_it_is_known_without_any_configuration(self, tmp_path: Path) -> None:
        expected = str(tmp_path / ".local/state/fileferry")
        assert source.state_directory(None, {"HOME": str(tmp_path)}) == expected

    def test_it_may_not_be_mirrored(self, tmp_path: Path) -> None:
        (tmp_path / "docs").mkdir()
        (tmp_path / "link").symlink_to("docs")
        text = '[state]\ndirectory = "link/state"\n[[folder]]\nname = "a"\npath = "docs"\n'
        assert "line 5: `folder.path` of `a` holds the state directory" in refusal(tmp_path, text)

    def test_finding_it_imports_next_to_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        path.write_text(template.render("/srv/docs", "docs"))
        code = (
            "import sys; from fileferry.config import source;"
            f"source.state_directory({str(path)!r}, {{'HOME': '/'}});"
            "print(*{'dataclasses', 'typing', 'tomllib', 're', 'pathlib'} & sys.modules.keys())"
        )
        paths = {"PYTHONPATH": str(SOURCES), "PYTHONDONTWRITEBYTECODE": "1"}
        # -S: site packages may bring modules of their own.
        done = subprocess.run(
            [sys.executable, "-S", "-c", code],
            env=paths,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "\n"
