"""Impossible counts raise alarms: published in `alarms`, and logged when they begin and when they are over."""

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from ingest.archive.inventory import EVENTS
from ingest.archive.segments import MERGE_AT_FILES
from ingest.publishing.publish import NOT_YET, Moment, Publisher
from tests.support.stories.stream import DEFAULTS, Desk, Event, at, read_story

pytestmark = pytest.mark.slow

LATER = at("57:10:00")
TEN = dt.date(2026, 3, 10)
CALLS = """
09:00:00 queued
09:00:10 answered agent=amina
09:01:00 ended
09:05:00 queued call_id=c2
09:05:30 abandoned call_id=c2
57:00:00 queued call_id=c3
57:00:10 answered call_id=c3 agent=amina
57:01:00 ended call_id=c3
57:05:00 queued call_id=c4
57:05:30 abandoned call_id=c4
"""
COLUMNS = "kind, measure, campaign, day, source, counted, expected"


def ringing(desk: Desk) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in desk.rows(f"SELECT {COLUMNS} FROM alarms ORDER BY ALL")]


def logged(caplog: pytest.LogCaptureFixture, level: str) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelname == level and record.name == "ingest.judging.alarms"
    ]


def archived_files(home: Path, relation: str) -> list[Path]:
    root = home if relation == EVENTS else home / "published"
    return sorted((root / relation).glob("day=*/*.parquet"), key=lambda file: file.stat().st_mtime_ns)


def double_a_row(desk: Desk, file: Path) -> None:
    """Rewrite a file with its first row twice, as an older Vigie may have left it: without a checksum."""
    doubled = file.with_suffix(".doubled")
    rows = f"read_parquet('{file}', hive_partitioning = false)"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM {rows} UNION ALL FROM (FROM {rows} LIMIT 1)) TO '{doubled}' (FORMAT parquet)")
    doubled.replace(file)
    desk.store.sql("DELETE FROM checksums WHERE parse_filename(file) = ?", [file.name])


def call(n: int, begin: str = "09:00:00") -> list[Event]:
    """A call with three events and two states of its agent, which settle together."""
    story = f"{begin} queued\n{begin} answered agent=amina\n{begin} ended\n{begin} state agent=a{n} state=available"
    story += f"\n{begin} state agent=a{n} state=paused"
    later = dt.timedelta(seconds=30 * n)
    events = read_story(story)
    for place, event in enumerate(events):
        moved = dt.datetime.fromisoformat(event["ts"]) + later + dt.timedelta(seconds=place)
        event |= {"event_id": f"call-{n}-{place}", "ts": moved.isoformat()}
        if "call_id" in event:
            event["call_id"] = f"call-{n}"
    return events


def settle_days_files(desk: Desk, files: range) -> None:
    for n in files:
        desk.apply(call(n), LATER)
        desk.publish(LATER + dt.timedelta(seconds=n))


def test_a_floor_without_faults_raises_no_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(CALLS), LATER)
    settle_days_files(desk, range(MERGE_AT_FILES))
    assert ringing(desk) == []
    assert not desk.publisher.alarms
    assert logged(caplog, "ERROR") == []


