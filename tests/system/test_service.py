"""fileferry@NAME under a real systemd: start, work, reload, stop, and what goes wrong in between."""

import stat
import time
from collections.abc import Callable

from system.box import USER, Box
from system.instance import Instance


def test_active_means_ready_and_the_status_line_tells_the_rest(instance: Instance) -> None:
    instance.write("a.txt", "alpha")
    instance.start()
    assert instance.show("ActiveState") == "active"
    assert instance.fileferry("status", "--json").returncode == 0  # the index is there already
    instance.until(lambda: "1 in sync" in instance.status, "STATUS= says that it is in sync")
    assert "0 pending, 0 in error, watch ok" in instance.status


def test_a_file_that_is_written_is_uploaded_at_once(instance: Instance) -> None:
    instance.start()
    instance.write("deep/er/note.txt", "what to remember")
    file_id = instance.file_id("deep/er/note.txt")
    files = {file["id"]: file for file in instance.box.emulator("GET", "files")["data"]}
    assert files[file_id]["filename"] == "note.txt"
    assert instance.fileferry("path", file_id).stdout.strip().endswith("deep/er/note.txt")


def test_the_key_is_in_no_environment_and_in_no_journal(instance: Instance) -> None:
    instance.box.emulator("POST", "keys", {"key": instance.key, "project": "proj_of_this_key"})
    instance.write("a.txt", f"a file of {instance.name}")
    instance.start()
    file_id = instance.file_id("a.txt")
    files = {file["id"]: file for file in instance.box.emulator("GET", "files")["data"]}
    assert files[file_id]["project"] == "proj_of_this_key"  # so this was the key that was sent
    process = instance.box.path(f"/proc/{instance.pid}")
    assert b"CREDENTIALS_DIRECTORY=" in (process / "environ").read_bytes()
    assert instance.key.encode() not in (process / "environ").read_bytes()
    assert instance.key.encode() not in (process / "cmdline").read_bytes()
    instance.systemctl("stop")
    assert instance.key not in str(instance.journal())
    state = instance.box.path(instance.state)
    assert not [path for path in state.iterdir() if instance.key.encode() in path.read_bytes()]


def test_nobody_else_reads_the_key_or_the_index(instance: Instance) -> None:
    instance.write("a.txt", "alpha")
    instance.start()
    box = instance.box
    credential = f"/run/credentials/{instance.unit}/openai_api_key"
    for path in (f"{instance.state}/index.db", credential):
        assert box.run("cat", path, user="nobody", check=False).returncode != 0
        assert box.path(path).exists()
    status = box.path(instance.state).stat()
    assert stat.S_IMODE(status.st_mode) == 0o700
    assert str(status.st_uid) == box.run("id", "-u", USER).stdout.strip()


def test_a_group_may_read_the_index(instance: Instance) -> None:
    box = instance.box
    box.run("groupadd", "readers")
    box.run("useradd", "--groups", "readers", "reader")
    instance.configure(state='group = "readers"')
    instance.drop_in("Group=readers\nStateDirectoryMode=0750")
    instance.write("a.txt", "alpha")
    for _ in range(2):  # systemd sets the modes again at each start
        instance.start()
        file_id = instance.file_id("a.txt")
        command = ("/opt/fileferry/bin/fileferry", "--config", instance.config)
        said = box.run(*command, "id", f"{instance.name}:a.txt", user="reader").stdout
        assert said.strip() == file_id
        instance.systemctl("stop")
        said = box.run(*command, "id", f"{instance.name}:a.txt", user="reader").stdout
        assert said.strip() == file_id


def test_the_daemon_could_not_write_to_the_folder_if_it_wanted(instance: Instance) -> None:
    box = instance.box
    box.path(instance.folder).chmod(0o777)
    instance.start()
    inside = ("nsenter", "--target", str(instance.pid), "--mount")
    for path in (instance.folder, "/etc", "/home", "/var/lib/fileferry"):
        done = box.run(*inside, "touch", f"{path}/mark", check=False)
        assert "Read-only file system" in done.stderr, path
    box.run(*inside, "touch", f"{instance.state}/mark")


