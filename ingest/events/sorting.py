"""A batch is sorted into events, as columns, and dead letters: by the contract, then by what DuckDB reads."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import chain

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.events import contract, masking
from ingest.events.allowance import KEPT_CHARACTERS, Allowance
from ingest.events.batch import Arrivals, Batch, DeadLetter, Partition, Record
from ingest.events.persons import KNOWN, Persons, Unkept, kept_events
from metrics import clock as metrics_clock
from metrics.configuration.campaigns import DeadLetterLimits

LATEST_MS = round(dt.datetime(9999, 12, 31, tzinfo=dt.UTC).timestamp() * 1000)
"""A record's timestamp is its producer's: what no calendar has counts as this."""
LAST_LINES = 1_000
"""So many lines of a partition tell how far it is read. One is too few: a source may send the past with the present."""

#: `arriving_lines` has the lines that kept the contract, as (n, received_ms, raw). For each line, in the same order,
#: this gives the event's columns (NULL where DuckDB cannot read them), whether it has a phone number, and the fault
#: (NULL for an event).
#: A field that belongs to other event types is an extra field: it is ignored.
READ_LINES = f"""
SELECT
    event_id,
    coalesce(revision, 0) AS revision,
    type,
    try_cast(upper(line.ts) AS TIMESTAMPTZ) AS ts,
    CASE WHEN type LIKE 'call.%' THEN call_id END AS call_id,
    CASE WHEN type IN {contract.types_with("agent")} THEN agent END AS agent,
    campaign,
    coalesce(source, 'default') AS source,
    CASE WHEN type IN {contract.types_with("state")} THEN state END AS state,
    CASE WHEN type IN {contract.types_with("reason")} THEN reason END AS reason,
    coalesce(caller, callee, to_number) IS NOT NULL AS has_number,
    CASE
        WHEN event_id IS NULL
            THEN 'Not JSON: text that not every reader takes.'
        WHEN alias.ts IS NULL
            THEN 'ts is not a time that exists.'
        WHEN received_ms >= 0 AND alias.ts > make_timestamptz(received_ms * 1000) + $allowance
            THEN format('ts lies {{:.0f}} s after the record''s Kafka timestamp.', epoch(alias.ts) - received_ms / 1000)
        WHEN alias.ts > $read_at + $clock_allowance
            THEN 'ts lies more than a day after the time at which it was read.'
        WHEN alias.ts < $earliest
            THEN 'ts lies before 1990.'
        WHEN alias.ts < $kept_from
            THEN 'ts lies before the days of which events are kept ([retention] in campaigns.toml).'
    END AS fault
