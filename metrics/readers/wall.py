"""The floor now: every campaign's tile, and the waiting calls."""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from metrics.authorisation.suppression import SMALLEST, WORK_FIGURES
from metrics.authorisation.viewer import Viewer
from metrics.kpis.distance import Outlook
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
from metrics.readers.contract.day_end import outlooks
from metrics.readers.snapshot import SLOW_S, Counters, Freshness, Published, Snapshot, fetch

RECENT = timedelta(hours=8)
"""Period of a tile's sparkline. It is rolling, so that the sparkline is as full at 0:05 as at noon."""
WAITING = """
SELECT campaign, call_id, queue, language, caller, queued_at, epoch($as_of::TIMESTAMPTZ) - epoch(queued_at) AS wait_s
FROM calls
WHERE day >= CAST(timezone('UTC', $as_of::TIMESTAMPTZ) AS DATE) - 2  -- give_up_after_s is a day at most
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
    """Agents of a campaign by current state, without offline agents."""

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
    call_id: str
    queue: str | None
    language: str | None
    caller: str | None
    queued_at: datetime
    wait_s: float


@dataclass(frozen=True, slots=True)
class Now:
    """A row of `kpi_now`: the window before `as_of`, and the queue; ratios 0–1, durations [s], None is undefined."""

    window_start: datetime
    window_end: datetime
    is_open: bool
    opens_at: datetime | None
    waiting: int
    longest_wait_s: float | None
    too_few_calls: bool
    service_level: float | None
    service_level_worst: float | None
    abandon_rate: float | None
    asa_s: float | None
    aht_s: float | None
    occupancy: float | None
    offered: int
    answered: int
    abandoned: int
    target: float | None
    threshold_s: float | None

    @property
    def minutes(self) -> int:
        return round((self.window_end - self.window_start) / timedelta(minutes=1))

    def without_work(self) -> "Now":
        """Return the same for a viewer who may not see how people work."""
        hidden: dict[str, Any] = {field.name: None for field in fields(Now) if field.name in WORK_FIGURES}
        return replace(self, **hidden)


NOW = f"SELECT campaign, {', '.join(field.name for field in fields(Now))} FROM kpi_now"


@dataclass(frozen=True, slots=True)
class CampaignNow:
    """The contents of a tile: the campaign's last minutes and its queue, its local day, its agents and last hours.

    `agents` None: there are too few to show a client what they do. `outlook` is how the day ends against the contract;
    None: that is not known.
    """

    campaign: Campaign
    now: Now
    today: Kpis | None
    agents: AgentCounts | None
    recent: tuple[Interval, ...]
    outlook: Outlook | None = None

    @property
    def waiting(self) -> int:
        return self.now.waiting

    @property
    def longest_wait_s(self) -> float | None:
        return self.now.longest_wait_s

    def without_work(self) -> "CampaignNow":
        """Return the same for a viewer who may not see how people work."""
        may_show_agents = self.agents is None or self.agents.logged_in not in range(1, SMALLEST)
        return replace(
            self,
            now=self.now.without_work(),
            today=self.today and self.today.without_work(),
            agents=self.agents if may_show_agents else None,
            recent=tuple(interval.without_work() for interval in self.recent),
        )


@dataclass(frozen=True, slots=True)
class Board:
    """All campaigns of one viewer, from one snapshot, in a fixed order: by client and name."""

    freshness: Freshness
    campaigns: tuple[CampaignNow, ...]

    @property
    def waiting(self) -> int:
        return sum(tile.waiting for tile in self.campaigns)

    @property
    def longest_wait_s(self) -> float | None:
        return max((tile.longest_wait_s for tile in self.campaigns if tile.longest_wait_s is not None), default=None)

    @property
    def agents(self) -> AgentCounts | None:
        """Return the agents of all campaigns. None if one campaign's are hidden: the total would reveal them."""
        counts = [tile.agents for tile in self.campaigns if tile.agents is not None]
        if len(counts) < len(self.campaigns):
            return None
        return AgentCounts(*(sum(getattr(count, state.name) for count in counts) for state in fields(AgentCounts)))


