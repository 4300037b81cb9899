"""Several consumers, a store each: every record is in one of them, whoever is killed, whenever."""

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

from ingest.events.batch import Log
from ingest.topic.broker import Broker, ensure_topic
from ingest.topic.group import SESSION_MS, Lost, Member, Moved, Share, read_share
from ingest.topic.servers import Security
from tests.support.apache_kafka import ApacheKafka
from tests.support.processes import (
    WITHIN_S,
    catch_up,
    consumer,
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
    words,
)

pytestmark = pytest.mark.slow

# The book-keeping alone: one log, and stores that claim, store, die and come back in any order


class Group:
    """What Kafka and three stores know of one log; a store is opened before it does anything."""

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
        """Come back: what was in memory is gone; what is owed is read, then the log taken."""
        self.in_flight[store] = []
        self.settle(store)
        share = self.share() or Share("topic-1", store, 0, 0)
        self.commit(share.taken_by(store))
        self.owner = store

    def settle(self, store: str) -> None:
        if share := self.share():
            self.store(store, share.owed(store, self.positions.get(store)))

    def claim(self, store: str, count: int) -> None:
        if self.owner == store:  # Kafka takes a claim of nobody else
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
            if step == "join":  # alive: what it had claimed is stored before it asks
                while group.in_flight.get(store):
                    group.apply(store)
            group.open(store)
        assert max(group.stored.values(), default=1) == 1
    for store in ("casa", "madrid", "lyon"):
        group.open(store)
    share = group.share()
    assert share is not None
    assert group.stored == Counter(range(share.end))


def test_a_commit_of_another_topic_or_of_somebody_else_tells_no_share() -> None:
    share = Share("topic-1", "casa", 3, 9, {"madrid": (0, 3)})
    committed = OffsetAndMetadata(9, share.metadata(), -1)
    assert read_share(committed, "topic-1") == share
    assert read_share(committed, "topic-2") is None
    for words_of_others in ("", "{}", "[1]", "no JSON"):
        assert read_share(OffsetAndMetadata(9, words_of_others, -1), "topic-1") is None


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


