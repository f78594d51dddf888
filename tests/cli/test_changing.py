"""The commands that change the index, each on an installation of its own: what they do here and at the remote."""

import subprocess

import pytest

from emulator_process import EmulatorProcess
from installed import Installation


def stored(it: Installation, emulator: EmulatorProcess) -> list[str]:
    """Name what this installation has at the remote."""
    project = f"proj_{it.environ['OPENAI_API_KEY'].removeprefix('sk-')}"
    return sorted(
        str(file["filename"])
        for file in emulator.files()
        if file["project"] == project and not file["deleted"]
    )


@pytest.mark.slow
def test_held_deletes_are_approved_or_discarded_by_name(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.configure(delete_budget=1)
    for number in range(6):
        it.write(f"{number}.txt", b"%d" % number)
    it.sync()
    for number in range(3):
        (it.folder / f"{number}.txt").unlink()
    it.sync(check=8)
    (hold,) = it.json("status")["holds"]
    assert (hold["kind"], hold["files"]) == ("delete", 3)
    unknown = it.run("approve", "D99", check=4)
    assert hold["hold"] in unknown.stderr
    result = it.json("approve", hold["hold"].lower())
    assert result["files"] == 3
    assert it.run("approve", check=0).stderr == "nothing is held\n"
    it.sync("--now")
    assert stored(it, emulator) == ["3.txt", "4.txt", "5.txt"]

    for number in (3, 4):
        (it.folder / f"{number}.txt").unlink()
    it.sync(check=8)
    assert "kept as they are" in it.run("discard", check=0).stdout
    it.sync("--now")
    assert stored(it, emulator) == ["3.txt", "4.txt", "5.txt"]
    assert it.json("status")["files"]["kept"] == 2


def test_a_held_upload_that_was_discarded_is_sent_by_retry_of_its_path(it: Installation) -> None:
    it.configure(upload_budget="2B")
    it.write("a.txt", b"more than two")
    it.sync(check=8)
    assert it.json("status")["held_uploads"] == 1
    it.run("discard", check=0)
    it.sync()
    it.run("id", "docs:a.txt", check=3)
    assert it.run("retry", "docs:a.txt", check=0).stdout == "1 file will be tried again\n"
    it.sync()
    it.run("id", "docs:a.txt", check=0)
    it.run("retry", "/etc/passwd", check=4)


def test_a_folder_is_forgotten_only_when_it_left_the_configuration_and_after_a_yes(
    it: Installation, emulator: EmulatorProcess
) -> None:
    other = it.home / "other"
    other.mkdir()
    it.configure({"docs": it.folder, "other": other})
    it.write("a.txt", b"in both")
    it.write("only.txt", b"only here")
    (other / "b.txt").write_bytes(b"in both")
    it.sync()
    refused = it.run("forget", "docs", "--delete", "--yes", check=1)
    assert "configuration" in refused.stderr
    it.configure({"other": other})
    asked = it.run("forget", "docs", "--delete", check=2)
    assert "--yes" in asked.stderr
    it.run("forget", "nobody", "--yes", check=4)
    result = it.json("forget", "docs", "--delete", "--yes")
    assert (result["paths"], result["deleted"], result["shared"]) == (2, 1, 1)
    assert len(stored(it, emulator)) == 1
    assert it.run("id", "other:b.txt", check=0).stdout.startswith("file-")
    assert [row["event"] for row in it.json_lines("history")][-2:] == ["removed", "removed"]
    assert [folder["name"] for folder in it.json("status")["folders"]] == ["other"]


@pytest.mark.slow
def test_forget_alone_leaves_remote_files_for_a_folder_with_the_same_bytes(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"precious")
    it.sync()
    file_id = it.file_id("a.txt")
    it.configure({})
    done = it.run("forget", "docs", "--yes", check=0)
    assert "1 left there, with no path" in done.stdout
    it.sync()
    assert stored(it, emulator) == ["a.txt"]
    assert it.json("status")["remote"]["without_path"] == 1
    it.configure()
    it.sync()
    assert it.file_id("a.txt") == file_id


def test_purge_deletes_all_that_this_index_made_and_nothing_else(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"ours")
    it.write("b.txt", b"ours too")
    it.sync()
    emulator.add_file("foreign.txt", project=f"proj_{it.environ['OPENAI_API_KEY'][3:]}")
    (it.folder / "b.txt").unlink()
    it.run("purge", check=2)
    done = it.run("purge", "--yes", check=0)
    assert "2 remote files deleted" in done.stdout
    assert "docs" in done.stderr
    assert stored(it, emulator) == ["foreign.txt"]
    assert it.run("ls", check=0).stdout == ""


def test_purge_without_the_remote_says_what_is_left_and_a_later_one_deletes_it(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"ours")
    it.sync()
    emulator.add_fault("status", method="DELETE", status=503, count=1)
    done = it.run("purge", "--yes", check=5)
    assert "1 remote file still to be deleted" in done.stderr
    emulator.clear_faults()
    it.configure({})
    it.sync()
    assert stored(it, emulator) == []


def test_a_plan_has_one_line_for_each_file_however_it_is_called(it: Installation) -> None:
    it.write("odd\x1b[31m\nupload   docs:never.txt", b"one")
    done = it.run("sync", "--dry-run", check=0)
    assert done.stdout.splitlines()[0].startswith("upload   docs:odd\\x1b[31m\\nupload ")
    assert len(done.stdout.splitlines()) == 2


def test_purge_with_the_key_of_another_project_changes_nothing(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"ours")
    it.sync()
    key = it.environ["OPENAI_API_KEY"]
    emulator.set_key(f"{key}-other", project="proj_other")
    it.environ["OPENAI_API_KEY"] = f"{key}-other"
    assert "`fileferry accept remote`" in it.run("purge", "--yes", check=8).stderr
    it.environ["OPENAI_API_KEY"] = key
    assert it.run("ls", check=0).stdout == "docs:a.txt\n"
    assert stored(it, emulator) == ["a.txt"]


@pytest.mark.slow
def test_prune_ignored_deletes_what_only_ignored_paths_need(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"kept")
    it.write("left/a.txt", b"kept")
    it.write("left/gone.txt", b"ignored now")
    it.sync()
    it.configure(ignore=["left/"])
    it.sync()
    assert len(stored(it, emulator)) == 2
    result = it.json("prune-ignored")
    assert (result["paths"], result["deleted"], result["shared"]) == (2, 1, 1)
    assert len(stored(it, emulator)) == 1
    it.sync()
    it.run("id", "docs:a.txt", check=0)


def test_accept_root_goes_on_with_a_replaced_root(it: Installation) -> None:
    for number in range(3):
        it.write(f"{number}.txt", b"old %d" % number)
    it.sync()
    it.folder.rename(it.home / "away")
    it.folder.mkdir()
    it.write("new.txt", b"new")
    it.sync(check=8)
    assert it.json("status")["folders"][0]["state"] == "halted"
    assert it.json("accept", "root")["accepted"] == ["docs"]
    assert it.run("accept", "root", check=0).stderr == "nothing asks for that\n"
    it.sync()
    assert [row["path"] for row in it.json_lines("ls")] == ["new.txt"]
    it.run("accept", "root", "nobody", check=4)


@pytest.mark.slow
def test_accept_remote_sends_everything_to_the_other_project_and_deletes_nothing_at_the_old(
    it: Installation, emulator: EmulatorProcess
) -> None:
    it.write("a.txt", b"first")
    it.write("b.txt", b"second")
    it.sync()
    before = it.file_id("a.txt")
    (it.folder / "b.txt").unlink()
    it.sync("--now")
    assert stored(it, emulator) == ["a.txt"]
    emulator.set_key("sk-other", project=f"proj_other_{it.home.parent.name}")
    it.environ["OPENAI_API_KEY"] = "sk-other"
    it.write("c.txt", b"third")
    it.sync(check=8)
    emulator.clear_requests()
    result = it.json("accept", "remote")
    assert (result["changed"], result["lost"]) == (True, 1)
    it.run("id", "docs:a.txt", check=6)
    it.sync()
    assert it.file_id("a.txt") != before
    assert not [one for one in emulator.requests() if one["method"] == "DELETE"]
    deleted = {str(file["id"]): file["deleted"] for file in emulator.files()}
    assert deleted[before] is False
    assert "belongs to" in it.run("accept", "remote", check=0).stderr


def test_accept_remote_of_another_organization_needs_no_key(it: Installation) -> None:
    it.write("a.txt", b"first")
    it.sync()
    it.configure(remote='organization = "org-other"')
    it.sync(check=8)
    it.environ["OPENAI_API_KEY"] = ""
    result = it.json("accept", "remote")
    assert (result["changed"], result["lost"]) == (True, 1)
    it.run("id", "docs:a.txt", check=6)
    it.environ["OPENAI_API_KEY"] = "sk-whoever"
    it.sync()
    it.run("id", "docs:a.txt", check=0)


def test_a_daemon_does_what_is_asked_and_is_paused_and_resumed(it: Installation) -> None:
    it.configure(upload_budget="2B")
    it.write("a.txt", b"more than two")
    for command in ("pause", "resume", "wait"):
        for _ in range(2):  # without a state directory, and with one that a sync made
            alone = it.run(command, check=5)
            assert "no daemon runs" in alone.stderr
            assert "`fileferry run`" in alone.stderr
            assert "Errno" not in alone.stderr
            it.sync(check=8)
    daemon = it.start("run")
    try:
        _until_held(it)
        status = it.json("status")
        assert status["daemon"]["running"] is True
        assert "paused until 2" in it.run("pause", "--for", "1h", check=0).stdout
        assert "paused until" in it.run("status", check=0).stdout
        assert it.run("resume", check=0).stdout == "resumed\n"
        result = it.json("approve")
        assert (result["files"], result["daemon"]) == (1, True)
        it.run("approve", "D99", check=4)
        it.run("forget", "docs", "--yes", check=1)
    finally:
        daemon.terminate()
        daemon.communicate(timeout=20)
    assert daemon.returncode == 0


def _until_held(it: Installation) -> None:
    for _ in range(60):
        done = subprocess.run(
            [*it.command, "status"], env=it.environ, capture_output=True, text=True, check=False
        )
        if "held U" in done.stdout and "daemon running" in done.stdout:
            return
    raise AssertionError(done.stdout + done.stderr)
