"""Slices of a file, and the survey beside them: the same bytes, or an error."""

import hashlib
import os
from pathlib import Path

import pytest
import xxhash

from fileferry.errors import SourceChanged
from fileferry.local.reader import Source, open_source
from fileferry.local.slices import Slice, Survey

CONTENT = bytes(range(256)) * 5_000


def opened(tmp_path: Path, algorithm: str = "xxh3_128") -> Source:
    (tmp_path / "f").write_bytes(CONTENT)
    return open_source(os.fsencode(tmp_path), b"f", algorithm=algorithm)


def test_a_slice_gives_its_bytes_and_their_digest(tmp_path: Path) -> None:
    with opened(tmp_path) as source:
        body = Slice(source, 1_000, 500_000)
        pieces = []
        while piece := body.read(70_001):
            pieces.append(piece)
        assert b"".join(pieces) == CONTENT[1_000:501_000]
        assert body.tell() == 500_000
        assert body.digest() == xxhash.xxh3_128(CONTENT[1_000:501_000]).hexdigest()


def test_a_slice_may_be_measured_and_read_again(tmp_path: Path) -> None:
    with opened(tmp_path) as source:
        body = Slice(source, 10, 20)
        assert (body.seek(0, os.SEEK_END), body.seek(0)) == (20, 0)
        body.read(7)
        body.seek(0)
        assert body.read() == CONTENT[10:30]
        assert body.digest() == xxhash.xxh3_128(CONTENT[10:30]).hexdigest()


def test_half_a_slice_has_no_digest(tmp_path: Path) -> None:
    with opened(tmp_path) as source:
        body = Slice(source, 0, 20)
        body.read(10)
        with pytest.raises(SourceChanged):
            body.digest()


@pytest.mark.parametrize("algorithm", ["xxh3_128", "sha256"])
def test_a_survey_finds_the_digests_of_the_parts_and_of_all(tmp_path: Path, algorithm: str) -> None:
    with opened(tmp_path, algorithm) as source:
        survey = Survey(source, algorithm)
        sizes = (700_000, len(CONTENT) - 700_000)
        parts = [survey.take(size) for size in sizes]
        digest, md5 = survey.finish()
        bodies = [Slice(source, 0, sizes[0]), Slice(source, sizes[0], sizes[1])]
        for body in bodies:
            body.read(sizes[0])
        assert parts == [body.digest() for body in bodies]
        whole = (xxhash.xxh3_128 if algorithm == "xxh3_128" else hashlib.sha256)(CONTENT)
        assert digest == f"{algorithm}:{whole.hexdigest()}"
        assert md5 == hashlib.md5(CONTENT).hexdigest()


def test_a_survey_of_a_file_that_moved_finds_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as source:
        survey = Survey(source, "xxh3_128")
        survey.take(len(CONTENT))
        os.utime(tmp_path / "f", ns=(1, 1))
        with pytest.raises(SourceChanged):
            survey.finish()
    with opened(tmp_path) as source:
        survey = Survey(source, "xxh3_128")
        survey.take(10)
        os.truncate(tmp_path / "f", 100)
        with pytest.raises(SourceChanged, match="shorter"):
            survey.take(1_000)
