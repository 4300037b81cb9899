"""The wall: one tile per campaign, live. A tick reads the newest snapshot and sends one element.

VIGIE_TICK_S sets how often a wall looks for a new snapshot [s, 0.2 to 10, default 0.5]. A change of the published file
is on the screen after at most this time, plus the time to draw and send it. Every open wall costs processor time at
every tick. With many walls a longer tick saves processor time; the age of the data on each tile stays exact to about a
second.

`?tv=1` and viewers who signed in with a television's token get the wall of television.py.
"""

import os
from typing import TypeGuard

import streamlit as st

from metrics import clock, readers
from pages.accounts import visitor
from pages.day import timeline
from pages.shared import empty, selection, ticks
from pages.shared.i18n import plain
from pages.shared.ringing import ringing
from pages.wall import banner, pause, television, tiles

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


TICK_S = tiles.tick_s(os.environ.get("VIGIE_TICK_S"))


@ticks.tick(TICK_S, says_so=text)
def wall(linked: tuple[str, ...] | None) -> None:
    """Draw the one element of a tick. If the campaigns are not the `linked` ones, rerun the page to renew its links."""
    if (paused := pause.picture()) is not None:
        now_s = clock.now_s()
        html = tiles.with_age(paused.html, text, now_s - paused.as_of.timestamp(), now_s, paused.until_s - now_s)
        st.html(html.replace(tiles.BANNER, ""))
        return
    board = readers.board(readers.published(), viewer)
    if campaign_ids(board) != linked:
        st.rerun()
    if has_campaigns(board):
        line = banner.banner(ringing(viewer, clock.now()), text)
        st.html(tiles.draw(board, viewer, text, clock.now_s(), age_s(board), line))


@ticks.tick(TICK_S, says_so=text)
def television_wall(options: television.Options) -> None:
    """Draw the one element of a tick: the page of the wall whose turn it is."""
    alerts = ringing(viewer, clock.now())  # never of a newer snapshot than the board, whose age decides if it rings
    board = readers.board(readers.published(), viewer)
    if has_campaigns(board):
        line, rings_for = banner.banner(alerts, text), banner.rings_for(alerts)
        st.html(television.draw(board, viewer, text, options, clock.now_s(), age_s(board), line, rings_for))


def has_campaigns(board: readers.Board | None) -> TypeGuard[readers.Board]:
    """Whether there are campaigns to draw. If there are none, say why."""
    if board is None:
        empty.nothing_published(text)
    elif not board.campaigns:
        empty.no_campaigns(text)
    return board is not None and bool(board.campaigns)


def age_s(board: readers.Board) -> float:
    return board.freshness.age_s(clock.now())


def campaign_ids(board: readers.Board | None) -> tuple[str, ...] | None:
    return None if board is None else tuple(live.campaign.campaign for live in board.campaigns)


def link_overlay(live: readers.CampaignNow) -> str:
    """Draw the tile again, invisibly, over the tile itself: so the links of its figures lie where the figures are."""
    shown = tiles.figures(viewer)
    kpis = {name: timeline.EXPLAINED.get(name, name) for name in (*timeline.LIVE, *shown)}
    params = {"campaign": live.campaign.campaign}
    addresses = {name: selection.href("kpi", params | {"kpi": kpi}) for name, kpi in kpis.items()}
    if viewer.names_agents:
        addresses |= {
            state: selection.href("agents", params | {"state": state})
            for state in ("available", "busy", "wrap_up", "paused")
        }
    return tiles.tile(live, text, shown, addresses).replace(tiles.AGE, "")


def wall_with_links() -> None:
    board = readers.board(readers.published(), viewer)
    wall(campaign_ids(board))
    if board is None or not board.campaigns:
        return
    columns, rows = tiles.grid(len(board.campaigns))
    st.html(f"<style>.st-key-wall {{ --columns: {columns}; --rows: {rows}; }}</style>")
    with st.container(key="links"):
        for n, live in enumerate(board.campaigns):
            params = {"campaign": live.campaign.campaign}
            name = plain(live.campaign.name)
            with st.container(key=f"tile_{n}"):
                st.html(link_overlay(live))
                st.page_link("campaign.py", label=_("Open {campaign}").format(campaign=name), query_params=params)
                label = _("How the service level of {campaign} is calculated").format(campaign=name)
                st.page_link("kpi.py", label=label, query_params=params | {"kpi": "service_level"})


with st.container(key="wall"):
    if television.is_television(viewer, st.query_params):
        options = television.options(st.query_params)
        st.html(television.STYLE)
        television_wall(options)
        st.html(television.watch(options, text), unsafe_allow_javascript=True)
    else:
        wall_with_links()
