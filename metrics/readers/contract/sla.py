"""A month or a day of a campaign against its contract: the statement that the client sees and signs.

All figures come from one snapshot, so that the parts add up to the total on the page and in a file. How people work is
shown for months only, under pseudonyms, and never for so few people that it would reveal one. So nobody can compute a
single day from the rest.
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
from metrics.composition.figures import KPIS
from metrics.kpis.distance import Distance, Outlook, distance, outlook, target
from metrics.kpis.outcomes import PARTS
from metrics.kpis.tallies import FACTS, HANDLED
from metrics.readers import wall
from metrics.readers.campaigns import STEPS, Campaign, campaigns_on, needed, sums
from metrics.readers.contract.terms import JudgedTerm, judged_terms, version
from metrics.readers.contract.to_come import to_come
from metrics.readers.snapshot import MONTH_S, SLOW_S, Freshness, Published, Snapshot, fetch

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
FIRST_CONTACT = """
SELECT campaign, fcr_days, contacts, unknown, pending, decided, resolved, fcr, callers, repeat_callers
FROM first_contact($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
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
    """A day of the period; `target` is the target of the last term in force on it."""

    day: date
    settled: bool
    target: float | None
    figures: Figures

    @property
    def has_calls(self) -> bool:
        return self.figures.offered + self.figures.refused > 0


@dataclass(frozen=True, slots=True)
class Slot:
    """An interval by local clock time, `[start, end)` in minutes of the day. For a month it covers all its days."""

    start: int
    end: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Work:
    """How calls were handled, and by how many people; times [s], ratio 0–1. `name` is a pseudonym, "" for a group."""

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
    """How people worked in a month. Agents who may only be shown as a group are in `others`.

    `whole` is the total; None: there were fewer than SMALLEST agents, and nothing is shown. `aht_s` is by queue, for
    queues that may be shown, and under None for all calls; it includes calls without a known agent.
    """

    agents: tuple[Work, ...]
    others: Work | None
    whole: Work | None
    aht_s: Mapping[str | None, float | None]


@dataclass(frozen=True, slots=True)
class FirstContact:
    """Which callers called again; columns as in `first_contact`."""

    fcr_days: int
    contacts: int
    unknown: int
    pending: int
    decided: int
    resolved: int
    fcr: float | None
    callers: int
    repeat_callers: int


@dataclass(frozen=True, slots=True)
class Sla:
    """A campaign's period against its contract.

    `target` is the combined target of the terms so far; while no call counts, the target of the term in force.
    `distance` is how far the period is from it, and `next_target` judges the next calls. `outlook` is how the period
    ends if the usual number of calls comes; None: this is unknown, or the period `is_over`. `metrics.kpis.distance`
    defines all of them. `settled`: only a late event can change the figures. `known_from` is the campaign's first call,
    if the first call of all campaigns is within the period; `days` then start at that call's day. `people` None: the
    period is a day; `first_contact` None: so it is, or no answered contact has a known caller.
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
    first_contact: FirstContact | None

    @property
    def contract(self) -> str:
        """Return the version of these terms."""
        return version(judged.term for judged in self.terms)

    @property
    def target_moves(self) -> bool:
        """Whether the terms of the period have different targets, so that the combined target changes as calls come."""
        return len({judged.term.target for judged in self.terms}) > 1

    @property
    def today(self) -> date:
        """Return the campaign's local day at the snapshot's `as_of`."""
        return self.freshness.as_of.astimezone(ZoneInfo(self.campaign.timezone)).date()

    @property
    def days_without_calls(self) -> tuple[date, ...]:
        """Return the known past days of a month without calls; none if the entire month had no call."""
        if not self.period.is_month or not any(day.has_calls for day in self.days):
            return ()
        return tuple(day.day for day in self.days if day.day < self.today and not day.has_calls)


def sla(
    published: Published, viewer: Viewer, campaign: str, period: Period, key: bytes, *, minutes: int = HOUR
) -> Sla | None:
    """Return a campaign's period by day, queue and interval; None if the viewer may not see the campaign.

    `key` makes the agents' pseudonyms. Anyone who has it could find out who they are.
    """
    if minutes not in STEPS:
        raise ValueError(f"intervals of {minutes} minutes do not fill every day, allowed are {STEPS}")
    visible = wall.campaign(published, viewer, campaign)
    if visible is None:
        return None
    question = ("sla", visible.timezone, period, minutes, key)
    slow_s = MONTH_S if period.is_month else SLOW_S
    by_campaign = published.ask(question, lambda s: _zone(s, visible.timezone, period, key, minutes), slow_s)
    statement = by_campaign.get(campaign) if by_campaign else None
    return statement and replace(statement, outlook=_outlook(published, statement))


def _outlook(published: Published, so_far: Sla) -> Outlook | None:
    """Return how a current period ends if the usual number of calls comes."""
    calls = [term.judged for term in so_far.terms]
    if so_far.is_over or sum(judged.base for judged in calls) != so_far.total.service_level_base:
        return None
    period, as_of = so_far.period, so_far.freshness.as_of
    waiting = [(judged.term, judged.waiting) for judged in so_far.terms]
    expected = to_come(published, so_far.campaign, as_of, period.first, period.until, waiting)
    return None if expected is None else outlook(calls, expected)


def months(published: Published, viewer: Viewer, campaign: str) -> tuple[date, ...]:
    """Return the first days of the months from the first call to now, this month first."""
    visible = wall.campaign(published, viewer, campaign)
    span = published.ask("span", lambda s: fetch(s.connection, SPAN)[0], SLOW_S)
    if visible is None or span is None:
        return ()
    first_days = {visible.day.replace(day=1)}
    first, last = span
    if first is not None:
        month = min(last, visible.day).replace(day=1)
        while month >= first.replace(day=1):
            first_days.add(month)
            month = (month - timedelta(days=1)).replace(day=1)
    return tuple(sorted(first_days, reverse=True))


def _zone(snapshot: Snapshot, zone: str, period: Period, key: bytes, minutes: int) -> dict[str, Sla]:
    """Return the period of every campaign in a time zone, because their days begin at the same instants."""
    connection, as_of = snapshot.connection, snapshot.freshness.as_of
    clock_of = ZoneInfo(zone)
    t0, t1 = (datetime.combine(day, clock(), clock_of).astimezone(UTC) for day in (period.first, period.until))
    window: dict[str, Any] = {"t0": t0, "t1": t1}

    def by_campaign(sql: str, **more: object) -> dict[str, list[tuple[Any, ...]]]:
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for campaign, *row in fetch(connection, sql, **window, **more):
            rows.setdefault(campaign, []).append(tuple(row))
        return rows

    step = timedelta(minutes=minutes)
    starts = [t0 + step * n for n in range(-((t0 - t1) // step))]
    local_starts = [at.astimezone(clock_of) for at in starts]
    # an hour repeated by a clock change is one row in a month, but two rows in a day
    numbers = [at.hour * 60 + at.minute for at in local_starts] if period.is_month else list(range(len(starts)))
    minute_of = {number: at.hour * 60 + at.minute for number, at in zip(numbers, local_starts, strict=True)}
    days = by_campaign(DAYS, first=period.first, until=period.until)
    queues = by_campaign(QUEUES)
    slots = by_campaign(INTERVALS.format(minutes=minutes), starts=starts, slots=numbers)
    terms = judged_terms(connection, t0, t1)
    work = by_campaign(AGENTS) if period.is_month else {}
    people = by_campaign(PEOPLE) if period.is_month else {}
    contacts = by_campaign(FIRST_CONTACT) if period.is_month else {}
    clients = dict(fetch(connection, CLIENTS))
    first_calls = _first_calls(connection, period)
    today = as_of.astimezone(clock_of).date()
    statements: dict[str, Sla] = {}
    for campaign in campaigns_on(connection, as_of, period.first):
        name = campaign.campaign
        if campaign.timezone != zone or name not in days:
            continue
        (_, settled, _, aht_s, *sums), *of_days = days[name]
        total = Figures(*sums)
        judged = terms.get(name, ())
        calls = [own.judged for own in judged]
        if sum(own.base for own in calls) != total.service_level_base:
            calls = []  # some calls were judged by a term that was removed from the contract: show no target
        local = min(as_of, t1).astimezone(clock_of).replace(tzinfo=None)
        in_force = [own.term for own in judged if own.term.valid_from is None or own.term.valid_from <= local]
        known_from = first_calls.get(name)
        known_day = known_from.astimezone(clock_of).date() if known_from else period.first
        statements[name] = Sla(
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
            outlook=None,  # computed for those that somebody looks at
            terms=judged,
            days=tuple(
                Day(day, is_settled, day_target, Figures(*row))
                for day, is_settled, day_target, _, *row in of_days
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
                {None: aht_s} | {queue: queue_aht_s for queue, queue_aht_s, *_ in queues.get(name, ())},
            )
            if period.is_month
            else None,
            first_contact=_first_contact(contacts.get(name, [])),
        )
    return statements


def _first_contact(rows: list[tuple[Any, ...]]) -> FirstContact | None:
    found = [FirstContact(*row) for row in rows]
    return next((one for one in found if one.contacts), None)


def _first_calls(connection: duckdb.DuckDBPyConnection, period: Period) -> dict[str, datetime]:
    """Return the first call of each campaign if the first call of all is within the period, otherwise nothing."""
    first, _last = fetch(connection, SPAN)[0]
    if first is None or not period.first <= first < period.until:
        return {}
    if period.is_month and first == period.first:
        return {}
    return dict(fetch(connection, FIRST_CALLS, first=period.first, until=period.until))


def _active(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    """Leave out the slots before the first offered call and after the last."""
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
    """Return how people worked, without revealing individuals. `work` is by agent; `people` has the agents by queue."""
    sums = {agent: tuple(row) for agent, *row in work}
    if len(sums) < SMALLEST:
        return People((), None, None, {})
    handled = _WORK_NEEDED.index("handled")
    together = pooled({agent: row[handled] for agent, row in sums.items()})
    names = pseudonyms(key, client, sums)
    agents_of = {queue: frozenset(agents) for queue, agents in people}
    hidden_queues = hidden(agents_of, never=frozenset({None}))

    def summed(name: str, agents: Iterable[str]) -> tuple[str, int, list[float]]:
        rows = [sums[agent] for agent in agents]
        return name, len(rows), [sum(values) for values in zip(*rows, strict=True)]

    groups = [summed(names[agent], (agent,)) for agent in sorted(sums.keys() - together, key=names.__getitem__)]
    groups += [summed("", together)] if together else []
    *shown, total = _work(connection, [*groups, summed("", sums)])
    others = shown.pop() if together else None
    aht_s = {queue: mean_s for queue, mean_s in aht_s_of.items() if queue is None or queue not in hidden_queues}
    return People(tuple(shown), others, total, aht_s)


def _work(connection: duckdb.DuckDBPyConnection, groups: list[tuple[str, int, list[float]]]) -> list[Work]:
    """Compute the ratios of sums by the definitions of the KPIs."""
    columns = {name: [sums[n] for _, _, sums in groups] for n, name in enumerate(_WORK_NEEDED)}
    ratios = fetch(connection, WORK_RATIOS, **columns)
    return [Work(name, agents, *row) for (name, agents, _), row in zip(groups, ratios, strict=True)]
