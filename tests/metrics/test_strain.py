"""Which agents should take a break: strain, pauses and missed offers over agents' days, by limits of AgentLimits."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import AgentLimits
from metrics.readers import Published
from tests.support.published import Row, at, call, publish, rows, state
from tests.support.stories.stream import at as on_the_day
from tests.support.stories.stream import campaign, configured, folded, read_story

NOON = "12:00"


def day_of(*states: tuple[str, str] | tuple[str, str, str], agent: str = "ana") -> list[Row]:
    """Return an agent's states from (begin, state[, reason]); each lasts until the next, and the last one goes on."""
    ends = [begin for begin, *_ in states[1:]] + [None]
    return [
        state(name, begin, end, agent) | {"reason": reason[0] if reason else None}
        for (begin, name, *reason), end in zip(states, ends, strict=True)
    ]


def strain(path: Path, states: list[Row], calls: list[Row] | None = None, moment: str = NOON) -> Row:
    with publish(path / "v.duckdb", calls or [], states) as published:
        (row,) = rows(published, "FROM agent_strain($moment)", moment=at(moment))
    return row


SINCE = {
    # a day, and (since_rest_s, since_break_s) in minutes at noon
    "from the login, while there was no rest": (day_of(("09:00", "available")), (180, 180)),
    "a rest of exactly 5 min counts, and is no break of 20": (
        day_of(("08:00", "busy"), ("10:00", "paused", "break"), ("10:05", "busy")),
        (115, 240),
    ),
    "a rest of less than 5 min does not count": (
        day_of(("08:00", "busy"), ("10:00", "paused", "break"), ("10:04:59", "busy")),
        (240, 240),
    ),
    "a break of exactly 20 min counts": (
        day_of(("08:00", "busy"), ("10:00", "paused", "lunch"), ("10:20", "busy")),
        (100, 100),
    ),
    "consecutive pauses count as one": (
        day_of(("08:00", "busy"), ("10:00", "paused", "break"), ("10:10", "paused", "lunch"), ("10:20", "busy")),
        (100, 100),
    ),
    "two pauses of 10 min apart are no break of 20": (
        day_of(
            *(("08:00", "busy"), ("09:00", "paused", "break"), ("09:10", "busy"), ("10:00", "paused", "break")),
            ("10:10", "busy"),
        ),
        (110, 240),
    ),
    "a pause without a reason is rest": (
        day_of(("08:00", "busy"), ("10:00", "paused"), ("10:30", "busy")),
        (90, 90),
    ),
    "training is no rest": (day_of(("08:00", "busy"), ("10:00", "paused", "training"), ("11:00", "busy")), (240, 240)),
    "being offline is rest": (day_of(("06:00", "busy"), ("08:00", "offline"), ("09:00", "available")), (180, 180)),
    "offline for a moment is no rest": (
        day_of(("08:00", "busy"), ("10:00", "offline"), ("10:01", "available")),
        (240, 240),
    ),
    "a rest that lasts is 0, once it is long enough": (
        day_of(("08:00", "busy"), ("11:55", "paused", "break")),
        (0, 240),
    ),
    "a rest that began a moment ago has not helped yet": (
        day_of(("08:00", "busy"), ("11:56", "paused", "break")),
        (240, 240),
    ),
    "over midnight, and the days before are left out": (
        day_of(("2026-11-20 08:00", "busy"), ("2026-11-20 09:00", "offline"), ("2026-11-22 22:00", "busy")),
        (840, 840),
    ),
}


@pytest.mark.parametrize(("states", "expected_min"), SINCE.values(), ids=SINCE)
def test_time_since_the_last_rest(tmp_path: Path, states: list[Row], expected_min: tuple[float, float]) -> None:
    row = strain(tmp_path, states)
    assert (row["since_rest_s"] / 60, row["since_break_s"] / 60) == expected_min


OCCUPANCY = {
    "45 of 60 min: 75 %": (day_of(("10:00", "busy"), ("11:30", "available"), ("11:45", "wrap_up")), 0.75),
    "time before the last hour does not count": (day_of(("08:00", "available"), ("11:00", "busy")), 1),
    "pauses are left out: 30 of 40 min": (
        day_of(("10:00", "busy"), ("11:30", "paused", "break"), ("11:50", "available")),
        0.75,
    ),
    "30 min on the phone are enough": (day_of(("11:30", "busy")), 1),
    "less than 30 min are not": (day_of(("11:30:01", "busy")), None),
    "in training: undefined": (day_of(("10:00", "paused", "training")), None),
}


@pytest.mark.parametrize(("states", "expected"), OCCUPANCY.values(), ids=OCCUPANCY)
def test_recent_occupancy(tmp_path: Path, states: list[Row], expected: float | None) -> None:
    assert strain(tmp_path, states)["occupancy"] == expected


