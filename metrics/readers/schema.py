"""What the published file holds, as it says itself: every relation and column with its comment."""

from dataclasses import dataclass
from typing import Literal

from metrics.authorisation.viewer import Viewer
from metrics.readers.snapshot import SLOW_S, Published, Snapshot, fetch

RELATIONS = """
SELECT name, kind, comment
FROM (
    SELECT table_name AS name, 'table' AS kind, comment FROM duckdb_tables() WHERE NOT internal
    UNION ALL
    SELECT view_name, 'view', comment FROM duckdb_views() WHERE NOT internal
)
WHERE comment IS NOT NULL
ORDER BY name
"""
COLUMNS = """
SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal
ORDER BY table_name, column_index
"""
MACROS = """
SELECT function_name, array_to_string(parameters, ', '), comment FROM duckdb_functions()
WHERE NOT internal AND function_type = 'table_macro' AND comment IS NOT NULL
ORDER BY function_name
"""


@dataclass(frozen=True, slots=True)
class Column:
    """`type` None: a macro's columns are named in its comment, without their types."""

    name: str
    type: str | None
    comment: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, a view, or a macro, which is called with `parameters`."""

    name: str
    kind: Literal["table", "view", "macro"]
    parameters: str | None
    comment: str
    columns: tuple[Column, ...]


def schema(published: Published, viewer: Viewer) -> tuple[Relation, ...] | None:
    """Return the relations and then the macros, for managers and analysts; None for others, and before they come."""
    if viewer.role not in ("manager", "analyst"):
        return None
    return published.ask("schema", _schema, SLOW_S)


def _schema(snapshot: Snapshot) -> tuple[Relation, ...]:
    columns: dict[str, list[Column]] = {}
    for relation, name, kind, comment in fetch(snapshot.connection, COLUMNS):
        columns.setdefault(relation, []).append(Column(name, kind, comment or ""))
    relations = [
        Relation(name, kind, None, comment, tuple(columns[name]))
        for name, kind, comment in fetch(snapshot.connection, RELATIONS)
    ]
    for name, parameters, comment in fetch(snapshot.connection, MACROS):
        says, *lines = comment.split("\n")
        parts = [line.partition(": ") for line in lines]
        named = tuple(Column(column, None, meaning) for column, _, meaning in parts)
        relations.append(Relation(name, "macro", parameters, says, named))
    return tuple(relations)
