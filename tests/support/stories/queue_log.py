"""Stories of a queue_log for tests, one line each: `09:00:00 callid queue agent EVENT|data…`, on 10 March 2026."""

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from ingest.sources import asterisk, names
from ingest.sources.asterisk import Switch
from ingest.sources.delivery import Output, Produced
from ingest.sources.events import Rejected, encoded
from metrics.configuration.campaigns import Configuration
from tests.support.stories.stream import DEFAULTS, folded, valid

Event = dict[str, Any]
DAY = dt.datetime(2026, 3, 10, tzinfo=dt.UTC)
NEXT_DAY = DAY + dt.timedelta(days=1)
WINDOW = "(TIMESTAMPTZ '2026-03-10 00:00:00Z', TIMESTAMPTZ '2026-03-11 00:00:00Z')"


def line(text: str) -> bytes:
    """Return a line of the file."""
    clock, rest = text.strip().split(" ", 1)
    callid, queue, agent, event = rest.split(" ", 3)
    h, m, s = map(int, clock.split(":"))
    at = DAY + dt.timedelta(hours=h, minutes=m, seconds=s)
    return f"{int(at.timestamp())}|{callid}|{queue}|{agent}|{event}".encode()


def lines(story: str) -> list[bytes]:
    return [line(text) for text in story.strip().splitlines()]


def events_of(story: str | Iterable[bytes], queue_map: names.Names | None = None) -> list[Event]:
    """Return the events of a story; all its lines must be readable, and each event passes the contract."""
    switch = Switch("pbx", queue_map or names.Names(), ZoneInfo("Europe/Paris"))
    results = [result for result, _ in switch.take(lines(story) if isinstance(story, str) else story)]
    return valid(results, "pbx")


def short(event: Event) -> str:
    """Return an event in short: time, type, call or agent, and the fields that vary."""
    what = event["type"].split(".")[1] if event["type"].startswith("call.") else event["type"]
    of = event.get("call_id", event.get("agent", "")).removeprefix("pbx/")
    left_out = ("event_id", "type", "ts", "call_id", "linked_id", "queue", "queues", "campaign", "warm", "name", "team")
    fields = {k: v for k, v in event.items() if k not in (*left_out, "revision") and v != of}
    fields |= {"inferred": "inferred"} if "inferred" in fields else {}
    return " ".join([event["ts"][11:].removesuffix("Z"), what, of, *map(str, fields.values())])


def summaries(story: str, queue_map: names.Names | None = None, of: str = "call.") -> list[str]:
    return [short(event) for event in events_of(story, queue_map) if event["type"].startswith(of)]


class Collected(Output):
    """A destination that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__("pbx")
        self.events: list[Event] = []
        self.rejected: list[Rejected] = []

    def send(self, produced: Iterable[Produced]) -> bool:
        for result, _ in produced:
            if isinstance(result, Rejected):
                self.rejected.append(result)
            else:
                self.events.append(result)
        return True


def read(path: Path, timezone: str | None = "Europe/Paris", queue_map: names.Names | None = None) -> Collected:
    """Return what `source asterisk --queue-log` makes of a file."""
    zone = ZoneInfo(timezone) if timezone else None
    collected = Collected()
    asterisk.read_once(str(path), Switch("pbx", queue_map or names.Names(), zone), collected, zone)
    return collected


def published(
    place: Path,
    story: str | Iterable[Event],
    as_of: dt.datetime = NEXT_DAY,
    queue_map: names.Names | None = None,
    configuration: Configuration = DEFAULTS,
    before: dt.datetime | None = None,
) -> duckdb.DuckDBPyConnection:
    """Publish a story, or events, as of an instant `before` (None: not) and then `as_of`; return the published file."""
    events = events_of(story, queue_map) if isinstance(story, str) else story
    records = [json.loads(encoded(event, "pbx", "")[1]) for event in events]
    return folded(place, records, as_of, configuration, published={0: before} if before else None)
