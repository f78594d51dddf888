"""Somebody who works in the mirrored folders: writes, appends, renames, deletes, copies, makes directories."""

import contextlib
import random
import shutil
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["NAMES", "Writer"]

NAMES = ("README.md", "notes.txt", "data.csv", "page.html", "plan.md", "a.txt", "b.txt")
COMMON = (b"# Read me\n", b"the same words everywhere\n", b"x\n")
FEWEST, MOST = 8, 40  # a folder that lost every file at once would be halted, and rightly


class Writer:
    """One thread, which has the same ideas for the same seed."""

    def __init__(self, folders: list[Path], *, seed: int, pause_seconds: float = 0.04) -> None:
        self._folders = folders
        self._random = random.Random(seed)
        self._pause_seconds = pause_seconds
        self._rest = threading.Event()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._error: BaseException | None = None
        self.edits = 0

    def __enter__(self) -> Self:
        for folder in self._folders:
            for number in range(FEWEST):
                self._put(folder / f"first-{number}" / "README.md")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.rest()

    def rest(self) -> None:
        """Stop editing, for good."""
        self._rest.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while not self._rest.wait(self._pause_seconds * self._random.uniform(0.2, 2)):
                self._edit()
        except BaseException as error:  # noqa: BLE001  # shown by `rest`
            self._error = error

    def _edit(self) -> None:
        chance = self._random
        folder = chance.choice(self._folders)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        deeds = [self._write, self._append, self._rename, self._copy, self._make]
        if len(files) > FEWEST:
            deeds += [self._delete, self._rename_directory]
        if len(files) > MOST:
            deeds = [self._delete]
        chance.choice(deeds)(folder, files)
        self.edits += 1

    def _place(self, folder: Path) -> Path:
        chance = self._random
        depth = chance.randrange(3)
        return folder.joinpath(
            *(f"dir-{chance.randrange(5)}" for _ in range(depth)), chance.choice(NAMES)
        )

    def _bytes(self) -> bytes:
        chance = self._random
        if chance.random() < 0.4:
            return chance.choice(COMMON)
        return chance.randbytes(chance.choice((10, 10, 1_000, 60_000)))

    def _put(self, path: Path) -> None:
        with contextlib.suppress(FileExistsError, IsADirectoryError, NotADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._bytes())

    def _write(self, folder: Path, files: list[Path]) -> None:
        self._put(
            self._random.choice(files) if self._random.random() < 0.5 else self._place(folder)
        )

    def _append(self, folder: Path, files: list[Path]) -> None:
        with self._random.choice(files).open("ab") as file:
            file.write(self._bytes())

    def _rename(self, folder: Path, files: list[Path]) -> None:
        target = self._place(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._random.choice(files).rename(target)

    def _rename_directory(self, folder: Path, files: list[Path]) -> None:
        directories = sorted(path for path in folder.iterdir() if path.is_dir())
        if directories:
            target = folder / f"dir-{self._random.randrange(9)}"
            if not target.exists():
                self._random.choice(directories).rename(target)

    def _copy(self, folder: Path, files: list[Path]) -> None:
        target = self._place(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(shutil.SameFileError):
            shutil.copy2(self._random.choice(files), target)

    def _make(self, folder: Path, files: list[Path]) -> None:
        (folder / f"dir-{self._random.randrange(9)}" / "empty").mkdir(parents=True, exist_ok=True)

    def _delete(self, folder: Path, files: list[Path]) -> None:
        self._random.choice(files).unlink()
