"""How good or bad a figure is, as a mark: a shape, a colour and a word, so that no colour has to be told apart."""

from html import escape

from metrics.readers import CampaignNow
from pages.shared.i18n import Text

STALE_S = 15
"""Data older than this is drawn grey: the floor may have changed by now [s]."""
SILENT_S = 300
"""After so long without an event, ask whether a switch has stopped sending or the floor is quiet [s]."""
NEAR = 0.05
"""A service level that misses its target by less than this is close, not below [ratio]."""


def level_state(level: float | None, target: float | None) -> str:
    """Judge a service level by its target: "met", "near", "missed", or "none" when one of them is undefined."""
    if level is None or target is None:
        return "none"
    if level >= target:
        return "met"
    return "near" if level > target - NEAR else "missed"


def state_of(campaign: CampaignNow) -> str:
    return level_state(campaign.today.service_level, campaign.today.target) if campaign.today else "none"


def state_word(state: str, text: Text) -> str:
    _ = text.gettext
    words = {
        "met": _("On target"),
        "near": _("Close to target"),
        "missed": _("Below target"),
        "none": _("No level yet"),
    }
    return words[state]


def state_mark(kind: str, words: str) -> str:
    """Draw words with the mark of "met", "near", "missed", "none" or a state of their own."""
    return f'<span class="state {kind}"><i></i>{escape(words)}</span>'


def marked_level(html: str, state: str, text: Text) -> str:
    """Draw a service level with the mark of its state; without a state it stays as it is."""
    if state == "none":
        return html
    return f'<span class="state {state}" title="{escape(state_word(state, text))}"><i></i>{html}</span>'


def is_late(campaign: CampaignNow) -> bool:
    """Return whether a caller has waited longer than the contract's threshold."""
    threshold_s = campaign.today.threshold_s if campaign.today else None
    return campaign.longest_wait_s is not None and threshold_s is not None and campaign.longest_wait_s > threshold_s


def late_mark(shown: str, words: str) -> str:
    """Draw the mark of a wait past the contract's threshold with `shown` beside it; `words` are its tooltip.

    It is the mark of a missed target: whoever answers it, the call is late.
    """
    return f'<em class="state missed" title="{escape(words)}"><i></i>{escape(shown)}</em>'


def past_words(threshold_s: float | None, text: Text) -> str:
    return text.gettext("past {seconds} s").format(seconds=text.number(threshold_s))


def target_words(target: float | None, threshold_s: float | None, text: Text) -> str:
    _ = text.gettext
    if target is None or threshold_s is None:
        return _("No target")
    return _("target {target} in {seconds} s").format(target=text.percent(target, 0), seconds=text.number(threshold_s))
