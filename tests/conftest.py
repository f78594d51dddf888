"""What all tests share: how much they try, and how processes of the product are started."""

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import settings

import processes

settings.register_profile("quick", max_examples=30)
settings.register_profile("thorough", max_examples=100)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="as in CI: every process in an interpreter of its own, and more examples of each property",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("thorough" if config.getoption("thorough") else "quick")


@pytest.fixture(scope="session", autouse=True)
def forked_processes(pytestconfig: pytest.Config) -> Iterator[None]:
    is_thorough = pytestconfig.getoption("thorough")
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
