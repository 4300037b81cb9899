"""The wallboard as one piece of HTML, drawn once for all viewers of the same campaigns in the same language.

Tiles are sorted by client and name, never by trouble. People find their campaign by its place on the wall, and a board
that reorders makes them search at the moment something is wrong. Colour, shape and word show trouble on the tile, and
the header counts it.
"""

from collections.abc import Callable, Hashable, Mapping
from html import escape
from math import ceil

from metrics.authorisation.viewer import Viewer
from metrics.readers import AgentCounts, Board, CampaignNow, Interval
from pages.shared import names
from pages.shared.i18n import DASH, NBSP, Text
from pages.shared.links import comes_from
from pages.shared.marks import SILENT_S, STALE_S, late_mark, level_state, past_words, state_mark, target_words
from pages.shared.verdicts import (
    is_closed,
    is_late,
    now_word,
    opens_words,
    state_of,
    verdict_mark,
    verdict_of,
    window_words,
)

SHORTEST_S, LONGEST_S, USUAL_S = 0.2, 10.0, 0.5
"""How often a wall looks for a new snapshot [s]: limits and default."""
DAY = ("answered", "abandoned", "aht_s", "occupancy")
CLIENT_DAY = ("answered", "abandoned", "abandon_rate", "asa_s")
"""Figures of the day on a tile, for staff and for clients, who see agents' work by the month only: columns of Kpis."""
COUNTS = ("answered", "abandoned")
"""Figures that are a dash, not 0, until the first call of the day."""
NO_ADDRESSES: Mapping[str, str] = {}
AGE, STALE, BANNER = "\ue000", "\ue001", "\ue006"
"""Placeholders in cached HTML: each tick fills in the age of the data, whether that is too old, and the alerts."""
DRAWN, AGE_S = "\ue002", "\ue003"
LEFT = "\ue004"
"""Placeholder for how long a wall stays paused."""
TICK = f'data-drawn="{DRAWN}" data-age="{AGE_S}"'
"""The time of the tick and the age of the data [s], for contact.js, which counts on from there."""

_drawn: dict[Hashable, tuple[object, str]] = {}


def draw(board: Board, viewer: Viewer, text: Text, now_s: float, age_s: float, banner: str = "") -> str:
    """Return the board's HTML at `now_s` [s since 1970]. Each tick fills in times and alerts; the rest is cached.

    `banner` is HTML about alerts: it also changes when somebody acknowledges one.
    """
    return with_age(board_html(board, viewer, text), text, age_s, now_s).replace(BANNER, banner)


def board_html(board: Board, viewer: Viewer, text: Text) -> str:
    """Return the board's HTML with placeholders for times and alerts."""
    return cached(board, (viewer.campaigns, viewer.sees_work, text.language), lambda: _page(board, text, viewer))


def cached(board: Board, key: Hashable, draw: Callable[[], str]) -> str:
    """Return what `draw` returns for this snapshot and `key`, from the cache if it was drawn before."""
    snapshot, html = _drawn.get(key, (None, ""))
    if snapshot != board.freshness.snapshot:
        html = draw()
        _drawn[key] = (board.freshness.snapshot, html)
    return html


def with_age(html: str, text: Text, age_s: float, now_s: float, paused_for_s: float | None = None) -> str:
    """Return cached HTML with the present time and age of its data; `paused_for_s`: how long it still stands still."""
    how = "stale" if age_s > STALE_S else "fresh"
    if paused_for_s is not None:
        html, how = html.replace(LEFT, text.age(paused_for_s)), "paused"
    html = html.replace(AGE, text.age(age_s)).replace(STALE, how)
    return html.replace(DRAWN, f"{now_s:.0f}").replace(AGE_S, f"{max(age_s, 0.0):.0f}")


def tick_s(setting: str | None) -> float:
    """Return the tick [s] of a setting, within its limits; anything that is not a number gives the default."""
    try:
        seconds = float(setting or USUAL_S)
    except ValueError:
        return USUAL_S
    return min(max(seconds, SHORTEST_S), LONGEST_S) if seconds == seconds else USUAL_S  # NaN is not equal to itself


def grid(tiles: int) -> tuple[int, int]:
    """Return columns and rows for this many tiles on a wide screen: 4 × 2 for eight."""
    fits = ((1, 1), (2, 2), (3, 3), (4, 2), (6, 3), (8, 4), (9, 3), (16, 4))
    columns = next((columns for most, columns in fits if tiles <= most), 5)
    return columns, max(1, ceil(tiles / columns))


def figures(viewer: Viewer) -> tuple[str, ...]:
    """Return the figures of the day on a tile for this viewer: columns of Kpis."""
    return DAY if viewer.sees_work else CLIENT_DAY


