"""Floors that hypothesis generates: a night of calls and agent states with a clock change and contract changes."""

import datetime as dt
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from metrics.composition.figures import COLUMNS, MEASURES
from metrics.configuration.campaigns import Term
from tests.support import oracle
from tests.support.stories.stream import Event, campaign, configured, folded, local

# Paris turns its clocks back in this night (at 01:00 UTC), and a contract changes at a local time that occurs twice
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
    campaign(
        "london",
        "Europe/London",
        Term(formula="ignore_abandons_in_threshold"),
        give_up_after_s=3600,
        opening=(((540, 780), (840, 1260)),) * 6 + ((),),
        window_minutes=60,
    ),
    campaign(
        "kolkata",
        "Asia/Kolkata",
        Term(valid_to=DAWN, formula="abandon_counts_as_success"),
        Term(valid_from=DAWN, formula="answered_only"),
        opening=(((0, 1440),),) * 7,
        window_minutes=15,
    ),
)
CAMPAIGNS = ("paris", "london", "kolkata", "unheard-of")
AGENTS = ("amina", "driss", "sara", "yto")
SOURCES = ("switch-1", "switch-2")
# The usual courses of a call. Steps are then left out, added and moved.
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
    """Generate the events of 1 to `most_calls` calls and of their agents, each event once."""
    agents = AGENTS[: rng.randint(2, 4)]
    events: list[Event] = []
    for number in range(rng.randint(1, most_calls)):
        events += _call(rng, f"c{number}", agents)
    for agent in agents:
        events += _shift(rng, agent)
    for number, event in enumerate(events):
        # ids are not in order of time, so that they decide ties and not the order of the story
        event["event_id"] = f"{rng.randint(0, 9)}-{number}"
        event["source"] = rng.choice(SOURCES)
        event["ts"] = min(event["ts"], LATEST).isoformat()
    return events


def _call(rng: random.Random, call_id: str, agents: tuple[str, ...]) -> list[Event]:
    moment = START + dt.timedelta(hours=rng.choice(STARTS_H))
    steps = rng.choice(STORIES).split()
    steps = [s for s in steps if rng.random() < 0.9] + [rng.choice(KINDS) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
    events = []
    for kind in steps:
        event: Event = {"type": f"call.{kind}", "ts": moment, "call_id": call_id} | details(rng, kind, agents)
        events.append({name: value for name, value in event.items() if value is not None})
        moment += dt.timedelta(seconds=rng.choice(GAPS_S))
    return events


def details(rng: random.Random, kind: str, agents: tuple[str, ...]) -> Event:
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
            return {
                "agent": rng.choice((None, *agents, *agents)),
                "wait_unknown": rng.choice((None, None, None, True, False)),
            }
        case "left_queue":
            return {"reason": rng.choice(REASONS), "wait_unknown": rng.choice((None, None, True, False))}
        case "abandoned":
            return {"wait_unknown": rng.choice((None, None, True, False))}
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
    """Add what a source also sends: repetitions, corrections, and different contents under one id and revision."""
    extra = []
    for event in events:
        match rng.choice((None, None, None, None, None, "again", "revised", "moved", "otherwise")):
            case "again":
                extra.append(dict(event))
            case "revised":
                later = oracle.instant(event["ts"]) + dt.timedelta(seconds=rng.choice(GAPS_S))
                source = rng.choice(SOURCES)
                revised = {"revision": rng.choice((1, 2, 10)), "ts": min(later, LATEST).isoformat(), "source": source}
                extra.append(event | revised)
            case "moved" if "call_id" in event:
                extra.append(event | {"revision": 1, "call_id": f"c{rng.randint(0, 5)}"})
            case "otherwise":
                later = oracle.instant(event["ts"]) + dt.timedelta(seconds=1)
                extra.append(event | {"ts": min(later, LATEST).isoformat()})
    return events + extra


def as_of(rng: random.Random) -> dt.datetime:
    return LATEST + dt.timedelta(hours=rng.choice((0, 0.25, 1, 4, 20, 200)))


floors = st.randoms(use_true_random=False)

# One example builds stores and publishes, which takes seconds. Shrinking would take minutes, and a failure shows the
# events of its call anyway.
few = settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
some = settings(few, max_examples=8)
rare = settings(few, max_examples=3)  # for tests that need several stores


@contextmanager
def published(events: list[Event], instant: dt.datetime, **how: Any) -> Iterator[duckdb.DuckDBPyConnection]:
    with tempfile.TemporaryDirectory() as home, folded(Path(home), events, instant, CONFIGURATION, **how) as connection:
        yield connection


def window(hours: tuple[float, float]) -> dict[str, dt.datetime]:
    return {f"t{n}": START + dt.timedelta(hours=h) for n, h in enumerate(hours)}


KPIS = "FROM kpi_campaign($t0, $t1) ORDER BY campaign"
SUMS = tuple(name for name in COLUMNS if name in MEASURES)
