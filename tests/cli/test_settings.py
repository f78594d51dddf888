"""The commands about the configuration: init, config, check-ignore, emulator. None needs an index."""

import json
import signal
import stat
import urllib.request
from pathlib import Path

import pytest

from fileferry.index import contents, entries, folders
from fileferry.index.connection import close_writer, open_writer
from fileferry.model import ContentKey, Stamp
from installed import KEY, Installation


@pytest.fixture
def it(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "home")


def test_init_writes_a_private_file_that_is_valid_and_says_what_comes_next(
    it: Installation,
) -> None:
    path = it.home / "new/there/config.toml"
    done = it.run("--config", path, "init", it.folder, check=0)
    assert done.stdout.splitlines() == [
        f"wrote {path}",
        f"next: fileferry --config {path} sync --dry-run",
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert it.run("--config", path, "config", "check", check=0).stdout.endswith("1 folder\n")


def test_init_takes_the_current_directory_and_the_usual_place(it: Installation) -> None:
    del it.environ["FILEFERRY_CONFIG"]
    assert "next: fileferry sync --dry-run\n" in it.run("init", cwd=it.folder, check=0).stdout
    shown = {one["key"]: one["value"] for one in it.json("config", "show")}
    assert shown["folder.docs.path"] == str(it.folder)


def test_init_overwrites_nothing_and_wants_a_directory(it: Installation) -> None:
    before = it.config.read_text()
    refused = it.run("init", it.folder, check=1)
    assert "not overwritten" in refused.stderr
    assert it.config.read_text() == before
    it.run("--config", it.home / "x.toml", "init", it.home / "nowhere", check=1)
    assert not (it.home / "x.toml").exists()


def test_init_refuses_a_directory_that_would_hold_the_index(it: Installation) -> None:
    path = it.home / "x.toml"
    refused = it.run("--config", path, "init", it.home, check=78)
    assert "state directory" in refused.stderr
    assert not path.exists()


def test_config_show_names_every_origin_and_never_the_key(it: Installation) -> None:
    done = it.run("config", "show", check=0, FILEFERRY_REMOTE_CONCURRENCY="3")
    assert KEY not in done.stdout + done.stderr
    lines = {line.split(" ")[0]: line for line in done.stdout.splitlines()}
    assert lines["remote.concurrency"].endswith("= 3  # FILEFERRY_REMOTE_CONCURRENCY")
    assert lines["folder.docs.purpose"].endswith("# default")
    assert f"{it.config}:" in lines["folder.docs.settle"]
    assert lines["api_key"].endswith("# OPENAI_API_KEY")
    rows = it.json("config", "show")
    assert {"key": "api_key", "value": None, "origin": "OPENAI_API_KEY"} in rows


def test_config_check_exits_78_for_a_mistake_and_10_without_a_file(it: Installation) -> None:
    it.configure(purposse="user_data")
    assert "did you mean `purpose`" in it.run("config", "check", check=78).stderr
    it.config.unlink()
    it.run("config", "check", check=10)


def test_config_check_warns_of_rules_that_can_never_match(it: Installation) -> None:
    it.configure(ignore=["*.tmp", "a[b"])
    done = it.run("config", "check", check=0)
    assert "`a[b`, can never match" in done.stderr
    assert len(it.json("config", "check")["warnings"]) == 1


def test_check_ignore_names_the_rule_with_its_file_and_line(it: Installation) -> None:
    it.configure(ignore=["*.tmp", "!keep.tmp"])
    it.write(".ferryignore", b"# a comment\ndrafts/\n")
    it.write("sub/.ferryignore", b"/secret\n")
    it.write("sub/secret", b"x")
    paths = ["docs:a.tmp", "docs:drafts/deep/x", "docs/sub/secret", "docs:.git/config", "docs:a"]
    lines = it.run("check-ignore", *paths, check=0).stdout.splitlines()
    assert len(lines) == 4
    rule, shown = lines[0].split("\t")
    assert (rule.startswith(f"{it.config}:"), rule.endswith(":*.tmp")) == (True, True)
    assert shown == "docs:a.tmp"
    assert lines[1] == f"{it.folder}/.ferryignore:2:drafts/\tdocs:drafts/deep/x"
    assert lines[2] == f"{it.folder}/sub/.ferryignore:1:/secret\tdocs/sub/secret"
    assert lines[3].startswith("default:")


def test_check_ignore_exits_1_when_nothing_is_ignored_and_4_outside(it: Installation) -> None:
    inner = it.folder / "inner"
    inner.mkdir()
    it.configure({"docs": it.folder, "inner": inner}, ignore=["*.tmp", "!keep.tmp"])
    assert it.run("check-ignore", "docs:a", "docs:keep.tmp", check=1).stdout == ""
    it.run("check-ignore", "/etc/passwd", check=4)
    assert "`inner`" in it.run("check-ignore", "docs:inner/a.tmp", check=4).stderr
    assert it.run("check-ignore", inner / "a.tmp", check=0).stdout
    (row,) = it.json_lines("check-ignore", "docs:keep.tmp", check=1)
    assert (row["ignored"], row["pattern"]) == (False, "!keep.tmp")


def test_emulator_prints_its_address_first_and_keeps_its_data(it: Installation) -> None:
    data = it.home / "data"
    process = it.start("emulator", "--port", "0", "--data", str(data), "--latency", "1")
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("listening on http://127.0.0.1:")
    request = urllib.request.Request(
        first.split()[-1] + "/files", headers={"Authorization": "Bearer sk-x"}
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["data"] == []
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0
    assert data.exists()
    it.run("emulator", "--host", "192.0.2.1", check=1)


@pytest.mark.parametrize(("files", "code"), [(48, 0), (49, 78)])
def test_config_check_refuses_more_files_than_can_be_renewed_in_their_life(
    it: Installation, files: int, code: int
) -> None:
    it.configure(expires_after="1h", remote="uploads_per_minute = 1")
    it.state.mkdir()
    db = open_writer(str(it.state / "index.db"))
    folder_id = folders.add(db, name="docs", root=bytes(it.folder))
    for number in range(files):
        content_id = contents.identify(db, ContentKey(f"xxh3_128:{number}", 1, "user_data", "", ""))
        path = b"%d" % number
        entries.saw(db, folder_id, path, Stamp(1, 1, 1, number, 1), now=0.0, due_at=0.0)
        db.execute("UPDATE entry SET held_id = ? WHERE path = ?", (content_id, path))
    close_writer(db)
    done = it.run("config", "check", check=code)
    assert ("80 %" in done.stderr) == (code == 78)
