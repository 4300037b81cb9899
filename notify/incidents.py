"""What must be told, and to whom: alerts become incidents, incidents become messages in the outbox.

An incident is a number of alerts of one cause: of one rule, fired within GATHER_S. Its groups get one message when it
opens, one after every `repeat_after_s` while no manager has acknowledged what still fires, and one when all is over.
When a repetition is due is decided for each channel, by its own last message and by what still waits for it.
`escalate_after_s` after it fired without a manager's acknowledgement, the groups of `escalate` are told too. Alerts
that a silence covers are told to nobody; when the silence ends while they fire, they are told then.

`tell` is one transaction: what was decided and the messages about it are written together. So a killed notify decides
nothing twice, and the ids of messages follow from the alerts, so that even a lost database repeats the same ids.
"""

import hashlib
import json
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import msgspec

from metrics.configuration.notification import Group
from metrics.language.alert_words import Places
from metrics.language.text import text
from metrics.readers import Alert
from notify import outbox, words
from notify.channels import Message
from notify.desk import STOPS, Desk, Silence

log = logging.getLogger("vigie.notify")

FEED_FIGURE = "feed_age_s"
"""The figure of the alert about the feed itself, which is judged also while the figures are old."""
GATHER_S = 2.0
"""Alerts of a rule that fire within this time are one incident [s]."""
KEPT_S = 30 * 86_400.0
"""Delivered messages and closed incidents are kept this long [s]."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who can be told: the groups, the channels of each, names and zones of campaigns, and the pages' address."""

    groups: Mapping[str, Group]
    channels: Mapping[str, Sequence[str]]
    places: Places
    base: str = ""


@dataclass(frozen=True, slots=True)
class _Incident:
    """An open incident, with its alerts as they are now and their values when they were told."""

    incident_id: str
    opened_at: datetime
    told_at: datetime
    repeats: int
    is_escalated: bool
    alerts: tuple[Alert, ...]
    fired_values: Mapping[str, float]

    @property
    def firing(self) -> tuple[Alert, ...]:
        return tuple(alert for alert in self.alerts if alert.ended_at is None)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that were told so far."""
        return self.alerts[0].notify + (self.alerts[0].escalate if self.is_escalated else ())


def tell(desk: Desk, alerts: Sequence[Alert], to: Recipients, now: datetime, *, is_stale: bool = False) -> int:
    """Decide what is to be told at `now`, and put the messages into the outbox. Return how many.

    `alerts` are those that fire and those that ended lately. `is_stale`: the figures are old, so incidents about them
    are neither repeated nor escalated; the alert about the feed is.
    """
    silences = desk.silences(now)
    if not _has_work(desk, alerts):
        return 0
    with desk.transaction() as connection:
        before = connection.total_changes
        writer = _Writer(connection, to, now)
        _open(writer, alerts, silences)
        acknowledged = _acknowledged(connection, alerts)
        for incident in _open_incidents(connection, {alert.alert_id: alert for alert in alerts}, now):
            _go_on(writer, incident, acknowledged, silences, is_stale)
        if connection.total_changes != before:
            outbox.drop_old(connection, now.timestamp() - KEPT_S)
        return writer.written


def open_alert(desk: Desk, rule: str) -> Alert | None:
    """Return the first alert of the rule's open incident as it was told; None: no incident of the rule is open."""
    rows = desk.rows(
        "SELECT alert FROM told_alerts JOIN incidents USING (incident_id) WHERE closed_at IS NULL AND rule = ?"
        " ORDER BY told_alerts.rowid LIMIT 1",
        rule,
    )
    return msgspec.json.decode(rows[0][0], type=Alert) if rows else None


def _has_work(desk: Desk, alerts: Sequence[Alert]) -> bool:
    """Whether an incident is open, an alert was never noted, or notify runs for the first time."""
    open_incidents = desk.rows("SELECT 1 FROM incidents WHERE closed_at IS NULL LIMIT 1")
    if open_incidents or not desk.rows("SELECT 1 FROM first_run"):
        return True
    ids = json.dumps([alert.alert_id for alert in alerts])
    noted = desk.rows("SELECT count(*) FROM told_alerts WHERE alert_id IN (SELECT value FROM json_each(?))", ids)
    return bool(noted[0][0] < len(alerts))


