"""The agents as a table, drawn once per snapshot for all viewers who see the same agents in the same language.

Its words are those of a colleague who comes to help: who may need a hand, who is due a break, whom to relieve.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape

from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import AgentLimits
from metrics.readers import NEEDS, Agent, AgentDay, Agents, Need, Pauses, Strain
from pages.shared import names, table
from pages.shared.i18n import DASH, NBSP, Text, plain, short
from pages.shared.marks import state_mark
from pages.shared.selection import href

SHOWN = 200
"""Draw at most this many rows: a longer list needs a filter, and would slow down every tick."""
KEPT_TABLES = 100
"""Keep at most this many drawn tables in memory."""
SHAPES = {"busy": "busy", "wrap_up": "wrap-up", "available": "available", "paused": "paused"}
NEEDS_SOMEBODY = "needs"
PRESSING = ("hold", "break_due", "call", "too_busy")
"""Needs with the stronger mark."""

_drawn: dict[object, tuple[object, str]] = {}


@dataclass(frozen=True)
class Chosen:
    """Filters for agents, None for any: team, site, campaign of their work, one of readers.STATES or NEEDS_SOMEBODY."""

    team: str | None = None
    site: str | None = None
    campaign: str | None = None
    state: str | None = None

    def among(self, agents: Iterable[Agent]) -> Iterator[Agent]:
        """Yield the agents that pass the filters. Offline agents pass only if that is the state asked for."""
        for agent in agents:
            if self.state == NEEDS_SOMEBODY:
                fits = bool(agent.needs)
            else:
                fits = agent.state == self.state if self.state else agent.state != "offline"
            if fits and self.team in (None, agent.team) and self.site in (None, agent.site):
                yield agent


@dataclass(frozen=True)
class Cell:
    """A number of the table, its mark, the address of its link and the link's tooltip; `below` are lines of HTML."""

    value: str
    mark: str = ""
    address: str = ""
    about: str = ""
    below: tuple[str, ...] = ()


def draw(agents: Agents, chosen: Chosen, viewer: Viewer, text: Text, *, stale: bool) -> str:
    """Return the HTML of the needs, counted, and of the table."""
    key = (viewer.campaigns, viewer.sites, chosen, text.language, href("calls", {}))
    snapshot, html = _drawn.get(key, (None, ""))
    if snapshot != agents.freshness.snapshot:
        shown = tuple(chosen.among(agents.agents))
        html = agents_table(shown, agents.limits, text, chosen.campaign)
        if shown or chosen.state == NEEDS_SOMEBODY:  # of no agents, "nobody needs help" says nothing
            html = attention(shown, agents.limits, text) + html
        _drawn.pop(key, None)
        _drawn[key] = (agents.freshness.snapshot, html)
        while len(_drawn) > KEPT_TABLES:
            del _drawn[next(iter(_drawn))]
    return f'<div class="vigie-agents{" stale" if stale else ""}">{html}</div>'


def attention(agents: tuple[Agent, ...], limits: AgentLimits, text: Text) -> str:
    """Draw how many agents there are, and how many need somebody for what, the most pressing need first."""
    _ = text.gettext
    counts = Counter(need.kind for agent in agents for need in agent.needs)
    needs = [
        (_mark(kind), f"{text.number(counts[kind])} {_group_words(kind, limits, text)}")
        for kind in NEEDS
        if counts[kind]
    ] or [("met", _("Nobody needs help right now"))]
    marks = "".join(state_mark(mark, words) for mark, words in needs)
    count = text.ngettext("{n} agent", "{n} agents", len(agents)).format(n=text.number(len(agents)))
    return f'<p class="needs"><span>{escape(count)}</span>{marks}</p>'


def _group_words(kind: str, limits: AgentLimits, text: Text) -> str:
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
        "before": _("with a hard shift behind them"),
    }
    return words[kind].format(break_=text.age(limits.break_s))


def _occupancy(occupancy: float | None, limits: AgentLimits, text: Text) -> str:
    """Format an occupancy [ratio 0–1] in whole percent, as agents are sorted. Just above a limit it is "> 85%"."""
    for limit in (limits.occupancy_high, limits.occupancy_too_high):
        if occupancy is not None and round(occupancy, 2) <= limit < occupancy:
            return f">{NBSP}{text.percent(limit, 0)}"
    return text.percent(occupancy, 0)


def need_words(need: Need, limits: AgentLimits, text: Text) -> str:
    """Say what an agent needs somebody for, with the time, count or ratio behind it."""
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
        "before": _("An early break: last shift {percent} busy"),
    }
    return words[need.kind].format(
        time=text.duration(need.value),
        span=text.age(need.value),
        percent=_occupancy(need.value, limits, text),
        n=text.number(need.value),
        break_=text.age(limits.break_s),
    )


def _columns(limits: AgentLimits, text: Text) -> dict[str, str]:
    """Name the columns of numbers: today's, then those of strain."""
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
"""Column → figure that has an explanation."""


