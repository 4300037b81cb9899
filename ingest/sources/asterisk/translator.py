"""Translates the lines of a queue_log into events of the contract. docs/sources.md has the table of all of them."""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

from ingest.sources.asterisk.agents import Agents
from ingest.sources.asterisk.queue_log import NOBODY, Entry
from ingest.sources.asterisk.visits import Visit, Visits
from ingest.sources.events import Event, Unreadable, event
from ingest.sources.names import Names

log = logging.getLogger(__name__)

NOT_A_NUMBER = ("", "unknown", "anonymous", "restricted", "unavailable", "<unknown>")

# events for callers who are refused before they wait, and the reason
REFUSED = {
    "JOINEMPTY": "no_agents",
    "CLOSED": "closed",
    "FULL": "full",
    "DIVERT_CA_RATIO": "overflow",
    "DIVERT_HOLDTIME": "overflow",
}
# events for callers who waited and are removed from the queue because its last agent left
EMPTY = ("EXITEMPTY", "LEAVEEMPTY")
ENDED_BY = {"COMPLETEAGENT": "agent", "COMPLETECALLER": "customer"}
TRANSFERS = ("TRANSFER", "BLINDTRANSFER", "ATTENDEDTRANSFER")
# lines for which the contract has no event
SILENT = ("CONFIGRELOAD", "DID")


