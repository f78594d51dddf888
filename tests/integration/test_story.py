"""The product's story, told by the installed command: what is sent, what is not, what goes."""

import json
import os
import shutil
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.stories import Ferry


@pytest.mark.slow
def test_an_edit_gets_a_new_id_and_the_old_one_goes_after_its_delay(it: Ferry) -> None:
    it.configure(retire_delay="1h", delete_delay="1h")
    file = it.write("a.txt", b"one")
    it.sync()
    old = it.file_id("a.txt")
    file.write_bytes(b"two")
    it.sync()
    new = it.file_id("a.txt")
    assert new != old
    assert it.ids() == {old, new}  # readers may still hold the old one
    it.configure()
    file.write_bytes(b"three")
    it.sync()
    third = it.file_id("a.txt")
    # `two` was retired with no delay; `one` keeps the delay that it was retired with.
    it.sync("--now")
    assert it.ids() == {old, third}
    assert [event for event, _ in it.events()] == ["added", "updated", "updated"]


def test_a_removed_file_goes_after_its_delay_and_at_once_with_now(it: Ferry) -> None:
    it.configure(delete_delay="1h")
    it.write("a.txt", b"one").unlink()
    it.write("b.txt", b"two")
    it.write("a.txt", b"one")
    it.sync()
    (it.folder / "a.txt").unlink()
    done = it.sync()
    assert "1 remote file to be deleted" in done.stderr
    assert it.names() == ["a.txt", "b.txt"]
    it.run("id", "docs:a.txt", check=4)
    it.sync("--now")
    assert it.names() == ["b.txt"]


def test_bytes_that_come_back_take_their_id_back(it: Ferry) -> None:
    it.configure(delete_delay="1h")
    it.write("a.txt", b"one")
    it.sync()
    before, sent = it.file_id("a.txt"), it.uploads()
    (it.folder / "a.txt").unlink()
    it.sync()
    it.write("elsewhere/b.txt", b"one")
    it.sync()
    assert it.file_id("elsewhere/b.txt") == before
    assert it.uploads() == sent


def test_renames_copies_and_touches_send_nothing(it: Ferry) -> None:
    for number in range(30):
        it.write(f"dir/sub{number % 3}/{number}.txt", b"content %d" % number)
    it.sync()
    ids, sent = it.ids(), it.uploads()
    assert sent == 30
    os.rename(it.folder / "dir", it.folder / "moved")
    it.sync()
    assert it.states().keys() == {f"moved/sub{n % 3}/{n}.txt" for n in range(30)}
    shutil.copytree(it.folder / "moved", it.folder / "copy")
    for path in (it.folder / "moved").rglob("*.txt"):
        os.utime(path, (1, 1))
    it.sync()
    it.sync("--now")
    assert (it.ids(), it.uploads()) == (ids, sent)
    assert set(it.states().values()) == {"synced"}
    assert len(it.states()) == 60


@pytest.mark.slow
def test_a_real_tree_is_synced_once_and_moves_for_nothing(it: Ferry) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    for name in ("email", "json", "asyncio", "logging", "unittest", "xml", "http", "importlib"):
        shutil.copytree(library / name, it.folder / "lib" / name)
    (it.folder / "lib" / "json" / "__pycache__").mkdir(exist_ok=True)
    it.write("lib/json/__pycache__/x.pyc", b"compiled")
    it.write("empty.txt", b"")
    os.symlink("lib", it.folder / "link")
    os.symlink("nowhere", it.folder / "broken")
    os.symlink("loop", it.folder / "loop")
    expected = {
        os.fsdecode(path.relative_to(it.folder)): path.read_bytes()
        for path in it.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts
    }
    assert len(expected) > 100
    it.sync(check=3)
    states = it.states()
    assert states.keys() == expected.keys()
    for path, state in states.items():
        assert state == ("synced" if expected[path] else "rejected"), path
    errors = it.json_lines("errors")
    assert {error["path"] for error in errors} == {
        path for path, content in expected.items() if not content
    }
    assert all("empty" in error["error"] for error in errors)
    contents = {(content, Path(path).suffix) for path, content in expected.items() if content}
    assert it.uploads() == len(it.ids()) == len(contents)

    sent = it.uploads()
    it.sync(check=3)
    os.rename(it.folder / "lib", it.folder / "lib2")
    it.sync(check=3)
    shutil.copytree(it.folder / "lib2", it.folder / "lib3")
    it.sync("--now", check=3)
    assert it.uploads() == sent
    assert len(it.ids()) == sent


