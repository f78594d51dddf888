"""The one table of all keys: validation, help with typing errors and documentation come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.config import kinds

if TYPE_CHECKING:
    from fileferry.config.kinds import Kind

REQUIRED = object()  # as a default: the key has to be given
INHERITED = object()  # as a default: what the folder says

RESERVED = ("vector_store", "batch")  # tables of later versions


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the configuration.

    Args:
        section: `remote`, `state`, `folder` or `folder.rule`.
        name: as it is written in the file.
        kind: what may stand there.
        default: as it would be written in the file, or REQUIRED, or INHERITED.
        attribute: the attribute of the target value that holds it.
        meaning: one line for newcomers.
        fallback: the variable that is asked when neither our own nor the file says anything.
    """

    section: str
    name: str
    kind: Kind
    default: object
    attribute: str
    meaning: str
    fallback: str = ""

    @property
    def dotted(self) -> str:
        """The whole name, as in `remote.concurrency`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The variable that goes before the file; none for what may stand there often."""
        if self.section not in {"remote", "state"}:
            return ""
        return f"FILEFERRY_{self.section}_{self.name}".upper()


def _remote() -> list[Key]:
    def key(
        name: str, kind: Kind, default: object, attribute: str, meaning: str, fallback: str = ""
    ) -> Key:
        return Key("remote", name, kind, default, attribute, meaning, fallback)

    return [
        key("base_url", kinds.URL, "https://api.openai.com/v1", "base_url",
            "the endpoint; plain http only on this machine", "OPENAI_BASE_URL"),
        key("organization", kinds.IDENTIFIER, "", "organization",
            "the organization, where a key belongs to several", "OPENAI_ORG_ID"),
        key("project", kinds.IDENTIFIER, "", "project",
            "the project, where a key belongs to several", "OPENAI_PROJECT_ID"),
        key("uploads_per_minute", kinds.RATE, 1000, "uploads_per_minute",
            "the most uploads in any 60 seconds, renewals and retries included; 0: no limit"),
        key("concurrency", kinds.count(1, 64), 8, "concurrency",
            "how many requests may be under way at once, 1 to 64"),
        key("bandwidth", kinds.BANDWIDTH, "0", "bandwidth_bytes_per_second",
            "the most bytes a second to send, such as `2MiB`; 0: no limit"),
        key("list_lag", kinds.duration(), "60s", "list_lag_seconds",
            "how long a new file may be missing from a listing"),
        key("multipart_threshold", kinds.MULTIPART, "128MiB", "multipart_threshold_bytes",
            "files larger than this are sent in parts; at most `512MB`"),
        key("part_concurrency", kinds.count(1, 16), 4, "part_concurrency",
            "how many parts of one file may be under way at once, 1 to 16"),
        key("check_interval", kinds.duration(1), "1h", "check_interval_seconds",
            "how often the remote listing is compared with the index"),
    ]  # fmt: skip


def _state() -> list[Key]:
    return [
        Key("state", "directory", kinds.PATH, "~/.local/state/fileferry", "directory",
            "where the index lives; only you can read it; no mirrored folder may hold it",
            "STATE_DIRECTORY"),
        Key("state", "group", kinds.GROUP, "", "group",
            "a group that may read the index too; empty: nobody else"),
    ]  # fmt: skip


