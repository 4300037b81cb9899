"""One campaign: its headline numbers, waiting calls and agents now, and a day of it against target and usual day."""

from dataclasses import asdict
from datetime import date

import plotly.graph_objects as go
import streamlit as st

from metrics import clock, readers
from metrics.readers import CampaignNow
from pages.accounts import visitor
from pages.day import breakdown, overlay, staffing, timeline, usual_days
from pages.shared import choices, marks, names, selection, ticks
from pages.shared.i18n import plain
from pages.team import agent_table, shift_table

NOW_S = 1
AGENTS_S = 2
DAY_S = 15
"""The shortest interval of the day is a quarter of an hour, so this is fast enough."""
WEEKS_S = 60
"""The weeks leave today out, so only late events and midnight change them."""

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def read_now(campaign: str) -> tuple[CampaignNow | None, readers.Freshness | None]:
    board = readers.board(readers.published(), viewer, ends_of=(campaign,))
    live = next((live for live in board.campaigns if live.campaign.campaign == campaign), None) if board else None
    return live, board.freshness if board else None


@ticks.tick(NOW_S)
def now_line(campaign: str) -> None:
    """Draw how the campaign is now, and where its day stands."""
    live, freshness = read_now(campaign)
    if live is not None and freshness is not None:
        st.html(_grey_if_stale(timeline.now_line(live, viewer, text), freshness))


@ticks.tick(NOW_S)
def now(campaign: str) -> None:
    """Draw today's headline numbers and the age of the data."""
    live, freshness = read_now(campaign)
    if live is None or freshness is None:
        return
    st.html(_grey_if_stale(timeline.headline(live.today, viewer, text, live), freshness))
    age = text.age(freshness.age_s(clock.now()))
    if _is_stale(freshness):
        warning = _("No new data for {age}. This is how the campaign was then.").format(age=age)
        st.caption(f":material/warning: **{warning}**")
        return
    target = (live.today.target, live.today.threshold_s) if live.today else (None, None)
    parts = [_("Data {age} old").format(age=age), marks.target_words(*target, text)]
    if live.agents and live.agents.logged_in:
        states = text.ngettext(
            "{available} available, {busy} busy, {wrap_up} in wrap-up, {paused} paused",
            "{available} available, {busy} busy, {wrap_up} in wrap-up, {paused} paused",
            live.agents.available,
        )
        parts.append(states.format(**{state: text.number(n) for state, n in asdict(live.agents).items()}))
    st.caption(f":material/schedule: {' · '.join(parts)}")


def read_day(where: selection.Selection, minutes: int) -> tuple[readers.CampaignDay | None, readers.Comparison | None]:
    """Return the selected day, and the usual one to compare it with."""
    past_day: date | None = None if where.is_today else where.campaign.day
    campaign = where.campaign.campaign
    day = readers.day(readers.published(), viewer, campaign, day=past_day, minutes=minutes)
    return day, readers.compare(readers.published(), viewer, campaign, day=past_day, minutes=minutes)


def _is_stale(freshness: readers.Freshness) -> bool:
    return freshness.age_s(clock.now()) > marks.STALE_S


def _grey_if_stale(html: str, freshness: readers.Freshness) -> str:
    return f'<div class="vigie-stale">{html}</div>' if _is_stale(freshness) else html


def past_headline(where: selection.Selection) -> None:
    """Draw the headline numbers of a past day."""
    day, _usual = read_day(where, readers.MINUTES)
    if day is None:
        return
    total = day.total
    st.html(timeline.headline(total, viewer, text, None))
    parts = [marks.target_words(total.target, total.threshold_s, text)] if total else []
    parts.append(_("as known now, late events included"))
    caption = " · ".join(parts)
    st.caption(f":material/history: {caption[0].upper()}{caption[1:]}")


