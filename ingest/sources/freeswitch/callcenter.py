"""The events of mod_callcenter: CUSTOM events of the subclass callcenter::info, each with a CC-Action.

Sources: developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_callcenter_1049389, and mod_callcenter.c
for what the page leaves out.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from ingest.sources.asterisk.agents import Agents
from ingest.sources.events import Event, Unreadable, event
from ingest.sources.freeswitch.fields import PER_SECOND, call_id, instant, text
from ingest.sources.names import Names
from ingest.sources.reading import PassedOver
from ingest.sources.ringing import Ring, Ringing

Fields = Mapping[str, Any]

SILENT = ("members-count", "agent-add", "agent-contact-change", "agent-max-no-answer")

# why an offer failed although nobody refused it: another agent was faster, or the caller or the queue withdrew it
WITHDRAWN = ("LOSE_RACE", "ORIGINATOR_CANCEL", "PICKED_OFF", "ATTENDED_TRANSFER", "BLIND_TRANSFER")
# … or because the telephone could not be reached
UNREACHABLE = (
    *("USER_NOT_REGISTERED", "SUBSCRIBER_ABSENT", "UNALLOCATED_NUMBER", "NO_ROUTE_DESTINATION", "GATEWAY_DOWN"),
    *("DESTINATION_OUT_OF_ORDER", "NETWORK_OUT_OF_ORDER", "NORMAL_TEMPORARY_FAILURE", "RECOVERY_ON_TIMER_EXPIRE"),
    *(
        "NORMAL_CIRCUIT_CONGESTION",
        "SWITCH_CONGESTION",
        "INVALID_NUMBER_FORMAT",
        "INVALID_GATEWAY",
        "CHAN_NOT_IMPLEMENTED",
    ),
)
# what events repeat of earlier ones, to the second
REPEATED = ("CC-Member-Joined-Time", "CC-Member-Leaving-Time")
SKEW = dt.timedelta(seconds=2)

RESTS = {"On Break": True, "Available": False, "Available (On Demand)": False}


class CallCenter:
    """Takes the events in order. Calls need no memory: whatever came before, an event gives the same events."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._agents = Agents(source, names)
        self._ringing = Ringing(source)
        self._statuses: dict[str, str] = {}
        self._idle: dict[str, bool] = {}
        self.passed_over = PassedOver()
        self._handlers: dict[str, Callable[[Fields, dt.datetime], list[Event]]] = {
            "member-queue-start": self._enter,
            "member-queue-resume": self._enter,
            "agent-offering": self._offer,
            "bridge-agent-start": self._answer,
            "bridge-agent-end": self._end,
            "bridge-agent-fail": self._miss,
            "member-queue-end": self._leave,
            "agent-status-change": self._status,
            "agent-state-change": self._state,
        }

    def take(self, fields: Fields) -> list[Event]:
        """The events of an event; raises Unreadable."""
        action = text(fields, "CC-Action") or ""
        handler = self._handlers.get(action)
        if handler is None:
            if not action or action.startswith(("member-", "bridge-")):
                raise Unreadable("A callcenter::info event with an unknown CC-Action may be about a call.")
            self.passed_over.count("unknown actions")
            return []
        at = instant(fields, "Event-Date-Timestamp", PER_SECOND)
        if at is None:
            raise Unreadable(f"{action} without Event-Date-Timestamp.")
        if late := next((name for name in REPEATED if (instant(fields, name) or at) > at + SKEW), None):
            raise Unreadable(f"{action} with a {late} after itself.")
        events = self.pass_time(at) + handler(fields, at)
        self._ringing.note(events)
        return events

    def pass_time(self, now: dt.datetime) -> list[Event]:
        """The events that happen until `now` without an event of FreeSWITCH: after-call work ends."""
        events = self._agents.pass_time(now)
        self._ringing.note(events)
        return events

    def remembered(self) -> dict[str, Any]:
        """The state of the agents."""
        return {
            "agents": self._agents.remembered(),
            "ringing": self._ringing.remembered(),
            "statuses": self._statuses,
            "idle": self._idle,
        }

    def recall(self, remembered: dict[str, Any]) -> None:
        self._agents.recall(remembered["agents"])
        self._ringing.recall(remembered["ringing"])
        self._statuses, self._idle = dict(remembered["statuses"]), dict(remembered["idle"])

    # Calls

    def _enter(self, fields: Fields, at: dt.datetime) -> list[Event]:
        return [self._queued(fields, at, "queued", at)]

    def _queued(self, fields: Fields, at: dt.datetime, place: str, as_of: dt.datetime | None) -> Event:
        queue = _needed(fields, "CC-Queue")
        mapped = self._names.queue(queue)
        return self._of_call(
            "call.queued",
            at,
            fields,
            place,
            as_of,
            linked_id=f"{self._source}/{_needed(fields, 'CC-Member-Session-UUID')}",
            campaign=self._names.campaign(queue),
            queue=queue,
            direction=mapped.direction,
            language=mapped.language,
            caller=text(fields, "CC-Member-CID-Number"),
        )

    def _joined(self, fields: Fields) -> list[Event]:
        """The entry into the queue as later events repeat it, to the second: it counts if its own event was lost."""
        joined_at = instant(fields, "CC-Member-Joined-Time")
        return [self._queued(fields, joined_at, "queued", None)] if joined_at else []

    def _offer(self, fields: Fields, at: dt.datetime) -> list[Event]:
        call, agent = self._call(fields), _needed(fields, "CC-Agent")
        rang = self._to_agent("call.rang", fields, at)
        campaign = self._names.campaign(_needed(fields, "CC-Queue"))
        # who is offered a call is logged in and not on a break
        is_here = self._set_status(agent, at, "Available") if self._statuses.get(agent) not in RESTS else []
        self._ringing.note(is_here)
        return [rang, *is_here, *self._ringing.start(Ring(self._names.agent(agent), call, campaign, at))]

    def _answer(self, fields: Fields, at: dt.datetime) -> list[Event]:
        call, agent = self._call(fields), _needed(fields, "CC-Agent")
        queue = _needed(fields, "CC-Queue")
        answered = self._of_call("call.answered", at, fields, "outcome", at, agent=self._names.agent(agent))
        rang = self._ringing.stop(call, self._names.agent(agent))
        rang_at = rang[-1].since if rang else at
        busy = self._agents.answer(rang_at, agent, queue, call, self._names.campaign(queue))
        return [*self._joined(fields), answered, *busy, *self._stop_rings(at, call)]

    def _stop_rings(self, at: dt.datetime, call: str | None = None, agent: str | None = None) -> list[Event]:
        """Telephones stop ringing without an answer."""
        stopped = self._ringing.stop(call, self._names.agent(agent) if agent else None)
        return [e for ring in stopped for e in self._agents.ring(ring.since, at, ring.agent, ring.campaign)]

    def _answered_before(self, fields: Fields) -> list[Event]:
        agent = text(fields, "CC-Agent")
        who = self._names.agent(agent) if agent else None
        return self._repeated("call.answered", "CC-Agent-Answered-Time", fields, "outcome", agent=who)

    def _end(self, fields: Fields, at: dt.datetime) -> list[Event]:
        call, agent, queue = self._call(fields), _needed(fields, "CC-Agent"), _needed(fields, "CC-Queue")
        joined = self._joined(fields)
        if text(fields, "CC-Agent-Bridged") == "false":  # the agent picked up, but caller and agent never met
            queued_at = instant(fields, "CC-Member-Joined-Time") or at
            wrap_up_s, call_events = 0.0, [*joined, self._queued(fields, queued_at, "outcome", at)]
        else:
            wrap_up_s = self._names.queue(queue).wrap_up_s
            ended_by = {"recv_bye": "agent", "send_bye": "customer"}.get(
                text(fields, "variable_sip_hangup_disposition") or ""
            )
            ended = self._of_call("call.ended", at, fields, "end", at, ended_by=ended_by)
            call_events = [*joined, *self._answered_before(fields), ended]
        return call_events + self._agents.end_talk(at, agent, call, self._names.campaign(queue), wrap_up_s)

    def _miss(self, fields: Fields, at: dt.datetime) -> list[Event]:
        call, agent = self._call(fields), _needed(fields, "CC-Agent")
        cause = text(fields, "CC-Hangup-Cause")
        stopped = self._stop_rings(at, call, agent)
        if cause in WITHDRAWN:
            return [*self._joined(fields), *stopped]
        if cause in UNREACHABLE:
            self.passed_over.count("offers to telephones that could not be reached")
            return [*self._joined(fields), *stopped]
        return [*self._joined(fields), self._to_agent("call.missed", fields, at), *stopped]

    def _leave(self, fields: Fields, at: dt.datetime) -> list[Event]:
        call, joined = self._call(fields), self._joined(fields)
        if text(fields, "CC-Cause") == "Terminated":
            ended = self._repeated("call.ended", "CC-Member-Leaving-Time", fields, "end")
            if not ended:
                raise Unreadable("member-queue-end without CC-Member-Leaving-Time; nothing says when the talk ended.")
            return [*joined, *self._answered_before(fields), *ended]
        if text(fields, "CC-Cause") != "Cancel":
            raise Unreadable("member-queue-end has a CC-Cause other than Terminated and Cancel.")
        reason = left_reason(
            text(fields, "CC-Cancel-Reason"),
            self._names,
            _needed(fields, "CC-Queue"),
            text(fields, "variable_cc_exit_key"),
            is_caller_there=_is_up(fields),
        )
        type = "call.left_queue" if reason else "call.abandoned"
        left = self._of_call(type, at, fields, "outcome", at, reason=reason)
        return [*joined, left, *self._stop_rings(at, call)]

    def _call(self, fields: Fields) -> str:
        return call_id(self._source, _needed(fields, "CC-Member-UUID"), _needed(fields, "CC-Member-Session-UUID"))

    def _of_call(
        self, type: str, at: dt.datetime, fields: Fields, place: str, as_of: dt.datetime | None, **more: Any
    ) -> Event:
        """An event in a place of its call; of several in one place the one as of the latest instant counts."""
        call = self._call(fields)
        return event(type, at, call, place, call_id=call, revision=revision(as_of) if as_of else None, **more)

    def _repeated(self, type: str, name: str, fields: Fields, place: str, **more: Any) -> list[Event]:
        """What a later event repeats to the second from field `name`: it counts if its own event was lost."""
        at = instant(fields, name)
        return [self._of_call(type, at, fields, place, at - dt.timedelta(milliseconds=1), **more)] if at else []

    def _to_agent(self, type: str, fields: Fields, at: dt.datetime) -> Event:
        call, agent = self._call(fields), self._names.agent(_needed(fields, "CC-Agent"))
        return event(type, at, call, type, agent, at.isoformat(), call_id=call, agent=agent)

    # Agents

    def _status(self, fields: Fields, at: dt.datetime) -> list[Event]:
        agent, status = _needed(fields, "CC-Agent"), _needed(fields, "CC-Agent-Status")
        if status not in RESTS and status != "Logged Out":
            self.passed_over.count("agents' unknown statuses")
            return []
        return self._set_status(agent, at, status)

    def _set_status(self, agent: str, at: dt.datetime, status: str) -> list[Event]:
        self._statuses[agent] = status
        if status == "Logged Out":
            self._idle.pop(agent, None)
            return self._agents.log_off(at, agent)
        return self._agents.log_in(at, agent) + self._rest(agent, at)

    def _state(self, fields: Fields, at: dt.datetime) -> list[Event]:
        agent, state = _needed(fields, "CC-Agent"), _needed(fields, "CC-Agent-State")
        if state == "Idle":
            self._idle[agent] = True
        elif state == "Waiting":
            self._idle.pop(agent, None)
        else:  # Receiving, In a queue call, Reserved: the events of the call say it with its queue
            return []
        stopped = self._stop_rings(at, agent=agent)
        return stopped + (self._rest(agent, at) if agent in self._statuses else [])

    def _rest(self, agent: str, at: dt.datetime) -> list[Event]:
        """Report whether the agent rests: on a break, or idle, when mod_callcenter offers them nothing."""
        is_on_break = RESTS.get(self._statuses[agent], False)
        is_resting = is_on_break or agent in self._idle
        reason = self._names.reason("On Break" if is_on_break else "Idle") if is_resting else None
        return self._agents.pause_all(at, agent, is_resting, reason)


