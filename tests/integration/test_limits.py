"""The limits hold between processes: what one has sent, the next one counts."""

import time
from functools import partial

import pytest

from emulator_process import EmulatorProcess
from fileferry.clock import rfc3339
from integration.stories import Ferry, eventually
from property.test_limits import most_in_a_minute


def sent_at(it: Ferry) -> list[float]:
    """Return when the uploads of this project arrived, server seconds."""
    return [
        float(str(request["at"]))
        for request in it.emulator.requests()
        if request["method"] == "POST" and request["project"] == it.project
    ]


def has_more(emulator: EmulatorProcess, seen: int) -> bool:
    return len(emulator.requests()) > seen


@pytest.mark.slow
@pytest.mark.parametrize("skew_seconds", [0, -7_200])
def test_ten_quick_restarts_send_no_more_than_one_process_may(it: Ferry, skew_seconds: int) -> None:
    """Daemons and syncs in turn, each killed while it sends; the server's clock may be another."""
    it.configure(remote="uploads_per_minute = 20")
    for number in range(60):
        it.write(f"{number}.txt", b"%d" % number)
    with EmulatorProcess() as emulator:
        it.emulator = emulator
        it.base_url = emulator.base_url
        it.configure(remote="uploads_per_minute = 20")
        emulator.set_key(it.secret, project=it.project)
        emulator.call("POST", "clock", {"offset": skew_seconds})
        for number in range(10):
            seen = len(emulator.requests())
            process = it.start("run" if number % 2 else "sync")
            try:
                eventually(partial(has_more, emulator, seen))
                time.sleep(0.7)
            finally:
                process.kill()
                process.communicate()
        arrived = sent_at(it)
        print(f"{len(arrived)} uploads in {arrived[-1] - arrived[0]:.0f} s")
        assert len(arrived) >= 5
        assert most_in_a_minute(arrived) <= 20
        # Nor more than one process would have sent: a quarter at once, and the rest spread.
        assert len(arrived) <= 5 + 1 + (arrived[-1] - arrived[0]) * 20 / 60


LIMIT_USED_UP = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "10m"}


@pytest.mark.parametrize("words", [{"retry_after": 600}, {"headers": LIMIT_USED_UP}])
def test_a_sync_keeps_the_rest_that_the_api_asked_the_one_before_for(
    it: Ferry, words: dict[str, object]
) -> None:
    it.write("a.txt", b"one")
    it.emulator.add_fault("status", method="POST", path="/v1/files", status=429, **words)
    it.run("sync", check=5)
    it.emulator.clear_requests()
    for _ in range(2):
        assert "the API asked for no request before" in it.run("sync", check=5).stderr
    assert sent_at(it) == []
    assert [one for one in it.emulator.requests() if one["project"] == it.project] == []


@pytest.mark.parametrize("status", [429, 503])
def test_nobody_waits_for_a_day_that_the_api_asks_for_and_retry_ends_it(
    it: Ferry, status: int
) -> None:
    it.write("a.txt", b"one")
    it.emulator.add_fault(
        "status", method="POST", path="/v1/files", status=status, retry_after=86_400
    )
    began = time.monotonic()
    it.run("sync", check=5)
    assert time.monotonic() - began < 20
    said = "the API asked for no request before"
    assert said in it.run("sync", check=5).stderr
    assert said in it.run("status", check=0).stdout
    assert it.json("status")["remote"]["rest_until"] > rfc3339(time.time() + 3_600)
    assert "rest" in it.run("retry", check=0).stdout
    assert said not in it.run("status", check=0).stdout
    it.run("sync", check=0)
    assert len(it.stored()) == 1


def test_a_daemon_is_told_by_retry_to_ask_at_once(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.emulator.add_fault("status", method="POST", path="/v1/files", status=429, retry_after=86_400)
    it.run("sync", check=5)
    process = it.start("run")
    try:
        eventually(lambda: it.json("status")["daemon"]["running"])
        assert it.stored() == []
        assert "the API asked for no request before" in it.run("status", check=0).stdout
        it.run("retry", check=0)
        eventually(lambda: len(it.stored()) == 1)
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_no_next_try_is_named_that_is_over(it: Ferry) -> None:
    it.write("a.txt", b"one")
    it.emulator.add_fault("status", method="POST", path="/v1/files", status=403)
    it.run("sync", check=7)
    time.sleep(1.1)
    (error,) = it.json_lines("errors")
    assert (error["path"], error["next_try"]) == ("a.txt", None)
    assert "next try" not in it.run("errors", check=0).stdout
