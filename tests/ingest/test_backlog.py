"""What a consumer that is behind settles in the transaction of a batch: all that is old enough, and no later."""

import datetime as dt
import json
import threading
from pathlib import Path

import pytest

from ingest.consumer import writer as writing
from ingest.consumer.reader import Arrived, Reader
from ingest.consumer.writer import BEHIND_LINES, Writer
from ingest.events.batch import Batch, Partition
from ingest.events.sorting import LAST_LINES
from ingest.publishing.observed import Observed
from ingest.publishing.publish import Moment
from ingest.topic.servers import IN_THE_CLEAR
from metrics import clock
from metrics.audit.trail import Trail
from tests.support.stories.stream import DAY, DEFAULTS, PARTITION, PERSONS, Desk, Event, at, messages, read_story, sort

pytestmark = pytest.mark.slow

LATER = at("20:00:00")
SLOWER = Partition("call-events", 1, "cluster-1", "topic-1")
CALL = """
    09:00:00 queued
    09:00:10 answered agent=amina
    09:05:00 ended
"""


def named(name: str, story: str = CALL, day: dt.datetime = DAY) -> list[Event]:
    return [
        event | {"call_id": name, "event_id": f"{name}-{number}"} for number, event in enumerate(read_story(story, day))
    ]


def many(lines: int, clock_time: str = "15:00:00") -> list[Event]:
    """So many events of one call that nobody answers."""
    return named("long", f"{clock_time} rang agent=amina\n" * lines)


def settled(desk: Desk) -> list[str]:
    """The calls that have settled."""
    rows = desk.store.segments.rows("calls")
    return sorted(name for (name,) in desk.store.sql(f"SELECT call_id FROM ({rows})").fetchall()) if rows else []


def writer_behind(desk: Desk, ends: dict[Partition, int]) -> Writer:
    """A writer while the partitions reach to `ends`."""
    reader = Reader("127.0.0.1:1", "calls", threading.Event(), clock.now, IN_THE_CLEAR, PERSONS)
    audit = Trail(desk.store.folder)
    writer = Writer(desk.store, desk.publisher, clock.now, DEFAULTS, Observed(), PERSONS.keys, audit)
    writer._reader, reader.ends = reader, ends
    return writer


def store_batch(writer: Writer, batch: dict[Partition, list[Event]]) -> None:
    records = {partition: messages(events, LATER) for partition, events in batch.items()}
    writer._apply(Arrived(sort(Batch(records, {partition: len(events) for partition, events in batch.items()}))))


@pytest.mark.parametrize(
    ("took_s", "every_s"),
    [
        pytest.param(0.1, 5.0, id="a fiftieth of the time"),
        pytest.param(1.0, 10.0, id="the wall does not stand still for longer"),
        pytest.param(8.0, 16.0, id="half of the time at most"),
    ],
)
def test_a_consumer_that_is_behind_publishes_seldom_but_does(tmp_path: Path, took_s: float, every_s: float) -> None:
    desk = Desk(tmp_path)
    writer = writer_behind(desk, {PARTITION: 2 * BEHIND_LINES})
    writer._publishing_took_s = took_s
    assert writer._publish_due() - writer._published_from == pytest.approx(every_s)
    desk.close()


def test_what_a_batch_reads_settles_with_it_while_more_is_to_come(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    events = [*named("early"), *named("late", CALL.replace("09:", "14:")), *many(LAST_LINES, "14:10:00")]
    store_batch(writer_behind(desk, {PARTITION: len(events) + 2 * BEHIND_LINES}), {PARTITION: events})
    assert settled(desk) == ["early"]  # more may come of the last quarter of an hour
    desk.close()


def test_a_partition_that_is_hours_behind_keeps_what_it_may_change_from_settling(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    batch = {PARTITION: [*named("early"), *many(LAST_LINES)], SLOWER: named("slow", "09:02:00 queued")}
    store_batch(writer_behind(desk, dict.fromkeys(batch, 2 * BEHIND_LINES)), batch)
    assert settled(desk) == []
    desk.close()


@pytest.mark.parametrize(
    ("is_large", "left"), [(True, 1), (True, 0), (False, 1)], ids=["large", "large and the last", "small"]
)
def test_a_large_batch_settles_with_it_unless_it_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool, left: int
) -> None:
    """What the last batch, or a small one, settles would only delay its publish."""
    desk = Desk(tmp_path)
    events = [*named("early"), *many(LAST_LINES)]
    monkeypatch.setattr(writing, "BEHIND_LINES", len(events) - is_large)
    store_batch(writer_behind(desk, {PARTITION: len(events) + left}), {PARTITION: events})
    assert settled(desk) == ["early"] * (is_large and left)
    desk.close()


def test_after_a_batch_without_anything_to_settle_the_next_publish_tries_again(tmp_path: Path) -> None:
    """Judging a batch costs as much as folding it. Of the present, nothing settles for a quarter of an hour."""
    desk = Desk(tmp_path)
    writer = writer_behind(desk, {PARTITION: 9 * BEHIND_LINES})
    store_batch(writer, {PARTITION: named("early")})
    store_batch(writer, {PARTITION: many(LAST_LINES)})
    assert settled(desk) == []
    writer._settles_from = 0.0
    writer._publish()
    assert settled(desk) == ["early"]
    late = [event | {"event_id": f"late-{event['event_id']}"} for event in many(LAST_LINES, "18:00:00")]
    store_batch(writer, {PARTITION: [*named("later", CALL.replace("09:", "10:")), *late]})
    assert settled(desk)[:2] == ["early", "later"]
    desk.close()


def test_a_past_that_comes_after_the_present_settles_as_it_is_read(tmp_path: Path) -> None:
    """Newest day first: what settled without a day does not wait for the days before it."""
    desk = Desk(tmp_path)
    desk.apply(named("present"), LATER)
    desk.publish(LATER)
    assert settled(desk) == ["present"]
    for back in (1, 2):
        day = DAY - dt.timedelta(days=back)
        desk.apply(named(f"past-{back}", day=day), LATER)
        moment = Moment(LATER, LATER, read_until=at("08:00:00", day))
        desk.publisher.judge(moment)
        desk.publisher.settle(moment)
    assert settled(desk) == ["past-1", "past-2", "present"]
    desk.close()


def test_nothing_settles_that_is_not_old_enough_after_a_clock_was_ahead(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(named("early"), LATER)
    desk.publish(LATER)
    desk.apply(named("late", CALL.replace("09:", "14:")), LATER)
    desk.publish(at("14:10:00"))
    assert settled(desk) == ["early"]
    desk.close()


def test_the_last_lines_of_a_partition_tell_how_far_it_is_read() -> None:
    """Not only the last one: beside the present a source may send a past day."""
    past, present = DAY, LATER
    stream = [past, present, *[present] * LAST_LINES]
    for moved in range(3):
        lines = [
            json.dumps(event | {"ts": ts.isoformat(), "event_id": f"e{n}"}).encode()
            for n, ts in enumerate([present] * moved + stream[: len(stream) - moved])
            for event in read_story("09:00:00 queued")
        ]
        records = messages(lines, LATER)
        assert sort(Batch({PARTITION: records})).reached == {PARTITION: present if moved < 2 else past}
