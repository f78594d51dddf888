"""The soak: real processes, a daemon that is killed at random moments, and answers that are lost.

`python tests/soak/soak.py --kills 200 --seed N` prints the figures, and ends with 0 only when nothing was lost, nothing
leaked and nothing foreign was touched.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

if __name__ == "__main__":  # the directory of this file would hide the package of its name
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import fileferry
from emulator_process import EmulatorProcess, Json
from soak.proxy import LossyProxy
from soak.writer import NAMES, Writer

__all__ = ["Figures", "soak"]

EXPIRING, ETERNAL = "user_data", "assistants"  # the purposes tell the two folders apart
QUIET_SECONDS = 180.0
COMMAND_SECONDS = 90.0
FEW_SECONDS = 20.0

CONFIG = """\
[remote]
base_url = "http://127.0.0.1:{port}/v1"
list_lag = "1s"
uploads_per_minute = 0
[state]
directory = "{state}"
[[folder]]
name = "expiring"
path = "{expiring}"
purpose = "user_data"
expires_after = "7d"
{options}
[[folder]]
name = "eternal"
path = "{eternal}"
purpose = "assistants"
expires_after = "never"
{options}
"""
OPTIONS = """\
settle = "100ms"
settle_max = "1s"
delete_delay = "0s"
retire_delay = "0s"
delete_budget = 1000000
rescan_interval = "1m"
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened.

    Args:
        dropped_upload_answers: of uploads that were stored.
        lost_to_kills: answers of stored uploads that were given back, but not recorded before the kill.
        duplicates: files left at the end beside another with the same bytes, purpose and extension, that is no orphan.
        orphans: files of ours left at the end that the index does not name as live; of the eternal folder only.
    """

    seed: int
    kills: int
    syncs_while_down: int
    edits: int
    requests: int
    uploads_stored: int
    dropped_answers: int
    dropped_upload_answers: int
    lost_to_kills: int
    duplicates: int
    orphans: int
    files: int
    foreign: int
    seconds: float


class Soak:
    """One run of it in a directory."""

    def __init__(self, home: Path, *, kills: int, seed: int) -> None:
        self.home = home
        self.folders = [home / "expiring", home / "eternal"]
        self._purposes = [EXPIRING, ETERNAL]
        self._state = home / "state"
        self._kills = kills
        self._seed = seed
        self._random = random.Random(seed)
        self._foreign: set[str] = set()
        self._lost_to_kills = 0
        self._syncs = 0
        self._killed = 0
        self._log = (home / "daemon.log").open("ab")
        for folder in self.folders:
            folder.mkdir()
        source = str(Path(fileferry.__file__).parents[1])
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "FILEFERRY_CONFIG": str(home / "config.toml"),
            "OPENAI_API_KEY": "sk-test-only",
            "PYTHONPATH": source,
        }

    def run(self) -> Figures:
        """Do all of it, and check what is left."""
        began = time.monotonic()
        with (
            contextlib.closing(self._log),
            EmulatorProcess() as emulator,
            LossyProxy(emulator.host, emulator.port, seed=self._seed) as proxy,
        ):
            self._configure(proxy.port)
            self._plant_old_foreign(emulator)
            with Writer(self.folders, seed=self._seed) as writer:
                while self._killed < self._kills:
                    self._live_and_die(proxy)
                    if self._random.random() < 0.2:
                        self._plant_foreign(emulator)
                writer.rest()
                proxy.drop_nothing()
                self._until_quiet()
                duplicates, orphans = self._check(emulator, proxy)
        return Figures(
            seed=self._seed,
            kills=self._killed,
            syncs_while_down=self._syncs,
            edits=writer.edits,
            requests=proxy.counts.requests,
            uploads_stored=proxy.counts.stored,
            dropped_answers=proxy.counts.dropped_of_any,
            dropped_upload_answers=proxy.counts.dropped,
            lost_to_kills=self._lost_to_kills,
            duplicates=duplicates,
            orphans=orphans,
            files=sum(1 for _ in self._files_on_disk()),
            foreign=len(self._foreign),
            seconds=round(time.monotonic() - began, 1),
        )

    def _configure(self, port: int) -> None:
        expiring, eternal = self.folders
        text = CONFIG.format(
            port=port, state=self._state, expiring=expiring, eternal=eternal, options=OPTIONS
        )
        (self.home / "config.toml").write_text(text)

    # What must not be touched.

    def _plant_old_foreign(self, emulator: EmulatorProcess) -> None:
        """Plant files with the names and sizes of ours, made an hour ago by somebody else, in both purposes."""
        emulator.call("POST", "clock", {"advance": -3_600})
        for name in NAMES:
            for purpose in (EXPIRING, ETERNAL):
                for content in ("# Read me\n", "# Write me"):
                    self._add(emulator, name, content, purpose=purpose)
        emulator.call("POST", "clock", {"offset": 0})

    def _plant_foreign(self, emulator: EmulatorProcess) -> None:
        """Plant some that are as young as ours.

        Only where ours expire: without an expiry, a file alike from the same minute is taken for ours, as documented.
        """
        name = self._random.choice(NAMES)
        self._add(emulator, name, "# Read me\n", purpose=EXPIRING)
        self._add(emulator, name, "# Read me\n", purpose=EXPIRING, expires_after=7 * 86_400)
        self._add(emulator, name, "# Read me\n", purpose="vision")

    def _add(self, emulator: EmulatorProcess, name: str, content: str, **details: object) -> None:
        self._foreign.add(str(emulator.add_file(name, content, **details)["id"]))

    # Living and dying.

    def _live_and_die(self, proxy: LossyProxy) -> None:
        """Start the daemon, or sometimes `sync`, and kill it at a moment nobody chose.

        Half of the moments are counted from its first request, so that a slow machine does not only kill beginners.
        """
        is_sync = self._random.random() < 0.15
        self._syncs += is_sync
        before = proxy.counts.requests
        process = self._start("sync", "--now") if is_sync else self._start("run")
        if self._random.random() < 0.5:
            _until(
                lambda: proxy.counts.requests > before or process.poll() is not None, FEW_SECONDS
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._random.uniform(0.3, 2.5))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        code = process.wait(FEW_SECONDS)
        self._killed += code == -signal.SIGKILL
        assert _until(lambda: proxy.counts.connections == 0, FEW_SECONDS)
        self._lost_to_kills += len(proxy.take_given_back() - self._recorded())
        if not is_sync:
            assert code == -signal.SIGKILL, f"the daemon ended by itself with {code}"

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "fileferry", *arguments],
            env=self._environ,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def _command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "fileferry", *arguments],
            env=self._environ,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def _until_quiet(self) -> None:
        """Let the daemon run until there is nothing left to do, then `sync` until that says so too."""
        daemon = self._start("run")
        try:
            self._await(daemon)
            end = time.monotonic() + QUIET_SECONDS
            while True:
                self._command("retry")  # what failed too often would wait for an hour
                waited = self._command("wait", "--timeout", "30")
                if waited.returncode == 0 and not self._unfinished():
                    break
                assert daemon.poll() is None, f"the daemon ended by itself with {daemon.returncode}"
                assert time.monotonic() < end, (
                    f"never quiet: {waited.stderr}{self._unfinished()}\n"
                    f"{self._command('status').stdout}{self._command('errors').stdout}"
                )
                time.sleep(0.5)
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(FEW_SECONDS * 2)
        finally:
            daemon.kill()
            daemon.wait(FEW_SECONDS)
        assert code == 0, f"the daemon stopped with {code}"
        done = self._command("sync", "--now", "--json")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        assert json.loads(done.stdout)["uploaded"] == 0, (
            f"a second pass sent something: {done.stdout}"
        )

    def _await(self, daemon: subprocess.Popen[bytes]) -> None:
        """Wait until the daemon answers: a `retry` beside one that is starting would take the index from it."""

        def answers() -> bool:
            assert daemon.poll() is None, f"the daemon ended by itself with {daemon.returncode}"
            said = self._command("wait", "--timeout", "0.1").stderr
            return "no daemon runs" not in said and "does not answer" not in said

        assert _until(answers, COMMAND_SECONDS), "the daemon did not come up"

    # What is left.

    def _recorded(self) -> set[str]:
        """Return every id that the index has ever recorded; none before it was made."""
        try:
            return {row[0] for row in self._rows("SELECT file_id FROM remote")}
        except sqlite3.OperationalError:
            return set()

    def _rows(self, query: str) -> list[tuple[str, ...]]:
        with contextlib.closing(
            sqlite3.connect(f"file:{self._state}/index.db?mode=ro", uri=True, timeout=10)
        ) as db:
            return db.execute(query).fetchall()

    def _unfinished(self) -> list[tuple[str, ...]]:
        """Return what the index still has to do: what nobody proved ours may stay retired for ever."""
        return [
            *self._rows("SELECT 'intent', state, name FROM intent WHERE state <> 'closed'"),
            *self._rows(
                "SELECT 'remote', state, file_id FROM remote WHERE state IN ('retiring', 'deleting')"
                " AND proof = 'proven'"
            ),
            *self._rows(
                "SELECT 'path', state, folder || '/' || path FROM files WHERE state <> 'synced'"
            ),
        ]

    def _files_on_disk(self) -> dict[tuple[str, str], str]:
        """Return the digest of every regular file, by folder and path."""
        return {
            (folder.name, str(path.relative_to(folder))): _sha256(path)
            for folder in self.folders
            for path in folder.rglob("*")
            if path.is_file()
        }

    def _check(self, emulator: EmulatorProcess, proxy: LossyProxy) -> tuple[int, int]:
        """Compare the disk, the index and the emulator; return how many duplicates and orphans are left."""
        stored = {str(file["id"]): file for file in emulator.files()}
        left = {file_id: file for file_id, file in stored.items() if not file["deleted"]}
        assert self._foreign <= left.keys(), "a file of somebody else was deleted"
        ids = {
            (folder, path): file_id
            for folder, path, file_id in self._rows("SELECT folder, path, file_id FROM files")
        }
        on_disk = self._files_on_disk()
        assert ids.keys() == on_disk.keys(), f"other paths: {ids.keys() ^ on_disk.keys()}"
        for place, digest in on_disk.items():
            assert ids[place] in left, f"{place} has an id that is not there: {ids[place]}"
            assert ids[place] not in self._foreign, f"{place} has the id of somebody else"
            assert left[ids[place]]["sha256"] == digest, f"{place} has other bytes at the API"
        live = {row[0] for row in self._rows("SELECT file_id FROM remote WHERE state = 'live'")}
        assert live == set(ids.values()), "the index has ids that no path needs"
        orphans = [file for file_id, file in left.items() if file_id not in live | self._foreign]
        leaked = [file for file in orphans if file["purpose"] != ETERNAL]
        assert not leaked, f"leaked: {leaked}"
        lost = proxy.counts.dropped + self._lost_to_kills
        assert len(orphans) <= lost, f"{len(orphans)} orphans of {lost} lost answers: {orphans}"
        self._check_listed(orphans)
        return _duplicates([left[file_id] for file_id in live]), len(orphans)

    def _check_listed(self, orphans: list[Json]) -> None:
        """Where there is a command that lists orphans, it lists each of these."""
        if "orphans" not in self._command("--help").stdout:
            return
        said = self._command("orphans").stdout
        unlisted = [file for file in orphans if str(file["id"]) not in said]
        assert not unlisted, f"`orphans` does not list {unlisted}\n{said}"


def _duplicates(files: Sequence[Json]) -> int:
    alike = Counter(
        (file["sha256"], file["purpose"], Path(cast("str", file["filename"])).suffix)
        for file in files
    )
    return sum(count - 1 for count in alike.values())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _until(holds: Callable[[], object], seconds: float) -> bool:
    """Wait until something holds, and say whether it does."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def soak(home: Path, *, kills: int, seed: int) -> Figures:
    """Run the soak in an empty directory.

    Raises:
        AssertionError: something was lost, leaked or touched; the seed is in the message.
    """
    try:
        return Soak(home, kills=kills, seed=seed).run()
    except AssertionError as error:
        log = (home / "daemon.log").read_text(errors="replace").splitlines()[-30:]
        raise AssertionError("\n".join([f"seed {seed}: {error}", *log])) from error


def main() -> None:
    """Run it by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="default: another each time")
    parser.add_argument("--home", type=Path, default=None, help="an empty directory that is kept")
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed
    with contextlib.ExitStack() as stack:
        home = options.home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home.mkdir(parents=True, exist_ok=True)
        print(json.dumps(asdict(soak(home, kills=options.kills, seed=seed)), indent=2))


if __name__ == "__main__":
    main()
