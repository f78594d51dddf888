"""`fileferry doctor`: everything that is usually wrong, a line each, with what to do about it."""

from __future__ import annotations

import os
import ssl
import sys
from collections import Counter
from typing import TYPE_CHECKING

from fileferry.daemon import diagnosis, diagnosis_folders
from fileferry.daemon.diagnosis import Diagnosis, Level, fail, failure, ok, warn
from fileferry.errors import (
    CredentialsRefused,
    DaemonUnreachable,
    FerryError,
    NotInitialised,
    RemoteError,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

SKEW_SECONDS = 30.0
LIBRARIES = ("openai", "httpx2", "watchdog", "xxhash", "sqlite-utils", "structlog")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `doctor`."""
    parser.description = (
        "Look for everything that is usually wrong: configuration, key, API, clock, kernel limits, file systems,"
        " permissions, disk space, names, index, daemon. Changes nothing. Exit code 1 if something fails."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print each line as it is known; say in the exit code whether anything fails."""
    counts: Counter[Level] = Counter()
    for found in _diagnose(arguments, context):
        counts[found.level] += 1
        _print(found, context, as_json=arguments.json)
    if not arguments.json:
        context.say(
            f"{counts[Level.OK]:,} ok, {counts[Level.WARN]:,} warnings, {counts[Level.FAIL]:,} failed"
        )
    return 1 if counts[Level.FAIL] else 0


def _print(found: Diagnosis, context: Context, *, as_json: bool) -> None:
    from fileferry.cli.text import safe

    if as_json:
        context.json(
            {
                "level": found.level,
                "what": found.what,
                "detail": found.detail,
                "hint": found.hint,
            }
        )
        return
    context.say(f"{found.level:<4}  {safe(found.what)}: {safe(found.detail)}")
    if found.hint:
        context.say(f"      hint: {safe(found.hint)}")


def _diagnose(arguments: argparse.Namespace, context: Context) -> Iterator[Diagnosis]:
    yield from _versions()
    try:
        from fileferry.config.load import load

        config = load(arguments.config, context.environ)
    except FerryError as error:
        yield failure("configuration", error)
        return
    yield ok("configuration", f"`{config.path}` is valid, {len(config.folders)} folders")
    for warning in config.warnings:
        yield warn("configuration", warning)
    yield from _rules(config)
    yield from diagnosis.state(config.state.directory, config.state.group)
    yield from diagnosis.index(config.state.directory)
    yield from diagnosis_folders.diagnose(config.folders)
    yield from _key(context)
    yield from _remote(config, context)
    yield from _daemon(config)


def _versions() -> Iterator[Diagnosis]:
    import sqlite3
    from importlib.metadata import PackageNotFoundError, version

    parts = [f"Python {sys.version.split()[0]}", f"SQLite {sqlite3.sqlite_version}"]
    missing = []
    for name in LIBRARIES:
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield fail(
            "libraries", f"not installed: {', '.join(missing)}", "install fileferry once more"
        )
    if sqlite3.sqlite_version_info < (3, 37):
        yield fail("SQLite", f"{sqlite3.sqlite_version} is too old", "3.37 or later is needed")
    yield ok("versions", f"fileferry {version('fileferry')}, {', '.join(parts)}")


def _rules(config: Config) -> Iterator[Diagnosis]:
    from fileferry.cli.config import check_renewals, dead_rules

    for problem in dead_rules(config):
        yield warn("ignore rules", problem, "`fileferry check-ignore PATH` says what a rule does")
    try:
        check_renewals(config)
    except FerryError as error:
        yield failure("renewals", error)


def _key(context: Context) -> Iterator[Diagnosis]:
    from fileferry.config.credentials import api_key

    try:
        key = api_key(context.environ)
    except FerryError as error:
        yield failure("key", error)
        return
    yield ok("key", f"found in `{key.origin}`")
    for warning in key.warnings:
        yield warn("key", warning)


def _remote(config: Config, context: Context) -> Iterator[Diagnosis]:
    from fileferry.cli.ask_remote import with_remote

    async def greet(remote: Remote, pace: Pace) -> tuple[str, float]:
        async with pace.call():
            account = await remote.hello()
        whose = ", ".join(part for part in (account.organization, account.project) if part)
        return whose, remote.skew_seconds()

    url = config.remote.base_url
    try:
        whose, skew = with_remote(config, context, greet)
    except CredentialsRefused as error:
        if error.status is None:
            return  # there is no key, and that was said already
        yield ok("endpoint", f"`{url}` answers")
        yield failure("key", error)
        return
    except RemoteError as error:
        yield _unreachable(url, error)
        return
    yield ok("endpoint", f"`{url}` answers" + (f", as {whose}" if whose else ""))
    yield ok("key", "the API accepts it, and lets it list files")
    yield from _account(config, whose)
    if abs(skew) > SKEW_SECONDS:
        ahead = "behind" if skew > 0 else "ahead of"
        yield warn(
            "clock",
            f"this machine is {abs(skew):,.0f} s {ahead} the API",
            "have it set by NTP: `timedatectl set-ntp true`",
        )
    else:
        yield ok("clock", "agrees with the API's")


def _unreachable(url: str, error: RemoteError) -> Diagnosis:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) or "certificate" in str(cause).lower():
            return fail(
                "endpoint",
                f"`{url}`: {error.message}",
                "TLS: is the clock right, is a proxy in between? SSL_CERT_FILE names other certificates",
            )
        cause = cause.__cause__ or cause.__context__
    hint = error.hint or "check [remote] base_url, the network, and HTTPS_PROXY"
    return fail("endpoint", f"`{url}`: {error.message}", hint)


