"""What a listing says of an upload whose answer was lost."""

import pytest

from fileferry.model import Proof, RemoteFile
from fileferry.plan.settlement import Found, Missing, ended_at, heard, settle

OPENED = 10_000
LIFE = 86_000


def file(
    file_id: str = "file-1",
    *,
    created_at: int = OPENED + 1,
    life: int | None = LIFE,
    purpose: str = "user_data",
) -> RemoteFile:
    expires_at = None if life is None else created_at + life
    return RemoteFile(file_id, "a.txt", 3, purpose, created_at, expires_at)


def verdict(
    *files: RemoteFile,
    life: int | None = LIFE,
    listed_after: float = 0.0,
    absences: int = 0,
    lasted: float = 200.0,
) -> Found | Missing:
    ended_at = OPENED + lasted
    return settle(
        files,
        opened_at=OPENED,
        ended_at=ended_at,
        listed_at=ended_at + listed_after,
        expires_seconds=life,
        absences=absences,
        list_lag_seconds=60.0,
    )


def test_a_file_with_the_nonce_is_proven_ours() -> None:
    assert verdict(file()) == Found(file(), Proof.PROVEN)


def test_a_file_of_another_host_has_another_nonce() -> None:
    assert verdict(file("theirs", life=LIFE - 1)) == Missing(final=False)
    found = verdict(file("theirs", life=LIFE + 1), file("ours"))
    assert found == Found(file("ours"), Proof.PROVEN)


def test_a_file_that_never_expires_does_not_show_the_nonce() -> None:
    assert verdict(file(life=None)) == Missing(final=False)


def test_a_file_that_was_there_before_is_not_what_was_sent() -> None:
    assert verdict(file(created_at=OPENED - 31)) == Missing(final=False)
    assert verdict(file(created_at=OPENED - 31, life=None), life=None) == Missing(final=False)


def test_the_clock_of_the_server_may_be_off_a_little() -> None:
    assert verdict(file(created_at=OPENED - 30)) == Found(
        file(created_at=OPENED - 30), Proof.PROVEN
    )


def test_without_an_expiry_the_oldest_alike_is_matched_and_nothing_is_proven() -> None:
    older, younger = file("older", life=None), file("younger", created_at=OPENED + 9, life=None)
    assert verdict(younger, older, life=None) == Found(older, Proof.MATCHED)


def test_without_an_expiry_a_file_that_expires_is_somebody_else_s() -> None:
    assert verdict(file(), life=None) == Missing(final=False)


def test_but_files_of_purpose_batch_expire_by_themselves() -> None:
    batch = file(life=2_592_000, purpose="batch")
    assert verdict(batch, life=None) == Found(batch, Proof.MATCHED)


@pytest.mark.parametrize(
    ("listed_after", "absences", "final"),
    [
        pytest.param(0.0, 0, False, id="the first listing proves nothing"),
        pytest.param(999.0, 0, False, id="however late it is"),
        pytest.param(
            61.9, 1, False, id="nor do two within the lag, and the grain of the server's clock"
        ),
        pytest.param(62.0, 1, True, id="the second one, after the lag, does"),
        pytest.param(62.0, 9, True, id="and any later one"),
    ],
)
def test_missing_is_final_after_two_listings(
    listed_after: float, absences: int, final: bool
) -> None:
    assert verdict(listed_after=listed_after, absences=absences) == Missing(final=final)


def test_without_a_nonce_a_file_made_after_the_call_was_over_is_somebody_elses() -> None:
    ours = file(created_at=OPENED + 230, life=None)
    theirs = file(created_at=OPENED + 231, life=None)
    assert verdict(theirs, life=None, lasted=200.0) == Missing(final=False)
    assert verdict(theirs, ours, life=None, lasted=200.0) == Found(ours, Proof.MATCHED)


@pytest.mark.parametrize(
    ("lasted", "expected"),
    [
        pytest.param(0.0, 0.0, id="no time"),
        pytest.param(200.0, 200.0, id="some minutes"),
        pytest.param(4_500.0, 4_500.0, id="the longest that a call may last"),
        pytest.param(4_501.0, 4_500.0, id="longer than any call lasts"),
        pytest.param(-0.5, 4_500.0, id="less than no time: the clock was set"),
        pytest.param(-3_600.0, 4_500.0, id="set back by an hour"),
    ],
)
def test_a_call_was_over_after_the_longest_time_where_a_clock_cannot_tell(
    lasted: float, expected: float
) -> None:
    ended = ended_at(opened_at=OPENED, begun_at=50_000.0, unknown_at=50_000.0 + lasted)
    assert ended == OPENED + expected


def test_a_nonce_proves_it_however_late_the_file_was_made() -> None:
    late = file(created_at=OPENED + 9_000)
    assert verdict(late) == Found(late, Proof.PROVEN)


@pytest.mark.parametrize("name", ['a "b".txt', "a %22b%22.txt"])
def test_a_name_with_quotes_is_known_whichever_way_it_comes_back(name: str) -> None:
    assert heard(name) == 'a "b".txt'


@pytest.mark.parametrize("name", ["100%\n.txt", "100%%0A.txt", "100%%0a.txt"])
def test_a_name_that_looks_escaped_is_known_whichever_way_it_comes_back(name: str) -> None:
    assert heard(name) == "100%\n.txt"
