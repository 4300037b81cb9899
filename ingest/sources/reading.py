"""What the sources that read JSON records have in common: a file or a Kafka topic of records, read to its end."""

import argparse
import datetime as dt
import json
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event as Flag
from typing import Any, Protocol, runtime_checkable

import msgspec

from ingest.cli import Parser
from ingest.errors import UsageError
from ingest.sources import delivery
from ingest.sources.delivery import Destination, Produced
from ingest.sources.events import QUOTED, Event, Rejected, Unreadable
from ingest.sources.input.bookmark import Bookmark
from ingest.sources.input.documents import Documents, Found
from ingest.sources.input.files import chunks
from ingest.sources.input.topic import Topic
from ingest.topic.servers import security
from metrics import clock

UNWRITTEN = dt.timedelta(seconds=2)  # records may come this long after what they report

Record = dict[str, Any]
Translate = Callable[[Record], Iterable[Event | Rejected]]


class Translator(Protocol):
    """Makes events of a switch's records."""

    def take(self, documents: Iterable[Found]) -> Iterator[Produced]:
        """Yield the events of each document, or that it is unreadable."""

    def passed_over(self) -> str:
        """The kinds of documents that were skipped, and how many of each."""

    def memory(self) -> Record | None:
        """What the next process has to know of the records so far; None if nothing."""

    def recall(self, memory: Record) -> None:
        """Take over what a process before this one knew. Raises msgspec.ValidationError if it cannot be read."""


@runtime_checkable
class Timed(Protocol):
    """A translator with events that happen without a record, such as the end of after-call work."""

    def pass_time(self, now: dt.datetime) -> Iterable[Produced]:
        """Yield the events that happen until `now`."""


class PassedOver:
    """The kinds of documents that were skipped, with how many there were of each."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, kind: str) -> list[Event]:
        """Count one; there are no events of it."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return []

    def __str__(self) -> str:
        return ", ".join(f"{kind} ({count})" for kind, count in self._counts.items())


def arguments(parser: Parser, source: str, records: str) -> None:
    """Add the options of a source whose input is `records`."""
    parser.option("--records", default=None, help=f"a file of {records}; - for standard input")
    parser.option("--from-topic", default=None, help="or a Kafka topic of them, read from where the last run stopped")
    parser.flag("--until-caught-up", help="stop once the end of the topic, as it is at the start, is reached")
    parser.option("--map", default=None, type=Path, help="our names for queues, agents and statuses, TOML")
    parser.option("--data-dir", default=Path("data"), type=Path, help="where --from-topic keeps its place")
    delivery.options(parser, source)


def run(options: argparse.Namespace, translator: Translator, begin: Callable[[], Documents] = Documents) -> int:
    """Read the file or the topic that the options name. `begin` makes what finds the records in a stream."""
    if bool(options.records) == bool(options.from_topic):
        raise UsageError("Name either a file with --records or a topic with --from-topic.")
    if options.from_topic:
        return _read_topic(options, translator, begin)
    with closing(delivery.opened(options)) as destination:
        _read_file(options.records, translator, begin(), destination)
        return destination.finish(translator.passed_over())


def taken(documents: Iterable[Found], translate: Translate) -> Iterator[Produced]:
    """Yield what `translate` makes of each document, with the document's text."""
    produced: list[Event | Rejected]
    for document, text in documents:
        try:
            produced = [document] if isinstance(document, Rejected) else [*translate(document)]
        except (msgspec.ValidationError, Unreadable) as error:
            produced = [Rejected(text, f"{QUOTED.sub('', str(error)).rstrip('.')}.")]
        for event_or_fault in produced:
            yield event_or_fault, text


def each_of(documents: Iterable[Found], name: str) -> Iterator[Found]:
    """Yield the documents; instead of one that is a list under `name`, as an API answers, each object in the list."""
    for document, text in documents:
        if isinstance(document, Rejected) or not isinstance(document.get(name), list):
            yield document, text
            continue
        for inner in document[name]:
            inner_text = json.dumps(inner, ensure_ascii=False)
            yield inner if isinstance(inner, dict) else Rejected(inner_text, "Not a JSON object."), inner_text


def _read_file(name: str, translator: Translator, documents: Documents, destination: Destination) -> None:
    for chunk in chunks(name, "--records"):
        if not destination.send(translator.take(documents.feed(chunk))):
            return
    if destination.send(translator.take(documents.finish())):
        destination.send(_passed_time(translator))


def _read_topic(options: argparse.Namespace, translator: Translator, begin: Callable[[], Documents]) -> int:
    stopped, secured = Flag(), security(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with ExitStack() as stack:
        bookmark = None
        if not options.print:
            bookmark = stack.enter_context(closing(Bookmark(options.data_dir, options.source)))
            _recall(bookmark, translator)
        topic = stack.enter_context(closing(Topic(options.bootstrap_servers, options.from_topic, bookmark, secured)))
        destination = stack.enter_context(closing(delivery.opened(options, stopped.is_set)))
        for values in topic.values(stopped, options.until_caught_up):
            found = (_found(value, begin()) for value in values)
            if not destination.send(produced for documents in found for produced in translator.take(documents)):
                break
            if not values and not destination.send(_passed_time(translator)):
                break
            topic.keep(translator.memory())
        return destination.finish(translator.passed_over())


def _passed_time(translator: Translator) -> Iterable[Produced]:
    return translator.pass_time(clock.now() - UNWRITTEN) if isinstance(translator, Timed) else ()


def _recall(bookmark: Bookmark, translator: Translator) -> None:
    memory = (bookmark.read() or {}).get("memory")
    if memory is not None:
        try:
            translator.recall(memory)
        except msgspec.ValidationError as error:
            raise bookmark.unusable() from error


def _found(value: bytes | Rejected, documents: Documents) -> list[Found]:
    if isinstance(value, Rejected):
        return [(value, value.line)]
    return [*documents.feed(value), *documents.finish()]
