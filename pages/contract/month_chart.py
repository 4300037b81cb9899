"""A period against its contract as a chart: the days of a month, or the intervals of a day."""

from datetime import date, timedelta
from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

from metrics.readers import Day, Figures, Sla
from pages.contract.month_tables import head, intervals, values
from pages.contract.standing import coverage, days_of, late, title, uncounted, unknown, verdict
from pages.shared import chart
from pages.shared.i18n import Text

SHORTEST = 12
"""A chart shows at least so many intervals."""
ROOMY = 4
"""So many days without data are wide enough to say it across."""
UNKNOWN = "rgba(128, 128, 128, 0.11)"


class Part(NamedTuple):
    """A place on the chart: its name, and in short on the axis; None where nothing is known."""

    name: str
    label: str
    figures: Figures | None
    target: float | None


def figure(one: Sla, text: Text) -> go.Figure:
    """Draw the days of a month, or the intervals of a day."""
    _ = text.gettext
    drawn = parts(one, text)
    every = 2 if one.period.is_month else max(1, -(-len(drawn) // 6))  # there is room on a phone
    figures = [part.figures for part in drawn]
    drawing = chart.calls_and_level(
        chart.Stack(
            good=(_("In time"), [one.service_level_hits if one else None for one in figures]),
            bad=(_("Late"), [late(one) if one else None for one in figures]),
            other=(_("Not counted"), [uncounted(one) if one else None for one in figures]),
        ),
        chart.Level(
            reached=[one.service_level if one else None for one in figures],
            target=[part.target for part in drawn],
            hover=[_hover(part, text) for part in drawn],
        ),
        ticks={n: part.label for n, part in enumerate(drawn) if n % every == 0},
        shortest=SHORTEST,
        about=f"{one.campaign.campaign} {one.period.first}",
        text=text,
    )
    if missing := unknown(one):
        words = {"annotation_text": no_data(text), "annotation_textangle": 0 if missing >= ROOMY else -90}
        drawing.add_vrect(-0.5, missing - 0.5, fillcolor=UNKNOWN, line_width=0, layer="below", **words)
    return drawing


def parts(one: Sla, text: Text) -> list[Part]:
    """Return what the chart has a place for: every day of a month, or the intervals of a day between its calls."""
    if one.period.is_month:
        return [
            Part(text.short_day(day), str(day.day), known.figures if known else None, known.target if known else None)
            for day, known in _calendar(one)
        ]
    return [Part(row.name, row.name.partition("–")[0], row.figures, row.target) for row in intervals(one, text)]


def _calendar(one: Sla) -> list[tuple[date, Day | None]]:
    """Return the days of the period; None: nothing is known of it, or not yet."""
    known = {day.day: day for day in one.days}
    days = (one.period.first + timedelta(days=n) for n in range(days_of(one.period)))
    return [(day, known.get(day)) for day in days]


def no_data(text: Text) -> str:
    return text.gettext("No data")


def described(one: Sla, text: Text) -> str:
    """Say what the chart shows, for those who cannot see it."""
    _ = text.gettext
    said = _("Chart, {period}: calls in time and late, and the service level against its target.")
    level = f"{_('Service level')} {text.percent(one.total.service_level)}, {verdict(one, text)}."
    gaps = [f"{words}." for words in coverage(one, text)]
    return " ".join((said.format(period=title(one, text)), level, *gaps, _("The table below has its numbers.")))


def _hover(part: Part, text: Text) -> str:
    said = [f"<b>{escape(part.name)}</b>"]
    if part.figures and part.figures.offered:
        said += [f"{word} {value}" for word, value in zip(head(text), values(part.figures, text), strict=True)]
    return "<br>".join(said)
