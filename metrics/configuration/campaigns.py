"""The configuration: clients, campaigns, opening hours, the contracts that calls are judged by, and who sees what.

If any part of `campaigns.toml` is invalid, all of it is refused, with one sentence that names file, line and what is
allowed. Missing values come from its `[defaults]`, and so do all values of a campaign that only events name. A value
missing in a later contract term comes from the term before it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from metrics.configuration.alerts import AlertRule, Bounds, alerts_of
from metrics.configuration.notification import Group, groups_of
from metrics.configuration.people import Claims, Person, claims_of, people_of
from metrics.configuration.retention import Retention, retention_of
from metrics.configuration.toml_table import Table, read_toml, shown
from metrics.kpis import first_contact
from metrics.kpis.service_level import FORMULAS

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86_400
WINDOWS = (15, 30, 60)
"""Lengths [min] that the rolling window of `kpi_now` may have."""
RECORDING_WORDS = ("call_id", "linked_id", "campaign", "queue", "day")
"""Words of `recording`, columns of `calls`."""
BREAK_LIMITS = ("rest_s", "rest_within_s", "break_s", "break_within_s")
"""The limits that law and agreements set for breaks; a site can have its own."""


@dataclass(frozen=True)
class Term:
    """The terms of a contract from `valid_from` until `valid_to` (local times of the campaign; None: no limit)."""

    valid_from: datetime | None = None
    valid_to: datetime | None = None
    formula: str = "exclude_short"
    threshold_s: float = 20.0
    target: float = 0.80
    wait_at_threshold_counts: bool = True
    short_abandon_s: float = 5.0
    fcr_days: int = 7


@dataclass(frozen=True)
class Defaults:
    """Values for whatever a campaign does not set."""

    language: str = "en"
    timezone: str = "UTC"
    give_up_after_s: float = 14_400.0
    max_state_s: float = 43_200.0
    lateness_s: float = 900.0
    window_minutes: int = 30
    term: Term = Term()


@dataclass(frozen=True)
class AgentLimits:
    """The limits beyond which an agent needs support or a break, for all agents of all campaigns.

    `breaks` are the reasons of pauses that are rest, each with its planned length [s]; other pauses are work away from
    the phone. A rest of `rest_s` is due within `rest_within_s`, a longer break of `break_s` within `break_within_s`.
    Occupancy and missed offers are measured over the last `lately_s`. `sites` are the sites under another law or
    agreement: site → the BREAK_LIMITS that differ there.
    """

    wrap_up_long_s: float = 180.0
    hold_long_s: float = 120.0
    call_long_s: float = 1_200.0
    pause_long_s: float = 2_700.0
    missed_offers: int = 2
    lately_s: float = 3_600.0
    occupancy_high: float = 0.85
    occupancy_too_high: float = 0.90
    breath_s: float = 10.0
    streak_calls: int = 8
    breaks: tuple[tuple[str, float], ...] = (("break", 900.0), ("lunch", 3_600.0))
    rest_s: float = 300.0
    rest_within_s: float = 7_200.0
    break_s: float = 1_200.0
    break_within_s: float = 21_600.0
    sites: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = ()

    def at(self, site: str | None) -> "AgentLimits":
        """Return the limits of the agents of a site."""
        own: dict[str, Any] = dict(dict(self.sites).get(site or "", ()))
        return replace(self, **own) if own else self


@dataclass(frozen=True)
class DeadLetterLimits:
    """How many dead letters are kept of a source, and of all sources, in a minute."""

    source_per_minute: int = 60
    all_per_minute: int = 600


@dataclass(frozen=True)
class Client:
    id: str
    name: str


@dataclass(frozen=True)
class Campaign:
    """One campaign. `opening` has the opening hours from Monday to Sunday, as spans in minutes of the local day.

    `terms` are in order and cover all time without gap or overlap. So the term in force at an instant is the last one
    with `valid_from` at or before it. An empty `opening` means that no hours are configured: it is always open.
    `recording` is the template of the address of a call's recording.
    """

    id: str
    name: str
    client: str
    language: str
    timezone: str
    give_up_after_s: float
    opening: tuple[tuple[tuple[int, int], ...], ...]
    terms: tuple[Term, ...]
    window_minutes: int = 30
    recording: str | None = None


@dataclass(frozen=True)
class Configuration:
    """A valid configuration; `digest` is the SHA-256 of the file's bytes."""

    path: Path
    digest: str
    defaults: Defaults
    clients: dict[str, Client]
    campaigns: dict[str, Campaign]
    agents: AgentLimits = AgentLimits()
    people: tuple[Person, ...] = ()
    claims: Claims = field(default_factory=Claims)
    groups: dict[str, Group] = field(default_factory=dict)
    alerts: tuple[AlertRule, ...] = ()
    dead_letters: DeadLetterLimits = DeadLetterLimits()
    retention: Retention = field(default_factory=Retention)

    @property
    def zones(self) -> tuple[str, ...]:
        """The time zones of all campaigns and of the defaults, sorted."""
        return tuple(sorted({c.timezone for c in self.campaigns.values()} | {self.defaults.timezone}))

    def campaigns_of(self, clients: Iterable[str], campaigns: Iterable[str]) -> frozenset[str]:
        """Return `campaigns` and all campaigns of `clients`."""
        clients = set(clients)
        return frozenset(campaigns) | {c.id for c in self.campaigns.values() if c.client in clients}

    def campaign(self, campaign_id: str) -> Campaign:
        """Return the campaign, or one with the defaults (client "") if only events name it."""
        return self.campaigns.get(campaign_id) or Campaign(
            campaign_id,
            campaign_id,
            "",
            self.defaults.language,
            self.defaults.timezone,
            self.defaults.give_up_after_s,
            (),
            (self.defaults.term,),
            self.defaults.window_minutes,
        )


