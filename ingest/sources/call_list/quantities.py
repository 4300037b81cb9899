"""Durations and numbers in cells, with a decimal point or comma."""

import re

from ingest.sources.call_list.clocks import ZERO_DATE, plain
from ingest.sources.events import Unreadable

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2}(?:[.,]\d+)?)")
SIGNS = re.compile(r"[\s€$£'’]")  # of a currency, and between thousands
MAY_BE_THOUSANDS = re.compile(r"[+-]?\d{1,3}[.,]\d{3}")
MOST_S = 7 * 86_400.0
UNITS = {"seconds": 1.0, "milliseconds": 0.001, "minutes": 60.0, "days": 86_400.0}


def seconds(field: str, text: str | None, unit: str = "seconds", decimal: str | None = None) -> float | None:
    """Read a number of `unit`, or h:mm:ss, or m:ss [s]; raises Unreadable."""
    if text is None:
        return None
    text = ZERO_DATE.sub("", plain(text))
    if clock := CLOCK.fullmatch(text):
        hours, minutes, rest = (float((part or "0").replace(",", ".")) for part in clock.groups())
        duration_s = hours * 3600 + minutes * 60 + rest
    else:
        duration_s = round(_float(field, text, decimal) * UNITS[unit], 6)
    if not 0 <= duration_s <= MOST_S:
        raise Unreadable(f"{field}: not a duration from 0 s to 7 days.")
    return duration_s


def number(field: str, text: str | None, decimal: str | None = None) -> float | None:
    """Read a number; spaces between thousands and a currency sign are allowed; raises Unreadable."""
    return None if text is None else _float(field, plain(text), decimal)


def money(field: str, text: str | None, decimal: str | None = None) -> float | None:
    """Read an amount; raises Unreadable, also if one separator may be that of thousands."""
    if text is not None and decimal is None and MAY_BE_THOUSANDS.fullmatch(SIGNS.sub("", plain(text))):
        raise Unreadable(f"{field}: a number with thousands or with decimals; say which with decimal under [file].")
    return number(field, text, decimal)


def _float(field: str, text: str, decimal: str | None) -> float:
    """The number; with both separators the last is that of decimals."""
    text = SIGNS.sub("", text)
    decimal = decimal or ("," if text.rfind(",") > text.rfind(".") else ".")
    text = text.replace("." if decimal == "," else ",", "").replace(",", ".")
    if not NUMBER.fullmatch(text):
        raise Unreadable(f"{field}: not a number.")
    return float(text)
