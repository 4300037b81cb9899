"""The writing thread of `ingest run`: folds the reader's batches, judges, publishes, and deletes what is too old."""

import contextlib
import datetime as dt
import logging
import math
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from ingest.consumer.reader import Arrived, Item, Opened, Question, Reader
from ingest.events.batch import Partition
from ingest.events.keys import Keys
from ingest.publishing.observed import Observed
from ingest.publishing.publish import NOT_YET, Moment, Place, Publisher
from ingest.store.retaining import Retention
from ingest.store.store import Store
from metrics.audit.trail import Trail
from metrics.configuration.campaigns import Configuration, load
from metrics.configuration.zones import check_zones
from metrics.errors import MetricsError

log = logging.getLogger(__name__)

MAX_BATCH_LINES = 250_000
ENOUGH_LINES = 80_000  # while behind: waiting for a bigger batch costs more than it saves
WAIT_S = 0.2
PUBLISH_EVERY_S = 0.4  # at most this often, while events come
PUBLISH_IDLE_S = 1.0  # without events, because as_of advances: waiting calls wait longer
PUBLISH_SHARE = 0.5 if (os.cpu_count() or 1) > 1 else 0.2  # of the time is spent on publishing, at most
IN_TOUCH_S = 3.0  # Kafka is away if it has not answered for longer
SETTLE_SHARE = 0.1  # of the time is spent on settling, at most: it has a fixed cost, and nobody waits for it
BEHIND_LINES = 20_000
PUBLISH_SHARE_BEHIND = 0.02  # of the time is spent on publishing while behind: reading comes first …
PUBLISH_BEHIND_S = 10.0  # … but a wall that stands still for longer looks broken …
PUBLISH_SHARE_BEHIND_AT_MOST = 0.5  # … unless publishing takes so long that reading would suffer
RATE_OVER_S = 10.0


