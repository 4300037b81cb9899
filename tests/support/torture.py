"""Stress-tests a store: a state machine of hypothesis whose steps are everything that may happen to a consumer.

Steps are batches, publishes, settling at any size, merges of files, restarts, kills at any statement, changed
configurations, a clock that moves on, corrections, repetitions, delays, partitions that move and topics that are made
anew; at the end of some examples, what is old is deleted. After any steps, the published rows must be those that the
oracle makes of the events, and those of a store that got the same records and never settled or deleted anything. There
are few agents, few calls and few times, so that events collide. `python -m tests` runs it with new seeds until it is
stopped.
"""

import argparse
import contextlib
import datetime as dt
import json
import math
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ingest.events.batch import Batch, Partition
from ingest.publishing.publish import Moment
from ingest.rebuild import rebuild
from metrics.composition.grains import GRAINS
from metrics.configuration.campaigns import Configuration, Defaults, Term
from metrics.configuration.retention import Retention
from tests.support import oracle
from tests.support.doomed import Apply, Consumer, Death, Died, Publish, Retain
from tests.support.stories.floors import STORIES
from tests.support.stories.stream import PERSONS, Desk, Event, Message, campaign, configured, local, rows

# What may happen --------------------------------------------------------------------------------------------------

# A night in which Paris turns its clocks back, as in floors.py, and the two days after it
START = dt.datetime(2026, 10, 24, 20, tzinfo=dt.UTC)
ARRIVED = START + dt.timedelta(days=40)
CAMPAIGNS = ("paris", "kolkata", "unheard-of")
SOURCES = ("switch-1", "switch-2")
STATES = ("available", "paused")
CLOCK_H = (40, 100, 1, 6, 25, 400)  # hours from START at which as_of may be
WINDOWS_H = ((-1, 60), (0, 5), (4, 5), (5, 40), (-100, -90))

campaigns = st.sampled_from(CAMPAIGNS)
seconds = st.sampled_from((0, 10, 20, 60, 600, 0.000001))

KINDS = tuple(sorted({kind for story in STORIES for kind in story.split()}))
AGENT_OF = ("rang", "missed", "answered", "dialed")
REQUIRED: dict[str, dict[str, Any]] = {
    "queued": {"campaign": campaigns, "queue": st.sampled_from("ab")},
    "dialed": {"campaign": campaigns},
    "not_connected": {"reason": st.sampled_from(("no_answer", "busy"))},
    "left_queue": {"reason": st.sampled_from(tuple(oracle.VISITS))},
    "rated": {"score": st.integers(1, 5)},
}
OPTIONAL: dict[str, dict[str, Any]] = {
    "queued": {
        "direction": st.sampled_from(("inbound", "callback", "outbound")),
        "channel": st.sampled_from(("voice", "chat")),
        "language": st.sampled_from(("fr", "es")),
        "priority": st.integers(0, 2),
        "caller": st.sampled_from(("+33612345678", "1234")),
        "linked_id": st.just("l"),
    },
    "dialed": {
        "queue": st.just("c"),
        "callee": st.just("+34612345678"),
        "consent": st.sampled_from(("consent", "contract", "none")),
    },
    "connected": {"answered_by": st.sampled_from(("human", "machine"))},
    "answered": {"wait_unknown": st.booleans()},
    "abandoned": {"wait_unknown": st.booleans()},
    "left_queue": {"wait_unknown": st.booleans()},
    "ended": {"ended_by": st.sampled_from(("customer", "agent", "system"))},
    "wrapped": {
        "sale": st.booleans(),
        "disposition": st.sampled_from("xy"),
        "amount": st.sampled_from((9.5, 20)),
        "currency": st.just("EUR"),
    },
}


