"""The chart that pages share: calls as stacked bars, and the service level against its target above them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
import streamlit.elements.plotly_chart  # noqa: F401, its import registers the template that carries the theme

from pages.shared.i18n import Text

APART = (5, 2, 6, 7, 8, 1, 9, 4, 0)
"""Of the theme's colours for charts those that a line shows, the farthest from each other first, two greys last."""
MARKED = 48
"""So many places have a mark on the line; of more, a narrow screen would show nothing but marks."""
SHARES = (0, 0.2, 0.4, 0.6, 0.8, 1)


@dataclass(frozen=True)
class Stack:
    """The calls of each place on the axis: good ones below, bad ones hatched on them, others on top; with their names.

    None where nothing is known.
    """

    good: tuple[str, Sequence[int | None]]
    bad: tuple[str, Sequence[int | None]]
    other: tuple[str, Sequence[int | None]]


@dataclass(frozen=True)
class Level:
    """Service level and target [ratio 0–1] of each place on the axis, and what is said when it is pointed at."""

    reached: Sequence[float | None]
    target: Sequence[float | None]
    said: Sequence[str]


def calls_and_level(
    stack: Stack,
    level: Level,
    ticks: Mapping[int, str],
    *,
    shortest: int,
    about: str,
    text: Text,
    usual: tuple[str, Sequence[float | None]] | None = None,
) -> go.Figure:
    """Draw calls as stacked bars, and the service level against its target on an axis of 0–100 %.

    Each trace takes the next of the theme's colours for charts (.streamlit/config.toml). `ticks` are place → label; the
    axis has room for at least `shortest` places, so that the first few are not a wall of bars. A chart that is drawn
    again `about` the same stays as its reader left it. `usual` is a name, and how many calls to mark beside the bars.
    """
    _ = text.gettext
    places = list(range(len(level.said)))
    said: dict[str, Any] = {"customdata": level.said, "hovertemplate": "%{customdata}<extra></extra>"}
    chart = go.Figure()
    for (name, values), marker in (
        (stack.good, {}),
        (stack.bad, {"pattern": {"shape": "/", "size": 5, "solidity": 0.25}}),
    ):
        chart.add_bar(x=places, y=values, name=name, marker=marker, **said)
    chart.add_scatter(
        x=places,
        y=level.reached,
        name=_("Service level"),
        yaxis="y2",
        mode="lines+markers" if len(places) <= MARKED else "lines",
        line={"width": 2},
        marker={"size": 5},
        **said,
    )
    name, values = stack.other
    chart.add_bar(x=places, y=values, name=name, **said)
    chart.add_scatter(
        x=places,
        y=level.target,
        name=_("Target"),
        yaxis="y2",
        mode="lines",
        line={"width": 1.5, "dash": "dash", "shape": "hvh"},
        hoverinfo="skip",
    )
    if usual is not None:
        usual_name, usual_calls = usual
        line = {"symbol": "line-ew-open", "size": 11, "line": {"width": 2.5}}
        chart.add_scatter(x=places, y=usual_calls, name=usual_name, mode="markers", marker=line, hoverinfo="skip")
    chart.update_layout(
        template="streamlit",
        barmode="stack",
        bargap=0.18,
        height=400,
        margin={"l": 44, "r": 52, "t": 12, "b": 32},
        hovermode="closest",
        dragmode=False,
        uirevision=about,
        separators=text.separators(),
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
            "range": [-0.7, max(len(places), shortest) - 0.3],
            "tickvals": list(ticks),
            "ticktext": list(ticks.values()),
            "showgrid": False,
            "fixedrange": True,
            "title": None,
        },
        yaxis={"title": None, "rangemode": "tozero", "fixedrange": True, "nticks": 6, "tickformat": ",d"},
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


def apart() -> list[str]:
    """Return the theme's colours for series that have no meaning of their own, which lines must show too."""
    colours = pio.templates["streamlit"].layout.colorway
    return [colours[place] for place in APART]
