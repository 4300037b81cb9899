"""`python -m ingest rebuild`: rebuild the store and the published files from the events that are kept.

Everything is a function of the events, so the events are enough: those in the Parquet files of `events/` and, if the
store can be read, those that had not settled. Positions, totals and dead letters are taken over from the store. The new
store is made in a folder of its own. When it is complete, its files move into place, the store's file last; if that is
interrupted, the next start finishes it. Files of the old store stay for readers of the old snapshot, and are deleted
later like all replaced files. Of days whose events were deleted because of their age, rows and sums are taken over.
"""

import argparse
import contextlib
import datetime as dt
import errno
import hashlib
import itertools
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
from tqdm import tqdm

from ingest.archive import inventory
from ingest.cli import Parser
from ingest.errors import StoreError, disk_trouble, is_locked, open_failure
from ingest.events import keys
from ingest.events.batch import Arrivals
from ingest.events.persons import Persons, known_by
from ingest.publishing.publish import NOT_YET, Moment, Publisher
from ingest.store import layout
from ingest.store.frozen import take_over
from ingest.store.holding import hold
from ingest.store.salvage import Salvage, open_salvage
from ingest.store.store import Store
from metrics import clock
from metrics.configuration.campaigns import Configuration, load
from metrics.configuration.zones import check_zones
from metrics.quoting import quoted

log = logging.getLogger(__name__)

SCRATCH = ".rebuild"
COMPLETE = "complete"
ROOM = 1.2  # free space needed for the new files, as a share of the old ones
ROOM_AN_EVENT = 1_000  # bytes in the store of an event that has not settled
AUTOMATIC_REBUILD_ROWS = 1_500_000  # up to this many, a start rebuilds without being asked: it takes less than a minute

#: Tables of the store that are not made from events.
TAKEN_OVER = (
    *("identity", "positions", "gaps", "dead_letters", "letters_kept", "letters_left_out"),
    *("expired_events", "deletions", "deleted_calls"),  # before the two that count events
    *("alarms", "pending_alarms", "alerts", "sources", "totals", "erasures"),
)


@dataclass(frozen=True)
class Rebuilt:
    """The rows that were read, the distinct events among them, and how long it took."""

    rows: int
    events: int
    seconds: float


def arguments(parser: Parser) -> None:
    parser.option("--data-dir", default=Path("data"), type=Path, help="where the store and the published file are")
    parser.option("--campaigns", default=Path("campaigns.toml"), type=Path, help="campaigns, clients and contracts")
    parser.keys_option()
    parser.epilog = (
        "Stop the consumer first; the dashboard can stay up. When it is started again, the consumer continues where it"
        " stopped, or from the topic's beginning if the store was lost."
    )


def main(options: argparse.Namespace) -> int:
    configuration = load(options.campaigns)
    check_zones(configuration.zones)
    with tqdm(unit=" events", unit_scale=True, dynamic_ncols=True, disable=None) as bar:

        def show(read: int, total: int) -> None:
            bar.total = total
            bar.update(read - bar.n)

        with hold(options.data_dir) if options.data_dir.is_dir() else contextlib.nullcontext():
            persons = known_by(keys.folder_of(options.data_dir, options.keys_dir))
            done = rebuild(options.data_dir, configuration, persons, show)
    repeated = done.rows - done.events
    sys.stdout.write(
        f"{done.events:,} events in {done.seconds:.1f} s ({done.events / max(done.seconds, 0.001):,.0f} a second)"
        + (f"; {repeated:,} more rows were repetitions or older contents" if repeated else "")
        + f".\n{options.data_dir / 'published' / 'vigie.duckdb'} is rebuilt; `python -m ingest run` reads on.\n"
    )
    return 0


