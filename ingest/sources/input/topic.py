"""A Kafka topic that a source reads, from where the last process stopped."""

import logging
from collections.abc import Iterator
from dataclasses import astuple
from threading import Event as Flag
from typing import Any

import msgspec

from ingest.errors import BrokerUnavailable
from ingest.events.batch import Batch, Partition
from ingest.sources.events import Rejected
from ingest.sources.input.bookmark import Bookmark
from ingest.topic.feed import Feed, TopicChanged
from ingest.topic.servers import Security

log = logging.getLogger(__name__)

POLL_S = 0.2
AGAIN_AFTER_S = 1.0


class Topic:
    """The values of a topic's records. `keep` moves the place from which the next process reads on.

    If records were deleted before they were read, each partition gives a `Rejected` that says how many.
    """

    def __init__(self, bootstrap_servers: str, name: str, bookmark: Bookmark | None, secured: Security) -> None:
        self._servers = bootstrap_servers
        self._name = name
        self._secured = secured
        self._bookmark = bookmark
        self._positions = _positions(bookmark)
        self._read: dict[Partition, int] = {}
        self._open()

    def values(self, stopped: Flag, until_caught_up: bool) -> Iterator[list[bytes | Rejected]]:
        """Yield the values of each poll, until `stopped` is set or, if asked, the ends seen at opening are reached."""
        while not stopped.is_set():
            if self._feed.gaps:
                self._read = self._read | {partition: end for partition, (_, end) in self._feed.gaps.items()}
                yield [_gap(partition, *offsets) for partition, offsets in self._feed.gaps.items()]
                self._feed.gaps.clear()
            batch = self._poll(stopped)
            if batch is None:
                continue
            self._read = batch.next_offsets
            yield [record.value for records in batch.records.values() for record in records if record.value]
            if until_caught_up and all(self._read.get(partition, 0) >= end for partition, end in self._ends.items()):
                return

    def keep(self, memory: dict[str, Any] | None = None) -> None:
        """Keep the positions: what was read so far was sent. `memory` is what the source knows from it, if anything."""
        if not self._read.items() <= self._positions.items():  # which may have partitions of a deleted topic too
            self._positions.update(self._read)
            if self._bookmark:
                logs = [[*astuple(partition), offset] for partition, offset in self._positions.items()]
                self._bookmark.write({"logs": logs} if memory is None else {"logs": logs, "memory": memory})

    def close(self) -> None:
        self._feed.close()

    def _open(self) -> None:
        self._feed = Feed(self._servers, self._name, self._positions.get, self._secured)
        self._ends = self._feed.ends()

    def _poll(self, stopped: Flag) -> Batch | None:
        try:
            return self._feed.poll(POLL_S)
        except TopicChanged as change:
            log.warning("%s; reading it from its beginning", change)
        self._feed.close()
        while not stopped.is_set():
            try:
                self._open()
                return None
            except (BrokerUnavailable, TopicChanged) as error:
                log.warning("%s Trying again.", error)
                stopped.wait(AGAIN_AFTER_S)
        return None


def _gap(partition: Partition, begin: int, end: int) -> Rejected:
    reason = f"At most {end - begin} records (offsets {begin} to {end - 1}) were deleted before they were read."
    return Rejected(f"{partition.topic}, partition {partition.number}", reason)


def _positions(bookmark: Bookmark | None) -> dict[Partition, int]:
    content = bookmark.read() if bookmark else None
    if not bookmark or content is None:
        return {}
    try:
        logs = msgspec.convert(content["logs"], list[tuple[str, int, str, str, int]])
    except (KeyError, msgspec.ValidationError) as error:
        raise bookmark.unusable() from error
    return {
        Partition(topic, number, cluster_id, topic_id): offset for topic, number, cluster_id, topic_id, offset in logs
    }
