"""What must always hold, on floors that hypothesis makes up: invariants 2 and 4, and KPIS.md against its oracle."""

import datetime as dt
import json
import math
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metrics.campaigns import Term
from tests import oracle
from tests.stream import Event, campaign, configured, folded, local, rows

# A night in which Paris turns its clocks back (at 01:00 UTC), and contracts change at a local time that comes twice
START = dt.datetime(2026, 10, 24, 20, tzinfo=dt.UTC)
TURN = local("2026-10-25 02:30")
DAWN = local("2026-10-25 05:30")
LATEST = START + dt.timedelta(hours=40)
CONFIGURATION = configured(
    campaign(
        "paris",
        "Europe/Paris",
        Term(valid_to=TURN),
        Term(valid_from=TURN, threshold_s=10, wait_at_threshold_counts=False, short_abandon_s=8, formula="all_offered"),
    ),
    campaign("london", "Europe/London", Term(formula="ignore_abandons_in_threshold"), give_up_after_s=3600),
    campaign(
        "kolkata",
        "Asia/Kolkata",
        Term(valid_to=DAWN, formula="abandon_counts_as_success"),
        Term(valid_from=DAWN, formula="answered_only"),
    ),
)
CAMPAIGNS = ("paris", "london", "kolkata", "unheard-of")
AGENTS = ("amina", "driss", "sara", "yto")
WINDOWS = [  # hours from START: all, one half of it, an hour, and one with nothing in it
    (-1, 60),
    (0, 5),
    (4, 5),
    (5, 40),
    (-100, -90),
]

# How calls go, and then how they do not: steps are left out, added and moved
STORIES = (
    "queued rang answered ended wrapped",
    "queued rang answered held resumed ended wrapped rated",
    "queued missed rang answered transferred wrapped",
    "queued answered held ended",
    "queued answered",
    "queued abandoned",
    "queued left_queue",
    "queued ended",
    "queued",
    "dialed connected answered ended wrapped",
    "dialed connected abandoned",
    "dialed connected queued answered ended wrapped",
    "dialed connected ended",
    "dialed not_connected",
    "queued dialed connected answered ended",
    "answered ended",
)
KINDS = sorted({kind for story in STORIES for kind in story.split()})
GAPS_S = (0, 0.000001, 1, 4, 5, 8, 10, 19.999999, 20, 21, 60, 600, 3600, -2)
STARTS_H = (0, 0.01, 2, 4, 4.4999, 4.5, 5, 5.5, 6, 12, 24, 28)
REASONS = ("overflow", "callback", "voicemail", "timeout", "closed", "full", "no_agents", "system")
STATES = ("available", "busy", "wrap_up", "paused", "offline")


def floor(rng: random.Random, most_calls: int) -> list[Event]:
    """Make up events of 1 to `most_calls` calls and of their agents, each at most once."""
    agents = AGENTS[: rng.randint(2, 4)]
    events: list[Event] = []
    for number in range(rng.randint(1, most_calls)):
        events += _call(rng, f"c{number}", agents)
    for agent in agents:
        events += _shift(rng, agent)
    for number, event in enumerate(events):
        # ids in no order of time, so that ties are decided by them and not by the story
        event["event_id"] = f"{rng.randint(0, 9)}-{number}"
        event["ts"] = min(event["ts"], LATEST).isoformat()
    return events


