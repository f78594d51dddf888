"""`fileferry demo`: the whole story without an account, against the bundled emulator.

Every step states what should happen, does it with the real engine and the real SDK, asks the emulator what arrived,
and checks that it was that. DIR is copied first: a mirrored directory is never written to, not even by a demo.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.cli.story import LIFE_SECONDS, Sandbox, Sent

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from fileferry.cli.context import Context

COPY_LIMIT_FILES = 2_000
COPY_LIMIT_BYTES = 256 * 1024 * 1024
SAMPLE = {
    "README.md": "# Handbook\n\nHow we work.\n",
    "onboarding/first-week.md": "Monday: meet everybody.\n",
    "onboarding/checklist.txt": "laptop\nkeys\nlunch\n",
    "policies/Travel.TXT": "Trains before planes.\n",
    "policies/expenses.md": "Keep the receipt.\n",
    "drafts/idea.tmp": "not yet\n",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the story.

    Args:
        title: what is done.
        act: does it, given the root.
        expect: what has to arrive at the API, as a predicate and in words.
    """

    title: str
    act: Callable[[Sandbox], None]
    expect: Callable[[Sent], bool]
    promise: str
    now: bool = False


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `demo`."""
    parser.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        help="mirror a copy of this directory instead of a sample",
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Tell the story; 0 when every step did what it said."""
    with tempfile.TemporaryDirectory(prefix="fileferry-demo-") as scratch:
        root = os.path.join(scratch, "handbook")
        if arguments.directory:
            _copy(arguments.directory, root)
        else:
            _write_sample(root)
        with Sandbox(root, os.path.join(scratch, "state"), context) as sandbox:
            context.say(f"emulator listening on {sandbox.base_url}, mirroring {root}")
            kept = [_tell(step, sandbox, context) for step in _steps(sandbox)]
    failed = kept.count(False)
    context.say()
    if failed:
        context.say(f"{failed} of {len(kept)} steps did not do what they said")
        return 1
    context.say(f"all {len(kept)} steps did what they said")
    context.say("next: `fileferry init DIR`, set OPENAI_API_KEY, then `fileferry sync --dry-run`")
    return 0


def _steps(sandbox: Sandbox) -> list[Step]:
    first = sandbox.some_file()
    folder = os.path.dirname(first) or first
    contents = sandbox.distinct_contents()
    return [
        Step(
            "mirror the folder",
            lambda _: None,
            lambda sent: sent.uploads == contents,
            f"each of {contents} contents is sent once",
        ),
        Step("sync again", lambda _: None, lambda sent: sent.requests == 0, "nothing is sent"),
        Step(
            f"edit {first}",
            lambda box: box.append(first, b"one more line\n"),
            lambda sent: sent.uploads == 1,
            "one upload; the id is another one, the old one is retired",
        ),
        Step(
            f"rename {folder} to {folder}-renamed",
            lambda box: box.rename(folder, folder + "-renamed"),
            lambda sent: sent.uploads == 0,
            "nothing is uploaded: the ids follow the files",
        ),
        Step(
            "duplicate everything into copies/",
            lambda box: box.copy_all("copies"),
            lambda sent: sent.uploads == 0,
            "nothing is uploaded: the same bytes have the same id",
        ),
        Step(
            "delete copies/",
            lambda box: box.remove("copies"),
            lambda sent: sent.uploads == 0 and sent.deletes == 0,
            "nothing is deleted there: the originals still need the ids",
            now=True,
        ),
        Step(
            "delete one original",
            lambda box: box.remove_one(),
            lambda sent: sent.deletes == 1,
            "its remote file is deleted, and no other",
            now=True,
        ),
        Step(
            f"let {LIFE_SECONDS * 5 // 6 // 60} of {LIFE_SECONDS // 60} minutes of life pass",
            lambda box: box.pass_time(LIFE_SECONDS * 5 // 6),
            lambda sent: sent.uploads == sandbox.live_contents(),
            "every id is renewed before it expires",
        ),
    ]


def _tell(step: Step, sandbox: Sandbox, context: Context) -> bool:
    context.say()
    context.say(f"== {step.title}")
    step.act(sandbox)
    sent = sandbox.sync(now=step.now)
    kept = step.expect(sent)
    context.say(f"   {step.promise}: {'yes' if kept else 'NO'}")
    context.say(
        f"   sent: {sent.uploads} uploads ({sent.upload_bytes:,} bytes), {sent.deletes} deletes,"
        f" {sent.requests} requests in all"
    )
    for line in sandbox.table():
        context.say(f"   {line}")
    return kept


def _write_sample(root: str) -> None:
    for name, text in SAMPLE.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def _copy(directory: str, root: str) -> None:
    from fileferry.errors import UsageError

    if not os.path.isdir(directory):
        raise UsageError(f"`{directory}` is no directory")
    files, size = 0, 0
    for here, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(here, name)
            if os.path.isfile(path) and not os.path.islink(path):
                files += 1
                size += os.path.getsize(path)
    if files > COPY_LIMIT_FILES or size > COPY_LIMIT_BYTES:
        raise UsageError(
            f"`{directory}` has {files:,} files and {size:,} bytes, too many for a demo",
            hint=f"choose one with up to {COPY_LIMIT_FILES:,} files and {COPY_LIMIT_BYTES:,} bytes",
        )
    if not files:
        raise UsageError(f"`{directory}` has no files to show")
    shutil.copytree(directory, root, symlinks=True, ignore_dangling_symlinks=True)
