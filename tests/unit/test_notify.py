"""systemd's notification protocol."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fileferry.daemon.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[socket.socket, str]]:
    monkeypatch.chdir(tmp_path)  # the name of a socket has to be short
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = "notify" if request.param == "path" else f"@fileferry-test-{os.getpid()}"
        listener.bind("\0" + name[1:] if name.startswith("@") else name)
        listener.settimeout(5)
        yield listener, name


def test_systemd_is_told_what_happens(listener: tuple[socket.socket, str]) -> None:
    receiver, name = listener
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
    assert notifier.watchdog_seconds == 30.0
    notifier.ready()
    notifier.status("3 in sync\nREADY=1")
    notifier.reloading(17)
    notifier.alive()
    notifier.stopping()
    assert [receiver.recv(4_096).decode() for _ in range(5)] == [
        "READY=1",
        "STATUS=3 in sync READY=1",
        "RELOADING=1\nMONOTONIC_USEC=17",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "/nobody/listens/here", "WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_systemd_nothing_happens(environ: dict[str, str]) -> None:
    notifier = Notifier(environ)
    assert notifier.watchdog_seconds is None
    notifier.ready()
    notifier.alive()
