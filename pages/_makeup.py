"""What a day is made of: what became of its calls, and its queues."""

from html import escape

from metrics.outcomes import PARTS
from metrics.readers import AgentCounts, Kpis
from metrics.viewer import Viewer
from pages import _kpi, _names, _sla
from pages._board import level_state, state_word
from pages._i18n import DASH, Text
from pages._where import Where, href


def outcomes(total: Kpis, where: Where, text: Text) -> str:
    """Draw the parts that add up to the offered calls, each leading to its calls, and the identity itself."""
    _ = text.gettext
    head = "".join(f'<th scope="col">{escape(word)}</th>' for word in (_("Outcome"), _("Calls"), _("Share"), ""))
    rows = "".join(_outcome(part, total, where, text) for part in PARTS if part == "answered" or getattr(total, part))
    whole = text.number(total.offered)
    foot = f'<tr><th scope="row">{escape(_("Offered"))}</th><td>{whole}</td><td></td><td class="track"></td></tr>'
    identity = escape(_kpi.identity(total, text))
    return (
        f'<table class="vigie-table sums shares"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
        f'<tfoot>{foot}</tfoot></table><p class="vigie-quiet">{identity}</p>'
    )


def _outcome(part: str, total: Kpis, where: Where, text: Text) -> str:
    n = getattr(total, part)
    share = n / total.offered if total.offered else None
    name = escape(_names.figure(part, text))
    if n:
        address = href("calls", where.params(outcome=part))
        name = f'<a href="{escape(address)}" target="_self">{name}</a>'
    width = (share or 0) * 100
    return (
        f'<tr><th scope="row">{name}</th><td>{text.number(n)}</td><td>{escape(text.percent(share))}</td>'
        f'<td class="track {part}"><div><i style="width:{width:.1f}%"></i></div></td></tr>'
    )


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
    state = level_state(kpis.service_level, kpis.target)
    level = escape(text.percent(kpis.service_level))
    if state != "none":
        level = f'<span class="state {state}" title="{escape(state_word(state, text))}"><i></i>{level}</span>'
    cells = "".join(f"<td>{text.number(n)}</td>" for n in (kpis.offered, kpis.abandoned))
    rest = [text.percent(kpis.abandon_rate), text.duration(kpis.asa_s)]
    if viewer.sees_work:
        rest.append(text.duration(kpis.aht_s))
    drawn = "".join(f"<td>{escape(word)}</td>" for word in rest)
    address = href("calls", where.params(queue=queue))
    name = f'<a href="{escape(address)}" target="_self">{escape(queue)}</a>'
    return f'<tr><th scope="row">{name}</th>{cells}<td>{level}</td>{drawn}</tr>'


def agents(counts: AgentCounts | None, text: Text) -> str:
    """Draw how many agents do what, for who is told nobody's name; nothing of so few that it would show one."""
    _ = text.gettext
    if counts is None:
        return f'<p class="vigie-quiet">{escape(_sla.too_few(text))}</p>'
    words = {"available": _("Available"), "busy": _("Busy"), "wrap_up": _("Wrap-up"), "paused": _("Paused")}
    values = {state: text.number(getattr(counts, state)) if counts.logged_in else DASH for state in words}
    cards = "".join(
        f'<div class="card"><span>{escape(word)}</span><b>{escape(values[state])}</b></div>'
        for state, word in words.items()
    )
    return f'<div class="vigie-tiles four">{cards}</div>'
