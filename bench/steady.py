"""The delay from sending an event to finding it in the published file, with the quarter of an hour before it stored.

Nothing of the last `lateness_s` is settled, so a consumer that has run for a quarter of an hour has more to do at each
publish than one that has just begun. Both are measured in turn, on the same floor, whose agents both know.
"""

import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import figures
from bench.children import cpu_s, in_background, must_run, peak_mb, resident_mb
from bench.delay import LOOK_EVERY_S, Watch
from bench.figures import Measured, Row
from ingest.topic.broker import ensure_topic, running_broker

RATE = 1_500
SECONDS = 60
ROUNDS = 2
LATENESS_S = 900.0
GOALS = {1_500: (1.0, 2.0), 15_000: (2.0, math.inf)}
"""By rate: the highest p95 and p99 [s]."""
RATIO = 1.3
CAUGHT_UP_WITHIN_S = 900.0
CAUGHT_UP_EVENTS = 2.0  # seconds of the rate
SEEN_WITHIN_S = 30.0


def measure() -> Measured:
    rate = int(os.environ.get("VIGIE_BENCH_RATE") or RATE)
    seconds = float(os.environ.get("VIGIE_BENCH_SECONDS") or SECONDS)
    rounds = int(os.environ.get("VIGIE_BENCH_ROUNDS") or ROUNDS)
    found: dict[str, list[dict[str, Any]]] = {"full": [], "empty": []}
    for number in range(rounds):
        for state in ("full", "empty") if number % 2 == 0 else ("empty", "full"):
            found[state].append(_measure(rate, seconds, LATENESS_S if state == "full" else 0.0))
    p95, p99, median = (
        {state: [one["delays_s"][share] for one in own] for state, own in found.items()}
        for share in ("0.95", "0.99", "0.5")
    )
    ratio = figures.ratio(p95["full"], p95["empty"])
    goal = GOALS.get(rate)
    row = Row(
        f"sent to published at {rate:,} events per second, {LATENESS_S / 60:.0f} minutes stored (A) or none (B)",
        f"p95 {figures.spread(p95['full'], '.2f', ' s')}",
        f"p95 {figures.spread(p95['empty'], '.2f', ' s')}",
        f"{ratio:.2f}",
        f"A p95 ≤ {goal[0]:g} s, p99 ≤ {goal[1]:g} s, ratio ≤ {RATIO:g}" if goal else "",
        max(p95["full"]) <= goal[0] and max(p99["full"]) <= goal[1] and ratio <= RATIO if goal else None,
    )
    remarks = []
    for state, own in found.items():
        of = {name: [one[name] for one in own] for name in own[0]}
        remarks += [
            f"steady, {state}: median {figures.spread(median[state], '.2f', ' s')},"
            f" p99 {figures.spread(p99[state], '.2f', ' s')}, {figures.spread(of['snapshots'])} snapshots in"
            f" {seconds:g} s, each of {figures.spread(of['published_mb'])} MB; the consumer's memory was"
            f" {figures.spread(of['memory_mb'])} MB at the end, {figures.spread(of['peak_mb'])} MB at most; it"
            f" used {figures.spread(of['cpu'], '.0%')} of a core.",
            f"steady, {state}: the generator sent {figures.spread(of['rate'])} events per second,"
            f" {figures.spread(of['late_p99_s'], '.2f', ' s')} late at p99; of {sum(of['marks']):,} markers"
            f" {sum(of['unseen'])} did not appear.",
        ]
    return Measured([row], remarks, {**found})


def _measure(rate: int, seconds: float, past_s: float) -> dict[str, Any]:
    with running_broker() as broker, tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        servers, topic = broker.bootstrap_servers, "bench-steady"
        ensure_topic(servers, topic)
        log, sent_log = Path(directory, "consumer.log"), Path(directory, "floor.log")
        watch = Watch(Path(directory, "published", "vigie.duckdb"))
        floor = ("-m", "bench.floor", servers, topic, str(rate), str(past_s))
        run = ("-m", "ingest", "run", "--bootstrap-servers", servers, "--topic", topic, "--data-dir", directory)
        with in_background(*floor, log=sent_log) as sender, in_background(*run, log=log) as consumer:
            deadline = time.monotonic() + CAUGHT_UP_WITHIN_S
            while not (watch.has_marks and watch.lag < rate * CAUGHT_UP_EVENTS) and time.monotonic() < deadline:
                must_run(consumer, log)
                must_run(sender, sent_log)
                watch.look()
                time.sleep(LOOK_EVERY_S)
            begun_us, before, used_s = time.time() * 1e6, len(watch.seen), cpu_s(consumer.pid) or 0.0
            ends_at = time.monotonic() + seconds
            while time.monotonic() < ends_at:
                must_run(consumer, log)
                watch.look()
                time.sleep(LOOK_EVERY_S)
            ended_us, snapshots = time.time() * 1e6, len(watch.seen) - before
            used_s = (cpu_s(consumer.pid) or 0.0) - used_s
            memory_mb, highest_mb = resident_mb(consumer.pid), peak_mb(consumer.pid)
            published_mb = watch.path.stat().st_size / 1e6
            while time.time() * 1e6 < ended_us + SEEN_WITHIN_S * 1e6 and not watch.reached(ended_us):
                watch.look()
                time.sleep(LOOK_EVERY_S)
        sent = json.loads(sent_log.read_text().splitlines()[-1])
    marks = [mark for mark in sent["marks"] if begun_us <= mark[1] < ended_us]
    delays = watch.delays(marks)
    return {
        "delays_s": {str(share): figures.percentile(delays, share) for share in (0.5, 0.95, 0.99)},
        "marks": len(marks),
        "unseen": len(marks) - len(delays),
        "snapshots": snapshots,
        "cpu": used_s / seconds,
        "memory_mb": memory_mb,
        "peak_mb": highest_mb,
        "published_mb": published_mb,
        "rate": sent["rate"],
        "late_p99_s": sent["late_p99_s"],
        "copies": sent["copies"],
    }
