"""Answers that are wrong in one place: what they cost is one try, and never an id, nor an upload without end."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from fileferry.emulator import Fault, FaultKind
from fileferry.index.reader import Reader, answer
from simulation.answering import change_answers, gateway_page, is_create, with_body, with_date
from simulation.test_findings import HOUR, Stage, stage

if TYPE_CHECKING:
    import httpx2

FAR = 10 * HOUR


def ids(it: Stage) -> list[str | None]:
    """Return what a program gets that asks for every id."""
    with Reader(it.world.state_directory) as reader:
        return [answer(row, it.world.clock.wall()) for row in reader.below(None)]


def creates(it: Stage) -> int:
    return it.world.figures.creates


@pytest.mark.parametrize("odd", ["a page of a gateway", "an answer of the API"])
def test_one_answer_with_a_wrong_date_moves_no_clock(
    odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt: list[bool] = []

    def spoil(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if not spoilt or not spoilt.pop():
            return response
        if odd == "an answer of the API":
            return with_date(response, FAR)
        date = formatdate(it.world.clock.wall() + FAR, usegmt=True)
        return gateway_page(request, 502, date)

    change_answers(monkeypatch, spoil)
    with stage() as it:
        for name in (b"a.txt", b"b.txt", b"c.txt"):
            it.write(name, name)

        async def story() -> None:
            await it.rest()
            spoilt.append(True)
            it.write(b"d.txt", b"four")
            await asyncio.sleep(30.0)
            assert not spoilt
            assert None not in ids(it)
            await it.rest()
            assert None not in ids(it)
            # An upload whose answer was such a page has an unknown outcome; the file is found in a listing.
            assert creates(it) == 4

        it.play(story)


def test_dates_that_are_always_wrong_make_no_uploads_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change_answers(monkeypatch, lambda _request, response: with_date(response, FAR))
    with stage() as it:
        it.write(b"a.txt", b"one")
        it.write(b"b.txt", b"two")

        async def story() -> None:
            await asyncio.sleep(600.0)
            assert creates(it) == 2
            assert None not in ids(it)
            await it.sleep_until_renewal()
            await asyncio.sleep(400.0)
            it.nothing_is_late()
            assert creates(it) == 4
            assert None not in ids(it)

        it.play(story)


def test_an_id_that_has_run_out_when_it_comes_is_tried_again_in_a_while_and_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def expire(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if not is_create(request):
            return response
        return with_body(response, expires_at=int(it.world.clock.wall()) - FAR)

    change_answers(monkeypatch, expire)
    with stage() as it:
        it.write(b"a.txt", b"one")

        async def story() -> None:
            await asyncio.sleep(55.0)
            assert creates(it) == 1
            assert any("short_lived" in text for _, text in it.world.trace)
            await asyncio.sleep(600.0)
            assert creates(it) <= 5
            await asyncio.sleep(6.0 * HOUR)
            assert creates(it) <= 15

        it.world.live(story)


def test_a_filter_that_does_not_like_one_file_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def filtered(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        return gateway_page(request, 403) if response.status_code == 403 else response

    change_answers(monkeypatch, filtered)
    with stage() as it:
        it.world.emulator.add_fault(Fault(FaultKind.STATUS, "POST", "/v1/files", status=403))

        async def story() -> None:
            it.write(b"a.txt", b"one")
            await asyncio.sleep(5.0)
            it.write(b"b.txt", b"two")
            await asyncio.sleep(20.0)
            assert sum(each is not None for each in ids(it)) == 1
            await asyncio.sleep(HOUR + 60.0)
            assert None not in ids(it)

        it.play(story)
