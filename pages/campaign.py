"""One campaign: its numbers now, who waits, and its day by quarters of an hour against its target."""

from dataclasses import asdict
from datetime import UTC, datetime

import streamlit as st

from metrics import readers
from pages import _board, _day, _empty, _session
from pages._i18n import plain

NOW_S = 1
DAY_S = 15
"""A quarter of an hour moves slowly enough for this."""

viewer = _session.current_viewer()
text = _session.current_text()
_ = text.gettext


@st.fragment(run_every=NOW_S)
def now(campaign: str) -> None:
    """Draw the headline numbers and how old they are."""
    board = readers.published().board(viewer)
    one = next((one for one in board.campaigns if one.campaign.campaign == campaign), None) if board else None
    if board is None or one is None:
        return
    today, agents = one.today, one.agents
    level = today.service_level if today else None
    target = today.target if today else None
    threshold_s = today.threshold_s if today else None
    called = today if today and today.offered else None
    gap = None if level is None or target is None else level - target
    longest = text.duration(one.longest_wait_s)
    with st.container(horizontal=True, key="headline"):
        _tile(_("Waiting"), text.number(one.waiting))
        _tile(_("Longest wait"), longest)
        _tile(
            _("Service level"),
            text.percent(level),
            None if gap is None else _("{points} pts").format(points=text.points(gap).replace("−", "-")),
        )
        _tile(_("Offered"), text.number(called.offered if called else None))
        _tile(_("Answered"), text.number(called.answered if called else None))
        _tile(_("Abandoned"), text.number(called.abandoned if called else None))
        _tile(_("Abandon rate"), text.percent(called.abandon_rate if called else None))
        _tile(_("AHT"), text.duration(today.aht_s if today else None))
        _tile(_("Occupancy"), text.percent(today.occupancy if today else None, 0))
    age_s = (datetime.now(UTC) - board.freshness.published_at).total_seconds()
    age = text.age(age_s)
    if age_s > _board.STALE_S:
        words = _("No new data for {age}. This is how the campaign was then.").format(age=age)
        st.caption(f":material/warning: **{words}**")
    else:
        words = [_("Data {age} old").format(age=age), _board.target_words(target, threshold_s, text)]
        if agents.logged_in:
            doing = _("{available} available, {busy} busy, {wrap_up} in wrap-up, {paused} paused")
            words.append(doing.format(**{state: text.number(n) for state, n in asdict(agents).items()}))
        st.caption(f":material/schedule: {' · '.join(words)}")


def _tile(label: str, value: str, delta: str | None = None) -> None:
    st.metric(label, value, delta, border=True)


@st.fragment(run_every=DAY_S)
def day(campaign: str) -> None:
    """Draw the day: chart and table."""
    known = readers.published().day(viewer, campaign)
    if known is None:
        return
    st.plotly_chart(_day.figure(known, text), key="day", theme="streamlit", config={"displayModeBar": False})
    st.caption(_("Other: still waiting, a short abandon, or out of the queue another way."))
    st.html(_day.table(known, text))


@st.fragment(run_every=NOW_S)
def waiting(campaign: str) -> None:
    """Draw the calls that wait."""
    reader = readers.published()
    board = reader.board(viewer)
    one = next((one for one in board.campaigns if one.campaign.campaign == campaign), None) if board else None
    if one is None:
        return
    threshold_s = one.today.threshold_s if one.today else None
    calls = reader.waiting(viewer, campaign)
    st.html(_day.waiting(calls, one.campaign.timezone, threshold_s, text))


def page() -> None:
    try:
        board = readers.published().board(viewer)
    except readers.PublishedFileError as error:
        _empty.unreadable(error, text)
        return
    if board is None:
        _empty.nothing_published(text)
        return
    if not board.campaigns:
        _empty.no_campaigns(text)
        return
    known = {one.campaign.campaign: one.campaign for one in board.campaigns}
    asked = st.query_params.get("campaign", next(iter(known)))

    def choose() -> None:
        st.query_params["campaign"] = st.session_state["campaign_choice"]

    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.selectbox(
            _("Campaign"),
            options=list(known),
            index=list(known).index(asked) if asked in known else None,
            format_func=lambda campaign: f"{known[campaign].name} · {known[campaign].client}",
            placeholder=_("Choose a campaign"),
            key="campaign_choice",
            on_change=choose,
            width=360,
        )
        if asked in known:
            st.caption(f"{text.day(known[asked].day)} · {plain(known[asked].timezone)}", width="content")
    if asked not in known:
        _empty.unknown_campaign(text)
        return
    now(asked)
    chart, queue = st.columns([7, 3], gap="medium")
    with chart:
        st.subheader(_("The day by quarters of an hour"), anchor=False)
        day(asked)
    with queue:
        st.subheader(_("Waiting now"), anchor=False)
        waiting(asked)


page()
