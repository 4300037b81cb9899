"""A campaign's day: the chart, the table of its intervals and the calls that wait, in the reader's language."""

from html import escape

import plotly.graph_objects as go
import streamlit.elements.plotly_chart  # noqa: F401, its import registers the template that carries the theme

from metrics.readers import CampaignDay, Interval, Kpis, WaitingCall
from pages._board import level_state, state_word
from pages._i18n import DASH, Text

SHOWN_WAITING = 10
SHORTEST = 24
"""A chart shows at least so many intervals, so that the first hour of a day is not a wall of bars."""


def other(kpis: Kpis) -> int:
    """Return the offered calls that were neither answered nor abandoned: open ones, short abandons, other ways out."""
    return kpis.offered - kpis.answered - kpis.abandoned


def active(day: CampaignDay) -> tuple[Interval, ...]:
    """Return the intervals from the first with a call to the last of the day so far."""
    first = next((n for n, one in enumerate(day.intervals) if one.kpis and one.kpis.offered), None)
    return () if first is None else day.intervals[first:]


def figure(day: CampaignDay, text: Text) -> go.Figure:
    """Draw offered calls as stacked bars, and the service level against its target on an axis of 0–100 %.

    Each trace takes the next of the theme's colours for charts (.streamlit/config.toml). Positions are numbers of
    intervals, not times: an hour that a change of clocks repeats is drawn twice, not on top of itself.
    """
    _ = text.gettext
    intervals = active(day)
    zone = day.campaign.timezone
    xs = list(range(len(intervals)))
    known = [one.kpis for one in intervals]
    said = [_hover(one, zone, text) for one in intervals]
    bars = [
        (_("Answered"), [k.answered if k else None for k in known], {}),
        (
            _("Abandoned"),
            [k.abandoned if k else None for k in known],
            {"pattern": {"shape": "/", "size": 5, "solidity": 0.25}},
        ),
    ]
    chart = go.Figure()
    for name, values, marker in bars:
        chart.add_bar(x=xs, y=values, name=name, marker=marker, hoverinfo="skip")
    chart.add_scatter(
        x=xs,
        y=[None if k is None else k.service_level for k in known],
        name=_("Service level"),
        yaxis="y2",
        mode="lines+markers",
        line={"width": 2},
        marker={"size": 5},
        hovertemplate="%{customdata}<extra></extra>",
        customdata=said,
    )
    chart.add_bar(
        x=xs,
        y=[None if k is None else other(k) for k in known],
        name=_("Other"),
        hoverinfo="skip",
    )
    chart.add_scatter(
        x=xs,
        y=[None if k is None else k.target for k in known],
        name=_("Target"),
        yaxis="y2",
        mode="lines",
        line={"width": 1.5, "dash": "dash", "shape": "hvh"},
        hoverinfo="skip",
    )
    hours = [n for n, one in enumerate(intervals) if text.clock(one.start, zone).endswith(":00")]
    hours = hours[:: max(1, -(-len(hours) // 12))]
    shares = [0, 0.2, 0.4, 0.6, 0.8, 1]
    chart.update_layout(
        template="streamlit",
        barmode="stack",
        bargap=0.18,
        height=400,
        margin={"l": 44, "r": 52, "t": 12, "b": 32},
        hovermode="x",
        dragmode=False,
        uirevision=day.campaign.campaign,
        legend={
            "orientation": "h",
            "x": 0,
            "y": -0.1,
            "xanchor": "left",
            "yanchor": "top",
            "traceorder": "normal",
            "title": None,
        },
        xaxis={
            "range": [-0.7, max(len(intervals), SHORTEST) - 0.3],
            "tickvals": hours,
            "ticktext": [text.clock(intervals[n].start, zone) for n in hours],
            "showgrid": False,
            "fixedrange": True,
            "title": None,
        },
        yaxis={"title": None, "rangemode": "tozero", "fixedrange": True, "nticks": 6, "tickformat": "d"},
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "range": [0, 1.04],
            "tickvals": shares,
            "ticktext": [text.percent(share, 0) for share in shares],
            "showgrid": False,
            "fixedrange": True,
            "title": None,
        },
    )
    return chart


def _hover(one: Interval, zone: str, text: Text) -> str:
    _ = text.gettext
    lines = [f"<b>{text.clock(one.start, zone)}–{text.clock(one.end, zone)}</b>"]
    if one.kpis:
        kpis = one.kpis
        lines += [
            _("Offered") + " " + text.number(kpis.offered),
            _("Answered") + " " + text.number(kpis.answered),
            _("Abandoned") + " " + text.number(kpis.abandoned),
            _("Service level") + " " + text.percent(kpis.service_level),
        ]
    return "<br>".join(lines)


def table(day: CampaignDay, text: Text) -> str:
    """Draw the intervals as a table, the newest first."""
    _ = text.gettext
    zone = day.campaign.timezone
    head = (
        _("Interval"),
        _("Offered"),
        _("Answered"),
        _("Abandoned"),
        _("Other"),
        _("Service level"),
        _("Abandon rate"),
        _("ASA"),
        _("AHT"),
        _("Occupancy"),
    )
    rows = [
        _row(f"{text.clock(one.start, zone)}–{text.clock(one.end, zone)}", one.kpis, text)
        for one in reversed(active(day))
    ]
    if not rows:
        return _quiet(_("No calls yet on this day."))
    total = _row(_("Day"), day.total, text)
    return (
        f'<table class="vigie-table numbers"><thead><tr>{_cells(head, "th")}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody><tfoot>{total}</tfoot></table>"
    )


def _row(name: str, kpis: Kpis | None, text: Text) -> str:
    if kpis is None:
        return f"<tr><th>{escape(name)}</th>{_cells([DASH] * 9)}</tr>"
    state = level_state(kpis.service_level, kpis.target)
    level = escape(text.percent(kpis.service_level))
    if state != "none":
        word = escape(state_word(state, text))
        level = f'<span class="state {state}" title="{word}"><i></i>{level}</span>'
    counts = (kpis.offered, kpis.answered, kpis.abandoned, other(kpis))
    rest = (
        text.percent(kpis.abandon_rate),
        text.duration(kpis.asa_s),
        text.duration(kpis.aht_s),
        text.percent(kpis.occupancy, 0),
    )
    return f"<tr><th>{escape(name)}</th>{_cells([text.number(n) for n in counts])}<td>{level}</td>{_cells(rest)}</tr>"


def waiting(calls: tuple[WaitingCall, ...], zone: str, threshold_s: float | None, text: Text) -> str:
    """Draw the calls that wait, the longest first; who waits past the threshold is marked."""
    _ = text.gettext
    if not calls:
        return _quiet(_("Nobody waits."))
    head = (_("Wait"), _("Since"), _("Queue"), _("Language"), _("Caller"))
    rows = []
    for call in calls[:SHOWN_WAITING]:
        wait = text.duration(call.wait_s)
        if threshold_s is not None and call.wait_s > threshold_s:
            word = escape(_("past {seconds} s").format(seconds=text.number(threshold_s)))
            wait = f'<span class="state missed" title="{word}"><i></i>{wait}</span>'
        since = text.clock(call.queued_at, zone, seconds=True)
        cells = [call.queue or DASH, text.language_name(call.language), call.caller or DASH]
        rows.append(f"<tr><th>{wait}</th><td>{since}</td>{_cells(cells)}</tr>")
    more = len(calls) - SHOWN_WAITING
    rest = ""
    if more > 0:
        rest = _quiet(text.ngettext("and {n} more", "and {n} more", more).format(n=text.number(more)))
    return (
        f'<table class="vigie-table"><thead><tr>{_cells(head, "th")}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{rest}"
    )


def _cells(values: list[str] | tuple[str, ...], tag: str = "td") -> str:
    return "".join(f"<{tag}>{escape(value)}</{tag}>" for value in values)


def _quiet(words: str) -> str:
    return f'<p class="vigie-quiet">{escape(words)}</p>'
