"""`fileferry forget`, `purge` and `prune-ignored`: end a folder, everything, or what is ignored now."""

from __future__ import annotations

import os

from fileferry.errors import FerryError, LockHeld

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from fileferry.cli.context import Context

TEMPORARY = 5
_ABOUT = {
    "forget": "End a folder that left the configuration. Its paths leave the index. Its remote files are kept as they"
    " are: they can still be used, expire in their time, and a folder with the same bytes takes them up again;"
    " with --delete they are deleted, except what another folder's files still need.",
    "purge": "Delete every remote file that this index made, and forget all paths. Folders that are still in the"
    " configuration are sent again by the next sync.",
    "prune-ignored": "Delete the remote files of paths that are ignored now, except what other paths still need.",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the three commands; the parser knows which one it is for."""
    command = parser.prog.rpartition(" ")[2]
    parser.description = _ABOUT.get(command, parser.description)
    if command == "forget":
        parser.add_argument("folder", metavar="FOLDER", help="its name, as `status` shows it")
        parser.add_argument("--delete", action="store_true", help="delete its remote files too")
    if command != "prune-ignored":
        from fileferry.cli.confirm import add_yes

        add_yes(parser)
    parser.add_argument(
        "--json", action="store_true", help="print what was done as one JSON object"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Ask, do it, and delete at once where no daemon will."""
    from fileferry.cli.perform import perform

    wanted: dict[str, Any] = {}
    if arguments.command == "forget":
        wanted = {"folder": arguments.folder, "delete": arguments.delete}
    if arguments.command != "prune-ignored":
        _ask(arguments, context)
    result = perform(context, arguments.config, arguments.command, wanted)
    trouble = None
    if result["deletes"] and not result["daemon"]:
        trouble = _delete(arguments, context, result)
    if arguments.json:
        context.json(result)
    else:
        _tell(arguments.command, result, context)
    if trouble is not None:
        context.complain(trouble)
        return trouble.exit_code
    return TEMPORARY if result.get("still_there") else 0


def _ask(arguments: argparse.Namespace, context: Context) -> None:
    from fileferry.cli.confirm import confirm
    from fileferry.cli.text import count

    with context.reader(arguments.config) as reader:
        if arguments.command == "purge":
            number = next(
                reader.rows(
                    "SELECT count(*) FROM remote WHERE state IN ('live', 'retiring', 'deleting')"
                )
            )[0]
            files = count(number, "remote file")
            confirm(context, f"delete {files}, all that this index made?", yes=arguments.yes)
            return
        rows = reader.rows(
            "SELECT name, root, (SELECT count(*) FROM entry WHERE folder_id = folder.id) AS paths"
            " FROM folder"
        )
        root = os.fsencode(arguments.folder).rstrip(b"/")
        found = [row for row in rows if arguments.folder == row["name"] or root == row["root"]]
    mirrored = {folder.root for folder in context.config(arguments.config).folders}
    if not found or found[0]["root"] in mirrored:
        return  # it is refused in any case: no reason to ask
    number = found[0]["paths"]
    files = count(number, "path")
    fate = "delete their remote files" if arguments.delete else "keep their remote files"
    confirm(
        context,
        f"forget {files} of folder `{arguments.folder}`, and {fate}?",
        yes=arguments.yes,
    )


def _delete(
    arguments: argparse.Namespace, context: Context, result: dict[str, Any]
) -> FerryError | None:
    from fileferry.cli.sweep import sweep
    from fileferry.config.load import load

    try:
        swept = sweep(load(arguments.config, context.environ), context)
    except LockHeld:
        return None  # whoever has the lock now deletes them
    except FerryError as error:
        result |= {"deleted": 0, "still_there": result["deletes"]}
        return error
    result |= {"deleted": swept.deleted, "still_there": swept.left}
    return swept.trouble if swept.left else None


def _tell(command: str, result: dict[str, Any], context: Context) -> None:
    from fileferry.cli.text import count

    words = [f"{count(result['paths'], 'path')} left the index"]
    if "deleted" in result:
        words.append(f"{count(result['deleted'], 'remote file')} deleted")
    elif result["deletes"]:
        words.append(f"{count(result['deletes'], 'remote file')} will be deleted")
    if result["shared"]:
        words.append(f"{result['shared']:,} kept for other paths")
    if result["left"]:
        words.append(f"{result['left']:,} left there, with no path")
    context.say(", ".join(words))
    if result.get("still_there"):
        context.talk(
            f"{count(result['still_there'], 'remote file')} still to be deleted: the next sync does it"
        )
    if result["left"]:
        context.talk("they expire in their time, or go with `fileferry purge`")
    if result["unproven"]:
        context.talk(
            f"{count(result['unproven'], 'remote file')} not proven to be ours: see `fileferry orphans`"
        )
    if command == "purge" and result["active"]:
        context.talk(
            f"still in the configuration, so the next sync sends them again: {', '.join(result['active'])}"
        )
