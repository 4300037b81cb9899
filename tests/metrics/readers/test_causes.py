"""Agents by interval, and why an interval missed its target: docs/kpis.md, Agents by interval."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.readers import Published
from tests.support.floor_file import MANAGER
from tests.support.published import Row, at, call, campaign, publish, rows, state

CLIENT = Viewer("client", frozenset({"c"}))
QUARTERS = {
    "a state over the whole interval": ([("available", "09:00", "09:15")], {"available": 1.0}),
    "five of fifteen minutes are a third": ([("paused", "09:05", "09:10")], {"paused": 1 / 3}),
    "states add up": (
        [("busy", "09:00", "09:05"), ("wrap_up", "09:05", "09:10"), ("available", "09:10", "09:15")],
        {"busy": 1 / 3, "wrap_up": 1 / 3, "available": 1 / 3},
    ),
    "cut at the interval": ([("busy", "08:50", "09:20")], {"busy": 1.0}),
    "offline is nobody": ([("offline", "09:00", "09:15")], {}),
}


@pytest.mark.parametrize(("states", "expected"), QUARTERS.values(), ids=QUARTERS)
def test_agents_are_the_mean_of_an_interval(
    tmp_path: Path, states: list[tuple[str, str, str]], expected: dict[str, float]
) -> None:
    with publish(tmp_path / "v.duckdb", states=[state(*of) for of in states]) as published:
        (row,) = rows(published, "FROM kpi_interval($t0, $t1, 15)", t0=at("09:00"), t1=at("09:15"))
    found = {name: row[f"agents_{name}"] for name in ("available", "busy", "wrap_up", "paused")}
    assert found == pytest.approx(dict.fromkeys(found, 0.0) | expected)
    assert row["agents_logged_in"] == pytest.approx(sum(expected.values()))


def test_an_interval_that_goes_on_counts_its_time_so_far(tmp_path: Path) -> None:
    """At 09:20 the second quarter is five minutes old, and the third has not begun."""
    with publish(tmp_path / "v.duckdb", states=[state("available", "09:00", None)], as_of="09:20") as published:
        sql = "FROM kpi_interval($t0, $t1, 15) ORDER BY interval_start"
        found = rows(published, sql, t0=at("09:00"), t1=at("09:45"))
    assert [row["agents_logged_in"] for row in found] == [1.0, 1.0, None]


def quarter(
    day: str, calls: int, *, wait: float = 5, talk: float = 180, agents: int = 4
) -> tuple[list[Row], list[Row]]:
    """Return calls and states of 09:00 to 09:15 on a day."""
    begin, end = f"{day} 09:00", f"{day} 09:15"
    return (
        [call(wait=wait, queued=begin, talk=talk) for _ in range(calls)],
        [state("available", begin, end, agent=f"a{n}") for n in range(agents)],
    )


USUAL = [quarter(f"2026-11-{day}", 10) for day in ("16", "09")]
LATE = {"wait": 99.0}
CAUSES = {
    "more calls": (quarter("2026-11-23", 20, **LATE), ["calls"]),
    "fewer agents": (quarter("2026-11-23", 10, **LATE, agents=2), ["agents"]),
    "longer calls": (quarter("2026-11-23", 10, **LATE, talk=300), ["handling"]),
    "the largest difference first": (quarter("2026-11-23", 13, **LATE, agents=1), ["agents", "calls"]),
    "nobody at all": (quarter("2026-11-23", 10, **LATE, agents=0), ["agents"]),
    "as usual": (quarter("2026-11-23", 10, **LATE), []),
    "less than 15 % more": (quarter("2026-11-23", 11, **LATE), []),
    "in time": (quarter("2026-11-23", 20), None),
    "too few calls": (quarter("2026-11-23", 4, **LATE, agents=1), None),
}


@pytest.mark.parametrize(("of", "kinds"), CAUSES.values(), ids=CAUSES)
def test_what_was_unlike_the_usual_day(
    tmp_path: Path, of: tuple[list[Row], list[Row]], kinds: list[str] | None
) -> None:
    assert causes(tmp_path, [*USUAL, of]) == kinds


def test_without_a_usual_day_nothing_is_said(tmp_path: Path) -> None:
    assert causes(tmp_path, [quarter("2026-11-23", 20, **LATE)]) is None


def test_an_interval_that_goes_on_is_not_explained(tmp_path: Path) -> None:
    assert causes(tmp_path, [*USUAL, quarter("2026-11-23", 20, **LATE)], as_of="2026-11-23 09:14") is None


def test_a_client_reads_of_calls_only(tmp_path: Path) -> None:
    of = quarter("2026-11-23", 20, **LATE, agents=1, talk=600)
    assert causes(tmp_path, [*USUAL, of], viewer=CLIENT) == ["calls"]
    day = readers.day(Published(tmp_path / "v.duckdb"), CLIENT, "c", day=date(2026, 11, 23))
    assert day is not None
    assert {interval.kpis.agents_logged_in for interval in day.intervals if interval.kpis} == {None}


def causes(
    tmp_path: Path,
    floors: list[tuple[list[Row], list[Row]]],
    *,
    as_of: str = "2026-11-23 12:00",
    viewer: Viewer = MANAGER,
) -> list[str] | None:
    """Return the kinds of causes of 2026-11-23, 09:00 to 09:15."""
    calls = [row for of, _states in floors for row in of]
    states = [row for _calls, of in floors for row in of]
    publish(tmp_path / "v.duckdb", calls, states, campaigns=[campaign()], as_of=as_of).close()
    reader, day_of = Published(tmp_path / "v.duckdb"), date(2026, 11, 23)
    day, usual = readers.day(reader, viewer, "c", day=day_of), readers.compare(reader, viewer, "c", day=day_of)
    assert day is not None and usual is not None
    (interval,) = [each for each in day.intervals if each.start == at("2026-11-23 09:00")]
    assert interval.end - interval.start == timedelta(minutes=15)
    found = readers.causes(interval, usual, day.freshness.as_of)
    return None if found is None else [cause.kind for cause in found]
