"""Logs: one JSON object a line, without the key, without control characters."""

import json

import pytest

from fileferry.daemon.logs import Log

KEY = "sk-secret-0123456789"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_an_object_with_its_event_level_and_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Log("info").info("uploaded", path="docs:a.txt", bytes=3)
    (line,) = lines(capsys)
    assert line.pop("timestamp")
    assert line == {"event": "uploaded", "level": "info", "path": "docs:a.txt", "bytes": 3}


@pytest.mark.parametrize(
    ("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)]
)
def test_only_what_is_as_important_as_asked_is_logged(
    capsys: pytest.CaptureFixture[str], level: str, count: int
) -> None:
    log = Log(level)
    for write in (log.debug, log.info, log.warning, log.error):
        write("event")
    assert len(lines(capsys)) == count


def test_the_key_is_never_written(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log("info")
    log.info("before")
    log.hide(KEY)
    log.error("refused", error=f"bad key {KEY}!")
    try:
        raise ValueError(KEY)
    except ValueError as error:
        log.error("crashed", exc_info=error)  # noqa: TRY400 - a log of ours
    text = capsys.readouterr().err
    assert KEY not in text
    assert "bad key [key]!" in text
    assert "ValueError" in text


def test_a_file_name_writes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    Log("info").info("uploaded", path='a\n{"event": "forged"}\x1b[31m\u202e.txt')
    (line,) = lines(capsys)
    assert line["event"] == "uploaded"
    assert "\x1b" not in str(line["path"])
    assert "\u202e" not in str(line["path"])
