"""Bytes with proof: what was read was there, whole, below the root."""

import errno
import hashlib
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xxhash

from fileferry.errors import SourceChanged, SourceGone, SourceUnreadable
from fileferry.local.reader import Source, digest, glance, open_source
from fileferry.local.stamp import stamp_of

CONTENT = b"0123456789" * 1_000


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    path = tmp_path / "root"
    (path / "d" / "e").mkdir(parents=True)
    (path / "d" / "e" / "f").write_bytes(CONTENT)
    return os.fsencode(path)


def opened(root: bytes, path: bytes = b"d/e/f", **options: Any) -> Source:
    return open_source(root, path, algorithm="xxh3_128", **options)


def append(root: bytes, content: bytes) -> None:
    with open(root + b"/d/e/f", "ab") as file:
        file.write(content)


@pytest.mark.parametrize("algorithm", ["xxh3_128", "sha256"])
def test_the_digest_is_that_of_the_bytes(root: bytes, algorithm: str) -> None:
    expected = {
        "xxh3_128": xxhash.xxh3_128(CONTENT).hexdigest(),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }[algorithm]
    with open_source(root, b"d/e/f", algorithm=algorithm) as source:
        assert digest(source) == f"{algorithm}:{expected}"
        assert source.stamp == stamp_of(os.stat(root + b"/d/e/f"))


def test_an_unknown_algorithm_is_an_error_of_ours(root: bytes) -> None:
    with pytest.raises(ValueError, match="md5"):
        open_source(root, b"d/e/f", algorithm="md5")


def test_it_is_a_file_object_as_far_as_a_client_needs_one(root: bytes) -> None:
    with opened(root) as source:
        assert source.seek(0, os.SEEK_END) == source.tell() == len(CONTENT)
        assert source.seek(0) == 0
        assert source.read(4) == b"0123"
        assert source.seek(2, os.SEEK_CUR) == 6
        assert source.read() == CONTENT[6:]
        assert source.read() == source.read(5) == b""


def test_rewinding_does_not_change_the_digest(root: bytes) -> None:
    with opened(root) as source:
        source.read(500)
        source.seek(0)
        assert digest(source) == f"xxh3_128:{xxhash.xxh3_128(CONTENT).hexdigest()}"


def test_half_a_file_has_no_digest(root: bytes) -> None:
    with opened(root) as source:
        source.read(500)
        with pytest.raises(SourceChanged):
            source.digest()


def test_bytes_that_were_skipped_are_not_taken_for_read(root: bytes) -> None:
    with opened(root) as source:
        source.read(500)
        source.seek(600)
        while source.read(1_000):
            pass
        with pytest.raises(SourceChanged):
            source.digest()


def test_whoever_watches_sees_every_piece(root: bytes) -> None:
    seen: list[bytes] = []
    with opened(root) as source:
        digest(source, seen.append)
    assert b"".join(seen) == CONTENT


def grows(root: bytes) -> None:
    append(root, b"more")


def is_rewritten(root: bytes) -> None:
    with open(root + b"/d/e/f", "r+b") as file:
        file.write(b"X")


def is_touched(root: bytes) -> None:
    os.utime(root + b"/d/e/f", (1, 1))


@pytest.mark.parametrize("change", [grows, is_rewritten, is_touched])
def test_a_file_that_moves_while_it_is_read_has_no_digest(
    root: bytes, change: Callable[[bytes], None]
) -> None:
    with opened(root) as source:
        source.read(500)
        change(root)
        assert not source.still()
        with pytest.raises(SourceChanged, match="changed while it was read"):
            digest(source)


def test_a_growing_file_gives_no_more_than_it_had(root: bytes) -> None:
    with opened(root) as source:
        append(root, b"more" * 1_000)
        assert len(source.read()) == len(CONTENT)


def test_a_file_that_shrinks_while_it_is_read_says_so(root: bytes) -> None:
    with opened(root) as source:
        source.read(500)
        os.truncate(root + b"/d/e/f", 100)
        with pytest.raises(SourceChanged, match="became shorter"):
            source.read()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(os.unlink, id="deleted"),
        pytest.param(lambda path: os.replace(path, path + b"2"), id="renamed"),
    ],
)
def test_a_file_that_goes_while_it_is_read_has_another_stamp(
    root: bytes, change: Callable[[bytes], None]
) -> None:
    with opened(root) as source:
        source.read(500)
        change(root + b"/d/e/f")
        with pytest.raises(SourceChanged):
            digest(source)


def test_a_disk_that_refuses_in_the_middle_is_no_absence(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(root) as source:

        def pread(*_: Any) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "pread", pread)
        with pytest.raises(SourceUnreadable) as caught:
            source.read()
        monkeypatch.undo()
    assert caught.value.errno == errno.EIO


def vanished(path: bytes) -> None:
    os.unlink(path)


