"""The store: what a batch changes and what it leaves alone, its counts, and what it takes over from another."""

import datetime as dt
import json
import math
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from ingest.consumer.reader import Arrived, Reader
from ingest.consumer.writer import BEHIND_LINES, MAX_BATCH_LINES, PUBLISH_BEHIND_S, Writer
from ingest.errors import StoreError
from ingest.events.batch import Batch, DeadLetter, Partition
from ingest.publishing.observed import Observed
from ingest.publishing.publish import NOT_YET, Moment
from ingest.store import layout
from ingest.store.store import Store, Totals
from ingest.topic.servers import IN_THE_CLEAR
from metrics import clock
from metrics.audit.trail import Trail
from metrics.configuration.campaigns import Term
from tests.support.stories.stream import (
    DEFAULTS,
    PARTITION,
    PERSONS,
    Desk,
    Event,
    at,
    campaign,
    configured,
    messages,
    read_story,
    rows,
    sort,
)

pytestmark = pytest.mark.slow

LATER = at("20:00:00")
NEVER = 1_000_000  # rows: so many are never there to settle


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store.duckdb")
    yield opened
    opened.close()


def apply(store: Store, *values: Event | bytes) -> None:
    store.apply(sort(Batch({PARTITION: messages(values, LATER)}, {PARTITION: len(values)})))


def all_of(store: Store, query: str) -> list[tuple[object, ...]]:
    return store.connection.execute(query).fetchall()


# Opened


def test_a_new_store_has_read_nothing(store: Store) -> None:
    assert store.totals() == Totals(0, 0, 0, 0, 0)
    assert all_of(store, "SELECT records_rejected FROM totals") == [(0,)]
    assert store.last_event_at() is None and store.position(PARTITION) is None


def test_each_partition_of_each_topic_has_its_own_position(store: Store) -> None:
    """A topic that was created again has other records: none of them was read."""
    others = [replace(PARTITION, number=1), replace(PARTITION, topic="other")]
    for offset, partition in enumerate([*others, PARTITION, PARTITION], 5):
        store.apply(sort(Batch(next_offsets={partition: offset})))
    assert [store.position(partition) for partition in (*others, PARTITION)] == [5, 6, 8]
    assert all_of(store, "SELECT count(*) FROM positions") == [(3,)]
    assert store.position(replace(PARTITION, topic_id="created again")) is None


def test_a_store_has_one_name_and_no_other_store_has_it(store: Store, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Store(tmp_path / "other" / "store.duckdb")
    assert store.identity() != other.identity()
    assert all_of(store, "FROM identity") == [(store.identity(),)]
    other.close()


def test_a_store_tells_by_which_layout_it_was_written(tmp_path: Path) -> None:
    for _ in range(2):
        store = Store(tmp_path / "store.duckdb")
        assert all_of(store, "FROM layout") == [(layout.LAYOUT,)]
        assert all_of(store, "SELECT count(*) FROM totals") == [(1,)]
        store.close()


def test_times_are_in_utc_whatever_the_machine_says(store: Store) -> None:
    assert all_of(store, "SELECT current_setting('TimeZone')") == [("UTC",)]


def test_a_store_from_before_files_is_refused(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "store.duckdb")) as old:
        old.execute("CREATE TABLE archived_events (event_id VARCHAR)")
    with pytest.raises(StoreError, match="written by an older Vigie"):
        Store(tmp_path / "store.duckdb")


SETTLED = """
09:00:00 queued call_id=c1
09:00:10 answered call_id=c1 agent=ana
09:10:00 queued call_id=c2
09:10:10 answered call_id=c2 agent=ana
09:11:00 ended call_id=c2
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a store of two settled calls; the second closed the first."""
    desk = Desk(tmp_path / "data")
    desk.apply(read_story(SETTLED), LATER)
    desk.publish(LATER)
    assert all_of(desk.store, "SELECT call_id, closed_by_call FROM inferred_ends") == [("c1", "c2")]
    desk.close()
    return tmp_path / "data"


