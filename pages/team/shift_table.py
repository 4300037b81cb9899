"""Who worked for a campaign on a past day: a line an agent, by name and never by who did most."""

from html import escape

from metrics.readers import Shift, Shifts
from pages.shared import names, table
from pages.shared.i18n import Text
from pages.shared.selection import Selection, href
from pages.team import agent_table
from pages.team.agent_table import Cell


def draw(found: Shifts, where: Selection, text: Text) -> str:
    """Draw the agents with their figures of the day; to who may know no names, how many they were."""
    _ = text.gettext
    if found.people is None:
        return table.note(names.too_few(text))
    if not found.people:
        return table.note(_("Nobody is known to have worked for this campaign on this day."))
    if found.shifts is None:
        n = found.people
        words = text.ngettext("{n} agent on this day", "{n} agents on this day", n)
        return table.note(words.format(n=text.number(n)))
    many = text.ngettext("{n} agent", "{n} agents", found.people).format(n=text.number(found.people))
    columns = _columns(text)
    heads = table.heads([_("Agent")]) + agent_table.heads(columns, where.params(), text)
    rows = [_row(shift, columns, where, text) for shift in found.shifts]
    drawn = table.table(heads, rows, style=agent_table.labels(columns))
    return f'<div class="vigie-agents"><p class="needs"><span>{escape(many)}</span></p>{drawn}</div>'


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


def _row(one: Shift, columns: dict[str, str], where: Selection, text: Text) -> str:
    _ = text.gettext
    place = " · ".join(filter(None, (one.team, one.site)))
    words = _("The calls of {agent}").format(agent=one.name)
    offers = _("The calls that {agent} did not pick up").format(agent=one.name)

    def calls(n: int | None, about: str, **asked: str) -> Cell:
        return Cell(text.number(n), address=href("calls", where.params(**asked)) if n else "", about=about)

    def made(name: str) -> Cell:
        value = getattr(one, name)
        address = "" if value is None else href("kpi", where.params(agent=one.agent, kpi=name))
        shown = names.shown(name, value, text, digits=0)
        return Cell(shown, address=address, about=agent_table.made_of(name, one.name, text))

    numbers = {
        "logged": Cell(text.duration(one.logged_in_s or None)),
        "calls": calls(one.answered, words, agent=one.agent, outcome="answered"),
        **{column: made(name) for column, name in agent_table.EXPLAINED.items()},
        "paused": Cell(text.duration(one.paused_s if one.logged_in_s else None)),
        "offers": calls(one.missed, offers, missed_by=one.agent),
    }
    cells = "".join(agent_table.drawn(name, numbers[name]) for name in columns)
    return table.row(f"{escape(one.name)}<small>{escape(place)}</small>", cells)
