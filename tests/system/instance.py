"""One instance of the service in a box: its configuration, its key, its folder, and what systemd knows of it."""

import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, cast

from system.box import BASE_URL, PATIENCE_SECONDS, PREFIX, USER, Box

__all__ = ["Instance"]


class Instance:
    """`fileferry@NAME` with a folder of its own below /srv, readable for all, and a key of its own."""

    def __init__(self, box: Box, name: str) -> None:
        self.box = box
        self.name = name
        self.unit = f"fileferry@{name}.service"
        self.folder = f"/srv/{name}"
        self.state = f"/var/lib/fileferry/{name}"
        self.config = f"/etc/fileferry/{name}.toml"
        self.key = f"sk-of-{name}-0123456789abcdef"
        box.path(self.folder).mkdir()
        self.configure()
        self.set_key(self.key)

    def configure(self, folders: Mapping[str, str] | None = None, *, state: str = "") -> None:
        """Write the configuration."""
        folders = folders or {self.name: self.folder}
        text = f'[remote]\nbase_url = "{BASE_URL}"\nlist_lag = "0s"\n[state]\ndirectory = "{self.state}"\n{state}\n'
        text += "".join(
            f'[[folder]]\nname = "{name}"\npath = "{path}"\nsettle = "0s"\n'
            for name, path in folders.items()
        )
        self.box.write(self.config, text)

    def set_key(self, key: str) -> None:
        """Write the key, for root alone."""
        self.box.write(f"/etc/fileferry/{self.name}.key", key + "\n", 0o600)

    def drop_in(self, text: str) -> None:
        """Change the unit as `systemctl edit` does."""
        self.box.write(f"/etc/systemd/system/{self.unit}.d/override.conf", f"[Service]\n{text}\n")
        self.box.run("systemctl", "daemon-reload")

    def systemctl(self, verb: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one verb of systemctl on this unit."""
        return self.box.run("systemctl", verb, self.unit, check=check)

    def start(self) -> None:
        """Start it, and expect that to work."""
        done = self.systemctl("start", check=False)
        assert done.returncode == 0, self.story()

    def show(self, name: str) -> str:
        """Return one property of the unit."""
        return self.box.run("systemctl", "show", "--value", "-p", name, self.unit).stdout.strip()

    @property
    def pid(self) -> int:
        """The main process, as it is numbered inside."""
        return int(self.show("MainPID"))

    @property
    def status(self) -> str:
        """What the service says of itself."""
        return self.show("StatusText")

    def kill(self, signal: str) -> None:
        """Send a signal to the main process."""
        self.box.run("systemctl", "kill", "--kill-whom=main", f"--signal={signal}", self.unit)

    def journal(self) -> list[dict[str, Any]]:
        """Return what the journal has about this unit."""
        self.box.run("journalctl", "--sync")
        lines = self.box.run("journalctl", "-u", self.unit, "-o", "json", "--no-pager").stdout
        return [cast("dict[str, Any]", json.loads(line)) for line in lines.splitlines()]

    def events(self) -> list[dict[str, Any]]:
        """Return what the daemon logged, by its own fields."""
        return [
            cast("dict[str, Any]", json.loads(line["MESSAGE"]))
            for line in self.journal()
            if line.get("_SYSTEMD_UNIT") == self.unit and line["MESSAGE"].startswith("{")
        ]

    def results(self) -> list[str]:
        """Return how its runs failed, in systemd's words."""
        return [line["UNIT_RESULT"] for line in self.journal() if "UNIT_RESULT" in line]

    def fileferry(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the configuration of this instance, as the service's user."""
        return self.box.run(
            f"{PREFIX}/bin/fileferry", "--config", self.config, *args, user=USER, check=check
        )

    def write(self, path: str, text: str) -> None:
        """Write a file in the folder."""
        self.box.write(f"{self.folder}/{path}", text)

    def file_id(self, path: str) -> str:
        """Return the id of a path once it has one."""
        found: list[str] = []

        def look() -> bool:
            said = self.fileferry("id", f"{self.folder}/{path}", check=False).stdout.strip()
            found.extend([said] if said else [])
            return bool(found)

        self.until(look, f"`{path}` has an id")
        return found[0]

    def until(
        self, holds: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait until something holds; tell the whole story when it never does."""
        self.box.until(holds, f"{self.unit}: {what}", seconds, self.story)

    def story(self) -> str:
        """Return all that systemd knows, for whoever has to find out."""
        return "\n".join(
            self.box.run(*command, check=False).stdout
            for command in (
                ("systemctl", "status", "--no-pager", "-l", self.unit),
                ("journalctl", "-u", self.unit, "--no-pager", "-n", "60"),
            )
        )
