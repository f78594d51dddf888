"""One writer: flock on the state directory and on each root. The kernel lets go when a process ends."""

from __future__ import annotations

import errno
import fcntl
import os
import queue
import threading
from typing import TYPE_CHECKING

from fileferry.errors import FerryError, LockHeld

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCK_NAME = "lock"
ROOTS_SECONDS = 5.0


class Lock:
    """Holds the state directory, and any roots, until closed."""

    def __init__(self, state_directory: str) -> None:
        """Lock a state directory, made if it is not there.

        Raises:
            LockHeld: another process has it; the message names it.
            FerryError: the directory cannot be made or used.
        """
        self._descriptors: list[int] = []
        path = os.path.join(state_directory, LOCK_NAME)
        try:
            os.makedirs(state_directory, mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FerryError(
                f"state directory `{state_directory}` cannot be used: {(error.strerror or '').lower()}",
                hint="name one that this user can write in [state] directory, or FILEFERRY_STATE_DIRECTORY",
            ) from error
        self._take(descriptor, f"state directory `{state_directory}`", path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def add_roots(self, roots: Iterable[bytes]) -> None:
        """Lock the roots that can be opened within some seconds; the others halt their folders by themselves.

        Raises:
            LockHeld: a fileferry with another state directory mirrors one of them.
        """
        opened: queue.SimpleQueue[tuple[bytes, int | None]] = queue.SimpleQueue()
        left = 0
        for root in roots:  # each in a thread, which a dead network mount may keep
            threading.Thread(target=_open, args=(root, opened), daemon=True).start()
            left += 1
        while left:
            try:
                root, descriptor = opened.get(timeout=ROOTS_SECONDS)
            except queue.Empty:
                return
            left -= 1
            if descriptor is not None:
                self._take(descriptor, f"folder `{root.decode('utf-8', 'backslashreplace')}`", None)

    def close(self) -> None:
        """Let go."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def _take(self, descriptor: int, what: str, names: str | None) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}:
                return  # a network mount without locks: the lock of the state still holds
            holder = "" if names is None else _holder(names)
            self.close()
            raise LockHeld(
                f"{what} is in use by another fileferry{holder}",
                hint="`fileferry status` shows it; stop it first (`systemctl stop fileferry@…`)",
            ) from error
        self._descriptors.append(descriptor)


def _open(root: bytes, opened: queue.SimpleQueue[tuple[bytes, int | None]]) -> None:
    try:
        opened.put((root, os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)))
    except OSError:
        opened.put((root, None))


def _holder(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(32).strip()
    except OSError:
        return ""
    return f" (process {text})" if text.isdigit() else ""
