"""Planning renewals for 1,000,000 ids, as the daemon does it: read from the index, schedule, choose what goes first.

Each case in a process of its own, with an index of its own on the disk, at the default of 1,000 uploads a minute: at
80 % of that a million take 21 hours, so what is due within a day or two presses, and has to begin early.

* the wall and the CPU time of the first plan (`RenewalPlan.ahead`) and of the first choice (`wants.due`)
* peak RSS while both are made, over the RSS before

  python tests/benchmarks/renewals.py [IDS]
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fileferry.clock import SystemClock
from fileferry.daemon.renewal import RenewalPlan
from fileferry.daemon.uploads import chunk_of
from fileferry.index import wants
from fileferry.index.connection import open_writer
from fileferry.index.identity import FILE_NAME
from fileferry.index.writer import ThreadWriter

HOUR, DAY = 3_600.0, 86_400.0
PER_MINUTE = 1_000
LIFE, MARGIN = 7 * DAY, DAY
# When the first is due, in how long all are, and how far from their order the ids lie in the index: renewals come in
# the order of their ends, which nonces move by up to an hour. Or they lie in no order at all.
CASES = {
    "all due in the same minute, in 20 hours": (20 * HOUR, 60.0, 60_000),
    "due evenly over the next day": (0.0, DAY, 60_000),
    "the same, and in the index in no order": (0.0, DAY, 1_000_000_000),
    "nothing presses: due over a day, in five": (5 * DAY, DAY, 60_000),
}


def fill(path: Path, ids: int, *, begins: float, spread: float, shuffle: int) -> None:
    """Make an index whose renewals fall due evenly in a span that begins so many seconds from now."""
    now = time.time()
    dues = [now + begins + spread * number / ids for number in range(ids)]
    chance = random.Random(1)
    order = sorted(range(ids), key=lambda number: number + shuffle * chance.random())
    db = open_writer(str(path))
    db.execute("BEGIN")
    db.execute("INSERT INTO folder (id, name, root) VALUES (1, 'bench', x'2f62656e6368')")
    db.executemany(
        "INSERT INTO content (id, digest, size, purpose, extension, variant, renew_at)"
        " VALUES (?, ?, 1, 'user_data', '.txt', '', ?)",
        ((number, f"xxh3_128:{number:032x}", dues[number]) for number in range(ids)),
    )
    db.executemany(
        "INSERT INTO remote (file_id, content_id, name, size, purpose, created_at, expires_at, recorded_at, state,"
        " proof) VALUES (?, ?, 'a.txt', 1, 'user_data', ?, ?, ?, 'live', 'proven')",
        (
            (f"file-{number:022d}", number, int(end - LIFE), int(end), now)
            for number in order
            for end in [dues[number] + MARGIN]
        ),
    )
    db.executemany(
        "INSERT INTO entry (folder_id, path, size, mtime_ns, ctime_ns, inode, device, state, held_id, seen_at)"
        " VALUES (1, ?, 1, 1, 1, ?, 1, 'synced', ?, 0)",
        ((b"%03d/%06d.txt" % (number // 1_000, number), number, number) for number in range(ids)),
    )
    db.execute("COMMIT")
    db.close()


def memory_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


async def plan(path: Path) -> str:
    """Plan once, and choose what is sent first; return the figures."""
    writer, clock = ThreadWriter(open_writer(str(path))), SystemClock()
    renewals = RenewalPlan(PER_MINUTE, writer=writer, clock=clock, server_now=clock.wall)
    before, wall, cpu = memory_mib("VmRSS"), time.perf_counter(), time.process_time()
    ahead = await renewals.ahead()
    planned = time.perf_counter() - wall
    now = clock.wall()
    first = await writer.run(
        lambda db: wants.due(
            db,
            now=now,
            server_now=now,
            limit=chunk_of(renewals.rate),
            busy=frozenset(),
            early_until=ahead.until,
            early_share=ahead.share,
        )
    )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    grown = memory_mib("VmHWM") - before
    writer.close()
    return (
        f"{wall:.2f} s ({planned:.2f} s to plan), {cpu:.2f} s of CPU, +{grown:.0f} MiB over {before:.0f};"
        f" {len(first)} begin now, early by at most {ahead.share:.2%}; good for {ahead.seconds:.0f} s"
    )


def main(ids: int = 1_000_000) -> None:
    """Run each case in a process of its own."""
    for name, (begins, spread, shuffle) in CASES.items():
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / FILE_NAME
            fill(path, ids, begins=begins, spread=spread, shuffle=shuffle)
            done = subprocess.run(
                [sys.executable, __file__, "--plan", path],
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"{name}: {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plan"]:
        Path("/proc/self/clear_refs").write_text("5")
        print(asyncio.run(plan(Path(sys.argv[2]))))
    else:
        main(*map(int, sys.argv[1:]))
