"""`fileferry pause` and `resume`: switches of the daemon."""

from __future__ import annotations

from fileferry.errors import UsageError

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pause` and `resume`; the parser knows which one it is for."""
    if parser.prog.endswith("pause"):
        parser.add_argument(
            "--for",
            dest="duration",
            metavar="DURATION",
            help="go on by itself after this long, such as 30m or 2h; without it, until `resume`",
        )
    parser.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Tell the daemon."""
    body: dict[str, float | None] = {}
    if arguments.command == "pause":
        body["seconds"] = None if arguments.duration is None else _seconds(arguments.duration)
    from fileferry.cli.daemon_client import DaemonClient

    client = DaemonClient(context.state_directory(arguments.config))
    answer = client.post(f"/v1/{arguments.command}", body)
    if arguments.json:
        context.json(answer)
    elif arguments.command == "resume":
        context.say("resumed")
    else:
        until = answer.get("paused_until")
        context.say(f"paused until {until}" if until and body["seconds"] is not None else "paused")
    return 0


def _seconds(text: str) -> float:
    from fileferry.config.units import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        why = f": {error}" if str(error) else ""
        raise UsageError(
            f"`{text}` is no duration{why}", hint="such as `90s`, `30m` or `2h`"
        ) from error
    if seconds <= 0:
        raise UsageError(f"`{text}` is no time at all", hint="`fileferry resume` ends a pause")
    return seconds
