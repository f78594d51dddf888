"""fileferry as it is installed: the real command in processes of its own, in a directory of its own."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import processes

__all__ = ["Installation"]

KEY = "sk-test-only"


class Installation:
    """A configuration, a state directory, a folder named `docs` and an environment."""

    def __init__(self, home: Path, base_url: str = "http://127.0.0.1:9/v1") -> None:
        self.home = home
        self.folder = home / "docs"
        self.folder.mkdir(parents=True)
        self.state = home / "state"
        self.config = home / "config.toml"
        self.base_url = base_url
        self.user: int | None = None  # None: as whoever runs the tests
        self.without_privilege = False  # not even root reads then what its mode forbids
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "FILEFERRY_CONFIG": str(self.config),
            "OPENAI_API_KEY": KEY,
            "COLUMNS": "100",
            "PYTHONWARNINGS": "error",
            "SSL_CERT_DIR": str(home),  # the emulator has no need of the world's certificates
        }
        self.configure()

    def configure(
        self,
        folders: Mapping[str, Path] | None = None,
        *,
        remote: str = "",
        state: str = "",
        **options: object,
    ) -> None:
        """Write the configuration anew; `options` go into every folder."""
        options = {"settle": "0s", "delete_delay": "0s", "retire_delay": "0s", **options}
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
        folders = {"docs": self.folder} if folders is None else folders
        self.config.write_text(
            f'[remote]\nbase_url = "{self.base_url}"\nlist_lag = "0s"\n{remote}\n'
            f'[state]\ndirectory = "{self.state}"\n{state}\n'
            + "".join(
                f'[[folder]]\nname = "{name}"\npath = "{path}"\n{lines}'
                for name, path in folders.items()
            )
        )

    @property
    def command(self) -> list[str]:
        """Return what starts the command."""
        drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        return [*(drop if self.without_privilege and os.geteuid() == 0 else []), *processes.COMMAND]

    def run(
        self,
        *args: str | bytes | Path,
        check: int | None = None,
        text_input: str | None = None,
        cwd: Path | None = None,
        **environ: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command; with `check`, expect this exit code."""
        with processes.start(
            self.command,
            [os.fsdecode(arg) for arg in args],
            user=self.user,
            env={**self.environ, **environ},
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL if text_input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            errors="surrogateescape",
        ) as process:
            try:
                stdout, stderr = process.communicate(text_input, timeout=50)
            except (
                BaseException
            ):  # a test that ends here, by its time limit too, leaves no process behind
                process.kill()
                raise
        done = subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
        assert "Traceback" not in done.stderr, done.stderr
        if check is not None:
            assert done.returncode == check, (
                f"{done.args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a command that goes on, such as `run`."""
        return processes.start(
            self.command,
            args,
            env=self.environ,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def json(self, *args: str | bytes | Path, check: int = 0) -> Any:
        """Run a command with `--json` and return what it printed."""
        return json.loads(self.run(*args, "--json", check=check).stdout)

    def json_lines(self, *args: str | bytes | Path, check: int = 0) -> list[Any]:
        """Run a command with `--json` that prints an object a line."""
        return [
            json.loads(line) for line in self.run(*args, "--json", check=check).stdout.splitlines()
        ]

    def write(self, path: str | bytes, content: bytes) -> Path:
        """Write a file below the folder and return where it is."""
        whole = Path(os.fsdecode(os.path.join(os.fsencode(self.folder), os.fsencode(path))))
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(content)
        return whole

    def sync(self, *args: str, check: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `sync`."""
        return self.run("sync", *args, check=check)

    def file_id(self, path: str) -> str:
        """Return the id of a path of the folder."""
        return self.run("id", f"docs:{path}", check=0).stdout.strip()
