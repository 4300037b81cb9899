"""`python -m ingest source map`: turn any list of calls, CSV or JSON, into events by a mapping of its columns."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from ingest.cli import Parser
from ingest.errors import UsageError
from ingest.sources import delivery
from ingest.sources.call_list import mapping
from ingest.sources.call_list.calls import CallList
from ingest.sources.call_list.rows import Found, rows
from ingest.sources.delivery import Produced
from ingest.sources.events import Rejected, Unreadable
from ingest.sources.files import chunks
from metrics import clock

TOGETHER = 5_000  # events sent at once


def arguments(parser: Parser) -> None:
    parser.option("--calls", default=None, help="the list, CSV or JSON; - for standard input")
    parser.option("--map", default=None, type=Path, help="the mapping of columns to fields, TOML")
    delivery.options(parser, "list")


def main(options: argparse.Namespace) -> int:
    if not options.calls or not options.map:
        raise UsageError("Name the list with --calls and its mapping with --map; docs/sources.md has an example.")
    call_mapping = mapping.load(options.map)
    calls = CallList(options.source, call_mapping, _written_at_ms(options.calls))
    produced = events(calls, rows(chunks(options.calls, "--calls"), call_mapping))
    with closing(delivery.opened(options)) as destination:
        while together := list(islice(produced, TOGETHER)):
            if not destination.send(together):
                break
        return destination.finish()


def events(calls: CallList, parsed_rows: Iterable[Found]) -> Iterator[Produced]:
    """Yield the events of each row, or that it is unreadable."""
    for row, text in parsed_rows:
        try:
            row_events = [row] if isinstance(row, Rejected) else calls.events(row)
        except Unreadable as unreadable:
            yield Rejected(text, str(unreadable)), text
        else:
            for event in row_events:
                yield event, text


def _written_at_ms(name: str) -> int:
    """When the list was written: of two exports the later one counts. For a pipe, the current time."""
    try:
        return round((clock.shown_at(Path(name).stat().st_mtime) if name != "-" else clock.now_s()) * 1000)
    except OSError:
        return 0  # the error is raised when it is opened