class _Writer:
    """Writes messages about one instant."""

    def __init__(self, connection: sqlite3.Connection, to: Recipients, now: datetime) -> None:
        self.connection, self.to, self.now = connection, to, now
        self.written = 0

    def write(
        self,
        incident_id: str,
        kind: str,
        groups: Iterable[str],
        alerts: Sequence[Alert],
        fired_values: Mapping[str, float],
        number: int = 0,
        only: Collection[str] | None = None,
    ) -> None:
        """Put a message about these alerts into the outbox, for every channel of the groups, or for `only` these."""
        for group_id in dict.fromkeys(groups):
            group = self.to.groups.get(group_id)
            if group is None:
                log.error("rule %s: there is no group %s, so it is not told", alerts[0].rule, group_id)
                continue
            language = text(group.language)
            title = words.title(kind, alerts, self.to.places, language)
            link = words.link(self.to.base, alerts)
            for channel in self.to.channels.get(group_id, ()):
                if only is not None and channel not in only:
                    continue
                message_id = f"{incident_id}.{kind}{number or ''}.{channel.replace('/', '.')}"
                body = words.body(alerts, self.to.places, fired_values, link, message_id, language)
                look = "over" if kind == words.OVER else alerts[0].severity
                facts = _facts(kind, group_id, link, alerts)
                message = Message(message_id, title, body, look, facts)
                outbox.put(self.connection, channel, kind, incident_id, message, self.now.timestamp())
                self.written += 1


def _facts(kind: str, group: str, link: str, alerts: Sequence[Alert]) -> dict[str, object]:
    """Return what a program that gets a message wants to know, as JSON types."""
    shown: list[dict[str, object]] = msgspec.to_builtins([asdict(alert) for alert in alerts[: words.MOST_FACTS]])
    first = alerts[0]
    return {
        "kind": kind,
        "group": group,
        "rule": first.rule,
        "severity": first.severity,
        "link": link,
        "count": len(alerts),
        "alerts": shown,
    }


def _first_run(connection: sqlite3.Connection, now: datetime) -> float:
    """Return when notify first ran on this desk [s since 1970]. What had ended by then is told to nobody."""
    connection.execute("INSERT INTO first_run VALUES (1, ?) ON CONFLICT DO NOTHING", (now.timestamp(),))
    ((at_s,),) = connection.execute("SELECT at FROM first_run")
    return float(at_s)


def _open(writer: _Writer, alerts: Sequence[Alert], silences: Collection[Silence]) -> None:
    """Open incidents for alerts that nobody was told about, once no more of the same cause are to be expected."""
    now = writer.now
    noted = {
        alert_id
        for (alert_id,) in writer.connection.execute(
            "SELECT alert_id FROM told_alerts WHERE alert_id IN (SELECT value FROM json_each(?))",
            (json.dumps([alert.alert_id for alert in alerts]),),
        )
    }
    first_run_s = _first_run(writer.connection, now)
    causes: defaultdict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.alert_id in noted:
            continue
        is_silent = any(silence.covers(alert, now) for silence in silences)
        if alert.ended_at is not None and (is_silent or alert.ended_at.timestamp() <= first_run_s):
            _note(writer.connection, alert, None, now)
        elif not is_silent:
            causes[alert.rule].append(alert)
    for cause in causes.values():
        if (now - min(alert.fired_at for alert in cause)).total_seconds() < GATHER_S:
            continue
        incident_id = hashlib.sha256(min(alert.alert_id for alert in cause).encode()).hexdigest()[:12]
        writer.connection.execute(
            "INSERT INTO incidents (incident_id, rule, opened_at, told_at) VALUES (?, ?, ?, ?)",
            (incident_id, cause[0].rule, min(alert.fired_at for alert in cause).timestamp(), now.timestamp()),
        )
        for alert in cause:
            _note(writer.connection, alert, incident_id, now)
        if any(alert.ended_at is None for alert in cause):
            values = {alert.alert_id: alert.value for alert in cause}
            writer.write(incident_id, words.FIRED, cause[0].notify, cause, values)


