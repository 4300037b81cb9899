"""Which checks run which statements of the Python files, and how long each takes.

Checks that cannot see a fault are not run for it, and the cheapest come first.
"""

import ast
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


class Reach:
    """The measured CPU time [s] of each check by name, and the lines that it ran by file."""

    def __init__(self, files: list[Path]) -> None:
        self._names = {str(file): file.name for file in files}
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, dict[str, set[int]]] = {}

    @contextmanager
    def measured(self, check: str) -> Iterator[None]:
        lines: dict[str, set[int]] = defaultdict(set)
        names = self._names

        def on_line(frame: FrameType, event: str, _: Any) -> Any:
            lines[names[frame.f_code.co_filename]].add(frame.f_lineno)
            return on_line

        def on_call(frame: FrameType, event: str, _: Any) -> Any:
            return on_line(frame, event, _) if frame.f_code.co_filename in names else None

        begun = time.process_time()
        sys.settrace(on_call)
        try:
            yield
        finally:
            sys.settrace(None)
            self.seconds[check], self.lines[check] = time.process_time() - begun, lines

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        with self.measured(item.nodeid):
            return (yield)

    def save(self, file: Path) -> None:
        lines = {check: {name: sorted(ran) for name, ran in each.items()} for check, each in self.lines.items()}
        file.write_text(json.dumps({"seconds": self.seconds, "lines": lines}))

    def load(self, file: Path) -> None:
        saved = json.loads(file.read_text())
        self.seconds = saved["seconds"]
        self.lines = {check: {name: set(ran) for name, ran in each.items()} for check, each in saved["lines"].items()}

    def of(self, name: str, text: str, line: int) -> list[str]:
        """Return the checks that run the statement at `line` of the Python file `name`; all if it runs on import."""
        places = _run_with(ast.parse(text), line)
        if not places:
            return list(self.seconds)
        return [check for check in self.seconds if places & self.lines[check].get(name, set())]


def _run_with(tree: ast.Module, line: int) -> set[int]:
    """Return the lines of the statement at `line`; for a module's constant, those of the statements that use it."""
    owner = next((s for s in tree.body if s.lineno <= line <= (s.end_lineno or 0)), None)
    if isinstance(owner, ast.Assign | ast.AnnAssign):
        targets = owner.targets if isinstance(owner, ast.Assign) else [owner.target]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        users = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in names]
        used = [node.lineno for node in users if not owner.lineno <= node.lineno <= (owner.end_lineno or 0)]
        return set().union(*(_run_with(tree, place) for place in used)) if used else set()
    inner: ast.stmt | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            inner = node  # breadth first, so the last match is the innermost
    if inner is None or isinstance(inner, ast.FunctionDef | ast.ClassDef):
        return set()
    body = getattr(inner, "body", None)
    end = body[0].lineno - 1 if body else inner.end_lineno or inner.lineno
    return set(range(inner.lineno, max(end, inner.lineno) + 1))
