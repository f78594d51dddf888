"""The file that `fileferry init` writes: few keys live, the others there to be found."""

from __future__ import annotations

import os
import re

from fileferry.config import kinds
from fileferry.errors import ConfigError

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}

_TEMPLATE = """\
# What fileferry mirrors, and how. A line that starts with # is off and shows the default.
# `fileferry config check` reads this file again, `fileferry config show` says what holds.
# The API key is not kept here: set OPENAI_API_KEY, or OPENAI_API_KEY_FILE.

[[folder]]
name = {name}
path = {path}

# How long a remote file lives: 1h to 30d, or "never". It is renewed before its time is up.
expires_after = "7d"

# What to leave out, written as in a .gitignore. A .ferryignore file in the folder works too.
ignore = []

# What the files are for: user_data, assistants, batch, fine-tune, vision or evals.
#purpose = "user_data"

# How long a changed file must be quiet before it is sent.
#settle = "2s"

# How long remote files outlive a local delete, and old ids their replacement.
#delete_delay = "10m"
#retire_delay = "10m"

# More than this at first, or more deletes than this in a day, waits for `fileferry approve`.
#upload_budget = "10GiB"
#delete_budget = 25

# Some files may be treated otherwise; the last rule that matches wins.
#[[folder.rule]]
#match = "**/*.jsonl"
#purpose = "batch"

#[remote]
#base_url = "https://api.openai.com/v1"
#uploads_per_minute = 1000
#bandwidth = "0"

#[state]
#directory = "~/.local/state/fileferry"
"""


def render(directory: str, name: str) -> str:
    """Write a configuration that mirrors `directory` as the folder `name`.

    Raises:
        ConfigError: when TOML has no way to write the directory, or `name` is no name.
    """
    try:
        kinds.NAME.parse(name)
    except ValueError as error:
        shown = kinds.display(name)
        raise ConfigError(
            f"the folder's name is {shown}, expected {kinds.NAME.expected}"
        ) from error
    if not directory or "\0" in directory or not _is_utf8(directory):
        raise ConfigError(
            f"`{kinds.printable(directory)}` cannot be written in a TOML file",
            hint="give the directory a name in UTF-8, or mirror the one above it",
        )
    if directory.startswith("~"):
        directory = "./" + directory  # it is a directory of that name, and nobody's home
    return _TEMPLATE.format(name=_quoted(name), path=_quoted(directory))


def name_for(directory: str) -> str:
    """Make a folder's name out of the directory's own."""
    base = os.path.basename(directory.rstrip("/"))
    return re.sub("[^A-Za-z0-9._-]+", "-", base).strip("._-") or "folder"


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(one) or _escape_control(one) for one in text) + '"'


def _escape_control(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x20 or ord(letter) == 0x7F else letter


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
