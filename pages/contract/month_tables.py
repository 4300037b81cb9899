"""A period against its contract as tables: its terms, its calls by day, time of day and queue, and its agents."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from html import escape

from metrics.authorisation.suppression import SMALLEST
from metrics.readers import Figures, JudgedTerm, Sla, Slot, Work
from pages.contract.standing import late, period_params
from pages.shared import names, table
from pages.shared.i18n import Text, short
from pages.shared.links import comes_from, figure_link, link
from pages.shared.marks import level_state, marked_level
from pages.shared.selection import wall
from pages.shared.terms import in_force, terms_in_words


@dataclass(frozen=True)
class Row:
    """A line of a table. `target` None: no verdict.

    `params` are the address parameters of the same calls; empty: no links. The name links to `page`. `is_explained`:
    figures link to their explanation; if not, to the list of their calls.
    """

    name: str
    figures: Figures
    target: float | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    page: str = "calls"
    is_explained: bool = True
    aht_s: float | None = None


def contract(sla: Sla, text: Text) -> str:
    """Draw the terms of the period, each with the calls that it judged and their service level."""
    rows = [_term(judged, row, sla, text) for judged, row in zip(sla.terms, contract_rows(sla, text), strict=True)]
    return table.table(table.heads(contract_head(text)), rows, "terms", scrolls=True)


def _term(judged: JudgedTerm, row: tuple[str, ...], sla: Sla, text: Text) -> str:
    """Draw a term. Its counts link to the calls that it judged, its level to the explanation."""
    in_force_words, *terms = row[:-3]
    figures = {
        "service_level_base": judged.term.calls,
        "service_level_hits": judged.hits,
        "service_level": judged.service_level,
    }
    span = _term_params(judged, sla)
    cells = "".join(
        table.cell(figure_link(name, value, escape(shown), span, label, text))
        for (name, value), shown, label in zip(figures.items(), row[-3:], contract_head(text)[-3:], strict=True)
    )
    return table.row(escape(in_force_words), table.cells(terms) + cells)


def _term_params(judged: JudgedTerm, sla: Sla) -> dict[str, str]:
    """Return the address parameters of the part of the period in which a term was in force."""
    first, until = (datetime.combine(day, time()) for day in (sla.period.first, sla.period.until))
    start, end = in_force(judged.term, first, until)
    if (start, end) == (first, until):
        return period_params(sla)
    return {"campaign": sla.campaign.campaign, "from": start.isoformat(), "to": end.isoformat()}


def contract_head(text: Text) -> tuple[str, ...]:
    _ = text.gettext
    terms = (_("In force"), _("Formula"), _("In time is"), _("Target"), _("Short abandon"))
    return (*terms, _("Calls judged"), _("In time"), _("Service level"))


def contract_rows(sla: Sla, text: Text) -> list[tuple[str, ...]]:
    return [
        (
            *terms_in_words(judged.term, text),
            text.number(judged.term.calls),
            text.number(judged.hits),
            text.percent(judged.service_level),
        )
        for judged in sla.terms
    ]


# tables of calls

COLUMNS = (
    *("offered", "answered", "service_level_hits", "late", "abandoned"),
    *("service_level", "abandon_rate", "asa_s"),
)


def head(text: Text) -> tuple[str, ...]:
    """Name the columns of a table of calls, after the first."""
    _ = text.gettext
    return (
        _("Offered"),
        _("Answered"),
        _("In time"),
        _("Late"),
        _("Abandoned"),
        _("Service level"),
        _("Abandon rate"),
        _("ASA"),
    )


def values(figures: Figures, text: Text) -> tuple[str, ...]:
    """Format the values of a table of calls, after the name."""
    counts = (figures.offered, figures.answered, figures.service_level_hits, late(figures), figures.abandoned)
    return (
        *(text.number(count) for count in counts),
        text.percent(figures.service_level),
        text.percent(figures.abandon_rate),
        text.duration(figures.asa_s),
    )


def days(sla: Sla, text: Text) -> list[Row]:
    """Return the days with calls, the latest first as on the other pages."""
    params = {"campaign": sla.campaign.campaign}
    return [
        Row(text.short_day(day.day), day.figures, day.target, params | {"day": day.day.isoformat()}, "sla")
        for day in reversed(sla.days)
        if day.figures.offered
    ]


def intervals(sla: Sla, text: Text) -> list[Row]:
    """Return the intervals of the period. Those of a month are times of day over all its days."""
    return [
        Row(
            f"{wall(slot.start)}–{wall(slot.end)}",
            slot.figures,
            _own_target(sla),
            _slot_params(sla, slot) if slot.figures.offered else {},
            is_explained=not sla.period.is_month,
        )
        for slot in sla.slots
    ]


def _slot_params(sla: Sla, slot: Slot) -> dict[str, str]:
    if sla.period.is_month:
        return period_params(sla) | {"time": f"{wall(slot.start)}-{wall(slot.end)}"}
    return period_params(sla, slot.start, slot.end)


def queues(sla: Sla, text: Text) -> list[Row]:
    aht_s_of = handling_s(sla)
    return [
        Row(
            queue,
            figures,
            _own_target(sla),
            period_params(sla) | {"queue": queue},
            is_explained=False,
            aht_s=aht_s_of.get(queue),
        )
        for queue, figures in sla.queues
    ]


def handling_s(sla: Sla) -> Mapping[str | None, float | None]:
    """Return AHT [s] by queue, and of all calls under None, as far as it may be shown."""
    return sla.people.aht_s if sla.people else {}


def queues_table(sla: Sla, text: Text) -> str:
    return calls_table(text.gettext("Queue"), queues(sla, text), sla, text, handling=sla.people is not None)


def _own_target(sla: Sla) -> float | None:
    """Return the target if it holds for all parts of the period; None when the terms changed within it."""
    return sla.target if len(sla.terms) == 1 else None


def calls_table(first: str, rows: Iterable[Row], sla: Sla, text: Text, *, handling: bool = False) -> str:
    """Draw a table of calls with its total. `handling`: with AHT, where it may be shown."""
    _ = text.gettext
    lines = [_row(row, text, handling) for row in rows]
    if not lines:
        return table.note(_("No calls in this period."))
    params = period_params(sla) if sla.total.offered else {}
    total = _row(Row(_("Total"), sla.total, sla.target, params, aht_s=handling_s(sla).get(None)), text, handling)
    heads = table.heads((first, *head(text)))
    if handling:
        heads += _head("aht_s", _("AHT"), sla, text)
    return table.table(heads, lines, "sums judged", foot=total, scrolls=True)


def _head(kpi: str, word: str, sla: Sla, text: Text) -> str:
    """Draw a column head that links to the figure's explanation. The explanation exists for the period only."""
    return table.head(link("kpi", period_params(sla) | {"kpi": kpi}, escape(word), comes_from(word, text)))


