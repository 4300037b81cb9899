"""Cells of CSV files that are safe to open in a spreadsheet."""

import re

NUMBER = re.compile(r"[+\d•* ]+")


def cell(value: object) -> object:
    """Return the value to write. Text that a spreadsheet would take for a formula gets a leading apostrophe."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") and not NUMBER.fullmatch(value):
        return "'" + value
    return value
