"""`python -m ingest run`: read the topic, fold, publish; what is in flight carries the offsets stored with it."""

import argparse
import contextlib
import datetime as dt
import gc
import logging
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ingest.batch import Batch, Log
from ingest.cli import Parser
from ingest.errors import BrokerUnavailable, StoreError
from ingest.feed import Feed, TopicChanged
from ingest.publish import Moment, Publisher
from ingest.store import Store
from metrics.campaigns import Configuration, load
from metrics.errors import MetricsError
from metrics.zones import check_zones, zones_unknown_to_duckdb

log = logging.getLogger(__name__)

MAX_BATCH_RECORDS = 40_000
MAX_WAITING_BATCHES = 8
PUBLISH_EVERY_S = 0.25  # at most, while events come
PUBLISH_IDLE_S = 1.0  # so that as_of goes on: waiting calls wait longer
PUBLISH_SHARE = 0.2  # of the time, at most
BEHIND_RECORDS = 20_000
PUBLISH_SHARE_BEHIND = 0.05
COMMIT_EVERY_S = 5.0


def arguments(parser: Parser) -> None:
    parser.kafka_options()
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the store and the published file are")
    parser.option("--campaigns", default=Path("campaigns.toml"), type=Path, help="campaigns, clients and contracts")
    parser.add_argument("--until-caught-up", action="store_true", help="stop, published, at the ends seen at the start")


def main(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    gc.set_threshold(100_000, 50, 100)  # records are many and short-lived: +6 % records a second
    sys.setswitchinterval(0.0005)  # the writer's many short statements wait for the polling thread after each
    consume(
        bootstrap_servers=options.bootstrap_servers,
        topic=options.topic,
        data_dir=options.data_dir,
        campaigns=options.campaigns,
        until_caught_up=options.until_caught_up,
        stop=stop,
        clock=lambda: dt.datetime.now(dt.UTC),
    )
    return 0


def consume(
    *,
    bootstrap_servers: str,
    topic: str,
    data_dir: Path,
    campaigns: Path,
    until_caught_up: bool,
    stop: threading.Event,
    clock: Callable[[], dt.datetime],
) -> None:
    """Read `topic` into `data_dir` until `stop` is set or, if asked, the ends seen at the start are reached.

    `clock` gives the present instant. Raises VigieError; what was committed until then stays.
    """
    configuration = load(campaigns)
    check_zones(configuration.zones)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{data_dir} cannot be made ({error.strerror}); choose another --data-dir.") from error
    store = Store(data_dir / "store.duckdb")
    try:
        for zone in zones_unknown_to_duckdb(store.connection, configuration.zones):
            log.warning("DuckDB's own calendar of %s is out of date: figures do not use it, nor should queries", zone)
        publisher = Publisher(store, data_dir / "published", configuration)
        reader = Reader(bootstrap_servers, topic, stop)
        reader.start()
        try:
            Writer(store, publisher, clock, configuration).run(reader, stop, until_caught_up)
        except duckdb.Error as error:
            raise StoreError(
                f"The store in {data_dir} cannot be read ({str(error).splitlines()[0]});"
                " restore it from a backup, or move it away and read the topic again."
            ) from error
        finally:
            stop.set()
            reader.join()
    finally:
        store.close()


@dataclass
class Opened:
    """The feed was opened: where it will read on, and where its logs ended."""

    positions: dict[Log, int]
    ends: dict[Log, int]


@dataclass
class Arrived:
    """What a poll brought."""

    batch: Batch


@dataclass
class Question:
    """The reader wants a stored position; asked in line, so that all that it read before is stored by then."""

    log: Log
    answer: "Future[int | None]"


class Reader(threading.Thread):
    """Polls the feed into `queue`; what it dies of is the last thing in it."""

    def __init__(self, bootstrap_servers: str, topic: str, stop: threading.Event) -> None:
        super().__init__(name="reader", daemon=True)
        self.queue: queue.Queue[Opened | Arrived | Question | Exception] = queue.Queue(MAX_WAITING_BATCHES)
        self.stored: dict[Log, int] = {}
        self.ends: dict[Log, int] = {}  # of the logs, as the last poll knows them: ahead of what is in the queue
        self._servers = bootstrap_servers
        self._topic = topic
        self._stopping = stop

    def run(self) -> None:
        try:
            self._read()
        except Exception as error:
            self._put(error)

    def _read(self) -> None:
        feed = Feed(self._servers, self._topic, self._position)
        while not self._stopping.is_set():
            self.ends = feed.ends()
            self._put(Opened(feed.positions(), self.ends))
            try:
                self._follow(feed)
            except TopicChanged as change:
                log.warning("%s; going on with it from its beginning", change)
            feed.close()
            while not self._stopping.is_set():
                try:
                    feed = Feed(self._servers, self._topic, self._position)
                    break
                except BrokerUnavailable as error:
                    log.warning("%s Trying again.", error)
                    self._stopping.wait(1.0)

    def _follow(self, feed: Feed) -> None:
        committed_at = time.monotonic()
        positions = feed.positions()
        while not self._stopping.is_set():
            batch = feed.poll(timeout_s=0.2)
            if batch and (batch.records or batch.next_offsets != positions):
                positions = batch.next_offsets
                self.ends = feed.ends()
                self._put(Arrived(batch))
            if time.monotonic() - committed_at > COMMIT_EVERY_S:
                feed.commit(self.stored)
                committed_at = time.monotonic()

    def _position(self, of: Log) -> int | None:
        question = Question(of, Future())
        self._put(question)
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                return question.answer.result(timeout=0.2)
        return None

    def _put(self, item: Opened | Arrived | Question | Exception) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Full):
                return self.queue.put(item, timeout=0.2)


