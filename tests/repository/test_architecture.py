"""Who may import whom, as docs/architecture.md says."""

import ast
import graphlib

import pytest

from tests.support.imports import MODULES, imported_by, module_of
from tests.support.processes import ROOT

NO_ROOMS = {"shared", "assets"}
"""Folders of `pages/` that every room may use."""
ROOMS_OF_PAGES = sorted({file.parent.name for file in (ROOT / "pages").glob("*/*.py")} - NO_ROOMS)

ROOMS = {
    "ingest": {
        "events": (),
        "topic": ("events",),
        "archive": ("events",),
        "store": ("events", "archive"),
        "judging": ("store",),
        "alerting": ("store",),
        "publishing": ("events", "archive", "store", "judging", "alerting"),
        "consumer": ("events", "topic", "store", "publishing"),
        "sources": ("events", "topic"),
        "simulator": ("topic",),
    },
    "metrics": {
        "kpis": (),
        "composition": ("kpis",),
        "published": ("kpis", "composition"),
        "authorisation": ("kpis", "composition"),
        "configuration": ("kpis", "authorisation"),
        "readers": ("kpis", "composition", "published", "authorisation", "configuration"),
        "language": ("kpis", "readers"),
        "audit": (),
    },
}
"""The rooms of a package, and the rooms of that package that each may import."""
HALLS = {
    "ingest": ("cli", "errors", "statements"),
    "metrics": ("clock", "command_line", "errors", "logs", "quoting"),
}
"""The modules beside the rooms that rooms may import."""


def test_every_import_names_its_package() -> None:
    """The other tests here do not see relative imports."""
    assert not {
        module
        for module, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    }


NO_DESK = tuple(module for module in MODULES if module.startswith("notify.") and module != "notify.desk")
"""The modules of notify that only notify imports."""


def is_in(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize(
    ("inside", "may_not"),
    [
        pytest.param(
            ("metrics",), ("ingest", "notify", "pages", "dashboard", "bench", "tests"), id="metrics: no other package"
        ),
        pytest.param(("ingest",), ("notify", "pages", "dashboard", "bench", "tests"), id="ingest: metrics only"),
        pytest.param(("notify",), ("ingest", "pages", "dashboard", "bench", "tests"), id="notify: metrics only"),
        pytest.param(("pages", "dashboard"), ("ingest", "bench", "tests"), id="pages: metrics and the desk"),
        pytest.param(
            ("pages", "dashboard"),
            NO_DESK,
            id="pages: of notify the desk only",
        ),
        pytest.param(("notify.desk",), NO_DESK, id="notify/desk: nothing of notify, so that pages load no Apprise"),
        pytest.param(("metrics", "ingest", "pages", "dashboard"), ("apprise",), id="Apprise: notify only"),
        pytest.param(("metrics", "notify", "pages", "dashboard"), ("kafka", "aiokafka"), id="Kafka: ingest only"),
        pytest.param(("metrics", "ingest", "notify"), ("streamlit",), id="Streamlit: pages only"),
        pytest.param(("notify", "pages", "dashboard"), ("duckdb",), id="DuckDB: notify and pages use metrics.readers"),
        pytest.param(("bench",), ("tests",), id="bench: no tests"),
        pytest.param(
            ("pages.shared", "pages.assets"),
            tuple(f"pages.{room}" for room in ROOMS_OF_PAGES),
            id="pages/shared: no room",
        ),
        *(
            pytest.param(
                (f"pages.{room}",),
                tuple(f"pages.{other}" for other in ROOMS_OF_PAGES if other != room),
                id=f"pages/{room}: no other room",
            )
            for room in ROOMS_OF_PAGES
        ),
    ],
)
def test_who_may_import_whom(inside: tuple[str, ...], may_not: tuple[str, ...]) -> None:
    files = {module: file for module, file in MODULES.items() if is_in(module, *inside)}
    assert files
    wrong = {(module, other) for module, file in files.items() for other in imported_by(file) if is_in(other, *may_not)}
    assert not wrong


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_is_named(package: str) -> None:
    assert {file.parent.name for file in (ROOT / package).glob("*/__init__.py")} == ROOMS[package].keys()


@pytest.mark.parametrize(
    ("package", "room"), [pytest.param(p, room, id=f"{p}/{room}") for p, rooms in ROOMS.items() for room in rooms]
)
def test_a_room_imports_only_rooms_below_it(package: str, room: str) -> None:
    below = tuple(f"{package}.{name}" for name in (room, *ROOMS[package][room], *HALLS[package]))
    files = {module: file for module, file in MODULES.items() if is_in(module, f"{package}.{room}")}
    wrong = {
        (module, other)
        for module, file in files.items()
        for other in imported_by(file)
        if other.startswith(f"{package}.") and not is_in(other, *below)
    }
    assert not wrong


def test_the_sandbox_imports_nothing_of_vigie() -> None:
    """It runs isolated, without Vigie on its path, so an import would fail every query."""
    assert not imported_by(MODULES["metrics.readers.analysis.sandbox"]) & MODULES.keys()


def test_nothing_imports_a_page() -> None:
    """Streamlit runs the page scripts. Code that two of them need belongs in a room."""
    scripts = {module_of(file) for file in (ROOT / "pages").glob("*.py")} - {"pages"}
    assert len(scripts) > 5
    assert not {(module, other) for module, file in MODULES.items() for other in imported_by(file) & scripts}


def test_no_test_module_imports_another() -> None:
    """Code that tests share belongs in tests/support."""
    tests = {module for module in MODULES if module.rpartition(".")[2].startswith("test_")}
    assert len(tests) > 50
    assert not {(module, other) for module, file in MODULES.items() for other in imported_by(file) & tests}


@pytest.mark.slow
def test_there_are_no_import_cycles() -> None:
    graph = {module: imported_by(file, at_import=True) & MODULES.keys() for module, file in MODULES.items()}
    for module, others in graph.items():
        others.discard(module)
    assert list(graphlib.TopologicalSorter(graph).static_order())
