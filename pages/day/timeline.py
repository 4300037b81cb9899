"""A campaign's day: headline, chart, the table of its intervals and the calls that wait, in the reader's language."""

from collections.abc import Mapping
from html import escape

import plotly.graph_objects as go

from metrics.readers import CampaignDay, CampaignNow, Comparison, Interval, Kpis, WaitingCall, may_show
from metrics.viewer import Viewer
from pages.day import usual_days
from pages.shared import chart, names, table
from pages.shared.i18n import DASH, Text
from pages.shared.links import figure_link, link
from pages.shared.marks import is_late, late_mark, level_state, marked_level, past_words
from pages.shared.selection import Selection, instant

SHOWN_WAITING = 10
SHORTEST = 24
"""A chart shows at least so many intervals, so that the first hour of a day is not a wall of bars."""

TICKS = 7
"""So many hours are named at most: there is room for them on a phone."""

LIVE = ("waiting", "longest_wait_s")
HEADLINE = ("service_level", "offered", "answered", "abandoned", "abandon_rate", "asa_s", "aht_s", "occupancy")
LISTED = {
    "waiting": {"kpi": "longest_wait_s"},
    "answered": {"outcome": "answered"},
    "abandoned": {"outcome": "abandoned"},
}
"""Number of the headline → the calls that it counts; the others lead to their explanation."""
EXPLAINED = {"waiting": "longest_wait_s", "answered": "offered", "abandoned": "abandon_rate"}
"""Where who may see no calls is led instead."""


def headline_names(today: bool, viewer: Viewer) -> tuple[str, ...]:
    return tuple(name for name in ((*LIVE, *HEADLINE) if today else HEADLINE) if may_show(viewer, name))


def headline(total: Kpis | None, viewer: Viewer, text: Text, now: CampaignNow | None) -> str:
    """Draw the numbers of a day; `now` adds who waits at this moment."""
    _ = text.gettext
    called = total if total and total.offered else None
    level, target = (total.service_level, total.target) if total else (None, None)
    state = level_state(level, target)
    gap = ""
    if level is not None and target is not None:
        gap = _("{points} pts").format(points=text.points(level - target))
    values = {
        "service_level": text.percent(level),
        "offered": text.number(called.offered if called else None),
        "answered": text.number(called.answered if called else None),
        "abandoned": text.number(called.abandoned if called else None),
        "abandon_rate": text.percent(called.abandon_rate if called else None),
        "asa_s": text.duration(total.asa_s if total else None),
        "aht_s": text.duration(total.aht_s if total else None),
        "occupancy": text.percent(total.occupancy if total else None, 0),
    }
    if now is not None:
        values |= {"waiting": text.number(now.waiting), "longest_wait_s": text.duration(now.longest_wait_s)}
    cards = []
    for name in headline_names(now is not None, viewer):
        value = values[name]
        nil = ' class="nil"' if value == DASH else ""
        about = ""
        if name == "service_level" and state != "none":
            about = marked_level(escape(gap), state, text)
        if name == "longest_wait_s" and now is not None and is_late(now):
            words = past_words(total.threshold_s if total else None, text)
            about = late_mark(words, words)
        cards.append(
            f'<div class="card"><span>{escape(names.brief(name, text))}</span><b{nil}>{escape(value)}</b>{about}</div>'
        )
    return f'<div class="vigie-headline of-{len(cards)}">{"".join(cards)}</div>'


def behind(where: Selection, one: Interval, outcome: str | None = None) -> dict[str, str]:
    """Return the parameters of the page with the calls of an interval, or those that ended in this way."""
    asked = {"campaign": where.campaign.campaign, "from": instant(one.start), "to": instant(one.end)}
    return asked | ({"outcome": outcome} if outcome else {})


def other(kpis: Kpis) -> int:
    """Return the offered calls that were neither answered nor abandoned: open ones, short abandons, other ways out."""
    return kpis.offered - kpis.answered - kpis.abandoned


def active(day: CampaignDay) -> tuple[Interval, ...]:
    """Return the intervals from the first with a call to the last of the day so far."""
    first = next((n for n, one in enumerate(day.intervals) if one.kpis and one.kpis.offered), None)
    return () if first is None else day.intervals[first:]


COUNTED = ("answered", "abandoned", "other")
"""The parts of the offered calls that the chart stacks, and what stands beside them in the table."""
RATED = ("service_level", "abandon_rate", "asa_s")

TRACES = {0: "answered", 1: "abandoned", 3: "other"}
"""Of which outcome the calls in a bar of the chart are, by the number of its trace in `chart.calls_and_level`."""


