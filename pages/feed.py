"""How the data comes in, for those who answer for it: what was read, what was rejected, whether calls add up."""

from datetime import UTC, datetime

import streamlit as st

from metrics import readers
from pages import _empty, _feed, _session
from pages._i18n import plain

TICK_S = 2
SLOW_S = 15

viewer = _session.current_viewer()
text = _session.current_text()
_ = text.gettext


def known() -> readers.Feed | None:
    try:
        return readers.published().feed(viewer)
    except readers.PublishedFileError:
        return None  # the page says so when it is opened; a tick waits for the next snapshot


@st.fragment(run_every=TICK_S)
def counters() -> None:
    """Draw alarms and counters."""
    feed = known()
    if feed is None:
        return
    for words in _feed.alarms(feed, text):
        st.error(plain(words), icon=":material/error:")
    st.html(_feed.counters(feed, datetime.now(UTC), text))


@st.fragment(run_every=SLOW_S)
def conservation() -> None:
    feed = known()
    if feed is None:
        return
    st.html(_feed.conservation(feed, text))
    notices = []
    if feed.unconfigured:
        names = ", ".join(one.campaign for one in feed.unconfigured)
        words = text.ngettext(
            "{n} campaign is in the events and not in the configuration, and is judged by the defaults: {names}",
            "{n} campaigns are in the events and not in the configuration, and are judged by the defaults: {names}",
            len(feed.unconfigured),
        )
        notices.append(words.format(n=text.number(len(feed.unconfigured)), names=names))
    if feed.unplaced:
        words = text.ngettext(
            "{n} call waits for the event that says when it entered a queue; it counts in no campaign until then.",
            "{n} calls wait for the event that says when they entered a queue; they count in no campaign until then.",
            feed.unplaced,
        )
        notices.append(words.format(n=text.number(feed.unplaced)))
    for words in notices:
        st.warning(plain(words), icon=":material/help:")


@st.fragment(run_every=SLOW_S)
def letters() -> None:
    """Draw the newest rejected records, and one of them in full when somebody asks for it."""
    feed = known()
    if feed is None:
        return
    if feed.letters is None:
        st.caption(_("Dead letters belong to no campaign; who sees every campaign sees them."))
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
        st.code((one.payload or "")[: _feed.PAYLOAD], language=None, wrap_lines=True)
    st.html(_feed.letters(feed.letters, text))


def page() -> None:
    try:
        feed = readers.published().feed(viewer)
    except readers.PublishedFileError as error:
        _empty.unreadable(error, text)
        return
    if feed is None:
        _empty.nothing_published(text)
        return
    counters()
    left, right = st.columns([5, 6], gap="medium")
    with left:
        st.subheader(_("Today’s calls add up"), anchor=False)
        st.caption(_("Offered is the sum of what became of the calls, for every campaign, or an alarm stands above."))
        conservation()
    with right:
        st.subheader(_("Dead letters"), anchor=False)
        letters()


if viewer.role in ("manager", "analyst"):
    page()
else:
    _empty.not_for_you(text)
