"""A period against its contract in words and cards: its level, its distance to the target, and other figures."""

from datetime import date, timedelta
from html import escape
from itertools import pairwise
from typing import NamedTuple

from metrics.readers import Figures, Period, Sla
from pages.shared import names
from pages.shared.i18n import DASH, Text
from pages.shared.links import figure_link
from pages.shared.marks import level_state, state_word
from pages.shared.selection import DAY_MIN, wall


class Fact(NamedTuple):
    """A figure beside the level: its name in words, its value in words, the figure, and its value."""

    name: str
    shown: str
    figure: str
    value: float | None


def period(sla: Sla, text: Text) -> str:
    """Name the period inside a sentence: "October", with the year unless it is this year."""
    _ = text.gettext
    if not sla.period.is_month:
        return _("this day")
    is_this_year = sla.period.first.year == sla.today.year
    return text.month_name(sla.period.first) if is_this_year else text.month(sla.period.first)


def title(sla: Sla, text: Text) -> str:
    return text.month(sla.period.first) if sla.period.is_month else text.day(sla.period.first)


def distance(sla: Sla, text: Text) -> str:
    """Say how far the period is from its target in calls; empty when that is not known.

    During the period, say how many of the calls still to come may be late, if it is known how many are usual. If not,
    say what the next calls would do.
    """
    if sla.is_over:
        words = _at_the_end(sla, text)
    else:
        words = _by_the_end(sla, text) if sla.outlook else _by_the_next_calls(sla, text)
    return words[:1].upper() + words[1:]


def _by_the_end(sla: Sla, text: Text) -> str:
    """Say how the period ends if as many calls come as usual."""
    outlook = sla.outlook
    if outlook is None:
        return ""
    _ = text.gettext
    late, calls = outlook.may_be_late, outlook.calls
    best = text.percent(outlook.best) if late is not None else percent_below(outlook.best, outlook.target, text)
    if not calls and late is None:
        sentence = _("{period} ends at {best} and misses {target}: usually no more calls come")
    elif not calls:
        sentence = _("{period} ends at {best} and reaches {target}: usually no more calls come")
    elif late is None:
        sentence = text.ngettext(
            "{period} can no longer reach {target}: with the {calls} call still to come in time, it ends at {best}",
            "{period} can no longer reach {target}: with all of about {calls} calls still to come in time, it ends at "
            "{best}",
            calls,
        )
    elif late >= calls:
        sentence = text.ngettext(
            "{period} reaches {target} even if the {calls} call still to come is late",
            "{period} reaches {target} even if all of about {calls} calls still to come are late",
            calls,
        )
    elif not late:
        sentence = text.ngettext(
            "{period} reaches {target} only if the {calls} call still to come is in time",
            "{period} reaches {target} only if all of about {calls} calls still to come are in time",
            calls,
        )
    else:
        sentence = text.ngettext(
            "{period} reaches {target} if at most {late} of about {calls} calls still to come is late",
            "{period} reaches {target} if at most {late} of about {calls} calls still to come are late",
            late,
        )
    return sentence.format(
        period=period(sla, text),
        target=text.target(outlook.target),
        calls=text.number(calls),
        late=text.number(late),
        best=best,
    )


def _by_the_next_calls(sla: Sla, text: Text) -> str:
    """Say how many more calls, all late or all in time, would change the verdict, under the terms now in force."""
    distance = sla.distance
    if distance is None:
        return ""
    if distance.until_missed is not None and sla.target_moves:
        sentence = text.ngettext(
            "{n} more late call under the terms now in force (target {own}) and {period} is off target, at {level}",
            "{n} more late calls under the terms now in force (target {own}) and {period} is off target, at {level}",
            distance.until_missed,
        )
    elif distance.until_missed is not None:
        sentence = text.ngettext(
            "{n} more late call and {period} misses {target}",
            "{n} more late calls and {period} misses {target}",
            distance.until_missed,
        )
    elif distance.until_reached is not None and sla.target_moves:
        sentence = text.ngettext(
            "It would take {n} more call in time under the terms now in force (target {own}) for {period} to be on "
            "target, at {level}",
            "It would take {n} more calls in time under the terms now in force (target {own}) for {period} to be on "
            "target, at {level}",
            distance.until_reached,
        )
    elif distance.until_reached is not None:
        sentence = text.ngettext(
            "It would take {n} more call in time for {period} to reach {target}",
            "It would take {n} more calls in time for {period} to reach {target}",
            distance.until_reached,
        )
    else:  # with several targets nothing is said: later terms may ask for less
        sentence = "" if distance.is_met or sla.target_moves else text.gettext("{period} can no longer reach {target}")
    return sentence.format(
        n=text.number(distance.until_missed or distance.until_reached),
        period=period(sla, text),
        target=text.target(sla.target),
        own=text.target(sla.next_target),
        level=text.target(distance.level_then),
    )


