"""Creates the published objects once in a test run, because binding the macros is a sixth of a store's cost."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

from metrics.composition.sums import VIEWS
from metrics.published import objects
from tests.support import RUN

_create = objects._create_template


def share() -> None:
    """Let each store of this process copy the objects from a file that the first store of the run makes."""
    objects._create_template = _copy


def attach(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Attach a new `file` as `snapshot`, with all published objects: a copy of one that is made once in a run."""
    made = _folder() / f"{objects._digest(objects.macros(), list(objects.comments()))}.snapshot.duckdb"
    if not made.exists():
        made.parent.mkdir(exist_ok=True)
        unfinished = made.with_suffix(f".{os.getpid()}")
        connection.execute(f"ATTACH '{unfinished}' AS snapshot")
        objects.install(connection, "snapshot")
        connection.execute("DETACH snapshot")
        unfinished.replace(made)
    shutil.copyfile(made, file)
    connection.execute(f"ATTACH '{file}' AS snapshot")


def remove() -> None:
    """Remove the files of this run."""
    shutil.rmtree(_folder(), ignore_errors=True)


def _folder() -> Path:
    return Path(tempfile.gettempdir(), f"vigie-objects-{os.environ.get(RUN, os.getpid())}")


def _copy(
    connection: duckdb.DuckDBPyConnection, catalog: str, past: Mapping[str, str], private: str, kept: set[str]
) -> None:
    made_of = (sorted(past), private, sorted(kept), objects.macros(), list(objects.comments()))
    file = _folder() / f"{objects._digest(*made_of)}.duckdb"
    if not file.exists():
        _make(file, past, private, kept)
    connection.execute(f"ATTACH ':memory:' AS {catalog}")
    connection.execute(f"ATTACH '{file}' AS objects_made (READ_ONLY)")
    connection.execute(f"COPY FROM DATABASE objects_made TO {catalog} (SCHEMA)")
    connection.execute("DETACH objects_made")
    connection.execute("SET VARIABLE vigie_past = NULL")
    objects._renew_views(connection, catalog, past)


def _make(file: Path, past: Mapping[str, str], private: str, kept: set[str]) -> None:
    """Make a file with the objects, whose views read no files: `_renew_views` gives each store its own."""
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}")
    past = {name: f"FROM recent_{name} WHERE false" for name in past if name not in VIEWS}
    with duckdb.connect() as connection:
        _create(connection, "created", past, private, kept)
        connection.execute(f"ATTACH '{unfinished}' AS file")
        connection.execute("COPY FROM DATABASE created TO file (SCHEMA)")
    unfinished.replace(file)
