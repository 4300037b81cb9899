"""Streams of events for tests: written as short stories, folded in chosen batches, read from the published file."""

import datetime as dt
import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ingest.events import contract
from ingest.events.batch import Batch, Partition
from ingest.events.keys import FIRST_DAY, Keys
from ingest.events.persons import Persons
from ingest.events.sorting import Sorter
from ingest.publishing.publish import SETTLE_ROWS, Moment, Publisher
from ingest.sources.events import Rejected, encoded
from ingest.store.store import Store, Totals
from metrics.configuration.campaigns import Campaign, Configuration, DeadLetterLimits, Defaults, Term
from tests.support.oracle import KEY

Event = dict[str, Any]

PARTITION = Partition("call-events", 0, "cluster-1", "topic-1")
DAY = dt.datetime(2026, 3, 10, tzinfo=dt.UTC)
LONG_AFTER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
"""When batches are read, so that the machine's clock does not matter."""
MANY_LETTERS = DeadLetterLimits(10_000, 10_000)  # hundreds of bad records in one batch
PERSONS = Persons(Keys([(FIRST_DAY, KEY)]))
sort = Sorter(PERSONS, MANY_LETTERS, lambda: LONG_AFTER).sort
DEFAULTS = Configuration(Path("campaigns.toml"), "", Defaults(), {}, {})


@dataclass(frozen=True)
class Message:
    """A Kafka record; `timestamp` [ms since 1970, -1 for none]."""

    offset: int
    timestamp: int
    value: bytes | None


def configured(*campaigns: Campaign, defaults: Defaults | None = None) -> Configuration:
    return Configuration(Path("campaigns.toml"), "", defaults or Defaults(), {}, {c.id: c for c in campaigns})


def campaign(
    name: str, timezone: str = "UTC", *terms: Term, give_up_after_s: float = 14_400.0, **other: Any
) -> Campaign:
    return Campaign(
        name, name, "client", "fr", timezone, give_up_after_s, terms=terms or (Term(),), **{"opening": ()} | other
    )


def at(clock: str, day: dt.datetime = DAY) -> dt.datetime:
    """Read "09:00:00", "09:00:00.5" or, for 1 h into the next day, "25:00:00"."""
    hours, minutes, seconds = clock.split(":")
    return day + dt.timedelta(hours=int(hours), minutes=int(minutes), microseconds=round(float(seconds) * 1e6))


def local(text: str) -> dt.datetime:
    """Read a local time without an offset, as the terms of contracts are written."""
    return dt.datetime.fromisoformat(text)


def read_story(story: str, day: dt.datetime = DAY) -> list[Event]:
    """Read one event a line: time, type, `field=value` …; `state` and `profile` are the agents' types.

    By default the call is `c1`, its campaign `sav`, its queue `main`, and the event_id `e` and the line's number.
    """
    events = []
    for number, line in enumerate(filter(None, map(str.strip, story.splitlines())), 1):
        clock, what, *fields = line.split()
        event: Event = {"event_id": f"e{number:02}", "ts": at(clock, day).isoformat().replace("+00:00", "Z")}
        if what in ("state", "profile"):
            event |= {"type": f"agent.{what}"}
        else:
            event |= {"type": f"call.{what}", "call_id": "c1"}
        if what in ("queued", "dialed"):
            event |= {"campaign": "sav"}
        if what == "queued":
            event |= {"queue": "main"}
        for field in fields:
            name, _, value = field.partition("=")
            event[name] = _value(value)
        events.append(event)
    return events


def valid(results: Iterable[Event | Rejected], source: str) -> list[Event]:
    """Return the events that a source made; none may be rejected, and each passes the contract."""
    events = []
    for result in results:
        assert not isinstance(result, Rejected), result
        contract.decode(encoded(result, source, "")[1])
        events.append(result)
    return events


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def messages(values: Sequence[Event | bytes | Message | None], arrived: dt.datetime) -> list[Message]:
    """Make a record of each value, with offsets from 0."""
    timestamp = round(arrived.timestamp() * 1000)
    return [
        v
        if isinstance(v, Message)
        else Message(offset, timestamp, json.dumps(v, ensure_ascii=False).encode() if isinstance(v, dict) else v)
        for offset, v in enumerate(values)
    ]


