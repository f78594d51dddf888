"""Edges of the planner that only a mutant found out about."""


def test_nothing_yet() -> None:
    pass
