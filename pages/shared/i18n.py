"""The texts and formats of metrics/language, and what only pages need: the cookie, the choice, Markdown."""

import re
from collections.abc import Iterable

from metrics.language.text import DASH, LANGUAGES, NBSP, SOURCE, Text, text

__all__ = [
    "COOKIE",
    "DASH",
    "LANGUAGES",
    "NBSP",
    "SOURCE",
    "YEAR_S",
    "Text",
    "choose",
    "plain",
    "text",
]

COOKIE, YEAR_S = "vigie_lang", 365 * 86_400
"""The cookie in which a browser remembers the reader's language, and its lifetime."""


def plain(name: str) -> str:
    """Escape Markdown in a name that comes from events or from the configuration."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", name)


def choose(wishes: Iterable[str | None]) -> str:
    """Return the first wish that is one of LANGUAGES ("fr-MA" counts as "fr"), or English."""
    for wish in wishes:
        language = (wish or "").replace("_", "-").partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return SOURCE
