"""Who is looking and in which language: asked anew on every run, so nothing of it is a page's own."""

import streamlit as st

from metrics.viewer import Viewer
from pages import _i18n

COOKIE = "vigie_lang"
YEAR_S = 365 * 24 * 3600


def current_viewer() -> Viewer:
    """Return who signed in, or, until there is a sign-in, a manager who sees the whole floor."""
    viewer = st.session_state.get("viewer")
    return viewer if isinstance(viewer, Viewer) else Viewer(role="manager", campaigns=None)


def current_text() -> _i18n.Text:
    """Return the texts of the reader: as asked in the address, chosen here, remembered, or set in the browser."""
    if st.query_params.get("lang") in _i18n.LANGUAGES:
        st.session_state["language"] = st.query_params["lang"]  # other pages' addresses need not say it again
    return _i18n.text(
        _i18n.choose(
            (
                st.query_params.get("lang"),
                st.session_state.get("language"),
                st.context.cookies.get(COOKIE),
                st.context.locale,
            )
        )
    )


def language_switch(text: _i18n.Text) -> None:
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
        options=list(_i18n.LANGUAGES),
        format_func=_i18n.LANGUAGES.__getitem__,
        key="language_choice",
        on_change=choose,
        label_visibility="collapsed",
        width=118,
    )
    remember = st.session_state.pop("remember_language", None)
    if remember in _i18n.LANGUAGES:
        cookie = f"{COOKIE}={remember}; path=/; max-age={YEAR_S}; SameSite=Lax"
        st.html(f"<script>document.cookie = '{cookie}'</script>", unsafe_allow_javascript=True)
