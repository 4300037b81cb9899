"""The configuration: clients, campaigns, opening hours and the contracts that calls are judged by.

`campaigns.toml` is read as a whole or refused as a whole, in one sentence that names file, line and what is
allowed. What it does not say, its `[defaults]` say; a campaign that only events know gets those defaults.
"""

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from metrics.errors import ConfigurationError
from metrics.service_level import FORMULAS

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LANGUAGES = ("en", "es", "fr")
DAY_S = 86_400


@dataclass(frozen=True)
class Term:
    """What a contract says from `valid_from` until `valid_to` (local times of the campaign; None: no limit)."""

    valid_from: datetime | None = None
    valid_to: datetime | None = None
    formula: str = "exclude_short"
    threshold_s: float = 20.0
    target: float = 0.80
    wait_at_threshold_counts: bool = True
    short_abandon_s: float = 5.0


@dataclass(frozen=True)
class Defaults:
    """What holds where a campaign says nothing."""

    language: str = "en"
    timezone: str = "UTC"
    give_up_after_s: float = 14_400.0
    max_state_s: float = 43_200.0
    lateness_s: float = 900.0
    term: Term = Term()


@dataclass(frozen=True)
class Client:
    id: str
    name: str


@dataclass(frozen=True)
class Campaign:
    """One campaign. `opening` holds, for Monday to Sunday, the spans (minutes of the local day) it is open.

    `terms` are in order, without gap or overlap, from the beginning of time to its end, so that the term of an
    instant is the last one with `valid_from` at or before it. Empty `opening` means: not configured.
    """

    id: str
    name: str
    client: str
    language: str
    timezone: str
    give_up_after_s: float
    opening: tuple[tuple[tuple[int, int], ...], ...]
    terms: tuple[Term, ...]

    def term_at(self, local: datetime) -> Term:
        """Return the term in force at `local`, a naive time of the campaign's zone."""
        return [term for term in self.terms if term.valid_from is None or term.valid_from <= local][-1]


@dataclass(frozen=True)
class Configuration:
    """A configuration that was checked; `digest` is the SHA-256 of the file's bytes."""

    path: Path
    digest: str
    defaults: Defaults
    clients: dict[str, Client]
    campaigns: dict[str, Campaign]

    @property
    def zones(self) -> tuple[str, ...]:
        """Every zone that a campaign or the defaults name, sorted."""
        return tuple(sorted({c.timezone for c in self.campaigns.values()} | {self.defaults.timezone}))

    def campaign(self, campaign_id: str) -> Campaign:
        """Return the campaign, or one made of the defaults (client "") when only events know it."""
        return self.campaigns.get(campaign_id) or Campaign(
            campaign_id,
            campaign_id,
            "",
            self.defaults.language,
            self.defaults.timezone,
            self.defaults.give_up_after_s,
            (),
            (self.defaults.term,),
        )


def load(path: str | Path) -> Configuration:
    """Read and check a configuration file; raise ConfigurationError with file, line and what is allowed."""
    path = Path(path)
    try:
        raw = path.read_bytes()
        text = raw.decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}); set VIGIE_CAMPAIGNS to the configuration file."
        ) from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{path}, line {line}: not UTF-8; save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}.") from error
    top = _Table(path, _lines(text), (), document)
    top.allow("defaults", "clients", "campaigns")
    defaults = _defaults(top.table("defaults"))
    clients = {t.id: Client(t.id, t.text("name", t.id)) for t in top.tables("clients", ("name",))}
    campaigns = {t.id: _campaign(t, clients, defaults) for t in top.tables("campaigns")}
    return Configuration(path, hashlib.sha256(raw).hexdigest(), defaults, clients, campaigns)


