"""What pages read: the published file, opened once a snapshot and asked once a snapshot, for everybody.

This is the only place that opens `D/published/vigie.duckdb`. A snapshot is replaced by a rename, so a new
one has another inode or time of change. Every answer is kept for all who ask the same, and filtered to the
Viewer, or refused, as it is handed out; no reader works without a Viewer.

A macro costs more to plan (about 70 ms of CPU) than to run, so each snapshot asks only one, `kpi_days`, for every
campaign's own day at once. What moves slowly, which is everything but that and who waits, is asked every SLOW_S.

DuckDB keeps one instance a path in a process: opening the path again while the old snapshot is open would
give the old one. So the old connection is closed before the new one is opened, and one lock serves both.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

import duckdb

from metrics import service_level, tallies
from metrics.compose import KPIS
from metrics.errors import MetricsError
from metrics.outcomes import PARTS
from metrics.viewer import Viewer

Answer = TypeVar("Answer")
SnapshotId = tuple[int, int]
"""Inode and time of change [ns] of the published file."""

RECENT = timedelta(hours=8)
"""How far back a tile's sparkline looks: rolling, so that it is as full at 0:05 as at noon."""
MINUTES = 15
STEPS = (15, 30, 60)
"""Lengths of an interval [min] that fill every local day, also one of 23 or 25 hours."""
SLOW_S = 15.0
"""For so long [s between two snapshots' `as_of`] an answer that moves slowly is given again."""
BUSY_S = 10.0
"""Who comes while another asks is given an answer that is no older than this, rather than made to wait."""
KEPT = 300
"""So many answers are kept at most."""
PER_PAGE = 50
LONGEST = timedelta(days=31)
"""Calls are listed for no longer than this."""
LETTERS = 100

