"""The reader's language: texts from the gettext catalogues, numbers and times by the conventions of Babel.

Source texts are British English, so English has no catalogue. The catalogues of the other languages,
`locale/<language>/LC_MESSAGES/vigie.po`, are read as they are committed; nothing has to be compiled. One catalogue
holds the texts of the pages, of messages and of what both say. After changing texts, run these and translate until the
tests find nothing missing:

    pybabel extract -F metrics/language/locale/babel.cfg --no-location -o vigie.pot .
    pybabel update -i vigie.pot -d metrics/language/locale -D vigie --no-fuzzy-matching --ignore-obsolete
"""

import gettext
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cache, lru_cache
from math import log10
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, get_timezone_location
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

LOCALE = Path(__file__).parent / "locale"
REGIONS = {"fr": "fr_FR", "es": "es_ES", "en": "en_GB"}
"""Language → locale of Babel, which knows how numbers, times and lists are written there."""
LANGUAGES = {code: str(Locale.parse(region).get_language_name()).capitalize() for code, region in REGIONS.items()}
"""Language → its name in that language, in the order in which readers choose: "Français"."""
SOURCE = "en"
"""The language of the source texts, and the only one without a catalogue."""
DASH = "–"
"""Shown for an undefined number. 0 is a measured zero."""
NBSP = "\N{NO-BREAK SPACE}"
"""The space between a number and its unit; a line cannot break there."""
THIN = "\N{NARROW NO-BREAK SPACE}"
_TIED = re.compile(r"(?<=[\d}]) (?=(?:s|min|h|pts|pp)\b)|(?<=<) (?=\{)|(?<=\{sign\}) (?=\{)")
"""The spaces between a number and its unit, and between a sign and its number."""
_FRENCH = ((re.compile(r" (?=[:»](?!\w))|(?<=«) "), NBSP), (re.compile(r" (?=[;!?%])"), THIN))
"""French puts a space before or after these marks."""