class _Table:
    """A TOML table that knows where it was written."""

    def __init__(self, path: Path, lines: dict[tuple[str | int, ...], int], at: tuple[str | int, ...], values: Any):
        self.path, self.lines, self.at = path, lines, at
        self.id = str(at[-1]) if at else ""
        if not isinstance(values, dict):
            self.refuse((), f"`{self.id}` is {_shown(values)}, allowed is a table")
        self.values: dict[str, Any] = values

    def refuse(self, key: Iterable[str | int], what: str) -> NoReturn:
        at = (*self.at, *key)
        while at and at not in self.lines:
            at = at[:-1]
        raise ConfigurationError(f"{self.path}, line {self.lines.get(at, 1)}: {what}.")

    def allow(self, *keys: str) -> None:
        for key in self.values:
            if key not in keys:
                self.refuse((key,), f"unknown key `{key}`, allowed are {', '.join(keys)}")

    def table(self, key: str) -> "_Table":
        return _Table(self.path, self.lines, (*self.at, key), self.values.get(key, {}))

    def tables(self, key: str, keys: tuple[str, ...] = ()) -> "list[_Table]":
        of = self.table(key)
        found = [_Table(self.path, self.lines, (*of.at, name), values) for name, values in of.values.items()]
        for table in found:
            if not 1 <= len(table.id) <= 64:
                table.refuse((), f"the id `{table.id}` is empty or too long, allowed are 1 to 64 characters")
            if keys:
                table.allow(*keys)
        return found

    def array(self, key: str) -> "list[_Table]":
        values = self.values.get(key, [])
        if not isinstance(values, list):
            self.refuse((key,), f"`{key}` is {_shown(values)}, allowed is an array of tables, [[…{key}]]")
        return [_Table(self.path, self.lines, (*self.at, key, i), value) for i, value in enumerate(values)]

    def take(self, key: str, default: Any, ok: Callable[[Any], bool], allowed: str) -> Any:
        if key not in self.values:
            if default is None:
                self.refuse((), f"`{key}` is missing, allowed is {allowed}")
            return default
        value = self.values[key]
        if not ok(value):
            self.refuse((key,), f"`{key}` is {_shown(value)}, allowed is {allowed}")
        return value

    def text(self, key: str, default: str | None) -> str:
        ok = lambda v: isinstance(v, str) and bool(v.strip())  # noqa: E731 - one predicate, used once
        return str(self.take(key, default, ok, "a text"))

    def choice(self, key: str, default: str | None, choices: Iterable[str]) -> str:
        allowed = tuple(choices)
        return str(self.take(key, default, lambda v: v in allowed, f"one of {', '.join(allowed)}"))

    def number(self, key: str, default: float, low: float, high: float) -> float:
        def ok(v: Any) -> bool:
            return isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high

        return float(self.take(key, default, ok, f"a number from {low:g} to {high:g}"))

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.take(key, default, lambda v: isinstance(v, bool), "true or false"))

    def zone(self, key: str, default: str) -> str:
        return str(self.take(key, default, _is_zone, 'an IANA zone such as "Europe/Paris"'))

    def local(self, key: str) -> datetime | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, date) or (isinstance(value, datetime) and value.tzinfo):
            allowed = "a local date or time without offset, such as 2026-01-31 or 2026-01-31T18:00:00"
            self.refuse((key,), f"`{key}` is {_shown(value)}, allowed is {allowed}")
        return value if isinstance(value, datetime) else datetime.combine(value, time())


_TERM_KEYS = ("formula", "threshold_s", "target", "wait_at_threshold_counts", "short_abandon_s")


def _term(table: _Table, default: Term) -> Term:
    return replace(
        default,
        valid_from=table.local("valid_from"),
        valid_to=table.local("valid_to"),
        formula=table.choice("formula", default.formula, FORMULAS),
        threshold_s=table.number("threshold_s", default.threshold_s, 0, 7 * DAY_S),
        target=table.number("target", default.target, 0, 1),
        wait_at_threshold_counts=table.flag("wait_at_threshold_counts", default.wait_at_threshold_counts),
        short_abandon_s=table.number("short_abandon_s", default.short_abandon_s, 0, DAY_S),
    )


def _defaults(table: _Table) -> Defaults:
    table.allow("language", "timezone", "give_up_after_s", "max_state_s", "lateness_s", *_TERM_KEYS)
    own = Defaults()
    return Defaults(
        language=table.choice("language", own.language, LANGUAGES),
        timezone=table.zone("timezone", own.timezone),
        give_up_after_s=table.number("give_up_after_s", own.give_up_after_s, 60, DAY_S),
        # a state never outlives a day: macros look for a window's states one day back, no further
        max_state_s=table.number("max_state_s", own.max_state_s, 60, DAY_S),
        lateness_s=table.number("lateness_s", own.lateness_s, 0, 30 * DAY_S),
        term=_term(table, own.term),
    )


