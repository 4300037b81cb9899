"""`python -m ingest source map`: turn any list of calls into events by a mapping of its columns."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path

from ingest.cli import Parser
from ingest.errors import UsageError
from ingest.sources import delivery
from ingest.sources.call_list import mapping
from ingest.sources.call_list.calls import CallList
from ingest.sources.call_list.proposal import advice, headless, proposed
from ingest.sources.call_list.rows import Found, NoHeader, rows
from ingest.sources.call_list.sample import SAMPLE
from ingest.sources.call_list.workbook import as_text
from ingest.sources.delivery import Produced
from ingest.sources.events import Rejected, Unreadable
from ingest.sources.input.files import chunks
from metrics import clock

TOGETHER = 5_000  # events sent at once
FIRST = 20  # rows; if all of them fail for one reason, the mapping is wrong


def arguments(parser: Parser) -> None:
    parser.option("--calls", default=None, help="the list, CSV, JSON or .xlsx; - for standard input")
    parser.option("--map", default=None, type=Path, help="the mapping of columns to fields, TOML")
    parser.option("--propose", default=None, help="a list; print a mapping for it, to be corrected, and send nothing")
    delivery.options(parser, "list")


def main(options: argparse.Namespace) -> int:
    if options.propose:
        pieces = as_text(chunks(options.propose, "--propose"), options.propose, ",")
        text = proposed(_Kept(pieces).beginning(), options.propose)
        sys.stdout.buffer.write(text.encode())
        return 0
    if not options.calls or not options.map:
        raise UsageError(
            "Name the list with --calls and its mapping with --map; --propose FILE makes a mapping for a list."
        )
    call_mapping = mapping.load(options.map)
    calls = CallList(options.source, call_mapping, _written_at_ms(options.calls))
    kept = _Kept(as_text(chunks(options.calls, "--calls"), options.calls, call_mapping.file.delimiter))
    produced = _checked(by_row(calls, rows(kept, call_mapping)), kept, call_mapping)
    with closing(delivery.opened(options)) as destination:
        while together := list(islice(produced, TOGETHER)):
            if not destination.send(together):
                break
        return destination.finish()


def events(calls: CallList, parsed_rows: Iterable[Found]) -> Iterator[Produced]:
    """Yield the events of each row, or that it is unreadable."""
    return chain.from_iterable(by_row(calls, parsed_rows))


def by_row(calls: CallList, parsed_rows: Iterable[Found]) -> Iterator[list[Produced]]:
    """Yield what is made of each row: its events, or that it is unreadable."""
    for number, (row, text) in enumerate(parsed_rows, 1):
        if isinstance(row, Rejected):
            yield [(Rejected(row.line, row.reason, number), text)]
            continue
        try:
            yield [(event, text) for event in calls.events(row)]
        except Unreadable as unreadable:
            yield [(Rejected(text, str(unreadable), number), text)]


class _Kept:
    """The pieces of a list; keeps its beginning."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.kept = b""

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if len(self.kept) < SAMPLE:
                self.kept += piece[: SAMPLE - len(self.kept)]
            yield piece

    def beginning(self) -> bytes:
        """Read until the beginning is complete."""
        for _ in self:
            if len(self.kept) >= SAMPLE:
                break
        return self.kept


def _checked(made: Iterator[list[Produced]], kept: _Kept, call_mapping: mapping.Mapping) -> Iterator[Produced]:
    """Yield what is made of the rows; raises UsageError if the first rows show that the mapping is not the list's."""
    try:
        first = list(islice(made, FIRST))
    except UsageError as error:
        if not kept.kept:
            raise
        if isinstance(error, NoHeader) and (what_to_do := headless(kept.kept)):
            raise UsageError(what_to_do) from error
        reason = str(error).rstrip(".")
        raise UsageError(f"{reason}; {advice(kept.kept, call_mapping, reason)}.") from error
    reasons = {result.reason if isinstance(result, Rejected) else "" for row in first for result, _ in row}
    if len(reasons) == 1 and "" not in reasons:
        reason = reasons.pop().rstrip(".")
        which = f"each of the first {len(first)} rows" if len(first) > 1 else "the first row"
        raise UsageError(
            f"Nothing was sent, because {which} fails for one reason: {reason};"
            f" {advice(kept.kept, call_mapping, reason)}."
        )
    yield from chain.from_iterable(first)
    yield from chain.from_iterable(made)


def _written_at_ms(name: str) -> int:
    """When the list was written: of two exports the later one counts. For a pipe, the current time."""
    try:
        return round((clock.shown_at(Path(name).stat().st_mtime) if name != "-" else clock.now_s()) * 1000)
    except OSError:
        return 0  # the error is raised when it is opened
