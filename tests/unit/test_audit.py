"""The audit: which ids are gone without our doing, and which ran out."""

import asyncio
from collections.abc import Sequence

import pytest

from auditing import LAG, Scene
from fileferry.daemon.audit import AUDITED_KEY, HALT_ACCEPTED_KEY, Audit
from fileferry.daemon.corrections import lose_expired
from fileferry.daemon.enlist import HALT_KEY
from fileferry.errors import RemoteUnavailable
from fileferry.index import folders, trust
from index_rows import NOW

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
    return lose_expired(scene.db, set(listed), server_now=server_now, now=scene.story.now)


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
