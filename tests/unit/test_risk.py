"""Ids that run out: seen early, said once, said again when it is worse or an hour has passed."""

import asyncio
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from fileferry.daemon.alarm import Alarm
from fileferry.daemon.logs import Log
from fileferry.index import contents, entries, folders, risk
from fileferry.index.schema import migrate
from fileferry.index.writer import InlineWriter
from index_rows import NOW, Story

HOUR = 3_600


@pytest.fixture
def story() -> Iterator[Story]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db)
    yield Story(db)
    db.close()


def near_its_end(story: Story, path: bytes = b"a.txt", *, left: int = 900) -> int:
    """Give a path an id whose renewal is due now and that ends so many seconds later."""
    content_id = story.read(path, path)
    story.answer(content_id, f"file-{path.decode()}", expires_at=int(NOW) + left)
    contents.plan_renewal(story.db, content_id, NOW)
    return content_id


def seen(story: Story, after: float) -> risk.Risk | None:
    return risk.look(story.db.execute, NOW + after)


def reason(story: Story) -> str:
    found = seen(story, 600.0)
    assert found is not None
    return found.reason


def test_a_renewal_that_is_a_little_late_is_no_danger_yet(story: Story) -> None:
    near_its_end(story)
    assert seen(story, 225.0) is None


def test_after_a_quarter_of_the_time_that_was_left_it_is(story: Story) -> None:
    near_its_end(story)
    near_its_end(story, b"b.txt", left=800)
    found = seen(story, 226.0)
    assert found is not None
    assert (found.ids, found.expires_at, found.path) == (2, NOW + 800, "docs:b.txt")


def test_of_an_id_with_two_paths_it_is_said_once(story: Story) -> None:
    near_its_end(story)
    story.read(b"copy.txt", b"a.txt")
    found = seen(story, 600.0)
    assert found is not None
    assert found.ids == 1


def test_a_daemon_that_asks_every_few_seconds_counts_no_million(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(risk, "MOST", 2)
    for number in range(3):
        near_its_end(story, b"%d.txt" % number, left=900 - number)
    found = seen(story, 600.0)
    assert found is not None
    assert (found.ids, found.expires_at) == (2, NOW + 898)
    assert [risk.words(ids) for ids in (0, 1, 2)] == ["0 ids", "1 id", "2 ids or more"]


def test_an_id_that_was_renewed_is_safe(story: Story) -> None:
    content_id = near_its_end(story)
    story.answer(content_id, "file-2", expires_at=int(NOW) + 9_999)
    assert seen(story, 600.0) is None


@pytest.mark.parametrize("state", ["ignored", "kept"])
def test_what_is_not_meant_to_be_renewed_is_in_no_danger(story: Story, state: str) -> None:
    near_its_end(story)
    story.db.execute("UPDATE entry SET state = ?", (state,))
    assert seen(story, 600.0) is None


def test_nor_is_what_belongs_to_a_folder_that_left_the_configuration(story: Story) -> None:
    near_its_end(story)
    folders.detach(story.db, story.folder_id)
    assert seen(story, 600.0) is None


def test_why_is_said_as_far_as_it_is_known(story: Story) -> None:
    content_id = near_its_end(story)
    assert reason(story) == "its turn has not come yet"
    found = risk.look(story.db.execute, NOW + 600.0, "the API cannot be reached")
    assert found is not None
    assert found.reason == "the API cannot be reached"
    story.db.execute("UPDATE content SET error = 'the API refused it'")
    assert reason(story) == "the API refused it"
    entries.darkened(story.db, story.folder_id, b"a.txt", "permission denied")
    assert reason(story) == "permission denied"
    folders.set_halt(story.db, story.folder_id, "gone: it is not mounted")
    assert reason(story) == "the folder is halted: gone: it is not mounted"
    folders.set_halt(story.db, story.folder_id, None)
    story.read(b"a.txt", b"other")
    assert reason(story) == "its bytes are gone, and the new ones have no id yet"
    entry = story.entry(b"a.txt")
    entries.rejected(story.db, entry, entry.stamp, "it is empty")
    assert reason(story) == "its bytes are gone, and the new ones cannot be sent: it is empty"
    assert contents.facts(story.db, content_id, server_now=NOW).live


# The alarm


class Listener(Log):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__("debug")
        self.heard: list[tuple[str, str, dict[str, Any]]] = []

    def _log(self, level: str, event: str, facts: dict[str, Any]) -> None:
        self.heard.append((level, event, facts))


class Watch:
    """An alarm, a story that it looks at, and a clock for both."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.log = Listener()
        self.now = 0.0
        self.alarm = Alarm(
            writer=InlineWriter(story.db),
            clock=self,
            server_now=lambda: NOW + self.now,
            trouble=lambda: None,
            log=self.log,
        )

    def said(self) -> str | None:
        """Return what a line of status says."""
        return self.alarm.words

    def wall(self) -> float:
        return NOW + self.now

    def monotonic(self) -> float:
        return 1_000.0 + self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("it never waits")

    def look(self, at: float) -> list[str]:
        """Look at a moment; return what was logged by that."""
        before = len(self.log.heard)
        self.now = at
        asyncio.run(self.alarm.look())
        return [event for _, event, _ in self.log.heard[before:]]


def test_it_warns_once_and_again_when_half_of_the_time_is_gone(story: Story) -> None:
    near_its_end(story)
    watch = Watch(story)
    assert watch.look(200.0) == []
    assert watch.look(230.0) == ["ids_run_out"]
    assert watch.look(300.0) == []
    assert watch.look(566.0) == ["ids_run_out"]
    level, _, facts = watch.log.heard[0]
    assert level == "warning"
    assert (facts["ids"], facts["first_in_seconds"], facts["path"]) == (1, 670, "docs:a.txt")
    assert watch.said() == "1 id not renewed in time, the first in 6 min (docs:a.txt)"


def test_it_warns_again_when_twice_as_many_run_out_and_after_an_hour(story: Story) -> None:
    for name in (b"a.txt", b"b.txt"):
        near_its_end(story, name, left=86_400)
    watch = Watch(story)
    late = 6 * HOUR + 1.0
    assert watch.look(late) == ["ids_run_out"]
    near_its_end(story, b"c.txt", left=86_400)
    assert watch.look(late + 100) == []
    near_its_end(story, b"d.txt", left=86_400)
    assert watch.look(late + 200) == ["ids_run_out"]
    assert watch.look(late + 200 + HOUR - 1) == []
    assert watch.look(late + 200 + HOUR + 20) == ["ids_run_out"]


def test_it_looks_every_five_seconds_and_says_when_the_danger_is_over(story: Story) -> None:
    content_id = near_its_end(story)
    watch = Watch(story)
    watch.look(300.0)
    story.answer(content_id, "file-2", expires_at=int(NOW) + 9_999)
    assert watch.look(304.0) == []
    assert watch.said() is not None
    assert watch.look(306.0) == ["ids_safe_again"]
    assert watch.said() is None
    assert watch.look(360.0) == []
