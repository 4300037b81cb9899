"""`python -m ingest rebuild`: the store and the published files, made again from the events that are kept.

Everything is a function of the events, so the events are enough: those of the Parquet files in `events/` and, when the
store can be read, those that had not settled. Positions, totals and dead letters are taken over from it. The new store
is made in a folder of its own; its files move into place when it is complete, the file of the store last, so that an
end at any instant leaves the old store or the new one. Files of the old one stay for readers of the old snapshot, and
are deleted as all that are replaced.
"""

import argparse
import datetime as dt
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
from tqdm import tqdm

from ingest import layout
from ingest.batch import Arrivals
from ingest.cli import Parser
from ingest.errors import StoreError, disk_trouble
from ingest.kept import Kept, keep, refuse_in_use
from ingest.publish import Moment, Publisher
from ingest.segments import archived_files
from ingest.store import Store
from metrics import clock
from metrics.campaigns import Configuration, load
from metrics.zones import check_zones

log = logging.getLogger(__name__)

SCRATCH = ".rebuild"
COMPLETE = "complete"
ROOM = 1.2  # of what is there: the new files beside the old ones
ROOM_AN_EVENT = 1_000  # bytes in the store, of one that has not settled
UNASKED_EVENTS = 1_500_000  # rebuilt at a start without being asked: less than a minute's work

#: Tables of the store that are not made of events.
TAKEN_OVER = ("identity", "positions", "gaps", "dead_letters", "totals")


@dataclass(frozen=True)
class Rebuilt:
    """Of so many `rows` read these were distinct `events`; `seconds` it took."""

    rows: int
    events: int
    seconds: float


def arguments(parser: Parser) -> None:
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the store and the published file are")
    parser.option("--campaigns", default=Path("campaigns.toml"), type=Path, help="campaigns, clients and contracts")
    parser.epilog = (
        "Stop the consumer first; the dashboard goes on. Started again, the consumer reads the topic on from where it"
        " was, or from its beginning when the store was lost."
    )


def main(options: argparse.Namespace) -> int:
    configuration = load(options.campaigns)
    check_zones(configuration.zones)
    with tqdm(unit=" events", unit_scale=True, dynamic_ncols=True, disable=None) as bar:

        def show(read: int, of: int) -> None:
            bar.total = of
            bar.update(read - bar.n)

        done = rebuild(options.data_dir, configuration, show)
    repeated = done.rows - done.events
    sys.stdout.write(
        f"{done.events:,} events in {done.seconds:.1f} s ({done.events / max(done.seconds, 0.001):,.0f} a second)"
        + (f"; {repeated:,} more rows were repetitions or older contents of them" if repeated else "")
        + f".\n{options.data_dir / 'published' / 'vigie.duckdb'} is made of them; `python -m ingest run` reads on.\n"
    )
    return 0


def rebuild(data_dir: Path, configuration: Configuration, show: Callable[[int, int], None]) -> Rebuilt:
    """Make the store of `data_dir` and what is published anew; `show` is told the rows read so far, and of all.

    Raises StoreError when the store is in use, a file of events cannot be read, there is nothing to rebuild from or not
    the room on the disk; nothing has changed then.
    """
    began = time.monotonic()
    finish(data_dir)
    scratch = data_dir / SCRATCH
    try:
        with keep(data_dir) as kept:
            rows = kept.rows
            _refuse_without_room(data_dir, kept)
            if not kept.has_store:
                log.warning("%s has no store that can be read: what had not settled is read from the topic", data_dir)
            scratch.mkdir()
            try:
                events = _make(scratch, kept, data_dir, configuration, show)
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise
            _mark_complete(scratch)
            _put_in_place(data_dir, kept.has_store)
    except (duckdb.Error, OSError) as error:
        raise disk_trouble(str(scratch), error) from error
    _publish(data_dir, configuration)
    return Rebuilt(rows, events, time.monotonic() - began)


