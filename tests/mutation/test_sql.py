"""The mistakes that are made in SQL."""

import sqlite3

import pytest

from mutation.sql import is_sql, mistakes

STATEMENT = (
    "SELECT a FROM t WHERE a = ? AND (b < c OR d IS NULL) AND e NOT IN ('x', 'y')"
    " AND NOT EXISTS (SELECT 1 FROM u WHERE u.a = t.a) ORDER BY a LIMIT 1"
)


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param(("a = ? AND", "a <> ? AND"), id="a comparison turned round"),
        pytest.param(("b < c", "b <= c"), id="a border moved"),
        pytest.param(("d IS NULL", "d IS NOT NULL"), id="null for not null"),
        pytest.param(("NOT IN", "IN"), id="in for not in"),
        pytest.param(("NOT EXISTS", "EXISTS"), id="exists for not exists"),
        pytest.param(("c OR d", "c AND d"), id="`and` for `or`"),
        pytest.param(("'x', 'y'", "'y'"), id="a value left out"),
        pytest.param(("'x', 'y'", "'x'"), id="the other one"),
        pytest.param(("a = ? AND", "(a = ? OR TRUE) AND"), id="a condition that always holds"),
        pytest.param(("b < c", "(b < c AND FALSE)"), id="a condition that never holds"),
        pytest.param(
            ("NOT EXISTS (SELECT 1 FROM u WHERE u.a = t.a)", "(NOT EXISTS (SELECT 1 FROM u WHERE u.a = t.a) OR TRUE)"),
            id="a subquery that is not asked",
        ),
        pytest.param((" ORDER BY a", ""), id="no order"),
        pytest.param((" LIMIT 1", ""), id="no limit"),
    ],
)  # fmt: skip
def test_the_mistakes_that_are_made(expected: tuple[str, str]) -> None:
    assert STATEMENT.replace(*expected, 1) in set(mistakes(STATEMENT))


def test_every_mistake_is_a_statement_that_takes_as_many_arguments() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (a, b, c, d, e)")
    db.execute("CREATE TABLE u (a)")
    for text in mistakes(STATEMENT):
        assert text != STATEMENT
        db.execute(text, (1,))


def test_what_an_update_sets_is_no_condition() -> None:
    text = "UPDATE t SET a = ?, b = CASE WHEN c = 1 THEN 2 END, d = 3 WHERE e = ?"
    changed = set(mistakes(text))
    assert not any("SET a <>" in one or "d <>" in one for one in changed)
    assert text.replace("c = 1", "c <> 1") in changed
    assert text.replace("e = ?", "e <> ?") in changed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1 FROM t", True),
        ("state = 'open' AND id IN (SELECT 1)", True),
        ("cannot be read", False),
        ("name = size", False),
        ("a file that IN capitals shouts", False),
    ],
)
def test_what_is_sql(text: str, expected: bool) -> None:
    assert is_sql(text) == expected