def figure(day: CampaignDay, usual: Comparison | None, text: Text) -> go.Figure:
    """Draw the day's calls and service level by intervals, with what is usual on this weekday.

    Positions are numbers of intervals, not times: an hour that a change of clocks repeats is drawn twice, not on top of
    itself.
    """
    _ = text.gettext
    intervals = active(day)
    zone = day.campaign.timezone
    known = [one.kpis for one in intervals]
    hours = [n for n, one in enumerate(intervals) if text.clock(one.start, zone).endswith(":00")]
    hours = hours[:: max(1, -(-len(hours) // TICKS))]
    return chart.calls_and_level(
        chart.Stack(
            good=(_("Answered"), [k.answered if k else None for k in known]),
            bad=(_("Abandoned"), [k.abandoned if k else None for k in known]),
            other=(_("Other"), [other(k) if k else None for k in known]),
        ),
        chart.Level(
            reached=[k.service_level if k else None for k in known],
            target=[k.target if k else None for k in known],
            hover=[_hover(one, usual, zone, text) for one in intervals],
        ),
        ticks={n: text.clock(intervals[n].start, zone) for n in hours},
        shortest=SHORTEST,
        about=day.campaign.campaign,
        text=text,
        usual=(usual_days.name(usual, text), [usual_calls(usual, one) for one in intervals])
        if usual and usual.days
        else None,
    )


def alt(day: CampaignDay, text: Text) -> str:
    """Say what the chart shows, for who cannot see it; the table below has its numbers."""
    _ = text.gettext
    said = _("Chart, {day}: calls and service level by intervals; {offered} offered, service level {level}.")
    total = day.total
    return said.format(
        day=text.day(day.campaign.day),
        offered=text.number(total.offered if total else None),
        level=text.percent(total.service_level if total else None),
    )


def usual_calls(usual: Comparison | None, one: Interval) -> float | None:
    """Return how many calls are offered in such an interval on a usual day of this weekday."""
    found = usual.usual_at(one.start) if usual else None
    return found.mean("offered") if found else None


def _hours(one: Interval, zone: str, text: Text) -> str:
    """Say when an interval begins and ends; the day's last ends at 24:00."""
    end = text.clock(one.end, zone)
    return f"{text.clock(one.start, zone)}–{'24:00' if end == '00:00' else end}"


def _hover(one: Interval, usual: Comparison | None, zone: str, text: Text) -> str:
    _ = text.gettext
    lines = [f"<b>{_hours(one, zone, text)}</b>"]
    if one.kpis:
        kpis = one.kpis
        lines += [
            _("Offered") + " " + text.number(kpis.offered),
            _("Answered") + " " + text.number(kpis.answered),
            _("Abandoned") + " " + text.number(kpis.abandoned),
            _("Service level") + " " + text.percent(kpis.service_level),
        ]
    known = usual.usual_at(one.start) if usual else None
    if usual and known:
        of_calls, of_level = text.number(known.mean("offered")), text.percent(known.kpis.service_level)
        lines.append(f"{usual_days.name(usual, text)}: {_('Offered')} {of_calls}, {_('Service level')} {of_level}")
    return "<br>".join(lines)


def intervals(day: CampaignDay, usual: Comparison | None, viewer: Viewer, text: Text, where: Selection) -> str:
    """Draw the intervals as a table, the newest first; each leads to its calls, and to those of each outcome."""
    _ = text.gettext
    zone = day.campaign.timezone
    head = (
        _("Interval"),
        _("Offered"),
        _("Usual"),
        _("Answered"),
        _("Abandoned"),
        _("Other"),
        _("Service level"),
        _("Abandon rate"),
        _("ASA"),
        *((_("AHT"), _("Occupancy")) if viewer.sees_work else ()),
    )
    rows = [
        _row(
            _hours(one, zone, text),
            one.kpis,
            usual_calls(usual, one),
            viewer,
            text,
            behind(where, one),
        )
        for one in reversed(active(day))
    ]
    if not rows:
        return table.note(_("No calls yet on this day."))
    whole = usual.usual_so_far if usual and usual.until == day.campaign.t1 else None
    of_usual = whole.kpis.offered / len(usual.days) if usual and whole else None
    total = _row(_("Day"), day.total, of_usual, viewer, text, where.params())
    return table.table(table.heads(head), rows, "numbers", foot=total)


def _row(
    name: str, kpis: Kpis | None, usual: float | None, viewer: Viewer, text: Text, asked: Mapping[str, str]
) -> str:
    """Draw an interval, or the day: its name leads to its calls, each figure to what is behind it."""
    head = link("calls", asked, escape(name)) if kpis and kpis.offered else escape(name)
    of_usual = table.cell(escape(text.number(usual)), "usual")
    if kpis is None:
        unknown = [DASH] * (8 if viewer.sees_work else 6)
        return table.row(head, table.cell(DASH) + of_usual + table.cells(unknown))
    state = level_state(kpis.service_level, kpis.target)

    def cell(figure: str) -> str:
        value = other(kpis) if figure == "other" else getattr(kpis, figure)
        shown = escape(names.shown(figure, value, text, digits=0 if figure == "occupancy" else 1))
        if figure == "service_level":
            shown = marked_level(shown, state, text)
        return table.cell(figure_link(figure, value, shown, asked, f"{name}, {names.brief(figure, text)}", text))

    rest = (*COUNTED, *RATED, *(("aht_s", "occupancy") if viewer.sees_work else ()))
    return table.row(head, cell("offered") + of_usual + "".join(map(cell, rest)))


def waiting(calls: tuple[WaitingCall, ...], zone: str, threshold_s: float | None, text: Text) -> str:
    """Draw the calls that wait, the longest first; who waits past the threshold is marked."""
    _ = text.gettext
    if not calls:
        return table.note(_("Nobody is waiting."))
    head = (_("Wait"), _("Since"), _("Queue"), _("Language"), _("Caller"))
    rows = []
    for call in calls[:SHOWN_WAITING]:
        wait = text.duration(call.wait_s)
        if threshold_s is not None and call.wait_s > threshold_s:
            wait = late_mark(wait, past_words(threshold_s, text))
        since = text.clock(call.queued_at, zone, seconds=True)
        cells = [call.queue or DASH, text.language_name(call.language), call.caller or DASH]
        rows.append(table.row(wait, table.cell(since) + table.cells(cells)))
    more = len(calls) - SHOWN_WAITING
    rest = ""
    if more > 0:
        rest = table.note(text.ngettext("and {n} more", "and {n} more", more).format(n=text.number(more)))
    return table.table(table.heads(head), rows, "waiting") + rest
