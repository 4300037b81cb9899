"""Several consumers with a store each: every record is in exactly one store, whichever consumer is killed and when."""

import contextlib
import shutil
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove
from kafka.structs import OffsetAndMetadata

from ingest.events.batch import Partition
from ingest.topic.broker import Broker, ensure_topic
from ingest.topic.group import SESSION_MS, Lost, Member, Moved, Share, read_share
from ingest.topic.servers import Security
from tests.support.processes import (
    WITHIN_S,
    catch_up,
    consumer,
    consumer_log,
    count_calls,
    one_sentence,
    options,
    queued,
    rows,
    run,
    send,
    status,
    stop,
    wait_for,
)
from tests.support.servers.apache_kafka import ApacheKafka

pytestmark = pytest.mark.slow

# The bookkeeping alone: one partition, and stores that claim, store, die and come back in any order


class Group:
    """The state of one partition in Kafka and in three stores. A store is opened before anything else."""

    def __init__(self) -> None:
        self.committed: OffsetAndMetadata | None = None
        self.positions: dict[str, int] = {}
        self.owner = ""
        self.in_flight: dict[str, list[range]] = {}
        self.stored: Counter[int] = Counter()

    def share(self) -> Share | None:
        return read_share(self.committed, "topic-1")

    def commit(self, share: Share) -> None:
        self.committed = OffsetAndMetadata(share.end, share.metadata(), -1)

    def open(self, store: str) -> None:
        """Start again without what was in memory: read what the store owes, then take the partition."""
        self.in_flight[store] = []
        self.settle(store)
        share = self.share() or Share("topic-1", store, 0, 0)
        self.commit(share.taken_by(store))
        self.owner = store

    def settle(self, store: str) -> None:
        if share := self.share():
            self.store(store, share.owed(store, self.positions.get(store)))

    def claim(self, store: str, count: int) -> None:
        if self.owner == store:  # Kafka accepts claims of the owner only
            share = self.share()
            assert share is not None
            self.commit(share.claimed(share.end + count))
            self.in_flight[store].append(range(share.end, share.end + count))

    def apply(self, store: str) -> None:
        if self.in_flight.get(store):
            self.store(store, self.in_flight[store].pop(0))

    def store(self, store: str, offsets: range) -> None:
        if offsets:
            self.stored.update(offsets)
            self.positions[store] = offsets.stop


STORES = st.sampled_from(["casa", "madrid", "lyon"])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["open", "join"]), STORES, st.just(0)),
    st.tuples(st.just("claim"), STORES, st.integers(1, 5)),
    st.tuples(st.just("apply"), STORES, st.just(0)),
)


@given(st.lists(STEPS, max_size=60))
def test_every_offset_is_stored_once_when_every_store_has_come_back(steps: list[tuple[str, str, int]]) -> None:
    group = Group()
    for step, store, count in steps:
        if step == "claim":
            group.claim(store, count)
        elif step == "apply":
            group.apply(store)
        else:
            if step == "join":  # a living store writes what it claimed before it joins
                while group.in_flight.get(store):
                    group.apply(store)
            group.open(store)
        assert max(group.stored.values(), default=1) == 1
    for store in ("casa", "madrid", "lyon"):
        group.open(store)
    share = group.share()
    assert share is not None
    assert group.stored == Counter(range(share.end))


def test_a_commit_of_another_topic_or_program_is_no_share() -> None:
    share = Share("topic-1", "casa", 3, 9, {"madrid": (0, 3)})
    committed = OffsetAndMetadata(9, share.metadata(), -1)
    assert read_share(committed, "topic-1") == share
    assert read_share(committed, "topic-2") is None
    for metadata in ("", "{}", "[1]", "no JSON"):
        assert read_share(OffsetAndMetadata(9, metadata, -1), "topic-1") is None


# As processes, on Apache Kafka


@pytest.fixture
def topic(apache_kafka: ApacheKafka) -> str:
    name = f"call-events-{uuid.uuid4().hex[:12]}"
    ensure_topic(apache_kafka.bootstrap_servers, name, 4)
    return name


