"""The relations and columns of the published file, with their comments."""

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
    """A column. `type` None: it is a column of a macro, whose comment lists columns without types."""

    name: str
    type: str | None
    comment: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, a view or a macro; `parameters` are those of the macro."""

    name: str
    kind: Literal["table", "view", "macro"]
    parameters: str | None
    comment: str
    columns: tuple[Column, ...]


def schema(published: Published, viewer: Viewer) -> tuple[Relation, ...] | None:
    """Return the relations, then the macros. None: nothing is published, or the viewer is no manager or analyst."""
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
        row_meaning, *lines = comment.split("\n")
        parts = [line.partition(": ") for line in lines]
        described = tuple(Column(column, None, meaning) for column, _, meaning in parts)
        relations.append(Relation(name, "macro", parameters, row_meaning, described))
    return tuple(relations)
