"""How many directories a recursive watch needs, where folders lie inside one another."""

import os
from pathlib import Path

import pytest

from fileferry.local.watch_coverage import count_all, needed_besides, outermost


@pytest.fixture
def tree(tmp_path: Path) -> bytes:
    """Return a root of four directories: itself, `in`, `in/deep` and `other`."""
    os.makedirs(tmp_path / "root/in/deep")
    os.makedirs(tmp_path / "root/other")
    return os.fsencode(tmp_path / "root")


@pytest.mark.parametrize(
    ("roots", "expected"),
    [
        ([], []),
        ([b"/a", b"/b"], [b"/a", b"/b"]),
        ([b"/a", b"/a/b", b"/a/b/c"], [b"/a"]),
        ([b"/a/b/c", b"/a/b", b"/a"], [b"/a"]),
        ([b"/a", b"/a/b", b"/a-b", b"/ab"], [b"/a-b", b"/a", b"/ab"]),
        ([b"/a", b"/a"], [b"/a"]),
        ([b"/", b"/a"], [b"/"]),
    ],
)
def test_a_folder_inside_another_is_covered_by_it(
    roots: list[bytes], expected: list[bytes]
) -> None:
    assert outermost(roots) == expected


def test_a_directory_in_two_folders_is_counted_once(tree: bytes) -> None:
    assert count_all([tree]) == 4
    assert count_all([tree, tree + b"/in"]) == 4
    assert count_all([tree + b"/in", tree + b"/other"]) == 3


def test_what_a_folder_needs_depends_on_what_is_watched_in_any_order(tree: bytes) -> None:
    inner, deep, other = tree + b"/in", tree + b"/in/deep", tree + b"/other"
    assert needed_besides(tree, []) == 4
    assert needed_besides(inner, []) == 2
    assert needed_besides(inner, [tree]) == 0, "a watch of the parent has them already"
    assert needed_besides(tree, [inner]) == 2
    assert needed_besides(tree, [inner, deep, other]) == 1
    assert needed_besides(other, [inner, b"/elsewhere"]) == 1
