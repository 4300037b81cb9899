"""The readers behind the pages, on real published files that are replaced by new ones."""

import os
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.readers import BEHIND, FIGURES, Board, CallFilters, Published, PublishedFileError, published
from metrics.readers.campaigns import totals_of
from tests.support.floor_file import ALARMS, FLOOR, MANAGER, MIXED, NOON, publish, today


def test_before_anything_is_published_there_is_no_board(path: Path) -> None:
    reader = Published(path)
    assert readers.board(reader, MANAGER) is None
    assert readers.freshness(reader, MANAGER) is None
    assert readers.day(reader, MANAGER, "north") is None
    assert readers.waiting(reader, MANAGER, "north") == ()


def test_a_board_is_sorted_by_client_and_name_and_counts_agents_and_calls(path: Path) -> None:
    calls = [
        {"campaign": "sud", "wait_s": 5.0},
        {"campaign": "sud", "wait_s": 30.0},
        {"campaign": "sud", "wait_s": 42.0, "outcome": "open"},
        {"campaign": "sud", "wait_s": 7.0, "outcome": "open"},
        {"campaign": "sud", "wait_s": 60.0, "outcome": "open", "direction": "outbound"},
        {"campaign": "north", "wait_s": 3.0, "outcome": "short_abandoned"},
    ]
    agents = {"a": ("sud", "busy"), "b": ("sud", "wrap_up"), "c": ("sud", "offline"), "d": ("north", "paused")}
    publish(path, campaigns=FLOOR, calls=calls, agents=agents)
    board = readers.board(Published(path), MANAGER)
    assert board is not None
    assert [status.campaign.campaign for status in board.campaigns] == ["este", "north", "sud"]
    este, north, sud = board.campaigns
    assert (sud.waiting, sud.longest_wait_s) == (2, 42.0)
    assert sud.today is not None
    assert sud.today.service_level == pytest.approx(1 / 3)  # 5 s; not 30 s, nor 42 s and waiting; 7 s is still open
    assert (sud.agents.busy, sud.agents.wrap_up, sud.agents.logged_in) == (1, 1, 2)
    assert (north.waiting, north.longest_wait_s) == (0, None)
    assert north.today is not None and north.today.service_level is None
    assert este.today is not None and (este.today.offered, este.today.aht_s) == (0, None)
    assert (board.waiting, board.longest_wait_s, board.agents.logged_in) == (2, 42.0, 3)
    assert all(len(status.recent) == 33 and status.recent[-1].end > NOON for status in board.campaigns)


def test_today_is_the_campaigns_own_day(path: Path) -> None:
    as_of = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)  # Monday 0:30 in Madrid, still Sunday in London and Casablanca
    calls = [{"campaign": campaign, "queued_at": as_of - timedelta(hours=1)} for campaign in FLOOR]
    publish(path, campaigns=FLOOR, calls=calls, as_of=as_of)
    board = readers.board(Published(path), MANAGER)
    assert board is not None
    days = {
        status.campaign.campaign: (status.campaign.day.day, status.today and status.today.offered)
        for status in board.campaigns
    }
    assert days == {"este": (23, 0), "north": (22, 1), "sud": (22, 1)}


def test_a_viewer_sees_only_own_campaigns(path: Path) -> None:
    publish(path, campaigns=FLOOR, calls=[{"campaign": c, "outcome": "open"} for c in FLOOR])
    reader = Published(path)
    assert readers.board(reader, MANAGER) is not None  # the cache must not serve this to others
    client = Viewer("client", frozenset({"north", "unheard-of"}))
    board = readers.board(reader, client)
    assert board is not None
    assert [status.campaign.campaign for status in board.campaigns] == ["north"]
    assert board.waiting == 1
    assert readers.waiting(reader, client, "sud") == () and len(readers.waiting(reader, client, "north")) == 1
    assert readers.day(reader, client, "sud") is None and readers.day(reader, client, "north") is not None
    assert readers.day(reader, client, "unheard-of") is None
    nobody = readers.board(reader, Viewer("client", frozenset()))
    assert nobody is not None and nobody.campaigns == ()


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        pytest.param(date(2026, 3, 29), 23, id="the clocks go forward: 23 h"),
        pytest.param(date(2026, 7, 1), 24, id="24 h"),
        pytest.param(date(2026, 10, 25), 25, id="the clocks go back: 25 h"),
    ],
)
def test_a_past_day_has_all_its_hours(path: Path, day: date, hours: int) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    publish(path, campaigns=FLOOR, calls=[{"campaign": "este", "queued_at": noon}])
    day_read = readers.day(Published(path), MANAGER, "este", day=day, minutes=15)
    assert day_read is not None and day_read.campaign.day == day
    assert len(day_read.intervals) == hours * 4
    assert [interval.start for interval in day_read.intervals if interval.kpis and interval.kpis.offered] == [noon]
    assert day_read.total is not None and day_read.total.offered == 1


