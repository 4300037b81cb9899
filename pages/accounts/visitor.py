"""Who is looking and in which language: asked anew on every run, so nothing of it is a page's own."""

from html import escape

import streamlit as st

from metrics import clock
from metrics.authorisation.viewer import Viewer
from pages.accounts.access import access
from pages.accounts.sessions import COOKIE
from pages.shared import empty, i18n, names


def current_viewer() -> Viewer:
    """Return who looks, by the session that the gate told Streamlit of; without one nothing is drawn.

    The session is looked at again here: who was removed since the gate did sees nothing.
    """
    cookie = st.user.get(COOKIE)
    viewer = access().viewer(cookie if isinstance(cookie, str) else None, clock.now_s())
    if viewer is None:
        empty.signed_out(current_text())
        st.stop()
    return viewer


def current_text() -> i18n.Text:
    """Return the texts of the reader: as asked in the address, chosen here, remembered, or set in the browser."""
    if st.query_params.get("lang") in i18n.LANGUAGES:
        st.session_state["language"] = st.query_params["lang"]  # other pages' addresses need not say it again
    return i18n.text(
        i18n.choose(
            (
                st.query_params.get("lang"),
                st.session_state.get("language"),
                st.context.cookies.get(i18n.COOKIE),
                st.context.locale,
            )
        )
    )


def language_switch(text: i18n.Text) -> None:
    """Draw the choice of languages; the browser remembers it for a year."""

    def choose() -> None:
        language = st.session_state["language_choice"]
        st.session_state["language"] = language
        st.session_state["remember_language"] = language
        if "lang" in st.query_params:
            st.query_params["lang"] = language

    _ = text.gettext
    st.session_state["language_choice"] = text.language
    st.selectbox(
        _("Language"),
        options=list(i18n.LANGUAGES),
        format_func=i18n.LANGUAGES.__getitem__,
        key="language_choice",
        on_change=choose,
        label_visibility="collapsed",
        width=118,
    )
    remember = st.session_state.pop("remember_language", None)
    if remember in i18n.LANGUAGES:
        cookie = f"{i18n.COOKIE}={remember}; path=/; max-age={i18n.YEAR_S}; SameSite=Lax"
        st.html(f"<script>document.cookie = '{cookie}'</script>", unsafe_allow_javascript=True)


def account(viewer: Viewer, text: i18n.Text) -> None:
    """Draw who is signed in, and the way out."""
    _ = text.gettext
    with st.popover(i18n.plain(viewer.name), icon=":material/account_circle:"):
        said = [names.role(viewer.role, text)]
        if viewer.campaigns is not None:
            n = len(viewer.campaigns)
            said.append(text.ngettext("{n} campaign", "{n} campaigns", n).format(n=text.number(n)))
        way_out = _("Sign out")
        # a form of its own and no widget: it ends the session of the whole browser, in the browser
        st.html(
            f'<div class="vigie-account"><b>{escape(viewer.name)}</b><span>{escape(" · ".join(said))}</span>'
            f'<form method="post" action="sign-out"><button>{escape(way_out)}</button></form></div>'
        )
