"""`python -m ingest source freeswitch`: turn mod_callcenter's events and FreeSWITCH's JSON CDR into events."""

import argparse
import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from ingest.cli import Parser
from ingest.sources import names, reading
from ingest.sources.delivery import Produced
from ingest.sources.documents import Found
from ingest.sources.events import Event, Rejected, Unreadable
from ingest.sources.freeswitch import records
from ingest.sources.freeswitch.callcenter import SILENT, CallCenter
from ingest.sources.names import Names

SUBCLASS = "callcenter::info"


def arguments(parser: Parser) -> None:
    reading.arguments(parser, "callcenter::info events or JSON CDRs", "freeswitch")


def main(options: argparse.Namespace) -> int:
    switch = Switch(options.source, names.load(options.map))
    return reading.read(options, switch, switch)


class Switch:
    """A FreeSWITCH: the events and records of its call center, and the state of its agents."""

    def __init__(self, source: str, names_map: Names) -> None:
        self._source = source
        self._names = names_map
        self._center = CallCenter(source, names_map)
        self._passed_over: dict[str, int] = {}

    def take(self, documents: Iterable[Found]) -> Iterator[Produced]:
        """Yield the events of each document, or that it is unreadable."""
        for document, text in documents:
            try:
                events = [document] if isinstance(document, Rejected) else self._events(document)
            except Unreadable as unreadable:
                events = [Rejected(text, str(unreadable))]
            for event_or_fault in events:
                yield event_or_fault, text

    def pass_time(self, now: dt.datetime) -> Iterator[Produced]:
        for event in self._center.pass_time(now):
            yield event, ""

    def passed_over(self) -> str:
        """The kinds of documents that were skipped, and how many of each."""
        skipped = {**self._passed_over, **self._center.passed_over}
        return ", ".join(f"{kind} ({count})" for kind, count in skipped.items())

    def remembered(self) -> dict[str, Any]:
        return {"callcenter": self._center.remembered()}

    def recall(self, remembered: dict[str, Any]) -> None:
        self._center.recall(remembered["callcenter"])

    def _events(self, document: dict[str, Any]) -> list[Event]:
        if isinstance(variables := document.get("variables"), dict):
            if not records.is_of_a_caller(variables):
                return self._pass_over("CDRs of other legs and calls")
            return records.events(document, self._source, self._names)
        if "Event-Name" not in document:
            raise Unreadable("Neither an event nor a CDR: it has neither Event-Name nor variables.")
        if unquote(str(document.get("Event-Subclass"))) != SUBCLASS:
            return self._pass_over("other events")
        if document.get("CC-Action") in SILENT:
            return []
        return self._center.take(document)

    def _pass_over(self, kind: str) -> list[Event]:
        self._passed_over[kind] = self._passed_over.get(kind, 0) + 1
        return []