def test_a_file_that_nobody_names_is_refused_although_its_rows_are_known(home: Path) -> None:
    """Only of what layout 1 left, which kept no list, may it be taken for one that was replaced, and deleted."""
    file = next(home.rglob("calls/day=*/*.parquet"))
    shutil.copy(file, file.with_name("copy.parquet"))
    with pytest.raises(StoreError, match="not known to its store"):
        Store(home / "store.duckdb")


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(home: Path) -> None:
    with duckdb.connect(str(home / "store.duckdb")) as store:
        store.execute("UPDATE layout SET version = 1")
        store.execute("UPDATE inferred_ends SET closed_by_call = NULL")
        store.execute("DROP TABLE recalled_events")  # made by whoever opens it
    unreadable = home / "published" / "dead_letters" / "day=2026-03-10" / "file.parquet"
    unreadable.mkdir(parents=True)
    with pytest.raises(StoreError):
        Store(home / "store.duckdb", PERSONS)
    with duckdb.connect(str(home / "store.duckdb")) as store:
        assert store.execute("SELECT closed_by_call FROM inferred_ends").fetchall() == [(None,)]
        assert "recalled_events" not in layout.tables(store)
    unreadable.rmdir()
    upgraded = Store(home / "store.duckdb", PERSONS)
    assert all_of(upgraded, "SELECT closed_by_call FROM inferred_ends") == [("c2",)]
    upgraded.close()


def test_a_closed_store_is_copied_in_its_place(home: Path) -> None:
    """Whatever a copy that was killed has left."""
    shutil.copy(home / "store.duckdb", home / ".store.duckdb")
    with duckdb.connect(str(home / "store.duckdb")) as store:
        store.execute("UPDATE layout SET version = 2")
    for _ in range(2):
        Store.compact(home / "store.duckdb")
        store = Store(home / "store.duckdb")
        assert all_of(store, "FROM layout") == [(layout.LAYOUT,)]
        assert all_of(store, "SELECT call_id FROM inferred_ends") == [("c1",)]
        store.close()
    (home / "store.duckdb").write_bytes(b"no store" * 4096)
    with pytest.raises(StoreError, match=rf"{home / 'store.duckdb'} could not be written"):
        Store.compact(home / "store.duckdb")
    assert (home / "store.duckdb").read_bytes() == b"no store" * 4096


def test_an_older_store_is_upgraded_by_the_consumer_only(tmp_path: Path) -> None:
    """Also one in which nothing has settled."""
    desk = Desk(tmp_path, settle_rows=NEVER)
    desk.apply(read_story(SETTLED), LATER)
    desk.store.sql("UPDATE layout SET version = 2")
    desk.close()
    with pytest.raises(StoreError, match="`python -m ingest run` upgrades it"):
        Store(tmp_path / "store.duckdb")
    upgraded = Store(tmp_path / "store.duckdb", PERSONS)
    assert all_of(upgraded, "SELECT call_id FROM calls ORDER BY ALL") == [("c1",), ("c2",)]
    upgraded.close()


# Transactions


def test_a_transaction_is_all_or_nothing_each_time(store: Store) -> None:
    for number in range(2):
        with store.transaction(), store.transaction():  # the inner one is a part of the outer
            store.connection.execute("INSERT INTO archived_names VALUES ('agent', ?, 1)", [f"kept-{number}"])
        with pytest.raises(KeyboardInterrupt), store.transaction():
            with store.transaction():
                store.connection.execute("INSERT INTO archived_names VALUES ('agent', 'lost', 1)")
            raise KeyboardInterrupt
    assert all_of(store, "SELECT name FROM archived_names ORDER BY ALL") == [("kept-0",), ("kept-1",)]


@pytest.mark.parametrize("error", [duckdb.Error("a block"), OSError("a file")], ids=["DuckDB", "the system"])
def test_what_the_disk_does_not_take_is_told_with_the_file(store: Store, tmp_path: Path, error: Exception) -> None:
    says = rf"{tmp_path / 'store.duckdb'} could not be written \({error}\)"
    with pytest.raises(StoreError, match=says) as failure, store.transaction():
        raise error
    assert failure.value.__cause__ is error


