"""The agents: those who need help first, what each one does, their day, and who needs a break."""

import streamlit as st

from metrics import clock, readers
from pages.accounts import visitor
from pages.shared import choices, empty, marks, names, ticks
from pages.team import agent_table

TICK_S = 2

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def choose(name: str, label: str, every: str, options: dict[str, str], width: int) -> str | None:
    """Draw a filter, and return its value; None: there is no filter."""
    return choices.menu(name, label, {"": every} | options, width=width) or None


def choose_filters(everybody: readers.Agents, board: readers.Board) -> agent_table.Chosen:
    """Draw the bar of filters. A team or site in the address stays chosen even if nobody belongs to it now."""

    def named(name: str, values: set[str | None]) -> dict[str, str]:
        return {value: value for value in sorted(filter(None, values | {st.query_params.get(name)}), key=str.lower)}

    campaigns = {live.campaign.campaign: live.campaign.name for live in board.campaigns}
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
def floor(filters: agent_table.Chosen) -> None:
    """Draw who needs help, and everybody. The filters are outside of the tick, so that it does not close them."""
    agents = readers.agents(readers.published(), viewer, filters.campaign)
    if agents is None:
        return
    age_s = agents.freshness.age_s(clock.now())
    stale = age_s > marks.STALE_S
    if stale:
        warning = _("No new data for {age}. This is how the floor was then.").format(age=text.age(age_s))
        st.caption(f":material/warning: **{warning}**")
    else:
        age = _("Data {age} old").format(age=text.age(age_s))
        st.caption(f":material/schedule: {age}")
    st.html(agent_table.draw(agents, filters, viewer, text, stale=stale))


def page() -> None:
    everybody = readers.agents(readers.published(), viewer)
    board = readers.board(readers.published(), viewer, ends_of=())
    if everybody is None or board is None:
        empty.nothing_published(text)
        return
    if not board.campaigns:
        empty.no_campaigns(text)
        return
    filters = choose_filters(everybody, board)
    if st.query_params.get("campaign") and filters.campaign is None:
        empty.unknown_campaign(text)
        return
    floor(filters)
    with st.expander(_("How to read this"), icon=":material/help:"):
        st.markdown(agent_table.legend(everybody.limits, text))


page()
