"""kpi_now: each campaign over its last minutes, its queue, and whether it is open."""

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pytest

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import Campaign, Term
from metrics.kpis import now
from tests.support.published import Row, at, call, campaign, publish, rows, state
from tests.support.stories.stream import Desk, configured
from tests.support.stories.stream import campaign as known

SHOP = ((480, 720), (840, 1440))
"""8:00 to 12:00 and 14:00 to 24:00."""


def test_opening_hours_are_instants_of_the_campaigns_own_days(tmp_path: Path) -> None:
    """In Paris, over the night in which the clocks skip the hour from 2:00."""
    night = known("night", "Europe/Paris", opening=((), (), (), (), (), (), ((120, 180), (210, 300))))
    shop = known("shop", "Europe/Paris", opening=(SHOP,) * 7, window_minutes=15)
    desk = Desk(tmp_path, configured(night, shop, known("always")))
    saturday = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)
    desk.publish(saturday)
    windows = desk.rows("SELECT campaign, window_minutes FROM campaigns ORDER BY campaign")
    assert [tuple(row.values()) for row in windows] == [("always", 30), ("night", 30), ("shop", 15)]
    found = [tuple(row.values()) for row in desk.rows("FROM opening_hours ORDER BY ALL")]
    assert found[:3] == [
        ("night", dt.date(2026, 3, 29), at("2026-03-29 01:30"), at("2026-03-29 03:00")),
        ("night", dt.date(2026, 4, 5), at("2026-04-05 00:00"), at("2026-04-05 01:00")),
        ("night", dt.date(2026, 4, 5), at("2026-04-05 01:30"), at("2026-04-05 03:00")),
    ]
    assert {name for name, *_ in found[3:]} == {"shop"}
    days = [day for _, day, *_ in found[3::2]]
    assert days == [dt.date(2026, 3, 27) + dt.timedelta(days=n) for n in range(16)]
    assert found[3:7] == [
        ("shop", dt.date(2026, 3, 27), at("2026-03-27 07:00"), at("2026-03-27 11:00")),
        ("shop", dt.date(2026, 3, 27), at("2026-03-27 13:00"), at("2026-03-27 23:00")),
        ("shop", dt.date(2026, 3, 28), at("2026-03-28 07:00"), at("2026-03-28 11:00")),
        ("shop", dt.date(2026, 3, 28), at("2026-03-28 13:00"), at("2026-03-28 23:00")),
    ]
    desk.publish(saturday + dt.timedelta(days=1))
    (last,) = desk.rows("SELECT max(day) AS day FROM opening_hours")
    assert last["day"] == dt.date(2026, 4, 12)


def board(path: Path, calls: list[Row], states: list[Row] | None = None, **other: Any) -> dict[str, Row]:
    """Return kpi_now at 12:00 by campaign."""
    path.mkdir(exist_ok=True)
    with publish(path / "v.duckdb", calls, states or [], **{"as_of": "12:00"} | other) as published:
        return {row["campaign"]: row for row in rows(published, "FROM kpi_now")}


def test_a_window_has_the_figures_of_kpi_campaign(tmp_path: Path) -> None:
    """Each campaign has its own window; it begins with its first instant, and ends before as_of."""
    named = [campaign(f"m{minutes}", window_minutes=minutes) for minutes in (15, 30, 60)]
    times = ("10:59:59", "11:00", "11:29:59", "11:30", "11:44:59", "11:45", "11:59:59", "12:00")
    calls = [
        call(outcome, wait=wait, queued=queued, of=of, campaign=of.id)
        for of in named
        for queued in times
        for outcome, wait in (("answered", 10), ("answered", 30), ("abandoned", 40), ("abandoned", 1), ("open", 5))
    ]
    states = [
        row
        for of in named
        for row in (
            state("available", "10:00", "11:20", of.id, of.id),
            state("busy", "11:20", "11:50", of.id, of.id),
            state("paused", "11:50", "11:55", of.id, of.id),
            state("available", "11:55", None, of.id, of.id),
        )
    ]
    with publish(tmp_path / "v.duckdb", calls, states, campaigns=named, as_of="12:00") as published:
        found = {row["campaign"]: row for row in rows(published, "FROM kpi_now")}
        for of, offered in zip(named, (10, 20, 30), strict=True):
            t0 = at("12:00") - dt.timedelta(minutes=of.window_minutes)
            asked = rows(published, "FROM kpi_campaign($t0, $t1)", t0=t0, t1=at("12:00"))
            (same,) = [row for row in asked if row["campaign"] == of.id]
            row = found[of.id]
            assert (row["window_start"], row["window_end"], row["offered"]) == (t0, at("12:00"), offered)
            assert {name: row[name] for name in now.FIGURES} == {name: same[name] for name in now.FIGURES}
            assert row["occupancy"] == {15: 5 / 10, 30: 20 / 25, 60: 30 / 55}[of.window_minutes]


