"""The options of `fileferry emulator`."""

import argparse

import pytest

from fileferry.cli import emulator


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    emulator.configure(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("text", "rate"), [("40MiB", 40 * 1024**2), ("500KB", 500_000), ("1000", 1000), ("0.5", 0.5)]
)
def test_a_bandwidth_is_a_size(text: str, rate: float) -> None:
    assert parse("--bandwidth", text).bandwidth == rate


@pytest.mark.parametrize("text", ["fast", "40 potatoes", "-3", ""])
def test_anything_else_is_no_bandwidth(text: str) -> None:
    with pytest.raises(argparse.ArgumentError, match="is no size"):
        parse("--bandwidth=" + text)
