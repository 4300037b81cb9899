"""What is usual for a campaign: a day beside the same weekday of the weeks before, and weeks by weekday and hour."""

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
"""What the weeks are shown by."""
PALEST, DEEPEST = 6, 44
"""How much ink the least and the most of a measure get [%]: the figure on it stays readable."""
FURTHEST = 0.6
"""So far below the target [ratio] a level gets the most."""


def name(one: Comparison, text: Text) -> str:
    words = text.gettext("Usual {weekday}").format(weekday=text.weekday(one.campaign.day.weekday()))
    return words[:1].upper() + words[1:]


def made_of(one: Comparison, text: Text) -> str:
    """Say in HTML which days the mean is made of, how many there really are; each leads to its page."""
    if not one.days:
        words = text.gettext("No calls on any {weekday} of the {n} weeks before.")
        return escape(words.format(weekday=text.weekday(one.campaign.day.weekday()), n=text.number(4)))
    n = len(one.days)
    words = text.ngettext("Usual: what {n} day was ({dates}).", "Usual: the mean of {n} days ({dates}).", n)
    of = {"campaign": one.campaign.campaign}
    days = [link("campaign", of | {"day": day.isoformat()}, escape(text.dates((day,)))) for day in one.days]
    return escape(words).format(n=text.number(n), dates=", ".join(days))


def comparison(one: Comparison, viewer: Viewer, where: Selection, text: Text) -> str:
    """Draw the day so far beside the same weekday up to the same time of day; its figures lead to what is behind."""
    _ = text.gettext
    if not one.days or one.until is None or one.own is None or one.usual_so_far is None:
        return f'<p class="vigie-quiet">{made_of(one, text)}</p>'
    own = _("Until {time}").format(time=text.clock(one.until, one.campaign.timezone))
    if one.until == one.campaign.t1:
        own = _("Day")
    of_day = where.params()
    if one.until != one.campaign.t1:
        of_day |= {"from": instant(one.campaign.t0), "to": instant(one.until)}
    rows = [
        _compared(figure, one.own, one.usual_so_far, len(one.days), of_day, text)
        for figure in COMPARED
        if viewer.sees_work or figure != "aht_s"
    ]
    heads = table.heads(("", own, name(one, text), _("Difference")))
    return table.table(heads, rows, "sums compared") + f'<p class="vigie-quiet">{made_of(one, text)}</p>'


def _compared(figure: str, own: Kpis, usual: Added, days: int, asked: Mapping[str, str], text: Text) -> str:
    values: list[float | None] = [getattr(own, figure), getattr(usual.kpis, figure)]
    if isinstance(values[1], int):
        values[1] /= days
    reached, mean = (escape(names.shown(figure, value, text)) for value in values)
    label = names.brief(figure, text)
    gap = DASH if None in values else _difference(figure, (values[0] or 0) - (values[1] or 0), text)
    cells = table.cell(figure_link(figure, values[0], reached, asked, label, text)) + table.cell(mean, "usual")
    return table.row(escape(label), cells + table.cell(escape(gap), "gap"))


def _difference(figure: str, gap: float, text: Text) -> str:
    if figure in names.RATIOS:
        return text.gettext("{points} pts").format(points=text.points(gap))
    shown = names.shown(figure, abs(gap), text)
    return f"{'+' if gap > 0 else '−'}{shown}" if round(abs(gap)) else "="


def heat(weeks: Weeks, campaign: str, measure: str, target: float | None, text: Text) -> str:
    """Draw the weeks by weekday and hour: a table of figures, on more ink the more there is; no call, no figure.

    Each leads to the calls that it is made of.
    """
    _ = text.gettext
    called = {at: cell for at, cell in weeks.cells.items() if cell.kpis.offered}
    if not called:
        return table.note(_("No calls in these weeks."))
    of_weeks = {"campaign": campaign, "from": weeks.first.isoformat(), "to": weeks.until.isoformat()}
    hours = [hour for _weekday, hour in called]
    values = {
        at: cell.mean("offered") if measure == "offered" else getattr(cell.kpis, measure) for at, cell in called.items()
    }
    known = [value for value in values.values() if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    heads = table.heads(("", *(text.weekday(day, short=True) for day in range(7))))
    rows = []
    for hour in range(min(hours), max(hours) + 1):
        cells = ""
        for weekday in range(7):
            value, cell = values.get((weekday, hour)), called.get((weekday, hour))
            if value is None or cell is None:
                cells += table.cell(DASH, "nil")
                continue
            asked = of_weeks | {"weekday": str(weekday), "time": f"{wall(hour * 60)}-{wall(hour * 60 + 60)}"}
            n = cell.kpis.offered
            said = text.ngettext("{n} call", "{n} calls", n).format(n=text.number(n))
            small = measure == "offered" and value < 10  # where a decimal tells something
            shown = escape(text.rate(value) if small else names.shown(measure, value, text, digits=0))
            state = level_state(value, target) if measure == "service_level" else "none"
            if state != "none":
                said += f" · {state_word(state, text)}"
                shown = f'<span class="state {state}"><i></i>{shown}</span>'
            label = f"{text.weekday(weekday)} {hour:02}–{hour + 1:02}{NBSP}h, {said}"
            shown = figure_link(measure, value, shown, asked, label, text, is_explained=False)
            depth = (value - low) / (high - low) if high > low else 0.5
            if state != "none" and target is not None:  # the further from the target
                depth = min(1.0, max(0.0, target - value) / FURTHEST)
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


def heat_said(weeks: Weeks, measure: str, target: float | None, text: Text) -> str:
    """Say which days the weeks are made of, and what grey and shapes mean."""
    _ = text.gettext
    n = len(weeks.days)
    said = []
    if n:
        words = text.ngettext("{n} day with calls, {first} – {last}.", "{n} days with calls, {first} – {last}.", n)
        said.append(words.format(n=text.number(n), first=text.date(weeks.days[0]), last=text.date(weeks.days[-1])))
    said.append(_("Grey: no call came in this hour."))
    if measure == "service_level" and target is not None:
        said.append(_("Shapes: against today’s target, {target}.").format(target=text.target(target)))
    return " ".join(said)
