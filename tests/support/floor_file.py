"""Publishes a small floor as the consumer does, for tests of its readers."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from ingest.judging.conservation import COUNTED
from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.configuration.zones import local_days
from metrics.readers import Campaign, Published
from tests.support import templates
from tests.support.published import fill_agent_limits

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MANAGER = Viewer("manager", None)
CHECKED = f"""
INSERT INTO snapshot.conservation_checks BY NAME
SELECT campaign, day, sum(offered) AS offered, sum(accounted) AS accounted, sum(refused) AS refused,
       sum(offered) = sum(accounted) AS conserved, any_value(as_of) AS checked_at
FROM (
    SELECT {COUNTED} FROM snapshot.calls GROUP BY campaign, day
    UNION ALL BY NAME
    SELECT campaign, day, 0 AS offered, 0 AS accounted, 0 AS refused
    FROM snapshot.campaigns JOIN snapshot.local_days USING (timezone), snapshot.ingest_status
    WHERE as_of >= from_at AND as_of < until_at
), snapshot.ingest_status
GROUP BY campaign, day;
INSERT INTO snapshot.alarms BY NAME
SELECT 'calls_not_conserved' AS kind, 'accounted' AS measure, campaign, day, accounted AS counted, offered AS expected,
       checked_at AS since
FROM snapshot.conservation_checks
WHERE NOT conserved
"""


def publish(
    path: Path,
    *,
    campaigns: dict[str, tuple[str, str, str]],
    calls: list[dict[str, Any]] | None = None,
    agents: dict[str, tuple[str, str] | dict[str, Any]] | None = None,
    states: list[dict[str, Any]] | None = None,
    as_of: datetime = NOON,
    published_at: datetime | None = None,
    letters: list[dict[str, Any]] | None = None,
    status: dict[str, Any] | None = None,
    sources: dict[str, datetime] | None = None,
    lags: Sequence[int] = (),
    gaps: list[dict[str, Any]] | None = None,
    alarms: list[dict[str, Any]] | None = None,
    alerts: list[dict[str, Any]] | None = None,
) -> None:
    """Publish a file as the consumer does, by rename.

    `campaigns` maps id to (client, name, zone); `agents` maps an agent to (campaign, state) or to a row of `agents`. A
    call gives `campaign`, `wait_s` and whatever differs from an answered call that entered its queue ten minutes before
    `as_of`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    writer = _writer()
    templates.attach(writer, fresh)
    try:
        writer.execute("BEGIN")

        def add(table: str, *rows: dict[str, Any]) -> None:
            for names, alike in groupby(rows, key=tuple):  # one statement for rows of the same columns
                columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" for _ in names)
                values = [list(row.values()) for row in alike]
                writer.execute(
                    f"INSERT INTO snapshot.{table} ({columns}) VALUES {', '.join([f'({marks})'] * len(values))}",
                    [value for row in values for value in row],
                )

        moment = {"as_of": as_of, "published_at": published_at or as_of, "last_event_at": as_of, "lateness_s": 900}
        counts = {"records": 0, "events": 0, "duplicates": 0, "dead_letters": 0, "lag": sum(lags)}
        add("ingest_status", moment | counts | (status or {}))
        for campaign, (client, name, zone) in campaigns.items():
            row = {"campaign": campaign, "client": client.lower(), "client_name": client, "name": name}
            add("campaigns", row | {"language": "fr", "timezone": zone, "give_up_after_s": 14400, "window_minutes": 30})
            term = {"formula": "exclude_short", "threshold_s": 20, "target": 0.8}
            add("sla_terms", {"campaign": campaign, "short_abandon_s": 5, "wait_at_threshold_counts": True} | term)
        days = {as_of.date() + timedelta(n) for n in (-1, 0, 1)}
        days |= {call["queued_at"].date() for call in calls or () if call.get("queued_at")}
        zones = {zone for _, _, zone in campaigns.values()}
        bounds = [(zone, *row) for zone in zones for on in days for row in local_days(zone, on, on)]
        add("local_days", *(dict(zip(("timezone", "day", "from_at", "until_at"), row, strict=True)) for row in bounds))
        rows = (_call(f"c{n}", as_of, call, campaigns[call["campaign"]][2]) for n, call in enumerate(calls or ()))
        add("calls", *rows)
        for n, letter in enumerate(letters or ()):
            position = {"topic": "call-events", "partition": 0, "offset": n, "line": 1, "received_at": as_of}
            add("dead_letters", position | letter)
        for agent, given in (agents or {}).items():
            row = given if isinstance(given, dict) else dict(zip(("campaign", "state"), given, strict=True))
            add("agents", {"agent": agent, "name": agent, "since": as_of} | row)
        for state in states or ():
            add("agent_states", {"day": state["started_at"].date()} | state)
        fill_agent_limits(writer)
        writer.execute(CHECKED)
        for source, at in (sources or {}).items():
            add("feed_sources", {"source": source, "events": 7, "last_event_at": at})
        for partition, lag in enumerate(lags):
            row = {"topic": "call-events", "partition": partition, "position": 100, "end_offset": 100 + lag, "lag": lag}
            add("feed_partitions", row)
        for row in gaps or ():
            add("feed_gaps", {"topic": "call-events", "noticed_at": as_of} | row)
        for row in alarms or ():
            add("alarms", {"since": as_of} | row)
        for row in alerts or ():
            add("alerts", row)
        writer.execute("COMMIT")
    finally:
        writer.execute("DETACH snapshot")
    os.replace(fresh, path)


