"""A month or a day of a campaign against its contract: what a client is shown, and signs.

All of it is asked of one snapshot, so that the parts add up to the whole on a page and in a file alike. How people
work is told of months only, under pseudonyms, and never of so few that it would show one: no day can be computed from
what the others leave.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from metrics.authorisation.pseudonyms import pseudonyms
from metrics.authorisation.suppression import SMALLEST, hidden, pooled
from metrics.authorisation.viewer import Viewer
from metrics.kpis.compose import KPIS
from metrics.kpis.distance import Distance, Judged, Outlook, distance, outlook, target
from metrics.kpis.outcomes import PARTS
from metrics.kpis.tallies import FACTS, HANDLED
from metrics.readers import wall
from metrics.readers.campaigns import STEPS, Campaign, campaigns_on, needed, sums
from metrics.readers.explained import Term, version
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch
from metrics.readers.to_come import to_come

MONTH_S = 60.0
"""A month is asked again after this [s between two snapshots' `as_of`]."""
HOUR = 60

_RATIOS = ("service_level", "service_level_worst", "service_level_best", "abandon_rate", "asa_s", "conserved")
_COUNTS = (*PARTS, "offered", "refused", "answered_in_threshold", "service_level_hits", "service_level_base")
_WORK = ("aht_s", "avg_talk_s", "avg_hold_s", "avg_wrap_s", "transfer_rate")


def _columns(counts: Iterable[str], ratios: Iterable[str]) -> str:
    return ", ".join((*counts, *(f"{KPIS[name].sql} AS {name}" for name in ratios)))


_WORK_COUNTS = ("answered", "handled")
_WORK_NEEDED = needed(_WORK_COUNTS, _WORK)
_SUMS, _COLUMNS = sums(needed(_COUNTS, _RATIOS)), _columns(_COUNTS, _RATIOS)
_HANDLED_TOO = sums(needed(_COUNTS, (*_RATIOS, "aht_s")))
DAYS = f"""
SELECT campaign, day, settled, target, {KPIS["aht_s"].sql}, {_COLUMNS}
FROM (
    SELECT campaign, day, bool_and(settled) AS settled, max(target) AS target, {_HANDLED_TOO}
    FROM kpi_days($first::DATE, $until::DATE)
    GROUP BY GROUPING SETS ((campaign, day), (campaign))
)
ORDER BY campaign, day NULLS FIRST
"""
QUEUES = f"""
SELECT campaign, queue, {KPIS["aht_s"].sql}, {_COLUMNS}
FROM (
    SELECT campaign, queue, {_HANDLED_TOO}
    FROM kpi_queue($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
    WHERE offered + refused + handled > 0
    GROUP BY ALL
)
ORDER BY campaign, offered DESC, queue
"""
INTERVALS = f"""
SELECT campaign, slot, {_COLUMNS}
FROM (
    SELECT campaign, slot, {_SUMS}
    FROM kpi_interval($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, {{minutes}})
    JOIN (SELECT unnest($starts::TIMESTAMPTZ[]) AS interval_start, unnest($slots::BIGINT[]) AS slot)
        USING (interval_start)
    GROUP BY ALL
)
ORDER BY campaign, slot
"""
TERMS = """
SELECT campaign, valid_from, valid_to, formula, threshold_s, target, wait_at_threshold_counts, short_abandon_s,
       open_in_threshold, service_level_hits, service_level_base, service_level
FROM kpi_term($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
ORDER BY campaign, valid_from NULLS FIRST
"""
PEOPLE = f"""
SELECT campaign, queue, list(DISTINCT agent)
FROM calls
WHERE day BETWEEN CAST(timezone('UTC', $t0::TIMESTAMPTZ) AS DATE) - 1
        AND CAST(timezone('UTC', $t1::TIMESTAMPTZ) AS DATE) + 1
    AND cohort_at >= $t0::TIMESTAMPTZ AND cohort_at < $t1::TIMESTAMPTZ AND {HANDLED} AND agent IS NOT NULL
GROUP BY ALL
"""
AGENTS = f"""
SELECT campaign, agent, {", ".join(_WORK_NEEDED)}
FROM kpi_agent_campaign($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
WHERE handled > 0
ORDER BY campaign, agent
"""
WORK_RATIOS = f"""
SELECT {_columns(_WORK_COUNTS, _WORK)}
FROM (SELECT unnest(range(len($handled))) AS nth, {", ".join(f"unnest(${name}) AS {name}" for name in _WORK_NEEDED)})
ORDER BY nth
"""
CLIENTS = "SELECT campaign, coalesce(client, campaign) FROM campaigns"
SPAN = "SELECT first_call_day, last_day FROM ingest_status"
FIRST_CALLS = f"""
SELECT campaign, min(cohort_at)
FROM calls
WHERE day >= $first::DATE AND day < $until::DATE AND {FACTS["inbound"]}
GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar month, or a day, of a campaign: `[first, until)`."""

    first: date
    until: date

    @classmethod
    def month(cls, of: date) -> "Period":
        first = of.replace(day=1)
        return cls(first, (first + timedelta(days=31)).replace(day=1))

    @classmethod
    def day(cls, day: date) -> "Period":
        return cls(day, day + timedelta(days=1))

    @property
    def is_month(self) -> bool:
        return self.until - self.first > timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over calls, and the ratios of those sums; columns as in `kpi_campaign`."""

    answered: int
    abandoned: int
    short_abandoned: int
    overflowed: int
    callback: int
    voicemail: int
    dropped: int
    open: int
    offered: int
    refused: int
    answered_in_threshold: int
    service_level_hits: int
    service_level_base: int
    service_level: float | None
    service_level_worst: float | None
    service_level_best: float | None
    abandon_rate: float | None
    asa_s: float | None
    conserved: bool


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the period; `target` is that of its last term."""

    day: date
    settled: bool
    target: float | None
    figures: Figures

    @property
    def has_calls(self) -> bool:
        return self.figures.offered + self.figures.refused > 0


@dataclass(frozen=True, slots=True)
class Slot:
    """An interval by the clock on the wall, `[start, end)` in minutes of the day; of a month, that of all its days."""

    start: int
    end: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class JudgedTerm:
    """A term of the contract and the calls of the period that it judged; `waiting` are those it does not count yet."""

    term: Term
    waiting: int
    hits: int
    service_level: float | None


@dataclass(frozen=True, slots=True)
class Work:
    """How calls were handled, by how many people; times [s], a ratio 0–1; `name` is a pseudonym, or a queue."""

    name: str
    agents: int
    answered: int
    handled: int
    aht_s: float | None
    avg_talk_s: float | None
    avg_hold_s: float | None
    avg_wrap_s: float | None
    transfer_rate: float | None


@dataclass(frozen=True, slots=True)
class People:
    """How people worked in a month. Who may be told of only together is in `others`.

    `whole` None: there were fewer than SMALLEST, and nothing is told. `aht_s` is by queue, of those that may be told,
    and of all calls under None; calls that nobody is known to have handled are in it.
    """

    agents: tuple[Work, ...]
    others: Work | None
    whole: Work | None
    aht_s: Mapping[str | None, float | None]


@dataclass(frozen=True, slots=True)
class Sla:
    """A campaign's period against its contract.

    `target` is what the terms together ask for so far, and the term in force while no call counts; `distance` is how
    far that is, and `next_target` judges the calls that come now. `outlook` is how it ends when as many calls come as
    usual, None when that is not known or it `is_over`: has ended. All of them are by `metrics.kpis.distance`.
    `settled`: only a late event moves it.
    `known_from` is the campaign's first call, when the first of all lies inside the period; `days` are none
    before it. `people` None: the period is a day.
    """

    freshness: Freshness
    campaign: Campaign
    period: Period
    is_over: bool
    settled: bool
    known_from: datetime | None
    total: Figures
    target: float | None
    next_target: float | None
    distance: Distance | None
    outlook: Outlook | None
    terms: tuple[JudgedTerm, ...]
    days: tuple[Day, ...]
    queues: tuple[tuple[str, Figures], ...]
    minutes: int
    slots: tuple[Slot, ...]
    people: People | None

    @property
    def contract(self) -> str:
        """Return the version of these terms."""
        return version(one.term for one in self.terms)

    @property
    def target_moves(self) -> bool:
        """Whether terms of the period have other targets than others: what is asked for then moves as calls come."""
        return len({one.term.target for one in self.terms}) > 1

    @property
    def today(self) -> date:
        """Return the campaign's local day of the snapshot."""
        return self.freshness.as_of.astimezone(ZoneInfo(self.campaign.timezone)).date()

    @property
    def days_without_calls(self) -> tuple[date, ...]:
        """Return the days of a month that are known and over, and had no call; none when the month had none."""
        if not self.period.is_month or not any(day.has_calls for day in self.days):
            return ()
        return tuple(day.day for day in self.days if day.day < self.today and not day.has_calls)


def sla(
    published: Published, viewer: Viewer, campaign: str, period: Period, key: bytes, *, minutes: int = HOUR
) -> Sla | None:
    """Return a campaign's period by days, queues and intervals of so many minutes; None: the viewer has no such.

    `key` makes the agents' pseudonyms: whoever has it could find out who they are.
    """
    if minutes not in STEPS:
        raise ValueError(f"intervals of {minutes} minutes do not fill every day, allowed are {STEPS}")
    one = wall.campaign(published, viewer, campaign)
    if one is None:
        return None
    question = ("sla", one.timezone, period, minutes, key)
    slow_s = MONTH_S if period.is_month else SLOW_S
    known = published.ask(question, lambda s: _zone(s, one.timezone, period, key, minutes), slow_s)
    found = known.get(campaign) if known else None
    return found and replace(found, outlook=_outlook(published, found))


def _outlook(published: Published, one: Sla) -> Outlook | None:
    """Return how a period that lasts ends when as many calls come as usual."""
    calls = [Judged(judged.hits, judged.term.calls, judged.term.target) for judged in one.terms]
    if one.is_over or sum(judged.base for judged in calls) != one.total.service_level_base:
        return None
    waiting = [(judged.term, judged.waiting) for judged in one.terms]
    coming = to_come(published, one.campaign, one.freshness.as_of, one.period.first, one.period.until, waiting)
    return None if coming is None else outlook(calls, coming)


def months(published: Published, viewer: Viewer, campaign: str) -> tuple[date, ...]:
    """Return the first days of the months with calls, and those between: the latest, which is this month, first."""
    one = wall.campaign(published, viewer, campaign)
    span = published.ask("span", lambda s: fetch(s.connection, SPAN)[0], SLOW_S)
    if one is None or span is None:
        return ()
    this = one.day.replace(day=1)
    found = {this}
    first, last = span
    if first is not None:
        at = min(last, one.day).replace(day=1)
        while at >= first.replace(day=1):
            found.add(at)
            at = (at - timedelta(days=1)).replace(day=1)
    return tuple(sorted(found, reverse=True))


def _zone(snapshot: Snapshot, zone: str, period: Period, key: bytes, minutes: int) -> dict[str, Sla]:
    """Return the period of every campaign of a zone: their days begin at the same instants."""
    connection, as_of = snapshot.connection, snapshot.freshness.as_of
    clock_of = ZoneInfo(zone)
    t0, t1 = (datetime.combine(day, clock(), clock_of).astimezone(UTC) for day in (period.first, period.until))
    window: dict[str, Any] = {"t0": t0, "t1": t1}

    def by_campaign(sql: str, **more: object) -> dict[str, list[tuple[Any, ...]]]:
        found: dict[str, list[tuple[Any, ...]]] = {}
        for campaign, *row in fetch(connection, sql, **window, **more):
            found.setdefault(campaign, []).append(tuple(row))
        return found

    step = timedelta(minutes=minutes)
    starts = [t0 + step * n for n in range(-((t0 - t1) // step))]
    walls = [at.astimezone(clock_of) for at in starts]
    # an hour that a change of clocks repeats is one row of a month, and two rows of its day
    numbers = [at.hour * 60 + at.minute for at in walls] if period.is_month else list(range(len(starts)))
    minute_of = {number: at.hour * 60 + at.minute for number, at in zip(numbers, walls, strict=True)}
    days = by_campaign(DAYS, first=period.first, until=period.until)
    queues = by_campaign(QUEUES)
    slots = by_campaign(INTERVALS.format(minutes=minutes), starts=starts, slots=numbers)
    terms = by_campaign(TERMS)
    work = by_campaign(AGENTS) if period.is_month else {}
    people = by_campaign(PEOPLE) if period.is_month else {}
    clients = dict(fetch(connection, CLIENTS))
    first_calls = _first_calls(connection, period)
    today = as_of.astimezone(clock_of).date()
    found: dict[str, Sla] = {}
    for campaign in campaigns_on(connection, as_of, period.first):
        name = campaign.campaign
        if campaign.timezone != zone or name not in days:
            continue
        (_, settled, _, aht_s, *sums), *of_days = days[name]
        total = Figures(*sums)
        judged = tuple(
            JudgedTerm(Term(base, *term), waiting, hits, level)
            for *term, waiting, hits, base, level in terms.get(name, ())
        )
        calls = [Judged(one.hits, one.term.calls, one.term.target) for one in judged]
        if sum(one.base for one in calls) != total.service_level_base:
            calls = []  # judged by a term that the contract no longer has: no target is told of
        local = min(as_of, t1).astimezone(clock_of).replace(tzinfo=None)
        in_force = [one.term for one in judged if one.term.valid_from is None or one.term.valid_from <= local]
        known_from = first_calls.get(name)
        known_day = known_from.astimezone(clock_of).date() if known_from else period.first
        found[name] = Sla(
            freshness=snapshot.freshness,
            campaign=replace(campaign, t1=t1),
            period=period,
            is_over=t1 <= as_of,
            settled=settled and t1 <= as_of,
            known_from=known_from,
            total=total,
            target=target(calls) if total.service_level_base or not in_force else in_force[-1].target,
            next_target=in_force[-1].target if in_force else None,
            distance=distance(calls, in_force[-1].target) if in_force else None,
            outlook=None,  # asked apart: what is usual is kept for longer
            terms=judged,
            days=tuple(
                Day(day, is_settled, own, Figures(*row))
                for day, is_settled, own, _, *row in of_days
                if known_day <= day <= today
            ),
            queues=tuple((queue, Figures(*row)) for queue, _, *row in queues.get(name, ())),
            minutes=minutes,
            slots=_active(
                Slot(minute_of[number], minute_of[number] + minutes, Figures(*row))
                for number, *row in slots.get(name, ())
            ),
            people=_people(
                connection,
                clients[name],
                key,
                work.get(name, []),
                people.get(name, []),
                {None: aht_s} | {queue: own for queue, own, *_ in queues.get(name, ())},
            )
            if period.is_month
            else None,
        )
    return found


def _first_calls(connection: duckdb.DuckDBPyConnection, period: Period) -> dict[str, datetime]:
    """Return the first call of each campaign, when the first of all lies inside the period: else nothing."""
    first, _last = fetch(connection, SPAN)[0]
    if first is None or not period.first <= first < period.until:
        return {}
    if period.is_month and first == period.first:
        return {}
    return dict(fetch(connection, FIRST_CALLS, first=period.first, until=period.until))


def _active(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    """Leave out what lies before the first call of all, and after the last."""
    slots = tuple(slots)
    active = [n for n, slot in enumerate(slots) if slot.figures.offered]
    return slots[active[0] : active[-1] + 1] if active else ()


def _people(
    connection: duckdb.DuckDBPyConnection,
    client: str,
    key: bytes,
    work: list[tuple[Any, ...]],
    people: list[tuple[Any, ...]],
    aht_s_of: Mapping[str | None, float | None],
) -> People:
    """Return how people worked, told of so that nobody is shown. `work` is by agent, `people` who worked in a queue."""
    sums = {agent: tuple(row) for agent, *row in work}
    if len(sums) < SMALLEST:
        return People((), None, None, {})
    handled = _WORK_NEEDED.index("handled")
    together = pooled({agent: row[handled] for agent, row in sums.items()})
    names = pseudonyms(key, client, sums)
    agents_of = {queue: frozenset(agents) for queue, agents in people}
    away = hidden(agents_of, never=frozenset({None}))

    def told(name: str, agents: Iterable[str]) -> tuple[str, int, list[float]]:
        rows = [sums[agent] for agent in agents]
        return name, len(rows), [sum(values) for values in zip(*rows, strict=True)]

    groups = [told(names[agent], (agent,)) for agent in sorted(sums.keys() - together, key=names.__getitem__)]
    groups += [told("", together)] if together else []
    *shown, whole = _work(connection, [*groups, told("", sums)])
    others = shown.pop() if together else None
    return People(
        tuple(shown), others, whole, {q: aht_s for q, aht_s in aht_s_of.items() if q is None or q not in away}
    )


def _work(connection: duckdb.DuckDBPyConnection, groups: list[tuple[str, int, list[float]]]) -> list[Work]:
    """Take the ratios of sums, by the definitions that everybody's figures have."""
    columns = {name: [sums[n] for _, _, sums in groups] for n, name in enumerate(_WORK_NEEDED)}
    ratios = fetch(connection, WORK_RATIOS, **columns)
    return [Work(name, agents, *row) for (name, agents, _), row in zip(groups, ratios, strict=True)]
