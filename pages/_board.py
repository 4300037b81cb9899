"""The wallboard as one piece of HTML, computed once for everybody who sees the same campaigns in one language.

Tiles stand by client and name, never by trouble: people find their campaign by its place on the wall, and a board
that shuffles makes them search at the very moment something is wrong. Trouble shows by colour, shape and word where it
is, and by count in the header.
"""

from html import escape
from math import ceil

from metrics.readers import AgentCounts, Board, CampaignNow, Interval
from metrics.viewer import Viewer
from pages._i18n import DASH, Text

STALE_S = 15
"""Older than this, data is shown grey: the floor may be another by now."""
NEAR = 0.05
"""A service level that misses its target by less than this is close, not below."""
SHORTEST_S, LONGEST_S, USUAL_S = 0.2, 10.0, 0.5
"""The tick of a wall [s]: its limits, and what it is unless the environment says."""
AGE, STALE = "\ue000", "\ue001"
"""Where a tick puts the age of the data, and whether that is too old, into HTML drawn before."""

_drawn: dict[tuple[frozenset[str] | None, str], tuple[object, str]] = {}


def draw(board: Board, viewer: Viewer, text: Text, age_s: float) -> str:
    """Return the board's HTML. Only its age is new on every tick; the rest is drawn once a snapshot."""
    key = (viewer.campaigns, text.language)
    snapshot, page = _drawn.get(key, (None, ""))
    if snapshot != board.freshness.snapshot:
        page = _page(board, text)
        _drawn[key] = (board.freshness.snapshot, page)
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


def level_state(level: float | None, target: float | None) -> str:
    """Judge a service level by its target: "met", "near", "missed", or "none" when one of them is undefined."""
    if level is None or target is None:
        return "none"
    if level >= target:
        return "met"
    return "near" if level > target - NEAR else "missed"


def state_word(state: str, text: Text) -> str:
    _ = text.gettext
    words = {
        "met": _("On target"),
        "near": _("Close to target"),
        "missed": _("Below target"),
        "none": _("No level yet"),
    }
    return words[state]


def target_words(target: float | None, threshold_s: float | None, text: Text) -> str:
    _ = text.gettext
    if target is None or threshold_s is None:
        return _("No target")
    return _("target {target} in {seconds} s").format(target=text.percent(target, 0), seconds=text.number(threshold_s))


def _page(board: Board, text: Text) -> str:
    columns, rows = grid(len(board.campaigns))
    tiles = "".join(_tile(one, text) for one in board.campaigns)
    return (
        f'<div class="vigie-board {STALE}" style="--columns:{columns};--rows:{rows}">'
        f'{_floor(board, text)}<div class="vigie-grid">{tiles}</div></div>'
    )


def _floor(board: Board, text: Text) -> str:
    _ = text.gettext
    states = [_state(one) for one in board.campaigns]
    missed, near = states.count("missed"), states.count("near")
    marks = [
        ("missed", missed, text.ngettext("{n} below target", "{n} below target", missed)),
        ("near", near, text.ngettext("{n} close to target", "{n} close to target", near)),
    ]
    shown = [(mark, words.format(n=text.number(n))) for mark, n, words in marks if n]
    if not shown and "met" in states:
        shown = [("met", _("All on target"))]
    attention = "".join(f'<span class="state {mark}"><i></i>{escape(words)}</span>' for mark, words in shown)
    late = " late" if any(_late(one) for one in board.campaigns) else ""
    agents = board.agents
    age = _("Data {age} old").format(age=AGE)
    numbers = (
        _number(text.number(board.waiting), _("Waiting"), "first")
        + _number(text.duration(board.longest_wait_s), _("Longest wait"), f"first{late}")
        + _number(text.number(agents.logged_in), _("Agents"), "rule")
        + _agents(agents, text)
    )
    old = escape(_("No new data for {age}. This is how the floor was then.").format(age=AGE))
    lost = escape(_("No contact with the server. This is how the floor was then."))
    return (
        f'<header class="vigie-floor"><div class="numbers">{numbers}</div>'
        f'<div class="side"><div class="attention">{attention}</div>'
        f'<p class="age"><i></i><span class="words">{escape(age)}</span></p></div>'
        f'<p class="banner old">{old}</p><p class="banner lost">{lost}</p></header>'
    )


