"""Differences to decisions: every finding, and every way to an id."""

import dataclasses

import pytest

from fileferry.model import (
    Absent,
    ContentFacts,
    Entry,
    EntryState,
    Folder,
    Found,
    Ignored,
    Present,
    Stamp,
    Unreadable,
    Unsettled,
)
from fileferry.plan import reconcile, rules

NOW = 1_000.0
FOLDER = Folder("docs", b"/docs")
STAMP = Stamp(3, 1, 1, 1, 1)
ENTRY = Entry(
    folder_id=1,
    path=b"a.txt",
    stamp=Stamp(9, 9, 9, 9, 9),
    state=EntryState.PENDING,
    held_id=None,
    want_id=None,
    due_at=None,
    seen_at=0.0,
    unsettled_at=None,
    absent=False,
    attempts=0,
    approved=False,
)
KEY = rules.content_key(FOLDER, b"a.txt", digest="xxh3_128:00", size=3)


def decide(found: Found, *, folder: Folder = FOLDER, attempts: int = 0) -> reconcile.Decision:
    entry = dataclasses.replace(ENTRY, attempts=attempts)
    return reconcile.decide(entry, found, folder, now=NOW, multipart=False)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            Present(STAMP, "xxh3_128:00"), reconcile.Place(KEY, STAMP, None), id="bytes that rest"
        ),
        pytest.param(
            Present(STAMP, "xxh3_128:00", racy=True),
            reconcile.Place(KEY, STAMP, NOW + 2.0),
            id="bytes so young that they are looked at again",
        ),
        pytest.param(
            Present(STAMP, "xxh3_128:00", problem="line 3 is not JSON"),
            reconcile.Reject(STAMP, "line 3 is not JSON"),
            id="bytes that are wrong for their purpose",
        ),
        pytest.param(Unsettled(STAMP, NOW + 5), reconcile.Wait(STAMP, NOW + 5), id="still moving"),
        pytest.param(
            Unsettled(STAMP, NOW - 5), reconcile.Wait(STAMP, NOW), id="about to have rested"
        ),
        pytest.param(Absent(), reconcile.Vanish(), id="proven gone"),
        pytest.param(Ignored(), reconcile.Disregard(), id="ignored now"),
    ],
)
def test_what_was_found_decides(found: Found, expected: reconcile.Decision) -> None:
    assert decide(found) == expected


def test_an_empty_file_is_rejected_with_the_reason() -> None:
    decision = decide(Present(dataclasses.replace(STAMP, size=0), ""))
    assert isinstance(decision, reconcile.Reject)
    assert "empty" in decision.reason


def test_the_limits_go_before_what_the_lines_say() -> None:
    batch = Folder("docs", b"/docs", purpose="batch")
    decision = decide(Present(STAMP, "", problem="there is no request in it"), folder=batch)
    assert isinstance(decision, reconcile.Reject)
    assert "takes only .jsonl" in decision.reason


def test_what_cannot_be_read_is_kept_and_looked_at_less_and_less_often() -> None:
    waits = []
    for attempts in (0, 1, 5, 50):
        decision = decide(Unreadable("permission denied"), attempts=attempts)
        assert isinstance(decision, reconcile.Suspect)
        assert decision.reason == "permission denied"
        waits.append(decision.until - NOW)
    assert waits == [0.5, 1.0, 16.0, 300.0]


@pytest.mark.parametrize("in_flight", [False, True])
@pytest.mark.parametrize("revivable", [False, True])
@pytest.mark.parametrize("live", [False, True])
def test_a_path_gets_its_id_the_cheapest_way(live: bool, revivable: bool, in_flight: bool) -> None:
    way = reconcile.place(ContentFacts(live=live, revivable=revivable, in_flight=in_flight))
    if live:
        assert way == reconcile.Link()
    elif revivable:
        assert way == reconcile.Revive()
    elif in_flight:
        assert way == reconcile.Await()
    else:
        assert way == reconcile.Upload()
