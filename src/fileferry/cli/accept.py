"""`fileferry accept`: go on after a halt that asks whether a change was meant."""

from __future__ import annotations

from fileferry.errors import FerryError, UsageError

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `accept`."""
    parser.add_argument(
        "what",
        choices=("remote", "index", "root"),
        help="remote: another endpoint, organization or project, where everything is sent again, or ids that vanished;"
        " index: the index was moved or copied to this machine; root: a folder's directory was replaced or emptied",
    )
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", help="root: this folder only, instead of all"
    )
    parser.add_argument("--json", action="store_true", help="print what was accepted as JSON")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Accept what a halt asks about."""
    from fileferry.cli.perform import perform

    if arguments.folder and arguments.what != "root":
        raise UsageError(f"`accept {arguments.what}` takes no folder")
    wanted: dict[str, Any] = {"what": arguments.what, "folder": arguments.folder}
    if arguments.what == "remote":
        wanted |= _remote_now(context.config(arguments.config), context)
    result = perform(context, arguments.config, "accept", wanted)
    if arguments.json:
        context.json(result)
    else:
        _tell(result, context)
    return 0


def _remote_now(config: Config, context: Context) -> dict[str, str | None]:
    """Say which remote the configuration and the key name now; the account only where the API tells."""
    from fileferry.daemon.enlist import endpoint_text

    account = None
    try:
        account = _ask_account(config, context)
    except FerryError as error:
        context.talk(f"the account of the key could not be asked for: {error.message}")
    return {"endpoint": endpoint_text(config.remote), "account": account}


def _ask_account(config: Config, context: Context) -> str:
    from fileferry.cli.ask_remote import with_remote

    async def ask(remote: Remote, _pace: Pace) -> str:
        account = await remote.hello()
        return ", ".join(part for part in (account.organization, account.project) if part)

    return with_remote(config, context, ask)


def _tell(result: dict[str, Any], context: Context) -> None:
    from fileferry.cli.text import count

    if result["what"] == "remote":
        if result["changed"]:
            context.say(
                f"accepted; {count(result['lost'], 'id')} of {result['before']} will be made anew, and"
                " nothing is deleted there"
            )
        elif result["halt"]:
            context.say(f"accepted: {result['halt']}")
        else:
            context.talk("the remote is the one that the index belongs to")
            return
    elif result["accepted"]:
        context.say(f"accepted: {', '.join(result['accepted'])}")
    else:
        context.talk("nothing asks for that")
        return
    if not result["daemon"]:
        context.talk("next: `fileferry sync`")
