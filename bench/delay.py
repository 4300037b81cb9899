"""The delay from sending an event to finding it in the published file, at 1,500 events per second."""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from bench import figures
from bench.children import in_background, must_run, result_of
from bench.figures import Measured, Row
from bench.load import MARKER
from ingest.topic.broker import running_broker

RATE = 1_500
SECONDS = 30
HISTORY = 100_000
"""Events loaded before the measurement: half a day of the floor, so that the store is not empty."""
TOPIC = "bench-delay"
GOAL_S = 1.0
LOOK_EVERY_S = 0.005
STARTED_WITHIN_S = 180.0
SEEN_WITHIN_S = 30.0
"""Watch the published file this long for the last events."""


@dataclass
class Watch:
    """Follows the published file, and records when each marker first appeared in it."""

    path: Path
    # (time [s since 1970], newest marker by partition)
    seen: list[tuple[float, dict[int, int]]] = field(default_factory=list)
    events: int = 0
    lag: int = -1
    _last_file: tuple[int, int] | None = None  # inode and modification time [ns]

    def look(self) -> None:
        """Read the published file if it was replaced since the last time."""
        try:
            stat = os.stat(self.path)
        except FileNotFoundError:
            return
        if self._last_file == (stat.st_ino, stat.st_mtime_ns):
            return
        self._last_file = (stat.st_ino, stat.st_mtime_ns)
        with duckdb.connect(str(self.path), read_only=True) as published:
            ((self.events, self.lag),) = published.execute("SELECT events, lag FROM ingest_status").fetchall()
            newest = published.execute(
                "SELECT agent[$from:]::INTEGER, epoch_us(since) FROM agents WHERE starts_with(agent, $marker)",
                {"from": len(MARKER) + 1, "marker": MARKER},
            ).fetchall()
        self.seen.append((time.time(), dict(newest)))

    @property
    def has_marks(self) -> bool:
        """Whether any marker has appeared."""
        return bool(self.seen and self.seen[-1][1])

    def reached(self, sent: float) -> bool:
        """Whether each partition shows a marker that was sent at `sent` [µs since 1970] or later."""
        return self.has_marks and min(self.seen[-1][1].values()) >= sent

    def delays(self, marks: list[list[int]]) -> list[float]:
        """Return the delay [s] of each mark (partition, time of sending [µs since 1970]) that appeared."""
        delays = []
        for partition, sent in marks:
            at = next((instant for instant, newest in self.seen if newest.get(partition, 0) >= sent), None)
            if at is not None:
                delays.append(at - sent / 1e6)
        return delays


def measure(rate: int = RATE, seconds: int = SECONDS) -> Measured:
    with running_broker() as broker, tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        servers = broker.bootstrap_servers
        result_of("bench.simulated", servers, TOPIC, HISTORY)
        log = Path(directory, "consumer.log")
        watch = Watch(Path(directory, "published", "vigie.duckdb"))
        run = ("-m", "ingest", "run", "--bootstrap-servers", servers, "--topic", TOPIC, "--data-dir", directory)
        with in_background(*run, log=log) as consumer, ThreadPoolExecutor(1) as pool:
            deadline = time.monotonic() + STARTED_WITHIN_S
            while (watch.events, watch.lag) != (HISTORY, 0) and time.monotonic() < deadline:
                must_run(consumer, log)
                watch.look()
                time.sleep(LOOK_EVERY_S)
            watch.seen.clear()
            load = pool.submit(result_of, "bench.load", servers, TOPIC, rate, seconds)
            given_up_at: float | None = None
            while True:
                must_run(consumer, log)
                watch.look()
                if load.done():
                    sent = load.result()
                    given_up_at = given_up_at or time.monotonic() + SEEN_WITHIN_S
                    if watch.events >= HISTORY + sent["sent"] or time.monotonic() > given_up_at:
                        break
                time.sleep(LOOK_EVERY_S)
    delays = watch.delays(sent["marks"])
    unseen = len(sent["marks"]) - len(delays)
    shares = {share: figures.percentile(delays, share) for share in (0.5, 0.95, 0.99)}
    row = Row(
        f"sent to published, {rate:,} events per second for {seconds} s",
        f"p95 {shares[0.95]:.2f} s",
        f"median {shares[0.5]:.2f} s, p99 {shares[0.99]:.2f} s",
        "",
        f"p95 ≤ {GOAL_S:g} s",
        shares[0.95] <= GOAL_S and not unseen,
    )
    remarks = [
        f"delay: {len(delays):,} marker events among the others, 4 every 50 ms, each timed from before its send() until"
        f" a query finds it in the published file, which is opened read-only at each change; {unseen} did not appear.",
        f"delay: the generator is a separate process and sent {sent['sent']:,} events at {sent['rate']:,.0f}/s,"
        f" {sent['late_p99_s'] * 1e3:.0f} ms late at p99; {sent['acknowledged']:,} were acknowledged.",
        f"delay: {len(watch.seen)} snapshots were published meanwhile; {HISTORY:,} events were loaded before.",
    ]
    numbers = {"delays_s": shares, "unseen": unseen, "snapshots": len(watch.seen)}
    return Measured([row], remarks, numbers | {name: value for name, value in sent.items() if name != "marks"})