class Writer:
    """Applies what the reader brings, and publishes."""

    def __init__(
        self, store: Store, publisher: Publisher, clock: Callable[[], dt.datetime], configuration: Configuration
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._configuration = configuration
        self._configuration_seen = _identity(configuration.path)
        self._as_of: dt.datetime | None = None
        self._positions: dict[Log, int] = {}
        self._reader: Reader | None = None
        self._published_from = float("-inf")
        self._publishing_took_s = 0.0
        self._has_news = True

    def run(self, reader: Reader, stop: threading.Event, until_caught_up: bool) -> None:
        """Go on until `stop` is set or, if asked, what the log held when it was opened is stored; then publish."""
        self._reader = reader
        targets: dict[Log, int] | None = None
        while not stop.is_set():
            for item in self._take(reader):
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, Opened):
                    self._positions = dict(item.positions)
                    log.info("topic opened: %d partitions, %d records to read", len(item.ends), self._lag())
                    targets = item.ends
                elif isinstance(item, Question):
                    item.answer.set_result(self._store.position(item.log))
                else:
                    self._apply(item)
                    reader.stored = dict(self._positions)
            if until_caught_up and targets is not None and self._has_reached(targets):
                break
            self._publish_if_due()
        self._publish()

    def _take(self, reader: Reader) -> list[Opened | Arrived | Question | Exception]:
        """What waits in the queue, batches that follow each other joined; wait for it until a publish is due."""
        wait_s = min(0.2, max(0.0, self._publish_due() - time.monotonic()))
        items: list[Opened | Arrived | Question | Exception] = []
        records = 0
        try:
            items.append(reader.queue.get(timeout=max(wait_s, 0.001)))
            while records < MAX_BATCH_RECORDS:
                item = reader.queue.get_nowait()
                last = items[-1]
                if isinstance(item, Arrived) and isinstance(last, Arrived):
                    last.batch.extend(item.batch)
                else:
                    items.append(item)
                records += len(item.batch) if isinstance(item, Arrived) else 0
        except queue.Empty:
            pass
        return items

    def _apply(self, arrived: Arrived) -> None:
        self._store.apply(arrived.batch)
        self._positions.update(arrived.batch.next_offsets)
        self._has_news = True

    def _has_reached(self, targets: dict[Log, int]) -> bool:
        return all(self._positions.get(log, 0) >= end for log, end in targets.items())

    def _lag(self) -> int:
        ends = self._reader.ends if self._reader else {}
        return sum(max(0, end - self._positions.get(log, 0)) for log, end in ends.items())

    def _publish_due(self) -> float:
        """When to publish next, on the monotonic clock."""
        share = PUBLISH_SHARE_BEHIND if self._lag() > BEHIND_RECORDS else PUBLISH_SHARE
        least_s = PUBLISH_EVERY_S if self._has_news else PUBLISH_IDLE_S
        return self._published_from + max(least_s, self._publishing_took_s / share)

    def _publish_if_due(self) -> None:
        if time.monotonic() >= self._publish_due():
            self._publish()

    def _publish(self) -> None:
        started = time.monotonic()
        self._reread_configuration()
        lag = self._lag()
        now = self._clock()
        self._as_of = self._instant(now, lag)
        self._publisher.publish(Moment(self._as_of, now, lag))
        self._published_from = started
        self._publishing_took_s = time.monotonic() - started
        self._has_news = False

    def _reread_configuration(self) -> None:
        """Take over the configuration file when it has changed; keep the old one, and say so, when it is broken."""
        path = self._configuration.path
        seen = _identity(path)
        if seen == self._configuration_seen:
            return
        self._configuration_seen = seen
        try:
            configuration = load(path)
            check_zones(configuration.zones)
        except MetricsError as error:
            log.warning("%s The configuration read before stays in force.", error)
            self._publisher.configure(self._configuration, str(error))
        else:
            log.info("%s was read again", path)
            self._configuration = configuration
            self._publisher.configure(configuration)

    def _instant(self, now: dt.datetime, lag: int) -> dt.datetime:
        """The instant a snapshot is judged at: the present once all is read, until then that of the last event."""
        last_event_at = self._store.last_event_at()
        if lag == 0 or last_event_at is None:
            return now
        return min(now, max(last_event_at, self._as_of or last_event_at))


def _identity(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written or replaced; None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns)
