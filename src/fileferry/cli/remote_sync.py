"""A `sync` that a running daemon does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.cli.daemon_client import DaemonClient
from fileferry.cli.outcome import report
from fileferry.daemon.outcome import Outcome

if TYPE_CHECKING:
    from fileferry.cli.context import Context
    from fileferry.config.load import Config


def ask_daemon(config: Config, context: Context, *, now: bool, as_json: bool) -> int:
    """Have the daemon reconcile; return the exit code.

    Raises:
        DaemonUnreachable: whoever holds the lock is no daemon that answers.
    """
    client = DaemonClient(config.state.directory)
    answer = client.post("/v1/sync", {"now": now})
    answer["held"] = tuple(answer["held"])
    answer["halted"] = tuple(answer["halted"])
    return report(Outcome(**answer), context, as_json=as_json)
