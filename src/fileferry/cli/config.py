"""`fileferry config`: is the configuration right, and what does it say, by whom?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fileferry.errors import ConfigError, NotInitialised

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.index.reader import Reader
    from fileferry.model import Folder

SHARE = 0.8
MINUTE = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what `config` can do."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check", help="validate it", description="Validate the configuration.", allow_abbrev=False
    )
    show = actions.add_parser(
        "show",
        help="print every value, with where it came from",
        description="Print every value, with where it came from; of the API key only the latter.",
        allow_abbrev=False,
    )
    check.add_argument("--json", action="store_true", help="print the verdict as one JSON object")
    show.add_argument("--json", action="store_true", help="print one JSON list")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Check or show the configuration."""
    config = context.config(arguments.config)
    if arguments.action == "show":
        return _show(config, context, as_json=arguments.json)
    from fileferry.daemon.assembly import group_id

    group_id(config.state.group)
    problems = list(dead_rules(config))
    check_renewals(config)
    if arguments.json:
        warnings = [*config.warnings, *problems]
        context.json(
            {
                "path": config.path,
                "folders": [folder.name for folder in config.folders],
                "warnings": warnings,
            }
        )
        return 0
    from fileferry.cli.text import count

    for problem in problems:
        context.talk(f"warning: {problem}")
    context.say(f"{config.path}: valid, {count(len(config.folders), 'folder')}")
    return 0


def _show(config: Config, context: Context, *, as_json: bool) -> int:
    from fileferry.config.credentials import key_origin

    lines = [(one.key, one.value, one.origin) for one in config.explain()]
    origin = key_origin(context.environ)
    if as_json:
        shown = [{"key": key, "value": value, "origin": where} for key, value, where in lines]
        context.json([*shown, {"key": "api_key", "value": None, "origin": origin}])
        return 0
    lines.append(("api_key", "(not shown)" if origin != "not set" else "", origin))
    widest = max(len(key) for key, _, _ in lines)
    for key, value, where in lines:
        context.say(f"{key:<{widest}} = {value}  # {where}")
    return 0


def dead_rules(config: Config) -> Iterator[str]:
    """Name the configured ignore rules that can never match."""
    from fileferry.ignore.rules import Rules

    for folder in config.folders:
        for rule in Rules(folder.ignore, default_ignore=folder.default_ignore).problems():
            pattern = os.fsdecode(rule.pattern)
            yield f"ignore rule {rule.line} of folder `{folder.name}`, `{pattern}`, can never match: {rule.problem}"


def check_renewals(config: Config) -> None:
    """Refuse more files than can be renewed in their life; without an index nobody has counted them.

    Raises:
        ConfigError: at 80 % of the rate, some ids would run out.
    """
    from fileferry.index.reader import Reader

    rate = config.remote.uploads_per_minute
    if not rate:
        return
    try:
        reader = Reader(config.state.directory)
    except NotInitialised:
        return
    total = 0.0
    with reader:
        for folder in config.folders:
            needed = _renewals_per_minute(reader, folder)
            _refuse(f"folder `{folder.name}`", needed, rate)
            total += needed
    _refuse("the folders together", total, rate)


def _refuse(who: str, needed: float, rate: int) -> None:
    if needed > SHARE * rate:
        raise ConfigError(
            f"{who} would need {needed:,.1f} renewals a minute, more than 80 % of the {rate:,} uploads a minute",
            hint="a longer `expires_after`, or `never`; or raise `remote.uploads_per_minute` if your limit is higher",
        )


def _renewals_per_minute(reader: Reader, folder: Folder) -> float:
    if not any(rule.expires_never or rule.expires_after_seconds for rule in folder.rules):
        if folder.expires_after_seconds is None:
            return 0.0
        number = next(
            reader.rows(
                "SELECT count(DISTINCT COALESCE(want_id, held_id)) FROM entry JOIN folder ON folder.id = folder_id"
                " WHERE root = ?",
                (folder.root,),
            )
        )[0]
        return float(number) * MINUTE / folder.expires_after_seconds
    from fileferry.plan.rules import policy_for

    needed = 0.0
    for row in reader.rows(
        "SELECT path FROM entry JOIN folder ON folder.id = folder_id WHERE root = ?"
        " AND COALESCE(want_id, held_id) IS NOT NULL GROUP BY COALESCE(want_id, held_id)",
        (folder.root,),
    ):
        life = policy_for(folder, row["path"]).expires_after_seconds
        needed += 0.0 if life is None else MINUTE / life
    return needed
