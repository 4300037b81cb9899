"""Creates the published objects once in each process, because binding the macros is a sixth of a store's cost."""

import atexit
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

from metrics.published import objects

_create = objects._create_template
_files: dict[tuple[str, ...], Path] = {}


def share() -> None:
    """Let each store of this process copy the objects from a file that the first one makes."""
    objects._create_template = _copy


def _copy(
    connection: duckdb.DuckDBPyConnection, catalog: str, past: Mapping[str, str], private: str, kept: set[str]
) -> None:
    key = (*sorted(past), private, *sorted(kept), *objects.macros().values(), *objects.comments())
    if key not in _files:
        _files[key] = _file(past, private, kept)
    connection.execute(f"ATTACH ':memory:' AS {catalog}")
    connection.execute(f"ATTACH '{_files[key]}' AS objects_made (READ_ONLY)")
    connection.execute(f"COPY FROM DATABASE objects_made TO {catalog} (SCHEMA)")
    connection.execute("DETACH objects_made")
    connection.execute("SET VARIABLE vigie_past = NULL")
    objects._renew_views(connection, catalog, past)


def _file(past: Mapping[str, str], private: str, kept: set[str]) -> Path:
    """Make a file with the objects, whose views read no files: what `_renew_views` does is done for each store."""
    home = tempfile.TemporaryDirectory(prefix="objects-")
    atexit.register(home.cleanup)
    file = Path(home.name) / "objects.duckdb"
    with duckdb.connect() as connection:
        _create(connection, "created", {name: f"FROM recent_{name} WHERE false" for name in past}, private, kept)
        connection.execute(f"ATTACH '{file}' AS file")
        connection.execute("COPY FROM DATABASE created TO file (SCHEMA)")
    return file
