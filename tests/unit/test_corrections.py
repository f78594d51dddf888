"""What a listing knows better than the index is taken over by the audit."""

from dataclasses import replace

import pytest

from auditing import LAG, Scene
from fileferry.index import leaving
from index_rows import NOW


def ends(scene: Scene) -> list[tuple[float | None, float | None]]:
    """Return when ids end, and when their renewals are due."""
    return scene.db.execute(
        "SELECT expires_at, renew_at FROM remote JOIN content ON content.id = content_id ORDER BY remote.id"
    ).fetchall()


def say(scene: Scene, expires_at: int | None, *file_ids: str) -> None:
    """Have the listing say when files end, all of them or some."""
    scene.shelf.files = [
        replace(file, expires_at=expires_at)
        if file.file_id in (file_ids or {file.file_id})
        else file
        for file in scene.shelf.files
    ]


def test_an_end_that_the_upload_did_not_tell_is_learned_and_its_renewal_planned(
    scene: Scene,
) -> None:
    scene.synced("one")
    assert ends(scene) == [(None, None)]
    say(scene, int(NOW) + 8_000)
    scene.audit()
    assert ends(scene) == [(NOW + 8_000, NOW + 6_000)]
    assert ("info", "ends_learned", None) in scene.notes.said


def test_an_end_that_is_another_now_is_learned(scene: Scene) -> None:
    scene.synced("one", life=4_000)
    say(scene, int(NOW) + 8_000)
    scene.audit()
    assert ends(scene) == [(NOW + 8_000, NOW + 6_000)]


def test_each_id_ends_as_the_listing_says_and_what_is_as_recorded_is_no_news(scene: Scene) -> None:
    scene.synced("one", "two", life=4_000)
    scene.audit()
    assert "ends_learned" not in [event for _, event, _ in scene.notes.said]
    say(scene, int(NOW) + 8_000, "two")
    scene.audit()
    assert ends(scene) == [(NOW + 4_000, None), (NOW + 8_000, NOW + 6_000)]


def test_what_is_on_its_way_out_ends_as_it_was_recorded(scene: Scene) -> None:
    scene.synced("one", life=4_000)
    scene.db.execute("UPDATE remote SET state = 'retiring'")
    say(scene, int(NOW) + 8_000)
    scene.audit()
    assert ends(scene) == [(NOW + 4_000, None)]


def test_a_listing_that_says_nothing_of_an_end_changes_nothing(scene: Scene) -> None:
    scene.synced("one", life=4_000)
    before = ends(scene)
    say(scene, None)
    scene.audit()
    assert ends(scene) == before


def test_no_renewal_is_planned_of_what_no_path_needs(scene: Scene) -> None:
    scene.synced("one")
    scene.db.execute("DELETE FROM entry")
    say(scene, int(NOW) + 8_000)
    scene.audit()
    assert ends(scene) == [(NOW + 8_000, None)]


def delete(scene: Scene, *, proof: str = "proven") -> None:
    """The answer said that it was deleted."""
    scene.db.execute("UPDATE remote SET proof = ?", (proof,))
    (remote_id,) = scene.db.execute("SELECT id FROM remote").fetchone()
    leaving.end_delete(scene.db, remote_id, now=scene.story.now)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(4 * LAG, "deleted"), (4 * LAG + 1, "deleting")],
)
def test_what_is_listed_long_after_its_delete_is_deleted_again(
    scene: Scene, seconds: float, state: str
) -> None:
    scene.synced("one")
    delete(scene)
    scene.story.now += seconds
    scene.audit()
    assert [row[0] for row in scene.db.execute("SELECT state FROM remote")] == [state]
    told = ("warning", "still_there", "one") in scene.notes.said
    assert told == (state == "deleting")
    due = scene.db.execute("SELECT delete_at, ended_at FROM remote").fetchone()
    assert state == "deleted" or due == (scene.story.now, None)


def test_only_what_was_deleted_is_deleted_again(scene: Scene) -> None:
    scene.synced("one", "two", "three")
    scene.vanish("two")
    delete(scene)
    scene.db.execute(
        "UPDATE remote SET state = 'lost', ended_at = ? WHERE file_id = 'three'", (NOW,)
    )
    scene.story.now += 100 * LAG
    scene.audit()
    found = dict(scene.db.execute("SELECT file_id, state FROM remote").fetchall())
    assert found == {"one": "deleting", "two": "lost", "three": "retiring"}


def test_what_is_not_listed_any_more_stays_deleted(scene: Scene) -> None:
    scene.synced("one")
    delete(scene)
    scene.vanish("one")
    scene.story.now += 100 * LAG
    scene.audit()
    assert [row[0] for row in scene.db.execute("SELECT state FROM remote")] == ["deleted"]


def test_what_is_not_proven_ours_is_not_deleted_again(scene: Scene) -> None:
    scene.synced("one")
    delete(scene, proof="matched")
    scene.story.now += 100 * LAG
    scene.audit()
    assert [row[0] for row in scene.db.execute("SELECT state FROM remote")] == ["deleted"]


def test_an_audit_tells_of_ids_that_ran_out_and_of_none_where_none_did(scene: Scene) -> None:
    told = ("warning", "ids_ran_out", None)
    scene.synced("one", life=100)
    scene.audit()
    assert told not in scene.notes.said
    scene.vanish("one")
    scene.story.now += 101
    scene.audit()
    assert scene.notes.said.count(told) == 1