def rebuild(
    data_dir: Path, configuration: Configuration, persons: Persons, show: Callable[[int, int], None]
) -> Rebuilt:
    """Rebuild the store of `data_dir` and the published files. `show` gets the rows read so far and their total.

    Events are taken over as `persons` keep them.

    Raises StoreError when the store is in use, events are missing or cannot be read, there is nothing to rebuild from,
    or the disk lacks space. Then nothing has changed.
    """
    began = time.monotonic()
    finish_interrupted(data_dir)
    scratch = data_dir / SCRATCH
    with _store_errors(scratch):
        with open_salvage(data_dir) as salvage:
            salvage.refuse_without_events()
            salvage.refuse_damaged()
            rows = salvage.rows
            _refuse_without_room(data_dir, salvage)
            if not salvage.has_store:
                log.warning("%s has no readable store: events that had not settled are read from the topic", data_dir)
            scratch.mkdir()
            try:
                events = _make(scratch, salvage, data_dir, configuration, persons, show)
                _mark_complete(scratch, _fingerprint(data_dir, salvage))
            except BaseException:
                shutil.rmtree(scratch, ignore_errors=True)
                raise
            _put_in_place(data_dir, salvage.has_store)
        publish(data_dir, configuration)
    return Rebuilt(rows, events, time.monotonic() - began)


def bring_up_to_date(
    data_dir: Path, configuration: Configuration, persons: Persons, at_most: int = AUTOMATIC_REBUILD_ROWS
) -> None:
    """Finish an interrupted rebuild and upgrade an older Vigie's store, before a consumer opens it.

    A store of an older layout is rebuilt if it has at most `at_most` rows of events. In a larger one, phone numbers are
    replaced as `persons` keep them, and an error is logged if some events count twice. Raises StoreError.
    """
    finish_interrupted(data_dir)
    if not (data_dir / "store.duckdb").exists():
        return
    with _store_errors(data_dir), open_salvage(data_dir) as salvage:
        if not salvage.has_store or salvage.layout is None or salvage.layout >= layout.LAYOUT:
            return
        is_small, doubled = salvage.rows <= at_most, salvage.doubled()
    if is_small:
        log.warning("the store in %s was written by an older Vigie: rebuilding it from its events", data_dir)
        done = rebuild(data_dir, configuration, persons, lambda *_: None)
        log.warning("rebuilt from %d events in %.0f s; %d rows counted twice", done.events, done.seconds, doubled)
        return
    Store(data_dir / "store.duckdb", persons).close()
    Store.compact(data_dir / "store.duckdb")
    if doubled:
        log.error(
            "%d archived events in %s count more than once, because of an error in an older Vigie:"
            " stop, run `python -m ingest rebuild`, start again",
            *(doubled, data_dir),
        )


def finish_interrupted(data_dir: Path) -> None:
    """Finish a rebuild that was interrupted while its files moved into place; delete an incomplete one.

    Raises StoreError when a rebuild or a consumer is running, or the disk refuses it.
    """
    scratch = data_dir / SCRATCH
    if not scratch.exists():
        return
    with _store_errors(scratch):
        if not (scratch / COMPLETE).exists():
            refuse_while_rebuilding(scratch / "store.duckdb")
        elif (scratch / "store.duckdb").exists():
            with open_salvage(data_dir) as salvage:
                if (scratch / COMPLETE).read_text() == _fingerprint(data_dir, salvage):
                    _put_in_place(data_dir, salvage.has_store)
                    return
            log.warning("deleting a rebuild in %s: it was made from an older state of the store", data_dir)
        shutil.rmtree(scratch)


def refuse_while_rebuilding(store: Path) -> None:
    """Raise StoreError when another process is rebuilding this store."""
    if not store.exists():
        return
    with duckdb.connect() as connection:
        try:
            connection.execute(f"ATTACH {quoted(store)} AS rebuilt")
        except duckdb.Error as error:
            if is_locked(error):
                raise open_failure(store, error) from error


