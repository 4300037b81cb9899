"""The records of one poll, and what they are sorted into (sorting.py): events and dead letters."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Partition:
    """One partition of one topic. A topic that is recreated has another `topic_id` or `cluster_id`."""

    topic: str
    number: int
    cluster_id: str
    topic_id: str


@dataclass(frozen=True)
class Gap:
    """Offsets of a partition, from `begin` to before `end`, that Kafka deleted before they were read."""

    partition: Partition
    begin: int
    end: int
    noticed_at: dt.datetime


class Record(Protocol):
    """The fields that we need of a Kafka record; `timestamp` [ms since 1970, -1 for none]."""

    offset: int
    timestamp: int
    value: bytes | None


@dataclass
class Batch:
    """Records in offset order, by the partition they came from, and the offsets that are stored with them.

    A partition's next offset is that of the record to read after these. It may move on without a record.
    """

    records: dict[Partition, list[Record]] = field(default_factory=dict)
    next_offsets: dict[Partition, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.records.values()))

    def before(self, offset: int) -> "Batch":
        """The part of the batch that is before `offset` in each partition."""
        records = {
            partition: [record for record in of_partition if record.offset < offset]
            for partition, of_partition in self.records.items()
        }
        gaps = [replace(gap, end=min(gap.end, offset)) for gap in self.gaps]
        return Batch(records, {partition: min(end, offset) for partition, end in self.next_offsets.items()}, gaps)


@dataclass(frozen=True)
class DeadLetter:
    """A rejected record or line: masked, with where it came from and why. `received_ms`: the record's own timestamp.

    `payload` None: one beyond the limit (allowance.py), which is counted by `source` and not kept.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int
    line: int
    received_ms: int
    reason: str
    payload: str | None
    source: str
    read_at: dt.datetime


@dataclass
class Arrivals:
    """A sorted batch: its events, as tables with one row per event (columns: sorting.py), and its dead letters.

    It carries the offsets that are stored with it. `records_with_events` counts the records with at least one event,
    `records_rejected` those with dead letters only; `reached` is the earliest timestamp of each partition's last events
    (LAST_LINES in sorting.py).
    """

    records: int
    records_with_events: int
    records_rejected: int
    events: list[pa.Table]
    dead: list[DeadLetter]
    gaps: list[Gap]
    next_offsets: dict[Partition, int]
    reached: dict[Partition, dt.datetime]

    def extend(self, later: "Arrivals") -> None:
        """Append the batch that was read right after this one."""
        self.records += later.records
        self.records_with_events += later.records_with_events
        self.records_rejected += later.records_rejected
        self.events += later.events
        self.dead += later.dead
        self.gaps += later.gaps
        self.next_offsets.update(later.next_offsets)
        self.reached.update(later.reached)

    def lines(self) -> int:
        """How many lines are events."""
        return sum(map(len, self.events))
