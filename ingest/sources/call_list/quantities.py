"""Durations and numbers in cells, with a decimal point or comma."""

import re

from ingest.sources.events import Unreadable
from ingest.sources.input.clocks import ZERO_DATE, plain

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
DAYS = r"d|j|days?|jours?|d[ií]as?"
CLOCK = re.compile(rf"(?:(\d+)(?: ?(?:{DAYS}),? |\.))?(?:(\d+):)?(\d{{1,2}}):(\d{{2}}(?:[.,]\d+)?)", re.IGNORECASE)
WITH_UNITS = re.compile(  # 1h 02m 05s, 2 min 5 s, 1'05"
    rf"(?=\d)(?:(\d+) ?(?:{DAYS}),? ?)?(?:(\d+) ?(?:h|hrs?|hours?|heures?|horas?),? ?)?"
    r"(?:(\d+) ?(?:m|mn|mins?|minutes?|minutos?|'(?=\d)),? ?)?"
    r"""(?:(\d+(?:[.,]\d+)?) ?(?:s|secs?|segs?|seconde?s?|segundos?|"))?""",
    re.IGNORECASE,
)
ISO = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?)?", re.IGNORECASE)
MILLISECONDS = re.compile(r"(\d+(?:[.,]\d+)?) ?ms(?:ecs?)?", re.IGNORECASE)
SIGNS = re.compile(r"[\s€$£'’]")  # of a currency, and between thousands
MAY_BE_THOUSANDS = re.compile(r"[+-]?\d{1,3}[.,]\d{3}")
MOST_S = 7 * 86_400.0
UNITS = {"seconds": 1.0, "milliseconds": 0.001, "minutes": 60.0, "days": 86_400.0}


def seconds(field: str, text: str | None, unit: str = "seconds", decimal: str | None = None) -> float | None:
    """Read a number of `unit`, or a duration that names its units, or h:mm:ss, or m:ss [s]; raises Unreadable."""
    if text is None:
        return None
    text = ZERO_DATE.sub("", plain(text))
    if parted := next(filter(None, (form.fullmatch(text) for form in (CLOCK, WITH_UNITS, ISO))), None):
        days, hours, minutes, rest = (float((part or "0").replace(",", ".")) for part in parted.groups())
        duration_s = days * 86_400 + hours * 3600 + minutes * 60 + rest
    elif thousandths := MILLISECONDS.fullmatch(text):
        duration_s = float(thousandths[1].replace(",", ".")) / 1000
    else:  # the days of Excel are exact to milliseconds
        duration_s = round(_float(field, text, decimal) * UNITS[unit], 3 if unit == "days" else 6)
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