def revision(as_of: dt.datetime) -> int:
    return int(as_of.timestamp() * 1000)


def left_reason(
    cancel_reason: str | None, names: Names, queue: str, key: str | None, *, is_caller_there: bool
) -> str | None:
    """The reason of `call.left_queue` for a CC-Cancel-Reason; None if the caller hung up.

    BREAK_OUT is written when the caller hangs up, and also when something else takes them out of the queue.
    """
    mapped = names.queue(queue)
    if cancel_reason == "TIMEOUT":
        return mapped.on_timeout
    if cancel_reason == "NO_AGENT_TIMEOUT":
        return mapped.on_empty
    if cancel_reason == "EXIT_WITH_KEY":
        return mapped.key_leads_to(key or "")
    if cancel_reason in ("BREAK_OUT", "NONE", None):
        return "overflow" if is_caller_there else None
    raise Unreadable("The reason why the caller left the queue is unknown.")


def _is_up(fields: Fields) -> bool:
    """Whether the caller's channel goes on. Channel-State does not tell: it lags behind a hang-up."""
    return text(fields, "Answer-State") in ("answered", "early", "ringing") and text(fields, "Hangup-Cause") is None


def _needed(fields: Fields, name: str) -> str:
    value = text(fields, name)
    if value is None:
        raise Unreadable(f"{text(fields, 'CC-Action')} without {name}.")
    return value