@dataclass(frozen=True)
class Words:
    """What the events of an example are made of: the fewer values, the more events collide."""

    agents: tuple[str, ...] = ("ana", "bob")
    calls: int = 5
    stories: tuple[str, ...] = STORIES
    kinds: tuple[str, ...] = KINDS
    states: tuple[str, ...] = ("available", "busy", "wrap_up", "paused", "offline")
    hours: tuple[float, ...] = (0, 0.5, 4.5, 5, 24)
    shares: tuple[int, int, int] = (4, 2, 1)  # of calls, states and single events
    aim: str = ""  # the type of event that is corrected most

    def __post_init__(self) -> None:
        agents, calls = st.sampled_from(self.agents), st.integers(0, self.calls - 1).map("c{}".format)
        instants = st.builds(
            lambda hours, s: START + dt.timedelta(hours=hours, seconds=s), st.sampled_from(self.hours), seconds
        )

        @st.composite
        def step(draw: st.DrawFn, kind: str, call_id: str, ts: dt.datetime, agent: str) -> Event:
            event: Event = draw(st.fixed_dictionaries(REQUIRED.get(kind, {}), optional=OPTIONAL.get(kind, {})))
            if kind in ("rang", "missed") or (kind in AGENT_OF and draw(st.integers(0, 5)) != 5):
                event["agent"] = agent
            return {"type": f"call.{kind}", "call_id": call_id, "ts": ts.isoformat()} | event

        @st.composite
        def single(draw: st.DrawFn) -> Event:
            return draw(step(draw(st.sampled_from(self.kinds)), draw(calls), draw(instants), draw(agents)))

        lasting = st.sampled_from((360, 7_200, 100_000))

        @st.composite
        def state(draw: st.DrawFn) -> Event:
            event = {"type": "agent.state", "agent": draw(agents), "state": draw(st.sampled_from(self.states))}
            optional = {"campaign": campaigns, "reason": st.just("lunch"), "lasts_s": lasting}
            event |= draw(st.fixed_dictionaries({}, optional=optional))
            return event | {"ts": draw(instants).isoformat()}

        @st.composite
        def profile(draw: st.DrawFn) -> Event:
            of = {"name": st.sampled_from(("Ana", "Bob")), "team": st.just("red"), "campaign": campaigns}
            fields = st.fixed_dictionaries({}, optional=of)
            return {"type": "agent.profile", "agent": draw(agents), "ts": draw(instants).isoformat()} | draw(fields)

        @st.composite
        def call(draw: st.DrawFn) -> list[Event]:
            """Draw the usual course of a call, with some steps left out."""
            call_id, agent, moment = draw(calls), draw(agents), draw(instants)
            events = []
            for kind in draw(st.sampled_from(self.stories)).split():
                if draw(st.integers(0, 9)) != 9:
                    events.append(draw(step(kind, call_id, moment, agent)))
                moment += dt.timedelta(seconds=draw(seconds))
            return events

        of_calls, of_states, of_single = self.shares
        new = st.one_of(
            *[call()] * of_calls,
            *[st.lists(state(), min_size=1, max_size=3)] * of_states,
            *[single().map(lambda event: [event])] * of_single,
            profile().map(lambda event: [event]),
        )
        other_ts = instants.map(lambda ts: {"ts": ts.isoformat()})
        other_agent = st.sampled_from((*self.agents, "eve")).map(lambda agent: {"agent": agent})
        other_call = calls.map(lambda call_id: {"call_id": call_id})
        change = st.one_of(other_ts, other_ts, other_agent, other_agent, other_call, single(), state())
        # which event, of what type, the change, and by how much its revision grows
        types = st.sampled_from((self.aim, self.aim, ""))
        correction = st.tuples(st.integers(0, 99), types, change, st.sampled_from((1, 1, 1, 0, -1)))
        self.__dict__["beginnings"] = st.lists(new, min_size=3, max_size=6)
        self.__dict__["news"] = st.lists(st.one_of(new, new, new, correction), min_size=1, max_size=4)
        self.__dict__["corrections"] = st.lists(st.one_of(correction, correction, new), min_size=1, max_size=4)


UNENDED = ("queued answered", "queued answered", "queued answered ended")
ENDS = Words(("ana",), 6, UNENDED, ("answered",), ("available", "busy"), (0, 0.5), (6, 1, 1), "call.answered")
WORDS = {
    "ends of one agent": ENDS,
    "ends": replace(ENDS, agents=("ana", "bob"), calls=8, kinds=("answered", "answered", "transferred")),
    "states": Words(hours=(0, 4.5, 12, 16.5, 24, 28.5), shares=(1, 6, 0), aim="agent.state"),
    "dialled": Words(stories=tuple(story for story in STORIES if "dialed" in story)),
    "one day": Words(calls=3, hours=(0, 0.5)),
    "everything": Words(),
}
FORMULAS = ("exclude_short", "all_offered", "answered_only", "abandon_counts_as_success")
# two of them occur twice
TURNS = (None, local("2026-10-25 02:30"), local("2026-10-25 02:00"), local("2026-10-26 00:00"))


