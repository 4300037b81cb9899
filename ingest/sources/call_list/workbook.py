"""Lists that are no text: a workbook of Excel becomes CSV, other files of spreadsheets and pages are refused."""

import csv
import datetime as dt
import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from ingest.errors import UsageError

ARCHIVE, OLD_WORKBOOK = b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1")
PAGES = (b"<html", b"<!doctype", b"<table", b"<?xml", b"<workbook")
TOGETHER = 1_000  # rows made to CSV at once
MARK = "\ufeff".encode()  # it counts more than the encoding that a mapping names


def as_text(pieces: Iterable[bytes], name: str, delimiter: str) -> Iterator[bytes]:
    """Yield the list as text: the first sheet of a workbook as CSV, any other list as it is.

    Raises UsageError for a file that is no list: it names the file and what to do.
    """
    remaining = iter(pieces)
    first = next(remaining, b"")
    what = None
    if first.startswith(OLD_WORKBOOK):
        what = "an old workbook of Excel (.xls)"
    elif first.lstrip(b"\xef\xbb\xbf \t\r\n")[:16].lower().startswith(PAGES):
        what = "a page or XML, whatever its name ends in"
    if what:
        raise UsageError(f"{name} is {what}; open it in a spreadsheet and save it as .xlsx or CSV.")
    if first.startswith(ARCHIVE):
        yield from _sheet(b"".join((first, *remaining)), name, delimiter)
    else:
        yield from chain((first,), remaining)


def _sheet(data: bytes, name: str, delimiter: str) -> Iterator[bytes]:
    import openpyxl  # it takes a while to load, and few lists are workbooks

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions, which are not read
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, openpyxl.utils.exceptions.InvalidFileException):
        raise UsageError(
            f"{name} is an archive and no workbook of Excel; unpack it, and name the list in it."
        ) from None
    yield MARK
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    for number, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), 1):
        writer.writerow(map(_cell, cells))
        if number % TOGETHER == 0:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _cell(value: Any) -> str:
    """A cell as an ISO time, a time of day, a duration h:mm:ss, or its text."""
    if isinstance(value, dt.datetime):
        return _rounded(value).isoformat(" ")
    if isinstance(value, dt.time):
        return _rounded(dt.datetime.combine(dt.date(2000, 1, 1), value)).time().isoformat()
    if isinstance(value, dt.timedelta):
        milliseconds = round(value / dt.timedelta(milliseconds=1))
        sign, seconds = "-" if milliseconds < 0 else "", abs(milliseconds) / 1000
        return f"{sign}{int(seconds // 3600)}:{int(seconds // 60 % 60):02}:{seconds % 60:06.3f}"
    return "" if value is None else str(value)


def _rounded(at: dt.datetime) -> dt.datetime:
    """A double has more digits than a day's fraction in Excel is exact to: milliseconds."""
    excess = dt.timedelta(microseconds=at.microsecond % 1000)
    return at - excess + dt.timedelta(milliseconds=round(excess / dt.timedelta(milliseconds=1)))
