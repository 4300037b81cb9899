"""`python -m notify`: delivers alerts, sends a test message, or checks the addresses.

VIGIE_CAMPAIGNS   the configuration file with [notify.…], by default campaigns.toml
VIGIE_DATA_DIR    the data directory of the consumer, by default data
VIGIE_DESK_DIR    where acknowledgements and the outbox are, by default desk in the data directory
VIGIE_URL         the address of the dashboard, for the links in messages
"""

import argparse
import os
import signal
import sys
import threading
import uuid
import zoneinfo
from pathlib import Path

from metrics import clock, logs, readers
from metrics.command_line import Parser, keep_from_others
from metrics.configuration.campaigns import load
from metrics.configuration.zones import check_zones
from metrics.errors import CommandLineError, MetricsError
from metrics.language.text import text
from notify import words
from notify.addresses import channels_of
from notify.channels import Message, keep_services_quiet
from notify.desk import Desk, desk_dir
from notify.errors import NotDelivered
from notify.run import run

# use the pinned tzdata and not this machine's zone rules: times must be those of the pages
zoneinfo.reset_tzpath(to=[])
zoneinfo.ZoneInfo.clear_cache()


def parser() -> Parser:
    parser = Parser(prog="python -m notify", description="Messages about alerts, to the groups of campaigns.toml")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command, help in (
        ("run", _run, "deliver until it is stopped"),
        ("test", _test, "send a test message to every address of a group"),
        ("check", _check, "check every address, and change nothing"),
    ):
        of = commands.add_parser(name, help=help, description=help)
        of.set_defaults(command=command)
        if name == "test":
            of.add_argument("group", help="the NAME of a [notify.NAME]")
    return parser


def _run(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    check_zones(load(_configuration()).zones)
    run(_configuration(), readers.published(), Desk(desk_dir()), os.environ.get("VIGIE_URL", ""), stop)
    return 0


def _test(options: argparse.Namespace) -> int:
    configuration = load(_configuration())
    group = configuration.groups.get(options.group)
    if group is None:
        names = ", ".join(configuration.groups) or "none"
        raise CommandLineError(f"{configuration.path} has no group {options.group!r}; there are {names}.")
    title, body = words.test_message(group.name, text(group.language))
    has_failed = False
    for channel in channels_of(configuration).values():
        if channel.group != group.id:
            continue
        message_id = f"{uuid.uuid4().hex[:12]}.test"
        try:
            channel.deliver(Message(message_id, title, body, "info", {"kind": words.TEST, "group": group.id}))
        except NotDelivered as error:
            has_failed = True
            _print(f"BAD   {channel.name:20} {channel.service}: {error}")
        else:
            _print(f"ok    {channel.name:20} {channel.service}: delivered")
    return int(has_failed)


def _check(options: argparse.Namespace) -> int:
    configuration = load(_configuration())
    channels = channels_of(configuration)
    for channel in channels.values():
        doubt = {"mailto": "without TLS; mailtos:// has it", "webhook": "without TLS; webhooks:// has it"}
        mark = "look " if channel.service in doubt else "ok   "
        _print(f"{mark} {channel.name:20} {channel.service}: {doubt.get(channel.service, 'known')}")
    if not channels:
        _print(f"look  {configuration.path} has no [notify.…]: nobody is told about alerts")
    return 0


def _configuration() -> Path:
    return Path(os.environ.get("VIGIE_CAMPAIGNS") or "campaigns.toml").resolve()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def main(arguments: list[str]) -> int:
    try:
        logs.write_to(sys.stderr, "vigie")
        keep_services_quiet()
        clock.now()  # raises if VIGIE_CLOCK is not an instant
        options = parser().parse_args(arguments)
        return int(options.command(options))
    except MetricsError as error:
        sys.stderr.write(f"vigie: {error}\n")
        return error.exit_code


if __name__ == "__main__":
    keep_from_others()
    sys.exit(main(sys.argv[1:]))