def percent_below(level: float, target: float, text: Text) -> str:
    """Format a level below its target with enough digits to show that: 84.96 %, not 85.0 %."""
    digits = next((digits for digits in (1, 2, 3) if round(level, digits + 2) < round(target, digits + 2)), 4)
    return text.percent(level, digits)


def outlook(sla: Sla, text: Text) -> list[str]:
    """Say what the outlook is based on and how the period ends, in sentences without a full stop."""
    outlook = sla.outlook
    if outlook is None:
        return []
    _ = text.gettext
    sentences = [_("Calls still to come: as many as on the same weekdays of the last four weeks")]
    if outlook.calls:
        sentence = _("If they go as on those days, {period} ends at about {level}")
        sentences.append(sentence.format(period=period(sla, text), level=text.percent(outlook.expected)))
    if sla.target_moves:
        sentence = _("The target depends on how many calls fall under each term: {now} so far, {end} at the end")
        sentences.append(sentence.format(now=text.target(sla.target), end=text.target(outlook.target)))
    return sentences


def target_words(sla: Sla, text: Text) -> str:
    """Say the target. During a period of several targets it is that of the calls so far."""
    if sla.target_moves and not sla.is_over:
        return text.gettext("Target so far {target}").format(target=text.target(sla.target))
    return text.gettext("Target {target}").format(target=text.target(sla.target))


def _at_the_end(sla: Sla, text: Text) -> str:
    distance = sla.distance
    if distance is None:
        return ""
    if distance.too_late is not None:
        sentence = text.ngettext(
            "{period} missed {target} by {n} late call",
            "{period} missed {target} by {n} late calls",
            distance.too_late,
        )
    elif not distance.could_be_late:
        sentence = text.gettext("{period} reached {target}, with no call to spare")
    else:
        sentence = text.ngettext(
            "{period} reached {target}, with {n} call to spare",
            "{period} reached {target}, with {n} calls to spare",
            distance.could_be_late,
        )
    n = text.number(distance.too_late or distance.could_be_late)
    return sentence.format(n=n, period=period(sla, text), target=text.target(sla.target))


def certainty(sla: Sla, text: Text) -> str:
    """Say whether the figures can still change."""
    _ = text.gettext
    if sla.settled:
        return _("Settled: only a late event could change it")
    if sla.is_over:
        return _("Provisional: calls are open, or events may still come in")
    return _("Provisional: the period is not over")


def bounds(sla: Sla, text: Text) -> str:
    """Say between which bounds open calls can still move the service level; empty when none is open."""
    total = sla.total
    worst, best = text.percent(total.service_level_worst), text.percent(total.service_level_best)
    if not total.open or worst == best:
        return ""
    sentence = text.gettext("Between {worst} and {best}, depending on the calls still waiting")
    return sentence.format(worst=worst, best=best)


def known_from(sla: Sla, text: Text) -> str:
    """Say since when calls are known, and how many days of a month that leaves out; empty when all of it is known."""
    if sla.known_from is None:
        return ""
    zone = sla.campaign.timezone
    at = f"{text.date_of(sla.known_from, zone)} {text.clock(sla.known_from, zone)}"
    missing_days = unknown(sla)
    if not missing_days:
        return text.gettext("No calls are known before {at}").format(at=at)
    sentence = text.ngettext(
        "No calls are known before {at}: {n} of {of} days is missing",
        "No calls are known before {at}: {n} of {of} days are missing",
        missing_days,
    )
    return sentence.format(at=at, n=text.number(missing_days), of=text.number(days_of(sla.period)))


def without_calls(sla: Sla, text: Text) -> str:
    """Name the days without a call: "Sun 1, Sun 8 – Tue 10"; empty when there are none."""
    days = sla.days_without_calls
    if not days:
        return ""
    breaks = [n for n, (day, following) in enumerate(pairwise(days), start=1) if (following - day).days > 1]
    runs = [days[start:end] for start, end in pairwise((0, *breaks, len(days)))]
    return ", ".join(" – ".join(text.short_day(day) for day in dict.fromkeys((run[0], run[-1]))) for run in runs)


def coverage(sla: Sla, text: Text) -> list[str]:
    """Say for which parts of the period no call is known, in sentences without a full stop."""
    sentences = [known_from(sla, text)]
    if days := without_calls(sla, text):
        sentences.append(text.gettext("Days without a call: {days}").format(days=days))
    return list(filter(None, sentences))


def verdict(sla: Sla, text: Text) -> str:
    """Say how the level compares with its target, in a word and in points."""
    level = sla.total.service_level
    state = level_state(level, sla.target)
    if level is None or sla.target is None:
        return state_word(state, text)
    points = text.gettext("{points} pts").format(points=text.points(level - sla.target))
    return f"{state_word(state, text)}, {points}"