@cache
def configuration_of(number: int) -> Configuration:
    """Return one of CONFIGURATIONS; they differ in zones, terms and all limits."""

    def choose(*options: Any) -> Any:
        nonlocal number
        number, which = divmod(number, len(options))
        return options[which]

    turn, give_up_after_s = choose(*TURNS), choose(600.0, 14_400.0)
    before = Term(formula=choose(*FORMULAS), threshold_s=choose(20.0, 10.0), short_abandon_s=choose(10.0, 0.0))
    after = Term(valid_from=turn, formula=choose(*FORMULAS), wait_at_threshold_counts=False, short_abandon_s=21.0)
    defaults = Defaults(
        max_state_s=choose(43_200.0, 1_800.0, 86_400.0),
        lateness_s=choose(0.0, 900.0, 7_200.0),
        timezone=choose("UTC", "America/New_York"),
    )
    return configured(
        campaign(
            "paris",
            choose("Europe/Paris", "UTC"),
            *((replace(before, valid_to=turn), after) if turn else (before,)),
            give_up_after_s=give_up_after_s,
        ),
        campaign("kolkata", "Asia/Kolkata", Term(formula="ignore_abandons_in_threshold")),
        defaults=defaults,
    )


CONFIGURATIONS = 4 * 2 * 4 * 2 * 2 * 4 * 3 * 3 * 2 * 2
configurations = st.integers(0, CONFIGURATIONS - 1)
sizes = st.sampled_from((1, 1, 1, 1, 2, 8, 1_000))
News = list[Event] | tuple[int, str, Event, int]
beginnings = (
    st.runner()
    .flatmap(lambda machine: st.sampled_from(machine.vocabulary))
    .flatmap(lambda name: st.tuples(st.just(name), WORDS[name].beginnings))
)
news = st.runner().flatmap(lambda machine: machine.words.news)
corrections = st.runner().flatmap(lambda machine: machine.words.corrections)
digits = st.integers(0, 999)
#: How a batch is stored: as usual, far behind, or as usual and published so many hours after START.
Then = int | str
thens = st.sampled_from((40, 40, 100, 6, "behind", "stored"))
deaths = st.one_of(
    *[st.none()] * 8,
    st.builds(Death, st.integers(0, 250)),
    st.builds(Death, st.integers(0, 250), after_s=st.sampled_from((0.0001, 0.001, 0.01))),
    st.builds(Death, st.integers(0, 2), st.sampled_from(("COMMIT", "COPY")), st.sampled_from((0.0001, 0.0005, 0.002))),
)


@dataclass(frozen=True)
class Ending:
    """What is deleted when an example ends; the consumer is killed at `death`. Then the store may be rebuilt."""

    kept: Retention
    death: Death | None
    is_rebuilt: bool


kept = [  # of the days of the events none, the first or all get old
    Retention(events=days, **dict.fromkeys(names, days))
    for days in (8, 5, 2)
    for names in ((), ("calls",), ("agent_states",))
]
endings = st.one_of(
    *[st.none()] * 3, st.builds(Ending, st.sampled_from(kept), deaths, st.integers(0, 2).map(lambda n: n == 2))
)