@ticks.tick(DAY_S)
def chart(where: selection.Selection, minutes: int, beside: date | None) -> None:
    """Draw the day, and another one or the usual one beside it. A click on an interval opens its calls."""
    day, usual = read_day(where, minutes)
    if day is None:
        return
    other = beside and readers.day(readers.published(), viewer, where.campaign.campaign, day=beside, minutes=minutes)
    shown = overlay.of_day(other, day, text) if other else overlay.of_usual(usual, day, text)
    draw_chart("day", timeline.figure(day, usual, shown, text), timeline.alt(day, text), day, where, minutes)
    st.caption(
        _("Other: still waiting, a short abandon, or out of the queue another way.")
        + " "
        + _("Click an interval to see its calls, the longest waits first.")
    )


@ticks.tick(DAY_S)
def staffing_chart(where: selection.Selection, minutes: int) -> None:
    """Draw the day's agents by state, and why intervals missed their target. A click on one opens its calls."""
    day, usual = read_day(where, minutes)
    if day is not None:
        draw_chart("agents", staffing.figure(day, text), staffing.alt(day, text), day, where, minutes)
        st.html(staffing.worst(day, usual, text))


def draw_chart(
    name: str, figure: go.Figure, alt: str, day: readers.CampaignDay, where: selection.Selection, minutes: int
) -> None:
    event = st.plotly_chart(
        figure,
        key=f"{name} {minutes} {st.context.theme.type}",  # a new chart when the theme changes, for its colours
        theme="streamlit",
        config={"displayModeBar": False},
        on_select="rerun",
        selection_mode="points",
        alt=alt,
    )
    intervals = day.intervals_with_calls
    for point in event["selection"]["points"]:
        place = int(point["x"])
        if 0 <= place < len(intervals):
            selection.go(selection.href("calls", timeline.waits_params(where, intervals[place])))


@ticks.tick(DAY_S)
def intervals(where: selection.Selection, minutes: int, shown: str) -> None:
    """Draw the numbers of a chart, of calls or of agents; each interval links to its calls."""
    day, usual = read_day(where, minutes)
    if day is None:
        return
    if shown == "agents":
        st.html(staffing.intervals(day, usual, text, where))
    else:
        st.html(timeline.intervals(day, usual, viewer, text, where))


@ticks.tick(DAY_S)
def compared(where: selection.Selection, minutes: int) -> None:
    """Compare the day with the same weekday of the weeks before."""
    _day, usual = read_day(where, minutes)
    if usual is not None:
        st.html(usual_days.comparison(usual, viewer, where, text))


@ticks.tick(DAY_S)
def outcomes(where: selection.Selection, minutes: int) -> None:
    """Draw the outcomes of the day's calls."""
    day, _usual = read_day(where, minutes)
    if day is not None and day.total is not None:
        st.html(breakdown.outcomes(day.total, where, text))


@ticks.tick(DAY_S)
def queues(where: selection.Selection) -> None:
    """Draw the day by queue."""
    day: date | None = None if where.is_today else where.campaign.day
    rows = readers.queues(readers.published(), viewer, where.campaign.campaign, day)
    st.html(breakdown.queues(rows, viewer, where, text))


@ticks.tick(NOW_S)
def waiting(campaign: str) -> None:
    """Draw the calls that are waiting."""
    live, freshness = read_now(campaign)
    if live is None or freshness is None:
        return
    threshold_s = live.today.threshold_s if live.today else None
    calls = readers.waiting(readers.published(), viewer, campaign)
    st.html(_grey_if_stale(timeline.waiting(calls, live.campaign.timezone, threshold_s, text), freshness))


@ticks.tick(AGENTS_S)
def agents(campaign: str) -> None:
    """Draw the campaign's agents now. A viewer who may not see names gets the number in each state."""
    live, freshness = read_now(campaign)
    if live is None or freshness is None:
        return
    by_name = readers.agents(readers.published(), viewer, campaign)
    if by_name is None:
        st.html(breakdown.agents(live.agents, text))
        return
    filters = agent_table.Chosen(campaign=campaign)
    st.html(agent_table.draw(by_name, filters, viewer, text, stale=_is_stale(freshness)))


