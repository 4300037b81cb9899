"""Agents by interval: how many were available, busy, in wrap-up or paused, and why an interval missed its target."""

from html import escape

import plotly.graph_objects as go

from metrics.readers import CampaignDay, Cause, Comparison, Interval, causes
from pages.day import timeline
from pages.shared import chart, names, table
from pages.shared.i18n import Text
from pages.shared.links import link
from pages.shared.marks import level_state, marked_level
from pages.shared.selection import Selection

STATES = ("agents_busy", "agents_wrap_up", "agents_available", "agents_paused")
"""The bands of the chart from bottom to top: at work, free, away from the phone."""
NAMED = 4
"""Name at most this many intervals below the chart; the table has all."""


def figure(day: CampaignDay, text: Text) -> go.Figure:
    """Draw the mean number of agents by state and interval, at the places of the chart of calls."""
    intervals = day.intervals_with_calls
    labels = {state: names.agents_in(state, text) for state in STATES}
    return chart.bands(
        [(labels[state], [getattr(interval.kpis, state, None) for interval in intervals]) for state in STATES],
        hover=[_hover(interval, day.campaign.timezone, text) for interval in intervals],
        ticks=timeline.ticks(day, text),
        shortest=timeline.SHORTEST,
        about=f"agents of {day.campaign.campaign}",
        text=text,
    )


def alt(day: CampaignDay, text: Text) -> str:
    """Describe the chart for those who cannot see it; the table has its numbers."""
    words = text.gettext("Chart, {day}: agents available, busy, in wrap-up and paused by intervals.")
    return words.format(day=text.day(day.campaign.day))


def _hover(interval: Interval, zone: str, text: Text) -> str:
    lines = [f"<b>{timeline.hours_of(interval, zone, text)}</b>"]
    if interval.kpis:
        shown = ("agents_logged_in", *STATES)
        lines += [f"{names.agents_in(name, text)} {_agents(interval, name, text)}" for name in shown]
    return "<br>".join(lines)


def _agents(interval: Interval, name: str, text: Text) -> str:
    return text.rate(getattr(interval.kpis, name, None))


def intervals(day: CampaignDay, usual: Comparison | None, text: Text, where: Selection) -> str:
    """Draw the intervals with their agents as a table, the newest first, and why one missed its target."""
    _ = text.gettext
    zone = day.campaign.timezone
    shown = ("agents_logged_in", "agents_available", "agents_busy", "agents_wrap_up", "agents_paused")
    head = (_("Interval"), *(names.agents_in(name, text) for name in shown), _("Service level"))
    rows = []
    for interval in reversed(day.intervals_with_calls):
        kpis = interval.kpis
        name = escape(timeline.hours_of(interval, zone, text))
        if kpis and kpis.offered:
            name = link("calls", timeline.waits_params(where, interval), name)
        level = escape(text.percent(kpis.service_level if kpis else None))
        state = level_state(kpis.service_level, kpis.target) if kpis else "none"
        cells = [*(escape(_agents(interval, column, text)) for column in shown), marked_level(level, state, text)]
        why = reason(interval, usual, day, text)
        rows.append(table.row(name, "".join(map(table.cell, cells)) + table.cell(escape(why), "why")))
    if not rows:
        return table.note(_("No calls yet on this day."))
    heads = table.heads(head) + table.head(escape(_("Why below target")), "why")
    return table.table(heads, rows, "sums staffing")


def worst(day: CampaignDay, usual: Comparison | None, text: Text) -> str:
    """Name the latest intervals that missed their target for a reason that can be told, each with its reason."""
    zone = day.campaign.timezone
    found = [
        (interval, words)
        for interval in reversed(day.intervals_with_calls)
        if (words := reason(interval, usual, day, text))
    ]
    lines = []
    for interval, words in found[:NAMED]:
        kpis = interval.kpis
        level = escape(text.percent(kpis.service_level if kpis else None))
        state = level_state(kpis.service_level, kpis.target) if kpis else "none"
        hours = escape(timeline.hours_of(interval, zone, text))
        lines.append(f"<li><b>{hours}</b> {marked_level(level, state, text)} {escape(words)}</li>")
    return f'<ul class="vigie-why">{"".join(lines)}</ul>'


def reason(interval: Interval, usual: Comparison | None, day: CampaignDay, text: Text) -> str:
    """Say in words why an interval missed its target; empty if it did not, or if it cannot be told."""
    found = causes(interval, usual, day.freshness.as_of) if usual else None
    return " · ".join(_words(cause, text) for cause in found or ())


def _words(cause: Cause, text: Text) -> str:
    _ = text.gettext
    more = text.percent(cause.own / cause.usual - 1, 0)
    return {
        "calls": _("more calls than usual (+{percent})").format(percent=more),
        "agents": _("too few agents ({n} on the phones, usually {usual})").format(
            n=text.rate(cause.own), usual=text.rate(cause.usual)
        ),
        "handling": _("longer calls than usual ({duration}, usually {usual})").format(
            duration=text.duration(cause.own), usual=text.duration(cause.usual)
        ),
    }[cause.kind]
