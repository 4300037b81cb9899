"""What a day is made of: what became of its calls, and its queues."""

from html import escape

from metrics.outcomes import PARTS
from metrics.readers import AgentCounts, Kpis
from metrics.viewer import Viewer
from pages import _kpi, _names, _sla
from pages._board import level_state, marked
from pages._i18n import DASH, Text
from pages._leads import lead, link
from pages._where import Where


def outcomes(total: Kpis, where: Where, text: Text) -> str:
    """Draw the parts that add up to the offered calls, each leading to its calls, and the identity itself."""
    _ = text.gettext
    head = "".join(f'<th scope="col">{escape(word)}</th>' for word in (_("Outcome"), _("Calls"), _("Share"), ""))
    rows = "".join(_outcome(part, total, where, text) for part in PARTS if part == "answered" or getattr(total, part))
    offered = text.number(total.offered)
    whole = lead("offered", total.offered, offered, where.params(), _("Offered"), text)
    foot = f'<tr><th scope="row">{escape(_("Offered"))}</th><td>{whole}</td><td></td><td class="track"></td></tr>'
    identity = escape(_kpi.identity(total, text))
    return (
        f'<table class="vigie-table sums shares"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
        f'<tfoot>{foot}</tfoot></table><p class="vigie-quiet">{identity}</p>'
    )


def _outcome(part: str, total: Kpis, where: Where, text: Text) -> str:
    n = getattr(total, part)
    share = n / total.offered if total.offered else None
    name = _names.figure(part, text)
    count = lead(part, n, text.number(n), where.params(), name, text)
    head = link("calls", where.params(outcome=part), escape(name)) if n else escape(name)
    width = (share or 0) * 100
    return (
        f'<tr><th scope="row">{head}</th><td>{count}</td><td class="share">{escape(text.percent(share))}</td>'
        f'<td class="track {part}"><div><i style="width:{width:.1f}%"></i></div></td></tr>'
    )


QUEUED = ("offered", "abandoned", "service_level", "abandon_rate", "asa_s")


def queues(found: tuple[tuple[str, Kpis], ...], viewer: Viewer, where: Where, text: Text) -> str:
    """Draw the queues of a day, the busiest first, each leading to its calls."""
    _ = text.gettext
    if not found:
        words = _("No calls yet on this day.")
        return f'<p class="vigie-quiet">{escape(words)}</p>'
    names = (_("Queue"), _("Offered"), _("Abandoned"), _("Service level"), _("Abandon rate"), _("ASA"))
    head = (*names, _("AHT")) if viewer.sees_work else names
    cells = "".join(f'<th scope="col">{escape(word)}</th>' for word in head)
    rows = "".join(_queue(queue, kpis, viewer, where, text) for queue, kpis in found)
    return (
        f'<div class="vigie-scroll"><table class="vigie-table sums queues"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _queue(queue: str, kpis: Kpis, viewer: Viewer, where: Where, text: Text) -> str:
    """Draw a queue; its figures lead to the calls that they are made of, for only a campaign's can be explained."""
    state = level_state(kpis.service_level, kpis.target)
    asked = where.params(queue=queue)
    cells = ""
    for figure in (*QUEUED, *(("aht_s",) if viewer.sees_work else ())):
        value = getattr(kpis, figure)
        shown = escape(_names.shown(figure, value, text))
        if figure == "service_level":
            shown = marked(shown, state, text)
        label = f"{queue}, {_names.brief(figure, text)}"
        cells += f"<td>{lead(figure, value, shown, asked, label, text, is_explained=False)}</td>"
    return f'<tr><th scope="row">{link("calls", asked, escape(queue))}</th>{cells}</tr>'


def agents(counts: AgentCounts | None, text: Text) -> str:
    """Draw how many agents do what, for who is told nobody's name; nothing of so few that it would show one."""
    _ = text.gettext
    if counts is None:
        return f'<p class="vigie-quiet">{escape(_sla.too_few(text))}</p>'
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
