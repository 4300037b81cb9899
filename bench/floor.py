"""A floor of any size in its busiest hours: `python -m bench.floor SERVERS TOPIC RATE PAST_S [LINES]`.

It consists of copies of one simulated floor, each with agents and calls of its own. It sends the past PAST_S seconds at
once, then each event when it is due, until it is terminated. Then it reports. A record has up to LINES events that are
due together (default: 1): Kafka's client spends more time on a record than this program on an event.
"""

import heapq
import itertools
import re
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zlib import crc32

import msgspec

from bench.children import report
from bench.figures import percentile
from bench.load import marker
from bench.simulated import MONDAY
from ingest.simulator import floor_events
from ingest.simulator.plan import day_start
from ingest.topic.producing import open_producer

AGENTS = 1_000
RATE = 26.0
"""Events per second of one copy, from BUSY_FROM on."""
BUSY_FROM = timedelta(hours=11)
"""From the start of the floor's day, which is at 22:00 UTC."""
BUSY_FOR = timedelta(hours=2)
APART_S = 7.0
"""Each copy is so much ahead of the one before, or all would do the same at the same instant."""
SEED = 3
TS = re.compile(rb'"ts":"[^"]*"')
STEP_S = 0.01
MARK_EVERY_S = 0.05


@dataclass(frozen=True)
class Line:
    """An event without its time: `at_s` is when it happens, from BUSY_FROM on; what is before that is negative."""

    at_s: float
    hashed: int
    head: bytes
    tail: bytes

    def value(self, ts: datetime) -> bytes:
        return b'%b"ts":"%b"%b' % (self.head, ts.isoformat(timespec="milliseconds").encode(), self.tail)


def copies_for(rate: float) -> int:
    return max(1, round(rate / RATE))


def lines(copies: int, from_s: float) -> Iterator[Line]:
    """Yield the events of all copies from `from_s` on, in order of time.

    Before them come the earlier events of calls that go on, and the profile and state of every agent of the day so far.
    """
    yield from heapq.merge(*(_lines_of(copy, from_s) for copy in range(copies)), key=lambda line: line.at_s)


def _lines_of(copy: int, from_s: float) -> Iterator[Line]:
    begin_s = from_s + copy * APART_S
    going_on = {key for at_s, _, key, _ in _events() if at_s >= begin_s}
    known = {}
    rest = []
    for event in _events():
        at_s, kind, key, _ = event
        if at_s < begin_s and kind.startswith("agent."):
            known[kind, key] = event
        elif at_s >= begin_s or key in going_on:
            rest.append(event)
    for at_s, _, key, value in heapq.merge(sorted(known.values()), rest):
        yield _line(copy, at_s - copy * APART_S, key, value)


def _line(copy: int, at_s: float, key: str, value: bytes) -> Line:
    own = value.replace(b'":"agent-', b'":"agent-%d-' % copy).replace(b'":"%d-' % SEED, b'":"%d-%d-' % (SEED, copy))
    head, tail = TS.split(own, maxsplit=1)
    return Line(at_s, crc32(b"%d %b" % (copy, key.encode())), head, tail)


@cache
def _events() -> list[tuple[float, str, str, bytes]]:
    """The events of one copy, each as (time [s] from BUSY_FROM on, type, key, JSON)."""
    busy_from = day_start(MONDAY) + BUSY_FROM
    until = (busy_from + BUSY_FOR).isoformat()
    events = itertools.takewhile(lambda event: event["ts"] < until, floor_events(MONDAY, agents=AGENTS, seed=SEED))
    return [
        (
            (datetime.fromisoformat(event["ts"]) - busy_from).total_seconds(),
            event["type"],
            event.get("call_id") or event["agent"],
            msgspec.json.encode(event),
        )
        for event in events
    ]


def main(servers: str, topic: str, rate: float, past_s: float, lines_a_record: int = 1) -> None:
    """Send until SIGTERM; then report counts and the time of each marker as [partition, microseconds since 1970]."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    copies = copies_for(rate)
    events = lines(copies, -past_s)
    event = next(events)
    producer = open_producer(servers)
    partitions = sorted(producer.partitions_for(topic))
    began = datetime.now(UTC)  # the floor's BUSY_FROM
    sent = live = 0
    sending_from = time.monotonic()
    live_from = mark_at = None
    marks: list[tuple[int, int]] = []
    late_s: list[float] = []
    waiting: defaultdict[int, list[bytes]] = defaultdict(list)

    def send(partition: int) -> None:
        if values := waiting.pop(partition, None):
            producer.send(topic, value=b"\n".join(values), partition=partition)

    while not stopped.is_set():
        now_s = (datetime.now(UTC) - began).total_seconds()
        while event.at_s <= now_s and not stopped.is_set():
            partition = partitions[event.hashed % len(partitions)]
            waiting[partition].append(event.value(began + timedelta(seconds=event.at_s)))
            if len(waiting[partition]) == lines_a_record:
                send(partition)
            sent += 1
            if live_from is not None:
                live += 1
                late_s.append((datetime.now(UTC) - began).total_seconds() - event.at_s)
            event = next(events)
        for partition in partitions:
            send(partition)
        if live_from is None:
            producer.flush()
            if (datetime.now(UTC) - began).total_seconds() - event.at_s < 1.0:  # the past is sent
                live_from = mark_at = time.monotonic()
            continue
        while mark_at is not None and mark_at <= time.monotonic():
            partition = partitions[len(marks) % len(partitions)]
            now = datetime.now(UTC)
            marks.append((partition, round(now.timestamp() * 1e6)))
            producer.send(topic, value=marker(partition, len(marks), now), partition=partition)
            mark_at += MARK_EVERY_S
        stopped.wait(STEP_S)
    producer.flush(timeout=10)
    report(
        {
            "sent": sent + len(marks),
            "copies": copies,
            "took_s": time.monotonic() - sending_from,
            "rate": live / (time.monotonic() - live_from) if live_from else 0.0,
            "late_p99_s": percentile(late_s or [0.0], 0.99),
            "cpu_s": time.process_time(),
            "marks": marks,
        }
    )
    producer.close(timeout=5)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), *map(int, sys.argv[5:]))
