"""A period against its contract, in words, cards, tables and a chart, in the reader's language."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from html import escape
from itertools import pairwise
from typing import NamedTuple

import plotly.graph_objects as go

from metrics.readers import Day, Figures, JudgedTerm, Period, Sla, Slot, Work
from metrics.suppression import SMALLEST
from pages import _chart, _kpi
from pages._board import level_state, state_word
from pages._i18n import DASH, Text
from pages._where import DAY_MIN, href, wall

SHORTEST = 12
"""A chart shows at least so many intervals."""
ROOMY = 4
"""So many days without data are wide enough to say it across."""
UNKNOWN = "rgba(128, 128, 128, 0.11)"


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


class Part(NamedTuple):
    """A place on the chart: its name, and in short on the axis; None where nothing is known."""

    name: str
    label: str
    figures: Figures | None
    target: float | None


class Fact(NamedTuple):
    """A figure beside the level, and where it leads: to its calls, or to how it is made."""

    name: str
    value: str
    page: str
    asked: Mapping[str, str]


def period(one: Sla, text: Text) -> str:
    """Name the period for the inside of a sentence: "October", with its year when that is another."""
    _ = text.gettext
    if not one.period.is_month:
        return _("this day")
    is_this_year = one.period.first.year == one.freshness.as_of.year
    return text.month_name(one.period.first) if is_this_year else text.month(one.period.first)


def title(one: Sla, text: Text) -> str:
    return text.month(one.period.first) if one.period.is_month else text.day(one.period.first)


def distance(one: Sla, text: Text) -> str:
    """Say how far the period is from its target in calls; nothing when that is not known."""
    away = one.distance
    if away is None or one.target is None:
        return ""
    said = _past(one, text) if one.is_over else _to_come(one, text)
    counts = (away.could_be_late, away.too_late) if one.is_over else (away.until_missed, away.until_reached)
    n = next((count for count in counts if count is not None), 0)
    words = said.format(n=text.number(n), period=period(one, text), target=text.target(one.target))
    return words[:1].upper() + words[1:]


def _to_come(one: Sla, text: Text) -> str:
    away = one.distance
    if away is None:
        return ""
    if away.until_missed is not None:
        return text.ngettext(
            "{n} more late call and {period} misses {target}",
            "{n} more late calls and {period} misses {target}",
            away.until_missed,
        )
    if away.until_reached is not None:
        return text.ngettext(
            "{n} more call in time and {period} reaches {target}",
            "{n} more calls in time and {period} reaches {target}",
            away.until_reached,
        )
    return "" if away.is_met else text.gettext("{period} can no longer reach {target}")


def _past(one: Sla, text: Text) -> str:
    away = one.distance
    if away is None:
        return ""
    if away.too_late is not None:
        return text.ngettext(
            "{period} missed {target} by {n} late call",
            "{period} missed {target} by {n} late calls",
            away.too_late,
        )
    if not away.could_be_late:
        return text.gettext("{period} reached {target}, with no call to spare")
    return text.ngettext(
        "{period} reached {target}, with {n} call to spare",
        "{period} reached {target}, with {n} calls to spare",
        away.could_be_late,
    )


def certainty(one: Sla, text: Text) -> str:
    """Say whether the figures can still move."""
    _ = text.gettext
    if one.settled:
        return _("Settled: only a late event could move it")
    if one.is_over:
        return _("Provisional: calls are open, or events may still come in")
    return _("Provisional: the period is not over")


def bounds(one: Sla, text: Text) -> str:
    """Say between what open calls leave the service level; nothing when none is open."""
    total = one.total
    worst, best = text.percent(total.service_level_worst), text.percent(total.service_level_best)
    if not total.open or worst == best:
        return ""
    said = text.gettext("Between {worst} and {best}, by what becomes of the calls that still wait")
    return said.format(worst=worst, best=best)


def known_from(one: Sla, text: Text) -> str:
    """Say since when calls are known, and how much of a month that leaves out; nothing when all of it is known."""
    if one.known_from is None:
        return ""
    zone = one.campaign.timezone
    at = f"{text.date_of(one.known_from, zone)} {text.clock(one.known_from, zone)}"
    missing = unknown(one)
    if not missing:
        return text.gettext("No call is known from before {at}").format(at=at)
    said = text.ngettext(
        "No call is known from before {at}: {n} of {of} days is missing",
        "No call is known from before {at}: {n} of {of} days are missing",
        missing,
    )
    return said.format(at=at, n=text.number(missing), of=text.number(days_of(one.period)))


def without_calls(one: Sla, text: Text) -> str:
    """Name the days without a call: "Sun 1, Sun 8 – Tue 10"; nothing when there are none."""
    days = one.days_without_calls
    if not days:
        return ""
    breaks = [n for n, (day, following) in enumerate(pairwise(days), start=1) if (following - day).days > 1]
    runs = [days[start:end] for start, end in pairwise((0, *breaks, len(days)))]
    return ", ".join(" – ".join(text.short_day(day) for day in dict.fromkeys((run[0], run[-1]))) for run in runs)


def coverage(one: Sla, text: Text) -> list[str]:
    """Say of what in the period no call is known, in sentences without their full stop."""
    said = [known_from(one, text)]
    if days := without_calls(one, text):
        said.append(text.gettext("Days without a call: {days}").format(days=days))
    return list(filter(None, said))


def verdict(one: Sla, text: Text) -> str:
    """Say how the level stands to its target, in a word and in points."""
    level = one.total.service_level
    state = level_state(level, one.target)
    if level is None or one.target is None:
        return state_word(state, text)
    points = text.gettext("{points} pts").format(points=text.points(level - one.target))
    return f"{state_word(state, text)}, {points}"


def headline(one: Sla, text: Text) -> str:
    """Draw the level, its distance to the target, and the counts it is made of."""
    _ = text.gettext
    state = level_state(one.total.service_level, one.target)
    level = text.percent(one.total.service_level)
    nil = ' class="nil"' if level == DASH else ""
    kind = "settled" if one.settled else "provisional"
    target = _("Target {target}").format(target=text.target(one.target))
    lines = [f'<p class="state {state}"><i></i>{escape(verdict(one, text))}</p>' if state != "none" else ""]
    lines += [f"<p class='distance'>{escape(distance(one, text))}</p>" if one.distance else ""]
    lines += [f"<p>{escape(bounds(one, text))}</p>" if bounds(one, text) else ""]
    lines += [f'<p class="{kind}"><i></i>{escape(certainty(one, text))}</p>']
    lines += [f'<p class="changed"><i></i>{escape(words)}</p>' for words in coverage(one, text)]
    if len(one.terms) > 1:
        changed = _("The contract changed inside this window; each call is judged by the terms of its own time.")
        lines.append(f'<p class="changed"><i></i>{escape(changed)}</p>')
    cards = "".join(_card(fact, one, text) for fact in facts(one, text))
    way = leads("kpi", one, {"kpi": "service_level"}, escape(level), _comes_from(_("Service level"), text))
    return (
        f'<div class="vigie-sla"><section class="vigie-figure {state}"><h2>{escape(_("Service level"))} · '
        f"{escape(target)}</h2><b{nil}>{way}</b>{''.join(lines)}</section>"
        f'<div class="facts">{cards}</div></div>'
    )


def nil_of(value: str) -> str:
    return ' class="nil"' if value == DASH else ""


def _comes_from(name: str, text: Text) -> str:
    return text.gettext("Where this figure comes from: {figure}").format(figure=name)


def _card(fact: Fact, one: Sla, text: Text) -> str:
    """Draw a figure; the whole card leads to what is behind it, unless that is nothing."""
    value = escape(fact.value)
    if fact.value not in (DASH, text.number(0)):
        behind = text.gettext("The calls behind: {figure}").format(figure=fact.name)
        about = behind if fact.page == "calls" else _comes_from(fact.name, text)
        value = leads(fact.page, one, fact.asked, value, about)
    return f'<div class="card"><span>{escape(fact.name)}</span><b{nil_of(fact.value)}>{value}</b></div>'


def leads(
    page: str, one: Sla, asked: Mapping[str, str], value: str, about: str, of: Mapping[str, str] | None = None
) -> str:
    """Draw HTML as a link to a page about the same period, or what else it is `of`; `about` says what is there."""
    address = href(page, {**(of or asked_of(one)), **asked})
    title = f' title="{escape(about)}"' if about else ""
    return f'<a href="{escape(address)}" target="_self"{title}>{value}</a>'


def asked_of(one: Sla, start: int = 0, end: int = 0) -> dict[str, str]:
    """Return the parameters of an address that is about the period, or the minutes `[start, end)` of its day."""
    asked = {"campaign": one.campaign.campaign}
    period = one.period
    if period.is_month:
        return asked | {"from": period.first.isoformat(), "to": period.until.isoformat()}
    if not end:
        return asked | {"day": period.first.isoformat()}
    last = period.until if end == DAY_MIN else period.first
    return asked | {"from": f"{period.first}T{wall(start)}", "to": f"{last}T{wall(end % DAY_MIN)}"}


def facts(one: Sla, text: Text) -> tuple[Fact, ...]:
    """Return what stands beside the level."""
    _ = text.gettext
    total = one.total
    known = total if total.offered else None
    counted = {"kpi": "service_level"}
    return (
        Fact(_("Offered"), text.number(known and known.offered), "calls", {"kpi": "offered"}),
        Fact(_("Answered"), text.number(known and known.answered), "calls", {"outcome": "answered"}),
        Fact(_("In time"), text.number(known and known.service_level_hits), "calls", counted | {"counts": "hit"}),
        Fact(_("Late"), text.number(known and late(known)), "calls", counted | {"counts": "miss"}),
        Fact(_("Abandon rate"), text.percent(total.abandon_rate), "kpi", {"kpi": "abandon_rate"}),
        Fact(_("ASA"), text.duration(total.asa_s), "kpi", {"kpi": "asa_s"}),
    )


def late(figures: Figures) -> int:
    """Return the calls that count for the service level and were not in time."""
    return figures.service_level_base - figures.service_level_hits


def uncounted(figures: Figures) -> int:
    """Return the offered calls that the contract's formula leaves out, or does not count yet."""
    return figures.offered - figures.service_level_base


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
        level = leads("kpi", one, counted, escape(level), _comes_from(of_level, text), span)
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
        page, about = ("kpi", _comes_from(name, text)) if row.is_explained else ("calls", behind.format(figure=name))
        drawn = lead(page, drawn, about, kpi="service_level")
    return (
        f"<tr><th>{lead(row.page, escape(row.name))}</th>{_cells(counts)}<td>{too_late}</td>"
        f"<td>{escape(abandoned)}</td><td>{drawn}</td>{_cells(rest)}</tr>"
    )


