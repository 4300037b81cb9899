"""A wall that is paused, so that people can talk about what they see. It goes on by itself."""

from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from metrics import clock, readers
from metrics.authorisation.viewer import Viewer
from pages.shared.i18n import Text
from pages.wall import tiles

LASTS_S = 120
KEY = "paused_wall"


@dataclass(frozen=True, slots=True)
class Paused:
    """The picture of a wall, the instant that it describes, and until when it stays [s since 1970]."""

    html: str
    as_of: datetime
    until_s: float


def button(viewer: Viewer, text: Text) -> None:
    """Draw the button that pauses the wall of this session, or lets it go on."""
    _ = text.gettext

    def pause() -> None:
        board = readers.board(readers.published(), viewer)
        if board is not None and board.campaigns:
            html = tiles.board_html(board, viewer, text)
            st.session_state[KEY] = Paused(html, board.freshness.as_of, clock.now_s() + LASTS_S)

    if KEY in st.session_state:
        st.button(_("Resume"), icon=":material/play_arrow:", on_click=go_on, key="pause")
    else:
        words = _("Pause the wall for {time}. Then it resumes on its own.").format(time=text.age(LASTS_S))
        st.button(_("Pause"), icon=":material/pause:", help=words, on_click=pause, key="pause")


def go_on() -> None:
    st.session_state.pop(KEY, None)


def picture() -> Paused | None:
    """Return the picture of a paused wall. When its time is over, run the page again, live."""
    paused: Paused | None = st.session_state.get(KEY)
    if paused is not None and clock.now_s() >= paused.until_s:
        go_on()
        st.rerun()
    return paused
