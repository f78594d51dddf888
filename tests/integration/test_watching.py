"""The watcher knows what it does not see: it is detected, counted, shown, and made good by scans."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from integration.stories import Ferry, daemon, eventually

pytestmark = pytest.mark.slow


def told(ferry: Ferry) -> dict[str, Any]:
    """Return what the daemon says of itself."""
    status: dict[str, Any] = ferry.json("status")["daemon"]
    return status


def logged(ferry: Ferry, event: str) -> list[dict[str, Any]]:
    """Return the lines of the log about one event."""
    lines = [json.loads(line) for line in (ferry.home / "log").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def are_synced(ferry: Ferry, count: int) -> bool:
    return [state for state in ferry.states().values() if state == "synced"] == ["synced"] * count


def is_watched(ferry: Ferry, coverage: str) -> bool:
    return bool(told(ferry)["watch"] == {"docs": coverage})


@pytest.mark.timeout(180)
def test_a_queue_that_overflows_is_counted_and_nothing_is_missed(it: Ferry) -> None:
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
        longest = int(file.read())
    it.configure(remote="uploads_per_minute = 0", upload_budget="0")
    it.write("before.txt", b"before")
    with daemon(it) as process:
        eventually(lambda: is_watched(it, "ok") and are_synced(it, 1))
        process.send_signal(signal.SIGSTOP)
        try:
            for number in range(10_000):
                # Few contents, so that the test is about what is seen and not about what is sent.
                (it.folder / f"{number}.txt").write_bytes(b"%d" % (number % 7))
            for number in range(longest):  # two events each at least: no queue is so long
                (it.folder / f"{number % 10_000}.txt").touch()
        finally:
            process.send_signal(signal.SIGCONT)
        eventually(lambda: len(it.states()) == 10_001 and are_synced(it, 10_001), 120)
        assert told(it)["watch_overflows_total"] >= 1
        assert logged(it, "watch_overflow")


@contextlib.contextmanager
def limited_daemon(ferry: Ferry, limit: str) -> Iterator[None]:
    """Run the daemon in a user namespace, whose own limits whoever made it may lower."""
    script = f"echo {limit} && exec {shlex.join(ferry.command)} -v run"
    with open(ferry.home / "log", "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "sh", "-c", script],
            env=ferry.environ,
            cwd=ferry.home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: logged(ferry, "started"))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.mark.timeout(120)
def test_directories_beyond_the_watch_limit_are_scanned_and_the_cure_is_named(it: Ferry) -> None:
    for number in range(12):
        it.write(f"dir{number}/a.txt", b"%d" % number)
    it.configure(rescan_interval="2s")
    with limited_daemon(it, "6 > /proc/sys/user/max_inotify_watches"):
        eventually(lambda: are_synced(it, 12), 30)
        warning, *others = logged(it, "watch_refused") + logged(it, "watch_incomplete")
        assert warning["directories"] == 13
        assert warning["hint"].startswith("sysctl fs.inotify.max_user_watches=")
        assert [one for one in others if one["level"] != "debug"] == [], "told once"
        first = it.run("status", check=0).stdout.splitlines()[0]
        assert "watch degraded" in first or "watch polling" in first
        for number in range(12):
            it.write(f"dir{number}/a.txt", b"%d, edited" % number)
        edited = "SELECT count(*) FROM files WHERE state = 'synced' AND size > 8"
        eventually(lambda: it.query(edited) == [(12,)], 30)


@pytest.mark.timeout(120)
def test_directories_that_come_when_the_limit_is_reached_are_noticed(it: Ferry) -> None:
    it.write("dir/a.txt", b"one")
    it.configure(rescan_interval="2s")
    with limited_daemon(it, "4 > /proc/sys/user/max_inotify_watches"):
        eventually(lambda: is_watched(it, "ok") and are_synced(it, 1))
        for number in range(9):
            it.write(f"late{number}/b.txt", b"%d" % number)
        eventually(lambda: are_synced(it, 10), 30)
        eventually(lambda: is_watched(it, "degraded"), 75)


def is_all_watched(ferry: Ferry, *names: str) -> bool:
    return bool(
        told(ferry).get("watch") == dict.fromkeys(names, "ok")
    )  # nobody answers in a reload


@pytest.mark.timeout(180)
@pytest.mark.parametrize("order", [("outer", "inner"), ("inner", "outer")])
def test_folders_inside_one_another_are_watched_in_any_order(
    it: Ferry, order: tuple[str, str]
) -> None:
    it.write("sub/deep/a.txt", b"one")
    roots = {"outer": it.folder, "inner": it.folder / "sub"}
    it.configure({name: roots[name] for name in order}, rescan_interval="1h")
    with daemon(it) as process:
        eventually(lambda: is_all_watched(it, "outer", "inner") and are_synced(it, 1))
        it.write("sub/deep/b.txt", b"two")
        it.write("c.txt", b"three")
        eventually(lambda: are_synced(it, 3))

        # The inner root is taken away and comes back, while the outer one stays watched.
        backup = it.home / "backup"
        shutil.copytree(it.folder / "sub", backup)
        shutil.rmtree(it.folder / "sub")
        eventually(lambda: told(it)["watch"]["inner"] == "polling", 45)
        os.rename(backup, it.folder / "sub")
        eventually(lambda: is_all_watched(it, "outer", "inner") and are_synced(it, 3), 75)
        it.write("sub/deep/d.txt", b"four")
        eventually(lambda: are_synced(it, 4))

        it.configure({"outer": it.folder}, rescan_interval="1h")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: is_all_watched(it, "outer"))
        it.write("sub/deep/e.txt", b"five")
        eventually(lambda: "sub/deep/e.txt" in it.states())
    assert logged(it, "watch_incomplete") == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("order", [("outer", "inner"), ("inner", "outer")])
def test_a_real_shortage_is_noticed_in_folders_inside_one_another(
    it: Ferry, order: tuple[str, str]
) -> None:
    for number in range(6):
        it.write(f"sub/dir{number}/a.txt", b"%d" % number)
    roots = {"outer": it.folder, "inner": it.folder / "sub"}
    it.configure({name: roots[name] for name in order}, rescan_interval="2s")
    with limited_daemon(it, "5 > /proc/sys/user/max_inotify_watches"):
        eventually(lambda: are_synced(it, 6), 30)
        assert "ok" not in told(it)["watch"].values()


@pytest.mark.parametrize("order", [("outer", "inner"), ("inner", "outer")])
def test_a_directory_that_cannot_be_watched_is_missing_in_each_folder_that_has_it(
    it: Ferry, order: tuple[str, str]
) -> None:
    it.write("sub/a.txt", b"one")
    closed = it.write("sub/closed/b.txt", b"two").parent
    closed.chmod(0o000)
    it.without_privilege = True
    roots = {"outer": it.folder, "inner": it.folder / "sub"}
    it.configure({name: roots[name] for name in order}, rescan_interval="1h")
    try:
        with daemon(it):
            eventually(lambda: logged(it, "watch_incomplete"))
            watch = eventually(lambda: told(it).get("watch"))
            assert (watch["outer"], watch["inner"]) == ("degraded", "degraded")
    finally:
        closed.chmod(0o700)


def test_without_a_queue_of_events_everything_is_found_by_scans(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.configure(rescan_interval="2s")
    with limited_daemon(it, "0 > /proc/sys/user/max_inotify_instances"):
        eventually(lambda: is_watched(it, "polling") and are_synced(it, 1))
        (warning,) = logged(it, "watch_refused")
        assert warning["hint"].startswith("sysctl fs.inotify.max_user_instances=")
        it.write("b.txt", b"two")
        eventually(lambda: are_synced(it, 2), 20)


def test_a_root_that_is_deleted_and_restored_is_watched_again(it: Ferry) -> None:
    it.configure(rescan_interval="1h")
    it.write("a.txt", b"one")
    with daemon(it):
        eventually(lambda: is_watched(it, "ok") and are_synced(it, 1))
        backup = it.home / "backup"
        shutil.copytree(it.folder, backup)  # with times, as a backup keeps them
        shutil.rmtree(it.folder)
        eventually(lambda: it.json("status")["folders"][0]["state"] == "halted", 30)
        os.rename(backup, it.folder)
        eventually(lambda: is_watched(it, "ok") and are_synced(it, 1), 45)
        it.write("b.txt", b"two")
        eventually(lambda: are_synced(it, 2))
    assert it.uploads() == 2, "what came back was not sent again"


def test_what_only_a_scan_found_is_counted_as_missed(it: Ferry) -> None:
    """A hard link is written through another directory: no event comes."""
    elsewhere = it.home / "elsewhere.txt"
    elsewhere.write_bytes(b"one")
    os.link(elsewhere, it.folder / "a.txt")
    it.configure(rescan_interval="2s")
    with daemon(it):
        eventually(lambda: is_watched(it, "ok") and are_synced(it, 1))
        assert told(it)["watch_misses_total"] == 0
        elsewhere.write_bytes(b"another, longer")
        eventually(lambda: it.query("SELECT state, size FROM files") == [("synced", 15)], 20)
        assert told(it)["watch_misses_total"] == 1