@pytest.mark.parametrize(
    ("relation", "rows"), [("calls", 4), ("agent_states", 4), ("events", 16)], ids=["calls", "states", "events"]
)
def test_rows_archived_twice_raise_an_alarm_when_files_are_merged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, relation: str, rows: int
) -> None:
    desk = Desk(tmp_path)
    settle_days_files(desk, range(MERGE_AT_FILES - 1))
    double_a_row(desk, archived_files(tmp_path, relation)[0])
    desk.publish(LATER + dt.timedelta(minutes=1))
    assert not [kind for kind, *_ in ringing(desk) if kind == "rows_doubled"]
    settle_days_files(desk, range(MERGE_AT_FILES - 1, MERGE_AT_FILES))
    found = ("rows_doubled", relation, None, TEN, None, rows + 1, rows)
    assert found in ringing(desk)
    errors = [line for line in logged(caplog, "ERROR") if "archived" in line]
    assert errors == [f"archived {relation} of 2026-03-10 are stored more than once: {rows + 1} rows, {rows} distinct"]
    desk.close()
    again = Desk(tmp_path)  # an alarm stays published after a restart and is not logged again
    again.publish(LATER + dt.timedelta(hours=1))
    assert found in ringing(again)
    assert [line for line in logged(caplog, "ERROR") if "archived" in line] == errors


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        pytest.param(
            "UPDATE totals SET duplicates = duplicates + 501",
            [
                ("events_not_conserved", "by_source", None, None, None, 10, -491),
                ("events_not_conserved", "stored", None, None, None, 10, -491),
                ("impossible_count", "events", None, None, None, -491, 0),
            ],
            id="fewer than no event",
        ),
        pytest.param(
            "UPDATE totals SET dead_letters = -1",
            [("impossible_count", "dead_letters", None, None, None, -1, 0)],
            id="fewer than no dead letter",
        ),
        pytest.param(
            "UPDATE sources SET events = -3",
            [
                ("events_not_conserved", "by_source", None, None, None, -3, 10),
                ("impossible_count", "events", None, None, "default", -3, 0),
            ],
            id="a source with fewer than no event",
        ),
        pytest.param(
            "INSERT INTO events FROM events WHERE event_id = 'e06'",
            [("events_not_conserved", "stored", None, None, None, 11, 10)],
            id="an event there twice",
        ),
        pytest.param(
            "DELETE FROM events WHERE event_id = 'e06'",
            [("events_not_conserved", "stored", None, None, None, 9, 10)],
            id="an event lost",
        ),
        pytest.param(
            "UPDATE segments SET rows = rows + 2 WHERE relation = 'events'",
            [("events_not_conserved", "stored", None, None, None, 12, 10)],
            id="more rows archived than events",
        ),
        pytest.param(
            "UPDATE settled_checks SET answered = 5",
            [("impossible_count", "answered", "sav", TEN, None, 5, 2)],
            id="a settled day with more answered than offered",
        ),
        pytest.param(
            "UPDATE settled_checks SET answered_in_threshold = 2",
            [("impossible_count", "answered_in_threshold", "sav", TEN, None, 2, 1)],
            id="more answered in time than answered",
        ),
        pytest.param(
            "UPDATE settled_checks SET handled = 2",
            [("impossible_count", "handled", "sav", TEN, None, 2, 1)],
            id="more handled than answered",
        ),
        pytest.param(
            "UPDATE settled_checks SET refused = -1",
            [("impossible_count", "refused", "sav", TEN, None, -1, 0)],
            id="fewer than no call refused",
        ),
    ],
)
def test_an_impossible_count_of_the_store_raises_an_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tampering: str, found: list[tuple[object, ...]]
) -> None:
    """The calls of the 10th are settled, those of the 12th are not."""
    desk = Desk(tmp_path)
    desk.apply(read_story(CALLS), LATER)
    desk.publish(LATER)
    assert ringing(desk) == []
    desk.store.connection.execute(tampering)
    desk.publish(LATER + dt.timedelta(seconds=1))
    assert ringing(desk) == found
    assert len(logged(caplog, "ERROR")) == len(found)


UNSETTLED = dt.date(2026, 3, 12)


