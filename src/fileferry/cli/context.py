"""What a command is given of the world: environment, streams, current directory."""

from __future__ import annotations

import os

from fileferry.cli.text import safe

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from fileferry.config.load import Config
    from fileferry.errors import FerryError
    from fileferry.index.reader import Reader


class Context:
    """The world of one command. stdout is data, stderr is talk."""

    def __init__(self, environ: Mapping[str, str], out: TextIO, err: TextIO) -> None:
        self.environ = environ
        self.out = out
        self.err = err

    @property
    def cwd(self) -> str:
        """Return the current directory, as the shell calls it."""
        try:
            return os.getcwd()  # noqa: TID251 - here is where it comes in
        except FileNotFoundError:
            return "/"

    def say(self, *fields: str) -> None:
        """Print a line of data, a tab between its fields: no name in it writes to the terminal, or another line."""
        self.out.write("\t".join(map(safe, fields)) + "\n")

    def talk(self, text: str) -> None:
        """Print a line of talk."""
        self.err.write(safe(text) + "\n")

    def complain(self, error: FerryError) -> None:
        """Print an error, and what to do about it."""
        for line in f"fileferry: {error.message}".split(
            "\n"
        ):  # a configuration may have several mistakes
            self.talk(line)
        if error.hint:
            self.talk(f"hint: {error.hint}")

    def json(self, value: object) -> None:
        """Print a value as JSON, on one line."""
        import json

        # ASCII: control characters beyond ASCII would go to the terminal as they are.
        self.out.write(json.dumps(value) + "\n")

    def state_directory(self, config_path: str | None) -> str:
        """Return where the index is, reading as little as possible."""
        from fileferry.config.source import state_directory

        return state_directory(config_path, self.environ)

    def reader(self, config_path: str | None) -> Reader:
        """Open the index for reading."""
        from fileferry.index.reader import Reader

        return Reader(self.state_directory(config_path))

    def config(self, config_path: str | None) -> Config:
        """Load and check the configuration."""
        from fileferry.config.load import load

        config = load(config_path, self.environ)
        for warning in config.warnings:
            self.talk(f"warning: {warning}")
        return config
