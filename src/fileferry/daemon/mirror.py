"""A folder as the engine works on it: its policy, its row in the index, its ignore rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fileferry.local.scanner import Walk, rules_text

if TYPE_CHECKING:
    from fileferry.ignore.rules import Rules
    from fileferry.model import Folder


@dataclass(frozen=True, slots=True)
class Mirror:
    """One active folder.

    Args:
        folder_id: its row in the index.
        folder: its policy.
        rules: its ignore rules.
        foreign: relative paths of directories inside it that other folders own.
    """

    folder_id: int
    folder: Folder
    rules: Rules
    foreign: frozenset[bytes] = field(default=frozenset())

    @property
    def follows(self) -> bool:
        """Say whether symbolic links that stay inside are followed."""
        return self.folder.symlinks == "inside"

    def walk(self) -> Walk:
        """Return a new walk of the folder."""
        return Walk(self.folder.root, self.rules, self.foreign, self.follows)

    def leaves_out(self, path: bytes, *, is_dir: bool = False) -> bool:
        """Say whether a path is ignored, or owned by another folder. Reads `.ferryignore` files: blocking."""
        if any(path == other or path.startswith(other + b"/") for other in self.foreign):
            return True
        rule = self.rules.explain(path, is_dir, self._rules_text)
        return rule is not None and not rule.negated

    def _rules_text(self, path: bytes) -> bytes | None:
        return rules_text(
            self.folder.root, path.rpartition(b"/")[0] + b"/" if b"/" in path else b""
        )
