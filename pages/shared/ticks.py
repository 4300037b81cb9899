"""Ticks, the parts of a page that are drawn again and again; and what a page does without a snapshot it can read.

`app.py` runs every page inside `page()`. A part that ticks is a `tick`, never a bare fragment, so no page handles
`PublishedFileError` itself.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import streamlit as st

from metrics.readers import PublishedFileError
from pages.shared import empty
from pages.shared.i18n import Text

Arguments = ParamSpec("Arguments")


@contextmanager
def page(text: Text) -> Iterator[None]:
    """Say so when the published file cannot be read, and run the page again with the next snapshot."""
    try:
        yield
    except PublishedFileError as error:
        empty.unreadable(error, text)
        empty.wait_for_snapshot()


def tick(
    every_s: float, says_so: Text | None = None
) -> Callable[[Callable[Arguments, None]], Callable[Arguments, None]]:
    """Draw this part of a page again every so many seconds.

    While the published file cannot be read, the part is left out until it can; a part that is the whole page `says_so`,
    in these texts.
    """

    def decorate(draw: Callable[Arguments, None]) -> Callable[Arguments, None]:
        @st.fragment(run_every=every_s)
        @functools.wraps(draw)
        def fragment(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            try:
                draw(*args, **kwargs)
            except PublishedFileError as error:
                if says_so is not None:
                    empty.unreadable(error, says_so)

        return fragment

    return decorate
