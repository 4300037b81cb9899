"""Reads a scenario: a floor written as text tables, and what must be published of it. See tests/ingest/scenarios."""

import datetime as dt
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ingest.events.contract import decode
from metrics.configuration.campaigns import Campaign, Term
from tests.support.stories.stream import Event, campaign

LONG_AFTER = dt.datetime(2026, 12, 31, 12, tzinfo=dt.UTC)
CLOCK = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[+-]\d\d:\d\d)?"
PAIR = re.compile(rf" (\w+) ({CLOCK}|\S+)(?: (min|h|%)(?!\S))?")
SCALE = {"": 1, "min": 60, "h": 3600, "%": 0.01}
BULK = re.compile(rf"({CLOCK}) (\d+) calls (\w+) after (\d+)(.*)")
EVENT = re.compile(rf"({CLOCK}) (call|agent) (\S+) (\w+)(.*)")
DATE = r"\d{4}-\d\d-\d\d"
ROW = re.compile(rf"(\S+)(?: ({CLOCK}|{DATE}))?(?: to ({CLOCK}|now))?(.*)")
TABLES = ("calls", "states", "campaigns", "queues", "agents", "formulas", "intervals", "days")
HEADINGS = ("zone", "day", "campaign", "events", "published", *TABLES)
WORDS = {"by": "agent", "in": "campaign", "for": "reason", "of": "linked_id", "id": "event_id"}
MEANT = {"ended": {"by": "ended_by"}, "connected": {"by": "answered_by"}}


class ScenarioError(Exception):
    """A line that cannot be read; the message gives file, line and what is allowed."""


@dataclass(frozen=True)
class Row:
    """An expected row: `key` in `table`, in the window of `given` if there is one, with its KPIs."""

    line: int
    table: str
    key: tuple[Any, ...]
    given: dict[str, Any]
    figures: dict[str, Any]


@dataclass
class Part:
    """Events, the time of their publish, and what readers must see then."""

    events: list[Event] = field(default_factory=list)
    as_of: dt.datetime = LONG_AFTER
    rows: list[Row] = field(default_factory=list)


