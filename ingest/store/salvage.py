"""What a store can be rebuilt from: the events in its Parquet files, and its tables if they can be read."""

import contextlib
import datetime as dt
import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ingest.archive import checksums, inventory
from ingest.archive.archive import EVENT_COLUMNS
from ingest.archive.checksums import ORIGINALS
from ingest.archive.inventory import EVENTS, read_files, relation_of
from ingest.errors import RESTORE_OR_REBUILD, StoreError, is_damaged, open_failure
from ingest.events import contract
from ingest.events.persons import Persons, kept_events
from ingest.store import layout
from ingest.store.keeping import HAS_NUMBER, IS_UNKNOWN
from metrics.quoting import quoted

BATCH_EVENTS = 200_000
#: The type of an event is an ENUM, which may have had other members when the store was written.
SELECT_EVENTS = f"SELECT DISTINCT * REPLACE (type::VARCHAR AS type) FROM (SELECT {EVENT_COLUMNS} {{within}})"
LETTERS = 'topic, "partition", "offset", line, received_at, reason, payload'
DAY_OF_LETTER = "make_timestamp(epoch_us(received_at))::DATE AS day"
PLACED = ", filename = true, file_row_number = true"
NOT_RECALLED = "ANTI JOIN recalled_events x ON x.file = parse_filename(filename) AND x.place = file_row_number"


class Salvage:
    """The events of a data directory, without repetitions within a day, and the tables of its store.

    `has_store` is False when the store's file is not there or cannot be opened. Then unsettled events and positions are
    lost. Raises StoreError when events are missing: a store made of the rest would differ.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, data_dir: Path, has_store: bool) -> None:
        self._connection = connection
        self._data_dir = data_dir
        self.has_store = has_store
        self.layout = layout.version(connection) if has_store else None
        self._tables = layout.tables(connection) if has_store else set()
        self._inventory = inventory.take(connection if has_store else None, data_dir)
        self.files = self._inventory.kept
        self.counted = self._inventory.counted
        # of earlier days the events are gone, or do not count: their rows are taken over
        self.frozen_before = inventory.frozen_before(connection) if has_store else dt.date.min
        self._days: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
        for file in sorted(self.files):
            self._days[relation_of(file)][file.parent.name].append(file)

    def refuse_without_events(self) -> None:
        """Raise StoreError when files of events are missing."""
        if missing := [file for file in self._inventory.missing if relation_of(file) == EVENTS]:
            raise StoreError(
                f"{len(missing)} files of archived events are not there, such as {min(missing)}; restore them from"
                " a backup. To go on without these events, move store.duckdb and published/ away first."
            )
        days = {_date(name) for name in self._days[EVENTS]}
        without = {_date(name) for name in self._days["calls"]} - days
        without |= {
            day
            for day in map(_date, self._days["agent_states"])
            if not {day, day - dt.timedelta(days=1)} & days  # a state that lasts too long ends as offline, a day later
        }
        without = {day for day in without if day >= self.frozen_before}
        if without and "archived_events" not in self._tables:
            raise StoreError(
                f"published/ has {len(without)} days whose archived events are not there, such as {min(without)};"
                " restore events/ from a backup. To go on without these events, move published/ away first."
            )

    def refuse_damaged(self) -> None:
        """Raise StoreError when a file that is read differs from its checksum. The others are made of events again."""
        damaged = (
            checksums.damaged_files(self._connection, self._data_dir, again=True, relations=ORIGINALS) & self.files
        )
        if damaged:
            raise _unreadable(f"{min(damaged)} differs from its checksum; {len(damaged)} such files")

    @functools.cached_property
    def rows(self) -> int:
        """How many rows of events there are, with repetitions and older contents."""
        return sum(rows for _, rows in self._sources())

    def unsettled(self) -> int:
        """How many events are in the store itself."""
        return sum(self._count(table) for table in ("archived_events", "events") if table in self._tables)

    def doubled(self) -> int:
        """How many rows that count repeat the event_id of another row of their day."""
        mark = NOT_RECALLED if "recalled_events" in self._tables else ""
        counted = defaultdict(list)
        for file in self._inventory.counted & self._inventory.there:
            if relation_of(file) == EVENTS:
                counted[file.parent.name].append(file)
        return sum(
            int(self._rows(f"SELECT count(*) - count(DISTINCT event_id) FROM {read_files(files, PLACED)} {mark}")[0][0])
            for files in counted.values()
        )

    def batches(self, persons: Persons) -> Iterator[tuple[int, pa.Table]]:
        """Yield the events in batches, by day and time: how many rows were read, and their distinct contents.

        Each is as `persons` keep it: an older Vigie kept phone numbers, and persons may have been erased.
        """
        for source, rows in self._sources():
            with self._readable(source):
                for begin, end in self._cuts(source, math.ceil(rows / BATCH_EVENTS)):
                    within = f"FROM {source} WHERE ts >= $begin AND ts < $end"
                    piece = {"begin": begin, "end": end}
                    ((count,),) = self._connection.execute(f"SELECT count(*) {within}", piece).fetchall()
                    contents = self._connection.execute(SELECT_EVENTS.format(within=within), piece).to_arrow_table()
                    yield int(count), self._kept(persons, contents)

    def _kept(self, persons: Persons, contents: pa.Table) -> pa.Table:
        self._connection.register("contents", contents)
        columns = f"{HAS_NUMBER} OR epoch_us(ts) < {persons.erased.before_us} AS is_suspect, {IS_UNKNOWN} AS is_unknown"
        marks = self._connection.execute(f"SELECT {columns} FROM contents").fetchnumpy()
        self._connection.unregister("contents")
        suspects, unknown = (np.flatnonzero(marks[name]).tolist() for name in ("is_suspect", "is_unknown"))
        return kept_events(persons, contents, suspects, unknown)

    def settled_letters(self) -> pa.Table | None:
        """The dead letters of the published files, each with its day; None when there are none."""
        files = list(itertools.chain(*self._days["dead_letters"].values()))
        if not files:
            return None
        with self._readable(source := read_files(files)):
            return self._connection.execute(
                f"SELECT DISTINCT {LETTERS}, {DAY_OF_LETTER} FROM {source}"
            ).to_arrow_table()

    def table(self, name: str) -> pa.Table | None:
        """The rows of a table of the store; None when there are none."""
        if name not in self._tables:
            return None
        with self._readable(name):
            table = self._connection.execute(f"FROM {name}").to_arrow_table()
        return table if len(table) else None

    def frozen(self, query: str) -> pa.Table:
        """The rows of a query about what is frozen; {before} is the first day that is not."""
        return self._connection.execute(query.format(before=f"DATE '{self.frozen_before}'")).to_arrow_table()

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    def _sources(self) -> Iterator[tuple[str, int]]:
        """Yield each source of events and its number of rows: one per settled day, then the store's tables."""
        for name, files in self._days[EVENTS].items():
            if _date(name) >= self.frozen_before:
                yield (source := read_files(files)), self._count(source)
        for table in ("archived_events", "events"):
            if table in self._tables:
                yield table, self._count(table)

    def _count(self, source: str) -> int:
        with self._readable(source):
            return int(self._rows(f"SELECT count(*) FROM {source}")[0][0])

    def _cuts(self, source: str, pieces: int) -> Iterator[tuple[object, object]]:
        """Yield the begin and end of each piece of a source's time; fewer `pieces` if many events share a timestamp."""
        shares = [piece / pieces for piece in range(1, pieces)]
        inner = self._rows(f"SELECT quantile_disc(ts, {shares}) FROM {source}")[0][0] if shares else []
        edges = [contract.EARLIEST, *sorted(set(inner)), dt.datetime.max.replace(tzinfo=dt.UTC)]
        yield from itertools.pairwise(edges)

    @contextlib.contextmanager
    def _readable(self, source: str) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            if source in self._tables:
                raise StoreError(
                    f"store.duckdb is damaged ({reason}); move only this file away and rebuild again:"
                    " events that had not settled are then read from the topic."
                ) from error
            raise _unreadable(reason) from error