def headline(sla: Sla, text: Text) -> str:
    """Draw the level, its distance to the target, and the figures beside it."""
    _ = text.gettext
    state = level_state(sla.total.service_level, sla.target)
    level = text.percent(sla.total.service_level)
    nil = ' class="nil"' if level == DASH else ""
    kind = "settled" if sla.settled else "provisional"
    distance_words = distance(sla, text)
    lines = [f'<p class="state {state}"><i></i>{escape(verdict(sla, text))}</p>' if state != "none" else ""]
    lines += [f"<p class='distance'>{escape(distance_words)}</p>" if distance_words else ""]
    lines += [f"<p>{escape(words)}</p>" for words in outlook(sla, text)]
    lines += [f"<p>{escape(bounds(sla, text))}</p>" if bounds(sla, text) else ""]
    lines += [f'<p class="{kind}"><i></i>{escape(certainty(sla, text))}</p>']
    lines += [f'<p class="changed"><i></i>{escape(words)}</p>' for words in coverage(sla, text)]
    if len(sla.terms) > 1:
        changed = _("The contract changed inside this window; each call is judged by the terms of its own time.")
        lines.append(f'<p class="changed"><i></i>{escape(changed)}</p>')
    cards = "".join(_card(fact, sla, text) for fact in facts(sla, text))
    level_value, label = sla.total.service_level, _("Service level")
    level_link = figure_link("service_level", level_value, escape(level), period_params(sla), label, text)
    return (
        f'<div class="vigie-sla"><section class="vigie-figure {state}"><h2>{escape(_("Service level"))} · '
        f"{escape(target_words(sla, text))}</h2><b{nil}>{level_link}</b>{''.join(lines)}</section>"
        f'<div class="facts">{cards}</div></div>'
    )


def _nil_class(value: str) -> str:
    return ' class="nil"' if value == DASH else ""


def _card(fact: Fact, sla: Sla, text: Text) -> str:
    """Draw a figure with a link to what is behind it, if there is anything."""
    value = figure_link(fact.figure, fact.value, escape(fact.shown), period_params(sla), fact.name, text)
    return f'<div class="card"><span>{escape(fact.name)}</span><b{_nil_class(fact.shown)}>{value}</b></div>'


def period_params(sla: Sla, start: int = 0, end: int = 0) -> dict[str, str]:
    """Return the address parameters of the period, or of the minutes `[start, end)` of its day."""
    params = {"campaign": sla.campaign.campaign}
    period = sla.period
    if period.is_month:
        return params | {"from": period.first.isoformat(), "to": period.until.isoformat()}
    if not end:
        return params | {"day": period.first.isoformat()}
    last = period.until if end == DAY_MIN else period.first
    return params | {"from": f"{period.first}T{wall(start)}", "to": f"{last}T{wall(end % DAY_MIN)}"}


def facts(sla: Sla, text: Text) -> tuple[Fact, ...]:
    """Return the figures beside the level."""
    _ = text.gettext
    total = sla.total
    with_calls = total if total.offered else None
    counts = (
        (_("Offered"), "offered", with_calls.offered if with_calls else None),
        (_("Answered"), "answered", with_calls.answered if with_calls else None),
        (_("In time"), "service_level_hits", with_calls.service_level_hits if with_calls else None),
        (_("Late"), "late", late(with_calls) if with_calls else None),
    )
    return (
        *(Fact(name, text.number(n), figure, n) for name, figure, n in counts),
        Fact(_("Abandon rate"), text.percent(total.abandon_rate), "abandon_rate", total.abandon_rate),
        Fact(_("ASA"), text.duration(total.asa_s), "asa_s", total.asa_s),
    )


def late(figures: Figures) -> int:
    """Return the calls that count for the service level and were not in time."""
    return figures.service_level_base - figures.service_level_hits


def uncounted(figures: Figures) -> int:
    """Return the offered calls that the contract's formula leaves out, or does not count yet."""
    return figures.offered - figures.service_level_base


def unknown(sla: Sla) -> int:
    """Return the number of days at the start of a month of which nothing is known."""
    return (sla.days[0].day - sla.period.first).days if sla.days else 0


def days_of(period: Period) -> int:
    return (period.until - period.first).days


def last_day(period: Period) -> date:
    return period.until - timedelta(days=1)


def conservation(sla: Sla, text: Text) -> str:
    return names.identity(sla.total, text)


def as_of(sla: Sla, text: Text) -> str:
    """Say as of which instant the figures are, in the campaign's local time."""
    zone = sla.campaign.timezone
    at = f"{text.date_of(sla.freshness.as_of, zone)} {text.clock(sla.freshness.as_of, zone, seconds=True)}"
    return text.gettext("Data as of {at}, {zone}").format(at=at, zone=zone)
