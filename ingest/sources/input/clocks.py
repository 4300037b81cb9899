"""What a cell, or several, says of a time: any clock, any language, Excel's days, and the ways to write never."""

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ingest.sources.input.never import is_never, is_never_instant, is_none_word

EXCEL = {"excel": dt.datetime(1899, 12, 30), "excel-1904": dt.datetime(1904, 1, 1)}  # noqa: DTZ001  local times
SCALES = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # since 1970, from this number on: nano-, micro-, milliseconds
LAST_SERIAL = 2_958_466.0  # 10000-01-01

INVISIBLE = re.compile("[\u200b\u200e\u200f\u061c\u2060\ufeff]")  # some systems mark the direction of writing
BLANKS = re.compile(r"\s+")  # also no-break and narrow spaces
MERIDIEM = re.compile(r"(?<![^\W\d_])([ap])\.? ?m\b\.?", re.IGNORECASE)  # AM, a.m., a. m.
CLOCK = re.compile(r"(\d{1,2}) ?[:h] ?(\d{2})(?: ?(?:[:m]|min) ?(\d{2})(?:[.,](\d{1,9}))? ?s?)?", re.IGNORECASE)
FRACTION = re.compile(r"0?[.,]\d+(?:[eE]-\d+)?|0|\d(?:[.,]\d+)?[eE]-\d+")
MIDNIGHT = re.compile(r"[T ]0?0:00(?::00(?:[.,]0+)?)?$")  # of a date that a spreadsheet keeps as a time
ZERO_DATE = re.compile(r"^(?:1899-12-3[01]|1900-01-0[01]|(?:3[01][/.-]12|12[/.-]3[01])[/.-]1899)[T ]")
HOUR = re.compile(r" ?%[HI]")
WORD = re.compile(r"[^\W\d_]+\.?")

