"""Does memory grow with the number of publishes? A night without events: the store stays as it is.

The consumer's memory after every hundredth publish, of a store with the calls of half a day of a small floor.
VIGIE_BENCH_PUBLISHES is the number of publishes (default: 3000; with a publish a second that is less than an hour). The
allocator is tuned as that of the consumer is, unless GLIBC_TUNABLES is set.
"""

import datetime as dt
import os
import sys
import tempfile
from itertools import takewhile
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import msgspec

from bench.children import ROOT, report, resident_mb, result_of
from bench.figures import Measured, Row
from bench.simulated import MONDAY
from bench.sums import PERSONS
from ingest.__main__ import tune_allocator
from ingest.events.batch import Batch, Partition
from ingest.events.sorting import Sorter
from ingest.publishing.publish import Moment, Publisher
from ingest.run import tune_interpreter
from ingest.simulator.day import Day
from ingest.store.store import Store
from metrics.configuration.campaigns import load

PUBLISHES, EACH = 3_000, 100
AGENTS = 20
NOON = dt.datetime.combine(MONDAY, dt.time(12), dt.UTC)
PASSES = dt.timedelta(milliseconds=10)  # between two publishes: nothing settles, or changes in any other way
FLAT_MB = 5.0
WITHIN_S = 3_600.0


def measure() -> Measured:
    publishes = int(os.environ.get("VIGIE_BENCH_PUBLISHES") or PUBLISHES)
    memory_mb: list[float] = result_of("bench.publishes", publishes, within_s=WITHIN_S)["memory_mb"]
    quarter = len(memory_mb) // 4
    a, b = median(memory_mb[2 * quarter : 3 * quarter]), median(memory_mb[3 * quarter :])
    row = Row(
        f"resident memory over {publishes:,} publishes of the same store",
        f"{a:,.0f} MB",
        f"{b:,.0f} MB",
        f"{b / a:.2f}",
        f"B - A ≤ {FLAT_MB:g} MB",
        b - a <= FLAT_MB,
    )
    each = ", ".join(f"{at:,.0f}" for at in memory_mb[:: max(1, len(memory_mb) // 10)])
    remark = f"publishes: A is the median of the third quarter, B of the last; from the first on [MB]: {each}"
    return Measured([row], [remark], {"memory_mb": memory_mb})


def main(publishes: int) -> None:
    memory_mb = []
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        store = Store(Path(directory, "store.duckdb"))
        publisher = Publisher(store, Path(directory, "published"), load(ROOT / "campaigns.toml"))
        values = [
            msgspec.json.encode(event)
            for event in takewhile(
                lambda event: event["ts"] < NOON.isoformat(), Day(MONDAY, agents=AGENTS, seed=1).run()
            )
        ]
        records = [SimpleNamespace(offset=n, timestamp=-1, value=value) for n, value in enumerate(values)]
        partition = Partition("bench", 0, "bench", "bench")
        store.apply(Sorter(PERSONS).sort(Batch({partition: list(records)}, {partition: len(records)})))
        for number in range(publishes):
            moment = Moment(NOON + number * PASSES, NOON + number * PASSES)
            publisher.judge(moment)
            publisher.write(moment)
            if number == 0:
                publisher.settle(moment)
            if number % EACH == 0:
                memory_mb.append(resident_mb(os.getpid()))
        publisher.close()
        store.close()
    report({"memory_mb": memory_mb})


if __name__ == "__main__":
    tune_allocator()
    tune_interpreter()
    main(int(sys.argv[1]))