def a_link(path: bytes) -> None:
    os.rename(path, path + b".old")
    os.symlink(path + b".old", path)


def a_fifo(path: bytes) -> None:
    os.unlink(path)
    os.mkfifo(path)


def a_directory(path: bytes) -> None:
    os.unlink(path)
    os.mkdir(path)


def a_socket(path: bytes) -> None:
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


def a_file_above(path: bytes) -> None:
    os.unlink(path)
    os.rmdir(os.path.dirname(path))
    with open(os.path.dirname(path), "wb"):
        pass


@pytest.mark.parametrize("change", [vanished, a_link, a_fifo, a_directory, a_socket, a_file_above])
def test_what_is_no_file_any_more_is_gone_and_never_waited_for(
    root: bytes, change: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(os.fsdecode(root))  # the name of a socket has to be short
    change(b"d/e/f")
    with pytest.raises(SourceGone):
        opened(root)
    if change is not a_directory:
        with pytest.raises(SourceGone):
            glance(root, b"d/e/f")


@pytest.mark.parametrize("depth", [b"d", b"d/e"])
@pytest.mark.parametrize("follow", [False, True])
def test_a_directory_that_became_a_link_to_the_outside_is_never_followed(
    root: bytes, tmp_path: Path, depth: bytes, follow: bool
) -> None:
    outside = os.fsencode(tmp_path / "outside")
    os.rename(root + b"/d", outside)
    os.makedirs(os.path.dirname(root + b"/" + depth), exist_ok=True)
    os.symlink(outside if depth == b"d" else outside + b"/e", root + b"/" + depth)
    assert os.path.exists(root + b"/d/e/f")
    for look in (opened, glance):
        with pytest.raises(SourceGone):
            look(root, b"d/e/f", follow_inside=follow)


def test_links_are_followed_inside_where_the_folder_says_so(root: bytes) -> None:
    os.symlink(b"d/e", root + b"/dir")
    os.symlink(b"dir/f", root + b"/file")
    for path in (b"dir/f", b"file"):
        with opened(root, path, follow_inside=True) as source:
            assert source.read() == CONTENT
        assert glance(root, path, follow_inside=True).st_size == len(CONTENT)
        with pytest.raises(SourceGone):
            opened(root, path)


def test_the_root_itself_may_be_a_link(root: bytes, tmp_path: Path) -> None:
    link = os.fsencode(tmp_path / "link")
    os.symlink(root, link)
    for follow in (False, True):
        with opened(link, follow_inside=follow) as source:
            assert source.read() == CONTENT


def test_a_link_that_leads_to_itself_is_gone(root: bytes) -> None:
    os.symlink(b"loop", root + b"/loop")
    with pytest.raises(SourceGone):
        opened(root, b"loop", follow_inside=True)


def test_a_root_that_is_gone_makes_nothing_absent(tmp_path: Path) -> None:
    gone = os.fsencode(tmp_path / "gone")
    for follow in (False, True):
        for look in (opened, glance):
            with pytest.raises(SourceUnreadable) as caught:
                look(gone, b"d/e/f", follow_inside=follow)
            assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
@pytest.mark.parametrize("name", [b"d", b"e", b"f"])
def test_what_cannot_be_opened_is_unreadable_and_not_absent(
    root: bytes, monkeypatch: pytest.MonkeyPatch, name: bytes, number: int
) -> None:
    real = os.open

    def open_(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == name:
            raise OSError(number, os.strerror(number))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", open_)
    with pytest.raises(SourceUnreadable) as caught:
        opened(root)
    assert caught.value.errno == number


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
@pytest.mark.parametrize("closed", ["", "d", "d/e", "d/e/f"])
def test_a_user_who_may_not_read_says_so_and_concludes_nothing(closed: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own is closed to others
        os.chmod(name, 0o755)
        root = os.fsencode(name) + b"/root"
        os.makedirs(root + b"/d/e")
        with open(root + b"/d/e/f", "wb") as file:
            file.write(CONTENT)
        assert in_another_skin(lambda: opened(root)) is None
        os.chmod(os.path.join(root, os.fsencode(closed)), 0)
        assert in_another_skin(lambda: opened(root)) == errno.EACCES


def in_another_skin(work: Callable[[], Any]) -> int | None:
    """Do something as `nobody`, in a process of its own; return the errno of a SourceUnreadable."""
    child = os.fork()
    if child == 0:  # pragma: no cover - in another process
        code = 255
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            try:
                work()
                code = 0
            except SourceUnreadable as error:
                code = error.errno
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or None


def test_descriptors_are_given_back_whatever_happens(root: bytes) -> None:
    os.mkfifo(root + b"/d/fifo")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with opened(root) as source:
            digest(source)
        for path in (b"d/fifo", b"d/gone", b"d/e/f/below", b"d/e"):
            with pytest.raises(SourceGone):
                opened(root, path)
    assert len(os.listdir("/proc/self/fd")) == before
