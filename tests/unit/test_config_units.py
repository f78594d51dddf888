"""Durations and sizes."""

from __future__ import annotations

import pytest

from fileferry.config import units

NO_REASON_OR_ONE = "^(a unit is missing|longer than|larger than|$)"


class TestUnits:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("90s", 90), ("10m", 600), ("2h", 7200), ("7d", 604800), ("1h30m", 5400), ("500ms", 0.5),
         ("1m500ms", 60.5), ("0", 0), (0, 0), ("0s", 0)],
    )  # fmt: skip
    def test_durations_are_read(self, text: object, seconds: float) -> None:
        assert units.parse_duration(text) == seconds

    @pytest.mark.parametrize(
        "text",
        ["", "s", "1", 60, "1.5h", "-1s", "1 h", "30m1h", "1h1h", "1w", "1H", "٣s", True, 0.0, [],
         None, "never", "4000d", "1" * 99 + "d"],
    )  # fmt: skip
    def test_anything_else_is_no_duration(self, text: object) -> None:
        with pytest.raises(ValueError, match=NO_REASON_OR_ONE):
            units.parse_duration(text)

    def test_a_bare_number_is_asked_for_its_unit(self) -> None:
        with pytest.raises(ValueError, match="a unit is missing: `60s`, `60m`, `60h` or `60d`"):
            units.parse_duration(60)
        with pytest.raises(ValueError, match="a unit is missing: `64MB`, `64MiB` or `64B`"):
            units.parse_size("64")

    @pytest.mark.parametrize(
        ("text", "count"),
        [("64MiB", 67108864), ("512MB", 512000000), ("10GiB", 10737418240), ("100kB", 100000),
         ("100KB", 100000), ("1KiB", 1024), ("7B", 7), ("0", 0), (0, 0), ("0MB", 0)],
    )  # fmt: skip
    def test_sizes_are_read(self, text: object, count: int) -> None:
        assert units.parse_size(text) == count

    @pytest.mark.parametrize(
        "text", ["", "MB", 64, "64mb", "64 MB", "1.5GiB", "-1B", "9999999TiB", False, 0.0, None]
    )
    def test_anything_else_is_no_size(self, text: object) -> None:
        with pytest.raises(ValueError, match=NO_REASON_OR_ONE):
            units.parse_size(text)

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(None, "never"), (0, "0s"), (604800, "7d"), (90, "90s"), (0.5, "500ms")],
    )
    def test_durations_are_written(self, seconds: float | None, text: str) -> None:
        assert units.format_duration(seconds) == text

    @pytest.mark.parametrize(
        ("count", "text"), [(0, "0"), (10737418240, "10GiB"), (512000000, "512MB"), (7, "7B")]
    )
    def test_sizes_are_written(self, count: int, text: str) -> None:
        assert units.format_size(count) == text
