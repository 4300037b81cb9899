"""Campaigns' local days by intervals."""

from dataclasses import dataclass, replace
from datetime import date
from typing import cast

from metrics.authorisation.viewer import Viewer
from metrics.kpis.compose import GRAINS
from metrics.readers import wall
from metrics.readers.campaigns import (
    MINUTES,
    NAMES,
    STEPS,
    Campaign,
    Interval,
    Kpis,
    campaigns_on,
    intervals_between,
    slots_between,
    totals_of,
)
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

_OF_QUEUES = GRAINS["kpi_queue"].columns
QUEUES = f"""
SELECT k.campaign, k.queue, {", ".join(f"k.{name}" if name in _OF_QUEUES else "NULL" for name in NAMES)}
FROM kpi_queue($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ) AS k
WHERE k.offered + k.refused + k.handled > 0
ORDER BY k.campaign, k.offered DESC, k.queue
"""
FIRST_DAY = """
SELECT min(day) FROM local_days
"""


@dataclass(frozen=True, slots=True)
class CampaignDay:
    """One campaign's local day by intervals, up to the snapshot's `as_of`."""

    freshness: Freshness
    campaign: Campaign
    total: Kpis | None
    intervals: tuple[Interval, ...]


def day(
    published: Published, viewer: Viewer, campaign: str, *, day: date | None = None, minutes: int = MINUTES
) -> CampaignDay | None:
    """Return a local day of a campaign (default: the day of `as_of`); None: the viewer has no such.

    A client is not told how people worked.
    """
    if minutes not in STEPS:
        raise ValueError(f"intervals of {minutes} minutes do not fill every day, allowed are {STEPS}")
    if wall.campaign(published, viewer, campaign) is None:
        return None
    days = published.ask(("day", day, minutes), lambda s: _days(s, day, minutes), SLOW_S)
    known = days.get(campaign) if days else None
    if known is None or viewer.sees_work:
        return known
    intervals = tuple(one.without_work() for one in known.intervals)
    return replace(known, total=known.total and known.total.without_work(), intervals=intervals)


def queues(
    published: Published, viewer: Viewer, campaign: str, day: date | None = None
) -> tuple[tuple[str, Kpis], ...]:
    """Return a local day of a campaign (default: today) by queue, the busiest first; a queue has no occupancy."""
    one = wall.campaign(published, viewer, campaign, day)
    if one is None:
        return ()
    # campaigns whose days begin at the same instant share a query
    found = published.ask(("queues", one.t0, one.t1), lambda s: _queues(s, one), SLOW_S) or {}
    told = found.get(campaign, ())
    return told if viewer.sees_work else tuple((queue, kpis.without_work()) for queue, kpis in told)


def _queues(snapshot: Snapshot, day: Campaign) -> dict[str, tuple[tuple[str, Kpis], ...]]:
    found: dict[str, tuple[tuple[str, Kpis], ...]] = {}
    for campaign, queue, *kpis in fetch(snapshot.connection, QUEUES, t0=day.t0, t1=day.t1):
        found[campaign] = (*found.get(campaign, ()), (queue, Kpis(*kpis)))
    return found


def first_day(published: Published, viewer: Viewer) -> date | None:
    """Return the first day of which anything may be known, or None."""
    if not wall.board(published, viewer):
        return None
    return published.ask("first day", lambda s: cast("date | None", fetch(s.connection, FIRST_DAY)[0][0]), SLOW_S)


def _days(snapshot: Snapshot, day: date | None, minutes: int) -> dict[str, CampaignDay]:
    """Return every campaign's day."""
    connection, freshness = snapshot.connection, snapshot.freshness
    campaigns = campaigns_on(connection, freshness.as_of, day)
    totals = totals_of(connection, campaigns)
    step_s = minutes * 60
    days: dict[str, CampaignDay] = {}
    # days that begin at the same minutes of an hour share their intervals, and so one query
    for phase in sorted({one.t0.timestamp() % step_s for one in campaigns}):
        group = [one for one in campaigns if one.t0.timestamp() % step_s == phase]
        found = intervals_between(connection, min(one.t0 for one in group), max(one.t1 for one in group), minutes)
        for one in group:
            until = min(one.t1, max(one.t0, freshness.as_of))
            slots = slots_between(one.t0, one.t1, minutes, found.get(one.campaign, {}))
            days[one.campaign] = CampaignDay(
                freshness, one, totals.get(one.campaign), tuple(slot for slot in slots if slot.start < until)
            )
    return days
