"""A year behind: what it costs an analyst, the macros, the contract page, a publish, a wall and a start.

`VIGIE_BENCH_COPIES` says how many floors of 160 agents the year has (history.py). Times are processor times of one
thread, planning included. "From rows" are the macros as they were before sums were kept.
"""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from bench import figures
from bench.children import ROOT, report, result_of
from bench.figures import Measured, Row
from bench.history import WEEK, add_history, apply, configuration, events_between
from bench.simulated import MONDAY
from ingest.archive.inventory import PUBLISHED
from ingest.publishing.publish import Moment, Publisher
from ingest.store.store import Store
from metrics.authorisation.viewer import Viewer
from metrics.composition.compose import select
from metrics.composition.grains import GRAINS
from metrics.published.opening import open_snapshot
from metrics.readers.contract.sla import Period, sla
from metrics.readers.snapshot import Published
from metrics.readers.wall import board

WEEKS = 52
COPIES = 8
ROUNDS = 3
TICKS = 10
TICK = dt.timedelta(seconds=15)
TODAY = MONDAY + dt.timedelta(days=WEEK)
MIDNIGHT = dt.datetime.combine(TODAY, dt.time(), dt.UTC)
EVENING, NIGHT = (MIDNIGHT + dt.timedelta(hours=hours) for hours in (19, 1))

BY_HAND = """
SELECT month(day) AS month, isodow(day) AS weekday, count(*) AS offered,
       count(*) FILTER (outcome = 'answered') AS answered,
       count(*) FILTER (outcome = 'answered' AND in_threshold) / count(*) FILTER (outcome <> 'short_abandoned') AS level
FROM read_parquet('{folder}/calls/*/*.parquet', hive_partitioning = true, hive_types = {{day: DATE}})
WHERE campaign IN ({campaigns}) AND direction IS DISTINCT FROM 'outbound' AND outcome <> 'refused'
GROUP BY ALL
ORDER BY ALL
"""
FROM_SUMS = """
SELECT month(day) AS month, isodow(day) AS weekday, sum(offered)::BIGINT AS offered, sum(answered)::BIGINT AS answered,
       sum(answered_in_threshold) / sum(offered - short_abandoned) AS level
FROM call_sums
WHERE campaign IN ({campaigns})
GROUP BY ALL
HAVING sum(offered) > 0
ORDER BY ALL
"""
FROM_DAYS = FROM_SUMS.replace("call_sums", "kpi_daily")


def measure() -> Measured:
    copies = int(os.environ.get("VIGIE_BENCH_COPIES") or COPIES)
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        year = Path(directory, "year")
        began = time.monotonic()
        store = _store(year)
        add_history(store, WEEKS, copies)
        made_s = time.monotonic() - began
        publisher = Publisher(store, year / "published", configuration())
        _publish(publisher, Moment(MIDNIGHT, MIDNIGHT))
        publisher.close()
        counts, megabytes = _contents(store)
        rows = _analyst(year) + _macros(year)
        evening = _ticks(store, EVENING)
        store.close()
        alone = {at: _ticks(_store(Path(directory, f"{at:%H}")), at) for at in (EVENING, NIGHT)}
        rows += _compared(evening, alone[EVENING], "the same evening with nothing behind", None)
        rows += _compared(evening, alone[NIGHT], "an hour after midnight with nothing behind", 1.5)
        started = _killed(year)
    rows.append(
        Row(
            "start after kill -9 with a year behind, until the first batch is stored",
            figures.spread(started["cpu_s"], ".2f", " s"),
            "",
            "",
            "≤ 5 s",
            median(started["cpu_s"]) <= 5.0,
        )
    )
    remarks = [
        f"{counts['calls']:,} calls and {counts['agent_states']:,} states of a year, {megabytes:,.0f} MB of Parquet in"
        f" {counts['files']:,} files, made in {made_s:.0f} s; {started['events']:,} archived events; processor times",
        f"wall clock of the start: {figures.spread(started['wall_s'], '.2f', ' s')}",
        "load after: {:.1f}, {:.1f}, {:.1f} (1, 5, 15 minutes)".format(*os.getloadavg()),
    ]
    return Measured(rows, remarks, {"counts": counts, "evening": evening, **{f"{at}": a for at, a in alone.items()}})


