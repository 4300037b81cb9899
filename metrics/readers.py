"""What pages read: the published file, opened once a snapshot and asked once a snapshot, for everybody.

This is the only place that opens `D/published/vigie.duckdb`. A snapshot is replaced by a rename, so a new
one has another inode or time of change. Every answer is computed for all campaigns, kept until the next
snapshot, and filtered to the Viewer as it is handed out; no reader works without a Viewer.

DuckDB keeps one instance a path in a process: opening the path again while the old snapshot is open would
give the old one. So the old connection is closed before the new one is opened, and one lock serves both.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

import duckdb

from metrics.errors import MetricsError
from metrics.viewer import Viewer

Answer = TypeVar("Answer")
SnapshotId = tuple[int, int]
"""Inode and time of change [ns] of the published file."""

RECENT = timedelta(hours=8)
"""How far back a tile's sparkline looks: rolling, so that it is as full at 0:05 as at noon."""
MINUTES = 15
STEPS = (15, 30, 60)
"""Lengths of an interval [min] that fill every local day, also one of 23 or 25 hours."""

STATUS = """
SELECT as_of, published_at, last_event_at FROM ingest_status
"""
CAMPAIGNS = """
SELECT campaign, client_name, name, language, timezone FROM campaigns ORDER BY lower(client_name), lower(name), campaign
"""
WAITING = """
SELECT campaign, queue, language, caller, queued_at, epoch($as_of::TIMESTAMPTZ) - epoch(queued_at) AS wait_s
FROM calls
WHERE day >= CAST(timezone('UTC', $as_of::TIMESTAMPTZ) AS DATE) - 2  -- none waits longer: it is given up before
    AND outcome = 'open' AND direction IS DISTINCT FROM 'outbound'
ORDER BY queued_at, call_id
"""
AGENTS = """
SELECT campaign, state, count(*) AS agents
FROM agents
WHERE state IN ('available', 'busy', 'wrap_up', 'paused')
GROUP BY campaign, state
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


@dataclass(frozen=True, slots=True)
class Kpis:
    """A row of `kpi_campaign` or `kpi_interval`: ratios 0–1, durations [s]; None is undefined, 0 measured."""

    offered: int
    answered: int
    abandoned: int
    short_abandoned: int
    overflowed: int
    callback: int
    voicemail: int
    refused: int
    dropped: int
    open: int
    handled: int
    service_level: float | None
    abandon_rate: float | None
    asa_s: float | None
    aht_s: float | None
    occupancy: float | None
    target: float | None
    threshold_s: float | None


KPI_COLUMNS = ", ".join(f'k."{field.name}"' for field in fields(Kpis))


@dataclass(frozen=True, slots=True)
class Interval:
    """A quarter of an hour, or another stretch `[start, end)`; `kpis` None when nothing is known of it."""

    start: datetime
    end: datetime
    kpis: Kpis | None


@dataclass(frozen=True, slots=True)
class AgentCounts:
    """Agents of a campaign by what they do now; who is offline is not counted."""

    available: int = 0
    busy: int = 0
    wrap_up: int = 0
    paused: int = 0

    @property
    def logged_in(self) -> int:
        return self.available + self.busy + self.wrap_up + self.paused


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign and the local day `[t0, t1)` that is asked for."""

    campaign: str
    client: str
    name: str
    language: str | None
    timezone: str
    day: date
    t0: datetime
    t1: datetime


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call in a queue at `as_of`; the caller is masked."""

    campaign: str
    queue: str | None
    language: str | None
    caller: str | None
    queued_at: datetime
    wait_s: float


@dataclass(frozen=True, slots=True)
class CampaignNow:
    """What a tile shows: the campaign's local day so far, its queue and agents now, its last hours."""

    campaign: Campaign
    today: Kpis | None
    waiting: int
    longest_wait_s: float | None
    agents: AgentCounts
    recent: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """All campaigns of one viewer, from one snapshot, by client and name: an order that stays."""

    freshness: Freshness
    campaigns: tuple[CampaignNow, ...]

    @property
    def waiting(self) -> int:
        return sum(one.waiting for one in self.campaigns)

    @property
    def longest_wait_s(self) -> float | None:
        return max((one.longest_wait_s for one in self.campaigns if one.longest_wait_s is not None), default=None)

    @property
    def agents(self) -> AgentCounts:
        return AgentCounts(*(sum(getattr(one.agents, s.name) for one in self.campaigns) for s in fields(AgentCounts)))


