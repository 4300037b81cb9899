"""The modules of this repository, and what each imports."""

import ast
from pathlib import Path

from tests.support.processes import ROOT

PACKAGES = ("ingest", "metrics", "notify", "pages", "bench", "tests")


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    module_of(file): file
    for file in [*(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")), ROOT / "dashboard.py"]
}


def imported_by(file: Path, *, at_import: bool = False) -> set[str]:
    """Return all modules that a file imports. `at_import`: only those that it imports when it is itself imported."""
    tree = ast.parse(file.read_text())
    late = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for inner in ast.walk(node)
        if inner is not node
    }
    imported: set[str] = set()
    for node in ast.walk(tree):
        if at_import and node in late:
            continue
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.update(
                f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in MODULES else node.module
                for alias in node.names
            )
    return imported
