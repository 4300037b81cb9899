"""The wallboard as one piece of HTML, computed once for everybody who sees the same campaigns in one language.

Tiles stand by client and name, never by trouble: people find their campaign by its place on the wall, and a board
that shuffles makes them search at the very moment something is wrong. Trouble shows by colour, shape and word where it
is, and by count in the header.
"""

from collections.abc import Callable, Hashable, Mapping
from html import escape
from math import ceil

from metrics.authorisation.viewer import Viewer
from metrics.readers import AgentCounts, Board, CampaignNow, Interval
from pages.shared import names
from pages.shared.i18n import DASH, NBSP, Text
from pages.shared.links import comes_from
from pages.shared.marks import (
    SILENT_S,
    STALE_S,
    is_late,
    late_mark,
    level_state,
    past_words,
    state_mark,
    state_of,
    state_word,
    target_words,
)

SHORTEST_S, LONGEST_S, USUAL_S = 0.2, 10.0, 0.5
"""The tick of a wall [s]: its limits, and what it is unless the environment says."""
DAY = ("answered", "abandoned", "aht_s", "occupancy")
TOLD = ("answered", "abandoned", "abandon_rate", "asa_s")
"""What a tile says of the day, and what it says to a client, who is told of work by the month."""
COUNTS = ("answered", "abandoned")
NO_ADDRESSES: Mapping[str, str] = {}
AGE, STALE = "\ue000", "\ue001"
"""Where a tick puts the age of the data, and whether that is too old, into HTML drawn before."""

_drawn: dict[Hashable, tuple[object, str]] = {}


def draw(board: Board, viewer: Viewer, text: Text, age_s: float) -> str:
    """Return the board's HTML. Only its age is new on every tick; the rest is drawn once a snapshot."""
    page = once(board, (viewer.campaigns, viewer.sees_work, text.language), lambda: _page(board, text, viewer))
    return aged(page, text, age_s)


def once(board: Board, key: Hashable, draw: Callable[[], str]) -> str:
    """Return what `draw` draws of this snapshot: drawn by the first who asks for `key`, and kept until the next one."""
    snapshot, page = _drawn.get(key, (None, ""))
    if snapshot != board.freshness.snapshot:
        page = draw()
        _drawn[key] = (board.freshness.snapshot, page)
    return page


def aged(page: str, text: Text, age_s: float) -> str:
    """Return HTML that was drawn before with its age as it is now."""
    return page.replace(AGE, text.age(age_s)).replace(STALE, "stale" if age_s > STALE_S else "fresh")


def tick_s(said: str | None) -> float:
    """Return the tick that the environment asks for, brought into its limits; what is no number is not heard."""
    try:
        asked = float(said or USUAL_S)
    except ValueError:
        return USUAL_S
    return min(max(asked, SHORTEST_S), LONGEST_S) if asked == asked else USUAL_S


def grid(tiles: int) -> tuple[int, int]:
    """Return columns and rows for this many tiles on a wide screen: eight are 4 × 2."""
    columns = next((c for most, c in ((1, 1), (2, 2), (3, 3), (4, 2), (6, 3), (16, 4)) if tiles <= most), 5)
    return columns, max(1, ceil(tiles / columns))


def figures(viewer: Viewer) -> tuple[str, ...]:
    """Return what a tile says of the day: columns of Kpis."""
    return DAY if viewer.sees_work else TOLD


def _page(board: Board, text: Text, viewer: Viewer) -> str:
    columns, rows = grid(len(board.campaigns))
    tiles = "".join(tile(one, text, day=figures(viewer)) for one in board.campaigns)
    return (
        f'<div class="vigie-board {STALE}" style="--columns:{columns};--rows:{rows}">'
        f'{_floor(board, text)}<div class="vigie-grid">{tiles}</div></div>'
    )


