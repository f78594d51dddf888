"""`fileferry status`: how things stand, from the index, and from the daemon where one answers."""

from __future__ import annotations

import time

from fileferry.cli.halts import halt_hint
from fileferry.cli.summary import FAILED, PENDING, summarize
from fileferry.cli.text import count, duration, safe, size
from fileferry.errors import DaemonUnreachable, FerryError
from fileferry.index import risk

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from fileferry.cli.context import Context

REPAINT_SECONDS = 2.0
SKEW_SECONDS = 5.0  # two clocks that are less apart need no line
_CLEAR = "\x1b[H\x1b[2J"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `status`."""
    parser.add_argument(
        "--watch", action="store_true", help="print it again every 2 seconds until interrupted"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print one line that says it all, then the details."""
    directory = context.state_directory(arguments.config)
    while True:
        with context.reader(arguments.config) as reader:
            status = summarize(reader, time.time())  # noqa: TID251 - the clock module costs an asyncio
        status["daemon"] = _daemon(directory)
        status["watch"] = _watch(status["daemon"])
        if arguments.json:
            context.json(status)
        else:
            if arguments.watch and context.out.isatty():
                context.out.write(_CLEAR)
            for line in _lines(status):
                context.say(safe(line))
        if not arguments.watch:
            return 0
        context.out.flush()
        time.sleep(REPAINT_SECONDS)


def _daemon(directory: str) -> dict[str, Any]:
    from fileferry.cli.daemon_client import DaemonClient

    try:
        return {"running": True, **DaemonClient(directory).get("/v1/status")}
    except DaemonUnreachable as error:
        # The control socket is its owner's alone: whoever may only read the index cannot tell.
        return {"running": None if isinstance(error.__cause__, PermissionError) else False}
    except FerryError as error:
        return {"running": True, "trouble": error.message}


def _watch(daemon: dict[str, Any]) -> str:
    """Sum up how changes are noticed: by the folder that is watched worst."""
    if not daemon["running"]:
        return "off" if daemon["running"] is False else "unknown"
    states = set(dict(daemon.get("watch") or {}).values())
    return next((state for state in ("polling", "degraded", "ok") if state in states), "off")


def _lines(status: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{count(status['in_sync'], 'file')} in sync, {status['pending']:,} pending, {status['failed']:,} in error,"
        f" next renewal {status['next_renewal'] or 'none'}, watch {status['watch']},"
        f" {count(status['held_deletes'], 'delete')} held{_halted(status)}"
    )
    yield from _risk_lines(status["at_risk"])
    for folder in status["folders"]:
        yield from _folder_lines(folder)
    yield from _remote_lines(status["remote"])
    for hold in status["holds"]:
        yield f"held {hold['hold']}: {count(hold['files'], hold['kind'])} of {hold['folder']}: {hold['reason']}"
        yield f"  hint: `fileferry approve {hold['hold']}` or `fileferry discard {hold['hold']}`"
    yield from _leaving_lines(status["remote"], status["next_delete"])
    yield from _daemon_lines(status)
    if status["daemon"]["running"] is False:
        for each in status["begun"]:
            yield (
                f"half sent: {each['path']}, {each['parts_sent']:,} of {count(each['parts'], 'part')};"
                f" the next run goes on, until {each['upload_expires_at']}"
            )


def _remote_lines(remote: dict[str, Any]) -> Iterator[str]:
    if remote["halt"]:
        yield f"halted: remote: {remote['halt']}"
        yield f"  hint: {halt_hint('remote')}"
    if remote["unaudited"]:
        yield "the index was restored or moved: no id is printed, and none is deleted, before an audit"
        yield "  hint: `fileferry sync` makes one, and so does the daemon"
    if abs(skew := remote["clock_skew_seconds"]) > SKEW_SECONDS:
        ahead = "behind" if skew > 0 else "ahead of"
        yield f"this machine's clock is {duration(abs(skew))} {ahead} the API's, which is reckoned with"
    if remote["rest_until"]:
        yield f"the API asked for no request before {remote['rest_until']}"
        yield "  hint: nothing is lost; `fileferry retry` asks it at once"


def _leaving_lines(remote: dict[str, Any], next_delete: str | None) -> Iterator[str]:
    leaving = remote["retiring"] + remote["deleting"]
    if leaving:
        yield f"{count(leaving, 'remote file')} to be deleted, the next from {next_delete or 'never'}"
    if remote["without_path"]:
        yield f"{count(remote['without_path'], 'remote file')} with no path (`fileferry purge` deletes all)"


def _risk_lines(danger: dict[str, Any] | None) -> Iterator[str]:
    if danger is not None:
        when = f"in {duration(danger['seconds'])}" if danger["seconds"] > 0 else "already"
        yield f"{risk.words(danger['ids'])} not renewed in time, the first runs out {when}: {danger['path']}"
        yield f"  because {danger['reason']}"


def _halted(status: dict[str, Any]) -> str:
    halted = sum(folder["state"] == "halted" for folder in status["folders"])
    words = [f", {count(halted, 'folder')} halted"] if halted else []
    words += [", halted by the remote"] if status["remote"]["halt"] else []
    return "".join(words)


def _folder_lines(folder: dict[str, Any]) -> Iterator[str]:
    files = folder["files"]
    total = sum(files.values()) - files["ignored"]
    words = [f"{count(total, 'file')}"]
    words += [f"{files[state]:,} {state}" for state in (*PENDING, *FAILED, "kept") if files[state]]
    scan = f"scanned {folder['last_scan']}" if folder["last_scan"] else "never scanned whole"
    yield f"{folder['name']}  {folder['root']}  {folder['state']}: {', '.join(words)}; {scan}"
    if folder["state"] == "halted":
        yield f"  halted: {folder['halt']}"
        if hint := halt_hint(str(folder["halt"]), folder["name"]):
            yield f"  hint: {hint}"
    if folder["state"] == "detached":
        yield f"  not in the configuration: `fileferry forget {folder['name']}` ends it"


def _daemon_lines(status: dict[str, Any]) -> Iterator[str]:
    daemon = status["daemon"]
    last = status["last_scan"] or "never"
    if daemon["running"] is None:
        yield f"only its owner can ask the daemon; the last whole scan was {last}"
        return
    if not daemon["running"]:
        yield f"daemon not running; it last worked {last}"
        return
    started = f" since {daemon['started_at']}" if daemon.get("started_at") else ""
    yield f"daemon running{started} (process {daemon.get('pid', '?')}); last whole scan {last}"
    if daemon.get("paused"):
        until = f" until {daemon['paused_until']}" if daemon.get("paused_until") else ""
        yield f"  paused{until}: `fileferry resume` goes on"
    for name, state in dict(daemon.get("watch") or {}).items():
        if state != "ok":
            yield f"  watching {name}: {state}"
    for each in daemon.get("sending") or ():
        yield f"  sending {each['path']}: {_progress(each)}"
    if daemon.get("trouble"):
        yield f"  trouble: {daemon['trouble']}"


def _progress(sending: dict[str, Any]) -> str:
    """Say how far a large file is."""
    share = sending["bytes_sent"] / sending["bytes"]
    words = [
        f"{size(sending['bytes_sent'])} of {size(sending['bytes'])} ({share:.0%})",
        f"{sending['parts_sent']:,} of {count(sending['parts'], 'part')}",
    ]
    if sending["bytes_per_second"]:
        words.append(f"{size(sending['bytes_per_second'])} a second")
        words.append(f"{duration(sending['seconds_left'])} left")
    words.append(f"the API drops it at {sending['upload_expires_at']}")
    return ", ".join(words)
