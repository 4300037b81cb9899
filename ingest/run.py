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
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ingest.batch import Arrivals, Batch, Gap, Log
from ingest.cli import Parser, between
from ingest.errors import BrokerUnavailable, StoreError
from ingest.feed import GROUP, Feed, TopicChanged
from ingest.group import Lost, Member, Moved
from ingest.observed import Observed
from ingest.publish import Moment, Place, Publisher
from ingest.servers import IN_THE_CLEAR, Security, security
from ingest.store import Store
from metrics.campaigns import Configuration, load
from metrics.errors import MetricsError
from metrics.zones import check_zones, zones_unknown_to_duckdb

log = logging.getLogger(__name__)

MAX_BATCH_RECORDS = 125_000
MAX_WAITING_BATCHES = 16
WAIT_S = 0.2
PUBLISH_EVERY_S = 0.4  # at most, while events come
PUBLISH_IDLE_S = 1.0  # so that as_of goes on: waiting calls wait longer
PUBLISH_SHARE = 0.2  # of the time, at most
IN_TOUCH_S = 3.0  # Kafka that has not answered for longer is away
BEHIND_RECORDS = 20_000
PUBLISH_SHARE_BEHIND = 0.05
COMMIT_EVERY_S = 5.0
RATE_OVER_S = 10.0


def arguments(parser: Parser) -> None:
    parser.kafka_options()
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the store and the published file are")
    parser.option("--campaigns", default=Path("campaigns.toml"), type=Path, help="campaigns, clients and contracts")
    port = between(1, 65_535, "port")
    parser.option("--metrics-port", default=None, type=port, help="serve /metrics and /healthz on this port")
    parser.option("--metrics-host", default="127.0.0.1", help="the address to serve them on")
    parser.option(
        "--group",
        default=None,
        type=_group,
        help="share the topic with the other consumers of this group (docs/two-sites.md)",
    )
    parser.add_argument("--until-caught-up", action="store_true", help="stop, published, at the ends seen at the start")


def main(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    suit_the_interpreter()
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
        clock=lambda: dt.datetime.now(dt.UTC),
        observed=observed,
        secured=security(options),
        group=options.group,
    )
    return 0


def _group(text: str) -> str:
    if text == GROUP:
        raise argparse.ArgumentTypeError(f"{GROUP} is what a consumer alone tells lag tools under; choose another")
    return text


