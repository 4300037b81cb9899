"""Where what a source made goes: to Kafka, acknowledged, or to standard output to be looked at."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kafka.util import ensure_valid_topic_name

from ingest.cli import Parser
from ingest.errors import UsageError, VigieError
from ingest.events.masking import mask_reason
from ingest.sources.events import Event, Rejected, encoded
from ingest.topic.producing import Record, deliver, open_producer
from ingest.topic.servers import Security, security

log = logging.getLogger(__name__)

TOGETHER = 20  # events of one key, at most, in one record while there are many: sending is what takes the time
MANY = 1_000

Made = tuple[Event | Rejected, str]  # and the input that it was made of


def options(parser: Parser, source: str) -> None:
    """Add the options that every source has."""
    parser.option("--source", default=source, help="the name of this switch, in every event")
    parser.kafka_options()
    parser.flag("--print", help="write NDJSON to standard output, and what cannot be read to standard error")


def opened(options: argparse.Namespace, stopped: Callable[[], bool] = lambda: False) -> "Destination":
    """Where the options say that events go."""
    if options.print:
        return Output(options.source)
    return Kafka(options.source, options.bootstrap_servers, options.topic, stopped, security(options))


class Counts:
    """What became of the input so far."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.events = 0
        self.unreadable = 0
        self.last_reason = ""

    def encode(self, made: Iterable[Made]) -> Iterator[tuple[bytes, bytes, str | None]]:
        for one, origin in made:
            key, value, reason = encoded(one, self.source, origin)
            if reason is None:
                self.events += 1
            else:
                self.unreadable += 1
                self.last_reason = mask_reason(reason)  # it may quote what is a phone number
            yield key, value, reason

    def summary(self, passed_over: str) -> str:
        said = f"{self.events} events"
        if passed_over:
            said += f"; passed over: {passed_over}"
        if self.unreadable:
            said += f"; {self.unreadable} not understood, the last: {self.last_reason.rstrip('.')}"
        return said


class Kafka:
    """Sends to a topic, where ingest makes dead letters of what was not understood."""

    def __init__(
        self, source: str, bootstrap_servers: str, topic: str, stopped: Callable[[], bool], secured: Security
    ) -> None:
        try:
            ensure_valid_topic_name(topic)
        except ValueError as error:
            raise UsageError(f"Topic {topic!r} cannot be used: {error}.") from error
        self.counts = Counts(source)
        self._where = f"acknowledged by {bootstrap_servers}, topic {topic}"
        self._topic = topic
        self._stopped = stopped
        self._producer: Any = open_producer(bootstrap_servers, secured)

    def send(self, made: Iterable[Made]) -> bool:
        """Send, and say whether all of it was acknowledged: it was not if told to stop before."""
        before = self.counts.unreadable
        records = list(_records(list(self.counts.encode(made))))
        if more := self.counts.unreadable - before:
            log.warning("%d not understood, handed on as dead letters, the last: %s", more, self.counts.last_reason)
        return deliver(self._producer, self._topic, records, stopped=self._stopped) == len(records)

    def close(self) -> None:
        self._producer.close(timeout=5)

    def finish(self, passed_over: str = "") -> int:
        """Say what was done, and what was passed over; the command's exit code."""
        sys.stdout.write(f"{self.counts.summary(passed_over)}; {self._where}\n")
        return 0


class Output:
    """Writes events to standard output, what was not understood to standard error."""

    def __init__(self, source: str) -> None:
        self.counts = Counts(source)

    def send(self, made: Iterable[Made]) -> bool:
        for _, value, reason in self.counts.encode(made):
            out = sys.stdout if reason is None else sys.stderr
            out.buffer.write(value + b"\n")
        sys.stdout.buffer.flush()
        return True

    def close(self) -> None:
        pass

    def finish(self, passed_over: str = "") -> int:
        said = self.counts.summary(passed_over)
        if self.counts.unreadable:
            raise VigieError(f"{said}.")
        log.info("%s", said)
        return 0


Destination = Kafka | Output


def _records(encoded: list[tuple[bytes, bytes, str | None]]) -> Iterator[Record]:
    """One record an event, or of several of one call or agent when there are many: a call's share a partition.

    What was not understood has its own.
    """
    together: dict[bytes, list[bytes]] = {}
    for key, value, reason in encoded:
        if reason is not None or len(encoded) < MANY:
            yield key, value
            continue
        values = together.setdefault(key, [])
        values.append(value)
        if len(values) == TOGETHER:
            yield key, b"\n".join(together.pop(key))
    for key, values in together.items():
        yield key, b"\n".join(values)
