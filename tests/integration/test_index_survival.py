"""The index survives what happens to its disk, its machine and its readers; and whoever relies on it is not misled."""

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fileferry.daemon import backups, custody
from fileferry.errors import ConfigError, IndexDamaged, IndexUnwritable
from fileferry.index.connection import close_writer, open_writer
from fileferry.index.identity import SCHEMA_VERSION
from fileferry.index.writer import Patience, ThreadWriter
from integration.stories import Ferry, daemon, eventually

FIXTURES = Path(__file__).parent / "schemas"


# Its disk


@pytest.fixture
def full(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Give an index that may not grow."""
    connection = open_writer(str(tmp_path / "index.db"))
    connection.execute("CREATE TABLE stuff (bytes BLOB)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    yield connection
    with contextlib.suppress(sqlite3.ProgrammingError):
        close_writer(connection)


def logged(ferry: Ferry, event: str) -> list[dict[str, str]]:
    lines = (ferry.home / "log").read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def insert(db: sqlite3.Connection) -> int:
    db.execute("INSERT INTO stuff VALUES (zeroblob(100000))")
    return int(db.execute("SELECT count(*) FROM stuff").fetchone()[0])


def test_a_writer_waits_for_room_and_then_does_all_that_was_asked_once(
    full: sqlite3.Connection,
) -> None:
    told: list[str | None] = []
    patience = Patience(float("inf"), told.append)
    writer = ThreadWriter(full, patience)
    futures = [writer.submit(insert) for _ in range(3)]
    eventually(lambda: patience.trouble)
    time.sleep(0.5)
    assert not any(future.done() for future in futures)
    full.execute("PRAGMA max_page_count = 1000000")
    assert [future.result(20) for future in futures] == [1, 2, 3]
    assert told == ["database or disk is full", None], "told once, however often it tried"
    assert patience.trouble is None
    writer.close()


def test_a_writer_that_may_not_wait_says_what_is_wrong_and_goes_on(
    full: sqlite3.Connection,
) -> None:
    writer = ThreadWriter(full, Patience(0.3))
    with pytest.raises(IndexUnwritable, match="full"):
        writer.submit(insert).result(20)
    assert writer.submit(lambda db: db.execute("SELECT 7").fetchone()[0]).result(20) == 7
    full.execute("PRAGMA max_page_count = 1000000")
    assert writer.submit(insert).result(20) == 1
    writer.close()


def test_closing_does_not_wait_for_a_full_disk(full: sqlite3.Connection) -> None:
    writer = ThreadWriter(full, Patience(float("inf")))
    future = writer.submit(insert)
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 5
    with pytest.raises(IndexUnwritable):
        future.result(0)


def test_a_writer_waits_for_a_program_that_locks_the_index(tmp_path: Path) -> None:
    path = str(tmp_path / "index.db")
    connection = open_writer(path)
    connection.execute("PRAGMA busy_timeout = 50")
    patience = Patience(float("inf"))
    writer = ThreadWriter(connection, patience)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        future = writer.submit(lambda db: db.execute("DELETE FROM meta").rowcount)
        assert "locked" in eventually(lambda: patience.trouble)
        other.execute("ROLLBACK")
    assert future.result(20) == 0
    writer.close()


def test_a_daemon_whose_disk_is_full_sends_nothing_and_goes_on_by_itself(it: Ferry) -> None:
    it.write("first.txt", b"first")
    with daemon(it) as process:
        eventually(lambda: it.states().get("first.txt") == "synced")
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, before[1]))
        for number in range(5):
            it.write(f"later-{number}.txt", b"later %d" % number)
        trouble = eventually(lambda: it.json("status")["daemon"]["trouble"])
        assert "cannot be written" in trouble
        sent = it.uploads()
        time.sleep(1)
        assert it.uploads() == sent, "an id could be lost"
        assert process.poll() is None
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
        eventually(lambda: list(it.states().values()).count("synced") == 6, 30)
        assert it.uploads() == 6, "each was sent once"
        assert len(it.ids()) == 6
        assert it.json("status")["daemon"]["trouble"] is None
    log = (it.home / "log").read_text()
    assert log.count('"index_unwritable"') == log.count('"index_writable_again"') == 1


@pytest.mark.slow
def test_a_daemon_whose_disk_is_full_can_be_stopped(it: Ferry) -> None:
    it.write("first.txt", b"first")
    with daemon(it) as process:
        eventually(lambda: it.states().get("first.txt") == "synced")
        hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, hard))
        it.write("later.txt", b"later")
        eventually(lambda: it.json("status")["daemon"]["trouble"])
        process.terminate()
        assert process.wait(15) == 0
    it.sync()
    assert len(it.ids()) == it.uploads() == 2


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_nothing_is_sent_when_too_little_room_is_left_for_ids(it: Ferry) -> None:
    it.write("a.txt", b"alpha")
    it.state.mkdir()
    script = f'mount -t tmpfs -o size=8m tmpfs "{it.state}" && exec "$0" "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, *it.command, "sync"],
        env=it.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        # By hand alone: in `.ci/run` a skip is a failure.
        pytest.skip(done.stderr)
    assert done.returncode == 5, done.stderr
    assert "nothing is sent" in done.stderr
    assert it.uploads() == 0


@pytest.mark.parametrize("fate", ["removed", "replaced"])
def test_a_daemon_whose_index_goes_sends_nothing_more_and_ends(it: Ferry, fate: str) -> None:
    it.write("a.txt", b"one")
    with daemon(it) as process:
        eventually(lambda: it.states() == {"a.txt": "synced"})
        if fate == "removed":
            os.rename(it.state, it.home / "away")
        else:
            shutil.copy(it.state / "index.db", it.home / "other.db")
            os.replace(it.home / "other.db", it.state / "index.db")
        it.write("b.txt", b"two")
        assert process.wait(45) == 1, "a code that systemd starts it again after"
        assert it.uploads() == 1
        *_, last = logged(it, "index_gone")
        assert fate in last["error"]
        assert "rebuild" in last["hint"]


def test_an_index_on_a_network_file_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, refused in (("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False)):
        monkeypatch.setattr(custody, "file_system_type", lambda _, kind=kind: kind)
        with pytest.raises(ConfigError, match=kind) if refused else contextlib.nullcontext():
            custody.refuse_network("/somewhere")


# Damage and copies


@pytest.mark.slow
def test_a_daemon_refuses_a_damaged_index_and_leaves_it_as_it_is(it: Ferry) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    path = it.state / "index.db"
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xa5" * 4096 * 8)
    broken = path.read_bytes()
    done = it.run("run", check=1)
    assert "damaged" in done.stderr
    assert "`fileferry rebuild`" in done.stderr
    assert path.read_bytes() == broken


@pytest.mark.slow
def test_a_daemon_copies_its_index_and_the_copy_is_whole_and_as_private(it: Ferry) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    copy = it.state / "index.db.copy-1"
    with daemon(it):
        eventually(copy.exists)
    assert copy.stat().st_mode & 0o777 == (it.state / "index.db").stat().st_mode & 0o777 == 0o600
    assert backups.good_copy(str(it.state)) == str(copy)
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT file_id FROM files").fetchall() == [(it.file_id("a.txt"),)]


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_the_note_of_how_far_the_index_came_is_as_private_as_the_index(
    tmp_path: Path, mode: int
) -> None:
    db = open_writer(str(tmp_path / "index.db"))
    os.chmod(tmp_path / "index.db", mode)
    db.execute(
        "INSERT INTO change_log (at, folder_id, path, path_text, event) VALUES (1, 1, x'61', 'a', 'added')"
    )
    before = os.umask(0)
    try:
        custody.mark(str(tmp_path))
    finally:
        os.umask(before)
        close_writer(db)
    assert (tmp_path / "index.db.mark").stat().st_mode & 0o777 == mode


def test_copies_rotate_are_made_when_due_and_only_where_there_is_room(tmp_path: Path) -> None:
    directory = str(tmp_path)
    path = tmp_path / "index.db"
    first, second = (tmp_path / name for name in backups.COPY_NAMES)
    db = open_writer(str(path))
    now = time.time()
    assert not backups.is_copy_due(directory, now), "there is nothing in it"
    db.execute(
        "INSERT INTO remote (file_id, name, size, purpose, created_at, recorded_at, state, proof)"
        " VALUES ('file-1', 'a', 1, 'user_data', 1, 1, 'live', 'proven')"
    )
    assert backups.is_copy_due(directory, now)
    assert backups.make_copy(directory) == str(first)
    one = first.read_bytes()
    day = 86_400
    assert not backups.is_copy_due(directory, now + day - 60), "nothing changed"
    assert backups.is_copy_due(directory, now + day + 60)
    db.executemany(
        "INSERT INTO change_log (at, folder_id, path, event) VALUES (1, 1, x'61', ?)",
        [("added",)] * (backups.MANY_CHANGES + 1),
    )
    assert not backups.is_copy_due(directory, now + 60), "the last one is too young"
    assert backups.is_copy_due(directory, now + 700)
    assert backups.make_copy(directory) == str(first)
    assert second.read_bytes() == one
    assert first.read_bytes() != one
    first.write_bytes(b"not a database")
    assert backups.good_copy(directory) == str(second)
    db.close()


@pytest.mark.parametrize("left", ["index.db.copy-2", "index.db.mark"])
def test_an_index_that_is_gone_or_empty_is_not_begun_anew_where_one_was(
    tmp_path: Path, left: str
) -> None:
    backups.require_index(str(tmp_path))
    (tmp_path / left).write_bytes(b"1")
    with pytest.raises(IndexDamaged, match="gone, or empty"):
        backups.require_index(str(tmp_path))
    (tmp_path / "index.db").touch()
    with pytest.raises(IndexDamaged, match="gone, or empty"):
        backups.require_index(str(tmp_path))
    (tmp_path / "index.db").write_bytes(b"x")
    backups.require_index(str(tmp_path))


def test_the_log_is_cut_off_when_the_reader_that_needed_it_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    log = tmp_path / "index.db-wal"
    db = open_writer(str(path))
    db.execute("CREATE TABLE stuff (bytes BLOB)")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM stuff").fetchone()
        for _ in range(100):
            db.execute("INSERT INTO stuff VALUES (zeroblob(100000))")
        assert log.stat().st_size > backups.LONG_LOG_BYTES
        began = time.monotonic()
        assert backups.shorten_log(str(tmp_path)) > backups.LONG_LOG_BYTES
        assert time.monotonic() - began < 5, "a reader is not waited for"
        assert reader.execute("SELECT count(*) FROM stuff").fetchone() == (0,)
        reader.execute("COMMIT")
    assert backups.shorten_log(str(tmp_path)) == 0
    assert db.execute("SELECT count(*) FROM stuff").fetchone() == (100,)
    db.close()


def test_a_writer_goes_on_beside_a_log_that_is_being_cut_off(tmp_path: Path) -> None:
    db = open_writer(str(tmp_path / "index.db"))
    db.execute("CREATE TABLE stuff (bytes BLOB)")
    writer = ThreadWriter(db)
    ended = threading.Event()

    def cut() -> None:
        while not ended.is_set():
            backups.shorten_log(str(tmp_path))

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        futures = [writer.submit(insert) for _ in range(150)]
        assert [future.result(30) for future in futures] == list(range(1, 151))
    finally:
        ended.set()
        cutter.join()
        writer.close()


# Its releases


def dump(path: Path) -> str:
    """Return an index as text: what a fixture of a released schema is made of."""
    with closing(sqlite3.connect(path)) as db:
        identity = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        pragmas = f"PRAGMA application_id = {identity};\nPRAGMA user_version = {version};\n"
        return pragmas + "\n".join(db.iterdump())


def load(text: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(text)


def migrated_answers(path: Path) -> list[tuple[object, ...]]:
    close_writer(open_writer(str(path)))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        return db.execute("SELECT path, file_id, state FROM files ORDER BY path").fetchall()


def test_every_earlier_release_has_an_index_that_is_migrated_with_all_that_is_in_it(
    tmp_path: Path,
) -> None:
    """When SCHEMA_VERSION grows: put `dump` of an index of the version before, with files in it, at schemas/N.sql."""
    fixtures = {path.stem: path for path in FIXTURES.glob("*.sql")}
    assert fixtures.keys() >= {str(version) for version in range(1, SCHEMA_VERSION)}
    for version, fixture in fixtures.items():
        load(fixture.read_text(), tmp_path / f"{version}.db")
        assert migrated_answers(tmp_path / f"{version}.db"), version


def test_a_dump_of_an_index_is_an_index_again(it: Ferry, tmp_path: Path) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    load(dump(it.state / "index.db"), tmp_path / "index.db")
    assert migrated_answers(tmp_path / "index.db") == [("a.txt", it.file_id("a.txt"), "synced")]


def test_an_index_of_a_later_release_is_left_alone(it: Ferry) -> None:
    it.write("a.txt", b"alpha")
    it.sync()
    with closing(sqlite3.connect(it.state / "index.db")) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = (it.state / "index.db").read_bytes()
    assert "newer" in it.sync(check=1).stderr
    assert (it.state / "index.db").read_bytes() == before