@dataclass(frozen=True)
class Text:
    """The texts and formats of one language. None is formatted as a dash."""

    language: str
    locale: Locale
    catalogue: gettext.NullTranslations = field(repr=False)

    def gettext(self, message: str) -> str:
        return _typeset(self.catalogue.gettext(message), self.language)

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        return _typeset(self.catalogue.ngettext(singular, plural, n), self.language)

    def number(self, value: float | None) -> str:
        return DASH if value is None else _number(value, "#,##0", self.locale)

    def decimal(self, value: float | None) -> str:
        return DASH if value is None else _number(value, "#,##0.00", self.locale)

    def rate(self, value: float | None) -> str:
        """Format a number per second: with one decimal below 100, where it matters."""
        pattern = "#,##0.0" if value is not None and value < 100 else "#,##0"
        return DASH if value is None else _number(value, pattern, self.locale)

    def seconds(self, value: float | None) -> str:
        """Format a short time: "0.25 s"."""
        return DASH if value is None else f"{_number(value, '0.00', self.locale)}{NBSP}s"

    def size(self, count: float | None) -> str:
        """Format a number of bytes: "1.2 GB", in French "1,2 Go"."""
        if count is None:
            return DASH
        units = ("kilobyte", "megabyte", "gigabyte", "terabyte")
        place = min(max(int(log10(max(count, 1)) // 3), 1), len(units))
        value = count / 1000**place
        pattern = "#,##0.0" if value < 10 else "#,##0"
        size = format_unit(value, f"digital-{units[place - 1]}", "short", format=pattern, locale=self.locale)
        return size.replace(" ", NBSP)

    def percent(self, ratio: float | None, digits: int = 1) -> str:
        """Format a ratio 0–1: 0.8239 is "82.4%" in English, "82,4 %" in French."""
        if ratio is None:
            return DASH
        return _percent(ratio, digits, self.locale)

    def target(self, ratio: float | None) -> str:
        """Format an agreed ratio with as many decimals as it needs, at most two: "80%", "82.5%", "81.25%"."""
        exact = round((ratio or 0) * 100, 6)
        return self.percent(ratio, next((digits for digits in (0, 1) if round(exact, digits) == exact), 2))

    def points(self, ratio: float) -> str:
        """Format a difference of two ratios in percentage points, signed: 0.024 is "+2.4"."""
        return format_decimal(ratio * 100, "+0.0;−0.0", locale=self.locale)

    def separators(self) -> str:
        """Return the decimal separator and the thousands separator, as Plotly expects them: ",." in Spanish."""
        symbols = self.locale.number_symbols["latn"]
        return f"{symbols['decimal']}{symbols['group']}"

    def duration(self, seconds: float | None) -> str:
        """Format seconds as minutes and seconds, "3:05", or hours, "1:02:05"."""
        if seconds is None:
            return DASH
        minutes, second = divmod(max(0, round(seconds)), 60)
        hour, minute = divmod(minutes, 60)
        return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"

    def age(self, seconds: float) -> str:
        """Format an age: "4 s", "12 min", "3 h 20 min", "6 h", "12 days"."""
        second = max(0, int(seconds))
        if second < 100:
            return f"{second}{NBSP}s"
        minute = second // 60
        if minute < 100:
            return f"{minute}{NBSP}min"
        if minute >= 48 * 60:
            return format_unit(minute // (24 * 60), "duration-day", "short", locale=self.locale).replace(" ", NBSP)
        hours = f"{minute // 60}{NBSP}h"
        return f"{hours}{NBSP}{minute % 60:02}{NBSP}min" if minute % 60 else hours

    def clock(self, at: datetime, zone: str, seconds: bool = False) -> str:
        """Format an instant as the time of day in `zone`."""
        return format_time(at.astimezone(ZoneInfo(zone)), "HH:mm:ss" if seconds else "HH:mm", locale=self.locale)

    def place(self, zone: str) -> str:
        """Name a time zone by its city: "Europe/London" is "Londres" in French."""
        return get_timezone_location(ZoneInfo(zone), self.locale, return_city=True).rpartition("/")[2]

    def day(self, day: date) -> str:
        return self._first(day.day, format_date(day, "full", locale=self.locale))

    def weekday(self, number: int, short: bool = False) -> str:
        """Name a weekday (Monday is 0): "vendredi", or short "ven."."""
        return str(self.locale.days["stand-alone"]["abbreviated" if short else "wide"][number])

    def dates(self, days: Sequence[date]) -> str:
        """List days without their year: "6 Nov, 13 Nov"."""
        return ", ".join(self._first(day.day, format_skeleton("MMMd", day, locale=self.locale)) for day in days)

    def month(self, first: date) -> str:
        """Name a month with its year: "octobre 2026"."""
        return format_skeleton("yMMMM", first, locale=self.locale)

    def month_name(self, first: date) -> str:
        return format_date(first, "LLLL", locale=self.locale)

    def short_day(self, day: date) -> str:
        """Format a day without its month, with its weekday: "Mon 23"."""
        return format_skeleton("Ed", day, locale=self.locale)

    def date(self, day: date) -> str:
        """Format a date as digits: "22/11/2026"."""
        return format_date(day, "dd/MM/yyyy", locale=self.locale)

    def date_of(self, at: datetime, zone: str) -> str:
        """Format the local date of an instant: "22/11/2026"."""
        return self.date(at.astimezone(ZoneInfo(zone)).date())

    def moment(self, at: datetime) -> str:
        """Format a local date, with its time of day when that is not midnight: "1 Jan 2026", "18:00 on 1 Jan 2026"."""
        day = self._first(at.day, format_date(at, "medium", locale=self.locale))
        if at.time() == time():
            return day
        clock = format_time(at, "HH:mm:ss" if at.second else "HH:mm", locale=self.locale)
        return self.gettext("{time} on {day}").format(time=clock, day=day)

    def _first(self, day_of_month: int, written: str) -> str:
        """Write the first of a month as French does, "1er juin". Babel writes "1 juin"."""
        return re.sub(r"\b1\b", "1er", written, count=1) if self.language == "fr" and day_of_month == 1 else written

    def language_name(self, code: str | None) -> str:
        """Name a language in the reader's language: "fr" is "français". A code unknown to Babel stays as it is."""
        return DASH if code is None else self.locale.languages.get(code.partition("-")[0].lower(), code)


@cache  # at most as many entries as the catalogues have messages
def _typeset(message: str, language: str) -> str:
    """Replace ordinary spaces by no-break ones where a line must not break. People type the ordinary ones."""
    for ordinary, space in ((_TIED, NBSP), *(_FRENCH if language == "fr" else ())):
        message = ordinary.sub(space, message)
    return message


@lru_cache(10_000)  # every tick formats the same few numbers again, and Babel takes 40 µs for each
def _number(value: float, pattern: str, locale: Locale) -> str:
    return format_decimal(value, pattern, locale=locale)


@lru_cache(10_000)
def _percent(ratio: float, digits: int, locale: Locale) -> str:
    pattern = locale.percent_formats[None].pattern.replace("0", f"0.{'0' * digits}" if digits else "0")
    return format_percent(ratio, pattern, locale=locale)


@cache
def text(language: str) -> Text:
    """Return the texts of a language, one of LANGUAGES."""
    locale = Locale.parse(REGIONS[language])
    if language == SOURCE:
        return Text(language, locale, gettext.NullTranslations())
    with (LOCALE / language / "LC_MESSAGES" / "vigie.po").open("rb") as source:
        catalogue = read_po(source, locale=language, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Text(language, locale, gettext.GNUTranslations(compiled))
