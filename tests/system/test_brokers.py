"""What must hold on every Kafka: the same tests on the embedded broker and on Apache Kafka."""

import itertools
import json
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from ingest.topic.broker import Broker, ensure_topic
from tests.support.processes import (
    Event,
    catch_up,
    consumer,
    consumer_log,
    count_calls,
    differences,
    floor,
    queued,
    rows,
    send,
    status,
    stop,
    totals,
    wait_for,
)
from tests.support.servers.apache_kafka import ApacheKafka

pytestmark = pytest.mark.slow

Kafka = Broker | ApacheKafka
#: Without the seconds of open states, which depend on the clock.
STATES = "SELECT * REPLACE (CASE WHEN ended_at IS NOT NULL THEN seconds END AS seconds) FROM agent_states"
GAPS = 'SELECT "partition", from_offset, to_offset, records FROM feed_gaps ORDER BY ALL'


@pytest.fixture(params=["embedded", "Apache"])
def kafka(request: pytest.FixtureRequest) -> Kafka:
    running: Kafka = request.getfixturevalue("broker" if request.param == "embedded" else "apache_kafka")
    return running


# for features that the embedded broker lacks
apache_alone = pytest.mark.parametrize("kafka", ["Apache"], indirect=True)


@pytest.fixture
def topic(kafka: Kafka) -> str:
    name = f"call-events-{uuid.uuid4().hex[:12]}"
    ensure_topic(kafka.bootstrap_servers, name, 2)
    return name


@pytest.fixture
def admin(kafka: Kafka) -> Iterator[Any]:
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)) as client:
        yield client


def as_bytes(event: Event) -> bytes:
    return json.dumps(event).encode()


# Exactly once