class Torture(RuleBasedStateMachine):
    """One consumer and its topic of two partitions."""

    vocabulary: Sequence[str] = tuple(WORDS)

    def __init__(self) -> None:
        super().__init__()
        self._home = tempfile.TemporaryDirectory()
        self._place = Path(self._home.name)
        self._partitions = {n: Partition("call-events", n, "cluster-1", "topic-1") for n in (0, 1)}
        self._records: dict[Partition, list[bytes]] = {partition: [] for partition in self._partitions.values()}
        self._positions: dict[Partition, int] = {}
        self._away: set[int] = set()
        self._stored: list[tuple[Partition, int, bytes]] = []  # every record read, as often as it was read
        self._contents: dict[str, Event] = {}  # the content of each event_id that was sent last
        self._ends: set[dt.datetime] = set()  # ends of calls that agents' next steps gave, as of the last publish
        self._at_most = 100  # records of a partition in a batch
        # up to when a partition that is behind has been read, as the Writer believes
        self._read_until: dt.datetime | None = None
        self._as_of = START
        self._consumer: Consumer | None = None
        self._unsettled: Desk | None = None  # a store that reads and publishes the same, and never settles anything
        self._unsettled_count = 0  # records of `_stored` that it has received
        self._is_sound = True

    # Steps

    @initialize(
        of=beginnings,
        digits=digits,
        then=thens,
        configuration=configurations,
        settle_rows=sizes,
        ending=endings,
    )
    def begin(
        self,
        of: tuple[str, Sequence[News]],
        digits: int,
        then: Then,
        configuration: int,
        settle_rows: int,
        ending: Ending | None,
    ) -> None:
        name, first = of
        self.words, self._ending = WORDS[name], ending
        self._configuration, self._settle_rows = configuration_of(configuration), settle_rows
        self._unsettled = Desk(self._place / "unsettled", self._configuration, settle_rows=1_000_000)
        self._open()
        self._deliver(first, digits, then, None)

    @rule(of=news, digits=digits, then=thens, death=deaths)
    def happen(self, of: Sequence[News], digits: int, then: Then, death: Death | None) -> None:
        """Mostly new events."""
        self._deliver(of, digits, then, death)

    @rule(of=corrections, digits=digits, then=thens, death=deaths)
    def correct(self, of: Sequence[News], digits: int, then: Then, death: Death | None) -> None:
        """Mostly corrections."""
        self._deliver(of, digits, then, death)

    @rule(of=corrections, digits=digits, then=thens, death=deaths)
    def correct_again(self, of: Sequence[News], digits: int, then: Then, death: Death | None) -> None:
        """Do the same as `correct`: hypothesis disables some rules in each example, and corrections should remain."""
        self._deliver(of, digits, then, death)

    def _deliver(self, of: Sequence[News], digits: int, then: Then, death: Death | None) -> None:
        """Send new events, and other contents under ids that were sent before; then read everything."""
        for what in of:
            if isinstance(what, tuple):
                self._correct(*what)
                continue
            for event in what:
                number = len(self._contents)
                digit = digits // 10 ** (number % 3) % 10  # ids are not in order of time
                self._send(event | {"event_id": f"{digit}-{number}", "source": SOURCES[digit % 2]}, number % 2)
        self._read(then, death)

    def _correct(self, which: int, kind: str, change: Event, step: int) -> None:
        alike = [event_id for event_id, event in self._contents.items() if kind in event["type"]]
        closing = [event_id for event_id in alike if oracle.instant(self._contents[event_id]["ts"]) in self._ends]
        alike = (closing if which % 2 else None) or alike
        if alike:
            before = self._contents[alike[which % len(alike)]]
            if "type" in change:
                before = {name: before[name] for name in ("event_id", "source", "revision") if name in before}
            revision = max(0, before.get("revision", 0) + step)
            self._send(before | change | {"revision": revision}, which // 2 % 2)

    def _read(self, then: Then, death: Death | None) -> None:
        """Store a batch with the next records of each assigned partition; then publish, if the clock moves on."""
        batch, taken = Batch(), []
        for number, partition in self._partitions.items():
            begin = self._positions.get(partition, 0)
            found = self._records[partition][begin : begin + self._at_most]
            if found and number not in self._away:
                offsets = range(begin, begin + len(found))
                batch.records[partition] = [
                    _message(partition, offset, value) for offset, value in zip(offsets, found, strict=True)
                ]
                batch.next_offsets[partition] = offsets.stop
                taken += [(partition, offset, value) for offset, value in zip(offsets, found, strict=True)]
        if taken:
            with self._step():
                moment = self._moment() if then == "behind" else None
                try:
                    self._alive().do(Apply(batch, moment), death)
                except Died:
                    self._open()
                    if {
                        partition: self._positions.get(partition, 0) for partition in batch.next_offsets
                    } != batch.next_offsets:
                        taken = []
                else:
                    self._positions |= batch.next_offsets
                self._stored += taken
        if isinstance(then, int):
            self._publish(then, None, None)

    @rule(
        hours=st.sampled_from(CLOCK_H),
        goes_back=st.integers(0, 5).map(lambda n: n == 5),
        changed=st.one_of(st.none(), st.none(), configurations),
        death=deaths,
    )
    def publish(self, hours: int, goes_back: bool, changed: int | None, death: Death | None) -> None:
        if goes_back:
            self._as_of = min(self._as_of, START + dt.timedelta(hours=hours))
        self._publish(hours, changed, death)

    def _publish(self, hours: int, changed: int | None, death: Death | None) -> None:
        """Publish after moving the clock on or back; then settle what can settle."""
        with self._step():
            self._as_of = max(self._as_of, START + dt.timedelta(hours=hours))
            new = None if changed is None else configuration_of(changed)
            self._configuration = new or self._configuration
            try:
                self._alive().do(Publish(self._moment(), new), death)
            except Died:
                self._open()
            else:
                self._check_rows()

    @rule(
        is_killed=st.booleans(),
        settle_rows=sizes,
        changed=st.one_of(st.none(), st.none(), st.none(), configurations),
        death=deaths,
    )
    def restart(self, is_killed: bool, settle_rows: int, changed: int | None, death: Death | None) -> None:
        """Stop or kill the consumer and start it again, with another configuration if that has changed meanwhile."""
        with self._step():
            self._settle_rows = settle_rows
            if changed is not None:
                self._configuration = configuration_of(changed)
            if is_killed:
                self._alive().kill()
            else:
                self._alive().close()
            try:
                self._open(death)
            except Died:
                self._open()

    @rule(what=st.sampled_from(("garbage", "repeat", "hand on", "make anew", "slow", "lag")), which=st.integers(0, 99))
    def disturb(self, what: str, which: int) -> None:
        """Do something rare to a partition."""
        partition = self._partitions[which % 2]
        match what:
            case "garbage":
                self._records[partition].append(b'{"event_id": "x"')
            case "repeat":  # in the other order
                sent = [record for records in self._records.values() for record in records]
                self._records[partition] += reversed(sent[which % (len(sent) + 1) :][:6])
            case "hand on":
                self._hand_on(which % 2)
            case "make anew":
                self._make_topic_anew()
            case "slow":
                self._at_most = (1, 3, 100)[which % 3]
            case "lag":
                hours = CLOCK_H[which % len(CLOCK_H)]
                self._read_until = START + dt.timedelta(hours=hours) if which % 2 else None

    def _hand_on(self, number: int) -> None:
        """Give a partition to another consumer, or take it back and read on from the position of this store."""
        with self._step():
            partition = self._partitions[number]
            if number in self._away:
                self._away.remove(number)
                self._positions[partition] = self._alive().positions([partition])[partition] or 0
            else:
                self._away.add(number)
                self._positions.pop(partition, None)

    def _make_topic_anew(self) -> None:
        """Delete the topic and make it anew; its sources send everything again."""
        again = {partition.number: records for partition, records in self._records.items()}
        number = _number(self._partitions[0]) + 1
        self._partitions = {n: Partition("call-events", n, "cluster-1", f"topic-{number}") for n in self._partitions}
        self._records = {partition: list(again[n]) for n, partition in self._partitions.items()}
        self._positions = {}

    def teardown(self) -> None:
        try:
            if self._is_sound and self._consumer is not None:
                self._finish()
        finally:
            if self._consumer is not None:
                self._consumer.kill()
            if self._unsettled is not None:
                self._unsettled.store.close()
            self._home.cleanup()

    def _finish(self) -> None:
        """Publish what settled last too, then compare all relations."""
        for _ in range(2):
            self._alive().do(Publish(self._moment()))
            self._check_rows()
        self._check_relations()
        if self._ending is not None:
            self._end(self._ending)

    def _end(self, ending: Ending) -> None:
        """Let the past get old, delete it, and check that nothing else changes."""
        self._away, self._at_most, self._read_until = set(), 1_000, None
        self._as_of = max(self._as_of, START + dt.timedelta(hours=CLOCK_H[-1]))
        self._alive().close()
        self._settle_rows = 1
        self._open()
        for day in range(9, 14):
            event = {"type": "agent.state", "agent": "zoe", "state": STATES[day % 2], "source": SOURCES[0]}
            self._send(event | {"event_id": f"end-{day}", "ts": (START + dt.timedelta(days=day)).isoformat()}, 0)
        self._read("stored", None)
        for _ in range(2):
            self._alive().do(Publish(self._moment()))
            self._check_rows()
        step = Retain(self._moment(), replace(self._configuration, retention=ending.kept))
        try:
            self._alive().do(step, ending.death)
        except Died:
            self._open()
            self._alive().do(Publish(self._moment()))
            self._check_what_stays(ending.kept)
            self._alive().do(step)
        self._alive().do(Publish(self._moment()))
        self._check_what_stays(ending.kept)
        self._alive().close()
        if ending.is_rebuilt:
            rebuild(self._place, self._configuration, PERSONS, lambda *_: None)
        self._open()
        self._alive().do(Publish(self._moment()))
        self._check_what_stays(ending.kept)

    def _check_what_stays(self, kept: Retention) -> None:
        """Compare everything that a deletion may not change with the store that never settles."""
        queries = everything(self._as_of)
        if kept.calls is not None:
            queries = {name: query for name, query in queries.items() if name not in OF_CALLS}
        if kept.agent_states is not None:
            queries = {name: query for name, query in queries.items() if name not in OF_AGENTS}
            queries["calls"] = "SELECT * EXCLUDE (agent, missed_by, offers) FROM calls ORDER BY ALL"
            # that somebody logged out long ago, and did not come back, is forgotten with the name
            lasts = "state = 'offline' AND ended_at IS NULL"
            queries["agent_states"] = f"SELECT * EXCLUDE (agent) FROM agent_states WHERE NOT ({lasts}) ORDER BY ALL"
        with self._published() as connection:
            self._check_unsettled(connection, queries)
            unconserved = "SELECT * FROM alarms WHERE kind != 'calls_in_no_campaign'"
            assert rows(connection, unconserved) == []

    # The consumer

    def _send(self, event: Event, number: int) -> None:
        self._contents[event["event_id"]] = event
        self._records[self._partitions[number]].append(json.dumps(event).encode())

    def _moment(self) -> Moment:
        return Moment(self._as_of, self._as_of, read_until=self._read_until)

    def _alive(self) -> Consumer:
        assert self._consumer is not None
        return self._consumer

    def _open(self, death: Death | None = None) -> None:
        self._consumer = Consumer(self._place, self._configuration, self._settle_rows, death)
        here = [partition for number, partition in self._partitions.items() if number not in self._away]
        self._positions = {partition: offset or 0 for partition, offset in self._consumer.positions(here).items()}

    @contextlib.contextmanager
    def _step(self) -> Iterator[None]:
        """Mark the machine as failed unless the step succeeds; then nothing more is checked."""
        self._is_sound = False
        yield
        self._is_sound = True

    # What must hold

    def _events(self) -> list[Event]:
        return [json.loads(value) for _, _, value in self._stored if _is_event(value)]

    def _check_rows(self) -> None:
        """Compare what was just published, and what is stored, with the events."""
        events = self._events()
        self._check_kept(events)
        self._publish_unsettled()
        expected = oracle.calls(events, self._configuration, self._as_of)
        timelines = oracle.agent_states(events, self._configuration, self._as_of)
        self._ends = {row["ended_at"] for row in expected.values() if row["inferred_end"] and row["ended_at"]}
        with self._published() as connection:
            found = rows(connection, "FROM calls ORDER BY call_id")
            assert_same("calls", found, [expected[call_id] for call_id in sorted(expected)], ("call_id",))
            found = rows(connection, "FROM agent_states ORDER BY agent, started_at")
            assert_same("agent_states", found, timelines, ("agent", "started_at"))
            self._check_unsettled(connection, PUBLISHED)
            (status,) = rows(connection, "FROM ingest_status")
            sources = rows(connection, "FROM feed_sources ORDER BY source")
            letters = rows(connection, 'SELECT "partition", "offset" FROM dead_letters')
            failing = rows(connection, "FROM conservation_checks WHERE conserved IS DISTINCT FROM true")
        counting = oracle.settled_events(events)
        assert failing == []
        right = {
            "records": len(self._stored),
            "events": len(counting),
            "duplicates": len(events) - len(counting),
            "dead_letters": len(self._stored) - len(events),
            "last_event_at": max((oracle.instant(event["ts"]) for event in events), default=None),
        }
        assert_same("ingest_status", [status], [right], ())
        assert sources == oracle.feed_sources(events)
        bad = [(partition.number, offset) for partition, offset, value in self._stored if not _is_event(value)]
        assert sorted((row["partition"], row["offset"]) for row in letters) == sorted(bad)

    def _check_kept(self, events: list[Event]) -> None:
        """Check that every event is stored once, archived or not, with the content that counts."""
        kept = self._alive().kept()
        twice = [event_id for event_id, times in Counter(event_id for event_id, _ in kept).items() if times > 1]
        assert twice == [], f"stored more than once: {twice}"
        contents = {event["event_id"]: event for event in oracle.settled_events(events)}
        assert {event_id: json.loads(raw) for event_id, raw in kept} == contents

    def _publish_unsettled(self) -> None:
        """Let the store that never settles anything read the same records, and publish as of now."""
        assert self._unsettled is not None
        new = enumerate(self._stored[self._unsettled_count :], self._unsettled_count)
        self._unsettled.apply([_message(partition, number, value) for number, (partition, _, value) in new], ARRIVED)
        self._unsettled_count = len(self._stored)
        self._unsettled.publisher.configure(self._configuration)  # this makes it judge everything again
        self._unsettled.publish(self._as_of)

    def _check_unsettled(self, published: duckdb.DuckDBPyConnection, queries: Mapping[str, str]) -> None:
        """Compare what was just published with what the store that never settles has published."""
        assert self._unsettled is not None
        for name, query in queries.items():
            assert_same(name, rows(published, query), self._unsettled.rows(query), ())

    def _check_relations(self) -> None:
        """Compare every KPI relation with the oracle, and every relation with the store that never settles."""
        with self._published() as connection:
            check_kpis(connection, oracle.floor(self._events(), self._configuration, self._as_of))
            self._check_unsettled(connection, everything(self._as_of))

    def _published(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self._place / "published" / "vigie.duckdb"), read_only=True, config={"threads": 1})


