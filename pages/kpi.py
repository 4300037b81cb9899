"""One figure, explained: its numbers, its contract terms, and what other systems would show for the same calls."""

import streamlit as st

from metrics import readers
from metrics.readers import Explained
from pages.accounts import visitor
from pages.figure import explanation
from pages.shared import empty, names, selection, ticks, verdicts
from pages.shared.i18n import plain

TICK_S = 15

viewer = visitor.current_viewer()
text = visitor.current_text()
_ = text.gettext


def choose(agent: str | None) -> str | None:
    """Draw the choice of a figure and return it. With an agent, offer only the figures that agents have.

    None: the address names a figure that is not among these.
    """
    existing, default = (readers.AGENT_FIGURES, "occupancy") if agent else (readers.FIGURES, "service_level")
    in_address = st.query_params.get("kpi") or default
    figures = [name for name in existing if readers.may_show(viewer, name) or name == in_address]
    kpi = in_address if in_address in figures else None

    def change() -> None:
        st.query_params["kpi"] = st.session_state["kpi_choice"]

    st.session_state["kpi_choice"] = kpi
    st.selectbox(
        _("Figure"),
        options=figures,
        format_func=lambda name: names.figure(name, text),
        placeholder=_("Choose a figure"),
        key="kpi_choice",
        on_change=change,
        width=320,
    )
    return kpi


def explain(where: selection.Selection, kpi: str, agent: str | None) -> Explained | None:
    return readers.explain(readers.published(), viewer, where.campaign.campaign, kpi, where.t0, where.t1, agent)


@ticks.tick(TICK_S)
def figure_now(campaign: str, kpi: str) -> None:
    """Draw the figure of the last minutes, beside that of the day; it leads to the same page about those minutes."""
    board = readers.board(readers.published(), viewer, ends_of=(campaign,))
    live = next((live for live in board.campaigns if live.campaign.campaign == campaign), None) if board else None
    if live is not None:
        st.html(explanation.now(live, kpi, text))


@ticks.tick(TICK_S)
def figure_explained(where: selection.Selection, kpi: str, agent: str | None, behind: str) -> None:
    """Draw the figure and everything about it, from one snapshot. `behind` is the address of what it is made of."""
    explained = explain(where, kpi, agent)
    if explained is None:
        return
    html = explanation.figure(explained, text) + explanation.formula(explained, where, behind, text)
    st.html(f'<div class="vigie-explained">{html}</div>')
    terms = explanation.contract(explained, where, text)
    if terms:
        st.subheader(_("The contract in force"), anchor=False)
        st.html(terms)
        st.caption(f"{_('Contract, version')} {explained.contract}")
    if explanation.is_compared(explained):
        st.subheader(_("What other systems would show"), anchor=False)
        st.html(explanation.comparison(explained, text))
        st.caption(
            _(
                "From the same calls, by the formulas that their makers publish. Amazon Connect and Genesys Cloud"
                " would also put a call in the interval in which it ends."
            )
        )


def behind(where: selection.Selection, kpi: str, agent: str | None) -> tuple[str, dict[str, str]] | None:
    """Return page and parameters of what the figure is made of: its calls, or the agents whose time it is.

    None: this viewer may not see the figure, or may not see agents' names.
    """
    if not readers.may_show(viewer, kpi):
        return None
    if explanation.has_calls(kpi):
        return "calls", where.params(kpi=kpi, agent=agent)
    if not viewer.names_agents:
        return None
    params = {"campaign": where.campaign.campaign}
    if where.is_today and where.is_whole_day:
        return "agents", params
    return "campaign", params | {"day": where.campaign.day.isoformat()}


def page() -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    where = selection.choose(viewer, text, bar)
    if where is None:
        return
    agent = st.query_params.get("agent") if viewer.names_agents else None
    with bar:
        kpi = choose(agent)
        page_behind = behind(where, kpi, agent) if kpi else None
        if page_behind is not None:
            name, params = page_behind
            label, icon = (
                (_("The calls behind it"), ":material/list:")
                if name == "calls"
                else (_("The agents behind it"), ":material/support_agent:")
            )
            st.page_link(f"{name}.py", label=label, icon=icon, query_params=params)
        if agent:
            explained = explain(where, kpi, agent) if kpi else None
            agent_name = (explained and explained.agent_name) or agent
            selection.remove_filter_button("agent", _("Only {agent}").format(agent=plain(agent_name)))
    if kpi is None:
        empty.unknown_figure(text)
        return
    parts = [selection.span_words(where, text), plain(where.campaign.timezone)]
    if not (where.is_today and where.is_whole_day):
        parts.append(_("as known now"))
    st.caption(" · ".join(parts))
    is_today = where.is_today and where.is_whole_day and not agent
    if is_today and kpi in verdicts.IN_WINDOW and readers.may_show(viewer, kpi):
        figure_now(where.campaign.campaign, kpi)
    if readers.may_show(viewer, kpi):
        figure_explained(where, kpi, agent, selection.href(*page_behind) if page_behind else "")
        return
    st.html(explanation.rule(kpi, text))
    st.info(names.privacy(text), icon=":material/lock:")
    month = {"campaign": where.campaign.campaign, "month": f"{where.campaign.day:%Y-%m}"}
    st.page_link("sla.py", label=_("The month against its contract"), icon=":material/handshake:", query_params=month)


page()