def _store(data_dir: Path) -> Store:
    data_dir.mkdir(exist_ok=True)
    return Store(data_dir / "store.duckdb")


def _publish(publisher: Publisher, moment: Moment) -> None:
    publisher.judge(moment)
    publisher.write(moment)


def _contents(store: Store) -> tuple[dict[str, int], float]:
    """The rows by relation and the number of published files; and their size [MB]."""
    counts = dict(store.sql("SELECT relation, sum(rows)::BIGINT FROM segments GROUP BY relation").fetchall())
    ((files,),) = store.sql("SELECT count(*) FROM segments WHERE relation <> 'events'").fetchall()
    size = sum(file.stat().st_size for relation in PUBLISHED for file in store.segments.files(relation))
    return counts | {"files": files}, size / 1e6


def _analyst(data_dir: Path) -> list[Row]:
    """A year of one client by month and weekday: from sums, from the macros, and with SQL over the files."""
    client = next(iter(configuration().clients))
    names = [name for name, campaign in configuration().campaigns.items() if campaign.client == client]
    given = {"campaigns": ", ".join(f"'{name}'" for name in names), "folder": data_dir / "published"}
    taken: dict[str, list[float]] = {FROM_SUMS: [], FROM_DAYS: [], BY_HAND: []}
    answers = {}
    with _opened(data_dir) as published, duckdb.connect(config={"threads": 1}) as plain:
        for _ in range(ROUNDS):
            for query, own in taken.items():
                connection = plain if query == BY_HAND else published
                own.append(_cpu_s(lambda: connection.execute(query.format(**given)).fetchall()))  # noqa: B023
                answers[query] = connection.execute(query.format(**given)).fetchall()
    if not answers[FROM_SUMS] == answers[FROM_DAYS] == answers[BY_HAND]:
        raise ValueError("sums and calls do not give the same figures")
    return [
        _row(
            f"a year of one client by month and weekday: A from {source}, B by hand", taken[query], taken[BY_HAND], 0.2
        )
        for query, source in ((FROM_SUMS, "call_sums"), (FROM_DAYS, "kpi_daily"))
    ]


def _macros(data_dir: Path) -> list[Row]:
    """Macros and the contract page, from sums and from rows."""
    rows_file = data_dir / "published" / "from-rows.duckdb"
    shutil.copyfile(data_dir / "published" / "vigie.duckdb", rows_file)
    with duckdb.connect(rows_file) as connection:
        for name, grain in GRAINS.items():
            if grain.sums:
                body = select(replace(grain, sums=None))
                connection.execute(f"CREATE OR REPLACE MACRO {name}({', '.join(grain.parameters)}) AS TABLE {body}")
    first = (TODAY.replace(day=1) - dt.timedelta(days=1)).replace(day=1)
    month = f"'{first} 00:00:00+00', '{TODAY.replace(day=1)} 00:00:00+00'"
    queries = {"kpi_campaign of a month": f"FROM kpi_campaign({month})", "kpi_daily of a year": "FROM kpi_daily"}
    rows = []
    for what, sql in queries.items():
        query = f"{sql} ORDER BY ALL"
        taken: tuple[list[float], list[float]] = [], []
        answers = []
        for own, file in zip(taken, ("vigie.duckdb", "from-rows.duckdb"), strict=True):
            with _opened(data_dir, file) as published:
                for _ in range(ROUNDS if file == "vigie.duckdb" else 1):
                    own.append(_cpu_s(lambda: published.execute(query).fetchall()))  # noqa: B023
                answers.append(published.execute(query).fetchall())
        if answers[0] != answers[1]:
            raise ValueError(f"sums and rows do not give the same {what}")
        rows.append(_row(f"{what}: A from sums, B from rows", *taken, 0.1))
    campaign = next(iter(configuration().campaigns))
    period = Period.month(first)
    pages: tuple[list[float], list[float]] = [], []
    for own, file in zip(pages, ("vigie.duckdb", "from-rows.duckdb"), strict=True):
        for _ in range(ROUNDS if file == "vigie.duckdb" else 1):
            page = Published(data_dir / "published" / file)
            own.append(_cpu_s(lambda: sla(page, Viewer("manager", None), campaign, period, b"bench")))  # noqa: B023
            page.close()
    rows_file.unlink()
    return [*rows, _row("contract page of a month: A from sums, B from rows", *pages, 0.1)]


