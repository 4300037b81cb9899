"""How each campaign's local day ends against its contract: kept, lost, or still open (`Outlook.verdict`).

The arithmetic is that of the contract page. While too few weeks are known to say how many calls usually come, a day has
no verdict, unless the campaign has closed for the day: then only the calls that wait are still to come.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from metrics.kpis.distance import Outlook, ToCome, outlook
from metrics.readers.campaigns import Campaign, campaigns_on
from metrics.readers.contract.terms import JudgedTerm, judged_terms
from metrics.readers.contract.to_come import to_come
from metrics.readers.snapshot import SLOW_S, Published, Snapshot


@dataclass(frozen=True, slots=True)
class _Today:
    """Each campaign's day so far at `as_of`. Each outlook is computed once, when somebody needs it."""

    as_of: datetime
    campaigns: Mapping[str, tuple[Campaign, tuple[JudgedTerm, ...]]]
    outlooks: dict[str, Outlook | None] = field(default_factory=dict)


def outlooks(
    published: Published, campaigns: Collection[str], opens_at: Mapping[str, datetime | None]
) -> Mapping[str, Outlook | None]:
    """Return how the local days of these campaigns end; None: that is not known.

    `opens_at` are the closed campaigns, each with when it opens next.
    """
    today = published.ask("today's terms", _today, SLOW_S) if campaigns else None
    if today is None:
        return {}
    for name in today.campaigns.keys() & campaigns - today.outlooks.keys():
        today.outlooks[name] = _outlook(published, today.as_of, *today.campaigns[name], opens_at)
    return today.outlooks


def _today(snapshot: Snapshot) -> _Today:
    connection, as_of = snapshot.connection, snapshot.freshness.as_of
    campaigns = campaigns_on(connection, as_of)
    days = {(campaign.t0, campaign.t1) for campaign in campaigns}
    terms = {day: judged_terms(connection, *day) for day in days}
    return _Today(as_of, {c.campaign: (c, terms[c.t0, c.t1].get(c.campaign, ())) for c in campaigns})


def _outlook(
    published: Published,
    as_of: datetime,
    campaign: Campaign,
    terms: tuple[JudgedTerm, ...],
    opens_at: Mapping[str, datetime | None],
) -> Outlook | None:
    waiting = [(judged.term, judged.waiting) for judged in terms]
    expected = to_come(published, campaign, as_of, campaign.day, campaign.next_day, waiting)
    if expected is None and campaign.campaign in opens_at:
        opens = opens_at[campaign.campaign]
        if opens is None or opens >= campaign.t1:
            expected = tuple(ToCome(calls, float(calls), term.target) for term, calls in waiting if calls)
    return None if expected is None else outlook([judged.judged for judged in terms], expected)