def folded(
    tmp_path: Path,
    values: Sequence[Event | bytes | Message | None],
    as_of: dt.datetime,
    configuration: Configuration = DEFAULTS,
    *,
    batches: Sequence[int] = (),
    restart: bool = False,
    published: Mapping[int, dt.datetime] | None = None,
    behind: Mapping[int, dt.datetime] | None = None,
    settle_rows: int = SETTLE_ROWS,
) -> duckdb.DuckDBPyConnection:
    """Apply the values, cut into batches at `batches`, publish at `as_of` and open the published file.

    `restart` opens the store anew before each batch. `published` maps batches (from 0) after which to publish too to
    their as_of. `behind` maps batches that are judged and settled in the transaction that stores them, as a consumer
    that is far behind does, to their as_of. With `settle_rows` 1 everything that can settle does so each time.
    """
    records = messages(values, as_of)
    edges = [0, *sorted(batches), len(records)]
    tmp_path.mkdir(exist_ok=True)
    store = Store(tmp_path / "store.duckdb")
    publisher = Publisher(store, tmp_path / "published", configuration, settle_rows)
    for number, (begin, end) in enumerate(itertools.pairwise(edges)):
        if restart and number:
            store.close()
            store = Store(tmp_path / "store.duckdb")
            publisher = Publisher(store, tmp_path / "published", configuration, settle_rows)
        with store.transaction():
            store.apply(sort(Batch({PARTITION: list(records[begin:end])}, {PARTITION: end})))
            if behind and number in behind:
                moment = Moment(behind[number], behind[number])
                publisher.judge(moment)
                publisher.settle(moment)
        if published and number in published:
            moment = Moment(published[number], published[number])
            publisher.judge(moment)
            publisher.write(moment)
            publisher.settle(moment)
    publish(publisher, Moment(as_of, as_of))
    store.close()
    return duckdb.connect(str(publisher.path), read_only=True)


def publish(publisher: Publisher, moment: Moment) -> None:
    """Settle what can settle, then publish, so that readers meet both kinds of rows."""
    publisher.judge(moment)
    publisher.settle(moment)
    publisher.judge(moment)
    publisher.write(moment)


class Desk:
    """A store that a test feeds and publishes by hand; all that can settle does, unless `settle_rows` is large."""

    def __init__(self, home: Path, configuration: Configuration = DEFAULTS, settle_rows: int = 1) -> None:
        home.mkdir(exist_ok=True)
        self.store = Store(home / "store.duckdb")
        self.publisher = Publisher(self.store, home / "published", configuration, settle_rows)
        self._offset = 0
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._read: os.stat_result | None = None

    def apply(self, events: Sequence[Event | bytes], arrived: dt.datetime) -> None:
        self._offset += len(events)
        self.store.apply(sort(Batch({PARTITION: messages(events, arrived)}, {PARTITION: self._offset})))

    def publish(self, as_of: dt.datetime) -> None:
        publish(self.publisher, Moment(as_of, as_of))

    def close(self) -> None:
        """Close the store, and the reader, or DuckDB gives the next desk of this home the same published file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self.store.close()

    def rows(self, query: str, parameters: object = None) -> list[Event]:
        """Return the rows of a query on the last published file."""
        published = self.publisher.path.stat()
        if self._reader is None or self._read is None or not os.path.samestat(self._read, published):
            if self._reader is not None:
                self._reader.close()  # or DuckDB gives the same database for the same path
            self._reader, self._read = duckdb.connect(str(self.publisher.path), read_only=True), published
        return rows(self._reader, query, parameters)


def applied(
    tmp_path: Path, values: Sequence[Event | bytes | Message | None], arrived: dt.datetime, batches: Sequence[int] = ()
) -> list[Totals]:
    """Apply without publishing; return the store's totals after each batch."""
    records = messages(values, arrived)
    store = Store(tmp_path / "store.duckdb")
    totals_after = []
    for begin, end in itertools.pairwise([0, *sorted(batches), len(records)]):
        store.apply(sort(Batch({PARTITION: list(records[begin:end])}, {PARTITION: end})))
        totals_after.append(store.totals())
    store.close()
    return totals_after


def totals(tmp_path: Path) -> Totals:
    """Return the totals of the store that `folded` left."""
    store = Store(tmp_path / "store.duckdb")
    try:
        return store.totals()
    finally:
        store.close()


def rows(connection: duckdb.DuckDBPyConnection, query: str, parameters: object = None) -> list[Event]:
    """Return the rows as dicts, times in UTC."""
    connection.execute("SET TimeZone = 'UTC'")
    found = connection.execute(query, parameters)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
