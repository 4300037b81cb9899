"""A period against its contract: its level, its distance to the target, and what stands beside, in words and cards."""

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
    """What stands beside the level: its name, what is shown, which figure it is, and its value."""

    name: str
    shown: str
    figure: str
    value: float | None


def period(one: Sla, text: Text) -> str:
    """Name the period for the inside of a sentence: "October", with its year when that is another."""
    _ = text.gettext
    if not one.period.is_month:
        return _("this day")
    is_this_year = one.period.first.year == one.today.year
    return text.month_name(one.period.first) if is_this_year else text.month(one.period.first)


def title(one: Sla, text: Text) -> str:
    return text.month(one.period.first) if one.period.is_month else text.day(one.period.first)


def distance(one: Sla, text: Text) -> str:
    """Say how far the period is from its target in calls; nothing when that is not known.

    While it lasts, and it is known how many calls are usual for the rest of it, say how many of those may be late; else
    what the next calls would do.
    """
    if one.is_over:
        words = _past(one, text)
    else:
        words = _by_the_end(one, text) if one.outlook else _by_the_next_calls(one, text)
    return words[:1].upper() + words[1:]


def _by_the_end(one: Sla, text: Text) -> str:
    """Say what becomes of the period when as many calls come as usual."""
    ahead = one.outlook
    if ahead is None:
        return ""
    _ = text.gettext
    late, calls = ahead.may_be_late, ahead.calls
    best = text.percent(ahead.best) if late is not None else short_of(ahead.best, ahead.target, text)
    if not calls and late is None:
        said = _("{period} ends at {best} and misses {target}: usually no more calls come")
    elif not calls:
        said = _("{period} ends at {best} and reaches {target}: usually no more calls come")
    elif late is None:
        said = text.ngettext(
            "{period} can no longer reach {target}: with the {calls} call still to come in time, it ends at {best}",
            "{period} can no longer reach {target}: with all of about {calls} calls still to come in time, it ends at "
            "{best}",
            calls,
        )
    elif late >= calls:
        said = text.ngettext(
            "{period} reaches {target} even if the {calls} call still to come is late",
            "{period} reaches {target} even if all of about {calls} calls still to come are late",
            calls,
        )
    elif not late:
        said = text.ngettext(
            "{period} reaches {target} only if the {calls} call still to come is in time",
            "{period} reaches {target} only if all of about {calls} calls still to come are in time",
            calls,
        )
    else:
        said = text.ngettext(
            "{period} reaches {target} if at most {late} of about {calls} calls still to come is late",
            "{period} reaches {target} if at most {late} of about {calls} calls still to come are late",
            late,
        )
    return said.format(
        period=period(one, text),
        target=text.target(ahead.target),
        calls=text.number(calls),
        late=text.number(late),
        best=best,
    )


def _by_the_next_calls(one: Sla, text: Text) -> str:
    """Say what so many calls would do that come next: all late, or all in time, under the terms now in force."""
    away = one.distance
    if away is None:
        return ""
    if away.until_missed is not None and one.target_moves:
        said = text.ngettext(
            "{n} more late call under the terms now in force (target {own}) and {period} is off target, at {level}",
            "{n} more late calls under the terms now in force (target {own}) and {period} is off target, at {level}",
            away.until_missed,
        )
    elif away.until_missed is not None:
        said = text.ngettext(
            "{n} more late call and {period} misses {target}",
            "{n} more late calls and {period} misses {target}",
            away.until_missed,
        )
    elif away.until_reached is not None and one.target_moves:
        said = text.ngettext(
            "It would take {n} more call in time under the terms now in force (target {own}) for {period} to be on "
            "target, at {level}",
            "It would take {n} more calls in time under the terms now in force (target {own}) for {period} to be on "
            "target, at {level}",
            away.until_reached,
        )
    elif away.until_reached is not None:
        said = text.ngettext(
            "It would take {n} more call in time for {period} to reach {target}",
            "It would take {n} more calls in time for {period} to reach {target}",
            away.until_reached,
        )
    else:  # later terms may ask for less
        said = "" if away.is_met or one.target_moves else text.gettext("{period} can no longer reach {target}")
    return said.format(
        n=text.number(away.until_missed or away.until_reached),
        period=period(one, text),
        target=text.target(one.target),
        own=text.target(one.next_target),
        level=text.target(away.level_then),
    )


def short_of(level: float, target: float, text: Text) -> str:
    """Format a level that is below its target, so that it is seen to be: 84.96 % is not 85.0 %."""
    digits = next((digits for digits in (1, 2, 3) if round(level, digits + 2) < round(target, digits + 2)), 4)
    return text.percent(level, digits)