def heads(columns: Mapping[str, str], params: dict[str, str], text: Text) -> str:
    """Draw the heads of columns of numbers. A figure's head links to its explanation; `params`: campaign and day."""
    return "".join(_head(name, label, params, text) for name, label in columns.items())


def labels(columns: Mapping[str, str]) -> str:
    """Return the columns' names as CSS, for narrow screens with a card a row. A straight quote would end the text."""
    return escape(";".join(f"--of-{name}:'{word.replace(chr(39), chr(8217))}'" for name, word in columns.items()))


def _head(name: str, label: str, params: dict[str, str], text: Text) -> str:
    _ = text.gettext
    inside = escape(label)
    if name in EXPLAINED:
        address = href("kpi", params | {"kpi": EXPLAINED[name]})
        title = _("Where this figure comes from: {figure}").format(figure=label)
        inside = f'<a href="{escape(address)}" target="_self" title="{escape(title)}">{inside}</a>'
    return table.head(inside, "num")


def agents_table(agents: tuple[Agent, ...], limits: AgentLimits, text: Text, campaign: str | None = None) -> str:
    """Draw the agents: what each does now, their day, and their strain. With a `campaign`, all work for it."""
    _ = text.gettext
    if not agents:
        return table.note(_("No agent of this kind now."))
    columns = _columns(limits, text)
    groups = [("", 2), (_("Now"), 1), (_("Today"), 6), (_("Strain"), 3)]
    group_heads = "".join(f'<th colspan="{n}" scope="colgroup">{escape(word)}</th>' for word, n in groups)
    cells = table.heads((_("Agent"), _("Needs"), _("State")))
    cells += heads(columns, {"campaign": campaign} if campaign else {}, text)
    rows = [_row(agent, columns, limits, text) for agent in agents[:SHOWN]]
    note = ""
    if len(agents) > SHOWN:
        more = text.ngettext(
            "and {n} more: choose a team, a site or a campaign",
            "and {n} more: choose a team, a site or a campaign",
            len(agents) - SHOWN,
        )
        note = table.note(more.format(n=text.number(len(agents) - SHOWN)))
    head = f'<tr class="groups">{group_heads}</tr><tr>{cells}</tr>'
    return table.table(head, rows, style=labels(columns)) + note


def _row(agent: Agent, columns: dict[str, str], limits: AgentLimits, text: Text) -> str:
    limits = limits.at(agent.site)
    place = " · ".join(map(short, filter(None, (agent.team, agent.site))))
    needs = "".join(state_mark(_mark(need.kind), need_words(need, limits, text)) for need in agent.needs)
    numbers = _today(agent, text) | _strain(agent, limits, text)
    cells = table.cell(needs, "needs") + table.cell(_now(agent, text), "now")
    cells += "".join(number_cell(name, numbers[name]) for name in columns)
    return table.row(f"{escape(short(agent.name))}<small>{escape(place)}</small>", cells)


def _now(agent: Agent, text: Text) -> str:
    """Draw the agent's state, for how long, for which campaign, and how long the caller has been on hold."""
    _ = text.gettext
    word = names.state(agent.state, text)
    if agent.reason and agent.state == "paused":
        word = _("Paused: {reason}").format(reason=short(names.reason(agent.reason, text)))
    notes = [agent.campaign_name or ""]
    if agent.hold_s is not None:
        notes.append(_("on hold {time}").format(time=text.duration(agent.hold_s)))
    time = "" if agent.state_s is None or agent.state == "offline" else f"<b>{text.duration(agent.state_s)}</b>"
    return (
        f'<span class="doing {SHAPES.get(agent.state, "away")}"><i></i>{escape(word)}{time}</span>'
        f"<small>{escape(' · '.join(filter(None, notes)))}</small>"
    )


def _today(agent: Agent, text: Text) -> dict[str, Cell]:
    """Return the numbers of today by column. Counts link to their calls, figures to their explanation."""
    _ = text.gettext
    day = agent.today or AgentDay(0, 0, None, None, None)
    missed = text.number(agent.missed if agent.today or agent.missed else None)
    calls_title = _("The calls of {agent}").format(agent=short(agent.name))
    missed_title = _("The calls that {agent} did not pick up").format(agent=short(agent.name))
    answered_for = [
        (stint.campaign, stint.name, text.number(stint.answered)) for stint in day.worked_for if stint.answered
    ]
    missed_for = [(share.campaign, share.name, text.number(share.calls)) for share in agent.missed_for]

    def figure_cell(name: str) -> Cell:
        """Return a figure that links to its explanation."""

        def shown(value: float | None) -> str:
            return names.shown(name, value, text, digits=0)

        values = [(stint.campaign, stint.name, getattr(stint, name)) for stint in day.worked_for]
        by_campaign = [(campaign, label, shown(value)) for campaign, label, value in values if value is not None]
        title = explanation_title(name, short(agent.name), text)
        return _linked("kpi", shown(getattr(day, name)), by_campaign, title, agent=agent.agent, kpi=name)

    calls = text.number(day.answered if agent.today else None)
    return {
        "calls": _linked("calls", calls, answered_for, calls_title, agent=agent.agent, outcome="answered"),
        **{column: figure_cell(name) for column, name in EXPLAINED.items()},
        "offers": _linked("calls", missed, missed_for, missed_title, missed_by=agent.agent),
    }


