"""A short soak: what `python tests/soak/soak.py` does for long."""

from pathlib import Path

import pytest

from soak.soak import soak

KILLS = 25


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_and_lost_answers_lose_nothing_and_leak_nothing(tmp_path: Path) -> None:
    figures = soak(tmp_path, kills=KILLS, seed=25)
    print(figures)
    assert figures.kills == KILLS
    assert figures.uploads_stored > KILLS, "too little happened to prove anything"
    assert figures.dropped_upload_answers > 0
    assert figures.duplicates == 0
