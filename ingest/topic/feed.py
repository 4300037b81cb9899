"""The feed: one Kafka topic, read from the stored offsets. A new topic of the same name is noticed."""

import logging
import time
from collections.abc import Callable, Set
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError, TopicAuthorizationFailedError
from kafka.structs import OffsetAndMetadata

from ingest.errors import BrokerUnavailable
from ingest.events.batch import Batch, Partition
from ingest.topic.records import Records
from ingest.topic.servers import IN_THE_CLEAR, Security, connecting, unavailable

log = logging.getLogger(__name__)

GROUP = "vigie"
MAX_POLL_RECORDS = 60_000
MAX_FETCH_BYTES = 8 * 2**20  # per partition; after each poll we check that the topic is still the same
RETRY_S = 0.2
LOOK_AGAIN_S = 1.0
POSITION_WITHIN_MS = 1_000
OPENS_WITHIN_S = 10.0


def describe(admin: Any, topic: str) -> dict[TopicPartition, Partition]:
    """The partitions of a topic now; empty when there is no such topic.

    Raises TopicAuthorizationFailedError when we may not see it.
    """
    cluster_id = str(admin.describe_cluster()["cluster_id"])
    (answer,) = admin.describe_topics([topic])
    if answer["error_code"] == TopicAuthorizationFailedError.errno:
        raise TopicAuthorizationFailedError(topic)
    if answer["error_code"]:
        return {}
    return {
        TopicPartition(topic, p["partition_index"]): Partition(
            topic, p["partition_index"], cluster_id, str(answer["topic_id"])
        )
        for p in answer["partitions"]
    }


class TopicChanged(Exception):
    """The topic was recreated, moved to another broker or gained partitions: open the feed again."""