@pytest.mark.parametrize(
    ("tampering", "found", "line"),
    [
        pytest.param(
            "outcome = 'refused' WHERE day = '2026-03-12'",
            ("impossible_count", "answered", "sav", UNSETTLED, None, 1, 0),
            "answered of sav on 2026-03-12 cannot be more than 0: 1",
            id="more answered than offered",
        ),
        pytest.param(
            "wait_s = -1 WHERE call_id = 'c4'",
            ("impossible_count", "negative_times", "sav", UNSETTLED, None, 1, 0),
            "negative_times of sav on 2026-03-12 cannot be more than 0: 1",
            id="a negative wait",
        ),
        pytest.param(
            "outcome = 'vanished' WHERE call_id = 'c4'",
            ("calls_not_conserved", "accounted", "sav", UNSETTLED, None, 1, 2),
            "calls of sav are not conserved on 2026-03-12: 2 offered, 1 accounted for",
            id="not conserved",
        ),
    ],
)
def test_impossible_judged_calls_raise_one_alarm_until_they_are_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tampering: str, found: tuple[object, ...], line: str
) -> None:
    class Tampered(Publisher):
        def _judge(self, moment: Moment) -> None:
            self._judging.forget()  # judges everything again, so that the table is intact before it is tampered with
            super()._judge(moment)
            desk.store.connection.execute(f"UPDATE just_judged_calls SET {tampering}")

    caplog.set_level("INFO")
    desk = Desk(tmp_path)
    desk.apply(read_story(CALLS), LATER)
    desk.publisher.close()
    publisher, desk.publisher = desk.publisher, Tampered(desk.store, tmp_path / "published", DEFAULTS)
    for seconds in range(3):
        desk.publish(LATER + dt.timedelta(seconds=seconds))
        assert ringing(desk) == [found]
        assert desk.rows("SELECT since FROM alarms") == [{"since": LATER}]
    assert (logged(caplog, "ERROR"), logged(caplog, "INFO")) == ([line], [])
    desk.publisher.close()
    desk.publisher = publisher
    desk.publish(LATER + dt.timedelta(seconds=4))
    assert ringing(desk) == []
    assert (logged(caplog, "ERROR"), logged(caplog, "INFO")) == ([line], [f"alarm ended: {line}"])


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        pytest.param("answered = 5", ("impossible_count", "answered", "sav", TEN, None, 5, 2), id="impossible"),
        pytest.param("accounted = 1", ("calls_not_conserved", "accounted", "sav", TEN, None, 1, 2), id="not conserved"),
    ],
)
def test_a_settled_day_older_than_the_published_ones_raises_an_alarm(
    tmp_path: Path, tampering: str, found: tuple[object, ...]
) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(CALLS), LATER)
    desk.publish(LATER)
    desk.store.connection.execute(f"UPDATE settled_checks SET {tampering} WHERE day = '{TEN}'")
    desk.publish(LATER + dt.timedelta(days=300))
    assert found in ringing(desk)


def test_a_store_of_an_earlier_version_counts_its_settled_days_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(CALLS), LATER)
    desk.publish(LATER)
    for column in ("answered", "answered_in_threshold", "handled", "negative_times"):
        desk.store.connection.execute(f"ALTER TABLE settled_checks DROP COLUMN {column}")
    desk.store.connection.execute("DROP TABLE alarms; DROP TABLE archived_counts")
    desk.close()
    desk = Desk(tmp_path)
    desk.publish(LATER)
    counted = desk.store.connection.execute("SELECT offered, answered, handled, negative_times FROM settled_checks")
    assert counted.fetchall() == [(2, 1, 1, 0)]
    assert ringing(desk) == []


# calls in no campaign

ORPHAN = (
    "09:00:10 answered call_id=lost agent=amina\n09:01:00 ended call_id=lost\n09:00:05 rang call_id=rung agent=amina"
)


