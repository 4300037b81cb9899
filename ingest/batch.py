"""What one poll brought, sorted into lines that keep the contract and dead letters."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pyarrow as pa

from ingest import contract, masking


@dataclass(frozen=True)
class Log:
    """One partition of a topic as it exists once: recreated, it has another `topic_id` or `cluster_id`."""

    topic: str
    partition: int
    cluster_id: str
    topic_id: str


@dataclass(frozen=True)
class Gap:
    """Offsets of a log, from `begin` to before `end`, that Kafka had deleted before they were read."""

    log: Log
    begin: int
    end: int
    noticed_at: dt.datetime


class Record(Protocol):
    """What is needed of a Kafka record; `timestamp` [ms since 1970, -1 for none]."""

    offset: int
    timestamp: int
    value: bytes | None


@dataclass
class Batch:
    """Records in offset order by the log they came from, and the offsets that are stored with them.

    A log's next offset is that of the record to read after these; it may have moved without a record.
    """

    records: dict[Log, list[Record]] = field(default_factory=dict)
    next_offsets: dict[Log, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.records.values()))

    def before(self, offset: int) -> "Batch":
        """What lies before `offset` of each log."""
        records = {log: [one for one in found if one.offset < offset] for log, found in self.records.items()}
        gaps = [replace(gap, end=min(gap.end, offset)) for gap in self.gaps]
        return Batch(records, {log: min(end, offset) for log, end in self.next_offsets.items()}, gaps)


@dataclass(frozen=True)
class DeadLetter:
    """A rejected record or line, masked, where it came from and why; `received_ms` is the record's own timestamp."""

    topic: str
    topic_id: str
    partition: int
    offset: int
    line: int
    received_ms: int
    reason: str
    payload: str


class Arrivals:
    """A batch sorted: its lines that keep the contract, numbered from 0 in the order they came, and the others.

    It carries the offsets that are stored with it. `reached` is the instant of the last event of each log.
    """

    def __init__(self, batch: Batch) -> None:
        self.records = len(batch)
        self.reached: dict[Log, dt.datetime] = {}
        self.next_offsets = dict(batch.next_offsets)
        self.gaps = list(batch.gaps)
        self.dead: list[DeadLetter] = []
        self.rejected: set[int] = set()
        self._lines: list[bytes] = []
        self._records: list[Record] = []
        self._line_numbers: dict[int, int] = {}
        self._starts: list[tuple[int, Log]] = []
        for log, records in batch.records.items():
            self._starts.append((len(self._lines), log))
            self._take(log, records)
        received_ms = pa.array([record.timestamp for record in self._records], pa.int64())
        raw = pa.array(self._lines, pa.binary()).cast(pa.string())
        self._tables = [pa.table({"received_ms": received_ms, "raw": raw})]

    def extend(self, later: "Arrivals") -> None:
        """Append what was read right after this."""
        before = len(self._lines)
        self.records += later.records
        self.next_offsets.update(later.next_offsets)
        self.reached.update(later.reached)
        self.gaps += later.gaps
        self.dead += later.dead
        self._lines += later._lines
        self._records += later._records
        self._line_numbers |= {before + n: number for n, number in later._line_numbers.items()}
        self._starts += [(before + n, log) for n, log in later._starts]
        self._tables += later._tables

    def _take(self, log: Log, records: Sequence[Record]) -> None:
        values = [record.value for record in records]
        if values and contract.are_events(values):
            self.reached[log] = contract.decode(values[-1]).ts
            self._lines += values
            self._records += records
        else:
            for record in records:
                self._take_lines(log, record)

    def _take_lines(self, log: Log, record: Record) -> None:
        for number, text, fault in contract.faulty_lines(record.value):
            if fault is not None:
                self._bury(log, record, number, text, fault)
                continue
            if number > 1:
                self._line_numbers[len(self._lines)] = number
            self._lines.append(text.encode())
            self._records.append(record)

    def _bury(self, log: Log, record: Record, number: int, text: str, fault: str) -> None:
        payload = masking.mask_payload(text.encode()[: contract.PAYLOAD_LIMIT].decode(errors="ignore"))
        reason = masking.mask_reason(fault)
        received_ms = max(record.timestamp, 0)
        self.dead.append(
            DeadLetter(log.topic, log.topic_id, log.partition, record.offset, number, received_ms, reason, payload)
        )

    def table(self) -> pa.Table:
        """The lines as (received_ms, raw, n)."""
        lines = pa.concat_tables(self._tables)
        return lines.append_column("n", pa.array(np.arange(len(lines), dtype=np.int32)))

    def reject(self, n: int, reason: str) -> None:
        """Make line `n` a dead letter after all."""
        if n in self.rejected:
            return
        _, log = self._starts[bisect_right(self._starts, n, key=lambda start: start[0]) - 1]
        self._bury(log, self._records[n], self._line_numbers.get(n, 1), self._lines[n].decode(), reason)
        self.rejected.add(n)

    def accepted(self) -> int:
        """How many lines are events."""
        return len(self._lines) - len(self.rejected)

    def records_with_events(self) -> int:
        """How many records hold at least one event."""
        if not self.rejected and not self._line_numbers:
            return len(self._records)
        kept = [id(r) for n, r in enumerate(self._records) if n not in self.rejected]
        return len(set(kept))
