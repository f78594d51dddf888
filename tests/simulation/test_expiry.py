"""Ids that expire, over hours and weeks: whoever reads gets one that lives, whatever clocks and machines do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fileferry.errors import RemoteUnavailable
from fileferry.index.reader import Reader, answer
from fileferry.model import RemoteFile, Rule
from simulation.test_findings import HOUR, Stage, stage

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE, DAY = 60, 24 * HOUR


class Readings:
    """What a program gets that asks for an id again and again, as any other program on this machine would."""

    def __init__(self, it: Stage) -> None:
        self._it = it
        self.answers = 0
        self.gaps = 0
        self.dead: list[str] = []

    def ask(self) -> None:
        world, living = self._it.world, self._it.witness.truth.living()
        with Reader(world.state_directory) as reader:
            for row in reader.below(None):
                file_id = answer(row, world.clock.wall())
                self.answers += 1
                self.gaps += file_id is None
                if file_id is not None and file_id not in living:
                    self.dead.append(f"{world.now():.0f} s: {file_id}")

    async def go_on(self, seconds: float, every: float = 20.0) -> None:
        until = self._it.world.now() + seconds
        while self._it.world.now() < until:
            self.ask()
            await asyncio.sleep(every)


def requests(it: Stage, method: str, path: str = "/v1/files") -> list[str]:
    """Return the queries of the requests so far."""
    return [
        request.query
        for request in it.world.emulator.requests()
        if (request.method, request.path) == (method, path)
    ]


def greetings(it: Stage) -> int:
    return sum("limit=1" in query.split("&") for query in requests(it, "GET"))


def listings(it: Stage) -> int:
    return len(requests(it, "GET")) - greetings(it)


class Silent:
    """A remote whose answers to uploads do not say when the file ends, and which may fail when it is asked for it."""

    def __init__(self, inner: Any, *, is_alone_unknown: bool) -> None:
        self._inner = inner
        self._is_alone_unknown = is_alone_unknown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def create(self, *args: Any) -> RemoteFile:
        file: RemoteFile = await self._inner.create(*args)
        return replace(file, expires_at=None)

    async def get(self, file_id: str) -> RemoteFile:
        if self._is_alone_unknown:
            raise RemoteUnavailable("not now")
        file: RemoteFile = await self._inner.get(file_id)
        return file


@pytest.mark.parametrize("is_alone_unknown", [False, True])
def test_an_end_that_an_answer_leaves_out_is_asked_for_and_kept(is_alone_unknown: bool) -> None:
    with stage() as it:
        it.world.wrap_remote = lambda remote: Silent(remote, is_alone_unknown=is_alone_unknown)
        it.write(b"a.txt", b"one")
        readings = Readings(it)

        async def story() -> None:
            await it.rest()
            assert rows_of(it, "SELECT count(*) FROM remote WHERE expires_at IS NULL") == [(0,)]
            await readings.go_on(3 * HOUR, every=60.0)

        it.play(story)
        assert (readings.dead, readings.gaps) == ([], 0)
        assert len(it.witness.truth.sent) >= 3


def rows_of(it: Stage, query: str) -> list[Any]:
    assert it.world.writer is not None
    return it.world.writer.connection.execute(query).fetchall()


def names_sent(it: Stage) -> list[str]:
    return [sent.record.filename for sent in it.witness.truth.sent.values()]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_reader_in_a_loop_always_gets_an_id_that_lives() -> None:
    with stage(retire_delay_seconds=60.0) as it:
        for number in range(5):
            it.write(b"%d.txt" % number, b"%d" % number)
        readings = Readings(it)

        async def story() -> None:
            await it.rest()
            await readings.go_on(DAY, every=60.0)

        it.play(story)
        assert readings.dead == []
        assert readings.gaps == 0
        assert len(it.witness.truth.sent) > 5 * 24


@pytest.mark.parametrize("slept", [50 * MINUTE, 3 * HOUR, 40 * DAY])
def test_after_a_sleep_there_is_an_id_again_soon_and_none_that_is_dead(slept: float) -> None:
    with stage() as it:
        it.write(b"a.txt", b"one")
        readings = Readings(it)

        async def story() -> None:
            await it.rest()
            it.world.clock.slept_seconds += slept
            readings.ask()
            await readings.go_on(90.0, every=1.0)
            assert readings.dead == []
            readings.gaps = 0
            await readings.go_on(10 * MINUTE)
            assert readings.gaps == 0
            it.nothing_is_late()

        it.play(story)


def test_after_weeks_one_listing_tells_what_is_lost_and_what_lives_goes_first() -> None:
    rules = (Rule("*.md", expires_after_seconds=30 * DAY),)
    with stage(rules=rules) as it:
        for number in range(3):
            it.write(b"%d.txt" % number, b"%d" % number)
            it.write(b"%d.md" % number, b"%d!" % number)
        it.play(it.rest)
        it.world.clock.slept_seconds += 29 * DAY + 12 * HOUR
        before, sent = listings(it), len(names_sent(it))

        async def again() -> None:
            await it.rest()
            it.nothing_is_late()

        it.play(again)
        assert listings(it) == before + 1
        assert sorted(names_sent(it)[sent:]) == ["0.md", "0.txt", "1.md", "1.txt", "2.md", "2.txt"]
        log = [text for _, text in it.world.trace]
        found = next(place for place, text in enumerate(log) if "ids_ran_out {'ids': 3}" in text)
        assert not any("renewed" in text for text in log[:found])


Jump = pytest.mark.parametrize("jump", [-3.0 * DAY, -2.0 * HOUR, 2.0 * HOUR, 3.0 * DAY])


@Jump
def test_when_our_clock_is_set_while_it_runs(jump: float) -> None:
    with stage() as it:
        it.write(b"a.txt", b"one")

        async def story() -> None:
            await it.rest()
            asked = greetings(it)
            it.world.clock.jumps.append(jump)
            await asyncio.sleep(4 * HOUR)
            it.nothing_is_late()
            assert greetings(it) == asked + 1
            assert len(it.witness.truth.sent) in {6, 7}  # every three quarters of an hour

        it.play(story)


@Jump
def test_when_our_clock_is_set_while_it_does_not_run(jump: float) -> None:
    with stage() as it:
        it.write(b"a.txt", b"one")
        it.play(it.rest)
        it.world.clock.jumps.append(jump)
        it.world.clock.slept_seconds += 40 * MINUTE  # it is due in five minutes

        async def again() -> None:
            await asyncio.sleep(8 * MINUTE)
            it.nothing_is_late()
            assert len(it.witness.truth.sent) == 2

        it.play(again)


def present_answer(it: Stage) -> str | None:
    with Reader(it.world.state_directory) as reader:
        (row,) = list(reader.below(None))
        return answer(row, it.world.clock.wall())


Offset = pytest.mark.parametrize("offset", [2.0 * DAY, 2.0 * HOUR, -2.0 * DAY])


@Offset
def test_what_the_server_s_clock_said_a_moment_ago_need_not_be_asked_again(offset: float) -> None:
    with stage() as it:
        it.world.emulator.clock.offset = offset
        it.write(b"a.txt", b"one")
        it.play(it.rest)
        asked = len(it.world.emulator.requests())

        async def again() -> None:
            await asyncio.sleep(20 * MINUTE)

        it.play(again)
        assert len(it.world.emulator.requests()) == asked


def test_what_was_heard_longer_ago_than_a_moment_is_asked_again() -> None:
    with stage() as it:
        it.write(b"a.txt", b"one")
        it.play(it.rest)
        it.world.clock.slept_seconds += 40 * MINUTE
        it.world.clock.jumps.append(-25.0 * MINUTE)

        async def again() -> None:
            await asyncio.sleep(8 * MINUTE)
            it.nothing_is_late()
            assert len(it.witness.truth.sent) == 2

        it.play(again)


@Offset
def test_it_is_remembered_over_a_restart_when_an_id_is_due(offset: float) -> None:
    with stage() as it:
        it.world.emulator.clock.offset = offset
        it.write(b"a.txt", b"one")
        it.play(it.rest)
        it.world.clock.slept_seconds += 44 * MINUTE

        async def again() -> None:
            await asyncio.sleep(8 * MINUTE)
            it.nothing_is_late()
            assert len(it.witness.truth.sent) == 2

        it.play(again)


@Offset
def test_a_reader_goes_by_the_server_s_clock_too(offset: float) -> None:
    with stage() as it:
        it.world.emulator.clock.offset = offset
        it.write(b"a.txt", b"one")
        it.play(it.rest)
        (file_id,) = it.witness.truth.living()
        it.world.clock.slept_seconds += HOUR - 2 * MINUTE  # by its nonce it may live a little less
        assert present_answer(it) in {file_id, None}
        it.world.clock.slept_seconds -= 10 * MINUTE
        assert present_answer(it) == file_id
        it.world.clock.slept_seconds += 16 * MINUTE
        assert present_answer(it) is None


def test_batch_files_live_for_thirty_days_without_being_told() -> None:
    with stage(purpose="batch", expires_after_seconds=None) as it:
        it.write(
            b"a.jsonl",
            b'{"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {}}\n',
        )

        async def story() -> None:
            await it.rest()
            ((expires_at, renew_at),) = rows_of(
                it,
                "SELECT expires_at - created_at, renew_at - created_at FROM remote JOIN content"
                " ON content.id = content_id",
            )
            assert (expires_at, renew_at) == (30 * DAY, 29 * DAY)
            it.world.clock.slept_seconds += 29 * DAY
            await asyncio.sleep(60.0)
            it.nothing_is_late()
            assert len(it.witness.truth.sent) == 2

        it.play(story)


@pytest.mark.parametrize(
    ("change", "sent", "answers"),
    [
        pytest.param(
            lambda it: it.world.disk.write(it.root + b"/a.txt", b"two"), 2, 1, id="changed"
        ),
        pytest.param(lambda it: it.world.disk.remove(it.root + b"/a.txt"), 1, 0, id="vanished"),
    ],
)
def test_what_is_otherwise_when_its_renewal_is_due_is_sent_as_it_is_or_let_go(
    change: Callable[[Stage], None], sent: int, answers: int
) -> None:
    """Nobody says that it changed: it is noticed when it is to be sent again."""
    with stage(rescan_interval_seconds=30.0 * DAY, delete_delay_seconds=0.0) as it:
        it.write(b"a.txt", b"one")

        async def story() -> None:
            await it.rest()
            await it.sleep_until_renewal()
            change(it)
            await asyncio.sleep(10 * MINUTE)
            it.nothing_is_late()
            assert len(it.witness.truth.sent) == sent
            living = it.witness.truth.living()
            rows = rows_of(it, "SELECT file_id FROM remote WHERE state = 'live'")
            assert [file_id in living for (file_id,) in rows] == [True] * answers

        it.play(story)
