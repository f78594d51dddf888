"""The one writer: groups of functions to a commit, each undone alone, answered when they are on the disk."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileferry.errors import FerryError, IndexGone
from fileferry.index.connection import open_reader, open_writer
from fileferry.index.whereabouts import Whereabouts
from fileferry.index.writer import InlineWriter, ThreadWriter

Work = Callable[[sqlite3.Connection], object]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "index.db")


@pytest.fixture(params=[ThreadWriter, InlineWriter])
def writer(request: pytest.FixtureRequest, path: str) -> Iterator[ThreadWriter | InlineWriter]:
    writer: ThreadWriter | InlineWriter = request.param(open_writer(path))
    yield writer
    writer.close()


def put(key: str) -> Work:
    return lambda db: db.execute("INSERT INTO meta VALUES (?, 'x')", (key,))


def fail_after(key: str) -> Work:
    def work(db: sqlite3.Connection) -> None:
        put(key)(db)
        raise KeyError(key)

    return work


def keys(path: str) -> set[str]:
    db = open_reader(path)
    try:
        return {row[0] for row in db.execute("SELECT key FROM meta")}
    finally:
        db.close()


class Gate:
    """Work that holds the writer up, so that what comes meanwhile makes a group."""

    def __init__(self, writer: ThreadWriter) -> None:
        self._began, self._open = threading.Event(), threading.Event()
        self._future = writer.submit(self._work)
        assert self._began.wait(5)

    def _work(self, _: sqlite3.Connection) -> None:
        self._began.set()
        self._open.wait(5)

    def open(self) -> None:
        self._open.set()
        self._future.result(5)


async def test_what_was_answered_is_on_the_disk(
    writer: ThreadWriter | InlineWriter, path: str
) -> None:
    assert await writer.run(lambda db: (put("a")(db), 7)[1]) == 7
    assert "a" in keys(path)


async def test_the_failure_of_one_undoes_only_itself(
    writer: ThreadWriter | InlineWriter, path: str
) -> None:
    results = await asyncio.gather(
        writer.run(put("a")),
        writer.run(fail_after("b")),
        writer.run(put("c")),
        writer.run(lambda db: db.execute("INSERT INTO nonsense VALUES (1)")),
        writer.run(put("d")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [
        sqlite3.Cursor, KeyError, sqlite3.Cursor, sqlite3.OperationalError, sqlite3.Cursor,
    ]  # fmt: skip
    assert {"a", "c", "d"} <= keys(path)
    assert "b" not in keys(path)


async def test_a_commit_that_fails_fails_all_of_its_group(path: str) -> None:
    writer = ThreadWriter(open_writer(path))
    gate = Gate(writer)

    def break_a_promise(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA defer_foreign_keys = ON")
        db.execute(
            "INSERT INTO hold (folder_id, kind, made_at, files, bytes, reason)"
            " VALUES (99, 'delete', 0, 0, 0, '')"
        )

    group: list[Work] = [put("a"), break_a_promise, put("b")]
    futures = [writer.submit(work) for work in group]
    gate.open()
    for future in futures:
        with pytest.raises((sqlite3.Error, FerryError)):
            future.result(5)
    assert not {"a", "b"} & keys(path)
    writer.submit(put("c")).result(5)  # and it goes on
    assert "c" in keys(path)
    writer.close()


async def test_functions_that_queue_up_share_a_commit(path: str) -> None:
    writer = ThreadWriter(open_writer(path))
    commits: list[str] = []
    writer.submit(
        lambda db: db.set_trace_callback(
            lambda sql: commits.append(sql) if sql == "COMMIT" else None
        )
    ).result(5)
    gate = Gate(writer)
    futures = [writer.submit(put(str(number))) for number in range(40)]
    gate.open()
    for future in futures:
        future.result(5)
    assert len(commits) <= 3  # of `trace`, of the gate, of all the rest
    writer.close()


async def test_a_caller_that_is_cancelled_takes_nothing_back(path: str) -> None:
    writer = ThreadWriter(open_writer(path))
    gate = Gate(writer)
    task = asyncio.create_task(writer.run(put("a")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    await writer.run(put("b"))
    assert {"a", "b"} <= keys(path)
    writer.close()


async def test_what_is_taken_back_before_its_turn_does_not_end_the_writer(path: str) -> None:
    writer = ThreadWriter(open_writer(path))
    gate = Gate(writer)
    doomed = writer.submit(put("a"))
    assert doomed.cancel()
    gate.open()
    writer.submit(put("b")).result(5)
    assert "b" in keys(path)
    assert "a" not in keys(path)
    writer.close()


async def test_closing_finishes_what_is_queued(path: str) -> None:
    writer = ThreadWriter(open_writer(path))
    futures = [writer.submit(put(str(number))) for number in range(200)]
    writer.close()
    assert all(future.done() for future in futures)
    assert {str(number) for number in range(200)} <= keys(path)


def test_fifty_openings_leak_no_descriptor_and_no_thread(path: str) -> None:
    ThreadWriter(open_writer(path)).close()
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())
    for _ in range(50):
        writer = ThreadWriter(open_writer(path))
        reader = open_reader(path)
        writer.submit(lambda db: db.execute("SELECT 1")).result(5)
        reader.execute("SELECT count(*) FROM files").fetchone()
        reader.close()
        writer.close()
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


@pytest.mark.parametrize("fate", ["removed", "replaced"])
def test_an_index_that_is_gone_from_its_path_takes_nothing_more(path: str, fate: str) -> None:
    writer = ThreadWriter(open_writer(path), whereabouts=Whereabouts.of(path))
    writer.submit(put("before")).result(5)
    os.rename(path, path + "-away")
    if fate == "replaced":
        Path(path).write_bytes(Path(path + "-away").read_bytes())
    with pytest.raises(IndexGone, match=f"{fate}.* nothing is sent") as caught:
        writer.submit(put("after")).result(5)
    assert caught.value.exit_code == 1
    assert caught.value.hint
    writer.close()


def test_a_disk_that_does_not_say_whether_the_index_is_there_is_no_proof(path: str) -> None:
    open_writer(path).close()
    where = Whereabouts.of(path)
    assert Whereabouts("n" * 300, where.device, where.inode).trouble() is None
