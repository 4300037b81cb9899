"""A figure explained: its formula with its numbers, its contract, and what other systems would show."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from math import ceil, floor
from zoneinfo import ZoneInfo

from metrics.composition.figures import KPIS
from metrics.kpis.kpi import Sum, sum_of
from metrics.kpis.outcomes import PARTS
from metrics.kpis.service_level import FORMULAS
from metrics.readers import BEHIND, CampaignNow, Explained, Term
from pages.shared import names, table
from pages.shared.i18n import DASH, Text
from pages.shared.links import LINKS, figure_link, link
from pages.shared.marks import level_state, marked_level, state_word
from pages.shared.selection import Selection, href, instant
from pages.shared.terms import in_force, terms_in_words
from pages.shared.verdicts import now_word, window_words


@dataclass(frozen=True)
class Fraction:
    """Numerator and denominator of a figure. Without a denominator it is a sum, without a numerator a single value."""

    above: Sum | None = None
    below: Sum | None = None

    def sums(self, explained: Explained) -> tuple[float | None, float | None]:
        """Return numerator and denominator; None where there is none, or a part of it is unknown."""
        return _sum(self.above, explained), _sum(self.below, explained)


def fraction(explained: Explained) -> Fraction:
    """Return the parts of a figure. A service level of several formulas has only the sums by contract."""
    if explained.kpi == "offered":
        return Fraction(sum_of(*PARTS))
    kpi = KPIS[explained.kpi]
    if kpi.denominator is None:
        return Fraction()
    by_contract = Fraction(kpi.numerator, kpi.denominator)
    if explained.kpi != "service_level":
        return by_contract
    formulas = {term.formula for term in explained.terms}
    if len(formulas) != 1:
        return by_contract
    formula = FORMULAS[formulas.pop()]
    counted = Fraction(formula.numerator, formula.denominator)
    return counted if counted.sums(explained) == by_contract.sums(explained) else by_contract


def _sum(measures: Sum | None, explained: Explained) -> float | None:
    if measures is None:
        return None
    values: list[tuple[int, float | None]] = [(sign, explained.row.get(name)) for sign, name in measures.signed]
    if any(value is None for _, value in values):
        return None
    return sum((sign * value for sign, value in values if value is not None), start=0)


def now(live: CampaignNow, kpi: str, text: Text) -> str:
    """Draw a figure of `kpi_now`, as a link to its explanation over the same minutes."""
    value, state = getattr(live.now, kpi), "none"
    if kpi == "service_level" and not live.now.too_few_calls:
        state = level_state(value, live.now.target)
    drawn = marked_level(escape(names.shown(kpi, value, text)), state, text)
    params = {"campaign": live.campaign.campaign, "kpi": kpi}
    params |= {"from": instant(live.now.window_start), "to": instant(live.now.window_end)}
    parts = [escape(window_words(live, text)), link("kpi", params, drawn)]
    if kpi == "service_level" and live.now.too_few_calls:
        parts.append(escape(now_word(live, text)))
    return f'<div class="vigie-now">{"".join(f"<p>{part}</p>" for part in parts)}</div>'


def figure(explained: Explained, text: Text) -> str:
    """Draw the figure, its distance to the target, and whether it can still change."""
    _ = text.gettext
    row = explained.row
    value = names.shown(explained.kpi, explained.figure, text)
    lines = []
    state = "none"
    if explained.kpi == "service_level":
        state = level_state(explained.figure, row["target"])
        if state != "none":
            points = _("{points} pts").format(points=text.points(explained.figure - row["target"]))
            words = f"{state_word(state, text)}, {points}"
            lines.append(f'<p class="state {state}"><i></i>{escape(words)}</p>')
        worst, best = text.percent(row["service_level_worst"]), text.percent(row["service_level_best"])
        if not row["settled"] and row["open"] and worst != best:
            range_words = _("Between {worst} and {best}, depending on the calls still waiting").format(
                worst=worst, best=best
            )
            lines.append(f"<p>{escape(range_words)}</p>")
    certainty = (
        _("Settled: only a late event could change it")
        if row["settled"]
        else _("Provisional: calls are open, or events may still come in")
    )
    kind = "settled" if row["settled"] else "provisional"
    lines.append(f'<p class="{kind}"><i></i>{escape(certainty)}</p>')
    if row["terms_changed"]:
        changed = _("The contract changed inside this window; each call is judged by the terms of its own time.")
        lines.append(f'<p class="changed"><i></i>{escape(changed)}</p>')
    name = " · ".join(
        filter(None, (names.figure(explained.kpi, text), explained.agent and (explained.agent_name or explained.agent)))
    )
    nil = ' class="nil"' if value == DASH else ""
    return (
        f'<section class="vigie-figure {state}"><h2>{escape(name)}</h2><b{nil}>{escape(value)}</b>'
        f"{''.join(lines)}</section>"
    )


def formula(explained: Explained, where: Selection, behind: str, text: Text) -> str:
    """Draw the formula twice: in words, and with the numbers of this window in it.

    A measure that counts calls links to them. Any other links to `behind`, the address of everything that the figure is
    made of, if there is one.
    """
    _ = text.gettext
    parts = fraction(explained)
    rule = f"<p>{escape(names.rule(explained.kpi, text))}</p>"
    above, below = parts.sums(explained)
    result = f"<b>{escape(names.shown(explained.kpi, explained.figure, text))}</b>"
    if parts.above is None:
        return f'<section class="vigie-formula">{rule}</section>'
    words = _fraction(
        _terms(parts.above, lambda name: f"<span>{escape(names.figure(name, text))}</span>"),
        _terms(parts.below, lambda name: f"<span>{escape(names.figure(name, text))}</span>"),
    )
    numbers = _fraction(
        _terms(parts.above, lambda name: _link(explained, where, name, behind, text)),
        _terms(parts.below, lambda name: _link(explained, where, name, behind, text)),
    )
    steps = [words, numbers]
    sides = [side.measures if side else () for side in (parts.above, parts.below)]
    if any(len(measures) > 1 for measures in sides):
        first_measures = [measures[0] if measures else "" for measures in sides]  # a sum has the unit of its first one
        label = names.figure(explained.kpi, text)
        sums = [
            _linked(escape(names.shown(measure, value, text)), label, behind if value else "")
            for measure, value in zip(first_measures, (above, below), strict=True)
        ]
        if explained.kpi == "service_level":
            sums = [
                _link(explained, where, name, behind, text) for name in ("service_level_hits", "service_level_base")
            ]
        steps += [_fraction(*sums)] if parts.below else []
    body = "".join(f'<span class="step"><span class="is">=</span>{step}</span>' for step in (*steps, result))
    name = f"<span class='of'>{escape(names.figure(explained.kpi, text))}</span>"
    return f'<section class="vigie-formula">{rule}<div class="line">{name}{body}</div></section>'


def _fraction(above: str, below: str) -> str:
    if not below:
        return f'<span class="sum">{above}</span>'
    return f'<span class="fraction"><span>{above}</span><span>{below}</span></span>'


def _terms(parts: Sum | None, draw: Callable[[str], str]) -> str:
    """Draw measures with their signs between them."""
    signed = parts.signed if parts else ()
    signs = ("", *("<i>+</i> " if sign > 0 else "<i>−</i> " for sign, _ in signed[1:]))
    return " ".join(sign + draw(name) for sign, (_, name) in zip(signs, signed, strict=False))


def _link(explained: Explained, where: Selection, name: str, behind: str, text: Text) -> str:
    """Draw a measure. One that counts calls links to them, any other to what is behind the whole figure."""
    address = href("calls", where.params(**LINKS[name], agent=explained.agent)) if name in LINKS else behind
    value = explained.row.get(name)
    is_linked = value is not None and (value or name not in LINKS)  # no link to an empty list
    shown = escape(names.shown(name, value, text))
    return _linked(shown, names.figure(name, text), address if is_linked else "")


def _linked(value: str, name: str, address: str) -> str:
    if not address:
        return f"<span>{value}</span>"
    return f'<a href="{escape(address)}" target="_self" aria-label="{value} {escape(name)}">{value}</a>'


def rule(kpi: str, text: Text) -> str:
    """Draw the formula in words only, for viewers who may not see its numbers."""
    name = escape(names.figure(kpi, text))
    return f'<section class="vigie-formula rule"><p><b>{name}</b> {escape(names.rule(kpi, text))}</p></section>'


def has_calls(kpi: str) -> bool:
    return kpi in BEHIND


def contract(explained: Explained, where: Selection, text: Text) -> str:
    """Draw the terms that judged calls of the window, each with a link to its calls."""
    _ = text.gettext
    if not explained.terms:
        return ""
    head = (_("In force"), _("Formula"), _("In time is"), _("Target"), _("Short abandon"), _("Calls judged"))
    return table.table(table.heads(head), [_term(term, where, text) for term in explained.terms], "terms", scrolls=True)


def _term(term: Term, where: Selection, text: Text) -> str:
    period, *words = terms_in_words(term, text)
    label = text.gettext("Calls judged")
    calls = figure_link(
        "service_level_base", term.calls, text.number(term.calls), _term_params(term, where), label, text
    )
    return table.row(escape(period), table.cells(words) + table.cell(calls))


def _term_params(term: Term, where: Selection) -> dict[str, str]:
    """Return the address parameters of the part of the window in which a term was in force."""
    first, until = (
        at.astimezone(ZoneInfo(where.campaign.timezone)).replace(tzinfo=None) for at in (where.t0, where.t1)
    )
    start, end = in_force(term, first, until)
    if (start, end) == (first, until):
        return where.params()
    return {"campaign": where.campaign.campaign, "from": start.isoformat(), "to": end.isoformat()}


def is_compared(explained: Explained) -> bool:
    """Return whether another system has a public formula for the figure."""
    return bool(explained.elsewhere) and explained.kpi in KPIS and bool(KPIS[explained.kpi].elsewhere)


def comparison(explained: Explained, text: Text) -> str:
    """Draw what each system would show for the same calls, as points on one scale, beside this figure."""
    _ = text.gettext
    own_name = _("Vigie, by the contract") if explained.terms else "Vigie"
    rows = [(own_name, explained.figure, "", True)]
    rows += [
        (names.system(other.system, text), other.value, names.other_formula(other.text, text), False)
        for other in explained.elsewhere
    ]
    target = explained.row["target"] if explained.kpi == "service_level" else None
    values = [value for value in (target, *(value for _, value, _, _ in rows)) if value is not None]
    low, high = scale(values, explained.kpi in names.RATIOS)
    body = "".join(_system(row, explained, (low, high), target, text) for row in rows)
    ends = (
        f"<span>{escape(_axis(low, explained.kpi, text))}</span><span>{escape(_axis(high, explained.kpi, text))}</span>"
    )
    note = ""
    if target is not None:
        note = table.note(_("Dashed: the contract’s target, {target}").format(target=text.percent(target, 0)))
    heads = table.head(escape(_("System"))) + table.head(escape(_("How it counts")), "how") + table.heads([""] * 3)
    return (
        f'<table class="vigie-systems"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody><tfoot><tr><td></td>'
        f'<td class="how"></td><td class="axis"><div>{ends}</div></td><td></td><td></td></tr></tfoot></table>{note}'
    )


def scale(values: list[float], ratio: bool) -> tuple[float, float]:
    """Return the ends of a scale that holds all values, in whole steps of 5 points or 10 s. It is never 0 wide."""
    step = 0.05 if ratio else 10.0
    if not values:
        return 0.0, step
    low, high = floor(min(values) / step + 1e-9) * step, ceil(max(values) / step - 1e-9) * step
    if high - low < 2 * step:
        low, high = (low - step, high) if low >= step else (low, high + step)
    return (max(0.0, low), min(1.0, high)) if ratio else (max(0.0, low), high)


def _axis(value: float, kpi: str, text: Text) -> str:
    return text.percent(value, 0) if kpi in names.RATIOS else text.duration(value)


def _system(
    row: tuple[str, float | None, str, bool],
    explained: Explained,
    ends: tuple[float, float],
    target: float | None,
    text: Text,
) -> str:
    name, value, how, is_own = row
    low, high = ends
    mark = ""
    if target is not None:
        mark += f'<hr style="left:{(target - low) / (high - low) * 100:.2f}%">'
    if value is not None:
        mark += f'<i style="left:{(value - low) / (high - low) * 100:.2f}%"></i>'
    gap = DASH if value is None or explained.figure is None else _gap(value - explained.figure, explained.kpi, text)
    shown = names.shown(explained.kpi, value, text)
    about = f"<small>{escape(how)}</small>" if how else ""
    cells = (
        table.cell(escape(how), "how")
        + table.cell(f"<div>{mark}</div>", "track")
        + table.cell(escape(shown), "value")
        + table.cell("" if is_own else escape(gap), "gap")
    )
    return table.row(escape(name) + about, cells, "own" if is_own else "other")


def _gap(difference: float, kpi: str, text: Text) -> str:
    _ = text.gettext
    if abs(difference) < (0.0005 if kpi in names.RATIOS else 0.5):
        return "="
    if kpi in names.RATIOS:
        return _("{points} pts").format(points=text.points(difference))
    sign = "+" if difference > 0 else "−" if difference < 0 else ""
    return f"{sign}{text.duration(abs(difference))}"
