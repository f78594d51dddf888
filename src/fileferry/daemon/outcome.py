"""What a `sync` came to: counts, what is left, and the exit code that says it in a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.clock import rfc3339
from fileferry.daemon.enlist import HALT_KEY
from fileferry.errors import CredentialsRefused, NotInSync, QuotaExhausted, RemoteError
from fileferry.index import folders, holds, horizon, risk

if TYPE_CHECKING:
    import sqlite3

    from fileferry.daemon.engine import Engine
    from fileferry.index.risk import Risk

OK, SOME_FAILED, TEMPORARY, REFUSED, HELD = 0, 3, 5, 7, 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a `sync`. Sizes in bytes, times RFC 3339."""

    uploaded: int
    uploaded_bytes: int
    deleted: int
    synced: int
    pending: int
    failed: int
    held: tuple[str, ...]
    halted: tuple[str, ...]
    trouble: str | None
    hint: str | None
    at_risk: str | None
    next_delete: str | None
    deletes_waiting: int
    exit_code: int


def outcome_of(
    db: sqlite3.Connection,
    engine: Engine,
    *,
    now: float,
    before: tuple[int, int, int] = (0, 0, 0),
) -> Outcome:
    """Read the outcome from the index and the engine.

    Args:
        now: wall seconds.
        before: files and bytes sent, and files deleted, before this `sync` began.
    """
    tally = horizon.tally(db)
    ahead = horizon.look(db)
    held = tuple(
        f"{hold.name}: {hold.files:,} {hold.kind}s of `{hold.folder}` wait: {hold.reason}"
        for hold in holds.undecided(db)
    )
    halts = [row.halt for row in folders.all_rows(db) if row.halt and row.attachment == "active"]
    remote_halt = folders.meta(db, HALT_KEY) or engine.liaison.halted
    if remote_halt:
        halts.append(f"remote: {remote_halt}")
    waiting = db.execute(
        "SELECT count(*) FROM remote WHERE state IN ('retiring', 'deleting')"
    ).fetchone()[0]
    trouble = engine.liaison.trouble
    if trouble is None and engine.paused:
        trouble = NotInSync(
            "the daemon is paused: nothing is sent or deleted", hint="`fileferry resume`"
        )
    danger = risk.look(
        db.execute, engine.liaison.server_now(), None if trouble is None else trouble.message
    )
    return Outcome(
        uploaded=engine.progress.sent_files - before[0],
        uploaded_bytes=engine.progress.sent_bytes - before[1],
        deleted=engine.progress.deleted - before[2],
        synced=tally.states.get("synced", 0),
        pending=tally.pending,
        failed=tally.failed,
        held=held,
        halted=tuple(halts),
        trouble=None if trouble is None else trouble.message,
        hint=None if trouble is None else trouble.hint,
        at_risk=_at_risk(danger),
        next_delete=None if ahead.delete_at is None else rfc3339(max(ahead.delete_at, now)),
        deletes_waiting=waiting,
        exit_code=_code(
            trouble, held=bool(held or halts), failed=tally.failed, pending=tally.pending
        ),
    )


def _at_risk(danger: Risk | None) -> str | None:
    if danger is None:
        return None
    until = rfc3339(danger.expires_at)
    return f"{risk.words(danger.ids)} not renewed in time, the first runs out {until}: {danger.path}: {danger.reason}"


def _code(trouble: object, *, held: bool, failed: int, pending: int) -> int:
    if isinstance(trouble, CredentialsRefused | QuotaExhausted):
        return REFUSED
    if held:
        return HELD
    if isinstance(trouble, RemoteError) and pending:
        return TEMPORARY
    if failed:
        return SOME_FAILED
    return TEMPORARY if pending else OK
