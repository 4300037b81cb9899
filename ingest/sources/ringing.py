"""Telephones that ring now, for switches that report a ring when it begins.

`asterisk.agents` learns of a ring when it is over, as a queue_log reports it. Until then the busy state here stands for
it, under the id that the state will have there.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from ingest.sources.events import Event, Rejected, event


class Ring(NamedTuple):
    agent: str
    call_id: str
    campaign: str
    since: dt.datetime


class Ringing:
    """The rings that have begun and not ended, and what each agent was last reported to do."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._rings: list[Ring] = []
        self._last: dict[str, Event] = {}  # agent: their last agent.state

    def note(self, events: Iterable[Event | Rejected]) -> None:
        """Remember the states among the events that are sent."""
        for sent in events:
            if isinstance(sent, dict) and sent["type"] == "agent.state":
                self._last[sent["agent"]] = sent

    def start(self, ring: Ring) -> list[Event]:
        """A telephone begins to ring: its agent is busy, if they were available."""
        self._rings.append(ring)
        if self._last.get(ring.agent, {}).get("state") != "available":
            return []
        return [self._state(ring.agent, ring.since, state="busy", campaign=ring.campaign)]

    def stop(self, call_id: str | None = None, agent: str | None = None) -> list[Ring]:
        """Telephones stop ringing: those that ring for a call, or an agent's, or an agent's for a call."""
        stopped = [ring for ring in self._rings if call_id in (None, ring.call_id) and agent in (None, ring.agent)]
        self._rings = [ring for ring in self._rings if ring not in stopped]
        return stopped

    def end_at_once(self, ring: Ring) -> list[Event]:
        """A ring that ended in the moment it began: its agent is available again."""
        if self._last.get(ring.agent, {}).get("state") != "busy":
            return []
        return [self._state(ring.agent, ring.since, state="available", campaign=ring.campaign)]

    def remembered(self) -> dict[str, Any]:
        return {"rings": msgspec.to_builtins(self._rings), "last": self._last}

    def recall(self, remembered: dict[str, Any]) -> None:
        self._rings = msgspec.convert(remembered["rings"], list[Ring])
        self._last = dict(remembered["last"])

    def _state(self, agent: str, at: dt.datetime, **fields: Any) -> Event:
        """A state under the id that `asterisk.agents` gives it; of two at one instant the second is a revision."""
        made = event("agent.state", at, self._source, "state", agent, at.isoformat(), agent=agent, **fields)
        last = self._last.get(agent)
        if last and last["event_id"] == made["event_id"]:
            made["revision"] = last.get("revision", 0) + 1
        self._last[agent] = made
        return made
