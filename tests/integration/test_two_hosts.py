"""Two hosts mirror folders full of equal files into one project: neither takes, or deletes, what is the other's."""

from pathlib import Path

import pytest

from integration.stories import Ferry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

COPIES = 6


@pytest.fixture
def hosts(it: Ferry, tmp_path: Path) -> tuple[Ferry, Ferry]:
    """Return two installations with the same key."""
    other = Ferry(tmp_path / "other", it.emulator, it.secret)
    for host, word in ((it, b"here"), (other, b"over")):
        for number in range(COPIES):
            # Equal names and sizes everywhere; the bytes differ from directory to directory and from host to host.
            host.write(f"dir{number}/README.md", b"%s %d" % (word, number))
    return it, other


def recorded(host: Ferry) -> set[str]:
    """Return the ids that a host calls its own."""
    return {
        str(row[0]) for row in host.query("SELECT file_id FROM remote_files WHERE state = 'live'")
    }


def holds_its_own_bytes(host: Ferry) -> bool:
    """Say whether each path's id holds its bytes, by what the emulator stored."""
    bodies = {file["id"]: file["sha256"] for file in host.emulator.files()}
    import hashlib

    return all(
        bodies[file_id] == hashlib.sha256((host.folder / path).read_bytes()).hexdigest()
        for path, file_id in host.query("SELECT path, file_id FROM files")
    )


def sync_until_settled(*hosts: Ferry) -> None:
    for host in hosts:
        host.sync()


def test_with_an_expiry_lost_answers_leave_no_duplicate_and_no_orphan(
    hosts: tuple[Ferry, Ferry],
) -> None:
    here, there = hosts
    for _ in range(3):
        here.emulator.add_fault("drop_after", method="POST", path="/v1/files")
        sync_until_settled(here, there)
        for host in hosts:
            host.write("dir0/README.md", b"%s!" % (host.folder / "dir0/README.md").read_bytes())
    sync_until_settled(here, there)
    here.sync("--now")
    there.sync("--now")
    mine, theirs = recorded(here), recorded(there)
    assert not mine & theirs
    assert here.ids() == mine | theirs
    assert holds_its_own_bytes(here)
    assert holds_its_own_bytes(there)


def test_purge_on_one_host_leaves_all_that_the_other_made(hosts: tuple[Ferry, Ferry]) -> None:
    here, there = hosts
    sync_until_settled(here, there)
    theirs = recorded(there)
    here.run("purge", "--yes", check=0)
    assert here.ids() == theirs
    assert there.run("check", "--remote", check=0).returncode == 0


def test_without_an_expiry_nothing_is_deleted_that_is_not_proven(
    hosts: tuple[Ferry, Ferry],
) -> None:
    here, there = hosts
    for host in hosts:
        host.configure(expires_after="never")
    there.sync()
    theirs = recorded(there)
    here.emulator.add_fault("drop_after", method="POST", path="/v1/files")
    here.sync()
    here.run("purge", "--yes")
    assert theirs <= here.ids(), "whatever was taken for its own, none of the other host's went"
