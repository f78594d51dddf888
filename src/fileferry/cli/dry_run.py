"""`fileferry sync --dry-run`: print the plan, with bytes and calls."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from typing import TYPE_CHECKING

from fileferry.cli.text import size
from fileferry.clock import SystemClock
from fileferry.daemon.rehearsal import Rehearsal, calls

if TYPE_CHECKING:
    from fileferry.cli.context import Context
    from fileferry.config.load import Config


def dry_run(config: Config, context: Context, *, as_json: bool) -> int:
    """Print what a `sync` would do; change nothing. Return the exit code."""
    with tempfile.TemporaryDirectory(prefix="fileferry-") as scratch:
        rehearsal = Rehearsal(config.state.directory, scratch, SystemClock())
        steps = rehearsal.plan(config.folders, config.remote)
    uploads = [step for step in steps if step.action == "upload"]
    total = sum(step.size for step in uploads)
    if as_json:
        context.json(
            {
                "steps": [asdict(step) for step in steps],
                "uploads": len(uploads),
                "bytes": total,
                "calls": calls(steps),
            }
        )
    else:
        for step in steps:
            facts = size(step.size) if step.action == "upload" else step.detail
            context.say(f"{step.action:<8} {step.path}" + (f"  ({facts})" if facts else ""))
        context.say(
            f"{len(uploads):,} uploads, {size(total)}, {calls(steps):,} calls; nothing was changed"
        )
    return 8 if any(step.action in {"hold", "halt"} for step in steps) else 0
