"""The input of sources that read JSON objects: a file, or a Kafka topic from where the last run stopped."""

import argparse
import datetime as dt
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event as Flag
from typing import Any, Protocol

from ingest.cli import Parser
from ingest.errors import UsageError
from ingest.sources import delivery
from ingest.sources.bookmark import Bookmark
from ingest.sources.delivery import Produced
from ingest.sources.documents import Documents, Found
from ingest.sources.events import Rejected
from ingest.sources.files import chunks
from ingest.sources.topic import Topic
from ingest.topic.servers import security
from metrics import clock

UNWRITTEN = dt.timedelta(seconds=2)  # records may come this long after what they report


class Reader(Protocol):
    """Makes events from the objects of a switch."""

    def take(self, documents: Iterable[Found]) -> Iterator[Produced]: ...

    def passed_over(self) -> str: ...


class Floor(Protocol):
    """The state of a floor: what a reader must know to read on, and the events that happen without an object."""

    def pass_time(self, now: dt.datetime) -> Iterable[Produced]: ...

    def remembered(self) -> dict[str, Any]: ...

    def recall(self, remembered: dict[str, Any]) -> None: ...


def arguments(parser: Parser, records: str, source: str) -> None:
    """Add the options of such a source; `records` says what the objects are."""
    parser.option("--records", default=None, help=f"a file of {records}; - for standard input")
    parser.option("--from-topic", default=None, help="or a Kafka topic of them, read from where the last run stopped")
    parser.flag("--until-caught-up", help="stop once the end of the topic, as it is at the start, is reached")
    parser.option("--map", default=None, type=Path, help="our names for queues, agents and states, TOML")
    parser.option("--data-dir", default=Path("data"), type=Path, help="where --from-topic keeps its place")
    delivery.options(parser, source)


def read(options: argparse.Namespace, reader: Reader, floor: Floor | None = None) -> int:
    """Read the file or the topic that the options name; return the command's exit code."""
    if bool(options.records) == bool(options.from_topic):
        raise UsageError("Name either a file with --records or a topic with --from-topic.")
    if options.from_topic:
        return read_topic(options, options.from_topic, reader, floor)
    with closing(delivery.opened(options)) as destination:
        documents = Documents()
        for chunk in chunks(options.records, "--records"):
            if not destination.send(reader.take(documents.feed(chunk))):
                break
        else:
            destination.send(reader.take(documents.finish()))
            if floor:
                destination.send(floor.pass_time(clock.now() - UNWRITTEN))
        return destination.finish(reader.passed_over())


def read_topic(options: argparse.Namespace, name: str, reader: Reader, floor: Floor | None) -> int:
    """Read a topic until a signal comes or, if asked, its end is reached."""
    stopped, secured = Flag(), security(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with ExitStack() as stack:
        bookmark = None
        if not options.print:
            bookmark = stack.enter_context(closing(Bookmark(options.data_dir, options.source)))
        if bookmark and floor:
            _recall(bookmark, floor)
        topic = stack.enter_context(closing(Topic(options.bootstrap_servers, name, bookmark, secured)))
        destination = stack.enter_context(closing(delivery.opened(options, stopped.is_set)))
        for values in topic.values(stopped, options.until_caught_up):
            if not destination.send(_produced(values, reader, floor)):
                break
            topic.keep(floor.remembered() if floor else {})
        return destination.finish(reader.passed_over())


def _produced(values: list[bytes | Rejected], reader: Reader, floor: Floor | None) -> Iterator[Produced]:
    for value in values:
        yield from reader.take(_documents(value))
    if floor and not values:
        yield from floor.pass_time(clock.now() - UNWRITTEN)


def _documents(value: bytes | Rejected) -> list[Found]:
    if isinstance(value, Rejected):
        return [(value, value.line)]
    documents = Documents()
    return [*documents.feed(value), *documents.finish()]


def _recall(bookmark: Bookmark, floor: Floor) -> None:
    content = bookmark.read()
    try:
        if content and content.keys() != {"logs"}:
            floor.recall(content)
    except (KeyError, TypeError, ValueError) as error:  # ValidationError is a ValueError
        raise bookmark.unusable() from error