def _row(row: Row, text: Text, handling: bool) -> str:
    """Draw a row. Its name and its figures link to what is behind them."""
    figures = row.figures
    cells = ""
    for name, label, shown in zip(COLUMNS, head(text), values(figures, text), strict=True):
        state = level_state(figures.service_level, row.target) if name == "service_level" else "none"
        shown_html = marked_level(escape(shown), state, text)
        value = late(figures) if name == "late" else getattr(figures, name)
        tooltip = f"{short(row.name)}, {label}"
        cells += table.cell(
            figure_link(name, value, shown_html, row.params, tooltip, text, is_explained=row.is_explained)
        )
    if handling:
        cells += table.cell(escape(text.duration(row.aht_s)))
    html = escape(short(row.name))
    name = link(row.page, row.params, html) if row.params else html
    return table.row(name, cells)


# people


PEOPLE = ("aht_s", "aht_s", "avg_talk_s", "avg_hold_s", "avg_wrap_s", "transfer_rate")
"""Figure that explains each column. "Handled" has that of AHT, whose denominator it is."""


def people_head(text: Text) -> tuple[str, ...]:
    _ = text.gettext
    return (_("Agent"), _("Handled"), _("AHT"), _("Talk"), _("Hold"), _("Wrap-up"), _("Transfer rate"))


def people_rows(sla: Sla, text: Text) -> list[tuple[str, ...]]:
    """Return a line for each agent, one for the others together, and one for all. Empty when they are too few."""
    _ = text.gettext
    people = sla.people
    if people is None or people.whole is None:
        return []
    rows = [_work(agent_name(agent, text), agent, text) for agent in people.agents]
    if people.others:
        n = people.others.agents
        words = text.ngettext("{n} other agent together", "{n} other agents together", n)
        rows.append(_work(words.format(n=text.number(n)), people.others, text))
    n = people.whole.agents
    words = text.ngettext("Together, {n} agent", "Together, {n} agents", n).format(n=text.number(n))
    return [*rows, _work(words, people.whole, text)]


def agent_name(agent: Work, text: Text) -> str:
    return text.gettext("Agent {code}").format(code=agent.name)


def _work(name: str, work: Work, text: Text) -> tuple[str, ...]:
    times = (work.aht_s, work.avg_talk_s, work.avg_hold_s, work.avg_wrap_s)
    handled = text.number(work.handled)
    return (name, handled, *(text.duration(seconds) for seconds in times), text.percent(work.transfer_rate))


def people(sla: Sla, text: Text) -> str:
    """Draw the agents. The heads of columns have the links: an agent behind a pseudonym has no list of calls."""
    *rows, together = people_rows(sla, text) or [()]
    if not together:
        return table.note(names.too_few(text))
    first, *labels = people_head(text)
    heads = table.heads([first])
    heads += "".join(_head(kpi, word, sla, text) for kpi, word in zip(PEOPLE, labels, strict=True))
    *lines, foot = (table.row(escape(name), table.cells(row)) for name, *row in (*rows, together))
    return table.table(heads, lines, "sums people", foot=foot, scrolls=True)


def privacy(text: Text) -> str:
    sentence = text.gettext(
        "Agents have pseudonyms that stay the same for this client. Agents who handled fewer than {n} calls are "
        "counted together with at least {more} others."
    )
    return sentence.format(n=text.number(SMALLEST), more=text.number(SMALLEST - 1))
