"""A campaign's local day by interval and by queue."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import cast

from metrics.authorisation.viewer import Viewer
from metrics.readers import wall
from metrics.readers.campaigns import (
    MINUTES,
    STEPS,
    Campaign,
    Interval,
    Kpis,
    campaigns_on,
    intervals_between,
    kpi_columns,
    slots_between,
    totals_of,
)
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

QUEUES = f"""
SELECT k.campaign, k.queue, {kpi_columns("kpi_queue")}
FROM kpi_queue($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ) AS k
WHERE k.offered + k.refused + k.handled > 0
ORDER BY k.campaign, k.offered DESC, k.queue
"""
FIRST_DAY = """
SELECT min(day) FROM local_days
"""


@dataclass(frozen=True, slots=True)
class CampaignDay:
    """One campaign's local day by interval, up to the snapshot's `as_of`."""

    freshness: Freshness
    campaign: Campaign
    total: Kpis | None
    intervals: tuple[Interval, ...]

    @property
    def intervals_with_calls(self) -> tuple[Interval, ...]:
        """The intervals from the first with a call on."""
        first = next((n for n, interval in enumerate(self.intervals) if interval.kpis and interval.kpis.offered), None)
        return () if first is None else self.intervals[first:]


def day(
    published: Published, viewer: Viewer, campaign: str, *, day: date | None = None, minutes: int = MINUTES
) -> CampaignDay | None:
    """Return a local day of a campaign (default: the day of `as_of`); None if the viewer may not see the campaign.

    A client does not see how people worked.
    """
    if minutes not in STEPS:
        raise ValueError(f"intervals of {minutes} minutes do not fill every day, allowed are {STEPS}")
    floor = wall.whole_floor(published)
    if floor is None or wall.campaign(published, viewer, campaign) is None:
        return None
    days = published.ask(("day", day, minutes), lambda s: _days(s, day, minutes, floor), SLOW_S)
    campaign_day = days.get(campaign) if days else None
    if campaign_day is None or viewer.sees_work:
        return campaign_day
    intervals = tuple(interval.without_work() for interval in campaign_day.intervals)
    return replace(campaign_day, total=campaign_day.total and campaign_day.total.without_work(), intervals=intervals)


def queues(
    published: Published, viewer: Viewer, campaign: str, day: date | None = None
) -> tuple[tuple[str, Kpis], ...]:
    """Return a local day of a campaign (default: today) by queue, the busiest first; a queue has no occupancy."""
    visible = wall.campaign(published, viewer, campaign, day)
    if visible is None:
        return ()
    # campaigns whose days begin at the same instant share a query
    by_campaign = published.ask(("queues", visible.t0, visible.t1), lambda s: _queues(s, visible), SLOW_S) or {}
    rows = by_campaign.get(campaign, ())
    return rows if viewer.sees_work else tuple((queue, kpis.without_work()) for queue, kpis in rows)


def _queues(snapshot: Snapshot, day: Campaign) -> dict[str, tuple[tuple[str, Kpis], ...]]:
    by_campaign: dict[str, tuple[tuple[str, Kpis], ...]] = {}
    for campaign, queue, *kpis in fetch(snapshot.connection, QUEUES, t0=day.t0, t1=day.t1):
        by_campaign[campaign] = (*by_campaign.get(campaign, ()), (queue, Kpis(*kpis)))
    return by_campaign


def first_day(published: Published, viewer: Viewer) -> date | None:
    """Return the first day that can have data, or None."""
    if not wall.freshness(published, viewer):
        return None
    return published.ask("first day", lambda s: cast("date | None", fetch(s.connection, FIRST_DAY)[0][0]), SLOW_S)


def _days(snapshot: Snapshot, day: date | None, minutes: int, floor: wall.Floor) -> dict[str, CampaignDay]:
    """Return every campaign's day. The totals of today are taken from the floor, if it is from the same snapshot."""
    connection, freshness = snapshot.connection, snapshot.freshness
    campaigns = campaigns_on(connection, freshness.as_of, day)
    if day is None and floor.board.freshness == freshness:
        totals: Mapping[str, Kpis | None] = {tile.campaign.campaign: tile.today for tile in floor.board.campaigns}
    else:
        totals = totals_of(connection, campaigns)
    step_s = minutes * 60
    days: dict[str, CampaignDay] = {}
    # days that begin at the same minute of an hour have the same interval boundaries, so they share one query
    for phase in sorted({campaign.t0.timestamp() % step_s for campaign in campaigns}):
        group = [campaign for campaign in campaigns if campaign.t0.timestamp() % step_s == phase]
        first, last = min(campaign.t0 for campaign in group), max(campaign.t1 for campaign in group)
        kpis_of = intervals_between(connection, first, last, minutes)
        for campaign in group:
            until = min(campaign.t1, max(campaign.t0, freshness.as_of))
            slots = slots_between(campaign.t0, campaign.t1, minutes, kpis_of.get(campaign.campaign, {}))
            past = tuple(slot for slot in slots if slot.start < until)
            days[campaign.campaign] = CampaignDay(freshness, campaign, totals.get(campaign.campaign), past)
    return days
