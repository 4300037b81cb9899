"""What must always hold on generated floors: invariants 2 and 4, and docs/kpis.md against its oracle."""

import datetime as dt
import json
import math
import random

import duckdb
import pytest
from hypothesis import given

from metrics.composition import figures
from metrics.kpis.kpi import RATIO
from tests.support import oracle
from tests.support.stories.floors import (
    CONFIGURATION,
    KPIS,
    SUMS,
    as_of,
    delivered,
    few,
    floor,
    floors,
    published,
    some,
    window,
)
from tests.support.stories.stream import Event, rows

pytestmark = pytest.mark.slow

WINDOWS = [  # hours from START: everything, half of it, an hour, and a window with nothing in it
    (-1, 60),
    (0, 5),
    (4, 5),
    (5, 40),
    (-100, -90),
]


FAULTS = "FROM alarms WHERE kind != 'calls_in_no_campaign'"  # floors also lose events


def everything(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Event]]:
    own = {
        "calls": rows(connection, "FROM calls ORDER BY ALL"),
        "agent_states": rows(connection, "FROM agent_states ORDER BY ALL"),
        "agents": rows(connection, "FROM agents ORDER BY ALL"),
        "kpi_campaign": rows(connection, KPIS, window(WINDOWS[0])),
        "kpi_daily": rows(connection, "FROM kpi_daily ORDER BY ALL"),
        "kpi_now": rows(connection, "FROM kpi_now ORDER BY ALL"),
        "conservation_checks": rows(connection, "SELECT * EXCLUDE (checked_at) FROM conservation_checks ORDER BY ALL"),
        "feed_sources": rows(connection, "FROM feed_sources ORDER BY ALL"),
    }
    by_interval = "FROM kpi_interval($t0, $t1, 30) ORDER BY ALL"
    return own | {"kpi_interval": rows(connection, by_interval, window((3, 8)))}


@few
@given(rng=floors)
def test_invariant_2_order_free(rng: random.Random) -> None:
    """Any order, batching, repetition and restart, with or without publishes in between, give the same rows."""
    check_order_free(rng, 12)


@pytest.mark.parametrize("seed", [1])
def test_invariant_2_order_free_on_a_big_floor(seed: int) -> None:
    check_order_free(random.Random(seed), 200)


def check_order_free(rng: random.Random, most_calls: int) -> None:
    events = delivered(rng, floor(rng, most_calls))
    instant = as_of(rng)
    with published(events, instant) as connection:
        expected = everything(connection)

    shuffled = events + [rng.choice(events) for _ in range(rng.randint(0, 5))]
    rng.shuffle(shuffled)
    cuts = sorted(rng.randint(0, len(shuffled)) for _ in range(3))
    earlier = (dt.timedelta(), dt.timedelta(hours=1), dt.timedelta(hours=30))
    between, behind = ({n: instant - rng.choice(earlier) for n in range(3) if rng.random() < 0.5} for _ in range(2))
    how = {"restart": rng.random() < 0.5, "settle_rows": rng.choice((1, 10_000))}
    with published(shuffled, instant, batches=cuts, published=between, behind=behind, **how) as connection:
        assert rows(connection, FAULTS) == []
        found = everything(connection)
    for relation, there in expected.items():
        assert found[relation] == there, relation


@some
@given(rng=floors)
def test_a_floor_is_what_the_oracle_says(rng: random.Random) -> None:
    check_against_the_oracle(rng, 12)


@pytest.mark.parametrize("seed", [0, 2])
def test_a_big_floor_is_what_the_oracle_says(seed: int) -> None:
    check_against_the_oracle(random.Random(seed), 400, at_least=200)


