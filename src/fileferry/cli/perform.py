"""Have the index changed: by the daemon where one runs, because there is one writer, and else by this process."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from fileferry.clock import SystemClock
from fileferry.errors import DaemonUnreachable, FerryError, LockHeld, NotInitialised
from fileferry.index.identity import FILE_NAME

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.model import Folder

_DELETING = frozenset({"forget", "purge", "prune-ignored"})


def perform(
    context: Context, config_path: str | None, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Carry out one of `daemon.commands`, in one transaction.

    Returns:
        What the command returned, and under `daemon` whether a daemon did it.

    Raises:
        NotInitialised: there is no index to change.
        LockHeld: a process that is no daemon, such as a `sync`, is at work.
        Held: it would delete, and the index was copied, restored, or belongs to another endpoint or account.
        RemoteError: it would delete, and the API does not answer.
        FerryError: the command was refused, or this user may not change the index.
    """
    config = context.config(config_path)
    directory = config.state.directory
    require_owner(directory)
    from fileferry.daemon.lock import Lock

    try:
        lock = Lock(directory)
    except LockHeld as held:
        from fileferry.cli.daemon_client import DaemonClient

        try:
            answer = DaemonClient(directory).post(f"/v1/commands/{name}", dict(arguments))
        except DaemonUnreachable:
            raise held from None
        return {**answer, "daemon": True}
    try:
        return {**_perform_here(config, context, name, arguments), "daemon": False}
    finally:
        lock.close()


def require_owner(directory: str) -> None:
    """Check that there is an index and that this user may change it.

    Raises:
        NotInitialised: there is none.
        FerryError: it belongs to somebody else.
    """
    if not os.access(directory, os.W_OK | os.X_OK) and os.path.isdir(directory):
        raise FerryError(
            f"state directory `{directory}` is not writable for this user",
            hint=f"only its owner changes the index: `sudo -u {_owner(directory)} fileferry …`",
        )
    path = os.path.join(directory, FILE_NAME)
    if not os.path.exists(path):
        raise NotInitialised(
            f"there is no index at `{path}` yet", hint="start with `fileferry sync`"
        )


def _perform_here(
    config: Config, context: Context, name: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    from fileferry.daemon.assembly import close_index, open_index
    from fileferry.daemon.commands import COMMANDS

    command = COMMANDS[name]
    now = SystemClock().wall()
    writer = open_index(config.state.directory, group=config.state.group, inline=True)
    try:
        if name in _DELETING:
            writer.submit(partial(_pin, config=config)).result()
            if name != "forget" or arguments.get("delete"):
                _greet(config, context)
        writer.submit(partial(_detach, wanted=config.folders)).result()
        return writer.submit(lambda db: command(db, arguments, now)).result()
    finally:
        close_index(writer, config.state.directory)


def _pin(db: sqlite3.Connection, config: Config) -> None:
    """Refuse what would delete, before anything is changed, where the index is not where it was, or of this remote."""
    from fileferry.daemon import custody
    from fileferry.daemon.enlist import pin_endpoint

    custody.verify(db, config.state.directory)
    pin_endpoint(db, config.remote)


def _greet(config: Config, context: Context) -> None:
    """Ask whose the key is before paths leave the index: with another one, nothing could be deleted."""
    from fileferry.cli.ask_remote import ask

    ask(
        config,
        context,
        os.path.join(config.state.directory, FILE_NAME),
        lambda view: view.greet(),
    )


def _detach(db: sqlite3.Connection, wanted: tuple[Folder, ...]) -> None:
    """Notice what left the configuration, as a start would."""
    from fileferry.index import folders

    roots = {folder.root for folder in wanted}
    for row in folders.all_rows(db):
        if row.root not in roots and row.attachment == "active":
            folders.detach(db, row.folder_id)


def _owner(directory: str) -> str:
    import pwd

    uid = os.stat(directory).st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