@pytest.mark.slow
def test_folders_nested_renamed_and_detached_send_and_delete_nothing(it: Ferry) -> None:
    outer, inner, other = it.folder, it.folder / "inner", it.home / "other"
    for directory in (outer, inner, other):
        directory.mkdir(exist_ok=True)
        (directory / "a.txt").write_text(f"in {directory.name}")
    it.configure({"outer": outer})
    it.sync()
    sent = it.uploads()
    assert sent == 2
    it.configure({"outer": outer, "inner": inner, "other": other})
    it.sync()
    rows = it.query("SELECT folder, path FROM files ORDER BY folder")
    assert rows == [("inner", "a.txt"), ("other", "a.txt"), ("outer", "a.txt")]
    assert it.uploads() == sent + 1
    ids = it.ids()
    it.configure({"renamed": outer, "inner": inner})
    it.sync("--now")
    it.run("id", "renamed:a.txt", "inner:a.txt", "other:a.txt", check=0)
    attachments = {folder["name"]: folder["state"] for folder in it.json("status")["folders"]}
    assert attachments == {"renamed": "active", "inner": "active", "other": "detached"}
    it.configure({"renamed": outer})
    it.sync("--now")
    assert (it.ids(), it.uploads()) == (ids, sent + 1)


def test_purposes_names_and_expiries_reach_the_api(it: Ferry) -> None:
    it.write("Report.PDF", b"%PDF")
    it.write("ask.jsonl", b'{"custom_id": "1"}\n')
    it.configure(expires_after="1h", remote_name="{stem}-{digest8}{suffix}")
    with it.config.open("a") as config:
        config.write(
            '[[folder.rule]]\nmatch = "**/*.jsonl"\npurpose = "batch"\nremote_name = "{name}"\n'
        )
    it.sync()
    by_purpose = {file["purpose"]: file for file in it.stored()}
    assert by_purpose.keys() == {"user_data", "batch"}
    assert by_purpose["batch"]["filename"] == "ask.jsonl"
    name = str(by_purpose["user_data"]["filename"])
    assert name.startswith("Report-")
    assert name.endswith(".pdf")
    for file in it.stored():
        assert 3_600 <= file["expires_at"] - file["created_at"] <= 3_780


@pytest.mark.parametrize("decision", ["approve", pytest.param("discard", marks=pytest.mark.slow)])
def test_a_first_contact_over_the_budget_waits_for_a_decision(it: Ferry, decision: str) -> None:
    it.configure(upload_budget="10B")
    it.write("a.txt", b"more than ten bytes")
    it.write("b.txt", b"a few")
    done = it.sync(check=8)
    assert "fileferry approve" in done.stderr
    assert it.uploads() == 0
    it.run(decision, check=0)
    it.sync()
    assert it.names() == (["a.txt", "b.txt"] if decision == "approve" else [])


@pytest.mark.slow
def test_what_vanished_at_the_remote_is_found_and_sent_again(it: Ferry) -> None:
    it.configure(remote='check_interval = "1s"')
    for name in ("a", "b", "c"):
        it.write(f"{name}.txt", name.encode())
    it.sync()
    lost, kept = it.file_id("a.txt"), it.file_id("b.txt")
    delete_behind_our_back(it, lost)
    again = until_resent(it, lost)
    assert it.file_id("b.txt") == kept
    assert again in it.ids()
    assert it.events()[-2:] == [("lost", "a.txt"), ("restored", "a.txt")]


@pytest.mark.slow
def test_many_that_vanish_at_once_halt_until_it_is_accepted(it: Ferry) -> None:
    it.configure(remote='check_interval = "1s"', delete_budget=2)
    for number in range(8):
        it.write(f"{number}.txt", b"%d" % number)
    it.sync()
    sent = it.uploads()
    for number in range(5):
        delete_behind_our_back(it, it.file_id(f"{number}.txt"))
    until_halted(it)
    (it.folder / "7.txt").unlink()
    it.sync(check=8)
    assert it.uploads() == sent
    assert len(it.ids()) == 3  # nothing was deleted either
    it.run("accept", "remote", check=0)
    until_synced(it, 7)
    assert it.uploads() == sent + 5


def delete_behind_our_back(it: Ferry, file_id: str) -> None:
    import http.client

    connection = http.client.HTTPConnection(it.emulator.host, it.emulator.port, timeout=10)
    connection.request(
        "DELETE", f"/v1/files/{file_id}", headers={"Authorization": f"Bearer {it.secret}"}
    )
    assert connection.getresponse().status == 200
    connection.close()


