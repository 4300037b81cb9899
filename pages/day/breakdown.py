"""A day broken down: its calls by outcome and by queue, and its agents by state."""

from html import escape

from metrics.authorisation.viewer import Viewer
from metrics.kpis.outcomes import PARTS
from metrics.readers import AgentCounts, Kpis
from pages.shared import names, table
from pages.shared.i18n import DASH, Text, short
from pages.shared.links import figure_link, link
from pages.shared.marks import level_state, marked_level
from pages.shared.selection import Selection


def outcomes(total: Kpis, where: Selection, text: Text) -> str:
    """Draw the outcomes that add up to the offered calls, each with a link to its calls, and the identity below."""
    _ = text.gettext
    heads = table.heads((_("Outcome"), _("Calls"), _("Share"), ""))
    rows = [_outcome(part, total, where, text) for part in PARTS if part == "answered" or getattr(total, part)]
    offered = text.number(total.offered)
    offered_link = figure_link("offered", total.offered, offered, where.params(), _("Offered"), text)
    foot = table.row(escape(_("Offered")), table.cell(offered_link) + table.cell("") + table.cell("", "track"))
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


QUEUE_FIGURES = ("offered", "abandoned", "service_level", "abandon_rate", "asa_s")


def queues(by_queue: tuple[tuple[str, Kpis], ...], viewer: Viewer, where: Selection, text: Text) -> str:
    """Draw the queues of a day, the busiest first, each with a link to its calls."""
    _ = text.gettext
    if not by_queue:
        return table.note(_("No calls yet on this day."))
    columns = (_("Queue"), _("Offered"), _("Abandoned"), _("Service level"), _("Abandon rate"), _("ASA"))
    heads = table.heads((*columns, _("AHT")) if viewer.sees_work else columns)
    rows = [_queue(queue, kpis, viewer, where, text) for queue, kpis in by_queue]
    return table.table(heads, rows, "sums queues", scrolls=True)


def _queue(queue: str, kpis: Kpis, viewer: Viewer, where: Selection, text: Text) -> str:
    """Draw a queue. Its figures link to their calls: only a campaign's figures have an explanation."""
    state = level_state(kpis.service_level, kpis.target)
    params = where.params(queue=queue)
    cells = ""
    for figure in (*QUEUE_FIGURES, *(("aht_s",) if viewer.sees_work else ())):
        value = getattr(kpis, figure)
        shown = escape(names.shown(figure, value, text))
        if figure == "service_level":
            shown = marked_level(shown, state, text)
        label = f"{short(queue)}, {names.brief(figure, text)}"
        cells += table.cell(figure_link(figure, value, shown, params, label, text, is_explained=False))
    return table.row(link("calls", params, escape(short(queue))), cells)


def agents(counts: AgentCounts | None, text: Text) -> str:
    """Draw how many agents are in each state, for viewers who may not see names. `counts` None: too few to be shown."""
    _ = text.gettext
    if counts is None:
        return table.note(names.too_few(text))
    words = {
        "available": text.ngettext("Available", "Available", 2),  # plural: other languages decline it
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
