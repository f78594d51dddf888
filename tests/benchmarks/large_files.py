"""Large files: sent in parts, against the SDK's own helper; memory; a kill in the middle; hashing.

  * a file through the emulator with 50 ms of latency and 40 MiB/s per connection, against the SDK's
    `uploads.upload_file_chunked`, both as whole processes, in turn; the same on plain loopback
  * peak RSS of a daemon while it sends the file, over its RSS before; and while it sends 8 GiB of zeros
  * killed after 60 % of the parts and started again: how many parts were sent twice
  * hashing a file in the page cache against `xxhsum -H2`, in turn

    python tests/benchmarks/large_files.py [MEBIBYTES] [ROUNDS] [WHAT ...]   # line loopback memory huge kill hash

The bars are for 2048 MiB, hashing for 4096.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from emulator_process import EmulatorProcess
from fileferry.local.reader import digest, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024 * 1024
LATENCY_MS, BANDWIDTH = 50.0, 40 * MIB
SDK = """
import asyncio, sys
from pathlib import Path
from openai import AsyncOpenAI
async def main(base_url, path):
    client = AsyncOpenAI(api_key="sk-bench", base_url=base_url, max_retries=0, timeout=600)
    await client.uploads.upload_file_chunked(file=Path(path), mime_type="text/plain", purpose="user_data")
asyncio.run(main(*sys.argv[1:]))
"""


def make_file(path: Path, mebibytes: int) -> None:
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for number in range(mebibytes):
            file.write(number.to_bytes(8, "big") + block[8:])


@contextmanager
def home(scratch: Path, base_url: str) -> Iterator[tuple[Path, dict[str, str]]]:
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        root = Path(directory) / "tree"
        root.mkdir()
        config = Path(directory) / "config.toml"
        config.write_text(
            f'[remote]\nbase_url = "{base_url}"\n[state]\ndirectory = "{directory}/state"\n'
            f'[[folder]]\nname = "bench"\npath = "{root}"\nsettle = "0s"\nupload_budget = "0"\n'
        )
        yield root, {
            **os.environ, "OPENAI_API_KEY": "sk-bench", "FILEFERRY_CONFIG": str(config)
        }  # fmt: skip


def timed(command: list[str], environ: dict[str, str] | None = None) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


@contextmanager
def emulator(
    mebibytes: float, latency_ms: float = 0.0, bandwidth: float | None = None
) -> Iterator[EmulatorProcess]:
    """Start one that keeps its parts and its file in memory where there is room: its disk is not what is measured."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > 1.5 * mebibytes * MIB
    with (
        tempfile.TemporaryDirectory(dir=memory if has_room else None) as data,
        EmulatorProcess(data=Path(data), latency_ms=latency_ms, bandwidth=bandwidth) as process,
    ):
        process.settings(uploads_all_purposes=True)
        yield process


def against_sdk(
    what: str, big: Path, rounds: int, latency_ms: float = 0.0, bandwidth: float | None = None
) -> None:
    size = big.stat().st_size / MIB
    pairs, sending = [], []
    for _ in range(rounds):
        with emulator(size, latency_ms, bandwidth) as server:
            theirs = timed([sys.executable, "-c", SDK, server.base_url, str(big)])
            their_parts = parts_seconds(server)
        with emulator(size, latency_ms, bandwidth) as server, home(big.parent, server.base_url) as (
            root, environ,
        ):  # fmt: skip
            os.link(big, root / "large.bin")
            ours = timed([sys.executable, "-m", "fileferry", "sync"], environ)
            assert [each["bytes"] for each in server.files()] == [big.stat().st_size]
            sending.append(their_parts / parts_seconds(server))
        pairs.append((theirs, ours))
    print(
        f"{what}, {size:.0f} MiB: SDK {size / median(t for t, _ in pairs):.0f} MiB/s, fileferry"
        f" {size / median(o for _, o in pairs):.0f} MiB/s, ratio of rates {median(t / o for t, o in pairs):.2f}"
        f" ({min(t / o for t, o in pairs):.2f} to {max(t / o for t, o in pairs):.2f}, {rounds} rounds);"
        f" of the parts alone {median(sending):.2f}",
        flush=True,
    )


