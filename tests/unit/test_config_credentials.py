"""Where the API key is found, and that nothing shows it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from fileferry.config.credentials import Secret, api_key, key_origin
from fileferry.errors import CredentialsRefused

if TYPE_CHECKING:
    from pathlib import Path


class TestApiKey:
    def test_the_three_places_go_in_order(self, tmp_path: Path) -> None:
        (tmp_path / "openai_api_key").write_text("sk-systemd\n")
        (tmp_path / "file").write_text("  sk-file\n")
        for name in ("openai_api_key", "file"):
            (tmp_path / name).chmod(0o600)
        environ = {
            "CREDENTIALS_DIRECTORY": str(tmp_path),
            "OPENAI_API_KEY_FILE": str(tmp_path / "file"),
            "OPENAI_API_KEY": " sk-variable ",
        }
        for variable, key, origin in (
            ("CREDENTIALS_DIRECTORY", "sk-systemd", str(tmp_path / "openai_api_key")),
            ("OPENAI_API_KEY_FILE", "sk-file", str(tmp_path / "file")),
            ("OPENAI_API_KEY", "sk-variable", "OPENAI_API_KEY"),
        ):
            found = api_key(environ)
            assert found.secret.reveal() == key
            assert found.origin == key_origin(environ) == origin
            assert found.warnings == ()
            del environ[variable]

    @pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": " \n"}])
    def test_none_is_refused_with_a_hint(self, environ: dict[str, str]) -> None:
        with pytest.raises(CredentialsRefused, match="there is no API key") as caught:
            api_key(environ)
        assert caught.value.exit_code == 7
        assert "OPENAI_API_KEY" in str(caught.value.hint)
        assert key_origin(environ) == "not set"

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            pytest.param(b"", "is empty", id="empty"),
            pytest.param(b" \n", "is empty", id="blank"),
            pytest.param(b"sk-hunter 2", "has a space", id="with a space inside"),
            pytest.param(b"sk-hunter\nsk-2", "has a space", id="with two lines"),
            pytest.param("sk-hunterß".encode(), "not ASCII", id="with another letter"),
            pytest.param(b"sk-hunter\xff", "not ASCII", id="not even text"),
            pytest.param(b"sk-hunter" * 999, "too long", id="far too long"),
        ],
    )
    def test_what_can_be_no_key_is_refused_without_showing_it(
        self, tmp_path: Path, content: bytes, reason: str
    ) -> None:
        (tmp_path / "key").write_bytes(content)
        with pytest.raises(CredentialsRefused, match=reason) as caught:
            api_key({"OPENAI_API_KEY_FILE": str(tmp_path / "key"), "OPENAI_API_KEY": "sk-other"})
        assert "hunter" not in f"{caught.value!r} {caught.value.hint}"

    def test_a_named_file_that_is_missing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CredentialsRefused, match="cannot be read: no such file"):
            api_key({"OPENAI_API_KEY_FILE": str(tmp_path / "gone"), "OPENAI_API_KEY": "sk-other"})

    def test_systemd_without_our_credential_is_passed_over(self, tmp_path: Path) -> None:
        environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "OPENAI_API_KEY": "sk-x"}
        assert api_key(environ).origin == "OPENAI_API_KEY"

    def test_a_file_for_everybody_is_a_warning(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text("sk-hunter2")
        path.chmod(0o644)
        (warning,) = api_key({"OPENAI_API_KEY_FILE": str(path)}).warnings
        assert str(path) in warning
        assert "hunter2" not in warning

    def test_a_secret_does_not_show_itself(self) -> None:
        found = api_key({"OPENAI_API_KEY": "sk-hunter2"})
        assert "hunter2" not in f"{found} {found!r} {found.secret} {[found]}"
        with pytest.raises(TypeError):
            pickle.dumps(Secret("sk-hunter2"))
