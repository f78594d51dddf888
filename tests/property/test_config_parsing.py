"""What must hold for any configuration, not only for those that somebody thought of."""

from __future__ import annotations

import os
import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fileferry.config import schema, source, template, units
from fileferry.config.lines import key_lines
from fileferry.config.load import Config, from_table
from fileferry.errors import ConfigError

HOME = {"HOME": "/home/ada"}
PATH = "/etc/fileferry/config.toml"

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
PLAUSIBLE = st.sampled_from(
    ["", "0", "1h", "90s", "7d", "never", "10GiB", "off", "content", "{name}", "{suffix}", "batch",
     "/srv", "~", "~nobody-here", "docs", "https://a/v1", "http://[", "inside", "sha256", "\0"]
)  # fmt: skip
SCALARS = st.one_of(
    st.none().map(lambda _: True), st.booleans(), st.integers(), st.floats(), TEXT, PLAUSIBLE,
    st.dates(), st.times(), st.datetimes(),
)  # fmt: skip
NAMES = st.one_of(
    TEXT,
    st.sampled_from(
        sorted({key.name for key in schema.KEYS} | {"remote", "state", "folder", "rule", "batch"})
    ),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


def section(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Make a table whose keys are right and whose values often are."""
    near: dict[str, st.SearchStrategy[Any]] = {}
    for key in schema.keys_of(name).values():
        is_given = key.default not in (schema.REQUIRED, schema.INHERITED)
        near[key.name] = (st.just(key.default) if is_given else PLAUSIBLE) | SCALARS
    if name == "folder":
        near["rule"] = st.lists(section("folder.rule"), max_size=2) | VALUES
    return st.fixed_dictionaries({}, optional=near)


def refuse_ugly(error: ConfigError) -> None:
    assert error.message
    assert error.message.replace("\n", "").isprintable()


def is_part(name: str) -> bool:
    return name not in {"", ".", ".."} and not set(name) & set("/\0")


FILES = st.fixed_dictionaries(
    {},
    optional={
        "remote": section("remote") | VALUES,
        "state": section("state") | VALUES,
        "folder": st.lists(section("folder"), max_size=3) | VALUES,
    },
)


@settings(deadline=None)
@given(table=FILES | st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_table_loads_or_is_refused(table: dict[str, Any]) -> None:
    try:
        config = from_table(table, PATH, HOME)
    except ConfigError as error:
        refuse_ugly(error)
    else:
        assert isinstance(config, Config)
        for key, value, origin in config.explain():
            assert key
            assert value.isprintable()
            assert origin


@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\r")))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    key_lines(text)
    try:
        source.parse(text, PATH)
    except ConfigError as error:
        refuse_ugly(error)


VARIABLES = st.sampled_from([key.variable for key in schema.KEYS if key.variable])
TEXT_WITHOUT_NUL = st.text(st.characters(exclude_characters="\0"), max_size=20)


@settings(deadline=None)
@given(
    variables=st.dictionaries(
        VARIABLES, TEXT_WITHOUT_NUL | PLAUSIBLE.filter(lambda one: one != "\0")
    )
)
def test_any_environment_loads_or_is_refused(variables: dict[str, str]) -> None:
    try:
        from_table({}, PATH, HOME | variables)
    except ConfigError as error:
        refuse_ugly(error)


@settings(deadline=None)
@given(milliseconds=st.integers(0, 3650 * 86_400_000))
def test_durations_come_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert units.parse_duration(units.format_duration(seconds)) == seconds


@settings(deadline=None)
@given(count=st.integers(0, 2**62))
def test_sizes_come_back(count: int) -> None:
    assert units.parse_size(units.format_size(count)) == count


@settings(deadline=None)
@given(parts=st.lists(TEXT.filter(is_part), min_size=1))
def test_a_template_loads_for_any_directory(parts: list[str]) -> None:
    directory = "/" + "/".join(parts)
    text = template.render(directory, template.name_for(directory))
    config = from_table(tomllib.loads(text), PATH, HOME, lines=key_lines(text))
    assert config.folders[0].root == os.fsencode(directory)


@settings(deadline=None)
@given(parts=st.lists(TEXT.filter(is_part), min_size=1))
def test_a_template_loads_for_any_relative_directory(parts: list[str]) -> None:
    directory = "/".join(parts)
    text = template.render(directory, "docs")
    config = from_table(tomllib.loads(text), PATH, HOME)
    assert config.folders[0].root == os.fsencode(f"/etc/fileferry/{directory}")
