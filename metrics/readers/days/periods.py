"""All campaigns over a day, a week or a month, and their total."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from metrics.authorisation.viewer import Viewer
from metrics.composition.figures import KPIS
from metrics.composition.grains import GRAINS
from metrics.readers import wall
from metrics.readers.campaigns import NAMES, Campaign, Kpis, needed, on_day, sums
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

_OF_DAYS = GRAINS["kpi_days"].columns
_TERMS = ("target", "threshold_s")
_SUMMED = needed(
    [name for name in NAMES if name in _OF_DAYS and name not in (*KPIS, *_TERMS)],
    [name for name in NAMES if name in KPIS],
)
# the last day's terms; for the total, only if they are the same for all
_AGREED = ", ".join(
    f"CASE WHEN grouping(campaign) = 0 OR count(DISTINCT {term}) = 1 THEN arg_max({term}, day) END AS {term}"
    for term in _TERMS
)
_SHOWN = ", ".join(
    KPIS[name].sql if name in KPIS else name if name in (*_SUMMED, *_TERMS) else "NULL" for name in NAMES
)
PERIOD = f"""
SELECT campaign, {_SHOWN}
FROM (
    SELECT campaign, {sums(_SUMMED)}, {_AGREED}
    FROM kpi_days($first::DATE, $after::DATE)
    WHERE list_contains($among::VARCHAR[], campaign)
    GROUP BY GROUPING SETS ((campaign), ())
)
"""
LONGEST = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class CampaignPeriod:
    """A campaign over the local days of a period, `[t0, t1)`."""

    campaign: Campaign
    t0: datetime
    t1: datetime
    kpis: Kpis


@dataclass(frozen=True, slots=True)
class CampaignsPeriod:
    """The viewer's campaigns over the days `[first, after)`, in the order of the wall, and all together."""

    freshness: Freshness
    first: date
    after: date
    campaigns: tuple[CampaignPeriod, ...]
    total: Kpis


def campaigns_in(published: Published, viewer: Viewer, first: date, after: date) -> CampaignsPeriod | None:
    """Return the viewer's campaigns over the local days `[first, after)`, up to `as_of`; at most LONGEST.

    None: nothing is published, or the viewer is a television. A client does not see how people worked.
    """
    if not timedelta() < after - first <= LONGEST:
        raise ValueError(f"the period is empty or too long, allowed are {LONGEST.days} days")
    board = None if viewer.role == "television" else wall.board(published, viewer, ends_of=())
    if board is None:
        return None
    campaigns = tuple(tile.campaign for tile in board.campaigns)
    question = ("campaigns in", first, after, tuple(campaign.campaign for campaign in campaigns))
    found = published.ask(question, lambda s: _period(s, campaigns, first, after), SLOW_S)
    if found is None or viewer.sees_work:
        return found
    rows = tuple(CampaignPeriod(row.campaign, row.t0, row.t1, row.kpis.without_work()) for row in found.campaigns)
    return CampaignsPeriod(found.freshness, first, after, rows, found.total.without_work())


def _period(snapshot: Snapshot, campaigns: tuple[Campaign, ...], first: date, after: date) -> CampaignsPeriod:
    among = [campaign.campaign for campaign in campaigns]
    found = fetch(snapshot.connection, PERIOD, first=first, after=after, among=among)
    kpis = {campaign: Kpis(*row) for campaign, *row in found}
    rows = []
    for campaign in campaigns:
        begin = on_day(campaign, first)
        end = on_day(campaign, after - timedelta(days=1))
        if campaign.campaign in kpis:
            rows.append(CampaignPeriod(begin, begin.t0, end.t1, kpis[campaign.campaign]))
    return CampaignsPeriod(snapshot.freshness, first, after, tuple(rows), kpis[None])
