"""The wall: one tile a campaign, as this second is. A tick reads what is already drawn and sends it.

VIGIE_TICK_S sets how often a wall looks for a new snapshot [s, 0.2 to 10, default 0.5]. A change of the file is on the
screen within this, and the time it takes to draw and send. Each wall that is open costs its share of every tick: with
many of them a longer one saves processor time, and the age of the data on every tile stays true to about a second.

`?tv=1`, and whoever signed in by a television's token, gets the wall of television.py.
"""

import os
from typing import TypeGuard

import streamlit as st

from metrics import clock, readers
from pages.accounts import visitor
from pages.day import timeline
from pages.shared import empty, selection, ticks
from pages.shared.i18n import plain
from pages.wall import television, tiles

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


TICK_S = tiles.tick_s(os.environ.get("VIGIE_TICK_S"))


@ticks.tick(TICK_S, says_so=text)
def board(linked: tuple[str, ...] | None) -> None:
    """Draw the one element of a tick; when other campaigns come or go, draw the page with its links anew."""
    now = readers.board(readers.published(), viewer)
    if names(now) != linked:
        st.rerun()
    if is_to_draw(now):
        st.html(tiles.draw(now, viewer, text, age_s(now)))


@ticks.tick(TICK_S, says_so=text)
def television_wall(asked: television.Options) -> None:
    """Draw the one element of a tick: the page that is due."""
    now = readers.board(readers.published(), viewer)
    if is_to_draw(now):
        st.html(television.draw(now, viewer, text, asked, clock.now_s(), age_s(now)))


def is_to_draw(now: readers.Board | None) -> TypeGuard[readers.Board]:
    """Whether there are campaigns; if not, say why."""
    if now is None:
        empty.nothing_published(text)
    elif not now.campaigns:
        empty.no_campaigns(text)
    return now is not None and bool(now.campaigns)


def age_s(now: readers.Board) -> float:
    return now.freshness.age_s(clock.now())


def names(board: readers.Board | None) -> tuple[str, ...] | None:
    return None if board is None else tuple(one.campaign.campaign for one in board.campaigns)


def link_overlay(one: readers.CampaignNow) -> str:
    """Draw a tile of which only the links of its figures count: laid over the tile they lie where its figures are."""
    shown = tiles.figures(viewer)
    asked = {name: timeline.EXPLAINED.get(name, name) for name in (*timeline.LIVE, *shown)}
    of = {"campaign": one.campaign.campaign}
    addresses = {name: selection.href("kpi", of | {"kpi": kpi}) for name, kpi in asked.items()}
    if viewer.names_agents:
        addresses |= {
            state: selection.href("agents", of | {"state": state})
            for state in ("available", "busy", "wrap_up", "paused")
        }
    return tiles.tile(one, text, shown, addresses).replace(tiles.AGE, "")


def board_with_links() -> None:
    first = readers.board(readers.published(), viewer)
    board(names(first))
    if first is None or not first.campaigns:
        return
    columns, rows = tiles.grid(len(first.campaigns))
    st.html(f"<style>.st-key-wall {{ --columns: {columns}; --rows: {rows}; }}</style>")
    with st.container(key="links"):
        for n, one in enumerate(first.campaigns):
            asked = {"campaign": one.campaign.campaign}
            name = plain(one.campaign.name)
            with st.container(key=f"tile_{n}"):
                st.html(link_overlay(one))
                st.page_link("campaign.py", label=_("Open {campaign}").format(campaign=name), query_params=asked)
                words = _("How the service level of {campaign} is made").format(campaign=name)
                st.page_link("kpi.py", label=words, query_params=asked | {"kpi": "service_level"})


with st.container(key="wall"):
    if television.is_television(viewer, st.query_params):
        asked = television.options(st.query_params)
        television_wall(asked)
        st.html(television.watch(asked, text), unsafe_allow_javascript=True)
    else:
        board_with_links()