def test_consumers_of_a_group_share_a_topic_and_a_killed_one_loses_and_doubles_nothing(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    servers = apache_kafka.bootstrap_servers
    casa, madrid = tmp_path / "casa", tmp_path / "madrid"
    group = ("--group", topic)
    with ExitStack() as stack:
        first = stack.enter_context(consumer(casa, servers, topic, *group))
        wait_for(lambda: partitions(casa) == {0, 1, 2, 3}, "the first has all partitions")
        send(servers, topic, [queued(n) for n in range(1_000)])
        wait_for(lambda: count_calls(casa) == 1_000, "the first alone reads")
        second = stack.enter_context(consumer(madrid, servers, topic, *group))
        wait_for(lambda: len(partitions(casa)) == 2 and len(partitions(madrid)) == 2, "each has its half")
        assert partitions(casa) | partitions(madrid) == {0, 1, 2, 3}
        send(servers, topic, [queued(n) for n in range(1_000, 3_000)])
        time.sleep(0.3)  # not a wait: the instant of the kill
        first.kill()
        first.wait()
        send(servers, topic, [queued(n) for n in range(3_000, 4_000)])
        wait_for(lambda: partitions(madrid) == {0, 1, 2, 3}, "the second has all partitions")
        wait_for(lambda: status(madrid)["lag"] == 0, "the second has read all")
        again = stack.enter_context(consumer(casa, servers, topic, *group))
        wait_for(lambda: len(partitions(madrid)) == 2, "the first has its half again")  # its old file says so before
        send(servers, topic, [queued(n) for n in range(4_000, 5_000)])
        wait_for(lambda: count_calls(casa) + count_calls(madrid) == 5_000, "all calls")
        stop(again, casa)
        send(servers, topic, [queued(n) for n in range(5_000, 5_500)])
        wait_for(lambda: count_calls(casa) + count_calls(madrid) == 5_500, "what came after the first had stopped")
        stop(second, madrid)
    assert call_ids(casa) + call_ids(madrid) == Counter(f"c{n}" for n in range(5_500))
    for place in (casa, madrid):
        assert status(place)["duplicates"] == 0
    assert status(casa)["records"] + status(madrid)["records"] == 5_500


def test_a_consumer_that_is_given_nothing_waits_and_takes_over(apache_kafka: ApacheKafka, tmp_path: Path) -> None:
    servers, topic = apache_kafka.bootstrap_servers, f"call-events-{uuid.uuid4().hex[:12]}"
    ensure_topic(servers, topic, 1)
    places = casa, madrid = tmp_path / "casa", tmp_path / "madrid"
    send(servers, topic, [queued(n) for n in range(50)])
    with (
        consumer(casa, servers, topic, "--group", topic) as one,
        consumer(madrid, servers, topic, "--group", topic) as other,
    ):
        wait_for(lambda: all("topic opened" in words(place) for place in places), "both are there")
        wait_for(lambda: count_calls(casa) + count_calls(madrid) == 50, "the calls")
        wait_for(lambda: len(partitions(casa)) + len(partitions(madrid)) == 1, "one has nothing to read")
        busy, idle = ((one, casa), (other, madrid)) if partitions(casa) else ((other, madrid), (one, casa))
        stop(*busy)
        wait_for(lambda: partitions(idle[1]) == {0}, "the other has it")
        send(servers, topic, [queued(n) for n in range(50, 80)])
        wait_for(lambda: count_calls(casa) + count_calls(madrid) == 80, "what came after")
        stop(*idle)
    assert call_ids(casa) + call_ids(madrid) == Counter(f"c{n}" for n in range(80))


def test_a_member_that_the_group_has_dropped_joins_again(apache_kafka: ApacheKafka, topic: str) -> None:
    """As after ten seconds of silence: its next claim is refused, before it was told that it is no member any more."""
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


def test_a_share_that_was_given_is_taken_and_moves_nobody_again(apache_kafka: ApacheKafka, topic: str) -> None:
    """kafka-python throws away one that comes while nobody waits for it; then the whole group had to join again."""

    def look_and_share(member: Member) -> dict[Log, int]:
        time.sleep(2 * HEARTBEAT_S)  # not a wait: it is busy for so long, and the others wait for it
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
        of_lyon, of_madrid = thread.submit(share_of, lyon), thread.submit(look_and_share, madrid)
        with pytest.raises(Moved):
            look_for(casa, WITHIN_S)
        shares = [of_lyon.result(), of_madrid.result(), share_of(casa)]
        assert sorted(of.partition for share in shares for of in share) == [0, 1, 2, 3]
        look_for(madrid, 2 * HEARTBEAT_S)  # it would hear by then that it is to join again


HEARTBEAT_S = SESSION_MS / 4_000


def look_for(member: Member, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        member.look(lambda: False)


def test_a_member_that_does_not_ask_for_its_new_share_holds_the_others_up_for_a_while_only(
    apache_kafka: ApacheKafka, topic: str
) -> None:
    """It is there, and too busy: without it the others go on, and what it claims then is refused."""
    servers, group = apache_kafka.bootstrap_servers, topic
    with closing(Member(servers, topic, group, "casa", Security())) as silent:
        first = share_of(silent)
        with closing(Member(servers, topic, group, "madrid", Security())) as member:
            assert share_of(member) == first
            with pytest.raises(Moved):
                silent.claim(dict.fromkeys(first, 1))


def test_a_join_that_is_not_answered_is_told_and_the_group_joined_when_kafka_goes_on(
    apache_kafka: ApacheKafka, topic: str
) -> None:
    """The first member's wish is still heard then: it is none that would hold up the next."""
    servers, group = apache_kafka.bootstrap_servers, topic
    hung = Member(servers, topic, group, "casa", Security())
    with apache_kafka.paused(), closing(hung), pytest.raises(Lost, match="assigned no partitions within 30 s"):
        hung.join(lambda: False)
    with closing(Member(servers, topic, group, "casa", Security())) as member:
        assert len(share_of(member)) == 4


def share_of(member: Member) -> dict[Log, int]:
    """Where `member` is to read on in its share; like `run`, it asks again when the share moves meanwhile."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        with contextlib.suppress(Moved):
            return member.take(member.join(lambda: time.monotonic() > deadline), lambda _: None)
    raise AssertionError(f"not within {WITHIN_S:g} s: a share")


def test_a_consumer_that_has_claimed_and_not_stored_reads_it_when_it_comes_back(
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
    shutil.rmtree(place)  # as if it had been killed between the claims and their transaction
    before.rename(place)
    assert "were claimed but not stored" in read(500)
    assert "were claimed but not stored" not in read(500)
    assert (status(place)["records"], status(place)["duplicates"]) == (500, 0)


def test_what_a_lost_store_had_claimed_is_in_no_other_and_a_consumer_alone_reads_it_from_the_topic(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    """As docs/two-sites.md has it: the group goes on without those records, and doubles none of what it has."""
    servers, group = apache_kafka.bootstrap_servers, ("--group", topic, "--until-caught-up")
    send(servers, topic, [queued(n) for n in range(100)])
    with closing(Member(servers, topic, topic, "lost", Security())) as lost:
        lost.claim({of: begin + 5 for of, begin in share_of(lost).items()})
    madrid, fresh, whole = tmp_path / "madrid", tmp_path / "fresh", tmp_path / "whole"
    for place in (madrid, fresh):
        done = run("run", *options(place, servers, topic), *group)
        assert done.returncode == 0, done.stderr
    assert (count_calls(madrid), count_calls(fresh)) == (100 - 4 * 5, 0)
    catch_up(whole, servers, topic)
    assert call_ids(whole) == Counter(f"c{n}" for n in range(100))
    send(servers, topic, [queued(n) for n in range(100, 150)])
    done = run("run", *options(fresh, servers, topic), *group)
    assert done.returncode == 0, done.stderr
    catch_up(whole, servers, topic)
    assert not call_ids(madrid) & call_ids(fresh)
    assert call_ids(fresh) == Counter(f"c{n}" for n in range(100, 150))
    assert call_ids(whole) == Counter(f"c{n}" for n in range(150))


def test_a_topic_that_is_made_again_is_waited_for_and_shared_again(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    servers = apache_kafka.bootstrap_servers
    send(servers, topic, [queued(n) for n in range(20)])
    with (
        consumer(tmp_path, servers, topic, "--group", topic) as process,
        closing(KafkaAdminClient(bootstrap_servers=servers)) as admin,
    ):
        wait_for(lambda: count_calls(tmp_path) == 20, "what was sent before")
        admin.delete_topics([topic])
        wait_for(lambda: f"has no topic {topic}" in words(tmp_path), "a word that the topic is gone")
        ensure_topic(servers, topic, 4)
        send(servers, topic, [queued(n) for n in range(20, 50)])
        wait_for(lambda: count_calls(tmp_path) == 50, "what the new topic holds")
        stop(process, tmp_path)
    assert (status(tmp_path)["records"], status(tmp_path)["duplicates"]) == (50, 0)


def test_a_second_consumer_of_one_store_is_told_to_take_another(broker: Broker, tmp_path: Path) -> None:
    ensure_topic(broker.bootstrap_servers, "one-store")
    with consumer(tmp_path, broker.bootstrap_servers, "one-store") as process:
        wait_for(lambda: "topic opened" in words(tmp_path), "the topic is opened")
        for more in ((), ("--group", "g")):
            done = run("run", *options(tmp_path, broker.bootstrap_servers, "one-store"), *more)
            assert "is in use by another consumer; stop that one, or give this one another --data-dir" in one_sentence(
                done
            )
        stop(process, tmp_path)


def test_the_name_that_a_consumer_alone_tells_lag_tools_under_is_no_group(tmp_path: Path) -> None:
    assert "choose another" in one_sentence(run("run", "--group", "vigie", "--data-dir", str(tmp_path)))
