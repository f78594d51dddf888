"""The kernel's file events, as watchdog tells them, made hints: a folder and a path in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify_c import InotifyFD

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.observers.inotify_c import InotifyEvent

EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,  # without it, new directories are not watched
    DirMovedEvent,
    DirDeletedEvent,
]


class Hints(FileSystemEventHandler):
    """Passes on where something happened in a folder; called by watchdog's threads."""

    def __init__(self, notice: Callable[[int, bytes], None], folder_id: int, root: bytes) -> None:
        self._notice = notice
        self._folder_id = folder_id
        self._prefix = root.rstrip(b"/") + b"/"
        self._root = root

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass on where something happened."""
        for path in (os.fsencode(event.src_path), os.fsencode(event.dest_path)):
            if path == self._root:
                self._notice(self._folder_id, b"")
            elif path.startswith(self._prefix):
                self._notice(self._folder_id, path[len(self._prefix) :])


class EventQueue(InotifyFD):
    """The kernel's queue of events, which says when it overflowed; watchdog itself only logs that."""

    def __init__(self, overflowed: Callable[[], None]) -> None:
        super().__init__()
        self._overflowed = overflowed

    def handle_event(self, event: InotifyEvent) -> None:
        """Pass an event on to the watches, and an overflow to us too."""
        super().handle_event(event)
        if event.is_queue_overflow:
            self._overflowed()
