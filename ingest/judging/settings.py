"""The configuration as temp tables, for judging and publishing: campaigns, terms, local days, opening hours."""

import datetime as dt
import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from ingest import statements
from ingest.store.store import Store
from metrics.configuration import zones
from metrics.configuration.campaigns import Campaign, Configuration

SETTINGS = statements.read_parts("judging/settings.sql")
QUARTERS = SETTINGS["quarters"].format(quarter_us=zones.QUARTER_S * 1_000_000)

DAYS_OPENED_BEFORE = dt.timedelta(days=1)  # a zone's local day differs from the UTC date by a day at most
DAYS_OPENED_AFTER = dt.timedelta(days=14)  # the next opening is within a week, or two if clocks skip the only hours

Row = tuple[object, ...]


@dataclass(frozen=True)
class Span:
    """The range of local days over all campaigns, for the columns of ingest_status; None while there is no data."""

    first_day: dt.date | None = None
    first_call_day: dt.date | None = None
    last_day: dt.date | None = None


class Settings:
    """Keeps the tables of the configuration: known_campaigns, terms, zone_offsets, local_days, opening_hours, …"""

    def __init__(self, store: Store, configuration: Configuration) -> None:
        self._store = store
        self._configuration = configuration
        self._campaigns: list[Campaign] = []
        self._is_filled = False
        self._quarters: set[tuple[str, int]] | None = None
        self._days: tuple[Sequence[str], dt.date, dt.date] | None = None
        self._opening: tuple[Sequence[str], dt.date] | None = None
        self._fill_agent_limits()

    def fill(self) -> None:
        """Fill known_campaigns and terms, for campaigns that are configured and campaigns that events name."""
        named = self._store.sql(SETTINGS["named_campaigns"]).fetchall()
        names = self._configuration.campaigns.keys() | {name for (name,) in named}
        if not self._is_filled or names != {c.id for c in self._campaigns}:
            self._is_filled = True
            self._campaigns = [self._configuration.campaign(name) for name in sorted(names)]
            self._make("known_campaigns", SETTINGS["known_campaigns"], [self._campaign(c) for c in self._campaigns])
            self._make("terms", SETTINGS["terms"], [row for c in self._campaigns for row in _terms(c)])

    def fill_offsets(self) -> None:
        """Fill zone_offsets for the calls in calls_to_judge."""
        quarters = set(self._store.sql(QUARTERS).fetchall())
        if self._quarters is None or not quarters <= self._quarters:
            self._quarters = quarters
            self._make(
                "zone_offsets",
                SETTINGS["zone_offsets"],
                [(zone, quarter, _offset_s(zone, quarter)) for zone, quarter in quarters],
            )

    def changed(self) -> list[tuple[str, dt.date | None]]:
        """The campaigns whose settled calls were judged by other rules, each with the first changed day (None: all)."""
        rules_before = dict(self._store.sql("FROM judged_by").fetchall())
        return [
            (name, _first_changed_day(json.loads(rules_before[name]), json.loads(rules)))
            for name, rules in self._rules().items()
            if rules_before.get(name, rules) != rules
        ]

    def changed_limit_s(self) -> float | None:
        """If max_state_s has changed since states settled, the smaller of both values: longer states are affected."""
        ((before,),) = self._store.sql("SELECT max(max_state_s) FROM states_judged_by").fetchall()
        now = self._configuration.defaults.max_state_s
        return None if before is None or before == now else min(before, now)

    def note(self) -> None:
        """Note that what is settled is judged by these rules from now on."""
        rules_now = self._rules()
        if rules_now != dict(self._store.sql("FROM judged_by").fetchall()):
            self._store.sql("DELETE FROM judged_by")
            for campaign_and_rules in rules_now.items():
                self._store.sql("INSERT INTO judged_by VALUES (?, ?)", campaign_and_rules)
        limit_s = self._configuration.defaults.max_state_s
        if self._store.sql("FROM states_judged_by").fetchall() != [(limit_s,)]:
            self._store.sql("DELETE FROM states_judged_by")
            self._store.sql("INSERT INTO states_judged_by VALUES (?)", [limit_s])

    def _rules(self) -> dict[str, str]:
        return {c.id: _rules(c) for c in self._campaigns}

    def fill_days(self, as_of: dt.datetime) -> Span:
        """Fill local_days from the first day of a call, or of an agent's time, to the day after `as_of`."""
        in_use = sorted({c.timezone for c in self._campaigns})
        ((first, last, last_at),) = self._store.sql(SETTINGS["span"], {"as_of": as_of}).fetchall()
        starts = [first] if first else []
        starts += [
            first_at.astimezone(ZoneInfo(zone)).date()
            for zone, first_at in self._store.sql(SETTINGS["first_states"], {"as_of": as_of}).fetchall()
        ]
        ends = [last] if last else []
        ends += [last_at.astimezone(ZoneInfo(zone)).date() for zone in in_use if last_at]
        span = Span(min([*starts, max(ends)]), first, max(ends)) if ends else Span()
        yesterday, tomorrow = as_of.date() - dt.timedelta(days=1), as_of.date() + dt.timedelta(days=1)  # in UTC
        begin, end = min([yesterday, *starts, *ends]), max([tomorrow, *ends])
        if (in_use, begin, end) != self._days:
            self._days = (in_use, begin, end)
            self._make(
                "local_days",
                SETTINGS["local_days"],
                [(zone, *day) for zone in in_use for day in zones.local_days(zone, begin, end)],
            )
        return span

    def fill_opening(self, as_of: dt.datetime) -> None:
        """Fill opening_hours around `as_of`."""
        today = as_of.date()
        names = [c.id for c in self._campaigns]
        if (names, today) != self._opening:
            self._opening = (names, today)
            days = today - DAYS_OPENED_BEFORE, today + DAYS_OPENED_AFTER
            self._make(
                "opening_hours",
                SETTINGS["opening_hours"],
                [(c.id, *span) for c in self._campaigns for span in zones.spans_of(c.timezone, c.opening, *days)],
            )

    def _fill_agent_limits(self) -> None:
        limits = asdict(self._configuration.agents)
        breaks = dict(limits.pop("breaks"))
        sites = limits.pop("sites")
        columns = ", ".join(f"${name} AS {name}" for name in limits)
        # a table, because a list as a parameter loads libraries for half a second
        planned = {"reason": pa.array(breaks, pa.string()), "planned_s": pa.array(breaks.values(), pa.float64())}
        own = pa.array([differ for _site, differ in sites], pa.map_(pa.string(), pa.float64()))
        differing = {"site": pa.array([site for site, _differ in sites], pa.string()), "differs": own}
        with (
            self._store.registered("planned_breaks", pa.table(planned)),
            self._store.registered("site_limits", pa.table(differing)),
        ):
            self._store.sql(SETTINGS["agent_limits"].format(columns=columns), limits)

    def _campaign(self, c: Campaign) -> Row:
        clients = self._configuration.clients
        name = clients[c.client].name if c.client in clients else None
        configured = c.id in self._configuration.campaigns
        own = (c.name, c.language, c.timezone, c.give_up_after_s)
        return (c.id, c.client or None, name, *own, configured, c.window_minutes, c.recording)

    def _make(self, table: str, create: str, rows: Sequence[Row]) -> None:
        """Create `table` by the statement `create`, and insert `rows`, whose values are in the order of its columns."""
        self._store.sql(create)
        if rows:
            columns = [row[0] for row in self._store.sql(f"DESCRIBE {table}").fetchall()]
            values = pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
            with self._store.registered("configured_rows", values):
                self._store.sql(SETTINGS["fill"].format(table=table))


