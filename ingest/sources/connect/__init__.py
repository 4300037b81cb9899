"""`python -m ingest source connect`: turn Amazon Connect's contact records and agent events into events."""

import argparse
from collections.abc import Iterable, Iterator

import msgspec

from ingest.cli import Parser
from ingest.sources import names, reading
from ingest.sources.connect import agents, records
from ingest.sources.connect.agents import KNOWN_TYPES, AgentEvent
from ingest.sources.connect.records import ContactRecord
from ingest.sources.delivery import Produced
from ingest.sources.events import Event, event
from ingest.sources.input.documents import Found
from ingest.sources.names import Names
from ingest.sources.reading import PassedOver, Record, taken


def arguments(parser: Parser) -> None:
    reading.arguments(parser, "connect", "contact records or agent events")


def main(options: argparse.Namespace) -> int:
    return reading.run(options, Instance(options.source, names.load(options.map)))


class Instance:
    """An instance of Connect, with the profiles of its agents that were sent last."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._profiles: dict[str, dict[str, str]] = {}
        self._passed_over = PassedOver()

    def take(self, documents: Iterable[Found]) -> Iterator[Produced]:
        return taken(documents, self._events)

    def passed_over(self) -> str:
        return str(self._passed_over)

    def memory(self) -> None:
        return None

    def recall(self, memory: Record) -> None:
        pass

    def _events(self, document: Record) -> list[Event]:
        if "AgentARN" in document and "EventType" in document:
            return self._agent(msgspec.convert(document, AgentEvent))
        if "ContactId" in document:
            events = records.events(msgspec.convert(document, ContactRecord), self._source, self._names)
            return events or self._passed_over.count("contacts that entered no queue")
        raise msgspec.ValidationError("Neither a contact record nor an agent event")

    def _agent(self, agent_event: AgentEvent) -> list[Event]:
        if agent_event.event_type not in KNOWN_TYPES:
            return self._passed_over.count("agent events of an unknown type")
        state = agents.state(agent_event, self._source, self._names)
        events = [*agents.calls(agent_event, self._source, self._names), state]
        agent, profile = state["agent"], agents.profile(agent_event, self._names)
        if profile and profile != self._profiles.get(agent):
            self._profiles[agent] = profile
            identity = (self._source, "profile", agent, *profile.values())
            events.append(event("agent.profile", agent_event.event_timestamp, *identity, agent=agent, **profile))
        return events