def outlook(one: Sla, text: Text) -> list[str]:
    """Say what the outlook rests on and where the period ends, in sentences without their full stop."""
    ahead = one.outlook
    if ahead is None:
        return []
    _ = text.gettext
    said = [_("Calls still to come: as many as on the same weekdays of the last four weeks")]
    if ahead.calls:
        words = _("If they go as on those days, {period} ends at about {level}")
        said.append(words.format(period=period(one, text), level=text.percent(ahead.expected)))
    if one.target_moves:
        words = _("The target moves with the calls that each term judges: {now} so far, {end} at the end")
        said.append(words.format(now=text.target(one.target), end=text.target(ahead.target)))
    return said


def aim(one: Sla, text: Text) -> str:
    """Say what is asked for; it is that of the calls so far while the period lasts and its terms differ."""
    if one.target_moves and not one.is_over:
        return text.gettext("Target so far {target}").format(target=text.target(one.target))
    return text.gettext("Target {target}").format(target=text.target(one.target))


def _past(one: Sla, text: Text) -> str:
    away = one.distance
    if away is None:
        return ""
    if away.too_late is not None:
        said = text.ngettext(
            "{period} missed {target} by {n} late call",
            "{period} missed {target} by {n} late calls",
            away.too_late,
        )
    elif not away.could_be_late:
        said = text.gettext("{period} reached {target}, with no call to spare")
    else:
        said = text.ngettext(
            "{period} reached {target}, with {n} call to spare",
            "{period} reached {target}, with {n} calls to spare",
            away.could_be_late,
        )
    n = text.number(away.too_late or away.could_be_late)
    return said.format(n=n, period=period(one, text), target=text.target(one.target))


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
        return text.gettext("No calls are known before {at}").format(at=at)
    said = text.ngettext(
        "No calls are known before {at}: {n} of {of} days is missing",
        "No calls are known before {at}: {n} of {of} days are missing",
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
    far = distance(one, text)
    lines = [f'<p class="state {state}"><i></i>{escape(verdict(one, text))}</p>' if state != "none" else ""]
    lines += [f"<p class='distance'>{escape(far)}</p>" if far else ""]
    lines += [f"<p>{escape(words)}</p>" for words in outlook(one, text)]
    lines += [f"<p>{escape(bounds(one, text))}</p>" if bounds(one, text) else ""]
    lines += [f'<p class="{kind}"><i></i>{escape(certainty(one, text))}</p>']
    lines += [f'<p class="changed"><i></i>{escape(words)}</p>' for words in coverage(one, text)]
    if len(one.terms) > 1:
        changed = _("The contract changed inside this window; each call is judged by the terms of its own time.")
        lines.append(f'<p class="changed"><i></i>{escape(changed)}</p>')
    cards = "".join(_card(fact, one, text) for fact in facts(one, text))
    reached, words = one.total.service_level, _("Service level")
    way = figure_link("service_level", reached, escape(level), asked_of(one), words, text)
    return (
        f'<div class="vigie-sla"><section class="vigie-figure {state}"><h2>{escape(_("Service level"))} · '
        f"{escape(aim(one, text))}</h2><b{nil}>{way}</b>{''.join(lines)}</section>"
        f'<div class="facts">{cards}</div></div>'
    )


def nil_of(value: str) -> str:
    return ' class="nil"' if value == DASH else ""


def _card(fact: Fact, one: Sla, text: Text) -> str:
    """Draw a figure, which leads to what is behind it, unless that is nothing."""
    value = figure_link(fact.figure, fact.value, escape(fact.shown), asked_of(one), fact.name, text)
    return f'<div class="card"><span>{escape(fact.name)}</span><b{nil_of(fact.shown)}>{value}</b></div>'


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
    counts = (
        (_("Offered"), "offered", known.offered if known else None),
        (_("Answered"), "answered", known.answered if known else None),
        (_("In time"), "service_level_hits", known.service_level_hits if known else None),
        (_("Late"), "late", late(known) if known else None),
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


def unknown(one: Sla) -> int:
    """Return of how many days, the first ones of a month, nothing is known."""
    return (one.days[0].day - one.period.first).days if one.days else 0


def days_of(period: Period) -> int:
    return (period.until - period.first).days


def last_day(period: Period) -> date:
    return period.until - timedelta(days=1)


def conservation(one: Sla, text: Text) -> str:
    return names.identity(one.total, text)


def as_of(one: Sla, text: Text) -> str:
    """Say when the figures were what they are, in the campaign's time."""
    zone = one.campaign.timezone
    at = f"{text.date_of(one.freshness.as_of, zone)} {text.clock(one.freshness.as_of, zone, seconds=True)}"
    return text.gettext("Data as of {at}, {zone}").format(at=at, zone=zone)