class Writer:
    """Applies the reader's batches to the store, and publishes."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        clock: Callable[[], dt.datetime],
        configuration: Configuration,
        observed: Observed,
        keys: Keys,
        audit: Trail,
    ) -> None:
        self._store = store
        self._retention = Retention(store, configuration, keys, audit)
        self._observed = observed
        self._publisher = publisher
        self._clock = clock
        self._configuration = configuration
        self._configuration_seen = _identity(configuration.path)
        self._as_of: dt.datetime | None = None
        self._read_until: dt.datetime | None = None
        self._positions: dict[Partition, int] = {}
        self._reached: dict[Partition, dt.datetime] = {}  # how far each partition is read, see Arrivals
        self._complete_until = NOT_YET  # when the topic had no more than has been read by now
        self._ends_at: tuple[dt.datetime, dict[Partition, int]] | None = None  # where it ended, at a later time
        self._reader: Reader | None = None
        self._published_from = time.monotonic()
        self._publishing_took_s: float | None = None
        self._settles_from = time.monotonic()
        self._settles_batches = True  # unless the last attempt moved nothing: the next publish tries again
        self._taken_at = time.monotonic()
        self._preparing_took_s = 0.0
        self._rate = Rate()
        self._lines_per_record = 1.0
        self._lines_per_s = math.inf  # how fast batches are stored; until the first large one, as fast as can be
        self._has_news = True

    def run(self, reader: Reader, stop: threading.Event, until_caught_up: bool) -> None:
        """Run until `stop` is set or, if `until_caught_up`, the ends at opening are reached; then publish."""
        self._reader = reader
        self._take_no_older()
        targets: dict[Partition, int] | None = None
        while not stop.is_set():
            items = self._take(reader)
            self._taken_at = time.monotonic()
            for item in items:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, Opened):
                    self._positions = dict(item.positions)
                    self._ends_at = None  # it may be another topic, or other partitions
                    targets = item.ends
                    if self._publishing_took_s is None:  # while the first records arrive
                        self._publish()
                    log.info("topic opened: %d partitions, %d records to read", len(item.ends), self._lag())
                elif isinstance(item, Question):
                    item.answer.set_result(self._store.position(item.partition))
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
        """Store what was claimed before the stop, so that the next start owes nothing."""
        while reader.is_alive() or not reader.queue.empty():
            with contextlib.suppress(queue.Empty):
                item = reader.queue.get(timeout=0.1)
                if isinstance(item, Arrived):
                    self._apply(item)

    def _take(self, reader: Reader) -> list[Item]:
        """Take items until a publish is due. Consecutive batches are joined: a few big ones cost less.

        A slow machine takes no more than it can store within PUBLISH_BEHIND_S, because nothing is published meanwhile.
        """
        items: list[Item] = []
        records = lines = 0
        most_lines = min(MAX_BATCH_LINES, max(BEHIND_LINES, self._lines_per_s * PUBLISH_BEHIND_S))
        while lines < most_lines:
            wait_s = min(WAIT_S, self._publish_due(records) - time.monotonic())
            if self._is_behind(records):
                wait_s = WAIT_S if lines < ENOUGH_LINES else 0.0
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
                break  # the reader waits for the answer
            records += item.arrivals.records
            lines += item.arrivals.lines() + len(item.arrivals.dead)
            if records:
                self._lines_per_record = lines / records
            self._has_news = True
        return items

    def _apply(self, arrived: Arrived) -> None:
        self._positions.update(arrived.arrivals.next_offsets)
        self._reached.update(arrived.arrivals.reached)
        begun, lines = time.monotonic(), arrived.arrivals.lines()
        places = self._places()
        lagging = [at for partition, at in self._reached.items() if partition in places and places[partition].lag]
        self._read_until = min(lagging, default=None)
        with self._store.transaction():
            with self._observed.fold_s.time():
                self._store.apply(arrived.arrivals)
            # Rows that settle at once are written only once; the last batch is published first.
            is_large = self._is_behind() or (self._lag() and lines > BEHIND_LINES)
            if is_large and self._settles_batches:
                self._settle(self._judge())
        if lines >= BEHIND_LINES:  # a small batch costs more a line
            self._lines_per_s = lines / (time.monotonic() - begun)
        self._rate.add(arrived.arrivals.records)
        self._has_news = True

    def _has_reached(self, targets: dict[Partition, int]) -> bool:
        ends = self._reader.ends if self._reader else {}  # lower after an aborted or open transaction
        return all(
            self._positions.get(partition, 0) >= min(end, ends.get(partition, end))
            for partition, end in targets.items()
        )

    def _places(self) -> dict[Partition, Place]:
        ends = self._reader.ends if self._reader else {}
        return {partition: Place(self._positions.get(partition, 0), end) for partition, end in ends.items()}

    def _lag(self) -> int:
        return sum(place.lag for place in self._places().values())

    def _is_behind(self, taken: int = 0) -> bool:
        """Whether much is left to read once the `taken` records are stored."""
        return (self._lag() - taken) * self._lines_per_record > BEHIND_LINES

    def _publish_due(self, taken: int = 0) -> float:
        """When to stop taking batches and publish [monotonic clock]. Time to fold and judge is allowed for."""
        took_s = self._publishing_took_s or 0.0
        if self._is_behind(taken):
            at_least_s = max(PUBLISH_BEHIND_S, took_s / PUBLISH_SHARE_BEHIND_AT_MOST)
            return self._published_from + max(PUBLISH_EVERY_S, min(took_s / PUBLISH_SHARE_BEHIND, at_least_s))
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
        if time.monotonic() >= self._settles_from:  # after publishing, because nobody waits for it
            self._settle(moment)
            self._retain(moment)
        foreign = self._publisher.foreign_logs_removed
        self._observed.published(moment, self._store.totals(), self._store.bytes(), self._publisher.alarms, foreign)
        self._has_news = False

    def _judge(self) -> Moment:
        places = self._places()
        now = self._clock()
        self._as_of = self._instant(now, sum(place.lag for place in places.values()))
        rate = self._rate.per_s(time.monotonic())
        moment = Moment(
            self._as_of, now, places, rate, self._publishing_took_s, self._read_until, self._look_whether_complete(now)
        )
        with self._observed.judge_s.time():
            self._publisher.judge(moment)
        return moment

    def _look_whether_complete(self, now: dt.datetime) -> dt.datetime:
        """The latest time known by now of which everything has been read that the topic had then."""
        if self._ends_at is None or self._has_reached(self._ends_at[1]):
            if self._ends_at:
                self._complete_until = self._ends_at[0]
            if self._reader and self._reader.ends:  # unknown until the topic is open
                self._ends_at = (now - dt.timedelta(seconds=self._silent_s()), self._reader.ends)
        return self._complete_until

    def _silent_s(self) -> float:
        """How long ago Kafka last answered."""
        return time.monotonic() - self._reader.in_touch_at if self._reader else 0.0

    def _settle(self, moment: Moment) -> None:
        begun = time.monotonic()
        with self._observed.settle_s.time():
            self._settles_batches = self._publisher.settle(moment)
        took_s = time.monotonic() - begun
        self._settles_from = begun + took_s / SETTLE_SHARE

    def _retain(self, moment: Moment) -> None:
        """Delete a part of what is too old, unless much is left to read, and take no event that is."""
        if not self._is_behind():
            self._retention.step(moment.as_of, moment.published_at)
        self._take_no_older()

    def _take_no_older(self) -> None:
        if self._reader and (takes_from := self._store.archive.takes_from()):
            self._reader.sorter.keep_from(takes_from)

    def _reread_configuration(self) -> None:
        """Load the configuration file if it has changed. If it is invalid, keep the last valid one and log why.

        Until it is valid again, nothing is deleted because of its age.
        """
        path = self._configuration.path
        seen = _identity(path)
        if seen == self._configuration_seen:
            return
        self._configuration_seen = seen
        try:
            configuration = load(path)
            check_zones(configuration.zones)
        except MetricsError as error:
            log.warning("%s The previous configuration stays in force.", error)
            self._publisher.configure(self._configuration, str(error))
            self._retention.configure(None)
        else:
            log.info("%s was reloaded", path)
            self._configuration = configuration
            self._publisher.configure(configuration)
            self._retention.configure(configuration)
            if self._reader:
                self._reader.sorter.limit(configuration.dead_letters)

    def _instant(self, now: dt.datetime, lag: int) -> dt.datetime:
        """The instant at which a snapshot is judged: the current time once all is read, before that the last event's.

        While Kafka is away, the time when it last answered is used instead of the current time. So waits do not grow
        on the page while nobody knows what happens, and the age of the data shows.
        """
        silent_s = self._silent_s()
        if silent_s > IN_TOUCH_S:
            answered_at = now - dt.timedelta(seconds=silent_s)
            now = max(answered_at, self._as_of or answered_at)
        last_event_at = self._store.last_event_at()
        if lag == 0 or last_event_at is None:
            return now
        return min(now, max(last_event_at, self._as_of or last_event_at))


class Rate:
    """Records per second over the last RATE_OVER_S, by the monotonic clock."""

    def __init__(self) -> None:
        self._records = 0
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, records: int) -> None:
        self._records += records

    def per_s(self, now: float) -> float | None:
        """The rate since the latest sample that is at least RATE_OVER_S old; None at the first call."""
        self._samples.append((now, self._records))
        while len(self._samples) > 2 and self._samples[1][0] <= now - RATE_OVER_S:
            self._samples.popleft()
        since, records = self._samples[0]
        return (self._records - records) / (now - since) if now > since else None


def _identity(path: Path) -> tuple[int, int] | None:
    """A value that changes when the file is written or replaced; None when there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns)
