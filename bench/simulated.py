"""Puts the simulated floor's events on a topic: `python -m bench.simulated SERVERS TOPIC N`."""

import datetime as dt
import itertools
import sys
import time

import msgspec

from bench.children import tell
from ingest.simulator import floor_events
from ingest.topic.broker import ensure_topic
from ingest.topic.producing import Record, deliver, open_producer

MONDAY = dt.date(2026, 11, 9)
"""The first floor day: a past one, so that the same events come whenever this runs."""
AGENTS = 160


def records(count: int, *, seed: int = 1) -> list[Record]:
    """The floor's first `count` events since MONDAY as (key, value); half a million are two days and a third."""
    encode = msgspec.json.encode
    events = itertools.islice(floor_events(MONDAY, agents=AGENTS, seed=seed), count)
    return [((event.get("call_id") or event["agent"]).encode(), encode(event)) for event in events]


def main(servers: str, topic: str, count: int) -> None:
    made = records(count)
    ensure_topic(servers, topic)
    producer = open_producer(servers)
    try:
        started = time.perf_counter()
        sent = deliver(producer, topic, made)
        tell({"events": sent, "took_s": time.perf_counter() - started, "bytes": sum(len(value) for _, value in made)})
    finally:
        producer.close(timeout=5)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
