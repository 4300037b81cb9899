"""What a day is made of: what became of its calls, and its queues."""

from html import escape

from metrics.authorisation.viewer import Viewer
from metrics.kpis.outcomes import PARTS
from metrics.readers import AgentCounts, Kpis
from pages.shared import names, table
from pages.shared.i18n import DASH, Text
from pages.shared.links import figure_link, link
from pages.shared.marks import level_state, marked_level
from pages.shared.selection import Selection


def outcomes(total: Kpis, where: Selection, text: Text) -> str:
    """Draw the parts that add up to the offered calls, each leading to its calls, and the identity itself."""
    _ = text.gettext
    heads = table.heads((_("Outcome"), _("Calls"), _("Share"), ""))
    rows = [_outcome(part, total, where, text) for part in PARTS if part == "answered" or getattr(total, part)]
    offered = text.number(total.offered)
    whole = figure_link("offered", total.offered, offered, where.params(), _("Offered"), text)
    foot = table.row(escape(_("Offered")), table.cell(whole) + table.cell("") + table.cell("", "track"))
    return table.table(heads, rows, "sums shares", foot=foot) + table.note(names.identity(total, text))


def _outcome(part: str, total: Kpis, where: Selection, text: Text) -> str:
    n = getattr(total, part)
    share = n / total.offered if total.offered else None
    name = names.figure(part, text)
    count = figure_link(part, n, text.number(n), where.params(), name, text)
    head = link("calls", where.params(outcome=part), escape(name)) if n else escape(name)
    width = (share or 0) * 100
    cells = table.cell(count) + table.cell(escape(text.percent(share)), "share")
    return table.row(head, cells + table.cell(f'<div><i style="width:{width:.1f}%"></i></div>', f"track {part}"))


QUEUED = ("offered", "abandoned", "service_level", "abandon_rate", "asa_s")


def queues(found: tuple[tuple[str, Kpis], ...], viewer: Viewer, where: Selection, text: Text) -> str:
    """Draw the queues of a day, the busiest first, each leading to its calls."""
    _ = text.gettext
    if not found:
        return table.note(_("No calls yet on this day."))
    columns = (_("Queue"), _("Offered"), _("Abandoned"), _("Service level"), _("Abandon rate"), _("ASA"))
    heads = table.heads((*columns, _("AHT")) if viewer.sees_work else columns)
    rows = [_queue(queue, kpis, viewer, where, text) for queue, kpis in found]
    return table.table(heads, rows, "sums queues", scrolls=True)


def _queue(queue: str, kpis: Kpis, viewer: Viewer, where: Selection, text: Text) -> str:
    """Draw a queue; its figures lead to the calls that they are made of, for only a campaign's can be explained."""
    state = level_state(kpis.service_level, kpis.target)
    asked = where.params(queue=queue)
    cells = ""
    for figure in (*QUEUED, *(("aht_s",) if viewer.sees_work else ())):
        value = getattr(kpis, figure)
        shown = escape(names.shown(figure, value, text))
        if figure == "service_level":
            shown = marked_level(shown, state, text)
        label = f"{queue}, {names.brief(figure, text)}"
        cells += table.cell(figure_link(figure, value, shown, asked, label, text, is_explained=False))
    return table.row(link("calls", asked, escape(queue)), cells)


def agents(counts: AgentCounts | None, text: Text) -> str:
    """Draw how many agents do what, for who is told nobody's name; nothing of so few that it would show one."""
    _ = text.gettext
    if counts is None:
        return table.note(names.too_few(text))
    words = {
        "available": text.ngettext("Available", "Available", 2),  # of several agents: other languages decline it
        "busy": _("Busy"),
        "wrap_up": _("Wrap-up"),
        "paused": _("Paused"),
    }
    values = {state: text.number(getattr(counts, state)) if counts.logged_in else DASH for state in words}
    cards = "".join(
        f'<div class="card"><span>{escape(word)}</span><b>{escape(values[state])}</b></div>'
        for state, word in words.items()
    )
    return f'<div class="vigie-tiles four">{cards}</div>'
