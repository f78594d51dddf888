"""README.md says what the program does: every command, and every key with its default."""

import re
from pathlib import Path

import pytest

from fileferry.cli.main import COMMANDS
from fileferry.config.schema import markdown_table

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_names_every_command(command: str) -> None:
    assert re.search(rf"`(?:fileferry )?{re.escape(command)}[` ]", README.read_text())


def test_the_readme_has_the_table_of_all_keys() -> None:
    assert markdown_table() in README.read_text()