def load(path: str | Path) -> Configuration:
    """Read and check a configuration file. Raises ConfigurationError with file, line and what is allowed."""
    top, digest = read_toml(Path(path), "set VIGIE_CAMPAIGNS to the configuration file")
    sections = ("defaults", "agents", "clients", "campaigns", "people", "sign_in", "alerts", "notify", "dead_letters")
    top.allow(*sections, "retention")
    defaults = _defaults(top.table("defaults"))
    agents = _agents(top.table("agents"))
    clients = {t.id: Client(t.id, t.text("name", t.id)) for t in top.tables("clients", ("name",))}
    campaigns = {t.id: _campaign(t, clients, defaults) for t in top.tables("campaigns")}
    people = people_of(top, clients, campaigns)
    groups = groups_of(top)
    bounds = {c.id: _bounds(c.terms, c.give_up_after_s) for c in campaigns.values()}
    of_others = _bounds((defaults.term,), defaults.give_up_after_s)
    alerts = alerts_of(top, {c.id: c.client for c in campaigns.values()}, clients, groups, bounds, of_others)
    dead_letters = _dead_letters(top.table("dead_letters"))
    retention = retention_of(top, clients, defaults.lateness_s)
    return Configuration(
        *(Path(path), digest, defaults, clients, campaigns, agents, people, claims_of(top), groups, alerts),
        *(dead_letters, retention),
    )


def _bounds(terms: Iterable[Term], give_up_after_s: float) -> Bounds:
    targets = [term.target for term in terms]
    return Bounds(min(targets), max(targets), give_up_after_s)


_TERM_KEYS = ("formula", "threshold_s", "target", "wait_at_threshold_counts", "short_abandon_s", "fcr_days")


