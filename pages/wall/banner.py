"""The alerts on the wall: a line in its header, and what a television rings for."""

from html import escape

from metrics.language import alert_words
from pages.shared.i18n import Text
from pages.shared.ringing import Ringing


def banner(ringing: Ringing | None, text: Text) -> str:
    """Draw the gravest alert that no manager has acknowledged or silenced, and how many more there are; or ""."""
    if ringing is None or not ringing.loud:
        return ""
    gravest, *rest = ringing.loud
    headline = alert_words.headline(gravest, text)
    words = f"{headline} · {alert_words.where(gravest, ringing.places, text)}"
    more = f" +{text.number(len(rest))}" if rest else ""
    severity = alert_words.severity(gravest.severity, text)
    return (
        f'<p class="ringing {escape(gravest.severity)}" title="{escape(severity)}">'
        f"<i></i><span>{escape(words)}</span><b>{escape(more)}</b></p>"
    )


def rings_for(ringing: Ringing | None) -> list[str]:
    """Return what a television rings for when it is new: rule and place, so that one that flaps rings once."""
    loud = () if ringing is None else ringing.loud
    return sorted({f"{alert.rule}|{alert.campaign or alert.source or ''}" for alert in loud})
