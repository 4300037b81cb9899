"""What a message says: a title, a line for each alert, and a link to the page, in the language of a group."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from metrics.language import alert_words
from metrics.language.alert_words import Places
from metrics.language.text import Text
from metrics.readers import Alert

NAMED = 20
"""Say a line about at most this many alerts, then how many more there are."""
MOST_FACTS = 200
"""A webhook gets at most this many alerts whole; `count` says how many there are."""
FIRED, REPEATED, ESCALATED, OVER, TEST = "fired", "repeated", "escalated", "over", "test"


def title(kind: str, alerts: Sequence[Alert], places: Places, text: Text) -> str:
    """Say in a line what it is about: "Critical: service level below 70% · Oréa Sinistres"."""
    _ = text.gettext
    first = alerts[0]
    where = alert_words.where(first, places, text)
    if len(alerts) > 1:
        count = len(alerts)
        many = (
            text.ngettext("{n} campaign", "{n} campaigns", count)
            if first.campaign is not None
            else text.ngettext("{n} source", "{n} sources", count)
        )
        where = many.format(n=text.number(count))
    headline = alert_words.headline(first, text)
    what = f"{headline[0].lower()}{headline[1:]} · {where}"
    words = {
        FIRED: _("{severity}: {what}"),
        REPEATED: _("{severity}, still: {what}"),
        ESCALATED: _("{severity}, not acknowledged: {what}"),
        OVER: _("Over: {what}"),
    }
    return words[kind].format(severity=alert_words.severity(first.severity, text), what=what)


def body(
    alerts: Sequence[Alert], places: Places, fired_values: Mapping[str, float], link: str, message_id: str, text: Text
) -> str:
    """Say how each alert is, where to look, and the id by which a repeated delivery is recognised.

    Zones are named if the campaigns' clocks differ.
    """
    _ = text.gettext
    names_zone = alert_words.mixes_clocks(alerts[:NAMED], places)
    lines = [
        alert_words.line(alert, places, text, fired_values.get(alert.alert_id), names_zone=names_zone)
        for alert in alerts[:NAMED]
    ]
    if len(alerts) > NAMED:
        rest = len(alerts) - NAMED
        lines.append(text.ngettext("and {n} more", "and {n} more", rest).format(n=text.number(rest)))
    if link:
        lines += ["", link]
    lines += ["", _("Rule {rule} · message {id}").format(rule=alerts[0].rule, id=message_id)]
    return "\n".join(lines)


def link(base: str, alerts: Sequence[Alert]) -> str:
    """Return the address of the page to look at: the campaign's, the wall for several, or the feed; "" without base."""
    if not base:
        return ""
    campaigns = {alert.campaign for alert in alerts}
    if None in campaigns:
        return f"{base.rstrip('/')}/feed"
    (campaign, *more) = sorted(campaign for campaign in campaigns if campaign is not None)
    page = "wallboard" if more else f"campaign?campaign={quote(campaign, safe='')}"
    return f"{base.rstrip('/')}/{page}"


def test_message(group: str, text: Text) -> tuple[str, str]:
    """Return title and body of the message that `python -m notify test` sends."""
    _ = text.gettext
    return (
        _("Test message from Vigie"),
        _("Alerts of the group {group} will arrive here. Nothing has happened.").format(group=group),
    )
