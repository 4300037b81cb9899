"""Faults for Python: a statement is left out or swapped with the next, a condition is changed; and SQL in strings."""

import ast
import re
from collections.abc import Iterator

from tests.mutation import sql
from tests.mutation.edits import Edit
from tests.mutation.sql import Fault

SQL = re.compile(r"\b(SELECT|FROM|WHERE|DELETE|INSERT|UPDATE|MERGE|JOIN|CREATE|FILTER|UNION)\b")
LITERAL = re.compile(r'[rbfuRBFU]*("""|\'\'\'|"|\')')
#: Left alone: code that only makes things fast, or that only a power cut would show.
NO_ROWS = re.compile(
    r"SET (threads|force_compression|wal_autocheckpoint|block_allocator_memory|allocator_flush_threshold)\b"
    r"|\bf?sync\(|\.flush\(\)"
)
COMPARED = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
CALCULATED = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "//"), ast.FloorDiv: ("//", "*")}
CALCULATED |= {ast.BitOr: ("|", "&")}
NAMES = {"min": "max", "max": "min"}


class _Places:
    """Finds the position of each node in a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = [0]
        for line in text.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._bytes = [line.encode() for line in text.splitlines()]

    def at(self, line: int, column: int) -> int:
        return self._lines[line - 1] + len(self._bytes[line - 1][:column].decode())

    def span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword)
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def source(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def replaced(self, node: ast.AST, new: str) -> Edit:
        return Edit(*self.span(node), new)


def faults(text: str) -> Iterator[Fault]:
    """Yield each fault in a module: its description and its edits."""
    tree, places = ast.parse(text), _Places(text)
    annotations = {id(inner) for node in ast.walk(tree) for inner in _annotations(node)}
    messages = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Raise) for inner in ast.walk(node)}
    texts = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for inner in ast.walk(node)}
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            id(node) in annotations
            or id(node) in messages
            or (isinstance(node, ast.Constant) and id(node) in docstrings)
        ):
            continue
        if isinstance(node, ast.Constant | ast.JoinedStr) and (
            id(node) not in texts or isinstance(node, ast.JoinedStr)
        ):
            yield from _in_text(node, places)
        if id(node) not in texts:
            yield from _of_expression(node, places)
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                yield from _of_statements(node, body, places)


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    for name in ("annotation", "returns", "decorator_list"):
        found = getattr(node, name, None)
        for each in found if isinstance(found, list) else [found]:
            if each is not None:
                yield from ast.walk(each)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _of_statements(parent: ast.AST, body: list[ast.stmt], places: _Places) -> Iterator[Fault]:
    for number, statement in enumerate(body):
        if _is_docstring(statement) or isinstance(parent, ast.ClassDef | ast.Module):
            continue
        shown = " ".join(places.source(statement).split())[:60]
        is_left = isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(
            statement.targets[0] if isinstance(statement, ast.Assign) else statement.target, ast.Attribute
        )
        is_simple = isinstance(statement, ast.Expr | ast.AugAssign | ast.Raise | ast.Break)
        if is_simple and NO_ROWS.search(places.source(statement)):
            continue
        if is_left or is_simple or isinstance(statement, ast.For):
            yield f"without: {shown}", (places.replaced(statement, "pass"),)
        follower = body[number + 1] if number + 1 < len(body) else None
        if isinstance(statement, ast.Expr) and isinstance(follower, ast.Expr):
            edits = (
                places.replaced(statement, places.source(follower)),
                places.replaced(follower, places.source(statement)),
            )
            yield f"after the next: {shown}", edits
        if isinstance(statement, ast.If | ast.While):
            test = places.source(statement.test)
            keyword = "while" if isinstance(statement, ast.While) else "if"
            if test not in ("True",):
                if not isinstance(statement, ast.While):
                    yield f"{keyword} True: {test}", (places.replaced(statement.test, "True"),)
                yield f"{keyword} False: {test}", (places.replaced(statement.test, "False"),)


def _of_expression(node: ast.AST, places: _Places) -> Iterator[Fault]:
    match node:
        case ast.Compare(ops=[op], left=left, comparators=[right]) if type(op) in COMPARED:
            old, new = COMPARED[type(op)]
            start, end = places.span(left)[1], places.span(right)[0]
            yield f"{old} → {new}", (Edit(start, end, places.text[start:end].replace(old, new, 1)),)
        case ast.BoolOp(op=op, values=values):
            old, new = ("and", "or") if isinstance(op, ast.And) else ("or", "and")
            spans = [places.span(value) for value in values]
            for number in range(len(values) - 1):
                edit = Edit(spans[number][1], spans[number + 1][0], f" {new} ")
                yield f"{old} → {new}", (edit,)
            for number, value in enumerate(values):
                others = [places.source(v) for n, v in enumerate(values) if n != number]
                yield f"without {places.source(value)}", (places.replaced(node, f"({f' {old} '.join(others)})"),)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in CALCULATED:
            old, new = CALCULATED[type(op)]
            start, end = places.span(left)[1], places.span(right)[0]
            if old in places.text[start:end]:
                yield f"{old} → {new}", (Edit(start, end, places.text[start:end].replace(old, new, 1)),)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "without not", (places.replaced(node, f"({places.source(operand)})"),)
        case ast.Constant(value=bool(value)):
            yield f"{value} → {not value}", (places.replaced(node, str(not value)),)
        case ast.Constant(value=int(value) | float(value)):
            yield f"{value} plus 1", (places.replaced(node, str(value + 1)),)
        case ast.IfExp(test=test):
            yield f"if not: {places.source(test)}", (places.replaced(test, f"not ({places.source(test)})"),)
        case ast.comprehension(ifs=ifs):
            for condition in ifs:
                yield f"without if {places.source(condition)}", (places.replaced(condition, "True"),)
        case ast.Call(func=ast.Name(id="min" | "max" as name) as function):
            yield f"{name} → {NAMES[name]}", (places.replaced(function, NAMES[name]),)
        case ast.Call(args=[*_, before, last], keywords=[]):
            edit = Edit(places.span(before)[1], places.span(last)[1], "")
            yield f"without the argument {places.source(last)[:50]}", (edit,)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield f"return None: {' '.join(places.source(value).split())[:50]}", (places.replaced(value, "None"),)


def _in_text(node: ast.Constant | ast.JoinedStr, places: _Places) -> Iterator[Fault]:
    """Yield faults of the SQL in a literal, which may be several adjacent strings."""
    if isinstance(node, ast.Constant) and not isinstance(node.value, str):
        return
    start, end = places.span(node)
    if not SQL.search(places.text, start, end) and "JOIN" not in places.text[start:end]:
        return
    pieces = []
    at = start
    while at < end and (opening := LITERAL.match(places.text, at)):
        begin = opening.end()
        until = begin
        while places.text[until : until + len(opening[1])] != opening[1]:
            until += 2 if places.text[until] == "\\" else 1
        pieces.append((begin, until))
        at = until + len(opening[1])
        while at < end and (places.text[at].isspace() or places.text[at] == "#"):
            at = places.text.index("\n", at) if places.text[at] == "#" else at + 1
    yield from sql.faults(sql.tokens(places.text, pieces))
