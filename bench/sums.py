"""Figures from kept sums, compared with the same figures from calls and agents' states, and with SQL by hand.

The floor's days are stored as a consumer stores them, without Kafka. The three are asked of one published file in turn;
times are processor times of one thread, with planning.
"""

import datetime as dt
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import duckdb

from bench import figures
from bench.children import ROOT
from bench.figures import Measured, Row
from bench.simulated import AGENTS, MONDAY
from ingest.events.batch import Batch, Partition
from ingest.events.keys import FIRST_DAY, Keys
from ingest.events.persons import Persons
from ingest.events.sorting import Sorter
from ingest.publishing.publish import Moment, Publisher
from ingest.simulator.day import Day
from ingest.simulator.past import PAST_LINES, records_by_key
from ingest.store.store import Store
from metrics.composition.compose import select
from metrics.composition.grains import GRAINS
from metrics.configuration.campaigns import load
from metrics.published.opening import open_snapshot

PERSONS = Persons(Keys([(FIRST_DAY, "a key of the benchmark only, and of nobody")]))
DAYS = 14
ROUNDS = 5
GOAL = 0.1
"""What a figure of the whole time may cost, as a share of what it costs from calls and states."""
ASKED = {
    "kpi_campaign": "'{t0}', '{t1}'",
    "kpi_days": "'{first}', '{after}'",
    "kpi_queue": "'{t0}', '{t1}'",
    "kpi_interval": "'{t0}', '{t1}', 60",
}
BY_HAND = """
SELECT campaign, day, count(*) FILTER (outcome = 'answered' AND in_threshold) / count(*)
FROM calls
WHERE direction IS DISTINCT FROM 'outbound' AND outcome NOT IN ('refused', 'short_abandoned')
GROUP BY campaign, day
"""
FROM_SUMS = """
SELECT campaign, day, sum(answered_in_threshold) / sum(offered - short_abandoned)
FROM call_sums
GROUP BY campaign, day
"""


def measure(days: int = DAYS, rounds: int = ROUNDS) -> Measured:
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        _store(Path(directory), days)
        with open_snapshot(Path(directory, "published", "vigie.duckdb"), threads=1) as published:
            published.execute("SET enable_progress_bar = false")
            ((calls,),) = published.execute("SELECT count(*) FROM calls").fetchall()
            taken = _taken(published, days, rounds)
            hand = [_cpu_s(published, sql) for _ in range(rounds) for sql in (FROM_SUMS, BY_HAND)]
    taken["level by day, by hand"] = hand[::2], hand[1::2]
    rows = []
    for name, (sums, rows_s) in taken.items():
        share = figures.ratio(sums, rows_s)
        is_goal = name in ("kpi_campaign", "kpi_days")
        rows.append(
            Row(
                f"{name} of {days} days: A from sums, B from calls and states",
                figures.spread(sums, ".3f", " s"),
                figures.spread(rows_s, ".3f", " s"),
                f"{share:.2f}",
                f"≤ {GOAL}" if is_goal else "",
                share <= GOAL if is_goal else None,
            )
        )
    remarks = [f"{calls:,} calls of {AGENTS} agents; processor time of one thread, planning included"]
    return Measured(rows, remarks, {name: {"sums_s": a, "rows_s": b} for name, (a, b) in taken.items()})


def _store(data_dir: Path, days: int) -> None:
    """Store the floor's days from MONDAY on, newest first, and publish them."""
    store = Store(data_dir / "store.duckdb")
    publisher = Publisher(store, data_dir / "published", load(ROOT / "campaigns.toml"))
    as_of = dt.datetime.combine(MONDAY + dt.timedelta(days=days), dt.time(6), dt.UTC)
    moment, partition = Moment(as_of, as_of), Partition("bench", 0, "bench", "bench")
    sorter, offset = Sorter(PERSONS), 0
    for back in range(1, days + 1):
        events = Day(MONDAY + dt.timedelta(days=days - back), agents=AGENTS, seed=1).run()
        values = [value for _, value in records_by_key(events, PAST_LINES)]
        records = [SimpleNamespace(offset=offset + n, timestamp=-1, value=value) for n, value in enumerate(values)]
        offset += len(records)
        with store.transaction():
            store.apply(sorter.sort(Batch({partition: list(records)}, {partition: offset})))
            publisher.judge(moment)
            publisher.settle(moment)
    publisher.judge(moment)
    publisher.write(moment)
    store.close()


def _taken(published: duckdb.DuckDBPyConnection, days: int, rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return for each macro the processor times from sums, and from rows [s]."""
    first, after = MONDAY, MONDAY + dt.timedelta(days=days)
    given = {"first": first, "after": after, "t0": f"{first} 00:00:00+00", "t1": f"{after} 00:00:00+00"}
    queries = {}
    for name, arguments in ASKED.items():
        grain = GRAINS[name]
        parameters = ", ".join(grain.parameters)
        for way, own in (("sums", grain), ("rows", replace(grain, sums=None))):
            published.execute(f"CREATE TEMP MACRO {name}_{way}({parameters}) AS TABLE {select(own)}")
        queries[name] = [f"FROM {name}_{way}({arguments.format(**given)})" for way in ("sums", "rows")]
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in queries}
    for _ in range(rounds):
        for name, (sums, rows) in queries.items():
            taken[name][0].append(_cpu_s(published, sums))
            taken[name][1].append(_cpu_s(published, rows))
    return taken


def _cpu_s(published: duckdb.DuckDBPyConnection, sql: str) -> float:
    began = time.process_time()
    published.execute(sql).fetchall()
    return time.process_time() - began
