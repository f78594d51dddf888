"""One box for all system tests, and an instance of the service for each test that asks for one."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from system.box import Box, make_wheels
from system.instance import Instance


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this directory; booting and installing belongs to the first test's time."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    if os.geteuid() != 0:
        # By hand alone: in `.ci/run` a skip is a failure.
        pytest.skip("only root may make the namespaces that a systemd lives in")
    directory = tmp_path_factory.mktemp("box")
    wheels = make_wheels(directory)
    box = Box(directory / "sd")
    try:
        box.up()
        box.install(wheels)
        box.start_emulator()
        yield box
    finally:
        box.down()


@pytest.fixture
def make(box: Box, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Instance]]:
    made: list[Instance] = []

    def make(suffix: str = "") -> Instance:
        words = request.node.name.removeprefix("test_")
        name = re.sub(r"[^a-z0-9]+", "-", words.lower())[:40].strip("-") + suffix
        made.append(Instance(box, name))
        return made[-1]

    yield make
    for instance in made:
        instance.systemctl("stop", check=False)
        instance.systemctl("reset-failed", check=False)


@pytest.fixture
def instance(make: Callable[[str], Instance]) -> Instance:
    return make("")
