"""The commands that only read, on one index that nobody changes."""

import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator_process import EmulatorProcess
from installed import Installation

ODD = "odd\x1b[31m\u009b2J\nname.png"


@pytest.fixture(scope="module")
def synced() -> Iterator[Installation]:
    # Not below pytest's own directory, which no other user may enter.
    with tempfile.TemporaryDirectory() as home, EmulatorProcess() as emulator:
        Path(home).chmod(0o755)
        it = Installation(Path(home), emulator.base_url)
        it.configure(ignore=["*.tmp"])
        it.write("a.txt", b"first")
        it.write("copy/a.txt", b"first")
        it.write("copy/b.PDF", b"second")
        it.write(ODD, b"third")
        it.write(b"bytes\xff.txt", b"fourth")
        it.write("brackets/[x].md", b"fifth")
        it.write("empty.txt", b"")
        it.write("left.tmp", b"ignored")
        it.sync(check=3)
        yield it


def test_path_prints_every_path_of_an_id(synced: Installation) -> None:
    file_id = synced.file_id("a.txt")
    done = synced.run("path", file_id, check=0)
    assert done.stdout.splitlines() == [
        str(synced.folder / "a.txt"),
        str(synced.folder / "copy/a.txt"),
    ]
    assert synced.json("path", file_id) == {
        "file_id": file_id,
        "paths": done.stdout.splitlines(),
        "error": None,
    }


def test_path_prints_the_known_ones_and_exits_4_when_one_is_unknown(synced: Installation) -> None:
    done = synced.run("path", "file-nobody", synced.file_id("copy/b.PDF"), check=4)
    assert done.stdout == f"{synced.folder}/copy/b.PDF\n"
    assert "file-nobody" in done.stderr


def test_ls_prints_places_that_id_takes(synced: Installation) -> None:
    lines = synced.run("ls", check=0).stdout.splitlines()
    assert "docs:copy/b.PDF" in lines
    assert "docs:empty.txt" in lines
    assert not any("left.tmp" in line for line in lines)
    assert synced.run("id", "docs:copy/b.PDF", check=0).stdout.startswith("file-")
    assert synced.file_id("copy/../a.txt") == synced.file_id("./a.txt")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("docs:copy", ["docs:copy/a.txt", "docs:copy/b.PDF"]),
        ("copy", ["docs:copy/a.txt", "docs:copy/b.PDF"]),
        ("copy/b.PDF", ["docs:copy/b.PDF"]),
        ("docs:a.txt", ["docs:a.txt"]),
        ("*.PDF", ["docs:copy/b.PDF"]),
        ("docs:copy/*", ["docs:copy/a.txt", "docs:copy/b.PDF"]),
        ("*/a.*", ["docs:copy/a.txt"]),
        ("docs:brackets/[x].md", ["docs:brackets/[x].md"]),
        ("docs:copy/../a.txt", ["docs:a.txt"]),
    ],
)
def test_ls_takes_a_path_prefix_or_a_glob(
    synced: Installation, pattern: str, expected: list[str]
) -> None:
    assert synced.run("ls", pattern, check=0).stdout.splitlines() == expected


def test_ls_takes_an_absolute_path_or_one_of_the_current_directory(synced: Installation) -> None:
    here = synced.folder / "copy"
    assert synced.run("ls", here / "a.txt", check=0).stdout == "docs:copy/a.txt\n"
    assert synced.run("ls", "a.txt", cwd=here, check=0).stdout == "docs:copy/a.txt\n"
    assert synced.run("ls", f"{here}/*.PDF", check=0).stdout == "docs:copy/b.PDF\n"


def test_ls_exits_4_when_nothing_matches(synced: Installation) -> None:
    assert synced.run("ls", "nothing*", check=4).stdout == ""


def test_ls_long_adds_state_size_expiry_and_id(synced: Installation) -> None:
    (line,) = synced.run("ls", "-l", "docs:a.txt", check=0).stdout.splitlines()
    state, size, expires_at, file_id, where = line.split()
    assert (state, size, where) == ("synced", "5", "docs:a.txt")
    assert expires_at.endswith("Z")
    assert file_id == synced.file_id("a.txt")


