"""Where a source's events go: to Kafka, with acknowledgement, or to standard output for a look at them."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kafka.util import ensure_valid_topic_name

from ingest.cli import Parser
from ingest.errors import UsageError, VigieError
from ingest.sources.events import QUOTED, Event, Rejected, encoded
from ingest.topic.producing import Record, deliver, open_producer
from ingest.topic.servers import Security, security

log = logging.getLogger(__name__)

TOGETHER = 20  # events of one key in one record, at most, if there are many: time is spent per record sent
MANY = 1_000

Produced = tuple[Event | Rejected, str]  # with the input that it was made from


def options(parser: Parser, source: str) -> None:
    """Add the options that every source has."""
    parser.option("--source", default=source, help="the name of this switch, in every event")
    parser.kafka_options()
    parser.flag("--print", help="write NDJSON to standard output, and why input is unreadable to standard error")


def opened(options: argparse.Namespace, stopped: Callable[[], bool] = lambda: False) -> "Destination":
    """The destination that the options name."""
    if options.print:
        return Output(options.source)
    return Kafka(options.source, options.bootstrap_servers, options.topic, stopped, security(options))


class Counts:
    """How many events were made so far, and how much input was unreadable."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.events = 0
        self.unreadable = 0
        self.last_reason = ""

    def encode(self, produced: Iterable[Produced]) -> Iterator[tuple[bytes, bytes, str | None]]:
        for event, origin in produced:
            key, value, reason = encoded(event, self.source, origin)
            if reason is None:
                self.events += 1
            else:
                self.unreadable += 1
                self.last_reason = QUOTED.sub("", reason)  # logs do not repeat the input
            yield key, value, reason

    def add(self, more: "Counts") -> None:
        self.events += more.events
        self.unreadable += more.unreadable
        self.last_reason = more.last_reason or self.last_reason

    def summary(self, passed_over: str) -> str:
        text = f"{self.events} events"
        if passed_over:
            text += f"; skipped: {passed_over}"
        if self.unreadable:
            text += f"; {self.unreadable} unreadable, the last: {self.last_reason.rstrip('.')}"
        return text


class Kafka:
    """Sends to a topic. Ingest makes dead letters from unreadable input there."""

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

    def send(self, produced: Iterable[Produced]) -> bool:
        """Send; return whether everything was acknowledged. Nothing is counted if `stopped` became true before."""
        counts = Counts(self.counts.source)
        records = list(_records(list(counts.encode(produced))))
        if deliver(self._producer, self._topic, records, stopped=self._stopped) < len(records):
            return False
        self.counts.add(counts)
        if counts.unreadable:
            log.warning("%d unreadable, sent as dead letters, the last: %s", counts.unreadable, counts.last_reason)
        return True

    def close(self) -> None:
        self._producer.close(timeout=5)

    def finish(self, passed_over: str = "") -> int:
        """Print what was done and what was skipped; return the command's exit code."""
        sys.stdout.write(f"{self.counts.summary(passed_over)}; {self._where}\n")
        return 0


class Output:
    """Writes events to standard output, and to standard error why input is unreadable, without the input itself."""

    def __init__(self, source: str) -> None:
        self.counts = Counts(source)

    def send(self, produced: Iterable[Produced]) -> bool:
        for event, origin in produced:
            ((_, value, reason),) = self.counts.encode([(event, origin)])
            if reason is None:
                sys.stdout.buffer.write(value + b"\n")
                continue
            unreadable: Event = {"type": "unreadable", "source": self.counts.source, "reason": self.counts.last_reason}
            if isinstance(event, Rejected) and event.row is not None:
                unreadable["row"] = event.row
            sys.stderr.write(json.dumps(unreadable, ensure_ascii=False) + "\n")
        sys.stdout.buffer.flush()
        return True

    def close(self) -> None:
        pass

    def finish(self, passed_over: str = "") -> int:
        summary = self.counts.summary(passed_over)
        if self.counts.unreadable:
            raise VigieError(f"{summary}.")
        log.info("%s", summary)
        return 0


Destination = Kafka | Output


def _records(encoded: list[tuple[bytes, bytes, str | None]]) -> Iterator[Record]:
    """Yield one record per event or, if there are many, per up to TOGETHER events of one call or agent.

    Unreadable input has records of its own.
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
