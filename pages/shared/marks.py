"""Marks for how good a figure is: a shape, a colour and a word, so that nobody has to tell colours apart."""

from html import escape

from pages.shared.i18n import Text

STALE_S = 15
"""Data older than this is drawn grey, because the floor may have changed since [s]."""
SILENT_S = 300
"""After this long without an event, ask whether a switch has stopped sending or the floor is quiet [s]."""
NEAR = 0.05
"""A service level less than this below its target is "close to target" [ratio]."""


def level_state(level: float | None, target: float | None) -> str:
    """Judge a service level by its target: "met", "near" or "missed"; "none" when either is undefined."""
    if level is None or target is None:
        return "none"
    if level >= target:
        return "met"
    return "near" if level > target - NEAR else "missed"


def state_word(state: str, text: Text) -> str:
    _ = text.gettext
    words = {
        "met": _("On target"),
        "near": _("Close to target"),
        "missed": _("Below target"),
        "none": _("No level yet"),
    }
    return words[state]


def state_mark(kind: str, label: str) -> str:
    """Draw a label with a mark: that of "met", "near", "missed", "none" or "closed", or of another CSS class."""
    return f'<span class="state {kind}"><i></i>{escape(label)}</span>'


def marked_level(html: str, state: str, text: Text) -> str:
    """Draw a service level, given as HTML, with the mark of its state. "none" has no mark."""
    if state == "none":
        return html
    return f'<span class="state {state}" title="{escape(state_word(state, text))}"><i></i>{html}</span>'


def late_mark(label: str, tooltip: str) -> str:
    """Draw the mark of a wait past the contract's threshold.

    It is the mark of a missed target: the call is late even if it is answered now.
    """
    return f'<em class="state missed" title="{escape(tooltip)}"><i></i>{escape(label)}</em>'


def past_words(threshold_s: float | None, text: Text) -> str:
    return text.gettext("past {seconds} s").format(seconds=text.number(threshold_s))


def target_words(target: float | None, threshold_s: float | None, text: Text) -> str:
    _ = text.gettext
    if target is None or threshold_s is None:
        return _("No target")
    return _("target {target} in {seconds} s").format(target=text.percent(target, 0), seconds=text.number(threshold_s))
