"""Several consumers share a topic: which store owns which offsets. Each record is in one store, even after a kill.

A consumer claims offsets before it stores their records: it commits them to Kafka, which accepts a commit only from a
member of the group's current generation. The commit's metadata says which store owns the offsets, its first offset,
and the last range of each earlier owner. So the next owner continues where the last claim ended. A store that was cut
off between claim and transaction finds out which records it still owes when it is opened again, and reads them then.
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

from ingest.events.batch import Partition
from ingest.topic.feed import describe
from ingest.topic.servers import Security, connecting, not_allowed

SESSION_MS = 10_000  # Kafka notices a killed member after this long
REBALANCE_MS = 20_000  # the group waits no longer for a member that is too busy to ask for its new share
LOOK_EVERY_S = 0.5
# kafka-python discards an assignment that arrives while nobody waits for it, and asks for another. Then the whole group
# may have to join again, and the next assignment may be lost too. So we wait long, and without a break.
WAIT_MS = 2_000
ANSWER_WITHIN_MS = 10_000
JOIN_WITHIN_S = 30.0  # no member delays the others for this long: after it, Kafka itself does not answer


@dataclass(frozen=True)
class Share:
    """What the group knows about a partition: the store `owner` has claimed the offsets from `since` to before `end`.

    `earlier`: for each store that owned it before, its last range (first offset, one past the last).
    """

    topic_id: str
    owner: str
    since: int
    end: int
    earlier: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def owed(self, store: str, position: int | None) -> range:
        """The offsets that `store` has claimed but not stored. `position`: the next offset that it would store."""
        since, end = (self.since, self.end) if self.owner == store else self.earlier.get(store, (0, 0))
        begin = max(since, position or 0)
        return range(begin, max(begin, end))

    def taken_by(self, store: str) -> "Share":
        """This share, owned by `store` from `end` on. That store must have stored all that it claimed before."""
        if self.owner == store:
            return self
        earlier = {owner: claimed for owner, claimed in self.earlier.items() if owner != store}
        return Share(self.topic_id, store, self.end, self.end, earlier | {self.owner: (self.since, self.end)})

    def claimed(self, end: int) -> "Share":
        return replace(self, end=end)

    def metadata(self) -> str:
        return json.dumps([self.topic_id, self.owner, self.since, self.earlier], separators=(",", ":"))


def read_share(committed: OffsetAndMetadata | None, topic_id: str) -> Share | None:
    """The share that a commit describes; None when it describes none of this topic."""
    if committed is None:
        return None
    try:
        committed_id, owner, since, earlier = json.loads(committed.metadata)
        ranges = {store: (begin, end) for store, (begin, end) in earlier.items()}
        share = Share(committed_id, owner, since, committed.offset, ranges)
    except (ValueError, TypeError):
        return None
    return share if committed_id == topic_id else None


class Moved(Exception):
    """The group is assigning its partitions again and accepts no claims until then: join again."""


class Lost(Exception):
    """Kafka did not say whether it accepted a claim: drop what was claimed, and join as another member."""


class Member:
    """This consumer's membership of the group. Not thread-safe. It reads no records.

    Raises BrokerUnavailable when Kafka does not answer or refuses us.
    """

    def __init__(self, bootstrap_servers: str, topic: str, group: str, store: str, secured: Security) -> None:
        self._servers = bootstrap_servers
        self._topic = topic
        self._store = store
        self._secured = secured
        self._shares: dict[Partition, Share] = {}
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
                # otherwise the first member, which assigns the partitions, may not know of any yet
                self._consumer.partitions_for_topic(topic)
            self._consumer.subscribe([topic], listener=_Listener(self))
        except BaseException:
            self.close()
            raise

    def join(self, is_stopping: Callable[[], bool]) -> dict[TopicPartition, Partition]:
        """Wait until the group has assigned its partitions; return all partitions of the topic.

        Raises Lost when it takes too long.
        """
        self._shares = {}
        with self._kafka_errors():
            # at least once: a claim may be refused before this consumer hears that it has lost its share
            self._take_part()
            self._wait_for_assignment(is_stopping)
            self._is_stale = False
            return describe(self._admin, self._topic)

    def _wait_for_assignment(self, is_stopping: Callable[[], bool]) -> None:
        deadline = time.monotonic() + JOIN_WITHIN_S
        while self._assigned is None and not is_stopping():
            if time.monotonic() > deadline:
                raise Lost(f"it assigned no partitions within {JOIN_WITHIN_S:g} s")
            self._take_part()

    def _take_part(self) -> None:
        """Do what the group asks for, within WAIT_MS; return at once when it asks for nothing.

        Not `poll`: it would fetch until its timeout, but it is the feed that reads the partitions.
        """
        self._consumer._coordinator.poll(timeout_ms=WAIT_MS)

    def owed(
        self, partitions: Mapping[TopicPartition, Partition], position: Callable[[Partition], int | None]
    ) -> dict[Partition, range]:
        """For each partition, the offsets that this store has claimed but not stored.

        Call it after `join`: from then on no older claim can arrive.
        """
        owed_offsets = {}
        with self._kafka_errors():
            for tp, partition in partitions.items():
                share = self._share(tp, partition)
                if share and (owed := share.owed(self._store, position(partition))):
                    owed_offsets[partition] = owed
        return owed_offsets

    def take(
        self, partitions: Mapping[TopicPartition, Partition], position: Callable[[Partition], int | None]
    ) -> dict[Partition, int]:
        """Become the owner of the partitions that are assigned to us; return the next offset to read of each."""
        with self._kafka_errors():
            for tp in self._assigned or ():
                if tp in partitions:
                    self._shares[partitions[tp]] = self._take(tp, partitions[tp], position)
            self._commit()
        return {partition: share.end for partition, share in self._shares.items()}

    def _take(self, tp: TopicPartition, partition: Partition, position: Callable[[Partition], int | None]) -> Share:
        if share := self._share(tp, partition):
            return share.taken_by(self._store)
        begin = position(partition)  # the first member may have read the topic alone before
        if begin is None:
            begin = self._consumer.beginning_offsets([tp])[tp]
        return Share(partition.topic_id, self._store, begin, begin)

    def _share(self, tp: TopicPartition, partition: Partition) -> Share | None:
        committed = self._consumer.committed(tp, metadata=True, timeout_ms=ANSWER_WITHIN_MS)
        return read_share(committed, partition.topic_id)

    def claim(self, positions: Mapping[Partition, int]) -> None:
        """Claim the offsets before `positions`. Raises Moved or Lost when we may not: then drop their records."""
        changed = {partition: end for partition, end in positions.items() if end != self._shares[partition].end}
        if changed:
            self._shares |= {partition: self._shares[partition].claimed(end) for partition, end in changed.items()}
            with self._kafka_errors():
                self._commit()

    def look(self, is_stopping: Callable[[], bool]) -> None:
        """Take part in the group, every LOOK_EVERY_S. Raises Moved when it has assigned its partitions again."""
        if time.monotonic() - self._looked_at > LOOK_EVERY_S:
            with self._kafka_errors():
                self._take_part()
                self._wait_for_assignment(is_stopping)
            self._looked_at = time.monotonic()
            if self._is_stale:
                raise Moved

    def _commit(self) -> None:
        if self._is_stale:
            raise Moved
        if self._shares:
            offsets = {
                TopicPartition(partition.topic, partition.number): OffsetAndMetadata(share.end, share.metadata(), -1)
                for partition, share in self._shares.items()
            }
            self._consumer.commit(offsets, timeout_ms=ANSWER_WITHIN_MS)

    def on_assigned(self, partitions: set[TopicPartition]) -> None:
        self._consumer.pause(*partitions)  # the feed reads them
        self._assigned = partitions

    def on_revoked(self) -> None:
        self._assigned = None
        self._is_stale = True

    @contextlib.contextmanager
    def _kafka_errors(self) -> Iterator[None]:
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
        self._member.on_revoked()

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        self._member.on_revoked()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._member.on_assigned(set(assigned))
