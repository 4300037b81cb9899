"""The floor as it is now: every campaign's tile, and who waits."""

from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import cast

from metrics.authorisation.suppression import SMALLEST
from metrics.authorisation.viewer import Viewer
from metrics.readers.campaigns import (
    MINUTES,
    Campaign,
    Interval,
    Kpis,
    campaigns_on,
    intervals_between,
    on_day,
    slots_between,
    totals_of,
)
from metrics.readers.snapshot import SLOW_S, Counters, Freshness, Published, Snapshot, fetch

RECENT = timedelta(hours=8)
"""How far back a tile's sparkline looks: rolling, so that it is as full at 0:05 as at noon."""
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
    """What a tile shows: the campaign's local day so far, its queue and agents now, its last hours.

    `agents` None: there are so few that a client is not told what they do.
    """

    campaign: Campaign
    today: Kpis | None
    waiting: int
    longest_wait_s: float | None
    agents: AgentCounts | None
    recent: tuple[Interval, ...]

    def without_work(self) -> "CampaignNow":
        """Return the same for a viewer who does not see how people work."""
        told = self.agents is None or self.agents.logged_in not in range(1, SMALLEST)
        return replace(
            self,
            today=self.today and self.today.without_work(),
            agents=self.agents if told else None,
            recent=tuple(one.without_work() for one in self.recent),
        )


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
    def agents(self) -> AgentCounts | None:
        """Return the agents of all campaigns; None when those of one are not told: they would be the difference."""
        counts = [one.agents for one in self.campaigns if one.agents is not None]
        if len(counts) < len(self.campaigns):
            return None
        return AgentCounts(*(sum(getattr(one, state.name) for one in counts) for state in fields(AgentCounts)))


@dataclass(frozen=True, slots=True)
class Recent:
    """The sparklines' intervals: kept for SLOW_S, within a quarter of an hour."""

    as_of: datetime
    start: datetime
    found: dict[str, dict[datetime, Kpis]]


@dataclass(frozen=True, slots=True)
class Floor:
    """Every campaign, before a viewer is known: other readers filter it to their viewer too.

    `told` is the board for who does not see how people work.
    """

    board: Board
    told: Board
    counters: Counters
    waiting: tuple[WaitingCall, ...]
    recent: Recent


def board(published: Published, viewer: Viewer) -> Board | None:
    """Return the viewer's campaigns as they are now, or None before anything is published."""
    known = whole(published)
    if known is None:
        return None
    board = known.board if viewer.sees_work else known.told
    if viewer.campaigns is None:
        return board
    return Board(board.freshness, tuple(one for one in board.campaigns if viewer.sees(one.campaign.campaign)))


def freshness(published: Published, viewer: Viewer) -> Freshness | None:
    """Return which snapshot is the newest, or None before anything is published."""
    known = board(published, viewer)
    return None if known is None else known.freshness


def waiting(published: Published, viewer: Viewer, campaign: str) -> tuple[WaitingCall, ...]:
    """Return the calls waiting in the campaign's queues, the longest wait first."""
    known = whole(published)
    if known is None or viewer.role == "television" or not viewer.sees(campaign):
        return ()
    return tuple(call for call in known.waiting if call.campaign == campaign)


def campaign(published: Published, viewer: Viewer, campaign: str, day: date | None = None) -> Campaign | None:
    """Return a campaign with the bounds of a local day (default: the day of `as_of`); None: there is no such.

    What is about one campaign begins here, and a television shows the wall only: to it there is none.
    """
    known = None if viewer.role == "television" else board(published, viewer)
    seen = {one.campaign.campaign: one.campaign for one in known.campaigns} if known else {}
    one = seen.get(campaign)
    return one if one is None or day is None else on_day(one, day)


def whole(published: Published) -> Floor | None:
    """Return the floor of everybody; None before anything is published."""
    return published.ask("floor", lambda s: _look(s, cast("Floor | None", published.last("floor"))))


def _look(snapshot: Snapshot, last: Floor | None) -> Floor:
    """Ask for the floor. The sparklines are asked for again only every SLOW_S."""
    as_of = snapshot.freshness.as_of
    quarter_s = MINUTES * 60
    start = datetime.fromtimestamp(as_of.timestamp() // quarter_s * quarter_s, UTC)
    recent = last.recent if last else None
    if recent is None or recent.start != start or not 0 < (as_of - recent.as_of).total_seconds() < SLOW_S:
        t1 = start + timedelta(minutes=MINUTES)
        recent = Recent(as_of, start, intervals_between(snapshot.connection, start - RECENT, t1, MINUTES))
    return _floor(snapshot, recent)


def _floor(snapshot: Snapshot, recent: Recent) -> Floor:
    connection, as_of = snapshot.connection, snapshot.freshness.as_of
    campaigns = campaigns_on(connection, as_of)
    totals = totals_of(connection, campaigns)
    waiting = tuple(WaitingCall(*row) for row in fetch(connection, WAITING, as_of=as_of))
    queues: dict[str, list[float]] = {}
    for call in waiting:
        queues.setdefault(call.campaign, []).append(call.wait_s)
    states: dict[str, dict[str, int]] = {}
    for campaign, state, agents in fetch(connection, AGENTS):
        states.setdefault(campaign, {})[state] = agents
    start, end = recent.start - RECENT, recent.start + timedelta(minutes=MINUTES)
    tiles = tuple(
        CampaignNow(
            campaign=one,
            today=totals.get(one.campaign),
            waiting=len(queues.get(one.campaign, ())),
            longest_wait_s=max(queues.get(one.campaign, ()), default=None),
            agents=AgentCounts(**states.get(one.campaign, {})),
            recent=slots_between(start, end, MINUTES, recent.found.get(one.campaign, {})),
        )
        for one in campaigns
    )
    told = tuple(one.without_work() for one in tiles)
    boards = Board(snapshot.freshness, tiles), Board(snapshot.freshness, told)
    return Floor(*boards, snapshot.counters, waiting, recent)
