"""The calls that usually come in the rest of a period, by the contract terms that will judge them.

What is usual for a weekday is the mean of the SAME_WEEKDAYS before today, as in `metrics.readers.days.history`. Only
days with offered calls count. Slots are by local clock time. The terms in force on the remaining days judge the calls
of those days: if they judge as the calls' own terms did, the kept sums of all campaigns are read at once. Otherwise
each call is judged again, so that a change of threshold, formula or short abandon has its effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

from metrics.kpis.distance import KNOWN_WEEKDAYS, SAME_WEEKDAYS, ToCome
from metrics.kpis.service_level import ABANDONED, FORMULAS
from metrics.kpis.tallies import FACTS
from metrics.readers.campaigns import Campaign, campaigns_on
from metrics.readers.contract.terms import Term
from metrics.readers.snapshot import MONTH_S, Published, Snapshot, fetch

SLOT = timedelta(minutes=15)
DAY = timedelta(days=1)
FIRST = """
SELECT campaign, min(day)
FROM (
    SELECT campaign, day
    FROM call_sums
    WHERE day >= $first::DATE - 7 AND day < $today::DATE
        AND month BETWEEN date_trunc('month', $first::DATE - 7) AND $today::DATE
    GROUP BY ALL
    HAVING sum(offered + refused + open_in_threshold) > 0
)
GROUP BY campaign
"""
SUMMED = """
SELECT campaign, term_from, day,
       list_extract($slots::BIGINT[], (epoch_us(quarter_start) - epoch_us($t0::TIMESTAMPTZ)) // $step_us + 1) AS slot,
       sum(offered)::BIGINT, sum(service_level_base)::BIGINT, sum(service_level_hits)::BIGINT
FROM call_sums
SEMI JOIN (SELECT unnest($days::DATE[]) AS day) USING (day)
WHERE list_contains($campaigns::VARCHAR[], campaign)
    AND month BETWEEN date_trunc('month', list_min($days::DATE[])) AND list_max($days::DATE[])
GROUP BY ALL
"""
JUDGED = f"""
SELECT day, slot, count(*) FILTER (WHERE {FORMULAS["all_offered"].base}) AS offered,
       count(*) FILTER (WHERE {{base}}) AS base, count(*) FILTER (WHERE {{hit}}) AS hits
FROM (
    SELECT day, slot, {FACTS["inbound"]} AS inbound, {FACTS["inside"]} AS inside,
           wait_s < $threshold_s OR ($wait_at_threshold_counts AND wait_s = $threshold_s) AS in_threshold,
           CASE WHEN {ABANDONED} AND wait_s < $short_abandon_s THEN 'short_abandoned'
                WHEN {ABANDONED} THEN 'abandoned' ELSE outcome END AS outcome
    FROM (
        SELECT *,
               list_extract($slots::BIGINT[],
                            (epoch_us(cohort_at) - epoch_us($t0::TIMESTAMPTZ)) // $step_us + 1) AS slot
        FROM calls
        SEMI JOIN (SELECT unnest($days::DATE[]) AS day) USING (day)
        WHERE campaign = $campaign
    )
)
GROUP BY ALL
"""
RULES = """
SELECT campaign, valid_from, formula, threshold_s, wait_at_threshold_counts, short_abandon_s
FROM sla_terms
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """Calls of one day and slot, judged by one term."""

    offered: int
    base: int
    hits: int


ByDay = Mapping[date, Mapping[int, Judged]]
Rules = tuple[object, ...]
"""What a term judges a call by: all of it but the target."""


@dataclass(frozen=True, slots=True)
class _Past:
    """A campaign's past: the first day with a call, and its calls by the rules that judged them, by day and slot."""

    first_call_day: date
    calls: Mapping[Rules | None, ByDay]

    def judged_by(self, term: Term) -> ByDay | None:
        """Return the calls by day and slot; None: some were judged by other rules."""
        rules = _rules(term)
        return self.calls.get(rules, {}) if self.calls.keys() <= {rules} else None


def to_come(
    published: Published,
    campaign: Campaign,
    as_of: datetime,
    first: date,
    until: date,
    terms: Sequence[tuple[Term, int]],
) -> tuple[ToCome, ...] | None:
    """Return the calls that are still expected on the days `[first, until)`, by the terms that will judge them.

    `terms` are the terms of the period, each with the number of its waiting calls that do not count yet; these are
    still to come too. None: too few days are known to say what is usual for every remaining day. What is usual is
    asked once for `as_of`, so it is never older than the figures to which it is added.
    """
    now = max(as_of.astimezone(ZoneInfo(campaign.timezone)).replace(tzinfo=None), datetime.combine(first, clock()))
    end = datetime.combine(until, clock())
    today = as_of.astimezone(ZoneInfo(campaign.timezone)).date()
    left = [
        (replace(term, calls=0), waiting, max(term.valid_from or now, now), min(term.valid_to or end, end))
        for term, waiting in terms
    ]
    days = _past_days(today, now.date(), until)
    question = ("usual calls", campaign.timezone, as_of, days)
    by_campaign = published.ask(question, lambda s: _past(s, campaign.timezone, today, days), MONTH_S)
    past = by_campaign.get(campaign.campaign) if by_campaign else None
    known_days = [day for day in days if past is not None and day > past.first_call_day]
    expected = []
    for term, waiting, start, stop in left:
        base = hits = 0.0
        at = start
        while at < stop:
            midnight = datetime.combine(at.date(), clock())
            of_weekday = [day for day in known_days if day.weekday() == at.weekday()]
            if past is None or len(of_weekday) < KNOWN_WEEKDAYS:
                return None
            judged = past.judged_by(term)
            if judged is None:
                judged = _judged_again(published, campaign, as_of, today, days, term)
            day_base, day_hits = _usual(judged, of_weekday, at - midnight, min(stop - midnight, DAY))
            base, hits, at = base + day_base, hits + day_hits, midnight + DAY
        calls = round(base) + waiting
        if calls:
            expected.append(ToCome(calls, calls * hits / base if base else float(calls), term.target))
    return tuple(expected)


def _past_days(today: date, first: date, until: date) -> tuple[date, ...]:
    """Return the days of the SAME_WEEKDAYS before `today` that are like a day of `[first, until)`, in order."""
    weekdays = {(first + DAY * n).weekday() for n in range(min((until - first).days, 7))}
    past = (today - DAY * n for n in range(7 * SAME_WEEKDAYS, 0, -1))
    return tuple(day for day in past if day.weekday() in weekdays)


def _usual(judged: ByDay, days: Sequence[date], start: timedelta, stop: timedelta) -> tuple[float, float]:
    """Return how many calls count between two times of day, and how many of those are in time: means over open days."""
    open_days = [judged[day] for day in days if day in judged and any(calls.offered for calls in judged[day].values())]
    base = hits = 0.0
    for slots in open_days:
        for slot, calls in slots.items():
            share = (min(stop, SLOT * (slot + 1)) - max(start, SLOT * slot)) / SLOT
            if share > 0:
                base, hits = base + share * calls.base, hits + share * calls.hits
    return (base / len(open_days), hits / len(open_days)) if open_days else (0.0, 0.0)


def _past(snapshot: Snapshot, timezone: str, today: date, days: Sequence[date]) -> Mapping[str, _Past]:
    """Return the past of each campaign in a time zone that has calls in the SAME_WEEKDAYS, or a week before these.

    A day without offered calls is known if there are calls on a day before it. The day of the first call is not known,
    because its earlier calls may be missing.
    """
    connection = snapshot.connection
    campaigns = [c.campaign for c in campaigns_on(connection, snapshot.freshness.as_of) if c.timezone == timezone]
    parameters = _slots(timezone, today) | {"today": today, "days": days, "campaigns": campaigns}
    rules = {(campaign, valid_from): tuple(row) for campaign, valid_from, *row in fetch(connection, RULES)}
    calls: dict[str, dict[Rules | None, dict[date, dict[int, Judged]]]] = {}
    for campaign, term_from, day, slot, *counts in fetch(connection, SUMMED, **parameters):
        by_day = calls.setdefault(campaign, {}).setdefault(rules.get((campaign, term_from)), {})
        by_slot = by_day.setdefault(day, {})
        before = by_slot.get(slot, Judged(0, 0, 0))
        by_slot[slot] = Judged(before.offered + counts[0], before.base + counts[1], before.hits + counts[2])
    first_days = fetch(connection, FIRST, **parameters)
    return {campaign: _Past(day, calls.get(campaign, {})) for campaign, day in first_days}


def _judged_again(
    published: Published, campaign: Campaign, as_of: datetime, today: date, days: Sequence[date], term: Term
) -> ByDay:
    """Return the calls of a campaign on these days, judged by this term."""
    question = ("calls judged again", campaign.campaign, as_of, days, _rules(term))
    sql = JUDGED.format(base=FORMULAS[term.formula].base, hit=FORMULAS[term.formula].hit)
    limits = {name: getattr(term, name) for name in ("threshold_s", "wait_at_threshold_counts", "short_abandon_s")}
    parameters = _slots(campaign.timezone, today) | limits | {"campaign": campaign.campaign, "days": days}
    rows = published.ask(question, lambda s: fetch(s.connection, sql, **parameters), MONTH_S)
    by_day: dict[date, dict[int, Judged]] = {}
    for day, slot, *counts in rows or ():
        by_day.setdefault(day, {})[slot] = Judged(*counts)
    return by_day


def _rules(term: Term) -> Rules:
    return term.formula, term.threshold_s, term.wait_at_threshold_counts, term.short_abandon_s


def _slots(timezone: str, today: date) -> dict[str, object]:
    """Return the parameters that say in which slot of its day a call of the SAME_WEEKDAYS is."""
    zone = ZoneInfo(timezone)
    first = today - SAME_WEEKDAYS * 7 * DAY
    t0, t1 = (datetime.combine(day, clock(), zone).astimezone(UTC) for day in (first, today))
    local_starts = [(t0 + SLOT * n).astimezone(zone) for n in range(-((t0 - t1) // SLOT))]
    slots = [(at.hour * 60 + at.minute) * 60 // (SLOT // timedelta(seconds=1)) for at in local_starts]
    return {"first": first, "t0": t0, "slots": slots, "step_us": SLOT // timedelta(microseconds=1)}
