"""More events than the consumer can take: does lag grow smoothly, the wall keep its rhythm, memory stay bounded?

`python -m bench.overload [RATE [SECONDS [SHARE]]]` sends RATE events a second for SECONDS, of a floor of that size, and
then none, until the consumer has caught up by itself. The floor cannot send more than a consumer reads that has a core
to itself, so the consumer may run for SHARE of each tenth of a second only (default: 1): as on a slower machine. It is
run by hand, and prints a line every few seconds.
"""

import json
import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.children import cpu_s, in_background, must_run, peak_mb, resident_mb
from ingest.topic.broker import ensure_topic, running_broker
from metrics import clock
from metrics.published.opening import open_snapshot

TOPIC = "bench-overload"
STATUS = "SELECT lag, events, as_of, published_at, publish_s FROM ingest_status"
LINES = 20
SLICE_S = 0.1
LOOKS_EVERY_S = 0.1
SAYS_EVERY_S = 5.0
CATCHES_UP_WITHIN_S = 1_800.0


class Watch:
    """What the published files said, and when there was a new one."""

    def __init__(self, published: Path, consumer: int) -> None:
        self.samples: list[dict[str, float]] = []
        self.gaps_s: list[float] = []
        self.lag = 0
        self.events = 0
        self._published = published
        self._consumer = consumer
        self._file: int | None = None
        self._replaced_at = time.monotonic()
        self._said_at = 0.0

    def look(self) -> None:
        if not self._published.exists():
            return
        if (file := os.stat(self._published).st_ino) != self._file:
            if self._file is not None:
                self.gaps_s.append(time.monotonic() - self._replaced_at)
            self._file, self._replaced_at = file, time.monotonic()
            with open_snapshot(self._published) as snapshot:
                ((self.lag, self.events, *self._of),) = snapshot.execute(STATUS).fetchall()
        if time.monotonic() - self._said_at >= SAYS_EVERY_S:
            self._said_at = time.monotonic()
            as_of, published_at, publish_s = self._of
            self.samples.append(
                {
                    "at_s": round(self._said_at, 1),
                    "lag": self.lag,
                    "events": self.events,
                    "read_at_s": round(self._replaced_at, 1),
                    "age_s": round((clock.now() - as_of).total_seconds(), 1),
                    "file_age_s": round((clock.now() - published_at).total_seconds(), 1),
                    "publish_s": round(publish_s or 0, 2),
                    "memory_mb": round(resident_mb(self._consumer)),
                    "cpu_s": round(cpu_s(self._consumer) or 0.0),
                }
            )
            sys.stderr.write(json.dumps(self.samples[-1]) + "\n")

    def taken(self) -> float:
        """Events a second between the first and the last file."""
        first, last = (next(s for s in samples if s["events"]) for samples in (self.samples, self.samples[::-1]))
        return (last["events"] - first["events"]) / (last["read_at_s"] - first["read_at_s"])


@contextmanager
def slowed(process: int, share: float) -> Iterator[None]:
    """Let a process run for `share` of each SLICE_S only."""
    ended = threading.Event()

    def slow() -> None:
        while not ended.wait(SLICE_S * share):
            os.kill(process, signal.SIGSTOP)
            ended.wait(SLICE_S * (1 - share))
            os.kill(process, signal.SIGCONT)

    thread = threading.Thread(target=slow, daemon=True)
    if share < 1:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if share < 1:
            thread.join()


def main(rate: float = 3_000, seconds: float = 180, share: float = 1.0) -> None:
    with running_broker() as broker, tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        servers = broker.bootstrap_servers
        ensure_topic(servers, TOPIC)
        log, sent_log = Path(directory, "consumer.log"), Path(directory, "floor.log")
        run = ("-m", "ingest", "run", "--bootstrap-servers", servers, "--topic", TOPIC, "--data-dir", directory)
        with in_background(*run, log=log) as consumer, slowed(consumer.pid, share):
            watch = Watch(Path(directory, "published", "vigie.duckdb"), consumer.pid)
            floor = ("-m", "bench.floor", servers, TOPIC, str(rate), "0", str(LINES))
            with in_background(*floor, log=sent_log) as sender:
                ends_at = math.inf
                while time.monotonic() < ends_at:
                    if ends_at == math.inf and watch.events:  # a large floor takes a minute to begin
                        ends_at = time.monotonic() + seconds
                    must_run(consumer, log)
                    must_run(sender, sent_log)
                    watch.look()
                    time.sleep(LOOKS_EVERY_S)
            sent = json.loads(sent_log.read_text().splitlines()[-1])
            ended, while_sent = time.monotonic(), len(watch.gaps_s)
            taken = watch.taken()
            while watch.events < sent["sent"] and time.monotonic() - ended < CATCHES_UP_WITHIN_S:
                must_run(consumer, log)
                watch.look()
                time.sleep(LOOKS_EVERY_S)
            result = _result(watch, while_sent) | {
                "events": sent["sent"],
                "sent a second": round(sent["sent"] / sent["took_s"]),
                "taken a second meanwhile": round(taken),
                "sent to taken": round(sent["sent"] / sent["took_s"] / taken, 2),
                "caught up after, s": round(time.monotonic() - ended) if watch.events >= sent["sent"] else None,
                "consumer_peak_mb": round(peak_mb(consumer.pid)),
            }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


def _result(watch: Watch, while_sent: int) -> dict[str, Any]:
    gaps = {"while sent": watch.gaps_s[:while_sent], "while catching up": watch.gaps_s[while_sent:]}
    return {
        "between two published files, s": {
            phase: {"files": len(own), "median": round(median(own), 1), "greatest": round(max(own), 1)}
            for phase, own in gaps.items()
            if own
        },
        "greatest lag": max(sample["lag"] for sample in watch.samples),
        "greatest age, s": max(sample["age_s"] for sample in watch.samples),
    }


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
