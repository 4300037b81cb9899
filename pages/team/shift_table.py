"""Who worked for a campaign on a past day: one row per agent, sorted by name, never by how much they did."""

from html import escape

from metrics.readers import Shift, Shifts
from pages.shared import names, table
from pages.shared.i18n import Text, short
from pages.shared.selection import Selection, href
from pages.team import agent_table
from pages.team.agent_table import Cell


def draw(shifts: Shifts, where: Selection, text: Text) -> str:
    """Draw the agents with their figures of the day; for viewers who may not see names, only how many there were."""
    _ = text.gettext
    if shifts.people is None:
        return table.note(names.too_few(text))
    if not shifts.people:
        return table.note(_("Nobody is known to have worked for this campaign on this day."))
    if shifts.shifts is None:
        n = shifts.people
        words = text.ngettext("{n} agent on this day", "{n} agents on this day", n)
        return table.note(words.format(n=text.number(n)))
    count = text.ngettext("{n} agent", "{n} agents", shifts.people).format(n=text.number(shifts.people))
    columns = _columns(text)
    heads = table.heads([_("Agent")]) + agent_table.heads(columns, where.params(), text)
    rows = [_row(shift, columns, where, text) for shift in shifts.shifts]
    html = table.table(heads, rows, style=agent_table.labels(columns))
    return f'<div class="vigie-agents"><p class="needs"><span>{escape(count)}</span></p>{html}</div>'


def _columns(text: Text) -> dict[str, str]:
    _ = text.gettext
    return {
        "logged": _("Time logged in"),
        "calls": _("Calls"),
        "aht": _("AHT"),
        "occupancy": _("Occupancy"),
        "utilisation": _("Utilisation"),
        "paused": _("Time in pauses"),
        "offers": _("Missed offers"),
    }


def _row(shift: Shift, columns: dict[str, str], where: Selection, text: Text) -> str:
    _ = text.gettext
    who, place = short(shift.name), " · ".join(map(short, filter(None, (shift.team, shift.site))))
    calls_title = _("The calls of {agent}").format(agent=who)
    missed_title = _("The calls that {agent} did not pick up").format(agent=who)

    def calls_cell(n: int | None, title: str, **params: str) -> Cell:
        return Cell(text.number(n), address=href("calls", where.params(**params)) if n else "", about=title)

    def figure_cell(name: str) -> Cell:
        value = getattr(shift, name)
        address = "" if value is None else href("kpi", where.params(agent=shift.agent, kpi=name))
        shown = names.shown(name, value, text, digits=0)
        return Cell(shown, address=address, about=agent_table.explanation_title(name, who, text))

    numbers = {
        "logged": Cell(text.duration(shift.logged_in_s or None)),
        "calls": calls_cell(shift.answered, calls_title, agent=shift.agent, outcome="answered"),
        **{column: figure_cell(name) for column, name in agent_table.EXPLAINED.items()},
        "paused": Cell(text.duration(shift.paused_s if shift.logged_in_s else None)),
        "offers": calls_cell(shift.missed, missed_title, missed_by=shift.agent),
    }
    cells = "".join(agent_table.number_cell(name, numbers[name]) for name in columns)
    return table.row(f"{escape(who)}<small>{escape(place)}</small>", cells)
