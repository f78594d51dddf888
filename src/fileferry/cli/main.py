"""Find the command, import only what it needs, turn errors into messages and exit codes.

Each command is a module with `configure(parser)` and `run(arguments, context) -> int`. argparse rather than a larger
library: `fileferry id` has to start in the time that importing one would take.
"""

from __future__ import annotations

import os
import sys

from fileferry.errors import FerryError

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


# name: (module, help); in the order of `--help`.
COMMANDS = {
    "demo": ("demo", "show the whole story against the bundled emulator, without an account"),
    "init": ("init", "write a commented configuration for a directory"),
    "run": ("run", "mirror in the foreground until stopped; what systemd starts"),
    "sync": ("sync", "reconcile once, then exit"),
    "id": ("ids", "print the file_id that holds the bytes at a path"),
    "path": ("path", "print the paths that a file_id stands for"),
    "ls": ("ls", "list what is in the index"),
    "input": ("input", "print the content parts for a Responses request"),
    "status": ("status", "say how things stand"),
    "wait": ("wait", "return when paths are uploaded and recorded"),
    "history": ("history", "print the log of id changes"),
    "approve": ("holds", "release what a guard holds"),
    "discard": ("holds", "keep what a guard holds, for good"),
    "accept": ("accept", "go on after a halt: another remote, a moved index, a replaced root"),
    "forget": ("forget", "end a folder that left the configuration"),
    "purge": ("forget", "delete everything that this index made"),
    "prune-ignored": ("forget", "delete the remote files of paths that are ignored now"),
    "pause": ("pause", "stop sending and deleting; changes are still noticed"),
    "resume": ("pause", "go on after a pause"),
    "errors": ("errors", "say what could not be done, and why"),
    "retry": ("errors", "try again what could not be done"),
    "check": ("check", "compare index, disk and remote; change nothing"),
    "repair": ("repair", "mend what `check` finds, then sync"),
    "orphans": ("orphans", "list remote files that look like ours but are not proven ours"),
    "rebuild": ("rebuild", "make a new index after the old one is lost or damaged"),
    "check-ignore": ("check_ignore", "say which rule ignores a path"),
    "config": ("config", "check or show the configuration"),
    "doctor": ("doctor", "look for everything that is usually wrong"),
    "emulator": ("emulator", "run the bundled OpenAI-compatible server"),
}
DEFAULT_WAIT_SECONDS = 300
DESCRIPTION = (
    "Mirrors local directories into the OpenAI Files API, and says which file_id holds which bytes."
)


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; errors are printed, not raised."""
    from fileferry.cli.context import Context

    context = Context(os.environ, sys.stdout, sys.stderr)
    try:
        arguments = _parse(argv)
        code = arguments.run(arguments, context)
        context.out.flush()
    except FerryError as error:
        context.complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        context.talk("interrupted")
        return 130
    except BrokenPipeError:
        # Whoever read us has gone: nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "-v" in argv or "--verbose" in argv:
            raise
        context.talk(
            f"fileferry: unexpected {type(error).__name__}: {error}\n"
            "hint: this is a defect of fileferry; `fileferry -v ...` says where"
        )
        return 1
    return int(code)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    command = next((word for word in _words(argv) if word in COMMANDS), None)
    parser, commands = _parser(command)
    if command is None:
        if any(word in {"-h", "--help", "--version"} for word in argv):
            parser.parse_args(argv)
        unknown = next(iter(_words(argv)), None)
        if unknown is not None:
            parser.error(f"no such command: `{unknown}`{_nearest(unknown)}")
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    from importlib import import_module

    module = import_module(f"fileferry.cli.{COMMANDS[command][0]}")
    if command == "id":
        # `--wait PATH`: a number belongs to --wait only behind an equals sign.
        argv = [f"--wait={DEFAULT_WAIT_SECONDS}" if word == "--wait" else word for word in argv]
    chosen = commands.add_parser(
        command,
        help=COMMANDS[command][1],
        description=COMMANDS[command][1] + ".",
        allow_abbrev=False,
    )
    module.configure(chosen)
    chosen.set_defaults(run=module.run)
    return parser.parse_args(argv)


def build(command: str) -> argparse.ArgumentParser:
    """Return the parser of one command, for the documentation of its options."""
    from importlib import import_module

    _, commands = _parser(command)
    chosen: argparse.ArgumentParser = commands.add_parser(
        command,
        prog=f"fileferry {command}",
        description=COMMANDS[command][1] + ".",
        allow_abbrev=False,
    )
    import_module(f"fileferry.cli.{COMMANDS[command][0]}").configure(chosen)
    return chosen


def _parser(command: str | None) -> tuple[argparse.ArgumentParser, argparse._SubParsersAction]:  # type: ignore[type-arg]
    import argparse

    parser = argparse.ArgumentParser(
        prog="fileferry",
        description=DESCRIPTION,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=None if command else "commands:\n" + _overview(),
    )
    parser.add_argument("--config", metavar="FILE", help="the configuration to use")
    parser.add_argument("-v", "--verbose", action="store_true", help="log every action to stderr")
    parser.add_argument("--version", action="version", version=_version() if not command else "")
    return parser, parser.add_subparsers(
        dest="command", metavar="COMMAND", prog=f"fileferry{'' if command else ' [OPTIONS]'}"
    )


def _overview() -> str:
    return "\n".join(f"  {name:<14} {text}" for name, (_, text) in COMMANDS.items())


def _words(argv: Sequence[str]) -> list[str]:
    words: list[str] = []
    skip = False
    for word in argv:
        if skip:
            skip = False
        elif word == "--config":
            skip = True
        elif not word.startswith("-"):
            words.append(word)
            break  # the first word is the command; what follows is its own
    return words


def _nearest(unknown: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(unknown, COMMANDS, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _version() -> str:
    from importlib.metadata import version

    return f"fileferry {version('fileferry')}"


def entry() -> None:
    """Start from the command line."""
    code = main(sys.argv[1:])
    workers = sys.modules.get("fileferry.daemon.workers")  # not loaded where nothing can hang
    if workers is not None:
        workers.abandon(code)
    sys.exit(code)