def test_a_day_ends_where_the_snapshot_ends(path: Path) -> None:
    publish(path, campaigns=FLOOR)
    today = readers.day(Published(path), MANAGER, "north")
    assert today is not None
    assert len(today.intervals) == 12 * 4  # midnight to noon, London winter time


def test_a_new_snapshot_is_opened_and_the_old_one_closed(path: Path) -> None:
    reader = Published(path)
    seen = []
    for waiting in range(3):
        publish(path, campaigns=FLOOR, calls=[{"campaign": "sud", "outcome": "open"}] * waiting)
        board = readers.board(reader, MANAGER)
        assert board is not None
        assert readers.board(reader, MANAGER) == board
        seen.append(board.waiting)
    assert seen == [0, 1, 2]
    held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
    assert len([name for name in held if name.startswith(str(path.parent))]) == 1
    reader.close()


def _is_link(fd: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{fd}")


def test_a_file_that_is_no_snapshot_is_named_and_the_next_one_is_read(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 1000)
    reader = Published(path)
    with pytest.raises(PublishedFileError, match=r"vigie\.duckdb cannot be read as a published snapshot"):
        readers.board(reader, MANAGER)
    path.unlink()
    publish(path, campaigns=FLOOR)
    assert readers.board(reader, MANAGER) is not None


@pytest.mark.slow
def test_many_threads_get_whole_boards_while_snapshots_are_replaced(path: Path) -> None:
    publish(path, campaigns=FLOOR)
    reader = Published(path)
    boards: list[Board | None] = []
    failures: list[BaseException] = []
    done, deadline = threading.Event(), time.monotonic() + 60

    def look() -> None:
        try:
            while not done.is_set():
                boards.append(readers.board(reader, MANAGER))
        except BaseException as error:
            failures.append(error)

    def seen() -> int:
        return len({board.freshness.snapshot for board in [*boards] if board})

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    published_files = 1
    while (seen() < 5 or published_files < 10) and time.monotonic() < deadline:
        publish(path, campaigns=FLOOR, calls=[{"campaign": "sud", "outcome": "open"}] * published_files)
        published_files += 1
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen() >= 5
    assert all(board and len(board.campaigns) == 3 for board in boards)
    last = readers.board(reader, MANAGER)
    assert last is not None and last.waiting == published_files - 1


def test_the_data_directory_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    assert published().path == tmp_path / "published" / "vigie.duckdb"
    assert published() is published()


# KPIs explained, the calls behind them, the feed

CLIENT = Viewer("client", frozenset({"north"}))
TELEVISION = Viewer("television", None)


@pytest.mark.parametrize("kpi", FIGURES)
def test_a_kpi_counts_as_many_calls_as_are_listed_behind_it(path: Path, kpi: str) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED)
    reader = Published(path)
    day = today(reader)
    explained = readers.explain(reader, MANAGER, "north", kpi, day.t0, day.t1)
    assert explained is not None and explained.figure == explained.row[kpi]
    counted = {
        "offered": explained.row["offered"],
        "service_level": explained.row["service_level_base"],
        "abandon_rate": explained.row["offered"] - explained.row["short_abandoned"],
        "answer_rate": explained.row["offered"],
        "avg_score": explained.row["rated"],
        "satisfaction": explained.row["rated"],
        "asa_s": explained.row["answered_waits"],
        "longest_wait_s": explained.row["open"],
        "contact_rate": explained.row["dialed"],
        "drop_rate": explained.row["outbound_answered"] + explained.row["drops"],
    } | dict.fromkeys(
        ("aht_s", "avg_talk_s", "avg_hold_s", "avg_wrap_s", "transfer_rate", "conversion"), explained.row["handled"]
    )
    assert counted.keys() == BEHIND.keys()
    if kpi in BEHIND:
        listed = readers.calls(reader, MANAGER, "north", day.t0, day.t1, CallFilters(kpi=kpi))
        assert listed is not None and listed.total == len(listed.calls) == counted[kpi] > 0