def test_a_call_without_its_first_event_raises_an_alarm_soon_after_the_lateness_allowance(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    desk = Desk(tmp_path)
    desk.apply(read_story(ORPHAN), at("09:02:00"))
    found = {}
    for clock in ("09:02:00", "09:15:05", "09:15:06", "09:15:15", "09:15:16", "09:15:24", "09:15:25", "10:00:00"):
        desk.publish(at(clock))
        found[clock] = [row[-2] for row in ringing(desk)]
    assert found == {
        **{"09:02:00": [], "09:15:05": [], "09:15:06": [], "09:15:15": []},
        **{"09:15:16": [1], "09:15:24": [1], "09:15:25": [2], "10:00:00": [2]},
    }
    assert ringing(desk) == [("calls_in_no_campaign", "calls", None, None, None, 2, 0)]
    assert dict(desk.publisher.alarms) == {"calls_in_no_campaign": 1}
    line = "calls are in no campaign, because no call.queued or call.dialed came: 1"
    assert logged(caplog, "ERROR") == [line]
    begun = read_story("09:00:00 queued call_id=lost\n09:00:00 dialed call_id=rung")
    desk.apply([begun[0] | {"event_id": "late"}], at("10:00:00"))
    desk.publish(at("10:00:01"))
    assert [row[-2] for row in ringing(desk)] == [1]
    desk.apply([begun[1] | {"event_id": "later"}], at("10:00:00"))
    desk.publish(at("10:00:02"))
    assert ringing(desk) == []
    assert logged(caplog, "ERROR") == [line]
    assert [message.split(":")[0] for message in logged(caplog, "INFO")] == ["alarm ended"]


def test_events_out_of_order_raise_no_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path)
    first, *others = read_story(CALLS)
    desk.apply(others[:2], at("09:01:00"))
    desk.publish(at("09:01:00"))
    desk.apply([first, *others[2:]], LATER)
    desk.publish(LATER)
    assert ringing(desk) == [] and logged(caplog, "ERROR") == []


def test_calls_of_a_partition_that_is_hours_behind_raise_no_alarm(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(ORPHAN), at("12:00:00"))
    for clock, read_until, rings in (
        ("12:00:00", at("09:10:00"), False),
        ("12:00:20", at("09:10:00"), False),
        ("12:00:21", None, False),
        ("12:00:31", None, True),
    ):
        publish(desk, Moment(at(clock), at(clock), read_until=read_until))
        assert bool(ringing(desk)) is rings


def publish(desk: Desk, moment: Moment) -> None:
    desk.publisher.judge(moment)
    desk.publisher.write(moment)


def test_a_past_whose_calls_are_read_in_pieces_raises_no_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Old calls arrive by two partitions: at every publish another one has only its end, for a minute."""
    desk = Desk(tmp_path)
    beginning, *rest = call(0)
    for seconds in range(0, 60, 5):
        later = LATER + dt.timedelta(seconds=seconds)
        named = {"call_id": f"past-{seconds}"}
        desk.apply([event | named | {"event_id": f"{seconds}-{n}"} for n, event in enumerate(rest[:2])], later)
        desk.publish(later)
        assert ringing(desk) == []
        desk.apply([beginning | named | {"event_id": f"{seconds}-begins"}], later)
    assert logged(caplog, "ERROR") == []


def test_a_missing_beginning_that_may_still_be_in_the_topic_raises_no_alarm(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(ORPHAN), LATER)
    for seconds, complete_until, rings in ((0, 0, False), (60, 9, False), (70, 10, True), (71, 10, True)):
        now, complete_at = (LATER + dt.timedelta(seconds=at_s) for at_s in (seconds, complete_until))
        publish(desk, Moment(now, now, complete_until=complete_at))
        assert bool(ringing(desk)) is rings


@pytest.mark.parametrize("by", ["this version", "an earlier version, which kept nothing pending"])
def test_a_restart_neither_ends_nor_delays_the_alarm_of_a_call_without_its_first_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, by: str
) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(ORPHAN), LATER)
    desk.publish(LATER)
    desk.close()
    desk = Desk(tmp_path)
    desk.publish(rang_at := LATER + dt.timedelta(seconds=10))
    assert desk.rows("SELECT counted, since FROM alarms") == [{"counted": 2, "since": rang_at}]
    if by != "this version":
        desk.store.sql("DELETE FROM pending_alarms")
    desk.close()
    desk = Desk(tmp_path)
    later = LATER + dt.timedelta(seconds=11)
    publish(desk, Moment(later, later, complete_until=NOT_YET))
    assert desk.rows("SELECT counted, since FROM alarms") == [{"counted": 2, "since": rang_at}]
    assert len(logged(caplog, "ERROR")) == 1
