"""What a snapshot says of its own making: conservation, partitions, sources, pace and disk."""

import datetime as dt
import random
from pathlib import Path

import pytest

from ingest.archive.inventory import PUBLISHED
from ingest.events.batch import Batch, Gap, Partition
from ingest.publishing.publish import Moment, Place, Publisher
from metrics.configuration.campaigns import Term
from tests.support.stories.stream import (
    DEFAULTS,
    PARTITION,
    Desk,
    at,
    campaign,
    configured,
    folded,
    publish,
    read_story,
    rows,
    sort,
)

pytestmark = pytest.mark.slow

TWO_DAYS = """
09:00:00 queued
09:00:10 answered agent=amina
09:01:00 ended
09:05:00 queued call_id=c2
09:05:30 abandoned call_id=c2
09:10:00 queued call_id=c3
09:10:01 left_queue call_id=c3 reason=closed
33:00:00 queued call_id=c4
33:00:10 answered call_id=c4 agent=amina
33:01:00 ended call_id=c4
57:00:00 queued call_id=c5
09:00:00 dialed call_id=c6
"""
LATER = at("57:10:00")
CHECKS = "SELECT campaign, day, offered, accounted, refused, conserved FROM conservation_checks ORDER BY ALL"


def checks(desk: Desk) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in desk.rows(CHECKS)]


DAYS = [
    ("sav", dt.date(2026, 3, 10), 2, 2, 1, True),
    ("sav", dt.date(2026, 3, 11), 1, 1, 0, True),
    ("sav", dt.date(2026, 3, 12), 1, 1, 0, True),
]


@pytest.mark.parametrize("settle_rows", [1, 1_000], ids=["settled", "not settled"])
def test_each_campaign_and_day_is_checked(tmp_path: Path, settle_rows: int) -> None:
    desk = Desk(tmp_path, configured(campaign("sav"), campaign("unused")), settle_rows)
    desk.apply(read_story(TWO_DAYS), LATER)
    for _ in range(2):  # what is settled stays
        desk.publish(LATER)
        assert checks(desk) == [*DAYS, ("unused", dt.date(2026, 3, 12), 0, 0, 0, True)]


def test_the_check_of_a_day_adds_what_is_settled_and_what_is_not(tmp_path: Path) -> None:
    """Also where both count alike at one instant; the latest of their checks is the day's."""
    story = "57:00:00 queued \n 57:00:30 abandoned \n 57:20:00 queued call_id=c2"
    desk = Desk(tmp_path)
    desk.apply(read_story(story), at("57:20:00"))
    for clock in ("57:20:00", "57:21:00"):
        desk.publish(at(clock))
        assert checks(desk) == [("sav", dt.date(2026, 3, 12), 2, 2, 0, True)]
        assert desk.rows("SELECT checked_at FROM conservation_checks") == [{"checked_at": at(clock)}]
    assert [row["call_id"] for row in desk.rows("FROM recent_calls")] == ["c2"]


def test_a_campaign_without_calls_is_checked_on_the_day_that_begins(tmp_path: Path) -> None:
    desk = Desk(tmp_path, configured(campaign("unused")))
    desk.publish(at("24:00:00"))
    assert checks(desk) == [("unused", dt.date(2026, 3, 11), 0, 0, 0, True)]


def test_settled_days_keep_the_instant_of_their_check(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(TWO_DAYS), LATER)
    desk.publish(LATER)
    desk.publish(LATER + dt.timedelta(hours=1))
    said = desk.rows("SELECT checked_at FROM conservation_checks ORDER BY day")
    assert [row["checked_at"] for row in said] == [LATER, LATER, LATER + dt.timedelta(hours=1)]


def test_a_recalled_call_has_its_day_checked_again_and_no_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(TWO_DAYS), LATER)
    desk.publish(LATER)
    desk.apply(read_story("33:02:00 wrapped call_id=c4 event_id=late"), LATER)
    desk.publish(LATER + dt.timedelta(hours=1))
    said = desk.rows("SELECT checked_at FROM conservation_checks ORDER BY day")
    assert [row["checked_at"] for row in said] == [LATER, *[LATER + dt.timedelta(hours=1)] * 2]


def test_a_recalled_call_is_counted_once_before_it_settles_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(TWO_DAYS), LATER)
    desk.publish(LATER)
    desk.apply(read_story("33:02:00 wrapped call_id=c4 event_id=late"), LATER)
    desk.publisher.judge(Moment(LATER, LATER))
    assert desk.store.connection.execute(CHECKS).fetchall() == DAYS
    desk.close()


