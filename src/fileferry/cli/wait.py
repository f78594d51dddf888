"""`fileferry wait`: a barrier for scripts."""

from __future__ import annotations

from fileferry.cli.daemon_client import DaemonClient
from fileferry.cli.text import count
from fileferry.errors import NotInSync, SomeFailed, Stuck, UnknownPath

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from fileferry.cli.context import Context

GRACE_SECONDS = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `wait`."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", help="what to wait for (default: every folder)"
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=float, help="give up after so long, with exit code 6"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Return when every path, as it is now or newer, is uploaded and recorded, or final."""
    wait_for(arguments.config, context, arguments.paths, timeout=arguments.timeout, final_ok=False)
    return 0


def wait_for(
    config: str | None,
    context: Context,
    paths: Sequence[str],
    *,
    timeout: float | None,
    final_ok: bool,
) -> None:
    """Wait for paths through the daemon.

    Args:
        config: what `--config` named.
        context: the world.
        paths: what to wait for; none: everything.
        timeout: seconds, or None for as long as it takes.
        final_ok: a path that cannot be uploaded is not an error here; the caller says so itself.

    Raises:
        DaemonUnreachable: nobody is there to wait for.
        NotInSync: the time ran out, or the daemon is paused.
        Stuck: nothing is sent before somebody acts.
        SomeFailed: some paths are final without an id.
    """
    from base64 import b64encode

    directory = context.state_directory(config)
    client = DaemonClient(directory)
    client.get("/v1/status")
    places: list[tuple[int, str]] = []
    if paths:
        with context.reader(config) as reader:
            for text in paths:
                folder_id, path = reader.locate(text, context.cwd)
                places.append((folder_id, b64encode(path).decode("ascii")))
    answer = client.post(
        "/v1/wait",
        {"places": places, "timeout": timeout},
        timeout_seconds=None if timeout is None else timeout + GRACE_SECONDS,
    )
    if answer["paused"]:
        raise NotInSync(
            "the daemon is paused, and not everything is in sync", hint="`fileferry resume`"
        )
    if answer.get("stuck"):  # an older daemon does not know the word
        raise Stuck(answer["stuck"], exit_code=answer["exit_code"])
    if not answer["complete"]:
        raise NotInSync("the wait ran out before everything was in sync", hint="`fileferry status`")
    if not final_ok:
        _all_known(config, context, paths)
    if answer["troubled"] and not final_ok:
        for path, error in answer["troubled"]:
            context.talk(f"{path}: {error}")
        raise SomeFailed(
            f"not everything could be uploaded: {count(len(answer['troubled']), 'problem')}",
            hint="`fileferry errors`, `fileferry status`",
        )


def _all_known(config: str | None, context: Context, paths: Sequence[str]) -> None:
    """A path that is not there, now that everything is seen, is a mistake and not a success."""
    with context.reader(config) as reader:
        for text in paths:
            folder_id, path = reader.locate(text, context.cwd)
            if path and next(reader.below(folder_id, path), None) is None:
                raise UnknownPath(
                    f"`{text}` is not in the index", hint="is it ignored? `fileferry check-ignore`"
                )