def _page(board: Board, text: Text, viewer: Viewer) -> str:
    columns, rows = grid(len(board.campaigns))
    tiles_html = "".join(tile(campaign, text, day=figures(viewer)) for campaign in board.campaigns)
    return (
        f'<div class="vigie-board {STALE}" style="--columns:{columns};--rows:{rows}" {TICK}>'
        f'{_floor(board, text)}<div class="vigie-grid">{tiles_html}</div></div>'
    )


def _floor(board: Board, text: Text) -> str:
    agents = board.agents
    logged_in = text.number(agents.logged_in if agents else None)
    _ = text.gettext
    rest = number(logged_in, _("Agents"), "rule") + agents_row(agents, text)
    words = _("Paused: this is how the floor was {age} ago. It resumes in {left}.")
    paused = escape(words).format(age=f'<span class="ago">{AGE}</span>', left=LEFT)
    banner = f'<p class="banner paused">{paused}</p>'
    return header(queue_of(board, text) + rest, attention(board, text), text, BANNER, banner)


def queue_of(board: Board, text: Text) -> str:
    """Draw how many callers wait on the whole floor, and the longest wait."""
    _ = text.gettext
    late, mark = "", ""
    if any(is_late(campaign) for campaign in board.campaigns):
        late, mark = " late", " " + late_mark("", _("not in time"))
    return number(text.number(board.waiting), _("Waiting"), "first") + number(
        text.duration(board.longest_wait_s), _("Longest wait"), f"first{late}", mark
    )


def attention(board: Board, text: Text) -> str:
    """Draw how many campaigns are below or close to their target now, and how many days are lost or to be saved.

    Also how long no event has come, if that is long.
    """
    _ = text.gettext
    states = [state_of(campaign) for campaign in board.campaigns]
    missed, near = states.count("missed"), states.count("near")
    marks = [
        ("missed", missed, text.ngettext("{n} below target", "{n} below target", missed)),
        ("near", near, text.ngettext("{n} close to target", "{n} close to target", near)),
    ]
    shown = [(mark, words.format(n=text.number(n))) for mark, n, words in marks if n]
    if not shown and "met" in states:
        shown = [("met", _("All on target"))]
    if states and all(state == "closed" for state in states):
        shown = [("closed", _("All closed"))]
    silent_s = board.freshness.silent_s
    if silent_s is not None and silent_s > SILENT_S:
        shown.append(("near", _("No event for {age}").format(age=text.age(silent_s))))
    verdicts = [verdict_of(campaign) for campaign in board.campaigns]
    lost, to_save = verdicts.count("lost"), verdicts.count("save")
    days = [
        ("lost", lost, text.ngettext("{n} lost today", "{n} lost today", lost)),
        ("save", to_save, text.ngettext("{n} to be saved today", "{n} to be saved today", to_save)),
    ]
    drawn = [state_mark(mark, words) for mark, words in shown]
    drawn += [
        f'<span class="verdict {kind}"><i></i>{escape(words.format(n=text.number(n)))}</span>'
        for kind, n, words in days
        if n
    ]
    return "".join(drawn)


def header(numbers: str, attention: str, text: Text, more: str = "", banners: str = "") -> str:
    """Draw the top of a wall, with the data's age and banners for old data and a lost server.

    `more` and `banners` are HTML.
    """
    _ = text.gettext
    ago = f'<span class="ago">{AGE}</span>'
    age = escape(_("Data {age} old")).format(age=ago)
    old = escape(_("No new data for {age}. This is how the floor was then.")).format(age=ago)
    lost = escape(_("No contact with the server. This is how the floor was then."))
    return (
        f'<header class="vigie-floor"><div class="numbers">{numbers}</div>'
        f'<div class="side"><div class="attention">{attention}</div>{more}'
        f'<p class="age"><i></i><span class="words">{age}</span></p></div>'
        f'<p class="banner old">{old}</p><p class="banner lost">{lost}</p>{banners}</header>'
    )