def test_a_late_call_is_in_the_check_of_its_day_when_it_has_settled(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(TWO_DAYS), LATER)
    desk.publish(LATER)
    desk.apply(read_story("09:07:00 queued call_id=c7 event_id=l1\n09:07:30 abandoned call_id=c7 event_id=l2"), LATER)
    desk.publish(LATER)
    assert checks(desk) == [("sav", dt.date(2026, 3, 10), 3, 3, 1, True), *DAYS[1:]]


def test_a_late_event_is_in_the_check_of_its_day(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(TWO_DAYS), LATER)
    desk.publish(LATER)
    late = read_story(
        "09:05:20 left_queue call_id=c2 reason=full\n09:07:00 queued call_id=c7\n09:07:30 abandoned call_id=c7"
    )
    desk.apply([event | {"event_id": f"late-{n}"} for n, event in enumerate(late)], LATER)
    desk.apply(
        [read_story(TWO_DAYS)[4] | {"revision": 1, "type": "call.ended"}], LATER
    )  # c2 was not abandoned after all
    for _ in range(2):  # recalled, then settled again
        desk.publish(LATER)
        assert checks(desk) == [("sav", dt.date(2026, 3, 10), 2, 2, 2, True), *DAYS[1:]]


def test_settled_days_leave_after_a_month(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(TWO_DAYS), LATER)
    desk.publish(LATER)
    desk.publish(LATER + dt.timedelta(days=34))
    assert [day for _, day, *_ in checks(desk)] == [dt.date(2026, 3, 11), dt.date(2026, 3, 12), dt.date(2026, 4, 15)]


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        pytest.param(
            "UPDATE just_judged_calls SET outcome = 'vanished' WHERE call_id = 'c2'",
            ("sav", dt.date(2026, 3, 10), 2, 1, 1, False),
            id="an outcome that no KPI knows",
        ),
        pytest.param(
            "UPDATE just_judged_calls SET outcome = NULL WHERE call_id = 'c1'",
            ("sav", dt.date(2026, 3, 10), 2, 1, 1, False),
            id="no outcome",
        ),
        pytest.param(
            "UPDATE just_judged_calls SET day = NULL WHERE call_id = 'c5'",
            ("sav", None, 1, 0, 0, False),
            id="in no day",
        ),
        pytest.param("DELETE FROM just_judged_calls WHERE call_id = 'c4'", ("sav", None, 1, 0, 0, False), id="lost"),
        pytest.param(
            "INSERT INTO just_judged_calls FROM just_judged_calls WHERE call_id = 'c4'",
            ("sav", None, 0, 1, 0, False),
            id="twice",
        ),
    ],
)
def test_a_violation_is_published_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tampering: str, found: tuple[object, ...]
) -> None:
    class Tampered(Publisher):
        def _judge(self, moment: Moment) -> None:
            self._judging.forget()  # so that it is whole again before it is tampered with
            super()._judge(moment)
            desk.store.connection.execute(tampering)

    desk = Desk(tmp_path)
    desk.publisher = Tampered(desk.store, tmp_path / "published", DEFAULTS)
    desk.apply(read_story(TWO_DAYS), LATER)
    for _ in range(2):
        desk.publish(LATER)
        assert [check for check in checks(desk) if not check[-1]] == [found]
    told_of = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage().split(":")[0] for record in told_of] == [
        f"calls of sav are not conserved on {found[1] or 'no day'}"
    ]


def test_a_violation_settles_as_a_violation_and_stays(tmp_path: Path) -> None:
    """Two terms in force at once, which the configuration file cannot say, judge each call twice."""
    desk = Desk(tmp_path, configured(campaign("sav", "UTC", Term(), Term(threshold_s=10))))
    desk.apply(read_story(TWO_DAYS), LATER)
    desk.publish(LATER)
    assert not all(conserved for *_, conserved in checks(desk))


def test_what_the_check_says_is_what_the_kpis_say(tmp_path: Path) -> None:
    desk = Desk(tmp_path, settle_rows=1_000)
    desk.apply(read_story(TWO_DAYS), LATER)
    desk.publish(LATER)
    by_day = "SELECT campaign, day, offered, offered AS accounted, refused, conserved FROM kpi_daily ORDER BY ALL"
    assert [tuple(row.values()) for row in desk.rows(by_day)] == checks(desk)


# Sources


SOURCES = "FROM feed_sources ORDER BY source"


