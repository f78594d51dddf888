"""What `check` says of one path, as tables."""

from dataclasses import replace

import pytest

from fileferry.model import EntryState, RemoteFile, Stamp
from fileferry.plan.comparison import Known, by_bytes, by_stamp, is_worth_reading, of_remote

HERE = Stamp(5, 1, 1, 1, 1)
THERE = replace(HERE, ctime_ns=2)
KNOWN = Known(HERE, EntryState.SYNCED, "file-1", "xxh3_128:aa", 5, None, absent=False)


@pytest.mark.parametrize(
    ("known", "stamp", "symbol"),
    [
        pytest.param(KNOWN, HERE, "=", id="unchanged"),
        pytest.param(KNOWN, THERE, "*", id="changed since"),
        pytest.param(replace(KNOWN, file_id=None), HERE, "!", id="its remote file is lost"),
        pytest.param(replace(KNOWN, absent=True), HERE, "*", id="it was gone and is back"),
        pytest.param(replace(KNOWN, state=EntryState.PENDING), HERE, "+", id="not uploaded yet"),
        pytest.param(replace(KNOWN, state=EntryState.STALE), HERE, "*", id="older version"),
        pytest.param(replace(KNOWN, state=EntryState.REJECTED), HERE, "!", id="rejected"),
        pytest.param(
            replace(KNOWN, state=EntryState.REJECTED), THERE, "*", id="changed since that"
        ),
        pytest.param(replace(KNOWN, state=EntryState.ERROR), HERE, "!", id="could not be sent"),
        pytest.param(replace(KNOWN, state=EntryState.UNKNOWN), HERE, "?", id="could not be read"),
        pytest.param(replace(KNOWN, state=EntryState.KEPT), THERE, "=", id="kept by decision"),
        pytest.param(replace(KNOWN, state=EntryState.IGNORED), HERE, "+", id="ignored no more"),
    ],
)
def test_a_path_by_its_stamp(known: Known, stamp: Stamp, symbol: str) -> None:
    assert by_stamp(known, stamp).symbol == symbol


@pytest.mark.parametrize(
    ("known", "stamp", "digest", "symbol", "silent"),
    [
        pytest.param(KNOWN, HERE, "xxh3_128:aa", "=", False, id="the same bytes"),
        pytest.param(KNOWN, THERE, "xxh3_128:aa", "=", False, id="touched"),
        pytest.param(KNOWN, HERE, "xxh3_128:bb", "*", True, id="nothing but the bytes changed"),
        pytest.param(KNOWN, THERE, "xxh3_128:bb", "*", False, id="changed, as its stamp says"),
        pytest.param(
            replace(KNOWN, file_id=None), HERE, "xxh3_128:aa", "!", False, id="the same, and lost"
        ),
    ],
)
def test_a_path_by_its_bytes(
    known: Known, stamp: Stamp, digest: str, symbol: str, silent: bool
) -> None:
    actual = by_bytes(known, stamp, digest)
    assert (actual.symbol, actual.silent) == (symbol, silent)


def test_what_has_nothing_to_be_compared_with_is_not_read() -> None:
    assert is_worth_reading(KNOWN)
    assert not is_worth_reading(replace(KNOWN, digest=None))
    assert not is_worth_reading(replace(KNOWN, state=EntryState.KEPT))


FILE = RemoteFile("file-1", "a.txt", 5, "user_data", 1, 100)


@pytest.mark.parametrize(
    ("listed", "is_proven", "symbol", "word"),
    [
        pytest.param(FILE, True, "=", "", id="as recorded"),
        pytest.param(FILE, False, "?", "matched", id="as recorded, but not proven"),
        pytest.param(replace(FILE, name="b"), True, "*", "name", id="another name"),
        pytest.param(replace(FILE, size=6), True, "*", "size", id="another size"),
        pytest.param(replace(FILE, size=None), True, "=", "", id="no size is told"),
        pytest.param(replace(FILE, expires_at=99), True, "*", "expires_at", id="another expiry"),
        pytest.param(replace(FILE, purpose="vision"), False, "*", "purpose", id="another purpose"),
    ],
)
def test_a_remote_file(listed: RemoteFile, is_proven: bool, symbol: str, word: str) -> None:
    actual = of_remote(FILE, listed, is_proven=is_proven)
    assert actual.symbol == symbol
    assert word in actual.detail
