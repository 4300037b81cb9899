"""`python -m ingest bank`: a month of real calls through the broker, and its KPIs by campaign."""

import argparse
import contextlib
import sys
import threading
from pathlib import Path

import duckdb

from ingest.cli import Parser, say_campaigns_are_ignored
from ingest.errors import UsageError
from ingest.publishing.observed import Observed
from ingest.run import consume
from ingest.send import send_file
from ingest.topic.broker import ensure_topic, running_broker
from metrics import clock

SAMPLES = Path(__file__).parent.parent / "samples"
CAMPAIGNS = SAMPLES / "bank.toml"
TOPIC = "bank-1999-02"

FIGURES = """
SELECT
    coalesce(campaign, 'all') AS campaign,
    sum(offered) AS offered,
    sum(answered) AS answered,
    sum(abandoned + short_abandoned) AS abandoned,
    sum(asa_s * answered) / sum(answered) AS asa_s,
    sum(aht_s * handled) / sum(handled) AS aht_s,
    100 * sum(answered_in_threshold) / sum(offered) AS in_20_s
FROM kpi_campaign(TIMESTAMPTZ '1999-01-31 22:00:00Z', TIMESTAMPTZ '1999-02-28 22:00:00Z')
GROUP BY ROLLUP (campaign)
ORDER BY grouping(campaign), offered DESC
"""


def arguments(parser: Parser) -> None:
    parser.option("--data-dir", default=Path("data/bank"), type=Path, help="where the store and published file are")
    parser.epilog = f"This command uses its own campaigns, {CAMPAIGNS}: VIGIE_CAMPAIGNS is ignored."


def main(options: argparse.Namespace) -> int:
    say_campaigns_are_ignored(CAMPAIGNS)
    refuse_other_calls(options.data_dir)
    recording = SAMPLES / "bank_1999_02.ndjson.gz"
    with running_broker() as broker:
        ensure_topic(broker.bootstrap_servers, TOPIC)
        send_file(str(recording), broker.bootstrap_servers, TOPIC)
        consume(
            bootstrap_servers=broker.bootstrap_servers,
            topic=TOPIC,
            data_dir=options.data_dir,
            campaigns=CAMPAIGNS,
            until_caught_up=True,
            stop=threading.Event(),
            clock=clock.now,
            observed=Observed(),
        )
    published = options.data_dir / "published" / "vigie.duckdb"
    with duckdb.connect(str(published), read_only=True) as connection:
        rows = connection.execute(FIGURES).fetchall()
    sys.stdout.write(table(rows) + f"\n\nAll of it is in {published}: VIGIE_DATA_DIR={options.data_dir} make sql\n")
    return 0


def refuse_other_calls(data_dir: Path) -> None:
    """Raise UsageError when `data_dir` holds calls of another topic: do not mix a month of 1999 into them."""
    store = data_dir / "store.duckdb"
    if not store.exists():
        return
    with contextlib.suppress(duckdb.Error), duckdb.connect(str(store), read_only=True) as connection:
        other = connection.execute("SELECT max(topic) FROM positions WHERE topic != $own", {"own": TOPIC}).fetchall()
        if topic := other[0][0]:
            raise UsageError(f"{data_dir} holds calls of the topic {topic}; choose another --data-dir.")


def table(rows: list[tuple[object, ...]]) -> str:
    """Format the rows of FIGURES for a terminal."""
    head = f"{'campaign':10}{'offered':>9}{'answered':>10}{'abandoned':>11}{'ASA s':>10}{'AHT s':>10}{'in 20 s':>10}"
    lines = [
        f"{name:10}{offered:>9}{answered:>10}{abandoned:>11}{asa:>10.4f}{aht:>10.3f}{share:>9.3f}%"
        for name, offered, answered, abandoned, asa, aht, share in rows
    ]
    return "\n".join([head, *lines])