def test_each_call_says_whether_it_was_in_time(path: Path) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED)
    reader = Published(path)
    day = today(reader)
    explained = readers.explain(reader, MANAGER, "north", "service_level", day.t0, day.t1)
    assert explained is not None
    for hit, waits in ((True, [5.0, 20.0]), (False, [31.0, 40.0, 50.0, 70.0])):
        listed = readers.calls(reader, MANAGER, "north", day.t0, day.t1, CallFilters(hit=hit))
        assert listed is not None and sorted(call.wait_s or 0 for call in listed.calls) == waits
    assert (explained.row["service_level_hits"], explained.row["service_level_base"]) == (2, 6)
    ((term),) = explained.terms
    assert (term.formula, term.threshold_s, term.valid_from, term.calls) == ("exclude_short", 20.0, None, 6)
    printed = {other.system: other.value for other in explained.elsewhere}
    assert printed["Wazo"] == pytest.approx(2 / 3) and printed["Cisco, abandons negative"] == pytest.approx(2 / 7)


def test_other_calls_are_the_offered_that_were_neither_answered_nor_abandoned(path: Path) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED)
    reader = Published(path)
    day = today(reader)
    listed = readers.calls(reader, CLIENT, "north", day.t0, day.t1, CallFilters(outcome="other"))
    assert listed is not None
    assert sorted(call.outcome for call in listed.calls) == ["open", "open", "short_abandoned", "voicemail"]
    total = readers.day(reader, CLIENT, "north")
    assert total and total.total and total.total.offered - total.total.answered - total.total.abandoned == listed.total


def test_calls_by_outcome_and_interval_are_listed_newest_first(path: Path) -> None:
    calls = [{"campaign": "north", "queued_at": NOON - timedelta(minutes=n)} for n in range(1, 121)]
    publish(path, campaigns=FLOOR, calls=calls)
    reader = Published(path)
    first = readers.calls(reader, MANAGER, "north", NOON - timedelta(hours=3), NOON, CallFilters(outcome="answered"))
    third = readers.calls(
        reader, MANAGER, "north", NOON - timedelta(hours=3), NOON, CallFilters(outcome="answered"), page=3
    )
    every = readers.calls(reader, MANAGER, "north", NOON - timedelta(hours=3), NOON, CallFilters(), page=None)
    assert first and third and every
    assert (first.total, len(first.calls), len(third.calls), len(every.calls)) == (120, 50, 20, 120)
    assert [call.queued_at for call in every.calls] == sorted((c["queued_at"] for c in calls), reverse=True)
    hour = readers.calls(
        reader, MANAGER, "north", NOON - timedelta(minutes=60), NOON - timedelta(minutes=30), CallFilters()
    )
    assert hour is not None and hour.total == 30  # the start is included, the end is not
    turned = (
        datetime(2026, 10, 1, tzinfo=ZoneInfo("Europe/Paris")),
        datetime(2026, 11, 1, tzinfo=ZoneInfo("Europe/Paris")),
    )
    october = readers.calls(reader, MANAGER, "north", *(at.astimezone(UTC) for at in turned), CallFilters())
    assert october is not None and october.total == 0  # a month of 31 days and an hour
    with pytest.raises(ValueError, match="84 days"):
        readers.calls(reader, MANAGER, "north", NOON - timedelta(weeks=13), NOON, CallFilters())
    with pytest.raises(ValueError, match="cannot be selected by"):
        CallFilters(outcome="x' OR true --").sql()