def suit_the_interpreter() -> None:
    """Set what a process of two busy threads, one polling and one in SQL, runs better with."""
    gc.set_threshold(100_000, 50, 100)  # records are many and short-lived: +6 % records a second
    sys.setswitchinterval(0.0005)  # the writer's many short statements wait for the polling thread after each


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
) -> None:
    """Read `topic` into `data_dir` until `stop` is set or, if asked, the ends seen at the start are reached.

    `clock` gives the present instant; how it goes is told to `observed`. Raises VigieError; what was committed until
    then stays.
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
        reader = Reader(bootstrap_servers, topic, stop, clock, secured, group, store.identity())
        reader.start()
        try:
            Writer(store, publisher, clock, configuration, observed).run(reader, stop, until_caught_up)
        except duckdb.Error as error:
            raise StoreError(
                f"The store in {data_dir} cannot be read ({str(error).splitlines()[0]});"
                " restore it from a backup, or move it away and read the topic again."
            ) from error
        finally:
            stop.set()
            reader.give_up()
    finally:
        store.close()


@dataclass
class Opened:
    """The feed was opened: where it will read on, and where its logs ended."""

    positions: dict[Log, int]
    ends: dict[Log, int]


@dataclass
class Arrived:
    """What a poll brought, sorted while the writer is busy with what came before."""

    arrivals: Arrivals


@dataclass
class Question:
    """The reader wants a stored position; asked in line, so that all that it read before is stored by then."""

    log: Log
    answer: "Future[int | None]"


class Reader(threading.Thread):
    """Polls the feed into `queue`; what it dies of is the last thing in it."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        stop: threading.Event,
        clock: Callable[[], dt.datetime],
        secured: Security,
        group: str | None = None,
        store_id: str = "",
    ) -> None:
        super().__init__(name="reader", daemon=True)
        self.queue: queue.Queue[Opened | Arrived | Question | Exception] = queue.Queue(MAX_WAITING_BATCHES)
        self.stored: dict[Log, int] = {}
        self.in_touch_at = time.monotonic()
        self.ends: dict[Log, int] = {}  # of the logs, as the last poll knows them: ahead of what is in the queue
        self._servers = bootstrap_servers
        self._topic = topic
        self._clock = clock
        self._secured = secured
        self.group = group
        self._store_id = store_id
        self._stopping = stop
        self._nobody_takes = False

    def run(self) -> None:
        try:
            if self.group:
                self._share(self.group)
            else:
                self._read()
        except Exception as error:
            self._put(error)

    def _read(self) -> None:
        feed = Feed(self._servers, self._topic, self._position, self._secured)
        while not self._stopping.is_set():
            self.ends = feed.ends()
            if feed.gaps:  # before it counts as opened: there may be nothing else to read
                self._put(Arrived(Arrivals(self._gaps(feed))))
            self._put(Opened(feed.positions(), self.ends))
            try:
                self._follow(feed)
            except TopicChanged as change:
                log.warning("%s; it is opened again", change)
            feed.close()
            while not self._stopping.is_set():
                try:
                    feed = Feed(self._servers, self._topic, self._position, self._secured)
                    break
                except (BrokerUnavailable, TopicChanged) as error:
                    log.warning("%s Trying again.", error)
                    self._stopping.wait(1.0)

    def _gaps(self, feed: Feed) -> Batch:
        gaps = [Gap(of, *offsets, self._clock()) for of, offsets in feed.gaps.items()]
        return Batch(next_offsets=feed.positions(), gaps=gaps)

    def _share(self, group: str) -> None:
        """Read what the group gives to this consumer."""
        has_joined = False
        while not self._stopping.is_set():
            try:
                with closing(Member(self._servers, self._topic, group, self._store_id, self._secured)) as member:
                    while not self._stopping.is_set():
                        with contextlib.suppress(Moved):
                            self._read_share(member)
                            has_joined = True
            except BrokerUnavailable as error:
                if not has_joined:
                    raise
                log.warning("%s Trying again.", error)
            except (Lost, TopicChanged) as change:
                log.warning("The group is joined again: %s", change)
            self._stopping.wait(1.0)

    def _read_share(self, member: Member) -> None:
        logs = member.join(self._stopping.is_set)
        for of, owed in member.owed(logs, self._known_position).items():
            log.info("partition %d: offsets %d to %d were claimed and not stored", of.partition, owed.start, owed[-1])
            self._read_owed(of, owed)
        begins = member.take(logs, self._known_position)
        only = {of.partition for of in begins}
        with closing(Feed(self._servers, self._topic, begins.get, self._secured, only)) as feed:
            if feed.gaps:
                gaps = self._gaps(feed)
                member.claim(gaps.next_offsets)
                self._put(Arrived(Arrivals(gaps)))
            self.ends = feed.ends()
            self._put(Opened(feed.positions(), self.ends))
            self._follow(feed, member)

    def _read_owed(self, of: Log, owed: range) -> None:
        with closing(Feed(self._servers, self._topic, lambda _: owed.start, self._secured, {of.partition})) as feed:
            self._put(Arrived(Arrivals(self._gaps(feed).before(owed.stop))))
            while feed.positions()[of] < owed.stop and not self._stopping.is_set():
                if batch := feed.poll(timeout_s=0.2):
                    self._put(Arrived(Arrivals(batch.before(owed.stop))))

    def _follow(self, feed: Feed, member: Member | None = None) -> None:
        committed_at = time.monotonic()
        positions = feed.positions()
        while not self._stopping.is_set():
            batch = feed.poll(timeout_s=0.2)
            self.in_touch_at = feed.in_touch_at
            self.ends = feed.ends()
            if member:
                member.look(self._stopping.is_set)
            if batch and (batch.records or batch.next_offsets != positions):
                positions = batch.next_offsets
                if member:
                    member.claim(positions)
                self._put(Arrived(Arrivals(batch)))
            if member is None and time.monotonic() - committed_at > COMMIT_EVERY_S:
                feed.commit(self.stored)
                committed_at = time.monotonic()

    def give_up(self) -> None:
        """End, once it has been told to stop: nobody takes from the queue any more."""
        self._nobody_takes = True
        self.join()

    def _known_position(self, of: Log) -> int | None:
        """As `_position`; raises Moved when the end comes first, since claims are made of it."""
        position = self._position(of)
        if self._stopping.is_set():
            raise Moved
        return position

    def _position(self, of: Log) -> int | None:
        question = Question(of, Future())
        self._put(question)
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                return question.answer.result(timeout=0.2)
        return None

    def _put(self, item: Opened | Arrived | Question | Exception) -> None:
        while not self._stopping.is_set() or (self.group and isinstance(item, Arrived) and not self._nobody_takes):
            with contextlib.suppress(queue.Full):
                return self.queue.put(item, timeout=0.2)