class Feed:
    """An open topic. Not thread-safe.

    `only`: the partitions to read; None for all. `position` returns the next offset to read of a partition, or
    None for one that was never read. `gaps`: offsets (first, one past the last) that Kafka deleted before they were
    read. `in_touch_at` [s, monotonic]: when the broker last answered.
    Raises BrokerUnavailable when no broker answers or it has no such topic.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        position: Callable[[Partition], int | None],
        secured: Security = IN_THE_CLEAR,
        only: Set[int] | None = None,
    ) -> None:
        self._servers = bootstrap_servers
        self._topic = topic
        self._only = only
        self.gaps: dict[Partition, tuple[int, int]] = {}
        self.in_touch_at = time.monotonic()
        self._is_away = False
        self._unverified: dict[TopicPartition, list[Any]] = {}
        self._delivered: set[TopicPartition] = set()
        self._held_back: dict[TopicPartition, int] = {}
        self._admin: Any = None
        self._consumer: Any = None
        try:
            with connecting(bootstrap_servers, secured) as settings:
                self._open(settings, position)
        except BaseException:
            self.close()
            raise

    def _open(self, settings: dict[str, Any], position: Callable[[Partition], int | None]) -> None:
        settings = {**settings, "reconnect_backoff_max_ms": 500, "metadata_max_age_ms": 10_000}
        self._admin = KafkaAdminClient(**settings, request_timeout_ms=5_000)
        self._consumer = KafkaConsumer(
            **settings,
            group_id=GROUP,  # only so that lag tools see our offsets: partitions are assigned by hand
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            metrics_enabled=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
            max_poll_records=MAX_POLL_RECORDS,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
        )
        self._consumer._fetcher.PartitionRecords = Records
        self._all_partitions = describe(self._admin, self._topic)
        if not self._all_partitions:
            raise BrokerUnavailable(
                f"Kafka at {self._servers} has no topic {self._topic}; create it, or name another with --topic."
            )
        self._partitions = {
            p: partition
            for p, partition in self._all_partitions.items()
            if self._only is None or p.partition in self._only
        }
        self._looked_at = time.monotonic()
        self._consumer.assign(list(self._partitions))
        self._seek(position)

    def _seek(self, position: Callable[[Partition], int | None]) -> None:
        """Seek to the stored positions; to the beginning where there is none, or where the partition ends before it."""
        beginnings = self._consumer.beginning_offsets(list(self._partitions))
        stored = {tp: position(partition) for tp, partition in self._partitions.items()}
        for tp, offset in stored.items():
            if offset is not None and offset < beginnings[tp]:
                last = beginnings[tp] - 1
                log.warning("%s: offsets %d to %d were deleted before they were read", tp, offset, last)
                self.gaps[self._partitions[tp]] = offset, beginnings[tp]
            self._consumer.seek(tp, max(offset or 0, beginnings[tp]))
        ends = self._ends()
        for tp, offset in stored.items():
            if offset is not None and ends[tp] < offset:
                log.warning("%s ends at %d, before %d: reading from its beginning", tp, ends[tp], offset)
                self._consumer.seek(tp, beginnings[tp])

    def _ends(self) -> dict[TopicPartition, int]:
        """One past the last record of each partition, from the broker's answers to fetches.

        Not from `end_offsets`: the embedded broker's are one past the *first* record of the last batch.
        """
        before = {tp: self._position(tp) for tp in self._partitions}
        deadline = time.monotonic() + OPENS_WITHIN_S
        while any(self._consumer.highwater(tp) is None for tp in self._partitions):
            if time.monotonic() > deadline:
                raise unavailable(self._servers)
            try:
                self._consumer.poll(timeout_ms=100, max_records=1, update_offsets=False)
            except OffsetOutOfRangeError as error:
                beyond = list(error.args[0])
                self._consumer.seek_to_end(*beyond)
                for tp in beyond:
                    before[tp] = self._position(tp)
        for tp, offset in before.items():
            self._consumer.seek(tp, offset)
        return {tp: self._consumer.highwater(tp) for tp in self._partitions}

    def ends(self) -> dict[Partition, int]:
        """For each partition, one past the last record that can be read now, as of the last poll."""
        return {partition: self._end(tp) for tp, partition in self._partitions.items()}

    def _end(self, tp: TopicPartition) -> int:
        highwater: int = self._consumer.highwater(tp) or 0
        if self._held_back.get(tp) == highwater:
            return self._position(tp)
        return highwater

    def _position(self, tp: TopicPartition) -> int:
        """The offset that the next poll reads.

        Once Kafka's client has seen a new leader, it first asks the broker whether the log before this offset is still
        the same. Without a limit it would wait until the broker has an answer, which never comes for a topic that is
        being deleted.
        """
        try:
            offset = self._consumer.position(tp, timeout_ms=POSITION_WITHIN_MS)
        except LogTruncationError as error:
            raise TopicChanged(str(error)) from error
        if offset is None:
            raise TopicChanged(f"{tp} has no position")
        return int(offset)

    def _find_open_transactions(self, delivered: set[TopicPartition]) -> None:
        """Note the partitions that an open transaction holds back: Kafka delivers nothing past its beginning.

        `delivered`: the partitions that brought records since the last call. They are left out, because the embedded
        broker's `end_offsets` are too low.
        """
        behind = [
            tp
            for tp in self._partitions
            if tp not in delivered and self._position(tp) < (self._consumer.highwater(tp) or 0)
        ]
        stable = self._consumer.end_offsets(behind) if behind else {}
        self._held_back = {tp: self._consumer.highwater(tp) for tp in behind if stable[tp] <= self._position(tp)}

    def positions(self) -> dict[Partition, int]:
        """For each partition, the offset that the next poll reads."""
        return {partition: self._position(tp) for tp, partition in self._partitions.items()}

    def poll(self, timeout_s: float) -> Batch | None:
        """Wait up to `timeout_s` for records; None while the broker is away.

        Raises TopicChanged when the records are not from the partitions that this feed was opened on.
        """
        if not self._unverified:
            try:
                self._unverified = self._consumer.poll(timeout_ms=round(timeout_s * 1000))
            except (OffsetOutOfRangeError, LogTruncationError) as error:
                raise TopicChanged(str(error)) from error
            except KafkaError as error:
                log.warning("Kafka at %s: %s", self._servers, error)
                self._is_same()  # a deleted topic would give this error for ever
                time.sleep(RETRY_S)
                return None
        if (self._unverified or time.monotonic() - self._looked_at > LOOK_AGAIN_S) and not self._is_same():
            time.sleep(RETRY_S)
            return None
        fetched, self._unverified = self._unverified, {}
        self._delivered.update(fetched)
        return Batch({self._partitions[tp]: records for tp, records in fetched.items()}, self.positions())

    def _is_same(self) -> bool:
        """Whether the broker confirms that these are still its partitions; False when it does not answer.

        A recreated topic answers fetches like the old one, so records are not handed on before this check.
        """
        try:
            partitions = describe(self._admin, self._topic)
            if time.monotonic() - self._looked_at > LOOK_AGAIN_S:
                self._find_open_transactions(self._delivered | self._unverified.keys())
                self._delivered = set()
                self._looked_at = time.monotonic()
        except KafkaError as error:
            if not self._is_away:
                log.warning("Kafka at %s does not answer (%s); trying until it does", self._servers, error)
            self._is_away = True
            return False
        if self._is_away:
            log.info("Kafka at %s answers again", self._servers)
        self._is_away = False
        self.in_touch_at = time.monotonic()
        if partitions != self._all_partitions:
            raise TopicChanged(f"topic {self._topic} was recreated or changed")
        return True

    def commit(self, positions: dict[Partition, int]) -> None:
        """Commit the stored offsets to Kafka, only for its lag tools: nothing else reads them."""
        if positions:
            self._consumer.commit_async(
                {
                    TopicPartition(partition.topic, partition.number): OffsetAndMetadata(offset, "", -1)
                    for partition, offset in positions.items()
                }
            )

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=1_000)
        if self._admin is not None:
            self._admin.close()