def prepare(data_dir: Path, configuration: Configuration, at_most: int = UNASKED_EVENTS) -> None:
    """See to what an interrupted rebuild or an older Vigie left, before a consumer opens the store.

    A store of an older layout is rebuilt if it has `at_most` so many events; of a larger one the log says when some of
    them count twice.
    """
    finish(data_dir)
    if not (data_dir / "store.duckdb").exists():
        return
    with keep(data_dir) as kept:
        if not kept.has_store or kept.layout is None or kept.layout >= layout.LAYOUT:
            return
        is_small, doubled = kept.rows <= at_most, kept.doubled()
    if is_small:
        log.warning("the store in %s was written by an older Vigie: it is made again from its events", data_dir)
        done = rebuild(data_dir, configuration, lambda *_: None)
        log.warning("made again from %d events in %.0f s; %d rows repeated one", done.events, done.seconds, doubled)
    elif doubled:
        log.error(
            "%d archived events in %s repeat others, as an older Vigie left them, and count more than once:"
            " stop, run `python -m ingest rebuild`, start again",
            *(doubled, data_dir),
        )


def finish(data_dir: Path) -> None:
    """Put a rebuilt store in place whose rebuild was interrupted there; delete one that was not complete.

    Raises StoreError when a rebuild or a consumer is at work.
    """
    scratch = data_dir / SCRATCH
    if (scratch / COMPLETE).exists():
        with keep(data_dir) as kept:
            _put_in_place(data_dir, kept.has_store)
    elif scratch.exists():
        refuse_in_use(scratch / "store.duckdb")
        shutil.rmtree(scratch)


def _refuse_without_room(data_dir: Path, kept: Kept) -> None:
    files = sum(file.stat().st_size for file in archived_files(data_dir))
    needed = ROOM * files + ROOM_AN_EVENT * kept.unsettled()
    free = shutil.disk_usage(data_dir).free
    if free < needed:
        raise StoreError(
            f"{data_dir} has {free / 2**20:,.0f} MiB free, and to rebuild it takes {needed / 2**20:,.0f}: the old files"
            " stay until the new ones are complete. Free some space and start again."
        )


def _make(
    scratch: Path, kept: Kept, data_dir: Path, configuration: Configuration, show: Callable[[int, int], None]
) -> int:
    """Make the new store in `scratch`; return how many events are in it."""
    store = Store(scratch / "store.duckdb")
    try:
        publisher = Publisher(store, scratch / "published", configuration)
        read = 0
        as_of = dt.datetime.min.replace(tzinfo=dt.UTC)
        for rows, events in kept.batches():
            with store.transaction():
                store.apply(Arrivals(0, 0, [events], [], [], {}, {}))
                as_of = max(as_of, store.last_event_at() or as_of)
                moment = Moment(as_of, clock.now())
                publisher.judge(moment)
                publisher.settle(moment)
            read += rows
            show(read, kept.rows)
        totals = store.totals()
        with store.transaction():
            tables = {name: table for name in TAKEN_OVER if (table := kept.table(name)) is not None}
            store.take_over(tables, kept.settled_letters())
            store.segments.own_replaced(data_dir)
    finally:
        store.close()
    return totals.lines - totals.duplicates


def _mark_complete(scratch: Path) -> None:
    with (scratch / COMPLETE).open("w") as mark:
        os.fsync(mark.fileno())


def _put_in_place(data_dir: Path, has_store: bool) -> None:
    """Move the files of a complete rebuild to where they belong, the store last, so that it can end at any instant.

    A store that could not be read is kept under another name.
    """
    scratch = data_dir / SCRATCH
    for file in archived_files(scratch):
        place = data_dir / file.relative_to(scratch)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
    fresh, store = scratch / "store.duckdb", data_dir / "store.duckdb"
    if fresh.exists():
        if store.exists() and not has_store:
            store.replace(store.with_name("store.duckdb.unreadable"))
        store.with_name("store.duckdb.wal").unlink(missing_ok=True)  # empty, or of a store that cannot be read
        fresh.replace(store)
    shutil.rmtree(scratch)


def _publish(data_dir: Path, configuration: Configuration) -> None:
    store = Store(data_dir / "store.duckdb")
    try:
        publisher = Publisher(store, data_dir / "published", configuration)
        now = clock.now()
        moment = Moment(min(store.last_event_at() or now, now), now)
        publisher.judge(moment)
        publisher.write(moment)
    finally:
        store.close()