@ticks.tick(DAY_S)
def shifts(where: selection.Selection) -> None:
    """Draw the campaign's agents on a past day. A viewer who may not see names gets their number."""
    day = readers.shifts(readers.published(), viewer, where.campaign.campaign, where.campaign.day)
    if day is not None:
        st.html(shift_table.draw(day, where, text))


@ticks.tick(WEEKS_S)
def weeks(campaign: str) -> None:
    """Draw the chosen figure of the last weeks by weekday and hour."""
    measures = [name for name in usual_days.MEASURES if readers.may_show(viewer, name)]
    st.subheader(_("By weekday and hour"), anchor=False)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        labels = {name: names.brief(name, text) for name in measures}
        measure = choices.segments("measure", _("Figure"), labels, label_visibility="collapsed")
        counts = {str(n): text.ngettext("{n} week", "{n} weeks", n).format(n=text.number(n)) for n in readers.WEEKS}
        count = int(choices.segments("weeks", _("Weeks"), counts, label_visibility="collapsed"))
    by_hour = readers.weeks(readers.published(), viewer, campaign, count)
    if by_hour is None:
        return
    live, _freshness = read_now(campaign)
    target = live.today.target if live and live.today else None
    st.html(usual_days.heat(by_hour, campaign, measure, target, text))
    st.caption(usual_days.heat_caption(by_hour, measure, target, text))


def links(where: selection.Selection) -> None:
    """Lay a link over every headline number. The links are drawn once, so that a tick does not take the focus away."""
    with st.container(key="headlinks"):
        for name in timeline.headline_names(where.is_today, viewer):
            figure = names.brief(name, text)
            calls = timeline.LISTED.get(name)
            if calls is not None:
                label = _("The calls behind: {figure}").format(figure=figure)
                st.page_link("calls.py", label=label, query_params=where.params(**calls))
            else:
                kpi = timeline.EXPLAINED.get(name, name)
                label = _("Where this figure comes from: {figure}").format(figure=figure)
                st.page_link("kpi.py", label=label, query_params=where.params(kpi=kpi))


def page() -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    where = selection.choose(viewer, text, bar, whole_days=True)
    if where is None:
        return
    campaign = where.campaign
    with bar:
        st.caption(f"{text.day(campaign.day)} · {plain(campaign.timezone)}", width="content")
    if where.is_today:
        now_line(campaign.campaign)
    with st.container(key="headline"):
        if where.is_today:
            now(campaign.campaign)
        else:
            past_headline(where)
        links(where)
    if not viewer.sees_work:
        st.caption(f":material/lock: {names.privacy(text)}")
    left, right = st.columns([7, 3], gap="medium")
    with left:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            st.subheader(_("The day by intervals"), anchor=False, width="content")
            beside = overlay.choose(where, readers.first_day(readers.published(), viewer), text)
            minutes = selection.choose_minutes(readers.MINUTES, text, label="collapsed")
        chart(where, minutes, beside)
    with right:
        if where.is_today:
            st.subheader(_("Waiting now"), anchor=False)
            waiting(campaign.campaign)
        weekday = text.weekday(campaign.day.weekday())
        st.subheader(_("Compared with the usual {weekday}").format(weekday=weekday), anchor=False)
        compared(where, minutes)
    ticks.below_the_fold()
    if viewer.sees_work:
        with left:
            st.subheader(_("Agents by interval"), anchor=False)
            staffing_chart(where, minutes)
    left, right = st.columns([6, 4], gap="medium")
    with left:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            st.subheader(_("By interval"), anchor=False, width="content")
            tables = {"calls": _("Calls"), "agents": _("Agents")}
            shown = "calls"
            if viewer.sees_work:
                shown = choices.segments("table", _("Table"), tables, label_visibility="collapsed")
        intervals(where, minutes, shown)
    with right:
        st.subheader(_("What became of the calls"), anchor=False)
        outcomes(where, minutes)
        st.subheader(_("By queue"), anchor=False)
        queues(where)
    st.subheader(_("Agents"), anchor=False)
    if where.is_today:
        agents(campaign.campaign)
    else:
        shifts(where)
    with right:
        weeks(campaign.campaign)


page()
