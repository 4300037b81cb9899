"""The chart that pages share: calls as stacked bars, with the service level against its target drawn over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
import streamlit.elements.plotly_chart  # noqa: F401, importing it registers the template that carries the theme

from pages.shared.i18n import Text

LINE_COLOURS = (5, 2, 6, 7, 8, 1, 9, 4, 0)
"""The theme's chart colours that are visible as a line: the most different ones first, the two greys last."""
BAND_COLOURS = (5, 7, 8, 0)
"""The theme's chart colours of `bands`, from the bottom."""
MOST_MARKERS = 48
"""The line has markers up to this many places. With more, a narrow screen would show nothing but markers."""
SHARES = (0, 0.2, 0.4, 0.6, 0.8, 1)


@dataclass(frozen=True)
class Stack:
    """Name and number of calls at each place on the axis. Bottom to top: good, bad (hatched), other.

    None where there is no data.
    """

    good: tuple[str, Sequence[int | None]]
    bad: tuple[str, Sequence[int | None]]
    other: tuple[str, Sequence[int | None]]


@dataclass(frozen=True)
class Level:
    """Service level and target [ratio 0–1] at each place on the axis, and the text shown on hover."""

    reached: Sequence[float | None]
    target: Sequence[float | None]
    hover: Sequence[str]


def calls_and_level(
    stack: Stack,
    level: Level,
    ticks: Mapping[int, str],
    *,
    shortest: int,
    about: str,
    text: Text,
    beside: tuple[str, Sequence[float | None], Sequence[float | None]] | None = None,
) -> go.Figure:
    """Draw calls as stacked bars, and the service level against its target on an axis of 0–100 %.

    Each trace takes the theme's next chart colour (.streamlit/config.toml). `ticks` maps a place to its label. The
    axis has room for at least `shortest` places, so that a few intervals do not become huge bars. While `about` stays
    the same, a redraw keeps the series that the reader has hidden. `beside` is the name of another day, or of the
    usual one, its number of calls at each place, marked over the bars, and its service level, drawn if there is any.
    """
    _ = text.gettext
    places = list(range(len(level.hover)))
    hover: dict[str, Any] = {"customdata": level.hover, "hovertemplate": "%{customdata}<extra></extra>"}
    chart = go.Figure()
    for (name, values), marker in (
        (stack.good, {}),
        (stack.bad, {"pattern": {"shape": "/", "size": 5, "solidity": 0.25}}),
    ):
        chart.add_bar(x=places, y=values, name=name, marker=marker, **hover)
    chart.add_scatter(
        x=places,
        y=level.reached,
        name=_("Service level"),
        yaxis="y2",
        mode="lines+markers" if len(places) <= MOST_MARKERS else "lines",
        line={"width": 2},
        marker={"size": 5},
        **hover,
    )
    name, values = stack.other
    chart.add_bar(x=places, y=values, name=name, **hover)
    chart.add_scatter(
        x=places,
        y=level.target,
        name=_("Target"),
        yaxis="y2",
        mode="lines",
        line={"width": 1.5, "dash": "dash", "shape": "hvh"},
        hoverinfo="skip",
    )
    if beside is not None:
        other, other_calls, other_levels = beside
        dash = {"symbol": "line-ew-open", "size": 11, "line": {"width": 2.5}}
        chart.add_scatter(x=places, y=other_calls, name=other, mode="markers", marker=dash, hoverinfo="skip")
        if other_levels:
            chart.add_scatter(
                x=places,
                y=other_levels,
                name=f"{other}, {_('Service level')}",
                yaxis="y2",
                mode="lines",
                line={"width": 1.5, "dash": "dot"},
                hoverinfo="skip",
            )
    chart.update_layout(_layout(len(places), ticks, shortest, about, text))
    chart.update_layout(
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "range": [0, 1.04],
            "tickvals": list(SHARES),
            "ticktext": [text.percent(share, 0) for share in SHARES],
            "showgrid": False,
            "fixedrange": True,
            "title": None,
        },
    )
    return chart


def bands(
    stack: Sequence[tuple[str, Sequence[float | None]]],
    hover: Sequence[str],
    ticks: Mapping[int, str],
    *,
    shortest: int,
    about: str,
    text: Text,
) -> go.Figure:
    """Draw up to four series as stacked bars, the first at the bottom; every second one is hatched.

    The places and the room beside them are those of `calls_and_level`, so that one chart can be below the other.
    """
    places = list(range(len(hover)))
    colours = pio.templates["streamlit"].layout.colorway
    chart = go.Figure()
    for n, (name, values) in enumerate(stack):
        marker: dict[str, Any] = {"color": colours[BAND_COLOURS[n]]}
        if n % 2:
            marker["pattern"] = {"shape": "/", "size": 5, "solidity": 0.25}
        chart.add_bar(
            x=places, y=values, name=name, marker=marker, customdata=hover, hovertemplate="%{customdata}<extra></extra>"
        )
    chart.update_layout(_layout(len(places), ticks, shortest, about, text))
    chart.update_layout(height=260, legend={"y": -0.16}, yaxis={"tickformat": "~g"})  # of few agents, halves count
    return chart


def _layout(places: int, ticks: Mapping[int, str], shortest: int, about: str, text: Text) -> dict[str, Any]:
    return {
        "template": "streamlit",
        "barmode": "stack",
        "bargap": 0.18,
        "height": 400,
        "margin": {"l": 44, "r": 52, "t": 12, "b": 32},
        "hovermode": "closest",
        "dragmode": False,
        "uirevision": about,
        "separators": text.separators(),
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": -0.1,
            "xanchor": "left",
            "yanchor": "top",
            "traceorder": "normal",
            "title": None,
        },
        "xaxis": {
            "range": [-0.7, max(places, shortest) - 0.3],
            "tickvals": list(ticks),
            "ticktext": list(ticks.values()),
            "showgrid": False,
            "fixedrange": True,
            "title": None,
        },
        "yaxis": {"title": None, "rangemode": "tozero", "fixedrange": True, "nticks": 6, "tickformat": ",d"},
    }


def line_colours() -> list[str]:
    """Return theme colours for series without a colour of their own; each is visible as a line, too."""
    colours = pio.templates["streamlit"].layout.colorway
    return [colours[place] for place in LINE_COLOURS]
