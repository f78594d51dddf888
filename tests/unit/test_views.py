"""The index as a public API: views, identity, and who may open what."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fileferry.errors import FerryError, IndexDamaged
from fileferry.index import folders
from fileferry.index.connection import close_writer, open_reader, open_writer
from fileferry.index.identity import APPLICATION_ID, SCHEMA_VERSION
from fileferry.index.reader import Reader
from index_rows import NOW, Story

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "index.db")


@pytest.fixture
def db(path: str) -> Iterator[sqlite3.Connection]:
    connection = open_writer(path)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        (
            "files",
            "folder, root, path, file_id, state, digest, size, mtime, purpose, remote_name, expires_at, "  # noqa: ISC004
            "uploaded_at, error, path_raw",
        ),
        (
            "remote_files",
            "file_id, digest, size, purpose, remote_name, created_at, expires_at, state, paths",
        ),
        ("changes", "seq, at, folder, path, event, old_file_id, new_file_id"),
    ],
)
def test_a_view_has_the_columns_that_were_promised(
    db: sqlite3.Connection, view: str, columns: str
) -> None:
    found = db.execute(f"SELECT * FROM {view}").description
    assert ", ".join(column[0] for column in found) == columns


@pytest.mark.parametrize(("left", "answer"), [(60, "file-1"), (-60, None), (None, "file-1")])
def test_an_id_that_has_run_out_by_the_server_s_clock_is_not_shown(
    db: sqlite3.Connection, left: int | None, answer: str | None
) -> None:
    story = Story(db)  # whose server lives in another year than we do
    content_id = story.read(b"a.txt", b"one")
    story.answer(content_id, "file-1", expires_at=None if left is None else int(NOW) + left)
    assert story.files() == {"a.txt": ("synced", answer)}


def test_a_synced_file_is_described(db: sqlite3.Connection) -> None:
    story = Story(db)
    content_id = story.read(b"a.txt", b"one")
    story.answer(content_id, "file-1", expires_at=int(NOW) + 3_600)
    db.row_factory = sqlite3.Row
    row = dict(db.execute("SELECT * FROM files").fetchone())
    for column in ("mtime", "expires_at", "uploaded_at"):
        assert RFC3339.fullmatch(row.pop(column)), column
    assert row == {
        "folder": "docs",
        "root": "/docs",
        "path": "a.txt",
        "file_id": "file-1",
        "state": "synced",
        "digest": "xxh3_128:6f6e65",
        "size": 3,
        "purpose": "user_data",
        "remote_name": "a.txt",
        "error": None,
        "path_raw": None,
    }
    remote = dict(db.execute("SELECT * FROM remote_files").fetchone())
    assert remote["paths"] == '["/docs/a.txt"]'
    assert remote["created_at"] == "2023-11-14T22:13:20Z"
    assert remote["expires_at"] == "2023-11-14T23:13:20Z"


def test_digest_and_size_describe_the_version_that_the_id_holds(db: sqlite3.Connection) -> None:
    story = Story(db)
    story.sync(b"a.txt", b"one", "file-1")
    story.read(b"a.txt", b"longer")
    row = db.execute("SELECT file_id, state, digest, size FROM files").fetchone()
    assert row == ("file-1", "stale", "xxh3_128:6f6e65", 3)


def test_a_pending_file_has_neither(db: sqlite3.Connection) -> None:
    Story(db).read(b"a.txt", b"one")
    row = db.execute("SELECT file_id, state, digest, size, mtime FROM files").fetchone()
    assert row == (None, "pending", None, None, None)


@pytest.mark.parametrize(
    ("path_raw", "shown", "raw"),
    [
        (b"plain.txt", "plain.txt", None),
        ("gr\u00fc\u00df".encode(), "gr\u00fc\u00df", None),
        (b"caf\xe9/x", "caf\\xe9/x", b"caf\xe9/x"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80", b"\xed\xa0\x80"),
    ],
)
def test_a_path_is_text_and_its_bytes_are_there_where_it_is_not(
    db: sqlite3.Connection, path_raw: bytes, shown: str, raw: bytes | None
) -> None:
    story = Story(db)
    story.sync(path_raw, b"one", "file-1")
    assert db.execute("SELECT path, path_raw FROM files").fetchone() == (shown, raw)
    assert db.execute("SELECT path FROM changes").fetchone() == (shown,)


def test_an_id_that_is_on_its_way_out_stands_for_no_path(db: sqlite3.Connection) -> None:
    story = Story(db)
    story.sync(b"a.txt", b"one", "file-1")
    story.sync(b"a.txt", b"two", "file-2")
    rows = db.execute("SELECT file_id, state, paths FROM remote_files ORDER BY file_id").fetchall()
    assert rows == [("file-1", "retiring", "[]"), ("file-2", "live", '["/docs/a.txt"]')]


def test_the_log_of_a_folder_outlives_it(db: sqlite3.Connection) -> None:
    story = Story(db)
    story.sync(b"a.txt", b"one", "file-1")
    db.execute("UPDATE change_log SET folder_id = -folder_id")
    folders.forget(db, story.folder_id)
    assert db.execute("SELECT folder, path, event FROM changes").fetchall() == [
        (None, "a.txt", "added")
    ]


# Whose file it is.


def test_the_file_says_what_it_is(db: sqlite3.Connection) -> None:
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_opening_it_again_changes_nothing(path: str) -> None:
    first = open_writer(path)
    Story(first).sync(b"a.txt", b"one", "file-1")
    schema = first.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    first.close()
    second = open_writer(path)
    assert second.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall() == schema
    assert second.execute("SELECT file_id FROM files").fetchall() == [("file-1",)]
    second.close()


def test_an_index_of_a_newer_release_is_refused_and_left_alone(path: str, tmp_path: Path) -> None:
    db = open_writer(path)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    close_writer(db)
    before = Path(path).read_bytes()
    with pytest.raises(IndexDamaged, match="newer fileferry"):
        open_writer(path)
    with pytest.raises(IndexDamaged, match="newer fileferry"):
        Reader(str(tmp_path))
    assert Path(path).read_bytes() == before


def test_a_database_of_somebody_else_is_refused_and_left_alone(path: str, tmp_path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (a)")
    db.commit()
    db.close()
    before = Path(path).read_bytes()
    with pytest.raises(IndexDamaged, match="no index of fileferry"):
        open_writer(path)
    with pytest.raises(FerryError):
        Reader(str(tmp_path))
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look at" * 30])
def test_a_file_that_is_no_database_is_refused(path: str, tmp_path: Path, content: bytes) -> None:
    Path(path).write_bytes(content)
    with pytest.raises(IndexDamaged):
        open_writer(path)
    with pytest.raises(IndexDamaged):
        Reader(str(tmp_path))
    assert Path(path).read_bytes() == content


def test_an_empty_file_is_an_index_not_made_yet(path: str, tmp_path: Path) -> None:
    Path(path).touch()
    with pytest.raises(FerryError, match="not made yet"):
        Reader(str(tmp_path))
    open_writer(path).close()
    Reader(str(tmp_path)).close()


def test_a_reader_can_change_nothing(path: str, db: sqlite3.Connection) -> None:
    reader = open_reader(path)
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM meta")
    reader.close()


def test_after_a_clean_end_it_is_one_file(path: str, tmp_path: Path) -> None:
    db = open_writer(path)
    Story(db).sync(b"a.txt", b"one", "file-1")
    close_writer(db)
    assert [entry.name for entry in tmp_path.iterdir()] == ["index.db"]


def test_a_reader_that_is_there_at_the_end_is_not_waited_for(path: str) -> None:
    db = open_writer(path)
    Story(db).sync(b"a.txt", b"one", "file-1")
    reader = open_reader(path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM files").fetchall()
    close_writer(db)
    assert reader.execute("SELECT file_id FROM files").fetchall() == [("file-1",)]
    reader.close()