YESTERDAY = (("2026-11-22 14:00", "busy"), ("2026-11-22 15:30", "available"), ("2026-11-22 15:40", "offline"))
LUNCH = (("2026-11-22 14:00", "busy"), ("2026-11-22 15:00", "paused", "lunch"), ("2026-11-22 16:00", "offline"))
PREVIOUS = {
    "90 of 100 min before the logout": (day_of(*YESTERDAY, ("11:50", "available")), 0.9),
    "a pause is not on the phone": (day_of(*LUNCH, ("11:50", "busy")), 1),
    "the morning, after an afternoon's login": (
        day_of(("08:00", "busy"), ("09:00", "available"), ("10:00", "offline"), ("11:55", "busy")),
        0.5,
    ),
    "what was before a day does not count": (
        day_of(("2026-11-22 08:00", "busy"), ("2026-11-22 10:00", "offline"), ("11:55", "busy")),
        None,
    ),
    "too little of it": (day_of(("08:00", "busy"), ("08:20", "offline"), ("11:55", "busy")), None),
    "no shift before": (day_of(("11:00", "busy")), None),
}


@pytest.mark.parametrize(("states", "expected"), PREVIOUS.values(), ids=PREVIOUS)
def test_occupancy_of_the_previous_shift(tmp_path: Path, states: list[Row], expected: float | None) -> None:
    assert strain(tmp_path, states)["previous_occupancy"] == expected


def answered(*instants: str) -> list[Row]:
    return [call(queued=instant, wait=0) for instant in instants]


STREAK = {
    # calls answered, states, (streak_calls, streak_s)
    "no breath since 11:30: three calls": (
        answered("11:00", "11:30", "11:40", "11:50"),
        day_of(("11:00", "busy"), ("11:10", "available"), ("11:30", "busy")),
        (3, 1800),
    ),
    "9 s between two calls are no breath": (
        answered("11:30", "11:40:09"),
        day_of(("11:00", "available"), ("11:30", "busy"), ("11:40", "available"), ("11:40:09", "busy")),
        (2, 1800),
    ),
    "10 s are a breath": (
        answered("11:30", "11:40:10"),
        day_of(("11:00", "available"), ("11:30", "busy"), ("11:40", "available"), ("11:40:10", "busy")),
        (1, 1190),
    ),
    "a breath of two halves": (
        answered("11:30", "11:40:10"),
        day_of(
            *(("11:00", "available"), ("11:30", "busy"), ("11:40", "available"), ("11:40:05", "paused", "break")),
            ("11:40:10", "busy"),
        ),
        (1, 1190),
    ),
    "during a breath: none": (answered("11:30"), day_of(("11:30", "busy"), ("11:59:50", "available")), (0, 0)),
    "from the login": (answered("11:30", "11:45"), day_of(("11:30", "busy")), (2, 1800)),
    "another agent's calls do not count": (
        [row | {"agent": "sara"} for row in answered("11:30")],
        day_of(("11:30", "busy")),
        (0, 1800),
    ),
}


@pytest.mark.parametrize(("calls", "states", "expected"), STREAK.values(), ids=STREAK)
def test_calls_in_a_row(tmp_path: Path, calls: list[Row], states: list[Row], expected: tuple[int, float]) -> None:
    row = strain(tmp_path, states, calls)
    assert (row["streak_calls"], row["streak_s"]) == expected


def test_only_agents_who_are_logged_in_then(tmp_path: Path) -> None:
    states = day_of(("08:00", "busy"), ("10:00", "offline")) + day_of(("11:00", "available"), agent="sara")
    with publish(tmp_path / "v.duckdb", [], states) as published:
        there = [rows(published, "FROM agent_strain($m) ORDER BY agent", m=at(m)) for m in ("09:00", "10:30", "12:00")]
    assert [[row["agent"] for row in found] for found in there] == [["ana"], [], ["sara"]]
    assert there[0][0]["since_rest_s"] == 3600


def pauses(published: duckdb.DuckDBPyConnection, t0: str, t1: str) -> list[tuple[Any, ...]]:
    found = rows(published, "FROM agent_pauses($t0, $t1) ORDER BY agent, reason", t0=at(t0), t1=at(t1))
    return [tuple(row.values()) for row in found]


