"""Fixtures of the integration tests: one emulator for all, an installation for each."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from integration.stories import Ferry

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as running:
        yield running


@pytest.fixture
def public_path() -> Iterator[Path]:
    """Return a directory that other users may enter: pytest keeps its own to itself."""
    with tempfile.TemporaryDirectory(prefix="fileferry-test-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def it(tmp_path: Path, emulator: EmulatorProcess) -> Ferry:
    return Ferry(tmp_path / "home", emulator, f"sk-integration-{next(_NUMBERS)}-secret")