def test_a_damaged_file_is_told_unless_the_disk_is_full(home: Path) -> None:
    store = Store(home / "store.duckdb")
    (file,) = home.rglob("events/*/*.parquet")
    file.write_bytes(b"X" + file.read_bytes()[1:])
    with pytest.raises(StoreError, match=rf"{file} is damaged"), store.transaction():
        raise duckdb.Error("a block")
    with pytest.raises(StoreError, match="the disk is full"), store.transaction():
        raise OSError("No space left on device")
    store.close()


def test_the_log_of_the_store_is_written_into_its_file(store: Store, tmp_path: Path) -> None:
    apply(store, *read_story("09:00:00 queued"))
    assert (tmp_path / "store.duckdb.wal").stat().st_size > 0
    store.checkpoint()
    assert not (tmp_path / "store.duckdb.wal").exists()
    with pytest.raises(StoreError, match=r"store.duckdb could not be written"), store.transaction():
        apply(store, *read_story("09:00:10 answered agent=ana event_id=a1"))
        store.checkpoint()  # not within a transaction


def test_the_log_of_a_small_floor_is_written_into_its_file_once_a_day(store: Store, tmp_path: Path) -> None:
    """A log of 20 agents grew for weeks, and all settled rows since its beginning were in memory."""
    log = tmp_path / "store.duckdb.wal"
    today = dt.date(2026, 11, 30)
    apply(store, *read_story("09:00:00 queued"))
    store.checkpoint_daily(today)
    store.checkpoint_daily(today)
    assert log.stat().st_size > 0
    store.checkpoint_daily(today + dt.timedelta(days=1))
    assert not log.exists()


# Counts


def test_what_was_read_adds_up_over_batches(store: Store) -> None:
    first, second = read_story("10:00:00 queued\n09:59:00 queued call_id=c2")
    lines = json.dumps(first).encode() + b"\n" + json.dumps(second).encode() + b"\n{}"
    apply(store, lines, b"no JSON")
    assert store.totals() == Totals(records=2, records_with_events=1, lines=2, duplicates=0, dead_letters=2)
    assert store.last_event_at() == at("10:00:00")
    apply(store, first, first | {"revision": 1}, first | {"revision": 2}, b"no JSON")
    assert store.totals() == Totals(records=6, records_with_events=4, lines=5, duplicates=3, dead_letters=3)
    apply(store, *read_story("09:00:00 queued call_id=c3 event_id=q3"))
    assert store.totals() == Totals(records=7, records_with_events=5, lines=6, duplicates=3, dead_letters=3)
    assert store.last_event_at() == at("10:00:00")
    assert all_of(store, "SELECT records_rejected FROM totals") == [(2,)]
    assert all_of(store, "SELECT line, reason FROM dead_letters WHERE line > 1")[0][0] == 3


# What a batch changes, to be judged at the next publish


TWO_CALLS = """
09:00:00 queued call_id=c1 event_id=q1
09:00:00 queued call_id=c2 event_id=q2
09:00:10 answered call_id=c2 agent=ana event_id=a2
08:00:00 profile agent=ana name=Ana event_id=p1
08:00:00 state agent=ana state=available event_id=s1
08:00:00 state agent=bob state=available event_id=s2
"""


def changes(desk: Desk, *events: Event) -> tuple[list[object], list[tuple[object, ...]]]:
    """The calls and agents that `events` change, after all that came before was judged."""
    desk.publisher.judge(Moment(LATER, LATER))
    desk.apply(events, LATER)
    calls = [name for (name,) in all_of(desk.store, "SELECT DISTINCT call_id FROM dirty_calls ORDER BY ALL")]
    return calls, all_of(desk.store, "SELECT DISTINCT agent, ts, has_profile FROM dirty_agents ORDER BY ALL")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, settle_rows=NEVER)
    desk.apply(read_story(TWO_CALLS), LATER)
    yield desk
    desk.close()


