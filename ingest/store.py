"""The store: one DuckDB file, one writer; a batch and the offsets it came from are one transaction."""

import contextlib
import datetime as dt
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling

from ingest import contract, inventory, layout
from ingest.archive import EVENT_COLUMNS, Archive
from ingest.batch import Arrivals, DeadLetter, Log
from ingest.errors import RESTORE_OR_REBUILD, StoreError, disk_trouble, open_failure
from ingest.inventory import EVENTS, refuse_unknown
from ingest.segments import RECALLED, Segments

HERE = Path(__file__).parent
FOLD = (HERE / "fold.sql").read_text()
SCHEMA = (HERE / "schema.sql").read_text().replace("{event_types}", str(contract.EVENT_TYPES)[1:-1])

#: `arriving` are the events of a batch, as sorting.py reads them.
TAKE_EVENTS = """
CREATE OR REPLACE TEMP TABLE incoming AS
SELECT row_number() OVER () AS n, * REPLACE (type::event_type AS type) FROM arriving
"""

#: What changed since all was judged last (judging.py); noted in the transaction that wrote the events.
CHANGES = """
CREATE TEMP TABLE dirty_calls (call_id VARCHAR);
CREATE TEMP TABLE dirty_agents (agent VARCHAR, ts TIMESTAMPTZ, has_profile BOOLEAN);
"""
TELL_OF_AGENTS = ("agent.state", "agent.profile")
#: What the calls that a batch did not touch, and that are settled, may have been closed by (reopened.sql).
NO_STEPS = """
CREATE OR REPLACE TEMP TABLE touched (call_id VARCHAR);
CREATE OR REPLACE TEMP TABLE changed_states (agent VARCHAR, ts TIMESTAMPTZ);
CREATE OR REPLACE TEMP TABLE replaced_events (event_id VARCHAR);
"""

LETTERS = """
SELECT
    topic, topic_id, "partition", "offset", line, make_timestamptz(received_ms * 1000) AS received_at, reason, payload,
    make_timestamp(received_ms * 1000)::DATE AS day
FROM dead
"""
#: After a rebuild of a store that was lost the topic is read again, and with it letters that are archived.
DAYS_READ_AGAIN = """
SELECT DISTINCT day
FROM letters
JOIN letters_kept USING (topic, "partition")
WHERE "offset" <= last_offset
"""
LEAVE_OUT_KNOWN_LETTERS = """
CREATE OR REPLACE TEMP TABLE letters AS
FROM letters
ANTI JOIN ({archived}) USING (topic, "partition", "offset", line, received_at)
"""

#: What a batch tells of each source; a revision may take an event from one source to another.
TALLY_SOURCES = """
CREATE OR REPLACE TEMP TABLE heard AS
SELECT source, count(*) FILTER (event_id NOT IN (FROM contested)) AS events, max(ts) AS last_event_at
FROM incoming
GROUP BY source
"""
ADD_TO_SOURCES = """
MERGE INTO sources
USING (
    SELECT source, sum(events)::BIGINT AS events, max(last_event_at) AS last_event_at FROM heard GROUP BY source
) AS news USING (source)
WHEN MATCHED THEN UPDATE SET
    events = sources.events + news.events,
    last_event_at = greatest(sources.last_event_at, news.last_event_at)
WHEN NOT MATCHED THEN INSERT
"""
KEEP_LETTERS = """
INSERT INTO letters_kept
SELECT topic, "partition", max("offset") FROM kept_letters GROUP BY topic, "partition"
"""
#: `lines` and `duplicates` of here are of reading the events again, each once.
TAKE_OVER_TOTALS = """
UPDATE totals SET
    records = kept.records,
    records_with_events = kept.records_with_events,
    lines = greatest(kept.lines, totals.lines - totals.duplicates),
    duplicates = greatest(kept.lines - (totals.lines - totals.duplicates), 0),
    dead_letters = kept.dead_letters
FROM kept
"""


@dataclass(frozen=True)
class Totals:
    """What was read so far; `lines` are events as delivered, `duplicates` those with a known event_id."""

    records: int
    records_with_events: int
    lines: int
    duplicates: int
    dead_letters: int


