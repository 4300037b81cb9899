"""The calls that are usual for the rest of a period, by the terms of the contract that will judge them.

Usual is what the same weekday was lately, as in `metrics.readers.history`: the mean of the SAME_WEEKDAYS before today,
and of those only the ones on which calls were offered. Their calls are judged once more by the terms in force on the
days left, so that a change of threshold, formula or short abandon counts. Slots go by the clock on the wall.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

from metrics.kpis.distance import ToCome
from metrics.kpis.service_level import ABANDONED, FORMULAS
from metrics.kpis.tallies import FACTS
from metrics.readers.campaigns import Campaign
from metrics.readers.explained import Term
from metrics.readers.history import HISTORY_S, SAME_WEEKDAYS
from metrics.readers.snapshot import Published, Snapshot, fetch

KNOWN_WEEKDAYS = 2
"""Of fewer days of a weekday it is not said what is usual on it."""
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
    """Calls of one day and slot, by one term."""

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
    """Return the calls that are still to come in the days `[first, until)`, by the terms that will judge them.

    `terms` are those of the period, each with its calls that wait and are not counted yet: they are to come too. None:
    too little is known to say what is usual on each of the days left.
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
    known = published.ask(question, lambda s: _history(s, campaign, today, judging), HISTORY_S)
    if known is None:
        return None
    days, history = known
    found = []
    for term, waiting, start, stop in left:
        base = hits = 0.0
        at = start
        while at < stop:
            midnight = datetime.combine(at.date(), clock())
            of_weekday = [day for day in days if day.weekday() == at.weekday()]
            if len(of_weekday) < KNOWN_WEEKDAYS:
                return None
            more = _usual(history[term], of_weekday, at - midnight, min(stop - midnight, DAY))
            base, hits, at = base + more[0], hits + more[1], midnight + DAY
        calls = round(base) + waiting
        if calls:
            found.append(ToCome(calls, calls * hits / base if base else float(calls), term.target))
    return tuple(found)


def _usual(
    judged: Mapping[date, Mapping[int, Judged]], days: Sequence[date], start: timedelta, stop: timedelta
) -> tuple[float, float]:
    """Return how many calls count between two times of day, and how many of them are in time: means of open days."""
    of_days = [judged[day] for day in days if day in judged and any(one.offered for one in judged[day].values())]
    base = hits = 0.0
    for slots in of_days:
        for slot, one in slots.items():
            share = (min(stop, SLOT * (slot + 1)) - max(start, SLOT * slot)) / SLOT
            if share > 0:
                base, hits = base + share * one.base, hits + share * one.hits
    return (base / len(of_days), hits / len(of_days)) if of_days else (0.0, 0.0)


def _history(
    snapshot: Snapshot, campaign: Campaign, today: date, terms: Sequence[Term]
) -> tuple[tuple[date, ...], History]:
    """Return the days of which the calls are known, and their calls by term, day and slot.

    A day on which nothing was offered is known when calls are known of a day before it; a day on which the first call
    came, within a week more than is asked for, may have begun unseen.
    """
    zone = ZoneInfo(campaign.timezone)
    first = today - SAME_WEEKDAYS * 7 * DAY
    t0, t1 = (datetime.combine(day, clock(), zone).astimezone(UTC) for day in (first, today))
    starts = [t0 + SLOT * n for n in range(-((t0 - t1) // SLOT))]
    walls = [at.astimezone(zone) for at in starts]
    asked = {"campaign": campaign.campaign, "first": first, "today": today, "t0": t0}
    asked |= {"slots": [(at.hour * 60 + at.minute) * 60 // (SLOT // timedelta(seconds=1)) for at in walls]}
    asked |= {"step_us": SLOT // timedelta(microseconds=1)}
    (begun,) = fetch(snapshot.connection, FIRST, **asked | {"first": first - 7 * DAY})[0]
    days = [first + DAY * n for n in range((today - first).days)]
    history: dict[Term, dict[date, dict[int, Judged]]] = {}
    for term in terms:
        sql = JUDGED.format(base=FORMULAS[term.formula].base, hit=FORMULAS[term.formula].hit)
        by = {name: getattr(term, name) for name in ("threshold_s", "wait_at_threshold_counts", "short_abandon_s")}
        of_days: dict[date, dict[int, Judged]] = {}
        for day, slot, *counts in fetch(snapshot.connection, sql, **asked | by):
            of_days.setdefault(day, {})[slot] = Judged(*counts)
        history[term] = of_days
    return tuple(day for day in days if begun is not None and day > begun), history