CHANGES = {
    "an event of a call": ("09:00:05 answered call_id=c1 agent=ana", ["c1"], []),
    "a correction of one": ("09:00:20 answered call_id=c2 agent=bob event_id=a2 revision=1", ["c2"], []),
    "it goes to another call": ("09:00:10 answered call_id=c1 agent=ana event_id=a2 revision=1", ["c1", "c2"], []),
    "a state": ("08:30:00 state agent=ana state=busy", [], [("ana", at("08:30:00"), False)]),
    "a profile": ("08:30:00 profile agent=ana name=A", [], [("ana", at("08:30:00"), True)]),
    "a state goes to another agent": (
        "08:10:00 state agent=bob state=available event_id=s1 revision=1",
        [],
        [("ana", at("08:00:00"), False), ("bob", at("08:10:00"), False)],
    ),
    "a profile goes to another agent": (
        "08:10:00 profile agent=bob name=Ana event_id=p1 revision=1",
        [],
        [("ana", at("08:00:00"), True), ("bob", at("08:10:00"), True)],
    ),
}


@pytest.mark.parametrize(("story", "calls", "agents"), CHANGES.values(), ids=CHANGES)
def test_a_batch_changes_what_its_events_are_of(
    desk: Desk, story: str, calls: list[str], agents: list[tuple[object, ...]]
) -> None:
    assert changes(desk, *read_story(story)) == (calls, agents)


def test_what_does_not_replace_what_is_known_changes_no_call(desk: Desk) -> None:
    known = read_story("09:00:10 answered call_id=c2 agent=zoe event_id=a2 revision=1")[0]
    desk.apply([known], LATER)
    written_otherwise = dict(reversed(known.items()))
    assert changes(desk, known | {"revision": 0, "agent": "ana"}) == ([], [])
    assert changes(desk, known | {"agent": "bob"}) == ([], [])
    for again in (known, written_otherwise):
        assert changes(desk, again) == ([], [])
    for space in ("  ", ""):  # before and after in the order of texts
        desk.publisher.judge(Moment(LATER, LATER))
        apply(desk.store, json.dumps(known, separators=(", ", ":" + space)).encode())
        assert all_of(desk.store, "FROM dirty_calls") == []
    assert all_of(desk.store, "SELECT count(*) FROM events WHERE event_id = 'a2'") == [(1,)]


# Contents under one event_id


def test_only_what_has_more_than_one_content_is_compared(store: Store) -> None:
    """And not all that is there, or comes: a batch costs what its events are."""
    known, new = read_story("09:00:00 queued event_id=q1\n09:00:10 answered agent=ana event_id=a1")
    apply(store, known, *read_story("08:00:00 queued call_id=c2 event_id=q2"))
    assert all_of(store, "FROM contested_event_ids") == []
    apply(store, known | {"revision": 1}, new)
    assert all_of(store, "FROM contested_event_ids") == [("q1",)]
    assert all_of(store, "SELECT event_id, revision FROM winning_events") == [("q1", 1)]


def kept_of(store: Store, *values: bytes) -> bytes:
    apply(store, *values)
    ((raw,),) = all_of(store, "SELECT raw FROM events WHERE event_id = 'e1'")
    return str(raw).encode()


