"""The Parquet files of a data directory: the one place that decides which may be read and which may be deleted.

A file counts (the store's table `segments` names it), was replaced (`replaced_files` names it), or belongs to a
transaction that did not commit (the text file UNFINISHED lists it). Any other file is unknown: it belongs to another
store, or to a later state of this one, and must not be deleted.
"""

import datetime as dt
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ingest.errors import RESTORE_OR_REBUILD, StoreError
from metrics.composition.sums import SUMS, VIEWS
from metrics.quoting import quoted

RELATIONS = ("calls", "agent_states", "dead_letters")
OF_MONTHS = {name: f"{name}_of_months" for name in SUMS}  # sums of a month's days that are over, in one file
PUBLISHED = (*RELATIONS, *VIEWS, *OF_MONTHS.values())
EVENTS = "events"  # archived like RELATIONS, but not published
UNFINISHED = "unfinished-files"


@dataclass(frozen=True)
class Inventory:
    """The files of a data directory: those that are `there`, and those that the store or UNFINISHED names."""

    there: frozenset[Path]
    counted: frozenset[Path]
    replaced: frozenset[Path]
    unfinished: frozenset[Path]

    @property
    def missing(self) -> frozenset[Path]:
        """Files that count but are not there."""
        return self.counted - self.there

    @property
    def unknown(self) -> frozenset[Path]:
        """Files that neither the store nor UNFINISHED names."""
        return self.there - self.counted - self.replaced - self.unfinished

    @property
    def kept(self) -> frozenset[Path]:
        """Files whose rows belong to this store, or may belong to another: all but replaced and unfinished files."""
        return self.there & self.counted | self.unknown


def take(connection: duckdb.DuckDBPyConnection | None, data_dir: Path) -> Inventory:
    """Take the inventory of a data directory. Its store is the connection's default catalog; None: it has no store."""
    data_dir = data_dir.resolve()
    counted = _named(connection, "segments", data_dir)
    replaced = _named(connection, "replaced_files", data_dir) - counted
    unfinished: set[Path] = set()
    notes = data_dir / UNFINISHED
    if notes.exists():
        begun_from, *names = notes.read_text().splitlines() or [""]
        if begun_from == state_of(counted):  # otherwise it committed, or the notes belong to another store
            unfinished = {folder_of(data_dir, name.split("/")[0]) / name for name in names if name.endswith(".parquet")}
    return Inventory(archived_files(data_dir), frozenset(counted), frozenset(replaced), frozenset(unfinished))


def state_of(counted: Iterable[Path]) -> str:
    """A digest that names the state of a store in which these files count."""
    return hashlib.sha256("\n".join(sorted(file.name for file in counted)).encode()).hexdigest()


def refuse_unknown(data_dir: Path, unknown: frozenset[Path]) -> None:
    """Raise StoreError if `data_dir` has files that neither its store nor UNFINISHED names."""
    if unknown:
        raise StoreError(
            f"{len(unknown)} Parquet files in {data_dir}, such as {min(unknown)}, are not known to its store.duckdb,"
            f" which is missing, empty or older than they are; nothing was changed: {RESTORE_OR_REBUILD}"
        )


def frozen_before(connection: duckdb.DuckDBPyConnection) -> dt.date:
    """The day before which settled rows stay as they are, because their events are gone; date.min: there is none.

    The store is the connection's default catalog.
    """
    if not _has_table(connection, "frozen"):  # an older Vigie wrote it
        return dt.date.min
    ((before,),) = connection.execute("SELECT max(before) FROM frozen").fetchall()
    return before or dt.date.min


def day_of(file: Path) -> dt.date:
    """The day of the rows that are in a file; the first one, if it is of a month."""
    return dt.date.fromisoformat(file.parent.name.partition("=")[2])


def folder_of(data_dir: Path, relation: str) -> Path:
    """The folder to which the names of a relation's files are relative."""
    return data_dir if relation == EVENTS else data_dir / "published"


def relation_of(file: Path) -> str:
    """The relation whose rows are in a file."""
    return file.parent.parent.name


def name_of(data_dir: Path, file: Path) -> str:
    """The name of a file in the store's tables."""
    return str(file.relative_to(folder_of(data_dir.resolve(), relation_of(file))))


def archived_files(data_dir: Path) -> frozenset[Path]:
    """Every Parquet file of a data directory that has, or had, settled rows or events."""
    return frozenset(
        file
        for relation in (EVENTS, *PUBLISHED)
        for file in (folder_of(data_dir.resolve(), relation) / relation).glob("*=*/*.parquet")
    )


def read_files(files: Iterable[Path], more: str = "") -> str:
    """The table function that reads these files."""
    return f"read_parquet([{', '.join(map(quoted, sorted(files)))}], union_by_name = true{more})"


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _named(connection: duckdb.DuckDBPyConnection | None, table: str, data_dir: Path) -> set[Path]:
    if connection is None or not _has_table(connection, table):
        return set()
    named = connection.execute(f"SELECT relation, file FROM {table}").fetchall()
    return {folder_of(data_dir, relation) / name for relation, name in named}


def _has_table(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    query = "FROM duckdb_tables() WHERE database_name = current_database() AND table_name = ?"
    return connection.execute(query, [table]).fetchone() is not None
