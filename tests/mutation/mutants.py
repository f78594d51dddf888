"""Mutants: copies of a module, each with one small mistake that a person might make.

Deterministic: the same source gives the same mutants in the same order. Docstrings, annotations, decorators, imports
and `if TYPE_CHECKING` are left alone, because nothing is decided there.
"""

import ast
import copy
import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

from mutation import sql

__all__ = ["Mutant", "mutants_of"]

LONGEST_LINE = 100
WORDS_AROUND = 5
Edit = Callable[[ast.AST], None]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One copy with one mistake.

    Args:
        name: the function, and the line as it was and as it is; unique in its module.
        source: the whole module.
        diff: for a person to read.
    """

    name: str
    source: str
    diff: str


def mutants_of(source: str) -> list[Mutant]:
    """Return every mutant of a module, each different from it and from all others."""
    whole = ast.parse(source)
    original = ast.unparse(whole)
    found: dict[str, Mutant] = {}
    names: dict[str, int] = {}
    for place, (node, where) in enumerate(_places(whole)):
        for edit in _edits(node):
            changed = copy.deepcopy(whole)
            edit(_places(changed)[place][0])
            text = ast.unparse(ast.fix_missing_locations(changed))
            if text == original or text in found:
                continue
            name = f"{where}: {_in_one_line(original, text)}"
            names[name] = names.get(name, 0) + 1
            if names[name] > 1:
                name = f"{name} (place {names[name]})"
            found[text] = Mutant(name, text, _difference(original, text))
    return list(found.values())


def _places(tree: ast.Module) -> list[tuple[ast.AST, str]]:
    """Return every node in which something is decided, in the order of the source, with its function."""
    return list(_walk(tree, "module"))


def _walk(node: ast.AST, where: str) -> Iterator[tuple[ast.AST, str]]:
    yield node, where
    for field, value in ast.iter_fields(node):
        if field in {"decorator_list", "annotation", "returns", "type_comment"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _decides_nothing(child):
                continue
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            yield from _walk(child, child.name if named else where)  # type: ignore[attr-defined]  # narrowed


def _decides_nothing(node: ast.AST) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.expr_context():
            return True
        case ast.Expr(value=ast.Constant(value=str())):
            return True  # a docstring
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case _:
            return False


def _edits(node: ast.AST) -> Iterator[Edit]:
    """Return the mistakes that can be made at a node."""
    yield from _edits_of_values(node)
    yield from _edits_of_ways(node)


def _edits_of_values(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Compare():
            yield from (_set_item("ops", at, _swapped(op)) for at, op in enumerate(node.ops))
        case ast.BoolOp():
            yield _set("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.BinOp() if type(node.op) in _OPERATORS:
            yield _set("op", _OPERATORS[type(node.op)]())
        case ast.UnaryOp(op=ast.Not()):
            # `not` cannot take itself out of its parent: twice `not` is the same.
            yield _set("operand", ast.UnaryOp(ast.Not(), node.operand))
        case ast.Constant():
            yield from (_set("value", value) for value in _other_values(node.value))
        case ast.Name(id=name) if name in _CALLS:
            yield _set("id", _CALLS[name])


def _edits_of_ways(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Return(value=ast.expr() as value):
            yield _set("value", ast.Constant(None))
            if isinstance(value, ast.Compare | ast.BoolOp):
                yield _set("value", ast.UnaryOp(ast.Not(), value))
        case ast.If() | ast.IfExp() | ast.While():
            yield _set("test", ast.Constant(value=True))
            yield _set("test", ast.Constant(value=False))
        case ast.comprehension():
            for at in range(len(node.ifs)):
                yield _set_item("ifs", at, ast.Constant(value=True))
                yield _set_item("ifs", at, ast.Constant(value=False))
        case ast.Continue() | ast.Break():
            yield _become_pass
        case ast.Match():
            yield from (_drop("cases", at) for at in range(len(node.cases)))


def _swapped(op: ast.cmpop) -> ast.cmpop:
    return _COMPARISONS[type(op)]()


def _other_values(value: object) -> Iterator[object]:
    match value:
        case bool():
            yield not value
        case int() | float():
            yield value + 1
            yield value - 1
            yield value * 2
        case str() if sql.is_sql(value):
            yield from sql.mistakes(value)
        case _:
            return


def _set(field: str, value: object) -> Edit:
    def edit(node: ast.AST) -> None:
        setattr(node, field, copy.deepcopy(value))

    return edit


def _set_item(field: str, at: int, value: ast.AST) -> Edit:
    def edit(node: ast.AST) -> None:
        getattr(node, field)[at] = copy.deepcopy(value)

    return edit


def _drop(field: str, at: int) -> Edit:
    def edit(node: ast.AST) -> None:
        del getattr(node, field)[at]

    return edit


def _become_pass(node: ast.AST) -> None:
    node.__class__ = ast.Pass


def _difference(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return "\n".join(list(lines)[2:])


def _in_one_line(before: str, after: str) -> str:
    lines = [
        line
        for line in difflib.ndiff(before.splitlines(), after.splitlines())
        if line.startswith(("- ", "+ "))
    ]
    was = " ".join(line[2:].strip() for line in lines if line.startswith("- "))
    now = " ".join(line[2:].strip() for line in lines if line.startswith("+ "))
    was, now = _essence(was, now) if len(was) > LONGEST_LINE and now else (was, now)
    return f"{was} -> {now or '(dropped)'}"


def _essence(was: str, now: str) -> tuple[str, str]:
    """Return the words of two long lines in which they differ, with a few around them."""
    before, after = was.split(" "), now.split(" ")
    same = sum(1 for _ in takewhile(_alike, zip(before, after, strict=False)))
    rest = min(len(before), len(after)) - same
    tail = sum(
        1 for _ in islice(takewhile(_alike, zip(before[::-1], after[::-1], strict=False)), rest)
    )
    start, end = max(0, same - WORDS_AROUND), max(0, tail - WORDS_AROUND)
    return tuple(  # type: ignore[return-value]  # of two
        " ".join(["…"] * bool(start) + words[start : len(words) - end] + ["…"] * bool(end))
        for words in (before, after)
    )


def _alike(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]
