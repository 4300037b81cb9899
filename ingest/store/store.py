"""The store: one DuckDB file with one writer. A batch and its offsets are written in one transaction."""

import contextlib
import datetime as dt
import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling

from ingest import statements
from ingest.archive import checksums, inventory
from ingest.archive.archive import EVENT_COLUMNS, Archive
from ingest.archive.inventory import EVENTS, refuse_unknown
from ingest.archive.segments import RECALLED, Segments
from ingest.errors import RESTORE_OR_REBUILD, StoreError, disk_trouble, is_full, open_failure
from ingest.events import contract
from ingest.events.batch import Arrivals, DeadLetter, Partition
from ingest.events.persons import Persons
from ingest.events.rare_fields import RareFields
from ingest.store import layout
from ingest.store.keeping import HAS_NUMBER, add_keys, keep_again
from metrics.quoting import quoted

log = logging.getLogger(__name__)

FOLD = statements.read("store/fold.sql")
SCHEMA = statements.read("store/schema.sql").format(event_types=str(contract.EVENT_TYPES)[1:-1])
BATCH = statements.read_parts("store/batch.sql")
STORE = statements.read_parts("store/store.sql")
#: How tables are taken over that the events have filled already.
TAKEN_OVER = {"sources": STORE["take_over_sources"], "totals": STORE["take_over_totals"]}


@dataclass(frozen=True)
class Totals:
    """What was read so far. `lines`: events as delivered; `duplicates`: those whose event_id was known.

    `left_out`: of the dead letters, those that are counted and not kept.
    """

    records: int
    records_with_events: int
    lines: int
    duplicates: int
    dead_letters: int
    left_out: int = 0


