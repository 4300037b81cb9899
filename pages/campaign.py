"""One campaign: its numbers now, who waits and works, its day, or a past one, beside its target and what is usual."""

from dataclasses import asdict
from datetime import date

import streamlit as st

from metrics import clock, readers
from metrics.readers import CampaignNow
from pages import _agents, _board, _day, _makeup, _names, _session, _shifts, _usual, _where
from pages._i18n import plain

NOW_S = 1
AGENTS_S = 2
DAY_S = 15
"""A quarter of an hour moves slowly enough for this."""
WEEKS_S = 3600
"""Weeks without today change when a day is over."""

viewer = _session.current_viewer()
text = _session.current_text()
_ = text.gettext


def known_now(campaign: str) -> tuple[CampaignNow | None, readers.Freshness | None]:
    try:
        board = readers.board(readers.published(), viewer)
    except readers.PublishedFileError:
        return None, None  # the page says so when it is opened; a tick waits for the next snapshot
    one = next((one for one in board.campaigns if one.campaign.campaign == campaign), None) if board else None
    return one, board.freshness if board else None


@st.fragment(run_every=NOW_S)
def now(campaign: str) -> None:
    """Draw the headline numbers of today and how old they are."""
    one, freshness = known_now(campaign)
    if one is None or freshness is None:
        return
    st.html(_as_old_as_it_is(_day.headline(one.today, viewer, text, one), freshness))
    age = text.age(freshness.age_s(clock.now()))
    if _is_stale(freshness):
        words = _("No new data for {age}. This is how the campaign was then.").format(age=age)
        st.caption(f":material/warning: **{words}**")
        return
    target = (one.today.target, one.today.threshold_s) if one.today else (None, None)
    said = [_("Data {age} old").format(age=age), _board.target_words(*target, text)]
    if one.agents and one.agents.logged_in:
        doing = text.ngettext(
            "{available} available, {busy} busy, {wrap_up} in wrap-up, {paused} paused",
            "{available} available, {busy} busy, {wrap_up} in wrap-up, {paused} paused",
            one.agents.available,
        )
        said.append(doing.format(**{state: text.number(n) for state, n in asdict(one.agents).items()}))
    st.caption(f":material/schedule: {' · '.join(said)}")


def known_day(where: _where.Where, minutes: int) -> tuple[readers.CampaignDay | None, readers.Comparison | None]:
    day: date | None = None if where.today else where.campaign.day
    campaign = where.campaign.campaign
    try:
        known = readers.day(readers.published(), viewer, campaign, day=day, minutes=minutes)
        return known, readers.compare(readers.published(), viewer, campaign, day=day, minutes=minutes)
    except readers.PublishedFileError:
        return None, None


def _is_stale(freshness: readers.Freshness) -> bool:
    return freshness.age_s(clock.now()) > _board.STALE_S


def _as_old_as_it_is(html: str, freshness: readers.Freshness) -> str:
    """Return what is true now, grey when it is no longer."""
    return f'<div class="vigie-stale">{html}</div>' if _is_stale(freshness) else html


def then(where: _where.Where) -> None:
    """Draw the headline numbers of a past day."""
    known, _usual_of_it = known_day(where, readers.MINUTES)
    if known is None:
        return
    st.html(_day.headline(known.total, viewer, text, None))
    total = known.total
    said = [_board.target_words(total.target, total.threshold_s, text)] if total else []
    said.append(_("as known now: late events are in it"))
    words = " · ".join(said)
    st.caption(f":material/history: {words[0].upper()}{words[1:]}")


@st.fragment(run_every=DAY_S)
def chart(where: _where.Where, minutes: int) -> None:
    """Draw the day. A click on a bar leads to the calls in it."""
    known, usual = known_day(where, minutes)
    if known is None:
        return
    shown = _day.active(known)
    event = st.plotly_chart(
        _day.figure(known, usual, text),
        key=f"day {minutes} {st.context.theme.type}",  # drawn anew, its colours with it, when the theme changes
        theme="streamlit",
        config={"displayModeBar": False},
        on_select="rerun",
        selection_mode="points",
        alt=_day.alt(known, text),
    )
    for point in event["selection"]["points"]:
        place, trace = int(point["x"]), int(point["curve_number"])
        if 0 <= place < len(shown):
            _where.go(_where.href("calls", _day.behind(where, shown[place], _day.TRACES.get(trace))))
    st.caption(
        _("Other: still waiting, a short abandon, or out of the queue another way.")
        + " "
        + _("Click a bar to see its calls.")
    )


@st.fragment(run_every=DAY_S)
def intervals(where: _where.Where, minutes: int) -> None:
    """Draw the chart's numbers, each leading to its calls."""
    known, usual = known_day(where, minutes)
    if known is not None:
        st.html(_day.table(known, usual, viewer, text, where))