def _ticks(store: Store, until: dt.datetime) -> dict[str, list[float]]:
    """Store the floor's day until then, then publish every TICK; return what each publish and wall cost."""
    published = store.folder / "published"
    publisher = Publisher(store, published, configuration())
    apply(store, events_between(TODAY, None, until))
    publisher.judge(Moment(until, until))
    publisher.settle(Moment(until, until))
    _publish(publisher, Moment(until, until))
    page = Published(published / "vigie.duckdb")
    board(page, Viewer("manager", None))  # what is asked once an hour
    taken: dict[str, list[float]] = {"publish_s": [], "wall_s": [], "snapshot_mb": []}
    for _ in range(TICKS):
        begin, until = until, until + TICK
        apply(store, events_between(TODAY, begin, until))
        moment = Moment(until, until)
        taken["publish_s"].append(_cpu_s(lambda: _publish(publisher, moment)))  # noqa: B023
        taken["wall_s"].append(_cpu_s(lambda: board(page, Viewer("manager", None))))
        taken["snapshot_mb"].append((published / "vigie.duckdb").stat().st_size / 1e6)
    page.close()
    publisher.close()
    return taken


def _compared(year: dict[str, list[float]], other: dict[str, list[float]], what: str, goal: float | None) -> list[Row]:
    snapshots = f", snapshots of {median(year['snapshot_mb']):.1f} and {median(other['snapshot_mb']):.1f} MB"
    return [
        _row(
            f"a publish on an evening with a year behind (A), {what} (B){snapshots}",
            year["publish_s"],
            other["publish_s"],
            goal,
        ),
        _row("a wall's tick, likewise", year["wall_s"], other["wall_s"], goal),
    ]


def _killed(data_dir: Path) -> dict[str, Any]:
    """Kill a consumer's process in the middle of its work, and start another; ROUNDS times."""
    found: dict[str, Any] = {"cpu_s": [], "wall_s": []}
    for _ in range(ROUNDS):
        command = [sys.executable, "-m", "bench.year", "work", str(data_dir)]
        environment = os.environ | {"PYTHONTZPATH": ""}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()  # it has published, and goes on
            child.send_signal(signal.SIGKILL)
        start = result_of("bench.year", "start", data_dir)
        found["cpu_s"].append(start["cpu_s"])
        found["wall_s"].append(start["wall_s"])
        found["events"] = start["events"]
    return found


def _row(what: str, a: list[float], b: list[float], goal: float | None) -> Row:
    share = figures.ratio(a, b)
    spreads = figures.spread(a, ".3f", " s"), figures.spread(b, ".3f", " s")
    return Row(what, *spreads, f"{share:.3f}", f"≤ {goal}" if goal else "", share <= goal if goal else None)


def _opened(data_dir: Path, file: str = "vigie.duckdb") -> duckdb.DuckDBPyConnection:
    published = open_snapshot(data_dir / "published" / file, threads=1)
    published.execute("SET enable_progress_bar = false")
    return published


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def work(data_dir: Path) -> None:
    """Store and publish until killed; say when the first is published."""
    store = Store(data_dir / "store.duckdb")
    publisher = Publisher(store, data_dir / "published", configuration())
    until = EVENING + TICKS * TICK
    while True:
        begin, until = until, until + TICK
        apply(store, events_between(TODAY, begin, until))
        _publish(publisher, Moment(until, until))
        sys.stdout.write(f"{until}\n")
        sys.stdout.flush()


def start(data_dir: Path) -> None:
    """Open the store and store a batch; report how long that took, without the imports and the events' making."""
    until = EVENING
    records = list(events_between(TODAY, until, until + TICK))
    began_s, cpu_s = time.perf_counter(), time.process_time()
    store = Store(data_dir / "store.duckdb")
    Publisher(store, data_dir / "published", configuration())
    apply(store, records)
    took = {"wall_s": time.perf_counter() - began_s, "cpu_s": time.process_time() - cpu_s}
    ((events,),) = store.sql("SELECT sum(rows)::BIGINT FROM segments WHERE relation = 'events'").fetchall()
    report(took | {"events": events})


if __name__ == "__main__":
    {"work": work, "start": start}[sys.argv[1]](Path(sys.argv[2]))