class Scenario:
    """A scenario file, parsed into `title`, `campaigns` and `parts`."""

    def __init__(self, path: Path) -> None:
        self.path, self.line, self.zone, self.day, self.section = path, 0, ZoneInfo("UTC"), "", "nothing"
        self.campaigns: list[Campaign] = []
        self.parts = [Part()]
        lines = path.read_text().splitlines()
        self.title = lines[0].removeprefix("# ")
        for self.line, line in enumerate(lines, 1):
            if text := " ".join(line.partition("#")[0].split()):
                self._row(text) if line[0].isspace() else self._heading(text)
        if not all(part.rows for part in self.parts):
            self._refuse("nothing is expected of the last events")

    def _refuse(self, why: str) -> NoReturn:
        raise ScenarioError(f"{self.path.name}, line {self.line}: {why}.")

    def _heading(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        match word:
            case "zone":
                self.zone = ZoneInfo(rest)
            case "day":
                self.day = rest
            case "published":
                self.parts[-1].as_of = as_of = self.at(rest)
                for event in self.parts[-1].events:
                    if dt.datetime.fromisoformat(event["ts"]) > as_of:
                        self._refuse(f"{event['type']} at {event['ts']} had not happened by then")
            case "campaign":
                self.section = word
                name, zone = rest.split()[:2]
                terms = self._pairs(rest.removeprefix(f"{name} {zone}"), {}, exact=True)
                patience = {"give_up_after_s": terms.pop("give_up_after_s")} if "give_up_after_s" in terms else {}
                self.campaigns.append(campaign(name, zone, Term(**terms), **patience))
            case "events":
                self.section = word
                self.parts += [Part()] if self.parts[-1].rows else []
            case _ if text in TABLES:
                self.section = word
            case _:
                self._refuse(f"`{text}` is no heading; allowed are {', '.join(HEADINGS)}")

    def _row(self, text: str) -> None:
        table, read = self.section, ROW.fullmatch(text)
        if table == "events":
            self.parts[-1].events += self._events(text)
            return
        name, start, stop, rest = read.groups() if read else (None, None, None, "")
        instants = {"nothing": -1, "calls": 0, "days": 1, "campaign": 1}.get(table, 2)
        if [start, stop].count(None) != 2 - instants:
            self._refuse(f"`{text}` is no row of {table}, see README.md")
        if table == "campaign":  # another term of its contract
            of, since = self.campaigns.pop(), dt.datetime.fromisoformat(start)
            term = replace(of.terms[-1], valid_from=since, **self._pairs(rest, {}, exact=True))
            terms = (*of.terms[:-1], replace(of.terms[-1], valid_to=since), term)
            self.campaigns.append(replace(of, terms=terms))
            return
        first_word = {"calls": " outcome", "states": " state"}.get(table, "")
        figures, given, key = self._pairs(first_word + rest, WORDS), {}, (name,)
        if table == "days":
            key = (name, dt.date.fromisoformat(start))
        elif table == "states":
            key, figures["ended_at"] = (name, self.at(start)), None if stop == "now" else self.at(stop)
        elif table == "intervals":
            minutes = (self.at(stop) - self.at(start)).total_seconds() / 60
            key = (name, self.at(start))
            given = {"start": self.at("00:00"), "stop": self.at("24:00"), "minutes": minutes}
        elif table != "calls":
            given = {"start": self.at(start), "stop": self.at(stop)}
        self.parts[-1].rows.append(Row(self.line, table, key, given, figures))

    def _events(self, text: str) -> list[Event]:
        if match := EVENT.fullmatch(text):
            clock, who, name, what, rest = match.groups()
            return [self._event(f"{self.line:03}", self.at(clock), who, name, what, rest)]
        if not (match := BULK.fullmatch(text)):
            self._refuse(f"`{text}` is no event, see README.md")
        clock, times, what, after, rest = match.groups()
        steps = [("queued", 0, ""), (what, int(after), rest), ("ended", int(after) + 180, "")]
        begin, second = self.at(clock), dt.timedelta(seconds=1)
        return [
            self._event(f"{self.line:03}.{n}-{step}", begin + (n + s) * second, "call", f"{self.line}.{n}", step, words)
            for n in range(int(times))
            for step, s, words in (steps if what == "answered" else steps[:2])
        ]

    def _event(self, event_id: str, at: dt.datetime, who: str, name: str, what: str, rest: str) -> Event:
        kind = "profile" if what == "profile" else "state" if who == "agent" else {"left": "left_queue"}.get(what, what)
        event: Event = {"event_id": event_id, "ts": at.isoformat(), "type": f"{who}.{kind}"}
        event |= {"agent": name} if who == "agent" else {"call_id": name}
        event |= {"state": what} if kind == "state" else {"queue": "main"} if kind == "queued" else {}
        event |= {"campaign": self.campaigns[0].id} if kind in ("queued", "dialed") and self.campaigns else {}
        event |= self._pairs(rest, WORDS | MEANT.get(what, {}), exact=True)
        try:
            decode(json.dumps(event))
        except msgspec.DecodeError as error:
            self._refuse(f"this is no event of the contract: {error}")
        return event

    def _pairs(self, rest: str, words: dict[str, str], exact: bool = False) -> dict[str, Any]:
        """Read ` wait 10 talk 16 min` as {"wait": 10, "talk": 960}: values to compare with or, if `exact`, to send."""
        if not re.fullmatch(rf"(?:{PAIR.pattern})*", rest):
            self._refuse(f"`{rest.strip()}` is not made of pairs of a word and a value")
        return {words.get(w, w): self._value(value, unit, exact) for w, value, unit in PAIR.findall(rest)}

    def _value(self, text: str, unit: str, exact: bool) -> Any:
        if text in ("yes", "no", "-"):
            return {"yes": True, "no": False, "-": None}[text]
        if re.fullmatch(r"\d+(\.\d+)?", text):
            value, digits = json.loads(text) * SCALE[unit], len(text.partition(".")[2])
            close = 0.501 * SCALE[unit] / 10**digits if digits else 1e-9  # compared to as many digits as are written
            return value if exact else pytest.approx(value, rel=0, abs=close)
        if not exact and re.fullmatch(DATE, text):
            return dt.date.fromisoformat(text)
        return self.at(text) if not exact and re.fullmatch(CLOCK, text) else text

    def at(self, clock: str) -> dt.datetime:
        """Read 09:16, 24:00, 02:30+01:00 or 2026-03-10 09:16:20.5, in the scenario's zone and day, as UTC."""
        day, _, time = clock.rpartition(" ")
        if not (day or self.day):
            self._refuse(f"`{clock}` is on no day; add a `day` line before it")
        read = dt.datetime.fromisoformat(f"{day or self.day} {time.replace('24:', '00:', 1)}")
        read += dt.timedelta(days=time.startswith("24:"))
        if read.tzinfo:
            return read.astimezone(dt.UTC)
        first, second = (read.replace(tzinfo=self.zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1))
        if first != second:
            self._refuse(f"`{clock}` comes twice or never in {self.zone} that day; add an offset such as +01:00")
        return first