def _rules(c: Campaign) -> str:
    """The part of a campaign's configuration by which its calls are judged, as JSON."""
    terms = [
        [
            t.valid_from.isoformat() if t.valid_from else None,
            *(t.formula, t.threshold_s, t.target, t.wait_at_threshold_counts, t.short_abandon_s),
        ]
        for t in c.terms
    ]
    return json.dumps({"timezone": c.timezone, "give_up_after_s": c.give_up_after_s, "terms": terms})


def _first_changed_day(before: dict[str, Any], now: dict[str, Any]) -> dt.date | None:
    if {**before, "terms": None} != {**now, "terms": None}:
        return None
    differing = [t[0] for t in before["terms"] + now["terms"] if (t in before["terms"]) != (t in now["terms"])]
    return None if None in differing else dt.datetime.fromisoformat(min(differing)).date()


def _terms(c: Campaign) -> list[Row]:
    return [
        (
            c.id,
            t.valid_from,
            t.valid_to,
            zones.instant(t.valid_from, c.timezone),
            zones.instant(t.valid_to, c.timezone),
            t.formula,
            t.threshold_s,
            t.target,
            t.wait_at_threshold_counts,
            t.short_abandon_s,
            t.fcr_days,
        )
        for t in c.terms
    ]


@functools.cache
def _offset_s(zone: str, quarter: int) -> int:
    """A zone's offset from UTC [s] in a quarter of an hour, counted since 1970."""
    offset = dt.datetime.fromtimestamp(quarter * zones.QUARTER_S, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())