def test_the_journal_has_one_json_object_a_line(instance: Instance) -> None:
    instance.write("a b.txt", "alpha")
    instance.start()
    file_id = instance.file_id("a b.txt")
    instance.until(
        lambda: [event for event in instance.events() if event["event"] == "uploaded"],
        "the upload is in the journal",
    )
    (uploaded,) = [event for event in instance.events() if event["event"] == "uploaded"]
    assert uploaded["file_id"] == file_id
    assert uploaded["path"].endswith("a b.txt")
    assert uploaded["level"] == "info"
    own = [line for line in instance.journal() if line.get("_SYSTEMD_UNIT") == instance.unit]
    assert all(line["MESSAGE"].startswith("{") for line in own), own


def test_a_reload_takes_up_a_changed_configuration(instance: Instance) -> None:
    instance.write("a.txt", "alpha")
    instance.start()
    instance.file_id("a.txt")
    before = instance.pid
    more = f"{instance.folder}-more"
    instance.box.write(f"{more}/b.txt", "beta")
    instance.configure({"first": instance.folder, "second": more})
    instance.systemctl("reload")
    instance.until(lambda: "2 in sync" in instance.status, "both folders are in sync")
    assert instance.pid == before
    assert instance.show("ActiveState") == "active"
    assert instance.show("NRestarts") == "0"


def test_a_reload_with_a_broken_configuration_is_refused(instance: Instance) -> None:
    instance.write("a.txt", "alpha")
    instance.start()
    instance.file_id("a.txt")
    before = instance.pid
    instance.box.write(instance.config, "[remote\n")
    assert instance.systemctl("reload", check=False).returncode != 0
    assert "line 1" in str([line["MESSAGE"] for line in instance.journal()])
    assert (instance.show("ActiveState"), instance.pid) == ("active", before)
    assert not [event for event in instance.events() if event["event"] == "reloading"]


def test_a_hangup_with_a_broken_configuration_keeps_the_old_one(instance: Instance) -> None:
    instance.write("a.txt", "alpha")
    instance.start()
    instance.file_id("a.txt")
    before = instance.pid
    instance.box.write(instance.config, "[remote\n")
    instance.kill("HUP")
    instance.until(
        lambda: [event for event in instance.events() if event["event"] == "reload_failed"],
        "it says that it did not take it",
    )
    instance.write("b.txt", "beta")
    instance.until(lambda: "2 in sync" in instance.status, "it goes on with what it had")
    assert (instance.show("ActiveState"), instance.pid) == ("active", before)


def test_a_stop_is_quick_and_clean(instance: Instance) -> None:
    for number in range(50):
        instance.write(f"{number}.txt", f"number {number}")
    instance.start()
    began = time.monotonic()
    instance.systemctl("stop")
    assert time.monotonic() - began < 10
    assert instance.show("Result") == "success"
    assert instance.show("ActiveState") == "inactive"
    assert instance.events()[-1]["event"] == "stopped"


def test_a_stop_does_not_wait_for_an_answer_that_does_not_come(instance: Instance) -> None:
    instance.write("a.txt", "alpha")
    instance.box.emulator(
        "POST",
        "faults",
        {"kind": "delay", "method": "POST", "path": "/v1/files", "count": 1, "seconds": 60},
    )
    instance.start()
    time.sleep(2)
    began = time.monotonic()
    instance.systemctl("stop")
    instance.box.emulator("DELETE", "faults")
    assert time.monotonic() - began < 15
    assert instance.show("Result") == "success"


def test_after_a_kill_it_starts_again_and_sends_nothing_twice(instance: Instance) -> None:
    instance.write("a.txt", f"a file of {instance.name}")
    instance.start()
    file_id = instance.file_id("a.txt")
    instance.kill("KILL")
    instance.until(lambda: instance.show("NRestarts") == "1", "it was started again")
    assert "signal" in instance.results()
    instance.write("b.txt", f"another file of {instance.name}")
    instance.until(lambda: "2 in sync" in instance.status, "it goes on")
    assert instance.file_id("a.txt") == file_id


def test_the_watchdog_ends_what_stands_still(instance: Instance) -> None:
    instance.drop_in("WatchdogSec=3s")
    instance.write("a.txt", "alpha")
    instance.start()
    instance.file_id("a.txt")
    before = instance.pid
    time.sleep(7)  # an idle daemon is alive
    assert (instance.pid, instance.show("NRestarts")) == (before, "0"), instance.story()
    instance.kill("STOP")
    instance.until(lambda: instance.show("NRestarts") == "1", "it was started again")
    assert "watchdog" in instance.results()
    instance.until(lambda: "1 in sync" in instance.status, "it goes on")
    assert instance.show("LimitCORE") == "0"


