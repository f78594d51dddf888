"""`fileferry rebuild`: a new index after the old one is lost or damaged."""

from __future__ import annotations

import glob
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

from fileferry.cli.text import count
from fileferry.clock import SystemClock
from fileferry.daemon import backups, custody
from fileferry.errors import FerryError, Held, IndexDamaged, RemoteError
from fileferry.index.identity import FILE_NAME

if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.daemon.remote_view import RemoteView
    from fileferry.index.intents import Reading
    from fileferry.index.writer import Writer
    from fileferry.model import RemoteFile
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

SCRATCH = "rebuild-"
_ABOUT = (
    "Make a new index after the old one is lost or damaged. What is there is set aside as"
    " index.db.damaged-TIME. The newest copy that the daemon made is restored, if SQLite finds it good; else an empty"
    " index is begun. All files are read and the remote is listed: a remote file whose name, size and purpose fit"
    " exactly one content is taken as it is, and never deleted by fileferry itself. The next `sync` sends the rest."
    " Stop the daemon first."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `rebuild`."""
    from fileferry.cli.confirm import add_yes

    parser.description = _ABOUT
    parser.add_argument(
        "--new", action="store_true", help="begin with an empty index, even if there is a good copy"
    )
    add_yes(parser)
    parser.add_argument(
        "--json", action="store_true", help="print what was done as one JSON object"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Ask, list the remote, and only then touch anything."""
    from fileferry.daemon.assembly import share
    from fileferry.daemon.lock import Lock

    config = context.config(arguments.config)
    directory = config.state.directory
    lock = Lock(directory)
    try:
        lock.add_roots(folder.root for folder in config.folders)
        copy = None if arguments.new else backups.good_copy(directory)
        _ask(directory, copy, arguments, context)
        files, skew = _list(config, context, copy)
        for left in glob.glob(os.path.join(glob.escape(directory), f"{SCRATCH}*")):
            shutil.rmtree(left)  # of one that was killed
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=directory) as scratch:
            result = _fill(config, context, scratch, copy, files, skew)
            fresh = os.path.join(scratch, FILE_NAME)
            custody.unmark(directory)  # it says how far the old one had come
            aside = backups.put_in_place(fresh, directory, SystemClock().wall())
        share(directory, config.state.group)
    finally:
        lock.close()
    result |= {"set_aside": aside, "restored_from": copy}
    _tell(result, arguments, context)
    return 0


def _ask(directory: str, copy: str | None, arguments: argparse.Namespace, context: Context) -> None:
    from fileferry.cli.confirm import confirm

    what = f"restore the index from `{copy}`" if copy else "begin a new index"
    confirm(
        context, f"{_present(directory)}; {what}, and read every file again?", yes=arguments.yes
    )


def _present(directory: str) -> str:
    """Say what the index is like that would be replaced."""
    from fileferry.index.connection import check, open_reader

    path = os.path.join(directory, FILE_NAME)
    if not os.path.exists(path):
        return f"there is no index at `{path}`"
    try:
        with closing(open_reader(path)) as db:
            check(db, path)
            files = db.execute("SELECT count(*) FROM remote WHERE state = 'live'").fetchone()[0]
    except (sqlite3.Error, IndexDamaged) as error:
        return f"the index at `{path}` is damaged ({error})"
    return f"the index at `{path}` is good and knows {count(files, 'remote file')}"


def _list(config: Config, context: Context, copy: str | None) -> tuple[list[RemoteFile], float]:
    """List the remote first: without it nothing could be matched, and all would be sent again."""
    from fileferry.cli.ask_remote import with_remote
    from fileferry.daemon.remote_view import RemoteView

    async def look(remote: Remote, pace: Pace) -> tuple[list[RemoteFile], float]:
        view: RemoteView = RemoteView(remote, pace, index_path=copy or "", settings=config.remote)
        if copy is not None:
            await view.greet()
        files = [file async for file in view.listing()]
        return files, remote.skew_seconds()

    return with_remote(config, context, look)


def _fill(
    config: Config,
    context: Context,
    scratch: str,
    copy: str | None,
    files: list[RemoteFile],
    skew: float,
) -> dict[str, Any]:
    """Make the new index in a directory of its own: a kill leaves the old one as it is."""
    from fileferry.daemon.reconstruction import Reconstruction
    from fileferry.index.connection import open_writer
    from fileferry.index.writer import InlineWriter

    path = os.path.join(scratch, FILE_NAME)
    restored = copy is not None
    if copy is not None:
        shutil.copyfile(copy, path)
    writer = InlineWriter(open_writer(path, verify=True))
    try:
        work = Reconstruction(
            config.folders, config.remote, scratch, writer=writer, clock=SystemClock()
        )
        work.begin(restored=restored)
        troubles = work.read()
        lost = _audit(config, context, writer) if restored else 0
        rebuilt = work.take(files, skew_seconds=skew)
    finally:
        writer.close()
    return {
        "paths": rebuilt.paths,
        "matched": rebuilt.matched,
        "to_send": rebuilt.to_send,
        "lost": lost,
        "troubles": troubles,
    }


def _audit(config: Config, context: Context, writer: Writer) -> int:
    """Find which ids of a restored index are gone; return how many.

    Raises:
        Held: more than the delete budget allows: the copy is of another remote, or very old.
        RemoteError: the remote could not be asked; the next `sync` does it.
    """
    from fileferry.cli.ask_remote import with_remote
    from fileferry.daemon.audit import Auditor
    from fileferry.daemon.logs import Log

    async def audit(remote: Remote, pace: Pace) -> int:
        auditor = Auditor(
            remote=remote,
            pace=pace,
            writer=writer,
            clock=SystemClock(),
            list_lag_seconds=config.remote.list_lag_seconds,
            delete_budget=min((folder.delete_budget for folder in config.folders), default=0),
            retire_seconds=max(
                (folder.retire_delay_seconds for folder in config.folders), default=0.0
            ),
            is_unchanged=_nobody_looked,
            log=Log("error"),
        )
        found = await auditor.run()
        if found.halted:
            raise Held(
                "the copy of the index names many ids that are gone at the remote; nothing was changed",
                hint="is this the right key? if it is, `fileferry rebuild --new`",
            )
        return found.lost

    try:
        return with_remote(config, context, audit)
    except Held:
        raise
    except (TimeoutError, RemoteError) as error:
        message = error.message if isinstance(error, FerryError) else "no answer"
        context.talk(f"the remote could not be audited: {message}; the next sync does it")
        return 0


def _tell(result: dict[str, Any], arguments: argparse.Namespace, context: Context) -> None:
    if arguments.json:
        context.json(result)
        return
    if result["set_aside"]:
        context.talk(f"the old index was set aside as `{result['set_aside']}`")
    if result["restored_from"]:
        context.talk(f"restored from `{result['restored_from']}`")
    for trouble in result["troubles"]:
        context.talk(f"not read: {trouble}")
    context.say(
        f"{count(result['paths'], 'file')} read, {count(result['matched'], 'remote file')} matched,"
        f" {count(result['to_send'], 'content')} to be sent"
    )
    context.talk("next: `fileferry sync`, and `fileferry orphans` for what was left behind")


async def _nobody_looked(_reading: Reading) -> bool:
    """What was being read while it was sent, when the copy was made, is sent again."""
    return False
