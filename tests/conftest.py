"""What all tests share: how thorough they are, and so how quick.

`pytest` by itself is for every save: it forks processes instead of starting them, keeps files in memory, runs tests
side by side, and tries few examples of each property. `pytest --thorough`, for CI, does nothing of that.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

import processes

MEMORY, ROOM_BYTES = "/dev/shm", 2 * 1024**3

settings.register_profile("quick", max_examples=20)
settings.register_profile("thorough", max_examples=100)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="as in CI: new interpreters, a real disk, one test at a time, more examples",
    )


def pytest_configure(config: pytest.Config) -> None:
    is_thorough = config.getoption("thorough")
    settings.load_profile("thorough" if is_thorough else "quick")
    if not is_thorough and _has_room(MEMORY):
        tempfile.tempdir = os.environ["TMPDIR"] = MEMORY


def _has_room(directory: str) -> bool:
    return os.path.isdir(directory) and shutil.disk_usage(directory).free > ROOM_BYTES


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share out the tests of every save; what somebody chose has begun before workers would have.

    One more worker than processors: many tests wait for something, most of the time.
    """
    is_all = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    is_for_every_save = is_all and config.option.markexpr.startswith("not slow")
    return (
        (os.cpu_count() or 1) + 1 if is_for_every_save and not config.getoption("thorough") else 0
    )


@pytest.fixture(scope="session")
def is_thorough(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("thorough"))


@pytest.fixture(scope="session", autouse=True)
def forked_processes(is_thorough: bool) -> Iterator[None]:
    with contextlib.nullcontext() if is_thorough else processes.forking():
        yield


@pytest.fixture(scope="session")
def empty_directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("empty"))


@pytest.fixture(autouse=True)
def no_certificates(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, empty_directory: str
) -> None:
    """Spare every client the 30 ms that loading the world's certificates takes: here all is plain HTTP."""
    if request.node.get_closest_marker("live") is None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.setenv("SSL_CERT_DIR", empty_directory)
