"""What to do about a halt: each kind names the one thing that lets the work go on. No imports: `status` is quick."""

from __future__ import annotations

_ACCEPT_ROOT = "`fileferry accept root{}` if that was meant, or put the files back"
_HINTS = {
    "remote": "`fileferry accept remote` if that was meant",
    "emptied": _ACCEPT_ROOT,
    "replaced": _ACCEPT_ROOT,
    "gone": "put it back or mount it, and work goes on by itself; or take its [[folder]] out and `fileferry forget{}`",
    "unreadable": "give this user the right to read it, and work goes on by itself",
    "hanging": "work goes on by itself when its disk answers",
}


def halt_hint(halt: str, folder: str = "") -> str | None:
    """Return what continues after a halt, or None.

    Args:
        halt: as the index has it: `KIND: what happened`.
        folder: whose halt it is, if known.
    """
    hint = _HINTS.get(halt.partition(":")[0])
    return hint and hint.format(f" {folder}" if folder else "")