def _account(config: Config, whose: str) -> Iterator[Diagnosis]:
    from fileferry.daemon.contact import ACCOUNT_KEY
    from fileferry.daemon.enlist import ENDPOINT_KEY, endpoint_text
    from fileferry.index.reader import Reader

    try:
        with Reader(config.state.directory) as reader:
            pins = {row["key"]: row["value"] for row in reader.rows("SELECT key, value FROM meta")}
    except FerryError:
        return  # said with the index
    here = {ENDPOINT_KEY: endpoint_text(config.remote), ACCOUNT_KEY: whose}
    for key, now in here.items():
        if pins.get(key) and now and pins[key] != now:
            yield fail(
                "remote",
                f"the index belongs to {pins[key]}, and this is {now}",
                "`fileferry accept remote` if that was meant",
            )


def _daemon(config: Config) -> Iterator[Diagnosis]:
    from fileferry.cli.daemon_client import DaemonClient

    try:
        status = DaemonClient(config.state.directory).get("/v1/status")
    except (DaemonUnreachable, NotInitialised):
        yield warn(
            "daemon",
            "not running",
            "`fileferry run`, or `systemctl start fileferry@NAME`; or `fileferry sync` from a timer",
        )
        return
    except FerryError as error:
        yield failure("daemon", error)
        return
    except OSError as error:
        yield warn("daemon", f"cannot be asked: {(error.strerror or '').lower()}")
        return
    yield ok("daemon", f"running since {status.get('started_at')}, process {status.get('pid')}")
    if status.get("trouble"):
        yield warn("daemon", str(status["trouble"]), "it goes on trying")
    if status.get("paused"):
        yield warn("daemon", "paused", "`fileferry resume`")
    for name, coverage in dict(status.get("watch") or {}).items():
        if coverage != "ok":
            yield warn("watch", f"folder `{name}`: {coverage}", "see inotify above")
    if status.get("watch_overflows_total"):
        yield warn(
            "watch",
            f"the kernel dropped events {status['watch_overflows_total']} times; all was scanned again",
            "`sysctl -w fs.inotify.max_queued_events=65536` makes it rarer",
        )
    yield from _watchdog(int(status.get("pid") or 0))


def _watchdog(pid: int) -> Iterator[Diagnosis]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            names = {part.partition(b"=")[0] for part in file.read().split(b"\0")}
    except OSError:
        return  # another user's process
    if b"NOTIFY_SOCKET" not in names:
        yield ok("systemd", "the daemon was not started by systemd")
    elif b"WATCHDOG_USEC" in names:
        yield ok("systemd", "its watchdog is on")
    else:
        yield warn(
            "systemd",
            "its watchdog is off, so a daemon that hangs is not started again",
            f"`systemctl edit` the unit of process {os.getpid() if pid == 0 else pid}: WatchdogSec=5min",
        )