class Translator:
    """Takes the lines of a log in order; each line gives the events that follow from it and the lines before."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._visits = Visits(source)
        self._agents = Agents(source, names)
        self.unknown: dict[str, int] = {}  # events that we do not know, and how often each came
        self._handlers: dict[str, Callable[[Entry], list[Event]]] = {
            "ENTERQUEUE": self._enter,
            **dict.fromkeys(REFUSED, self._refuse),
            "ABANDON": self._abandon,
            "EXITWITHTIMEOUT": lambda e: self._remove(e, "timeout", self._names.queue(e.queue).on_timeout),
            **dict.fromkeys(EMPTY, lambda e: self._remove(e, "system", self._names.queue(e.queue).on_empty)),
            "SYSCOMPAT": lambda e: [self._left(self._visits.waiting(e), e.at, "system")],
            "EXITWITHKEY": self._press_key,
            "RINGNOANSWER": self._miss,
            "AGENTDUMP": self._miss,
            "RINGCANCELED": self._ring,
            "CONNECT": self._answer,
            **dict.fromkeys(ENDED_BY, self._end),
            **dict.fromkeys(TRANSFERS, self._transfer),
            "ADDMEMBER": self._join,
            "REMOVEMEMBER": lambda e: self._agents.leave(e.at, e.agent, e.queue),
            "PAUSE": lambda e: self._agents.pause(e.at, e.agent, e.queue, self._reason(e)),
            "UNPAUSE": lambda e: self._agents.unpause(e.at, e.agent, e.queue),
            "PAUSEALL": lambda e: self._agents.pause_all(e.at, e.agent, True, self._reason(e)),
            "UNPAUSEALL": lambda e: self._agents.pause_all(e.at, e.agent, False, None),
            "AGENTLOGIN": lambda e: self._agents.log_in(e.at, e.agent),
            "AGENTCALLBACKLOGIN": lambda e: self._agents.log_in(e.at, e.agent),
            "AGENTLOGOFF": lambda e: self._agents.log_off(e.at, e.agent),
            "AGENTCALLBACKLOGOFF": lambda e: self._agents.log_off(e.at, e.agent),
            "WRAPUPSTART": lambda e: self._agents.wrap_up(e.at, e.agent, e.number(1)),
            "QUEUESTART": self._start,
        }

    def take(self, entry: Entry) -> list[Event]:
        """The events of a line; raises Unreadable when the line lacks what its event needs."""
        handler = self._handlers.get(entry.event)
        if handler is None:
            if entry.event not in SILENT:
                self._note_unknown(entry.event)
            return []
        self._check(entry)
        return self.pass_time(entry.at) + handler(entry)

    def pass_time(self, now: dt.datetime) -> list[Event]:
        """The events that happen until `now` without a line."""
        return self._agents.pass_time(now)

    def remembered(self) -> dict[str, Any]:
        """The state that is needed to read on after this line."""
        return {"visits": self._visits.remembered(), "agents": self._agents.remembered()}

    def recall(self, remembered: dict[str, Any]) -> None:
        self._visits.recall(remembered["visits"])
        self._agents.recall(remembered["agents"])

    def _check(self, entry: Entry) -> None:
        if entry.event in OF_CALLS and (entry.callid in NOBODY or entry.queue in NOBODY):
            raise Unreadable(f"{entry.event} without a call or a queue.")
        if entry.event in OF_AGENTS and not entry.has_agent():
            raise Unreadable(f"{entry.event} without an agent.")
        if entry.event in OF_QUEUES and entry.queue in NOBODY:
            raise Unreadable(f"{entry.event} without a queue.")

    def _note_unknown(self, name: str) -> None:
        if name not in self.unknown:
            log.warning("%s: unknown event %r; its lines are skipped", self._source, name[:80])
        self.unknown[name] = self.unknown.get(name, 0) + 1

    # A caller waits

    def _enter(self, entry: Entry) -> list[Event]:
        visit, left = self._visits.enter(entry)
        return [*self._go_on_from(left, entry.at), self._queued(visit, entry)]

    def _queued(self, visit: Visit, entry: Entry) -> Event:
        queue = self._names.queue(entry.queue)
        caller = entry.data_field(2) if entry.event == "ENTERQUEUE" else ""
        return event(
            "call.queued",
            entry.at,
            visit.call_id,
            "queued",
            call_id=visit.call_id,
            linked_id=visit.linked_id,
            campaign=self._names.campaign(entry.queue),
            queue=entry.queue,
            direction=queue.direction,
            language=queue.language,
            caller=None if caller.lower() in NOT_A_NUMBER else caller,
        )

    def _go_on_from(self, left: Visit | None, at: dt.datetime) -> list[Event]:
        """A caller enters a queue. If they were in another queue before, that queue passed them on: an overflow."""
        if left is None:
            return []
        if left.state == "waiting":  # moved by something other than the queue, which is not logged
            return [self._left(left, at, "overflow")]
        put_out_at, left.put_out_at = left.put_out_at, None
        return [self._left(left, put_out_at, "overflow", revision=1)] if put_out_at else []

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

    def _refuse(self, entry: Entry) -> list[Event]:
        reason = REFUSED[entry.event]
        if self._visits.is_waiting(entry):  # refused after all
            return [self._left(self._visits.waiting(entry), entry.at, reason)]
        visit, left = self._visits.enter(entry)
        return [*self._go_on_from(left, entry.at), self._queued(visit, entry), self._left(visit, entry.at, reason)]

    def _abandon(self, entry: Entry) -> list[Event]:
        visit = self._visits.waiting(entry)
        visit.state = "over"
        return [event("call.abandoned", entry.at, visit.call_id, "abandoned", call_id=visit.call_id)]

    def _remove(self, entry: Entry, reason: str, leads_to: str) -> list[Event]:
        """The queue removed its caller. `leads_to` differs from `reason` when the map says where the caller goes."""
        visit = self._visits.waiting(entry)
        visit.put_out_at = entry.at if leads_to == reason else None
        return [self._left(visit, entry.at, leads_to)]

    def _press_key(self, entry: Entry) -> list[Event]:
        reason = self._names.queue(entry.queue).key_leads_to(entry.data_field(1))
        return [self._left(self._visits.waiting(entry), entry.at, reason)]

    # An agent is offered a call and talks

    def _ring(self, entry: Entry) -> list[Event]:
        visit, rang_at = self._visits.waiting(entry), self._rang_at(entry, entry.number(1) / 1000)
        return [
            self._offer("call.rang", rang_at, visit, entry),
            *self._agents.ring(rang_at, entry.at, entry.agent, self._names.campaign(entry.queue)),
        ]

    def _miss(self, entry: Entry) -> list[Event]:
        missed = self._offer("call.missed", entry.at, self._visits.waiting(entry), entry)
        return [missed, *self._ring(entry)]

    def _answer(self, entry: Entry) -> list[Event]:
        visit, rang_at = self._visits.waiting(entry), self._rang_at(entry, entry.number(3))
        agent = self._names.agent(entry.agent)
        visit.state, visit.agent = "talking", agent
        campaign = self._names.campaign(entry.queue)
        return [
            self._offer("call.rang", rang_at, visit, entry),
            event("call.answered", entry.at, visit.call_id, "answered", call_id=visit.call_id, agent=agent),
            *self._agents.answer(rang_at, entry.agent, entry.queue, visit.call_id, campaign),
        ]

    def _rang_at(self, entry: Entry, seconds: float) -> dt.datetime:
        """When the ringing began, not before the call entered the queue."""
        return max(entry.at - dt.timedelta(seconds=seconds), self._visits.waiting(entry).entered_at)

    def _offer(self, type: str, at: dt.datetime, visit: Visit, entry: Entry) -> Event:
        agent = self._names.agent(entry.agent)
        identity = (visit.call_id, type, agent, entry.at.isoformat())
        return event(type, at, *identity, call_id=visit.call_id, agent=agent)

    def _end(self, entry: Entry) -> list[Event]:
        visit = self._visits.talking(entry, self._names.agent(entry.agent))
        ended_by = ENDED_BY[entry.event]
        ended = event("call.ended", entry.at, visit.call_id, "ended", call_id=visit.call_id, ended_by=ended_by)
        return [ended, *self._finish(visit, entry)]

    def _transfer(self, entry: Entry) -> list[Event]:
        visit = self._visits.talking(entry, self._names.agent(entry.agent))
        to: dict[str, Any] = {"warm": entry.event == "ATTENDEDTRANSFER"}
        if not to["warm"] and entry.data_field(1):
            is_queue = self._names.knows_queue(entry.data_field(1))
            to["to_queue" if is_queue else "to_number"] = entry.data_field(1)
        transferred = event("call.transferred", entry.at, visit.call_id, "transferred", call_id=visit.call_id, **to)
        return [transferred, *self._finish(visit, entry)]

    def _finish(self, visit: Visit, entry: Entry) -> list[Event]:
        visit.state = "over"
        if not entry.has_agent():
            return []
        queue = self._names.queue(entry.queue)
        campaign = self._names.campaign(entry.queue)
        return self._agents.end_talk(entry.at, entry.agent, visit.call_id, campaign, queue.wrap_up_s)

    # Agents and the switch itself

    def _join(self, entry: Entry) -> list[Event]:
        return self._agents.join(entry.at, entry.agent, entry.queue, entry.data_field(1).upper() == "PAUSED")

    def _reason(self, entry: Entry) -> str | None:
        return self._names.reason(entry.data_field(1))

    def _start(self, entry: Entry) -> list[Event]:
        """Asterisk was started, so all calls before that have ended."""
        events = []
        for visit in self._visits.unfinished():
            if visit.state == "waiting":
                events.append(self._left(visit, entry.at, "system"))
            else:
                visit.state = "over"
                fields = {"call_id": visit.call_id, "ended_by": "system"}
                events.append(event("call.ended", entry.at, visit.call_id, "ended", **fields))
        return events + self._agents.drop_calls(entry.at)


OF_AGENTS = {
    *("RINGNOANSWER", "RINGCANCELED", "AGENTDUMP", "CONNECT"),
    *("ADDMEMBER", "REMOVEMEMBER", "PAUSE", "UNPAUSE", "PAUSEALL", "UNPAUSEALL", "WRAPUPSTART"),
    *("AGENTLOGIN", "AGENTLOGOFF", "AGENTCALLBACKLOGIN", "AGENTCALLBACKLOGOFF"),
}
OF_QUEUES = {"ADDMEMBER", "REMOVEMEMBER", "PAUSE", "UNPAUSE"}
OF_CALLS = {
    *(
        "ENTERQUEUE",
        "ABANDON",
        "EXITWITHTIMEOUT",
        "EXITWITHKEY",
        "SYSCOMPAT",
        "RINGNOANSWER",
        "RINGCANCELED",
        "AGENTDUMP",
        "CONNECT",
    ),
    *REFUSED,
    *EMPTY,
    *ENDED_BY,
    *TRANSFERS,
}
