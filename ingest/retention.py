"""`python -m ingest retention`: shows what is older than `[retention]` in campaigns.toml says. It deletes nothing.

The consumer deletes it by itself, once a day. So this is for a new file, before the consumer gets it.
"""

import argparse
import sys
from pathlib import Path

from ingest.cli import Parser
from ingest.errors import StoreError
from ingest.store.expiry import CONFIRMING_DAYS, Expiry
from ingest.store.holding import hold
from ingest.store.store import Store
from metrics import clock
from metrics.configuration.campaigns import load
from metrics.configuration.zones import check_zones


def arguments(parser: Parser) -> None:
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the store and the published file are")
    parser.option("--campaigns", default=Path("campaigns.toml"), type=Path, help="the file with [retention] to try")
    parser.epilog = (
        "Stop the consumer first; the dashboard can stay up. docs/privacy.md says what stays when a class is deleted."
    )


def main(options: argparse.Namespace) -> int:
    if not (options.data_dir / "store.duckdb").exists():
        raise StoreError(f"{options.data_dir} has no store; name the data directory with --data-dir.")
    configuration = load(options.campaigns)
    check_zones(configuration.zones)
    with hold(options.data_dir):
        store = Store(options.data_dir / "store.duckdb")
        try:
            expiry = Expiry(store, configuration, clock.now().date())
            due = expiry.all()
        finally:
            store.close()
    if expiry.today is None:
        sys.stdout.write(f"Nothing is old: events of fewer than {CONFIRMING_DAYS} days have settled.\n")
        return 0
    sys.stdout.write(f"Ages are counted back from {expiry.today}, the newest day that is confirmed by later events.\n")
    for line in due:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(
        "Nothing was deleted. A consumer that runs with this file deletes these rows; they do not come back.\n"
        if due
        else "Nothing is old enough to be deleted.\n"
    )
    return 0