def test_ls_json_prints_an_object_a_line_with_the_columns_of_the_view(synced: Installation) -> None:
    rows = {row["path"]: row for row in synced.json_lines("ls")}
    assert rows["copy/b.PDF"]["remote_name"] == "b.pdf"
    assert rows["copy/b.PDF"]["size"] == 6
    assert rows["bytes\\xff.txt"]["state"] == "synced"
    assert rows["empty.txt"]["state"] == "rejected"
    assert rows["empty.txt"]["file_id"] is None
    assert "empty" in rows["empty.txt"]["error"]


def test_ls_ends_quietly_when_nobody_reads_on(synced: Installation) -> None:
    line = f"{synced.command[0]} ls | head -1"
    done = subprocess.run(
        ["bash", "-c", line], env=synced.environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    "command",
    [["ls"], ["ls", "-l"], ["history"], ["ls", "--json"], ["id", f"docs:{ODD}"]],
)
def test_no_name_of_a_file_writes_to_the_terminal(synced: Installation, command: list[str]) -> None:
    done = synced.run(*command, check=0)
    text = done.stdout + done.stderr
    assert "\x1b" not in text
    if "--json" not in command:
        assert "\u009b" not in text
        lines = synced.run("ls", check=0).stdout.splitlines()
        assert len(lines) == 7


def test_input_prints_one_list_with_pictures_told_apart(synced: Installation) -> None:
    done = synced.run("input", "docs:a.txt", f"docs:{ODD}", "docs:copy/b.PDF", check=0)
    parts = json.loads(done.stdout)
    assert [part["type"] for part in parts] == ["input_file", "input_image", "input_file"]
    assert parts[0]["file_id"] == synced.file_id("a.txt")
    assert synced.json("input", "docs:a.txt") == parts[:1]


@pytest.mark.parametrize(
    ("path", "code"), [("docs:empty.txt", 3), ("docs:nobody", 4), ("/etc/passwd", 4)]
)
def test_input_prints_nothing_when_one_path_has_no_id(
    synced: Installation, path: str, code: int
) -> None:
    done = synced.run("input", "docs:a.txt", path, check=code)
    assert done.stdout == ""
    assert path in done.stderr


def test_history_prints_the_oldest_first(synced: Installation) -> None:
    rows = synced.json_lines("history")
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {row["event"] for row in rows} == {"added"}
    assert rows[0].keys() == {
        "seq", "at", "folder", "path", "event", "old_file_id", "new_file_id",
    }  # fmt: skip
    assert [row["seq"] for row in synced.json_lines("history", "-n", "2")] == [5, 6]


def test_history_of_a_path_shows_that_path_and_what_is_below_it(synced: Installation) -> None:
    rows = synced.json_lines("history", synced.folder / "copy")
    assert {row["path"] for row in rows} == {"copy/a.txt", "copy/b.PDF"}
    assert synced.run("history", "docs:empty.txt", check=0).stdout == ""
    synced.run("history", "docs:nobody", check=4)


def test_errors_says_what_could_not_be_done_and_why(synced: Installation) -> None:
    (row,) = synced.json_lines("errors")
    assert (row["path"], row["state"]) == ("empty.txt", "rejected")
    assert "empty" in row["error"]
    assert "docs:empty.txt: " in synced.run("errors", check=0).stdout


def test_status_begins_with_one_line_that_says_it_all(synced: Installation) -> None:
    first = synced.run("status", check=0).stdout.splitlines()[0]
    for words in ("6 files in sync", "0 pending", "1 in error", "next renewal 2", "watch off"):
        assert words in first
    assert "0 deletes held" in first


