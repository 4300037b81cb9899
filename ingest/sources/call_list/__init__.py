"""`python -m ingest source map`: any list of calls, as CSV or JSON, by a mapping of its columns."""

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
from ingest.sources.delivery import Made
from ingest.sources.events import Rejected, Unreadable
from ingest.sources.files import chunks
from metrics import clock

TOGETHER = 5_000  # events handed on at once


def arguments(parser: Parser) -> None:
    parser.option("--calls", default=None, help="the list, CSV or JSON; - for standard input")
    parser.option("--map", default=None, type=Path, help="which column says what, TOML")
    delivery.options(parser, "list")


def main(options: argparse.Namespace) -> int:
    if not options.calls or not options.map:
        raise UsageError("Name the list with --calls and its mapping with --map; docs/sources.md has an example.")
    known = mapping.load(options.map)
    calls = CallList(options.source, known, _written_at_ms(options.calls))
    made = events(calls, rows(chunks(options.calls, "--calls"), known))
    with closing(delivery.opened(options)) as destination:
        while together := list(islice(made, TOGETHER)):
            if not destination.send(together):
                break
        return destination.finish()


def events(calls: CallList, found: Iterable[Found]) -> Iterator[Made]:
    """What each row makes, or that it was not understood."""
    for row, text in found:
        try:
            made = [row] if isinstance(row, Rejected) else calls.events(row)
        except Unreadable as unreadable:
            yield Rejected(text, str(unreadable)), text
        else:
            for one in made:
                yield one, text


def _written_at_ms(name: str) -> int:
    """When the list was written: of two exports the later one counts. A pipe is written now."""
    try:
        return round((clock.shown_at(Path(name).stat().st_mtime) if name != "-" else clock.now_s()) * 1000)
    except OSError:
        return 0  # and told when it is opened
