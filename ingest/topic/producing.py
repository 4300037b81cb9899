"""Sending records to Kafka so that nothing is lost silently.

A record counts as sent once the broker has acknowledged it. A record that it does not acknowledge is sent again, for
as long as it takes. So a record may arrive twice, which event ids make harmless, but it always arrives.
"""

import logging
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any
from zlib import crc32

from kafka import KafkaProducer
from kafka.errors import (
    AuthorizationError,
    InvalidRecordError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from ingest.errors import VigieError
from ingest.topic.servers import IN_THE_CLEAR, Security, connecting
from metrics import clock

log = logging.getLogger(__name__)

IN_FLIGHT = 5_000  # records sent before the first of them must be acknowledged
ACKNOWLEDGED_WITHIN_MS = 6_000

AGAIN_AFTER_S = 0.5
FOR_GOOD = (
    AuthorizationError,
    InvalidRecordError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

Record = tuple[bytes, bytes]  # key, value


def open_producer(bootstrap_servers: str, secured: Security = IN_THE_CLEAR, compression: str | None = None) -> Any:
    """Connect a `KafkaProducer` whose records count once every in-sync replica has them.

    Raises `BrokerUnavailable` when no broker answers within five seconds or lets us in, `UsageError` for a malformed
    address.
    """
    # a broker that is away is one line of `deliver`, not one of kafka-python a second
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    with connecting(bootstrap_servers, secured) as settings:
        return KafkaProducer(
            **settings,
            acks="all",
            # a memory broker that restarts forgets producer ids; the event ids do their work
            enable_idempotence=False,
            compression_type=compression,
            linger_ms=20,
            batch_size=1_000_000,
            request_timeout_ms=ACKNOWLEDGED_WITHIN_MS - 1_000,
            delivery_timeout_ms=ACKNOWLEDGED_WITHIN_MS,
            max_block_ms=ACKNOWLEDGED_WITHIN_MS,
            reconnect_backoff_max_ms=1_000,
            metrics_enabled=False,
        )


def deliver(
    producer: Any,
    topic: str,
    records: Iterable[Record],
    *,
    stopped: Callable[[], bool] = lambda: False,
    ends: dict[int, int] | None = None,
) -> int:
    """Send `records` (key, value), wait for the broker's answer to each and return how many it acknowledged.

    That is all of them unless `stopped()` becomes true: then no more of `records` is read, and a broker that does not
    answer is not waited for. In `ends`, each partition gets one past the last offset that the records have there.
    Raises `VigieError` for a record or a topic that Kafka refuses for good.
    """
    acknowledged = 0
    source = iter(records)
    while not stopped() and (pending := list(islice(source, IN_FLIGHT))):
        is_away = False
        while pending:
            count = len(pending)
            pending = _attempt(producer, topic, pending, ends)
            acknowledged += count - len(pending)
            if pending and not is_away:
                log.warning("Kafka does not acknowledge topic %s; trying again until it does", topic)
                is_away = True
            if pending and stopped():
                return acknowledged
            if pending:
                time.sleep(AGAIN_AFTER_S)
        if is_away:
            log.info("Kafka acknowledges topic %s again", topic)
    return acknowledged


def _attempt(producer: Any, topic: str, records: list[Record], ends: dict[int, int] | None) -> list[Record]:
    """Send each record once, and note in `ends` where it is; return those that were not acknowledged in time."""
    futures = []
    try:
        # naming the partition here halves the cost of send(), whose own hash is slow
        partitions = sorted(producer.partitions_for(topic))
        for key, value in records:
            partition = partitions[crc32(key) % len(partitions)]
            at_ms = int(clock.now_s() * 1000)
            futures.append(producer.send(topic, key=key, value=value, partition=partition, timestamp_ms=at_ms))
    except FOR_GOOD as error:
        raise _refused(topic, error) from error
    except KafkaError:  # the topic's metadata, or room in the buffer, did not come in time
        pass
    producer.flush()  # it ends: what is not acknowledged fails at the delivery timeout
    unacknowledged = records[len(futures) :]
    for record, future in zip(records, futures, strict=False):
        if future.succeeded():
            if ends is not None:
                partition = future.value.partition
                ends[partition] = max(ends.get(partition, 0), future.value.offset + 1)
        else:
            if isinstance(future.exception, FOR_GOOD):
                raise _refused(topic, future.exception) from future.exception
            unacknowledged.append(record)
    return unacknowledged


def _refused(topic: str, error: KafkaError) -> VigieError:
    return VigieError(f"Kafka refuses records for topic {topic}: {type(error).__name__}; see the broker's log.")
