"""Texts and paths as strings of SQL, for statements that take no parameters: ATTACH, COPY, COMMENT, CREATE MACRO."""

from pathlib import Path


def quoted(text: str | Path) -> str:
    """Return `text` as SQL writes a string."""
    return "'" + str(text).replace("'", "''") + "'"