def _tile(one: CampaignNow, text: Text) -> str:
    _ = text.gettext
    state = _state(one)
    today = one.today
    level = today.service_level if today else None
    target = today.target if today else None
    threshold_s = today.threshold_s if today else None
    late = " late" if _late(one) else ""
    past = ""
    if late:
        words = _("past {seconds} s").format(seconds=text.number(threshold_s))
        past = f' <em title="{escape(words)}"><i></i>&gt; {text.number(threshold_s)} s</em>'
    gap = ""
    if level is not None and target is not None:
        points = _("{points} pts").format(points=text.points(level - target))
        gap = f'<span class="gap">{escape(points)}</span>'
    called = today if today and today.offered else None
    word = state_word(state, text) if called or state != "none" else _("No calls yet")
    service_level = _("Service level")
    figure = _value(text.percent(level))
    waiting = _number(text.number(one.waiting), _("Waiting"), "big")
    longest = _number(text.duration(one.longest_wait_s), _("Longest wait"), f"big{late}", past)
    facts = (
        _number(text.number(called.answered if called else None), _("Answered"))
        + _number(
            text.number(called.abandoned if called else None),
            _("Abandoned"),
        )
        + _number(text.duration(today.aht_s if today else None), _("AHT"))
        + _number(text.percent(today.occupancy if today else None, 0), _("Occupancy"))
    )
    return (
        f'<article class="tile {state}"><div class="in">'
        f'<div class="head"><div class="who"><h3>{escape(one.campaign.name)}</h3>'
        f"<small>{escape(one.campaign.client)}</small></div>"
        f'<div class="how"><span class="state {state}"><i></i>{escape(word)}</span>'
        f'<p class="age"><i></i><span>{AGE}</span></p></div></div>'
        f'<div class="queue">{waiting}{longest}</div>'
        f'<div class="level">{figure}<div><span>{escape(service_level)} {gap}</span>'
        f"<span>{escape(target_words(target, threshold_s, text))}</span></div></div>"
        f"{_bars(one.recent, target, text)}"
        f'<div class="facts">{facts}</div><div class="facts agents">{_agents(one.agents, text)}</div>'
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
        f'<div class="axis"><span>−8 h</span><span>{escape(end)}</span></div></div>'
    )


def _agents(agents: AgentCounts, text: Text) -> str:
    """Draw how many agents do what; nobody logged in is no data on a campaign, so dashes."""
    _ = text.gettext
    counts = [
        (agents.available, _("Available"), "available"),
        (agents.busy, _("Busy"), "busy"),
        (agents.wrap_up, _("Wrap-up"), "wrap-up"),
        (agents.paused, _("Paused"), "paused"),
    ]
    return "".join(
        _number(text.number(n) if agents.logged_in else DASH, word, f"agent {kind}") for n, word, kind in counts
    )


def _number(value: str, label: str, kind: str = "", mark: str = "") -> str:
    """Draw a value above its label; `mark` is HTML that follows the label."""
    return f'<div class="n {kind}">{_value(value)}<span>{escape(label)}{mark}</span></div>'


def _value(value: str) -> str:
    return f'<b class="nil">{value}</b>' if value == DASH else f"<b>{escape(value)}</b>"


def _state(one: CampaignNow) -> str:
    return level_state(one.today.service_level, one.today.target) if one.today else "none"


def _late(one: CampaignNow) -> bool:
    """Whether somebody waits longer than the contract's threshold."""
    threshold_s = one.today.threshold_s if one.today else None
    return None not in (one.longest_wait_s, threshold_s) and one.longest_wait_s > threshold_s
