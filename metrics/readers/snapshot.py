"""Opens the published file once per snapshot, and runs each query once per snapshot for all viewers.

Nothing else opens `D/published/vigie.duckdb`. Each publish replaces the file by a rename, so a new snapshot has another
inode or modification time. DuckDB keeps one instance per path and process: opening the path while the old snapshot is
still open would return the old one. So the old connection is closed before the new one is opened, under one lock.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import duckdb

from metrics.errors import MetricsError
from metrics.published.opening import foreign_logs, open_snapshot
from metrics.published.relations import FOLDER

Answer = TypeVar("Answer")
SnapshotId = tuple[int, int]
"""Inode and modification time [ns] of the published file."""

SLOW_S = 15.0
"""Time for which a slowly changing answer is reused [s between the `as_of` of two snapshots]."""
MONTH_S = 60.0
"""The same for a month against its contract, which takes seconds: there are no kept sums by agent or caller."""
BUSY_S = 10.0
"""While one thread queries a new snapshot, others get the previous answer if it is younger than this."""
KEPT = 300
"""Cache at most this many answers."""
STATUS = """
SELECT as_of, published_at, last_event_at, records, events, duplicates, dead_letters, lag,
       records_per_s, publish_s, store_bytes, published_bytes, disk_free_bytes
FROM ingest_status
"""


class PublishedFileError(MetricsError):
    """The published file exists, but this version cannot read it."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Identity and times of a snapshot: it describes the floor at `as_of` and was written at `published_at`."""

    snapshot: SnapshotId
    as_of: datetime
    published_at: datetime
    last_event_at: datetime | None

    def age_s(self, now: datetime) -> float:
        """Age of the data shown [s]. A new file can hold old data: as_of is when Kafka last answered."""
        return (now - self.as_of).total_seconds()

    @property
    def silent_s(self) -> float | None:
        """Time since the latest event, by the events' timestamps [s]; None: there has been no event."""
        return None if self.last_event_at is None else (self.as_of - self.last_event_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Counters:
    """The consumer's counters: records read and not yet read (`lag`), its speed, and its disk usage."""

    records: int | None
    events: int | None
    duplicates: int | None
    dead_letters: int | None
    lag: int | None
    records_per_s: float | None
    publish_s: float | None
    store_bytes: int | None
    published_bytes: int | None
    disk_free_bytes: int | None


@dataclass(slots=True)
class _Kept:
    snapshot: SnapshotId
    as_of: datetime
    slow_s: float
    answer: object
    was_new_at: float
    """When it was last the answer to give, by the monotonic clock [s]."""


_drawn_since: ContextVar[float] = ContextVar("drawn_since", default=math.inf)


@contextmanager
def one_drawing() -> Iterator[None]:
    """Give one answer to each question in this block, even if a snapshot is published meanwhile.

    A page asks for the floor in each of its parts, and a busy consumer publishes several snapshots while it is drawn.
    """
    token = _drawn_since.set(min(_drawn_since.get(), time.monotonic()))
    try:
        yield
    finally:
        _drawn_since.reset(token)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The open snapshot: its connection, and the contents of its `ingest_status`."""

    connection: duckdb.DuckDBPyConnection = field(repr=False)
    freshness: Freshness
    counters: Counters


class Published:
    """The newest snapshot of the published file at `path`, shared by all threads of this process.

    It does not know about viewers, so only the readers of this package may use it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._open: Snapshot | None = None
        self._kept: dict[object, _Kept] = {}

    def ask(
        self, question: object, query: Callable[[Snapshot], Answer], slow_s: float = 0.0, keep: bool = True
    ) -> Answer | None:
        """Return the answer of `query`; None if there is no file. `question` is the key of the cached answer.

        The query runs once per snapshot, or once every `slow_s`; in `one_drawing`, once. While one thread
        queries a new snapshot, other threads immediately get the previous answer, if it is young enough.
        """
        newest = self.newest()
        if newest is None:
            return None
        kept = self._kept.get(question)
        if kept is not None and kept.was_new_at >= _drawn_since.get():
            return cast(Answer, kept.answer)
        if kept is not None and self._holds(kept, newest, slow_s):
            kept.was_new_at = time.monotonic()
            return cast(Answer, kept.answer)
        young = kept is not None and 0 <= newest[1] - kept.snapshot[1] < (BUSY_S + slow_s) * 1e9
        if not self._lock.acquire(blocking=not young):
            return cast(Answer, kept.answer if kept is not None else None)
        try:
            kept = self._kept.get(question)
            if kept is None or not self._holds(kept, newest, slow_s):
                began_at = time.monotonic()
                snapshot = self._opened(newest)
                kept = _Kept(newest, snapshot.freshness.as_of, slow_s, query(snapshot), began_at)
                if keep:
                    self._kept.pop(question, None)  # keep the newest answer at the end
                    self._kept[question] = kept
                    while len(self._kept) > KEPT:
                        del self._kept[next(iter(self._kept))]
            return cast(Answer, kept.answer)
        except duckdb.Error as error:
            self._forget()
            cause = str(error).splitlines()[0]
            raise PublishedFileError(
                f"{self.path} cannot be read as a published snapshot ({cause}); publish again with this "
                f"version, or set VIGIE_DATA_DIR to the consumer's data directory."
            ) from error
        finally:
            self._lock.release()

    def newest(self) -> SnapshotId | None:
        """Return the id of the snapshot now at the path; None if there is none."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def foreign_logs(self) -> tuple[str, ...]:
        """Return the names of the logs that somebody else's writing left beside the file; they are not read here."""
        return tuple(log.name for log in foreign_logs(self.path))

    def last(self, question: object) -> object | None:
        """Return the latest answer to a question, however old, or None."""
        kept = self._kept.get(question)
        return None if kept is None else kept.answer

    def close(self) -> None:
        """Close the snapshot; the next question opens the newest again."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._open is not None:
            self._open.connection.close()
        self._open = None

    def _holds(self, kept: _Kept, newest: SnapshotId, slow_s: float) -> bool:
        """Whether an answer is still valid: from the newest snapshot, or less than `slow_s` older than the open one."""
        opened = self._open
        if kept.snapshot == newest or opened is None:
            return kept.snapshot == newest
        return 0 < (opened.freshness.as_of - kept.as_of).total_seconds() < slow_s

    def _opened(self, newest: SnapshotId) -> Snapshot:
        """Return the newest snapshot, and open it if needed. The caller holds the lock."""
        if self._open is None or self._open.freshness.snapshot != newest:
            self._forget()
            # there are many small queries: one thread takes a quarter less CPU for them than two
            connection = open_snapshot(self.path, threads=1)
            connection.execute(f"SET VARIABLE {FOLDER} = $folder", {"folder": str(self.path.parent.resolve())})
            connection.execute("SET TimeZone = 'UTC'")
            status = fetch(connection, STATUS)
            if len(status) != 1:
                connection.close()
                raise duckdb.InvalidInputException(f"ingest_status has {len(status)} rows, not one")
            (as_of, published_at, last_event_at, *counts) = status[0]
            freshness = Freshness(newest, as_of, published_at, last_event_at)
            self._open = Snapshot(connection, freshness, Counters(*counts))
            # drop answers that nobody has needed lately; keep recent ones for threads that come during a new query
            self._kept = {
                q: kept
                for q, kept in self._kept.items()
                if 0 <= newest[1] - kept.snapshot[1] < max(4 * SLOW_S, kept.slow_s) * 1e9
            }
        return self._open


def published() -> Published:
    """Return the reader of `$VIGIE_DATA_DIR/published/vigie.duckdb` (default `data`), one for the process."""
    return _published(Path(os.environ.get("VIGIE_DATA_DIR") or "data").resolve() / "published" / "vigie.duckdb")


@cache
def _published(path: Path) -> Published:
    return Published(path)


def fetch(connection: duckdb.DuckDBPyConnection, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query. Instants are in UTC; local times (without zone) are unchanged.

    Parameters that do not occur in the SQL are ignored.
    """
    used = {name: value for name, value in parameters.items() if f"${name}" in sql}
    return [
        tuple(value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value for value in row)
        for row in connection.execute(sql, used).fetchall()
    ]