def _call(rng: random.Random, call_id: str, agents: tuple[str, ...]) -> list[Event]:
    moment = START + dt.timedelta(hours=rng.choice(STARTS_H))
    steps = rng.choice(STORIES).split()
    steps = [s for s in steps if rng.random() < 0.9] + [rng.choice(KINDS) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
    events = []
    for kind in steps:
        event: Event = {"type": f"call.{kind}", "ts": moment, "call_id": call_id} | _details(rng, kind, agents)
        events.append({name: value for name, value in event.items() if value is not None})
        moment += dt.timedelta(seconds=rng.choice(GAPS_S))
    return events


def _details(rng: random.Random, kind: str, agents: tuple[str, ...]) -> Event:
    match kind:
        case "queued":
            direction = rng.choice((None, None, None, "inbound", "callback", "outbound"))
            of = {"campaign": rng.choice(CAMPAIGNS), "queue": rng.choice("ab"), "direction": direction}
            return of | {"channel": rng.choice((None, None, "voice", "chat")), "language": rng.choice((None, "fr"))}
        case "dialed":
            of = {"campaign": rng.choice(CAMPAIGNS), "queue": rng.choice((None, "c"))}
            return of | {"agent": rng.choice((None, *agents))}
        case "connected":
            return {"answered_by": rng.choice((None, "human", "machine"))}
        case "not_connected":
            return {"reason": rng.choice(("no_answer", "busy"))}
        case "rang" | "missed":
            return {"agent": rng.choice(agents)}
        case "answered":
            return {"agent": rng.choice((None, *agents, *agents))}
        case "left_queue":
            return {"reason": rng.choice(REASONS)}
        case "ended":
            return {"ended_by": rng.choice((None, "agent", "customer"))}
        case "wrapped":
            return {"sale": rng.choice((None, True, False)), "disposition": rng.choice((None, "x", "y"))}
        case "rated":
            return {"score": rng.randint(1, 5)}
    return {}


def _shift(rng: random.Random, agent: str) -> list[Event]:
    moment = START + dt.timedelta(hours=rng.choice(STARTS_H) / 4)
    events: list[Event] = [{"type": "agent.profile", "ts": moment, "agent": agent, "name": agent.title()}]
    for _ in range(rng.randint(0, 12)):
        event = {"type": "agent.state", "ts": moment, "agent": agent, "state": rng.choice(STATES)}
        event |= {"campaign": rng.choice(CAMPAIGNS)} if rng.random() < 0.4 else {}
        event |= {"reason": rng.choice(("lunch", "training"))} if event["state"] == "paused" else {}
        events.append(event)
        moment += dt.timedelta(hours=rng.choice((0, 0, 0.01, 0.25, 1, 3, 11.99, 12, 12.01, 14)))
    return events


def delivered(rng: random.Random, events: list[Event]) -> list[Event]:
    """Add what a source sends beside: repetitions, corrections, and other contents under one id and revision."""
    extra = []
    for event in events:
        match rng.choice((None, None, None, None, None, "again", "revised", "moved", "otherwise")):
            case "again":
                extra.append(dict(event))
            case "revised":
                later = oracle.instant(event["ts"]) + dt.timedelta(seconds=rng.choice(GAPS_S))
                extra.append(event | {"revision": rng.choice((1, 2, 10)), "ts": min(later, LATEST).isoformat()})
            case "moved" if "call_id" in event:
                extra.append(event | {"revision": 1, "call_id": f"c{rng.randint(0, 5)}"})
            case "otherwise":
                later = oracle.instant(event["ts"]) + dt.timedelta(seconds=1)
                extra.append(event | {"ts": min(later, LATEST).isoformat()})
    return events + extra


def as_of(rng: random.Random) -> dt.datetime:
    return LATEST + dt.timedelta(hours=rng.choice((0, 0.25, 1, 4, 20, 200)))


floors = st.randoms(use_true_random=False)

# one example builds stores and publishes: seconds, not milliseconds. Shrinking would take minutes, and a failure shows
# the events of its call anyway
few = settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
some = settings(few, max_examples=8)


@contextmanager
def published(events: list[Event], instant: dt.datetime, **how: Any) -> Iterator[duckdb.DuckDBPyConnection]:
    with tempfile.TemporaryDirectory() as home, folded(Path(home), events, instant, CONFIGURATION, **how) as connection:
        yield connection


def window(hours: tuple[float, float]) -> dict[str, dt.datetime]:
    return {f"t{n}": START + dt.timedelta(hours=h) for n, h in enumerate(hours)}


KPIS = "FROM kpi_campaign($t0, $t1) ORDER BY campaign"


def everything(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Event]]:
    own = {
        "calls": rows(connection, "FROM calls ORDER BY ALL"),
        "agent_states": rows(connection, "FROM agent_states ORDER BY ALL"),
        "agents": rows(connection, "FROM agents ORDER BY ALL"),
        "kpi_campaign": rows(connection, KPIS, window(WINDOWS[0])),
    }
    by_interval = "FROM kpi_interval($t0, $t1, 30) ORDER BY ALL"
    return own | {"kpi_interval": rows(connection, by_interval, window((3, 8)))}


@few
@given(rng=floors)
def test_invariant_2_order_free(rng: random.Random) -> None:
    """Any order, any batching, any repetition, any restart, published between or not: the same rows."""
    check_order_free(rng, 12)


@pytest.mark.parametrize("seed", [1])
def test_invariant_2_order_free_on_a_big_floor(seed: int) -> None:
    check_order_free(random.Random(seed), 200)


def check_order_free(rng: random.Random, most_calls: int) -> None:
    events = delivered(rng, floor(rng, 12))
    instant = as_of(rng)
    with published(events, instant) as connection:
        expected = everything(connection)

    shuffled = events + [rng.choice(events) for _ in range(rng.randint(0, 5))]
    rng.shuffle(shuffled)
    cuts = sorted(rng.randint(0, len(shuffled)) for _ in range(3))
    earlier = (dt.timedelta(), dt.timedelta(hours=1), dt.timedelta(hours=30))
    between = {n: instant - rng.choice(earlier) for n in range(3) if rng.random() < 0.5}
    with published(shuffled, instant, batches=cuts, restart=rng.random() < 0.5, published=between) as connection:
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
    """One published floor against all that can be asked of it alone."""
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
        adds_up(tables[1], tables[3], window((0, 40)), connection)
        formulas = rows(connection, "FROM kpi_formulas($t0, $t1) ORDER BY campaign", window(WINDOWS[0]))
        span = window(WINDOWS[0])
        for row in formulas:
            same(row, oracle.kpi_formulas(calls, row["campaign"], span["t0"], span["t1"]), events)


def same(found: Event, expected: Event, events: list[Event]) -> None:
    """Each column that the oracle knows has its value; the events of that call are shown when not."""
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
    """Invariant 4."""
    assert row["offered"] == sum(row[part] for part in oracle.PARTS), row
    assert row["conserved"] is True


RATIOS = (
    *("service_level", "service_level_worst", "service_level_best", "abandon_rate", "occupancy", "utilisation"),
    *("contact_rate", "drop_rate", "conversion", "transfer_rate"),
)
SUMS = (
    *("offered", *oracle.PARTS, "refused", "answered_in_threshold", "abandoned_in_threshold", "handled", "transferred"),
    *("sales", "available_s", "busy_s", "wrap_up_s", "paused_s", "dialed", "connected", "contacts", "drops"),
    *("talk_s", "hold_s", "wrap_s", "answered_wait_s", "logged_in_s", "workload_s", "service_level_hits"),
    *("service_level_base", "open_in_threshold"),
)


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
    """Counts and seconds of adjacent windows are those of their union; so are those of its intervals."""
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
