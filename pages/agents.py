"""The agents: who needs somebody first, what each does, their day, and whom to relieve before they are worn out."""

from collections.abc import Callable

import streamlit as st

from metrics import clock, readers
from pages.accounts import visitor
from pages.shared import empty, marks, names, ticks
from pages.team import agent_table

TICK_S = 2

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def choose(name: str, label: str, every: str, options: dict[str, str], width: int) -> str | None:
    """Draw a filter that the address keeps, and return what is chosen; `options` are value → words."""

    def change() -> None:
        chosen = st.session_state[f"{name}_choice"]
        st.query_params.pop(name, None)
        if chosen:
            st.query_params[name] = chosen

    asked = st.query_params.get(name, "")
    options = {"": every} | options
    st.session_state[f"{name}_choice"] = asked if asked in options else ""
    said: Callable[[str], str] = options.__getitem__
    st.selectbox(label, options=list(options), format_func=said, key=f"{name}_choice", on_change=change, width=width)
    return asked if asked and asked in options else None


def chosen(everybody: readers.Agents, board: readers.Board) -> agent_table.Chosen:
    """Draw the bar of filters. A team or site of the address that nobody is of just now stays chosen."""

    def named(name: str, values: set[str | None]) -> dict[str, str]:
        return {value: value for value in sorted(filter(None, values | {st.query_params.get(name)}), key=str.lower)}

    campaigns = {one.campaign.campaign: one.campaign.name for one in board.campaigns}
    states = {name: names.state(name, text) for name in readers.STATES}
    states = {agent_table.NEEDS_SOMEBODY: _("who needs help")} | states
    with st.container(horizontal=True, vertical_alignment="bottom", key="bar"):
        return agent_table.Chosen(
            campaign=choose("campaign", _("Campaign"), _("every campaign"), campaigns, 240),
            team=choose("team", _("Team"), _("every team"), named("team", {a.team for a in everybody.agents}), 240),
            site=choose("site", _("Site"), _("every site"), named("site", {a.site for a in everybody.agents}), 180),
            state=choose("state", _("Show"), _("everybody logged in"), states, 220),
        )


@ticks.tick(TICK_S)
def floor(which: agent_table.Chosen) -> None:
    """Draw who needs somebody, and everybody; the filters lie outside, so that a tick leaves them open."""
    found = readers.agents(readers.published(), viewer, which.campaign)
    if found is None:
        return
    age_s = found.freshness.age_s(clock.now())
    stale = age_s > marks.STALE_S
    if stale:
        words = _("No new data for {age}. This is how the floor was then.").format(age=text.age(age_s))
        st.caption(f":material/warning: **{words}**")
    else:
        words = _("Data {age} old").format(age=text.age(age_s))
        st.caption(f":material/schedule: {words}")
    st.html(agent_table.draw(found, which, viewer, text, stale=stale))


def page() -> None:
    everybody = readers.agents(readers.published(), viewer)
    board = readers.board(readers.published(), viewer)
    if everybody is None or board is None:
        empty.nothing_published(text)
        return
    if not board.campaigns:
        empty.no_campaigns(text)
        return
    asked = st.query_params.get("campaign")
    which = chosen(everybody, board)
    if asked and which.campaign is None:
        empty.unknown_campaign(text)
        return
    floor(which)
    with st.expander(_("How to read this"), icon=":material/help:"):
        st.markdown(agent_table.legend(everybody.limits, text))


page()
