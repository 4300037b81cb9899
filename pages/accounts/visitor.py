"""The viewer and the language of a page. Both are looked up at every run, so no page keeps them."""

from collections.abc import Callable
from html import escape

import streamlit as st

from metrics import clock
from metrics.audit.trail import HERE, Kind
from metrics.authorisation.viewer import Viewer
from pages.accounts.access import access
from pages.accounts.sessions import COOKIE
from pages.assets import script
from pages.shared import empty, i18n, names


def current_viewer() -> Viewer:
    """Return the viewer of the session that the gate passed to Streamlit. Without one, stop the page.

    The session is checked again here, because the account may have been removed since the gate checked it.
    """
    cookie = st.user.get(COOKIE)
    viewer = access().viewer(cookie if isinstance(cookie, str) else None, clock.now_s())
    if viewer is None:
        empty.signed_out(current_text())
        st.stop()
    return viewer


def current_text() -> i18n.Text:
    """Return the reader's texts: the language of the address, of this session, of the cookie, or of the browser."""
    if st.query_params.get("lang") in i18n.LANGUAGES:
        st.session_state["language"] = st.query_params["lang"]  # so the addresses of other pages need not repeat it
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


def may_audit(viewer: Viewer) -> bool:
    """Whether the viewer may read who did what: managers who see everything."""
    return viewer.role == "manager" and viewer.campaigns is None and viewer.sites is None


def note(viewer: Viewer, kind: Kind, what: str) -> None:
    """Write what the viewer is about to do into the audit trail. If that fails (AuditError), it is not done."""
    access().audit.append(kind, who=viewer.name, address=_address(), what=what, at=clock.now_s())


def exported(viewer: Viewer, what: str, content: Callable[[], bytes]) -> Callable[[], bytes]:
    """Return `content`, so that each download of it is in the audit trail."""
    address = _address()  # a download runs outside of the page

    def noted() -> bytes:
        access().audit.append("export", who=viewer.name, address=address, what=what, at=clock.now_s())
        return content()

    return noted


def _address() -> str:
    return st.context.ip_address or HERE


def language_switch(text: i18n.Text) -> None:
    """Draw the choice of language. The browser remembers it for a year."""

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
        beside = f'<i hidden data-cookie="{escape(cookie)}"></i>'
        st.html(beside + script("language"), unsafe_allow_javascript=True)


def account(viewer: Viewer, text: i18n.Text) -> None:
    """Draw the menu with the viewer's name, role and campaigns, and the button to sign out."""
    _ = text.gettext
    with st.popover(i18n.plain(viewer.name), icon=":material/account_circle:"):
        rights = [names.role(viewer.role, text)]
        if viewer.campaigns is not None:
            n = len(viewer.campaigns)
            rights.append(text.ngettext("{n} campaign", "{n} campaigns", n).format(n=text.number(n)))
        sign_out = _("Sign out")
        # an HTML form and not a widget: the browser has to send it, to end the session in all of its tabs
        st.html(
            f'<div class="vigie-account"><b>{escape(viewer.name)}</b><span>{escape(" · ".join(rights))}</span>'
            f'<form method="post" action="sign-out"><button>{escape(sign_out)}</button></form></div>'
        )
