"""Several consumers share a topic: who owns which offsets, so that each is in one store, whoever is killed.

A consumer claims offsets before it hands them on to its store: it commits them to Kafka, which takes a commit only from
a member of the group's present generation. The commit's metadata says whose store they are in, since which offset, and
where each earlier owner ended. So the next owner goes on where the last claim ended, and a store that was cut off
between claim and transaction finds, whenever it is opened again, what it still owes, and reads it then.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import AuthorizationError, CommitFailedError, KafkaError, RebalanceInProgressError
from kafka.structs import OffsetAndMetadata

from ingest.events.batch import Log
from ingest.topic.feed import describe
from ingest.topic.servers import Security, connecting, not_allowed

SESSION_MS = 10_000  # a member that is killed is missed after so long
REBALANCE_MS = 20_000  # one that is there and too busy to ask for its new share is not waited for any longer
LOOK_EVERY_S = 0.5
# kafka-python throws away a share that comes while nobody waits for it, and asks for another: the whole group may have
# to join again then, and the next share may be thrown away as well; so it is waited for long, and without a break
WAIT_MS = 2_000
ANSWER_WITHIN_MS = 10_000
JOIN_WITHIN_S = 30.0  # no member holds the others up for so long: Kafka itself does not answer


@dataclass(frozen=True)
class Share:
    """What the group knows of a log: `owner` has claimed the offsets from `since` to before `end`.

    `earlier` has, for each store that owned it before, from where to where it did last.
    """

    topic_id: str
    owner: str
    since: int
    end: int
    earlier: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def owed(self, store: str, position: int | None) -> range:
        """Offsets that `store`, whose own position is `position`, has claimed and does not have."""
        since, end = (self.since, self.end) if self.owner == store else self.earlier.get(store, (0, 0))
        begin = max(since, position or 0)
        return range(begin, max(begin, end))

    def taken_by(self, store: str) -> "Share":
        """The same log with `store` as its owner from here on; what that store claimed before must be in it."""
        if self.owner == store:
            return self
        earlier = {one: ends for one, ends in self.earlier.items() if one != store}
        return Share(self.topic_id, store, self.end, self.end, earlier | {self.owner: (self.since, self.end)})

    def claimed(self, end: int) -> "Share":
        return replace(self, end=end)

    def metadata(self) -> str:
        return json.dumps([self.topic_id, self.owner, self.since, self.earlier], separators=(",", ":"))


def read_share(committed: OffsetAndMetadata | None, topic_id: str) -> Share | None:
    """The share that a commit tells; None when there is none, of this topic."""
    if committed is None:
        return None
    try:
        of, owner, since, earlier = json.loads(committed.metadata)
        share = Share(of, owner, since, committed.offset, {store: (a, b) for store, (a, b) in earlier.items()})
    except (ValueError, TypeError):
        return None
    return share if of == topic_id else None


class Moved(Exception):
    """The group gives out partitions anew, and took no claim since: join again."""


class Lost(Exception):
    """Kafka did not say whether it took a claim: drop what was claimed, and be another member from here on."""


class Member:
    """This consumer among those of the group. Not thread-safe; it reads nothing itself.

    Raises BrokerUnavailable when Kafka does not answer or does not let us in.
    """

    def __init__(self, bootstrap_servers: str, topic: str, group: str, store: str, secured: Security) -> None:
        self._servers = bootstrap_servers
        self._topic = topic
        self._store = store
        self._secured = secured
        self._shares: dict[Log, Share] = {}
        self._assigned: set[TopicPartition] | None = None
        self._is_stale = False
        self._looked_at = 0.0
        self._admin: Any = None
        self._consumer: Any = None
        try:
            with connecting(bootstrap_servers, secured) as settings:
                self._admin = KafkaAdminClient(**settings, request_timeout_ms=5_000)
                self._consumer = KafkaConsumer(
                    **settings,
                    group_id=group,
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",
                    allow_auto_create_topics=False,
                    metrics_enabled=False,
                    metadata_max_age_ms=10_000,
                    session_timeout_ms=SESSION_MS,
                    heartbeat_interval_ms=SESSION_MS // 4,
                    max_poll_interval_ms=REBALANCE_MS,
                    partition_assignment_strategy=(StickyPartitionAssignor,),
                )
                # else the first member, who gives out the partitions, may not know of any yet
                self._consumer.partitions_for_topic(topic)
            self._consumer.subscribe([topic], listener=_Listener(self))
        except BaseException:
            self.close()
            raise

    def join(self, is_stopping: Callable[[], bool]) -> dict[TopicPartition, Log]:
        """Wait until the group has given out its partitions; return all logs of the topic.

        Raises Lost when it takes too long.
        """
        self._shares = {}
        with self._told():
            # asked at least once: a claim may be refused before this consumer was told that its share is gone
            self._take_part()
            self._wait_until_given(is_stopping)
            self._is_stale = False
            return describe(self._admin, self._topic)

    def _wait_until_given(self, is_stopping: Callable[[], bool]) -> None:
        deadline = time.monotonic() + JOIN_WITHIN_S
        while self._assigned is None and not is_stopping():
            if time.monotonic() > deadline:
                raise Lost(f"it gave out no partitions within {JOIN_WITHIN_S:g} s")
            self._take_part()

    def _take_part(self) -> None:
        """Do what the group asks for; at once when that is nothing, else within WAIT_MS.

        Not `poll`, which would go on to fetch until its time is over, though the feed reads the partitions.
        """
        self._consumer._coordinator.poll(timeout_ms=WAIT_MS)

    def owed(self, logs: Mapping[TopicPartition, Log], position: Callable[[Log], int | None]) -> dict[Log, range]:
        """What this store has claimed and does not have, of each log. Ask after `join`: no older claim comes later."""
        found = {}
        with self._told():
            for partition, of in logs.items():
                share = self._share(partition, of)
                if share and (owed := share.owed(self._store, position(of))):
                    found[of] = owed
        return found

    def take(self, logs: Mapping[TopicPartition, Log], position: Callable[[Log], int | None]) -> dict[Log, int]:
        """Become the owner of the logs that were given to us; return where to read on in each."""
        with self._told():
            for partition in self._assigned or ():
                if partition in logs:
                    self._shares[logs[partition]] = self._take(partition, logs[partition], position)
            self._commit()
        return {of: share.end for of, share in self._shares.items()}

    def _take(self, partition: TopicPartition, of: Log, position: Callable[[Log], int | None]) -> Share:
        if share := self._share(partition, of):
            return share.taken_by(self._store)
        begin = position(of)  # the first member may have read alone before
        if begin is None:
            begin = self._consumer.beginning_offsets([partition])[partition]
        return Share(of.topic_id, self._store, begin, begin)

    def _share(self, partition: TopicPartition, of: Log) -> Share | None:
        committed = self._consumer.committed(partition, metadata=True, timeout_ms=ANSWER_WITHIN_MS)
        return read_share(committed, of.topic_id)

    def claim(self, positions: Mapping[Log, int]) -> None:
        """Claim what lies before `positions`. Raises Moved or Lost when that is not ours: then drop it."""
        news = {of: end for of, end in positions.items() if end != self._shares[of].end}
        if news:
            self._shares |= {of: self._shares[of].claimed(end) for of, end in news.items()}
            with self._told():
                self._commit()

    def look(self, is_stopping: Callable[[], bool]) -> None:
        """Tell the group that we are there. Raises Moved when it has given out partitions anew."""
        if time.monotonic() - self._looked_at > LOOK_EVERY_S:
            with self._told():
                self._take_part()
                self._wait_until_given(is_stopping)
            self._looked_at = time.monotonic()
            if self._is_stale:
                raise Moved

    def _commit(self) -> None:
        if self._is_stale:
            raise Moved
        if self._shares:
            offsets = {
                TopicPartition(of.topic, of.partition): OffsetAndMetadata(share.end, share.metadata(), -1)
                for of, share in self._shares.items()
            }
            self._consumer.commit(offsets, timeout_ms=ANSWER_WITHIN_MS)

    def given(self, partitions: set[TopicPartition]) -> None:
        self._consumer.pause(*partitions)  # the feed reads them
        self._assigned = partitions

    def withdrawn(self) -> None:
        self._assigned = None
        self._is_stale = True

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (CommitFailedError, RebalanceInProgressError) as error:
            raise Moved from error
        except AuthorizationError as error:
            raise not_allowed(self._servers, self._secured, str(error)) from error
        except KafkaError as error:
            raise Lost(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=2_000)
        if self._admin is not None:
            self._admin.close()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka has no types
    def __init__(self, member: Member) -> None:
        self._member = member

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._member.withdrawn()

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        self._member.withdrawn()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._member.given(set(assigned))
