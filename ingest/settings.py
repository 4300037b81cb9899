"""The configuration as tables beside the store, for judging and publishing: campaigns, contract terms, local days."""

import datetime as dt
import functools
import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from metrics import zones
from metrics.campaigns import Campaign, Configuration

CAMPAIGNS = """
CREATE OR REPLACE TEMP TABLE known_campaigns (
    campaign VARCHAR, client VARCHAR, client_name VARCHAR, name VARCHAR, language VARCHAR, timezone VARCHAR,
    give_up_after_s DOUBLE, configured BOOLEAN
)
"""
TERMS = """
CREATE OR REPLACE TEMP TABLE terms (
    campaign VARCHAR, valid_from TIMESTAMP, valid_to TIMESTAMP, from_at TIMESTAMPTZ, until_at TIMESTAMPTZ,
    formula VARCHAR, threshold_s DOUBLE, target DOUBLE, wait_at_threshold_counts BOOLEAN, short_abandon_s DOUBLE
)
"""
OFFSETS = "CREATE OR REPLACE TEMP TABLE zone_offsets (timezone VARCHAR, quarter BIGINT, offset_s BIGINT)"
DAYS = """
CREATE OR REPLACE TEMP TABLE local_days (timezone VARCHAR, day DATE, from_at TIMESTAMPTZ, until_at TIMESTAMPTZ)
"""
QUARTER_S = 900  # zones change their distance from UTC at quarters of an hour only

Row = tuple[object, ...]


class Settings:
    """Keeps the tables known_campaigns, terms, zone_offsets and local_days as `configuration` says."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, configuration: Configuration) -> None:
        self._connection = connection
        self._configuration = configuration
        self._known: list[Campaign] = []
        self._is_filled = False
        self._days: tuple[Sequence[str], dt.date, dt.date] | None = None

    def fill(self) -> None:
        """Fill all but local_days, for the campaigns that are configured and those that events name."""
        named = self._connection.execute(
            "SELECT campaign FROM events WHERE campaign IS NOT NULL"
            " UNION SELECT name FROM archived_names WHERE kind = 'campaign'"
        ).fetchall()
        names = self._configuration.campaigns.keys() | {name for (name,) in named}
        if not self._is_filled or names != {c.id for c in self._known}:
            self._is_filled = True
            self._known = [self._configuration.campaign(name) for name in sorted(names)]
            self._table(CAMPAIGNS, [self._campaign(c) for c in self._known])
            self._table(TERMS, [row for c in self._known for row in _terms(c)])
        quarters = self._connection.execute(
            f"SELECT DISTINCT timezone, epoch_us(coalesce(queued_at, dialed_at)) // {QUARTER_S * 1_000_000} AS quarter"
            " FROM calls JOIN known_campaigns USING (campaign) WHERE quarter IS NOT NULL"
        ).fetchall()
        self._table(OFFSETS, [(zone, quarter, _offset_s(zone, quarter)) for zone, quarter in quarters])

    def changed(self) -> list[tuple[str, dt.date | None]]:
        """The campaigns whose settled calls were judged by other rules, with the first local day of those (None: all).

        From now on they count as judged by these.
        """
        said_before = dict(self._connection.execute("FROM judged_by").fetchall())
        said_now = {c.id: _said(c) for c in self._known}
        changes = [
            (name, _first_changed_day(json.loads(said_before[name]), json.loads(said)))
            for name, said in said_now.items()
            if said_before.get(name, said) != said
        ]
        if said_now != said_before:
            self._connection.execute("DELETE FROM judged_by")
            self._connection.executemany("INSERT INTO judged_by VALUES (?, ?)", list(said_now.items()))
        return changes

    def fill_days(self, as_of: dt.datetime) -> None:
        """Fill local_days from the first day of any call to the day after `as_of`."""
        ((first,),) = self._connection.execute(
            "SELECT min(day) FROM"
            " (SELECT day FROM judged_calls UNION ALL SELECT day FROM segments WHERE relation = 'calls')"
        ).fetchall()
        yesterday, last = as_of.date() - dt.timedelta(days=1), as_of.date() + dt.timedelta(days=1)  # in UTC
        wanted = (sorted({c.timezone for c in self._known}), min(first or last, yesterday), last)
        if wanted != self._days:
            self._days = wanted
            in_use, first, last = wanted
            self._table(DAYS, [(zone, *day) for zone in in_use for day in zones.local_days(zone, first, last)])

    def _campaign(self, c: Campaign) -> Row:
        clients = self._configuration.clients
        name = clients[c.client].name if c.client in clients else None
        configured = c.id in self._configuration.campaigns
        return (c.id, c.client or None, name, c.name, c.language, c.timezone, c.give_up_after_s, configured)

    def _table(self, create: str, rows: Sequence[Row]) -> None:
        name = create.split("TABLE ")[1].split()[0]
        self._connection.execute(create)
        if rows:
            columns = [row[0] for row in self._connection.execute(f"DESCRIBE {name}").fetchall()]
            table = pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
            self._connection.register("rows", table)
            self._connection.execute(f"INSERT INTO {name} BY NAME FROM rows")
            self._connection.unregister("rows")


def _said(c: Campaign) -> str:
    """What of a campaign's configuration its calls are judged by."""
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
        )
        for t in c.terms
    ]


@functools.cache
def _offset_s(zone: str, quarter: int) -> int:
    """A zone's distance from UTC [s] in a quarter of an hour, counted since 1970."""
    offset = dt.datetime.fromtimestamp(quarter * QUARTER_S, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())