def test_a_wrong_key_is_no_reason_to_end(instance: Instance) -> None:
    instance.box.emulator("POST", "keys", {"key": instance.key, "status": "invalid"})
    instance.write("a.txt", "alpha")
    instance.start()
    instance.until(lambda: "key" in instance.status, "STATUS= tells what is wrong")
    assert "1 pending" in instance.status
    assert instance.show("ActiveState") == "active"
    assert instance.show("NRestarts") == "0"
    instance.set_key("sk-a-better-one")
    instance.systemctl("restart")
    instance.until(lambda: "1 in sync" in instance.status, "it works with the new key")


def test_no_restart_mends_a_wrong_configuration(instance: Instance) -> None:
    instance.box.write(instance.config, '[[folder]]\nname = "a"\npaht = "/srv"\n')
    assert instance.systemctl("start", check=False).returncode != 0
    _is_down_for_good(instance, "78")
    assert "path" in str([line["MESSAGE"] for line in instance.journal()])


def test_no_restart_makes_a_configuration(instance: Instance) -> None:
    instance.box.path(instance.config).unlink()
    assert instance.systemctl("start", check=False).returncode != 0
    _is_down_for_good(instance, "10")


def test_no_restart_finds_a_key(instance: Instance) -> None:
    instance.box.path(f"/etc/fileferry/{instance.name}.key").unlink()
    assert instance.systemctl("start", check=False).returncode != 0
    _is_down_for_good(instance, "243")


def _is_down_for_good(instance: Instance, code: str) -> None:
    time.sleep(1)  # five times the wait between two starts
    assert instance.show("ActiveState") == "failed"
    assert instance.show("ExecMainStatus") == code, instance.story()
    assert instance.show("NRestarts") == "0"


def test_two_instances_side_by_side(make: Callable[[str], Instance]) -> None:
    both = make("-one"), make("-two")
    for instance in both:
        instance.write("a.txt", f"a file of {instance.name}")
        instance.start()
    ids = {instance.file_id("a.txt") for instance in both}
    assert len(ids) == 2
    both[0].systemctl("stop")
    both[1].write("b.txt", "beta")
    both[1].file_id("b.txt")
    hidden = both[1].box.run(
        *("nsenter", "--target", str(both[1].pid), "--mount", "ls", "/run/credentials")
    )
    assert hidden.stdout.split() == [both[1].unit]  # not even the same user sees another's key


def test_a_user_has_a_service_of_his_own(box: Box) -> None:
    box.run("useradd", "--create-home", "alice")
    home = "/home/alice"
    box.write(
        f"{home}/.config/fileferry/config.toml",
        '[remote]\nbase_url = "http://127.0.0.1:8700/v1"\n'
        '[[folder]]\nname = "notes"\npath = "~/notes"\nsettle = "0s"\n',
    )
    box.write(f"{home}/.config/fileferry/openai_api_key", "sk-of-alice\n", 0o600)
    box.write(f"{home}/notes/a.txt", "what alice wrote")
    box.path(f"{home}/.local/bin").mkdir(parents=True)
    box.path(f"{home}/.local/bin/fileferry").symlink_to("/opt/fileferry/bin/fileferry")
    box.run("chown", "-R", "alice:alice", home)
    box.run("loginctl", "enable-linger", "alice")
    uid = box.run("id", "-u", "alice").stdout.strip()
    box.until(lambda: box.path(f"/run/user/{uid}/systemd/private").exists(), "alice has a manager")
    environ = ("env", f"HOME={home}", f"XDG_RUNTIME_DIR=/run/user/{uid}")

    def mine(*command: str) -> str:
        return box.run(*environ, *command, user="alice").stdout.strip()

    def status() -> str:
        return mine("systemctl", "--user", "show", "--value", "-p", "StatusText", "fileferry")

    try:
        mine("systemctl", "--user", "start", "fileferry")
        box.until(lambda: "1 in sync" in status(), "alice's folder is in sync", otherwise=status)
        # A shell of alice's finds the same index.
        assert mine(f"{home}/.local/bin/fileferry", "id", f"{home}/notes/a.txt")
        mine("systemctl", "--user", "reload", "fileferry")
        mine("systemctl", "--user", "stop", "fileferry")
        result = mine("systemctl", "--user", "show", "--value", "-p", "Result", "fileferry")
        assert result == "success"
    finally:
        box.run("loginctl", "disable-linger", "alice")
