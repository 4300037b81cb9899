"""The rows of a queue_log table as Debezium reports them: change events as JSON, from a topic or a file.

A row becomes the line that a CSV export of the table has, so it gives the events that the table gives.
Source: debezium.io/documentation/reference/stable/connectors/mysql.html and …/transformations/event-flattening.html
"""

import argparse
import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from ingest.errors import UsageError
from ingest.sources import reading
from ingest.sources.asterisk.order import FirstLook
from ingest.sources.delivery import Produced
from ingest.sources.events import Rejected, Unreadable
from ingest.sources.input.documents import Documents, Found
from ingest.sources.input.files import beginning
from ingest.sources.reading import PassedOver, Record
from ingest.topic.feed import Feed
from ingest.topic.servers import security

# the columns of the table, and QueueMetrics' names for them
TIME = ("time", "time_id")
COLUMNS = (
    *TIME,
    *("callid", "call_id", "queuename", "queue", "agent", "event", "verb", "data"),
    *(f"data{n}" for n in range(1, 6)),
)
NULLS = re.compile(r"(null\s*)+")
SECONDS_BELOW = 10**11  # an integer from here on is no count of seconds since 1970: it would be the year 5138
PER_SECOND = {10**14: 10**3, 10**17: 10**6, 10**20: 10**9}  # below: milliseconds, microseconds, nanoseconds


class Lines(Protocol):
    """What reads the lines of a queue_log."""

    def take(self, lines: Iterable[bytes]) -> Iterator[Produced]: ...

    def pass_time(self, now: dt.datetime) -> Iterator[Produced]: ...

    def passed_over(self) -> str: ...

    def remembered(self) -> dict[str, Any]: ...

    def recall(self, remembered: dict[str, Any]) -> None: ...


class Changes:
    """Makes events from the changes of a queue_log table. `lines` reads them as lines."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._header: list[str] = []  # of the lines that were read last
        self._passed_over = PassedOver()

    def take(self, documents: Iterable[Found]) -> Iterator[Produced]:
        for document, text in documents:
            try:
                row = self._row(document)
                lines = self._as_lines(row) if row else []
            except Unreadable as unreadable:
                yield Rejected(text, str(unreadable)), text
                continue
            for produced, _ in self._lines.take(lines):
                yield (Rejected(text, produced.reason) if isinstance(produced, Rejected) else produced), text

    def rows(self, documents: Iterable[Found]) -> Iterator[bytes]:
        """Yield the lines that new rows become."""
        for document, _ in documents:
            with suppress(Unreadable):
                row = self._row(document)
                yield from self._as_lines(row) if row else []

    def pass_time(self, now: dt.datetime) -> Iterator[Produced]:
        return self._lines.pass_time(now)

    def passed_over(self) -> str:
        return ", ".join(filter(None, (str(self._passed_over), self._lines.passed_over())))

    def memory(self) -> Record:
        return self._lines.remembered()

    def recall(self, memory: Record) -> None:
        try:
            self._lines.recall(memory)
        except (KeyError, TypeError, ValueError) as error:
            raise msgspec.ValidationError("Not what this source wrote") from error

    def _row(self, document: Record | Rejected) -> Record | None:
        """The new row of a change; None if there is none. Raises Unreadable."""
        if isinstance(document, Rejected):
            if NULLS.fullmatch(document.line):
                return self._skip("tombstones")
            raise Unreadable(document.reason)
        payload = document.get("payload", document) if "schema" in document or "payload" in document else document
        if payload is None:
            return self._skip("tombstones")
        if not isinstance(payload, dict):
            raise Unreadable("The payload is not a change of a row.")
        if "op" not in payload:
            return self._flat(payload)
        match payload["op"]:
            case "c" | "r":
                return _known(payload.get("after"))
            case "u":
                return self._updated(payload)
            case "d":
                return self._skip("deleted rows")  # tables are purged; what they logged did happen
            case "t" | "m":
                return self._skip("changes of no row")
        raise Unreadable("The change has an unknown op.")

    def _flat(self, row: Record) -> Record | None:
        """A row that ExtractNewRecordState has taken out of its envelope."""
        if str(row.get("__deleted")).lower() == "true" or row.get("__op") == "d":
            return self._skip("deleted rows")
        if row.get("__op") == "u":
            raise Unreadable(_CHANGED)
        return _known(row)

    def _updated(self, payload: Record) -> Record | None:
        before, after = payload.get("before"), payload.get("after")
        if isinstance(before, dict) and isinstance(after, dict) and _read(before) == _read(after):
            return self._skip("updates of other columns")
        raise Unreadable(_CHANGED)

    def _skip(self, kind: str) -> Record | None:
        self._passed_over.count(kind)
        return None

    def _as_lines(self, row: Record) -> list[bytes]:
        """The row as CSV, after a header if its columns are not those of the row before."""
        if "data" in row and "data1" not in row:
            row = {**row, **{f"data{n}": part for n, part in enumerate(str(row["data"] or "").split("|")[:5], 1)}}
        columns = [name for name in COLUMNS if name in row and name != "data"]
        values = [_instant(row[name]) if name in TIME else _text(row[name]) for name in columns]
        lines = [_csv(values)] if columns == self._header else [_csv(columns), _csv(values)]
        self._header = columns
        return lines


_CHANGED = "A line was changed after it was logged; its events stay as they were read first."


def run(options: argparse.Namespace, lines: Lines) -> int:
    """Read the file or topic of changes that the options name."""
    if options.queue_log_topic:
        _refuse_partitions(options)
    else:
        _refuse_newest_first(options, Changes(lines))
    options.records, options.from_topic = options.queue_log_changes, options.queue_log_topic
    return reading.run(options, Changes(lines))


def _refuse_partitions(options: argparse.Namespace) -> None:
    """The lines of a log depend on their order, which several partitions do not keep."""
    feed = Feed(options.bootstrap_servers, options.queue_log_topic, lambda _: None, security(options))
    partitions = len(feed.ends())
    feed.close()
    if partitions > 1:
        raise UsageError(
            f"The topic of --queue-log-topic has {partitions} partitions, which mix up the order of the log; "
            "let Debezium write the table to a topic with one."
        )


def _refuse_newest_first(options: argparse.Namespace, changes: Changes) -> None:
    look = FirstLook(options.timezone)
    look.take(changes.rows(Documents().feed(beginning(options.queue_log_changes, "--queue-log-changes"))))
    if look.direction.is_backwards:
        raise UsageError(
            "The changes run backwards in time, and a line means what it does after those before; sort them."
        )


def _known(row: Any) -> Record:
    if not isinstance(row, dict) or not ("event" in row or "verb" in row):
        raise Unreadable("Not a row of queue_log: it has neither event nor verb.")
    return row


def _read(row: Record) -> Record:
    return {name: row.get(name) for name in COLUMNS}


def _instant(value: Any) -> str:
    """A time as a table shows it. Debezium counts a DATETIME as if it were UTC, so it is a local time."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) < SECONDS_BELOW:
        return _text(value)
    per_second = next((unit for limit, unit in PER_SECOND.items() if abs(value) < limit), None)
    try:
        if per_second:
            at = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=value * 1_000_000 // per_second)  # noqa: DTZ001
            return at.isoformat(sep=" ")
    except OverflowError:  # such as year 0, which stands for 0000-00-00
        pass
    raise Unreadable("The time of the row is no time.")


def _text(value: Any) -> str:
    """A value on one line; NULL is empty."""
    return "" if value is None else " ".join(str(value).splitlines())


def _csv(values: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue().encode()