def attempts(seconds: float = 15.0) -> Iterator[None]:
    """Try for a while: an audit comes when its interval has passed, however quick a sync is."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(0.1)


def until_resent(it: Ferry, lost: str) -> str:
    for _ in attempts():
        it.sync()
        if it.file_id("a.txt") != lost:
            return it.file_id("a.txt")
    raise AssertionError("it was never noticed")


def until_halted(it: Ferry) -> None:
    for _ in attempts():
        if it.run("sync").returncode == 8:
            return
    raise AssertionError("it never halted")


def until_synced(it: Ferry, count: int) -> None:
    for _ in attempts():
        it.run("sync")
        if list(it.states().values()) == ["synced"] * count:
            return
    raise AssertionError(it.states())


@pytest.mark.slow
def test_another_endpoint_halts_before_anything_is_sent(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.sync()
    it.write("b.txt", b"two")
    before = it.ids()
    it.base_url = it.base_url.replace("127.0.0.1", "localhost")
    it.configure()
    sent = it.uploads()
    done = it.sync(check=8)
    assert "accept remote" in done.stderr
    assert (it.uploads(), it.ids()) == (sent, before)
    it.run("accept", "remote", check=0)
    it.sync()
    # All is sent again there, and nothing of the old remote is deleted.
    assert it.uploads() == sent + 2
    assert before < it.ids()


@pytest.mark.slow
def test_what_was_written_off_is_listed_when_its_remote_is_accepted_again(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.sync()
    base_url, lost = it.base_url, {it.file_id("a.txt")}
    for url in (base_url.replace("127.0.0.1", "localhost"), base_url):
        it.base_url = url
        it.configure()
        it.run("accept", "remote", check=0)
        it.sync()
        lost.add(it.file_id("a.txt"))
    last = it.file_id("a.txt")
    listed = [json.loads(line) for line in it.run("orphans", "--json").stdout.splitlines()]
    assert {found["file_id"] for found in listed} == lost - {last}
    it.run("orphans", "--delete", "--yes", check=0)
    assert it.ids() == {last}


@pytest.mark.parametrize("wrong", [pytest.param("endpoint", marks=pytest.mark.slow), "project"])
def test_where_nothing_was_ever_sent_may_be_corrected_without_a_question(
    it: Ferry, wrong: str
) -> None:
    it.write("a.txt", b"one")
    right_url = it.base_url
    if wrong == "endpoint":
        it.base_url = "http://127.0.0.1:9/v1"
        it.configure()
        it.sync(check=5)
    else:
        it.emulator.add_fault("status", method="POST", path="/v1/files", status=403)
        it.sync(check=7)
        it.emulator.set_key(it.secret + "2", project=it.project + "2")
        it.environ["OPENAI_API_KEY"] = it.secret + "2"
    it.base_url = right_url
    it.configure()
    it.sync()
    assert it.states() == {"a.txt": "synced"}


def test_the_key_of_another_project_halts_before_anything_is_sent(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.sync()
    it.write("b.txt", b"two")
    before, sent = it.ids(), it.uploads()
    it.emulator.set_key(it.secret + "2", project=it.project + "2")
    it.environ["OPENAI_API_KEY"] = it.secret + "2"
    done = it.sync(check=8)
    assert "accept remote" in done.stderr
    assert (it.uploads(), it.ids()) == (sent, before)
    assert "halted by the remote" in it.run("status").stdout.splitlines()[0]
    it.environ["OPENAI_API_KEY"] = it.secret
    it.sync()
    assert it.json("status")["remote"]["halt"] is None


def test_nothing_is_purged_by_a_copy_of_the_index(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.sync()
    (it.home / "copy").mkdir(mode=0o700)
    shutil.copy(it.state / "index.db", it.home / "copy")
    it.state = it.home / "copy"
    it.configure()
    done = it.run("purge", "--yes", check=8)
    assert "accept index" in done.stderr
    assert it.states() == {"a.txt": "synced"}


@pytest.mark.parametrize("kind", ["drop_after", pytest.param("truncate", marks=pytest.mark.slow)])
def test_a_lost_answer_leaves_exactly_one_remote_file(it: Ferry, kind: str) -> None:
    it.write("a.txt", b"one")
    it.emulator.add_fault(kind, method="POST", path="/v1/files")
    it.sync()
    assert it.uploads() == 1
    assert it.ids() == {it.file_id("a.txt")}


def test_an_upload_that_never_arrived_is_sent_again_once_that_is_sure(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.emulator.add_fault("drop_before", method="POST", path="/v1/files")
    it.sync()
    assert it.ids() == {it.file_id("a.txt")}


def test_the_views_are_what_other_programs_were_promised(it: Ferry) -> None:
    it.write(b"caf\xe9.txt", b"one")
    it.write("b.txt", b"two")
    it.sync()
    rows = it.query("SELECT path, state, path_raw FROM files ORDER BY path")
    listed = it.query("SELECT remote_name, state, paths FROM remote_files")
    assert rows == [("b.txt", "synced", None), ("caf\\xe9.txt", "synced", b"caf\xe9.txt")]
    root = it.folder
    assert sorted(listed) == [
        ("b.txt", "live", f'["{root}/b.txt"]'),
        ("caf\\xe9.txt", "live", f'["{root}/caf\\\\xe9.txt"]'),
    ]


def test_a_sync_soon_after_another_asks_nothing_even_of_ids_that_end_today(it: Ferry) -> None:
    it.configure(expires_after="2h")
    it.write("a.txt", b"one")
    it.sync()
    asked = len(it.emulator.requests())
    it.sync()
    assert len(it.emulator.requests()) == asked
