"""Two figures of a running daemon: how fast an edit is on its way, and how much memory a large file takes.

* from `close()` of an edited file to the head of its request at the server, `settle = 2s`: median, p95, worst
* peak RSS while a file of 500 MB is sent, over the RSS of the idle daemon

  python tests/benchmarks/daemon_figures.py [EDITS] [MEGABYTES]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from emulator_process import EmulatorProcess


def field_mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def uploads(emulator: EmulatorProcess) -> list[dict[str, object]]:
    return [each for each in emulator.requests() if each["method"] == "POST"]


def wait_for(emulator: EmulatorProcess, count: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done = [each for each in uploads(emulator) if each["status"] == 200]
        if len(done) >= count:
            return
        time.sleep(0.05)
    raise TimeoutError(f"{len(uploads(emulator))} of {count} uploads arrived")


def main(edits: int = 50, megabytes: int = 500) -> None:
    with tempfile.TemporaryDirectory() as directory, EmulatorProcess() as emulator:
        scratch = Path(directory)
        root = scratch / "tree"
        root.mkdir()
        (root / "note.txt").write_text("first\n")
        config = scratch / "config.toml"
        config.write_text(
            f'[remote]\nbase_url = "{emulator.base_url}"\n[state]\ndirectory = "{scratch}/state"\n'
            f'[[folder]]\nname = "bench"\npath = "{root}"\nsettle = "2s"\n'
        )
        environ = {**os.environ, "OPENAI_API_KEY": "sk-bench", "FILEFERRY_CONFIG": str(config)}
        with (scratch / "log").open("wb") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "fileferry", "run"], env=environ, stderr=log
            )
        try:
            wait_for(emulator, 1, 30)
            delays = []
            for number in range(edits):
                emulator.clear_requests()
                with (root / "note.txt").open("a") as file:
                    file.write(f"edit {number}\n")
                closed = time.time()
                wait_for(emulator, 1, 30)
                at = uploads(emulator)[0]["at"]
                assert isinstance(at, float)
                delays.append(at - closed)
            delays.sort()
            p95 = delays[max(0, round(0.95 * len(delays)) - 1)]
            print(
                f"close() to request head, settle 2 s: median {delays[len(delays) // 2]:.3f} s,"
                f" p95 {p95:.3f} s, worst {delays[-1]:.3f} s ({edits} edits)"
            )
            idle = field_mib(daemon.pid, "VmRSS")
            Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")
            emulator.clear_requests()
            with (root / "large.bin").open("wb") as file:
                for number in range(megabytes):
                    file.write(number.to_bytes(8, "big") * 125_000)
            wait_for(emulator, 1, 300)
            peak = field_mib(daemon.pid, "VmHWM")
            print(
                f"file of {megabytes} MB: idle {idle:.0f} MiB, peak {peak:.0f} MiB, {peak - idle:+.0f} MiB"
            )
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
