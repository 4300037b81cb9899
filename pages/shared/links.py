"""Links of figures on any page: a count leads to its calls, any other figure to its explanation."""

from collections.abc import Mapping
from datetime import date
from html import escape

from metrics.kpis.outcomes import PARTS
from pages.shared.i18n import Text
from pages.shared.selection import href

LINKS: dict[str, dict[str, str]] = {
    **{part: {"outcome": part} for part in (*PARTS, "other")},
    "offered": {"kpi": "offered"},
    "answered_in_threshold": {"outcome": "answered", "counts": "hit"},
    "service_level_hits": {"kpi": "service_level", "counts": "hit"},
    "late": {"kpi": "service_level", "counts": "miss"},
    "service_level_base": {"kpi": "service_level"},
    "handled": {"kpi": "aht_s"},
    "dialed": {"kpi": "contact_rate"},
}
"""Count → the parameters with which the page of calls lists the calls it counts."""


def link(page: str, params: Mapping[str, str], html: str, about: str = "") -> str:
    """Draw HTML as a link to a page; `about` is its tooltip."""
    title = f' title="{escape(about)}"' if about else ""
    return f'<a href="{escape(href(page, dict(params)))}" target="_self"{title}>{html}</a>'


def figure_link(
    name: str,
    value: float | None,
    html: str,
    params: Mapping[str, str],
    label: str,
    text: Text,
    *,
    is_explained: bool = True,
) -> str:
    """Draw a figure, given as HTML, as a link to its calls or its explanation.

    `params` select campaign and period; `label` names the figure. An undefined figure and a count of 0 get no link.
    `is_explained`: the explanation page covers these calls; if it does not, the link leads to the list of calls.
    """
    if value is None or not params or (name in LINKS and not value):
        return html
    is_list = name in LINKS or not is_explained
    about = _calls_behind(label, text) if is_list else comes_from(label, text)
    return link("calls" if is_list else "kpi", {**params, **LINKS.get(name, {"kpi": name})}, html, about)


def story_link(campaign: str, day: date, call: str, words: str, text: Text) -> str:
    """Draw words about a call of this local day as a link to its story."""
    params = {"campaign": campaign, "day": day.isoformat(), "call": call}
    return link("call", params, escape(words), text.gettext("What happened in this call"))


def _calls_behind(label: str, text: Text) -> str:
    return text.gettext("The calls behind: {figure}").format(figure=label)


def comes_from(label: str, text: Text) -> str:
    return text.gettext("Where this figure comes from: {figure}").format(figure=label)
