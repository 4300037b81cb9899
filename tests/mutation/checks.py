"""Quick checks: a few floors, corrected and settled again and again, against the oracle and against counts.

The cost of a check is its number of statements, hardly its rows. Faults that survive these are left to the real tests.
"""

import datetime as dt
import math
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.support import oracle
from tests.support.stories.floors import (
    AGENTS,
    CAMPAIGNS,
    CONFIGURATION,
    LATEST,
    SOURCES,
    START,
    delivered,
    details,
    floor,
)
from tests.support.stories.stream import PARTITION, Desk, Event, Moment, publish, rows
from tests.support.stories.stretches import busy_days, days_far_apart

CLOSERS = ("zoe", "max")
KINDS = ("moved", "moved", "other agent", "other campaign", "busy", "text", "between", "state", "again")


def check_seed(seed: int) -> None:
    """Raise AssertionError if judged rows or counts differ from what the events say."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as home:
        check_floor(rng, Path(home), lonely(rng) if seed else crowded(rng))


def check_timelines(come_late: Callable[[Path, int], None], seed: int) -> None:
    """Raise AssertionError if states, or the events that are brought back to make them, are not what they must be."""
    with tempfile.TemporaryDirectory() as home:
        come_late(Path(home), seed)


FLOORS = {
    "crowded": lambda: check_seed(0),
    "lonely-1": lambda: check_seed(1),
    "lonely-2": lambda: check_seed(2),
    "busy-days": lambda: check_timelines(busy_days, 1),
    "days-far-apart": lambda: check_timelines(days_far_apart, 2),
}


def crowded(rng: random.Random) -> list[list[Event]]:
    """Everything at once: calls that go on, and many corrections in each batch."""
    events = floor(rng, 50)
    events = delivered(rng, events + _echoed(rng, events)) + _unended(rng)
    cut = len(events) // 2
    rng.shuffle(events)
    corrected = ([_corrected(rng, event, CLOSERS) for event in rng.sample(events, 40)] for _ in range(3))
    return [events[:cut], events[cut:], *corrected, []]


def _echoed(rng: random.Random, events: list[Event]) -> list[Event]:
    """More events of the same kinds in the same calls, at the same time or nearly, with other details."""
    of_calls = [event for event in events if event["type"].startswith("call.")]
    echoes = []
    for number, event in enumerate(rng.sample(of_calls, min(len(of_calls), 120))):
        event = {name: event[name] for name in ("type", "ts", "call_id", "source")}
        event |= {name: value for name, value in details(rng, event["type"][5:], AGENTS).items() if value is not None}
        if event["type"] in ("call.queued", "call.dialed"):
            event |= rng.choice(({}, {"linked_id": rng.choice("xyz")}))
        if event["type"] == "call.wrapped":
            event |= rng.choice(({}, {"amount": 9.5, "currency": "EUR"}))
        moment = oracle.instant(event["ts"]) + dt.timedelta(seconds=rng.choice((0, 0, 0, -1, 0.000001, 30)))
        echoes.append(event | {"event_id": f"{rng.randint(0, 9)}-echo{number}", "ts": min(moment, LATEST).isoformat()})
    return echoes


def lonely(rng: random.Random) -> list[list[Event]]:
    """One agent on three days, then one late event at a time: nothing is recalled but what the event touches."""
    events: list[Event] = []
    moment = START
    for number in range(24):
        moment += dt.timedelta(minutes=rng.choice((0, 30, 60, 120, 200)))
        event: Event = {"event_id": f"{rng.randint(0, 9)}-{number}", "agent": "ana", "source": rng.choice(SOURCES)}
        if rng.random() < 0.6:
            event |= {"type": "agent.state", "state": rng.choice(("busy", "available", "paused", "offline"))}
            event |= rng.choice(({}, {"campaign": rng.choice(CAMPAIGNS)}))
        else:
            call = {"call_id": f"c{number}", "campaign": rng.choice(CAMPAIGNS), "queue": "l", "type": "call.queued"}
            call |= rng.choice(({}, {}, {"channel": "chat"})) | {"source": "switch-1", "ts": moment.isoformat()}
            events.append(call | {"event_id": f"q{number}"})
            event |= {"type": "call.answered", "call_id": f"c{number}"}
        events.append(event | {"ts": min(moment, LATEST).isoformat()})
    return [events, *([_corrected(rng, rng.choice(events), ("ana", "ana", "bob"))] for _ in range(12)), []]


def check_floor(rng: random.Random, home: Path, parts: list[list[Event]]) -> None:
    """Deliver a floor in parts; after each, settle what can settle, and compare all rows and counts."""
    delivered_events: list[Event] = []
    desk = Desk(home / "desk", CONFIGURATION)
    as_of = LATEST
    for number, part in enumerate(parts):
        again = [] if part else rng.sample(oracle.settled_events(delivered_events), 20)
        delivered_events += part + again
        kept = _unsettled(desk)
        desk.apply(part + again, LATEST)
        assert not again or _unsettled(desk) == kept, "events that were delivered before recalled rows"
        as_of += dt.timedelta(hours=rng.choice((0, 1, 30)) if number > 1 else 0)
        moment = Moment(as_of, as_of)
        desk.publisher.judge(moment)
        if not number:
            _compare(desk, delivered_events, as_of)
        desk.publisher.settle(moment)
        _all_settled(desk, delivered_events, as_of)
        desk.publisher.judge(moment)
        _compare(desk, delivered_events, as_of)
        if number == 2:
            position = desk.store.position(PARTITION)
            desk.close()
            desk = Desk(home / "desk", CONFIGURATION)
            assert desk.store.position(PARTITION) == position == len(delivered_events)
            desk._offset = len(delivered_events)
    publish(desk.publisher, moment)
    assert desk.rows("SELECT count(*) AS n FROM calls") == [
        {"n": len(oracle.calls(delivered_events, CONFIGURATION, as_of))}
    ]
    desk.close()


def _all_settled(desk: Desk, delivered_events: list[Event], as_of: dt.datetime) -> None:
    """Check that exactly the rows that no event is expected to change have left the tables."""
    before = as_of - dt.timedelta(seconds=CONFIGURATION.defaults.lateness_s)
    calls = oracle.calls(delivered_events, CONFIGURATION, as_of).values()
    steps = ("cohort_at", "answered_at", "abandoned_at", "left_at", "ended_at", "wrapped_at")
    closed = {
        call["call_id"]
        for call in calls
        if call["day"] and call["outcome"] != "open" and (call["ended_at"] or not call["answered_at"])
        if max(call[step] for step in steps if call[step]) < before
    }
    pins: dict[str, dt.datetime] = {}
    for call in calls:
        is_unended = call["answered_at"] and call["agent"] and (call["inferred_end"] or not call["ended_at"])
        if is_unended and call["call_id"] not in closed:
            pins[call["agent"]] = min(pins.get(call["agent"], as_of), call["answered_at"])
    stay = {
        call["call_id"]
        for call in calls
        if call["call_id"] not in closed
        or (call["agent"] in pins and call["answered_at"] and call["answered_at"] > pins[call["agent"]])
    }
    found = desk.store.connection.execute("SELECT call_id FROM calls ORDER BY ALL").fetchall()
    assert [call_id for (call_id,) in found] == sorted(stay), "calls that stay"

    events = oracle.settled_events(delivered_events)
    state_times = {(e["agent"], oracle.instant(e["ts"])) for e in events if e["type"] == "agent.state"}
    earliest: dict[str, dt.datetime] = {}
    marks: dict[str, dt.datetime] = {}
    for state in oracle.agent_states(delivered_events, CONFIGURATION, as_of):
        agent, start = state["agent"], state["started_at"]
        earliest.setdefault(agent, start)
        if (agent, start) in state_times and start < before and start <= pins.get(agent, start):
            marks[agent] = start
    query = "SELECT agent, min(started_at) AS at FROM timeline GROUP BY agent"
    found_at = {row["agent"]: row["at"] for row in rows(desk.store.connection, query)}
    assert found_at == earliest | marks, "states that stay"

    stays = {event["event_id"] for event in events if event["type"] == "agent.profile" or event.get("call_id") in stay}
    naming = {}  # the last event before an agent's mark that names a campaign
    for event in events:
        if event["type"] == "agent.state":
            if oracle.instant(event["ts"]) >= marks.get(event["agent"], START - dt.timedelta(days=1)):
                stays.add(event["event_id"])
            elif event.get("campaign") is not None:
                naming[event["agent"]] = event["event_id"]
    stays |= set(naming.values())
    assert [event_id for (event_id,) in _unsettled(desk)] == sorted(stays), "events that stay"


def _unsettled(desk: Desk) -> list[tuple[str]]:
    return desk.store.connection.execute("SELECT event_id FROM events ORDER BY ALL").fetchall()


def _unended(rng: random.Random) -> list[Event]:
    """Calls of two agents, most of them closed only by what their agent does next."""
    events: list[Event] = []
    for agent in CLOSERS:
        moment = START
        for number in range(14):
            call = {"call_id": f"{agent}{number}", "source": rng.choice(SOURCES)}
            queued = {"type": "call.queued", "campaign": rng.choice(CAMPAIGNS), "queue": "u"}
            events.append(call | queued | {"ts": moment} | rng.choice(({}, {}, {"channel": "chat"})))
            moment += dt.timedelta(minutes=rng.choice((0, 1)))
            events.append(call | {"type": "call.answered", "agent": agent, "ts": moment})
            if rng.random() < 0.3:
                events.append(call | {"type": "call.ended", "ts": moment + dt.timedelta(minutes=rng.choice((1, 30)))})
            moment += dt.timedelta(minutes=rng.choice((0, 5, 10, 300)))
            if rng.random() < 0.5:
                state = {
                    "type": "agent.state",
                    "agent": agent,
                    "state": rng.choice(("busy", "busy", "available", "paused")),
                }
                events.append(state | {"ts": moment, "source": rng.choice(SOURCES)})
                moment += dt.timedelta(minutes=rng.choice((0, 2)))
    for number in range(24):  # their last events are about as old as the first rows to settle
        moment = LATEST - dt.timedelta(minutes=59)
        call = {"call_id": f"edge{number}", "source": rng.choice(SOURCES)}
        agent = {"agent": f"edgar{number}"}
        story = ("abandoned", "left_queue", "answered ended", "answered ended wrapped", "answered wrapped ended")[
            number % 5
        ]
        queued = {"type": "call.queued", "campaign": rng.choice(CAMPAIGNS), "queue": "u", "ts": moment}
        events.append(call | queued)
        for kind, before in zip(story.split(), (16, 15.5, 15) if number < 12 else (14, 13, 12), strict=False):
            is_last = kind == story.split()[-1]
            moment = LATEST - dt.timedelta(minutes=before if is_last else before + 20)
            step = {"type": f"call.{kind}", "ts": moment}
            events.append(call | step | agent | ({"reason": "overflow"} if kind == "left_queue" else {}))
        for before in rng.sample((300, 200, 200, 199, 60), 4):
            state = {
                "type": "agent.state",
                "state": rng.choice(("available", "paused")),
                "campaign": rng.choice(CAMPAIGNS),
            }
            events.append(agent | state | {"ts": LATEST - dt.timedelta(minutes=before), "source": "switch-1"})
        for before in rng.sample((40, 16, 15, 14, 5), 2):
            state = {"type": "agent.state", "state": rng.choice(("available", "paused", "busy"))}
            events.append(agent | state | {"ts": LATEST - dt.timedelta(minutes=before), "source": "switch-1"})
    for number in range(12):  # calls in progress when everything is judged first
        moment = LATEST - dt.timedelta(minutes=rng.choice((5, 14, 15, 16, 59, 239, 241)))
        queued = {"type": "call.queued", "campaign": rng.choice(CAMPAIGNS), "queue": "u", "ts": moment}
        call = {"call_id": f"last{number}", "source": rng.choice(SOURCES)}
        events.append(call | queued)
        if rng.random() < 0.4:
            agent = rng.choice((*CLOSERS, "yves", None))
            answered = {"type": "call.answered", "ts": moment + dt.timedelta(minutes=rng.choice((0, 1, 4)))}
            events.append(call | answered | ({"agent": agent} if agent else {}))
    for number, event in enumerate(events):
        event |= {"event_id": f"u{rng.randint(0, 9)}-{number}", "ts": min(event["ts"], LATEST).isoformat()}
    return events


def _corrected(rng: random.Random, event: Event, agents: tuple[str, ...]) -> Event:
    """Return another event like `event`, or other content for it."""
    revised = event | {"revision": rng.choice((1, 2, 3, 20))}
    later = oracle.instant(event["ts"]) + dt.timedelta(minutes=rng.choice((-4, -1, 0, 0.5, 3, 9)))
    fresh = event | {"event_id": f"f{rng.randint(0, 10**9)}", "ts": min(later, LATEST).isoformat()}
    match rng.choice(KINDS):
        case "moved":
            return revised | {"ts": fresh["ts"]}
        case "other agent" if "agent" in event:
            return revised | {"agent": rng.choice(agents)}
        case "other campaign" if "campaign" in event:
            return revised | {"campaign": rng.choice(CAMPAIGNS)}
        case "busy" if event["type"] == "agent.state":
            return revised | {"state": rng.choice(("busy", "offline"))}
        case "text":
            return event | {"source": rng.choice(SOURCES)}
        case "between":
            return fresh
        case "state":
            state = {"type": "agent.state", "agent": rng.choice(agents), "state": rng.choice(("available", "busy"))}
            return state | {"event_id": fresh["event_id"], "ts": fresh["ts"]}
    return event


def _compare(desk: Desk, delivered_events: list[Event], as_of: dt.datetime) -> None:
    sql = desk.store.connection
    settled = desk.store.segments.rows("calls")
    query = "SELECT * FROM judged_calls" + (f" UNION ALL BY NAME SELECT * FROM ({settled})" if settled else "")
    calls = oracle.calls(delivered_events, CONFIGURATION, as_of)
    _same(rows(sql, f"FROM ({query}) ORDER BY call_id"), list(calls.values()), "call_id")
    settled = desk.store.segments.rows("agent_states")
    query = "SELECT * FROM timeline" + (
        f" UNION ALL BY NAME SELECT * EXCLUDE (seconds) FROM ({settled})" if settled else ""
    )
    states = oracle.agent_states(delivered_events, CONFIGURATION, as_of)
    expected = [{name: value for name, value in row.items() if name != "seconds"} for row in states]
    _same(rows(sql, f"FROM ({query}) ORDER BY agent, started_at"), expected, "agent")
    _counted(desk, delivered_events)
    _noted(desk)
    checks = sql.execute("SELECT campaign, day, offered, accounted, refused, conserved FROM conservation_checks")
    assert checks.fetchall() == _conserved(calls.values(), as_of), "conservation"


def _conserved(calls: Iterable[Event], as_of: dt.datetime) -> list[tuple[str, dt.date, int, int, int, bool]]:
    """Return each campaign's days with calls, and today for those without, in order."""
    days = Counter((c["campaign"], c["day"]) for c in calls if c["day"])
    incoming = (c for c in calls if c["direction"] != "outbound")
    inbound = Counter((c["campaign"], c["day"], c["outcome"] == "refused") for c in incoming)
    today = {
        (name, as_of.astimezone(ZoneInfo(CONFIGURATION.campaign(name).timezone)).date())
        for name in {*CONFIGURATION.campaigns, *(name for name, _ in days)}
    }
    return [
        (name, day, offered, offered, inbound[name, day, True], True)
        for name, day in sorted(today.union(days))
        for offered in [inbound[name, day, False]]
    ]