@contextlib.contextmanager
def _store_errors(what: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise disk_trouble(str(what), error) from error


def _fingerprint(data_dir: Path, salvage: Salvage) -> str:
    """A digest that changes whenever the store does: of its files, positions and totals."""
    files = inventory.state_of(salvage.counted)
    tables = [salvage.table(name) for name in ("identity", "positions", "totals")]
    return hashlib.sha256(repr([files, *(table and table.to_pylist() for table in tables)]).encode()).hexdigest()


def _refuse_without_room(data_dir: Path, salvage: Salvage) -> None:
    needed: dict[Path, float] = {data_dir: ROOM_AN_EVENT * salvage.unsettled()}
    for file in salvage.files:
        folder = inventory.folder_of(data_dir, inventory.relation_of(file))
        needed[folder] = needed.get(folder, 0.0) + ROOM * file.stat().st_size
    total = sum(needed.values())  # everything is made in the data directory, and may then move to another disk
    for folder in needed:
        if folder.exists() and (free := shutil.disk_usage(folder).free) < total:
            raise StoreError(
                f"Rebuilding needs {total / 2**20:,.1f} MiB and {folder} has {free / 2**20:,.1f} free: the old files"
                " stay until the new ones are complete. Free some space and start again."
            )


def _make(
    scratch: Path,
    salvage: Salvage,
    data_dir: Path,
    configuration: Configuration,
    persons: Persons,
    show: Callable[[int, int], None],
) -> int:
    """Make the new store in `scratch`; return how many events are in it."""
    frozen = take_over(scratch, salvage, data_dir)
    store = Store(scratch / "store.duckdb")
    store.archive.takes_all = True
    try:
        publisher = Publisher(store, scratch / "published", configuration)
        read = 0
        as_of = dt.datetime.min.replace(tzinfo=dt.UTC)
        for rows, events in salvage.batches(persons):
            with store.transaction():
                store.apply(Arrivals(0, 0, 0, [events], [], [], {}, {}))
                as_of = max(as_of, store.last_event_at() or as_of)
                moment = Moment(as_of, clock.now(), complete_until=NOT_YET)
                publisher.judge(moment)
                publisher.settle(moment)
            read += rows
            show(read, salvage.rows)
        totals = store.totals()
        with store.transaction():
            tables = {name: table for name in TAKEN_OVER if (table := salvage.table(name)) is not None}
            store.take_over(tables, salvage.settled_letters())
            store.segments.mark_replaced(data_dir, inventory.archived_files(data_dir) - frozen)
        store.checkpoint()  # when the store is closed, a full disk would go unnoticed
    finally:
        store.close()
    return totals.lines - totals.duplicates


def _mark_complete(scratch: Path, replaces: str) -> None:
    """Note that the store in `scratch` is complete, with the fingerprint of the store that it replaces."""
    mark = scratch / "mark"
    with mark.open("w") as text:
        text.write(replaces)
        text.flush()
        os.fsync(text.fileno())
    mark.replace(scratch / COMPLETE)
    inventory.sync(scratch)


def _put_in_place(data_dir: Path, has_store: bool) -> None:
    """Move the files of a complete rebuild into place, the store last, so that it may be interrupted at any time.

    A store that could not be read is kept in another folder, with its log.
    """
    scratch = data_dir / SCRATCH
    for file in sorted(inventory.archived_files(scratch)):
        place = data_dir / file.relative_to(scratch.resolve())
        place.parent.mkdir(parents=True, exist_ok=True)
        _move(file, place)
        inventory.sync(place.parent)
    store = data_dir / "store.duckdb"
    old = [file for file in (store, store.with_name("store.duckdb.wal")) if file.exists()]
    if not has_store:
        aside = next(name for n in itertools.count(1) if not (name := data_dir / f"unreadable-{n}").exists())
        if old:
            aside.mkdir()
        for file in reversed(old):
            file.replace(aside / file.name)
    else:
        for file in old[1:]:
            file.unlink()  # the old store's log, which was written into it when it was opened
    (scratch / store.name).replace(store)
    inventory.sync(data_dir)
    shutil.rmtree(scratch)


def _move(file: Path, place: Path) -> None:
    """Move a file, completely or not at all, even to another file system."""
    try:
        file.replace(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        half = place.with_name(f".{place.name}")
        shutil.copyfile(file, half)
        inventory.sync(half)
        half.replace(place)
        file.unlink()


def publish(data_dir: Path, configuration: Configuration, keep_replaced_s: float | None = None) -> None:
    """Publish the store of a data directory that no consumer has open; replaced files stay as `Segments.sweep` says."""
    store = Store(data_dir / "store.duckdb")
    try:
        publisher = Publisher(store, data_dir / "published", configuration)
        now = clock.now()
        moment = Moment(min(store.last_event_at() or now, now), now)
        publisher.judge(moment)
        publisher.write(moment)
        store.segments.sweep(keep_replaced_s)
        publisher.close()
    finally:
        store.close()
