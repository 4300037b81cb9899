"""Campaigns with their local day, and their figures by day and by interval. Several readers use this module.

Planning a macro costs more (about 70 ms of CPU) than running it, so one query serves all campaigns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from metrics.authorisation.suppression import WORK_FIGURES
from metrics.composition.figures import KPIS, MEASURES
from metrics.composition.grains import GRAINS
from metrics.readers.snapshot import fetch

MINUTES = 15
STEPS = (15, 30, 60)
"""Interval lengths [min] that divide every local day evenly, including days of 23 or 25 hours."""
CAMPAIGNS = """
SELECT campaign, coalesce(client_name, ''), coalesce(name, campaign), language, coalesce(timezone, 'UTC'),
       configured IS NOT false
FROM campaigns
ORDER BY lower(client_name) NULLS LAST, lower(name), campaign
"""


@dataclass(frozen=True, slots=True)
class Kpis:
    """A row of `kpi_campaign` or `kpi_interval`: ratios 0–1, durations [s]; None is undefined, 0 is a measured zero.

    `agents_…` are the mean numbers of agents in an interval; only `kpi_interval` has them.
    """

    offered: int
    answered: int
    abandoned: int
    short_abandoned: int
    overflowed: int
    callback: int
    voicemail: int
    refused: int
    dropped: int
    open: int
    handled: int
    service_level: float | None
    abandon_rate: float | None
    asa_s: float | None
    aht_s: float | None
    occupancy: float | None
    target: float | None
    threshold_s: float | None
    conserved: bool
    agents_logged_in: float | None = None
    agents_available: float | None = None
    agents_busy: float | None = None
    agents_wrap_up: float | None = None
    agents_paused: float | None = None

    def without_work(self) -> "Kpis":
        """Return the same for a viewer who may not see how people work."""
        return replace(self, **_WITHOUT_WORK)


NAMES = tuple(field.name for field in fields(Kpis))
_WITHOUT_WORK: dict[str, Any] = {name: None for name in NAMES if name in WORK_FIGURES}


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval `[start, end)`, such as a quarter hour; `kpis` None if it has no row."""

    start: datetime
    end: datetime
    kpis: Kpis | None

    def without_work(self) -> "Interval":
        return replace(self, kpis=self.kpis and self.kpis.without_work())


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign and one of its local days, `[t0, t1)`."""

    campaign: str
    client: str
    name: str
    language: str | None
    timezone: str
    day: date
    t0: datetime
    t1: datetime
    configured: bool = True

    @property
    def next_day(self) -> date:
        return self.day + timedelta(days=1)


def kpi_columns(relation: str) -> str:
    """Return SQL for the columns of `relation AS k` that Kpis has, NULL for those that the relation lacks."""
    of_relation = GRAINS[relation].columns
    return ", ".join(f"k.{name}" if name in of_relation else "NULL" for name in NAMES)


def needed(counts: Iterable[str], ratios: Iterable[str]) -> tuple[str, ...]:
    """Return the measures needed to compute these counts and ratios."""
    return tuple(sorted({*counts, *(name for ratio in ratios for name in KPIS[ratio].inputs)}))


def sums(measures: Iterable[str]) -> str:
    """Return SQL that adds up each measure under its own name."""
    counts = {measure.name for measure in MEASURES.values() if measure.is_count}
    return ", ".join(
        f"sum({name})::BIGINT AS {name}" if name in counts else f"sum({name}) AS {name}" for name in measures
    )


def on_day(campaign: Campaign, day: date) -> Campaign:
    """Return the campaign with another local day, by Python's zone rules, which `calls.day` also follows."""
    t0, t1 = bounds(day, ZoneInfo(campaign.timezone))
    return replace(campaign, day=day, t0=t0, t1=t1)


def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the instants at which a local day begins and ends."""
    t0, t1 = (datetime.combine(day + timedelta(n), clock(), zone).astimezone(UTC) for n in (0, 1))
    return t0, t1


def campaigns_on(
    connection: duckdb.DuckDBPyConnection, as_of: datetime, day: date | None = None
) -> tuple[Campaign, ...]:
    """Return all campaigns with their local day: `day`, or the day of `as_of`."""
    campaigns = []
    for campaign, client, name, language, timezone, configured in fetch(connection, CAMPAIGNS):
        today = as_of.astimezone(ZoneInfo(timezone)).date()
        without_day = Campaign(campaign, client, name, language, timezone, today, as_of, as_of, configured)
        campaigns.append(on_day(without_day, day or today))
    return tuple(campaigns)


def totals_of(connection: duckdb.DuckDBPyConnection, campaigns: Sequence[Campaign]) -> dict[str, Kpis]:
    """Return the KPIs of each campaign's local day, with one query even if the days begin at different instants."""
    if not campaigns:
        return {}
    days = {campaign.campaign: campaign.day for campaign in campaigns}
    sql = f"SELECT k.campaign, k.day, {kpi_columns('kpi_days')} FROM kpi_days($first::DATE, $after::DATE) AS k"
    after = max(days.values()) + timedelta(1)
    rows = fetch(connection, sql, first=min(days.values()), after=after)
    return {campaign: Kpis(*kpis) for campaign, day, *kpis in rows if days.get(campaign) == day}


def intervals_between(
    connection: duckdb.DuckDBPyConnection, t0: datetime, t1: datetime, minutes: int
) -> dict[str, dict[datetime, Kpis]]:
    """Return campaign → start of interval → KPIs for the intervals of `[t0, t1)`."""
    sql = f"""
        SELECT k.campaign, k.interval_start, {kpi_columns("kpi_interval")}
        FROM kpi_interval($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, {int(minutes)}) AS k
    """
    by_campaign: dict[str, dict[datetime, Kpis]] = {}
    for campaign, start, *kpis in fetch(connection, sql, t0=t0, t1=t1):
        by_campaign.setdefault(campaign, {})[start] = Kpis(*kpis)
    return by_campaign


def slots_between(t0: datetime, t1: datetime, minutes: int, kpis_at: dict[datetime, Kpis]) -> tuple[Interval, ...]:
    """Return the consecutive intervals of `[t0, t1)`, each with the KPIs at its start, if any."""
    step = timedelta(minutes=minutes)
    starts = [t0 + step * n for n in range(-((t0 - t1) // step))]
    return tuple(Interval(start, min(start + step, t1), kpis_at.get(start)) for start in starts)