def _term(table: Table, default: Term) -> Term:
    """Read a term. Missing values come from `default`."""
    return replace(
        default,
        valid_from=table.local("valid_from"),
        valid_to=table.local("valid_to"),
        formula=table.choice("formula", default.formula, FORMULAS),
        threshold_s=table.number("threshold_s", default.threshold_s, 0, 7 * DAY_S),
        target=table.number("target", default.target, 0, 1),
        wait_at_threshold_counts=table.flag("wait_at_threshold_counts", default.wait_at_threshold_counts),
        short_abandon_s=table.number("short_abandon_s", default.short_abandon_s, 0, DAY_S),
        fcr_days=table.count("fcr_days", default.fcr_days, 1, first_contact.LONGEST_DAYS),
    )


def _defaults(table: Table) -> Defaults:
    table.allow("language", "timezone", "give_up_after_s", "max_state_s", "lateness_s", "window_minutes", *_TERM_KEYS)
    own = Defaults()
    return Defaults(
        language=table.language("language", own.language),
        timezone=table.zone("timezone", own.timezone),
        give_up_after_s=table.number("give_up_after_s", own.give_up_after_s, 60, DAY_S),
        # a day at most, because macros search only one day back for the states of a window
        max_state_s=table.number("max_state_s", own.max_state_s, 60, DAY_S),
        lateness_s=table.number("lateness_s", own.lateness_s, 0, 30 * DAY_S),
        window_minutes=table.one_of("window_minutes", own.window_minutes, WINDOWS),
        term=_term(table, own.term),
    )


def _agents(table: Table) -> AgentLimits:
    own = AgentLimits()
    table.allow(*(field.name for field in fields(own)))

    def seconds(key: str) -> float:
        return table.number(key, getattr(own, key), 0, DAY_S)

    def break_limit(source: Table, key: str) -> float:
        return source.number(key, getattr(own, key), 1, DAY_S)

    sites = table.tables("sites", BREAK_LIMITS)
    planned = table.table("breaks")
    breaks = tuple((reason, planned.number(reason, 0, 1, DAY_S)) for reason in planned.values)
    limits = AgentLimits(
        wrap_up_long_s=seconds("wrap_up_long_s"),
        hold_long_s=seconds("hold_long_s"),
        call_long_s=seconds("call_long_s"),
        pause_long_s=seconds("pause_long_s"),
        missed_offers=table.count("missed_offers", own.missed_offers, 1, 1_000),
        lately_s=table.number("lately_s", own.lately_s, 300, DAY_S),
        occupancy_high=table.number("occupancy_high", own.occupancy_high, 0, 1),
        occupancy_too_high=table.number("occupancy_too_high", own.occupancy_too_high, 0, 1),
        breath_s=table.number("breath_s", own.breath_s, 1, 3_600),
        streak_calls=table.count("streak_calls", own.streak_calls, 2, 1_000),
        breaks=breaks if "breaks" in table.values else own.breaks,
        rest_s=break_limit(table, "rest_s"),
        rest_within_s=break_limit(table, "rest_within_s"),
        break_s=break_limit(table, "break_s"),
        break_within_s=break_limit(table, "break_within_s"),
        sites=tuple((site.id, tuple((key, break_limit(site, key)) for key in site.values)) for site in sites),
    )
    for source, checked in ((table, limits), *((site, limits.at(site.id)) for site in sites)):
        for less, more in (("occupancy_high", "occupancy_too_high"), ("rest_s", "break_s")):
            if getattr(checked, less) > getattr(checked, more):
                what = f"`{less}` ({getattr(checked, less):g}) is more than `{more}` ({getattr(checked, more):g})"
                source.refuse((less if less in source.values else more,), f"{what}, allowed is at most that")
    return limits


def _dead_letters(table: Table) -> DeadLetterLimits:
    own = DeadLetterLimits()
    if "keep_days" in table.values:
        table.refuse(("keep_days",), "`keep_days` is not here, allowed is `dead_letters` in [retention]")
    table.allow(*(field.name for field in fields(own)))
    limits = DeadLetterLimits(
        table.count("source_per_minute", own.source_per_minute, 1, 10_000),
        table.count("all_per_minute", own.all_per_minute, 1, 10_000),
    )
    if limits.source_per_minute > limits.all_per_minute:
        what = f"`source_per_minute` ({limits.source_per_minute}) is more than `all_per_minute`"
        key = "source_per_minute" if "source_per_minute" in table.values else "all_per_minute"
        table.refuse((key,), f"{what} ({limits.all_per_minute}), allowed is at most that")
    return limits


