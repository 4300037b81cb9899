"""What is older than `[retention]` says: retaining.py deletes it, `python -m ingest retention` shows it.

Ages are counted back from today, which is the CONFIRMING_DAYS newest day of which events have settled, or the clock's
day if that is earlier. So neither a clock that is wrong nor one source with a wrong clock makes anything old.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ingest import statements
from ingest.archive.inventory import EVENTS, read_files
from ingest.archive.segments import Segment
from ingest.events import keys
from ingest.store.keeping import PLACED
from ingest.store.store import Store
from metrics.configuration.campaigns import Configuration
from metrics.configuration.retention import Class, OfClient
from metrics.quoting import quoted

EXPIRY = statements.read_parts("store/expiry.sql")
AGENTS_OF = {"calls": EXPIRY["agents_of_calls"], "agent_states": EXPIRY["agents_of_agent_states"]}
CONFIRMING_DAYS = 3
PSEUDONYM = re.compile(rf"former-[0-9a-f]{{{keys.KEY_LENGTH}}}")
DAY = dt.timedelta(days=1)
SETTLED_WORK = 3 * DAY
"""Rows stay so long after they are frozen: work on the days after that is made of no call that can still change."""


@dataclass(frozen=True)
class Due:
    """Rows of a class and client ("": of all, or of none) that are due, of some days, and the files that have them."""

    what: Class
    client: str
    first: dt.date
    last: dt.date
    rows: int
    files: int

    def __str__(self) -> str:
        of = f" of {self.client}" if self.client else ""
        return f"{self.what}{of} of {self.first} to {self.last}: {self.rows:,} rows in {self.files:,} files"


@dataclass(frozen=True)
class Old:
    """The rows of a file that are due: an SQL condition, and how many there are by client."""

    which: str
    by_client: Counter[str]

    def due(self, what: Class, day: dt.date) -> Iterator[Due]:
        for client, rows in sorted(self.by_client.items()):
            yield Due(what, client, day, day, rows, 1)


class Expiry:
    """What is old in `store` on a day by the clock."""

    def __init__(self, store: Store, configuration: Configuration, by_clock: dt.date) -> None:
        self._sql = store.sql
        self._segments = store.segments
        self._configuration = configuration
        self._kept = configuration.retention
        self._today_of_letters = self._today(by_clock, (EVENTS, "dead_letters"))
        self.today = self._today(by_clock, (EVENTS,))

    def _today(self, by_clock: dt.date, relations: tuple[str, ...]) -> dt.date | None:
        days = {day for relation in relations for day in self._segments.days(relation, dt.date.min)}
        confirmed = sorted(days)[-CONFIRMING_DAYS:]
        return min(confirmed[0], by_clock) if len(confirmed) == CONFIRMING_DAYS else None

    def letters_before(self) -> dt.date:
        """The day before which dead letters are old."""
        if self._today_of_letters is None:
            return dt.date.min
        days = self._today_of_letters.toordinal() - self._kept.dead_letters
        return dt.date.fromordinal(max(days, 1))  # the times of records may be anything

    def letters(self) -> Iterator[Due]:
        """The dead letters that are old."""
        before = self.letters_before()
        files = [segment for segment in self._segments.files("dead_letters").values() if segment.day < before]
        ((rows, first, last),) = self._sql(EXPIRY["old_letters"], {"before": before}).fetchall()
        days = [segment.day for segment in files] + [day for day in (first, last) if day]
        if days:
            rows += sum(segment.rows for segment in files)
            yield Due("dead_letters", "", min(days), max(days), rows, len(files))

    def frozen_to(self) -> dt.date:
        """The day before which days are to be frozen."""
        if self.today is None or self._kept.events is None:
            return self._segments.frozen_before
        return max(self._segments.frozen_before, self.today - dt.timedelta(days=self._kept.events) - DAY)

    def sound_until(self, frozen_before: dt.date) -> dt.date:
        """`frozen_before`, or the first day of which a file of events is damaged that would go with it."""
        damaged = [s.day for s in self.events(frozen_before) if not self._segments.is_sound(EVENTS, s)]
        return min(damaged, default=frozen_before)

    def events(self, frozen_before: dt.date) -> list[Segment]:
        """The files of events that go when days are frozen: all but those of the last frozen day.

        That day's events may still end a call of the first day that is not frozen, in a zone where it began earlier.
        """
        return [segment for segment in self._segments.files(EVENTS).values() if segment.day + DAY < frozen_before]

    def files(self, what: OfClient, relation: str, frozen_before: dt.date) -> list[Segment]:
        """The files of a relation that may have old rows of a class once days are frozen, oldest first."""
        clients = ("", *self._configuration.clients)
        days = [days for client in clients if (days := self._kept.days(what, client)) is not None]
        if not days or self.today is None or frozen_before == dt.date.min:
            return []
        first_kept = min(self.today - dt.timedelta(days=min(days)), frozen_before - SETTLED_WORK)
        files = [segment for segment in self._segments.files(relation).values() if segment.rows]
        return sorted((s for s in files if s.day < first_kept), key=lambda segment: (segment.day, segment.file))

    def calls(self, segment: Segment, frozen_before: dt.date) -> Old | None:
        """The calls of a file that are old."""
        if not self._segments.is_sound("calls", segment, again=False) or not self._segments.is_work_sound(segment.day):
            return None
        which = self._which_calls(segment, frozen_before)
        return self._of_file("calls", segment, which) if which else None

    def _which_calls(self, segment: Segment, frozen_before: dt.date) -> str | None:
        old = self._old_campaigns("calls", segment, frozen_before)
        # a call that was answered much later has a part in work that is not final yet
        worked = f"answered_at < TIMESTAMPTZ '{frozen_before - SETTLED_WORK} 00:00:00+00'"
        return f"campaign IN ({', '.join(map(quoted, old))}) AND coalesce({worked}, true)" if old else None

    def agents(self, relation: str, segment: Segment, frozen_before: dt.date) -> tuple[Old, list[str]] | None:
        """The rows of a file whose agents are old, and who of these has no pseudonym yet."""
        if not self._segments.is_sound(relation, segment, again=False):
            return None
        if relation == "calls" and not self._segments.is_work_sound(segment.day):
            return None
        names = ", ".join(quoted(name) for name in self._old_campaigns("agent_states", segment, frozen_before))
        if not names:
            return None
        which = f"list_contains([{names}], coalesce(campaign, ''))"
        if relation == "calls" and (gone := self._which_calls(segment, frozen_before)):
            which += f" AND NOT ({gone})"
        rows = f"FROM {read_files([segment.file], PLACED)} WHERE {which}"
        found = self._sql(AGENTS_OF[relation].format(rows=rows)).fetchall()
        agents = [agent for (agent,) in found if not PSEUDONYM.fullmatch(agent)]
        old = self._of_file(relation, segment, which) if agents else None
        return (old, agents) if old else None

    def first_with_names(self, frozen_before: dt.date) -> dt.date | None:
        """The first day on which an agent is still named if they did anything; None: names are kept for ever."""
        longest = self._longest("agent_states")  # rows that keep the ids of agents need their names
        if self.today is None or frozen_before == dt.date.min or longest is None:
            return None
        return min(self.today - dt.timedelta(days=longest), frozen_before - SETTLED_WORK)

    def all(self) -> list[Due]:
        """All rows that are due, by class and client: what is deleted if nothing else comes."""
        due: dict[tuple[str, str], Due] = {}
        for one in self._each():
            before = due.get((one.what, one.client), replace(one, rows=0, files=0))
            first, last = min(before.first, one.first), max(before.last, one.last)
            due[one.what, one.client] = Due(
                *(one.what, one.client, first, last, before.rows + one.rows, before.files + one.files)
            )
        return list(due.values())

    def _each(self) -> Iterator[Due]:
        yield from self.letters()
        frozen_before = max(self._segments.frozen_before, self.sound_until(self.frozen_to()))
        if (events := self.events(frozen_before)) and frozen_before > self._segments.frozen_before:
            days = [segment.day for segment in events]
            yield Due("events", "", min(days), max(days), sum(segment.rows for segment in events), len(events))
        for segment in self.files("calls", "calls", frozen_before):
            if old_calls := self.calls(segment, frozen_before):
                yield from old_calls.due("calls", segment.day)
        for relation in AGENTS_OF:
            for segment in self.files("agent_states", relation, frozen_before):
                if old_agents := self.agents(relation, segment, frozen_before):
                    yield from old_agents[0].due("agent_states", segment.day)

    def _old_campaigns(self, what: OfClient, segment: Segment, frozen_before: dt.date) -> list[str]:
        """The campaigns in a file whose rows of that day are old; "": rows without a campaign."""
        found = self._sql(f"SELECT DISTINCT coalesce(campaign, '') FROM {read_files([segment.file], PLACED)}")
        return sorted(name for (name,) in found.fetchall() if segment.day < self._first_kept(what, name, frozen_before))

    def _first_kept(self, what: OfClient, campaign: str, frozen_before: dt.date) -> dt.date:
        is_known = not campaign or campaign in self._configuration.campaigns
        days = self._kept.days(what, self._client(campaign)) if is_known else self._longest(what)
        if days is None or self.today is None:
            return dt.date.min
        return min(self.today - dt.timedelta(days=days), frozen_before - SETTLED_WORK)

    def _longest(self, what: OfClient) -> int | None:
        """For how many days the rows of some client are kept: whose a campaign was is not known without its table."""
        kept = [self._kept.days(what, client) for client in ("", *self._configuration.clients)]
        return None if None in kept else max(days for days in kept if days is not None)

    def _client(self, campaign: str) -> str:
        return self._configuration.campaign(campaign).client

    def _of_file(self, relation: str, segment: Segment, which: str) -> Old | None:
        """The rows of a file for which a condition holds; None when there are none, or the file is damaged by now."""
        file = read_files([segment.file], PLACED)
        counts = self._sql(f"SELECT coalesce(campaign, ''), count(*) FROM {file} WHERE {which} GROUP BY ALL").fetchall()
        by_client: Counter[str] = Counter()
        for campaign, count in counts:
            by_client[self._client(campaign)] += count
        return Old(which, by_client) if counts and self._segments.is_sound(relation, segment) else None
