"""A period against its contract as tables: the terms, the calls by day, time of day and queue, and the people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from html import escape

from metrics.readers import Figures, JudgedTerm, Sla, Slot, Work
from metrics.suppression import SMALLEST
from pages import _kpi
from pages._board import level_state, state_word
from pages._i18n import DASH, Text
from pages._sla import asked_of, comes_from, late, leads, quiet, too_few
from pages._where import wall


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
    cells = "".join(f"<th>{escape(word)}</th>" for word in contract_head(text))
    rows = "".join(
        _term(judged, row, one, text) for judged, row in zip(one.terms, contract_rows(one, text), strict=True)
    )
    table = f'<table class="vigie-table terms"><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="vigie-scroll" tabindex="0">{table}</div>'


def _term(judged: JudgedTerm, row: tuple[str, ...], one: Sla, text: Text) -> str:
    """Draw a term; its counts lead to the calls that it judged, its level to how that was made of them."""
    held, *terms, calls, hits, level = row
    counted = {"kpi": "service_level"}
    if judged.term.calls:
        span = _span_of(judged, one)
        behind = text.gettext("The calls behind: {figure}")
        *_terms, of_calls, of_hits, of_level = contract_head(text)
        calls = leads("calls", one, counted, escape(calls), behind.format(figure=of_calls), span)
        hits = leads("calls", one, counted | {"counts": "hit"}, escape(hits), behind.format(figure=of_hits), span)
        level = leads("kpi", one, counted, escape(level), comes_from(of_level, text), span)
    drawn = "".join(f"<td>{cell}</td>" for cell in (calls, hits, level))
    return f"<tr><th>{escape(held)}</th>{_cells(terms)}{drawn}</tr>"


def _span_of(judged: JudgedTerm, one: Sla) -> dict[str, str]:
    """Return the parameters of an address that is about the part of the period in which a term was in force."""
    first, until = (datetime.combine(day, time()) for day in (one.period.first, one.period.until))
    start, end = max(judged.term.valid_from or first, first), min(judged.term.valid_to or until, until)
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
            *_kpi.terms_in_words(judged.term, text),
            text.number(judged.term.calls),
            text.number(judged.hits),
            text.percent(judged.service_level),
        )
        for judged in one.terms
    ]


# tables of calls


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
    return table(text.gettext("Queue"), queues(one, text), one, text, handling=one.people is not None)


def _own_target(one: Sla) -> float | None:
    """Return the target that parts of the period have too: none when the terms changed within it."""
    return one.target if len(one.terms) == 1 else None


def table(first: str, rows: Iterable[Row], one: Sla, text: Text, *, handling: bool = False) -> str:
    """Draw a table of calls with its total; `handling`: with how long they were handled, where that may be told."""
    _ = text.gettext
    drawn = "".join(_row(row, one, text, handling) for row in rows)
    if not drawn:
        return quiet(_("No calls in this period."))
    whole = _row(Row(_("Total"), one.total, one.target, aht_s=handling_s(one).get(None)), one, text, handling)
    words = (first, *head(text), _("AHT")) if handling else (first, *head(text))
    cells = "".join(f"<th>{escape(word)}</th>" for word in words)
    return (
        f'<div class="vigie-scroll" tabindex="0"><table class="vigie-table sums judged"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{drawn}</tbody><tfoot>{whole}</tfoot></table></div>"
    )


def _row(row: Row, one: Sla, text: Text, handling: bool) -> str:
    """Draw a line; its name, its late calls and its level lead to what is behind them."""
    _ = text.gettext

    def lead(page: str, words: str, about: str = "", **asked: str) -> str:
        return leads(page, one, asked, words, about, row.asked) if row.asked else words

    *counts, missed, abandoned, level, rate, asa = values(row.figures, text)
    rest = (rate, asa, text.duration(row.aht_s)) if handling else (rate, asa)
    behind = _("The calls behind: {figure}")
    too_late = escape(missed)
    if late(row.figures):
        about = behind.format(figure=f"{row.name}, {_('Late')}")
        too_late = lead("calls", too_late, about, kpi="service_level", counts="miss")
    drawn = escape(level)
    state = level_state(row.figures.service_level, row.target)
    if state != "none":
        drawn = f'<span class="state {state}" title="{escape(state_word(state, text))}"><i></i>{drawn}</span>'
    if level != DASH:
        name = f"{row.name}, {_('Service level')}"
        page, about = ("kpi", comes_from(name, text)) if row.is_explained else ("calls", behind.format(figure=name))
        drawn = lead(page, drawn, about, kpi="service_level")
    return (
        f"<tr><th>{lead(row.page, escape(row.name))}</th>{_cells(counts)}<td>{too_late}</td>"
        f"<td>{escape(abandoned)}</td><td>{drawn}</td>{_cells(rest)}</tr>"
    )


def _cells(words: Iterable[str]) -> str:
    return "".join(f"<td>{escape(word)}</td>" for word in words)


# people


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
    *rows, whole = people_rows(one, text) or [()]
    if not whole:
        return quiet(too_few(text))
    cells = "".join(f"<th>{escape(word)}</th>" for word in people_head(text))
    drawn = "".join(f"<tr><th>{escape(name)}</th>{_cells(row)}</tr>" for name, *row in rows)
    return (
        f'<div class="vigie-scroll" tabindex="0"><table class="vigie-table sums"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{drawn}</tbody><tfoot><tr><th>{escape(whole[0])}</th>{_cells(whole[1:])}</tr></tfoot></table></div>"
    )


def privacy(text: Text) -> str:
    said = text.gettext(
        "Agents have pseudonyms that stay the same for this client. Who handled fewer than {n} calls is counted "
        "together with at least {more} others."
    )
    return said.format(n=text.number(SMALLEST), more=text.number(SMALLEST - 1))