def test_the_queue_is_everybody_who_waits(tmp_path: Path) -> None:
    """Also a caller who came before the window, or yesterday; not a call that a dialer placed."""
    calls = [
        call("open", wait=13 * 3600, queued="22 23:00", day=dt.date(2026, 11, 22)),
        call("open", wait=30, queued="11:59:30"),
        call("open", wait=99_000, queued="11:00", direction="outbound"),
        call("abandoned", wait=50, queued="11:00"),
    ]
    row = board(tmp_path, calls)["c"]
    assert (row["waiting"], row["longest_wait_s"], row["offered"]) == (2, 46_800, 1)
    nobody = board(tmp_path / "nobody", [call(queued="11:50")])["c"]
    assert (nobody["waiting"], nobody["longest_wait_s"]) == (0, None)


@pytest.mark.parametrize(("many", "too_few"), [(0, True), (9, True), (10, False)])
def test_too_few_calls_are_said_to_be_too_few(tmp_path: Path, many: int, too_few: bool) -> None:
    """Calls that do not count yet, or never, do not help."""
    calls = [call(queued="11:50")] * many + [
        call("open", wait=5, queued="11:59:55"),
        call("abandoned", 1, queued="11:50"),
    ]
    row = board(tmp_path, calls)["c"]
    assert (row["too_few_calls"], row["service_level_base"]) == (too_few, many)


HOURS = {  # as_of, in Paris an hour later → whether the shop is open, and when it opens
    "before it opens": ("06:59", False, "07:00"),
    "the instant it opens": ("07:00", True, None),
    "during lunch": ("11:30", False, "13:00"),
    "the instant it closes": ("11:00", False, "13:00"),
    "on Saturday evening, until Monday": ("28 23:30", False, "30 07:00"),
}


@pytest.mark.parametrize(("as_of", "is_open", "opens_at"), HOURS.values(), ids=HOURS)
def test_a_closed_campaign_says_when_it_opens(tmp_path: Path, as_of: str, is_open: bool, opens_at: str | None) -> None:
    shop = campaign("shop", "Europe/Paris", opening=(SHOP,) * 6 + ((),))
    found = board(tmp_path, [], campaigns=[shop, campaign("always", "Europe/Paris")], as_of=as_of)
    assert (found["shop"]["is_open"], found["shop"]["opens_at"]) == (is_open, opens_at and at(opens_at))
    assert (found["always"]["is_open"], found["always"]["opens_at"]) == (True, None)


def test_the_target_is_that_of_the_term_in_force(tmp_path: Path) -> None:
    noon = dt.datetime.fromisoformat("2026-11-23 12:00")
    of = campaign(terms=[Term(valid_to=noon), Term(valid_from=noon, threshold_s=90, target=0.9)])
    for as_of, expected in (("12:00", (0.8, 20)), ("12:01", (0.9, 90))):
        row = board(tmp_path / as_of, [], campaigns=[of], as_of=as_of)["c"]
        assert (row["target"], row["threshold_s"]) == expected


def test_only_todays_files_are_opened(tmp_path: Path) -> None:
    """It is asked at every tick: a year of history must not make it slower."""
    past = [call(queued=f"2026-11-{d:02} 11:50") for d in range(1, 24)]
    states = [state("busy", f"2026-11-{d:02} 11:40", f"2026-11-{d:02} 11:50") for d in range(1, 24)]
    with publish(tmp_path / "past.duckdb", past, states) as complete:
        for name in ("calls", "agent_states"):
            complete.execute(f"COPY {name} TO '{tmp_path / name}' (FORMAT parquet, PARTITION_BY (day))")
    files = {
        name: f"FROM read_parquet('{tmp_path / name}/*/*.parquet', hive_partitioning = true)"
        for name in ("calls", "agent_states")
    }
    of_past: dict[str, Any] = {"past": files, "first_day": dt.date(2026, 11, 1), "as_of": "12:00"}
    with publish(tmp_path / "v.duckdb", [call(queued="11:55")], [], **of_past) as published:
        for name in ("calls", "agent_states"):
            for d in range(2, 21):  # DuckDB always opens the first file, for its columns
                (tmp_path / name / f"day=2026-11-{d:02}" / "data_0.parquet").write_text("not Parquet")
        with pytest.raises(duckdb.Error):
            rows(published, "SELECT count(wait_s) FROM calls")
        (row,) = rows(published, "FROM kpi_now")
    assert (row["offered"], row["occupancy"]) == (2, 1)