def _message(partition: Partition, offset: int, value: bytes) -> Message:
    """Make a record; a topic that was made anew has other times of arrival."""
    return Message(offset, round(ARRIVED.timestamp() + _number(partition)) * 1000, value)


def _number(partition: Partition) -> int:
    return int(partition.topic_id.rpartition("-")[2])


def _is_event(value: bytes) -> bool:
    return value.endswith(b"}")


# What must hold ----------------------------------------------------------------------------------------------------

#: Compared as a whole, so that a day, an agent or a source too many is seen too.
PLAIN = ("calls", "agent_states", "agents", "campaigns", "sla_terms", "feed_sources", "kpi_daily", "kpi_now")


def window(hours: tuple[float, float]) -> tuple[dt.datetime, dt.datetime]:
    t0, t1 = (START + dt.timedelta(hours=h) for h in hours)
    return t0, t1


#: What is made of calls, and what names agents: it changes when these are deleted.
OF_CALLS = {"calls", "kpi_agent", "kpi_agent_campaign", "agent_missed", "agent_strain"}
OF_AGENTS = OF_CALLS | {"agent_states", "agents", "agent_pauses"}

#: Compared after every publish.
PUBLISHED = {relation: f"FROM {relation} ORDER BY ALL" for relation in ("calls", "agent_states", "agents")}


