"""What is to be sent: what stands down while nobody can give its bytes, and what calls it again."""

import sqlite3

import pytest

from fileferry.index import contents, entries, folders, remotes, wants
from fileferry.model import RetireReason
from index_rows import NOW, Story

HOUR = 3_600.0


def renewals(story: Story) -> list[int]:
    """Return the contents whose renewal would begin now."""
    due = wants.due(story.db, now=story.now, server_now=story.now, limit=9, busy=frozenset())
    return [want.content_id for want in due if want.renewal]


def near_its_end(story: Story, path: bytes = b"a.txt") -> int:
    content_id = story.read(path, b"one")
    story.answer(content_id, "file-1", expires_at=int(NOW) + 900)
    contents.plan_renewal(story.db, content_id, NOW)
    return content_id


def unreadable(story: Story, path: bytes = b"a.txt") -> None:
    entries.darkened(story.db, story.folder_id, path, "permission denied")


def test_a_renewal_is_due_when_its_id_nears_its_end(story: Story) -> None:
    content_id = near_its_end(story)
    assert renewals(story) == [content_id]


def test_a_renewal_stands_down_for_an_hour_while_nobody_can_give_its_bytes(story: Story) -> None:
    content_id = near_its_end(story)
    unreadable(story)
    assert renewals(story) == []
    story.db.execute("UPDATE entry SET state = 'synced'")
    story.now += HOUR - 1
    assert renewals(story) == []
    story.now += 1
    assert renewals(story) == [content_id]


def test_a_whole_scan_calls_it_before_that(story: Story) -> None:
    content_id = near_its_end(story)
    folders.set_halt(story.db, story.folder_id, "gone")
    assert renewals(story) == []
    wants.call_again(story.db, story.folder_id, now=story.now)
    assert renewals(story) == []  # still halted
    folders.set_halt(story.db, story.folder_id, None)
    other = folders.add(story.db, name="other", root=b"/other")
    wants.call_again(story.db, other, now=story.now)
    assert renewals(story) == []  # not in that folder
    wants.call_again(story.db, story.folder_id, now=story.now)
    assert renewals(story) == [content_id]


def test_so_does_a_path_that_can_be_read_again(story: Story) -> None:
    content_id = near_its_end(story)
    unreadable(story)
    assert renewals(story) == []
    story.db.execute("UPDATE entry SET state = 'synced'")
    wants.call_renewal(story.db, content_id)
    assert renewals(story) == [content_id]


def test_what_failed_for_another_reason_is_not_called_by_a_scan(story: Story) -> None:
    content_id = near_its_end(story)
    wants.put_off(story.db, content_id, until=NOW + 300, error="refused")
    wants.call_again(story.db, story.folder_id, now=story.now)
    wants.call_renewal(story.db, content_id)
    assert renewals(story) == []


def test_but_by_a_retry(story: Story) -> None:
    content_id = near_its_end(story)
    wants.put_off(story.db, content_id, until=NOW + 300, error="refused")
    assert entries.retry(story.db, story.folder_id, b"elsewhere", now=story.now) == 0
    assert renewals(story) == []
    assert entries.retry(story.db, story.folder_id, b"a.txt", now=story.now) == 1
    assert renewals(story) == [content_id]


@pytest.mark.parametrize("few_share", [0, 8], ids=["few of many", "all"])
def test_what_lies_ahead_is_told_in_groups_of_what_is_due_together_and_lives_alike(
    story: Story, few_share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wants, "FEW_SHARE", few_share)
    for number, (due_in, life) in enumerate([(10, 3_600), (50, 3_600), (20, 86_400), (4_000, 10)]):
        content_id = story.read(b"%d" % number, b"%d" % number)
        story.answer(content_id, f"old-{number}", expires_at=int(NOW) + life)
        story.answer(content_id, f"file-{number}", expires_at=int(NOW) + life)
        contents.plan_renewal(story.db, content_id, NOW + due_in)
        created_at = NOW + due_in - life + 900  # so that it was due 900 s before its end
        story.db.execute(
            "UPDATE remote SET created_at = ? WHERE content_id = ?", (created_at, content_id)
        )
    assert wants.renewable(story.db) == 4
    base = NOW - NOW % 100  # where a grain begins
    ahead = wants.renewals_ahead(story.db, until=NOW + 3_000, grain=100.0)
    assert base == NOW
    assert sorted(ahead) == [(NOW + 20, 85_500.0, 1), (NOW + 50, 2_700.0, 2)]


def test_what_was_put_off_does_not_lie_ahead(story: Story) -> None:
    content_id = near_its_end(story)
    contents.plan_renewal(story.db, content_id, NOW + 1)
    assert len(wants.renewals_ahead(story.db, until=NOW + 1, grain=60.0)) == 1
    wants.put_off(story.db, content_id, until=NOW + 300, error="refused")
    assert wants.renewals_ahead(story.db, until=NOW + 1, grain=60.0) == []


def test_early_is_only_what_is_due_soon_and_by_no_more_than_a_share_of_its_interval(
    story: Story,
) -> None:
    content_id = story.read(b"a.txt", b"one")
    story.answer(content_id, "file-1", expires_at=int(NOW) + 3_600)
    contents.plan_renewal(story.db, content_id, NOW + 2_700)
    story.now += 2_430  # a tenth of its interval before it is due

    def chosen(until: float, share: float) -> bool:
        return bool(
            wants.due(
                story.db,
                now=story.now,
                server_now=story.now,
                limit=9,
                busy=frozenset(),
                early_until=until,
                early_share=share,
            )
        )

    assert chosen(NOW + 2_700, 0.1)
    assert not chosen(NOW + 2_699, 0.1)
    assert not chosen(NOW + 2_700, 0.09)
    assert not chosen(float("-inf"), 1.0)


def test_the_life_that_is_left_is_that_of_the_id_that_answers(story: Story) -> None:
    content_id = near_its_end(story)
    assert wants.life_left(story.db, content_id, server_now=NOW + 100) == 800
    story.answer(content_id, "file-2", expires_at=int(NOW) + 5_000)
    assert wants.life_left(story.db, content_id, server_now=NOW) == 5_000


def test_an_id_that_never_ends_has_all_the_time(story: Story) -> None:
    content_id = story.sync(b"a.txt", b"one", "file-1")
    assert wants.life_left(story.db, content_id, server_now=NOW) == float("inf")
    remotes.lose(story.db, "file-1", now=story.now)
    assert wants.life_left(story.db, content_id, server_now=NOW) == float("inf")


def reason(db: sqlite3.Connection, file_id: str) -> str:
    row = db.execute("SELECT reason FROM remote WHERE file_id = ?", (file_id,)).fetchone()
    return str(row[0])


def test_what_came_too_late_to_be_taken_back_is_replaced_like_any_other(story: Story) -> None:
    content_id = story.read(b"a.txt", b"one")
    story.answer(content_id, "file-1", expires_at=int(NOW) + 100)
    story.sync(b"a.txt", b"two", "file-2")
    assert reason(story.db, "file-1") == RetireReason.CHANGED
    story.read(b"b.txt", b"one")
    assert not contents.facts(story.db, content_id, server_now=NOW).revivable
    story.answer(content_id, "file-3")
    assert reason(story.db, "file-1") == RetireReason.RENEWED
    assert reason(story.db, "file-2") != RetireReason.RENEWED
