"""The alerts that fire, and those that fired: the relation `alerts`, for one viewer.

A viewer of some campaigns sees only the alerts about these. A client does not see alerts about how people work. Alerts
about the feed and its sources are for those who may see every campaign.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from metrics.authorisation.viewer import Viewer
from metrics.kpis.alert_figures import hides
from metrics.readers.snapshot import Published, Snapshot, fetch


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of `alerts`; `ended_at` None: it fires. Values are in the figure's unit."""

    alert_id: str
    rule: str
    severity: str
    figure: str
    campaign: str | None
    client: str | None
    source: str | None
    comparison: str
    threshold: float
    end_threshold: float
    usual: float | None
    value: float
    worst: float
    worst_at: datetime
    calls: int | None
    began_at: datetime
    fired_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    notify: tuple[str, ...]
    escalate: tuple[str, ...]
    escalate_after_s: float | None
    repeat_after_s: float | None


ALERTS = f"""
SELECT {", ".join(field.name for field in fields(Alert))} FROM alerts
WHERE ended_at IS NULL OR ended_at >= $since::TIMESTAMPTZ
ORDER BY ended_at DESC NULLS FIRST, fired_at DESC, alert_id
"""


def alerts(published: Published, viewer: Viewer, since: datetime) -> tuple[Alert, ...] | None:
    """Return the alerts that fire, the latest first, then those that ended at `since` or later.

    None if nothing is published.
    """
    every = published.ask(("alerts", since), lambda snapshot: _read(snapshot, since))
    return None if every is None else tuple(alert for alert in every if may_see_alert(viewer, alert))


def _read(snapshot: Snapshot, since: datetime) -> tuple[Alert, ...]:
    rows: list[list[Any]] = [
        [tuple(value) if isinstance(value, list) else value for value in row]
        for row in fetch(snapshot.connection, ALERTS, since=since)
    ]
    return tuple(Alert(*row) for row in rows)


def may_see_alert(viewer: Viewer, alert: Alert) -> bool:
    """Whether the viewer may see an alert, and so acknowledge it."""
    if alert.campaign is None:
        return viewer.campaigns is None and viewer.role != "client"
    return viewer.sees(alert.campaign) and (viewer.sees_work or not hides(alert.figure))