def everything(as_of: dt.datetime) -> dict[str, str]:
    """Return queries on every relation whose rows depend on the events, the configuration and `as_of` only."""
    queries = {name: f"FROM {name} ORDER BY ALL" for name in PLAIN}
    queries["conservation_checks"] = "SELECT * EXCLUDE (checked_at) FROM conservation_checks ORDER BY ALL"
    queries["ingest_status"] = (
        "SELECT last_event_at, first_day, last_day, records, events, duplicates, dead_letters FROM ingest_status"
    )
    t0, t1 = (f"TIMESTAMPTZ '{instant}'" for instant in window(WINDOWS_H[0]))
    for macro in ("kpi_queue", "kpi_agent", "kpi_agent_campaign", "kpi_term", "agent_pauses", "agent_missed"):
        queries[macro] = f"FROM {macro}({t0}, {t1}) ORDER BY ALL"
    queries["agent_strain"] = f"FROM agent_strain(TIMESTAMPTZ '{as_of}') ORDER BY ALL"
    return queries


#: Columns that the oracle leaves out: names of agents, and the ends of intervals.
NAMES = {"name", "team", "site", "interval_end"}


def check_kpis(connection: duckdb.DuckDBPyConnection, floor: oracle.Floor) -> None:
    """Compare every row and column of the KPI relations with the oracle, in windows of several lengths."""
    for hours in WINDOWS_H:
        t0, t1 = window(hours)
        found = rows(connection, "FROM kpi_campaign($t0, $t1)", {"t0": t0, "t1": t1})
        campaigns = {
            (name,): oracle.kpis(floor.among(campaign=name), t0, t1) | oracle.contract(floor, name, t0, t1)
            for name in floor.campaigns
        }
        check_table(f"kpi_campaign {hours}", found, ("campaign",), campaigns)
    for hours in WINDOWS_H[:2]:
        t0, t1 = window(hours)
        expected = {
            "kpi_queue": (("campaign", "queue"), oracle.kpi_queue(floor, t0, t1)),
            "kpi_agent": (("agent",), oracle.kpi_agent(floor, t0, t1)),
            "kpi_agent_campaign": (("agent", "campaign"), oracle.kpi_agent_campaign(floor, t0, t1)),
            "kpi_term": (("campaign", "valid_from"), oracle.kpi_term(floor, t0, t1)),
        }
        for name, (keys, table) in expected.items():
            found = rows(connection, f"FROM {name}($t0, $t1)", {"t0": t0, "t1": t1})
            check_table(f"{name} {hours}", found, keys, table)
        for among in (None, ["paris", "unheard-of"]):
            query = "FROM kpi_total($t0, $t1, $among)"
            found = rows(connection, query, {"t0": t0, "t1": t1, "among": among})
            own = floor if among is None else floor.of_campaigns(among)
            check_table(f"kpi_total {hours}", found, (), {(): oracle.kpis(own, t0, t1)})
        found = rows(connection, "FROM kpi_formulas($t0, $t1)", {"t0": t0, "t1": t1})
        by_id = {call["call_id"]: call for call in floor.calls}
        formulas = {(name,): oracle.kpi_formulas(by_id, name, t0, t1) for name in floor.campaigns}
        check_table(f"kpi_formulas {hours}", found, ("campaign",), formulas)
    t0, t1 = window((3, 8))
    found = rows(connection, "FROM kpi_interval($t0, $t1, 45)", {"t0": t0, "t1": t1})
    check_table("kpi_interval", found, ("campaign", "interval_start"), oracle.kpi_interval(floor, t0, t1, 45))
    (status,) = rows(connection, "FROM ingest_status")
    check_table("kpi_now", rows(connection, "FROM kpi_now"), ("campaign",), oracle.kpi_now(floor))
    found = rows(connection, "FROM kpi_daily")
    if status["first_day"] is None:
        assert found == []
    else:
        days = oracle.kpi_days(floor, status["first_day"], status["last_day"] + dt.timedelta(days=1))
        check_table("kpi_daily", found, ("campaign", "day"), days)


