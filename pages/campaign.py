"""One campaign: its numbers now, who waits, and its day, or a past one, by intervals against its target."""

from dataclasses import asdict
from datetime import UTC, date, datetime

import streamlit as st

from metrics import readers
from metrics.readers import CampaignNow
from pages import _board, _day, _session, _where
from pages._i18n import plain

NOW_S = 1
DAY_S = 15
"""A quarter of an hour moves slowly enough for this."""

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
    st.html(_day.headline(one.today, text, one))
    age_s = (datetime.now(UTC) - freshness.published_at).total_seconds()
    age = text.age(age_s)
    if age_s > _board.STALE_S:
        words = _("No new data for {age}. This is how the campaign was then.").format(age=age)
        st.caption(f":material/warning: **{words}**")
        return
    target = (one.today.target, one.today.threshold_s) if one.today else (None, None)
    said = [_("Data {age} old").format(age=age), _board.target_words(*target, text)]
    if one.agents.logged_in:
        doing = _("{available} available, {busy} busy, {wrap_up} in wrap-up, {paused} paused")
        said.append(doing.format(**{state: text.number(n) for state, n in asdict(one.agents).items()}))
    st.caption(f":material/schedule: {' · '.join(said)}")


def known_day(where: _where.Where, minutes: int) -> readers.CampaignDay | None:
    day: date | None = None if where.today else where.campaign.day
    try:
        return readers.day(readers.published(), viewer, where.campaign.campaign, day=day, minutes=minutes)
    except readers.PublishedFileError:
        return None


def then(where: _where.Where) -> None:
    """Draw the headline numbers of a past day."""
    known = known_day(where, readers.MINUTES)
    if known is None:
        return
    st.html(_day.headline(known.total, text, None))
    total = known.total
    said = [_board.target_words(total.target, total.threshold_s, text)] if total else []
    said.append(_("as known now: late events are in it"))
    st.caption(f":material/history: {' · '.join(said)}")


@st.fragment(run_every=DAY_S)
def day(where: _where.Where, minutes: int) -> None:
    """Draw the day: chart and table. A click on a bar leads to its calls."""
    known = known_day(where, minutes)
    if known is None:
        return
    shown = _day.active(known)
    event = st.plotly_chart(
        _day.figure(known, text),
        key=f"day {minutes}",
        theme="streamlit",
        config={"displayModeBar": False},
        on_select="rerun",
        selection_mode="points",
    )
    points = event["selection"]["points"]
    chosen = next((int(point["x"]) for point in points if 0 <= int(point["x"]) < len(shown)), None)
    if chosen is not None:
        one = shown[chosen]
        st.switch_page("calls.py", query_params=_day.behind(where, one))
    st.caption(
        _("Other: still waiting, a short abandon, or out of the queue another way.")
        + " "
        + _("A click on a bar shows its calls.")
    )
    st.html(_day.table(known, text, where))


@st.fragment(run_every=NOW_S)
def waiting(campaign: str) -> None:
    """Draw the calls that wait."""
    one, _freshness = known_now(campaign)
    if one is None:
        return
    threshold_s = one.today.threshold_s if one.today else None
    calls = readers.waiting(readers.published(), viewer, campaign)
    st.html(_day.waiting(calls, one.campaign.timezone, threshold_s, text))


def links(where: _where.Where) -> None:
    """Lay a link over every number of the headline, drawn once, so that a tick takes nobody's focus."""
    with st.container(key="headlinks"):
        for name in _day.headline_names(where.today):
            label = _day.headline_label(name, text)
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
    chart, queue = st.columns([7, 3], gap="medium") if where.today else (st.container(), None)
    with chart:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.subheader(_("The day by intervals"), anchor=False, width="content")
            minutes = _where.choose_minutes(readers.MINUTES, text, label="collapsed")
        day(where, minutes)
    if queue is not None:
        with queue:
            st.subheader(_("Waiting now"), anchor=False)
            waiting(campaign.campaign)


page()
