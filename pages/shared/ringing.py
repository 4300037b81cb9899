"""What fires now and what fired today, with what people said about it: for the bell, the wall and the alerts page."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.kpis.alert_figures import SEVERITIES
from metrics.language.alert_words import Places, zone_of
from metrics.readers import Alert
from notify.desk import STOPS, Acknowledgement, Desk, DeskError, Silence, desk_dir


@dataclass(frozen=True, slots=True)
class Ringing:
    """`firing`: alerts that fire, the gravest first. `today`: those that fired on the present day of their campaign.

    `trouble`: why acknowledgements and silences cannot be read; "" if they can.
    """

    firing: tuple[Alert, ...]
    today: tuple[Alert, ...]
    acknowledgements: Mapping[str, tuple[Acknowledgement, ...]]
    silences: tuple[Silence, ...]
    silent: frozenset[str]
    places: Places
    trouble: str = ""

    @property
    def loud(self) -> tuple[Alert, ...]:
        """The alerts that fire and that no manager has acknowledged or silenced; without mere information."""
        return tuple(alert for alert in self.firing if self.is_open(alert) and alert.severity != SEVERITIES[0])

    def is_open(self, alert: Alert) -> bool:
        """Whether no manager has acknowledged or silenced the alert."""
        return not self._acknowledged_by(alert, STOPS) and alert.alert_id not in self.silent

    def may_acknowledge(self, viewer: Viewer, alert: Alert) -> bool:
        """Whether an acknowledgement of the viewer would add something: none of a manager or of this role is there."""
        return not self._acknowledged_by(alert, STOPS, viewer.role)

    def _acknowledged_by(self, alert: Alert, *roles: str) -> bool:
        return any(done.role in roles for done in self.acknowledgements.get(alert.alert_id, ()))


def ringing(viewer: Viewer, now: datetime) -> Ringing | None:
    """Return what this viewer may see at `now`; None if nothing is published.

    It is read once a second, and at each change, for all viewers with the same rights.
    """
    rights = (viewer.campaigns, viewer.role)
    version = (readers.published().newest(), desk().version(), int(now.timestamp()))
    kept = _kept.get(rights)
    if kept is None or kept[0] != version:
        kept = _kept[rights] = (version, _ringing(viewer, now))
    return kept[1]


_kept: dict[Hashable, tuple[Hashable, Ringing | None]] = {}


def _ringing(viewer: Viewer, now: datetime) -> Ringing | None:
    since = (now - timedelta(days=2)).replace(minute=0, second=0, microsecond=0)  # the key of a kept answer
    alerts = readers.alerts(readers.published(), viewer, since)
    board = readers.board(readers.published(), viewer, ends_of=())
    if alerts is None or board is None:
        return None
    campaigns = (live.campaign for live in board.campaigns)
    places = {campaign.campaign: (campaign.name, campaign.timezone) for campaign in campaigns}
    today = tuple(alert for alert in alerts if _is_of_today(alert, places, now))
    firing = sorted(
        (alert for alert in alerts if alert.ended_at is None),
        key=lambda alert: (-SEVERITIES.index(alert.severity), -alert.fired_at.timestamp(), alert.alert_id),
    )
    trouble = ""
    acknowledgements: dict[str, tuple[Acknowledgement, ...]] = {}
    silences: tuple[Silence, ...] = ()
    try:
        acknowledgements = _readable(desk().acknowledgements((*firing, *today)), viewer)
        silences = desk().silences(now)
    except DeskError as error:
        trouble = str(error)
    silent = frozenset(alert.alert_id for alert in firing if any(silence.covers(alert, now) for silence in silences))
    return Ringing(tuple(firing), today, acknowledgements, silences, silent, places, trouble)


def _readable(
    acknowledgements: Mapping[str, tuple[Acknowledgement, ...]], viewer: Viewer
) -> dict[str, tuple[Acknowledgement, ...]]:
    """Leave out the centre's own words, which may be about how agents work, for who may not see that."""
    return {
        alert_id: tuple(
            done if viewer.sees_work or done.role == viewer.role else replace(done, why="") for done in of_alert
        )
        for alert_id, of_alert in acknowledgements.items()
    }


def desk() -> Desk:
    return _desk(desk_dir())


@cache
def _desk(directory: Path) -> Desk:
    return Desk(directory)


def _is_of_today(alert: Alert, places: Places, now: datetime) -> bool:
    zone = ZoneInfo(zone_of(alert.campaign, places))
    return alert.fired_at.astimezone(zone).date() == now.astimezone(zone).date()