def check_table(name: str, found: list[Event], keys: Sequence[str], expected: dict[tuple[Any, ...], Event]) -> None:
    """Check that the rows have the expected keys, and every column the oracle's value."""
    there = {tuple(row[key] for key in keys): row for row in found}
    assert there.keys() == expected.keys(), (
        f"{name}: missing or extra rows {sorted(map(str, there.keys() ^ expected.keys()))}"
    )
    assert len(found) == len(there), f"{name}: duplicate keys"
    unknown = {*GRAINS[name.split()[0]].columns} if name.split()[0] in GRAINS else set()
    for key, row in there.items():
        assert unknown <= expected[key].keys(), f"{name}: the oracle does not know {unknown - expected[key].keys()}"
        for column, value in row.items():
            if column not in keys and column not in NAMES:
                right = expected[key][column]
                assert alike(value, right), f"{name} {key}: {column} is {value}, should be {right}"


def assert_same(name: str, found: list[Event], expected: list[Event], keys: Sequence[str]) -> None:
    """Compare row by row every column that both sides have."""
    if keys:
        there, right = ([tuple(row[key] for key in keys) for row in table] for table in (found, expected))
        assert there == right, f"{name}: keys are {there}, should be {right}"
    assert len(found) == len(expected), f"{name}: {found}, should be {expected}"
    for row, own in zip(found, expected, strict=True):
        for column in row.keys() & own.keys():
            where = [row[key] for key in keys] or row
            assert alike(row[column], own[column]), (
                f"{name} {where}: {column} is {row[column]}, should be {own[column]}"
            )


