"""The figures that rules watch, read from the snapshot that is being written, so that they are the published ones.

What changes slowly, or costs a query of a tenth of a second, is read at longer intervals.
"""

import datetime as dt
import statistics
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from ingest import statements
from ingest.alerting.month import DaysCalls, Month, month_of
from ingest.store.store import Store
from metrics.kpis.alert_figures import FIGURES, LATELY_S, SILENT_S, STALE_S, WATCHED_S
from metrics.kpis.distance import KNOWN_WEEKDAYS, SAME_WEEKDAYS

QUERIES = statements.read_parts("alerting/figures.sql")

SLOW_S = 15.0  # agents' strain and pauses, rejected records
MONTH_S = 900.0
STEP_MIN = 15  # what is usual is known for windows that end at quarter hours

WINDOW = (
    *("service_level", "service_level_to_target", "abandon_rate", "asa_s", "aht_s", "occupancy"),
    *("offered", "answered", "abandoned", "waiting", "longest_wait_s"),
)
AGENTS = tuple(name for name, figure in FIGURES.items() if figure.about == "agents")
MONTH = ("month_to_target", "month_expected_to_target", "month_best_to_target")
NO_CALLS = Month(0, None, None, None)
USUAL = tuple(name for name, figure in FIGURES.items() if figure.has_usual)
COUNTED = {  # the calls that a ratio of the window is computed from
    "service_level": "service_level_base",
    "service_level_to_target": "service_level_base",
    "abandon_rate": "offered",
    "asa_s": "answered",
    "aht_s": "answered",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a value is about; all None: the feed."""

    campaign: str | None = None
    client: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A figure's value at an instant; None: undefined. `calls` None: it is not computed from calls of a window.

    `by_site`: the parts of a number of agents, for each site that anybody has; None is the site of those who have none.
    """

    value: float | None
    calls: int | None = None
    usual: float | None = None
    is_open: bool = True
    by_site: Mapping[str | None, int] = field(default_factory=dict)

    def at(self, sites: Set[str] | None) -> "Value":
        """Return the value of these sites only; None: of all. Of sites that no agent has there is no value."""
        if sites is None:
            return self
        if sites.isdisjoint(self.by_site):
            return replace(self, value=None)
        return replace(self, value=float(sum(count for site, count in self.by_site.items() if site in sites)))


Values = Mapping[str, Mapping[Subject, Value]]
"""By figure and subject."""
AgentCounts = Mapping[str, Mapping[str | None, tuple[int, ...]]]
"""By campaign and site, in the order of AGENTS."""
Usual = Mapping[str, Mapping[str, float]]
"""What is usual now, by campaign and figure."""


class Figures:
    """Reads the figures of `store`'s snapshot, those in `needed`; `with_usual` are those that need what is usual."""

    def __init__(self, store: Store, needed: Set[str], with_usual: Set[str]) -> None:
        self._store = store
        self._needed = needed
        self._with_usual = with_usual
        self._kept: dict[str, tuple[object, dt.datetime, Any]] = {}

    def read(self, as_of: dt.datetime, published_at: dt.datetime) -> Values:
        """Return the figures of the snapshot at `as_of`; while the data is old or the feed silent, only the feed's.

        This depends on the data alone, never on what the rules about the feed say. Call it while the snapshot is
        attached and filled.
        """
        values: dict[str, Mapping[Subject, Value]] = {}
        age_s = max(0.0, (published_at - as_of).total_seconds())
        self._store.sql("USE snapshot")  # macros are bound in the default catalog
        try:
            feed = self._feed(age_s, as_of, published_at)
            values |= {name: {Subject(): value} for name, value in feed.items()}
            silent_s = feed["feed_silent_s"].value if "feed_silent_s" in feed else None
            if age_s <= STALE_S and (silent_s is None or silent_s <= SILENT_S):
                values |= self._sources(as_of)
                if any(FIGURES[name].about in ("campaign", "agents") for name in self._needed):
                    values |= self._campaigns(as_of)
        finally:
            self._store.sql("USE store")
        return {name: of_figure for name, of_figure in values.items() if name in self._needed}

    def _feed(self, age_s: float, as_of: dt.datetime, published_at: dt.datetime) -> dict[str, Value]:
        ((last_event_at, lag),) = self._rows(QUERIES["feed"])
        values = {"feed_age_s": Value(age_s), "lag": Value(float(lag))}
        if age_s <= STALE_S and last_event_at is not None:
            values["feed_silent_s"] = Value(_seconds(last_event_at, as_of))
        if "new_dead_letters" in self._needed:
            since = published_at - dt.timedelta(seconds=LATELY_S)
            ((letters,),) = self._slow(
                "new_dead_letters", published_at, SLOW_S, lambda: self._rows(QUERIES["new_dead_letters"], since=since)
            )
            values["new_dead_letters"] = Value(float(letters))
        return values

    def _sources(self, as_of: dt.datetime) -> Values:
        rows = self._rows(QUERIES["sources"], since=as_of - dt.timedelta(seconds=WATCHED_S))
        return {"source_silent_s": {Subject(source=source): Value(_seconds(at, as_of)) for source, at in rows}}

    def _campaigns(self, as_of: dt.datetime) -> Values:
        values: dict[str, dict[Subject, Value]] = {name: {} for name in (*WINDOW, *AGENTS, *MONTH)}
        rows = self._rows(QUERIES["campaigns"])
        usual: Usual = {}
        if self._with_usual:
            windows = {(timezone, minutes) for _, _, timezone, minutes, *_ in rows}
            quarter = as_of.replace(minute=as_of.minute // STEP_MIN * STEP_MIN, second=0, microsecond=0)
            usual = self._slow("usual", as_of, STEP_MIN * 60.0, lambda: self._usual(quarter, windows, rows), quarter)
        agents: AgentCounts = {}
        empty: Mapping[str | None, tuple[int, ...]] = {}
        if not self._needed.isdisjoint(AGENTS):
            agents, empty = self._slow("agents", as_of, SLOW_S, lambda: self._agents(as_of))
        month: Mapping[str, Month] = {}
        if not self._needed.isdisjoint(MONTH):
            month = self._slow("month", as_of, MONTH_S, lambda: self._month(as_of))
        for campaign, client, _, _, is_open, *figures, base in rows:
            about = Subject(campaign, client)
            of_window = dict(zip(WINDOW, figures, strict=True)) | {"service_level_base": base}
            for name in WINDOW:
                calls = of_window[COUNTED[name]] if name in COUNTED else None
                values[name][about] = Value(
                    _figure(name, of_window[name]),
                    calls,
                    usual.get(campaign, {}).get(name),
                    is_open,
                )
            of_campaign = {**empty, **agents.get(campaign, {})}
            for place, name in enumerate(AGENTS):
                by_site = {site: counts[place] for site, counts in of_campaign.items()}
                values[name][about] = Value(float(sum(by_site.values())), is_open=is_open, by_site=by_site)
            stands = month.get(campaign, NO_CALLS)
            for name, value in zip(
                MONTH, (stands.to_target, stands.expected_to_target, stands.best_to_target), strict=True
            ):
                values[name][about] = Value(_figure(name, value), stands.calls, is_open=is_open)
        return values

    def _agents(self, as_of: dt.datetime) -> tuple[AgentCounts, Mapping[str | None, tuple[int, ...]]]:
        """Return the counts, and zeros for every site that an agent has, also one who is not there."""
        counted: dict[str, dict[str | None, tuple[int, ...]]] = {}
        for campaign, site, *counts in self._rows(QUERIES["agents"], as_of=as_of):
            counted.setdefault(campaign, {})[site] = tuple(counts)
        return counted, {site: (0,) * len(AGENTS) for (site,) in self._rows(QUERIES["sites"])}

    def _month(self, as_of: dt.datetime) -> Mapping[str, Month]:
        # a local day is a day from the UTC date at most
        first = min(
            as_of.date() - dt.timedelta(weeks=SAME_WEEKDAYS + 1, days=1),
            (as_of - dt.timedelta(days=1)).date().replace(day=1),
        )
        after = as_of.date() + dt.timedelta(days=2)
        targets: dict[str, list[tuple[dt.date | None, float]]] = {}
        for campaign, valid_from, target in self._rows(QUERIES["targets"]):
            targets.setdefault(campaign, []).append((valid_from, target))
        days: dict[tuple[str, dt.date], list[DaysCalls]] = {}
        for campaign, today, *columns in self._rows(QUERIES["month"], as_of=as_of, first=first, after=after):
            days.setdefault((campaign, today), []).append(DaysCalls(*columns))
        return {campaign: month_of(calls, today, targets[campaign]) for (campaign, today), calls in days.items()}

    def _usual(self, quarter: dt.datetime, windows: Set[tuple[str, int]], rows: list[tuple[Any, ...]]) -> Usual:
        """Return each campaign's mean over the same window of the SAME_WEEKDAYS before, by its local clock.

        Windows without offered calls do not count: the campaign was closed, or its calls are not known.
        """
        ends: dict[tuple[dt.datetime, int], set[str]] = {}  # zones whose windows of that length ended then
        for zone, minutes in windows:
            for weeks in range(1, SAME_WEEKDAYS + 1):
                local = quarter.astimezone(ZoneInfo(zone)) - dt.timedelta(weeks=weeks)
                ends.setdefault((local.astimezone(dt.UTC), minutes), set()).add(zone)
        window_of = {campaign: (timezone, minutes) for campaign, _, timezone, minutes, *_ in rows}
        seen: dict[str, list[tuple[float | None, ...]]] = {}
        for (end, minutes), zones in ends.items():
            begin = end - dt.timedelta(minutes=minutes)
            for campaign, *figures in self._rows(QUERIES["usual"], t0=begin, t1=end, minutes=minutes):
                zone, length = window_of.get(campaign, ("", 0))
                if zone in zones and length == minutes:
                    seen.setdefault(campaign, []).append(tuple(figures))
        return {
            campaign: {
                name: statistics.fmean(known)
                for name, column in zip(USUAL, zip(*weeks, strict=True), strict=True)
                if len(known := [value for value in column if value is not None]) >= KNOWN_WEEKDAYS
            }
            for campaign, weeks in seen.items()
        }

    def _slow(self, name: str, now: dt.datetime, every_s: float, read: Callable[[], Any], key: object = None) -> Any:
        """Return what `read` returned less than `every_s` ago for the same `key`."""
        if name in self._kept:
            kept_key, at, answer = self._kept[name]
            if kept_key == key and 0 <= (now - at).total_seconds() < every_s:
                return answer
        answer = read()
        self._kept[name] = (key, now, answer)
        return answer

    def _rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        return self._store.sql(query, parameters or None).fetchall()


def _figure(name: str, value: float | None) -> float | None:
    """Return the value as a rule compares it: 1 - 0.8 is 0.2, not a bit less."""
    if value is None:
        return None
    return round(float(value), 9) if FIGURES[name].unit == "ratio" else float(value)


def _seconds(start: dt.datetime, stop: dt.datetime) -> float:
    return max(0.0, (stop - start).total_seconds())
