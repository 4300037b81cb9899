"""Ticks (the parts of a page that are redrawn periodically), and what a page does while the snapshot is unreadable.

`app.py` runs every page inside `page()`. Each part that is redrawn is a `tick`, never a bare fragment. So no page has
to handle `PublishedFileError` itself.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
from typing import ParamSpec

import streamlit as st

from metrics.readers import PublishedFileError, one_drawing
from pages.shared import empty
from pages.shared.i18n import Text

Arguments = ParamSpec("Arguments")
HEAD_START_S = 0.7
"""So long a browser takes for the first chart on two cores (docs/measured.md)."""


@contextmanager
def page(text: Text) -> Iterator[None]:
    """If the published file cannot be read, say so, and run the page again with the next snapshot."""
    try:
        with one_drawing():
            yield
    except PublishedFileError as error:
        empty.unreadable(error, text)
        empty.wait_for_snapshot()


def tick(
    every_s: float, says_so: Text | None = None
) -> Callable[[Callable[Arguments, None]], Callable[Arguments, None]]:
    """Redraw this part of a page every `every_s` seconds.

    While the published file cannot be read, the part draws nothing. If it is the whole page, pass `says_so`: then it
    says in these texts that the file cannot be read.
    """

    def decorate(draw: Callable[Arguments, None]) -> Callable[Arguments, None]:
        @st.fragment(run_every=every_s)
        @functools.wraps(draw)
        def fragment(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            try:
                with one_drawing():
                    draw(*args, **kwargs)
            except PublishedFileError as error:
                if says_so is not None:
                    empty.unreadable(error, says_so)

        return fragment

    return decorate


def below_the_fold() -> None:
    """Call before a page draws what nobody sees without scrolling.

    A browser that has just loaded the page first draws what it has, then gets the rest. Otherwise it works on all of it
    together, and shows the chart at the top only after the tables at the bottom.
    """
    if not st.session_state.get("has_drawn"):
        st.session_state.has_drawn = True
        sleep(HEAD_START_S)