@contextlib.contextmanager
def open_salvage(data_dir: Path) -> Iterator[Salvage]:
    """Open what `data_dir` has, and keep the store's file, if any, open so that no consumer can open it.

    Raises StoreError when a consumer has it open, or when `data_dir` has neither a store nor events.
    """
    store = data_dir / "store.duckdb"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        has_store = store.exists() and _attach(connection, store)
        if not store.exists() and not inventory.archived_files(data_dir):
            raise StoreError(f"{data_dir} has no store and no archived events: there is nothing to rebuild from.")
        yield Salvage(connection, data_dir, has_store)


def _attach(connection: duckdb.DuckDBPyConnection, store: Path) -> bool:
    """Attach a store for reading, with its log replayed; False when it is damaged or not a DuckDB file."""
    try:
        connection.execute(f"ATTACH {quoted(store)} AS salvaged")
        connection.execute("CHECKPOINT salvaged")
        connection.execute("DETACH salvaged")
        connection.execute(f"ATTACH {quoted(store)} AS salvaged (READ_ONLY)")
        connection.execute("USE salvaged")
    except duckdb.Error as error:
        if is_damaged(error):
            return False
        raise open_failure(store, error) from error
    if (version := layout.version(connection)) is not None and version > layout.LAYOUT:
        raise StoreError(f"{store} was written by a newer Vigie; start that one, or {RESTORE_OR_REBUILD}")
    return True


def _unreadable(reason: str) -> StoreError:
    return StoreError(
        f"An archived file cannot be read ({reason}); restore it from a backup, or move it away to go on without its"
        " rows."
    )


def _date(folder: str) -> dt.date:
    return dt.date.fromisoformat(folder.removeprefix("day="))
