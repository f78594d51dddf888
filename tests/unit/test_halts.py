"""Every halt of a root names what lets the work go on."""

import pytest

from fileferry.cli.halts import halt_hint
from fileferry.local.root import RootTrouble


@pytest.mark.parametrize("trouble", list(RootTrouble))
def test_every_trouble_of_a_root_has_a_hint(trouble: RootTrouble) -> None:
    hint = halt_hint(f"{trouble}: `/srv/docs` …", "docs")
    assert hint is not None
    assert "by itself" in hint or "`fileferry accept root docs`" in hint


def test_a_folder_is_named_where_it_is_known() -> None:
    assert "`fileferry accept root`" in str(halt_hint("emptied: …"))
    assert "`fileferry forget docs`" in str(halt_hint("gone: …", "docs"))


def test_what_is_no_halt_has_no_hint() -> None:
    assert halt_hint("something else") is None