def test_events_are_counted_by_source(tmp_path: Path) -> None:
    events = read_story("09:00:00 queued source=casa\n09:00:10 answered source=casa agent=amina\n09:01:00 ended")
    revised = events[0] | {"revision": 1, "source": "tanger"}  # goes over to another source
    never_counted = events[2] | {"source": "agadir", "ts": "2026-03-10T09:00:50Z", "ended_by": "agent"}
    for name, values in {
        "in order": [*events, events[1], revised, never_counted],
        "backwards": [never_counted, revised, events[1], *reversed(events)],
    }.items():
        with folded(tmp_path / name, values, LATER, batches=[2, 3]) as connection:
            found = {row["source"]: (row["events"], row["last_event_at"]) for row in rows(connection, SOURCES)}
        counts = {source: count for source, (count, _) in found.items()}
        assert counts["casa"] == 1 and counts["tanger"] == 1
        assert counts["agadir"] + counts["default"] == 1
        assert found["casa"][1] == at("09:00:10") and found["default"][1] == at("09:01:00")


def test_sources_add_up_to_events_whatever_comes_again_and_settles(tmp_path: Path) -> None:
    chance = random.Random(3)
    events = read_story(TWO_DAYS)
    delivered = [event | {"source": chance.choice("abc")} for event in events * 2]
    delivered += [event | {"revision": chance.randint(1, 2), "source": chance.choice("abc")} for event in events]
    chance.shuffle(delivered)
    desk = Desk(tmp_path)
    for part in (delivered[:12], delivered[12:24], delivered[24:]):
        desk.apply(part, LATER)
        desk.publish(LATER)
        (status,) = desk.rows("SELECT events, last_event_at FROM ingest_status")
        (total,) = desk.rows("SELECT sum(events) AS events, max(last_event_at) AS last_event_at FROM feed_sources")
        assert total == status
    winners = dict[str, tuple[tuple[int, str], str]]()
    for event in delivered:
        content = (event.get("revision", 0), str(sorted(event.items())))
        winners[event["event_id"]] = max(winners.get(event["event_id"], (content, "")), (content, event["source"]))
    expected = {source: sum(of == source for _, of in winners.values()) for source in "abc"}
    assert {row["source"]: row["events"] for row in desk.rows(SOURCES)} == expected


# Partitions, pace and disk


def test_partitions_tell_how_far_they_are_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    other = Partition("call-events", 1, "cluster-1", "topic-1")
    places = {PARTITION: Place(7, 10), other: Place(4, 4)}
    publish(desk.publisher, Moment(LATER, LATER, places, records_per_s=2.5, publish_s=0.25))
    assert [tuple(row.values()) for row in desk.rows("FROM feed_partitions ORDER BY partition")] == [
        ("call-events", 0, 7, 10, 3),
        ("call-events", 1, 4, 4, 0),
    ]
    (status,) = desk.rows("FROM ingest_status")
    assert (status["lag"], status["records_per_s"], status["publish_s"]) == (3, 2.5, 0.25)


def test_a_gap_is_kept_with_the_position_behind_it_and_published(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for begin, end, told_at in ((7, 10, LATER), (12, 13, LATER + dt.timedelta(hours=1))):
        desk.store.apply(sort(Batch(next_offsets={PARTITION: end}, gaps=[Gap(PARTITION, begin, end, told_at)])))
        assert desk.store.position(PARTITION) == end
    desk.publish(LATER)
    assert [tuple(row.values()) for row in desk.rows("FROM feed_gaps ORDER BY from_offset")] == [
        ("call-events", 0, 7, 10, 3, LATER),
        ("call-events", 0, 12, 13, 1, LATER + dt.timedelta(hours=1)),
    ]


def test_disk_use_is_that_of_the_files(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.publish(LATER)
    (first,) = desk.rows("FROM ingest_status")
    assert first["published_bytes"] == 0 and first["disk_free_bytes"] > 0
    assert first["records_per_s"] is None and first["publish_s"] is None
    desk.apply(read_story(TWO_DAYS), LATER)
    for _ in range(2):  # settled by the first, weighed by the second
        snapshot = desk.publisher.path.stat().st_size
        desk.publish(LATER)
    (status,) = desk.rows("FROM ingest_status")
    parquet = sum(file.stat().st_size for file in (tmp_path / "published").rglob("*.parquet"))
    assert parquet > 0 and status["published_bytes"] == snapshot + parquet
    events = sum(file.stat().st_size for file in (tmp_path / "events").rglob("*.parquet"))
    store = sum(file.stat().st_size for file in tmp_path.glob("store.duckdb*"))
    assert events > 0 and events < status["store_bytes"] <= store + events
    desk.close()
    assert Desk(tmp_path).store.segments.bytes(*PUBLISHED) == parquet
