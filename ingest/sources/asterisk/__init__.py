"""`python -m ingest source asterisk`: turn the lines of a queue_log into events, once or as they are written."""

import argparse
import datetime as dt
import logging
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event as Flag
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from ingest.cli import Parser
from ingest.errors import UsageError, VigieError
from ingest.sources import delivery, names
from ingest.sources.asterisk import changes
from ingest.sources.asterisk.calls import PartlyRead
from ingest.sources.asterisk.once import LOOK_EVERY_S, read_once, read_pipe, written_until
from ingest.sources.asterisk.queue_log import Reader, decoded
from ingest.sources.asterisk.translator import Translator
from ingest.sources.delivery import Destination, Output, Produced
from ingest.sources.events import Rejected, Unreadable
from ingest.sources.input.bookmark import Bookmark
from ingest.sources.input.files import is_pipe, piped
from ingest.sources.input.follow import Followed, Position
from ingest.sources.input.instants import zone

log = logging.getLogger(__name__)

KEEP_EVERY_S = 1.0  # the bookmark is written at most this often


def arguments(parser: Parser) -> None:
    parser.option(
        "--queue-log",
        default=None,
        help="the queue_log, a file or a CSV export of its table; a pipe, - for standard input, is read as it comes",
    )
    parser.option("--queue-log-topic", default=None, help="or a Kafka topic of Debezium's changes of its table")
    parser.option("--queue-log-changes", default=None, help="or a file of such changes; - for standard input")
    parser.flag("--until-caught-up", help="stop once the end of the topic, as it is at the start, is reached")
    parser.flag("--follow", help="keep reading lines as they are written, through rotations and restarts")
    parser.option(
        "--timezone", default=None, type=zone, help="IANA zone of times without an offset, as the table has them"
    )
    parser.option("--map", default=None, type=Path, help="our names for queues, agents and pauses, TOML")
    parser.option("--data-dir", default=Path("data"), type=Path, help="where --follow keeps its place")
    delivery.options(parser, "asterisk")


def main(options: argparse.Namespace) -> int:
    if options.queue_log_topic or options.queue_log_changes:
        if options.queue_log or options.follow:
            raise UsageError("Name one input: --queue-log, --queue-log-topic or --queue-log-changes.")
        return changes.run(options, Switch(options.source, names.load(options.map), options.timezone))
    if not options.queue_log:
        raise UsageError("--queue-log is missing; name the log, such as /var/log/asterisk/queue_log.")
    if options.follow and is_pipe(options.queue_log):
        raise UsageError("--follow needs a file; a pipe is read as it comes without it.")
    switch = Switch(options.source, names.load(options.map), options.timezone)
    if not options.follow and is_pipe(options.queue_log):
        return _read_pipe(options, switch)
    if not options.follow:
        with closing(delivery.opened(options)) as destination:
            read_once(options.queue_log, switch, destination, options.timezone)
            return destination.finish(switch.passed_over())
    stopped = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    if options.print:
        with closing(Followed(Path(options.queue_log))) as followed, closing(Output(options.source)) as destination:
            _follow(followed, switch, destination, stopped)
            return destination.finish(switch.passed_over())
    with closing(Bookmark(options.data_dir, options.source)) as bookmark:
        position = _recall(bookmark, switch)
        with (
            closing(Followed(Path(options.queue_log), position)) as followed,
            closing(delivery.opened(options, stopped.is_set)) as destination,
        ):
            log.info("following %s", options.queue_log)
            _follow(followed, switch, destination, stopped, bookmark)
            return destination.finish(switch.passed_over())


def _read_pipe(options: argparse.Namespace, switch: "Switch") -> int:
    """Read a pipe. A signal ends the reading only, because what was read is gone; a second one ends the sending too."""
    stopped, given_up = Flag(), Flag()
    with (
        piped(options.queue_log, "--queue-log") as pipe,
        closing(delivery.opened(options, given_up.is_set)) as destination,
    ):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: (given_up if stopped.is_set() else stopped).set())
        is_sent = read_pipe(pipe, switch, destination, options.timezone, stopped)
        code = destination.finish(switch.passed_over())
    if not is_sent:
        raise VigieError(
            "Stopped before Kafka acknowledged all that was read; a pipe keeps no position, send it again."
        )
    return code


class Switch:
    """Reads the lines of a switch, and keeps the state of its floor."""

    def __init__(self, source: str, names_map: names.Names, timezone: ZoneInfo | None) -> None:
        self.source = source
        self._reader = Reader(timezone)
        self._floor = Translator(source, names_map)

    def take(self, lines: Iterable[bytes]) -> Iterator[Produced]:
        """Yield the events of each line, or that it is unreadable."""
        for text in map(decoded, lines):
            try:
                entry = self._reader.read(text)
                events = self._floor.take(entry) if entry else []
            except Unreadable as unreadable:
                yield Rejected(text, str(unreadable)), text
                events = unreadable.events if isinstance(unreadable, PartlyRead) else []
            for event in events:
                yield event, text

    def pass_time(self, now: dt.datetime) -> Iterator[Produced]:
        """Yield the events that happen until `now` without a line."""
        for event in self._floor.pass_time(now):
            yield event, ""

    def passed_over(self) -> str:
        """The names of unknown events, and how often each came."""
        unknown = [f"{name} ({count})" for name, count in self._floor.unknown.items()]
        return f"unknown events {', '.join(unknown)}" if unknown else ""

    def report(self) -> None:
        """Log what the lines did not say."""
        calls = self._floor.calls
        if calls.inferred:
            log.warning(
                "%s: %d calls have no line of their beginning; it was inferred from later lines",
                self.source,
                calls.inferred,
            )
        if calls.unreachable:
            log.warning(
                "%s: %d offers went to telephones that could not be rung; nobody missed them",
                self.source,
                calls.unreachable,
            )

    def remembered(self) -> dict[str, Any]:
        return {"reader": self._reader.remembered(), "floor": self._floor.remembered()}

    def recall(self, remembered: dict[str, Any]) -> None:
        self._reader.recall(remembered["reader"])
        self._floor.recall(remembered["floor"])


def _recall(bookmark: Bookmark, switch: Switch) -> Position | None:
    """Restore the state of the last run and return where it stopped; None when this is the first."""
    content = bookmark.read()
    if content is None:
        return None
    try:
        switch.recall(content)
        return msgspec.convert(content["position"], Position)
    except (KeyError, TypeError, ValueError) as error:  # ValidationError is a ValueError
        raise bookmark.unusable() from error


def _follow(
    followed: Followed, switch: Switch, destination: Destination, stopped: Flag, bookmark: Bookmark | None = None
) -> None:
    """Send events as lines come, until `stopped` is set. The bookmark moves once they are acknowledged."""

    def keep() -> None:
        if bookmark and followed.position:
            bookmark.write({"position": followed.position, **switch.remembered()})

    kept, kept_at = followed.position, time.monotonic()
    while not stopped.is_set():
        lines = followed.read()
        if not destination.send(switch.take(lines) if lines else switch.pass_time(written_until())):
            return
        if followed.position != kept and time.monotonic() >= kept_at + KEEP_EVERY_S:
            keep()
            kept, kept_at = followed.position, time.monotonic()
        if not lines:
            stopped.wait(LOOK_EVERY_S)
    keep()
    switch.report()
