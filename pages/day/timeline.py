"""A campaign's day: headline, chart, table of its intervals, and waiting calls, in the reader's language."""

from collections.abc import Mapping
from html import escape
from zoneinfo import ZoneInfo

import plotly.graph_objects as go

from metrics.authorisation.viewer import Viewer
from metrics.readers import CampaignDay, CampaignNow, Comparison, Interval, Kpis, WaitingCall, may_show
from pages.day import usual_days
from pages.day.overlay import Beside
from pages.shared import chart, names, table
from pages.shared.i18n import DASH, Text
from pages.shared.links import figure_link, link, story_link
from pages.shared.marks import late_mark, level_state, marked_level, past_words, state_mark
from pages.shared.selection import Selection, instant
from pages.shared.verdicts import IN_WINDOW, is_late, now_word, opens_words, state_of, verdict_mark, window_words

SHOWN_WAITING = 10
SHORTEST = 24
"""A chart has room for at least this many intervals, so that the first hour of a day is not a wall of bars."""

TICKS = 7
"""Label at most this many hours: more do not fit on a phone."""

LIVE = ("waiting", "longest_wait_s")
HEADLINE = ("service_level", "offered", "answered", "abandoned", "abandon_rate", "asa_s", "aht_s", "occupancy")
LISTED = {
    "waiting": {"kpi": "longest_wait_s"},
    "answered": {"outcome": "answered"},
    "abandoned": {"outcome": "abandoned"},
}
"""Number of the headline → the calls that it counts. The others link to their explanation."""
EXPLAINED = {"waiting": "longest_wait_s", "answered": "offered", "abandoned": "abandon_rate"}
"""Number without an explanation of its own → the figure whose explanation has it."""


def headline_names(today: bool, viewer: Viewer) -> tuple[str, ...]:
    return tuple(name for name in ((*LIVE, *HEADLINE) if today else HEADLINE) if may_show(viewer, name))


def now_line(live: CampaignNow, viewer: Viewer, text: Text) -> str:
    """Draw how a campaign is now, the figures of its last minutes, and where its day stands."""
    shown = [
        f"{names.brief(name, text)} {names.shown(name, getattr(live.now, name), text)}"
        for name in IN_WINDOW
        if may_show(viewer, name)
    ]
    window = " · ".join((window_words(live, text), *shown))
    parts = [state_mark(state_of(live), now_word(live, text)), escape(opens_words(live, text)), escape(window)]
    verdict = verdict_mark(live, text)
    today = f"<span>{escape(text.gettext('Today'))}</span> {verdict}" if verdict else ""
    return f'<div class="vigie-now">{"".join(f"<p>{part}</p>" for part in (*parts, today) if part)}</div>'


