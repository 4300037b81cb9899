"""Thirty days at speed with five viewers: are memory and handles flat, and are the figures those of the raw events?

Consumer, floor and dashboard run on a clock that is faster than the machine's (clock.c, which needs a C compiler). Four
televisions and a person ask for the wall every two seconds of the machine's clock. The person signs in again when the
session has ended, after 12 hours of the other. At the end the figures of each campaign and day that is over are
compared with SQL over the records of the topic, which shares no code with Vigie.

VIGIE_BENCH_DAYS is the number of days (default: 30, at least 2). VIGIE_BENCH_SPEED is how many times faster the clock
runs (default: 2880, so that 30 days take 15 minutes). VIGIE_BENCH_AGENTS is the size of the floor (default: 20).
"""

import asyncio
import json
import os
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import pyarrow as pa
from kafka import KafkaConsumer, TopicPartition
from websockets.exceptions import WebSocketException

from bench.children import ROOT, open_files, resident_mb, threads
from bench.clock import another_clock
from bench.figures import Measured, Row
from bench.viewers import Live, Viewer, add_account, add_manager, live_dashboard, sign_in
from metrics.published.opening import open_snapshot

TOPIC = "bench-month"
DAYS, SPEED, AGENTS = 30, 2880, "20"
TELEVISIONS = 4
TICK_S = 5.0
SAMPLES_A_DAY = 4
DAY_S = 86_400.0
LIVE_WITHIN_S = 15.0
PATIENCE_S = 600.0  # whoever gives up and comes again adds to what the dashboard has to do
ALL_READ_WITHIN_S = 300.0
FLAT = 1.1
"""The last third may use so many times what the second third used."""
AS_MUCH = 1.25
"""What grows with the days that are kept may grow so many times as fast: ten days have two Sundays, or one."""
KEPT = (
    ("consumer_mb", "MB", "resident memory of the consumer"),
    ("consumer_files", "", "files and sockets that the consumer has open"),
    ("consumer_threads", "", "threads of the consumer"),
    ("dashboard_mb", "MB", "resident memory of the dashboard"),
    ("dashboard_files", "", "files and sockets that the dashboard has open"),
    ("dashboard_threads", "", "threads of the dashboard"),
)
GROWN = (("disk_files", "", "files on the disk"), ("disk_mb", "MB", "the size of other files on the disk"))
"""These grow with the days that are kept; they should not grow faster in the last third than in the second."""

#: The figures as the raw events have them. Written for this benchmark, from docs/events.md and docs/kpis.md.
FROM_RECORDS = """
WITH events AS (
    SELECT DISTINCT ON (event->>'event_id')
        event->>'event_id' AS event_id, event->>'type' AS type, (event->>'ts')::TIMESTAMPTZ AS ts,
        event->>'call_id' AS call_id, event->>'campaign' AS campaign, event->>'direction' AS direction,
        event->>'reason' AS reason
    FROM (SELECT line::JSON AS event FROM records)
),
calls AS (
    SELECT
        call_id,
        arg_min(campaign, (ts, event_id)) FILTER (type = 'call.queued') AS campaign,
        arg_min(direction, (ts, event_id)) FILTER (type = 'call.queued') AS direction,
        min(ts) FILTER (type = 'call.queued') AS queued_at,
        min(ts) FILTER (type = 'call.answered') AS answered_at,
        min(ts) FILTER (type IN ('call.ended', 'call.transferred')) AS ended_at,
        bool_or(type = 'call.dialed') AS is_dialed,
        bool_or(type = 'call.abandoned') AS is_abandoned,
        arg_min(reason, (ts, event_id)) FILTER (type = 'call.left_queue') AS left_for
    FROM events
    GROUP BY call_id
),
outcomes AS (
    SELECT *,
        (queued_at AT TIME ZONE timezone)::DATE AS day,
        CASE
            WHEN answered_at IS NOT NULL THEN 'answered'
            WHEN is_abandoned THEN 'abandoned'
            WHEN left_for IN ('closed', 'full', 'no_agents') THEN 'refused'
            WHEN left_for IN ('timeout', 'system') THEN 'dropped'
            WHEN left_for IS NOT NULL THEN left_for
            WHEN ended_at IS NOT NULL THEN 'abandoned'
            ELSE 'dropped'
        END AS outcome
    FROM calls JOIN zones USING (campaign)
    WHERE queued_at IS NOT NULL
        AND coalesce(direction, CASE WHEN is_dialed THEN 'outbound' ELSE 'inbound' END) != 'outbound'
)
SELECT
    campaign,
    day,
    count(*) FILTER (outcome != 'refused') AS offered,
    count(*) FILTER (outcome = 'answered') AS answered,
    count(*) FILTER (outcome = 'abandoned') AS abandoned,
    count(*) FILTER (outcome = 'overflow') AS overflowed,
    count(*) FILTER (outcome = 'callback') AS callback,
    count(*) FILTER (outcome = 'voicemail') AS voicemail,
    count(*) FILTER (outcome = 'dropped') AS dropped,
    count(*) FILTER (outcome = 'refused') AS refused,
    avg(epoch(answered_at) - epoch(queued_at)) AS asa_s,
    max(epoch(answered_at) - epoch(queued_at)) AS longest_answered_s,
    avg(epoch(ended_at) - epoch(answered_at)) AS talk_and_hold_s
FROM outcomes
WHERE day < $until
GROUP BY campaign, day
ORDER BY campaign, day
"""
PUBLISHED = """
WITH answered AS (
    SELECT campaign, day, max(wait_s) AS longest_answered_s, avg(talk_s + hold_s) AS talk_and_hold_s
    FROM calls
    WHERE outcome = 'answered' AND direction != 'outbound'
    GROUP BY campaign, day
)
SELECT campaign, day, offered, answered, abandoned + short_abandoned, overflowed, callback, voicemail, dropped, refused,
    asa_s, longest_answered_s, talk_and_hold_s
FROM kpi_daily LEFT JOIN answered USING (campaign, day)
WHERE day < $until AND offered + refused > 0
ORDER BY campaign, day
"""
STATUS = """
SELECT records, dead_letters, as_of::DATE, (SELECT list(DISTINCT kind ORDER BY kind) FROM alarms)
FROM ingest_status
"""