def call_ids(place: Path) -> Counter[str]:
    return Counter(call for (call,) in rows(place, "SELECT call_id FROM calls")) if status(place) else Counter()


def partitions(place: Path) -> set[int]:
    return {n for (n,) in rows(place, 'SELECT "partition" FROM feed_partitions')} if status(place) else set()


def test_consumers_of_a_group_share_a_topic_and_a_killed_one_loses_and_duplicates_nothing(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    servers = apache_kafka.bootstrap_servers
    casa, madrid = tmp_path / "casa", tmp_path / "madrid"
    group = ("--group", topic)
    with ExitStack() as stack:
        first = stack.enter_context(consumer(casa, servers, topic, *group))
        wait_for(lambda: partitions(casa) == {0, 1, 2, 3}, "all partitions for the first")
        send(servers, topic, [queued(n) for n in range(1_000)])
        wait_for(lambda: count_calls(casa) == 1_000, "the calls read by the first alone")
        second = stack.enter_context(consumer(madrid, servers, topic, *group))
        wait_for(lambda: len(partitions(casa)) == 2 and len(partitions(madrid)) == 2, "half of the partitions for each")
        assert partitions(casa) | partitions(madrid) == {0, 1, 2, 3}
        send(servers, topic, [queued(n) for n in range(1_000, 3_000)])
        time.sleep(0.3)  # not a wait: a moment for the kill
        first.kill()
        first.wait()
        send(servers, topic, [queued(n) for n in range(3_000, 4_000)])
        wait_for(lambda: partitions(madrid) == {0, 1, 2, 3}, "all partitions for the second")
        wait_for(lambda: status(madrid)["lag"] == 0, "no lag of the second")
        again = stack.enter_context(consumer(casa, servers, topic, *group))
        wait_for(
            lambda: len(partitions(madrid)) == 2, "half of the partitions for the first again"
        )  # its old published file is out of date
        send(servers, topic, [queued(n) for n in range(4_000, 5_000)])
        wait_for(lambda: count_calls(casa) + count_calls(madrid) == 5_000, "all calls")
        stop(again, casa)
        send(servers, topic, [queued(n) for n in range(5_000, 5_500)])
        wait_for(lambda: count_calls(casa) + count_calls(madrid) == 5_500, "the calls sent after the first stopped")
        stop(second, madrid)
    assert call_ids(casa) + call_ids(madrid) == Counter(f"c{n}" for n in range(5_500))
    for place in (casa, madrid):
        assert status(place)["duplicates"] == 0
    assert status(casa)["records"] + status(madrid)["records"] == 5_500


def test_a_consumer_without_partitions_waits_and_takes_over(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    servers, topic = apache_kafka.bootstrap_servers, f"call-events-{uuid.uuid4().hex[:12]}"
    ensure_topic(servers, topic, 1)
    places = casa, madrid = tmp_path / "casa", tmp_path / "madrid"
    send(servers, topic, [queued(n) for n in range(50)])
    with (
        consumer(casa, servers, topic, "--group", topic) as first,
        consumer(madrid, servers, topic, "--group", topic) as second,
    ):
        wait_for(lambda: all("topic opened" in consumer_log(place) for place in places), "both consumers")
        wait_for(lambda: count_calls(casa) + count_calls(madrid) == 50, "the calls")
        wait_for(lambda: len(partitions(casa)) + len(partitions(madrid)) == 1, "a consumer without a partition")
        busy, idle = ((first, casa), (second, madrid)) if partitions(casa) else ((second, madrid), (first, casa))
        stop(*busy)
        wait_for(lambda: partitions(idle[1]) == {0}, "the partition for the idle consumer")
        send(servers, topic, [queued(n) for n in range(50, 80)])
        wait_for(lambda: count_calls(casa) + count_calls(madrid) == 80, "the calls sent after")
        stop(*idle)
    assert call_ids(casa) + call_ids(madrid) == Counter(f"c{n}" for n in range(80))


def test_a_removed_member_joins_again(apache_kafka: ApacheKafka, topic: str) -> None:
    """As after ten seconds of silence. Its next claim is refused before it learns that it is no longer a member."""
    servers, group = apache_kafka.bootstrap_servers, topic
    with (
        closing(Member(servers, topic, group, "casa", Security())) as member,
        closing(KafkaAdminClient(bootstrap_servers=servers)) as admin,
    ):
        first = share_of(member)
        (of_group,) = admin.describe_groups([group])[group]["members"]
        admin.remove_group_members(group, [MemberToRemove(member_id=of_group["member_id"])])
        with pytest.raises(Moved):
            member.claim(dict.fromkeys(first, 1))
        assert share_of(member) == first


def test_a_new_share_is_taken_without_another_rebalance(apache_kafka: ApacheKafka, topic: str) -> None:
    """kafka-python drops a share that arrives while nobody waits for it. The whole group then had to join again."""

    def be_busy_and_join(member: Member) -> dict[Partition, int]:
        time.sleep(2 * HEARTBEAT_S)  # not a wait: this member is busy while the others wait for it
        with pytest.raises(Moved):
            look_for(member, WITHIN_S)
        return share_of(member)

    with ExitStack() as stack:
        casa, madrid, lyon = (
            stack.enter_context(closing(Member(apache_kafka.bootstrap_servers, topic, topic, store, Security())))
            for store in ("casa", "madrid", "lyon")
        )
        thread = stack.enter_context(ThreadPoolExecutor(2))
        assert len(share_of(casa)) == 4
        of_madrid = thread.submit(share_of, madrid)
        with pytest.raises(Moved):
            look_for(casa, WITHIN_S)
        share_of(casa)
        of_madrid.result()
        of_lyon, of_madrid = thread.submit(share_of, lyon), thread.submit(be_busy_and_join, madrid)
        with pytest.raises(Moved):
            look_for(casa, WITHIN_S)
        shares = [of_lyon.result(), of_madrid.result(), share_of(casa)]
        assert sorted(partition.number for share in shares for partition in share) == [0, 1, 2, 3]
        look_for(madrid, 2 * HEARTBEAT_S)  # raises if it must join again


HEARTBEAT_S = SESSION_MS / 4_000


def look_for(member: Member, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        member.look(lambda: False)


def test_a_member_that_does_not_rejoin_delays_the_others_for_a_limited_time(
    apache_kafka: ApacheKafka, topic: str
) -> None:
    """A busy member: the others go on without it, and its later claims are refused."""
    servers, group = apache_kafka.bootstrap_servers, topic
    with closing(Member(servers, topic, group, "casa", Security())) as silent:
        first = share_of(silent)
        with closing(Member(servers, topic, group, "madrid", Security())) as member:
            assert share_of(member) == first
            with pytest.raises(Moved):
                silent.claim(dict.fromkeys(first, 1))


def test_an_unanswered_join_is_reported_and_the_group_can_be_joined_later(
    apache_kafka: ApacheKafka, topic: str
) -> None:
    """Kafka still sees the first member's request afterwards. It must not hold up the next member."""
    servers, group = apache_kafka.bootstrap_servers, topic
    hung = Member(servers, topic, group, "casa", Security())
    with apache_kafka.paused(), closing(hung), pytest.raises(Lost, match="assigned no partitions within 30 s"):
        hung.join(lambda: False)
    with closing(Member(servers, topic, group, "casa", Security())) as member:
        assert len(share_of(member)) == 4


def share_of(member: Member) -> dict[Partition, int]:
    """Return the offsets where `member` continues in its share. Like `run`, join again if the share moves meanwhile."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        with contextlib.suppress(Moved):
            return member.take(member.join(lambda: time.monotonic() > deadline), lambda _: None)
    raise AssertionError(f"not within {WITHIN_S:g} s: a share")


def test_a_restarted_consumer_reads_what_it_claimed_and_did_not_store(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    servers, group = apache_kafka.bootstrap_servers, ("--group", topic, "--until-caught-up")
    place, before = tmp_path / "place", tmp_path / "before"

    def read(count: int) -> str:
        done = run("run", *options(place, servers, topic), *group)
        assert done.returncode == 0, done.stderr
        assert count_calls(place) == count
        return done.stderr

    send(servers, topic, [queued(n) for n in range(100)])
    read(100)
    shutil.copytree(place, before)
    send(servers, topic, [queued(n) for n in range(100, 500)])
    read(500)
    shutil.rmtree(place)  # as if killed between the claims and their transaction
    before.rename(place)
    assert "were claimed but not stored" in read(500)
    assert "were claimed but not stored" not in read(500)
    assert (status(place)["records"], status(place)["duplicates"]) == (500, 0)


def test_claims_of_a_lost_store_are_in_no_other_and_a_single_consumer_reads_them(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    """As docs/two-sites.md says: the group goes on without those records and duplicates none of its own."""
    servers, group = apache_kafka.bootstrap_servers, ("--group", topic, "--until-caught-up")
    send(servers, topic, [queued(n) for n in range(100)])
    with closing(Member(servers, topic, topic, "lost", Security())) as lost:
        lost.claim({partition: begin + 5 for partition, begin in share_of(lost).items()})
    madrid, fresh, alone = tmp_path / "madrid", tmp_path / "fresh", tmp_path / "alone"
    for place in (madrid, fresh):
        done = run("run", *options(place, servers, topic), *group)
        assert done.returncode == 0, done.stderr
    assert (count_calls(madrid), count_calls(fresh)) == (100 - 4 * 5, 0)
    catch_up(alone, servers, topic)
    assert call_ids(alone) == Counter(f"c{n}" for n in range(100))
    send(servers, topic, [queued(n) for n in range(100, 150)])
    done = run("run", *options(fresh, servers, topic), *group)
    assert done.returncode == 0, done.stderr
    catch_up(alone, servers, topic)
    assert not call_ids(madrid) & call_ids(fresh)
    assert call_ids(fresh) == Counter(f"c{n}" for n in range(100, 150))
    assert call_ids(alone) == Counter(f"c{n}" for n in range(150))


def test_a_group_waits_for_a_recreated_topic_and_shares_it(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    servers = apache_kafka.bootstrap_servers
    send(servers, topic, [queued(n) for n in range(20)])
    with (
        consumer(tmp_path, servers, topic, "--group", topic) as process,
        closing(KafkaAdminClient(bootstrap_servers=servers)) as admin,
    ):
        wait_for(lambda: count_calls(tmp_path) == 20, "the calls sent before")
        admin.delete_topics([topic])
        wait_for(lambda: f"has no topic {topic}" in consumer_log(tmp_path), "the log line that the topic is gone")
        ensure_topic(servers, topic, 4)
        send(servers, topic, [queued(n) for n in range(20, 50)])
        wait_for(lambda: count_calls(tmp_path) == 50, "the calls of the new topic")
        stop(process, tmp_path)
    assert (status(tmp_path)["records"], status(tmp_path)["duplicates"]) == (50, 0)


def test_a_second_consumer_of_the_same_store_is_refused(broker: Broker, tmp_path: Path) -> None:
    ensure_topic(broker.bootstrap_servers, "one-store")
    with consumer(tmp_path, broker.bootstrap_servers, "one-store") as process:
        wait_for(lambda: "topic opened" in consumer_log(tmp_path), "the topic is opened")
        for more in ((), ("--group", "g")):
            done = run("run", *options(tmp_path, broker.bootstrap_servers, "one-store"), *more)
            assert "is in use by another consumer; stop that one, or give this one another --data-dir" in one_sentence(
                done
            )
        stop(process, tmp_path)


def test_the_group_name_of_single_consumers_is_refused(tmp_path: Path) -> None:
    assert "choose another" in one_sentence(run("run", "--group", "vigie", "--data-dir", str(tmp_path)))
