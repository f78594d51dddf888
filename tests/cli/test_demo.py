"""The whole story without an account: every step does what it says."""

from pathlib import Path

from installed import Installation


def test_the_demo_keeps_every_promise(tmp_path: Path) -> None:
    done = Installation(tmp_path / "home").run("demo", check=0)
    assert done.stdout.count(": yes") == 8
    assert ": NO" not in done.stdout