ENGLISH_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"),
    "December",
)
#: The beginnings of the months' names in French, Spanish and English, without accents; the longer ones first.
MONTHS = (
    ("janv", 1), ("ene", 1), ("jan", 1), ("fev", 2), ("feb", 2), ("mar", 3), ("avr", 4), ("abr", 4), ("apr", 4),
    ("mai", 5), ("may", 5), ("juin", 6), ("jun", 6), ("juil", 7), ("jul", 7), ("aou", 8), ("ago", 8), ("aug", 8),
    ("sep", 9), ("set", 9), ("oct", 10), ("nov", 11), ("dec", 12), ("dic", 12),
)  # fmt: skip
DAYS = (
    *("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    *("lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo"),
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
)


@dataclass(frozen=True)
class TimeOfDay:
    """A time without a date."""

    since_midnight: dt.timedelta


Reading = dt.datetime | TimeOfDay | None  # None: never


def read(texts: Sequence[str], form: str) -> Reading:
    """Read the columns of one time: one with date and time, or a date and a time; raises ValueError.

    `form` is iso, epoch, excel (days since 1899-12-30), excel-1904, or a format of strptime.
    """
    parts = [plain(text) for text in texts]
    if form in EXCEL and (serials := [_serial(part) for part in parts if not is_none_word(part)]) and all(serials):
        return _of_excel(parts, form)
    if all(map(is_never, parts)) or (len(parts) > 1 and is_none_word(parts[-1])):
        return None
    present = [part for part in parts if not is_none_word(part)]
    if len(present) > 1:  # a date with its midnight, a time with its zero date
        present = [MIDNIGHT.sub("", present[0]), *(ZERO_DATE.sub("", part) for part in present[1:])]
    if form != "epoch" and (time := time_of_day(present[-1])) is not None:
        if len(present) == 1:
            return time
        return _with_date(" ".join(present), present, time, form)
    return _unless_never(_parsed(" ".join(present), form))


def plain(text: str) -> str:
    """The text with ordinary blanks, and without invisible characters."""
    return BLANKS.sub(" ", INVISIBLE.sub("", text)).strip()


def time_of_day(text: str) -> TimeOfDay | None:
    """Read a time without a date, also as a fraction of a day; None for anything else."""
    if FRACTION.fullmatch(text):
        return TimeOfDay(_days(float(text.replace(",", "."))))
    rest, half = _without_half(text)
    if not (clock := CLOCK.fullmatch(rest)):
        return None
    hour, minute, second, fraction = (int(part or 0) for part in (*clock.groups()[:3], (clock[4] or "0").ljust(9, "0")))
    try:
        hour = _of_24(hour, half)
        time = dt.time(hour, minute, second, fraction // 1000)
    except ValueError:
        return None
    return TimeOfDay(dt.timedelta(hours=hour, minutes=minute, seconds=time.second, microseconds=time.microsecond))


def _with_date(text: str, present: Sequence[str], time: TimeOfDay, form: str) -> Reading:
    """A date and a time in columns of their own; the form is that of both, or of the date alone."""
    try:
        return _unless_never(_parsed(text, form))
    except ValueError:
        of_date = form if form in ("iso", "epoch") else HOUR.split(form)[0]
        date = _unless_never(_parsed(" ".join(present[:-1]), of_date))
        return None if date is None else date + time.since_midnight


def _parsed(text: str, form: str) -> dt.datetime:
    if form == "epoch":
        number = float(text)
        scale = next((scale for least, scale in SCALES if abs(number) >= least), 1.0)
        return dt.datetime.fromtimestamp(number / scale, dt.UTC)
    rest, half = _without_half(text)
    if form == "iso":
        at = dt.datetime.fromisoformat(re.sub(r" ?(?:UTC|GMT)$", "Z", rest))
    else:
        if "%p" in form and half is None:
            raise ValueError("neither AM nor PM")
        form, has_words = _without_words(form)
        at = dt.datetime.strptime(_in_english(rest) if has_words else rest, form)  # noqa: DTZ007  the zone follows, unless the format has one
    return at.replace(hour=_of_24(at.hour, half))


@cache
def _without_words(form: str) -> tuple[str, bool]:
    """A format for texts without AM and PM and weekdays, and whether its texts have months or weekdays in words."""
    form = BLANKS.sub(" ", form.replace("%p", "").replace("%I", "%H")).strip()
    return re.sub("%[aA][.,]? ?", "", form.replace("%b", "%B")), bool(re.search("%[aAbB]", form))


def _without_half(text: str) -> tuple[str, str | None]:
    """The text without AM or PM, and which half of the day that was."""
    if not (found := MERIDIEM.search(text)):
        return text, None
    return BLANKS.sub(" ", text[: found.start()] + " " + text[found.end() :]).strip(), found[1].lower()


def _of_24(hour: int, half: str | None) -> int:
    if half == "a":
        if hour > 12:
            raise ValueError("an hour after noon that is before noon")
        return hour % 12
    return hour + 12 if half == "p" and hour < 12 else hour


def _in_english(text: str) -> str:
    """The text with its months in English, and without its weekdays."""

    def word(found: re.Match[str]) -> str:
        if is_day(found[0]):
            return ""
        month = month_of(found[0])
        return ENGLISH_MONTHS[month - 1] if month else found[0]

    return BLANKS.sub(" ", WORD.sub(word, text)).strip(" ,")


def month_of(word: str) -> int | None:
    """The number of a month, from its name or a beginning of it, in French, Spanish or English."""
    name = unaccented(word.rstrip("."))
    return next((number for beginning, number in MONTHS if name.startswith(beginning)), None)


def is_day(word: str) -> bool:
    """Whether it is a weekday."""
    return unaccented(word.rstrip(".")) in DAYS


def unaccented(text: str) -> str:
    """Lower case, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def _serial(text: str) -> bool:
    try:
        return 0 <= float(text.replace(",", ".")) < LAST_SERIAL
    except ValueError:
        return False


def _of_excel(parts: Sequence[str], form: str) -> Reading:
    """Days since the calendar's zero, in one column or as a day and a fraction; less than a day is a time of day."""
    if len(parts) > 1 and is_none_word(parts[-1]):
        return None
    days = sum(float(part.replace(",", ".")) for part in parts if not is_none_word(part))
    if days == 0:
        return None
    return TimeOfDay(_days(days)) if days < 1 else _unless_never(EXCEL[form] + _days(days))


def _days(days: float) -> dt.timedelta:
    """A double has more digits than a day's fraction in Excel is exact to: milliseconds."""
    return dt.timedelta(milliseconds=round(days * 86_400_000))


def _unless_never(at: dt.datetime) -> dt.datetime | None:
    return None if is_never_instant(at) else at
