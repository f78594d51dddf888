"""The audit: which ids are gone, what became of uploads whose answers were lost, and what turned up late."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fileferry.daemon.audit import AUDITED_KEY, HALT_ACCEPTED_KEY, Audit, Auditor, purge_expired
from fileferry.daemon.enlist import HALT_KEY
from fileferry.daemon.logs import Log
from fileferry.errors import RemoteMissing, RemoteUnavailable
from fileferry.index import folders, intents, trust, wants
from fileferry.index.connection import open_writer
from fileferry.index.writer import InlineWriter
from fileferry.model import Proof, RemoteFile
from fileferry.remote.base import Page
from fileferry.remote.pacing import Pace
from index_rows import NOW, Story

LAG = 60.0
LIFE = 7_000


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def wall(self) -> float:
        return self._story.now

    def monotonic(self) -> float:
        return self._story.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


class Shelf:
    """The network's side: what is listed, in pages, and what is there when it is asked for alone."""

    def __init__(self) -> None:
        self.files: list[RemoteFile] = []
        self.unlisted: list[RemoteFile] = []
        self.page_size = 1_000
        self.ahead_seconds = 0.0
        self.asked: list[str] = []
        self.is_down = False
        self.repeats_its_last_page = False

    async def page(self, after: str | None) -> Page:
        if self.is_down:
            raise RemoteUnavailable("not now")
        ids = [file.file_id for file in self.files]
        start = 0 if after is None else ids.index(after) + 1
        some = self.files[start : start + self.page_size]
        is_last = start + self.page_size >= len(self.files)
        if is_last and self.repeats_its_last_page:
            return Page(tuple(some), after)
        return Page(tuple(some), None if is_last else some[-1].file_id)

    async def get(self, file_id: str) -> RemoteFile:
        self.asked.append(file_id)
        for file in (*self.files, *self.unlisted):
            if file.file_id == file_id:
                return file
        raise RemoteMissing("no such file")

    def skew_seconds(self) -> float:
        return self.ahead_seconds