def _same(found: list[Event], expected: list[Event], key: str) -> None:
    expected = sorted(expected, key=lambda row: (row[key], str(row.get("started_at"))))
    assert [row[key] for row in found] == [row[key] for row in expected], key
    for row, should in zip(found, expected, strict=True):
        for column, value in should.items():
            if not column.startswith("_"):
                there = row[column]
                is_near = (
                    isinstance(value, float) and isinstance(there, float) and math.isclose(there, value, abs_tol=1e-6)
                )
                assert is_near or there == value, f"{row[key]}: {column} is {there}, the oracle says {value}"


def _counted(desk: Desk, delivered_events: list[Event]) -> None:
    """Check that each event is there once and that the counts of events are right."""
    sql = desk.store.connection
    archived = desk.store.segments.rows("events")
    columns = "event_id, type::VARCHAR AS type, agent, campaign, raw"
    places = [f"SELECT {columns}, false AS is_archived FROM events"]
    if archived:
        places.append(f"SELECT {columns}, true FROM ({archived})")
    kept = rows(sql, " UNION ALL ".join(places))
    assert sorted(row["event_id"] for row in kept) == sorted({event["event_id"] for event in delivered_events})
    totals = desk.store.totals()
    assert (totals.lines, totals.lines - totals.duplicates) == (len(delivered_events), len(kept))
    assert rows(sql, "SELECT source, events, last_event_at FROM sources ORDER BY source") == oracle.feed_sources(
        delivered_events
    )
    names: Counter[tuple[str, str]] = Counter()
    for row in kept:
        if row["is_archived"]:
            names["campaign", row["campaign"]] += 1
            names["agent", row["agent"]] += row["type"] != "call.dialed"
    there = {(row["kind"], row["name"]): row["events"] for row in rows(sql, "FROM archived_names")}
    assert there == {(kind, name): count for (kind, name), count in names.items() if name is not None and count}


def _noted(desk: Desk) -> None:
    """What the store notes of its settled rows is what they say."""
    sql = desk.store.connection
    calls, states = (desk.store.segments.rows(relation) for relation in ("calls", "agent_states"))
    untils = sql.execute("SELECT DISTINCT closed_before FROM archived_until").fetchall()
    assert len(untils) == bool(calls or states), "until when something has settled"
    if calls:
        columns = "call_id, agent, answered_at, ended_at, day"
        noted = sql.execute(f"SELECT DISTINCT {columns} FROM inferred_ends ORDER BY ALL").fetchall()
        ends = f"SELECT {columns} FROM ({calls}) WHERE inferred_end AND answered_at IS NOT NULL ORDER BY ALL"
        assert noted == sql.execute(ends).fetchall(), "settled calls that their agent's next step ended"
    if states:
        noted = sql.execute("SELECT campaign, started_at FROM first_states ORDER BY ALL").fetchall()
        firsts = f"SELECT campaign, min(started_at) FROM ({states}) WHERE state != 'offline' AND campaign IS NOT NULL"
        assert noted == sql.execute(f"{firsts} GROUP BY campaign ORDER BY ALL").fetchall(), "campaigns' first states"