@cache
def _writer() -> duckdb.DuckDBPyConnection:
    """Return the connection that all tests write with, as a publisher has one."""
    writer = duckdb.connect()
    writer.execute("SET TimeZone = 'UTC'")
    return writer


def alarm(kind: str, measure: str, counted: int, expected: int, **about: Any) -> dict[str, Any]:
    """Return a row of `alarms`."""
    return {"kind": kind, "measure": measure, "counted": counted, "expected": expected} | about


def alert(figure: str, as_of: datetime, **columns: Any) -> dict[str, Any]:
    """Return a row of `alerts` that fires since a minute before `as_of`."""
    values = {"threshold": 2.0, "end_threshold": 1.0, "value": 3.0, "worst": 4.0, "comparison": "above"}
    times = {name: as_of - timedelta(minutes=1) for name in ("worst_at", "began_at", "fired_at")}
    groups = {"notify": ["floor"], "escalate": []}
    row = {"rule": figure, "figure": figure, "severity": "warning"} | values | times | groups | columns
    return {"alert_id": "-".join(str(row.get(name, "")) for name in ("rule", "campaign", "source"))} | row


def _call(call_id: str, as_of: datetime, given: dict[str, Any], zone: str) -> dict[str, Any]:
    row: dict[str, Any] = {"call_id": call_id, "direction": "inbound", "outcome": "answered", "wait_s": 10.0} | given
    if row["outcome"] == "open":
        row["queued_at"] = as_of - timedelta(seconds=row["wait_s"])
    at = row.setdefault("queued_at", as_of - timedelta(minutes=10))
    row |= {"queue": "q", "cohort_at": at, "in_threshold": row["wait_s"] <= 20, "threshold_s": 20.0, "target": 0.8}
    row |= {"formula": "exclude_short", "wait_at_threshold_counts": True, "short_abandon_s": 5.0}
    row["day"] = at.astimezone(ZoneInfo(zone)).date()
    if row["outcome"] == "answered":
        talk = {"talk_s": 100.0, "hold_s": 0.0, "wrap_s": 20.0, "handle_s": 120.0}
        row |= talk | {"answered_at": at + timedelta(seconds=row["wait_s"])}
    return row


FLOOR = {
    "north": ("Brightcart", "Customer care", "Europe/London"),
    "sud": ("Mutuelle Oréa", "Oréa Sinistres", "Africa/Casablanca"),
    "este": ("Almena", "Almena Siniestros", "Europe/Madrid"),
}

MIXED = [
    {"campaign": "north", "wait_s": 5.0, "score": 4.0},
    {"campaign": "north", "wait_s": 20.0},
    {"campaign": "north", "wait_s": 31.0},
    {"campaign": "north", "wait_s": 3.0, "outcome": "short_abandoned"},
    {"campaign": "north", "wait_s": 50.0, "outcome": "abandoned"},
    {"campaign": "north", "wait_s": 40.0, "outcome": "voicemail"},
    {"campaign": "north", "wait_s": 7.0, "outcome": "open"},
    {"campaign": "north", "wait_s": 70.0, "outcome": "open"},
    {"campaign": "north", "wait_s": 0.0, "outcome": "refused"},
    {"campaign": "north", "wait_s": 9.0, "direction": "outbound"},
    {"campaign": "sud", "wait_s": 5.0, "caller": "CANARY", "agent": "CANARY", "disposition": "CANARY"},
]


def today(reader: Published, campaign: str = "north") -> Campaign:
    today_board = readers.campaign(reader, MANAGER, campaign)
    assert today_board is not None
    return today_board


ALARMS = [
    alarm("impossible_count", "answered", 12, 10, campaign="north", day=NOON.date()),
    alarm("impossible_count", "handled", 9, 8, campaign="sud", day=NOON.date() - timedelta(days=40)),
    alarm("rows_doubled", "events", 1_795, 20, day=NOON.date() - timedelta(days=2)),
    alarm("rows_doubled", "agent_states", 8, 7, day=NOON.date() - timedelta(days=3)),
    alarm("files_damaged", "events", 1, 0, day=NOON.date() - timedelta(days=4)),
    alarm("files_damaged", "calls", 2, 0, day=NOON.date() - timedelta(days=2)),
    alarm("impossible_count", "events", -491, 0),
    alarm("impossible_count", "events", -3, 0, source="switch-1"),
    alarm("events_not_conserved", "stored", 1_795, -491),
    alarm("events_not_conserved", "by_source", 17, 20),
    alarm("calls_in_no_campaign", "calls", 3, 0),
]
