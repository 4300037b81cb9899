"""A period against its contract as tables: the terms, the calls by day, time of day and queue, and the people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from html import escape

from metrics.authorisation.suppression import SMALLEST
from metrics.readers import Figures, JudgedTerm, Sla, Slot, Work
from pages.contract.standing import asked_of, late
from pages.shared import names, table
from pages.shared.i18n import Text
from pages.shared.links import comes_from, figure_link, link
from pages.shared.marks import level_state, marked_level
from pages.shared.selection import wall
from pages.shared.terms import in_force, terms_in_words


@dataclass(frozen=True)
class Row:
    """A line of a table: `target` None draws no verdict.

    `asked` are the parameters of an address that is about the same calls, nothing when there is nowhere to lead; the
    name leads to `page`. `is_explained`: a figure can be explained of these calls; of others there is their list.
    """

    name: str
    figures: Figures
    target: float | None = None
    asked: Mapping[str, str] = field(default_factory=dict)
    page: str = "calls"
    is_explained: bool = True
    aht_s: float | None = None


def contract(one: Sla, text: Text) -> str:
    """Draw the terms that touch the period, each with the calls that it judged and what became of them."""
    rows = [_term(judged, row, one, text) for judged, row in zip(one.terms, contract_rows(one, text), strict=True)]
    return table.table(table.heads(contract_head(text)), rows, "terms", scrolls=True)


def _term(judged: JudgedTerm, row: tuple[str, ...], one: Sla, text: Text) -> str:
    """Draw a term; its counts lead to the calls that it judged, its level to how that was made of them."""
    held, *terms = row[:-3]
    figures = {
        "service_level_base": judged.term.calls,
        "service_level_hits": judged.hits,
        "service_level": judged.service_level,
    }
    span = _span_of(judged, one)
    drawn = "".join(
        table.cell(figure_link(name, value, escape(shown), span, label, text))
        for (name, value), shown, label in zip(figures.items(), row[-3:], contract_head(text)[-3:], strict=True)
    )
    return table.row(escape(held), table.cells(terms) + drawn)


def _span_of(judged: JudgedTerm, one: Sla) -> dict[str, str]:
    """Return the parameters of an address that is about the part of the period in which a term was in force."""
    first, until = (datetime.combine(day, time()) for day in (one.period.first, one.period.until))
    start, end = in_force(judged.term, first, until)
    if (start, end) == (first, until):
        return asked_of(one)
    return {"campaign": one.campaign.campaign, "from": start.isoformat(), "to": end.isoformat()}


def contract_head(text: Text) -> tuple[str, ...]:
    _ = text.gettext
    terms = (_("In force"), _("Formula"), _("In time is"), _("Target"), _("Short abandon"))
    return (*terms, _("Calls judged"), _("In time"), _("Service level"))


def contract_rows(one: Sla, text: Text) -> list[tuple[str, ...]]:
    return [
        (
            *terms_in_words(judged.term, text),
            text.number(judged.term.calls),
            text.number(judged.hits),
            text.percent(judged.service_level),
        )
        for judged in one.terms
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
    """Format a line of a table of calls, after its name."""
    counts = (figures.offered, figures.answered, figures.service_level_hits, late(figures), figures.abandoned)
    return (
        *(text.number(count) for count in counts),
        text.percent(figures.service_level),
        text.percent(figures.abandon_rate),
        text.duration(figures.asa_s),
    )


def days(one: Sla, text: Text) -> list[Row]:
    """Return the days that had calls, the latest first as on the other pages."""
    asked = {"campaign": one.campaign.campaign}
    return [
        Row(text.short_day(day.day), day.figures, day.target, asked | {"day": day.day.isoformat()}, "sla")
        for day in reversed(one.days)
        if day.figures.offered
    ]


def intervals(one: Sla, text: Text) -> list[Row]:
    """Return the intervals of the period; those of a month are a time of day of all its days."""
    return [
        Row(
            f"{wall(slot.start)}–{wall(slot.end)}",
            slot.figures,
            _own_target(one),
            _asked_at(one, slot) if slot.figures.offered else {},
            is_explained=not one.period.is_month,
        )
        for slot in one.slots
    ]


def _asked_at(one: Sla, slot: Slot) -> dict[str, str]:
    if one.period.is_month:
        return asked_of(one) | {"time": f"{wall(slot.start)}-{wall(slot.end)}"}
    return asked_of(one, slot.start, slot.end)


def queues(one: Sla, text: Text) -> list[Row]:
    told = handling_s(one)
    return [
        Row(
            queue,
            figures,
            _own_target(one),
            asked_of(one) | {"queue": queue},
            is_explained=False,
            aht_s=told.get(queue),
        )
        for queue, figures in one.queues
    ]


def handling_s(one: Sla) -> Mapping[str | None, float | None]:
    """Return AHT by queue, and of all under None; of those that may be told."""
    return one.people.aht_s if one.people else {}


def queues_table(one: Sla, text: Text) -> str:
    return calls_table(text.gettext("Queue"), queues(one, text), one, text, handling=one.people is not None)


def _own_target(one: Sla) -> float | None:
    """Return the target that parts of the period have too: none when the terms changed within it."""
    return one.target if len(one.terms) == 1 else None


def calls_table(first: str, rows: Iterable[Row], one: Sla, text: Text, *, handling: bool = False) -> str:
    """Draw a table of calls with its total; `handling`: with how long they were handled, where that may be told."""
    _ = text.gettext
    drawn = [_row(row, text, handling) for row in rows]
    if not drawn:
        return table.note(_("No calls in this period."))
    asked = asked_of(one) if one.total.offered else {}
    whole = _row(Row(_("Total"), one.total, one.target, asked, aht_s=handling_s(one).get(None)), text, handling)
    heads = table.heads((first, *head(text)))
    if handling:
        heads += _head("aht_s", _("AHT"), one, text)
    return table.table(heads, drawn, "sums judged", foot=whole, scrolls=True)


def _head(kpi: str, word: str, one: Sla, text: Text) -> str:
    """Draw the head of a column whose figures are told of the period only: it leads to how they are made."""
    return table.head(link("kpi", asked_of(one) | {"kpi": kpi}, escape(word), comes_from(word, text)))


def _row(row: Row, text: Text, handling: bool) -> str:
    """Draw a line; its name and its figures lead to what is behind them."""
    figures = row.figures
    drawn = ""
    for name, label, shown in zip(COLUMNS, head(text), values(figures, text), strict=True):
        state = level_state(figures.service_level, row.target) if name == "service_level" else "none"
        inside = marked_level(escape(shown), state, text)
        value = late(figures) if name == "late" else getattr(figures, name)
        said = f"{row.name}, {label}"
        drawn += table.cell(figure_link(name, value, inside, row.asked, said, text, is_explained=row.is_explained))
    if handling:
        drawn += table.cell(escape(text.duration(row.aht_s)))
    name = link(row.page, row.asked, escape(row.name)) if row.asked else escape(row.name)
    return table.row(name, drawn)


# people


PEOPLE = ("aht_s", "aht_s", "avg_talk_s", "avg_hold_s", "avg_wrap_s", "transfer_rate")
"""What explains each column: how many were handled is what AHT is divided by."""


def people_head(text: Text) -> tuple[str, ...]:
    _ = text.gettext
    return (_("Agent"), _("Handled"), _("AHT"), _("Talk"), _("Hold"), _("Wrap-up"), _("Transfer rate"))


def people_rows(one: Sla, text: Text) -> list[tuple[str, ...]]:
    """Return a line an agent, the others together, and everybody; nothing when they are too few."""
    _ = text.gettext
    people = one.people
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


def people(one: Sla, text: Text) -> str:
    """Draw the people; a column's head leads to how its figures are made: who has a pseudonym has no list of calls."""
    *rows, whole = people_rows(one, text) or [()]
    if not whole:
        return table.note(names.too_few(text))
    first, *words = people_head(text)
    heads = table.heads([first])
    heads += "".join(_head(kpi, word, one, text) for kpi, word in zip(PEOPLE, words, strict=True))
    *drawn, foot = (table.row(escape(name), table.cells(row)) for name, *row in (*rows, whole))
    return table.table(heads, drawn, "sums people", foot=foot, scrolls=True)


def privacy(text: Text) -> str:
    said = text.gettext(
        "Agents have pseudonyms that stay the same for this client. Agents who handled fewer than {n} calls are "
        "counted together with at least {more} others."
    )
    return said.format(n=text.number(SMALLEST), more=text.number(SMALLEST - 1))
