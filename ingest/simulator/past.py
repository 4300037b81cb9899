"""The days before, sent behind a live wall: whole days, newest first, no faster than a consumer reads them."""

import datetime as dt
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event as Flag
from typing import Any

import duckdb
import msgspec

from ingest.simulator.day import Day
from ingest.simulator.incidents import Event
from ingest.topic.producing import Record, deliver
from metrics import clock

log = logging.getLogger(__name__)

STORED = "demo-past"
"""The file in the data directory that lists the floor days that the consumer has stored, one per line."""
LINES = 20  # events in one record while catching up: time is spent per record sent
PAST_LINES = 200
UNREAD_DAYS = 2  # while the consumer reads one, the next is there: it does not wait, and a live event not for long
LOOK_EVERY_S = 0.2


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
    since = clock.now_s()  # an older file may tell of another topic
    unread: deque[tuple[dt.date, dict[int, int]]] = deque()

    def wait_for_the_oldest() -> None:
        day, ends = unread.popleft()
        if _wait_until_read(published, since, ends, stopped):
            note_stored(data_dir, day)

    for day in missing_days(data_dir, today, count):
        records = list(records_by_key(Day(day, agents=agents, seed=seed).run(), PAST_LINES))
        if len(unread) == UNREAD_DAYS:
            wait_for_the_oldest()
        ends: dict[int, int] = {}
        deliver(producer, topic, records, stopped=stopped.is_set, ends=ends)
        if stopped.is_set():
            return
        unread.append((day, ends))
        log.info("%s sent", day)
    while unread and not stopped.is_set():
        wait_for_the_oldest()


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
    return _key(events[0]).encode(), encoder.encode_lines(events).rstrip()


def _key(event: Event) -> str:
    key: str = event.get("call_id") or event["agent"]
    return key


def records_by_key(events: Iterable[Event], lines: int) -> Iterator[Record]:
    """Yield records of at least `lines` events each: all events of a call or an agent, then those of the next.

    So no two parts of a day change the same rows. In order of time each part would have something of every agent, and
    recall what settled of the parts before.
    """
    encode = msgspec.json.Encoder().encode
    of_key: dict[str, list[bytes]] = {}
    for event in events:  # encoded at once: hundreds of thousands of dicts would keep the garbage collector busy
        of_key.setdefault(_key(event), []).append(encode(event))
    first, together = "", list[bytes]()
    for key, own in of_key.items():
        first = first if together else key
        together += own
        if len(together) >= lines:
            yield first.encode(), b"\n".join(together)
            together = []
    if together:
        yield first.encode(), b"\n".join(together)


def _wait_until_read(published: Path, since: float, ends: dict[int, int], stopped: Flag) -> bool:
    """Wait until the published file has everything before `ends`. Return False if stopped before.

    A file published before `since` [s since 1970] does not count.
    """
    while not stopped.is_set():
        positions = _positions(published, since)
        if all(positions.get(partition, 0) >= end for partition, end in ends.items()):
            return True
        stopped.wait(LOOK_EVERY_S)
    return False


def _positions(published: Path, since: float) -> dict[int, int]:
    """How far each partition is published; empty while nothing is published later than `since` [s since 1970]."""
    try:
        with duckdb.connect(str(published), read_only=True) as connection:
            rows = connection.execute(
                'SELECT "partition", position FROM feed_partitions, ingest_status WHERE epoch(published_at) > ?',
                [since],
            ).fetchall()
    except duckdb.IOException:
        return {}  # not published yet
    return dict(rows)