def alike(found: Any, expected: Any) -> bool:
    if isinstance(found, float | int) and isinstance(expected, float | int) and not isinstance(found, bool):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-6)
    return bool(found == expected)


# Run for as long as you like -----------------------------------------------------------------------------------------

STEPS = 14
EXAMPLES = 20


def run(number: int, examples: int = EXAMPLES, *, steps: int = STEPS, shrinks: bool = True, of: str = "") -> None:
    """Run the examples of a seed, always the same for the same number; raise the error of the first that fails.

    `of` names the vocabulary of all examples, else each has its own. With `shrinks` a failing example is minimised.
    """
    machine = type("Torture", (Torture,), {"vocabulary": (of,) if of else tuple(WORDS)})
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(machine), settings=how)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests", description="Stress-test a store until it fails.")
    parser.add_argument("--minutes", type=float, default=math.inf, help="default: until Ctrl-C")
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help=f"examples per seed (default {EXAMPLES})")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"steps per example (default {STEPS})")
    parser.add_argument("--words", choices=WORDS, default="", help="vocabulary of all events (default: each in turn)")
    parser.add_argument("--as-found", action="store_true", help="show a failing example at once, without minimising it")
    parser.add_argument("--kills", type=int, help="instead, kill a consumer that reads a broker this many times")
    given = parser.parse_args()
    if given.kills:
        from tests.support import kills  # it imports whole programs, which the steps above need not

        sys.exit(kills.main(given.kills, given.seed))
    how = {"steps": given.steps, "shrinks": not given.as_found, "of": given.words}
    began, count = time.monotonic(), 0
    with contextlib.suppress(KeyboardInterrupt):
        while time.monotonic() - began < given.minutes * 60:
            number = random.SystemRandom().randrange(10**9) if given.seed is None else given.seed
            report(f"seed {number}: {count} examples so far, {(time.monotonic() - began) / 60:.1f} min")
            try:
                run(number, given.examples, **how)
            except Exception:
                traceback.print_exc()
                report(again(number, given.examples, given.steps, given.words))
                sys.exit(1)
            count += given.examples
            if given.seed is not None:
                break
    report(f"{count} examples, none failed")


def again(number: int, examples: int = EXAMPLES, steps: int = STEPS, of: str = "") -> str:
    """Return how to run the examples of a seed again and minimise the failing one."""
    words = f" WORDS='{of}'" if of else ""
    return f"Seed {number} fails. Again: make torture SEED={number} EXAMPLES={examples} STEPS={steps}{words}"


def report(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
