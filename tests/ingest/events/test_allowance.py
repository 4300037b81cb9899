"""How many dead letters are kept: limited by source and minute, the rest counted exactly, none kept for ever."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.fuzz import records
from ingest.events.allowance import MASKING_A_BATCH_S, MASKING_S, MOST_SOURCES
from ingest.events.batch import Batch
from ingest.events.sorting import Sorter
from ingest.publishing.publish import Moment, Publisher
from ingest.rebuild import rebuild
from ingest.store.store import Store
from metrics.configuration.campaigns import DeadLetterLimits
from tests.support.stories.stream import DEFAULTS, PARTITION, PERSONS, Message, at, messages, rows

NOON = at("12:00:00")
LIMITS = DeadLetterLimits(source_per_minute=5, all_per_minute=12)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: dt.datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now


def bad(source: str | None, **more: Any) -> bytes:
    return json.dumps({"type": "call.flown"} | ({"source": source} if source else {}) | more).encode()


def kept(sorter: Sorter, *values: bytes | None) -> list[str]:
    """Sort a batch; return the sources of the letters that are kept."""
    arrivals = sorter.sort(Batch({PARTITION: list(messages(values, NOON))}))
    assert len(arrivals.dead) == len(values)
    return [letter.source for letter in arrivals.dead if letter.payload is not None]


def test_so_many_of_a_source_and_minute_are_kept() -> None:
    clock = Clock()
    sorter = Sorter(PERSONS, LIMITS, clock)
    assert kept(sorter, *[bad("a")] * 4) == ["a"] * 4
    assert kept(sorter, *[bad("a")] * 4, *[bad("b")] * 3, bad(None), None) == ["a", *["b"] * 3, "", ""]
    clock.now += dt.timedelta(seconds=59)
    assert kept(sorter, bad("a"), bad("b")) == ["b"]
    clock.now += dt.timedelta(seconds=1)
    assert kept(sorter, *[bad("a")] * 9) == ["a"] * 5


def test_a_source_with_another_name_in_each_line_is_limited_too() -> None:
    sorter = Sorter(PERSONS, LIMITS, Clock())
    lines = [bad(f"made up {n}") for n in range(2 * MOST_SOURCES)]
    assert len(kept(sorter, *lines)) == LIMITS.all_per_minute
    arrivals = sorter.sort(Batch({PARTITION: list(messages(lines, NOON))}))
    assert len({letter.source for letter in arrivals.dead}) == MOST_SOURCES + 1


def test_masking_has_a_budget_of_time() -> None:
    """A large letter of quotes took 310 ms, and letters of that kind held up all others."""
    sorter = Sorter(PERSONS, DeadLetterLimits(100_000, 100_000), Clock())
    hostile = [b'"' * 65_536] * 1_000
    assert 0 < len(kept(sorter, *hostile)) < 1_000
    assert 0 < len(kept(sorter, *hostile)) < 1_000  # good events of the next batch waited for a part of the minute's
    for _ in range(round(MASKING_S / MASKING_A_BATCH_S)):
        kept(sorter, *hostile)
    assert kept(sorter, *hostile) == []


def test_a_private_word_that_is_cut_is_not_kept() -> None:
    (letter,) = (
        Sorter(PERSONS, LIMITS, Clock())
        .sort(Batch({PARTITION: messages([b"x" * 4_085 + b" jo@mail.example"], NOON)}))
        .dead
    )
    assert letter.payload == "x" * 4_085 + " "
    assert letter.reason.endswith(" The line has 4,101 bytes; its beginning is kept.")


def test_limits_can_change_while_the_consumer_runs() -> None:
    sorter = Sorter(PERSONS, LIMITS, Clock())
    assert len(kept(sorter, *[bad("a")] * 9)) == 5
    sorter.limit(replace(LIMITS, source_per_minute=7))
    assert len(kept(sorter, *[bad("a")] * 9)) == 2


def stored(place: Path) -> tuple[Store, Publisher]:
    place.mkdir(exist_ok=True)
    store = Store(place / "store.duckdb")
    return store, Publisher(store, place / "published", DEFAULTS, settle_rows=1)


def publish(publisher: Publisher, at: dt.datetime) -> None:
    moment = Moment(at, at)
    publisher.judge(moment)
    publisher.write(moment)
    publisher.settle(moment)


def test_letters_left_out_are_an_alarm_until_the_flood_is_over(tmp_path: Path) -> None:
    clock = Clock()
    sorter = Sorter(PERSONS, LIMITS, clock)
    store, publisher = stored(tmp_path)
    for _ in range(2):
        store.apply(sorter.sort(Batch({PARTITION: list(messages([bad("pbx")] * 9, NOON))})))
    publish(publisher, NOON)
    query = "SELECT kind, source, counted, expected FROM snapshot.alarms"
    assert rows(store.connection, query) == [
        {"kind": "letters_left_out", "source": "pbx", "counted": 13, "expected": 0}
    ]
    left_out = "SELECT source, day, lines, last_at FROM snapshot.dead_letters_left_out"
    assert rows(store.connection, left_out) == [{"source": "pbx", "day": NOON.date(), "lines": 13, "last_at": NOON}]
    (status,) = rows(store.connection, "FROM snapshot.ingest_status")
    assert (status["records"], status["dead_letters"], status["letters_left_out"]) == (18, 18, 13)
    publish(publisher, NOON + dt.timedelta(minutes=16))
    assert rows(store.connection, query) == []
    assert len(rows(store.connection, left_out)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_invariant_3_every_fuzzed_record_leaves_an_event_a_letter_or_a_count(tmp_path: Path, seed: int) -> None:
    now = round(NOON.timestamp() * 1000)
    sorter = Sorter(PERSONS, LIMITS, Clock())
    store, publisher = stored(tmp_path)
    sent = [Message(n, *record) for n, record in enumerate(records(seed, 4_000, now, large=0.001))]
    lines = 0
    for begin in range(0, len(sent), 700):
        arrivals = sorter.sort(Batch({PARTITION: sent[begin : begin + 700]}, {PARTITION: begin + 700}))
        with_letter = {letter.offset for letter in arrivals.dead}
        lines += len(arrivals.dead)
        assert arrivals.records == arrivals.records_with_events + arrivals.records_rejected
        assert arrivals.records_rejected <= len(with_letter)
        store.apply(arrivals)
        publish(publisher, NOON)
    totals = store.totals()
    assert totals.records == len(sent)
    letters = rows(store.connection, 'SELECT DISTINCT "offset", line FROM snapshot.dead_letters')
    (status,) = rows(store.connection, "FROM snapshot.ingest_status")
    assert totals.dead_letters == lines == len(letters) + totals.left_out == len(letters) + status["letters_left_out"]
    (left_out,) = rows(store.connection, "SELECT sum(lines)::BIGINT AS n FROM snapshot.dead_letters_left_out")
    assert left_out["n"] == totals.left_out
    assert {a["kind"] for a in rows(store.connection, "FROM snapshot.alarms")} == {"letters_left_out"}
    store.close()


@pytest.mark.parametrize("loses_store", [False, True], ids=["rebuilt", "lost and read again"])
def test_a_rebuild_keeps_the_count_exact(tmp_path: Path, loses_store: bool) -> None:
    """Of a topic that is read again, other letters may be kept than before: none may be kept and counted too."""
    now = round(NOON.timestamp() * 1000)
    sent = [Message(n, *record) for n, record in enumerate(records(7, 600, now, large=0))]
    store, publisher = stored(tmp_path)
    clock = Clock()

    def read(limits: DeadLetterLimits) -> int:
        sorter, lines = Sorter(PERSONS, limits, clock), 0
        for begin in range(0, len(sent), 200):
            arrivals = sorter.sort(Batch({PARTITION: sent[begin : begin + 200]}, {PARTITION: begin + 200}))
            lines += len(arrivals.dead)
            store.apply(arrivals)
            publish(publisher, NOON)
            clock.now += dt.timedelta(minutes=1)
        return lines

    lines = read(LIMITS)
    before = store.totals()
    store.close()
    if loses_store:
        (tmp_path / "store.duckdb").unlink()
    rebuild(tmp_path, DEFAULTS, PERSONS, lambda *_: None)
    store, publisher = stored(tmp_path)
    if loses_store:
        assert read(DeadLetterLimits(source_per_minute=3, all_per_minute=20)) == lines
    publish(publisher, NOON)
    totals = store.totals()
    letters = rows(store.connection, 'SELECT "offset", line FROM snapshot.dead_letters ORDER BY ALL')
    assert len({(letter["offset"], letter["line"]) for letter in letters}) == len(letters)
    assert totals.records == len(sent) and totals.dead_letters == lines == len(letters) + totals.left_out
    assert loses_store or totals.left_out == before.left_out
    assert rows(store.connection, "FROM snapshot.alarms WHERE kind LIKE '%conserved'") == []
    store.close()
