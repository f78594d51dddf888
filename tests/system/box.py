"""A real systemd in throw-away namespaces, with fileferry installed as README.md of `systemd/` says, and the emulator.

Everything inside is seen through `Box.run` and `Box.root`; nothing outside changes.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["BASE_URL", "PATIENCE_SECONDS", "PREFIX", "USER", "Box", "make_wheels", "system_python"]

REPOSITORY = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("sdbox.sh")
PORT = 8700
BASE_URL = f"http://127.0.0.1:{PORT}/v1"
PREFIX = "/opt/fileferry"
WHEELS = f"{PREFIX}-wheels"
USER = "fileferry"
PATIENCE_SECONDS = 30.0
_CALL = (
    "import sys, urllib.request as u; m, p, b = sys.argv[1:]; "
    f"r = u.Request('http://127.0.0.1:{PORT}/_emulator/' + p, b.encode() or None, method=m); "
    "print(u.urlopen(r, timeout=10).read().decode())"
)


def system_python() -> str:
    """Return an interpreter that every user of the machine can run: a service cannot use one below a home."""
    found = []
    for path in ("/usr/bin/python3", "/usr/local/bin/python3", "/usr/bin/python3.11"):
        if shutil.which(path) is None:
            continue
        said = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        if tuple(int(part) for part in said.split(".")) >= (3, 11):
            return path
        found.append(f"{path} is {said}")
    raise RuntimeError(f"no Python 3.11 or later for all users of this machine: {found}")


def make_wheels(directory: Path) -> Path:
    """Build wheels of the checkout and of all it needs; the box has no network."""
    venv = directory / "venv"
    subprocess.run([system_python(), "-m", "venv", venv], check=True)
    # Of a copy: a build leaves things behind, and may see what an earlier one left.
    source = directory / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(
        REPOSITORY / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__")
    )
    wheels = directory / "wheels"
    subprocess.run(
        [venv / "bin/pip", "wheel", "--quiet", "--wheel-dir", wheels, source], check=True
    )
    return wheels


class Box:
    """A running systemd."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.root = Path("/")

    def up(self) -> None:
        """Boot, and wait until that is over: it clears directories."""
        done = self._script("up")
        assert done.returncode == 0, done.stderr
        self.root = Path(self._script("root").stdout.strip())
        self.run("systemctl", "is-system-running", "--wait", check=False)

    def down(self) -> None:
        """Power off, and remove every trace."""
        done = self._script("down")
        assert done.returncode == 0, done.stderr

    def _script(self, verb: str, *args: str) -> subprocess.CompletedProcess[str]:
        # Into files: what lives on inside would keep a pipe open.
        out = self._directory.with_suffix(f".{verb}.out")
        with out.open("w") as stdout, out.with_suffix(".err").open("w") as stderr:
            done = subprocess.run(
                ["bash", SCRIPT, verb, self._directory, *args],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                timeout=60,
                check=False,
            )
        said = out.with_suffix(".err").read_text()
        return subprocess.CompletedProcess(done.args, done.returncode, out.read_text(), said)

    def run(
        self, *command: str, check: bool = True, user: str = "", timeout: float = 50
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root or as a user."""
        if user:
            command = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command)
        done = subprocess.run(
            ["bash", SCRIPT, "run", self._directory, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def path(self, inside: str) -> Path:
        """Return where a path inside is seen from here."""
        return self.root / inside.lstrip("/")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside, as root."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)

    def install(self, wheels: Path) -> None:
        """Install fileferry, its unit and its user."""
        shutil.copytree(wheels, self.path(WHEELS))
        self.run(system_python(), "-m", "venv", PREFIX, timeout=100)
        self.run(
            *(
                f"{PREFIX}/bin/pip",
                "install",
                "--quiet",
                "--no-index",
                "--find-links",
                WHEELS,
            ),
            "fileferry",
            timeout=200,
        )
        self.run(
            *("useradd", "--system", "--user-group", "--no-create-home"),
            *("--home-dir", "/var/lib/fileferry", "--shell", "/usr/sbin/nologin", USER),
        )
        units = REPOSITORY / "systemd"
        self.write("/usr/local/share/doc/fileferry/README.md", (units / "README.md").read_text())
        self.write(
            "/etc/systemd/system/fileferry@.service", (units / "fileferry@.service").read_text()
        )
        self.write("/etc/systemd/user/fileferry.service", (units / "fileferry.service").read_text())
        # Only the wait between two starts is another one here.
        self.write(
            "/etc/systemd/system/fileferry@.service.d/test.conf", "[Service]\nRestartSec=200ms\n"
        )
        self.run("systemctl", "daemon-reload")

    def start_emulator(self) -> None:
        """Start the emulator as a service of its own."""
        self.run(
            *("systemd-run", "--unit=emulator", "--property=Type=exec"),
            *(f"{PREFIX}/bin/fileferry", "emulator", "--port", str(PORT)),
        )
        self.until(self._try_emulator, "the emulator answers")

    def _try_emulator(self) -> bool:
        return (
            self.run(
                f"{PREFIX}/bin/python", "-c", _CALL, "GET", "clock", "", check=False
            ).returncode
            == 0
        )

    def emulator(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Send one request to the emulator's switchboard."""
        text = "" if body is None else json.dumps(body)
        return json.loads(self.run(f"{PREFIX}/bin/python", "-c", _CALL, method, path, text).stdout)

    def until(
        self,
        holds: Callable[[], object],
        what: str,
        seconds: float = PATIENCE_SECONDS,
        otherwise: Callable[[], object] = str,
    ) -> None:
        """Wait until something holds; when it never does, fail with what `otherwise` says."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{otherwise()}"
            time.sleep(0.1)