def explanation_title(name: str, agent: str, text: Text) -> str:
    """Return the tooltip of the link to the explanation of an agent's figure."""
    words = text.gettext("Where this figure comes from: {figure}")
    return words.format(figure=f"{names.brief(name, text)}, {agent}")


def _linked(page: str, value: str, by_campaign: list[tuple[str, str, str]], title: str, **params: str) -> Cell:
    """Return a number that links to a page. A number of several campaigns has a link for each below it.

    `by_campaign` are campaigns, their names and the number's part in each.
    """
    links = [(href(page, {"campaign": campaign} | params), f"{name} {part}") for campaign, name, part in by_campaign]
    if len(links) == 1:
        return Cell(value, address=links[0][0], about=title)
    return Cell(
        value,
        below=tuple(
            f'<small><a href="{escape(address)}" target="_self" title="{escape(title)}">{escape(words)}</a></small>'
            for address, words in links
        ),
    )


def _strain(agent: Agent, limits: AgentLimits, text: Text) -> dict[str, Cell]:
    """Return breaks and strain by column."""
    _ = text.gettext
    pauses, strain = agent.pauses or Pauses(), agent.strain
    notes = []
    if strain is not None:
        left_s = limits.break_within_s - strain.since_break_s
        if left_s <= limits.rest_within_s:  # at the beginning of a shift it would be the same line for everybody
            note = _("{break_} due in {time}") if left_s > 0 else _("{break_} overdue")
            notes.append(note.format(break_=text.age(limits.break_s), time=text.age(left_s)))
    if pauses.other_s >= limits.rest_s:
        notes.append(_("other pauses {time}").format(time=text.age(pauses.other_s)))
    none_yet = DASH if strain is None else text.number(0)  # a dash when nothing is known, 0 when there was no break
    breaks = f"{text.number(pauses.rests)} · {text.age(pauses.rest_s)}" if pauses.rest_s else none_yet
    cells = {"breaks": Cell(breaks, below=tuple(f"<small>{escape(note)}</small>" for note in notes))}
    if strain is None:
        return cells | dict.fromkeys(("load", "streak", "since"), Cell(DASH))
    load = strain.previous_occupancy or 0.0 if strain.occupancy is None else strain.occupancy
    mark = "missed" if load > limits.occupancy_too_high else "near" if load > limits.occupancy_high else ""
    bar = f'<span class="bar"><i style="width:{load * 100:.0f}%"></i></span>'
    return cells | {
        "load": _load(strain, mark, bar, limits, text),
        "streak": Cell(text.number(strain.streak_calls)),
        "since": Cell(text.age(strain.since_rest_s) if strain.since_rest_s else _("now")),
    }


def _load(strain: Strain, mark: str, bar: str, limits: AgentLimits, text: Text) -> Cell:
    """Return the occupancy of the last hour; at the beginning of a shift, that of the shift before."""
    if strain.occupancy is not None:
        return Cell(_occupancy(strain.occupancy, limits, text), mark, below=(bar,))
    if strain.previous_occupancy is None:
        return Cell(DASH)
    last_shift = text.gettext("last shift")
    below = (bar, f"<small>{escape(last_shift)}</small>")
    return Cell(_occupancy(strain.previous_occupancy, limits, text), mark, below=below)


def number_cell(name: str, cell: Cell) -> str:
    """Draw a number as the cell of its column."""
    kind = " ".join(filter(None, ("num", name, cell.mark, "nil" if cell.value == DASH else "")))
    value = escape(cell.value)
    if cell.address:
        value = f'<a href="{escape(cell.address)}" target="_self" title="{escape(cell.about)}">{value}</a>'
    return table.cell(value + "".join(cell.below), kind)


def _mark(kind: str) -> str:
    return "missed" if kind in PRESSING else "near"


def legend(limits: AgentLimits, text: Text) -> str:
    """Explain the marks in Markdown, with the limits in force."""
    _ = text.gettext
    texts = (
        _("**Occupancy, last {lately}:** time on calls and in wrap-up, as a share of that and the available time."),
        _("Above {high} somebody should be relieved soon, above {too_high} now."),
        _("**Last shift:** the same for the work before the login, until there is enough of today."),
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
    values = {
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
    lines = [line.format(**values) for line in texts]
    for site, _differs in limits.sites:
        site_limits = limits.at(site)
        line = _("**{site}:** {break_} at a stretch within {break_within}, a break of {rest} every {rest_within}.")
        spans = {
            name: text.age(getattr(site_limits, f"{name}_s"))
            for name in ("break", "break_within", "rest", "rest_within")
        }
        lines.append(line.format(site=plain(site), break_=spans.pop("break"), **spans))
    return " \n".join(f"- {line}" for line in lines)
