"""The records of a fetch, decoded by compiled code: kafka-python's own decoder takes four fifths of a poll's time."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import KafkaError as Unreadable
from aiokafka.record.default_records import DefaultRecordBatch
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError

MAGIC = 2  # record batches of Kafka 0.11 and later; kafka-python decodes older ones itself


class Records(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    """The records of one partition, each with `offset`, `timestamp` [ms since 1970, -1 for none] and `value`.

    kafka-python handles the batches: checksums, transactions and control batches. It gets each batch as one record,
    whose value is the list of the batch's records.
    """

    def take(self, n: int | None = None) -> list[Any]:
        records: list[Any] = super().take(n)
        if records and self:  # more are left: the next fetch starts after these records, not after their batch
            self.next_fetch_offset = records[-1].offset + 1
        return records

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Iterator[Any]:
        for record in super()._unpack_records(tp, _Batches(records), *deserializers):
            yield from record.value if isinstance(record.value, _BatchRecords) else (record,)


class _BatchRecords(list[Any]):
    """The records of a batch."""


class _Batches:
    """Batches that each look like one record to kafka-python."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches

    def next_batch(self) -> Any:
        batch = self._batches.next_batch()
        return _Batch(batch) if batch is not None and batch.magic == MAGIC else batch


class _Batch:
    """A batch that looks like one record to kafka-python."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            batch_records = _BatchRecords(DefaultRecordBatch(bytes(self._batch._buffer)))
        except Unreadable as error:
            raise CorruptRecordError(str(error)) from error
        yield SimpleNamespace(
            offset=self._batch.base_offset,
            timestamp=self._batch.max_timestamp,
            timestamp_type=self._batch.timestamp_type,
            key=None,
            value=batch_records,
            headers=(),
            checksum=None,
            size_in_bytes=self._batch.size_in_bytes,
            validate_crc=lambda: True,
        )
