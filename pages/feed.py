"""How the data comes in, for those who answer for it: what was read, what was rejected, whether calls add up."""

import streamlit as st

from metrics import clock, readers
from pages.accounts import visitor
from pages.operations import feed_tables
from pages.shared import empty, ticks
from pages.shared.i18n import plain

TICK_S = 2
SLOW_S = 15

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def known() -> readers.Feed | None:
    return readers.feed(readers.published(), viewer)


@ticks.tick(TICK_S)
def counters() -> None:
    """Draw alarms, counters and notices."""
    feed = known()
    if feed is None:
        return
    for words in feed_tables.alarms(feed, text):
        st.error(plain(words), icon=":material/error:", title=_("Alarm"))
    st.html(feed_tables.counters(feed, clock.now(), text))
    for words in feed_tables.notices(feed, text):
        st.warning(plain(words), icon=":material/help:")


@ticks.tick(TICK_S)
def sources() -> None:
    feed = known()
    if feed is None:
        return
    if feed.sources is None:
        st.caption(_("Sources belong to no campaign; anyone who sees every campaign sees them."))
    elif not feed.sources:
        st.caption(_("No event was read yet."))
    else:
        st.html(feed_tables.sources(feed.sources, clock.now(), text))


@ticks.tick(TICK_S)
def partitions() -> None:
    feed = known()
    if feed is None:
        return
    st.html(feed_tables.partitions(feed.partitions, text))


@ticks.tick(SLOW_S)
def conservation() -> None:
    """Draw the identity of every campaign."""
    feed = known()
    if feed is None:
        return
    st.html(feed_tables.conservation(feed, text))
    words = text.ngettext(
        "Checked: {n} day of a campaign, at every publish until its calls are settled.",
        "Checked: {n} days of campaigns, each at every publish until its calls are settled.",
        feed.checked,
    )
    st.caption(words.format(n=text.number(feed.checked)))


@ticks.tick(SLOW_S)
def letters() -> None:
    """Draw the newest rejected records, and one of them in full when somebody asks for it."""
    feed = known()
    if feed is None:
        return
    if feed.letters is None:
        st.caption(_("Dead letters belong to no campaign; anyone who sees every campaign sees them."))
        return
    if not feed.letters:
        st.caption(_("Nothing was rejected."))
        return
    by_position = {one.position: one for one in feed.letters}
    asked = st.query_params.get("letter")

    def change() -> None:
        chosen = st.session_state["letter_choice"]
        st.query_params.pop("letter", None)
        if chosen:
            st.query_params["letter"] = chosen

    st.session_state["letter_choice"] = asked if asked in by_position else None
    st.selectbox(
        _("Look at one"),
        options=list(by_position),
        format_func=lambda position: f"{position} · {(by_position[position].reason or '')[:80]}",
        placeholder=_("Choose a position"),
        key="letter_choice",
        on_change=change,
        width=640,
    )
    if asked in by_position:
        one = by_position[asked]
        st.markdown(f"**{plain(one.reason or '')}**")
        st.code((one.payload or "")[: feed_tables.PAYLOAD_LENGTH], language=None, wrap_lines=True)
    st.html(feed_tables.letters(feed.letters, text))


def page() -> None:
    if known() is None:
        empty.nothing_published(text)
        return
    counters()
    left, right = st.columns([6, 5], gap="medium")
    with left:
        st.subheader(_("Conservation of calls"), anchor=False)
        words = _("Today so far: offered equals the sum of the outcomes; if not, an alarm stands above.")
        st.caption(words)
        conservation()
    with right:
        st.subheader(_("Sources"), anchor=False)
        sources()
        st.subheader(_("Partitions"), anchor=False)
        partitions()
    st.subheader(_("Dead letters"), anchor=False)
    letters()


page()