TURNED = {  # London turns its clocks back on 25 October 2026 at 1:00 UTC: 1:30 is there twice
    "2026-10-24T00:30:00": "1:30 in summer time",
    "2026-10-25T00:30:00": "1:30",
    "2026-10-25T01:30:00": "1:30 again",
    "2026-10-26T01:30:00": "1:30 in winter time",
    "2026-10-26T00:45:00": "0:45",
    "2026-10-26T02:00:00": "2:00",
}


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        pytest.param((60, 120), 4, id="an hour of each day, by the clock on the wall"),
        pytest.param((90, 105), 4, id="a quarter"),
        pytest.param((0, 60), 1, id="the hour before it"),
        pytest.param((120, 1440), 1, id="from its end on"),
        pytest.param((0, 1440), 6, id="the whole day"),
    ],
)
def test_calls_of_a_time_of_day(path: Path, time: tuple[int, int], expected: int) -> None:
    assert turned(path, CallFilters(time=time)) == expected


@pytest.mark.parametrize(
    ("weekday", "time", "expected"),
    [
        pytest.param(5, None, 1, id="Saturdays"),
        pytest.param(6, None, 2, id="Sundays, on one of which clocks turn"),
        pytest.param(0, None, 3, id="Mondays"),
        pytest.param(0, (60, 120), 1, id="an hour of Mondays"),
        pytest.param(2, None, 0, id="Wednesdays without a call"),
    ],
)
def test_calls_of_a_weekday(path: Path, weekday: int, time: tuple[int, int] | None, expected: int) -> None:
    assert turned(path, CallFilters(time=time, weekday=weekday)) == expected


def turned(path: Path, selection: CallFilters) -> int:
    """Return how many calls of TURNED are listed."""
    calls = [{"campaign": "north", "queued_at": datetime.fromisoformat(at).replace(tzinfo=UTC)} for at in TURNED]
    publish(path, campaigns=FLOOR, calls=calls)
    t0, t1 = (datetime(2026, month, 1, tzinfo=ZoneInfo("Europe/London")).astimezone(UTC) for month in (10, 11))
    listed = readers.calls(Published(path), CLIENT, "north", t0, t1, selection)
    assert listed is not None and listed.total == len(listed.calls)
    return listed.total


WORKED: dict[str, Any] = {
    "calls": [
        {"campaign": "north", "agent": "ana", "queue": "q"},
        {"campaign": "north", "agent": "ana", "missed_by": ["bea", "bea"]},
        {"campaign": "north", "agent": "bea"},
        {"campaign": "north", "outcome": "abandoned", "wait_s": 50.0, "missed_by": ["ana"]},
        {"campaign": "sud", "agent": "ana"},
    ],
    "agents": {
        "ana": {"campaign": "north", "state": "busy", "name": "Ana", "site": "Rabat"},
        "bea": {"campaign": "north", "state": "busy", "name": "Béa", "site": "Fès"},
    },
}


@pytest.mark.parametrize(
    ("selection", "total"),
    [
        pytest.param(CallFilters(agent="ana"), 2, id="who answered, in this campaign"),
        pytest.param(CallFilters(agent="ana", outcome="abandoned"), 0, id="nobody answers what is abandoned"),
        pytest.param(CallFilters(missed_by="bea"), 1, id="offered twice, one call"),
        pytest.param(CallFilters(missed_by="ana"), 1, id="missed, then abandoned"),
        pytest.param(CallFilters(agent="no-such"), 0, id="nobody"),
        pytest.param(CallFilters(agent="' OR true --"), 0, id="a name is a value, never SQL"),
        pytest.param(CallFilters(queue="q"), 4, id="a queue"),
        pytest.param(CallFilters(queue="Q"), 0, id="no such queue"),
    ],
)
def test_calls_of_an_agent_or_a_queue(path: Path, selection: CallFilters, total: int) -> None:
    publish(path, campaigns=FLOOR, **WORKED)
    reader = Published(path)
    day = today(reader)
    listed = readers.calls(reader, MANAGER, "north", day.t0, day.t1, selection)
    assert listed is not None and listed.total == len(listed.calls) == total