def _cells(words: Iterable[str]) -> str:
    return "".join(f"<td>{escape(word)}</td>" for word in words)


def quiet(words: str) -> str:
    return f'<p class="vigie-quiet">{escape(words)}</p>'


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


def too_few(text: Text) -> str:
    said = text.gettext("Not shown: it would tell of fewer than {n} people.")
    return said.format(n=text.number(SMALLEST))


def privacy(text: Text) -> str:
    said = text.gettext(
        "Agents have pseudonyms that stay the same for this client. Who handled fewer than {n} calls is counted "
        "together with at least {more} others."
    )
    return said.format(n=text.number(SMALLEST), more=text.number(SMALLEST - 1))


# what it rests on


def conservation(one: Sla, text: Text) -> str:
    return _kpi.identity(one.total, text)


def as_of(one: Sla, text: Text) -> str:
    """Say when the figures were what they are, in the campaign's time."""
    zone = one.campaign.timezone
    at = f"{text.date_of(one.freshness.as_of, zone)} {text.clock(one.freshness.as_of, zone, seconds=True)}"
    return text.gettext("Data as of {at}, {zone}").format(at=at, zone=zone)


# the chart


def figure(one: Sla, text: Text) -> go.Figure:
    """Draw the days of a month, or the intervals of a day."""
    _ = text.gettext
    drawn = parts(one, text)
    every = 2 if one.period.is_month else max(1, -(-len(drawn) // 6))  # there is room on a phone
    figures = [part.figures for part in drawn]
    chart = _chart.calls_and_level(
        _chart.Stack(
            good=(_("In time"), [one and one.service_level_hits for one in figures]),
            bad=(_("Late"), [one and late(one) for one in figures]),
            other=(_("Not counted"), [one and uncounted(one) for one in figures]),
        ),
        _chart.Level(
            reached=[one and one.service_level for one in figures],
            target=[part.target for part in drawn],
            said=[_hover(part, text) for part in drawn],
        ),
        ticks={n: part.label for n, part in enumerate(drawn) if n % every == 0},
        shortest=SHORTEST,
        about=f"{one.campaign.campaign} {one.period.first}",
        text=text,
    )
    if missing := unknown(one):
        words = {"annotation_text": no_data(text), "annotation_textangle": 0 if missing >= ROOMY else -90}
        chart.add_vrect(-0.5, missing - 0.5, fillcolor=UNKNOWN, line_width=0, layer="below", **words)
    return chart


def parts(one: Sla, text: Text) -> list[Part]:
    """Return what the chart has a place for: every day of a month, or the intervals of a day between its calls."""
    if one.period.is_month:
        return [
            Part(text.short_day(day), str(day.day), known and known.figures, known and known.target)
            for day, known in _calendar(one)
        ]
    return [Part(row.name, row.name.partition("–")[0], row.figures, row.target) for row in intervals(one, text)]


def _calendar(one: Sla) -> list[tuple[date, Day | None]]:
    """Return the days of the period; None: nothing is known of it, or not yet."""
    known = {day.day: day for day in one.days}
    days = (one.period.first + timedelta(days=n) for n in range(days_of(one.period)))
    return [(day, known.get(day)) for day in days]


def unknown(one: Sla) -> int:
    """Return of how many days, the first ones of a month, nothing is known."""
    return (one.days[0].day - one.period.first).days if one.days else 0


def no_data(text: Text) -> str:
    return text.gettext("No data")


def described(one: Sla, text: Text) -> str:
    """Say what the chart shows, for those who cannot see it."""
    _ = text.gettext
    said = _("Chart, {period}: calls in time and late, and the service level against its target.")
    level = f"{_('Service level')} {text.percent(one.total.service_level)}, {verdict(one, text)}."
    gaps = [f"{words}." for words in coverage(one, text)]
    return " ".join((said.format(period=title(one, text)), level, *gaps, _("The table below has its numbers.")))


def days_of(period: Period) -> int:
    return (period.until - period.first).days


def last_day(period: Period) -> date:
    return period.until - timedelta(days=1)


def _hover(part: Part, text: Text) -> str:
    said = [f"<b>{escape(part.name)}</b>"]
    if part.figures and part.figures.offered:
        said += [f"{word} {value}" for word, value in zip(head(text), values(part.figures, text), strict=True)]
    return "<br>".join(said)
