"""`python -m ingest source connect`: turn Amazon Connect's contact records and agent events into events."""

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ingest.cli import Parser
from ingest.sources import names, reading
from ingest.sources.connect import agents, records
from ingest.sources.connect.agents import KNOWN_TYPES, AgentEvent
from ingest.sources.connect.records import ContactRecord
from ingest.sources.delivery import Produced
from ingest.sources.events import Event, Rejected, event
from ingest.sources.names import Names


def arguments(parser: Parser) -> None:
    reading.arguments(parser, "contact records or agent events", "connect")


def main(options: argparse.Namespace) -> int:
    return reading.read(options, Instance(options.source, names.load(options.map)))


class Instance:
    """An instance of Connect, with the profiles of its agents that were sent last."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._profiles: dict[str, dict[str, str]] = {}
        self._passed_over: dict[str, int] = {}

    def take(self, documents: Iterable[tuple[dict[str, Any] | Rejected, str]]) -> Iterator[Produced]:
        """Yield the events of each document, or that it is unreadable."""
        for document, text in documents:
            try:
                events = [document] if isinstance(document, Rejected) else self._events(document)
            except msgspec.ValidationError as error:
                events = [Rejected(text, f"{error}.")]
            for event_or_fault in events:
                yield event_or_fault, text

    def passed_over(self) -> str:
        """The kinds of documents that were skipped, and how many of each."""
        return ", ".join(f"{kind} ({count})" for kind, count in self._passed_over.items())

    def _events(self, document: dict[str, Any]) -> list[Event]:
        if "AgentARN" in document and "EventType" in document:
            return self._agent(msgspec.convert(document, AgentEvent))
        if "ContactId" in document:
            events = records.events(msgspec.convert(document, ContactRecord), self._source, self._names)
            return events or self._pass_over("contacts that entered no queue")
        raise msgspec.ValidationError("Neither a contact record nor an agent event")

    def _agent(self, agent_event: AgentEvent) -> list[Event]:
        if agent_event.event_type not in KNOWN_TYPES:
            return self._pass_over(f"agent events of type {agent_event.event_type[:40]}")
        state = agents.state(agent_event, self._source, self._names)
        events = [*agents.calls(agent_event, self._source, self._names), state]
        agent, profile = state["agent"], agents.profile(agent_event, self._names)
        if profile and profile != self._profiles.get(agent):
            self._profiles[agent] = profile
            identity = (self._source, "profile", agent, *profile.values())
            events.append(event("agent.profile", agent_event.event_timestamp, *identity, agent=agent, **profile))
        return events

    def _pass_over(self, kind: str) -> list[Event]:
        self._passed_over[kind] = self._passed_over.get(kind, 0) + 1
        return []
