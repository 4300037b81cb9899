"""`python -m ingest run`: read the topic, fold, publish. Each batch carries the offsets that are stored with it."""

import argparse
import datetime as dt
import gc
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import duckdb

from ingest import forget, rebuild
from ingest.cli import Parser, between
from ingest.consumer.reader import Reader
from ingest.consumer.writer import Writer
from ingest.errors import RESTORE_OR_REBUILD, StoreError
from ingest.events import keys
from ingest.events.persons import known_by
from ingest.publishing.observed import Observed
from ingest.publishing.publish import Publisher
from ingest.store.holding import hold
from ingest.store.store import Store
from ingest.topic.feed import GROUP
from ingest.topic.servers import IN_THE_CLEAR, Security, security
from metrics import clock
from metrics.audit import trail
from metrics.configuration.campaigns import load
from metrics.configuration.zones import check_zones


def arguments(parser: Parser) -> None:
    parser.kafka_options()
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the store and the published file are")
    parser.option("--campaigns", default=Path("campaigns.toml"), type=Path, help="campaigns, clients and contracts")
    parser.keys_option()
    port = between(1, 65_535, "port")
    parser.option("--metrics-port", default=None, type=port, help="serve /metrics and /healthz on this port")
    parser.option("--metrics-host", default="127.0.0.1", help="the address to serve them on")
    parser.option(
        "--group",
        default=None,
        type=_group,
        help="share the topic with the other consumers of this group (docs/two-sites.md)",
    )
    parser.add_argument(
        "--until-caught-up", action="store_true", help="publish and stop once the ends seen at the start are reached"
    )


def main(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    tune_interpreter()
    observed = Observed()
    if options.metrics_port is not None:
        observed.serve(options.metrics_host, options.metrics_port)
    consume(
        bootstrap_servers=options.bootstrap_servers,
        topic=options.topic,
        data_dir=options.data_dir,
        campaigns=options.campaigns,
        until_caught_up=options.until_caught_up,
        stop=stop,
        clock=clock.now,
        observed=observed,
        secured=security(options),
        group=options.group,
        keys_dir=options.keys_dir,
    )
    return 0


def _group(text: str) -> str:
    if text == GROUP:
        raise argparse.ArgumentTypeError(
            f"{GROUP} is the group that consumers without --group report to lag tools; choose another"
        )
    return text


def tune_interpreter() -> None:
    """Tune the interpreter for two busy threads, one that polls and one that runs SQL."""
    gc.set_threshold(100_000, 50, 100)  # records are many and short-lived: +6 % records a second
    sys.setswitchinterval(0.0001)  # after each of its many short statements the writer waits for the polling thread


def consume(
    *,
    bootstrap_servers: str,
    topic: str,
    data_dir: Path,
    campaigns: Path,
    until_caught_up: bool,
    stop: threading.Event,
    clock: Callable[[], dt.datetime],
    observed: Observed,
    secured: Security = IN_THE_CLEAR,
    group: str | None = None,
    keys_dir: Path | None = None,
) -> None:
    """Read `topic` into `data_dir` until `stop` is set or, if asked, until the ends seen at the start are reached.

    `keys_dir` has the keys of callers. `clock` gives the current time; `observed` gets the measurements. Raises
    VigieError; what was committed until then stays.
    """
    configuration = load(campaigns)
    check_zones(configuration.zones)
    audit = trail.of_this_machine(data_dir)
    try:
        data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{data_dir} cannot be made ({error.strerror}); choose another --data-dir.") from error
    with hold(data_dir):
        persons = known_by(keys.folder_of(data_dir, keys_dir))
        rebuild.bring_up_to_date(data_dir, configuration, persons)
        if persons.erased.hashes:  # a backup may have been restored
            forget.erase_at_rest(data_dir, configuration, persons)
        store = Store(data_dir / "store.duckdb")
        try:
            publisher = Publisher(store, data_dir / "published", configuration)
            store_id = store.identity()
            reader = Reader(
                *(bootstrap_servers, topic, stop, clock, secured, persons, group, store_id), configuration.dead_letters
            )
            reader.start()
            try:
                writer = Writer(store, publisher, clock, configuration, observed, persons.keys, audit)
                writer.run(reader, stop, until_caught_up)
            except duckdb.Error as error:
                raise StoreError(
                    f"The store in {data_dir} cannot be read ({str(error).splitlines()[0]}); {RESTORE_OR_REBUILD}"
                ) from error
            finally:
                stop.set()
                reader.give_up()
            publisher.close()
        finally:
            store.close()