def _campaign(table: Table, clients: dict[str, Client], defaults: Defaults) -> Campaign:
    table.allow(
        "name", "client", "language", "timezone", "give_up_after_s", "window_minutes", "recording", "opening", "sla"
    )
    return Campaign(
        id=table.id,
        name=table.text("name", table.id),
        client=table.choice("client", None, clients or ("(none: add a [clients.…] table)",)),
        language=table.language("language", defaults.language),
        timezone=table.zone("timezone", defaults.timezone),
        give_up_after_s=table.number("give_up_after_s", defaults.give_up_after_s, 60, DAY_S),
        opening=_opening(table.table("opening")),
        terms=_terms(table, defaults),
        window_minutes=table.one_of("window_minutes", defaults.window_minutes, WINDOWS),
        recording=_recording(table),
    )


def _recording(table: Table) -> str | None:
    """Read a template such as "https://recorder.example/{call_id}"; None if there is none."""
    if "recording" not in table.values:
        return None
    template = table.text("recording", None)
    words = ", ".join(f"{{{word}}}" for word in RECORDING_WORDS)
    for word in re.findall(r"{([^{}]*)}", template):
        if word not in RECORDING_WORDS:
            table.refuse(("recording",), f"unknown word `{{{word}}}` in `recording`, allowed are {words}")
    if re.search(r"[{}]", re.sub(r"{[^{}]*}", "", template)):
        table.refuse(("recording",), f"a brace in `recording` has no counterpart, allowed are {words}")
    if not re.match(r"https?://[^/{}\s]+(/|$)", template) or re.search(r"\s", template):
        what = f"`recording` is {shown(template)}, allowed is an address such as https://recorder.example/{{call_id}}"
        table.refuse(("recording",), what)
    return template


def _terms(table: Table, defaults: Defaults) -> tuple[Term, ...]:
    """Return the terms in order, with every end filled in and gaps filled with the defaults.

    A value missing in a term comes from the term before it, so that a change of the target alone changes nothing else.
    """
    written: list[tuple[Table, Term]] = []
    for entry in table.array("sla"):
        entry.allow("valid_from", "valid_to", *_TERM_KEYS)
        written.append((entry, _term(entry, written[-1][1] if written else defaults.term)))
    for (_, before), (entry, term) in pairwise(written):
        if term.valid_from is None:
            entry.refuse((), "`valid_from` is missing, allowed is to leave it out in the first term only")
        if before.valid_from and term.valid_from <= before.valid_from:
            what = f"this term begins at {term.valid_from}, not later than the term before it"
            entry.refuse(("valid_from",), f"{what} ({before.valid_from}), allowed are terms in order")
        if before.valid_to and before.valid_to > term.valid_from:
            what = f"terms overlap: this one begins at {term.valid_from}, the one before it ends later"
            entry.refuse(("valid_from",), f"{what} ({before.valid_to}), allowed is a later `valid_from`")
    terms: list[Term] = []
    end: datetime | None = None  # end of the last term so far
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


def _opening(table: Table) -> tuple[tuple[tuple[int, int], ...], ...]:
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
            table.refuse((key,), f"`{key}` is empty or repeats a day, allowed is each day once")
        seen |= set(chosen)
        spans = [_span(part) for part in value.split(",")] if isinstance(value, str) else [None]
        good = [span for span in spans if span]
        if len(good) < len(spans) or any(b[0] < a[1] for a, b in pairwise(good)):
            allowed = 'hours in order such as "08:00-20:00" or "08:00-12:00, 14:00-24:00"'
            table.refuse((key,), f"`{key}` is {shown(value)}, allowed are {allowed}")
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
