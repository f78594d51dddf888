"""The process that those of the product are forked from: it has imported all that they will need.

Started by `processes.py` with the number of a socket. Each message on it asks for a process; the answer is its id.
"""

import atexit
import ctypes
import gc
import json
import os
import pkgutil
import signal
import socket
import sys
from importlib import import_module
from typing import Any

import fileferry

PR_SET_DUMPABLE = 4
LARGEST_MESSAGE_BYTES = 256 * 1024
IMPORTED_LATE = (  # by others, when they first use it
    "anyio._backends._asyncio", "difflib", "encodings.ascii", "encodings.unicode_escape", "encodings.utf_8_sig",
    "httpcore2", "openai.lib._files", "openai.lib._uploads", "openai.resources.files",
    "openai.resources.uploads.uploads", "sqlite_utils", "structlog", "tomllib", "uvicorn.lifespan.off",
    "uvicorn.loops.asyncio", "uvicorn.protocols.http.auto", "uvicorn.protocols.http.h11_impl",
)  # fmt: skip


def import_all() -> None:
    """Import every module of ours, and what they import late."""
    ours = (module.name for module in pkgutil.walk_packages(fileferry.__path__, "fileferry."))
    for name in (*IMPORTED_LATE, *ours):
        if name != "fileferry.__main__":  # it runs when it is imported
            import_module(name)


def serve(line: socket.socket) -> dict[str, Any]:
    """Fork for every message; return in the child only, with what it is asked to do."""
    while True:
        text, descriptors, _, _ = socket.recv_fds(line, LARGEST_MESSAGE_BYTES, 3)
        if not text:
            os._exit(0)  # whoever started us has gone
        child = fork_for_adoption()
        if not child:
            line.close()
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        if not child:
            wanted: dict[str, Any] = json.loads(text)
            return wanted
        line.send(b"%d" % child)


def fork_for_adoption() -> int:
    """Fork twice, so that the child has lost its parent, and got the tests for another, when this returns."""
    reading, writing = os.pipe()
    if between := os.fork():
        os.close(writing)
        os.waitpid(between, 0)
        with os.fdopen(reading) as pipe:
            return int(pipe.read())
    os.close(reading)
    if child := os.fork():
        os.write(writing, b"%d" % child)
        os._exit(0)
    os.close(writing)
    return 0


def become(user: int) -> None:
    """Become another user, as a program that was started by that user: with what is its own in /proc."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


class End:
    """The end of a process: after its threads and its exit handlers, but without taking apart all that was imported."""

    code = 1  # of an exception that nobody caught

    def leave(self) -> None:
        """Leave at once with all that was printed."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.code)


def main() -> None:
    """Import, serve, and do in each child what was asked for."""
    end = End()
    atexit.register(end.leave)  # registered first, called last
    line = socket.socket(fileno=int(sys.argv[1]))
    import_all()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the tests and for what they started
    gc.collect()
    gc.freeze()  # so that no collection touches, and by that copies, what all share
    wanted = serve(line)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if wanted["user"] is not None:
        become(wanted["user"])
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.argv = wanted["argv"]
    try:
        sys.exit(getattr(import_module(wanted["module"]), wanted["function"])())
    except SystemExit as ended:
        end.code = int(ended.code or 0)


if __name__ == "__main__":
    main()
