"""One figure, explained: what went in, by which contract, and what other systems would print from the same calls."""

import streamlit as st

from metrics import readers
from metrics.readers import Explained
from pages import _empty, _kpi, _names, _session, _where
from pages._i18n import plain

TICK_S = 15

viewer = _session.current_viewer()
text = _session.current_text()
_ = text.gettext


def choose(agent: str | None) -> str | None:
    """Draw the choice of a figure, of those that are known of an agent when it is about one, and return it.

    None: the address asks for another.
    """
    known, usual = (readers.AGENT_FIGURES, "occupancy") if agent else (readers.FIGURES, "service_level")
    asked = st.query_params.get("kpi") or usual
    figures = [name for name in known if readers.told(viewer, name) or name == asked]
    kpi = asked if asked in figures else None

    def change() -> None:
        st.query_params["kpi"] = st.session_state["kpi_choice"]

    st.session_state["kpi_choice"] = kpi
    st.selectbox(
        _("Figure"),
        options=figures,
        format_func=lambda name: _names.figure(name, text),
        placeholder=_("Choose a figure"),
        key="kpi_choice",
        on_change=change,
        width=320,
    )
    return kpi


def known(where: _where.Where, kpi: str, agent: str | None) -> Explained | None:
    try:
        return readers.explain(readers.published(), viewer, where.campaign.campaign, kpi, where.t0, where.t1, agent)
    except readers.PublishedFileError:
        return None  # the page said so, or the next tick will find it


@st.fragment(run_every=TICK_S)
def explained(where: _where.Where, kpi: str, agent: str | None, behind: str) -> None:
    """Draw the figure and everything about it, from one snapshot."""
    one = known(where, kpi, agent)
    if one is None:
        return
    st.html(f'<div class="vigie-explained">{_kpi.figure(one, text)}{_kpi.formula(one, where, behind, text)}</div>')
    terms = _kpi.contract(one, where, text)
    if terms:
        st.subheader(_("The contract in force"), anchor=False)
        st.html(terms)
        st.caption(f"{_('Contract, version')} {one.contract}")
    if _kpi.is_compared(one):
        st.subheader(_("What other systems would show"), anchor=False)
        st.html(_kpi.comparison(one, text))
        st.caption(
            _(
                "From the same calls, by the formulas that their makers publish. Amazon Connect and Genesys Cloud"
                " would also put a call in the interval in which it ends."
            )
        )


def behind(where: _where.Where, kpi: str, agent: str | None) -> tuple[str, dict[str, str]] | None:
    """Return page and parameters of what the figure is made of: calls, or agents' time, for who may name them."""
    if not readers.told(viewer, kpi):
        return None
    if _kpi.has_calls(kpi):
        return "calls", where.params(kpi=kpi, agent=agent)
    if not viewer.names_agents:
        return None
    of = {"campaign": where.campaign.campaign}
    if where.today and where.whole:
        return "agents", of
    return "campaign", of | {"day": where.campaign.day.isoformat()}


def page() -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom", key="bar")
    where = _where.choose(viewer, text, bar)
    if where is None:
        return
    agent = st.query_params.get("agent") if viewer.names_agents else None
    with bar:
        kpi = choose(agent)
        way = behind(where, kpi, agent) if kpi else None
        if way is not None:
            name, asked = way
            label, icon = (
                (_("The calls behind it"), ":material/list:")
                if name == "calls"
                else (_("The agents behind it"), ":material/support_agent:")
            )
            st.page_link(f"{name}.py", label=label, icon=icon, query_params=asked)
        if agent:
            one = known(where, kpi, agent) if kpi else None
            name = (one and one.agent_name) or agent
            _where.leave_out("agent", _("Only {agent}").format(agent=plain(name)))
    if kpi is None:
        _empty.unknown_figure(text)
        return
    said = [_where.span_words(where, text), plain(where.campaign.timezone)]
    if not (where.today and where.whole):
        said.append(_("as known now"))
    st.caption(" · ".join(said))
    if readers.told(viewer, kpi):
        explained(where, kpi, agent, _where.href(*way) if way else "")
        return
    st.html(_kpi.rule(kpi, text))
    st.info(_names.privacy(text), icon=":material/lock:")
    month = {"campaign": where.campaign.campaign, "month": f"{where.campaign.day:%Y-%m}"}
    st.page_link("sla.py", label=_("The month against its contract"), icon=":material/handshake:", query_params=month)


page()