def queued(text: str) -> bytes:
    return f'{{"event_id": "e1", "ts": "2026-03-10T09:00:00Z", "type": "call.queued", {text}}}'.encode()


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
@pytest.mark.parametrize("order", [1, -1], ids=["", "backwards"])
@pytest.mark.parametrize(
    ("less", "greater"),
    [
        pytest.param(
            queued('"queue": "z", "call_id": "c1", "campaign": "a"'),
            queued('"call_id": "c1", "campaign": "b", "queue": "a"'),
            id="fields are compared in their own order",
        ),
        pytest.param(
            b'{"campaign": "a", "amount": 1, "queue": "q", "call_id": "c1", "type": "call.queued",'
            b' "ts": "2026-03-10T09:00:00Z", "event_id": "e1"}',
            queued('"campaign": "a", "queue": "q", "call_id": "c1", "amount": ' + "1" * 6_000),
            id="a text that Python does not read is compared as it came",
        ),
    ],
)
def test_the_last_content_as_sorted_json_counts(
    store: Store, less: bytes, greater: bytes, order: int, together: bool
) -> None:
    both = [less, greater][::order]
    if not together:
        apply(store, both.pop(0))
    assert kept_of(store, *both) == greater


# Calls that are judged again


def test_a_call_judged_again_is_closed_by_a_settled_call_of_another_campaign(tmp_path: Path) -> None:
    """What comes back is folded too: the end of the first is the answer to the second."""
    campaigns = [campaign("sav"), campaign("vip")]
    desk = Desk(tmp_path, configured(*campaigns))
    desk.apply([e | ({"campaign": "vip"} if e["event_id"] == "e03" else {}) for e in read_story(SETTLED)], LATER)
    desk.publish(LATER)
    calls = "SELECT call_id, campaign, ended_at, threshold_s FROM calls ORDER BY call_id"
    before = desk.rows(calls)
    assert before[0]["ended_at"] == at("09:10:10") and before[1]["campaign"] == "vip"
    desk.publisher.configure(configured(campaign("sav", "UTC", Term(threshold_s=40)), campaigns[1]))
    desk.publish(LATER)
    assert desk.rows(calls) == [before[0] | {"threshold_s": 40.0}, before[1]]
    assert all_of(desk.store, "FROM calls") == []  # and all have settled again
    desk.close()


# Taken over by a store that is made again


TAKEN = {
    "more was delivered than there is": (10, 10, 7),
    "as many as are there": (3, 3, 0),
    "fewer: the topic is read again": (1, 3, 0),
}


@pytest.mark.parametrize(("kept", "lines", "duplicates"), TAKEN.values(), ids=TAKEN)
def test_lines_are_those_that_were_delivered_and_all_that_are_there(
    store: Store, kept: int, lines: int, duplicates: int
) -> None:
    first, *others = read_story("09:00:00 queued\n09:00:10 answered agent=ana\n09:01:00 ended")
    apply(store, first, *others)
    apply(store, *(first | {"revision": n} for n in (1, 2)))
    assert store.totals() == Totals(5, 5, 5, 2, 0)
    counted = {"records": 8, "records_with_events": 6, "lines": kept, "duplicates": 99, "dead_letters": 4}
    totals = pa.Table.from_pylist([counted | {"last_event_at": at("09:30:00")}])
    with store.transaction():
        store.take_over({"totals": totals}, None)
    assert store.totals() == Totals(8, 6, lines, duplicates, 4)
    assert all_of(store, "SELECT records_rejected FROM totals") == [(2,)]
    assert store.last_event_at() == at("09:30:00")


def test_what_was_rejected_and_left_out_is_taken_over(store: Store) -> None:
    apply(store, *read_story("09:30:00 queued"))
    counted = {"records": 8, "records_with_events": 6, "lines": 1, "duplicates": 0, "dead_letters": 4}
    totals = counted | {"records_rejected": 1, "left_out": 3, "last_event_at": at("09:00:00")}
    with store.transaction():
        store.take_over({"totals": pa.Table.from_pylist([totals])}, None)
    assert store.totals() == Totals(8, 6, 1, 0, 4, left_out=3)
    assert all_of(store, "SELECT records_rejected FROM totals") == [(1,)]
    assert store.last_event_at() == at("09:30:00")  # the old store may be older than its files


LETTER = DeadLetter(
    "calls", "t1", 0, 5, 1, round(at("09:00:00").timestamp() * 1000), "no JSON", "x", "pbx", at("09:00:00")
)


