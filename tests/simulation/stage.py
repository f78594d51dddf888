"""The stage: what a world is furnished with before its history begins, and how each kind of step is played."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from fileferry.model import Dedup, Folder
from simulation import edits, mishaps, orders, strangers
from simulation.history import Kind
from simulation.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simulation.history import Step
    from simulation.witness import Witness
    from simulation.world import World


def furnish(world: World, seed: int) -> None:
    """Give a world its folders and its remote's habits."""
    chance = random.Random(f"folders {seed}")
    names = [b"docs"] if chance.random() < 0.7 else [b"docs", b"more"]
    for name in names:
        world.folders.append(
            Folder(
                name=name.decode(),
                root=world.disk.make_root(name),
                expires_after_seconds=chance.choice((None, 3_600, 86_400, 7 * 86_400)),
                settle_seconds=chance.choice((0.0, 2.0, 2.0)),
                settle_max_seconds=chance.choice((10.0, 300.0)),
                delete_delay_seconds=chance.choice((0.0, 30.0, 120.0)),
                retire_delay_seconds=chance.choice((0.0, 30.0, 120.0, 600.0)),
                rescan_interval_seconds=chance.choice((60.0, 240.0)),
                delete_budget=chance.choice((2, 25)),
                dedup=chance.choice(
                    (Dedup.CONTENT, Dedup.CONTENT, Dedup.CONTENT_AND_NAME, Dedup.OFF)
                ),
                remote_name=chance.choice(("{name}", "{name}", "{stem}-{digest8}{suffix}")),
            )
        )
    world.settings = replace(
        world.settings,
        uploads_per_minute=chance.choice((0, 1000, 20)),
        concurrency=chance.choice((1, 2, 8)),
        list_lag_seconds=chance.choice((10.0, 60.0)),
        check_interval_seconds=chance.choice((300.0, 900.0)),
    )
    world.emulator.set_latency_ms(chance.choice((0, 0, 20, 400)))
    world.emulator.clock.offset = chance.choice((0.0, 0.0, -40.0, 3.0, 7_200.0))


async def act(world: World, witness: Witness, step: Step) -> None:
    """Let one step happen.

    Raises:
        Crash: it was the end of this life.
        Restart: the same, in order.
    """
    chance = random.Random(step.seed)
    world.tell(f"step {step.kind}")
    await _ACTS[step.kind](Scene(world, witness, chance))


_ACTS: dict[Kind, Callable[[Scene], Awaitable[None]]] = {
    Kind.WRITE: edits.write,
    Kind.EDIT: edits.edit,
    Kind.EDIT_SAME_SIZE: edits.edit_same_size,
    Kind.EDIT_SAME_STAMP: edits.edit_same_stamp,
    Kind.APPEND: edits.append,
    Kind.EMPTY: edits.empty,
    Kind.EDIT_IN_FLIGHT: edits.edit_in_flight,
    Kind.EDIT_TWICE: edits.edit_twice,
    Kind.REPLACE: edits.replace,
    Kind.TOUCH: edits.touch,
    Kind.REMOVE: edits.remove,
    Kind.REMOVE_MANY: edits.remove_many,
    Kind.REMOVE_DIRECTORY: edits.remove_directory,
    Kind.RENAME: edits.rename,
    Kind.RENAME_OVER: edits.rename_over,
    Kind.SWAP: edits.swap,
    Kind.RENAME_DIRECTORY: edits.rename_directory,
    Kind.COPY: edits.copy,
    Kind.BRING_BACK: edits.bring_back,
    Kind.FLICKER: edits.flicker,
    Kind.UNREADABLE: mishaps.unreadable,
    Kind.READABLE: mishaps.readable,
    Kind.ROOT_AWAY: mishaps.root_away,
    Kind.ROOT_BACK: mishaps.root_back,
    Kind.RULES_FILE: edits.rules_file,
    Kind.CONFIGURE: orders.configure,
    Kind.FAULT: mishaps.fault,
    Kind.NO_FAULTS: mishaps.no_faults,
    Kind.BLACKOUT: mishaps.blackout,
    Kind.HOLE: mishaps.hole,
    Kind.OTHERS_DELETE: strangers.others_delete,
    Kind.OTHERS_DELETE_RENEWED: strangers.others_delete_renewed,
    Kind.OTHERS_CREATE: strangers.others_create,
    Kind.TWIN: strangers.twin,
    Kind.SUSPEND: mishaps.suspend,
    Kind.NEAR_EXPIRY: mishaps.near_expiry,
    Kind.CLOCK_FORWARD: mishaps.clock_forward,
    Kind.CLOCK_BACK: mishaps.clock_back,
    Kind.LOOK: orders.look,
    Kind.CRASH: mishaps.crash,
    Kind.FUSE: mishaps.fuse,
    Kind.DEAF: mishaps.deaf,
    Kind.RESTART: orders.restart,
    Kind.APPROVE: orders.approve,
    Kind.DISCARD: orders.discard,
    Kind.DISK_FULL: mishaps.disk_full,
    Kind.DISK_HANGS: mishaps.disk_hangs,
    Kind.RETRY: orders.retry,
}
