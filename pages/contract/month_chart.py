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
"""A chart has room for at least this many intervals."""
ROOMY = 4
"""From this many days without data on, the words for it fit across; fewer days have them upright."""
UNKNOWN = "rgba(128, 128, 128, 0.11)"


class Part(NamedTuple):
    """A place on the chart: its name, its label on the axis, and its figures, None where nothing is known."""

    name: str
    label: str
    figures: Figures | None
    target: float | None


def figure(sla: Sla, text: Text) -> go.Figure:
    """Draw the days of a month, or the intervals of a day."""
    _ = text.gettext
    places = parts(sla, text)
    every = 2 if sla.period.is_month else max(1, -(-len(places) // 6))  # as many labels as fit on a phone
    figures = [part.figures for part in places]
    chart_figure = chart.calls_and_level(
        chart.Stack(
            good=(_("In time"), [counts.service_level_hits if counts else None for counts in figures]),
            bad=(_("Late"), [late(counts) if counts else None for counts in figures]),
            other=(_("Not counted"), [uncounted(counts) if counts else None for counts in figures]),
        ),
        chart.Level(
            reached=[counts.service_level if counts else None for counts in figures],
            target=[part.target for part in places],
            hover=[_hover(part, text) for part in places],
        ),
        ticks={n: part.label for n, part in enumerate(places) if n % every == 0},
        shortest=SHORTEST,
        about=f"{sla.campaign.campaign} {sla.period.first}",
        text=text,
    )
    if unknown_days := unknown(sla):
        words = {"annotation_text": no_data(text), "annotation_textangle": 0 if unknown_days >= ROOMY else -90}
        chart_figure.add_vrect(-0.5, unknown_days - 0.5, fillcolor=UNKNOWN, line_width=0, layer="below", **words)
    return chart_figure


def parts(sla: Sla, text: Text) -> list[Part]:
    """Return the places of the chart: every day of a month, or a day's intervals from its first to its last call."""
    if sla.period.is_month:
        return [
            Part(text.short_day(day_date), str(day_date.day), day.figures if day else None, day.target if day else None)
            for day_date, day in _calendar(sla)
        ]
    return [Part(row.name, row.name.partition("–")[0], row.figures, row.target) for row in intervals(sla, text)]


def _calendar(sla: Sla) -> list[tuple[date, Day | None]]:
    """Return the days of the period with their figures; None where nothing is known, or not yet."""
    by_date = {day.day: day for day in sla.days}
    days = (sla.period.first + timedelta(days=n) for n in range(days_of(sla.period)))
    return [(day, by_date.get(day)) for day in days]


def no_data(text: Text) -> str:
    return text.gettext("No data")


def alt(sla: Sla, text: Text) -> str:
    """Describe the chart for those who cannot see it."""
    _ = text.gettext
    sentence = _("Chart, {period}: calls in time and late, and the service level against its target.")
    level = f"{_('Service level')} {text.percent(sla.total.service_level)}, {verdict(sla, text)}."
    coverage_sentences = [f"{words}." for words in coverage(sla, text)]
    return " ".join(
        (sentence.format(period=title(sla, text)), level, *coverage_sentences, _("The table below has its numbers."))
    )


def _hover(part: Part, text: Text) -> str:
    lines = [f"<b>{escape(part.name)}</b>"]
    if part.figures and part.figures.offered:
        lines += [f"{word} {value}" for word, value in zip(head(text), values(part.figures, text), strict=True)]
    return "<br>".join(lines)
