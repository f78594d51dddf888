"""The ordered walk: what it yields, in which order, and what it never follows."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fileferry.ignore.rules import Rules
from fileferry.local.scanner import Dark, Walk, inside


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    path = os.fsencode(tmp_path / "docs")
    os.mkdir(path)
    return path


def make(root: bytes, *paths: bytes | str, content: bytes = b"x") -> None:
    for path in paths:
        whole = os.path.join(root, os.fsencode(path))
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "wb") as file:
            file.write(content)


def walk(root: bytes, *ignore: str, start: bytes = b"", **options: Any) -> list[bytes]:
    found = list(Walk(root, Rules(ignore), **options).files(start))
    assert all(not isinstance(status, Dark) for _, status in found), found
    return [path for path, _ in found]


def dark(root: bytes, **options: Any) -> dict[bytes, str]:
    walked = Walk(root, Rules(), **options).files()
    return {path: status.reason for path, status in walked if isinstance(status, Dark)}


def test_paths_come_in_byte_order_of_the_whole_path(root: bytes) -> None:
    make(root, "a/b", "a.txt", "a-b", "a/b.c/d", "a0", "B", b"\xff", "\u00e4", "a/b0", "a/b-/c")
    found = walk(root)
    assert found == sorted(found)
    assert found == [
        b"B", b"a-b", b"a.txt", b"a/b", b"a/b-/c", b"a/b.c/d", b"a/b0", b"a0",
        "\u00e4".encode(), b"\xff",
    ]  # fmt: skip


def test_a_subtree_alone_comes_with_the_rules_above_it(root: bytes) -> None:
    make(root, "a/x.log", "a/deep/x.log", "a/deep/keep.txt", "b/c")
    make(root, ".ferryignore", content=b"*.log\n")
    assert walk(root, start=b"a/deep") == [b"a/deep/keep.txt"]
    assert walk(root, "a/", start=b"a/deep") == []


def test_a_start_that_is_not_there_is_an_error_and_no_empty_tree(root: bytes) -> None:
    with pytest.raises(FileNotFoundError):
        walk(root, start=b"gone")


def test_ignore_files_at_several_depths_are_read_and_reported(root: bytes) -> None:
    make(root, "a.log", "a/b.log", "a/deep/c.log", "a/deep/d.tmp", "e.tmp")
    make(root, ".ferryignore", content=b"*.log\n*.tmp\n")
    make(root, "a/.ferryignore", content=b"!*.log\n")
    make(root, "a/deep/.ferryignore", content=b"c.log\n!d.tmp\n")
    found = Walk(root, Rules())
    assert [path for path, _ in found.files()] == [b"a/b.log", b"a/deep/d.tmp"]
    assert found.rules_files == [
        (b".ferryignore", b"*.log\n*.tmp\n"),
        (b"a/.ferryignore", b"!*.log\n"),
        (b"a/deep/.ferryignore", b"c.log\n!d.tmp\n"),
    ]


def test_an_ignore_file_that_is_a_link_or_a_directory_has_no_say(root: bytes) -> None:
    make(root, "rules", content=b"*\n")
    make(root, "a/x", "b/x", "b/.ferryignore/y")
    os.symlink(b"../rules", root + b"/a/.ferryignore")
    os.mkfifo(root + b"/.ferryignore")
    before = len(os.listdir("/proc/self/fd"))
    assert walk(root) == [b"a/x", b"b/x", b"rules"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_links_special_files_and_empty_directories_are_passed_over(root: bytes) -> None:
    make(root, "a", "d/b")
    os.mkdir(root + b"/empty")
    os.symlink(b"a", root + b"/link")
    os.symlink(b"d", root + b"/dirlink")
    os.symlink(b"nowhere", root + b"/broken")
    os.symlink(b"..", root + b"/d/up")
    os.mkfifo(root + b"/fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(root)  # the name of a socket has to be short
        try:
            listener.bind("sock")
        finally:
            os.chdir(here)
        assert walk(root) == [b"a", b"d/b"]


def test_directories_of_other_folders_are_left_to_them(root: bytes) -> None:
    make(root, "a/b/x", "a/bc", "a/b2/y", "c/b/z")
    assert walk(root, foreign=frozenset({b"a/b", b"c"})) == [b"a/b2/y", b"a/bc"]


def test_links_are_followed_inside_where_the_folder_says_so(root: bytes, tmp_path: Path) -> None:
    outside = os.fsencode(tmp_path / "outside")
    make(outside, "secret")
    make(root, "a/x", "b/y")
    for target, name in [
        (b"../a/x", b"b/file"),
        (b"../a", b"b/dir"),
        (outside, b"out"),
        (outside + b"/secret", b"out.txt"),
        (b"../docs/a/x", b"around"),
        (b".", b"self"),
        (b"round", b"round"),
        (b"nowhere", b"broken"),
    ]:
        os.symlink(target, root + b"/" + name)
    expected = [b"a/x", b"around", b"b/dir/x", b"b/file", b"b/y"]
    assert walk(root, follow_inside=True) == expected
    assert walk(root) == [b"a/x", b"b/y"]


def test_links_that_lead_to_each_other_end(root: bytes) -> None:
    make(root, "a/x", "b/y")
    os.symlink(b"../b", root + b"/a/to_b")
    os.symlink(b"../a", root + b"/b/to_a")
    assert walk(root, follow_inside=True) == [b"a/to_b/y", b"a/x", b"b/to_a/x", b"b/y"]


def test_inside_says_where_a_path_leads(root: bytes, tmp_path: Path) -> None:
    make(root, "a/x")
    os.symlink(os.fsencode(tmp_path), root + b"/out")
    assert inside(root, root + b"/a/../a/x") == os.path.realpath(root) + b"/a/x"
    assert inside(root, root + b"/out/root2") is None
    assert inside(root, root) is None
    assert inside(root, root + b"2/x") is None


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, name: str, path: bytes, number: int) -> Iterator[None]:
    """Have one call of `os` fail for one path, as no test that runs as root can have it otherwise."""
    real: Callable[..., Any] = getattr(os, name)

    def wrapped(asked: Any, *args: Any, **kwargs: Any) -> Any:
        if os.fsencode(asked).rstrip(b"/") == path:
            raise OSError(number, os.strerror(number), asked)
        return real(asked, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, wrapped)
        yield


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_directory_that_cannot_be_listed_is_dark_and_the_rest_is_walked(
    root: bytes, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    make(root, "a/x", "b/y", "c")
    with failing(monkeypatch, "scandir", root + b"/a", number):
        found = list(Walk(root, Rules()).files())
    assert [path for path, _ in found] == [b"a", b"b/y", b"c"]
    reason = found[0][1]
    assert isinstance(reason, Dark)
    assert reason.reason == f"directory cannot be read: {os.strerror(number).lower()}"


def test_a_directory_that_is_gone_meanwhile_is_just_not_there(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, "a/x", "b/y")
    with failing(monkeypatch, "scandir", root + b"/a", errno.ENOENT):
        assert walk(root) == [b"b/y"]


def test_a_root_that_cannot_be_listed_is_an_error(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with failing(monkeypatch, "scandir", root, errno.EACCES), pytest.raises(PermissionError):
        walk(root)


def test_rules_that_cannot_be_read_leave_their_directory_dark(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, "a/.ferryignore", "a/secret", "b/y")
    with failing(monkeypatch, "open", root + b"/a/.ferryignore", errno.EACCES):
        assert list(dark(root)) == [b"a"]


def test_another_file_system_is_dark_and_not_absent(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, "a/x", "mounted/y")
    real = os.stat

    def stat(path: Any, **kwargs: Any) -> os.stat_result:
        status = real(path, **kwargs)
        if os.fsencode(path) == root + b"/mounted":
            fields = list(status)
            fields[2] += 1
            return os.stat_result(fields)
        return status

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        found = dark(root)
    assert list(found) == [b"mounted"]
    assert "another file system" in found[b"mounted"]


def test_names_may_be_any_bytes(root: bytes) -> None:
    names = [b"caf\xe9", b"new\nline", b"\x01\x1b[31m", b" ", b"-rf", b"a\\xff", b"*", b"\xf0\x9f"]
    make(root, *names)
    assert walk(root) == sorted(names)
