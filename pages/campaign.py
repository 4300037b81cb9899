"""One campaign: its numbers now, who waits and works, its day, or a past one, beside its target and what is usual."""

from dataclasses import asdict
from datetime import date

import streamlit as st

from metrics import clock, readers
from metrics.readers import CampaignNow
from pages.accounts import visitor
from pages.day import breakdown, timeline, usual_days
from pages.shared import marks, names, selection, ticks
from pages.shared.i18n import plain
from pages.team import agent_table, shift_table

NOW_S = 1
AGENTS_S = 2
DAY_S = 15
"""A quarter of an hour moves slowly enough for this."""
WEEKS_S = 3600
"""Weeks without today change when a day is over."""

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def known_now(campaign: str) -> tuple[CampaignNow | None, readers.Freshness | None]:
    board = readers.board(readers.published(), viewer)
    one = next((one for one in board.campaigns if one.campaign.campaign == campaign), None) if board else None
    return one, board.freshness if board else None


@ticks.tick(NOW_S)
def now(campaign: str) -> None:
    """Draw the headline numbers of today and how old they are."""
    one, freshness = known_now(campaign)
    if one is None or freshness is None:
        return
    st.html(_as_old_as_it_is(timeline.headline(one.today, viewer, text, one), freshness))
    age = text.age(freshness.age_s(clock.now()))
    if _is_stale(freshness):
        words = _("No new data for {age}. This is how the campaign was then.").format(age=age)
        st.caption(f":material/warning: **{words}**")
        return
    target = (one.today.target, one.today.threshold_s) if one.today else (None, None)
    said = [_("Data {age} old").format(age=age), marks.target_words(*target, text)]
    if one.agents and one.agents.logged_in:
        doing = text.ngettext(
            "{available} available, {busy} busy, {wrap_up} in wrap-up, {paused} paused",
            "{available} available, {busy} busy, {wrap_up} in wrap-up, {paused} paused",
            one.agents.available,
        )
        said.append(doing.format(**{state: text.number(n) for state, n in asdict(one.agents).items()}))
    st.caption(f":material/schedule: {' · '.join(said)}")


def known_day(where: selection.Selection, minutes: int) -> tuple[readers.CampaignDay | None, readers.Comparison | None]:
    day: date | None = None if where.today else where.campaign.day
    campaign = where.campaign.campaign
    known = readers.day(readers.published(), viewer, campaign, day=day, minutes=minutes)
    return known, readers.compare(readers.published(), viewer, campaign, day=day, minutes=minutes)


def _is_stale(freshness: readers.Freshness) -> bool:
    return freshness.age_s(clock.now()) > marks.STALE_S


def _as_old_as_it_is(html: str, freshness: readers.Freshness) -> str:
    """Return what is true now, grey when it is no longer."""
    return f'<div class="vigie-stale">{html}</div>' if _is_stale(freshness) else html


def past_headline(where: selection.Selection) -> None:
    """Draw the headline numbers of a past day."""
    known, _usual_of_it = known_day(where, readers.MINUTES)
    if known is None:
        return
    st.html(timeline.headline(known.total, viewer, text, None))
    total = known.total
    said = [marks.target_words(total.target, total.threshold_s, text)] if total else []
    said.append(_("as known now: late events are in it"))
    words = " · ".join(said)
    st.caption(f":material/history: {words[0].upper()}{words[1:]}")


@ticks.tick(DAY_S)
def chart(where: selection.Selection, minutes: int) -> None:
    """Draw the day. A click on a bar leads to the calls in it."""
    known, usual = known_day(where, minutes)
    if known is None:
        return
    shown = timeline.active(known)
    event = st.plotly_chart(
        timeline.figure(known, usual, text),
        key=f"day {minutes} {st.context.theme.type}",  # drawn anew, its colours with it, when the theme changes
        theme="streamlit",
        config={"displayModeBar": False},
        on_select="rerun",
        selection_mode="points",
        alt=timeline.alt(known, text),
    )
    for point in event["selection"]["points"]:
        place, trace = int(point["x"]), int(point["curve_number"])
        if 0 <= place < len(shown):
            selection.go(
                selection.href("calls", timeline.calls_params(where, shown[place], timeline.TRACES.get(trace)))
            )
    st.caption(
        _("Other: still waiting, a short abandon, or out of the queue another way.")
        + " "
        + _("Click a bar to see its calls.")
    )


@ticks.tick(DAY_S)
def intervals(where: selection.Selection, minutes: int) -> None:
    """Draw the chart's numbers, each leading to its calls."""
    known, usual = known_day(where, minutes)
    if known is not None:
        st.html(timeline.intervals(known, usual, viewer, text, where))


@ticks.tick(DAY_S)
def compared(where: selection.Selection, minutes: int) -> None:
    """Draw the day beside the same weekday of the weeks before."""
    _known, usual = known_day(where, minutes)
    if usual is not None:
        st.html(usual_days.comparison(usual, viewer, where, text))


@ticks.tick(DAY_S)
def outcomes(where: selection.Selection, minutes: int) -> None:
    """Draw what became of the day's calls."""
    known, _usual_of_it = known_day(where, minutes)
    if known is not None and known.total is not None:
        st.html(breakdown.outcomes(known.total, where, text))


