"""What a store can be made from again: the events in its Parquet files, and its tables if they can be read."""

import contextlib
import datetime as dt
import functools
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ingest import contract, layout
from ingest.archive import EVENT_COLUMNS
from ingest.errors import StoreError, is_unreadable, open_failure
from ingest.segments import EVENTS, archived_files, quoted

BATCH_EVENTS = 200_000
#: The type of an event is an enumeration, which may have had other members then.
SELECT_EVENTS = f"SELECT DISTINCT {EVENT_COLUMNS.replace('type', 'type::VARCHAR AS type')}"
LETTERS = 'topic, "partition", "offset", line, received_at, reason, payload'
DAY_OF_LETTER = "make_timestamp(epoch_us(received_at))::DATE AS day"


class Kept:
    """The events of a data directory, each content once a day; no other process opens the store meanwhile.

    `has_store` is False when its file is not there or cannot be opened: what had not settled is lost then, and where
    to read on.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, data_dir: Path, has_store: bool) -> None:
        self._connection = connection
        self.has_store = has_store
        self.layout = layout.version(connection) if has_store else None
        self._tables = layout.tables(connection) if has_store else set()
        replaced: set[str] = set()
        if "replaced_files" in self._tables:
            replaced = {name for (name,) in self._rows("SELECT parse_filename(file) FROM replaced_files")}
        self._days: dict[str, dict[str, list[Path]]] = {}
        for file in sorted(archived_files(data_dir)):
            if file.name not in replaced:
                self._days.setdefault(file.parent.parent.name, {}).setdefault(file.parent.name, []).append(file)

    @functools.cached_property
    def rows(self) -> int:
        """How many rows of events there are, repetitions and older contents too."""
        return sum(rows for _, rows in self._places())

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    def _places(self) -> Iterator[tuple[str, int]]:
        """Each place that has events, in the order of their days, what has not settled last, and how many rows."""
        for files in self._days.get(EVENTS, {}).values():
            yield (place := _read(files)), self._count(place)
        for table in ("archived_events", "events"):
            if table in self._tables:
                yield table, self._count(table)

    def _count(self, place: str) -> int:
        with self._readable(place):
            return int(self._rows(f"SELECT count(*) FROM {place}")[0][0])

    @contextlib.contextmanager
    def _readable(self, place: str) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            if place in self._tables:
                raise StoreError(
                    f"store.duckdb is damaged ({reason}); move it away, it alone, and rebuild again:"
                    " what had not settled is then read from the topic."
                ) from error
            raise StoreError(
                f"An archived file cannot be read ({reason}); put it back from a backup, or move it away to go on"
                " without the events in it."
            ) from error

    def unsettled(self) -> int:
        """How many events had not settled."""
        return self._count("events") if "events" in self._tables else 0

    def doubled(self) -> int:
        """How many rows of events are there again, in one day's files or in the store, under an event_id."""
        return sum(
            int(rows - self._rows(f"SELECT count(DISTINCT event_id) FROM {place}")[0][0])
            for place, rows in self._places()
        )

    def batches(self) -> Iterator[tuple[int, pa.Table]]:
        """How many rows were read, and their distinct contents as events of a batch; in the order of days and times."""
        for place, rows in self._places():
            with self._readable(place):
                for begin, end in self._cuts(place, math.ceil(rows / BATCH_EVENTS)):
                    within = f"FROM {place} WHERE ts >= $begin AND ts < $end"
                    given = {"begin": begin, "end": end}
                    ((count,),) = self._connection.execute(f"SELECT count(*) {within}", given).fetchall()
                    yield int(count), self._connection.execute(f"{SELECT_EVENTS} {within}", given).to_arrow_table()

    def _cuts(self, place: str, pieces: int) -> Iterator[tuple[object, object]]:
        """The beginning and end of each of so many pieces of a place's time; fewer where much has one instant."""
        shares = [piece / pieces for piece in range(1, pieces)]
        inner = self._rows(f"SELECT quantile_disc(ts, {shares}) FROM {place}")[0][0] if shares else []
        edges = [contract.EARLIEST, *sorted(set(inner)), dt.datetime.max.replace(tzinfo=dt.UTC)]
        yield from itertools.pairwise(edges)

    def settled_letters(self) -> pa.Table:
        """The dead letters of the published files, each with its day."""
        files = [file for day in self._days.get("dead_letters", {}).values() for file in day]
        if not files:
            return None
        with self._readable(place := _read(files)):
            return self._connection.execute(f"SELECT DISTINCT {LETTERS}, {DAY_OF_LETTER} FROM {place}").to_arrow_table()

    def table(self, name: str) -> pa.Table:
        """The rows of a table of the store; None when there are none."""
        if name not in self._tables:
            return None
        table = self._connection.execute(f"FROM {name}").to_arrow_table()
        return table if len(table) else None


@contextlib.contextmanager
def keep(data_dir: Path) -> Iterator[Kept]:
    """Open what there is in `data_dir`, and hold the store's file so that no consumer opens it.

    Raises StoreError when one has it open, or when there is nothing.
    """
    store = data_dir / "store.duckdb"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        has_store = store.exists() and _attach(connection, store)
        if not store.exists() and not archived_files(data_dir):
            raise StoreError(f"{data_dir} has no store and no archived events: there is nothing to rebuild from.")
        yield Kept(connection, data_dir, has_store)


def _attach(connection: duckdb.DuckDBPyConnection, store: Path) -> bool:
    """Attach a store for reading, its log replayed; False when it is damaged or no DuckDB file."""
    try:
        connection.execute(f"ATTACH {quoted(store)} AS kept")
        connection.execute("CHECKPOINT kept")
        connection.execute("DETACH kept")
        connection.execute(f"ATTACH {quoted(store)} AS kept (READ_ONLY)")
        connection.execute("USE kept")
    except duckdb.Error as error:
        if not is_unreadable(error):
            raise open_failure(store, error) from error
        return False
    return True


def refuse_in_use(store: Path) -> None:
    """Raise StoreError when another process has a store open."""
    with duckdb.connect() as connection:
        try:
            connection.execute(f"ATTACH {quoted(store)} AS kept (READ_ONLY)")
        except duckdb.Error as error:
            if not is_unreadable(error):
                raise open_failure(store, error) from error


def _read(files: list[Path]) -> str:
    return f"read_parquet([{', '.join(map(quoted, files))}], union_by_name = true)"