def test_only_viewers_who_may_see_an_agents_name_find_their_calls(path: Path) -> None:
    publish(path, campaigns=FLOOR, **WORKED)
    reader = Published(path)
    day = today(reader)

    def found(viewer: Viewer, selection: CallFilters) -> int | None:
        listed = readers.calls(reader, viewer, "north", day.t0, day.t1, selection)
        return None if listed is None else listed.total

    rabat = Viewer("manager", frozenset({"north"}), sites=frozenset({"Rabat"}))
    for selection in (CallFilters(agent="bea"), CallFilters(missed_by="bea")):
        assert found(MANAGER, selection) == 1 and found(Viewer("analyst", None), selection) == 1
        assert found(rabat, selection) == 0  # as if there were no such agent
        assert found(CLIENT, selection) is None and found(TELEVISION, selection) is None
    assert found(rabat, CallFilters(agent="ana")) == 2

    def named(viewer: Viewer, campaign: str = "north") -> dict[str, str] | None:
        agents = readers.agents_of_calls(reader, viewer, campaign, day.t0, day.t1)
        return None if agents is None else dict(agents)

    assert named(MANAGER) == {"ana": "Ana", "bea": "Béa"} and named(rabat) == {"ana": "Ana"}
    assert named(CLIENT) is None and named(TELEVISION) is None and named(rabat, "sud") is None


def test_viewers_read_no_calls_kpis_or_feed_of_others(path: Path) -> None:
    publish(path, campaigns=FLOOR, calls=MIXED)
    reader = Published(path)
    day = today(reader, "sud")
    everything = readers.calls(reader, MANAGER, "sud", day.t0, day.t1, CallFilters())
    assert everything is not None and everything.calls[0].agent == "CANARY"
    # this is cached, and still not given to others
    assert readers.explain(reader, MANAGER, "sud", "offered", day.t0, day.t1)
    assert readers.calls(reader, CLIENT, "sud", day.t0, day.t1, CallFilters()) is None
    assert readers.calls(reader, CLIENT, "sud", day.t0, day.t1, CallFilters(), page=None) is None
    assert readers.explain(reader, CLIENT, "sud", "offered", day.t0, day.t1) is None
    assert readers.campaign(reader, CLIENT, "sud") is None
    assert readers.calls(reader, TELEVISION, "sud", day.t0, day.t1, CallFilters()) is None
    own = readers.calls(reader, CLIENT, "north", day.t0, day.t1, CallFilters())
    assert own is not None and own.total > 0 and {(call.agent, call.agent_name) for call in own.calls} == {(None, None)}
    assert readers.feed(reader, CLIENT) is None and readers.feed(reader, TELEVISION) is None
    limited = readers.feed(reader, Viewer("manager", frozenset({"north"})))
    assert limited is not None and [checked.campaign.campaign for checked in limited.today] == ["north"]
    assert (limited.sources, limited.notice, limited.unplaced, limited.letters) == (None, None, None, None)
    unlimited = readers.feed(reader, MANAGER)
    assert unlimited is not None and unlimited.letters == () and unlimited.unplaced == 0
    assert [checked.conserved for checked in unlimited.today] == [True] * 3


def test_the_feed_shows_today_and_every_day_that_is_not_conserved(path: Path) -> None:
    calls = [{"campaign": "este", "outcome": "lost", "queued_at": NOON - timedelta(days=n)} for n in (2, 5)]
    last_event_at = {"switch-1": NOON, "switch-2": NOON - timedelta(hours=1)}
    publish(path, campaigns=FLOOR, calls=[*MIXED, *calls], sources=last_event_at, lags=(0, 3), status={"notice": "no"})
    reader = Published(path)
    feed = readers.feed(reader, MANAGER)
    assert feed is not None
    assert {row.campaign.campaign: (row.day, row.offered) for row in feed.today}["este"] == (NOON.date(), 0)
    days = [(NOON - timedelta(days=n)).date() for n in (2, 5)]
    assert [(row.campaign.campaign, row.day, row.offered, row.accounted) for row in feed.violated] == [
        ("este", day, 1, 0) for day in days
    ]
    assert feed.checked == 5 and feed.notice == "no"
    assert [(row.partition, row.position, row.end, row.lag) for row in feed.partitions] == [
        (0, 100, 100, 0),
        (1, 100, 103, 3),
    ]
    assert feed.sources is not None and {row.source: row.last_event_at for row in feed.sources} == last_event_at
    limited = readers.feed(reader, Viewer("manager", frozenset({"north"})))
    assert limited is not None and limited.violated == () and limited.alarms == ()


