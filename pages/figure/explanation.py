"""A figure that explains itself: its formula with the numbers in it, its contract, and what other systems print."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from math import ceil, floor
from zoneinfo import ZoneInfo

from metrics.compose import KPIS
from metrics.kpi import Sum, sum_of
from metrics.outcomes import PARTS
from metrics.readers import BEHIND, Explained, Term
from metrics.service_level import FORMULAS
from pages.shared import names, table
from pages.shared.i18n import DASH, Text
from pages.shared.links import LINKS, figure_link
from pages.shared.marks import level_state, state_word
from pages.shared.selection import Selection, href
from pages.shared.terms import in_force, terms_in_words


@dataclass(frozen=True)
class Fraction:
    """What a figure is the quotient of; without a denominator it is the sum, without a numerator a single value."""

    above: Sum | None = None
    below: Sum | None = None

    def sums(self, one: Explained) -> tuple[float | None, float | None]:
        """Return numerator and denominator: None when there is none, or one of its parts is unknown."""
        return _sum(self.above, one), _sum(self.below, one)


def fraction(one: Explained) -> Fraction:
    """Return the parts of a figure. A service level across several formulas has only what each contract counted."""
    if one.kpi == "offered":
        return Fraction(sum_of(*PARTS))
    kpi = KPIS[one.kpi]
    if kpi.denominator is None:
        return Fraction()
    by_contract = Fraction(kpi.numerator, kpi.denominator)
    if one.kpi != "service_level":
        return by_contract
    formulas = {term.formula for term in one.terms}
    if len(formulas) != 1:
        return by_contract
    formula = FORMULAS[formulas.pop()]
    counted = Fraction(formula.numerator, formula.denominator)
    return counted if counted.sums(one) == by_contract.sums(one) else by_contract


def _sum(parts: Sum | None, one: Explained) -> float | None:
    if parts is None:
        return None
    values: list[tuple[int, float | None]] = [(sign, one.row.get(name)) for sign, name in parts.signed]
    if any(value is None for _, value in values):
        return None
    return sum((sign * value for sign, value in values if value is not None), start=0)


def figure(one: Explained, text: Text) -> str:
    """Draw the figure, how it stands to its target, and whether it can still move."""
    _ = text.gettext
    row = one.row
    value = names.shown(one.kpi, one.figure, text)
    lines = []
    state = "none"
    if one.kpi == "service_level":
        state = level_state(one.figure, row["target"])
        if state != "none":
            points = _("{points} pts").format(points=text.points(one.figure - row["target"]))
            words = f"{state_word(state, text)}, {points}"
            lines.append(f'<p class="state {state}"><i></i>{escape(words)}</p>')
        worst, best = text.percent(row["service_level_worst"]), text.percent(row["service_level_best"])
        if not row["settled"] and row["open"] and worst != best:
            said = _("Between {worst} and {best}, by what becomes of the calls that still wait").format(
                worst=worst, best=best
            )
            lines.append(f"<p>{escape(said)}</p>")
    settled = (
        _("Settled: only a late event could move it")
        if row["settled"]
        else _("Provisional: calls are open, or events may still come in")
    )
    kind = "settled" if row["settled"] else "provisional"
    lines.append(f'<p class="{kind}"><i></i>{escape(settled)}</p>')
    if row["terms_changed"]:
        changed = _("The contract changed inside this window; each call is judged by the terms of its own time.")
        lines.append(f'<p class="changed"><i></i>{escape(changed)}</p>')
    name = " · ".join(filter(None, (names.figure(one.kpi, text), one.agent and (one.agent_name or one.agent))))
    nil = ' class="nil"' if value == DASH else ""
    return (
        f'<section class="vigie-figure {state}"><h2>{escape(name)}</h2><b{nil}>{escape(value)}</b>'
        f"{''.join(lines)}</section>"
    )


def formula(one: Explained, where: Selection, behind: str, text: Text) -> str:
    """Draw the formula twice: in words, and with the numbers of this window in it.

    What has no calls of its own in it leads to `behind`, the address of what all of it is made of, if there is one.
    """
    _ = text.gettext
    parts = fraction(one)
    rule = f"<p>{escape(names.rule(one.kpi, text))}</p>"
    above, below = parts.sums(one)
    result = f"<b>{escape(names.shown(one.kpi, one.figure, text))}</b>"
    if parts.above is None:
        return f'<section class="vigie-formula">{rule}</section>'
    words = _fraction(
        _terms(parts.above, lambda name: f"<span>{escape(names.figure(name, text))}</span>"),
        _terms(parts.below, lambda name: f"<span>{escape(names.figure(name, text))}</span>"),
    )
    numbers = _fraction(
        _terms(parts.above, lambda name: _link(one, where, name, behind, text)),
        _terms(parts.below, lambda name: _link(one, where, name, behind, text)),
    )
    steps = [words, numbers]
    sides = [side.measures if side else () for side in (parts.above, parts.below)]
    if any(len(measures) > 1 for measures in sides):
        kinds = [measures[0] if measures else "" for measures in sides]
        whole = names.figure(one.kpi, text)
        shown = [
            _led(escape(names.shown(kind, value, text)), whole, behind if value else "")
            for kind, value in zip(kinds, (above, below), strict=True)
        ]
        if one.kpi == "service_level":
            shown = [_link(one, where, name, behind, text) for name in ("service_level_hits", "service_level_base")]
        steps += [_fraction(*shown)] if parts.below else []
    body = "".join(f'<span class="step"><span class="is">=</span>{step}</span>' for step in (*steps, result))
    name = f"<span class='of'>{escape(names.figure(one.kpi, text))}</span>"
    return f'<section class="vigie-formula">{rule}<div class="line">{name}{body}</div></section>'


def _fraction(above: str, below: str) -> str:
    if not below:
        return f'<span class="sum">{above}</span>'
    return f'<span class="fraction"><span>{above}</span><span>{below}</span></span>'


def _terms(parts: Sum | None, draw: Callable[[str], str]) -> str:
    """Draw measures with the signs between them."""
    signed = parts.signed if parts else ()
    signs = ("", *("<i>+</i> " if sign > 0 else "<i>−</i> " for sign, _ in signed[1:]))
    return " ".join(sign + draw(name) for sign, (_, name) in zip(signs, signed, strict=False))


def _link(one: Explained, where: Selection, name: str, behind: str, text: Text) -> str:
    """Draw a value; a count of calls leads to them, another value to what is behind the whole figure."""
    address = href("calls", where.params(**LINKS[name], agent=one.agent)) if name in LINKS else behind
    value = one.row.get(name)
    leads_on = value is not None and (value or name not in LINKS)  # not to a list of no calls
    shown = escape(names.shown(name, value, text))
    return _led(shown, names.figure(name, text), address if leads_on else "")


def _led(value: str, name: str, address: str) -> str:
    if not address:
        return f"<span>{value}</span>"
    return f'<a href="{escape(address)}" target="_self" aria-label="{value} {escape(name)}">{value}</a>'


def rule(kpi: str, text: Text) -> str:
    """Draw the formula in words only, where its numbers are not told."""
    name = escape(names.figure(kpi, text))
    return f'<section class="vigie-formula rule"><p><b>{name}</b> {escape(names.rule(kpi, text))}</p></section>'


def has_calls(kpi: str) -> bool:
    return kpi in BEHIND


def contract(one: Explained, where: Selection, text: Text) -> str:
    """Draw the terms that judged calls of the window, with how many each, which lead to them."""
    _ = text.gettext
    if not one.terms:
        return ""
    head = (_("In force"), _("Formula"), _("In time is"), _("Target"), _("Short abandon"), _("Calls judged"))
    return table.table(table.heads(head), [_term(term, where, text) for term in one.terms], "terms", scrolls=True)


def _term(term: Term, where: Selection, text: Text) -> str:
    held, *words = terms_in_words(term, text)
    label = text.gettext("Calls judged")
    calls = figure_link("service_level_base", term.calls, text.number(term.calls), _span(term, where), label, text)
    return table.row(escape(held), table.cells(words) + table.cell(calls))


def _span(term: Term, where: Selection) -> dict[str, str]:
    """Return the parameters of an address that is about the part of the window in which a term was in force."""
    first, until = (
        at.astimezone(ZoneInfo(where.campaign.timezone)).replace(tzinfo=None) for at in (where.t0, where.t1)
    )
    start, end = in_force(term, first, until)
    if (start, end) == (first, until):
        return where.params()
    return {"campaign": where.campaign.campaign, "from": start.isoformat(), "to": end.isoformat()}


def is_compared(one: Explained) -> bool:
    """Say whether any other system has a public formula for the figure."""
    return bool(one.elsewhere) and one.kpi in KPIS and bool(KPIS[one.kpi].elsewhere)


def comparison(one: Explained, text: Text) -> str:
    """Draw what each system would print from the same calls, as points on one scale, beside this figure."""
    _ = text.gettext
    own = _("Vigie, by the contract") if one.terms else "Vigie"
    rows = [(own, one.figure, "", True)]
    rows += [
        (names.system(other.system, text), other.value, names.other_formula(other.text, text), False)
        for other in one.elsewhere
    ]
    target = one.row["target"] if one.kpi == "service_level" else None
    known = [value for value in (target, *(value for _, value, _, _ in rows)) if value is not None]
    low, high = scale(known, one.kpi in names.RATIOS)
    drawn = "".join(_system(row, one, (low, high), target, text) for row in rows)
    ends = f"<span>{escape(_axis(low, one.kpi, text))}</span><span>{escape(_axis(high, one.kpi, text))}</span>"
    note = ""
    if target is not None:
        note = table.note(_("Dashed: the contract’s target, {target}").format(target=text.percent(target, 0)))
    heads = table.head(escape(_("System"))) + table.head(escape(_("How it counts")), "how") + table.heads([""] * 3)
    return (
        f'<table class="vigie-systems"><thead><tr>{heads}</tr></thead><tbody>{drawn}</tbody><tfoot><tr><td></td>'
        f'<td class="how"></td><td class="axis"><div>{ends}</div></td><td></td><td></td></tr></tfoot></table>{note}'
    )


def scale(values: list[float], ratio: bool) -> tuple[float, float]:
    """Return the ends of a scale that holds all values: whole steps of 5 points, or of 10 s, and never 0 wide."""
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
    one: Explained,
    ends: tuple[float, float],
    target: float | None,
    text: Text,
) -> str:
    name, value, how, own = row
    low, high = ends
    mark = ""
    if target is not None:
        mark += f'<hr style="left:{(target - low) / (high - low) * 100:.2f}%">'
    if value is not None:
        mark += f'<i style="left:{(value - low) / (high - low) * 100:.2f}%"></i>'
    gap = DASH if value is None or one.figure is None else _gap(value - one.figure, one.kpi, text)
    shown = names.shown(one.kpi, value, text)
    about = f"<small>{escape(how)}</small>" if how else ""
    cells = (
        table.cell(escape(how), "how")
        + table.cell(f"<div>{mark}</div>", "track")
        + table.cell(escape(shown), "value")
        + table.cell("" if own else escape(gap), "gap")
    )
    return table.row(escape(name) + about, cells, "own" if own else "other")


def _gap(difference: float, kpi: str, text: Text) -> str:
    _ = text.gettext
    if abs(difference) < (0.0005 if kpi in names.RATIOS else 0.5):
        return "="
    if kpi in names.RATIOS:
        return _("{points} pts").format(points=text.points(difference))
    sign = "+" if difference > 0 else "−" if difference < 0 else ""
    return f"{sign}{text.duration(abs(difference))}"