def _campaign(table: _Table, clients: dict[str, Client], defaults: Defaults) -> Campaign:
    table.allow("name", "client", "language", "timezone", "give_up_after_s", "opening", "sla")
    return Campaign(
        id=table.id,
        name=table.text("name", table.id),
        client=table.choice("client", None, clients or ("(none: add a [clients.…] table)",)),
        language=table.choice("language", defaults.language, LANGUAGES),
        timezone=table.zone("timezone", defaults.timezone),
        give_up_after_s=table.number("give_up_after_s", defaults.give_up_after_s, 60, DAY_S),
        opening=_opening(table.table("opening")),
        terms=_terms(table, defaults),
    )


def _terms(table: _Table, defaults: Defaults) -> tuple[Term, ...]:
    """Return the terms in order with every end filled in; gaps are filled with the defaults."""
    written = []
    for entry in table.array("sla"):
        entry.allow("valid_from", "valid_to", *_TERM_KEYS)
        written.append((entry, _term(entry, defaults.term)))
    for (_, before), (entry, term) in pairwise(written):
        if term.valid_from is None:
            entry.refuse((), "`valid_from` is missing, allowed is to leave it out in the first term only")
        if before.valid_from and term.valid_from <= before.valid_from:
            what = f"this term begins at {term.valid_from}, not after the term before it"
            entry.refuse(("valid_from",), f"{what} ({before.valid_from}), allowed are terms in order")
        if before.valid_to and before.valid_to > term.valid_from:
            what = f"terms overlap: this one begins at {term.valid_from}, the one before it ends later"
            entry.refuse(("valid_from",), f"{what} ({before.valid_to}), allowed is a later `valid_from`")
    terms: list[Term] = []
    end: datetime | None = None  # where the terms so far stop
    for i, (entry, term) in enumerate(written):
        if term.valid_to and term.valid_from and term.valid_to <= term.valid_from:
            entry.refuse(("valid_to",), f"`valid_to` is not after `valid_from` ({term.valid_from})")
        if term.valid_from != end:
            terms.append(replace(defaults.term, valid_from=end, valid_to=term.valid_from))
        following = written[i + 1][1].valid_from if i + 1 < len(written) else None
        end = term.valid_to or following
        terms.append(replace(term, valid_to=end))
    if not terms or end:
        terms.append(replace(defaults.term, valid_from=end))
    return tuple(terms)


def _opening(table: _Table) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Read `mon-fri = "08:00-12:00, 14:00-20:00"` into spans of minutes for Monday to Sunday."""
    days: list[tuple[tuple[int, int], ...]] = [()] * 7
    seen: set[int] = set()
    for key, value in table.values.items():
        first, _, last = key.partition("-")
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
            table.refuse((key,), f"unknown day `{key}`, allowed are {', '.join(WEEKDAYS)} or a range like mon-fri")
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        chosen = range(begin, end + 1)
        if not chosen or seen & set(chosen):
            table.refuse((key,), f"`{key}` names no day or a day named before, allowed is each day once")
        seen |= set(chosen)
        spans = [_span(part) for part in value.split(",")] if isinstance(value, str) else [None]
        good = [span for span in spans if span]
        if len(good) < len(spans) or any(b[0] < a[1] for a, b in pairwise(good)):
            allowed = 'hours in order such as "08:00-20:00" or "08:00-12:00, 14:00-24:00"'
            table.refuse((key,), f"`{key}` is {_shown(value)}, allowed are {allowed}")
        for day in chosen:
            days[day] = tuple(good)
    return tuple(days) if seen else ()


def _span(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"\s*(\d\d):([0-5]\d)-(\d\d):([0-5]\d)\s*", text)
    if not match:
        return None
    h0, m0, h1, m1 = map(int, match.groups())
    opens, closes = h0 * 60 + m0, h1 * 60 + m1
    return (opens, closes) if opens < closes <= 24 * 60 else None


def _is_zone(name: Any) -> bool:
    try:
        return bool(name) and isinstance(name, str) and bool(ZoneInfo(name))
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError only for well-formed names
        return False
    except KeyError:
        return False


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


_KEY = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_PATH = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_PATH})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_PATH})\s*=")


def _lines(text: str) -> dict[tuple[str | int, ...], int]:
    """Return the line on which each table and key of a valid TOML text was written (tomllib does not tell).

    Keys inside an inline table are found on the line of the key that holds it.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    arrays: dict[tuple[str | int, ...], int] = {}  # how many entries each array of tables has so far
    here: tuple[str | int, ...] = ()
    quoted: str | None = None  # inside a text of several lines
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