def headline(total: Kpis | None, viewer: Viewer, text: Text, now: CampaignNow | None) -> str:
    """Draw the numbers of a day; `now` adds the callers who wait at this moment."""
    _ = text.gettext
    day_with_calls = total if total and total.offered else None
    level, target = (total.service_level, total.target) if total else (None, None)
    state = level_state(level, target)
    gap = ""
    if level is not None and target is not None:
        gap = _("{points} pts").format(points=text.points(level - target))
    values = {
        "service_level": text.percent(level),
        "offered": text.number(day_with_calls.offered if day_with_calls else None),
        "answered": text.number(day_with_calls.answered if day_with_calls else None),
        "abandoned": text.number(day_with_calls.abandoned if day_with_calls else None),
        "abandon_rate": text.percent(day_with_calls.abandon_rate if day_with_calls else None),
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
        mark = ""
        if name == "service_level" and state != "none":
            mark = marked_level(escape(gap), state, text)
        if name == "longest_wait_s" and now is not None and is_late(now):
            words = past_words(total.threshold_s if total else None, text)
            mark = late_mark(words, words)
        cards.append(
            f'<div class="card"><span>{escape(names.brief(name, text))}</span><b{nil}>{escape(value)}</b>{mark}</div>'
        )
    return f'<div class="vigie-headline of-{len(cards)}">{"".join(cards)}</div>'


def calls_params(where: Selection, interval: Interval) -> dict[str, str]:
    """Return the parameters of the page of calls for an interval."""
    return {"campaign": where.campaign.campaign, "from": instant(interval.start), "to": instant(interval.end)}


def waits_params(where: Selection, interval: Interval) -> dict[str, str]:
    """Return the parameters of the page of all calls of an interval, the longest wait first."""
    return calls_params(where, interval) | {"order": "wait"}


def other(kpis: Kpis) -> int:
    """Return how many offered calls were neither answered nor abandoned: open ones, short abandons, other outcomes."""
    return kpis.offered - kpis.answered - kpis.abandoned


COUNTED = ("answered", "abandoned", "other")
"""The parts of the offered calls that the chart stacks. The table has RATED beside them."""
RATED = ("service_level", "abandon_rate", "asa_s")


def figure(day: CampaignDay, usual: Comparison | None, beside: Beside | None, text: Text) -> go.Figure:
    """Draw the day's calls and service level by interval, with another day or the usual one `beside` it.

    Positions are numbers of intervals, not times. So when the clocks go back, the repeated hour is drawn twice, not on
    top of itself.
    """
    _ = text.gettext
    intervals = day.intervals_with_calls
    zone = day.campaign.timezone
    kpis = [interval.kpis for interval in intervals]
    return chart.calls_and_level(
        chart.Stack(
            good=(_("Answered"), [kpi.answered if kpi else None for kpi in kpis]),
            bad=(_("Abandoned"), [kpi.abandoned if kpi else None for kpi in kpis]),
            other=(_("Other"), [other(kpi) if kpi else None for kpi in kpis]),
        ),
        chart.Level(
            reached=[kpi.service_level if kpi else None for kpi in kpis],
            target=[kpi.target if kpi else None for kpi in kpis],
            hover=[_hover(interval, usual, zone, text) for interval in intervals],
        ),
        ticks=ticks(day, text),
        shortest=SHORTEST,
        about=day.campaign.campaign,
        text=text,
        beside=None if beside is None else (beside.name, beside.calls, beside.levels),
    )


def ticks(day: CampaignDay, text: Text) -> dict[int, str]:
    """Return the labels of the axis: the number of an interval → its full hour. There are at most TICKS."""
    clocks = [text.clock(interval.start, day.campaign.timezone) for interval in day.intervals_with_calls]
    hours = [n for n, clock in enumerate(clocks) if clock.endswith(":00")]
    return {n: clocks[n] for n in hours[:: max(1, -(-len(hours) // TICKS))]}


def alt(day: CampaignDay, text: Text) -> str:
    """Describe the chart for those who cannot see it; the table below has its numbers."""
    _ = text.gettext
    words = _("Chart, {day}: calls and service level by intervals; {offered} offered, service level {level}.")
    total = day.total
    return words.format(
        day=text.day(day.campaign.day),
        offered=text.number(total.offered if total else None),
        level=text.percent(total.service_level if total else None),
    )


def usual_calls(usual: Comparison | None, interval: Interval) -> float | None:
    """Return the mean number of calls offered in this interval on the same weekdays; None when it is not known."""
    usual_interval = usual.usual_at(interval.start) if usual else None
    return usual_interval.mean("offered") if usual_interval else None


def hours_of(interval: Interval, zone: str, text: Text) -> str:
    """Format when an interval begins and ends; the day's last one ends at 24:00."""
    end = text.clock(interval.end, zone)
    return f"{text.clock(interval.start, zone)}–{'24:00' if end == '00:00' else end}"


def _hover(interval: Interval, usual: Comparison | None, zone: str, text: Text) -> str:
    _ = text.gettext
    lines = [f"<b>{hours_of(interval, zone, text)}</b>"]
    if interval.kpis:
        kpis = interval.kpis
        lines += [
            _("Offered") + " " + text.number(kpis.offered),
            _("Answered") + " " + text.number(kpis.answered),
            _("Abandoned") + " " + text.number(kpis.abandoned),
            _("Service level") + " " + text.percent(kpis.service_level),
        ]
    usual_interval = usual.usual_at(interval.start) if usual else None
    if usual and usual_interval:
        usual_offered, usual_level = (
            text.number(usual_interval.mean("offered")),
            text.percent(usual_interval.kpis.service_level),
        )
        lines.append(
            f"{usual_days.name(usual, text)}: {_('Offered')} {usual_offered}, {_('Service level')} {usual_level}"
        )
    return "<br>".join(lines)


def intervals(day: CampaignDay, usual: Comparison | None, viewer: Viewer, text: Text, where: Selection) -> str:
    """Draw the intervals as a table, the newest first, each with links to its calls and to those of each outcome."""
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
            hours_of(interval, zone, text),
            interval.kpis,
            usual_calls(usual, interval),
            viewer,
            text,
            calls_params(where, interval),
            waits_params(where, interval),
        )
        for interval in reversed(day.intervals_with_calls)
    ]
    if not rows:
        return table.note(_("No calls yet on this day."))
    usual_day = usual.usual_so_far if usual and usual.until == day.campaign.t1 else None
    usual_offered = usual_day.kpis.offered / len(usual.days) if usual and usual_day else None
    total = _row(_("Day"), day.total, usual_offered, viewer, text, where.params(), where.params(order="wait"))
    return table.table(table.heads(head), rows, "numbers", foot=total)


def _row(
    name: str,
    kpis: Kpis | None,
    usual: float | None,
    viewer: Viewer,
    text: Text,
    params: Mapping[str, str],
    waits: Mapping[str, str],
) -> str:
    """Draw an interval, or the day. Its name links to its longest waits, a figure to its calls or its explanation."""
    head = link("calls", waits, escape(name)) if kpis and kpis.offered else escape(name)
    usual_cell = table.cell(escape(text.number(usual)), "usual")
    if kpis is None:
        unknown = [DASH] * (8 if viewer.sees_work else 6)
        return table.row(head, table.cell(DASH) + usual_cell + table.cells(unknown))
    state = level_state(kpis.service_level, kpis.target)

    def cell(figure: str) -> str:
        value = other(kpis) if figure == "other" else getattr(kpis, figure)
        shown = escape(names.shown(figure, value, text, digits=0 if figure == "occupancy" else 1))
        if figure == "service_level":
            shown = marked_level(shown, state, text)
        return table.cell(figure_link(figure, value, shown, params, f"{name}, {names.brief(figure, text)}", text))

    figures = (*COUNTED, *RATED, *(("aht_s", "occupancy") if viewer.sees_work else ()))
    return table.row(head, cell("offered") + usual_cell + "".join(map(cell, figures)))


def waiting(calls: tuple[WaitingCall, ...], zone: str, threshold_s: float | None, text: Text) -> str:
    """Draw the waiting calls, the longest wait first; waits past the threshold are marked."""
    _ = text.gettext
    if not calls:
        return table.note(_("Nobody is waiting."))
    head = (_("Wait"), _("Since"), _("Queue"), _("Language"), _("Caller"))
    rows = []
    for call in calls[:SHOWN_WAITING]:
        wait = text.duration(call.wait_s)
        if threshold_s is not None and call.wait_s > threshold_s:
            wait = late_mark(wait, past_words(threshold_s, text))
        clock = text.clock(call.queued_at, zone, seconds=True)
        since = story_link(call.campaign, call.queued_at.astimezone(ZoneInfo(zone)).date(), call.call_id, clock, text)
        cells = [call.queue or DASH, text.language_name(call.language), call.caller or DASH]
        rows.append(table.row(wait, table.cell(since) + table.cells(cells)))
    more = len(calls) - SHOWN_WAITING
    rest = ""
    if more > 0:
        rest = table.note(text.ngettext("and {n} more", "and {n} more", more).format(n=text.number(more)))
    return table.table(table.heads(head), rows, "waiting") + rest
