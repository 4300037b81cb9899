"""The lines of a queue_log that are about calls: each gives the events that follow from it and the lines before."""

import datetime as dt
from typing import Any

from ingest.events.contract import EARLIEST
from ingest.sources.asterisk import beginnings
from ingest.sources.asterisk.agents import Agents, result_named, wrapped
from ingest.sources.asterisk.durations import began_at, talk_s, wait_s
from ingest.sources.asterisk.queue_log import Entry
from ingest.sources.asterisk.verbs import ENDED_BY, HOLDS, REFUSED
from ingest.sources.asterisk.visits import ROUNDING, Visit, Visits
from ingest.sources.events import Event, Unreadable, event
from ingest.sources.names import Names

UNKNOWN_BEGINNING = (
    "The first line of a call has an unknown event, so the call is in no campaign and in no figure; "
    "send the line that the call begins with, or report the event so that it can be read."
)


class PartlyRead(Unreadable):
    """A line that is unreadable, though `events` follow from it."""

    def __init__(self, reason: str, events: list[Event]) -> None:
        super().__init__(reason)
        self.events = events


class Calls:
    """Keeps the calls of a log from line to line, and tells `agents` who talks."""

    def __init__(self, source: str, names: Names, agents: Agents) -> None:
        self._names = names
        self._agents = agents
        self._visits = Visits(source)
        self._dialing: set[str] = set()  # queues whose calls a dialer makes
        self.inferred = 0  # calls whose beginning no line gave
        self.unreachable = 0  # offers to telephones that could not be rung

    def remembered(self) -> dict[str, Any]:
        """The state that is needed to read on after this line."""
        return {"visits": self._visits.remembered(), "dialing": sorted(self._dialing)}

    def recall(self, remembered: dict[str, Any]) -> None:
        self._visits.recall(remembered["visits"])
        self._dialing = set(remembered.get("dialing", ()))

    # A call begins

    def enter(self, entry: Entry) -> list[Event]:
        visit, left = self._visits.enter(entry)
        caller = beginnings.caller(entry) if entry.event == "ENTERQUEUE" else ""
        return [*self._go_on_from(left, entry), beginnings.queued(visit, self._names, caller)]

    def reach(self, entry: Entry) -> list[Event]:
        """A dialer hands over a call that somebody picked up."""
        visit, left = self._visits.enter(entry)
        self._dialing.add(entry.queue)
        return [*self._go_on_from(left, entry), *beginnings.reached(visit, self._names, entry.data_field(2))]

    def dial(self, entry: Entry) -> list[Event]:
        """A call that an agent dialed is over."""
        if not entry.data_field(1):
            raise Unreadable("OUTCALL without its status; nothing says whether somebody picked up.")
        visit, _ = self._visits.enter(entry)
        visit.state = "over"
        events = beginnings.dialed_by_agent(visit, self._names, entry)
        if entry.data_field(1).upper() != "ANSWER":
            return events
        visit.state, visit.agent, visit.answer = "talking", self._agent(entry), "read"
        since = entry.at - dt.timedelta(seconds=entry.number(2))
        return self._finished(entry, visit, [*events, *self._agent_talked(visit, since, entry)])

    def note_unknown(self, entry: Entry) -> None:
        """A line has an unknown event. Raises PartlyRead when it is the first of its call, which so stays unplaced."""
        if not self._visits.is_new(entry):
            return
        visit = self._visits.waiting(entry)
        visit.beginning = "unknown"
        # makes the call known, and changes nothing else: nothing was on hold
        known = event("call.resumed", entry.at, visit.call_id, "unknown", call_id=visit.call_id, inferred=True)
        raise PartlyRead(UNKNOWN_BEGINNING, [known])

    def _infer_beginning(self, visit: Visit, entry: Entry) -> list[Event]:
        """The beginning of a call that no line gave, counted back from this one if it says how long the call lasted."""
        began = began_at(entry)
        if visit.beginning != "no" or began is None:
            return []
        visit.beginning, visit.entered_at = "inferred", began
        self.inferred += 1
        cut = [event for talk in self._visits.talks_before(entry, visit) for event in self._cut(talk, began)]
        if visit.queue in self._dialing:
            return [*cut, *beginnings.reached(visit, self._names, is_inferred=True)]
        return [*cut, beginnings.queued(visit, self._names, is_inferred=True)]

    def _go_on_from(self, left: Visit | None, entry: Entry) -> list[Event]:
        """A caller enters a queue. If they were in another queue before, that queue passed them on: an overflow."""
        if left is None:
            return []
        if left.state == "waiting":  # moved by something other than the queue, which is not logged
            return [self._left(left, entry.at, "overflow")]
        if left.state == "talking":
            return self._cut(left, entry.at)
        put_out_at, left.put_out_at = left.put_out_at, None
        return [self._left(left, put_out_at, "overflow", revision=1)] if put_out_at else []

    def _cut(self, visit: Visit, at: dt.datetime) -> list[Event]:
        """The caller enters another queue, so the talk is over, though no line said so; if one comes, it counts."""
        visit.state, visit.ended_at, visit.is_cut = "over", at, True
        ended = event("call.ended", at, visit.call_id, "ended", call_id=visit.call_id, inferred=True)
        return [ended, *self._free(visit, at), *self._outcome(visit)]

    def _left(self, visit: Visit, at: dt.datetime, reason: str, revision: int | None = None) -> Event:
        visit.state = "over"
        return event(
            "call.left_queue",
            at,
            visit.call_id,
            "left",
            call_id=visit.call_id,
            reason=reason,
            revision=revision,
        )

    def refuse(self, entry: Entry) -> list[Event]:
        reason = REFUSED[entry.event]
        if self._visits.is_waiting(entry):  # refused after all
            return [self._left(self._visits.waiting(entry), entry.at, reason)]
        return [*self.enter(entry), self._left(self._visits.waiting(entry), entry.at, reason)]

    # A caller stops waiting without an agent

    def abandon(self, entry: Entry) -> list[Event]:
        visit = self._waiting(entry)
        began = self._infer_beginning(visit, entry)
        visit.state = "over"
        return [*began, event("call.abandoned", entry.at, visit.call_id, "abandoned", call_id=visit.call_id)]

    def leave(self, entry: Entry, reason: str) -> list[Event]:
        visit = self._waiting(entry)
        return [*self._infer_beginning(visit, entry), self._left(visit, entry.at, reason)]

    def remove(self, entry: Entry, reason: str, leads_to: str) -> list[Event]:
        """The queue removed its caller. `leads_to` differs from `reason` when the map says where the caller goes."""
        visit = self._waiting(entry)
        visit.put_out_at = entry.at if leads_to == reason else None
        return self.leave(entry, leads_to)

    def _waiting(self, entry: Entry) -> Visit:
        visit = self._visits.waiting(entry)
        if visit.answer != "no":
            raise Unreadable(f"{entry.event} of a call that an agent had answered; it counts as answered.")
        return visit

    # An agent is offered a call and talks

    def ring(self, entry: Entry) -> list[Event]:
        visit, rang_at = self._visits.waiting(entry), self._rang_at(entry, entry.number(1) / 1000)
        return [
            self._offer("call.rang", rang_at, visit, entry),
            *self._agents.ring(rang_at, entry.at, entry.agent, self._names.campaign(entry.queue)),
        ]

    def fail_to_ring(self, entry: Entry) -> list[Event]:
        """Nobody picked up; but a telephone that did not ring, because it is off or busy, is not missed by anybody."""
        rang_ms = entry.seconds(1)
        if rang_ms is None or self._agents.could_ring(entry.agent, rang_ms):
            return self.miss(entry)
        self.unreachable += 1
        return [self._offer("call.rang", entry.at, self._visits.waiting(entry), entry, unreachable=True)]

    def miss(self, entry: Entry) -> list[Event]:
        missed = self._offer("call.missed", entry.at, self._visits.waiting(entry), entry)
        return [missed, *self.ring(entry)]

    def answer(self, entry: Entry) -> list[Event]:
        visit = self._visits.waiting(entry)
        began = self._infer_beginning(visit, entry)
        rang_at, agent = self._rang_at(entry, entry.number(3)), self._agent(entry)
        rang = [self._offer("call.rang", rang_at, visit, entry)] if agent else []
        events = [*began, *rang, beginnings.answered(visit, entry.at, agent)]
        if visit.state == "over" and visit.answer == "inferred":  # the end of this talk was read before
            visit.answer = "read"
            return events
        was_out = visit.state == "over" and visit.answer == "no"
        visit.state, visit.agent, visit.answer, visit.answered_at = "talking", agent, "read", entry.at
        if agent:
            campaign = self._names.campaign(entry.queue)
            events += self._end_older_talks(entry, visit)
            events += self._agents.answer(rang_at, entry.agent, entry.queue, visit.call_id, campaign)
        if was_out:
            raise PartlyRead("CONNECT of a call that had left its queue; it counts as answered.", events)
        return _checked(entry, events, wait_s(entry), visit.entered_at if visit.beginning == "read" else None)

    def _end_older_talks(self, entry: Entry, visit: Visit) -> list[Event]:
        """An agent has one caller at a time: whoever they talked with before was handed on, and no line said so."""
        older = self._agents.hand_on(entry.agent, visit.call_id)
        outcomes = [e for id in older for visit in self._visits.hand_on(id, entry.at) for e in self._outcome(visit)]
        ends = [event("call.ended", entry.at, id, "handed_on", call_id=id, inferred=True) for id in older]
        return [*ends, *outcomes]

    def _rang_at(self, entry: Entry, seconds: float) -> dt.datetime:
        """When the ringing began, not before the call entered the queue."""
        rang_at, visit = entry.at - dt.timedelta(seconds=seconds), self._visits.waiting(entry)
        return rang_at if visit.beginning == "no" else max(rang_at, visit.entered_at)

    def _offer(self, type: str, at: dt.datetime, visit: Visit, entry: Entry, **fields: Any) -> Event:
        agent = self._names.agent(entry.agent)
        identity = (visit.call_id, type, agent, entry.at.isoformat())
        return event(type, at, *identity, call_id=visit.call_id, agent=agent, **fields)

    def hold(self, entry: Entry) -> list[Event]:
        visit = self._visits.in_talk(entry, self._agent(entry))
        type, was_held = HOLDS[entry.event], visit.is_held
        visit.is_held = type == "call.held"
        events = [event(type, entry.at, visit.call_id, type, entry.at.isoformat(), call_id=visit.call_id)]
        if type == "call.resumed" and not was_held and entry.number(1):  # it says how long the hold lasted
            at = max(entry.at - dt.timedelta(seconds=entry.number(1)), visit.answered_at or EARLIEST)
            held = (visit.call_id, "call.held", at.isoformat())
            events.insert(0, event("call.held", at, *held, call_id=visit.call_id, inferred=True))
            return _checked(entry, events, entry.seconds(1), visit.answered_at)
        return events

    def name_outcome(self, entry: Entry) -> list[Event] | None:
        """The agent names the result of a call, in the talk or after it; None if no such talk is known."""
        agent = self._agent(entry)
        visit = self._visits.talk_of(entry, agent) if agent else None
        if visit is None or not entry.data_field(1):
            return None
        visit.outcome = (entry.at, entry.data_field(1))
        return self._outcome(visit)

    def _outcome(self, visit: Visit) -> list[Event]:
        """The result of a talk that is over, if the agent named one, unless the end of their wrap-up will tell it.

        It says nothing of the wrap-up: that ends with the talk until a line or the map says otherwise.
        """
        if visit.outcome is None or visit.ended_at is None or visit.agent is None:
            return []
        (named_at, outcome), visit.outcome = visit.outcome, None
        if self._agents.name_result(visit.agent, visit.call_id, outcome):
            return []
        at = max(visit.ended_at, named_at)
        return [wrapped(visit.call_id, visit.ended_at), result_named(visit.call_id, at, outcome, named_at)]

    def end(self, entry: Entry) -> list[Event]:
        visit, lost = self._talk(entry)
        fields = {"call_id": visit.call_id, "ended_by": ENDED_BY[entry.event], "revision": 1 if visit.is_cut else None}
        ended = event("call.ended", entry.at, visit.call_id, "ended", **fields)
        return self._finished(entry, visit, [*lost, ended])

    def transfer(self, entry: Entry) -> list[Event]:
        visit, lost = self._talk(entry)
        to: dict[str, Any] = {"warm": entry.event == "ATTENDEDTRANSFER"}
        if not to["warm"] and entry.data_field(1):
            is_queue = self._names.knows_queue(entry.data_field(1))
            to["to_queue" if is_queue else "to_number"] = entry.data_field(1)
        # after a talk that was cut, in place of the end that was inferred
        place, revision = ("ended", 1) if visit.is_cut else ("transferred", None)
        fields = {"call_id": visit.call_id, "revision": revision, **to}
        transferred = event("call.transferred", entry.at, visit.call_id, place, **fields)
        return self._finished(entry, visit, [*lost, transferred])

    def _talk(self, entry: Entry) -> tuple[Visit, list[Event]]:
        """The visit whose talk ends here, and what no line said of it before: its beginning and its answer."""
        agent = self._agent(entry)
        visit = self._visits.talking(entry, agent)
        events = self._infer_beginning(visit, entry)
        if visit.state != "waiting":
            return visit, events
        answered_at = self._answered_at(visit, entry)
        if answered_at is None:
            raise Unreadable(f"{entry.event} without the duration of the talk, and no CONNECT came before it.")
        visit.state, visit.agent, visit.answer = "talking", agent, "inferred"
        events.append(beginnings.answered(visit, answered_at, agent, is_inferred=True))
        return visit, events + self._agent_talked(visit, answered_at, entry)

    def _agent_talked(self, visit: Visit, since: dt.datetime, entry: Entry) -> list[Event]:
        if not entry.has_agent():
            return []
        campaign = self._names.campaign(entry.queue)
        return self._agents.talked(since, entry.at, entry.agent, entry.queue, visit.call_id, campaign)

    def _answered_at(self, visit: Visit, entry: Entry) -> dt.datetime | None:
        """When the talk that ends here began, counted back; not before the call did."""
        talked = talk_s(entry)
        if talked is None:
            return None
        answered_at = entry.at - dt.timedelta(seconds=talked)
        return answered_at if visit.beginning == "no" else max(answered_at, visit.entered_at)

    def _finished(self, entry: Entry, visit: Visit, events: list[Event]) -> list[Event]:
        """The `events` of the line that ends a talk, and what follows from it. Raises PartlyRead if lines disagree."""
        if visit.state == "over":
            visit.ended_at = entry.at if visit.is_cut else visit.ended_at
            return events
        agent, answered_by = self._agent(entry), visit.agent
        visit.state, visit.ended_at, visit.agent = "over", entry.at, answered_by or agent
        events = [*events, *self._free(visit, entry.at), *self._outcome(visit)]
        if agent and answered_by and agent != answered_by:
            raise PartlyRead(f"{entry.event} names another agent than the answer; the call is the first one's.", events)
        return _checked(entry, events, talk_s(entry), visit.answered_at if visit.answer == "read" else None)

    def _free(self, visit: Visit, at: dt.datetime) -> list[Event]:
        """Whoever talked is free, or works on after the call."""
        if visit.agent is None:
            return []
        campaign, queue = self._names.campaign(visit.queue), self._names.queue(visit.queue)
        return self._agents.end_talk(at, visit.agent, visit.call_id, campaign, queue.wrap_up_s)

    def _agent(self, entry: Entry) -> str | None:
        return self._names.agent(entry.agent) if entry.has_agent() else None

    # The switch itself

    def start_again(self, entry: Entry) -> list[Event]:
        """Asterisk was started, so all calls before that have ended."""
        events = []
        for visit in self._visits.unfinished():
            if visit.state == "waiting":
                events.append(self._left(visit, entry.at, "system"))
            else:
                visit.state, visit.ended_at = "over", entry.at
                fields = {"call_id": visit.call_id, "ended_by": "system"}
                events += [event("call.ended", entry.at, visit.call_id, "ended", **fields), *self._outcome(visit)]
        return events + self._agents.drop_calls(entry.at)


def _checked(entry: Entry, events: list[Event], stated_s: float | None, since: dt.datetime | None) -> list[Event]:
    """The events of a line. Raises PartlyRead with them if it says that something lasted from before it began."""
    if stated_s is not None and since is not None and dt.timedelta(seconds=stated_s) > entry.at - since + ROUNDING:
        raise PartlyRead(
            f"{entry.event} says more seconds than passed since the line of the beginning; the times of the lines "
            "count, but one of the two is wrong.",
            events,
        )
    return events