FROM (
    SELECT received_ms, unnest(TRY(from_json(raw, '{{
        "event_id": "VARCHAR", "revision": "BIGINT", "type": "VARCHAR", "ts": "VARCHAR",
        "call_id": "VARCHAR", "agent": "VARCHAR", "campaign": "VARCHAR", "source": "VARCHAR",
        "state": "VARCHAR", "reason": "VARCHAR", "caller": "VARCHAR", "callee": "VARCHAR", "to_number": "VARCHAR"
    }}')))
    FROM arriving_lines
) AS line
"""

#: If a field is given twice, one reader takes the first value and another the last: they would not agree on the event.
#: A field that the contract does not know may have anything in it.
#: Lines have few shapes, so looking at each shape once costs a quarter of looking at each line.
IS_TWICE = "len(keys) != list_unique(keys)"
IS_UNKNOWN = f"NOT list_has_all({sorted(KNOWN)}, keys)"
ANY_FIELD = f"""
SELECT coalesce(bool_or({IS_TWICE}), false), coalesce(bool_or({IS_UNKNOWN}), false)
FROM (
    SELECT any_value(keys) AS keys FROM (SELECT TRY(json_keys(raw)) AS keys FROM arriving_lines) GROUP BY keys::VARCHAR
)
"""
LINES_OF_A_FIELD = "SELECT n FROM arriving_lines, (SELECT TRY(json_keys(raw)) AS keys) WHERE {which}"


class Sorter:
    """Sorts batches on a connection of its own, so that the writing thread does not wait for it. Not thread-safe."""

    def __init__(
        self,
        persons: Persons,
        limits: DeadLetterLimits | None = None,
        clock: Callable[[], dt.datetime] = metrics_clock.now,
    ) -> None:
        self._persons = persons
        self._allowance = Allowance(limits or DeadLetterLimits(), clock)
        self._kept_from = contract.EARLIEST
        self._connection = duckdb.connect()
        self._sql = self._connection.execute
        self._sql("SET TimeZone = 'UTC'")
        self._sql("SET threads = 1")

    def limit(self, limits: DeadLetterLimits) -> None:
        """Keep so many dead letters from now on."""
        self._allowance.limits = limits

    def keep_from(self, at: dt.datetime) -> None:
        """Reject events from before this instant from now on: what they belong to is no longer kept."""
        self._kept_from = at

    def sort(self, batch: Batch) -> Arrivals:
        """Read the lines of a batch, without phone numbers; what breaks the contract becomes a dead letter."""
        lines = _Lines(batch, self._allowance)
        arriving_lines = lines.table()
        self._connection.register("arriving_lines", arriving_lines)
        ((any_twice, any_unknown),) = self._sql(ANY_FIELD).fetchall()
        for n in self._lines_of(IS_TWICE) if any_twice else ():
            lines.reject(n, "JSON that names a field twice.")
        unknown = self._lines_of(IS_UNKNOWN) if any_unknown else []
        limits = {
            "allowance": contract.FUTURE_ALLOWANCE,
            "read_at": lines.read_at,
            "clock_allowance": contract.CLOCK_ALLOWANCE,
            "earliest": contract.EARLIEST,
            "kept_from": self._kept_from,
        }
        read_lines = self._sql(READ_LINES, limits).to_arrow_table()
        self._connection.unregister("arriving_lines")
        if read_lines["fault"].null_count < len(read_lines):
            for n, reason in enumerate(read_lines["fault"].to_pylist()):
                if reason:
                    lines.reject(n, reason)
        events = self._kept(lines, read_lines.append_column("raw", arriving_lines["raw"]), unknown)
        if lines.rejected:
            events = events.filter([n not in lines.rejected for n in range(len(events))])
        return Arrivals(
            records=len(batch),
            records_with_events=lines.records_with_events(),
            records_rejected=lines.records_rejected(),
            events=[events],
            dead=lines.dead,
            gaps=batch.gaps,
            next_offsets=batch.next_offsets,
            reached=lines.reached(pc.if_else(pc.is_null(read_lines["fault"]), read_lines["ts"], None)),
        )

    def _lines_of(self, which: str) -> list[int]:
        return [n for (n,) in self._sql(LINES_OF_A_FIELD.format(which=which)).fetchall()]

    def _kept(self, lines: "_Lines", read_lines: pa.Table, unknown: list[int]) -> pa.Table:
        """The events of the lines, as they are kept; those that are rejected stay as they are."""
        events = read_lines.drop_columns(["has_number", "fault"])
        suspects = set(np.flatnonzero(read_lines["has_number"].to_numpy()).tolist())
        if before_us := self._persons.erased.before_us:
            instants = pc.fill_null(read_lines["ts"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()), before_us)
            suspects.update(np.flatnonzero(pc.less(instants, before_us).to_numpy()).tolist())
        while True:
            try:
                return kept_events(
                    self._persons,
                    events,
                    (n for n in suspects if n not in lines.rejected),
                    (n for n in unknown if n not in lines.rejected),
                )
            except Unkept as error:
                lines.reject(error.args[0], "Not JSON: text that not every reader takes.")


class _Lines:
    """The lines of a batch that keep the contract, numbered from 0 in the order they came, and the dead letters."""

    def __init__(self, batch: Batch, allowance: Allowance) -> None:
        self.dead: list[DeadLetter] = []
        self.rejected: set[int] = set()
        self._allowance = allowance
        self.read_at = allowance.begin()
        self._faulty: set[int] = set()  # records with a dead letter, by identity
        self._lines: list[bytes] = []
        self._records: list[Record] = []
        self._numbers: list[int] = []  # each line's number in its record, from 1
        self._starts: list[tuple[int, Partition]] = []
        for partition, records in batch.records.items():
            self._starts.append((len(self._lines), partition))
            self._take(partition, records)

    def _take(self, partition: Partition, records: Sequence[Record]) -> None:
        values = [record.value for record in records]
        if contract.are_events(values):
            self._lines += values
            self._records += records
            self._numbers += [1] * len(values)
        elif not self._take_lines_of(records):
            for record in records:
                self._take_good_lines(partition, record)

    def _take_lines_of(self, records: Sequence[Record]) -> bool:
        """Take all lines of records with several each, if every line is an event."""
        lines_of = [(record.value or b"").split(b"\n") for record in records]
        lines = list(chain.from_iterable(lines_of))
        if not contract.are_events(lines):
            return False
        self._lines += lines
        for record, of_record in zip(records, lines_of, strict=True):
            self._records += [record] * len(of_record)
            self._numbers += range(1, len(of_record) + 1)
        return True

    def _take_good_lines(self, partition: Partition, record: Record) -> None:
        for number, text, fault in contract.faulty_lines(record.value):
            if fault is not None:
                self._add_dead_letter(partition, record, number, text, fault)
                continue
            self._lines.append(text.encode())
            self._records.append(record)
            self._numbers.append(number)

    def _add_dead_letter(self, partition: Partition, record: Record, number: int, text: str, fault: str) -> None:
        source = self._allowance.source_of(text)
        payload = self._allowance.masked(source, text)
        reason = "" if payload is None else masking.mask_reason(fault)
        if payload is not None and len(text) > KEPT_CHARACTERS:
            reason += f" The line has {len(text.encode()):,} bytes; its beginning is kept."
        received_ms = min(max(record.timestamp, 0), LATEST_MS)
        self._faulty.add(id(record))
        self.dead.append(
            DeadLetter(
                partition.topic,
                partition.topic_id,
                partition.number,
                record.offset,
                number,
                received_ms,
                reason,
                payload,
                source,
                self.read_at,
            )
        )

    def table(self) -> pa.Table:
        """The lines as (n, received_ms, raw)."""
        count = len(self._lines)
        received_ms = pa.array([min(record.timestamp, LATEST_MS) for record in self._records], pa.int64())
        ends = np.cumsum(np.fromiter(map(len, self._lines), np.int32, count), dtype=np.int32)
        begins_and_ends = pa.py_buffer(np.concatenate((np.zeros(1, np.int32), ends)))
        # joined by Python, which reuses its memory: Arrow asks the system for it each time, ten times as slow
        raw = pa.StringArray.from_buffers(count, begins_and_ends, pa.py_buffer(b"".join(self._lines)))
        return pa.table({"n": np.arange(count, dtype=np.int32), "received_ms": received_ms, "raw": raw})

    def reject(self, n: int, reason: str) -> None:
        """Make line `n` a dead letter, although it kept the contract."""
        if n in self.rejected:
            return
        _, partition = self._starts[bisect_right(self._starts, n, key=lambda start: start[0]) - 1]
        self._add_dead_letter(partition, self._records[n], self._numbers[n], self._lines[n].decode(), reason)
        self.rejected.add(n)

    def reached(self, ts: pa.ChunkedArray) -> dict[Partition, dt.datetime]:
        """The earliest timestamp of each partition's last events; `ts` has that of each line, NULL where it is none."""
        begins = [begin for begin, _ in self._starts]
        ends = [*begins, len(self._lines)][1:]
        found = {
            partition: pc.min(ts[max(begin, end - LAST_LINES) : end]).as_py()
            for (begin, partition), end in zip(self._starts, ends, strict=True)
        }
        return {partition: at for partition, at in found.items() if at is not None}

    def records_with_events(self) -> int:
        """How many records have at least one event."""
        if not self.rejected and self._numbers.count(1) == len(self._numbers):
            return len(self._records)
        return len(self._kept())

    def records_rejected(self) -> int:
        """How many records have dead letters only."""
        return len(self._faulty - self._kept()) if self._faulty else 0

    def _kept(self) -> set[int]:
        """The records with an event, by identity."""
        return {id(r) for n, r in enumerate(self._records) if n not in self.rejected}
