"""The calls that usually come in the rest of a period, by the contract terms that will judge them.

What is usual for a weekday is the mean of the SAME_WEEKDAYS before today, as in `metrics.readers.days.history`. Only
days with offered calls count. The calls of those days are judged again by the terms in force on the remaining days, so
that a change of threshold, formula or short abandon has its effect. Slots are by local clock time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

from metrics.kpis.distance import KNOWN_WEEKDAYS, SAME_WEEKDAYS, ToCome
from metrics.kpis.service_level import ABANDONED, FORMULAS
from metrics.kpis.tallies import FACTS
from metrics.readers.campaigns import Campaign
from metrics.readers.contract.terms import Term
from metrics.readers.snapshot import Published, Snapshot, fetch

HISTORY_S = 3600.0
"""Time for which an answer about past days is reused [s between the `as_of` of two snapshots]."""
SLOT = timedelta(minutes=15)
DAY = timedelta(days=1)
FIRST = f"""
SELECT min(day) FROM calls
WHERE campaign = $campaign AND day >= $first::DATE AND day < $today::DATE AND {FACTS["inbound"]}
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
        WHERE campaign = $campaign AND day >= $first::DATE AND day < $today::DATE
    )
)
GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """Calls of one day and slot, judged by one term."""

    offered: int
    base: int
    hits: int


History = Mapping[Term, Mapping[date, Mapping[int, Judged]]]


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
    still to come too. None: too few days are known to say what is usual for every remaining day.
    """
    now = max(as_of.astimezone(ZoneInfo(campaign.timezone)).replace(tzinfo=None), datetime.combine(first, clock()))
    end = datetime.combine(until, clock())
    today = as_of.astimezone(ZoneInfo(campaign.timezone)).date()
    left = [
        (replace(term, calls=0), waiting, max(term.valid_from or now, now), min(term.valid_to or end, end))
        for term, waiting in terms
    ]
    judging = tuple(term for term, _, start, stop in left if start < stop)
    question = ("usual calls", campaign.campaign, today, tuple(astuple(term) for term in judging))
    known_days_and_history = published.ask(question, lambda s: _history(s, campaign, today, judging), HISTORY_S)
    if known_days_and_history is None:
        return None
    days, history = known_days_and_history
    expected = []
    for term, waiting, start, stop in left:
        base = hits = 0.0
        at = start
        while at < stop:
            midnight = datetime.combine(at.date(), clock())
            of_weekday = [day for day in days if day.weekday() == at.weekday()]
            if len(of_weekday) < KNOWN_WEEKDAYS:
                return None
            day_base, day_hits = _usual(history[term], of_weekday, at - midnight, min(stop - midnight, DAY))
            base, hits, at = base + day_base, hits + day_hits, midnight + DAY
        calls = round(base) + waiting
        if calls:
            expected.append(ToCome(calls, calls * hits / base if base else float(calls), term.target))
    return tuple(expected)


def _usual(
    judged: Mapping[date, Mapping[int, Judged]], days: Sequence[date], start: timedelta, stop: timedelta
) -> tuple[float, float]:
    """Return how many calls count between two times of day, and how many of those are in time: means over open days."""
    open_days = [judged[day] for day in days if day in judged and any(calls.offered for calls in judged[day].values())]
    base = hits = 0.0
    for slots in open_days:
        for slot, calls in slots.items():
            share = (min(stop, SLOT * (slot + 1)) - max(start, SLOT * slot)) / SLOT
            if share > 0:
                base, hits = base + share * calls.base, hits + share * calls.hits
    return (base / len(open_days), hits / len(open_days)) if open_days else (0.0, 0.0)


def _history(
    snapshot: Snapshot, campaign: Campaign, today: date, terms: Sequence[Term]
) -> tuple[tuple[date, ...], History]:
    """Return the days whose calls are known, and their calls by term, day and slot.

    A day without offered calls is known if there are calls on a day before it. The day of the first call, searched for
    one week further back, is not known, because its earlier calls may be missing.
    """
    zone = ZoneInfo(campaign.timezone)
    first = today - SAME_WEEKDAYS * 7 * DAY
    t0, t1 = (datetime.combine(day, clock(), zone).astimezone(UTC) for day in (first, today))
    starts = [t0 + SLOT * n for n in range(-((t0 - t1) // SLOT))]
    local_starts = [at.astimezone(zone) for at in starts]
    parameters = {"campaign": campaign.campaign, "first": first, "today": today, "t0": t0}
    parameters |= {"slots": [(at.hour * 60 + at.minute) * 60 // (SLOT // timedelta(seconds=1)) for at in local_starts]}
    parameters |= {"step_us": SLOT // timedelta(microseconds=1)}
    (first_call_day,) = fetch(snapshot.connection, FIRST, **parameters | {"first": first - 7 * DAY})[0]
    days = [first + DAY * n for n in range((today - first).days)]
    history: dict[Term, dict[date, dict[int, Judged]]] = {}
    for term in terms:
        sql = JUDGED.format(base=FORMULAS[term.formula].base, hit=FORMULAS[term.formula].hit)
        limits = {name: getattr(term, name) for name in ("threshold_s", "wait_at_threshold_counts", "short_abandon_s")}
        by_day: dict[date, dict[int, Judged]] = {}
        for day, slot, *counts in fetch(snapshot.connection, sql, **parameters | limits):
            by_day.setdefault(day, {})[slot] = Judged(*counts)
        history[term] = by_day
    return tuple(day for day in days if first_call_day is not None and day > first_call_day), history
