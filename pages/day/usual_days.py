"""What is usual for a campaign: a day beside the same weekday of earlier weeks, and weeks by weekday and hour."""

from collections.abc import Mapping
from html import escape

from metrics.authorisation.viewer import Viewer
from metrics.readers import Added, Comparison, Kpis, Weeks
from pages.shared import names, table
from pages.shared.i18n import DASH, NBSP, Text
from pages.shared.links import figure_link, link
from pages.shared.marks import level_state, state_word
from pages.shared.selection import Selection, instant, wall

COMPARED = ("offered", "answered", "abandoned", "service_level", "abandon_rate", "asa_s", "aht_s")
MEASURES = ("offered", "service_level", "abandon_rate", "aht_s")
"""Figures that the heat map of the weeks can show."""
PALEST, DEEPEST = 6, 44
"""Ink [%] for the lowest and the highest value of a measure: the figure on it stays readable."""
DEEPEST_BELOW = 0.6
"""A service level this far below its target [ratio] gets the most ink."""


def name(usual: Comparison, text: Text) -> str:
    words = text.gettext("Usual {weekday}").format(weekday=text.weekday(usual.campaign.day.weekday()))
    return words[:1].upper() + words[1:]


def days_behind(usual: Comparison, text: Text) -> str:
    """Name in HTML the days behind the mean, only those with calls, each with a link to its page."""
    if not usual.days:
        words = text.gettext("No calls on any {weekday} of the {n} weeks before.")
        return escape(words.format(weekday=text.weekday(usual.campaign.day.weekday()), n=text.number(4)))
    n = len(usual.days)
    words = text.ngettext("Usual: {n} day only ({dates}).", "Usual: the mean of {n} days ({dates}).", n)
    params = {"campaign": usual.campaign.campaign}
    days = [link("campaign", params | {"day": day.isoformat()}, escape(text.dates((day,)))) for day in usual.days]
    return escape(words).format(n=text.number(n), dates=", ".join(days))


def comparison(usual: Comparison, viewer: Viewer, where: Selection, text: Text) -> str:
    """Draw the day so far beside the same weekday up to the same time of day. Its own figures are links."""
    _ = text.gettext
    if not usual.days or usual.until is None or usual.own is None or usual.usual_so_far is None:
        return f'<p class="vigie-quiet">{days_behind(usual, text)}</p>'
    heading = _("Until {time}").format(time=text.clock(usual.until, usual.campaign.timezone))
    if usual.until == usual.campaign.t1:
        heading = _("Day")
    params = where.params()
    if usual.until != usual.campaign.t1:
        params |= {"from": instant(usual.campaign.t0), "to": instant(usual.until)}
    rows = [
        _compared(figure, usual.own, usual.usual_so_far, len(usual.days), params, text)
        for figure in COMPARED
        if viewer.sees_work or figure != "aht_s"
    ]
    heads = table.heads(("", heading, name(usual, text), _("Difference")))
    return table.table(heads, rows, "sums compared") + f'<p class="vigie-quiet">{days_behind(usual, text)}</p>'


def _compared(figure: str, own: Kpis, usual: Added, days: int, params: Mapping[str, str], text: Text) -> str:
    values: list[float | None] = [getattr(own, figure), getattr(usual.kpis, figure)]
    if isinstance(values[1], int):
        values[1] /= days
    own_text, usual_text = (escape(names.shown(figure, value, text)) for value in values)
    label = names.brief(figure, text)
    gap = DASH if None in values else _difference(figure, (values[0] or 0) - (values[1] or 0), text)
    cells = table.cell(figure_link(figure, values[0], own_text, params, label, text)) + table.cell(usual_text, "usual")
    return table.row(escape(label), cells + table.cell(escape(gap), "gap"))


def _difference(figure: str, gap: float, text: Text) -> str:
    if figure in names.RATIOS:
        return text.gettext("{points} pts").format(points=text.points(gap))
    shown = names.shown(figure, abs(gap), text)
    return f"{'+' if gap > 0 else '−'}{shown}" if round(abs(gap)) else "="


def heat(weeks: Weeks, campaign: str, measure: str, target: float | None, text: Text) -> str:
    """Draw the weeks as a table of weekdays and hours: the higher the figure, the more ink. No calls, no figure.

    Each figure links to its calls.
    """
    _ = text.gettext
    with_calls = {at: cell for at, cell in weeks.cells.items() if cell.kpis.offered}
    if not with_calls:
        return table.note(_("No calls in these weeks."))
    of_weeks = {"campaign": campaign, "from": weeks.first.isoformat(), "to": weeks.until.isoformat()}
    hours = [hour for _weekday, hour in with_calls]
    values = {
        at: cell.mean("offered") if measure == "offered" else getattr(cell.kpis, measure)
        for at, cell in with_calls.items()
    }
    defined = [value for value in values.values() if value is not None]
    low, high = min(defined, default=0.0), max(defined, default=0.0)
    heads = table.heads(("", *(text.weekday(day, short=True) for day in range(7))))
    rows = []
    for hour in range(min(hours), max(hours) + 1):
        cells = ""
        for weekday in range(7):
            value, cell = values.get((weekday, hour)), with_calls.get((weekday, hour))
            if value is None or cell is None:
                cells += table.cell(DASH, "nil")
                continue
            params = of_weeks | {"weekday": str(weekday), "time": f"{wall(hour * 60)}-{wall(hour * 60 + 60)}"}
            n = cell.kpis.offered
            label = text.ngettext("{n} call", "{n} calls", n).format(n=text.number(n))
            has_decimal = measure == "offered" and value < 10  # below 10 the decimal matters
            shown = escape(text.rate(value) if has_decimal else names.shown(measure, value, text, digits=0))
            state = level_state(value, target) if measure == "service_level" else "none"
            if state != "none":
                label += f" · {state_word(state, text)}"
                shown = f'<span class="state {state}"><i></i>{shown}</span>'
            tooltip = f"{text.weekday(weekday)} {hour:02}–{hour + 1:02}{NBSP}h, {label}"
            shown = figure_link(measure, value, shown, params, tooltip, text, is_explained=False)
            depth = (value - low) / (high - low) if high > low else 0.5
            if state != "none" and target is not None:  # more ink the further below the target
                depth = min(1.0, max(0.0, target - value) / DEEPEST_BELOW)
            ink = PALEST + (DEEPEST - PALEST) * depth
            cells += f'<td class="{state}" style="--ink-of:{ink:.0f}%">{shown}</td>'
        rows.append(table.row(f"{hour:02}–{hour + 1:02}{NBSP}h", cells))
    caption = escape(heat_name(measure, text))
    return (
        f'<table class="vigie-heat"><caption>{caption}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def heat_name(measure: str, text: Text) -> str:
    return text.gettext("Calls per hour, mean") if measure == "offered" else names.figure(measure, text)


def heat_caption(weeks: Weeks, measure: str, target: float | None, text: Text) -> str:
    """Say which days the weeks cover, and what grey and the shapes mean."""
    _ = text.gettext
    n = len(weeks.days)
    sentences = []
    if n:
        sentence = text.ngettext("{n} day with calls, {first} – {last}.", "{n} days with calls, {first} – {last}.", n)
        sentences.append(
            sentence.format(n=text.number(n), first=text.date(weeks.days[0]), last=text.date(weeks.days[-1]))
        )
    sentences.append(_("Grey: no call came in this hour."))
    if measure == "service_level" and target is not None:
        sentences.append(_("Shapes: against today’s target, {target}.").format(target=text.target(target)))
    return " ".join(sentences)
