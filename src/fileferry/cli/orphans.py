"""`fileferry orphans`: remote files that look like ours but are not proven ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fileferry.cli.check import index_path
from fileferry.cli.text import count, moment, safe
from fileferry.errors import RemoteError

if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.daemon.remote_view import Orphan, RemoteView

TEMPORARY = 5
_ABOUT = (
    "List remote files that look like ours but are not proven ours: those that were only matched, and those with the"
    " name, size and purpose of a file that this index has or had, under an id that it does not know. They may be what"
    " a lost index left behind; they may as well be a colleague's, who mirrors the same files into the same project."
    " With --delete exactly those listed are deleted, after a question; never one that a path stands for."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `orphans`."""
    from fileferry.cli.confirm import add_yes

    parser.description = _ABOUT
    parser.add_argument(
        "--delete", action="store_true", help="delete exactly those that are listed"
    )
    add_yes(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """List them, and delete them if asked to."""
    from fileferry.cli.ask_remote import ask

    config = context.config(arguments.config)
    path = index_path(config)

    async def look(view: RemoteView) -> list[Orphan]:
        await view.greet()
        return await view.orphans()

    found = ask(config, context, path, look)
    for orphan in found:
        _print(orphan, context, as_json=arguments.json)
    if not found and not arguments.json:
        context.talk("nothing looks like ours that is not proven ours")
    if not arguments.delete or not found:
        return 0
    return _delete(found, config, arguments, context)


def _print(orphan: Orphan, context: Context, *, as_json: bool) -> None:
    file = orphan.file
    if as_json:
        context.json(
            {
                "file_id": file.file_id,
                "name": file.name,
                "size": file.size,
                "purpose": file.purpose,
                "created_at": moment(file.created_at),
                "expires_at": moment(file.expires_at),
                "why": orphan.why,
                "used_by": list(orphan.used_by),
                "deletable": orphan.deletable,
            }
        )
        return
    used = f"; stands for {safe(', '.join(orphan.used_by))}" if orphan.used_by else ""
    size = "?" if file.size is None else f"{file.size:,}"
    context.say(
        f"{file.file_id:<29} {size:>13} {moment(file.created_at)} {safe(file.name)}  ({orphan.why}{used})"
    )


def _delete(
    found: list[Orphan], config: Config, arguments: argparse.Namespace, context: Context
) -> int:
    from fileferry.cli.confirm import confirm

    chosen = [orphan for orphan in found if orphan.deletable]
    left = len(found) - len(chosen)
    if left:
        context.talk(f"{count(left, 'file')} in use, or perhaps an upload of ours: not deleted")
    if not chosen:
        return 0
    confirm(
        context,
        f"delete {count(len(chosen), 'remote file')} listed above? nothing proves that they are ours:"
        " they may be a colleague's, and cannot be brought back",
        yes=arguments.yes,
    )
    deleted, trouble = _delete_unknown(chosen, config, context)
    deleted += _delete_known([one.file.file_id for one in chosen if one.known], arguments, context)
    (context.talk if arguments.json else context.say)(f"{count(deleted, 'remote file')} deleted")
    if trouble is not None:
        context.complain(trouble)
        return trouble.exit_code
    return 0 if deleted == len(chosen) else TEMPORARY


def _delete_unknown(
    chosen: list[Orphan], config: Config, context: Context
) -> tuple[int, RemoteError | None]:
    """Delete what the index does not know, one by one."""
    from fileferry.cli.ask_remote import ask

    async def delete(view: RemoteView) -> tuple[int, RemoteError | None]:
        await view.greet()
        deleted = 0
        for orphan in chosen:
            try:
                deleted += not orphan.known and await view.delete(orphan)
            except RemoteError as error:
                return deleted, error
        return deleted, None

    return ask(config, context, index_path(config), delete)


def _delete_known(ids: list[str], arguments: argparse.Namespace, context: Context) -> int:
    """Have the index give up what it had matched; whoever works on it deletes that."""
    if not ids:
        return 0
    from fileferry.cli.perform import perform
    from fileferry.cli.sweep import sweep
    from fileferry.config.load import load

    result: dict[str, Any] = perform(context, arguments.config, "delete-orphans", {"ids": ids})
    if result["deletes"] and not result["daemon"]:
        return sweep(load(arguments.config, context.environ), context).deleted
    return int(result["deletes"])
