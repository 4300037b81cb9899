"""Translates the lines of a queue_log into events of the contract. docs/sources.md has the table of all of them."""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

from ingest.sources.asterisk import verbs
from ingest.sources.asterisk.agents import Agents
from ingest.sources.asterisk.calls import Calls, PartlyRead
from ingest.sources.asterisk.queue_log import NOBODY, Entry
from ingest.sources.events import Event, Unreadable
from ingest.sources.names import Names

log = logging.getLogger(__name__)

OTHERS = "others"  # unknown events whose names we do not repeat: in a damaged line anything may stand there


class Translator:
    """Takes the lines of a log in order; each line gives the events that follow from it and the lines before."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._agents = Agents(source, names)
        self.calls = Calls(source, names, self._agents)
        self.unknown: dict[str, int] = {}  # events that are not read, and how often each came
        self._handlers: dict[str, Callable[[Entry], list[Event]]] = {
            "ENTERQUEUE": self.calls.enter,
            "CALLOUTBOUND": self.calls.reach,
            "OUTCALL": self.calls.dial,
            **dict.fromkeys(verbs.REFUSED, self.calls.refuse),
            "ABANDON": self.calls.abandon,
            "EXITWITHTIMEOUT": lambda e: self.calls.remove(e, "timeout", self._names.queue(e.queue).on_timeout),
            **dict.fromkeys(verbs.EMPTY, lambda e: self.calls.remove(e, "system", self._names.queue(e.queue).on_empty)),
            "SYSCOMPAT": lambda e: self.calls.leave(e, "system"),
            "WITHDRAW": lambda e: self.calls.leave(e, "overflow"),
            "EXITWITHKEY": lambda e: self.calls.leave(e, self._names.queue(e.queue).key_leads_to(e.data_field(1))),
            "RINGNOANSWER": self.calls.fail_to_ring,
            "AGENTDUMP": self.calls.miss,
            "RINGCANCELED": self.calls.ring,
            "CONNECT": self.calls.answer,
            **dict.fromkeys(verbs.ENDED_BY, self.calls.end),
            **dict.fromkeys(verbs.TRANSFERS, self.calls.transfer),
            **dict.fromkeys(verbs.HOLDS, self.calls.hold),
            "CALLSTATUS": self._name_outcome,
            "ADDMEMBER": self._join,
            "ADDMEMBER2": self._join,
            "REMOVEMEMBER": lambda e: self._agents.leave(e.at, e.agent, e.queue),
            "PAUSE": lambda e: self._agents.pause(e.at, e.agent, e.queue, self._reason(e)),
            "UNPAUSE": lambda e: self._agents.unpause(e.at, e.agent, e.queue),
            "PAUSEALL": lambda e: self._agents.pause_all(e.at, e.agent, True, self._reason(e)),
            "UNPAUSEALL": lambda e: self._agents.pause_all(e.at, e.agent, False, None),
            "PAUSEREASON": self._name_pause,
            "AGENTLOGIN": lambda e: self._agents.log_in(e.at, e.agent),
            "AGENTCALLBACKLOGIN": lambda e: self._agents.log_in(e.at, e.agent),
            "AGENTLOGOFF": lambda e: self._agents.log_off(e.at, e.agent),
            "AGENTCALLBACKLOGOFF": lambda e: self._agents.log_off(e.at, e.agent),
            "WRAPUPSTART": lambda e: self._agents.wrap_up(e.at, e.agent, e.number(1)),
            "QUEUESTART": self.calls.start_again,
        }

    def take(self, entry: Entry) -> list[Event]:
        """The events of a line; raises Unreadable when the line lacks what its event needs."""
        handler = self._handlers.get(entry.event)
        if handler is None:
            self._pass_over(entry)
            return []
        self._check(entry)
        passed = self.pass_time(entry.at)
        try:
            return passed + handler(entry)
        except PartlyRead as partly:
            raise PartlyRead(str(partly), passed + partly.events) from partly
        except Unreadable as unreadable:
            raise PartlyRead(str(unreadable), passed) from unreadable

    def pass_time(self, now: dt.datetime) -> list[Event]:
        """The events that happen until `now` without a line."""
        return self._agents.pass_time(now)

    def remembered(self) -> dict[str, Any]:
        """The state that is needed to read on after this line."""
        return {**self.calls.remembered(), "agents": self._agents.remembered()}

    def recall(self, remembered: dict[str, Any]) -> None:
        self.calls.recall(remembered)
        self._agents.recall(remembered["agents"])

    def _check(self, entry: Entry) -> None:
        if entry.event in verbs.OF_CALLS and (entry.callid in NOBODY or entry.queue in NOBODY):
            raise Unreadable(f"{entry.event} without a call or a queue.")
        if entry.event in verbs.OF_AGENTS and not entry.has_agent():
            raise Unreadable(f"{entry.event} without an agent.")
        if entry.event in verbs.OF_QUEUES and entry.queue in NOBODY:
            raise Unreadable(f"{entry.event} without a queue.")

    def _pass_over(self, entry: Entry) -> None:
        """Count a line that is not read. Raises PartlyRead when a call seems to begin with it."""
        if entry.event in verbs.SILENT:
            return
        is_note = entry.event in verbs.NOTES
        name = entry.event if is_note else OTHERS
        if name not in self.unknown:
            which = f"event {name}" if is_note else "an unknown event"
            log.warning("%s: %s; its lines are skipped", self._source, which)
        self.unknown[name] = self.unknown.get(name, 0) + 1
        if not is_note and entry.callid not in verbs.NO_CALLS and entry.queue not in NOBODY:
            self.calls.note_unknown(entry)

    def _name_outcome(self, entry: Entry) -> list[Event]:
        events = self.calls.name_outcome(entry)
        if events is None:  # VICIdial also writes what became of a call that no agent took
            self._pass_over(entry)
        return events or []

    # Agents

    def _join(self, entry: Entry) -> list[Event]:
        return self._agents.join(entry.at, entry.agent, entry.queue, entry.data_field(1).upper() == "PAUSED")

    def _name_pause(self, entry: Entry) -> list[Event]:
        reason = self._reason(entry)
        if entry.data_field(1).upper() == "LOGOFF":  # VICIdial: the agent leaves, and has no pause of that name
            return self._agents.log_off(entry.at, entry.agent)
        return self._agents.name_pause(entry.at, entry.agent, reason) if reason else []

    def _reason(self, entry: Entry) -> str | None:
        return self._names.reason(entry.data_field(1))
