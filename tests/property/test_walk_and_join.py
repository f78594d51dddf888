"""Scan and join against a reference: a random tree, a random index, and what has to be noted about each path."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fileferry.daemon.mirror import Mirror
from fileferry.daemon.survey import Surveyor
from fileferry.ignore.rules import Rules
from fileferry.index import entries
from fileferry.index.connection import open_writer
from fileferry.index.writer import InlineWriter
from fileferry.local.scanner import Dark, Walk
from fileferry.local.stamp import stamp_of
from fileferry.model import EntryState, Folder, Stamp
from index_rows import NOW, Story

# Letters around the slash in byte order, so that directories and files that begin alike come in every order.
names = st.text("a-./0\u00e9".replace("/", ""), min_size=1, max_size=3).filter(
    lambda name: name not in {".", ".."}
)
odd_names = names.map(os.fsencode) | st.sampled_from([b"\xff", b"a\xff", b"0\x01"])
paths = st.lists(odd_names, min_size=1, max_size=4).map(b"/".join)


def _tree(found: list[bytes]) -> list[bytes]:
    """Keep what can stand beside each other: a path is a file or a directory, not both."""
    kept: list[bytes] = []
    for path in found:
        clash = any(
            path == other or path.startswith(other + b"/") or other.startswith(path + b"/")
            for other in kept
        )
        if not clash:
            kept.append(path)
    return kept


trees = st.lists(paths, max_size=20).map(_tree)


@contextmanager
def tree_of(files: list[bytes]) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as name:
        root = os.fsencode(name)
        for path in files:
            os.makedirs(os.path.dirname(root + b"/" + path), exist_ok=True)
            with open(root + b"/" + path, "wb") as file:
                file.write(path)
        yield root


@contextmanager
def unlistable(root: bytes, directories: set[bytes]) -> Iterator[None]:
    """Make directories fail as a disk does: no user is needed that may not read them."""
    real = os.scandir

    def scandir(path: Any) -> Any:
        if os.fsencode(path).rstrip(b"/")[len(root) + 1 :] in directories:
            raise PermissionError(13, "Permission denied")
        return real(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        yield


def above(path: bytes) -> set[bytes]:
    return {path[:place] for place in range(len(path)) if path[place : place + 1] == b"/"}


@settings(deadline=None)
@given(files=trees)
def test_the_walk_comes_in_byte_order_of_whole_paths(files: list[bytes]) -> None:
    with tree_of(files) as root:
        found = [path for path, _ in Walk(root, Rules(default_ignore=False)).files()]
    assert found == sorted(files)


@settings(deadline=None)
@given(
    files=trees,
    gone=trees,
    data=st.data(),
)
def test_the_join_notes_exactly_what_differs(
    files: list[bytes], gone: list[bytes], data: st.DataObject
) -> None:
    gone = [
        path
        for path in gone
        if path not in files and not any(other.startswith(path + b"/") for other in files)
        and not above(path) & set(files)
    ]  # fmt: skip
    known = data.draw(st.sets(st.sampled_from(files)) if files else st.just(set()))
    stale = data.draw(st.sets(st.sampled_from(sorted(known))) if known else st.just(set()))
    directories = sorted(set().union(*(above(path) for path in files)))
    dark = data.draw(
        st.sets(st.sampled_from(directories), max_size=2) if directories else st.just(set())
    )
    ignored = data.draw(
        st.sets(st.sampled_from([*sorted(known), *gone]), max_size=3)
        if known or gone
        else st.just(set())
    )

    with tree_of(files) as root, tempfile.TemporaryDirectory() as state:
        index = os.path.join(state, "index.db")
        db = open_writer(index)
        db.execute("PRAGMA synchronous = OFF")
        story = Story(db)
        expected: dict[bytes, tuple[bool, bool]] = {}  # path -> absent, due
        for path in [*known, *gone]:
            stamp = (
                stamp_of(os.lstat(root + b"/" + path)) if path in known else Stamp(1, 1, 1, 1, 1)
            )
            if path in stale:
                stamp = Stamp(
                    stamp.size, stamp.mtime_ns, stamp.ctime_ns + 1, stamp.inode, stamp.device
                )
            entries.saw(db, story.folder_id, path, stamp, now=NOW, due_at=NOW)
        db.execute("UPDATE entry SET state = 'synced', due_at = NULL, unsettled_at = NULL")
        for path in ignored:
            db.execute("UPDATE entry SET state = 'kept' WHERE path = ?", (path,))

        for path in {*files, *gone}:
            is_dark = bool(above(path) & dark)
            row_exists = path in known or path in gone
            if path in files and not is_dark:
                expected[path] = (False, path not in known or path in stale)
            elif row_exists:
                absent = not is_dark and path not in ignored
                expected[path] = (absent, False)

        writer = InlineWriter(db)
        mirror = Mirror(story.folder_id, Folder("docs", root), Rules(default_ignore=False))
        with unlistable(root, dark):
            Surveyor(index, writer, lambda: NOW + 9).directory(mirror)
        found = {
            path: (bool(absent), due_at is not None)
            for path, absent, due_at in db.execute("SELECT path, absent, due_at FROM entry")
        }
        unknown = {
            path
            for (path,) in db.execute(
                "SELECT path FROM entry WHERE state = ?", (EntryState.UNKNOWN,)
            )
        }
        assert found == expected
        assert unknown == {
            path for path in [*known, *gone] if above(path) & dark and path not in ignored
        }
        with unlistable(root, dark):
            again = Surveyor(index, writer, lambda: NOW + 9).directory(mirror)
        assert (again.new, again.changed) == (0, 0)
        writer.close()


def test_dark_is_what_the_walk_says_of_a_directory_that_it_may_not_list() -> None:
    with tree_of([b"a/b/c", b"a/d"]) as root, unlistable(root, {b"a/b"}):
        found = dict(Walk(root, Rules()).files())
    assert isinstance(found[b"a/b"], Dark)
    assert set(found) == {b"a/b", b"a/d"}