@st.fragment(run_every=DAY_S)
def compared(where: _where.Where, minutes: int) -> None:
    """Draw the day beside the same weekday of the weeks before."""
    _known, usual = known_day(where, minutes)
    if usual is not None:
        st.html(_usual.comparison(usual, viewer, where, text))


@st.fragment(run_every=DAY_S)
def outcomes(where: _where.Where, minutes: int) -> None:
    """Draw what became of the day's calls."""
    known, _usual_of_it = known_day(where, minutes)
    if known is not None and known.total is not None:
        st.html(_makeup.outcomes(known.total, where, text))


@st.fragment(run_every=DAY_S)
def queues(where: _where.Where) -> None:
    """Draw the day's queues."""
    day: date | None = None if where.today else where.campaign.day
    try:
        found = readers.queues(readers.published(), viewer, where.campaign.campaign, day)
    except readers.PublishedFileError:
        return
    st.html(_makeup.queues(found, viewer, where, text))


@st.fragment(run_every=NOW_S)
def waiting(campaign: str) -> None:
    """Draw the calls that wait."""
    one, freshness = known_now(campaign)
    if one is None or freshness is None:
        return
    threshold_s = one.today.threshold_s if one.today else None
    calls = readers.waiting(readers.published(), viewer, campaign)
    st.html(_as_old_as_it_is(_day.waiting(calls, one.campaign.timezone, threshold_s, text), freshness))


@st.fragment(run_every=AGENTS_S)
def agents(campaign: str) -> None:
    """Draw who works for the campaign now; to who may know no names, how many do what."""
    one, freshness = known_now(campaign)
    if one is None or freshness is None:
        return
    try:
        found = readers.agents(readers.published(), viewer, campaign)
    except readers.PublishedFileError:
        return
    if found is None:
        st.html(_makeup.agents(one.agents, text))
        return
    chosen = _agents.Chosen(campaign=campaign)
    st.html(_agents.draw(found, chosen, viewer, text, stale=_is_stale(freshness)))


@st.fragment(run_every=DAY_S)
def shifts(where: _where.Where) -> None:
    """Draw who worked for the campaign on a past day; to who may know no names, how many."""
    try:
        found = readers.shifts(readers.published(), viewer, where.campaign.campaign, where.campaign.day)
    except readers.PublishedFileError:
        return
    if found is not None:
        st.html(_shifts.draw(found, where, text))


@st.fragment(run_every=WEEKS_S)
def weeks(campaign: str) -> None:
    """Draw the weeks by weekday and hour, by the figure that is chosen."""
    measures = [name for name in _usual.MEASURES if readers.told(viewer, name)]
    st.subheader(_("By weekday and hour"), anchor=False)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        measure = chosen("measure", _("Figure"), {name: _names.brief(name, text) for name in measures})
        span = {str(n): text.ngettext("{n} week", "{n} weeks", n).format(n=text.number(n)) for n in readers.WEEKS}
        count = int(chosen("weeks", _("Weeks"), span))
    try:
        found = readers.weeks(readers.published(), viewer, campaign, count)
    except readers.PublishedFileError:
        return
    if found is None:
        return
    one, _freshness = known_now(campaign)
    target = one.today.target if one and one.today else None
    st.html(_usual.heat(found, campaign, measure, target, text))
    st.caption(_usual.heat_said(found, measure, target, text))


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


def links(where: _where.Where) -> None:
    """Lay a link over every number of the headline, drawn once, so that a tick takes nobody's focus."""
    with st.container(key="headlinks"):
        for name in _day.headline_names(where.today, viewer):
            label = _names.brief(name, text)
            calls = _day.LISTED.get(name)
            if calls is not None:
                words = _("The calls behind: {figure}").format(figure=label)
                st.page_link("calls.py", label=words, query_params=where.params(**calls))
            else:
                kpi = _day.EXPLAINED.get(name, name)
                words = _("Where this figure comes from: {figure}").format(figure=label)
                st.page_link("kpi.py", label=words, query_params=where.params(kpi=kpi))


def page() -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    where = _where.choose(viewer, text, bar, stretch=False)
    if where is None:
        return
    campaign = where.campaign
    with bar:
        st.caption(f"{text.day(campaign.day)} · {plain(campaign.timezone)}", width="content")
    with st.container(key="headline"):
        if where.today:
            now(campaign.campaign)
        else:
            then(where)
        links(where)
    if not viewer.sees_work:
        st.caption(f":material/lock: {_names.privacy(text)}")
    left, right = st.columns([7, 3], gap="medium")
    with left:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            st.subheader(_("The day by intervals"), anchor=False, width="content")
            minutes = _where.choose_minutes(readers.MINUTES, text, label="collapsed")
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
