"""Choices that are kept in the address of a page: a link and a reload show the same.

`options` map what the address says to what the reader sees. The default is not in the address, and an unknown value in
it gives the default. A new choice also removes the parameters `without`, such as the page of a list.
"""

from collections.abc import Callable, Collection, Mapping

import streamlit as st
from streamlit.elements.lib.utils import LabelVisibility

from pages.shared.i18n import short


def segments(
    name: str,
    label: str,
    options: Mapping[str, str],
    *,
    default: str | None = None,
    label_visibility: LabelVisibility = "visible",
) -> str:
    """Draw the choice of one of a few options side by side, and return it. `default`: by default the first one."""
    default = default or next(iter(options))
    chosen, change = _kept(name, options, default, ())
    st.segmented_control(
        label,
        options=list(options),
        format_func=options.__getitem__,
        key=_key(name),
        on_change=change,
        label_visibility=label_visibility,
        wrap=True,
    )
    return chosen


def menu(name: str, label: str, options: Mapping[str, str], *, width: int, without: Collection[str] = ()) -> str:
    """Draw the choice of one of many options, and return it; by default the first one."""
    chosen, change = _kept(name, options, next(iter(options)), without)
    st.selectbox(
        label,
        options=list(options),
        format_func=lambda option: short(options[option]),
        key=_key(name),
        on_change=change,
        width=width,
    )
    return chosen


def _kept(
    name: str, options: Mapping[str, str], default: str, without: Collection[str]
) -> tuple[str, Callable[[], None]]:
    """Return what the address chooses, and what writes another choice into it."""

    def change() -> None:
        new = st.session_state[_key(name)] or default  # None: the reader took the choice back
        for parameter in (name, *without):
            st.query_params.pop(parameter, None)
        if new != default:
            st.query_params[name] = new

    in_address = st.query_params.get(name, default)
    chosen = in_address if in_address in options else default
    st.session_state[_key(name)] = chosen
    return chosen, change


def _key(name: str) -> str:
    return f"{name}_choice"
