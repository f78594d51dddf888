"""What is about to go wrong inside a process, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass


class Crash(SystemExit):
    """The process is killed here. Not an Exception: no code of ours may catch it and go on."""


@dataclass(slots=True)
class Plan:
    """What is about to go wrong inside the process.

    Args:
        fuse: crash at the n-th point from now; None: do not.
        full_commits: so many commits from now find the disk full.
        slow_work: so many pieces of blocking work from now hang for a minute.
        dies_unheard: crash when the next upload has been stored, and before anybody here hears of it; so many pieces of
            blocking work hang after that. None: do not.
    """

    fuse: int | None = None
    full_commits: int = 0
    slow_work: int = 0
    dies_unheard: int | None = None

    def clear(self) -> None:
        """Let nothing go wrong."""
        self.fuse = None
        self.full_commits = self.slow_work = 0
        self.dies_unheard = None


@dataclass(slots=True)
class Violation:
    """A rule that did not hold."""

    rule: str
    detail: str
    at: float


@dataclass(slots=True)
class Figures:
    """What is counted over a history."""

    lives: int = 0
    crashes: int = 0
    creates: int = 0
    deletes: int = 0
    lost_answers: int = 0
    mistaken_matches: int = 0
    duplicate_uploads: int = 0
    wrong_deletes: int = 0
    dead_ids_seen: int = 0
    lost_updates: int = 0
    orphans: int = 0
