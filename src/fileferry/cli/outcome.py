"""Print what a `sync` came to."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from fileferry.cli.halts import halt_hint
from fileferry.cli.text import count, size

if TYPE_CHECKING:
    from fileferry.cli.context import Context
    from fileferry.daemon.outcome import Outcome


def report(outcome: Outcome, context: Context, *, as_json: bool) -> int:
    """Print an outcome and return its exit code."""
    if as_json:
        context.json(asdict(outcome))
        return outcome.exit_code
    context.say(
        f"{count(outcome.synced, 'file')} in sync; {outcome.uploaded:,} uploaded ({size(outcome.uploaded_bytes)}),"
        f" {outcome.deleted:,} deleted, {outcome.pending:,} pending, {outcome.failed:,} could not be"
    )
    if outcome.deletes_waiting:
        context.talk(
            f"{count(outcome.deletes_waiting, 'remote file')} to be deleted, the next from {outcome.next_delete}"
            " (`--now` deletes those of removed files at once)"
        )
    if outcome.failed:
        context.talk("`fileferry errors` says why")
    if outcome.at_risk:
        context.talk(f"warning: {outcome.at_risk}")
    for halt in outcome.halted:
        context.talk(f"halted: {halt}")
        if hint := halt_hint(halt):
            context.talk(f"hint: {hint}")
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
