"""The reader's language: texts from the gettext catalogues, numbers and times by the conventions of Babel.

Source texts are English. The catalogues are read as they are committed, `locale/<language>/LC_MESSAGES/vigie.po`.
After a change of texts, until the tests name nothing that is missing:

    pybabel extract -F pages/locale/babel.cfg --no-location -o vigie.pot .
    pybabel update -i vigie.pot -d pages/locale -D vigie --no-fuzzy-matching --ignore-obsolete
"""

import gettext
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

LOCALE = Path(__file__).parent / "locale"
LANGUAGES = {"fr": "Français", "es": "Español", "en": "English"}
REGIONS = {"fr": "fr_FR", "es": "es_ES", "en": "en_GB"}
DASH = "–"
"""What stands for an undefined number: never 0."""


@dataclass(frozen=True)
class Text:
    """Everything a page says in one language. A None is a dash."""

    language: str
    locale: Locale
    catalogue: gettext.NullTranslations = field(repr=False)

    def gettext(self, message: str) -> str:
        return self.catalogue.gettext(message)

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        return self.catalogue.ngettext(singular, plural, n)

    def number(self, value: float | None) -> str:
        return DASH if value is None else format_decimal(value, "#,##0", locale=self.locale)

    def percent(self, ratio: float | None, digits: int = 1) -> str:
        """Format a ratio 0–1: 0.8239 is "82.4%" in English, "82,4 %" in French."""
        if ratio is None:
            return DASH
        pattern = self.locale.percent_formats[None].pattern.replace("0", f"0.{'0' * digits}" if digits else "0")
        return format_percent(ratio, pattern, locale=self.locale)

    def points(self, ratio: float) -> str:
        """Format a difference of two ratios in percentage points, signed: 0.024 is "+2.4"."""
        return format_decimal(ratio * 100, "+0.0;−0.0", locale=self.locale)

    def duration(self, seconds: float | None) -> str:
        """Format seconds as minutes and seconds, "3:05", or hours, "1:02:05"."""
        if seconds is None:
            return DASH
        minutes, second = divmod(max(0, round(seconds)), 60)
        hour, minute = divmod(minutes, 60)
        return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"

    def age(self, seconds: float) -> str:
        """Format how long ago something was: "4 s", "12 min", "3 h 20 min"."""
        second = max(0, int(seconds))
        if second < 100:
            return f"{second} s"
        minute = second // 60
        return f"{minute} min" if minute < 100 else f"{minute // 60} h {minute % 60:02} min"

    def clock(self, at: datetime, zone: str, seconds: bool = False) -> str:
        """Format an instant as the time of day in `zone`."""
        return format_time(at.astimezone(ZoneInfo(zone)), "HH:mm:ss" if seconds else "HH:mm", locale=self.locale)

    def day(self, day: date) -> str:
        return format_date(day, "full", locale=self.locale)

    def date(self, day: date) -> str:
        """Format a date in short, with its year: "22/11/2026"."""
        return format_date(day, "dd/MM/yyyy", locale=self.locale)

    def moment(self, at: datetime) -> str:
        """Format a local date, with its time of day when that is not midnight: "1 Jan 2026"."""
        day = format_date(at, "medium", locale=self.locale)
        return day if (at.hour, at.minute) == (0, 0) else f"{day} {format_time(at, 'HH:mm', locale=self.locale)}"

    def language_name(self, code: str | None) -> str:
        """Name a language in the reader's: "fr" is "français"; a code that Babel does not know stays as it is."""
        return DASH if code is None else self.locale.languages.get(code.partition("-")[0].lower(), code)


@cache
def text(language: str) -> Text:
    """Return the texts of one of LANGUAGES."""
    with (LOCALE / language / "LC_MESSAGES" / "vigie.po").open("rb") as source:
        catalogue = read_po(source, locale=language, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Text(language, Locale.parse(REGIONS[language]), gettext.GNUTranslations(compiled))


def plain(words: str) -> str:
    """Escape what Markdown would read in names that come from events or the configuration."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", words)


def choose(wishes: Iterable[str | None]) -> str:
    """Return the first wish that is one of LANGUAGES ("fr-MA" wishes "fr"), else English."""
    for wish in wishes:
        language = (wish or "").replace("_", "-").partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return "en"
