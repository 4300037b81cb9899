"""TOML tables that know their line numbers, so that an error can name file, line and what is allowed."""

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from metrics.errors import ConfigurationError


def read_toml(path: Path, otherwise: str) -> "tuple[Table, str]":
    """Return the top table of a file and the SHA-256 of its bytes. `otherwise`: what the user does if it is missing."""
    try:
        raw = path.read_bytes()
        text = raw.decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}); {otherwise}.") from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{path}, line {line}: not UTF-8; save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}.") from error
    return Table(path, _lines(text), (), document), hashlib.sha256(raw).hexdigest()


class Table:
    """A TOML table that knows its place in the file."""

    def __init__(self, path: Path, lines: dict[tuple[str | int, ...], int], at: tuple[str | int, ...], values: Any):
        self.path, self.lines, self.at = path, lines, at
        self.id = str(at[-1]) if at else ""
        if not isinstance(values, dict):
            self.refuse((), f"`{self.id}` is {shown(values)}, allowed is a table")
        self.values: dict[str, Any] = values

    def refuse(self, key: Iterable[str | int], what: str) -> NoReturn:
        at = (*self.at, *key)
        while at and at not in self.lines:
            at = at[:-1]
        raise ConfigurationError(f"{self.path}, line {self.lines.get(at, 1)}: {escaped(what)}.")

    def refuse_hidden(self, key: str, name: str) -> None:
        """Refuse a name with a line break or another character that nobody sees: it would forge lines of the log."""
        for character in filter(is_hidden, name):
            what = f"`{key}` has the character U+{ord(character):04X}" if key else "the id has a hidden character"
            self.refuse((key,) if key else (), f"{what}: {shown(name)}, allowed are names without such characters")

    def allow(self, *keys: str) -> None:
        for key in self.values:
            if key not in keys:
                self.refuse((key,), f"unknown key `{cut(key)}`, allowed are {', '.join(keys)}")

    def table(self, key: str) -> "Table":
        return Table(self.path, self.lines, (*self.at, key), self.values.get(key, {}))

    def tables(self, key: str, keys: tuple[str, ...] = ()) -> "list[Table]":
        parent = self.table(key)
        tables = [Table(self.path, self.lines, (*parent.at, name), values) for name, values in parent.values.items()]
        for table in tables:
            if not 1 <= len(table.id) <= 64:
                table.refuse((), f"the id `{cut(table.id)}` is empty or too long, allowed are 1 to 64 characters")
            table.refuse_hidden("", table.id)
            if keys:
                table.allow(*keys)
        return tables

    def array(self, key: str) -> "list[Table]":
        values = self.values.get(key, [])
        if not isinstance(values, list):
            self.refuse((key,), f"`{key}` is {shown(values)}, allowed is an array of tables, [[…{key}]]")
        return [Table(self.path, self.lines, (*self.at, key, i), value) for i, value in enumerate(values)]

    def take(self, key: str, default: Any, ok: Callable[[Any], bool], allowed: str) -> Any:
        if key not in self.values:
            if default is None:
                self.refuse((), f"`{key}` is missing, allowed is {allowed}")
            return default
        value = self.values[key]
        if not ok(value):
            self.refuse((key,), f"`{key}` is {shown(value)}, allowed is {allowed}")
        return value

    def text(self, key: str, default: str | None) -> str:
        ok = lambda v: isinstance(v, str) and bool(v.strip())  # noqa: E731 - one predicate, used once
        text = str(self.take(key, default, ok, "a text"))
        self.refuse_hidden(key, text)
        return text

    def texts(self, key: str, choices: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return a list of texts, each of them in `choices` if these are given; empty if the key is missing."""
        allowed = None if choices is None else tuple(choices)
        choice = "texts" if allowed is None else f"{', '.join(allowed) or 'none, because the file defines none'}"
        items = self.take(key, [], lambda v: isinstance(v, list), f"a list of {choice}")
        for item in items:
            if not isinstance(item, str) or (allowed is not None and item not in allowed):
                self.refuse((key,), f"`{key}` has {shown(item)}, allowed is a list of {choice}")
            self.refuse_hidden(key, item)
        return tuple(items)

    def choice(self, key: str, default: str | None, choices: Iterable[str]) -> str:
        allowed = tuple(choices)
        return str(self.take(key, default, lambda v: v in allowed, f"one of {', '.join(allowed)}"))

    def number(self, key: str, default: float, low: float, high: float) -> float:
        def ok(v: Any) -> bool:
            return isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high

        return float(self.take(key, default, ok, f"a number from {low:g} to {high:g}"))

    def count(self, key: str, default: int, low: int, high: int) -> int:
        def ok(v: Any) -> bool:
            return isinstance(v, int) and not isinstance(v, bool) and low <= v <= high

        return int(self.take(key, default, ok, f"a whole number from {low} to {high}"))

    def one_of(self, key: str, default: int, choices: Iterable[int]) -> int:
        """Return a whole number that is one of `choices`."""
        allowed = tuple(choices)
        ok = lambda v: type(v) is int and v in allowed  # noqa: E731 - one predicate, used once
        return int(self.take(key, default, ok, f"one of {', '.join(map(str, allowed))}"))

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.take(key, default, lambda v: isinstance(v, bool), "true or false"))

    def zone(self, key: str, default: str) -> str:
        return str(self.take(key, default, _is_zone, 'an IANA zone such as "Europe/Paris"'))

    def language(self, key: str, default: str) -> str:
        """Return a language code. No list of them: a campaign can speak languages that the pages do not."""
        ok = lambda v: isinstance(v, str) and bool(re.fullmatch("[a-z]{2,3}", v))  # noqa: E731 - used once
        return str(self.take(key, default, ok, 'an ISO 639 code such as "fr"'))

    def local(self, key: str) -> datetime | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, date) or (isinstance(value, datetime) and value.tzinfo):
            allowed = "a local date or time without offset, such as 2026-01-31 or 2026-01-31T18:00:00"
            self.refuse((key,), f"`{key}` is {shown(value)}, allowed is {allowed}")
        return value if isinstance(value, datetime) else datetime.combine(value, time())


def _is_zone(name: Any) -> bool:
    try:
        return bool(name) and isinstance(name, str) and bool(ZoneInfo(name))
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError only for well-formed names
        return False
    except KeyError:
        return False


MOST_SHOWN = 80
"""An error repeats so many characters of what the file says."""


def is_hidden(character: str) -> bool:
    """Whether nobody sees it: control and format characters, but not the joiners that some scripts are written with."""
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") and character not in "\u200c\u200d"


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if is_hidden(c) else c for c in text)


def cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{cut(value)}"' if isinstance(value, str) else str(value)


_KEY = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_PATH = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_PATH})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_PATH})\s*=")


def _lines(text: str) -> dict[tuple[str | int, ...], int]:
    """Return the line number of each table and key of a valid TOML text (tomllib does not report it).

    A key inside an inline table has no entry: use the line of the key that holds the table.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    arrays: dict[tuple[str | int, ...], int] = {}  # how many entries each array of tables has so far
    here: tuple[str | int, ...] = ()
    quoted: str | None = None  # the quotes of the multi-line text that this line is in
    for number, line in enumerate(text.splitlines(), 1):
        if not quoted:
            if match := _HEADER.match(line):
                here = ()
                names = [name.strip("\"'") for name in re.findall(_KEY, match[2])]
                for i, name in enumerate(names):
                    here = (*here, name)
                    if match[1] == "[[" and i == len(names) - 1:
                        arrays[here] = arrays.get(here, -1) + 1
                        lines.setdefault(here, number)
                    if here in arrays:
                        here = (*here, arrays[here])
                    lines.setdefault(here, number)
            elif match := _ASSIGNMENT.match(line):
                at = here
                for name in re.findall(_KEY, match[1]):
                    at = (*at, name.strip("\"'"))
                    lines.setdefault(at, number)
        for mark in ('"""', "'''"):
            if line.count(mark) % 2 and quoted in (None, mark):
                quoted = None if quoted else mark
    return lines
