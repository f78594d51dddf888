"""One writer: a state directory and a root belong to one process, until it ends, however it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fileferry.daemon.lock import Lock
from fileferry.errors import FerryError, LockHeld


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    first = Lock(str(tmp_path / "state"))
    with pytest.raises(LockHeld, match=rf"process {os.getpid()}\b"):
        Lock(str(tmp_path / "state"))
    first.close()
    Lock(str(tmp_path / "state")).close()


def test_a_root_is_not_mirrored_from_two_states(tmp_path: Path) -> None:
    roots = [os.fsencode(tmp_path / name) for name in ("a", "b")]
    for root in roots:
        os.mkdir(root)
    first, second = Lock(str(tmp_path / "one")), Lock(str(tmp_path / "two"))
    first.add_roots(roots[:1])
    with pytest.raises(LockHeld, match="is in use by another fileferry"):
        second.add_roots(reversed(roots))
    # Whoever failed holds nothing any more, so that another try may succeed.
    Lock(str(tmp_path / "two")).close()
    first.close()


def test_a_root_that_is_not_there_locks_nothing(tmp_path: Path) -> None:
    lock = Lock(str(tmp_path / "state"))
    lock.add_roots([os.fsencode(tmp_path / "gone")])
    lock.close()


def test_the_state_directory_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    Lock(str(tmp_path / "deep" / "state")).close()
    assert (tmp_path / "deep" / "state").stat().st_mode & 0o777 == 0o700


def test_a_state_directory_that_cannot_be_made_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FerryError) as caught:
        Lock(str(tmp_path / "file" / "state"))
    assert caught.value.hint is not None


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time; from fileferry.daemon.lock import Lock; lock = Lock(sys.argv[1]);"
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeld, match=rf"process {holder.pid}\b"):
            Lock(str(tmp_path))
        holder.kill()
    Lock(str(tmp_path)).close()
