"""The lines of Asterisk's queue_log, from its file or from the realtime database (a table with a header).

File:     epoch|callid|queue|agent|event|data…
Database: columns time, callid, queuename, agent, event, data1 … data5, in any order; times local, or with an offset.
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from ingest.errors import UsageError
from ingest.events.contract import EARLIEST
from ingest.sources.asterisk import table
from ingest.sources.asterisk.table import Table
from ingest.sources.events import Unreadable
from ingest.sources.input.direction import DISORDER
from ingest.sources.input.never import is_never, is_none_word

NOBODY = ("", "NONE")
FIELDS = 5  # before the data
SECONDS = re.compile(r"\d{1,9}(\.\d+)?")


@dataclass(frozen=True)
class Entry:
    """One line: the `event` that happened `at` this time (UTC), with its call, queue and agent."""

    at: dt.datetime
    callid: str
    queue: str
    agent: str
    event: str
    data: tuple[str, ...] = ()

    def data_field(self, place: int) -> str:
        """The data field at `place`, counted from 1; empty when there is none."""
        return self.data[place - 1] if place <= len(self.data) else ""

    def seconds(self, place: int) -> float | None:
        """The data field as a number; None when it is not a number."""
        text = self.data_field(place)
        return float(text) if SECONDS.fullmatch(text) else None

    def number(self, place: int) -> float:
        """The data field as a number; 0 when it is not a number."""
        return self.seconds(place) or 0.0

    def has_agent(self) -> bool:
        return self.agent not in NOBODY


@dataclass
class Reader:
    """Reads lines in order; a header changes how the lines after it are read.

    `timezone` is the zone of times without an offset. Without it, such a time raises UsageError: this and every other
    line would be wrong by hours.
    """

    timezone: ZoneInfo | None = None
    table: Table | None = None
    last_at: dt.datetime = EARLIEST

    def read(self, text: str) -> Entry | None:
        """The entry of a line; None for a header, an empty line or what psql draws around rows. Raises Unreadable."""
        if not text or self._is_header(text) or table.is_decoration(text):
            return None
        fields = self.table.row(text) if self.table else text.split("|")
        if len(fields) < FIELDS:
            raise Unreadable(f"{len(fields)} fields, where a line of queue_log has at least {FIELDS}.")
        time, callid, queue, agent, event, *data = ["" if is_none_word(field) else field.strip() for field in fields]
        if not event:
            raise Unreadable("The event is empty.")
        if is_never(time):
            raise Unreadable("The time is empty, or one that means never.")
        at = self._instant(time)
        if at < EARLIEST:
            raise Unreadable("The time lies before 1990.")
        self.last_at = at
        return Entry(at, callid, queue, agent, event.upper(), tuple(data))

    def remembered(self) -> dict[str, Any]:
        """The state that is needed to read on after this line."""
        columns = {"header": self.table.names, "delimiter": self.table.delimiter} if self.table else {"header": None}
        borders = {"has_borders": True} if self.table and self.table.has_borders else {}
        return {**columns, **borders, "last_at": self.last_at.isoformat()}

    def recall(self, remembered: dict[str, Any]) -> None:
        names = remembered["header"]
        self.table = Table(names, remembered["delimiter"], remembered.get("has_borders", False)) if names else None
        self.last_at = dt.datetime.fromisoformat(remembered["last_at"])

    def _is_header(self, text: str) -> bool:
        begun = table.header(text)
        self.table = begun or self.table
        return begun is not None

    def _instant(self, text: str) -> dt.datetime:
        try:
            if text.replace(".", "", 1).isdecimal():  # seconds since 1970, UTC
                seconds, _, fraction = text.partition(".")
                return dt.datetime.fromtimestamp(int(seconds), dt.UTC) + dt.timedelta(
                    microseconds=int(f"{fraction:0<6.6}")
                )
            local = dt.datetime.fromisoformat(text)
            if local.tzinfo is not None:
                return local.astimezone(dt.UTC)
            if self.timezone is None:
                raise UsageError(
                    "The times of this queue_log have no zone; name it with --timezone, such as Europe/Paris."
                )
            return self._first_or_second(*(local.replace(tzinfo=self.timezone, fold=fold) for fold in (0, 1)))
        except (ValueError, OverflowError, OSError):
            raise Unreadable("The time is neither seconds since 1970 nor a date and time.") from None

    def _first_or_second(self, first: dt.datetime, second: dt.datetime) -> dt.datetime:
        """Decide which of two times is meant when a local time occurs twice: lines are (nearly) in order."""
        earlier, later = first.astimezone(dt.UTC), second.astimezone(dt.UTC)
        if earlier > later:  # as the clocks skip it, no zone's offset gives it back
            raise Unreadable("A time that the clocks of --timezone skip in spring; check the zone.")
        is_past_the_change = self.last_at.astimezone(self.timezone).utcoffset() == second.utcoffset()
        is_behind = earlier < self.last_at if is_past_the_change else earlier + DISORDER < self.last_at
        return later if is_behind and self.last_at <= later + DISORDER else earlier


def decoded(line: bytes) -> str:
    """The text of a line: UTF-8, or else Latin-1, which names on old phones may use; without NULs left by a crash."""
    stripped = line.strip(b"\0\r\n \xef\xbb\xbf")
    try:
        return stripped.decode().strip("\ufeff")
    except UnicodeDecodeError:
        return stripped.decode("latin-1")