@ticks.tick(DAY_S)
def queues(where: selection.Selection) -> None:
    """Draw the day's queues."""
    day: date | None = None if where.today else where.campaign.day
    found = readers.queues(readers.published(), viewer, where.campaign.campaign, day)
    st.html(breakdown.queues(found, viewer, where, text))


@ticks.tick(NOW_S)
def waiting(campaign: str) -> None:
    """Draw the calls that wait."""
    one, freshness = known_now(campaign)
    if one is None or freshness is None:
        return
    threshold_s = one.today.threshold_s if one.today else None
    calls = readers.waiting(readers.published(), viewer, campaign)
    st.html(_as_old_as_it_is(timeline.waiting(calls, one.campaign.timezone, threshold_s, text), freshness))


@ticks.tick(AGENTS_S)
def agents(campaign: str) -> None:
    """Draw who works for the campaign now; to who may know no names, how many do what."""
    one, freshness = known_now(campaign)
    if one is None or freshness is None:
        return
    found = readers.agents(readers.published(), viewer, campaign)
    if found is None:
        st.html(breakdown.agents(one.agents, text))
        return
    chosen = agent_table.Chosen(campaign=campaign)
    st.html(agent_table.draw(found, chosen, viewer, text, stale=_is_stale(freshness)))


@ticks.tick(DAY_S)
def shifts(where: selection.Selection) -> None:
    """Draw who worked for the campaign on a past day; to who may know no names, how many."""
    found = readers.shifts(readers.published(), viewer, where.campaign.campaign, where.campaign.day)
    if found is not None:
        st.html(shift_table.draw(found, where, text))


@ticks.tick(WEEKS_S)
def weeks(campaign: str) -> None:
    """Draw the weeks by weekday and hour, by the figure that is chosen."""
    measures = [name for name in usual_days.MEASURES if readers.may_show(viewer, name)]
    st.subheader(_("By weekday and hour"), anchor=False)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        measure = chosen("measure", _("Figure"), {name: names.brief(name, text) for name in measures})
        span = {str(n): text.ngettext("{n} week", "{n} weeks", n).format(n=text.number(n)) for n in readers.WEEKS}
        count = int(chosen("weeks", _("Weeks"), span))
    found = readers.weeks(readers.published(), viewer, campaign, count)
    if found is None:
        return
    one, _freshness = known_now(campaign)
    target = one.today.target if one and one.today else None
    st.html(usual_days.heat(found, campaign, measure, target, text))
    st.caption(usual_days.heat_caption(found, measure, target, text))


def chosen(name: str, label: str, options: dict[str, str]) -> str:
    """Draw a choice that the address keeps, and return it: the first of the options unless the address says another."""
    usual = next(iter(options))
    asked = st.query_params.get(name, usual)

    def change() -> None:
        choice = st.session_state[f"{name}_choice"] or usual
        st.query_params.pop(name, None)
        if choice != usual:
            st.query_params[name] = choice

    st.session_state[f"{name}_choice"] = asked if asked in options else usual
    st.segmented_control(
        label,
        options=list(options),
        format_func=options.__getitem__,
        key=f"{name}_choice",
        on_change=change,
        label_visibility="collapsed",
        wrap=True,
    )
    return str(st.session_state[f"{name}_choice"] or usual)


def links(where: selection.Selection) -> None:
    """Lay a link over every number of the headline, drawn once, so that a tick takes nobody's focus."""
    with st.container(key="headlinks"):
        for name in timeline.headline_names(where.today, viewer):
            label = names.brief(name, text)
            calls = timeline.LISTED.get(name)
            if calls is not None:
                words = _("The calls behind: {figure}").format(figure=label)
                st.page_link("calls.py", label=words, query_params=where.params(**calls))
            else:
                kpi = timeline.EXPLAINED.get(name, name)
                words = _("Where this figure comes from: {figure}").format(figure=label)
                st.page_link("kpi.py", label=words, query_params=where.params(kpi=kpi))


def page() -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    where = selection.choose(viewer, text, bar, stretch=False)
    if where is None:
        return
    campaign = where.campaign
    with bar:
        st.caption(f"{text.day(campaign.day)} · {plain(campaign.timezone)}", width="content")
    with st.container(key="headline"):
        if where.today:
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
            minutes = selection.choose_minutes(readers.MINUTES, text, label="collapsed")
        chart(where, minutes)
    with right:
        if where.today:
            st.subheader(_("Waiting now"), anchor=False)
            waiting(campaign.campaign)
        weekday = text.weekday(campaign.day.weekday())
        st.subheader(_("Compared with the usual {weekday}").format(weekday=weekday), anchor=False)
        compared(where, minutes)
    left, right = st.columns([6, 4], gap="medium")
    with left:
        st.subheader(_("By interval"), anchor=False)
        intervals(where, minutes)
    with right:
        st.subheader(_("What became of the calls"), anchor=False)
        outcomes(where, minutes)
        st.subheader(_("By queue"), anchor=False)
        queues(where)
        weeks(campaign.campaign)
    st.subheader(_("Agents"), anchor=False)
    if where.today:
        agents(campaign.campaign)
    else:
        shifts(where)


page()
