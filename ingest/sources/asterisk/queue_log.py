"""A line of Asterisk's queue_log, as the file has it or as the realtime database has it (CSV with a header).

File:     epoch|callid|queue|agent|event|data…
Database: columns time, callid, queuename, agent, event, data1 … data5, in any order; times local, or with an offset.
"""

import csv
import datetime as dt
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from ingest.errors import UsageError
from ingest.events.contract import EARLIEST
from ingest.sources.events import Unreadable

NOBODY = ("", "NONE")
FIELDS = 5  # before the data
DISORDER = dt.timedelta(seconds=5)  # by which lines may be out of order

# QueueMetrics, whose table VICIdial and others fill, names the same columns otherwise
COLUMNS = {
    "time": "time", "time_id": "time",
    "callid": "callid", "call_id": "callid",
    "queuename": "queue", "queue": "queue",
    "agent": "agent",
    "event": "event", "verb": "event",
    **{f"data{n}": f"data{n}" for n in range(1, 6)},
}  # fmt: skip
NEEDED = ("time", "callid", "queue", "agent", "event")
DATA = tuple(f"data{n}" for n in range(1, 6))


@dataclass(frozen=True)
class Entry:
    """One line: what `event` happened `at` this instant (UTC) to the call, in the queue, by the agent."""

    at: dt.datetime
    callid: str
    queue: str
    agent: str
    event: str
    data: tuple[str, ...] = ()

    def said(self, place: int) -> str:
        """The data field at `place`, from 1; empty when it has none."""
        return self.data[place - 1] if place <= len(self.data) else ""

    def number(self, place: int) -> float:
        """The same as a number not below 0; 0 when it is none."""
        text = self.said(place)
        return float(text) if text.isdecimal() and len(text) < 10 else 0.0

    def has_agent(self) -> bool:
        return self.agent not in NOBODY


@dataclass
class Reader:
    """Reads lines in order; a header changes how the lines after it are read.

    `timezone` is that of times without an offset. Raises UsageError for such a time when there is none: it would be
    wrong by hours, and so would every line.
    """

    timezone: ZoneInfo | None = None
    header: list[str] | None = None
    delimiter: str = ","
    last_at: dt.datetime = EARLIEST

    def read(self, text: str) -> Entry | None:
        """The entry of a line, None for one that holds none; raises Unreadable."""
        if not text or self._is_header(text):
            return None
        fields = self._columns(text) if self.header else text.split("|")
        if len(fields) < FIELDS:
            raise Unreadable(f"{len(fields)} fields, where a line of queue_log has at least {FIELDS}.")
        time, callid, queue, agent, event, *data = map(str.strip, fields)
        if not event:
            raise Unreadable("The event is empty.")
        at = self._instant(time)
        if at < EARLIEST:
            raise Unreadable("The time lies before 1990.")
        self.last_at = at
        return Entry(at, callid, queue, agent, event.upper(), tuple(data))

    def remembered(self) -> dict[str, Any]:
        """What to know to read on after this line."""
        return {"header": self.header, "delimiter": self.delimiter, "last_at": self.last_at.isoformat()}

    def recall(self, remembered: dict[str, Any]) -> None:
        self.header, self.delimiter = remembered["header"], remembered["delimiter"]
        self.last_at = dt.datetime.fromisoformat(remembered["last_at"])

    def _is_header(self, text: str) -> bool:
        if "|" in text or "agent" not in text.lower():
            return False
        delimiter = max(",;\t", key=text.count)
        names = [COLUMNS.get(name.strip().lower(), "") for name in next(csv.reader([text], delimiter=delimiter))]
        if not set(NEEDED) <= set(names):
            return False
        self.header, self.delimiter = names, delimiter
        return True

    def _columns(self, text: str) -> list[str]:
        assert self.header is not None
        try:
            values = next(csv.reader([text], delimiter=self.delimiter, strict=True))
        except csv.Error as error:
            raise Unreadable(f"Not CSV: {error}.") from error
        if len(values) != len(self.header):
            raise Unreadable(f"{len(values)} fields, where the header names {len(self.header)}.")
        row = {name: "" if value == r"\N" else value for name, value in zip(self.header, values, strict=True)}
        return [row.get(name, "") for name in NEEDED + DATA]

    def _instant(self, text: str) -> dt.datetime:
        try:
            if text.replace(".", "", 1).isdecimal():  # seconds since 1970, UTC
                whole, _, part = text.partition(".")
                return dt.datetime.fromtimestamp(int(whole), dt.UTC) + dt.timedelta(microseconds=int(f"{part:0<6.6}"))
            local = dt.datetime.fromisoformat(text)
            if local.tzinfo is not None:
                return local.astimezone(dt.UTC)
            if self.timezone is None:
                raise UsageError(
                    "The times of this queue_log have no zone; name it with --timezone, such as Europe/Paris."
                )
            return self._of_two(*(local.replace(tzinfo=self.timezone, fold=fold) for fold in (0, 1)))
        except (ValueError, OverflowError, OSError):
            raise Unreadable("The time is neither seconds since 1970 nor a date and time.") from None

    def _of_two(self, first: dt.datetime, second: dt.datetime) -> dt.datetime:
        """Which instant is meant when a local time comes twice: lines are in order, or nearly."""
        earlier, later = first.astimezone(dt.UTC), second.astimezone(dt.UTC)
        is_past_the_change = self.last_at.astimezone(self.timezone).utcoffset() == second.utcoffset()
        is_behind = earlier < self.last_at if is_past_the_change else earlier + DISORDER < self.last_at
        return later if is_behind and self.last_at <= later + DISORDER else earlier


def decoded(line: bytes) -> str:
    """The text of a line: UTF-8, or else Latin-1, which old phones' names may be; without what a crash leaves."""
    stripped = line.strip(b"\0\r\n \xef\xbb\xbf")
    try:
        return stripped.decode().strip("\ufeff")
    except UnicodeDecodeError:
        return stripped.decode("latin-1")
