"""The load generator: `python -m bench.load SERVERS TOPIC RATE SECONDS` sends events stamped at sending."""

import datetime as dt
import re
import sys
import time
from zlib import crc32

from bench.children import report
from bench.figures import percentile
from bench.simulated import records
from ingest.topic.broker import ensure_topic
from ingest.topic.producing import open_producer

STEP_S = 0.005
MARK_EVERY_S = 0.05
MARKER = "bench-marker-"
"""Markers are events of special agents, one per partition. Their latest published state shows its progress."""
SEED = 2
TS = re.compile(rb'"ts":"[^"]*"')


def main(servers: str, topic: str, rate: int, seconds: int) -> None:
    """Send the events, then report counts and the time of each marker as [partition, microseconds since 1970]."""
    events = []
    for key, value in records(rate * seconds, seed=SEED):
        head, tail = TS.split(value, maxsplit=1)
        events.append((crc32(key), head, tail))
    ensure_topic(servers, topic)
    producer = open_producer(servers)
    partitions = sorted(producer.partitions_for(topic))
    sent, marks, late_s, futures = 0, [], [], []
    per_mark = round(rate * MARK_EVERY_S)
    started = time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        while sent < len(events) and (due := sent / rate) <= passed:
            late_s.append(passed - due)
            if sent % per_mark < len(partitions):  # send a marker instead of an event
                partition = partitions[sent % per_mark]
                now = _now()
                marks.append((partition, round(now.timestamp() * 1e6)))
                value = marker(partition, len(marks), now)
            else:
                hashed, head, tail = events[sent]
                partition = partitions[hashed % len(partitions)]
                value = b'%b"ts":"%b"%b' % (head, _now().isoformat().encode(), tail)
            futures.append(producer.send(topic, value=value, partition=partition))
            sent += 1
        time.sleep(STEP_S)
    took_s = time.perf_counter() - started
    producer.flush(timeout=10)
    report(
        {
            "sent": sent,
            "acknowledged": sum(future.succeeded() for future in futures),
            "took_s": took_s,
            "rate": sent / took_s,
            "late_p99_s": percentile(late_s, 0.99),
            "cpu_s": time.process_time(),
            "marks": marks,
        }
    )
    producer.close(timeout=5)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def marker(partition: int, number: int, now: dt.datetime) -> bytes:
    """The `number`-th marker of a partition: an event of its special agent."""
    state = ("available", "paused")[number // 4 % 2]  # alternate, because consecutive equal states would be one row
    return (
        f'{{"event_id":"{MARKER}{partition}-{number}","type":"agent.state","ts":"{now.isoformat()}",'
        f'"agent":"{MARKER}{partition}","state":"{state}"}}'
    ).encode()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
