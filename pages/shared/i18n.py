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
    "short",
    "text",
]

COOKIE, YEAR_S = "vigie_lang", 365 * 86_400
"""The cookie in which a browser remembers the reader's language, and its lifetime."""
LONGEST = 80
"""Characters of a name in a table, on a page or in a statement. Files for spreadsheets have all of it."""


def short(name: str) -> str:
    """Cut a name that would make a table or a page unusable. An older Vigie took names of any length."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"


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