def test_killed_consumers_lose_and_duplicate_nothing(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    servers, chance = kafka.bootstrap_servers, random.Random(4)
    killed, untouched = tmp_path / "killed", tmp_path / "untouched"
    values: list[Any] = floor(3_000)
    values += [*chance.sample(values, 500), *(b"not JSON %d" % n for n in range(20))]
    for part in (values[:2_000], values[2_000:]):
        send(servers, topic, part)
        with consumer(killed, servers, topic) as process:
            wait_for(lambda: "topic opened" in consumer_log(killed), "the topic is opened")
            time.sleep(chance.uniform(0, 0.5))  # not a wait: a random moment for the kill
            process.kill()
            process.wait()
    catch_up(killed, servers, topic)
    catch_up(untouched, servers, topic)
    assert (
        differences(killed, untouched, "FROM calls", STATES, 'FROM dead_letters ORDER BY "partition", "offset"') == {}
    )
    assert totals(killed) == totals(untouched)
    counted = totals(killed)
    assert (counted["records"], counted["lines"] - counted["duplicates"], counted["dead_letters"]) == (3_520, 3_000, 20)


@apache_alone  # the embedded broker loses its data when it ends; tests/system/test_run.py tests that case
def test_a_killed_and_restarted_broker_loses_and_duplicates_nothing(
    kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    servers = kafka.bootstrap_servers
    send(servers, topic, [queued(n) for n in range(500)])
    with consumer(tmp_path, servers, topic) as process:
        wait_for(lambda: count_calls(tmp_path) == 500, "the calls sent before")
        kafka.kill()
        wait_for(lambda: "trying until it does" in consumer_log(tmp_path), "a warning that the broker does not answer")
        kafka.start()
        send(servers, topic, [queued(n) for n in range(500, 800)])
        wait_for(lambda: count_calls(tmp_path) == 800, "the calls sent after")
        stop(process, tmp_path)
    ingest_status = status(tmp_path)
    assert (ingest_status["records"], ingest_status["events"], ingest_status["duplicates"]) == (800, 800, 0)
    assert rows(tmp_path, GAPS) == []


# The topic changes


@apache_alone
def test_a_partition_added_while_the_consumer_runs_is_read(
    kafka: Kafka, topic: str, admin: Any, tmp_path: Path
) -> None:
    servers = kafka.bootstrap_servers
    with consumer(tmp_path, servers, topic) as process:
        wait_for(lambda: "topic opened: 2 partitions" in consumer_log(tmp_path), "the topic is opened")
        send(servers, topic, [queued(n) for n in range(100)])
        admin.create_partitions({topic: 3})
        with closing(KafkaProducer(bootstrap_servers=servers)) as producer:
            for number in range(100, 150):
                producer.send(topic, as_bytes(queued(number)), partition=2)
        wait_for(lambda: count_calls(tmp_path) == 150, "the calls of all partitions")
        stop(process, tmp_path)
    assert status(tmp_path)["records"] == 150
    assert rows(tmp_path, 'SELECT "position" FROM feed_partitions WHERE "partition" = 2') == [(50,)]


def test_a_topic_recreated_while_the_consumer_runs_is_read_from_its_beginning(
    kafka: Kafka, topic: str, admin: Any, tmp_path: Path
) -> None:
    servers = kafka.bootstrap_servers
    send(servers, topic, [queued(n) for n in range(100)])
    with consumer(tmp_path, servers, topic) as process:
        wait_for(lambda: count_calls(tmp_path) == 100, "the calls sent before")
        admin.delete_topics([topic])
        create_again(servers, topic, admin)
        send(servers, topic, [queued(n, prefix="other") for n in range(300)])
        wait_for(lambda: count_calls(tmp_path) == 400, "the calls of the new topic")
        stop(process, tmp_path)
    ingest_status = status(tmp_path)
    assert (ingest_status["records"], ingest_status["duplicates"]) == (400, 0)
    assert rows(tmp_path, GAPS) == []


def create_again(servers: str, topic: str, admin: Any) -> None:
    """Wait for the deletion, which Apache Kafka does in the background, and create the topic again."""
    wait_for(lambda: admin.describe_topics([topic])[0]["error_code"], "the topic is gone")
    ensure_topic(servers, topic, 2)


# Retention


def delete_before(admin: Any, topic: str, offsets: dict[int, int]) -> None:
    admin.delete_records({TopicPartition(topic, number): offset for number, offset in offsets.items()})


def fill(servers: str, topic: str, partition: int, numbers: range) -> None:
    with closing(KafkaProducer(bootstrap_servers=servers)) as producer:
        for number in numbers:
            producer.send(topic, as_bytes(queued(number)), partition=partition)


@apache_alone
def test_records_deleted_before_they_were_read_are_a_gap_with_its_size(
    kafka: Kafka, topic: str, admin: Any, tmp_path: Path
) -> None:
    servers = kafka.bootstrap_servers
    fill(servers, topic, 0, range(40))
    fill(servers, topic, 1, range(1_000, 1_010))
    catch_up(tmp_path, servers, topic)
    fill(servers, topic, 0, range(40, 100))
    delete_before(admin, topic, {0: 75, 1: 5})  # in partition 1 only records that were read
    for _ in range(2):  # reported once
        catch_up(tmp_path, servers, topic)
        assert rows(tmp_path, GAPS) == [(0, 40, 75, 35)]
    assert count_calls(tmp_path) == 40 + 10 + 25
    assert status(tmp_path)["lag"] == 0


@apache_alone
def test_a_gap_is_reported_before_any_record_follows_it(kafka: Kafka, topic: str, admin: Any, tmp_path: Path) -> None:
    servers = kafka.bootstrap_servers
    fill(servers, topic, 0, range(10))
    catch_up(tmp_path, servers, topic)
    fill(servers, topic, 0, range(10, 30))
    delete_before(admin, topic, {0: 30})
    catch_up(tmp_path, servers, topic)
    assert rows(tmp_path, GAPS) == [(0, 10, 30, 20)]
    assert rows(tmp_path, 'SELECT "position" FROM feed_partitions WHERE "partition" = 0') == [(30,)]
    fill(servers, topic, 0, range(30, 35))
    catch_up(tmp_path, servers, topic)
    assert (count_calls(tmp_path), rows(tmp_path, GAPS)) == (15, [(0, 10, 30, 20)])


@apache_alone
def test_records_deleted_before_the_first_read_are_no_gap(kafka: Kafka, topic: str, admin: Any, tmp_path: Path) -> None:
    fill(kafka.bootstrap_servers, topic, 0, range(10))
    delete_before(admin, topic, {0: 4})
    catch_up(tmp_path, kafka.bootstrap_servers, topic)
    assert (count_calls(tmp_path), rows(tmp_path, GAPS)) == (6, [])


# What producers do


@pytest.mark.parametrize("compression", ["gzip", "lz4", "zstd", "snappy"])
def test_compressed_records_are_read(kafka: Kafka, topic: str, tmp_path: Path, compression: str) -> None:
    servers = kafka.bootstrap_servers
    with closing(KafkaProducer(bootstrap_servers=servers, compression_type=compression, linger_ms=50)) as producer:
        for number in range(500):
            producer.send(topic, as_bytes(queued(number)), partition=number % 2)
    catch_up(tmp_path, servers, topic)
    ingest_status = status(tmp_path)
    assert (count_calls(tmp_path), ingest_status["records"], ingest_status["dead_letters"], ingest_status["lag"]) == (
        500,
        500,
        0,
        0,
    )


def transactional(servers: str) -> Any:
    producer = KafkaProducer(
        bootstrap_servers=servers, transactional_id=uuid.uuid4().hex, transaction_timeout_ms=60_000
    )
    producer.init_transactions()
    return producer


def in_transaction(producer: Any, topic: str, numbers: range) -> None:
    producer.begin_transaction()
    for number in numbers:
        producer.send(topic, as_bytes(queued(number)), partition=0)
    producer.flush()


@apache_alone
def test_only_committed_transactions_count(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    servers = kafka.bootstrap_servers
    with closing(transactional(servers)) as producer:
        in_transaction(producer, topic, range(50))
        producer.commit_transaction()
        in_transaction(producer, topic, range(50, 90))
        producer.abort_transaction()
        # transaction markers have offsets too; those after the last record must not look like lag
        catch_up(tmp_path, servers, topic)
        assert (count_calls(tmp_path), status(tmp_path)["records"], status(tmp_path)["lag"]) == (50, 50, 0)
        in_transaction(producer, topic, range(90, 120))
        catch_up(tmp_path, servers, topic)  # nor must an open transaction, which may stay open for long
        assert (count_calls(tmp_path), status(tmp_path)["lag"]) == (50, 0)
        with consumer(tmp_path, servers, topic) as process:
            wait_for(lambda: "topic opened" in consumer_log(tmp_path), "the topic is opened")
            producer.commit_transaction()
            wait_for(lambda: count_calls(tmp_path) == 80, "the calls committed meanwhile")
            wait_for(lambda: status(tmp_path)["lag"] == 0, "no lag")
            stop(process, tmp_path)
    assert status(tmp_path)["records"] == 80


def test_a_record_of_a_megabyte_and_tombstones(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    lines = itertools.accumulate((as_bytes(queued(n)) for n in range(1, 10_000)), lambda a, b: a + b"\n" + b)
    of_many_lines = next(value for value in lines if len(value) > 999_500)
    of_one_event = as_bytes(queued(0) | {"note": "é" * 160_000})
    assert len(of_one_event) > 960_000
    tombstones: list[Any] = [None, None]
    send(kafka.bootstrap_servers, topic, [of_many_lines, of_one_event, *tombstones])
    catch_up(tmp_path, kafka.bootstrap_servers, topic)
    assert count_calls(tmp_path) == of_many_lines.count(b"\n") + 2
    assert rows(tmp_path, "SELECT count(*), max(payload) FROM dead_letters") == [(2, "")]
    assert status(tmp_path)["lag"] == 0