def settled(*letters: DeadLetter) -> pa.Table:
    """Dead letters as the files have them."""
    times = [dt.datetime.fromtimestamp(letter.received_ms / 1000, dt.UTC) for letter in letters]
    return pa.Table.from_pylist(
        [
            {
                "topic": letter.topic,
                "partition": letter.partition,
                "offset": letter.offset,
                "line": letter.line,
                "received_at": received_at,
                "reason": letter.reason,
                "payload": letter.payload,
                "day": received_at.date(),
            }
            for letter, received_at in zip(letters, times, strict=True)
        ]
    )


def reject(store: Store, *letters: DeadLetter) -> list[DeadLetter]:
    """Apply a batch that has these letters and nothing else; return those that are kept, beyond what has settled."""
    store.apply(replace(sort(Batch()), dead=list(letters)))
    found = rows(store.connection, 'FROM dead_letters ORDER BY topic, "partition", "offset", line, received_at')
    store.connection.execute("DELETE FROM dead_letters")
    return [
        DeadLetter(
            *(row["topic"], row["topic_id"], row["partition"], row["offset"], row["line"]),
            *(round(row["received_at"].timestamp() * 1000), row["reason"], row["payload"]),
            *(LETTER.source, LETTER.read_at),
        )
        for row in found
    ]


def taken_over(store: Store, tables: dict[str, pa.Table], letters: Sequence[DeadLetter]) -> None:
    with store.transaction():
        store.take_over(tables, settled(*letters))
    store.segments.reload()


def test_letters_that_have_settled_are_left_out_when_the_topic_is_read_again(store: Store) -> None:
    next_day = replace(LETTER, offset=9, received_ms=LETTER.received_ms + 86_400_000)
    taken_over(store, {}, [LETTER, replace(LETTER, offset=3), next_day])
    query = store.segments.rows("dead_letters")
    assert all_of(store, f'SELECT "offset", day::VARCHAR FROM ({query}) ORDER BY ALL') == [
        (3, "2026-03-10"),
        (5, "2026-03-10"),
        (9, "2026-03-11"),
    ]
    others = [
        replace(LETTER, topic="another"),
        replace(LETTER, partition=1),
        replace(LETTER, offset=4),
        replace(LETTER, line=2),
        replace(LETTER, received_ms=LETTER.received_ms + 1),
    ]
    assert reject(store, LETTER, *others) == sorted(
        others, key=lambda n: (n.topic, n.partition, n.offset, n.line, n.received_ms)
    )
    assert reject(store, next_day) == []
    assert reject(store, new := replace(LETTER, offset=10)) == [new]


def test_where_positions_are_known_no_letter_is_read_again(store: Store) -> None:
    partition = Partition("calls", 0, "cluster-1", "t1")
    place = {"topic": "calls", "partition": 0, "cluster_id": "cluster-1", "topic_id": "t1", "next_offset": 6}
    taken_over(store, {"positions": pa.Table.from_pylist([place])}, [LETTER])
    assert store.position(partition) == 6
    assert all_of(store, "FROM letters_kept") == []


@pytest.mark.parametrize(
    "other",
    [{"next_offset": 5}, {"topic": "another"}, {"partition": 1}],
    ids=["", "of another topic", "of another partition"],
)
def test_letters_after_the_known_positions_are_read_again(store: Store, other: dict[str, object]) -> None:
    """The store was older than its files, as after a backup of it alone."""
    place = {"topic": "calls", "partition": 0, "cluster_id": "cluster-1", "topic_id": "t1", "next_offset": 6}
    taken_over(store, {"positions": pa.Table.from_pylist([place | other])}, [LETTER])
    assert reject(store, LETTER) == []


