"""Mounts that come and go, in a namespace of the daemon's own: what is not to be seen is not deleted."""

import contextlib
import json
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.stories import Ferry, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Namespace:
    """A mount namespace, and the user who may mount in it, with a daemon inside.

    Args:
        daemon: its process.
    """

    def __init__(self, daemon: subprocess.Popen[bytes]) -> None:
        self._daemon = daemon

    def run(self, *command: object) -> None:
        """Run a command in it."""
        into = ["nsenter", f"--target={self._daemon.pid}", "--user", "--mount"]
        words = [*into, "--preserve-credentials", *map(str, command)]
        subprocess.run(words, check=True, timeout=20)


@contextlib.contextmanager
def daemon_beside(ferry: Ferry, *before: list[object]) -> Iterator[Namespace]:
    """Run the daemon in a namespace in which some commands were run before it started."""
    first = " && ".join(shlex.join(map(str, command)) for command in before)
    script = f"{first} && exec {shlex.join(ferry.command)} -v run"
    log_path = ferry.home / "log"
    with open(log_path, "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
            env=ferry.environ,
            cwd=ferry.home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: '"started"' in log_path.read_text() or process.poll() is not None)
        assert process.poll() is None, log_path.read_text()
        yield Namespace(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def filled(directory: Path, *names: str) -> Path:
    """Make a directory with files in it."""
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).write_text(f"{directory.name} {name}")
    return directory


def is_halted(ferry: Ferry, why: str) -> bool:
    """Say whether the folder is halted for a reason."""
    halt = ferry.json("status")["folders"][0]["halt"]
    return halt is not None and str(halt).startswith(why)


def scans(ferry: Ferry) -> int:
    """Return how many whole scans have ended."""
    lines = (ferry.home / "log").read_text().splitlines()
    return sum(json.loads(line)["event"] == "scanned" for line in lines)


def test_a_root_that_is_unmounted_halts_and_goes_on_when_it_is_mounted_again(it: Ferry) -> None:
    disk = filled(it.home / "disk", "a.txt", "b.txt", "c.txt")
    it.configure(rescan_interval="1s")
    with daemon_beside(it, ["mount", "--bind", disk, it.folder]) as namespace:
        eventually(lambda: set(it.states().values()) == {"synced"} and len(it.states()) == 3)
        before = it.ids()
        namespace.run("umount", "--lazy", it.folder)
        eventually(lambda: is_halted(it, "emptied"), 20)
        assert it.ids() == before

        namespace.run("mount", "--bind", disk, it.folder)
        (disk / "d.txt").write_text("new")
        eventually(lambda: it.states().get("d.txt") == "synced", 45)
        assert before < it.ids()
        assert it.uploads() == 4


def test_another_file_system_below_a_root_is_not_entered_and_its_loss_deletes_nothing(
    it: Ferry,
) -> None:
    filled(it.folder / "inner")
    it.write("a.txt", b"one")
    it.configure(rescan_interval="1s")
    tmpfs = ["mount", "-t", "tmpfs", "none", it.folder / "inner"]
    inside = ["touch", it.folder / "inner" / "of-the-other.txt"]
    with daemon_beside(it, list(tmpfs), list(inside)) as namespace:
        eventually(lambda: it.states() == {"a.txt": "synced"})
        seen = scans(it)
        eventually(lambda: scans(it) > seen + 1)
        assert it.states() == {"a.txt": "synced"}
        namespace.run("umount", it.folder / "inner")
        seen = scans(it)
        eventually(lambda: scans(it) > seen + 1)
        assert it.states() == {"a.txt": "synced"}


def test_what_a_mount_covers_is_unknown_and_not_deleted(it: Ferry) -> None:
    it.write("inner/a.txt", b"one")
    it.write("b.txt", b"two")
    it.configure(rescan_interval="1s")
    with daemon_beside(it, ["true"]) as namespace:
        eventually(lambda: set(it.states().values()) == {"synced"} and len(it.states()) == 2)
        before = it.ids()
        namespace.run("mount", "-t", "tmpfs", "none", it.folder / "inner")
        eventually(lambda: it.states() == {"inner/a.txt": "unknown", "b.txt": "synced"}, 20)
        ((error,),) = it.query("SELECT error FROM files WHERE path = 'inner/a.txt'")
        assert "another file system is mounted here" in error
        seen = scans(it)
        eventually(lambda: scans(it) > seen + 1)
        assert it.ids() == before

        namespace.run("umount", it.folder / "inner")
        eventually(lambda: set(it.states().values()) == {"synced"}, 20)
        assert it.ids() == before
        assert it.uploads() == 2
