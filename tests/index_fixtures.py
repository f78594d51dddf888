"""Fixtures for whoever tests what stands on an index. Mutants are tried with them, too, and without any conftest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from auditing import Scene
from fileferry.index.connection import open_writer
from index_rows import Story

__all__ = ["scene", "story"]


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Give an index with an open transaction, in which everything happens."""
    db = open_writer(str(tmp_path / "index.db"))
    db.execute("BEGIN")
    yield Story(db)
    db.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Give an index, a remote, and the auditor between them, which has transactions of its own."""
    db = open_writer(str(tmp_path / "index.db"))
    yield Scene(Story(db))
    db.close()
