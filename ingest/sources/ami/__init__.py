"""`python -m ingest source ami`: turn what Asterisk's manager interface says into events, while it happens."""

import argparse
import datetime as dt
import logging
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event as Flag

from ingest.cli import Parser
from ingest.sources import delivery, names
from ingest.sources.ami.connection import Connection, Lost, Message, Server, server
from ingest.sources.ami.floor import Floor
from ingest.sources.delivery import Destination, Produced
from ingest.sources.events import Rejected
from metrics import clock

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # before connecting again
UNSENT = dt.timedelta(seconds=2)  # messages may come this long after what they report


def arguments(parser: Parser) -> None:
    parser.option("--ami", default="127.0.0.1:5038", help="Asterisk's manager interface, HOST:PORT")
    parser.option("--ami-user", default="", help="a user of manager.conf; the secret is never an argument")
    parser.option("--ami-secret-file", default="", help="a file with its secret alone; or VIGIE_AMI_SECRET has it")
    parser.flag("--ami-tls", help="connect with TLS (tlsenable in manager.conf)")
    parser.option("--ami-ca-file", default="", help="PEM file of the authority that signed Asterisk's certificate")
    parser.option("--map", default=None, type=Path, help="our names for queues, agents and pauses, TOML")
    delivery.options(parser, "asterisk")


def main(options: argparse.Namespace) -> int:
    asterisk = server(
        options.ami, options.ami_user, options.ami_secret_file, options.ami_tls, options.ami_ca_file
    )  # fmt: skip
    floor = Floor(options.source, names.load(options.map))
    stopped = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with closing(delivery.opened(options, stopped.is_set)) as destination:
        listen(asterisk, floor, destination, stopped)
        return destination.finish()


def listen(asterisk: Server, floor: Floor, destination: Destination, stopped: Flag) -> None:
    """Send events as messages come, until `stopped` is set; connect again whenever the connection is lost."""
    wait_s = FIRST_WAIT_S
    lost_at: dt.datetime | None = None
    while not stopped.is_set():
        try:
            with closing(Connection(asterisk)) as connection:
                log.info("connected to AMI")
                wait_s = FIRST_WAIT_S
                messages = connection.early()
                while not stopped.is_set():
                    if not destination.send(_events(floor, messages, lost_at)):
                        return
                    lost_at = None if messages else lost_at
                    messages = connection.read()
                return
        except Lost as error:
            lost_at = lost_at or clock.now()
            log.warning("AMI: %s; connecting again in %g s", error, wait_s)
        stopped.wait(wait_s)
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _events(floor: Floor, messages: list[Message], lost_at: dt.datetime | None) -> Iterator[Produced]:
    now = clock.now()
    if messages and lost_at:
        yield _gap(lost_at, now), ""
        booted = [message.get("Uptime", "") for message in messages if message.get("Event") == "FullyBooted"]
        uptimes = [int(uptime) for uptime in booted if uptime.isdecimal()]
        if uptimes and now - dt.timedelta(seconds=uptimes[0]) > lost_at - UNSENT:
            yield from floor.start_again(now - dt.timedelta(seconds=uptimes[0]))
    yield from floor.take(messages, now)
    if not messages:
        yield from floor.pass_time(now - UNSENT)


def _gap(since: dt.datetime, until: dt.datetime) -> Rejected:
    seconds = round((until - since).total_seconds())
    reason = f"AMI was not connected for {seconds} s; what happened meanwhile is in queue_log only."
    return Rejected(f"{since.isoformat()} to {until.isoformat()}", reason)