class Scene:
    """An index, a shelf, and the auditor between them."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.db = story.db
        self.shelf = Shelf()
        self.writer = InlineWriter(story.db)
        clock = Clock(story)
        remote: Any = self.shelf
        self.auditor = Auditor(
            remote=remote,
            pace=Pace(clock, uploads_per_minute=0, concurrency=1, delay=lambda _: 0.0),
            writer=self.writer,
            clock=clock,
            list_lag_seconds=LAG,
            delete_budget=2,
            retire_seconds=30.0,
            log=Log("error"),
        )

    def audit(self) -> Audit:
        return asyncio.run(self.auditor.run())

    def wanted(self, name: str = "a.txt", content: bytes = b"one") -> int:
        """A path that has no id yet."""
        return self.story.read(name.encode(), content)

    def lost_answer(
        self, name: str = "a.txt", content: bytes = b"one", life: int | None = LIFE
    ) -> int:
        """An upload of a path was begun, and its answer was lost."""
        content_id = self.wanted(name, content)
        intent_id = intents.open_one(
            self.db,
            content_id=content_id,
            name=name,
            size=len(content),
            purpose="user_data",
            expires_seconds=life,
            server_now=self.story.now,
            now=self.story.now,
        )
        assert intent_id is not None
        intents.give_up(self.db, intent_id, now=self.story.now)
        wants.put_off(self.db, content_id, until=None, error="the answer was lost")
        return content_id

    def stored(
        self,
        file_id: str = "file-1",
        name: str = "a.txt",
        *,
        life: int | None = LIFE,
        size: int | None = 3,
        purpose: str = "user_data",
    ) -> RemoteFile:
        """The shelf has a file that was made just now."""
        now = int(self.story.now)
        file = RemoteFile(file_id, name, size, purpose, now, None if life is None else now + life)
        self.shelf.files.append(file)
        return file

    def synced(self, *file_ids: str, life: int | None = None) -> None:
        """Paths with ids that are on the shelf."""
        for file_id in file_ids:
            content_id = self.wanted(f"{file_id}.txt", file_id.encode())
            expires_at = None if life is None else int(NOW) + life
            self.story.answer(content_id, file_id, expires_at=expires_at)
            self.shelf.files.append(
                RemoteFile(
                    file_id, f"{file_id}.txt", len(file_id), "user_data", int(NOW), expires_at
                )
            )

    def vanish(self, *file_ids: str) -> None:
        self.shelf.files = [file for file in self.shelf.files if file.file_id not in file_ids]

    def hide(self, *file_ids: str) -> None:
        self.shelf.unlisted += [file for file in self.shelf.files if file.file_id in file_ids]
        self.vanish(*file_ids)

    def remote(self, file_id: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self.db.execute(
            "SELECT state, proof, reason, content_id FROM remote WHERE file_id = ?", (file_id,)
        ).fetchone()
        return row

    def outcomes(self) -> list[tuple[str, str | None, str | None]]:
        return self.db.execute("SELECT state, outcome, file_id FROM intent ORDER BY id").fetchall()

    def due_at(self, content_id: int) -> float | None:
        row = self.db.execute("SELECT due_at FROM content WHERE id = ?", (content_id,)).fetchone()
        due: float | None = row[0]
        return due


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    db = open_writer(str(tmp_path / "index.db"))
    yield Scene(Story(db))
    db.close()


# The listing.


def listed(scene: Scene) -> Sequence[str]:
    return list(asyncio.run(scene.auditor.listing()))


def test_every_page_is_read(scene: Scene) -> None:
    scene.shelf.page_size = 2
    for number in range(5):
        scene.stored(f"file-{number}")
    assert listed(scene) == [f"file-{number}" for number in range(5)]


def test_a_listing_that_names_the_same_place_twice_has_ended(scene: Scene) -> None:
    scene.shelf.page_size = 2
    scene.shelf.repeats_its_last_page = True
    for number in range(3):
        scene.stored(f"file-{number}")
    assert listed(scene) == ["file-0", "file-1", "file-2"]


def test_a_listing_that_does_not_come_through_concludes_nothing(scene: Scene) -> None:
    scene.synced("one")
    scene.lost_answer()
    scene.shelf.is_down = True
    scene.story.now += 999
    with pytest.raises(RemoteUnavailable):
        scene.audit()
    assert scene.outcomes() == [("unknown", None, None)]
    assert folders.meta(scene.db, AUDITED_KEY) is None


# Uploads whose answers were lost.


def test_what_was_stored_after_all_is_taken_over(scene: Scene) -> None:
    content_id = scene.lost_answer()
    scene.stored()
    assert scene.audit() == Audit(listed=1, lost=0, settled=1, unsettled=0, halted=False)
    assert scene.remote("file-1") == ("live", "proven", None, content_id)
    assert scene.story.files() == {"a.txt": ("synced", "file-1")}
    assert scene.outcomes() == [("closed", "done", "file-1")]
    (renew_at,) = scene.db.execute("SELECT renew_at FROM content").fetchone()
    assert renew_at == NOW + LIFE - LIFE / 4


def test_without_an_expiry_it_is_matched_and_not_proven(scene: Scene) -> None:
    content_id = scene.lost_answer(life=None)
    scene.stored(life=None)
    scene.audit()
    assert scene.remote("file-1") == ("live", "matched", None, content_id)


def test_a_renewal_whose_answer_was_lost_retires_the_old_id_in_its_time(scene: Scene) -> None:
    content_id = scene.wanted()
    scene.story.answer(content_id, "file-0", expires_at=int(NOW) + 100)
    scene.shelf.files.append(
        RemoteFile("file-0", "a.txt", 3, "user_data", int(NOW), int(NOW) + 100)
    )
    intent_id = intents.open_one(
        scene.db, content_id=content_id, name="a.txt", size=3, purpose="user_data",
        expires_seconds=LIFE, server_now=NOW, now=NOW,
    )  # fmt: skip
    assert intent_id is not None
    intents.give_up(scene.db, intent_id, now=NOW)
    scene.stored()
    scene.audit()
    assert scene.story.files() == {"a.txt": ("synced", "file-1")}
    assert scene.remote("file-0") == ("retiring", "proven", "renewed", content_id)
    (delete_at,) = scene.db.execute(
        "SELECT delete_at FROM remote WHERE file_id = 'file-0'"
    ).fetchone()
    assert delete_at == NOW + 30


@pytest.mark.parametrize(
    "details",
    [
        pytest.param({"name": "b.txt"}, id="by another name"),
        pytest.param({"size": 4}, id="of another size"),
        pytest.param({"purpose": "vision"}, id="of another purpose"),
        pytest.param({"life": LIFE + 1}, id="with another nonce"),
    ],
)
def test_what_is_not_alike_is_somebody_elses(scene: Scene, details: dict[str, Any]) -> None:
    scene.lost_answer()
    scene.stored(**details)
    assert scene.audit().unsettled == 1
    assert scene.remote("file-1") is None


def test_a_file_whose_size_the_server_does_not_know_yet_may_be_ours(scene: Scene) -> None:
    scene.lost_answer()
    scene.stored(size=None)
    assert scene.audit().settled == 1


def test_a_name_is_known_whichever_way_its_quotes_come_back(scene: Scene) -> None:
    scene.lost_answer('a "b".txt')
    scene.stored(name="a %22b%22.txt")
    assert scene.audit().settled == 1


def test_an_id_that_the_index_knows_is_nobody_elses_answer(scene: Scene) -> None:
    content_id = scene.wanted("old.txt", b"old")
    scene.story.answer(content_id, "file-1")
    scene.stored(life=None)
    scene.lost_answer(life=None)
    assert scene.audit().unsettled == 1
    assert scene.remote("file-1") == ("live", "proven", None, content_id)


def test_one_file_answers_for_one_upload(scene: Scene) -> None:
    first = scene.lost_answer(content=b"one", life=None)
    scene.audit()
    scene.story.now += LAG
    scene.audit()  # given up as absent
    second = scene.lost_answer(content=b"two", life=None)
    scene.stored(life=None)
    scene.audit()
    assert scene.remote("file-1") == ("live", "matched", None, second)
    assert first != second
    assert [outcome for _, outcome, _ in scene.outcomes()] == ["none", "done"]


def test_a_listing_from_before_an_answer_was_lost_says_nothing(scene: Scene) -> None:
    scene.lost_answer()
    scene.stored()
    scene.story.now -= 1
    assert scene.audit() == Audit(listed=1, lost=0, settled=0, unsettled=1, halted=False)
    assert scene.outcomes() == [("unknown", None, None)]


def test_a_listing_of_that_very_moment_does(scene: Scene) -> None:
    scene.lost_answer()
    scene.stored()
    assert scene.audit().settled == 1


def test_two_listings_are_needed_to_call_it_missing(scene: Scene) -> None:
    content_id = scene.lost_answer()
    assert scene.audit() == Audit(listed=0, lost=0, settled=0, unsettled=1, halted=False)
    assert scene.outcomes() == [("unknown", None, None)]
    assert scene.due_at(content_id) is None
    scene.story.now += LAG
    assert scene.audit() == Audit(listed=0, lost=0, settled=1, unsettled=0, halted=False)
    assert scene.outcomes() == [("closed", "none", None)]
    assert scene.due_at(content_id) == scene.story.now


@pytest.mark.parametrize(("failures", "waits"), [(2, 0.0), (3, 3_600.0)])
def test_what_was_lost_three_times_waits_an_hour(scene: Scene, failures: int, waits: float) -> None:
    content_id = scene.lost_answer()
    scene.db.execute("UPDATE content SET attempts = ?", (failures,))
    scene.audit()
    scene.story.now += LAG
    scene.audit()
    assert scene.due_at(content_id) == scene.story.now + waits


def test_but_a_renewal_no_longer_than_its_id_lives(scene: Scene) -> None:
    content_id = scene.wanted()
    scene.story.answer(content_id, "file-0", expires_at=int(NOW + LAG) + 1_000)
    scene.stored("file-0")
    intent_id = intents.open_one(
        scene.db, content_id=content_id, name="a.txt", size=3, purpose="user_data",
        expires_seconds=LIFE, server_now=NOW, now=NOW,
    )  # fmt: skip
    assert intent_id is not None
    intents.give_up(scene.db, intent_id, now=NOW)
    scene.db.execute("UPDATE content SET attempts = 3")
    scene.shelf.ahead_seconds = 200.0
    scene.audit()
    scene.story.now += LAG
    scene.audit()
    assert scene.due_at(content_id) == scene.story.now + (1_000 - 200) / 4


# What turns up late.


def given_up(scene: Scene, life: int | None) -> None:
    scene.lost_answer(life=life)
    scene.audit()
    scene.story.now += LAG
    scene.audit()


@pytest.mark.parametrize(
    ("life", "proof"), [(LIFE, Proof.PROVEN), (None, Proof.MATCHED)], ids=["proven", "matched"]
)
def test_a_file_that_turns_up_late_is_retired(scene: Scene, life: int | None, proof: Proof) -> None:
    given_up(scene, life)
    scene.story.now -= LAG
    scene.stored(life=life)
    scene.story.now += LAG
    assert scene.audit() == Audit(listed=1, lost=0, settled=0, unsettled=0, halted=False)
    assert scene.remote("file-1") == ("retiring", proof, "race", None)
    assert scene.outcomes() == [("closed", "done", "file-1")]
    assert scene.story.files()["a.txt"][1] is None


def test_late_files_are_looked_for_beside_unsettled_ones(scene: Scene) -> None:
    given_up(scene, LIFE)
    scene.lost_answer("b.txt", b"two")
    scene.stored("late")
    scene.stored("found", "b.txt")
    assert scene.audit().settled == 1
    assert scene.remote("late") == ("retiring", "proven", "race", None)


# Ids that are gone.


def test_an_id_that_is_neither_listed_nor_there_is_lost(scene: Scene) -> None:
    scene.synced("one", "two")
    scene.vanish("one")
    scene.story.now += LAG + 1
    assert scene.audit() == Audit(listed=1, lost=1, settled=0, unsettled=0, halted=False)
    assert scene.remote("one") == ("lost", "proven", None, 1)
    assert scene.story.files() == {"one.txt": ("pending", None), "two.txt": ("synced", "two")}
    assert scene.shelf.asked == ["one"]


def test_an_id_that_is_not_listed_but_there_is_not_lost(scene: Scene) -> None:
    scene.synced("one", "two")
    scene.hide("one")
    scene.story.now += LAG + 1
    assert scene.audit().lost == 0
    assert scene.shelf.asked == ["one"]
    assert scene.story.files()["one.txt"] == ("synced", "one")


def test_an_id_younger_than_listings_lag_is_not_even_asked_for(scene: Scene) -> None:
    scene.synced("one")
    scene.vanish("one")
    scene.story.now += LAG
    assert scene.audit().lost == 0
    assert scene.shelf.asked == []


def test_an_id_on_its_way_out_is_not_missed(scene: Scene) -> None:
    scene.synced("one")
    scene.vanish("one")
    scene.story.miss(b"one.txt")
    scene.db.execute("UPDATE remote SET state = 'retiring'")
    scene.story.now += LAG + 1
    assert scene.audit().lost == 0
    assert scene.shelf.asked == []


def test_more_than_the_budget_at_once_is_another_remote(scene: Scene) -> None:
    scene.synced("one", "two", "three", "four")
    scene.vanish("one", "two", "three")
    scene.story.now += LAG + 1
    assert scene.audit() == Audit(listed=1, lost=0, settled=0, unsettled=0, halted=True)
    assert scene.shelf.asked == []
    assert folders.meta(scene.db, HALT_KEY) == (
        "3 of 4 ids are gone at once: is this the right project and endpoint?"
    )
    assert folders.meta(scene.db, AUDITED_KEY) is None


def test_as_many_as_the_budget_are_lost(scene: Scene) -> None:
    scene.synced("one", "two", "three", "four")
    scene.vanish("one", "two")
    scene.story.now += LAG + 1
    assert scene.audit().lost == 2
    assert folders.meta(scene.db, HALT_KEY) is None


def test_somebody_may_accept_that_many_are_gone_once(scene: Scene) -> None:
    scene.synced("one", "two", "three", "four")
    scene.vanish("one", "two", "three")
    folders.set_meta(scene.db, HALT_ACCEPTED_KEY, "1")
    scene.story.now += LAG + 1
    assert scene.audit().lost == 3
    assert folders.meta(scene.db, HALT_ACCEPTED_KEY) is None


def test_an_acceptance_is_used_up_by_an_audit_that_did_not_need_it(scene: Scene) -> None:
    folders.set_meta(scene.db, HALT_ACCEPTED_KEY, "1")
    scene.audit()
    scene.synced("one", "two", "three", "four")
    scene.vanish("one", "two", "three")
    scene.story.now += LAG + 1
    assert scene.audit().halted


def test_an_audit_that_passed_is_noted_with_the_moment_of_its_listing(scene: Scene) -> None:
    trust.distrust(scene.db)
    trust.ask(scene.db)
    scene.audit()
    assert folders.meta(scene.db, AUDITED_KEY) == repr(NOW)
    assert not trust.is_asked(scene.db)


# Ids that ran out.


def purge(scene: Scene, server_now: float, *listed: str) -> int:
    return asyncio.run(purge_expired(scene.writer, server_now, scene.story.now, listed=set(listed)))


@pytest.mark.parametrize(
    ("server_now", "listed", "gone"),
    [
        pytest.param(NOW + 99, (), 0, id="not yet"),
        pytest.param(NOW + 100, (), 1, id="at its last second"),
        pytest.param(NOW + 101, ("one",), 0, id="over, but the server still lists it"),
    ],
)
def test_what_ran_out_and_is_not_listed_is_gone(
    scene: Scene, server_now: float, listed: tuple[str, ...], gone: int
) -> None:
    scene.synced("one", life=100)
    scene.synced("two")
    assert purge(scene, server_now, *listed) == gone
    assert scene.remote("one") == ("lost" if gone else "live", "proven", None, 1)


def test_what_ran_out_on_its_way_out_is_left_to_its_delete(scene: Scene) -> None:
    scene.synced("one", life=100)
    scene.db.execute("UPDATE remote SET state = 'retiring'")
    assert purge(scene, NOW + 101) == 0


def test_whether_it_ran_out_the_clock_of_the_server_decides(scene: Scene) -> None:
    scene.synced("one", life=100)
    scene.vanish("one")
    scene.shelf.ahead_seconds = 99.0
    scene.audit()
    assert scene.story.files()["one.txt"] == ("synced", "one")
    scene.shelf.ahead_seconds = 100.0
    scene.audit()
    assert scene.story.files()["one.txt"] == ("pending", None)
