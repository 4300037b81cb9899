"""`python -m ingest source freeswitch`: turn mod_callcenter's events and FreeSWITCH's JSON CDR into events."""

import argparse
import datetime as dt
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

import msgspec

from ingest.cli import Parser
from ingest.errors import UsageError
from ingest.sources import names, reading
from ingest.sources.delivery import Produced
from ingest.sources.events import Event, Unreadable
from ingest.sources.freeswitch import records
from ingest.sources.freeswitch.callcenter import SILENT, CallCenter
from ingest.sources.freeswitch.fields import PER_SECOND, instant
from ingest.sources.input.direction import Direction
from ingest.sources.input.documents import Documents, Found
from ingest.sources.input.files import beginning
from ingest.sources.names import Names
from ingest.sources.reading import PassedOver, Record, taken

SUBCLASS = "callcenter::info"


def arguments(parser: Parser) -> None:
    reading.arguments(parser, "freeswitch", "callcenter::info events or JSON CDRs")


def main(options: argparse.Namespace) -> int:
    switch = Switch(options.source, names.load(options.map))
    if options.records:
        _refuse_newest_first(options.records)
    return reading.run(options, switch)


def _refuse_newest_first(name: str) -> None:
    """What agents do depends on the events before, so a file that begins with its newest event is refused."""
    direction = Direction()
    for event, _ in Documents().feed(beginning(name, "--records")):
        if isinstance(event, dict) and (at := instant(event, "Event-Date-Timestamp", PER_SECOND)):
            direction.note(at)
    if direction.is_backwards:
        raise UsageError("The events run backwards in time; sort the file by Event-Date-Timestamp.")


class Switch:
    """A FreeSWITCH: the events and records of its call center, and the state of its agents."""

    def __init__(self, source: str, names_map: Names) -> None:
        self._source = source
        self._names = names_map
        self._center = CallCenter(source, names_map)
        self._passed_over = PassedOver()

    def take(self, documents: Iterable[Found]) -> Iterator[Produced]:
        return taken(documents, self._events)

    def pass_time(self, now: dt.datetime) -> Iterator[Produced]:
        for event in self._center.pass_time(now):
            yield event, ""

    def passed_over(self) -> str:
        return ", ".join(filter(None, (str(self._passed_over), str(self._center.passed_over))))

    def memory(self) -> Record:
        return self._center.remembered()

    def recall(self, memory: Record) -> None:
        try:
            self._center.recall(memory)
        except (KeyError, TypeError, ValueError) as error:
            raise msgspec.ValidationError("Not what this source wrote") from error

    def _events(self, document: Record) -> list[Event]:
        if isinstance(variables := document.get("variables"), dict):
            if not records.is_of_a_caller(variables):
                return self._passed_over.count("CDRs of other legs and calls")
            return records.events(document, self._source, self._names)
        if "Event-Name" not in document:
            raise Unreadable("Neither an event nor a CDR: it has neither Event-Name nor variables.")
        if unquote(str(document.get("Event-Subclass"))) != SUBCLASS:
            return self._passed_over.count("other events")
        if document.get("CC-Action") in SILENT:
            return []
        return self._center.take(document)
