"""Processes of the product: started as anybody would, or forked from one that has imported everything.

An interpreter that starts and imports the SDK takes most of the time of most tests of the command; a fork takes some
milliseconds, and leaves what such a test is about as it is: a process with its own id, descriptors, environment,
signals, locks and end. It does not prove that a command imports what it needs: with `pytest --thorough`, as in CI,
nothing is forked.
"""

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["COMMAND", "EMULATOR", "forking", "start"]

_SCRIPT = Path(sys.executable).with_name("fileferry")
COMMAND = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-m", "fileferry"]
EMULATOR = [sys.executable, "-m", "fileferry.emulator"]

_PR_SET_CHILD_SUBREAPER = 36
_zygotes: list[socket.socket] = []  # none, or the one that is asked


def start(
    program: Sequence[str],
    args: Sequence[str],
    *,
    is_fresh: bool = False,
    user: int | None = None,
    **options: Any,
) -> subprocess.Popen[str]:
    """Start a program, which is forked if it is COMMAND or EMULATOR and may be.

    Args:
        is_fresh: it may not be forked.
        user: whom it becomes, with the group of that number and no other.
        options: of Popen.
    """
    if _zygotes and not is_fresh and program in (COMMAND, EMULATOR):
        return _Forked([*program, *args], user, **options)
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    before = [] if user is None else become
    return subprocess.Popen([*before, *program, *args], text=True, **options)


class _Forked(subprocess.Popen[str]):
    """A child that the zygote forked and that we adopted.

    Replaced is only what Popen does between making pipes and having a child, and Popen has no public place for that.
    """

    _child_created: bool

    def __init__(self, args: Sequence[str], user: int | None, **options: Any) -> None:
        self._user = user
        super().__init__(args, text=True, **options)

    def _execute_child(
        self,
        args: Sequence[str],
        executable: object,
        preexec_fn: object,
        close_fds: object,
        pass_fds: object,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        startupinfo: object,
        creationflags: object,
        shell: object,
        *rest: Any,
    ) -> None:
        stdin, _, _, stdout, _, stderr = pipes = rest[:6]
        is_emulator = list(args[: len(EMULATOR)]) == EMULATOR
        program = EMULATOR if is_emulator else COMMAND
        wanted = {
            "module": "fileferry.emulator.__main__" if is_emulator else "fileferry.cli.main",
            "function": "main" if is_emulator else "entry",
            "argv": [program[-1], *args[len(program) :]],
            "cwd": os.fspath(cwd or os.getcwd()),
            "env": dict(os.environ if env is None else env),
            "user": self._user,
        }
        # -1 stands for ours: the three in their order.
        theirs = [
            number if given < 0 else given for number, given in enumerate((stdin, stdout, stderr))
        ]
        (zygote,) = _zygotes
        socket.send_fds(zygote, [json.dumps(wanted).encode()], theirs)
        self.pid = int(zygote.recv(64))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # as private as this method


@contextlib.contextmanager
def forking() -> Iterator[None]:
    """Let `start` fork."""
    # Whoever loses its parent gets the nearest ancestor that asked for it: so what the zygote forks can be ours.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        zygote = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py")), str(its.fileno())],
            env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
        )
    _zygotes.append(ours)
    try:
        yield
    finally:
        _zygotes.remove(ours)
        ours.close()
        zygote.wait(10)