@dataclass(frozen=True, slots=True)
class CampaignDay:
    """One campaign's local day by intervals, up to the snapshot's `as_of`."""

    freshness: Freshness
    campaign: Campaign
    total: Kpis | None
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class _Floor:
    """Every campaign, before a viewer is known; it does not leave this module."""

    board: Board
    waiting: tuple[WaitingCall, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    snapshot: SnapshotId
    answer: object


class Published:
    """The published file at `path`: newest snapshot only, shared by all threads of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._opened: SnapshotId | None = None
        self._kept: dict[object, _Kept] = {}

    def board(self, viewer: Viewer) -> Board | None:
        """Return the viewer's campaigns as they are now, or None before anything is published."""
        floor = self._ask("floor", _floor)
        if floor is None:
            return None
        board = floor.board
        if viewer.campaigns is None:
            return board
        return Board(board.freshness, tuple(one for one in board.campaigns if viewer.sees(one.campaign.campaign)))

    def freshness(self, viewer: Viewer) -> Freshness | None:
        """Return which snapshot is the newest, or None before anything is published."""
        board = self.board(viewer)
        return None if board is None else board.freshness

    def waiting(self, viewer: Viewer, campaign: str) -> tuple[WaitingCall, ...]:
        """Return the calls waiting in the campaign's queues, the longest wait first."""
        floor = self._ask("floor", _floor)
        if floor is None or not viewer.sees(campaign):
            return ()
        return tuple(call for call in floor.waiting if call.campaign == campaign)

    def day(
        self, viewer: Viewer, campaign: str, *, day: date | None = None, minutes: int = MINUTES
    ) -> CampaignDay | None:
        """Return a local day of a campaign (default: the day of `as_of`); None: the viewer has no such."""
        if minutes not in STEPS:
            raise ValueError(f"intervals of {minutes} minutes do not fill every day, allowed are {STEPS}")
        floor = self._ask("floor", _floor)
        if floor is None or not viewer.sees(campaign):
            return None
        days = self._ask(("day", day, minutes), lambda c, i: _days(c, i, day, minutes, floor))
        return days.get(campaign) if days else None

    def close(self) -> None:
        """Close the snapshot; the next question opens the newest again."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._opened = None, None

    def _ask(self, question: object, query: Callable[[duckdb.DuckDBPyConnection, SnapshotId], Answer]) -> Answer | None:
        """Return `query`'s answer from the newest snapshot, asked once for all; None when no file is there.

        Who comes while another thread already asks the new snapshot gets the previous answer at once.
        """
        snapshot = _identify(self.path)
        if snapshot is None:
            return None
        kept = self._kept.get(question)
        if kept is not None and kept.snapshot == snapshot:
            return cast(Answer, kept.answer)
        if not self._lock.acquire(blocking=kept is None):
            return cast(Answer, kept.answer if kept is not None else None)
        try:
            kept = self._kept.get(question)
            if kept is None or kept.snapshot != snapshot:
                kept = _Kept(snapshot, query(self._open(snapshot), snapshot))
                self._kept[question] = kept
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

    def _open(self, snapshot: SnapshotId) -> duckdb.DuckDBPyConnection:
        if self._connection is None or self._opened != snapshot:
            self._kept = {q: kept for q, kept in self._kept.items() if kept.snapshot == self._opened}
            self._forget()
            self._connection = duckdb.connect(str(self.path), read_only=True)
            self._connection.execute("SET TimeZone = 'UTC'")
            self._opened = snapshot
        return self._connection


def published() -> Published:
    """Return the reader of `$VIGIE_DATA_DIR/published/vigie.duckdb` (default `data`), one for the process."""
    return _published(Path(os.environ.get("VIGIE_DATA_DIR") or "data").resolve() / "published" / "vigie.duckdb")


@cache
def _published(path: Path) -> Published:
    return Published(path)


def _identify(path: Path) -> SnapshotId | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
    used = {name: value for name, value in parameters.items() if f"${name}" in sql}
    return [
        tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in row)
        for row in connection.execute(sql, used).fetchall()
    ]


def _freshness(connection: duckdb.DuckDBPyConnection, snapshot: SnapshotId) -> Freshness:
    rows = _rows(connection, STATUS)
    if len(rows) != 1:
        raise duckdb.InvalidInputException(f"ingest_status has {len(rows)} rows, not one")
    return Freshness(snapshot, *rows[0])


def _campaigns(connection: duckdb.DuckDBPyConnection, as_of: datetime, day: date | None = None) -> tuple[Campaign, ...]:
    """Return the campaigns with the bounds of a local day, by Python's zone rules, as `calls.day` has them."""
    campaigns = []
    for campaign, client, name, language, timezone in _rows(connection, CAMPAIGNS):
        zone = ZoneInfo(timezone)
        local = day or as_of.astimezone(zone).date()
        t0, t1 = (datetime.combine(local + timedelta(n), clock(), zone).astimezone(UTC) for n in (0, 1))
        campaigns.append(Campaign(campaign, client, name, language, timezone, local, t0, t1))
    return tuple(campaigns)


def _totals(connection: duckdb.DuckDBPyConnection, campaigns: Sequence[Campaign]) -> dict[str, Kpis]:
    """Return each campaign's own day; campaigns whose days are the same instants share one query."""
    totals = {}
    for t0, t1 in sorted({(one.t0, one.t1) for one in campaigns}):
        asked = {one.campaign for one in campaigns if (one.t0, one.t1) == (t0, t1)}
        sql = f"SELECT k.campaign, {KPI_COLUMNS} FROM kpi_campaign($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ) AS k"
        totals.update({row[0]: Kpis(*row[1:]) for row in _rows(connection, sql, t0=t0, t1=t1) if row[0] in asked})
    return totals


def _intervals(
    connection: duckdb.DuckDBPyConnection, t0: datetime, t1: datetime, minutes: int
) -> dict[str, dict[datetime, Kpis]]:
    """Return campaign → start of interval → KPIs, for the intervals of `[t0, t1)` that have a row."""
    sql = f"""
        SELECT k.campaign, k.interval_start, {KPI_COLUMNS}
        FROM kpi_interval($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, {int(minutes)}) AS k
    """
    found: dict[str, dict[datetime, Kpis]] = {}
    for campaign, start, *kpis in _rows(connection, sql, t0=t0, t1=t1):
        found.setdefault(campaign, {})[start] = Kpis(*kpis)
    return found


def _slots(t0: datetime, t1: datetime, minutes: int, found: dict[datetime, Kpis]) -> tuple[Interval, ...]:
    """Return the consecutive intervals of `[t0, t1)`, with what was found in them."""
    step = timedelta(minutes=minutes)
    starts = [t0 + step * n for n in range(-((t0 - t1) // step))]
    return tuple(Interval(start, min(start + step, t1), found.get(start)) for start in starts)


def _floor(connection: duckdb.DuckDBPyConnection, snapshot: SnapshotId) -> _Floor:
    freshness = _freshness(connection, snapshot)
    as_of = freshness.as_of
    campaigns = _campaigns(connection, as_of)
    totals = _totals(connection, campaigns)
    quarter = timedelta(minutes=MINUTES)
    start = datetime.fromtimestamp(as_of.timestamp() // quarter.total_seconds() * quarter.total_seconds(), UTC)
    recent = _intervals(connection, start - RECENT, start + quarter, MINUTES)
    waiting = tuple(WaitingCall(*row) for row in _rows(connection, WAITING, as_of=as_of))
    queues: dict[str, list[float]] = {}
    for call in waiting:
        queues.setdefault(call.campaign, []).append(call.wait_s)
    states: dict[str, dict[str, int]] = {}
    for campaign, state, agents in _rows(connection, AGENTS):
        states.setdefault(campaign, {})[state] = agents
    tiles = tuple(
        CampaignNow(
            campaign=one,
            today=totals.get(one.campaign),
            waiting=len(queues.get(one.campaign, ())),
            longest_wait_s=max(queues.get(one.campaign, ()), default=None),
            agents=AgentCounts(**states.get(one.campaign, {})),
            recent=_slots(start - RECENT, start + quarter, MINUTES, recent.get(one.campaign, {})),
        )
        for one in campaigns
    )
    return _Floor(Board(freshness, tiles), waiting)


def _days(
    connection: duckdb.DuckDBPyConnection, snapshot: SnapshotId, day: date | None, minutes: int, floor: _Floor | None
) -> dict[str, CampaignDay]:
    """Return every campaign's day. `floor`, when it is of this snapshot, saves counting today once more."""
    freshness = _freshness(connection, snapshot)
    campaigns = _campaigns(connection, freshness.as_of, day)
    if day is None and floor is not None and floor.board.freshness.snapshot == snapshot:
        totals = {one.campaign.campaign: one.today for one in floor.board.campaigns if one.today}
    else:
        totals = _totals(connection, campaigns)
    step_s = minutes * 60
    days: dict[str, CampaignDay] = {}
    # days that begin at the same minutes of an hour share their intervals, and so one query
    for phase in sorted({one.t0.timestamp() % step_s for one in campaigns}):
        group = [one for one in campaigns if one.t0.timestamp() % step_s == phase]
        found = _intervals(connection, min(one.t0 for one in group), max(one.t1 for one in group), minutes)
        for one in group:
            until = min(one.t1, max(one.t0, freshness.as_of))
            slots = _slots(one.t0, one.t1, minutes, found.get(one.campaign, {}))
            days[one.campaign] = CampaignDay(
                freshness, one, totals.get(one.campaign), tuple(slot for slot in slots if slot.start < until)
            )
    return days
