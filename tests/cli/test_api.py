"""`from fileferry import Index`: what other people's scripts call, over an index that a real sync made."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from emulator_process import EmulatorProcess
from fileferry import Index
from fileferry.errors import NotInitialised, NotInSync, SomeFailed, UnknownPath
from installed import Installation


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with EmulatorProcess() as emulator:
        it = Installation(tmp_path_factory.mktemp("api"), emulator.base_url)
        it.write("a.txt", b"first")
        it.write("b/picture.PNG", b"second")
        it.write("b/changed.txt", b"before")
        it.write("empty.txt", b"")
        it.sync(check=3)
        it.write("b/changed.txt", b"after")
        yield it


@pytest.fixture
def index(synced: Installation) -> Iterator[Index]:
    with Index.open(str(synced.config)) as opened:
        yield opened


def test_file_id_answers_as_the_command_does(synced: Installation, index: Index) -> None:
    expected = synced.file_id("a.txt")
    assert index.file_id("docs:a.txt") == expected
    assert index.file_id(synced.folder / "a.txt", fresh=True) == expected


def test_file_id_expands_the_home_directory(
    synced: Installation, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(synced.home))
    assert index.file_id("~/docs/a.txt") == index.file_id("docs:a.txt")


def test_file_id_raises_what_the_command_would_exit_with(index: Index) -> None:
    with pytest.raises(SomeFailed, match="empty"):
        index.file_id("docs:empty.txt")
    with pytest.raises(UnknownPath):
        index.file_id("docs:nobody")
    with pytest.raises(UnknownPath):
        index.file_id("/etc/passwd")


def test_fresh_refuses_an_id_of_older_bytes(index: Index) -> None:
    assert index.file_id("docs:b/changed.txt")
    with pytest.raises(NotInSync, match="older"):
        index.file_id("docs:b/changed.txt", fresh=True)


def test_entries_files_and_paths_agree(synced: Installation, index: Index) -> None:
    entry = index.entry("docs:a.txt")
    assert (entry.folder, entry.path, entry.state, entry.size) == ("docs", "a.txt", "synced", 5)
    assert entry.expires_at is not None
    assert [file.path for file in index.files()] == [
        "a.txt",
        "b/changed.txt",
        "b/picture.PNG",
        "empty.txt",
    ]
    assert [file.path for file in index.files("docs:b")] == ["b/changed.txt", "b/picture.PNG"]
    assert index.paths(entry.file_id or "") == [str(synced.folder / "a.txt")]
    with pytest.raises(UnknownPath):
        index.paths("file-nobody")


def test_input_tells_pictures_apart(index: Index) -> None:
    parts = index.input("docs:a.txt", "docs:b/picture.PNG")
    assert [part["type"] for part in parts] == ["input_file", "input_image"]


def test_changes_go_on_from_where_somebody_stopped(index: Index) -> None:
    changes = list(index.changes())
    assert {change.event for change in changes} == {"added"}
    assert list(index.changes(changes[0].seq)) == changes[1:]


def test_an_index_is_opened_by_its_directory_too(synced: Installation) -> None:
    with Index.open(state_directory=str(synced.state)) as index:
        assert index.file_id("docs:a.txt")
    with pytest.raises(NotInitialised):
        Index.open(state_directory=str(synced.home))


def test_the_sdk_is_not_imported(synced: Installation) -> None:
    script = (
        "import sys; from fileferry import Index\n"
        "with Index.open() as index: index.file_id('docs:a.txt', fresh=True)\n"
        "print(sorted({'openai', 'httpx2', 'asyncio', 'sqlite_utils'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=synced.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
