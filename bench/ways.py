"""The ways an event can go, each in a process of its own: `python -m bench.ways WAY …` tells how long it took.

Times begin after the imports, with the opening of store and connections, and end when all is published or counted.
"""

import datetime as dt
import sys
import tempfile
import threading
import time
from pathlib import Path

import duckdb
import pandas  # noqa: F401  # DuckDB imports it, and the next, at the first parameter or table that it is given
import pyarrow.dataset  # noqa: F401
from kafka.consumer.fetcher import Fetcher

from bench.children import ROOT, tell
from bench.simulated import records
from ingest.events import contract
from ingest.publishing.observed import Observed
from ingest.run import consume, tune_interpreter
from ingest.store.store import SCHEMA
from ingest.topic.feed import Feed
from ingest.topic.records import Records


def whole(servers: str, topic: str) -> None:
    """Topic to published file, as `python -m ingest run --until-caught-up` goes."""
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
        took_s = snapshot.stat().st_ctime - started_at  # until it was put in its place; the store is closed after that
        with duckdb.connect(snapshot, read_only=True) as published:
            row = published.execute("SELECT events, dead_letters, lag, (SELECT count(*) FROM calls) FROM ingest_status")
            events, dead_letters, lag, calls = row.fetchall()[0]
    tell({"events": events, "dead_letters": dead_letters, "lag": lag, "calls": calls, "took_s": took_s, "cpu_s": cpu_s})


def bare(servers: str, topic: str) -> None:
    """kafka-python's poll loop alone, as it comes: the records are counted and dropped."""
    _poll(servers, topic, Fetcher.PartitionRecords)


def compiled(servers: str, topic: str) -> None:
    """The same loop, with the records read as the whole way reads them."""
    _poll(servers, topic, Records)


def _poll(servers: str, topic: str, reading: type) -> None:
    tune_interpreter()
    started, cpu = time.perf_counter(), time.process_time()
    feed = Feed(servers, topic, lambda log: None)
    consumer = feed._consumer  # opened by Feed, so that its settings are those of the whole way
    consumer._fetcher.PartitionRecords = reading
    end, count = sum(feed.ends().values()), 0
    while count < end:
        for polled in consumer.poll(timeout_ms=200).values():
            count += len(polled)
    took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    feed.close()
    tell({"events": count, "took_s": took_s, "cpu_s": cpu_s})


def inserts(count: int) -> None:
    """One event after the other: validated, then a row by an INSERT that commits. Kafka's part is not even in it."""
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
    tell({"events": rows, "took_s": took_s, "cpu_s": cpu_s})


if __name__ == "__main__":
    way, *rest = sys.argv[1:]
    if way == "inserts":
        inserts(int(rest[0]))
    else:
        {"whole": whole, "bare": bare, "compiled": compiled}[way](*rest)