def parts_seconds(server: EmulatorProcess) -> float:
    """Return how long it took from the first part to `complete`: the rest is the server's work, or our start."""
    moments = {
        ending: [
            float(str(each["at_monotonic"]))
            for each in server.requests()
            if str(each["path"]).endswith(ending)
        ]
        for ending in ("/parts", "/complete")
    }
    return moments["/complete"][0] - moments["/parts"][0]


def field_mib(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def wait_for(condition: Callable[[], bool], seconds: float, pause: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(pause)


@contextmanager
def daemon(environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "fileferry", "run"], env=environ, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()


def memory(big: Path) -> None:
    with (
        emulator(big.stat().st_size / MIB) as server,
        home(big.parent, server.base_url) as (root, environ),
    ):
        (root / "note.txt").write_text("first\n")
        with daemon(environ) as process:
            wait_for(lambda: len(server.files()) == 1, 30)
            time.sleep(1)
            idle = field_mib(process.pid, "VmRSS")
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
            os.link(big, root / "large.bin")
            wait_for(lambda: len(server.files()) == 2, 1_200, 0.5)
            peak = field_mib(process.pid, "VmHWM")
    print(
        f"peak RSS, {big.stat().st_size / MIB:.0f} MiB: idle {idle:.0f} MiB, peak {peak:.0f} MiB,"
        f" {peak - idle:+.0f} MiB",
        flush=True,
    )


def arrived(server: EmulatorProcess) -> list[int]:
    return [
        int(str(each["bytes"]))
        for each in server.requests()
        if str(each["path"]).endswith("/parts") and each["status"] == 200
    ]


def begun(server: EmulatorProcess) -> int:
    return sum(str(each["path"]).endswith("/parts") for each in server.requests())


def kill(big: Path) -> None:
    size = big.stat().st_size
    with (
        emulator(size / MIB, LATENCY_MS, BANDWIDTH) as server,
        home(big.parent, server.base_url) as (root, environ),
    ):
        os.link(big, root / "large.bin")
        with daemon(environ) as process:
            wait_for(lambda: sum(arrived(server)) >= 0.6 * size, 1_200)
            process.send_signal(signal.SIGKILL)
            process.wait()
        before = begun(server)
        with daemon(environ):
            wait_for(lambda: bool(server.files()), 1_200, 0.2)
        parts = len(
            {str(each["path"]) for each in server.requests() if "/parts" in str(each["path"])}
        )
        needed = -(-size // max(arrived(server)))
        print(
            f"killed at 60 %, {size / MIB:.0f} MiB: {needed} parts, {before} begun before and"
            f" {begun(server) - before} after, {begun(server) - needed} sent twice, {parts} upload",
            flush=True,
        )


def hashing(big: Path, rounds: int) -> None:
    def ours() -> float:
        began = time.perf_counter()
        with open_source(bytes(big.parent), big.name.encode(), algorithm="xxh3_128") as source:
            digest(source)
        return time.perf_counter() - began

    if shutil.which("xxhsum") is None:
        print("hashing: xxhsum is not installed", flush=True)
        return
    command = ["xxhsum", "-q", "-H2", str(big)]
    timed(command)
    pairs = [(timed(command), ours()) for _ in range(rounds)]
    size = big.stat().st_size / MIB
    print(
        f"hashing {size:.0f} MiB: xxhsum {median(t for t, _ in pairs):.2f} s, fileferry"
        f" {median(o for _, o in pairs):.2f} s, ratio of times {median(o / t for t, o in pairs):.2f}"
        f" ({min(o / t for t, o in pairs):.2f} to {max(o / t for t, o in pairs):.2f}, {rounds} rounds)",
        flush=True,
    )


def main(mebibytes: int = 256, rounds: int = 1, *what: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        big = Path(directory) / "large.bin"
        make_file(big, mebibytes)
        if not what or "line" in what:
            against_sdk("line", big, rounds, LATENCY_MS, BANDWIDTH)
        if not what or "loopback" in what:
            against_sdk("loopback", big, rounds)
        if not what or "memory" in what:
            memory(big)
        if "huge" in what:
            huge = Path(directory) / "huge.bin"
            with huge.open("wb") as file:
                file.truncate(8 * 1024 * MIB)  # a hole there, and one at the emulator
            memory(huge)
        if not what or "kill" in what:
            kill(big)
        if not what or "hash" in what:
            hashing(big, rounds + 2)


if __name__ == "__main__":
    words = sys.argv[1:]
    main(*(int(word) for word in words[:2]), *words[2:])  # type: ignore[arg-type]  # numbers come first