# how the day ends

MANAGER = Viewer("manager", None)


def noons(of: Campaign, per_day: int, days: int = 28) -> list[Row]:
    """Return the usual day: calls in time at noon, on the `days` days before the 23rd of November."""
    first = dt.date(2026, 11, 23) - dt.timedelta(days=days)
    return [
        call(of=of, campaign=of.id, queued=f"{first + dt.timedelta(days=n)} 12:00", zone=of.timezone)
        for n in range(days)
        for _ in range(per_day)
    ]


def verdict(path: Path, calls: list[Row], of: Campaign, as_of: str) -> str | None:
    publish(path / "v.duckdb", calls, campaigns=[of], as_of=as_of).close()
    board = readers.board(readers.Published(path / "v.duckdb"), MANAGER)
    assert board is not None
    (tile,) = board.campaigns
    return tile.outlook and tile.outlook.verdict


VERDICTS = {  # calls in time and late this morning, of a target of 80 %, with 10 calls usual at noon → the verdict
    "all in time, and ten late ones would spoil it": (30, 0, "open"),
    "kept even if all ten are late": (40, 0, "kept"),
    "below target, and ten in time would save it": (30, 10, "open"),
    "lost even if all ten are in time": (30, 11, "lost"),
    "no call yet": (0, 0, "open"),
}


@pytest.mark.parametrize(("in_time", "late", "expected"), VERDICTS.values(), ids=VERDICTS)
def test_a_day_is_kept_lost_or_open(tmp_path: Path, in_time: int, late: int, expected: str) -> None:
    of = campaign()
    calls = noons(of, 10) + [call(wait=9, queued="08:00")] * in_time + [call(wait=60, queued="08:00")] * late
    assert verdict(tmp_path, calls, of, "11:00") == expected


def test_a_day_of_a_young_campaign_has_a_verdict_once_it_has_closed(tmp_path: Path) -> None:
    """While it is open, nobody knows how many calls are still to come."""
    calls = [call(wait=60, queued="08:00"), call(queued="08:00")]
    for hour, closes, expected in (("11", 720, None), ("13", 720, "lost"), ("23", 1440, None)):
        (tmp_path / hour).mkdir()
        of = campaign(opening=(((480, closes),),) * 7)
        assert verdict(tmp_path / hour, calls, of, f"{hour}:00") == expected
    (tmp_path / "lunch").mkdir()
    shop = campaign(opening=(SHOP,) * 7)
    assert verdict(tmp_path / "lunch", calls, shop, "13:00") is None


def test_a_viewer_of_one_campaign_does_not_hide_the_hours_of_the_others(tmp_path: Path) -> None:
    """How days end is worked out once, for all viewers."""
    named = [campaign(name, opening=(((480, 720),),) * 7) for name in ("a", "b")]
    calls = [call(of=of, campaign=of.id, queued="08:00") for of in named]
    publish(tmp_path / "v.duckdb", calls, campaigns=named, as_of="13:00").close()
    reader = readers.Published(tmp_path / "v.duckdb")
    assert readers.board(reader, Viewer("client", frozenset({"a"}))) is not None
    board = readers.board(reader, MANAGER)
    assert board is not None
    assert [tile.outlook and tile.outlook.verdict for tile in board.campaigns] == ["kept", "kept"]


def test_a_page_of_one_campaign_asks_for_no_weeks_of_the_others(tmp_path: Path) -> None:
    named = [campaign(name, opening=(((480, 720),),) * 7) for name in ("a", "b")]
    calls = [call(of=of, campaign=of.id, queued="08:00") for of in named]
    publish(tmp_path / "v.duckdb", calls, campaigns=named, as_of="13:00").close()
    reader = readers.Published(tmp_path / "v.duckdb")
    for ends_of, ends in (((), []), (("a",), ["a"]), (None, ["a", "b"])):
        board = readers.board(reader, MANAGER, ends_of)
        assert board is not None
        assert [tile.campaign.campaign for tile in board.campaigns if tile.outlook is not None] == ends
