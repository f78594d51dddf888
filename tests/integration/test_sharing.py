"""The index belongs to others too: readers of another user, while a writer runs, after it died, after it ended."""

import grp
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from integration.stories import Ferry, daemon, eventually

NOBODY = 65534
READ = """
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
print(db.execute("SELECT path, state FROM files").fetchall())
try:
    db.execute("DELETE FROM meta")
except sqlite3.OperationalError:
    print("read only")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_group_reads_the_index_whatever_the_writer_is_doing(
    emulator: EmulatorProcess, public_path: Path
) -> None:
    it = Ferry(public_path / "home", emulator, "sk-integration-shared-secret")
    it.configure(state=f'group = "{grp.getgrgid(NOBODY).gr_name}"')
    it.write("a.txt", b"one")
    with daemon(it) as process:
        eventually(lambda: it.states() == {"a.txt": "synced"})
        assert as_nobody(it) == "[('a.txt', 'synced')]\nread only\n"
        process.kill()
        process.wait()
    assert as_nobody(it) == "[('a.txt', 'synced')]\nread only\n"
    it.sync()
    assert as_nobody(it) == "[('a.txt', 'synced')]\nread only\n"
    assert (it.state / "index.db").stat().st_mode & 0o777 == 0o640
    assert it.state.stat().st_mode & 0o777 == 0o750


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_a_group_nobody_else_reads_it(emulator: EmulatorProcess, public_path: Path) -> None:
    it = Ferry(public_path / "home", emulator, "sk-integration-private-secret")
    it.write("a.txt", b"one")
    it.sync()
    assert as_nobody(it, expect=lambda code: code != 0) == ""
    assert it.state.stat().st_mode & 0o777 == 0o700


def as_nobody(it: Ferry, expect: Callable[[int], bool] = lambda code: code == 0) -> str:
    done = subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
         sys.executable, "-I", "-c", READ, str(it.state / "index.db")],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert expect(done.returncode), done.stderr
    return done.stdout
