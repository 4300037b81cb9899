"""`python -m ingest source connect`: turn Amazon Connect's contact records and agent events into events."""

import argparse
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event as Flag
from typing import Any

import msgspec

from ingest.cli import Parser
from ingest.errors import UsageError
from ingest.sources import delivery, names
from ingest.sources.bookmark import Bookmark
from ingest.sources.connect import agents, records
from ingest.sources.connect.agents import KNOWN_TYPES, AgentEvent
from ingest.sources.connect.records import ContactRecord
from ingest.sources.delivery import Destination, Produced
from ingest.sources.documents import Documents
from ingest.sources.events import Event, Rejected, event
from ingest.sources.files import chunks
from ingest.sources.names import Names
from ingest.sources.topic import Topic
from ingest.topic.servers import security


def arguments(parser: Parser) -> None:
    parser.option("--records", default=None, help="a file of contact records or agent events; - for standard input")
    parser.option("--from-topic", default=None, help="or a Kafka topic of them, read from where the last run stopped")
    parser.flag("--until-caught-up", help="stop once the end of the topic, as it is at the start, is reached")
    parser.option("--map", default=None, type=Path, help="our names for queues, agents and statuses, TOML")
    parser.option("--data-dir", default=Path("data"), type=Path, help="where --from-topic keeps its place")
    delivery.options(parser, "connect")


def main(options: argparse.Namespace) -> int:
    if bool(options.records) == bool(options.from_topic):
        raise UsageError("Name either a file with --records or a topic with --from-topic.")
    instance = Instance(options.source, names.load(options.map))
    if options.from_topic:
        return _read_topic(options, instance)
    with closing(delivery.opened(options)) as destination:
        _read_file(options.records, instance, destination)
        return destination.finish(instance.passed_over())


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


def _read_file(name: str, instance: Instance, destination: Destination) -> None:
    documents = Documents()
    for chunk in chunks(name, "--records"):
        if not destination.send(instance.take(documents.feed(chunk))):
            return
    destination.send(instance.take(documents.finish()))


def _read_topic(options: argparse.Namespace, instance: Instance) -> int:
    stopped, secured = Flag(), security(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with ExitStack() as stack:
        bookmark = None
        if not options.print:
            bookmark = stack.enter_context(closing(Bookmark(options.data_dir, options.source)))
        topic = stack.enter_context(closing(Topic(options.bootstrap_servers, options.from_topic, bookmark, secured)))
        destination = stack.enter_context(closing(delivery.opened(options, stopped.is_set)))
        for values in topic.values(stopped, options.until_caught_up):
            if not destination.send(produced for value in values for produced in instance.take(_documents(value))):
                break
            topic.keep()
        return destination.finish(instance.passed_over())


def _documents(value: bytes | Rejected) -> list[tuple[dict[str, Any] | Rejected, str]]:
    if isinstance(value, Rejected):
        return [(value, value.line)]
    documents = Documents()
    return [*documents.feed(value), *documents.finish()]
