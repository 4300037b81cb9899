"""The agents as a table, drawn once a snapshot for everybody who sees the same of them in one language.

The words are those of somebody who comes to help: who may need a hand, who is due a break, whom to relieve.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape

from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import AgentLimits
from metrics.readers import NEEDS, Agent, AgentDay, Agents, Need, Pauses
from pages.shared import names, table
from pages.shared.i18n import DASH, NBSP, Text, plain
from pages.shared.marks import state_mark
from pages.shared.selection import href

SHOWN = 200
"""Rows drawn at most: a longer list is for a filter, and would make every tick heavy."""
KEPT = 100
SHAPES = {"busy": "busy", "wrap_up": "wrap-up", "available": "available", "paused": "paused"}
NEEDS_SOMEBODY = "needs"
PRESSING = ("hold", "break_due", "call", "too_busy")
"""These needs have the stronger mark."""

_drawn: dict[object, tuple[object, str]] = {}


@dataclass(frozen=True)
class Chosen:
    """Which agents: of a team, of a site, working for a campaign, in one of readers.STATES or NEEDS_SOMEBODY."""

    team: str | None = None
    site: str | None = None
    campaign: str | None = None
    state: str | None = None

    def among(self, agents: Iterable[Agent]) -> Iterator[Agent]:
        """Yield the agents that are chosen; who is offline is chosen only by that state."""
        for one in agents:
            if self.state == NEEDS_SOMEBODY:
                fits = bool(one.needs)
            else:
                fits = one.state == self.state if self.state else one.state != "offline"
            if fits and self.team in (None, one.team) and self.site in (None, one.site):
                yield one


@dataclass(frozen=True)
class Cell:
    """A number of the table and its mark, where it leads and what is said of that; `below` are lines of HTML."""

    value: str
    mark: str = ""
    address: str = ""
    about: str = ""
    below: tuple[str, ...] = ()


def draw(found: Agents, chosen: Chosen, viewer: Viewer, text: Text, *, stale: bool) -> str:
    """Return the HTML of what needs somebody, and of the table."""
    key = (viewer.campaigns, viewer.sites, chosen, text.language, href("calls", {}))
    snapshot, html = _drawn.get(key, (None, ""))
    if snapshot != found.freshness.snapshot:
        agents = tuple(chosen.among(found.agents))
        html = agents_table(agents, found.limits, text, chosen.campaign)
        if agents or chosen.state == NEEDS_SOMEBODY:  # that nobody needs help is no news of nobody
            html = attention(agents, found.limits, text) + html
        _drawn.pop(key, None)
        _drawn[key] = (found.freshness.snapshot, html)
        while len(_drawn) > KEPT:
            del _drawn[next(iter(_drawn))]
    return f'<div class="vigie-agents{" stale" if stale else ""}">{html}</div>'


def attention(agents: tuple[Agent, ...], limits: AgentLimits, text: Text) -> str:
    """Draw how many agents these are, and how many need somebody, and for what, the most pressing first."""
    _ = text.gettext
    counts = Counter(need.kind for one in agents for need in one.needs)
    said = [
        (_mark(kind), f"{text.number(counts[kind])} {_counted(kind, limits, text)}") for kind in NEEDS if counts[kind]
    ] or [("met", _("Nobody needs help right now"))]
    marks = "".join(state_mark(mark, words) for mark, words in said)
    whole = text.ngettext("{n} agent", "{n} agents", len(agents)).format(n=text.number(len(agents)))
    return f'<p class="needs"><span>{escape(whole)}</span>{marks}</p>'


def _counted(kind: str, limits: AgentLimits, text: Text) -> str:
    _ = text.gettext
    words = {
        "hold": _("long on hold"),
        "break_due": _("without their break") if limits.sites else _("without a break of {break_}"),
        "call": _("long on one call"),
        "too_busy": _("to relieve now"),
        "wrap_up": _("long in wrap-up"),
        "pause": _("longer in a pause than planned"),
        "missed": _("with missed offers"),
        "rest_due": _("due a break"),
        "streak": _("without a breather"),
        "busy": _("to relieve soon"),
    }
    return words[kind].format(break_=text.age(limits.break_s))


def _load(occupancy: float | None, limits: AgentLimits, text: Text) -> str:
    """Say an occupancy [ratio 0–1] in whole percents, as they are sorted; above a limit is not said to be at it."""
    for limit in (limits.occupancy_high, limits.occupancy_too_high):
        if occupancy is not None and round(occupancy, 2) <= limit < occupancy:
            return f">{NBSP}{text.percent(limit, 0)}"
    return text.percent(occupancy, 0)


def need_words(need: Need, limits: AgentLimits, text: Text) -> str:
    """Say what an agent needs somebody for, and how much of it there is."""
    _ = text.gettext
    words = {
        "hold": _("May need help: on hold {time}"),
        "break_due": _("{break_} break overdue: {span} without"),
        "call": _("May need help: on one call {time}"),
        "too_busy": _("Relieve now: {percent} busy"),
        "wrap_up": _("May need a hand: wrap-up {time}"),
        "pause": _("All well? Longer than planned"),
        "missed": _("{n} missed offers: headset all right?"),
        "rest_due": _("Due a break: {span} without"),
        "streak": _("{n} calls without a breather"),
        "busy": _("Relieve soon: {percent} busy"),
    }
    return words[need.kind].format(
        time=text.duration(need.value),
        span=text.age(need.value),
        percent=_load(need.value, limits, text),
        n=text.number(need.value),
        break_=text.age(limits.break_s),
    )


def _columns(limits: AgentLimits, text: Text) -> dict[str, str]:
    """Name the columns of numbers: of today, then of strain."""
    _ = text.gettext
    return {
        "calls": _("Calls"),
        "aht": _("AHT"),
        "occupancy": _("Occupancy"),
        "utilisation": _("Utilisation"),
        "breaks": _("Breaks"),
        "offers": _("Missed offers"),
        "load": _("Occupancy, {span}").format(span=text.age(limits.lately_s)),
        "streak": _("Without a breather"),
        "since": _("Since a break"),
    }


EXPLAINED = {"aht": "aht_s", "occupancy": "occupancy", "utilisation": "utilisation"}
"""Columns → figures that have a page."""


def heads(columns: Mapping[str, str], of: dict[str, str], text: Text) -> str:
    """Draw the heads of columns of numbers; that of a figure leads to where it comes from, `of` a campaign and day."""
    return "".join(_head(name, word, of, text) for name, word in columns.items())


def labels(columns: Mapping[str, str]) -> str:
    """Return as CSS what the numbers are called where a row is a card; a straight quote would end the text."""
    return escape(";".join(f"--of-{name}:'{word.replace(chr(39), chr(8217))}'" for name, word in columns.items()))


def _head(name: str, word: str, of: dict[str, str], text: Text) -> str:
    _ = text.gettext
    said = escape(word)
    if name in EXPLAINED:
        address = href("kpi", of | {"kpi": EXPLAINED[name]})
        about = _("Where this figure comes from: {figure}").format(figure=word)
        said = f'<a href="{escape(address)}" target="_self" title="{escape(about)}">{said}</a>'
    return table.head(said, "num")


def agents_table(agents: tuple[Agent, ...], limits: AgentLimits, text: Text, campaign: str | None = None) -> str:
    """Draw the agents: what each does now, their day, and their strain; all work for `campaign`, if it is one."""
    _ = text.gettext
    if not agents:
        return table.note(_("No agent of this kind now."))
    columns = _columns(limits, text)
    groups = [("", 2), (_("Now"), 1), (_("Today"), 6), (_("Strain"), 3)]
    over = "".join(f'<th colspan="{n}" scope="colgroup">{escape(word)}</th>' for word, n in groups)
    cells = table.heads((_("Agent"), _("Needs"), _("State")))
    cells += heads(columns, {"campaign": campaign} if campaign else {}, text)
    rows = [_row(one, columns, limits, text) for one in agents[:SHOWN]]
    more = ""
    if len(agents) > SHOWN:
        words = text.ngettext(
            "and {n} more: choose a team, a site or a campaign",
            "and {n} more: choose a team, a site or a campaign",
            len(agents) - SHOWN,
        )
        more = table.note(words.format(n=text.number(len(agents) - SHOWN)))
    head = f'<tr class="groups">{over}</tr><tr>{cells}</tr>'
    return table.table(head, rows, style=labels(columns)) + more


def _row(one: Agent, columns: dict[str, str], limits: AgentLimits, text: Text) -> str:
    limits = limits.at(one.site)
    where = " · ".join(filter(None, (one.team, one.site)))
    needs = "".join(state_mark(_mark(need.kind), need_words(need, limits, text)) for need in one.needs)
    numbers = _day(one, text) | _strain(one, limits, text)
    cells = table.cell(needs, "needs") + table.cell(_now(one, text), "now")
    cells += "".join(drawn(name, numbers[name]) for name in columns)
    return table.row(f"{escape(one.name)}<small>{escape(where)}</small>", cells)


def _now(one: Agent, text: Text) -> str:
    """Draw the state, for how long, for whom, and how the call goes."""
    _ = text.gettext
    word = names.state(one.state, text)
    if one.reason and one.state == "paused":
        word = _("Paused: {reason}").format(reason=names.reason(one.reason, text))
    said = [one.campaign_name or ""]
    if one.hold_s is not None:
        said.append(_("on hold {time}").format(time=text.duration(one.hold_s)))
    time = "" if one.state_s is None or one.state == "offline" else f"<b>{text.duration(one.state_s)}</b>"
    return (
        f'<span class="doing {SHAPES.get(one.state, "away")}"><i></i>{escape(word)}{time}</span>'
        f"<small>{escape(' · '.join(filter(None, said)))}</small>"
    )


def _day(one: Agent, text: Text) -> dict[str, Cell]:
    """Return the numbers of today, by column; counts lead to their calls, figures to how they are made."""
    _ = text.gettext
    day = one.today or AgentDay(0, 0, None, None, None)
    missed = text.number(one.missed if one.today or one.missed else None)
    words = _("The calls of {agent}").format(agent=one.name)
    offers = _("The calls that {agent} did not pick up").format(agent=one.name)
    answered = [(stint.campaign, stint.name, text.number(stint.answered)) for stint in day.worked_for if stint.answered]
    of_missed = [(share.campaign, share.name, text.number(share.calls)) for share in one.missed_for]

    def made(name: str) -> Cell:
        """Return a figure that leads to how it is made."""

        def said(value: float | None) -> str:
            return names.shown(name, value, text, digits=0)

        values = [(stint.campaign, stint.name, getattr(stint, name)) for stint in day.worked_for]
        ways = [(campaign, of, said(value)) for campaign, of, value in values if value is not None]
        return _behind("kpi", said(getattr(day, name)), ways, made_of(name, one.name, text), agent=one.agent, kpi=name)

    calls = text.number(day.answered if one.today else None)
    return {
        "calls": _behind("calls", calls, answered, words, agent=one.agent, outcome="answered"),
        **{column: made(name) for column, name in EXPLAINED.items()},
        "offers": _behind("calls", missed, of_missed, offers, missed_by=one.agent),
    }


def made_of(name: str, agent: str, text: Text) -> str:
    """Say where a figure of an agent leads."""
    words = text.gettext("Where this figure comes from: {figure}")
    return words.format(figure=f"{names.brief(name, text)}, {agent}")


def _behind(page: str, value: str, ways: list[tuple[str, str, str]], about: str, **asked: str) -> Cell:
    """Return a number that leads to what is behind it; what is of several campaigns leads there by each, below.

    `ways` are campaigns, their names and the number's part in each.
    """
    links = [(href(page, {"campaign": campaign} | asked), f"{name} {part}") for campaign, name, part in ways]
    if len(links) == 1:
        return Cell(value, address=links[0][0], about=about)
    return Cell(
        value,
        below=tuple(
            f'<small><a href="{escape(address)}" target="_self" title="{escape(about)}">{escape(said)}</a></small>'
            for address, said in links
        ),
    )


def _strain(one: Agent, limits: AgentLimits, text: Text) -> dict[str, Cell]:
    """Return breaks and strain, by column."""
    _ = text.gettext
    pauses, strain = one.pauses or Pauses(), one.strain
    notes = []
    if strain is not None:
        left_s = limits.break_within_s - strain.since_break_s
        words = _("{break_} due in {time}") if left_s > 0 else _("{break_} overdue")
        notes.append(words.format(break_=text.age(limits.break_s), time=text.age(left_s)))
    if pauses.other_s >= limits.rest_s:
        notes.append(_("other pauses {time}").format(time=text.age(pauses.other_s)))
    none = DASH if strain is None else text.number(0)  # known to have had none, or nothing known
    breaks = f"{text.number(pauses.rests)} · {text.age(pauses.rest_s)}" if pauses.rest_s else none
    found = {"breaks": Cell(breaks, below=tuple(f"<small>{escape(note)}</small>" for note in notes))}
    if strain is None:
        return found | dict.fromkeys(("load", "streak", "since"), Cell(DASH))
    load = strain.occupancy or 0.0
    mark = "missed" if load > limits.occupancy_too_high else "near" if load > limits.occupancy_high else ""
    bar = f'<span class="bar"><i style="width:{load * 100:.0f}%"></i></span>'
    return found | {
        "load": Cell(_load(strain.occupancy, limits, text), mark, below=() if strain.occupancy is None else (bar,)),
        "streak": Cell(text.number(strain.streak_calls)),
        "since": Cell(text.age(strain.since_rest_s) if strain.since_rest_s else _("now")),
    }


def drawn(name: str, cell: Cell) -> str:
    """Draw a number in its column."""
    kind = " ".join(filter(None, ("num", name, cell.mark, "nil" if cell.value == DASH else "")))
    value = escape(cell.value)
    if cell.address:
        value = f'<a href="{escape(cell.address)}" target="_self" title="{escape(cell.about)}">{value}</a>'
    return table.cell(value + "".join(cell.below), kind)


def _mark(kind: str) -> str:
    return "missed" if kind in PRESSING else "near"


def legend(limits: AgentLimits, text: Text) -> str:
    """Say in Markdown what the marks mean, with the limits in force."""
    _ = text.gettext
    lines = (
        _("**Occupancy, last {lately}:** time on calls and in wrap-up, of that and the available time."),
        _("Above {high} somebody should be relieved soon, above {too_high} now."),
        _("**Without a breather:** calls answered since the last {breath} free of work; {streak} is a lot."),
        _("**Since a break:** since the last break of at least {rest}; one is due after {rest_within}."),
        _("Training, coaching and meetings are no break; a pause without a reason is one."),
        _("**{break_} at a stretch within {break_within}:** the break that law or contract asks for."),
        _(
            "The law, as read in November 2026 and to be confirmed: 20 min within 6 h in France and the United "
            "Kingdom, 15 min in Spain; none found for Morocco."
        ),
        _("**May need help:** after {hold} on hold, {call} on one call, {wrap_up} in wrap-up."),
        _("{missed} offers missed in the last {lately} are worth a look at the headset."),
        _("Strain counts all of a person’s work, whatever the campaign."),
        _("The limits are those of `[agents]` in campaigns.toml."),
    )
    told = {
        "lately": text.age(limits.lately_s),
        "high": text.percent(limits.occupancy_high, 0),
        "too_high": text.percent(limits.occupancy_too_high, 0),
        "breath": text.age(limits.breath_s),
        "streak": text.number(limits.streak_calls),
        "rest": text.age(limits.rest_s),
        "rest_within": text.age(limits.rest_within_s),
        "break_": text.age(limits.break_s),
        "break_within": text.age(limits.break_within_s),
        "hold": text.age(limits.hold_long_s),
        "call": text.age(limits.call_long_s),
        "wrap_up": text.age(limits.wrap_up_long_s),
        "missed": text.number(limits.missed_offers),
    }
    said = [line.format(**told) for line in lines]
    for site, _differs in limits.sites:
        here = limits.at(site)
        words = _("**{site}:** {break_} at a stretch within {break_within}, a break of {rest} every {rest_within}.")
        spans = {
            name: text.age(getattr(here, f"{name}_s")) for name in ("break", "break_within", "rest", "rest_within")
        }
        said.append(words.format(site=plain(site), break_=spans.pop("break"), **spans))
    return " \n".join(f"- {line}" for line in said)