class Store:
    """The open store. Not thread-safe: one thread applies batches and publishes.

    With `persons`, a store that an older Vigie wrote is upgraded. Raises StoreError when the file cannot be opened: it
    is in use by another consumer, corrupt, read-only, or older.
    """

    def __init__(self, path: Path | str, persons: Persons | None = None) -> None:
        self._path = Path(path)
        self._is_in_transaction = False
        self._checkpointed_on: dt.date | None = None
        self.connection = duckdb.connect()
        try:
            if not self._path.exists():  # a file would be left that hides that the store is lost
                refuse_unknown(self._path.parent, inventory.take(None, self._path.parent).unknown)
            self.sql(f"ATTACH {quoted(self._path)} AS store")
            self.sql("USE store")
            self.sql("SET TimeZone = 'UTC'")
            self.sql("SET threads = 1")  # statements are small; the other core is the poll loop's
            self.sql("SET force_compression = 'uncompressed'")  # rows soon move elsewhere; saves a sixth of the time
            self.sql("SET wal_autocheckpoint = '256MB'")
            self.sql("SET block_allocator_memory = '256MB'")  # reuse a batch's memory for the next; saves a twentieth
            self.sql("SET allocator_flush_threshold = '1GB'")
            self.sql("BEGIN")
            self._make_tables(persons)
            self.sql("COMMIT")
            self.segments = Segments(self.connection, self._path.parent)
            self._rare_fields = RareFields(self.connection)
            self._rare_fields.look("events")
            self.archive = Archive(self.connection, self.segments, self._rare_fields)
        except StoreError:
            self.close()
            raise
        except duckdb.Error as error:
            failure = self._damage() or open_failure(Path(path), error)
            self.close()
            raise failure from error
        self.connection.create_function(
            "canonical_json",
            _canonical_json,
            ["VARCHAR"],
            "VARCHAR",
            null_handling=FunctionNullHandling.SPECIAL,
        )
        if persons is not None:
            self._keep_no_numbers(persons)

    def sql(self, query: str, parameters: object = None) -> duckdb.DuckDBPyConnection:
        """Execute SQL on the store and its temp relations. Fetch the result's rows before the next statement."""
        return self.connection.execute(query, parameters)

    def set_variables(self, values: Mapping[str, object]) -> None:
        """Set session variables, which SQL reads with getvariable."""
        for name, value in values.items():
            self.sql(f"SET VARIABLE {name} = $value", {"value": value})

    @contextlib.contextmanager
    def registered(self, name: str, rows: pa.Table) -> Iterator[None]:
        """Let SQL read `rows` under `name` within the context."""
        self.connection.register(name, rows)
        yield
        self.connection.unregister(name)  # not after an error: in a transaction that failed this would hide it

    def _make_tables(self, persons: Persons | None) -> None:
        """Create missing tables, and upgrade those of an older layout."""
        version = layout.version(self.connection)
        if version is not None and version > layout.LAYOUT:
            raise StoreError(f"{self._path} was written by a newer Vigie; start that one, or {RESTORE_OR_REBUILD}")
        if version is not None and version < 1:
            raise StoreError(f"{self._path} was written by an older Vigie; {RESTORE_OR_REBUILD}")
        if version is not None and version < layout.WITHOUT_NUMBERS and persons is None:
            raise StoreError(f"{self._path} was written by an older Vigie; `python -m ingest run` upgrades it.")
        self.sql(SCHEMA + RECALLED + BATCH["changes"])
        self.sql(STORE["begin_totals"])
        self.sql(STORE["begin_identity"], {"store_id": uuid.uuid4().hex[:12]})
        self.sql(STORE["begin_layout"], {"version": version or layout.LAYOUT})
        if version == 1:
            layout.upgrade(self.connection, self._path.parent.resolve())

    def _keep_no_numbers(self, persons: Persons) -> None:
        """Keep the events of an older Vigie again, without phone numbers, and give its calls the keys of callers."""
        if (layout.version(self.connection) or 0) >= layout.WITHOUT_NUMBERS:
            return
        with self.refolding():
            keep_again(self.connection, self.segments, persons, HAS_NUMBER)
            add_keys(self.connection, self.segments)
            self.sql(STORE["fold_all"])
        self.checkpoint()
        self.segments.sweep(0.0)

    def take_over(self, tables: Mapping[str, pa.Table], settled_letters: pa.Table | None) -> None:
        """Take over what cannot be made from events from the store that this one replaces: its tables, by name.

        Call it last, in a transaction: the events that are here by then count as read.
        """
        for name, table in tables.items():
            with self.registered("old_rows", table):
                self.sql(TAKEN_OVER.get(name) or STORE["take_over"].format(table=name))
        if settled_letters is not None:
            with self.registered("old_rows", settled_letters):
                self.sql(STORE["take_over_letters"])
            self.segments.write("dead_letters", "taken_over_letters")
            self.sql(STORE["keep_letters"])

    @staticmethod
    def compact(path: Path) -> None:
        """Copy a closed store's rows to a new file in its place: in the old one, changed rows are still as they were.

        With that an upgrade is complete.
        """
        fresh = path.with_name(f".{path.name}")
        fresh.unlink(missing_ok=True)
        try:
            with duckdb.connect() as connection:
                connection.execute(f"ATTACH {quoted(path)} AS old")
                connection.execute(f"ATTACH {quoted(fresh)} AS fresh")
                connection.execute("COPY FROM DATABASE old TO fresh")
                connection.execute("UPDATE fresh.layout SET version = ?", [layout.LAYOUT])
            inventory.sync(fresh)
            fresh.replace(path)
            inventory.sync(path.parent)
        except (duckdb.Error, OSError) as error:
            raise disk_trouble(str(path), error) from error

    def checkpoint(self) -> None:
        """Write the store's log into its file. Raises StoreError when the disk refuses it."""
        try:
            self.sql("CHECKPOINT store")
        except duckdb.Error as error:
            raise disk_trouble(str(self._path), error) from error

    def checkpoint_daily(self, today: dt.date) -> None:
        """Write the log into the file if `today` is another day than before. Raises StoreError.

        A small floor fills the log in weeks. Until it is written, rows that have settled stay in memory.
        """
        if self._checkpointed_on not in (None, today):
            self.checkpoint()
        self._checkpointed_on = today

    @property
    def folder(self) -> Path:
        """The folder of its file."""
        return self._path.parent

    def close(self) -> None:
        self.connection.close()

    def bytes(self) -> int:
        """The disk space of the store [bytes], with archived events and the log that is not checkpointed yet."""
        files = (self._path, self._path.with_name(self._path.name + ".wal"))
        return sum(file.stat().st_size for file in files if file.exists()) + self.segments.bytes(EVENTS)

    def identity(self) -> str:
        """The name that this store got when it was created."""
        (name,) = self.sql(STORE["identity"]).fetchall()[0]
        return str(name)

    def position(self, partition: Partition) -> int | None:
        """The next offset to read of a partition; None for one that was never read."""
        found = self.sql(STORE["position"], asdict(partition)).fetchone()
        return int(found[0]) if found else None

    def last_event_at(self) -> dt.datetime | None:
        """The timestamp of the newest event; None while there is none."""
        row = self.sql(STORE["last_event_at"]).fetchone()
        return row[0] if row else None

    def totals(self) -> Totals:
        row = self.sql(STORE["totals"]).fetchone()
        assert row is not None
        return Totals(*row)

    def apply(self, arrivals: Arrivals) -> None:
        """Fold a batch into the tables and move the positions past it, all or nothing.

        Raises StoreError when the disk refuses it; the batch can be applied again later.
        """
        with self.transaction():
            self._write(arrivals)

    def rejudge(self, campaign: str, from_day: dt.date | None) -> None:
        """Recall the settled calls of a campaign, from local day `from_day` on (None: all), to be judged again."""
        with self.refolding():
            self.archive.recall_of_campaign(campaign, from_day)

    def rejudge_ahead(self, as_of: dt.datetime) -> None:
        """Recall what settled by a clock that was ahead of `as_of`, to be judged again."""
        with self.refolding():
            self.archive.recall_ahead(as_of)

    @contextlib.contextmanager
    def refolding(self) -> Iterator[None]:
        """Fold the calls that are noted in `calls_to_fold` within the context, and what is recalled for them."""
        with self.transaction():
            self.sql(BATCH["begin_fold"])
            yield
            self._fold()
            while self.archive.recall_for_folded():
                self._fold()

    def rejudge_states(self, least_s: float) -> None:
        """Recall agents' settled states, from the first that lasted `least_s` on, to be judged again."""
        with self.transaction():
            self.archive.recall_long_states(least_s)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything that is done within, or nothing. Within another transaction it is a part of that one.

        Raises StoreError when the disk refuses it.
        """
        if self._is_in_transaction:
            yield
            return
        self._is_in_transaction = True
        try:
            self.sql("BEGIN")
            yield
            self.sql("COMMIT")
            self.segments.forget_unfinished()
        except BaseException as error:
            with contextlib.suppress(duckdb.Error):  # a failed COMMIT has rolled back already
                self.connection.rollback()
            if isinstance(error, duckdb.Error | OSError):
                raise self.trouble(str(self._path), error) from error
            raise
        finally:
            self._is_in_transaction = False

    def trouble(self, what: str, error: Exception) -> StoreError:
        """The error to raise when the disk refused `what`. It names a damaged archived file, if there is one."""
        return (None if is_full(error) else self._damage()) or disk_trouble(what, error)

    def _damage(self) -> StoreError | None:
        """The error about an archived file that differs from its checksum, after something could not be read."""
        with contextlib.suppress(duckdb.Error):  # the store itself may be what cannot be read
            if damaged := checksums.damaged_files(self.connection, self.folder, again=True):
                return StoreError("; ".join(checksums.damage(self.connection, min(damaged))))
        return None

    def _write(self, arrivals: Arrivals) -> None:
        with self.registered("arriving_events", pa.concat_tables(arrivals.events)):
            self.sql(BATCH["number_events"])
        duplicates = self.archive.drop_final()
        if duplicates:
            log.warning("%d events came too late to change anything: earlier ones are not kept any more", duplicates)
        self._rare_fields.look("incoming_events")
        (newest,) = self.sql(BATCH["newest_event_at"]).fetchall()[0]
        self.sql(BATCH["begin_fold"])
        duplicates += self.archive.recall_for_incoming()
        duplicates += self._merge_events()
        self.sql(BATCH["add_to_sources"])
        self._fold()
        while self.archive.recall_for_folded():
            self._fold()
        left_out = self._add_letters(arrivals.dead)
        self.sql(
            BATCH["add_to_totals"],
            {
                "records": arrivals.records,
                "records_with_events": arrivals.records_with_events,
                "records_rejected": arrivals.records_rejected,
                "lines": arrivals.lines(),
                "duplicates": duplicates,
                "dead_letters": len(arrivals.dead),
                "left_out": left_out,
                "newest": newest,
            },
        )
        for gap in arrivals.gaps:
            of = {"topic": gap.partition.topic, "topic_id": gap.partition.topic_id, "partition": gap.partition.number}
            self.sql(BATCH["note_gap"], of | {"begin": gap.begin, "end": gap.end, "noticed_at": gap.noticed_at})
        for partition, offset in arrivals.next_offsets.items():
            self._move(partition, offset)

    def _fold(self) -> None:
        """Fold the calls in `calls_to_fold` again."""
        self.sql(BATCH["forget_folded"])
        self.sql(FOLD)
        self.sql(BATCH["note_lost_answers"])

    def _merge_events(self) -> int:
        """Add `incoming_events` to `events`, and changed calls to `calls_to_fold`; return how many were known."""
        self.sql(BATCH["note_new"])
        (contested,) = self._one(BATCH["count_contested_ids"])
        if not contested:
            self.sql(BATCH["add_events"].format(columns=EVENT_COLUMNS))
            return 0
        self.sql(BATCH["add_uncontested_events"].format(columns=EVENT_COLUMNS))
        (known, arrived) = self._one(BATCH["count_contested"])
        self.sql(BATCH["replace_contested"].format(columns=EVENT_COLUMNS))
        return int(known + arrived - contested)

    def _add_letters(self, dead: list[DeadLetter]) -> int:
        """Keep the dead letters that have a payload, and count the others; return how many were only counted.

        One that is known, from before a rebuild, is neither kept nor counted again.
        """
        if not dead:
            return 0
        columns = {field.name: [getattr(letter, field.name) for letter in dead] for field in fields(DeadLetter)}
        with self.registered("arriving_letters", pa.table(columns)):
            self.sql(BATCH["date_letters"])
        days = [day for (day,) in self.sql(BATCH["days_read_again"]).fetchall()]
        if days and (archived := self.segments.rows("dead_letters", days)):
            self.sql(BATCH["leave_out_known_letters"].format(archived=archived))
        self.sql(BATCH["add_letters"])
        (left_out,) = self._one(BATCH["count_letters_left_out"])
        if left_out:
            self.sql(BATCH["note_letters_left_out"])
        return left_out

    def _move(self, partition: Partition, next_offset: int) -> None:
        self.sql(STORE["forget_position"], {"topic": partition.topic, "number": partition.number})
        self.sql(STORE["note_position"], asdict(partition) | {"next_offset": next_offset})

    def _one(self, query: str) -> tuple[int, ...]:
        row = self.sql(query).fetchone()
        assert row is not None
        return row


def _canonical_json(raw: str | None) -> str | None:
    if raw is None:
        return None
    try:
        return json.dumps(json.loads(raw), sort_keys=True)
    except (ValueError, RecursionError):  # an extra field has a number of thousands of digits, or very deep nesting
        return raw