class Store:
    """The open store. Not thread-safe: one thread applies batches and publishes.

    Raises StoreError when the file cannot be opened: another consumer holds it, it is corrupt or read-only.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._is_in_transaction = False
        try:
            if not self._path.exists():  # a file would be left that hides that the store is lost
                refuse_unknown(self._path.parent, inventory.take(None, self._path.parent).unknown)
            self.connection = duckdb.connect()
            quoted = str(path).replace("'", "''")
            self._sql(f"ATTACH '{quoted}' AS store")
            self._sql("USE store")
            self._sql("SET TimeZone = 'UTC'")
            self._sql("SET threads = 1")  # statements are small; the other core is the poll loop's
            self._sql("SET force_compression = 'uncompressed'")  # what is soon elsewhere: a sixth
            self._sql("SET wal_autocheckpoint = '256MB'")
            self._sql("SET block_allocator_memory = '256MB'")  # what a batch needs is kept for the next: a twentieth
            self._sql("SET allocator_flush_threshold = '1GB'")
            self._sql("BEGIN")
            self._make_tables()
            self._sql("COMMIT")
            self.segments = Segments(self.connection, self._path.parent)
            self.archive = Archive(self.connection, self.segments)
        except duckdb.Error as error:
            raise open_failure(Path(path), error) from error
        self.connection.create_function(
            "canonical_json",
            _canonical_json,
            ["VARCHAR"],
            "VARCHAR",
            null_handling=FunctionNullHandling.SPECIAL,
        )

    def _sql(self, query: str, parameters: object = None) -> duckdb.DuckDBPyConnection:
        return self.connection.execute(query, parameters)

    def _make_tables(self) -> None:
        """Make the tables that are not there yet, and bring those of an older layout up to date."""
        version = layout.version(self.connection)
        if version is not None and version > layout.LAYOUT:
            raise StoreError(f"{self._path} was written by a newer Vigie; start that one, or {RESTORE_OR_REBUILD}")
        if version is not None and version < 1:
            raise StoreError(f"{self._path} was written by an older Vigie; {RESTORE_OR_REBUILD}")
        self._sql(SCHEMA + RECALLED + CHANGES)
        self._sql("INSERT INTO totals SELECT 0, 0, 0, 0, 0, NULL WHERE NOT EXISTS (FROM totals)")
        self._sql("INSERT INTO identity SELECT ? WHERE NOT EXISTS (FROM identity)", [uuid.uuid4().hex[:12]])
        self._sql("INSERT INTO layout SELECT ? WHERE NOT EXISTS (FROM layout)", [version or layout.LAYOUT])
        if version is not None and version < layout.LAYOUT:
            layout.upgrade(self.connection, self._path.parent.resolve())

    def take_over(self, tables: Mapping[str, pa.Table], settled_letters: pa.Table | None) -> None:
        """Take over what is not made of events from the store that this one replaces, by the names of its tables.

        Call it in a transaction, last: the events that are here count as read.
        """
        for name, table in tables.items():
            self.connection.register("kept", table)
            if name == "totals":
                self._sql(TAKE_OVER_TOTALS)
            else:
                self._sql(f"DELETE FROM {name}")
                self._sql(f"INSERT INTO {name} BY NAME FROM kept")
            self.connection.unregister("kept")
        if settled_letters is not None:
            self.connection.register("kept", settled_letters)
            self._sql("CREATE OR REPLACE TEMP TABLE kept_letters AS FROM kept")
            self.connection.unregister("kept")
            self.segments.write("dead_letters", "kept_letters")
            if "positions" not in tables:
                self._sql(KEEP_LETTERS)

    def checkpoint(self) -> None:
        """Write the store's log into its file. Raises StoreError when the disk does not take it."""
        try:
            self._sql("CHECKPOINT store")
        except duckdb.Error as error:
            raise disk_trouble(str(self._path), error) from error

    def close(self) -> None:
        self.connection.close()

    def bytes(self) -> int:
        """How much of the disk the store takes, with archived events and its log of what is not checkpointed yet."""
        files = (self._path, self._path.with_name(self._path.name + ".wal"))
        return sum(file.stat().st_size for file in files if file.exists()) + self.segments.bytes(EVENTS)

    def identity(self) -> str:
        """The name that this store has had since it was made."""
        (name,) = self._sql("SELECT max(store_id) FROM identity").fetchall()[0]
        return str(name)

    def position(self, log: Log) -> int | None:
        """The offset to read on from; None for a log never read."""
        found = self._sql(
            'SELECT next_offset FROM positions WHERE topic = ? AND "partition" = ? AND cluster_id = ? AND topic_id = ?',
            [log.topic, log.partition, log.cluster_id, log.topic_id],
        ).fetchone()
        return int(found[0]) if found else None

    def last_event_at(self) -> dt.datetime | None:
        """The newest event's instant; None while there is none."""
        row = self._sql("SELECT last_event_at FROM totals").fetchone()
        return row[0] if row else None

    def totals(self) -> Totals:
        row = self._sql("SELECT records, records_with_events, lines, duplicates, dead_letters FROM totals").fetchone()
        assert row is not None
        return Totals(*row)

    def apply(self, arrivals: Arrivals) -> None:
        """Fold a batch into the tables and move the positions past it, all or nothing.

        Raises StoreError when the disk does not take it; the batch can be applied again later.
        """
        with self.transaction():
            self._write(arrivals)

    def rejudge(self, campaign: str, from_day: dt.date | None) -> None:
        """Take the settled calls of a campaign, of local day `from_day` and later (None: all), to be judged again."""
        with self._recalling():
            self.archive.recall_of_campaign(campaign, from_day)

    def rejudge_ahead(self, as_of: dt.datetime) -> None:
        """Take what settled by a clock that was ahead of `as_of` to be judged again."""
        with self._recalling():
            self.archive.recall_ahead(as_of)

    @contextlib.contextmanager
    def _recalling(self) -> Iterator[None]:
        """Fold the calls that are recalled within, and all that comes back for them."""
        with self.transaction():
            self._sql(NO_STEPS)
            yield
            self._fold()
            while self.archive.recall_for_folded():
                self._fold()

    def rejudge_states(self, least_s: float) -> None:
        """Take the settled states of agents, from the first that lasted `least_s`, to be judged again."""
        with self.transaction():
            self.archive.recall_long_states(least_s)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done within, or nothing; within another transaction it is a part of that one.

        Raises StoreError when the disk does not take it.
        """
        if self._is_in_transaction:
            yield
            return
        self._is_in_transaction = True
        try:
            self._sql("BEGIN")
            yield
            self._sql("COMMIT")
            self.segments.forget_unfinished()
        except BaseException as error:
            with contextlib.suppress(duckdb.Error):  # a failed COMMIT has rolled back already
                self.connection.rollback()
            if isinstance(error, duckdb.Error | OSError):
                raise disk_trouble(str(self._path), error) from error
            raise
        finally:
            self._is_in_transaction = False

    def _write(self, arrivals: Arrivals) -> None:
        self.connection.register("arriving", pa.concat_tables(arrivals.events))
        self._sql(TAKE_EVENTS)
        self.connection.unregister("arriving")
        (newest,) = self._sql("SELECT max(ts) FROM incoming").fetchall()[0]
        self._sql(NO_STEPS)
        duplicates = self.archive.recall_for_incoming()
        duplicates += self._merge_events()
        self._sql(ADD_TO_SOURCES)
        self._fold()
        while self.archive.recall_for_folded():
            self._fold()
        self._bury(arrivals.dead)
        self._sql(
            "UPDATE totals SET records = records + ?, records_with_events = records_with_events + ?,"
            " lines = lines + ?, duplicates = duplicates + ?,"
            " dead_letters = dead_letters + ?,"
            " last_event_at = greatest(last_event_at, ?)",
            [
                arrivals.records,
                arrivals.records_with_events,
                arrivals.lines(),
                duplicates,
                len(arrivals.dead),
                newest,
            ],
        )
        for gap in arrivals.gaps:
            self._sql(
                "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?)",
                [gap.log.topic, gap.log.topic_id, gap.log.partition, gap.begin, gap.end, gap.noticed_at],
            )
        for log, offset in arrivals.next_offsets.items():
            self._move(log, offset)

    def _fold(self) -> None:
        """Make the calls in `touched` anew."""
        self._sql("INSERT INTO dirty_calls FROM touched")
        self._sql("DELETE FROM calls WHERE call_id IN (FROM touched)")
        self._sql(FOLD)

    def _merge_events(self) -> int:
        """Add `incoming` to `events`, list the calls that changed in `touched`; return how many were known."""
        self._sql(
            "CREATE OR REPLACE TEMP TABLE contested AS"
            " SELECT event_id FROM incoming GROUP BY event_id HAVING count(*) > 1"
            " UNION SELECT event_id FROM events WHERE event_id IN (SELECT event_id FROM incoming)"
        )
        self._sql(
            "INSERT INTO touched SELECT DISTINCT call_id FROM incoming"
            " WHERE call_id IS NOT NULL AND event_id NOT IN (FROM contested) AND call_id NOT IN (FROM touched)"
        )
        self._sql(
            "INSERT INTO changed_states SELECT agent, ts FROM incoming WHERE type = 'agent.state' AND state != 'busy'"
        )
        self._sql(TALLY_SOURCES)
        self._sql(
            "INSERT INTO dirty_agents SELECT agent, ts, type = 'agent.profile' FROM incoming"
            f" WHERE type IN {TELL_OF_AGENTS}"
        )
        (contested,) = self._one("SELECT count(*) FROM contested")
        if not contested:
            self._sql(f"INSERT INTO events SELECT {EVENT_COLUMNS} FROM incoming")
            return 0
        self._sql(f"INSERT INTO events SELECT {EVENT_COLUMNS} FROM incoming WHERE event_id NOT IN (FROM contested)")
        return self._settle_contested()

    def _settle_contested(self) -> int:
        """Of the contents under one event_id keep the highest revision, then the last one as sorted JSON."""
        (known, arrived) = self._one(
            "SELECT (SELECT count(*) FROM events WHERE event_id IN (FROM contested)),"
            " (SELECT count(*) FROM incoming WHERE event_id IN (FROM contested))"
        )
        self._sql(f"""
            CREATE OR REPLACE TEMP TABLE winners AS
            WITH contents AS (
                SELECT DISTINCT ON (event_id, revision, raw) {EVENT_COLUMNS}, is_kept
                FROM (
                    SELECT {EVENT_COLUMNS}, true AS is_kept FROM events WHERE event_id IN (FROM contested)
                    UNION ALL
                    SELECT {EVENT_COLUMNS}, false FROM incoming WHERE event_id IN (FROM contested)
                )
                ORDER BY is_kept DESC
            ),
            highest AS (
                SELECT *, count(*) OVER (PARTITION BY event_id) > 1 AS is_tied
                FROM contents
                QUALIFY revision = max(revision) OVER (PARTITION BY event_id)
            )
            SELECT *
            FROM highest
            QUALIFY row_number() OVER (
                PARTITION BY event_id
                ORDER BY CASE WHEN is_tied THEN canonical_json(raw) END DESC, is_kept DESC, raw DESC
            ) = 1
        """)
        self._sql("DELETE FROM winners WHERE is_kept")
        self._sql(
            "INSERT INTO touched SELECT call_id FROM winners WHERE call_id IS NOT NULL"
            " UNION SELECT call_id FROM events"
            " WHERE event_id IN (SELECT event_id FROM winners) AND call_id IS NOT NULL"
        )
        self._sql("INSERT INTO replaced_events SELECT event_id FROM winners")
        self._sql(
            "INSERT INTO heard SELECT source, -1, ts FROM events WHERE event_id IN (SELECT event_id FROM winners)"
            " UNION ALL SELECT source, 1, ts FROM winners"
        )
        self._sql(
            "INSERT INTO dirty_agents SELECT agent, ts, type = 'agent.profile' FROM events"
            f" WHERE event_id IN (SELECT event_id FROM winners) AND type IN {TELL_OF_AGENTS}"
        )
        self._sql("DELETE FROM events WHERE event_id IN (SELECT event_id FROM winners)")
        self._sql(f"INSERT INTO events SELECT {EVENT_COLUMNS} FROM winners")
        (distinct,) = self._one("SELECT count(*) FROM contested")
        return int(known + arrived - distinct)

    def _bury(self, dead: list[DeadLetter]) -> None:
        if dead:
            self.connection.register("dead", pa.Table.from_pylist([asdict(letter) for letter in dead]))
            self._sql(f"CREATE OR REPLACE TEMP TABLE letters AS {LETTERS}")
            days = [day for (day,) in self._sql(DAYS_READ_AGAIN).fetchall()]
            if days and (archived := self.segments.rows("dead_letters", days)):
                self._sql(LEAVE_OUT_KNOWN_LETTERS.format(archived=archived))
            self._sql("INSERT INTO dead_letters SELECT * EXCLUDE (day) FROM letters")
            self.connection.unregister("dead")

    def _move(self, log: Log, next_offset: int) -> None:
        self._sql('DELETE FROM positions WHERE topic = ? AND "partition" = ?', [log.topic, log.partition])
        self._sql(
            "INSERT INTO positions VALUES (?, ?, ?, ?, ?)",
            [log.topic, log.partition, log.cluster_id, log.topic_id, next_offset],
        )

    def _one(self, query: str) -> tuple[int, ...]:
        row = self._sql(query).fetchone()
        assert row is not None
        return row


def _canonical_json(raw: str | None) -> str | None:
    if raw is None:
        return None
    try:
        return json.dumps(json.loads(raw), sort_keys=True)
    except (ValueError, RecursionError):  # a number of thousands of digits, or very deep nesting, in an extra field
        return raw