def _floor(board: Board, text: Text) -> str:
    agents = board.agents
    logged_in = text.number(agents.logged_in if agents else None)
    rest = number(logged_in, text.gettext("Agents"), "rule") + agents_row(agents, text)
    return header(queue_of(board, text) + rest, attention(board, text), text)


def queue_of(board: Board, text: Text) -> str:
    """Draw how many wait on the whole floor, and how long the first of them has."""
    _ = text.gettext
    late, mark = "", ""
    if any(is_late(one) for one in board.campaigns):
        late, mark = " late", " " + late_mark("", _("not in time"))
    return number(text.number(board.waiting), _("Waiting"), "first") + number(
        text.duration(board.longest_wait_s), _("Longest wait"), f"first{late}", mark
    )


def attention(board: Board, text: Text) -> str:
    """Draw how many campaigns are below or close to their target, and when nothing has been heard for long."""
    _ = text.gettext
    states = [state_of(one) for one in board.campaigns]
    missed, near = states.count("missed"), states.count("near")
    marks = [
        ("missed", missed, text.ngettext("{n} below target", "{n} below target", missed)),
        ("near", near, text.ngettext("{n} close to target", "{n} close to target", near)),
    ]
    shown = [(mark, words.format(n=text.number(n))) for mark, n, words in marks if n]
    if not shown and "met" in states:
        shown = [("met", _("All on target"))]
    silent_s = board.freshness.silent_s
    if silent_s is not None and silent_s > SILENT_S:
        shown.append(("near", _("No event for {age}").format(age=text.age(silent_s))))
    return "".join(state_mark(mark, words) for mark, words in shown)


def header(numbers: str, attention: str, text: Text, more: str = "") -> str:
    """Draw the top of a wall, with the data's age and the banners that say when it is too old; `more` is HTML."""
    _ = text.gettext
    ago = f'<span class="ago">{AGE}</span>'
    age = escape(_("Data {age} old")).format(age=ago)
    old = escape(_("No new data for {age}. This is how the floor was then.")).format(age=ago)
    lost = escape(_("No contact with the server. This is how the floor was then."))
    return (
        f'<header class="vigie-floor"><div class="numbers">{numbers}</div>'
        f'<div class="side"><div class="attention">{attention}</div>{more}'
        f'<p class="age"><i></i><span class="words">{age}</span></p></div>'
        f'<p class="banner old">{old}</p><p class="banner lost">{lost}</p></header>'
    )


def tile(one: CampaignNow, text: Text, day: tuple[str, ...] = (), addresses: Mapping[str, str] = NO_ADDRESSES) -> str:
    """Draw a campaign: its queue now, its level against target and the figures of its `day`: columns of Kpis.

    `addresses` are addresses of where a figure comes from, by its name.
    """
    _ = text.gettext

    def made(name: str) -> str:
        return link_attributes(name, addresses, comes_from(names.brief(name, text), text))

    state = state_of(one)
    today = one.today
    level = today.service_level if today else None
    target = today.target if today else None
    threshold_s = today.threshold_s if today else None
    late = " late" if is_late(one) else ""
    past = ""
    if late:
        past = " " + late_mark(f"> {text.number(threshold_s)} s", past_words(threshold_s, text))
    gap = ""
    if level is not None and target is not None:
        points = _("{points} pts").format(points=text.points(level - target))
        gap = f'<span class="gap">{escape(points)}</span>'
    called = today if today and today.offered else None
    word = state_word(state, text) if called or state != "none" else _("No calls yet")
    service_level = _("Service level")
    figure = _value(text.percent(level))
    waiting = number(text.number(one.waiting), _("Waiting"), "big", link=made("waiting"))
    longest_wait = made("longest_wait_s")
    longest = number(text.duration(one.longest_wait_s), _("Longest wait"), f"big{late}", past, longest_wait)
    values = {name: getattr(called if name in COUNTS else today, name, None) for name in day}
    drawn = "".join(
        number(names.shown(name, value, text, digits=0), names.brief(name, text), link=made(name))
        for name, value in values.items()
    )
    facts = f'<div class="facts">{drawn}</div>' if day else ""
    return (
        f'<article class="tile {state}"><div class="in">'
        f'<div class="head"><div class="who"><h3>{escape(one.campaign.name)}</h3>'
        f"<small>{escape(one.campaign.client)}</small></div>"
        f'<div class="how">{state_mark(state, word)}'
        f'<p class="age"><i></i><span class="ago">{AGE}</span></p></div></div>'
        f'<div class="queue">{waiting}{longest}</div>'
        f'<div class="level">{figure}<div><span>{escape(service_level)} {gap}</span>'
        f"<span>{escape(target_words(target, threshold_s, text))}</span></div></div>"
        f"{_bars(one.recent, target, text)}"
        f'{facts}<div class="facts agents">{agents_row(one.agents, text, addresses)}</div>'
        "</div></article>"
    )