def _go_on(
    writer: _Writer,
    incident: _Incident,
    acknowledged: Collection[str],
    silences: Collection[Silence],
    is_stale: bool,
) -> None:
    """Close an open incident, or escalate or repeat it."""
    connection, now, first = writer.connection, writer.now, incident.alerts[0]
    audible = [alert for alert in incident.alerts if not any(silence.covers(alert, now) for silence in silences)]
    if not incident.firing:
        if audible:
            writer.write(incident.incident_id, words.OVER, incident.groups, audible, incident.fired_values)
        connection.execute(
            "UPDATE incidents SET closed_at = ? WHERE incident_id = ?", (now.timestamp(), incident.incident_id)
        )
        return
    waiting = [alert for alert in audible if alert.ended_at is None and alert.alert_id not in acknowledged]
    if not waiting or (is_stale and first.figure != FEED_FIGURE):
        return
    unanswered_s = (now - incident.opened_at).total_seconds()
    if (
        first.escalate
        and first.escalate_after_s is not None
        and not incident.is_escalated
        and unanswered_s >= first.escalate_after_s
    ):
        writer.write(incident.incident_id, words.ESCALATED, first.escalate, waiting, incident.fired_values)
        connection.execute(
            "UPDATE incidents SET escalated_at = ? WHERE incident_id = ?", (now.timestamp(), incident.incident_id)
        )
    if first.repeat_after_s is None:
        return
    channels = [channel for group in incident.groups for channel in writer.to.channels.get(group, ())]
    if due := _due(connection, incident, channels, now.timestamp() - first.repeat_after_s):
        number = incident.repeats + 1
        outbox.drop_waiting(connection, incident.incident_id, words.REPEATED, due)
        groups, values = incident.groups, incident.fired_values
        writer.write(incident.incident_id, words.REPEATED, groups, waiting, values, number, only=due)
        connection.execute(
            "UPDATE incidents SET told_at = ?, repeats = ? WHERE incident_id = ?",
            (now.timestamp(), number, incident.incident_id),
        )


def _due(
    connection: sqlite3.Connection, incident: _Incident, channels: Iterable[str], before_s: float
) -> frozenset[str]:
    """Return the channels whose last message about the incident was made by `before_s`, and that need a repetition.

    While another message still waits for a channel, a repetition would only make its queue longer. A repetition that
    waits gives way to a later one.
    """
    told = {
        channel: (made_at, waits)
        for channel, made_at, waits in connection.execute(
            "SELECT channel, max(made_at),"
            " count(*) FILTER (WHERE sent_at IS NULL AND given_up_at IS NULL AND kind <> ?)"
            " FROM messages WHERE incident_id = ? GROUP BY channel",
            (words.REPEATED, incident.incident_id),
        )
    }
    never = (incident.told_at.timestamp(), 0)  # a channel that is new in its group
    states = {channel: told.get(channel, never) for channel in channels}
    return frozenset(channel for channel, (made_at, waits) in states.items() if made_at <= before_s and not waits)


def _open_incidents(
    connection: sqlite3.Connection, published: Mapping[str, Alert], now: datetime
) -> Iterable[_Incident]:
    """Return the open incidents. An alert that the published file has no more is over."""
    members: defaultdict[str, list[tuple[Alert, float]]] = defaultdict(list)
    for incident_id, as_told in connection.execute(
        "SELECT incident_id, alert FROM told_alerts JOIN incidents USING (incident_id) WHERE closed_at IS NULL"
        " ORDER BY told_alerts.rowid"
    ).fetchall():
        told = msgspec.json.decode(as_told, type=Alert)
        members[incident_id].append((published.get(told.alert_id) or _gone(told, now), told.value))
    for incident_id, opened_at, told_at, repeats, escalated_at in connection.execute(
        "SELECT incident_id, opened_at, told_at, repeats, escalated_at FROM incidents WHERE closed_at IS NULL"
    ).fetchall():
        alerts = members[incident_id]
        yield _Incident(
            incident_id,
            datetime.fromtimestamp(opened_at, UTC),
            datetime.fromtimestamp(told_at, UTC),
            repeats,
            escalated_at is not None,
            tuple(alert for alert, _ in alerts),
            {alert.alert_id: value for alert, value in alerts},
        )


def _gone(alert: Alert, now: datetime) -> Alert:
    return replace(alert, ended_at=now, end_reason=None)


def _note(connection: sqlite3.Connection, alert: Alert, incident_id: str | None, now: datetime) -> None:
    connection.execute(
        "INSERT INTO told_alerts VALUES (?, ?, ?, ?)",
        (alert.alert_id, incident_id, msgspec.json.encode(alert).decode(), now.timestamp()),
    )


def _acknowledged(connection: sqlite3.Connection, alerts: Sequence[Alert]) -> frozenset[str]:
    """Return the ids of the alerts whose messages an acknowledgement stops."""
    rows = connection.execute(
        "SELECT alert_id FROM acknowledgements WHERE role = ? AND alert_id IN (SELECT value FROM json_each(?))",
        (STOPS, json.dumps([alert.alert_id for alert in alerts])),
    )
    return frozenset(alert_id for (alert_id,) in rows)