def test_pauses_by_reason_clipped_at_the_window(tmp_path: Path) -> None:
    states = day_of(
        *(
            ("07:50", "paused", "break"),
            ("08:10", "busy"),
            ("09:00", "paused", "break"),
            ("09:05", "paused", "training"),
        ),
        *(("09:35", "busy"), ("11:00", "paused"), ("11:01", "busy"), ("11:50", "paused", "break")),
    )
    with publish(tmp_path / "v.duckdb", [], states, as_of="12:00") as published:
        assert pauses(published, "08:00", "24 00:00") == [
            ("ana", "break", True, 2, 1500.0, 600.0),  # 10 of 20 min, 5 min, and 10 min so far; two began in the window
            ("ana", "training", False, 1, 1800.0, 1800.0),
            ("ana", None, True, 1, 60.0, 60.0),
        ]
        assert pauses(published, "08:10", "09:00") == []


def test_a_pause_over_utc_midnight_is_one_pause(tmp_path: Path) -> None:
    states = [
        state("paused", "23:50", "24 00:00") | {"reason": "break"},
        state("paused", "24 00:00", "24 00:05") | {"reason": "break"},
        state("paused", "24 01:00", "24 01:05"),
        state("paused", "24 01:05", "24 01:10") | {"reason": "break"},
    ]
    with publish(tmp_path / "v.duckdb", [], states, as_of="24 12:00") as published:
        assert [(row[1], row[3], row[4]) for row in pauses(published, "23:00", "24 23:00")] == [
            ("break", 2, 1200.0),
            (None, 1, 300.0),
        ]


def test_missed_offers_by_agent_and_campaign(tmp_path: Path) -> None:
    calls = [
        call(queued="10:00") | {"missed_by": ["ana", "sara", "ana"]},
        call(queued="11:00") | {"missed_by": ["ana"], "campaign": "d"},
        call(queued="12:00") | {"missed_by": ["ana"]},
        call(queued="10:30"),
    ]
    with publish(tmp_path / "v.duckdb", calls) as published:
        window = {"t0": at("10:00"), "t1": at("12:00")}
        found = rows(published, "FROM agent_missed($t0, $t1) ORDER BY ALL", **window)
    assert [tuple(row.values()) for row in found] == [("ana", "c", 2), ("ana", "d", 1), ("sara", "c", 1)]


def test_the_limits_of_the_configuration_are_published(tmp_path: Path) -> None:
    limits = AgentLimits(hold_long_s=45.0, breaks=(("pausa", 600.0),))
    configuration = replace(configured(campaign("sav")), agents=limits)
    story = "08:00:00 state agent=ana state=busy \n 09:00:00 state agent=ana state=paused reason=pausa"
    with folded(tmp_path, read_story(story), on_the_day("09:10:00"), configuration) as published:
        (row,) = rows(published, "FROM agent_limits")
        (strained,) = rows(published, "FROM agent_strain((SELECT as_of FROM ingest_status))")
    assert AgentLimits(**row | {"breaks": tuple(row["breaks"].items()), "sites": ()}) == limits and row["sites"] == {}
    assert (strained["agent"], strained["since_rest_s"], strained["since_break_s"]) == ("ana", 0, 4200)


def test_a_site_with_breaks_of_its_own(tmp_path: Path) -> None:
    """A pause of 15 minutes is a break in Sevilla, where the law says so; elsewhere a break takes 20 minutes."""
    limits = AgentLimits(sites=(("Sevilla", (("break_s", 900.0), ("rest_within_s", 3600.0))),))
    configuration = replace(configured(campaign("sav")), agents=limits)
    story = """
        08:00:00 profile agent=ana name=Ana site=Sevilla
        08:00:00 profile agent=bea name=Bea site=Rabat
        08:00:00 state agent=ana state=busy
        08:00:00 state agent=bea state=busy
        09:00:00 state agent=ana state=paused reason=break
        09:00:00 state agent=bea state=paused reason=break
        09:15:00 state agent=ana state=busy
        09:15:00 state agent=bea state=busy
        """
    with folded(tmp_path, read_story(story), on_the_day("10:15:00"), configuration) as published:
        (row,) = rows(published, "SELECT sites FROM agent_limits")
        found = rows(published, "FROM agent_strain((SELECT as_of FROM ingest_status)) ORDER BY agent")
    assert row["sites"] == {"Sevilla": {"break_s": 900.0, "rest_within_s": 3600.0}}
    assert [
        (row_of_agent["agent"], row_of_agent["since_rest_s"], row_of_agent["since_break_s"]) for row_of_agent in found
    ] == [
        ("ana", 3600, 3600),
        ("bea", 3600, 8100),
    ]
    found_needs = readers.agents(Published(tmp_path / "published" / "vigie.duckdb"), Viewer("manager", None))
    assert found_needs is not None
    needs = {row_of_agent.agent: [need.kind for need in row_of_agent.needs] for row_of_agent in found_needs.agents}
    assert "rest_due" in needs["ana"] and "rest_due" not in needs["bea"]