STATUS = """
SELECT as_of, published_at, last_event_at, records, events, duplicates, dead_letters, lag FROM ingest_status
"""
CAMPAIGNS = """
SELECT campaign, coalesce(client_name, ''), coalesce(name, campaign), language, coalesce(timezone, 'UTC'),
       configured IS NOT false
FROM campaigns
ORDER BY lower(client_name) NULLS LAST, lower(name), campaign
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
TERMS = """
SELECT valid_from, valid_to, formula, threshold_s, target, wait_at_threshold_counts, short_abandon_s
FROM sla_terms WHERE campaign = $campaign ORDER BY valid_from NULLS FIRST
"""
EXPLAIN = """
SELECT step, name, value, text FROM explain_kpi($campaign, $t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, $kpi)
"""
FIRST_DAY = """
SELECT min(day) FROM local_days
"""
CONSERVATION = """
SELECT campaign, offered, accounted, refused, conserved FROM conservation($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
"""
DEAD_LETTERS = f"""
SELECT topic, "partition", "offset", line, received_at, reason, payload
FROM dead_letters
ORDER BY received_at DESC NULLS LAST, "partition", "offset" DESC, line DESC
LIMIT {LETTERS}
"""
UNPLACED = """
SELECT count(*) FROM calls WHERE day IS NULL AND cohort_at IS NULL
"""
# facts of a call, as the measures have them
_JUDGED = ", ".join(f"{sql} AS {name}" for name, sql in (tallies.FACTS | service_level.FACTS).items())
CALLS = f"""
SELECT call_id, c.campaign, queue, direction, channel, c.language, cohort_at, queued_at, answered_at, ended_at,
       outcome, wait_s, talk_s, hold_s, wrap_s, agent, coalesce(a.name, agent), caller, disposition, transferred,
       coalesce(inferred_end, false), coalesce(clock_skew, false),
       CASE WHEN counted AND base THEN coalesce(hit, false) END, count(*) OVER ()
FROM (
    SELECT *, {_JUDGED}
    FROM calls
    WHERE campaign = $campaign AND cohort_at >= $t0::TIMESTAMPTZ AND cohort_at < $t1::TIMESTAMPTZ
        AND day BETWEEN CAST(timezone('UTC', $t0::TIMESTAMPTZ) AS DATE) - 1
            AND CAST(timezone('UTC', $t1::TIMESTAMPTZ) AS DATE) + 1
) AS c LEFT JOIN (SELECT agent, name FROM agents) AS a USING (agent)
WHERE {{behind}}
ORDER BY cohort_at DESC, call_id DESC
LIMIT $most OFFSET $skipped
"""
_INBOUND = "inbound AND outcome IS DISTINCT FROM 'refused'"
BEHIND = {
    "offered": _INBOUND,
    "service_level": "counted AND base",
    "abandon_rate": f"{_INBOUND} AND outcome <> 'short_abandoned'",
    "asa_s": "inbound AND outcome = 'answered'",
    "longest_wait_s": "inbound AND outcome = 'open'",
    **dict.fromkeys(
        ("aht_s", "avg_talk_s", "avg_hold_s", "avg_wrap_s", "transfer_rate", "conversion"), tallies.HANDLED
    ),
    "contact_rate": "NOT inbound",
    "drop_rate": f"""NOT inbound AND (outcome = 'answered' OR {tallies.CONNECTED}
        AND answered_by IS DISTINCT FROM 'machine'
        AND outcome IN ('abandoned', 'short_abandoned', 'dropped', 'refused'))""",
}
"""KPI → which calls are in its denominator. Occupancy and utilisation are made of agents' time, not of calls."""
_BESIDE = ("service_level_worst", "service_level_best", "conserved")
FIGURES = ("offered", *(name for name in KPIS if name not in _BESIDE))
"""What a page can explain; worst and best stand beside the service level."""
OUTCOMES = (*PARTS, "refused", "not_connected")


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
class Counters:
    """What the consumer has read so far, and how many records are still to be read."""

    records: int | None
    events: int | None
    duplicates: int | None
    dead_letters: int | None
    lag: int | None


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
    configured: bool = True


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
class Term:
    """A term of a contract, in the campaign's local time; `calls` of the window were judged by it."""

    valid_from: datetime | None
    valid_to: datetime | None
    formula: str
    threshold_s: float
    target: float
    wait_at_threshold_counts: bool
    short_abandon_s: float
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another system would print from the same calls; `value` None where its formula is not public."""

    system: str
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A figure of one campaign and window: `row` is its row of `kpi_campaign`, all columns."""

    freshness: Freshness
    campaign: Campaign
    t0: datetime
    t1: datetime
    kpi: str
    row: Mapping[str, Any]
    terms: tuple[Term, ...]
    elsewhere: tuple[Elsewhere, ...]

    @property
    def figure(self) -> float | None:
        return cast("float | None", self.row[self.kpi])


@dataclass(frozen=True, slots=True)
class Call:
    """A row of `calls`. `hit`: in time by its contract, or not; None: it does not count for the service level.

    `agent` and `agent_name` are None for a viewer who may not know who works.
    """

    call_id: str
    campaign: str
    queue: str | None
    direction: str | None
    channel: str | None
    language: str | None
    cohort_at: datetime
    queued_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: str
    wait_s: float | None
    talk_s: float | None
    hold_s: float | None
    wrap_s: float | None
    agent: str | None
    agent_name: str | None
    caller: str | None
    disposition: str | None
    transferred: bool | None
    inferred_end: bool
    clock_skew: bool
    hit: bool | None


@dataclass(frozen=True, slots=True)
class CallList:
    """`calls` of a window, the newest first; `total` is how many there are with the pages that are not here."""

    freshness: Freshness
    campaign: Campaign
    t0: datetime
    t1: datetime
    total: int
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which calls of a window: with this outcome, in this KPI's denominator, in time for the contract or not."""

    outcome: str | None = None
    kpi: str | None = None
    hit: bool | None = None

    def sql(self) -> str:
        if self.outcome not in (None, *OUTCOMES) or self.kpi not in (None, *BEHIND):
            raise ValueError(f"no calls are known by {self}")
        said = [BEHIND[self.kpi]] if self.kpi else []
        if self.outcome:
            said.append(f"outcome = '{self.outcome}'" + ("" if self.outcome == "not_connected" else " AND inbound"))
        if self.hit is not None:
            said.append(f"counted AND base AND coalesce(hit, false) = {self.hit}")
        return " AND ".join(f"({one})" for one in said) or "true"


@dataclass(frozen=True, slots=True)
class Conserved:
    """The identity of a campaign's day: `accounted` is the sum of the parts of `offered`."""

    campaign: Campaign
    offered: int
    accounted: int
    refused: int
    conserved: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record, or a line of it, that was rejected; the payload is masked as it was published."""

    topic: str | None
    partition: int | None
    offset: int | None
    line: int | None
    received_at: datetime | None
    reason: str | None
    payload: str | None

    @property
    def position(self) -> str:
        return "/".join(str(part) for part in (self.topic, self.partition, self.offset, self.line) if part is not None)


@dataclass(frozen=True, slots=True)
class Feed:
    """How the data comes in. `letters` None: they belong to no campaign, so who sees some campaigns sees none."""

    freshness: Freshness
    counters: Counters
    conservation: tuple[Conserved, ...]
    unconfigured: tuple[Campaign, ...]
    unplaced: int | None
    letters: tuple[DeadLetter, ...] | None


@dataclass(frozen=True, slots=True)
class _Floor:
    """Every campaign, before a viewer is known; it does not leave this module."""

    board: Board
    counters: Counters
    waiting: tuple[WaitingCall, ...]


@dataclass(frozen=True, slots=True)
class _Recent:
    """The sparklines' intervals: kept for SLOW_S, within a quarter of an hour."""

    as_of: datetime
    start: datetime
    found: dict[str, dict[datetime, Kpis]]


@dataclass(frozen=True, slots=True)
class _Kept:
    snapshot: SnapshotId
    as_of: datetime
    answer: object


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The snapshot that is open: its connection, and what its `ingest_status` says."""

    connection: duckdb.DuckDBPyConnection = field(repr=False)
    freshness: Freshness
    counters: Counters


class Published:
    """The published file at `path`: newest snapshot only, shared by all threads of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._open: _Snapshot | None = None
        self._recent: _Recent | None = None
        self._kept: dict[object, _Kept] = {}

    def board(self, viewer: Viewer) -> Board | None:
        """Return the viewer's campaigns as they are now, or None before anything is published."""
        floor = self._floor()
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
        floor = self._floor()
        if floor is None or not viewer.sees(campaign):
            return ()
        return tuple(call for call in floor.waiting if call.campaign == campaign)

    def campaign(self, viewer: Viewer, campaign: str, day: date | None = None) -> Campaign | None:
        """Return a campaign with the bounds of a local day (default: the day of `as_of`); None: there is no such."""
        board = self.board(viewer)
        known = {one.campaign.campaign: one.campaign for one in board.campaigns} if board else {}
        one = known.get(campaign)
        return one if one is None or day is None else _on(one, day)

    def day(
        self, viewer: Viewer, campaign: str, *, day: date | None = None, minutes: int = MINUTES
    ) -> CampaignDay | None:
        """Return a local day of a campaign (default: the day of `as_of`); None: the viewer has no such."""
        if minutes not in STEPS:
            raise ValueError(f"intervals of {minutes} minutes do not fill every day, allowed are {STEPS}")
        if self.campaign(viewer, campaign) is None:
            return None
        days = self._ask(("day", day, minutes), lambda s: _days(s, day, minutes), SLOW_S)
        return days.get(campaign) if days else None

    def first_day(self, viewer: Viewer) -> date | None:
        """Return the first day of which anything may be known, or None."""
        if not self.board(viewer):
            return None
        return self._ask("first day", lambda s: cast("date | None", _rows(s.connection, FIRST_DAY)[0][0]), SLOW_S)

    def explain(self, viewer: Viewer, campaign: str, kpi: str, t0: datetime, t1: datetime) -> Explained | None:
        """Return what a figure of FIGURES was made of in `[t0, t1)`; None: the viewer has no such campaign."""
        if kpi not in FIGURES:
            raise ValueError(f"{kpi!r} is not one of the figures {FIGURES}")
        one = self.campaign(viewer, campaign)
        if one is None:
            return None
        return self._ask(("explain", campaign, kpi, t0, t1), lambda s: _explain(s, one, kpi, t0, t1), SLOW_S)

    def calls(
        self, viewer: Viewer, campaign: str, t0: datetime, t1: datetime, asked: Asked, *, page: int | None = 1
    ) -> CallList | None:
        """Return a page of PER_PAGE calls that entered their queue in `[t0, t1)`, the newest first.

        `page` None: all of them. None: the viewer has no such campaign, or is a television. A client sees the calls
        and not who worked on them.
        """
        if not timedelta() < t1 - t0 <= LONGEST:
            raise ValueError(f"calls are listed for more than nothing and at most {LONGEST.days} days")
        one = self.campaign(viewer, campaign)
        if one is None or viewer.role == "television":
            return None
        behind, named = asked.sql(), viewer.role in ("manager", "analyst")
        question = ("calls", campaign, t0, t1, behind, page, named)
        if page is not None:
            return self._ask(question, lambda s: _calls(s, one, t0, t1, behind, page, named), SLOW_S)
        return self._ask(question, lambda s: _calls(s, one, t0, t1, behind, None, named), keep=False)

    def feed(self, viewer: Viewer) -> Feed | None:
        """Return how the data comes in, for managers and analysts; None for others, and before it comes."""
        floor = self._floor()
        if floor is None or viewer.role not in ("manager", "analyst"):
            return None
        campaigns = [one.campaign for one in floor.board.campaigns]
        known = self._ask("feed", lambda s: _feed(s, campaigns), SLOW_S)
        if known is None:
            return None
        conservation, unplaced, letters = known
        whole = viewer.campaigns is None
        return Feed(
            floor.board.freshness,
            floor.counters,
            tuple(one for one in conservation if viewer.sees(one.campaign.campaign)),
            tuple(one for one in campaigns if not one.configured and viewer.sees(one.campaign)),
            unplaced if whole else None,
            letters if whole else None,
        )

    def close(self) -> None:
        """Close the snapshot; the next question opens the newest again."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        if self._open is not None:
            self._open.connection.close()
        self._open = None

    def _floor(self) -> _Floor | None:
        return self._ask("floor", self._look)

    def _look(self, snapshot: _Snapshot) -> _Floor:
        """Ask for the floor; called with the lock held. The sparklines are asked for again only every SLOW_S."""
        as_of = snapshot.freshness.as_of
        quarter_s = MINUTES * 60
        start = datetime.fromtimestamp(as_of.timestamp() // quarter_s * quarter_s, UTC)
        recent = self._recent
        if recent is None or recent.start != start or not 0 < (as_of - recent.as_of).total_seconds() < SLOW_S:
            t1 = start + timedelta(minutes=MINUTES)
            recent = _Recent(as_of, start, _intervals(snapshot.connection, start - RECENT, t1, MINUTES))
            self._recent = recent
        return _floor(snapshot, recent)

    def _ask(
        self, question: object, query: Callable[[_Snapshot], Answer], slow_s: float = 0.0, keep: bool = True
    ) -> Answer | None:
        """Return `query`'s answer, asked once a snapshot, or every `slow_s`, for all; None when no file is there.

        Who comes while another thread already asks the new snapshot gets the previous answer at once.
        """
        newest = _identify(self.path)
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
                snapshot = self._newest(newest)
                kept = _Kept(newest, snapshot.freshness.as_of, query(snapshot))
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

    def _holds(self, kept: _Kept, newest: SnapshotId, slow_s: float) -> bool:
        """Whether an answer is the newest snapshot's, or, when it moves slowly, of one shortly before."""
        opened = self._open
        if kept.snapshot == newest or opened is None:
            return kept.snapshot == newest
        return 0 < (opened.freshness.as_of - kept.as_of).total_seconds() < slow_s

    def _newest(self, newest: SnapshotId) -> _Snapshot:
        """Return the newest snapshot, opened; called with the lock held."""
        if self._open is None or self._open.freshness.snapshot != newest:
            self._forget()
            # the questions are many and small: one thread answers them with a quarter less work than two
            connection = duckdb.connect(str(self.path), read_only=True, config={"threads": 1})
            connection.execute("SET TimeZone = 'UTC'")
            rows = _rows(connection, STATUS)
            if len(rows) != 1:
                connection.close()
                raise duckdb.InvalidInputException(f"ingest_status has {len(rows)} rows, not one")
            (as_of, published_at, last_event_at, *counts) = rows[0]
            freshness = Freshness(newest, as_of, published_at, last_event_at)
            self._open = _Snapshot(connection, freshness, Counters(*counts))
            # what is long past nobody asks again; the floor's last answer serves who comes while the next is made
            self._kept = {
                q: kept for q, kept in self._kept.items() if q == "floor" or 0 <= _s(as_of - kept.as_of) < 4 * SLOW_S
            }
        return self._open


def _s(span: timedelta) -> float:
    return span.total_seconds()


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


def _on(campaign: Campaign, day: date) -> Campaign:
    """Return the campaign with another local day, by Python's zone rules, as `calls.day` has them."""
    zone = ZoneInfo(campaign.timezone)
    t0, t1 = (datetime.combine(day + timedelta(n), clock(), zone).astimezone(UTC) for n in (0, 1))
    return replace(campaign, day=day, t0=t0, t1=t1)


def _campaigns(connection: duckdb.DuckDBPyConnection, as_of: datetime, day: date | None = None) -> tuple[Campaign, ...]:
    """Return the campaigns, each with its local day: `day`, or the one of `as_of`."""
    campaigns = []
    for campaign, client, name, language, timezone, configured in _rows(connection, CAMPAIGNS):
        today = as_of.astimezone(ZoneInfo(timezone)).date()
        one = Campaign(campaign, client, name, language, timezone, today, as_of, as_of, configured)
        campaigns.append(_on(one, day or today))
    return tuple(campaigns)


def _totals(connection: duckdb.DuckDBPyConnection, campaigns: Sequence[Campaign]) -> dict[str, Kpis]:
    """Return each campaign's own day, all by one query: days of several zones begin at several instants."""
    if not campaigns:
        return {}
    days = {one.campaign: one.day for one in campaigns}
    sql = f"SELECT k.campaign, k.day, {KPI_COLUMNS} FROM kpi_days($first::DATE, $after::DATE) AS k"
    after = max(days.values()) + timedelta(1)
    rows = _rows(connection, sql, first=min(days.values()), after=after)
    return {campaign: Kpis(*kpis) for campaign, day, *kpis in rows if days.get(campaign) == day}


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


def _floor(snapshot: _Snapshot, recent: _Recent) -> _Floor:
    connection, as_of = snapshot.connection, snapshot.freshness.as_of
    campaigns = _campaigns(connection, as_of)
    totals = _totals(connection, campaigns)
    waiting = tuple(WaitingCall(*row) for row in _rows(connection, WAITING, as_of=as_of))
    queues: dict[str, list[float]] = {}
    for call in waiting:
        queues.setdefault(call.campaign, []).append(call.wait_s)
    states: dict[str, dict[str, int]] = {}
    for campaign, state, agents in _rows(connection, AGENTS):
        states.setdefault(campaign, {})[state] = agents
    start, end = recent.start - RECENT, recent.start + timedelta(minutes=MINUTES)
    tiles = tuple(
        CampaignNow(
            campaign=one,
            today=totals.get(one.campaign),
            waiting=len(queues.get(one.campaign, ())),
            longest_wait_s=max(queues.get(one.campaign, ()), default=None),
            agents=AgentCounts(**states.get(one.campaign, {})),
            recent=_slots(start, end, MINUTES, recent.found.get(one.campaign, {})),
        )
        for one in campaigns
    )
    return _Floor(Board(snapshot.freshness, tiles), snapshot.counters, waiting)


def _days(snapshot: _Snapshot, day: date | None, minutes: int) -> dict[str, CampaignDay]:
    """Return every campaign's day."""
    connection, freshness = snapshot.connection, snapshot.freshness
    campaigns = _campaigns(connection, freshness.as_of, day)
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


def _explain(snapshot: _Snapshot, campaign: Campaign, kpi: str, t0: datetime, t1: datetime) -> Explained:
    connection = snapshot.connection
    window = {"campaign": campaign.campaign, "t0": t0, "t1": t1}
    sql = "SELECT * FROM kpi_campaign($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ) WHERE campaign = $campaign"
    result = connection.execute(sql, window)
    names = [column[0] for column in result.description or ()]
    row = dict(zip(names, result.fetchone() or (None,) * len(names), strict=True))
    terms = [Term(*term) for term in _rows(connection, TERMS, **window)]
    elsewhere, judged = [], dict[str, int]()
    for step, name, value, text in _rows(connection, EXPLAIN, kpi=kpi, **window):
        if step == "elsewhere":
            elsewhere.append(Elsewhere(name, value, text))
        elif step == "contract":
            judged[text.partition(": ")[0]] = int(value)
    told = [(_told(term), term) for term in terms]
    return Explained(
        freshness=snapshot.freshness,
        campaign=campaign,
        t0=t0,
        t1=t1,
        kpi=kpi,
        row=row,
        terms=tuple(replace(term, calls=judged[name]) for name, term in told if name in judged),
        elsewhere=tuple(elsewhere),
    )


def _told(term: Term) -> str:
    """Return how explain_kpi begins its line about a term."""
    return f"contract from {term.valid_from:%Y-%m-%d %H:%M}" if term.valid_from else "contract without beginning"


def _calls(
    snapshot: _Snapshot, campaign: Campaign, t0: datetime, t1: datetime, behind: str, page: int | None, named: bool
) -> CallList:
    sql = CALLS.format(behind=behind)
    most, skipped = (PER_PAGE, (page - 1) * PER_PAGE) if page else (2**31, 0)
    window = {"campaign": campaign.campaign, "t0": t0, "t1": t1}
    rows = _rows(snapshot.connection, sql, most=most, skipped=skipped, **window)
    total = rows[0][-1] if rows else 0
    calls = tuple(Call(*row[:-1]) for row in rows)
    if not named:
        calls = tuple(replace(call, agent=None, agent_name=None) for call in calls)
    return CallList(snapshot.freshness, campaign, t0, t1, total, calls)


def _feed(
    snapshot: _Snapshot, campaigns: Sequence[Campaign]
) -> tuple[tuple[Conserved, ...], int, tuple[DeadLetter, ...]]:
    connection = snapshot.connection
    found: dict[str, tuple[Any, ...]] = {}
    for t0, t1 in sorted({(one.t0, one.t1) for one in campaigns}):
        asked = {one.campaign for one in campaigns if (one.t0, one.t1) == (t0, t1)}
        found |= {row[0]: row[1:] for row in _rows(connection, CONSERVATION, t0=t0, t1=t1) if row[0] in asked}
    conservation = tuple(Conserved(one, *found[one.campaign]) for one in campaigns if one.campaign in found)
    unplaced = int(_rows(connection, UNPLACED)[0][0])
    return conservation, unplaced, tuple(DeadLetter(*row) for row in _rows(connection, DEAD_LETTERS))
