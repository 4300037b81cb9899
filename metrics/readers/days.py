"""Campaigns' local days by intervals."""

from dataclasses import dataclass
from datetime import date
from typing import cast

from metrics.readers import floor
from metrics.readers.campaigns import (
    MINUTES,
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
from metrics.viewer import Viewer

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
    """Return a local day of a campaign (default: the day of `as_of`); None: the viewer has no such."""
    if minutes not in STEPS:
        raise ValueError(f"intervals of {minutes} minutes do not fill every day, allowed are {STEPS}")
    if floor.campaign(published, viewer, campaign) is None:
        return None
    days = published.ask(("day", day, minutes), lambda s: _days(s, day, minutes), SLOW_S)
    return days.get(campaign) if days else None


def first_day(published: Published, viewer: Viewer) -> date | None:
    """Return the first day of which anything may be known, or None."""
    if not floor.board(published, viewer):
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
