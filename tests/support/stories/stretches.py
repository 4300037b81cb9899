"""What a change of an agent's settled timeline brings back, in plain Python over lists: slow and obvious.

`Archive` is written from the first lines of ingest/archive/stretches.py, and asks the oracle for the states.
"""

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import oracle
from tests.support.oracle import Event, Row, instant
from tests.support.stories.stream import DAY, DEFAULTS, Desk

NEAR = (0, 1, 9, 22, 24, 25, 33, 46, 48, 57, 70)  # hours: three days and two nights, with little to each
FAR = (8, 9, 80, 200, 224, 225, 249, 600, 968, 969, 992)  # days between, as of agents who work now and then
ROW = ("agent", "state", "reason", "campaign", "started_at", "ended_at")


@dataclass(frozen=True)
class Change:
    at: dt.datetime
    campaign: str | None
    is_replaced: bool


@dataclass(frozen=True)
class Stretch:
    since: dt.datetime
    until: dt.datetime
    campaign: str | None
    is_named: bool  # whether an event at `until` is known to name the campaign

    def has_all_of(self, change: Change) -> bool:
        return (
            self.since < change.at
            and change.at.date() < self.until.date()
            and (not change.campaign or self.is_named or (change.campaign == self.campaign and not change.is_replaced))
        )


class Archive:
    """Which events of agents are in the store, and which are only in its files."""

    def __init__(self, as_of: dt.datetime) -> None:
        self._as_of = as_of
        self._contents: dict[str, Event] = {}
        self._rows: dict[str, list[Row]] = {}  # what counts of the settled states, by agent
        self._marks: dict[str, dt.datetime] = {}
        self._stretches: dict[str, list[Stretch]] = {}
        self.here: set[str] = set()
        self.needless: set[str] = set()  # by the last batch: named a campaign earlier than an event that is here

    def states(self) -> list[Row]:
        return oracle.agent_states(list(self._contents.values()), DEFAULTS, self._as_of)

    def settle(self) -> None:
        """Everything settles but each agent's last state that an event began, and what names its campaign."""
        of_agents = defaultdict(list)
        for row in self.states():
            of_agents[row["agent"]].append(row)
        self._rows, self._marks, self._stretches = {}, {}, {}
        self.here = {event["event_id"] for event in self._contents.values() if event["type"] == "agent.profile"}
        for agent, rows in of_agents.items():
            events = self._states_of(agent)
            instants = {instant(event["ts"]) for event in events}
            mark = max(row["started_at"] for row in rows if row["started_at"] in instants)
            self._marks[agent] = mark
            self._rows[agent] = [row for row in rows if row["started_at"] < mark]
            self.here |= {event["event_id"] for event in events if instant(event["ts"]) >= mark}
            self.here |= _last_naming(events, mark)

    def apply(self, events: Sequence[Event]) -> None:
        """Take up a batch of contents that count, each of another event: bring back what they change."""
        self.needless = set()
        changes = defaultdict(list)
        for event in events:
            if event["type"].startswith("call."):
                continue
            for content in (self._contents.get(event["event_id"]), event):
                if content:
                    change = Change(instant(content["ts"]), content.get("campaign"), content is not event)
                    changes[content["agent"]].append(change)
        settled = {agent: list(self._settled(agent, of_agent)) for agent, of_agent in changes.items()}
        self._recall({agent: of_agent for agent, of_agent in settled.items() if of_agent})
        self._contents |= {event["event_id"]: event for event in events}
        self.here |= {event["event_id"] for event in events}

    def _settled(self, agent: str, changes: Iterable[Change]) -> Iterator[Change]:
        for change in changes:
            is_settled = agent in self._marks and change.at <= self._marks[agent]
            if is_settled and not any(s.has_all_of(change) for s in self._stretches.get(agent, ())):
                yield change

    def _recall(self, changes: dict[str, list[Change]]) -> None:
        ends = {agent: self._ends(agent, of_agent) for agent, of_agent in changes.items()}
        # whether an event names a campaign is only looked up on days where one agent's stretch may depend on it
        looked_up = {row["day"] for of_agent in ends.values() for row, stays in _up_to_first(of_agent) if not stays}
        for agent, of_agent in changes.items():
            first = min(change.at for change in of_agent)
            archived = [event for event in self._states_of(agent) if event["event_id"] not in self.here]
            begun = {instant(event["ts"]) for event in archived}
            naming = {instant(event["ts"]) for event in archived if event.get("campaign")}
            marks = [r for r in self._rows[agent] if r["started_at"] < first and r["started_at"] in begun]
            mark = max(marks, key=lambda row: row["started_at"], default=None)
            since = mark["started_at"] if mark else dt.datetime.min.replace(tzinfo=dt.UTC)
            end = None
            for row, stays in ends[agent]:
                is_named = row["day"] in looked_up and row["started_at"] in naming
                if stays or is_named:
                    end = Stretch(since, row["started_at"], row["campaign"], is_named)
                    break
            if mark and mark["campaign"] and since not in naming:
                named_by = _last_naming(self._states_of(agent), since)
                if named_by <= self.here:
                    self.needless |= _last_naming(archived, since)
                self.here |= named_by
            until = end.until if end else dt.datetime.max.replace(tzinfo=dt.UTC)
            self.here |= {event["event_id"] for event in archived if since <= instant(event["ts"]) < until}
            self._rows[agent] = [row for row in self._rows[agent] if not since <= row["started_at"] < until]
            kept = [s for s in self._stretches.get(agent, ()) if s.since < since or s.until > until]
            self._stretches[agent] = kept + ([end] if end else [])
            if not end:
                self._marks.pop(agent)
            if not end and mark:
                self._marks[agent] = since

    def _ends(self, agent: str, changes: list[Change]) -> list[tuple[Row, bool]]:
        """The first state of each later day that is not offline, and whether it stays in any case."""
        last = max(change.at for change in changes).date()
        named = {change.campaign for change in changes if change.campaign}
        must_name = len(named) > 1 or any(change.campaign and change.is_replaced for change in changes)
        ends: dict[dt.date, tuple[Row, bool]] = {}
        for row in self._rows[agent]:
            day = row["started_at"].date()
            if day > last and row["state"] != "offline" and day not in ends:
                ends[day] = row | {"day": day}, not must_name and named <= {row["campaign"]}
        return list(ends.values())

    def _states_of(self, agent: str) -> list[Event]:
        own = (event for event in self._contents.values() if event["agent"] == agent)
        return [event for event in own if event["type"] == "agent.state"]


