"""A flood of bad records among good ones: does every record count, and are the good ones published in time?

`python -m bench.flood [RECORDS [A_SECOND [SEED]]]` sends fuzzed records (bench/fuzz.py), half events, to
a consumer on an embedded broker. It checks that each left an event, a dead letter or a count, and measures how long
after it was sent a record was in a published file. It is run by hand: a million records take minutes.
"""

import json
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from pathlib import Path
from statistics import median
from typing import Any

from bench.children import cpu_s, in_background, must_run, peak_mb
from bench.fuzz import records
from ingest.topic.broker import ensure_topic, running_broker
from ingest.topic.producing import open_producer
from metrics import clock
from metrics.published.opening import open_snapshot

TOPIC = "bench-flood"
LOOKS_EVERY_S = 0.2
STATUS = "SELECT records, dead_letters, letters_left_out, events + duplicates, published_at FROM ingest_status"


def main(count: int = 1_000_000, a_second: int = 2_000, seed: int = 1) -> None:
    with running_broker() as broker, tempfile.TemporaryDirectory() as place:
        ensure_topic(broker.bootstrap_servers, TOPIC, partitions=1)
        data = Path(place, "data")
        options = ("--bootstrap-servers", broker.bootstrap_servers, "--topic", TOPIC, "--data-dir", str(data))
        log = Path(place, "log")
        with in_background("-m", "ingest", "run", *options, log=log) as consumer:
            published = data / "published" / "vigie.duckdb"
            while not published.exists():
                must_run(consumer, log)
                time.sleep(LOOKS_EVERY_S)
            looking = _Looking(published)
            looking.start()
            producer = open_producer(broker.bootstrap_servers)
            sent = _send(producer, count, a_second, seed)
            while looking.records() < count:
                must_run(consumer, log)
                time.sleep(LOOKS_EVERY_S)
            looking.stopping.set()
            looking.join()
            used = {"consumer_cpu_s": cpu_s(consumer.pid), "consumer_peak_mb": round(peak_mb(consumer.pid))}
        sys.stdout.write(json.dumps(_result(data, sent, looking.seen) | used, indent=1) + "\n")


class _Looking(threading.Thread):
    """Notes how many records each published file has, and when it was there."""

    def __init__(self, published: Path) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[int, float]] = [(0, 0.0)]
        self.stopping = threading.Event()
        self._published = published

    def records(self) -> int:
        return self.seen[-1][0]

    def run(self) -> None:
        while not self.stopping.wait(LOOKS_EVERY_S):
            with open_snapshot(self._published) as snapshot:
                ((records, *_),) = snapshot.execute(STATUS).fetchall()
            if records > self.records():
                self.seen.append((records, clock.now_s()))


def _send(producer: Any, count: int, a_second: int, seed: int) -> list[tuple[int, float]]:
    """Send at a steady pace; return how many had been sent when."""
    sent: list[tuple[int, float]] = []
    began = time.monotonic()
    for n, (_, value) in enumerate(records(seed, count, round(clock.now_s() * 1000)), 1):
        producer.send(TOPIC, value, key=b"")
        if n % (a_second // 20) == 0 or n == count:
            sent.append((n, clock.now_s()))
            time.sleep(max(0.0, began + n / a_second - time.monotonic()))
    producer.flush()
    return sent


def _result(data: Path, sent: list[tuple[int, float]], seen: list[tuple[int, float]]) -> dict[str, Any]:
    published = [records for records, _ in seen]
    delays = sorted(seen[bisect_left(published, n)][1] - at for n, at in sent)
    with open_snapshot(data / "published" / "vigie.duckdb") as snapshot:
        ((records, letters, left_out, lines, _),) = snapshot.execute(STATUS).fetchall()
        ((kept, rejected),) = snapshot.execute('SELECT count(*), count(DISTINCT "offset") FROM dead_letters').fetchall()
        alarms = snapshot.execute("SELECT kind, source, counted FROM alarms ORDER BY ALL").fetchall()
    assert records == sent[-1][0], (records, sent[-1][0])
    assert letters == kept + left_out, (letters, kept, left_out)
    assert not [alarm for alarm in alarms if alarm[0].endswith("conserved")], alarms
    files = sum(file.stat().st_size for file in (data / "published" / "dead_letters").rglob("*.parquet"))
    return {
        "records": records,
        "lines that are events": lines,
        "lines rejected": letters,
        "dead letters kept": kept,
        "records with a letter that is kept": rejected,
        "only counted": left_out,
        "seconds of sending": round(sent[-1][1] - sent[0][1]),
        "delay_s": {"median": median(delays), "p99": delays[int(len(delays) * 0.99)], "greatest": delays[-1]},
        "dead letters on disk, MB": files / 1e6,
        "alarms": [alarm for alarm in alarms if alarm[0] != "letters_left_out"],
        "sources in the alarm": sum(alarm[0] == "letters_left_out" for alarm in alarms),
    }


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
