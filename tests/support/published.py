"""Builds a published file from short descriptions, so that a KPI test states only what it is about.

`call` fills in everything else by the rules of docs/kpis.md. `publish` installs the SQL objects, fills the tables as
the publisher does and returns a read-only connection to the finished file.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from metrics import install
from metrics.configuration.campaigns import AgentLimits, Campaign, Term
from metrics.configuration.zones import instant, local_days, spans_of
from tests.support import templates

DAY = "2026-11-23"  # a Monday
Row = dict[str, Any]


def at(text: str | datetime, zone: str = "UTC") -> datetime:
    """Read "09:16", "09:16:20", "24 00:10" (of the month of DAY) or a whole date and time, in a zone."""
    if isinstance(text, datetime):
        return text
    if text[4:5] != "-":
        text = f"{DAY} {text}" if ":" in text[:3] else f"{DAY[:8]}{text}"
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def campaign(name: str = "c", zone: str = "UTC", terms: Iterable[Term] = (Term(),), **other: Any) -> Campaign:
    return Campaign(
        name, name.title(), "client", "en", zone, 14_400.0, **{"opening": (), "terms": tuple(terms)} | other
    )


def call(outcome: str = "answered", wait: float = 10, *, of: Campaign | None = None, **columns: Any) -> Row:
    """Return a row of `calls`; times may be given as for `at`.

    `talk`, `hold`, `wrap` [s] describe the handling (talk=None: still talking); `until` sets ended_at instead of talk.
    Everything else is a column.
    """
    of = of or campaign()
    zone = columns.pop("zone", "UTC")
    queued_at = at(columns.pop("queued", "09:00"), zone)
    talk, hold, wrap = columns.pop("talk", 180.0), columns.pop("hold", 0.0), columns.pop("wrap", 0.0)
    cohort_local = queued_at.astimezone(ZoneInfo(of.timezone)).replace(tzinfo=None)
    term = [term for term in of.terms if term.valid_from is None or term.valid_from <= cohort_local][-1]
    row: Row = {
        "campaign": of.id,
        "queue": "q",
        "direction": "inbound",
        "queued_at": queued_at,
        "cohort_at": queued_at,
        "day": cohort_local.date(),
        "outcome": outcome,
        "wait_s": float(wait),
        "transferred": False,
        "formula": term.formula,
        "threshold_s": term.threshold_s,
        "target": term.target,
        "wait_at_threshold_counts": term.wait_at_threshold_counts,
        "short_abandon_s": term.short_abandon_s,
        "term_from": term.valid_from,
        "in_threshold": wait <= term.threshold_s if term.wait_at_threshold_counts else wait < term.threshold_s,
    }
    if outcome == "abandoned" and wait < term.short_abandon_s:
        row["outcome"] = "short_abandoned"
    if outcome == "answered":
        row |= {"answered_at": queued_at + timedelta(seconds=wait), "agent": "ana"}
        if "until" in columns:
            talk = (at(columns.pop("until"), zone) - row["answered_at"]).total_seconds() - hold
        if talk is not None:
            ended_at = row["answered_at"] + timedelta(seconds=talk + hold)
            row |= {"talk_s": talk, "hold_s": hold, "wrap_s": wrap, "handle_s": talk + hold + wrap}
            row |= {"ended_at": ended_at, "wrapped_at": ended_at + timedelta(seconds=wrap) if wrap else None}
    return row | columns


def state(
    name: str, started: str, ended: str | None, agent: str = "ana", of: str | None = "c", zone: str = "UTC"
) -> Row:
    started_at = at(started, zone)
    return {
        "agent": agent,
        "state": name,
        "campaign": of,
        "started_at": started_at,
        "ended_at": at(ended, zone) if ended else None,
        "day": started_at.date(),
    }


def publish(
    path: Path,
    calls: Iterable[Row] = (),
    states: Iterable[Row] = (),
    *,
    campaigns: Iterable[Campaign] = (campaign(),),
    as_of: str = "24 12:00",
    past: dict[str, str] | None = None,
    first_day: date | None = None,
    late_answers: Iterable[Row] = (),
) -> duckdb.DuckDBPyConnection:
    """Write a published file and open it read-only, as an analyst does; give `first_day` if it lies in `past`."""
    campaigns = list(campaigns)
    writer = _writer()
    if past:
        writer.execute(f"ATTACH '{path}' AS snapshot")
        install(writer, "snapshot", past)
    else:
        templates.attach(writer, path)
    writer.execute("BEGIN")
    calls, states = _numbered(calls), list(states)
    _fill(writer, "recent_calls" if past and "calls" in past else "calls", calls)
    _fill(writer, "recent_agent_states" if past and "agent_states" in past else "agent_states", states)
    _fill(
        writer,
        "campaigns",
        [
            {"campaign": c.id, "client": c.client, "client_name": c.client, "name": c.name, "timezone": c.timezone}
            | {"window_minutes": c.window_minutes, "recording": c.recording}
            for c in campaigns
        ],
    )
    today = at(as_of).date()
    _fill(
        writer,
        "opening_hours",
        [
            {"campaign": c.id, "day": day, "open_from": opens, "open_until": closes}
            for c in campaigns
            for day, opens, closes in spans_of(
                c.timezone, c.opening, today - timedelta(days=1), today + timedelta(days=14)
            )
        ],
    )
    _fill(
        writer,
        "sla_terms",
        [
            {
                "campaign": c.id,
                "from_at": instant(t.valid_from, c.timezone),
                "until_at": instant(t.valid_to, c.timezone),
            }
            | {f: getattr(t, f) for f in t.__dataclass_fields__}
            for c in campaigns
            for t in c.terms
        ],
    )
    _fill(
        writer,
        "local_days",
        [
            {"timezone": zone, "day": day, "from_at": from_at, "until_at": until_at}
            for zone in {c.timezone for c in campaigns}
            for day, from_at, until_at in local_days(zone, date(2025, 1, 1), date(2027, 12, 31))
        ],
    )
    days = [row["day"] for row in (*calls, *states) if row.get("day")]
    called = [row["day"] for row in calls if row.get("day")]
    status = {
        "as_of": at(as_of),
        "published_at": at(as_of),
        "lateness_s": 900.0,
        "max_state_s": 43_200.0,
        "first_day": first_day or min(days, default=None),
        "first_call_day": first_day or min(called, default=None),
    }
    _fill(writer, "ingest_status", [status | {"last_day": max(days, default=None)}])
    _fill(writer, "late_answers", late_answers)
    fill_agent_limits(writer)
    writer.execute("COMMIT")
    writer.execute("DETACH snapshot")
    reader = duckdb.connect(path, read_only=True)
    reader.execute("SET TimeZone = 'UTC'")
    return reader


@cache
def _writer() -> duckdb.DuckDBPyConnection:
    """Return the connection that all tests write with, as a publisher has one: the SQL objects are made once."""
    return duckdb.connect()


def fill_agent_limits(writer: duckdb.DuckDBPyConnection, limits: AgentLimits = AgentLimits()) -> None:  # noqa: B008 - frozen
    """Fill the relation in the catalog `snapshot`, as the publisher does."""
    row = asdict(limits)
    breaks, sites = dict(row.pop("breaks")), row.pop("sites")
    assert not sites, "limits of single sites are tested with the real publisher, in test_strain"
    columns = ", ".join(f"${name} AS {name}" for name in row)
    writer.execute(
        "INSERT INTO snapshot.agent_limits BY NAME"
        f" SELECT {columns}, map($reasons::VARCHAR[], $planned_s::DOUBLE[]) AS breaks",
        row | {"reasons": list(breaks), "planned_s": list(breaks.values())},
    )


def _numbered(calls: Iterable[Row]) -> list[Row]:
    return [{"call_id": f"call-{i}", **row} for i, row in enumerate(calls)]


def _fill(writer: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Row]) -> None:
    rows = list(rows)
    if rows:
        names = sorted({name for row in rows for name in row})
        given = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
        writer.register("given", given)
        writer.execute(f"INSERT INTO snapshot.{table} BY NAME FROM given")
        writer.unregister("given")


def rows(connection: duckdb.DuckDBPyConnection, query: str, **given: Any) -> list[Row]:
    """Return the rows of a query as dicts."""
    result = connection.execute(query, given) if given else connection.execute(query)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def day(connection: duckdb.DuckDBPyConnection, t0: str = "00:00", t1: str = "24 00:00", zone: str = "UTC") -> Row:
    """Return the row of kpi_campaign of the only campaign."""
    (row,) = rows(connection, "FROM kpi_campaign($t0, $t1)", t0=at(t0, zone), t1=at(t1, zone))
    return row
