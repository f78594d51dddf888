"""The unit files: known to systemd, and as closed as they can be."""

from pathlib import Path

import pytest

from system.box import Box

UNITS = Path(__file__).parents[2] / "systemd"
EXPOSURE = 20  # ten times what systemd calls the exposure level: 0 is a service that can do nothing


@pytest.mark.parametrize(
    ("unit", "manager"),
    [("fileferry@docs.service", "--system"), ("fileferry.service", "--user")],
)
def test_systemd_knows_every_word(box: Box, unit: str, manager: str) -> None:
    box.path("/home/ada/.local/bin").mkdir(parents=True, exist_ok=True)
    link = box.path("/home/ada/.local/bin/fileferry")
    if not link.is_symlink():
        link.symlink_to("/opt/fileferry/bin/fileferry")
    where = "/etc/systemd/user" if manager == "--user" else "/etc/systemd/system"
    # For what is unknown it has a warning, and 0.
    done = box.run(
        *("env", "HOME=/home/ada", "XDG_RUNTIME_DIR=/run"),
        *("systemd-analyze", manager, "verify", "--man=no", f"{where}/{unit}"),
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_the_documentation_is_where_the_unit_says(box: Box) -> None:
    text = (UNITS / "fileferry@.service").read_text()
    named = next(line for line in text.splitlines() if line.startswith("Documentation="))
    path = named.removeprefix("Documentation=file:")
    assert box.path(path).exists()
    assert path in (UNITS / "README.md").read_text()


def test_the_service_is_as_closed_as_it_was(box: Box) -> None:
    done = box.run(
        *("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}"),
        "/etc/systemd/system/fileferry@.service",
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_line_of_the_sandbox_has_a_reason() -> None:
    reasoned = False
    for line in (UNITS / "fileferry@.service").read_text().splitlines():
        if not line or line.startswith("["):
            reasoned = line == "[Install]"
        elif line.startswith("#"):
            reasoned = True
        elif line.startswith(
            ("Protect", "Private", "Restrict", "System", "Memory", "Capability", "No")
        ):
            assert reasoned, line
