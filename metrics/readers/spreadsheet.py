"""Values as cells of a CSV file that a spreadsheet will open."""

import re

NUMBER = re.compile(r"[+\d•* ]+")


def cell(value: object) -> object:
    """Return what to write: text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") and not NUMBER.fullmatch(value):
        return "'" + value
    return value
