"""The days before, sent behind a live wall: whole days, newest first, no faster than a consumer reads them."""

import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event as Flag
from typing import Any

import duckdb
import msgspec

from ingest.simulator.day import Day, Event
from ingest.topic.producing import Record, deliver
from metrics import clock

log = logging.getLogger(__name__)

STORED = "demo-past"
"""The file in the data directory that lists the floor days that the consumer has stored, one per line."""
LINES = 20  # events in one record while catching up: time is spent per record sent
LOOK_EVERY_S = 0.2
ENDS_KNOWN_AFTER_S = 1.0  # the consumer learns the partitions' ends when it polls


def stored_days(data_dir: Path) -> set[dt.date]:
    """The floor days that are noted as stored."""
    try:
        return {dt.date.fromisoformat(line) for line in (data_dir / STORED).read_text().split()}
    except FileNotFoundError:
        return set()


def note_stored(data_dir: Path, *days: dt.date) -> None:
    """Note floor days as stored, so that no later start sends them again."""
    known = stored_days(data_dir).union(days)
    fresh = data_dir / f".{STORED}"
    fresh.write_text("".join(f"{day}\n" for day in sorted(known, reverse=True)))
    fresh.replace(data_dir / STORED)  # the demo may be reading it


def missing_days(data_dir: Path, today: dt.date, count: int) -> list[dt.date]:
    """The floor days that are not stored, of the `count` before `today`, newest first."""
    stored = stored_days(data_dir)
    days = [today - dt.timedelta(days=back) for back in range(1, count + 1)]
    return [day for day in days if day not in stored]


def fill(
    producer: Any, topic: str, *, data_dir: Path, today: dt.date, count: int, agents: int, seed: int, stopped: Flag
) -> None:
    """Send the `missing_days`, and note each of them once the consumer of `data_dir` has published it."""
    published = data_dir / "published" / "vigie.duckdb"
    sent: dt.date | None = None
    for day in missing_days(data_dir, today, count):
        records = list(records_of(Day(day, agents=agents, seed=seed).run(), LINES))  # meanwhile the last day is read
        if sent:
            if not _wait_until_read(published, stopped):
                return
            note_stored(data_dir, sent)
        deliver(producer, topic, records, stopped=stopped.is_set)
        if stopped.is_set():
            return
        sent = day
        log.info("%s sent", day)
    if sent and _wait_until_read(published, stopped):
        note_stored(data_dir, sent)


def records_of(events: Iterable[Event], lines: int) -> Iterator[Record]:
    """Yield Kafka records (key, value) of `lines` events each, one per line."""
    encoder = msgspec.json.Encoder()
    together: list[Event] = []
    for event in events:
        together.append(event)
        if len(together) == lines:
            yield _record(together, encoder)
            together = []
    if together:
        yield _record(together, encoder)


def _record(events: list[Event], encoder: msgspec.json.Encoder) -> Record:
    key = events[0].get("call_id") or events[0]["agent"]
    return key.encode(), encoder.encode_lines(events).rstrip()


def _wait_until_read(published: Path, stopped: Flag) -> bool:
    """Wait until everything that the topic has now is published. Return False if stopped before."""
    known_from = clock.now_s() + ENDS_KNOWN_AFTER_S
    ends: dict[int, int] | None = None
    while not stopped.is_set():
        places = _places(published, known_from)
        if places and ends is None:
            ends = {partition: end for partition, (_, end) in places.items()}
        if places and ends and all(places.get(p, (0, 0))[0] >= end for p, end in ends.items()):
            return True
        stopped.wait(LOOK_EVERY_S)
    return False


def _places(published: Path, since: float) -> dict[int, tuple[int, int]] | None:
    """(position, end) of each partition; None while nothing is published later than `since` [s since 1970]."""
    try:
        with duckdb.connect(str(published), read_only=True) as connection:
            rows = connection.execute(
                'SELECT "partition", position, end_offset FROM feed_partitions, ingest_status'
                " WHERE epoch(published_at) > ?",
                [since],
            ).fetchall()
    except duckdb.IOException:
        return None  # not published yet
    return {partition: (position, end) for partition, position, end in rows} or None
