"""The feed: one Kafka topic, read from where the store left it, never mistaken for another of the same name."""

import logging
import time
from collections.abc import Callable, Set
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError, TopicAuthorizationFailedError
from kafka.structs import OffsetAndMetadata

from ingest.errors import BrokerUnavailable
from ingest.events.batch import Batch, Log
from ingest.topic.records import Records
from ingest.topic.servers import IN_THE_CLEAR, Security, connecting, unavailable

log = logging.getLogger(__name__)

GROUP = "vigie"
MAX_POLL_RECORDS = 60_000
MAX_FETCH_BYTES = 8 * 2**20  # of a partition; after each poll the broker is asked whether it is still the same
RETRY_S = 0.2
LOOK_AGAIN_S = 1.0
POSITION_WITHIN_MS = 1_000
OPENS_WITHIN_S = 10.0


def describe(admin: Any, topic: str) -> dict[TopicPartition, Log]:
    """The logs of a topic as they are now; none when there is no such topic.

    Raises TopicAuthorizationFailedError when Kafka does not tell us of it.
    """
    cluster_id = str(admin.describe_cluster()["cluster_id"])
    (answer,) = admin.describe_topics([topic])
    if answer["error_code"] == TopicAuthorizationFailedError.errno:
        raise TopicAuthorizationFailedError(topic)
    if answer["error_code"]:
        return {}
    return {
        TopicPartition(topic, p["partition_index"]): Log(
            topic, p["partition_index"], cluster_id, str(answer["topic_id"])
        )
        for p in answer["partitions"]
    }


class TopicChanged(Exception):
    """The topic was recreated, moved to another broker or got partitions: open the feed again."""


