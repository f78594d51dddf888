"""`sync` of 100,000 unchanged files in 1,000 directories, against `rclone sync` between two local trees, in turn.

Also `fileferry id PATH` against the same interpreter's `-c pass`.

    python tests/benchmarks/no_change.py [FILES] [ROUNDS]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from whole_process import measure

from emulator_process import EmulatorProcess

DIRECTORIES = 1_000
CONTENTS = 500  # so that the first sync, which is not measured here, is short


def make_tree(root: Path, files: int) -> None:
    for number in range(files):
        directory = root / f"dir{number % DIRECTORIES // 50:03d}" / f"sub{number % DIRECTORIES:04d}"
        if number < DIRECTORIES:
            directory.mkdir(parents=True)
        (directory / f"file{number // DIRECTORIES:03d}.txt").write_bytes(
            b"content %d\n" % (number % CONTENTS)
        )


def main(files: int = 100_000, rounds: int = 5) -> None:
    fileferry = str(Path(sys.executable).parent / "fileferry")
    with tempfile.TemporaryDirectory() as directory, EmulatorProcess() as emulator:
        scratch = Path(directory)
        tree = scratch / "tree"
        make_tree(tree, files)
        config = scratch / "config.toml"
        config.write_text(
            f'[remote]\nbase_url = "{emulator.base_url}"\nuploads_per_minute = 0\n'
            f'[state]\ndirectory = "{scratch}/state"\n'
            f'[[folder]]\nname = "bench"\npath = "{tree}"\nupload_budget = "0"\n'
        )
        environ = {**os.environ, "OPENAI_API_KEY": "sk-bench", "FILEFERRY_CONFIG": str(config)}
        time.sleep(2)
        subprocess.run([fileferry, "sync"], check=True, env=environ)
        rclone = ["rclone", "sync", "--config", "/dev/null", str(tree), str(scratch / "copy")]
        subprocess.run(rclone, check=True)
        emulator.clear_requests()
        pairs = [(measure([fileferry, "sync"], environ), measure(rclone)) for _ in range(rounds)]
        assert all(ours.code == theirs.code == 0 for ours, theirs in pairs)
        assert not emulator.requests(), "a sync without changes must send nothing"
        ratios = sorted(ours.wall / theirs.wall for ours, theirs in pairs)
        print(
            f"no change, {files:,} files: fileferry {median(o.wall for o, _ in pairs):.2f} s,"
            f" rclone {median(t.wall for _, t in pairs):.2f} s, ratio {median(ratios):.2f}"
            f" ({ratios[0]:.2f} to {ratios[-1]:.2f}); peak RSS {max(o.peak_mib for o, _ in pairs):.0f} MiB"
            f" against {max(t.peak_mib for _, t in pairs):.0f} MiB"
        )
        path = str(next(iter(tree.rglob("*.txt"))))
        starts = [
            (measure([fileferry, "id", path], environ), measure([sys.executable, "-c", "pass"]))
            for _ in range(20)
        ]
        assert all(ours.code == 0 for ours, _ in starts)
        ours, bare = (median(run.wall for run in side) for side in zip(*starts, strict=True))
        print(f"id: {ours * 1e3:.0f} ms, `-c pass` {bare * 1e3:.0f} ms, ratio {ours / bare:.2f}")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
