"""Quotes texts and paths for SQL statements that take no parameters: ATTACH, COPY, COMMENT, CREATE MACRO."""

from pathlib import Path


def quoted(text: str | Path) -> str:
    """Return `text` as an SQL string."""
    return "'" + str(text).replace("'", "''") + "'"