def _last_naming(events: list[Event], before: dt.datetime) -> set[str]:
    naming = [event for event in events if event.get("campaign") and instant(event["ts"]) < before]
    return {max(naming, key=lambda e: (instant(e["ts"]), e["event_id"]))["event_id"]} if naming else set()


def _up_to_first(ends: list[tuple[Row, bool]]) -> Iterator[tuple[Row, bool]]:
    """The days' first states before the first that stays."""
    for row, stays in ends:
        if stays:
            return
        yield row, stays


class Agents:
    """Each agent does little, and differs from all others in what comes late: hundreds of stories, one store."""

    def __init__(self, rng: random.Random, home: Path, as_of: dt.datetime) -> None:
        self._rng, self._as_of = rng, as_of
        self._events: dict[str, list[str]] = {}
        self._revision = 0
        self._archive = Archive(as_of)
        self.desk = Desk(home)

    def content(self, agent: str, hours: Sequence[int], likely_corrected: float = 0.0) -> Event:
        """A new event of an agent, or other content of one: perhaps at another time, or another agent's."""
        rng, known = self._rng, self._events.setdefault(agent, [])
        self._revision += 1
        if known and rng.random() < likely_corrected:
            event_id = rng.choice(known)
            agent = rng.choice((agent, agent, f"{agent}'s stand-in"))
        else:  # ids are not in order of time
            event_id = f"{rng.randint(0, 9)}-{agent}-{len(known)}"
            known.append(event_id)
        moment = DAY + dt.timedelta(hours=rng.choice(hours))
        event: Event = {"event_id": event_id, "revision": self._revision, "agent": agent, "ts": moment.isoformat()}
        if rng.random() < 0.1:
            event |= {"type": "agent.profile", "name": agent}
        else:
            event |= {"type": "agent.state", "state": rng.choice(("available", "busy", "offline"))}
        return event | rng.choice(({}, {"campaign": rng.choice(("sav", "vip"))}))

    def dialed(self, agent: str, hours: Sequence[int]) -> Event:
        """A call of an agent: its event names an agent and a campaign too, but is no part of a timeline."""
        self._revision += 1
        moment = DAY + dt.timedelta(hours=self._rng.choice(hours))
        event = {"event_id": f"{self._revision}", "call_id": f"{self._revision}", "type": "call.dialed"}
        return event | {"agent": agent, "campaign": self._rng.choice(("sav", "vip")), "ts": moment.isoformat()}

    def come(self, events: Sequence[Event]) -> None:
        """A batch of events, each there once; what is in the store then."""
        events = list({event["event_id"]: event for event in events}.values())
        self.desk.apply(events, self._as_of)
        self._archive.apply(events)
        rows = self.desk.store.connection.execute("SELECT event_id FROM events").fetchall()
        found = {event_id for (event_id,) in rows}
        assert len(found) == len(rows)
        self._archive.here |= self._archive.needless & found
        too_few, too_many = self._archive.here - found, found - self._archive.here
        assert not too_few | too_many, f"{too_few} not brought back, {too_many} brought back for nothing, by {events}"

    def publish(self) -> None:
        self.desk.publish(self._as_of)
        expected = [{name: row[name] for name in ROW} for row in self._archive.states()]
        assert self.desk.rows(f"SELECT {', '.join(ROW)} FROM agent_states ORDER BY agent, started_at") == expected
        self._archive.settle()
        self.come([])


def busy_days(home: Path, seed: int) -> None:
    """150 agents on the same days: what comes late, and what comes then, is published at once."""
    rng = random.Random(seed)
    agents = Agents(rng, home, DAY + dt.timedelta(hours=90))
    names = _settled(agents, rng, NEAR, 150)
    for _ in range(2):
        few = rng.sample(names, 100)
        agents.come([agents.content(name, NEAR[:-3], 0.4) for name in few for _ in range(rng.randint(1, 3))])
    agents.publish()
    agents.desk.close()


def days_far_apart(home: Path, seed: int) -> None:
    """A few agents who work now and then: the days that are read are those that one or two of them need."""
    rng = random.Random(seed)
    agents = Agents(rng, home, DAY + dt.timedelta(days=60, hours=18))
    names = _settled(agents, rng, FAR, 16)
    for name in names:
        late = (name, *rng.sample(names, rng.choice((0, 0, 0, 1))))
        agents.come([agents.content(each, FAR[:-2], 0.4) for each in late] + [agents.dialed(rng.choice(names), FAR)])
    agents.publish()
    agents.desk.close()


def _settled(agents: Agents, rng: random.Random, hours: Sequence[int], count: int) -> list[str]:
    """Let so many agents do something, and all of it settle; return their names."""
    names = [f"agent {number}" for number in range(count)]
    calls = [agents.dialed(name, hours) for name in names]
    states = [agents.content(name, hours) for name in names for _ in range(rng.randint(4, 12))]
    agents.come(calls + states + [agents.content(name, hours[-1:]) for name in names])
    agents.publish()
    return names
