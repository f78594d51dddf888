"""`fileferry emulator`: the bundled OpenAI-compatible server."""

from __future__ import annotations

from fileferry.errors import FerryError

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `emulator`."""
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=8700, help="%(default)s; 0 picks one that is free"
    )
    parser.add_argument(
        "--data", metavar="DIR", help="keep files there; without it, until the emulator ends"
    )
    parser.add_argument(
        "--requests-per-minute", type=int, metavar="N", help="the rate limit of every key"
    )
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="MS", help="hold every answer back that long"
    )
    parser.add_argument(
        "--bandwidth",
        type=rate,
        metavar="SIZE",
        help="how much a connection may send in a second, such as 40MiB",
    )


def rate(text: str) -> float:
    """Read a size, or a bare number of bytes."""
    from argparse import ArgumentTypeError

    from fileferry.config.units import parse_size

    try:
        return float(text) if text.replace(".", "", 1).isdigit() else float(parse_size(text))
    except ValueError:
        raise ArgumentTypeError(f"`{text}` is no size: `40MiB`, `500KB`") from None


def run(arguments: argparse.Namespace, context: Context) -> int:  # noqa: ARG001 - the emulator talks by itself
    """Serve until SIGINT or SIGTERM."""
    from pathlib import Path

    from fileferry.emulator import serve

    try:
        serve(
            host=arguments.host,
            port=arguments.port,
            data=None if arguments.data is None else Path(arguments.data),
            requests_per_minute=arguments.requests_per_minute,
            latency_ms=arguments.latency,
            bandwidth=arguments.bandwidth,
        )
    except (ValueError, OSError, OverflowError) as error:
        raise FerryError(f"the emulator cannot start: {error}") from error
    return 0
