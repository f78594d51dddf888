"""Runs the emulator: `python -m fileferry.emulator --port 0`."""

import argparse
import sys
from pathlib import Path

from .server import serve


def main() -> int:
    """Read the arguments and serve; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fileferry.emulator")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8700, help="0 picks a free one")
    parser.add_argument("--data", type=Path, help="keep files here; temporary otherwise")
    parser.add_argument("--requests-per-minute", type=int, help="rate limit of every key")
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS")
    parser.add_argument("--bandwidth", type=float, metavar="BYTES_PER_SECOND")
    parser.add_argument("--allow-remote", action="store_true", help="listen beyond loopback")
    options = parser.parse_args()
    try:
        serve(
            host=options.host,
            port=options.port,
            data=options.data,
            requests_per_minute=options.requests_per_minute,
            latency_ms=options.latency,
            bandwidth=options.bandwidth,
            allow_remote=options.allow_remote,
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a command talks
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
