"""Where the figures of any page lead: a count to the calls that it counts, another figure to how it is made."""

from collections.abc import Mapping
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
"""Count → which calls it counts, as parameters of the page of calls."""


def link(page: str, params: Mapping[str, str], inside: str, about: str = "") -> str:
    """Draw HTML as a link to a page; `about` says what is there."""
    title = f' title="{escape(about)}"' if about else ""
    return f'<a href="{escape(href(page, dict(params)))}" target="_self"{title}>{inside}</a>'


def figure_link(
    name: str,
    value: float | None,
    inside: str,
    params: Mapping[str, str],
    label: str,
    text: Text,
    *,
    is_explained: bool = True,
) -> str:
    """Draw the HTML of a figure as a link to what is behind it, of what `params` are about.

    What is undefined leads nowhere, nor does a count of nothing. `label` names the figure. `is_explained`: it can be
    told how a figure of these calls is made; of others it leads to the calls that go into it.
    """
    if value is None or not params or (name in LINKS and not value):
        return inside
    is_list = name in LINKS or not is_explained
    said = _behind(label, text) if is_list else comes_from(label, text)
    return link("calls" if is_list else "kpi", {**params, **LINKS.get(name, {"kpi": name})}, inside, said)


def _behind(label: str, text: Text) -> str:
    return text.gettext("The calls behind: {figure}").format(figure=label)


def comes_from(label: str, text: Text) -> str:
    return text.gettext("Where this figure comes from: {figure}").format(figure=label)
