"""The wall: one tile a campaign, as this second is. A tick reads what is already drawn and sends it.

VIGIE_TICK_S sets how often a wall looks for a new snapshot [s, 0.2 to 10, default 0.5]. A change of the file is on the
screen within this, and the time it takes to draw and send. Each wall that is open costs its share of every tick: with
many of them a longer one saves processor time, and the age of the data on every tile stays true to about a second.
"""

import os
from datetime import UTC, datetime

import streamlit as st

from metrics import readers
from pages import _board, _empty, _session
from pages._i18n import plain

viewer = _session.current_viewer()
text = _session.current_text()
_ = text.gettext


@st.fragment(run_every=_board.tick_s(os.environ.get("VIGIE_TICK_S")))
def board(linked: tuple[str, ...] | None) -> None:
    """Draw the one element of a tick; when other campaigns come or go, draw the page with its links anew."""
    try:
        now = readers.published().board(viewer)
    except readers.PublishedFileError as error:
        _empty.unreadable(error, text)
        return
    if names(now) != linked:
        st.rerun()
    if now is None:
        _empty.nothing_published(text)
    elif not now.campaigns:
        _empty.no_campaigns(text)
    else:
        age_s = (datetime.now(UTC) - now.freshness.published_at).total_seconds()
        st.html(_board.draw(now, viewer, text, age_s))


def names(board: readers.Board | None) -> tuple[str, ...] | None:
    return None if board is None else tuple(one.campaign.campaign for one in board.campaigns)


try:
    first = readers.published().board(viewer)
except readers.PublishedFileError:
    first = None
with st.container(key="wall"):
    board(names(first))
    if first is not None and first.campaigns:
        columns, rows = _board.grid(len(first.campaigns))
        st.html(f"<style>.st-key-wall {{ --columns: {columns}; --rows: {rows}; }}</style>")
        with st.container(key="links"):
            for n, one in enumerate(first.campaigns):
                asked = {"campaign": one.campaign.campaign}
                name = plain(one.campaign.name)
                with st.container(key=f"tile_{n}"):
                    st.page_link("campaign.py", label=_("Open {campaign}").format(campaign=name), query_params=asked)
                    words = _("How the service level of {campaign} is made").format(campaign=name)
                    st.page_link("kpi.py", label=words, query_params=asked | {"kpi": "service_level"})
