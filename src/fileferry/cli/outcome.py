"""What a `sync` came to: counts, what is left, and the exit code that says it in a number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from fileferry.clock import rfc3339
from fileferry.daemon.audit import HALT_KEY
from fileferry.errors import CredentialsRefused, QuotaExhausted, RemoteError
from fileferry.index import folders, holds, horizon

if TYPE_CHECKING:
    import sqlite3

    from fileferry.cli.context import Context
    from fileferry.daemon.engine import Engine

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
    next_delete: str | None
    deletes_waiting: int
    exit_code: int


def outcome_of(db: sqlite3.Connection, engine: Engine, *, now: float) -> Outcome:
    """Read the outcome from the index and the engine."""
    tally = horizon.tally(db)
    ahead = horizon.look(db)
    states = tally.states
    held = tuple(
        f"{hold.name}: {hold.files:,} {hold.kind}s of `{hold.folder}` wait: {hold.reason}"
        for hold in holds.undecided(db)
    )
    halts = [row.halt for row in folders.all_rows(db) if row.halt and row.attachment == "active"]
    remote_halt = folders.meta(db, HALT_KEY) or engine.liaison.halted
    if remote_halt:
        halts.append(f"remote: {remote_halt}")
    failed = sum(states.get(name, 0) for name in ("rejected", "error", "unknown"))
    pending = states.get("pending", 0) + states.get("stale", 0)
    waiting = db.execute(
        "SELECT count(*) FROM remote WHERE state IN ('retiring', 'deleting')"
    ).fetchone()[0]
    trouble = engine.liaison.trouble
    return Outcome(
        uploaded=engine.progress.sent_files,
        uploaded_bytes=engine.progress.sent_bytes,
        deleted=engine.progress.deleted,
        synced=states.get("synced", 0),
        pending=pending,
        failed=failed,
        held=held,
        halted=tuple(halts),
        trouble=None if trouble is None else trouble.message,
        hint=None if trouble is None else trouble.hint,
        next_delete=None if ahead.delete_at is None else rfc3339(max(ahead.delete_at, now)),
        deletes_waiting=waiting,
        exit_code=_code(trouble, held=bool(held or halts), failed=failed, pending=pending),
    )


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


def report(outcome: Outcome, context: Context, *, as_json: bool) -> int:
    """Print an outcome and return its exit code."""
    if as_json:
        context.json(asdict(outcome))
        return outcome.exit_code
    context.say(
        f"{outcome.synced:,} files in sync; {outcome.uploaded:,} uploaded ({size(outcome.uploaded_bytes)}),"
        f" {outcome.deleted:,} deleted, {outcome.pending:,} pending, {outcome.failed:,} could not be"
    )
    if outcome.deletes_waiting:
        context.talk(
            f"{outcome.deletes_waiting:,} remote files wait for their delete, the next until {outcome.next_delete}"
            " (`--now` does not wait)"
        )
    if outcome.failed:
        context.talk("`fileferry errors` says why")
    for halt in outcome.halted:
        context.talk(f"halted: {halt}")
        kind = halt.partition(":")[0]
        if kind == "remote":
            context.talk("hint: `fileferry accept remote` if that was meant")
        elif kind in {"replaced", "emptied"}:
            context.talk("hint: `fileferry accept root` if that was meant, or put the files back")
    for hold in outcome.held:
        context.talk(f"held: {hold}")
        name = hold.partition(":")[0]
        context.talk(
            f"hint: `fileferry approve {name}` lets them go, `fileferry discard {name}` keeps them"
        )
    if outcome.trouble:
        context.talk(f"fileferry: {outcome.trouble}")
    if outcome.hint:
        context.talk(f"hint: {outcome.hint}")
    return outcome.exit_code


def size(count: int) -> str:
    """Return a number of bytes for a person."""
    number = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:,.0f} {unit}" if unit == "bytes" else f"{number:,.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} TiB"
