"""How the data comes in, for operators: records read and rejected, sources, and whether the calls add up."""

import streamlit as st

from metrics import clock, readers
from notify.desk import ChannelState, DeskError
from pages.accounts import visitor
from pages.operations import channel_list, feed_tables
from pages.shared import empty, ticks
from pages.shared.i18n import plain
from pages.shared.ringing import desk

TICK_S = 2
SLOW_S = 15

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def read_feed() -> readers.Feed | None:
    return readers.feed(readers.published(), viewer)


def read_channels() -> tuple[ChannelState, ...]:
    """Return the channels of messages, for viewers of every campaign: channels belong to none."""
    try:
        return desk().channels(clock.now()) if viewer.campaigns is None else ()
    except DeskError:
        return ()


@ticks.tick(TICK_S)
def counters() -> None:
    """Draw alarms, counters and notices."""
    feed = read_feed()
    if feed is None:
        return
    for alarm in feed_tables.alarms(feed, text):
        st.error(plain(alarm), icon=":material/error:", title=_("Alarm"))
    st.html(feed_tables.counters(feed, clock.now(), text))
    for notice in feed_tables.notices(feed, text):
        st.warning(plain(notice), icon=":material/help:")
    for trouble in channel_list.troubles(read_channels(), text):
        st.error(plain(trouble), icon=":material/notifications_off:")


@ticks.tick(TICK_S)
def sources() -> None:
    feed = read_feed()
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
    feed = read_feed()
    if feed is None:
        return
    st.html(feed_tables.partitions(feed.partitions, text))


@ticks.tick(SLOW_S)
def channels() -> None:
    """Draw the channels that messages about alerts take."""
    used = read_channels()
    if used:
        st.html(channel_list.channels(used, text))
    else:
        st.caption(_("No message about an alert has been sent yet."))


@ticks.tick(SLOW_S)
def conservation() -> None:
    """Draw each campaign's identity: offered equals the sum of the outcomes."""
    feed = read_feed()
    if feed is None:
        return
    st.html(feed_tables.conservation(feed, text))
    checked = text.ngettext(
        "Checked: {n} day of a campaign, at every publish until its calls are settled.",
        "Checked: {n} days of campaigns, each at every publish until its calls are settled.",
        feed.checked,
    )
    st.caption(checked.format(n=text.number(feed.checked)))


def show(position: str) -> None:
    """Show the content of one rejected record to this session."""
    visitor.note(viewer, "payload", position)
    st.session_state["payload_of"] = position


@ticks.tick(SLOW_S)
def letters() -> None:
    """Draw the newest rejected records, and of the chosen one also its content, once the reader asks for that."""
    feed = read_feed()
    if feed is None:
        return
    if feed.letters is None:
        st.caption(_("Dead letters belong to no campaign; anyone who sees every campaign sees them."))
        return
    if not feed.letters:
        st.caption(_("Nothing was rejected."))
        return
    by_position = {letter.position: letter for letter in feed.letters}
    in_address = st.query_params.get("letter")

    def change() -> None:
        chosen = st.session_state["letter_choice"]
        st.session_state.pop("payload_of", None)
        st.query_params.pop("letter", None)
        if chosen:
            st.query_params["letter"] = chosen

    st.session_state["letter_choice"] = in_address if in_address in by_position else None
    st.selectbox(
        _("Look at one"),
        options=list(by_position),
        format_func=lambda position: f"{position} · {(by_position[position].reason or '')[:80]}",
        placeholder=_("Choose a position"),
        key="letter_choice",
        on_change=change,
        width=640,
    )
    if in_address in by_position:
        letter = by_position[in_address]
        st.markdown(f"**{plain(letter.reason or '')}**")
        if st.session_state.get("payload_of") == in_address:
            st.code((letter.payload or "")[: feed_tables.PAYLOAD_LENGTH], language=None, wrap_lines=True)
        else:
            noted = _("It may have personal data of a caller. Who reads it is noted.")
            st.button(
                _("Show its content"), icon=":material/visibility:", help=noted, on_click=show, args=(in_address,)
            )
    st.html(feed_tables.letters(feed.letters, text))


def page() -> None:
    if read_feed() is None:
        empty.nothing_published(text)
        return
    counters()
    left, right = st.columns([6, 5], gap="medium")
    with left:
        st.subheader(_("Conservation of calls"), anchor=False)
        st.caption(_("Today so far: offered equals the sum of the outcomes. If not, an alarm is shown above."))
        conservation()
    with right:
        st.subheader(_("Sources"), anchor=False)
        sources()
        st.subheader(_("Partitions"), anchor=False)
        partitions()
        st.subheader(_("Messages about alerts"), anchor=False)
        channels()
    st.subheader(_("Dead letters"), anchor=False)
    letters()


page()