def test_viewers_see_the_alarms_they_may_know(path: Path) -> None:
    """Alarms about their own campaigns and about all events; sources and calls without a campaign belong to nobody."""
    publish(path, campaigns=FLOOR, calls=MIXED, alarms=ALARMS)
    reader = Published(path)

    def ringing(viewer: Viewer) -> list[tuple[str, str, str | None]]:
        feed = readers.feed(reader, viewer)
        assert feed is not None and sum(feed.ringing.values()) == len(ALARMS)
        return sorted(
            (alarm.kind, alarm.measure, alarm.campaign.campaign if alarm.campaign else "") for alarm in feed.alarms
        )

    everything = sorted((alarm["kind"], alarm["measure"], alarm.get("campaign", "")) for alarm in ALARMS)
    assert ringing(MANAGER) == everything
    of_all = [("events_not_conserved", "by_source", ""), ("events_not_conserved", "stored", "")]
    of_all += [("files_damaged", "calls", ""), ("files_damaged", "events", "")]
    of_all += [("impossible_count", "events", ""), ("rows_doubled", "agent_states", ""), ("rows_doubled", "events", "")]
    assert ringing(Viewer("manager", frozenset())) == of_all
    assert ringing(Viewer("analyst", frozenset({"north"}))) == sorted(
        [*of_all, ("impossible_count", "answered", "north")]
    )
    assert readers.feed(reader, CLIENT) is None and readers.feed(reader, TELEVISION) is None


def test_the_totals_of_today_are_asked_once_for_a_snapshot(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[date] = []

    def counted(connection: Any, campaigns: Any) -> dict[str, readers.Kpis]:
        asked.append(campaigns[0].day)
        return totals_of(connection, campaigns)

    for module in ("days.day", "wall"):
        monkeypatch.setattr(f"metrics.readers.{module}.totals_of", counted)
    publish(path, campaigns=FLOOR, calls=MIXED)
    reader = Published(path)
    board, day = readers.board(reader, MANAGER), readers.day(reader, MANAGER, "north")
    assert board and day and len(asked) == 1
    (tile,) = (tile for tile in board.campaigns if tile.campaign.campaign == "north")
    assert day.total == tile.today and day.total is not None and day.total.offered
    yesterday = readers.day(reader, MANAGER, "north", day=day.campaign.day - timedelta(days=1))
    assert yesterday is not None and asked[1:] == [yesterday.campaign.day]


def test_a_drawing_shows_one_snapshot_and_the_next_drawing_the_next(path: Path) -> None:
    reader = Published(path)

    def offered(seconds: int) -> int:
        """Publish one more call a second, and return how many a viewer sees now."""
        publish(path, campaigns=FLOOR, calls=[{"campaign": "north"}] * seconds, as_of=NOON + timedelta(seconds=seconds))
        board = readers.board(reader, MANAGER)
        assert board is not None
        return sum(tile.today.offered for tile in board.campaigns if tile.today)

    assert offered(1) == 1
    with readers.one_drawing():
        assert offered(2) == 2  # not what was asked before this drawing
        assert offered(3) == 2
        with readers.one_drawing():  # a part of the page
            assert offered(4) == 2
    assert offered(5) == 5
    with readers.one_drawing():
        assert readers.board(reader, MANAGER) is not None  # asked before, and new
        assert offered(6) == 5
    assert offered(7) == 7


def test_slow_queries_are_repeated_only_after_a_while(path: Path) -> None:
    reader = Published(path)
    seen = []
    for seconds in (0, 5, 14, 16):
        calls = [{"campaign": "north", "queued_at": NOON - timedelta(minutes=20)}] * (seconds + 1)
        publish(path, campaigns=FLOOR, calls=calls, as_of=NOON + timedelta(seconds=seconds))
        board, day = readers.board(reader, MANAGER), readers.day(reader, MANAGER, "north")
        assert board and day and day.total
        north = next(status for status in board.campaigns if status.campaign.campaign == "north")
        drawn = sum(interval.kpis.offered for interval in north.recent if interval.kpis)
        assert north.today is not None
        seen.append((north.today.offered, drawn, day.total.offered))
    assert seen == [(1, 1, 1), (6, 1, 1), (15, 1, 1), (17, 17, 17)]
