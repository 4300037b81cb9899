"""Sends N events of the simulated floor to a topic: `python -m bench.simulated SERVERS TOPIC N`."""

import datetime as dt
import itertools
import sys
import time

import msgspec

from bench.children import report
from ingest.simulator import floor_events
from ingest.topic.broker import ensure_topic
from ingest.topic.producing import Record, deliver, open_producer

MONDAY = dt.date(2026, 11, 9)
"""The first day of the floor: in the past, so that every run sends the same events."""
AGENTS = 160


def records(count: int, *, seed: int = 1) -> list[Record]:
    """Return the floor's first `count` events from MONDAY on, as (key, value). Half a million are 2⅓ days."""
    encode = msgspec.json.encode
    events = itertools.islice(floor_events(MONDAY, agents=AGENTS, seed=seed), count)
    return [((event.get("call_id") or event["agent"]).encode(), encode(event)) for event in events]


def main(servers: str, topic: str, count: int) -> None:
    events = records(count)
    ensure_topic(servers, topic)
    producer = open_producer(servers)
    try:
        started = time.perf_counter()
        sent = deliver(producer, topic, events)
        took_s = time.perf_counter() - started
        report({"events": sent, "took_s": took_s, "bytes": sum(len(value) for _, value in events)})
    finally:
        producer.close(timeout=5)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