Sample = dict[str, float]
Figures = list[tuple[Any, ...]]


def measure() -> Measured:
    days = float(os.environ.get("VIGIE_BENCH_DAYS") or DAYS)
    speed = int(os.environ.get("VIGIE_BENCH_SPEED") or SPEED)
    agents = os.environ.get("VIGIE_BENCH_AGENTS") or AGENTS
    with (
        another_clock(None, speed) as clock,
        live_dashboard(TOPIC, TICK_S, {**clock, "VIGIE_AGENTS": agents}, LIVE_WITHIN_S * speed) as live,
    ):
        samples, visits = asyncio.run(_watch(live, days, DAY_S / speed))
        live.floor.terminate()
        live.floor.wait()
        records = _records(live.broker.bootstrap_servers)
        published, status = _when_all_is_read(Path(live.directory, "published", "vigie.duckdb"), len(records))
    expected = _expected(records, status["until"])
    differing = set(_comparable(published)) ^ set(_comparable(expected))
    for row in sorted(differing):
        sys.stderr.write(f"differs: {row}\n")
    status |= {"compared": len(expected), "differing": len({row[:2] for row in differing})}
    return _measured(samples, days, speed, visits, status)


async def _watch(live: Live, days: float, day_s: float) -> tuple[list[Sample], dict[str, int]]:
    """Let the viewers look for `days` of `day_s` each; return samples of the programs, and what the viewers met."""
    forms = [("/sign-in", add_manager(live.directory))]
    for number in range(TELEVISIONS):
        address = add_account(live.directory, "tv", "add", f"bench-{number}")
        forms.append(("/tv", {"token": address.partition("#")[2]}))
    url = live.address.replace("http", "ws") + "/_stcore/stream"
    visits = {"sessions": 0, "ticks": 0, "failed": 0}

    async def visit(path: str, fields: Mapping[str, str]) -> None:
        while True:
            cookie = await asyncio.to_thread(sign_in, live.address, path, fields)
            viewer = Viewer(url, cookie, lambda: True, PATIENCE_S)
            try:
                await viewer.watch(asyncio.Event(), 0.0)
            except WebSocketException:
                pass  # the session has ended
            finally:
                visits["sessions"] += 1
                visits["ticks"] += len(viewer.ticks)
                visits["failed"] += viewer.failed

    tasks = [asyncio.create_task(visit(*form)) for form in forms]
    samples: list[Sample] = []
    began = time.monotonic()
    try:
        while (passed_s := time.monotonic() - began) < days * day_s:
            samples.append({"day": round(passed_s / day_s, 2), **_sample(live)})
            sys.stderr.write(json.dumps(samples[-1]) + "\n")
            for task in tasks:
                if task.done():
                    task.result()  # raises the error that ended the viewer
            await asyncio.sleep(day_s / SAMPLES_A_DAY)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return samples, visits


def _sample(live: Live) -> Sample:
    sample: Sample = {}
    for name, process in (("consumer", live.consumer), ("dashboard", live.dashboard)):
        sample[f"{name}_mb"] = round(resident_mb(process.pid))
        sample[f"{name}_files"] = open_files(process.pid)
        sample[f"{name}_threads"] = threads(process.pid)
    sizes = dict(_sizes(Path(live.directory)))
    sample["store_mb"] = round(sum(size for path, size in sizes.items() if path.name.startswith("store.")) / 1e6, 1)
    sample["disk_files"] = len(sizes)
    sample["disk_mb"] = round(sum(sizes.values()) / 1e6 - sample["store_mb"], 1)
    return sample