def test_status_json_has_the_documented_keys(synced: Installation) -> None:
    status = synced.json("status")
    assert status["in_sync"] == 6
    assert status["failed"] == 1
    assert status["files"]["rejected"] == 1
    assert status["daemon"] == {"running": False}
    assert status["holds"] == []
    assert status["remote"]["live"] == 5
    (folder,) = status["folders"]
    assert (folder["name"], folder["state"], folder["halt"]) == ("docs", "active", None)
    assert folder["last_scan"].endswith("Z")
    assert status["min_seconds_to_expiry"] > 86_400


def test_a_member_of_the_group_reads_and_nobody_else(synced: Installation) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")  # `.ci/run` is, and allows no skip
    group = "nogroup"
    synced.configure(ignore=["*.tmp"], state=f'group = "{group}"')
    synced.sync(check=3)
    member = ["setpriv", "--reuid=65534", f"--regid={group}", "--clear-groups"]
    stranger = ["setpriv", "--reuid=65534", "--regid=12345", "--clear-groups"]
    if subprocess.run([*member, sys.executable, "-c", ""], check=False).returncode:
        pytest.skip("another user cannot run this interpreter")  # nor does it here

    def run(who: list[str], *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*who, *synced.command, *args],
            env=synced.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    assert run(member, "id", "docs:a.txt").stdout == synced.file_id("a.txt") + "\n"
    assert "6 files in sync" in run(member, "status").stdout
    refused = run(member, "retry")
    assert refused.returncode == 1
    assert "not writable" in refused.stderr
    assert "sudo -u root" in refused.stderr
    assert run(stranger, "id", "docs:a.txt").returncode == 10


LIGHT = [
    ["--help"],
    ["id", "docs:a.txt"],
    ["path", "file-nobody"],
    ["ls"],
    ["status"],
    ["input", "docs:a.txt"],
]
HEAVY = "openai watchdog asyncio sqlite_utils structlog rich httpx2 uvicorn starlette"


@pytest.mark.parametrize("command", LIGHT, ids=lambda command: str(command[0]))
def test_quick_commands_import_nothing_heavy(synced: Installation, command: list[str]) -> None:
    script = (
        "import sys; from fileferry.cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        f"print(sorted(set({HEAVY.split()!r}) & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        env=synced.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_command_without_an_index_exits_10(tmp_path: Path) -> None:
    it = Installation(tmp_path / "new")
    for command in (["ls"], ["status"], ["path", "file-x"], ["history"], ["errors"], ["retry"]):
        assert it.run(*command, check=10).stdout == ""


@pytest.mark.parametrize(
    "command",
    [
        ["path"],
        ["input"],
        ["ls", "--nonsense"],
        ["history", "-n", "-1"],
        ["history", "-n", "many"],
        ["check-ignore"],
        ["config"],
        ["config", "nonsense"],
        ["accept", "nonsense"],
        ["accept", "remote", "docs"],
        ["forget"],
        ["pause", "--for", "soon"],
        ["pause", "--for", "0s"],
        ["emulator", "--port", "x"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_bad_usage_exits_2_and_prints_nothing(synced: Installation, command: list[str]) -> None:
    assert synced.run(*command, check=2).stdout == ""


def test_an_index_that_is_a_directory_is_said_to_be_one(it: Installation) -> None:
    (it.state / "index.db").mkdir(parents=True)
    refused = it.run("sync", check=1)
    assert "is a directory" in refused.stderr
    assert "hint: " in refused.stderr
    assert "unexpected" not in refused.stderr


def test_a_state_directory_that_cannot_be_written_is_named_and_for_whom(it: Installation) -> None:
    it.write("a.txt", b"one")
    it.run("sync")  # nobody answers there; an index is made
    os.chmod(it.state, 0o500)
    it.without_privilege = True
    try:
        refused = it.run("sync", check=1)
    finally:
        os.chmod(it.state, 0o700)
    assert (
        f"`{it.state}` is not writable for user `{pwd.getpwuid(os.geteuid()).pw_name}`"
        in refused.stderr
    )
    assert "chmod" in refused.stderr
    assert "free space" not in refused.stderr
