"""The words that telephone systems and exports write for "no value", and in a column of times for "never"."""

import datetime as dt
import re

NONE = re.compile(r"|\\N|null|\(null\)|<null>|\[null\]", re.IGNORECASE)  # MySQL, phpMyAdmin, DataGrip, DBeaver
ZERO = re.compile(r"[+-]?0+(?:[.,]0+)?")
ZERO_DATE = re.compile(r"(?:0000([-/.])00?\1 ?00?|00?([-/.])00?\2 ?0000)(?:[T ].*)?")
DATE = re.compile(r"(?:(\d{4})[-/.](\d\d?)[-/.](\d\d?)|(\d\d?)[-/.](\d\d?)[-/.](\d{4}))(?:[T ].*)?")

#: Zero in the calendars of systems: .NET, FILETIME, SQL Server, OLE and Excel, Unix; and the last day that many know.
ZEROS = (
    *((1, 1, 1), (1601, 1, 1), (1753, 1, 1), (1899, 12, 30), (1899, 12, 31), (1900, 1, 1), (1970, 1, 1)),
    (9999, 12, 31),
)
#: In local time, a zone's offset moves zero to the day before; year 0 is not a date.
NEVER = {
    (day.year, day.month, day.day)
    for zero in ZEROS
    for day in (dt.date(*zero), dt.date(*zero) - dt.timedelta(days=1 if zero[0] not in (1, 9999) else 0))
}


def is_none_word(text: str) -> bool:
    """Whether a cell says that it has no value: empty, `NULL` in any case, `(NULL)`, `\\N`."""
    return NONE.fullmatch(text.strip()) is not None


def is_never(text: str) -> bool:
    """Whether a cell of a column of times says "never": no value, 0, or a date that some calendar begins with."""
    text = text.strip()
    if is_none_word(text) or ZERO.fullmatch(text) or ZERO_DATE.fullmatch(text):
        return True
    if not (date := DATE.fullmatch(text)):
        return False
    year, month, day, first, second, last = date.groups()
    if year:
        return (int(year), int(month), int(day)) in NEVER
    return not {(int(last), int(second), int(first)), (int(last), int(first), int(second))}.isdisjoint(NEVER)


def is_never_instant(at: dt.datetime) -> bool:
    """Whether a time that was read lies on such a date."""
    return (at.year, at.month, at.day) in NEVER