def test_letters_that_are_only_counted_are_counted_by_source_and_day(store: Store) -> None:
    left_out = replace(LETTER, payload=None)
    other, next_day = replace(left_out, source="ivr"), at("33:00:00")
    assert reject(store, left_out) == reject(store, replace(other, read_at=next_day)) == reject(store) == []
    assert reject(store, LETTER, left_out, replace(left_out, read_at=at("08:00:00")), other) == [LETTER]
    assert all_of(store, "FROM letters_left_out ORDER BY ALL") == [
        ("ivr", dt.date(2026, 3, 10), 1, at("09:00:00")),
        ("ivr", dt.date(2026, 3, 11), 1, next_day),
        ("pbx", dt.date(2026, 3, 10), 3, at("09:00:00")),
    ]
    assert (store.totals().dead_letters, store.totals().left_out) == (6, 5)


def test_what_is_not_made_of_events_is_that_of_the_store_before(store: Store) -> None:
    kept = {
        "identity": pa.table({"store_id": ["theirs"]}),
        "letters_kept": pa.table({"last_offset": [7], "topic": ["calls"], "partition": pa.array([2], pa.int32())}),
    }
    with store.transaction():
        store.take_over(kept, None)
    assert all_of(store, "FROM identity") == [("theirs",)]
    assert all_of(store, "FROM letters_kept") == [("calls", 2, 7)]
    assert store.segments.rows("dead_letters") is None


@pytest.mark.parametrize(
    ("lines_per_s", "each", "taken_lines"),
    [
        (math.inf, MAX_BATCH_LINES, MAX_BATCH_LINES),
        (math.inf, BEHIND_LINES, 3 * BEHIND_LINES),
        (2 * BEHIND_LINES / PUBLISH_BEHIND_S, BEHIND_LINES, 2 * BEHIND_LINES),
        (1.0, BEHIND_LINES, BEHIND_LINES),
    ],
    ids=["as many as ever", "all", "as many as a slow machine stores until a file is due", "a few on a hopeless one"],
)
def test_a_batch_is_limited_also_when_every_line_is_a_dead_letter(
    tmp_path: Path, lines_per_s: float, each: int, taken_lines: int
) -> None:
    desk, stop = Desk(tmp_path), threading.Event()
    reader = Reader("127.0.0.1:1", "calls", stop, clock.now, IN_THE_CLEAR, PERSONS)
    writer = Writer(desk.store, desk.publisher, clock.now, DEFAULTS, Observed(), PERSONS.keys, Trail(tmp_path))
    writer._lines_per_s = lines_per_s
    writer._published_from = time.monotonic() + 600  # no publish is due while it takes
    for _ in range(3):
        arrivals = sort(Batch())
        reader.queue.put(Arrived(replace(arrivals, records=10, dead=[LETTER] * each)))
    (taken,) = writer._take(reader)
    assert isinstance(taken, Arrived) and len(taken.arrivals.dead) == taken_lines
    desk.close()


def test_it_is_known_until_when_everything_in_the_topic_has_been_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    reader = Reader("127.0.0.1:1", "calls", threading.Event(), clock.now, IN_THE_CLEAR, PERSONS)
    writer = Writer(desk.store, desk.publisher, clock.now, DEFAULTS, Observed(), PERSONS.keys, Trail(tmp_path))
    writer._reader = reader

    def look(seconds: int, position: int, end: int, silent_s: float = 0.0) -> float | None:
        writer._positions, reader.ends = {PARTITION: position}, {PARTITION: end}
        reader.in_touch_at = time.monotonic() - silent_s
        complete_until = writer._look_whether_complete(LATER + dt.timedelta(seconds=seconds))
        return None if complete_until == NOT_YET else (complete_until - LATER).total_seconds()

    writer._look_whether_complete(LATER)  # before the topic is open
    assert writer._look_whether_complete(LATER + dt.timedelta(seconds=10)) == NOT_YET
    assert look(0, 0, 10) is None
    assert look(1000, 9, 20) is None
    assert look(2000, 10, 20, silent_s=500) == pytest.approx(0, abs=100)
    assert look(3000, 19, 20) == pytest.approx(0, abs=100)
    assert look(4000, 20, 20) == pytest.approx(1500, abs=100)  # Kafka had not answered since then
    assert look(5000, 20, 20) == pytest.approx(4000, abs=100)
    desk.close()
