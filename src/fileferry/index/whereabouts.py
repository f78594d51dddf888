"""Is an open index still the file at its path? SQLite goes on writing into one that was deleted, and never says so."""

from __future__ import annotations

import os
from dataclasses import dataclass

from fileferry.errors import IndexGone


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where an index was when it was opened.

    Args:
        path: of the file.
        device, inode: which file it was.
    """

    path: str
    device: int
    inode: int

    @classmethod
    def of(cls, path: str) -> Whereabouts:
        """Note which file is at a path.

        Raises:
            OSError: there is none, or it cannot be looked at.
        """
        status = os.stat(path)
        return cls(path, status.st_dev, status.st_ino)

    def trouble(self) -> IndexGone | None:
        """Return what became of the file, or None while it is there. Blocks, for microseconds.

        Only what is proven counts: a disk that answers with an error is SQLite's to complain about.
        """
        try:
            status = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return self._gone("was removed")
        except OSError:
            return None
        if (status.st_dev, status.st_ino) != (self.device, self.inode):
            return self._gone("was replaced by another file")
        return None

    def _gone(self, fate: str) -> IndexGone:
        return IndexGone(
            f"index `{self.path}` {fate} while it was in use: nothing is sent or deleted any more",
            hint="stop the service before [state] directory is changed; put the index back, or start and"
            " `fileferry rebuild`",
        )
