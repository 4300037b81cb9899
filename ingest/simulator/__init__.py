"""`python -m ingest simulate`: simulate an outsourcer's floor as events: past days, today so far, then live."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Event as Flag

import msgspec

from ingest.cli import Parser, between
from ingest.simulator import parameters
from ingest.simulator.days import floor_events
from ingest.simulator.incidents import Event, as_delivered, incidents
from ingest.simulator.past import LINES, fill, records_of
from ingest.simulator.plan import day_start, floor_day
from ingest.topic.producing import deliver, open_producer
from ingest.topic.servers import security
from metrics import clock

__all__ = ["arguments", "floor_day", "floor_events", "floor_options", "main"]

log = logging.getLogger(__name__)

BATCH = 20_000  # events at a time while catching up
PAST_NICE = 10  # the live floor goes first
TICK_S = 0.1  # live events are at most this late


def arguments(parser: Parser) -> None:
    parser.kafka_options()
    floor_options(parser)
    parser.option("--days", default=1, type=between(0, 400), help="whole days before today to send first")
    parser.option(
        "--past", default=0, type=between(0, 400),
        help="instead send so many whole days before today, newest first, except those that --data-dir has; then stop",
    )  # fmt: skip
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the consumer keeps them (with --past)")
    parser.add_argument("--print", action="store_true", help="write NDJSON to standard output, not to Kafka")
    parser.add_argument("--until-now", action="store_true", help="stop once the present is reached")


def floor_options(parser: Parser) -> None:
    """Add the options of the floor."""
    parser.option(
        "--agents", default=parameters.DEFAULT_AGENTS, type=between(8, 5000),
        help="agents on the floor at its busiest hour; demand grows with them",
    )  # fmt: skip
    parser.option(
        "--seed", default=parameters.DEFAULT_SEED, type=between(0, 2**31), help="another seed is another floor"
    )


def main(options: argparse.Namespace) -> int:
    compression = "lz4" if options.past else None  # the embedded broker keeps everything in memory
    producer = None if options.print else open_producer(options.bootstrap_servers, security(options), compression)
    stopped = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    today = floor_day(clock.now())
    if options.past and producer is not None:
        os.nice(PAST_NICE)
        try:
            fill(
                producer, options.topic, data_dir=options.data_dir, today=today, count=options.past,
                agents=options.agents, seed=options.seed, stopped=stopped,
            )  # fmt: skip
        finally:
            producer.close(timeout=5)
        return 0
    start = today - timedelta(days=options.days)
    events = as_delivered(floor_events(start, agents=options.agents, seed=options.seed), options.seed)
    if producer is None:
        return _print(_due(events, stopped, options.until_now))
    sent, is_live, logged = 0, False, 0
    happening = _happening(today, options.seed)
    begin, end, words = next(happening)
    try:
        for batch in _due(events, stopped, options.until_now):
            deliver(producer, options.topic, records_of(batch, 1 if is_live else LINES), stopped=stopped.is_set)
            sent += len(batch)
            if not is_live and len(batch) < BATCH:
                is_live = True
                log.info("%d events sent, up to now; going on live", sent)
            while begin <= clock.now():
                if is_live and clock.now() < end:
                    log.info("%s", words)
                begin, end, words = next(happening)
            if not is_live and sent >= logged + 100_000:
                logged = sent
                log.info("%d events sent, up to %s", sent, batch[-1]["ts"])
    finally:
        producer.close(timeout=5)
    log.info("stopped after %d events", sent)
    return 0


def _happening(day: date, seed: int) -> Iterator[tuple[datetime, datetime, str]]:
    """Yield (start, end, words) of the incidents of the floor day `day` and of all days after it."""
    while True:
        for incident in incidents(day, seed):
            begin, end = (day_start(day) + timedelta(seconds=seconds) for seconds in (incident.starts, incident.ends))
            yield begin, end, f"{incident.campaign.name}: {incident.words()}, until {end:%H:%M} UTC"
        day += timedelta(days=1)


def _due(events: Iterator[tuple[str, Event]], stopped: Flag, until_now: bool) -> Iterator[list[Event]]:
    """Yield batches of events when they are due: past events at once, then the events of each tick."""
    due, event = next(events)
    while not stopped.is_set():
        now = clock.now().isoformat(timespec="milliseconds")
        batch: list[Event] = []
        while due <= now and len(batch) < BATCH:
            batch.append(event)
            due, event = next(events)
        if batch:
            yield batch
        if until_now and len(batch) < BATCH:
            return
        if len(batch) < BATCH:
            stopped.wait(TICK_S)


def _print(batches: Iterator[list[Event]]) -> int:
    for batch in batches:
        sys.stdout.buffer.write(msgspec.json.Encoder().encode_lines(batch))
        sys.stdout.buffer.flush()
    return 0
