"""The writing half of `ingest run`: folds what the reader brings into the store, judges it, and publishes when due."""

import contextlib
import datetime as dt
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ingest.events.batch import Log
from ingest.publishing.observed import Observed
from ingest.publishing.publish import Moment, Place, Publisher
from ingest.reader import Arrived, Item, Opened, Question, Reader
from ingest.store.store import Store
from metrics.configuration.campaigns import Configuration, load
from metrics.configuration.zones import check_zones
from metrics.errors import MetricsError

log = logging.getLogger(__name__)

MAX_BATCH_RECORDS = 250_000
ENOUGH_RECORDS = 80_000  # while more is to come: to wait for a bigger batch costs more than it saves
WAIT_S = 0.2
PUBLISH_EVERY_S = 0.4  # at most, while events come
PUBLISH_IDLE_S = 1.0  # so that as_of goes on: waiting calls wait longer
PUBLISH_SHARE = 0.2  # of the time, at most
IN_TOUCH_S = 3.0  # Kafka that has not answered for longer is away
BEHIND_RECORDS = 20_000
PUBLISH_SHARE_BEHIND = 0.02
RATE_OVER_S = 10.0


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
        self._published_from = time.monotonic()
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
                    targets = item.ends
                    if self._publishing_took_s is None:  # while the first records are on their way
                        self._publish()
                    log.info("topic opened: %d partitions, %d records to read", len(item.ends), self._lag())
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

    def _take(self, reader: Reader) -> list[Item]:
        """What comes until a publish is due, batches that follow each other joined: few big ones cost less."""
        items: list[Item] = []
        records = 0
        while records < MAX_BATCH_RECORDS:
            wait_s = min(WAIT_S, self._publish_due(records) - time.monotonic())
            if self._is_behind(records):
                wait_s = WAIT_S if records < ENOUGH_RECORDS else 0.0
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
                self._settle(self._judge())
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

    def _is_behind(self, taken: int = 0) -> bool:
        """Whether, once the records `taken` are stored, much is left to read."""
        return self._lag() - taken > BEHIND_RECORDS

    def _publish_due(self, taken: int = 0) -> float:
        """When to take what has come and publish it, on the monotonic clock: to fold and to judge it is in the time."""
        took_s = self._publishing_took_s or 0.0
        if self._is_behind(taken):
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
        self._settle(moment)  # nobody waits for it
        self._observed.published(moment, self._store.totals(), self._store.bytes(), self._publisher.alarms)
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

    def _settle(self, moment: Moment) -> None:
        with self._observed.settle_s.time():
            self._publisher.settle(moment)

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
