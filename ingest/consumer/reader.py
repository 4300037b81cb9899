"""The reading thread of `ingest run`: polls the feed, asks for stored positions, and hands on batches in a queue."""

import contextlib
import datetime as dt
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass

from ingest.errors import BrokerUnavailable
from ingest.events.batch import Arrivals, Batch, Gap, Partition
from ingest.events.persons import Persons
from ingest.events.sorting import Sorter
from ingest.topic.feed import Feed, TopicChanged
from ingest.topic.group import Lost, Member, Moved
from ingest.topic.servers import Security
from metrics.configuration.campaigns import DeadLetterLimits

log = logging.getLogger(__name__)

MAX_WAITING_BATCHES = 12
COMMIT_EVERY_S = 5.0


@dataclass
class Opened:
    """The feed was opened: the next offset to read of each partition, and where each one ended."""

    positions: dict[Partition, int]
    ends: dict[Partition, int]


@dataclass
class Arrived:
    """The batch of a poll, sorted while the writer is busy with earlier batches."""

    arrivals: Arrivals


@dataclass
class Question:
    """The reader asks for a stored position: in the queue, so that everything it read before is stored by then."""

    partition: Partition
    answer: "Future[int | None]"


Item = Opened | Arrived | Question | Exception


class Reader(threading.Thread):
    """Polls the feed into `queue`. If it fails, its error is the last item in the queue."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        stop: threading.Event,
        clock: Callable[[], dt.datetime],
        secured: Security,
        persons: Persons,
        group: str | None = None,
        store_id: str = "",
        dead_letters: DeadLetterLimits | None = None,
    ) -> None:
        super().__init__(name="reader", daemon=True)
        self.queue: queue.Queue[Item] = queue.Queue(MAX_WAITING_BATCHES)
        self.stored: dict[Partition, int] = {}
        self.in_touch_at = time.monotonic()
        self.ends: dict[Partition, int] = {}  # as of the last poll: ahead of what is in the queue
        self._servers = bootstrap_servers
        self._topic = topic
        self._clock = clock
        self._secured = secured
        self.group = group
        self._store_id = store_id
        self._stopping = stop
        self._nobody_takes = False
        self._has_opened = False
        self.sorter = Sorter(persons, dead_letters, clock)

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
                self._put(Arrived(self.sorter.sort(self._gaps(feed))))
            self._put(Opened(feed.positions(), self.ends))
            try:
                self._follow(feed)
            except TopicChanged as change:
                log.warning("%s; opening it again", change)
            feed.close()
            while not self._stopping.is_set():
                try:
                    feed = Feed(self._servers, self._topic, self._position, self._secured)
                    break
                except (BrokerUnavailable, TopicChanged) as error:
                    log.warning("%s Trying again.", error)
                    self._stopping.wait(1.0)

    def _gaps(self, feed: Feed) -> Batch:
        gaps = [Gap(partition, *offsets, self._clock()) for partition, offsets in feed.gaps.items()]
        return Batch(next_offsets=feed.positions(), gaps=gaps)

    def _share(self, group: str) -> None:
        """Read the partitions that the group assigns to this consumer."""
        while not self._stopping.is_set():
            try:
                with closing(Member(self._servers, self._topic, group, self._store_id, self._secured)) as member:
                    while not self._stopping.is_set():
                        with contextlib.suppress(Moved):
                            self._read_share(member)
            except BrokerUnavailable as error:
                if not self._has_opened:
                    raise
                log.warning("%s Trying again.", error)
            except (Lost, TopicChanged) as change:
                log.warning("joining the group again: %s", change)
            self._stopping.wait(1.0)

    def _read_share(self, member: Member) -> None:
        partitions = member.join(self._stopping.is_set)
        for partition, owed in member.owed(partitions, self._position_or_moved).items():
            log.info(
                "partition %d: offsets %d to %d were claimed but not stored", partition.number, owed.start, owed[-1]
            )
            self._read_owed(partition, owed)
        begins = member.take(partitions, self._position_or_moved)
        only = {partition.number for partition in begins}
        with closing(Feed(self._servers, self._topic, begins.get, self._secured, only)) as feed:
            if feed.gaps:
                gaps = self._gaps(feed)
                member.claim(gaps.next_offsets)
                self._put(Arrived(self.sorter.sort(gaps)))
            self.ends = feed.ends()
            self._put(Opened(feed.positions(), self.ends))
            self._has_opened = True
            self._follow(feed, member)

    def _read_owed(self, partition: Partition, owed: range) -> None:
        with closing(Feed(self._servers, self._topic, lambda _: owed.start, self._secured, {partition.number})) as feed:
            self._put(Arrived(self.sorter.sort(self._gaps(feed).before(owed.stop))))
            while feed.positions()[partition] < owed.stop and not self._stopping.is_set():
                if batch := feed.poll(timeout_s=0.2):
                    self._put(Arrived(self.sorter.sort(batch.before(owed.stop))))

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
                self._put(Arrived(self.sorter.sort(batch)))
            if member is None and time.monotonic() - committed_at > COMMIT_EVERY_S:
                feed.commit(self.stored)
                committed_at = time.monotonic()

    def give_up(self) -> None:
        """End, after `stop` was set: nobody takes from the queue any more."""
        self._nobody_takes = True
        self.join()

    def _position_or_moved(self, partition: Partition) -> int | None:
        """The stored position. Raises Moved when the reader is stopping, because claims are made from the answer."""
        position = self._position(partition)
        if self._stopping.is_set():
            raise Moved
        return position

    def _position(self, partition: Partition) -> int | None:
        question = Question(partition, Future())
        self._put(question)
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                return question.answer.result(timeout=0.2)
        return None

    def _put(self, item: Item) -> None:
        while not self._stopping.is_set() or (self.group and isinstance(item, Arrived) and not self._nobody_takes):
            with contextlib.suppress(queue.Full):
                return self.queue.put(item, timeout=0.2)
