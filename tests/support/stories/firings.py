"""Alerts that fire and end, in a few words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from metrics.configuration.notification import Group
from metrics.readers import Alert
from notify.incidents import Recipients

NINE = datetime(2026, 11, 25, 9, tzinfo=UTC)
PLACES = {
    "orea": ("Oréa Sinistres", "Europe/Paris"),
    "bright": ("Brightcart", "Europe/London"),
    "almena": ("Almena Siniestros", "Europe/Madrid"),
}


def after(seconds: float) -> datetime:
    """Return the instant so many seconds after nine."""
    return NINE + timedelta(seconds=seconds)


def firing(campaign: str | None = "orea", rule: str = "level", fired: float = 0, **columns: Any) -> Alert:
    """Return an alert that fired `fired` seconds after nine, a minute after the condition began."""
    alert = Alert(
        alert_id=f"{rule}-{campaign}-{fired:g}",
        rule=rule,
        severity="critical",
        figure="service_level",
        campaign=campaign,
        client=None,
        source=None,
        comparison="below",
        threshold=0.7,
        end_threshold=0.75,
        usual=None,
        value=0.62,
        worst=0.62,
        worst_at=after(fired),
        calls=34,
        began_at=after(fired - 60),
        fired_at=after(fired),
        ended_at=None,
        end_reason=None,
        notify=("floor",),
        escalate=(),
        escalate_after_s=None,
        repeat_after_s=None,
    )
    return replace(alert, **columns)


def ended(alert: Alert, at: float, **columns: Any) -> Alert:
    """Return the alert as it is once it has ended, `at` seconds after nine."""
    return replace(alert, **{"ended_at": after(at), "end_reason": "recovered", "value": 0.81} | columns)


def group(name: str, language: str = "en", to: tuple[str, ...] = (), feed: bool = False) -> Group:
    return Group(name, name, language, to, feed, 1)


def recipients(*groups: Group, base: str = "https://vigie.example") -> Recipients:
    """Return groups with one channel each, "NAME/1"."""
    return Recipients({g.id: g for g in groups}, {g.id: (f"{g.id}/1",) for g in groups}, PLACES, base)