def _folder() -> list[Key]:
    def key(name: str, kind: Kind, default: object, attribute: str, meaning: str) -> Key:
        return Key("folder", name, kind, default, attribute, meaning)

    return [
        key("name", kinds.NAME, REQUIRED, "name",
            "what the folder is called in commands and in the index"),
        key("path", kinds.PATH, REQUIRED, "root",
            "the directory to mirror; it is only ever read"),
        key("purpose", kinds.PURPOSE, "user_data", "purpose",
            "what the API may use the files for: " + kinds.PURPOSE.expected),
        key("expires_after", kinds.EXPIRY, "7d", "expires_after_seconds",
            "the life of a remote file, renewed before it ends: `1h` to `30d`, or `never`"),
        key("settle", kinds.duration(), "2s", "settle_seconds",
            "how long a changed file must be quiet before it is read"),
        key("settle_max", kinds.duration(), "5m", "settle_max_seconds",
            "after this long a file that never rests is read anyway"),
        key("delete_delay", kinds.duration(), "10m", "delete_delay_seconds",
            "how long the remote file of a deleted file is kept, in case it comes back"),
        key("retire_delay", kinds.duration(), "10m", "retire_delay_seconds",
            "how long a replaced id lives on, for programs that still use it"),
        key("rescan_interval", kinds.duration(1), "15m", "rescan_interval_seconds",
            "how often the whole folder is looked at, whatever was noticed in between"),
        key("ignore", kinds.PATTERNS, [], "ignore",
            "what not to mirror, in `.gitignore` syntax; `.ferryignore` files are read too"),
        key("default_ignore", kinds.FLAG, True, "default_ignore",
            "also leave out `.git/`, `node_modules/`, editor leftovers and files with secrets"),
        key("upload_budget", kinds.SIZE, "10GiB", "upload_budget_bytes",
            "a first upload of more than this waits for `fileferry approve`; 0: no limit"),
        key("delete_budget", kinds.count(0), 25, "delete_budget",
            "more deletes than this, and than 10 % of the folder, wait for `fileferry approve`"),
        key("dedup", kinds.DEDUP, "content", "dedup",
            "what lets two paths share one remote file: " + kinds.DEDUP.expected),
        key("remote_name", kinds.REMOTE_NAME, "{name}", "remote_name",
            "what a file is called there; `{stem}` `{suffix}` `{digest8}` `{path}` work too"),
        key("digest", kinds.choice("xxh3_128", "sha256"), "xxh3_128", "digest",
            "how content is recognised; `sha256` where people you do not trust can write"),
        key("symlinks", kinds.choice("skip", "inside"), "skip", "symlinks",
            "`inside` follows a symbolic link whose target is in the folder"),
    ]  # fmt: skip


def _rule() -> list[Key]:
    def key(name: str, kind: Kind, default: object, attribute: str, meaning: str) -> Key:
        return Key("folder.rule", name, kind, default, attribute, meaning)

    return [
        key("match", kinds.PATTERN, REQUIRED, "match",
            "which files, in `.gitignore` syntax; the last rule that matches wins"),
        key("purpose", kinds.PURPOSE, INHERITED, "purpose", "another purpose for them"),
        key("expires_after", kinds.EXPIRY, INHERITED, "expires_after_seconds",
            "another life for them"),
        key("remote_name", kinds.REMOTE_NAME, INHERITED, "remote_name",
            "another name for them"),
        key("dedup", kinds.DEDUP, INHERITED, "dedup", "another way to share for them"),
    ]  # fmt: skip


KEYS: tuple[Key, ...] = (*_remote(), *_state(), *_folder(), *_rule())

# The tables that may stand inside another one; everything else there is a key.
NESTED = {"": ("remote", "state", "folder"), "folder": ("rule",)}


def keys_of(section: str) -> dict[str, Key]:
    """Give the keys of one section by their names."""
    return {key.name: key for key in KEYS if key.section == section}


def toml_default(key: Key) -> str | None:
    """Write the default as TOML; None where there is none."""
    default = key.default
    if default is REQUIRED or default is INHERITED:
        return None
    if isinstance(default, bool):
        return str(default).lower()
    return f'"{default}"' if isinstance(default, str) else str(default)


def explain_unknown(section: str, name: str) -> str:
    """Say what could have been meant by a key, or a table, that is not known."""
    if name in RESERVED:
        return "it is reserved for a later version"
    if name.lower() in {"api_key", "key", "token", "secret", "openai_api_key"}:
        return "the API key does not belong here: set `OPENAI_API_KEY` or `OPENAI_API_KEY_FILE`"
    known = [*keys_of(section), *NESTED.get(section, ())]
    elsewhere = {key.name: key.section for key in reversed(KEYS)}
    if name not in elsewhere and (near := nearest(name, known)):
        return f"did you mean `{near}`?"
    if near := nearest(name, list(elsewhere)):
        return f"did you mean `{near}` of {header(elsewhere[near])}?"
    return "known are " + ", ".join(f"`{word}`" for word in known)


def header(section: str) -> str:
    """Write the header of a section as it stands in the file."""
    return f"`[[{section}]]`" if section.startswith("folder") else f"`[{section}]`"


def nearest(name: str, known: list[str]) -> str | None:
    """Find the known word that looks most like `name`, if any does."""
    import difflib

    return next(iter(difflib.get_close_matches(name[:60].lower(), known, n=1)), None)


def markdown_table() -> str:
    """Write the README's table of all keys."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key in KEYS:
        default = toml_default(key)
        default = (
            ("required" if key.default is REQUIRED else "the folder's")
            if default is None
            else f"`{default}`"
        )
        rows.append(f"| `{key.dotted}` | {default} | {key.meaning} |")
    return "\n".join(rows) + "\n"
