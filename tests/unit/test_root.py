"""The identity of a mirrored root: is this still the directory whose files the index knows?"""

import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from fileferry.local.root import Identity, RootTrouble, prove
from fileferry.local.stamp import stamp_of
from fileferry.model import Stamp


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    path = tmp_path / "root"
    path.mkdir()
    for number in range(4):
        (path / f"{number}.txt").write_text("x" * number)
    return os.fsencode(path)


def known(root: bytes) -> list[tuple[bytes, Stamp]]:
    return [(name, stamp_of(os.stat(root + b"/" + name))) for name in sorted(os.listdir(root))]


def identity(root: bytes) -> Identity:
    found = prove(root, None, [], entries=0).identity
    assert found is not None
    return found


def test_first_contact_takes_what_is_there(root: bytes) -> None:
    proof = prove(root, None, [], entries=0)
    assert proof.trouble is None
    assert not proof.moved
    assert Identity.from_json(identity(root).to_json()) == proof.identity


def test_the_same_directory_is_the_same_whatever_became_of_its_files(root: bytes) -> None:
    pinned, files = identity(root), known(root)
    for name, _ in files[1:]:
        os.unlink(root + b"/" + name)
    assert prove(root, pinned, files, entries=4).trouble is None


def test_an_empty_root_that_had_files_proves_nothing(root: bytes) -> None:
    pinned, files = identity(root), known(root)
    for name, _ in files:
        os.unlink(root + b"/" + name)
    proof = prove(root, pinned, files, entries=4)
    assert proof.trouble is RootTrouble.EMPTIED
    assert "had 4 files" in proof.detail
    assert prove(root, pinned, files[:1], entries=1).trouble is None


def test_a_root_that_is_not_there_is_gone(root: bytes) -> None:
    pinned, files = identity(root), known(root)
    os.rename(root, root + b".old")
    assert prove(root, pinned, files, entries=4).trouble is RootTrouble.GONE


def test_a_file_in_its_place_is_no_root(root: bytes) -> None:
    pinned, files = identity(root), known(root)
    os.rename(root, root + b".old")
    with open(root, "wb"):
        pass
    assert prove(root, pinned, files, entries=4).trouble is RootTrouble.REPLACED


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_root_that_cannot_be_looked_at_is_unreadable(
    root: bytes, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def scandir(_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "scandir", scandir)
    proof = prove(root, None, [], entries=0)
    assert proof.trouble is RootTrouble.UNREADABLE
    assert os.strerror(number).lower() in proof.detail


def another(pinned: Identity, **numbers: int) -> Identity:
    return dataclasses.replace(pinned, **numbers)  # type: ignore[arg-type]  # tests


def test_a_root_whose_rules_cannot_be_read_is_unreadable(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = root + b"/.ferryignore"
    Path(os.fsdecode(rules)).write_text("secret/\n")
    really_open = os.open

    def refuse(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == rules:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return really_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    proof = prove(root, None, [], entries=0)
    assert proof.trouble is RootTrouble.UNREADABLE
    assert proof.detail == f"`{os.fsdecode(rules)}` cannot be read: permission denied"


def test_after_a_reboot_the_file_system_s_own_id_is_enough(root: bytes) -> None:
    here = identity(root)
    if here.file_system == 0:
        # By hand alone: in `.ci/run` a skip is a failure.
        pytest.skip("this file system has no id")
    proof = prove(
        root, another(here, device=here.device + 1), [(b"gone", Stamp(1, 1, 1, 1, 1))], entries=1
    )
    assert (proof.trouble, proof.moved) == (None, False)


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param({"inode": 1}, id="another inode"),
        pytest.param({"file_system": 1}, id="another disk under the same device number"),
        pytest.param({"device": 1, "file_system": 1}, id="another disk"),
    ],
)
def test_other_numbers_are_believed_when_the_files_are_there(
    root: bytes, numbers: dict[str, int]
) -> None:
    pinned = another(identity(root), **numbers)
    proof = prove(root, pinned, known(root), entries=4)
    assert (proof.trouble, proof.moved) == (None, True)
    assert proof.identity == identity(root)

    strangers = [(b"not-%d" % number, stamp) for number, (_, stamp) in enumerate(known(root))]
    proof = prove(root, pinned, strangers, entries=4)
    assert proof.trouble is RootTrouble.REPLACED


def test_a_file_system_without_an_id_is_not_recognised_by_that(
    root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoId:
        f_fsid = 0

    monkeypatch.setattr(os, "statvfs", lambda _: NoId())
    here = identity(root)
    strangers = [(b"gone", Stamp(1, 1, 1, 1, 1))]
    assert prove(root, here, strangers, entries=1).trouble is None
    elsewhere = another(here, device=here.device + 1)
    assert prove(root, elsewhere, strangers, entries=1).trouble is RootTrouble.REPLACED


def test_half_of_the_known_files_are_enough_and_less_is_not(root: bytes) -> None:
    pinned = another(identity(root), inode=1)
    files = known(root)
    os.unlink(root + b"/0.txt")
    os.utime(root + b"/1.txt", (1, 1))
    assert prove(root, pinned, files, entries=4).trouble is None
    os.truncate(root + b"/2.txt", 0)
    assert prove(root, pinned, files, entries=4).trouble is RootTrouble.REPLACED


def test_a_new_root_without_known_files_is_pinned_anew(root: bytes) -> None:
    proof = prove(root, another(identity(root), inode=1), [], entries=0)
    assert (proof.trouble, proof.moved) == (None, True)
