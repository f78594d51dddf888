"""Edges of the planner that only a mutant found out about: each test here has killed one."""

import pytest

from fileferry.model import Dedup, EntryState, Folder, Policy, RemoteFile, Rule, Stamp
from fileferry.plan import adoption, comparison, expiry, guard, parts, renewals, rules, settle

DAY = 86_400


def stamp(changed_at: float) -> Stamp:
    return Stamp(1, 0, round(changed_at * 1e9), 1, 1)


def test_the_guard_looks_back_over_a_day() -> None:
    assert guard.WINDOW_SECONDS == 24 * 60 * 60


def test_the_limits_are_those_that_the_api_documents() -> None:
    assert rules.BATCH_LIMIT_LINES == 50_000
    assert (expiry.LEAST_SECONDS, expiry.MOST_SECONDS) == (3_600, 30 * DAY)


def test_a_short_life_is_renewed_a_quarter_of_an_hour_before_its_end() -> None:
    assert renewals.renew_at(created_at=0, expires_at=1_800) == 900


def test_one_upload_a_minute_is_a_limit_too() -> None:
    assert renewals.per_second(1) == pytest.approx(0.8 / 60)


@pytest.mark.parametrize(
    ("changed_at", "racy"),
    [
        pytest.param(99.98, False, id="exactly as old as the grain"),
        pytest.param(99.981, True, id="a little younger"),
        pytest.param(102.0, True, id="as far ahead as a file server may be"),
        pytest.param(102.001, False, id="a little further"),
    ],
)
def test_both_ends_of_what_is_racy(changed_at: float, racy: bool) -> None:
    assert settle.is_racy(stamp(changed_at), read_at=100.0) == racy


def test_a_change_of_this_moment_counts_from_itself_and_not_from_when_it_was_seen() -> None:
    assert settle.quiet_at(stamp(100.0), seen_at=99.0, now=100.0, settle_seconds=2.0) == 102.0


def test_the_longest_wait_counts_from_the_first_moment_of_unrest() -> None:
    quiet = settle.quiet_at(
        stamp(100.0),
        seen_at=100.0,
        now=100.0,
        settle_seconds=20.0,
        unsettled_at=100.0,
        settle_max_seconds=10.0,
    )
    assert quiet == 110.0


def test_even_a_life_too_short_for_the_api_has_one_nonce_to_pick_from() -> None:
    asked: list[int] = []

    def pick(count: int) -> int:
        asked.append(count)
        return 0

    assert expiry.with_nonce(1, frozenset(), pick) == 3_600
    assert asked == [1]


def test_a_life_is_made_shorter_when_that_just_leaves_the_minimum() -> None:
    life = 3_789  # its nonces go down to exactly an hour
    assert expiry.with_nonce(life, frozenset(), lambda _: 0) == life - 1
    assert expiry.with_nonce(life, frozenset(), lambda count: count - 1) == 3_600


def test_when_every_nonce_is_taken_the_nearest_shorter_life_is_told() -> None:
    taken = frozenset(range(9_500, 10_001))
    assert expiry.with_nonce(10_000, taken, lambda _: 0) == 9_499


def test_a_rule_without_an_expiry_leaves_that_of_the_folder() -> None:
    its = Folder(
        "docs", b"/docs", rules=(Rule("*.md", purpose="vision"),), expires_after_seconds=DAY
    )
    assert rules.policy_for(its, b"a.md") == Policy("vision", DAY, "{name}", Dedup.CONTENT)


@pytest.mark.parametrize("path", [b".git/config", b"node_modules/config", b".ssh/config"])
def test_a_rule_is_also_about_what_is_left_out_by_default(path: bytes) -> None:
    its = Folder("docs", b"/docs", rules=(Rule("config", purpose="vision"),))
    assert rules.policy_for(its, path).purpose == "vision"


def sent_name(path: bytes) -> str:
    return rules.sent_name(Policy("user_data", None, "{name}", Dedup.CONTENT), path, "xxh3_128:00")


def test_an_extension_that_leaves_room_for_one_character_is_one() -> None:
    assert sent_name(b"ab." + b"x" * 253) == "a." + "x" * 253


def test_an_extension_that_leaves_room_for_none_is_cut_like_any_text() -> None:
    assert sent_name(b"ab." + b"x" * 254) == "ab." + "x" * 252


def adopted(*, since: float = 0.0, expires_at: int | None = None) -> bool:
    claims = [adoption.Claim(1, "a.txt", 5, "user_data", since, wanted=True)]
    file = RemoteFile("file-1", "a.txt", 5, "user_data", 1_000, expires_at)
    return bool(adoption.adopt(claims, [file], server_now=1_000.0))


def test_a_path_that_changed_a_second_after_a_file_was_made_may_have_changed_before() -> None:
    assert adopted(since=1_000.999)
    assert not adopted(since=1_001.0)


def test_a_file_that_is_about_to_end_is_not_adopted() -> None:
    assert adopted(expires_at=1_901)
    assert not adopted(expires_at=1_900)


def compared(state: EntryState, error: str | None = None, file_id: str | None = "file-1") -> str:
    known = comparison.Known(stamp(1.0), state, file_id, "xxh3_128:00", 1, error, absent=False)
    return comparison.by_stamp(known, stamp(1.0)).detail


@pytest.mark.parametrize(
    ("state", "file_id", "otherwise"),
    [
        (EntryState.UNKNOWN, "file-1", "could not be read when it was looked at"),
        (EntryState.ERROR, "file-1", "could not be uploaded"),
        (EntryState.SYNCED, None, "its remote file is lost or has expired"),
    ],
)
def test_a_comparison_says_why_as_far_as_known(
    state: EntryState, file_id: str | None, otherwise: str
) -> None:
    assert compared(state, "because", file_id) == "because"
    assert compared(state, None, file_id) == otherwise


def test_a_comparison_tells_an_older_version_from_a_change() -> None:
    assert compared(EntryState.STALE) == "its id holds an older version"


def test_a_byte_a_second_is_a_limit_too() -> None:
    assert parts.fits(3_540, 1)
    assert not parts.fits(3_541, 1)


def forecast(size: int, left_bytes: int, *, left_seconds: float, elapsed: float = 60) -> str:
    moved = round(20 * elapsed)  # 20 bytes a second
    return parts.outlook(
        size=size,
        left_bytes=left_bytes,
        moved_bytes=moved,
        elapsed_seconds=elapsed,
        left_seconds=left_seconds,
    ).name


def test_a_forecast_has_to_miss_by_a_tenth() -> None:
    assert forecast(1_000, 22, left_seconds=61) == "IN_TIME"
    assert forecast(1_000, 23, left_seconds=61) == "START_OVER"


def test_what_just_fits_into_a_whole_life_is_started_over() -> None:
    assert forecast(20 * 3_540, 9_999, left_seconds=30) == "START_OVER"
    assert forecast(20 * 3_540 + 1, 9_999, left_seconds=30) == "TOO_SLOW"


def test_a_rate_that_was_not_watched_long_enough_is_not_believed() -> None:
    assert forecast(10**9, 9_999, left_seconds=30, elapsed=59) == "START_OVER"