class Feed:
    """An open topic. Not thread-safe.

    `only` are the partitions to read, None for all. `position` tells, for a log, the offset to read on from, or None
    for a log never read; `gaps` are the offsets (first, one past the last) that were deleted before they were read.
    `in_touch_at` [s, monotonic] is when the broker answered last.
    Raises BrokerUnavailable when no broker answers or it has no such topic.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        position: Callable[[Log], int | None],
        secured: Security = IN_THE_CLEAR,
        only: Set[int] | None = None,
    ) -> None:
        self._servers = bootstrap_servers
        self._topic = topic
        self._only = only
        self.gaps: dict[Log, tuple[int, int]] = {}
        self.in_touch_at = time.monotonic()  # when the broker answered last
        self._is_away = False
        self._unverified: dict[TopicPartition, list[Any]] = {}
        self._came: set[TopicPartition] = set()
        self._held_back: dict[TopicPartition, int] = {}
        self._admin: Any = None
        self._consumer: Any = None
        try:
            with connecting(bootstrap_servers, secured) as settings:
                self._open(settings, position)
        except BaseException:
            self.close()
            raise

    def _open(self, settings: dict[str, Any], position: Callable[[Log], int | None]) -> None:
        settings = {**settings, "reconnect_backoff_max_ms": 500, "metadata_max_age_ms": 10_000}
        self._admin = KafkaAdminClient(**settings, request_timeout_ms=5_000)
        self._consumer = KafkaConsumer(
            **settings,
            group_id=GROUP,  # only to tell lag tools where we are: partitions are assigned
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
        self._whole = describe(self._admin, self._topic)
        if not self._whole:
            raise BrokerUnavailable(
                f"Kafka at {self._servers} has no topic {self._topic}; create it, or name another with --topic."
            )
        self._logs = {p: of for p, of in self._whole.items() if self._only is None or p.partition in self._only}
        self._looked_at = time.monotonic()
        self._consumer.assign(list(self._logs))
        self._seek(position)

    def _seek(self, position: Callable[[Log], int | None]) -> None:
        """Go to the stored positions; to the beginning where there is none or the log ends before it."""
        beginnings = self._consumer.beginning_offsets(list(self._logs))
        stored = {partition: position(of) for partition, of in self._logs.items()}
        for partition, offset in stored.items():
            if offset is not None and offset < beginnings[partition]:
                log.warning("%s: offsets %d to %d are gone, unread", partition, offset, beginnings[partition] - 1)
                self.gaps[self._logs[partition]] = offset, beginnings[partition]
            self._consumer.seek(partition, max(offset or 0, beginnings[partition]))
        ends = self._ends()
        for partition, offset in stored.items():
            if offset is not None and ends[partition] < offset:
                log.warning("%s ends at %d, before %d: read from its beginning", partition, ends[partition], offset)
                self._consumer.seek(partition, beginnings[partition])

    def _ends(self) -> dict[TopicPartition, int]:
        """One past the last record of each partition, as the broker's answers to fetches tell it.

        Not `end_offsets`: the embedded broker answers that with the first record of the last batch.
        """
        before = {partition: self._position(partition) for partition in self._logs}
        deadline = time.monotonic() + OPENS_WITHIN_S
        while any(self._consumer.highwater(partition) is None for partition in self._logs):
            if time.monotonic() > deadline:
                raise unavailable(self._servers)
            try:
                self._consumer.poll(timeout_ms=100, max_records=1, update_offsets=False)
            except OffsetOutOfRangeError as error:
                beyond = list(error.args[0])
                self._consumer.seek_to_end(*beyond)
                for partition in beyond:
                    before[partition] = self._position(partition)
        for partition, offset in before.items():
            self._consumer.seek(partition, offset)
        return {partition: self._consumer.highwater(partition) for partition in self._logs}

    def ends(self) -> dict[Log, int]:
        """One past the last record that can be read now, of each log, as known from the last poll."""
        return {of: self._end(partition) for partition, of in self._logs.items()}

    def _end(self, partition: TopicPartition) -> int:
        highwater: int = self._consumer.highwater(partition) or 0
        if self._held_back.get(partition) == highwater:
            return self._position(partition)
        return highwater

    def _position(self, partition: TopicPartition) -> int:
        """The offset that the next poll reads.

        Kafka's client asks the broker first whether the log before it is still the same, once it has seen a new leader:
        without a limit it would wait for that as long as the broker has no answer, as of a topic that is being deleted.
        """
        try:
            offset = self._consumer.position(partition, timeout_ms=POSITION_WITHIN_MS)
        except LogTruncationError as error:
            raise TopicChanged(str(error)) from error
        if offset is None:
            raise TopicChanged(f"{partition} has no position")
        return int(offset)

    def _look_for_open_transactions(self, came: set[TopicPartition]) -> None:
        """Note the logs whose rest waits for the end of a transaction: Kafka gives out nothing behind its beginning.

        `came`: what brought records since the last look, where the embedded broker's low answer would mislead.
        """
        behind = [
            partition
            for partition in self._logs
            if partition not in came and self._position(partition) < (self._consumer.highwater(partition) or 0)
        ]
        stable = self._consumer.end_offsets(behind) if behind else {}
        self._held_back = {
            partition: self._consumer.highwater(partition)
            for partition in behind
            if stable[partition] <= self._position(partition)
        }

    def positions(self) -> dict[Log, int]:
        """The offset that the next poll reads, of each log."""
        return {of: self._position(partition) for partition, of in self._logs.items()}

    def poll(self, timeout_s: float) -> Batch | None:
        """Wait up to `timeout_s` for records; None while the broker is away.

        Raises TopicChanged when what came is not of the logs this feed was opened on.
        """
        if not self._unverified:
            try:
                self._unverified = self._consumer.poll(timeout_ms=round(timeout_s * 1000))
            except (OffsetOutOfRangeError, LogTruncationError) as error:
                raise TopicChanged(str(error)) from error
            except KafkaError as error:
                log.warning("Kafka at %s: %s", self._servers, error)
                self._is_same()  # it may be an error of a topic that is no more, which would come for ever
                time.sleep(RETRY_S)
                return None
        if (self._unverified or time.monotonic() - self._looked_at > LOOK_AGAIN_S) and not self._is_same():
            time.sleep(RETRY_S)
            return None
        found, self._unverified = self._unverified, {}
        self._came.update(found)
        return Batch({self._logs[partition]: records for partition, records in found.items()}, self.positions())

    def _is_same(self) -> bool:
        """Whether the broker says that these are still its logs; False when it is away and cannot say.

        A recreated topic answers fetches like the old one, so what came is not handed on before this.
        """
        try:
            logs = describe(self._admin, self._topic)
            if time.monotonic() - self._looked_at > LOOK_AGAIN_S:
                self._look_for_open_transactions(self._came | self._unverified.keys())
                self._came = set()
                self._looked_at = time.monotonic()
        except KafkaError as error:
            if not self._is_away:
                log.warning("Kafka at %s is away (%s); trying again until it is back", self._servers, error)
            self._is_away = True
            return False
        if self._is_away:
            log.info("Kafka at %s is back", self._servers)
        self._is_away = False
        self.in_touch_at = time.monotonic()
        if logs != self._whole:
            raise TopicChanged(f"topic {self._topic} is another one now")
        return True

    def commit(self, positions: dict[Log, int]) -> None:
        """Tell Kafka what is stored, for its lag tools only; nothing depends on it."""
        if positions:
            self._consumer.commit_async(
                {
                    TopicPartition(of.topic, of.partition): OffsetAndMetadata(offset, "", -1)
                    for of, offset in positions.items()
                }
            )

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=1_000)
        if self._admin is not None:
            self._admin.close()
