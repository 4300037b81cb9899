"""The table of all campaigns over a day, a week or a month."""

from collections.abc import Mapping
from datetime import date, timedelta
from html import escape

from metrics.authorisation.viewer import Viewer
from metrics.readers import CampaignPeriod, CampaignsPeriod, Kpis
from pages.day.timeline import COUNTED, RATED, other
from pages.shared import names, table
from pages.shared.i18n import Text
from pages.shared.links import figure_link, link
from pages.shared.marks import level_state, marked_level
from pages.shared.selection import instant


def name(period: str, first: date, after: date, text: Text) -> str:
    """Name the period: a day in full, a month with its year, or the first and the last day of a week."""
    if period == "day":
        return text.day(first)
    if period == "month":
        month = text.month(first)
        return month[:1].upper() + month[1:]
    return f"{text.day(first)} – {text.day(after - timedelta(days=1))}"


def caption(found: CampaignsPeriod, text: Text) -> str:
    """Say until when the figures go."""
    words = text.gettext(
        "Each campaign in its own time zone; calls up to {time} UTC. Ratios of the total are computed from the sums."
    )
    return words.format(time=text.clock(found.freshness.as_of, "UTC"))


def draw(found: CampaignsPeriod, viewer: Viewer, text: Text) -> str:
    """Draw the campaigns, each with links to its day or its calls, and their total."""
    _ = text.gettext
    head = (
        *(_("Campaign"), _("Offered"), _("Target"), _("Answered"), _("Abandoned"), _("Other")),
        *(_("Service level"), _("Abandon rate"), _("ASA")),
        *((_("AHT"), _("Occupancy")) if viewer.sees_work else ()),
    )
    rows = [_row(row, found, viewer, text) for row in found.campaigns]
    total = _cells(escape(_("Total")), found.total, {}, viewer, text)
    return table.table(table.heads(head), rows, "numbers periods", foot=total if len(rows) > 1 else "", scrolls=True)


def _row(row: CampaignPeriod, found: CampaignsPeriod, viewer: Viewer, text: Text) -> str:
    campaign = row.campaign
    params = {"campaign": campaign.campaign}
    days = (found.after - found.first).days
    label = escape(" · ".join(filter(None, (campaign.name, campaign.client))))
    if days == 1:
        params["day"] = found.first.isoformat()
        head = link("campaign", params, label)
    else:
        params |= {"from": instant(row.t0), "to": instant(row.t1)}
        head = link("sla", {"campaign": campaign.campaign, "month": f"{found.first:%Y-%m}"}, label)
    return _cells(head, row.kpis, params, viewer, text)


def _cells(head: str, kpis: Kpis, params: Mapping[str, str], viewer: Viewer, text: Text) -> str:
    def cell(figure: str) -> str:
        value = other(kpis) if figure == "other" else getattr(kpis, figure)
        shown = escape(names.shown(figure, value, text, digits=0 if figure == "occupancy" else 1))
        if figure == "service_level":
            shown = marked_level(shown, level_state(kpis.service_level, kpis.target), text)
        return table.cell(figure_link(figure, value, shown, params, names.brief(figure, text), text))

    target = table.cell(escape(text.target(kpis.target)) if kpis.target is not None else "", "usual")
    figures = (*COUNTED, *RATED, *(("aht_s", "occupancy") if viewer.sees_work else ()))
    return table.row(head, cell("offered") + target + "".join(map(cell, figures)))