def tile(
    campaign: CampaignNow,
    text: Text,
    day: tuple[str, ...] = (),
    addresses: Mapping[str, str] = NO_ADDRESSES,
    span: int = 1,
) -> str:
    """Draw a campaign: its queue and its last minutes now; then how its day stands, with figures: columns of Kpis.

    `addresses` are figure or state of agents → address of the page that it leads to. `span`: tracks of the grid.
    """
    _ = text.gettext

    def link_to(name: str) -> str:
        return link_attributes(name, addresses, comes_from(names.brief(name, text), text))

    state = state_of(campaign)
    style = f' style="--span:{span}"' if span > 1 else ""
    today, now = campaign.today, campaign.now
    level, target, threshold_s = now.service_level, now.target, now.threshold_s
    late = " late" if is_late(campaign) else ""
    past = ""
    if late:
        past = " " + late_mark(f"> {text.number(threshold_s)} s", past_words(threshold_s, text))
    gap = ""
    if level is not None and target is not None:
        points = _("{points} pts").format(points=text.points(level - target))
        gap = f'<span class="gap">{escape(points)}</span>'
    day_with_calls = today if today and today.offered else None
    about_level = opens_words(campaign, text) if is_closed(campaign) else target_words(target, threshold_s, text)
    about_window = f"{names.brief('service_level', text)} · {window_words(campaign, text)}"
    level_html = _value(text.percent(level))
    waiting = number(text.number(campaign.waiting), _("Waiting"), "big", link=link_to("waiting"))
    longest_wait = link_to("longest_wait_s")
    longest = number(text.duration(campaign.longest_wait_s), _("Longest wait"), f"big{late}", past, longest_wait)
    values = {name: getattr(day_with_calls if name in COUNTS else today, name, None) for name in day}
    day_html = "".join(
        number(names.shown(name, value, text, digits=0), names.brief(name, text), link=link_to(name))
        for name, value in values.items()
    )
    facts = f'<div class="facts">{day_html}</div>' if day else ""
    of_day = f"<span>{escape(_('Today'))}</span>{_value(text.percent(today.service_level if today else None))}"
    return (
        f'<article class="tile {state}"{style}><div class="in">'
        f'<div class="head"><div class="who"><h3>{escape(campaign.campaign.name)}</h3>'
        f"<small>{escape(campaign.campaign.client)}</small></div>"
        f'<div class="how">{state_mark(state, now_word(campaign, text))}'
        f'<p class="age"><i></i><span class="ago">{AGE}</span></p></div></div>'
        f'<div class="queue">{waiting}{longest}</div>'
        f'<div class="level" title="{escape(about_window)}">{level_html}'
        f"<div><span>{escape(window_words(campaign, text))} {gap}</span>"
        f"<span>{escape(about_level)}</span></div></div>"
        f"{_bars(campaign.recent, target, text)}"
        f'<div class="day">{of_day}{verdict_mark(campaign, text, brief=True)}</div>'
        f'{facts}<div class="facts agents">{agents_row(campaign.agents, text, addresses)}</div>'
        "</div></article>"
    )


def _bars(intervals: tuple[Interval, ...], target: float | None, text: Text) -> str:
    """Draw the service level of the last hours by quarter of an hour. A quarter without calls is a gap."""
    _ = text.gettext
    levels = [
        (interval.kpis.service_level, interval.kpis.target) if interval.kpis else (None, None) for interval in intervals
    ]
    bars = "".join(
        '<i class="none"></i>'
        if level is None
        else f'<i class="{level_state(level, own_target)}" style="height:{max(3.0, level * 100):.0f}%"></i>'
        for level, own_target in levels
    )
    defined = [level for level, own_target in levels if level is not None]
    line = "" if target is None else f'<hr style="bottom:{target * 100:.1f}%">'
    end = _("now")
    label = _("Service level by quarter of an hour, last 8 hours: {low} to {high}").format(
        low=text.percent(min(defined, default=None), 0), high=text.percent(max(defined, default=None), 0)
    )
    return (
        f'<div class="bars" role="img" aria-label="{escape(label)}"><div class="plot">{bars}{line}</div>'
        f'<div class="axis"><span>−8{NBSP}h</span><span>{escape(end)}</span></div></div>'
    )


def agents_row(agents: AgentCounts | None, text: Text, addresses: Mapping[str, str] = NO_ADDRESSES) -> str:
    """Draw how many agents are in each state.

    They are dashes when they may not be shown, and when nobody is logged in: the campaign then has no data on agents.
    `addresses` are state → address of the list of its agents.
    """
    _ = text.gettext
    counts = agents if agents and agents.logged_in else None
    words = {
        "available": text.ngettext("Available", "Available", 2),  # plural: other languages decline it
        "busy": _("Busy"),
        "wrap_up": _("Wrap-up"),
        "paused": _("Paused"),
    }
    return "".join(
        number(
            text.number(getattr(counts, state, None)),
            word,
            f"agent {state.replace('_', '-')}",
            link=link_attributes(state, addresses, _("Who they are: {state}").format(state=word)),
        )
        for state, word in words.items()
    )


def link_attributes(name: str, addresses: Mapping[str, str], about: str) -> str:
    """Return the attributes of a figure's link; empty when it has no address. `about` is its tooltip.

    The Tab key skips these links: a wall would have a hundred stops. The link of the service level is a stop, and the
    page that it opens offers every figure.
    """
    if name not in addresses:
        return ""
    words = escape(about)
    return f'href="{escape(addresses[name])}" target="_self" tabindex="-1" title="{words}" aria-label="{words}"'


def number(value: str, label: str, kind: str = "", mark: str = "", link: str = "") -> str:
    """Draw a value above its label. `mark` is HTML after the label; `link`, the attributes of a link, makes it one."""
    inside = f"{_value(value)}<span>{escape(label)}{mark}</span>"
    return f'<a class="n {kind}" {link}>{inside}</a>' if link else f'<div class="n {kind}">{inside}</div>'


def _value(value: str) -> str:
    return f'<b class="nil">{value}</b>' if value == DASH else f"<b>{escape(value)}</b>"
