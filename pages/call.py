"""One phone call: what happened in it and in the calls linked to it, on one line of time."""

import streamlit as st

from metrics import readers
from pages.accounts import visitor
from pages.figure import story_line
from pages.shared import empty, links, names, selection, ticks
from pages.shared.i18n import plain

STORY_S = 5
"""A call that goes on is drawn again after this time."""

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def read_story() -> readers.Story | None:
    """Return the story of the call in the address; None if it names none that the viewer may see."""
    day = selection.any_day(st.query_params.get("day", ""))
    if day is None:
        return None
    campaign, call = st.query_params.get("campaign", ""), st.query_params.get("call", "")
    return readers.story(readers.published(), viewer, campaign, day, call)


@ticks.tick(STORY_S)
def line() -> None:
    """Draw the steps of the call."""
    story = read_story()
    if story is not None:
        st.html(story_line.draw(story, viewer, text))


def page() -> None:
    story = read_story()
    if story is None:
        empty.unknown_call(text)
        return
    campaign = story.campaign
    first = story.visits[0]
    caller = " · ".join(filter(None, (first.caller or first.callee, campaign.name, campaign.client)))
    st.subheader(plain(caller), anchor=False)
    st.caption(f"{text.day(campaign.day)} · {plain(campaign.timezone)}")
    if not viewer.sees_work:
        st.caption(f":material/lock: {names.privacy(text)}")
    line()
    params = {"campaign": campaign.campaign, "day": campaign.day.isoformat()}
    st.html(f'<p class="vigie-quiet">{links.link("calls", params, story_line.back(text))}</p>')


page()
