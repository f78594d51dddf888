"""`fileferry approve` and `discard`: what a guard holds goes on, or stays as it is for good."""

from __future__ import annotations

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `approve` and `discard`."""
    parser.add_argument(
        "held",
        metavar="HELD",
        nargs="?",
        help="its name, such as D7, as `status` shows it; without one, everything that is held",
    )
    parser.add_argument("--json", action="store_true", help="print what was decided as JSON")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Decide about exactly the files that are held."""
    from fileferry.cli.perform import perform
    from fileferry.cli.text import count

    result = perform(context, arguments.config, arguments.command, {"hold": arguments.held or None})
    if arguments.json:
        context.json(result)
        return 0
    for hold in result["holds"]:
        what = f"{count(hold['files'], hold['kind'])} of `{hold['folder']}`"
        verb = "released" if arguments.command == "approve" else "kept as they are, for good"
        context.say(f"{hold['hold']}: {what} {verb}")
    if not result["holds"]:
        context.talk("nothing is held")
    elif arguments.command == "approve" and not result["daemon"]:
        context.talk("next: `fileferry sync` carries it out")
    return 0
