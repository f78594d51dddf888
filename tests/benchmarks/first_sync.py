"""First `sync` of 5,000 files of 1 KB, against the fastest plain asyncio loop over the SDK, in turn.

Both go to an emulator in its own process, then to a bare server that only answers, where the client's cost shows.

    python tests/benchmarks/first_sync.py [FILES] [ROUNDS]
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

from emulator_process import EmulatorProcess

TASKS = 8
BARE_SERVER = """
import asyncio, sys
BODY = b'{"id":"file-%d","object":"file","bytes":1024,"created_at":1790000000,"expires_at":null,'
BODY += b'"filename":"x","purpose":"user_data"}'
count = 0
async def serve(reader, writer):
    global count
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            size = 0
            for line in head.lower().split(b"\\r\\n"):
                if line.startswith(b"content-length:"):
                    size = int(line[15:])
            await reader.readexactly(size)
            count += 1
            if head.startswith(b"GET"):
                body = b'{"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null}'
            else:
                body = BODY % count
            head = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n"
            writer.write(head % len(body) + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
PLAIN_LOOP = """
import asyncio, os, sys
from openai import AsyncOpenAI
async def main(base_url, root, tasks):
    client = AsyncOpenAI(api_key="sk-bench", base_url=base_url, max_retries=0)
    paths = iter([os.path.join(here, name) for here, _, names in os.walk(root) for name in names])
    async def work():
        for path in paths:
            with open(path, "rb") as handle:
                await client.files.create(file=(os.path.basename(path), handle, "text/plain"), purpose="user_data")
    await asyncio.gather(*(work() for _ in range(tasks)))
asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def make_tree(root: Path, files: int) -> None:
    for number in range(files):
        directory = root / f"d{number // 100:03d}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number:05d}.txt").write_bytes((b"%08d" % number) * 128)
    time.sleep(2.1)  # so that both find them settled


def plain(base_url: str, root: Path) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", PLAIN_LOOP, base_url, str(root), str(TASKS)], check=True)
    return time.perf_counter() - began


def fileferry(base_url: str, root: Path, scratch: Path) -> float:
    with tempfile.TemporaryDirectory(dir=scratch) as state:
        config = Path(state) / "config.toml"
        config.write_text(
            f'[remote]\nbase_url = "{base_url}"\nuploads_per_minute = 0\nconcurrency = {TASKS}\n'
            f'[state]\ndirectory = "{state}/state"\n'
            f'[[folder]]\nname = "bench"\npath = "{root}"\nexpires_after = "never"\n'
        )
        environ = {**os.environ, "OPENAI_API_KEY": "sk-bench"}
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "fileferry", "--config", str(config), "sync"],
            check=True,
            env=environ,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - began


def compare(what: str, base_url: str, root: Path, scratch: Path, files: int, rounds: int) -> None:
    pairs = [(plain(base_url, root), fileferry(base_url, root, scratch)) for _ in range(rounds)]
    ratio = median(loop / ours for loop, ours in pairs)
    print(
        f"{what}: plain loop {files / median(p for p, _ in pairs):.0f}/s,"
        f" fileferry {files / median(o for _, o in pairs):.0f}/s, ratio of rates {ratio:.2f}"
        f" ({min(p / o for p, o in pairs):.2f} to {max(p / o for p, o in pairs):.2f}, {rounds} rounds)",
        flush=True,
    )


def main(files: int = 5_000, rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        make_tree(scratch / "tree", files)
        with EmulatorProcess() as emulator:
            compare("emulator", emulator.base_url, scratch / "tree", scratch, files, rounds)
        server = subprocess.Popen(
            [sys.executable, "-c", BARE_SERVER], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        base_url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        compare("bare server", base_url, scratch / "tree", scratch, files, rounds)
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
