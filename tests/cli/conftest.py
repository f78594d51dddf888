"""One emulator for all commands, and for each test an installation that has a project of its own there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from installed import Installation


@pytest.fixture(scope="session")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as running:
        yield running


@pytest.fixture
def it(tmp_path: Path, emulator: EmulatorProcess) -> Installation:
    installation = Installation(tmp_path / "home", emulator.base_url)
    key = f"sk-{tmp_path.name}"
    installation.environ["OPENAI_API_KEY"] = key
    emulator.set_key(key, project=f"proj_{tmp_path.name}")
    emulator.clear_faults()
    emulator.clear_requests()
    return installation
