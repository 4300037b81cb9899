"""The published file, opened once a snapshot and asked once a snapshot, for everybody.

This is the only place that opens `D/published/vigie.duckdb`. A snapshot is replaced by a rename, so a new one has
another inode or time of change. DuckDB keeps one instance a path in a process: opening the path again while the old
snapshot is open would give the old one. So the old connection is closed before the new one is opened, and one lock
serves both.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import duckdb

from metrics.errors import MetricsError
from metrics.published.relations import FOLDER

Answer = TypeVar("Answer")
SnapshotId = tuple[int, int]
"""Inode and time of change [ns] of the published file."""

SLOW_S = 15.0
"""For so long [s between two snapshots' `as_of`] an answer that moves slowly is given again."""
BUSY_S = 10.0
"""Who comes while another asks is given an answer that is no older than this, rather than made to wait."""
KEPT = 300
"""So many answers are kept at most."""
STATUS = """
SELECT as_of, published_at, last_event_at, records, events, duplicates, dead_letters, lag,
       records_per_s, publish_s, store_bytes, published_bytes, disk_free_bytes
FROM ingest_status
"""


class PublishedFileError(MetricsError):
    """The published file is there, but is not a snapshot that this version can read."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Which snapshot this is: `as_of` is its "now", `published_at` when it appeared."""

    snapshot: SnapshotId
    as_of: datetime
    published_at: datetime
    last_event_at: datetime | None

    def age_s(self, now: datetime) -> float:
        """How old what is shown is [s]: a file may be new and tell of how it was when Kafka answered last."""
        return (now - self.as_of).total_seconds()

    @property
    def silent_s(self) -> float | None:
        """How long nothing had happened, by the events' own clocks [s]; None: nothing ever did."""
        return None if self.last_event_at is None else (self.as_of - self.last_event_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Counters:
    """What the consumer has read so far, and what is left [`lag` records]; how it gets on, and what disk it takes."""

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


@dataclass(frozen=True, slots=True)
class _Kept:
    snapshot: SnapshotId
    as_of: datetime
    slow_s: float
    answer: object


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The snapshot that is open: its connection, and what its `ingest_status` says."""

    connection: duckdb.DuckDBPyConnection = field(repr=False)
    freshness: Freshness
    counters: Counters


class Published:
    """The published file at `path`: newest snapshot only, shared by all threads of this process.

    It knows nothing of viewers: only the readers of this package ask it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._open: Snapshot | None = None
        self._kept: dict[object, _Kept] = {}

    def ask(
        self, question: object, query: Callable[[Snapshot], Answer], slow_s: float = 0.0, keep: bool = True
    ) -> Answer | None:
        """Return `query`'s answer, asked once a snapshot, or every `slow_s`, for all; None when no file is there.

        Who comes while another thread already asks the new snapshot gets the previous answer at once.
        """
        newest = self.newest()
        if newest is None:
            return None
        kept = self._kept.get(question)
        if kept is not None and self._holds(kept, newest, slow_s):
            return cast(Answer, kept.answer)
        young = kept is not None and 0 <= newest[1] - kept.snapshot[1] < (BUSY_S + slow_s) * 1e9
        if not self._lock.acquire(blocking=not young):
            return cast(Answer, kept.answer if kept is not None else None)
        try:
            kept = self._kept.get(question)
            if kept is None or not self._holds(kept, newest, slow_s):
                snapshot = self._opened(newest)
                kept = _Kept(newest, snapshot.freshness.as_of, slow_s, query(snapshot))
                if keep:
                    self._kept.pop(question, None)  # what was asked last stands last
                    self._kept[question] = kept
                    while len(self._kept) > KEPT:
                        del self._kept[next(iter(self._kept))]
            return cast(Answer, kept.answer)
        except duckdb.Error as error:
            self._forget()
            said = str(error).splitlines()[0]
            raise PublishedFileError(
                f"{self.path} cannot be read as a published snapshot ({said}); publish again with this "
                f"version, or set VIGIE_DATA_DIR to the consumer's data directory."
            ) from error
        finally:
            self._lock.release()

    def newest(self) -> SnapshotId | None:
        """Return which snapshot lies at the path now; None: there is none."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

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
        """Whether an answer is the newest snapshot's, or, when it moves slowly, of one shortly before."""
        opened = self._open
        if kept.snapshot == newest or opened is None:
            return kept.snapshot == newest
        return 0 < (opened.freshness.as_of - kept.as_of).total_seconds() < slow_s

    def _opened(self, newest: SnapshotId) -> Snapshot:
        """Return the newest snapshot, opened; called with the lock held."""
        if self._open is None or self._open.freshness.snapshot != newest:
            self._forget()
            # the questions are many and small: one thread answers them with a quarter less work than two
            connection = duckdb.connect(str(self.path), read_only=True, config={"threads": 1})
            connection.execute(f"SET VARIABLE {FOLDER} = $folder", {"folder": str(self.path.parent.resolve())})
            connection.execute("SET TimeZone = 'UTC'")
            status = fetch(connection, STATUS)
            if len(status) != 1:
                connection.close()
                raise duckdb.InvalidInputException(f"ingest_status has {len(status)} rows, not one")
            (as_of, published_at, last_event_at, *counts) = status[0]
            freshness = Freshness(newest, as_of, published_at, last_event_at)
            self._open = Snapshot(connection, freshness, Counters(*counts))
            # what nobody asked since is not kept; the last answers serve who comes while the next are made
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
    """Return the rows of a query, instants in UTC, local times (without zone) as they are.

    A parameter that the SQL does not name is left out.
    """
    used = {name: value for name, value in parameters.items() if f"${name}" in sql}
    return [
        tuple(value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value for value in row)
        for row in connection.execute(sql, used).fetchall()
    ]