def _sizes(directory: Path) -> Iterable[tuple[Path, int]]:
    """The sizes of files [bytes], without those that are removed meanwhile."""
    for path in directory.rglob("*"):
        try:
            if path.is_file():
                yield path, path.stat().st_size
        except FileNotFoundError:
            continue


def _records(servers: str) -> list[bytes]:
    """The value of every record of the topic."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, consumer_timeout_ms=5_000)
    partitions = [TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    values = [record.value for record in consumer]
    consumer.close()
    return values


def _when_all_is_read(path: Path, records: int) -> tuple[Figures, dict[str, Any]]:
    """The published figures of the days that are over, once the consumer has read everything."""
    deadline = time.monotonic() + ALL_READ_WITHIN_S
    while time.monotonic() < deadline:
        with open_snapshot(path) as snapshot:
            ((read, letters, until, alarms),) = snapshot.execute(STATUS).fetchall()
            if read == records:
                figures = snapshot.execute(PUBLISHED, {"until": until}).fetchall()
                return figures, {"records": read, "dead letters": letters, "until": until, "alarms": alarms or []}
        time.sleep(1.0)
    raise TimeoutError(f"the consumer did not read all {records} records within {ALL_READ_WITHIN_S:g} s")


def _expected(records: list[bytes], until: Any) -> Figures:
    settings = tomllib.loads((ROOT / "campaigns.toml").read_text())
    zone = settings["defaults"]["timezone"]
    zones = {name: campaign.get("timezone", zone) for name, campaign in settings["campaigns"].items()}
    with duckdb.connect() as connection:
        connection.register("records", pa.table({"line": b"\n".join(records).decode().splitlines()}))
        connection.register("zones", pa.table({"campaign": list(zones), "timezone": list(zones.values())}))
        return connection.execute(FROM_RECORDS, {"until": until}).fetchall()


def _comparable(figures: Figures) -> list[tuple[str, ...]]:
    """The figures as text; seconds to a millisecond, because sums are added in different orders."""
    return [tuple(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row) for row in figures]


def _measured(
    samples: list[Sample], days: float, speed: int, visits: dict[str, int], result: dict[str, Any]
) -> Measured:
    third = len(samples) // 3
    second, last = samples[third : 2 * third], samples[2 * third :]
    rows = [_row(second, last, *kept) for kept in KEPT]
    for name, unit, title in GROWN:
        before, after = _a_day(second, name), _a_day(last, name)
        a, b = (f"{growth:+,.1f} {unit}".strip() + " a day" for growth in (before, after))
        rows.append(Row(title, a, b, "", f"B ≤ {AS_MUCH:g} A", after <= AS_MUCH * before))
    rows.append(
        Row(
            "campaigns and days whose figures are those of SQL over the raw events",
            f"{result['compared'] - result['differing']:,} of {result['compared']:,}",
            "",
            "",
            "all",
            result["differing"] == 0 < result["compared"],
        )
    )
    first, end = samples[0], samples[-1]
    remarks = [
        f"month: {days:g} days on a clock {speed:,} times as fast. A is the median of the second third, B of the last"
        " third; of what grows with the days that are kept, it is the growth by day.",
        f"month: {result['records']:,} records, {result['dead letters']:,} dead letters; alarms at the end:"
        f" {', '.join(result['alarms']) or 'none'}. The viewers had {visits['sessions']:,} sessions with"
        f" {visits['ticks']:,} ticks, of which {visits['failed']:,} failed.",
        f"month: the store and its log had {min(sample['store_mb'] for sample in samples):,} to"
        f" {max(sample['store_mb'] for sample in samples):,} MB, because the log is written into the store once a day.",
        f"month: {first['disk_files']:,} files of {first['disk_mb']:,} MB at the beginning, {end['disk_files']:,} of"
        f" {end['disk_mb']:,} MB at the end.",
    ]
    return Measured(rows, remarks, {"samples": samples, **visits, **{k: str(v) for k, v in result.items()}})


def _row(second: list[Sample], last: list[Sample], name: str, unit: str, title: str) -> Row:
    before, after = (median(sample[name] for sample in part) for part in (second, last))
    a, b = (f"{value:,.0f} {unit}".strip() for value in (before, after))
    return Row(title, a, b, f"{after / before:.2f}", f"B ≤ {FLAT:g} A", after <= FLAT * before)


def _a_day(samples: list[Sample], name: str) -> float:
    """The median slope over all pairs of samples: files are merged from time to time, and one step would distort it."""
    return median((b[name] - a[name]) / (b["day"] - a["day"]) for a, b in combinations(samples, 2))
