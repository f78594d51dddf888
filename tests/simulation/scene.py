"""Where a step of a history happens: the world as it is by then, and the chance that picks from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from simulation.witness import Witness
    from simulation.world import World

NAMES = (
    b"a.txt",
    b"b.TXT",
    b"c.md",
    b"d.tmp",
    b"e.log",
    b"plan/a.txt",
    b"plan/b.md",
    b"plan/old/c.md",
)
MORE_NAMES = (b"skip/f.txt", b"plan0", b"plan/x y.txt", b"pl\xffan.txt", b"archive/a.txt")


@dataclass(slots=True)
class Scene:
    """Where a step happens, with the chance that it has."""

    world: World
    witness: Witness
    chance: random.Random

    def root(self) -> bytes | None:
        """Pick a root that is where it belongs."""
        roots = [folder.root for folder in self.world.folders]
        roots = [place for place in roots if place not in self.world.disk.away]
        return self.chance.choice(roots) if roots else None

    def file(self) -> bytes | None:
        """Pick a file."""
        place = self.root()
        files = [] if place is None else self.world.disk.below(place)
        files = [path for path in files if not path.endswith(b"/.ferryignore")]
        return self.chance.choice(files) if files else None

    def directory(self) -> bytes | None:
        """Pick a directory that has files."""
        place = self.root()
        directories = [] if place is None else self.world.disk.directories(place)
        return self.chance.choice(directories) if directories else None

    def free(self) -> bytes | None:
        """Pick a path, taken or not, that can have a file."""
        place = self.root()
        if place is None:
            return None
        name = self.chance.choice(NAMES if self.chance.random() < 0.8 else MORE_NAMES)
        path = place + b"/" + name
        return path if self.can_stand(path) else None

    def can_stand(self, path: bytes) -> bool:
        """Say whether a file can be put at a path: its root is there, and nothing of another kind is in the way."""
        place = next(f.root for f in self.world.folders if path.startswith(f.root + b"/"))
        parent = os.path.dirname(path)
        while parent != place:
            if parent in self.world.disk.files:
                return False
            parent = os.path.dirname(parent)
        return place not in self.world.disk.away and not os.path.isdir(path)

    def content(self) -> bytes:
        """Make up bytes: few different ones, so that twins are common."""
        luck = self.chance.random()
        if luck < 0.04:
            return b"large" * 60_000 + bytes([self.chance.randrange(4)])
        if luck < 0.4:
            return b"one of a few %d" % self.chance.randrange(4)
        return b"content %d\n" % self.chance.randrange(1_000_000)

    def notice(self, *paths: bytes) -> None:
        """Have the watcher tell of changes: at once, late, twice or never."""
        for path in paths:
            luck = self.chance.random()
            if luck < 0.15:
                continue
            times = 2 if luck > 0.9 else 1
            for _ in range(times):
                delay = self.chance.choice((0.0, 0.0, 0.002, 0.3, 4.0))
                self.mark_later(path, delay)

    def mark_later(self, path: bytes, delay: float) -> None:
        """Have the watcher tell of a change, so many seconds from now."""
        assembly, loop = self.world.assembly, self.world.loop
        if assembly is None or loop is None:
            return
        lookout = assembly.engine.lookout
        for folder_id, mirror in assembly.engine.mirrors.items():
            place = mirror.folder.root
            if path == place or path.startswith(place + b"/"):
                relative = path[len(place) + 1 :]
                if delay:
                    loop.call_later(delay, lookout.mark, folder_id, relative)
                else:
                    lookout.mark(folder_id, relative)
