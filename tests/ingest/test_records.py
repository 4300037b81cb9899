"""The records of a fetch: the compiled reader compared with kafka-python's own reader on the same bytes."""

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from ingest.topic.records import Records

PARTITION = TopicPartition("call-events", 0)
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
CRC, ATTRIBUTES = 17, 21  # their offsets in a batch
LOG_APPEND_TIME = 0x08

Line = tuple[int, bytes | None, bytes | None]
lines = st.tuples(
    st.integers(0, 2**42), st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=300)
)  # timestamp [ms], key, value


def packed(records: Sequence[Line], base_offset: int = 0, codec: int = 0) -> bytearray:
    """Return a batch of these records that begins at `base_offset`."""
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=2**20, offset=base_offset)
    for timestamp, key, value in records:
        assert builder.append(timestamp=timestamp, key=key, value=value, headers=[("source", b"pbx"), ("note", None)])
    builder.close()
    return bytearray(builder.buffer())


def signed(batch: bytearray) -> bytearray:
    """Give a changed batch the checksum that it should then have."""
    struct.pack_into(">I", batch, CRC, crc32c(bytes(batch[ATTRIBUTES:])))
    return batch


def read(by: Any, fetched: bytes, fetch_offset: int, pieces: Sequence[int]) -> list[Any]:
    """Return the records that `by` returns for each take, each followed by its next fetch offset."""
    reader = by(fetch_offset, PARTITION, MemoryRecords(fetched))
    results = []
    for piece in (*pieces, None):
        results.append(
            [(record.offset, record.timestamp, record.value) for record in reader.take(piece)] if reader else []
        )
        results.append(reader.next_fetch_offset)
    return results


def same(fetched: bytes, fetch_offset: int = 0, pieces: Sequence[int] = ()) -> list[Any]:
    """Return what both readers read, which must be the same."""
    ours = read(Records, fetched, fetch_offset, pieces)
    assert ours == read(Fetcher.PartitionRecords, fetched, fetch_offset, pieces)
    return ours


@given(st.lists(st.lists(lines, min_size=1, max_size=6), min_size=1, max_size=5), st.data())
def test_any_batches_taken_in_any_pieces_are_read_as_kafka_python_reads_them(
    batches: list[list[Line]], data: st.DataObject
) -> None:
    fetched, end = bytearray(), 0
    for batch in batches:
        fetched += packed(batch, end, data.draw(st.sampled_from(sorted(CODECS.values()))))
        end += len(batch)
    fetch_offset = data.draw(st.integers(0, end - 1))
    pieces = data.draw(st.lists(st.integers(1, 7), max_size=4))
    *told, last = same(bytes(fetched), fetch_offset, pieces)
    assert last == end
    taken = [record for piece in told[::2] for record in piece]
    kept = [(at, value) for batch in batches for at, _key, value in batch]
    assert taken == [(offset, *kept[offset]) for offset in range(fetch_offset, end)]


@pytest.mark.parametrize("codec", CODECS)
def test_each_compression(codec: str) -> None:
    many = [(1_000 + n, None, b'{"event_id":"e%d"}' % n) for n in range(500)]
    (taken, end) = same(bytes(packed(many, 40, CODECS[codec])))
    assert (len(taken), taken[-1], end) == (500, (539, 1_499, b'{"event_id":"e499"}'), 540)


def test_the_brokers_timestamp_counts_where_it_sets_one() -> None:
    batch = packed([(1_000, None, b"a"), (2_000, None, b"b")])
    batch[ATTRIBUTES + 1] |= LOG_APPEND_TIME
    assert same(bytes(signed(batch)))[0] == [(0, 2_000, b"a"), (1, 2_000, b"b")]


def test_a_batch_of_an_old_format_is_read() -> None:
    builder = MemoryRecordsBuilder(magic=1, compression_type=CODECS["gzip"], batch_size=2**20)
    builder.append(timestamp=1_000, key=None, value=b"a")
    builder.close()
    assert same(bytes(builder.buffer())) == [[(0, 1_000, b"a")], 1]


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(packed([(1_000, None, b"a")])[:-1] + b"x", id="checksum"),
        pytest.param(signed(packed([(1_000, None, b"a")])[:-1] + b"\x02"), id="cut off"),
    ],
)
def test_a_corrupt_batch_raises_what_kafka_python_raises(batch: bytearray) -> None:
    for by in (Records, Fetcher.PartitionRecords):
        with pytest.raises(CorruptRecordError):
            read(by, bytes(batch), 0, ())
