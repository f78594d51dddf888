"""The order in which uploads begin, over many rounds against whoever would have the most to gain from another.

Renewals that run out before others, then new files, the small before the large; and whatever comes, nothing waits for
ever. In each round the real query gives out some places, and what it names is sent.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fileferry.index import contents, wants
from fileferry.index.schema import migrate
from index_rows import Story

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = 16


class Line(Story):
    """Whoever waits for an upload."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__(db)
        self.count = 0

    def new(self, size: int = 10) -> int:
        """A new file of this size waits for its first upload."""
        self.count += 1
        content_id = self.read(b"%d" % self.count, b"%d" % self.count)
        self.db.execute("UPDATE content SET size = ? WHERE id = ?", (size, content_id))
        return content_id

    def due(self, left: int, *, late: int = 0) -> int:
        """An id that lives for so long still has been due for so long."""
        content_id = self.new()
        self.answer(content_id, f"file-{self.count}-{self.now}", expires_at=int(self.now) + left)
        contents.plan_renewal(self.db, content_id, self.now - late)
        return content_id

    def round(self, places: int = PLACES, busy: frozenset[int] = frozenset()) -> list[int]:
        """Give out places and send what got one; return the contents in order."""
        chosen = wants.due(self.db, now=self.now, server_now=self.now, limit=places, busy=busy)
        for want in chosen:
            self.answer(want.content_id, f"sent-{want.content_id}-{self.now}")
        self.now += 1.0
        return [want.content_id for want in chosen]


@functools.cache
def empty_index() -> bytes:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db)
    return db.serialize()


@contextlib.contextmanager
def nobody_waits() -> Iterator[Line]:
    """An index of its own for each example."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.deserialize(empty_index())
        db.execute("BEGIN")
        yield Line(db)


@pytest.fixture
def line() -> Iterator[Line]:
    with nobody_waits() as line:
        yield line


def test_renewals_go_first_and_those_that_run_out_first_before_them(line: Line) -> None:
    new = line.new()
    tomorrow, soon, next_hour = line.due(80_000, late=9), line.due(600), line.due(3_600, late=5)
    assert line.round() == [soon, next_hour, tomorrow, new]


def test_then_the_new_file_that_has_waited_longest_and_the_small_before_the_large(
    line: Line,
) -> None:
    oldest = line.new(500)
    line.now += 10
    sizes = [line.new(size) for size in (300, 100, 200)]
    assert line.round() == [oldest, sizes[1], sizes[2], sizes[0]]


def test_new_files_have_nearly_a_fifth_of_the_places_however_much_is_to_be_renewed(
    line: Line,
) -> None:
    for _ in range(3 * PLACES):
        line.due(80_000)
        line.new()
    renewed = [content_id % 2 == 1 for content_id in line.round()]
    assert renewed == [True] * 13 + [False] * 3


def test_when_renewals_are_late_new_files_have_fewer_but_not_none(line: Line) -> None:
    for _ in range(3 * PLACES):
        line.due(600, late=201)  # more than a quarter of the 801 seconds that there were
        line.new()
    renewed = [content_id % 2 == 1 for content_id in line.round()]
    assert renewed == [True] * 15 + [False]


def test_what_is_being_sent_is_not_chosen_again_and_takes_nobody_s_place(line: Line) -> None:
    sending = [line.due(600) for _ in range(5)] + [line.new() for _ in range(5)]
    waiting = [line.due(700), line.new()]
    assert line.round(busy=frozenset(sending)) == waiting


@settings(max_examples=20, deadline=None)
@given(
    renewals=st.integers(0, 2 * PLACES),
    late=st.sampled_from([0, 500]),
    small=st.integers(0, 2 * PLACES),
    places=st.sampled_from([2, 4, PLACES]),
    ahead=st.integers(0, 8),
    size=st.sampled_from([1, 10**9]),
)
def test_whatever_keeps_coming_a_new_file_has_its_turn(
    renewals: int, late: int, small: int, places: int, ahead: int, size: int
) -> None:
    """In each round come as many renewals and small files as there may be; some files have waited longer."""
    with nobody_waits() as line:
        for _ in range(ahead):
            line.new()
            line.now += 1.0
        patient = line.new(size)
        for _ in range(ahead + 1):
            line.now += 1.0
            for _ in range(renewals):
                line.due(900 - late, late=late)
            for _ in range(small):
                line.new()
            if patient in line.round(places):
                return
    pytest.fail("it waits still")


@settings(max_examples=15, deadline=None)
@given(new=st.integers(0, 3 * PLACES), places=st.sampled_from([2, 4, PLACES]))
def test_whatever_keeps_coming_an_id_that_runs_out_is_renewed_in_the_next_round(
    new: int, places: int
) -> None:
    with nobody_waits() as line:
        for _ in range(6):
            for _ in range(new):
                line.new()
            for _ in range(places):
                line.due(80_000)
            pressing = line.due(60)
            assert pressing in line.round(places)
