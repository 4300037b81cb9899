"""The wall: one tile a campaign, as this second is. A tick reads what is already drawn and sends it."""

from datetime import UTC, datetime

import streamlit as st

from metrics import readers
from pages import _board, _empty, _session
from pages._i18n import plain

TICK_S = 0.5
"""A change of the file is on the screen within this, and the time it takes to draw and send."""

viewer = _session.current_viewer()
text = _session.current_text()
_ = text.gettext


@st.fragment(run_every=TICK_S)
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
            for one in first.campaigns:
                st.page_link(
                    "campaign.py",
                    label=_("Open {campaign}").format(campaign=plain(one.campaign.name)),
                    query_params={"campaign": one.campaign.campaign},
                )
