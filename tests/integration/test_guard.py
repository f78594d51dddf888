"""The guard counts what would really go: not renames, not moves, and not only what goes at once."""

import os

import pytest

from integration.stories import Ferry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def fill(ferry: Ferry, directory: str, count: int) -> None:
    for number in range(count):
        ferry.write(f"{directory}/{number}.txt", f"{directory} {number}".encode())


def test_a_renamed_directory_with_most_of_the_files_trips_nothing(it: Ferry) -> None:
    fill(it, "large", 60)
    fill(it, "small", 40)
    it.sync()
    before = it.ids()
    os.rename(it.folder / "large", it.folder / "renamed")
    it.sync("--now")
    assert (it.uploads(), it.ids()) == (100, before)
    assert it.json("status")["holds"] == []
    assert {event for event, _ in it.events()[100:]} <= {"renamed", "removed"}


def test_a_move_between_two_folders_sends_and_deletes_nothing(it: Ferry) -> None:
    other = it.home / "other"
    other.mkdir()
    it.configure({"docs": it.folder, "other": other})
    it.write("stays.txt", b"a root that loses all its files halts")
    fill(it, "moved", 49)
    it.sync()
    before = it.ids()
    os.rename(it.folder / "moved", other / "moved")
    it.sync("--now")
    assert (it.uploads(), it.ids()) == (50, before)
    assert it.json("status")["holds"] == []


def test_deletes_that_trickle_trip_it_too(it: Ferry) -> None:
    fill(it, "a", 60)
    it.sync()
    for first in range(0, 20, 10):
        for number in range(first, first + 10):
            (it.folder / f"a/{number}.txt").unlink()
        it.sync("--now")
    assert len(it.ids()) == 40, "within the budget of 25 so far"
    for number in range(20, 30):
        (it.folder / f"a/{number}.txt").unlink()
    held = it.sync("--now", check=8)
    assert "10 deletes of `docs` wait" in held.stdout + held.stderr
    assert len(it.ids()) == 40

    # Each held set survives the next process, and is exactly what it was: what goes later makes another.
    for number in range(30, 36):
        (it.folder / f"a/{number}.txt").unlink()
    it.sync("--now", check=8)
    assert [(hold["hold"], hold["files"]) for hold in it.json("status")["holds"]] == [
        ("D1", 10),
        ("D2", 6),
    ]
    it.run("approve", "D1", check=0)
    it.sync("--now", check=8)
    assert len(it.ids()) == 30
    it.run("discard", "D2", check=0)
    it.sync("--now")
    assert len(it.ids()) == 30
    assert list(it.states().values()).count("kept") == 6