def check_against_the_oracle(rng: random.Random, most_calls: int, at_least: int = 0) -> None:
    """Compare every relation and macro of a published floor with the oracle."""
    events = floor(rng, most_calls)
    while len(events) < at_least:
        events = floor(rng, most_calls)
    events = delivered(rng, events)
    rng.shuffle(events)
    instant = as_of(rng)
    calls = oracle.calls(events, CONFIGURATION, instant)
    states = oracle.agent_states(events, CONFIGURATION, instant)
    with published(events, instant, batches=[len(events) // 2], published={0: instant}) as connection:
        assert rows(connection, "FROM dead_letters") == []
        assert rows(connection, FAULTS) == []
        found = rows(connection, "FROM calls ORDER BY call_id")
        assert [c["call_id"] for c in found] == sorted(calls)
        for row in found:
            same(row, calls[row["call_id"]], events)
        found = rows(connection, "FROM agent_states ORDER BY agent, started_at")
        assert [(s["agent"], s["started_at"]) for s in found] == [(s["agent"], s["started_at"]) for s in states]
        for row, expected in zip(found, states, strict=True):
            same(row, expected, events)

        tables = [{row["campaign"]: row for row in rows(connection, KPIS, window(hours))} for hours in WINDOWS]
        for hours, table in zip(WINDOWS, tables, strict=True):
            span = window(hours)
            expected = oracle.kpi_campaign(calls, states, CONFIGURATION, span["t0"], span["t1"], instant)
            for name, row in expected.items():
                same(table[name], row, events)
            for row in table.values():
                conserved(row)
                within_bounds(row)
        now = {row["campaign"]: row for row in rows(connection, "FROM kpi_now")}
        floor_now = oracle.Floor(list(calls.values()), states, CONFIGURATION, instant)
        for (name,), row in oracle.kpi_now(floor_now).items():
            same(now[name], {column: row[column] for column in now[name] if column != "campaign"}, events)
        adds_up(tables[1], tables[3], window((0, 40)), connection)
        formulas = rows(connection, "FROM kpi_formulas($t0, $t1) ORDER BY campaign", window(WINDOWS[0]))
        span = window(WINDOWS[0])
        for row in formulas:
            same(row, oracle.kpi_formulas(calls, row["campaign"], span["t0"], span["t1"]), events)


def same(found: Event, expected: Event, events: list[Event]) -> None:
    """Check each column that the oracle has; show the call's events if one differs."""
    for column, value in expected.items():
        if column.startswith("_"):
            continue
        there = found[column]
        if isinstance(value, float) and not isinstance(there, bool) and there is not None:
            agrees = math.isclose(there, value, rel_tol=1e-9, abs_tol=1e-6)
        else:
            agrees = there == value
        about = [json.dumps(e) for e in events if "call_id" in found and e.get("call_id") == found["call_id"]]
        where = found.get("call_id") or found.get("agent") or found.get("campaign")
        assert agrees, f"{where}: {column} is {there}, the oracle says {value}\n" + "\n".join(sorted(about))


def conserved(row: Event) -> None:
    """Check invariant 4."""
    assert row["offered"] == sum(row[part] for part in oracle.PARTS), row
    assert row["conserved"] is True


RATIOS = [kpi.name for kpi in figures.KPIS.values() if kpi.unit == RATIO]


def within_bounds(row: Event) -> None:
    for name in RATIOS:
        assert row[name] is None or 0 <= row[name] <= 1, name
    level, worst, best = row["service_level"], row["service_level_worst"], row["service_level_best"]
    assert level is None or worst <= level <= best
    for name in SUMS:
        assert row[name] >= 0, name
    for name in ("asa_s", "longest_wait_s", "aht_s", "avg_talk_s", "avg_hold_s", "avg_wrap_s"):
        assert row[name] is None or row[name] >= 0, name
    if row["aht_s"] is not None:
        assert math.isclose(row["aht_s"], row["avg_talk_s"] + row["avg_hold_s"] + row["avg_wrap_s"], abs_tol=1e-6)


def adds_up(
    first: dict[str, Event],
    second: dict[str, Event],
    span: dict[str, dt.datetime],
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Check that counts and seconds of adjacent windows, and of intervals, add up to those of their union."""
    union = {row["campaign"]: row for row in rows(connection, KPIS, span)}
    added = _list_of_sums(SUMS)
    by_interval = f"SELECT campaign, {added} FROM kpi_interval($t0, $t1, 45) GROUP BY campaign ORDER BY campaign"
    of_intervals = {row["campaign"]: row for row in rows(connection, by_interval, span)}
    for name, row in union.items():
        for column in SUMS:
            whole = pytest.approx(row[column], abs=1e-6)
            assert first[name][column] + second[name][column] == whole, (name, column)
            assert float(of_intervals[name][column]) == whole, (name, column)


def _list_of_sums(columns: tuple[str, ...]) -> str:
    return ", ".join(f"sum({column}) AS {column}" for column in columns)
