"""Ways of processing events, to compare: `python -m bench.ways WAY …` runs one and reports how long it took.

The time starts after the imports, before store and connections are opened, and ends when all events are published or
counted.
"""

import datetime as dt
import sys
import tempfile
import threading
import time
from pathlib import Path

import duckdb
import pandas  # noqa: F401  # DuckDB would import pandas and pyarrow.dataset during the measurement
import pyarrow.dataset  # noqa: F401
from kafka.consumer.fetcher import Fetcher

from bench.children import ROOT, report
from bench.simulated import records
from ingest.events import contract
from ingest.publishing.observed import Observed
from ingest.run import consume, tune_interpreter
from ingest.store.store import SCHEMA
from ingest.topic.feed import Feed
from ingest.topic.records import Records


def publish(servers: str, topic: str) -> None:
    """From topic to published file, like `python -m ingest run --until-caught-up`."""
    tune_interpreter()
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        started_at, cpu = time.time(), time.process_time()
        consume(
            bootstrap_servers=servers,
            topic=topic,
            data_dir=Path(directory),
            campaigns=ROOT / "campaigns.toml",
            until_caught_up=True,
            stop=threading.Event(),
            clock=lambda: dt.datetime.now(dt.UTC),
            observed=Observed(),
        )
        cpu_s = time.process_time() - cpu
        snapshot = Path(directory, "published", "vigie.duckdb")
        # until it was renamed to its place; the store is closed later
        took_s = snapshot.stat().st_ctime - started_at
        with duckdb.connect(snapshot, read_only=True) as published:
            row = published.execute("SELECT events, dead_letters, lag, (SELECT count(*) FROM calls) FROM ingest_status")
            events, dead_letters, lag, calls = row.fetchall()[0]
    counts = {"events": events, "dead_letters": dead_letters, "lag": lag, "calls": calls}
    report(counts | {"took_s": took_s, "cpu_s": cpu_s})


def bare(servers: str, topic: str) -> None:
    """Only kafka-python's poll loop, unchanged: the records are counted and dropped."""
    _poll(servers, topic, Fetcher.PartitionRecords)


def compiled(servers: str, topic: str) -> None:
    """The same loop, with records decoded by Vigie's compiled code."""
    _poll(servers, topic, Records)


def _poll(servers: str, topic: str, record_reader: type) -> None:
    tune_interpreter()
    started, cpu = time.perf_counter(), time.process_time()
    feed = Feed(servers, topic, lambda log: None)
    consumer = feed._consumer  # opened by Feed, so that it has the same settings as in publish()
    consumer._fetcher.PartitionRecords = record_reader
    end, count = sum(feed.ends().values()), 0
    while count < end:
        for polled in consumer.poll(timeout_ms=200).values():
            count += len(polled)
    took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    feed.close()
    report({"events": count, "took_s": took_s, "cpu_s": cpu_s})


def inserts(count: int) -> None:
    """Validate events one by one, and commit each with its own INSERT. Reading from Kafka is not included."""
    lines = [value.decode() for _, value in records(count)]
    statement = f"INSERT INTO events VALUES ({', '.join('?' * 11)})"
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        started, cpu = time.perf_counter(), time.process_time()
        with duckdb.connect(f"{directory}/store.duckdb") as store:
            store.execute(SCHEMA)
            for line in lines:
                event = contract.decode(line)
                store.execute(
                    statement,
                    [
                        event.event_id,
                        event.revision or 0,
                        event.__struct_config__.tag,
                        event.ts,
                        *(getattr(event, field, None) for field in ("call_id", "agent", "campaign")),
                        event.source or "default",
                        *(getattr(event, field, None) for field in ("state", "reason")),
                        line,
                    ],
                )
            took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
            ((rows,),) = store.execute("SELECT count(*) FROM events").fetchall()
    report({"events": rows, "took_s": took_s, "cpu_s": cpu_s})


if __name__ == "__main__":
    way, *rest = sys.argv[1:]
    if way == "inserts":
        inserts(int(rest[0]))
    else:
        {"publish": publish, "bare": bare, "compiled": compiled}[way](*rest)