@dataclass(frozen=True, slots=True)
class Recent:
    """The sparklines' intervals. They are reused for SLOW_S, within the same quarter hour."""

    as_of: datetime
    start: datetime
    kpis_of: dict[str, dict[datetime, Kpis]]


@dataclass(frozen=True, slots=True)
class Floor:
    """All campaigns, for any viewer. Other readers use it too, and filter it for their viewer.

    `board_without_work` is the board for viewers who may not see how people work.
    """

    board: Board
    board_without_work: Board
    counters: Counters
    waiting: tuple[WaitingCall, ...]
    recent: Recent


def board(published: Published, viewer: Viewer, ends_of: Collection[str] | None = None) -> Board | None:
    """Return the viewer's campaigns as they are now; None if nothing is published.

    `ends_of`: only these campaigns need an outlook (default: all). Each takes a query of the weeks before.
    """
    floor = whole_floor(published)
    if floor is None:
        return None
    visible = _visible(floor, viewer)
    shown = {tile.campaign.campaign for tile in visible.campaigns}
    closed = {tile.campaign.campaign: tile.now.opens_at for tile in floor.board.campaigns if not tile.now.is_open}
    ends = outlooks(published, shown if ends_of is None else shown & {*ends_of}, closed)
    tiles = (replace(tile, outlook=ends.get(tile.campaign.campaign)) for tile in visible.campaigns)
    return replace(visible, campaigns=tuple(tiles))


def _visible(floor: Floor, viewer: Viewer) -> Board:
    """Return the viewer's campaigns, without how their days end."""
    board = floor.board if viewer.sees_work else floor.board_without_work
    if viewer.campaigns is None:
        return board
    return Board(board.freshness, tuple(tile for tile in board.campaigns if viewer.sees(tile.campaign.campaign)))


def freshness(published: Published, viewer: Viewer) -> Freshness | None:
    """Return identity and times of the newest snapshot; None if nothing is published."""
    floor = whole_floor(published)
    return None if floor is None else floor.board.freshness


def waiting(published: Published, viewer: Viewer, campaign: str) -> tuple[WaitingCall, ...]:
    """Return the calls waiting in the campaign's queues, the longest wait first."""
    floor = whole_floor(published)
    if floor is None or viewer.role == "television" or not viewer.sees(campaign):
        return ()
    return tuple(call for call in floor.waiting if call.campaign == campaign)


def campaign(published: Published, viewer: Viewer, campaign: str, day: date | None = None) -> Campaign | None:
    """Return a campaign with a local day (default: the day of `as_of`); None if the viewer may not see it.

    Every reader about one campaign starts here. A television shows only the wall, so it always gets None.
    """
    floor = None if viewer.role == "television" else whole_floor(published)
    by_id = {tile.campaign.campaign: tile.campaign for tile in _visible(floor, viewer).campaigns} if floor else {}
    today = by_id.get(campaign)
    return today if today is None or day is None else on_day(today, day)


def whole_floor(published: Published) -> Floor | None:
    """Return the unfiltered floor; None if nothing is published."""
    return published.ask("floor", lambda s: _look(s, cast("Floor | None", published.last("floor"))))


def _look(snapshot: Snapshot, last: Floor | None) -> Floor:
    """Query the floor. The sparklines are queried only every SLOW_S."""
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
    now = {campaign_id: Now(*row) for campaign_id, *row in fetch(connection, NOW)}
    states: dict[str, dict[str, int]] = {}
    for campaign_id, state, agents in fetch(connection, AGENTS):
        states.setdefault(campaign_id, {})[state] = agents
    start, end = recent.start - RECENT, recent.start + timedelta(minutes=MINUTES)
    tiles = tuple(
        CampaignNow(
            campaign=campaign,
            now=now[campaign.campaign],
            today=totals.get(campaign.campaign),
            agents=AgentCounts(**states.get(campaign.campaign, {})),
            recent=slots_between(start, end, MINUTES, recent.kpis_of.get(campaign.campaign, {})),
        )
        for campaign in campaigns
    )
    without_work = tuple(tile.without_work() for tile in tiles)
    boards = Board(snapshot.freshness, tiles), Board(snapshot.freshness, without_work)
    return Floor(*boards, snapshot.counters, waiting, recent)