def _bars(intervals: tuple[Interval, ...], target: float | None, text: Text) -> str:
    """Draw the service level of the last hours by quarter of an hour; a gap is a quarter without calls."""
    _ = text.gettext
    levels = [(i.kpis.service_level, i.kpis.target) if i.kpis else (None, None) for i in intervals]
    bars = "".join(
        '<i class="none"></i>'
        if level is None
        else f'<i class="{level_state(level, own)}" style="height:{max(3.0, level * 100):.0f}%"></i>'
        for level, own in levels
    )
    known = [level for level, own in levels if level is not None]
    line = "" if target is None else f'<hr style="bottom:{target * 100:.1f}%">'
    end = _("now")
    said = _("Service level by quarter of an hour, last 8 hours: {low} to {high}").format(
        low=text.percent(min(known, default=None), 0), high=text.percent(max(known, default=None), 0)
    )
    return (
        f'<div class="bars" role="img" aria-label="{escape(said)}"><div class="plot">{bars}{line}</div>'
        f'<div class="axis"><span>−8{NBSP}h</span><span>{escape(end)}</span></div></div>'
    )


def agents_row(agents: AgentCounts | None, text: Text, addresses: Mapping[str, str] = NO_ADDRESSES) -> str:
    """Draw how many agents do what; nobody logged in is no data on a campaign, so dashes, as for what is not told.

    `addresses` are addresses of who they are, by state.
    """
    _ = text.gettext
    known = agents if agents and agents.logged_in else None
    words = {
        "available": text.ngettext("Available", "Available", 2),  # of several agents: other languages decline it
        "busy": _("Busy"),
        "wrap_up": _("Wrap-up"),
        "paused": _("Paused"),
    }
    return "".join(
        number(
            text.number(getattr(known, state, None)),
            word,
            f"agent {state.replace('_', '-')}",
            link=link_attributes(state, addresses, _("Who they are: {state}").format(state=word)),
        )
        for state, word in words.items()
    )


def link_attributes(name: str, addresses: Mapping[str, str], about: str) -> str:
    """Return the attributes of a link to what is behind a figure, if it addresses there; `about` says what is.

    It takes no stop of the keyboard, of which a wall would have a hundred: the page that the level's link opens has a
    choice of every figure.
    """
    if name not in addresses:
        return ""
    words = escape(about)
    return f'href="{escape(addresses[name])}" target="_self" tabindex="-1" title="{words}" aria-label="{words}"'


def number(value: str, label: str, kind: str = "", mark: str = "", link: str = "") -> str:
    """Draw a value above its label; `mark` is HTML that follows the label, `link` makes it a link."""
    inside = f"{_value(value)}<span>{escape(label)}{mark}</span>"
    return f'<a class="n {kind}" {link}>{inside}</a>' if link else f'<div class="n {kind}">{inside}</div>'


def _value(value: str) -> str:
    return f'<b class="nil">{value}</b>' if value == DASH else f"<b>{escape(value)}</b>"