class Writer:
    """Applies what the reader brings, and publishes."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        clock: Callable[[], dt.datetime],
        configuration: Configuration,
        observed: Observed,
    ) -> None:
        self._store = store
        self._observed = observed
        self._publisher = publisher
        self._clock = clock
        self._configuration = configuration
        self._configuration_seen = _identity(configuration.path)
        self._as_of: dt.datetime | None = None
        self._read_until: dt.datetime | None = None
        self._positions: dict[Log, int] = {}
        self._reader: Reader | None = None
        self._published_from = float("-inf")
        self._publishing_took_s: float | None = None
        self._taken_at = time.monotonic()
        self._preparing_took_s = 0.0
        self._rate = Rate()
        self._has_news = True

    def run(self, reader: Reader, stop: threading.Event, until_caught_up: bool) -> None:
        """Go on until `stop` is set or, if asked, what the log held when it was opened is stored; then publish."""
        self._reader = reader
        targets: dict[Log, int] | None = None
        while not stop.is_set():
            items = self._take(reader)
            self._taken_at = time.monotonic()
            for item in items:
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
        if reader.group:
            stop.set()
            self._drain(reader)
        self._publish()

    def _drain(self, reader: Reader) -> None:
        """Store what was claimed before the end, so that nothing is owed until the next start."""
        while reader.is_alive() or not reader.queue.empty():
            with contextlib.suppress(queue.Empty):
                item = reader.queue.get(timeout=0.1)
                if isinstance(item, Arrived):
                    self._apply(item)

    def _take(self, reader: Reader) -> list[Opened | Arrived | Question | Exception]:
        """What comes until a publish is due, batches that follow each other joined: few big ones cost less."""
        items: list[Opened | Arrived | Question | Exception] = []
        records = 0
        while records < MAX_BATCH_RECORDS:
            wait_s = WAIT_S if self._is_behind() else min(WAIT_S, self._publish_due() - time.monotonic())
            try:
                item = reader.queue.get(timeout=wait_s) if wait_s > 0 else reader.queue.get_nowait()
            except queue.Empty:
                break
            last = items[-1] if items else None
            if isinstance(item, Arrived) and isinstance(last, Arrived):
                last.arrivals.extend(item.arrivals)
            else:
                items.append(item)
            if not isinstance(item, Arrived):
                break  # somebody waits for the answer
            records += item.arrivals.records
            self._has_news = True
        return items

    def _apply(self, arrived: Arrived) -> None:
        self._positions.update(arrived.arrivals.next_offsets)
        places = self._places()
        lagging = [at for log, at in arrived.arrivals.reached.items() if log in places and places[log].lag]
        self._read_until = min(lagging, default=None)
        with self._store.transaction():
            with self._observed.fold_s.time():
                self._store.apply(arrived.arrivals)
            if self._is_behind():  # what settles at once is written once, as settled
                self._judge()
        self._rate.add(arrived.arrivals.records)
        self._has_news = True

    def _has_reached(self, targets: dict[Log, int]) -> bool:
        ends = self._reader.ends if self._reader else {}  # lower where a transaction that was aborted, or is open, lies
        return all(self._positions.get(log, 0) >= min(end, ends.get(log, end)) for log, end in targets.items())

    def _places(self) -> dict[Log, Place]:
        ends = self._reader.ends if self._reader else {}
        return {log: Place(self._positions.get(log, 0), end) for log, end in ends.items()}

    def _lag(self) -> int:
        return sum(place.lag for place in self._places().values())

    def _is_behind(self) -> bool:
        return self._lag() > BEHIND_RECORDS

    def _publish_due(self) -> float:
        """When to take what has come and publish it, on the monotonic clock: to fold and to judge it is in the time."""
        took_s = self._publishing_took_s or 0.0
        if self._is_behind():
            return self._published_from + max(PUBLISH_EVERY_S, took_s / PUBLISH_SHARE_BEHIND)
        pause_s = max(PUBLISH_EVERY_S if self._has_news else PUBLISH_IDLE_S, took_s / PUBLISH_SHARE)
        return self._published_from + pause_s - min(self._preparing_took_s, pause_s / 2)

    def _publish_if_due(self) -> None:
        if time.monotonic() >= self._publish_due():
            self._publish()

    def _publish(self) -> None:
        self._reread_configuration()
        moment = self._judge()
        self._published_from = time.monotonic()
        self._preparing_took_s = self._published_from - self._taken_at
        with self._observed.publish_s.time():
            self._publisher.write(moment)
        self._publishing_took_s = time.monotonic() - self._published_from
        self._observed.published(moment, self._store.totals(), self._store.bytes())
        self._has_news = False

    def _judge(self) -> Moment:
        places = self._places()
        now = self._clock()
        self._as_of = self._instant(now, sum(place.lag for place in places.values()))
        rate = self._rate.per_s(time.monotonic())
        moment = Moment(self._as_of, now, places, rate, self._publishing_took_s, self._read_until)
        with self._observed.judge_s.time():
            self._publisher.judge(moment)
        return moment

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
        """The instant a snapshot is judged at: the present once all is read, until then that of the last event.

        While Kafka is away nobody knows what happens, so the present is when it answered last: who waited then is not
        said to wait longer and longer, and the data is as old as it is.
        """
        silent_s = time.monotonic() - self._reader.in_touch_at if self._reader else 0.0
        if silent_s > IN_TOUCH_S:
            heard_at = now - dt.timedelta(seconds=silent_s)
            now = max(heard_at, self._as_of or heard_at)
        last_event_at = self._store.last_event_at()
        if lag == 0 or last_event_at is None:
            return now
        return min(now, max(last_event_at, self._as_of or last_event_at))


class Rate:
    """Records a second, over the last RATE_OVER_S; instants are of the monotonic clock."""

    def __init__(self) -> None:
        self._records = 0
        self._looked: deque[tuple[float, int]] = deque()

    def add(self, records: int) -> None:
        self._records += records

    def per_s(self, now: float) -> float | None:
        """The pace since the last look that is RATE_OVER_S old; None at the first look."""
        self._looked.append((now, self._records))
        while len(self._looked) > 2 and self._looked[1][0] <= now - RATE_OVER_S:
            self._looked.popleft()
        since, records = self._looked[0]
        return (self._records - records) / (now - since) if now > since else None


def _identity(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written or replaced; None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns)
