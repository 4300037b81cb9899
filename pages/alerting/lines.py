"""An alert as a line of HTML: its mark, what it says, and what people said about it."""

from html import escape

from metrics.language import alert_words
from metrics.readers import Alert
from pages.shared.i18n import Text
from pages.shared.marks import state_mark
from pages.shared.ringing import Ringing

MARKS = {"critical": "missed", "warning": "near", "info": "none"}
"""Severity → the mark of marks.py."""


def line(alert: Alert, ringing: Ringing, text: Text) -> str:
    """Draw an alert: its severity and headline, how it is or was, and whether somebody works on it.

    It names the campaign's zone: other alerts beside it may have another, and the tables of the page are in UTC.
    """
    ended = alert.ended_at is not None
    word = text.gettext("Over") if ended else alert_words.severity(alert.severity, text)
    mark = state_mark("closed" if ended else MARKS[alert.severity], word)
    about = [alert_words.line(alert, ringing.places, text, names_zone=True), *_reactions(alert, ringing, text)]
    return (
        f'<div class="vigie-alert"><p>{mark} <b>{escape(alert_words.headline(alert, text))}</b></p>'
        f"{''.join(f'<small>{escape(words)}</small>' for words in about)}</div>"
    )


def _reactions(alert: Alert, ringing: Ringing, text: Text) -> list[str]:
    """Say who acknowledged the alert, when and why, and whether it is silenced."""
    _ = text.gettext
    words = []
    zone = alert_words.zone_of(alert.campaign, ringing.places)
    for done in ringing.acknowledgements.get(alert.alert_id, ()):
        by = (
            _("Acknowledged by the client ({who}) at {time}")
            if done.role == "client"
            else _("Acknowledged by {who} at {time}")
        )
        by = by.format(who=done.who, time=alert_words.clock(done.at, zone, text, is_named=True))
        words.append(_("{subject}: {words}").format(subject=by, words=done.why) if done.why else by)
    if alert.alert_id in ringing.silent:
        words.append(_("Silenced: nobody is notified"))
    return words
