"""What an alert says, for messages and pages: its headline, and a line about each campaign, source or feed.

A headline says what a rule watches: "Service level below 70%". A line says how it is: "Oréa Sinistres: 62.0% since
14:32, worst 58.1% at 14:40".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from metrics.kpis.alert_figures import FIGURES
from metrics.language.text import NBSP, Text
from metrics.readers.alerts import Alert

Places = Mapping[str, tuple[str, str]]
"""Campaign → its name and its time zone."""


def severity(name: str, text: Text) -> str:
    _ = text.gettext
    return {"info": _("Info"), "warning": _("Warning"), "critical": _("Critical")}[name]


def figure(name: str, text: Text) -> str:
    """Name a figure that alert rules watch."""
    _ = text.gettext
    names = {
        "service_level": _("Service level"),
        "service_level_to_target": _("Service level against target"),
        "abandon_rate": _("Abandon rate"),
        "asa_s": _("Average wait (ASA)"),
        "aht_s": _("Average handling (AHT)"),
        "occupancy": _("Occupancy"),
        "offered": _("Calls offered"),
        "answered": _("Calls answered"),
        "abandoned": _("Calls abandoned"),
        "waiting": _("Callers waiting"),
        "longest_wait_s": _("Longest wait"),
        "month_to_target": _("Month’s service level against target"),
        "month_expected_to_target": _("Month’s expected service level against target"),
        "month_best_to_target": _("Month’s best service level against target"),
        "agents_available": _("Agents available"),
        "agents_strained": _("Agents under strain"),
        "breaks_overdue": _("Breaks overdue"),
        "pauses_too_long": _("Pauses too long"),
        "source_silent_s": _("Silence of a source"),
        "feed_silent_s": _("Silence of all sources"),
        "feed_age_s": _("Age of the data"),
        "lag": _("Events still to be read"),
        "new_dead_letters": _("Records rejected in 15 min"),
    }
    return names[name]


def value(name: str, number: float | None, text: Text) -> str:
    """Format a value of a figure in its unit: "62.0%", "−10.0 pts", "2:05", "12"."""
    unit = FIGURES[name].unit
    if number is not None and unit == "ratio":
        return text.gettext("{points} pts").format(points=text.points(number))
    if unit == "ratio 0–1":
        return text.percent(number)
    return text.duration(number) if unit == "s" else text.number(number)


def headline(alert: Alert, text: Text) -> str:
    """Say what the rule watches: the figure, and the threshold that it passed."""
    _ = text.gettext
    words = _("{figure} below {threshold}") if alert.comparison == "below" else _("{figure} above {threshold}")
    is_ratio = FIGURES[alert.figure].unit == "ratio 0–1"
    threshold = text.target(alert.threshold) if is_ratio else value(alert.figure, alert.threshold, text)
    return words.format(figure=figure(alert.figure, text), threshold=threshold)


def where(alert: Alert, places: Places, text: Text) -> str:
    """Name what the alert is about: a campaign, a source, or the feed."""
    if alert.campaign is not None:
        return places.get(alert.campaign, (alert.campaign, ""))[0]
    return alert.source or text.gettext("the feed")


def zone_of(campaign: str | None, places: Places) -> str:
    """Return the time zone of a campaign; UTC if there is none, or it is not known."""
    return places.get(campaign or "", ("", "UTC"))[1]


def clock(at: datetime, zone: str, text: Text, is_named: bool = False) -> str:
    """Format an instant as the time of day in `zone`: "14:32", or "14:32 (Paris)" if the zone is to be named.

    UTC is always named: nobody's clock shows it.
    """
    time = text.clock(at, zone)
    if zone == "UTC":
        return f"{time}{NBSP}UTC"
    return f"{time}{NBSP}({text.place(zone)})" if is_named else time


def mixes_clocks(alerts: Sequence[Alert], places: Places) -> bool:
    """Whether the clocks of these alerts' campaigns differ at an instant that their lines say."""
    zones = {zone_of(alert.campaign, places) for alert in alerts}
    if len(zones) < 2:
        return False
    instants = {at for alert in alerts for at in (alert.began_at, alert.worst_at, alert.ended_at) if at is not None}
    return any(len({at.astimezone(ZoneInfo(zone)).utcoffset() for zone in zones}) > 1 for at in instants)


def line(
    alert: Alert, places: Places, text: Text, fired_value: float | None = None, *, names_zone: bool = False
) -> str:
    """Say in a line how it is, or was: since when, what it is now, the worst, and what is usual.

    `fired_value`: the value when it fired, if that is known and to be said. `names_zone`: whose clock it is, too.
    """
    _ = text.gettext
    zone = zone_of(alert.campaign, places)

    def at(instant: datetime) -> str:
        return clock(instant, zone, text, names_zone)

    def shown(number: float | None) -> str:
        return value(alert.figure, number, text)

    words: list[str] = []
    if alert.ended_at is None:
        words.append(_("{value} since {time}").format(value=shown(alert.value), time=at(alert.began_at)))
        if fired_value is not None and shown(fired_value) != shown(alert.value):
            words.append(_("it was {value} when it fired").format(value=shown(fired_value)))
    else:
        lasted = text.age((alert.ended_at - alert.began_at).total_seconds())
        over = {
            "recovered": _("back to {value} at {time}, after {duration}"),
            "unmeasured": _("nothing left to measure at {time}, after {duration}"),
            "unjudged": _("too few calls to judge, last {value}, at {time}, after {duration}"),
            "closed": _("campaign closed at {time}, after {duration}"),
            "removed": _("not watched since {time}, after {duration}"),
        }.get(alert.end_reason or "", _("over at {time}, after {duration}"))
        words.append(over.format(value=shown(alert.value), time=at(alert.ended_at), duration=lasted))
    if shown(alert.worst) != shown(alert.value):
        words.append(_("worst {value} at {time}").format(value=shown(alert.worst), time=at(alert.worst_at)))
    if alert.usual is not None:
        words.append(_("usually {value}").format(value=shown(alert.usual)))
    if alert.calls is not None:
        calls = text.ngettext("{n} call", "{n} calls", alert.calls)
        words.append(calls.format(n=text.number(alert.calls)))
    return text.gettext("{subject}: {words}").format(subject=where(alert, places, text), words=", ".join(words))
