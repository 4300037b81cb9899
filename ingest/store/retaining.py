"""What is older than `[retention]` says is deleted: once a day, in small steps, each of them one transaction.

Days are frozen before their events go: their settled rows and sums stay as they are, and an event that would change
them is not taken. So nothing is recalled without its events, and sums may keep what their rows no longer have. Rows are
deleted of frozen days only. A file without them, with the same sums, takes the place of the file that had them.

A day is over once events of CONFIRMING_DAYS later days have settled, and by the clock. A clock that is wrong, or a
source with a wrong one, deletes nothing.
"""

import datetime as dt
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import pyarrow as pa

from ingest import statements
from ingest.archive.inventory import EVENTS, read_files
from ingest.archive.segments import Segment
from ingest.events import keys
from ingest.events.keys import Keys
from ingest.store.keeping import PLACED, of_agent
from ingest.store.store import Store
from metrics.configuration.campaigns import Configuration
from metrics.configuration.retention import OfClient
from metrics.quoting import quoted

log = logging.getLogger(__name__)

RETAINING = statements.read_parts("store/retaining.sql")
AGENTS_OF = {"calls": RETAINING["agents_of_calls"], "agent_states": RETAINING["agents_of_agent_states"]}
CONFIRMING_DAYS = 3
PSEUDONYM = re.compile(rf"former-[0-9a-f]{{{keys.KEY_LENGTH}}}")
DAYS_AT_ONCE = 7
DAY = dt.timedelta(days=1)
SETTLED_WORK = 3 * DAY
"""Rows stay so long after they are frozen: work on the days after that is made of no call that can still change."""


class Retention:
    """Deletes from `store` what is older than `configuration` says. Agents' pseudonyms are made with `own_keys`."""

    def __init__(self, store: Store, configuration: Configuration, own_keys: Keys) -> None:
        self._store = store
        self._segments = store.segments
        self._keys = own_keys
        self._steps: Iterator[None] | None = None
        self.configure(configuration)

    def configure(self, configuration: Configuration) -> None:
        """Delete by `configuration` from the next step on."""
        self._configuration = configuration
        self._kept = configuration.retention
        self._steps = None
        self._looked_on = dt.date.min

    def step(self, as_of: dt.datetime, now: dt.datetime) -> bool:
        """Take one step, after rows have settled; return whether there was one. `now` is the time by the clock.

        Raises StoreError when the disk refuses it; then open the store again.
        """
        if self._steps is None:
            today = min(as_of, now).date()
            if today == self._looked_on:
                return False
            self._looked_on = today
            self._steps = self._all_steps(today, now.date())
        with self._store.transaction():
            if next(self._steps, False) is False:
                self._steps = None
        return self._steps is not None

    def _all_steps(self, today: dt.date, deleted_on: dt.date) -> Iterator[None]:
        ((confirmed,),) = self._store.sql(RETAINING["confirmed_day"], {"days": CONFIRMING_DAYS}).fetchall() or [(None,)]
        if confirmed is None or self._kept.events is None:
            return
        today, self._deleted_on = min(today, confirmed), deleted_on
        yield from self._delete_events(today - dt.timedelta(days=self._kept.events) - DAY)
        if self._segments.frozen_before > dt.date.min:
            yield from self._delete_calls(today)
            yield from self._rename_agents(today)
            yield from self._forget_former_agents(today)
        for what, client, first, last, rows, files in self._store.sql(
            RETAINING["deleted_on"], {"day": deleted_on}
        ).fetchall():
            of = f" of {client}" if client else ""
            log.info("retention: %s%s of %s to %s: %d rows in %d files", what, of, first, last, rows, files)

    def _delete_events(self, to: dt.date) -> Iterator[None]:
        """Freeze the days before `to`, some at once, and delete the events of those but the last day.

        That day's events may still end a call of the first day that is not frozen, in a zone where it began earlier.
        """
        while (frozen := self._segments.frozen_before) < to:
            pending = sorted(day for day in self._segments.days(EVENTS, frozen) if day < to)
            before = pending[DAYS_AT_ONCE] if len(pending) > DAYS_AT_ONCE else to
            if self._is_any_recalled(before):
                self._settle_all()
                yield
                if self._is_any_recalled(before):
                    self._looked_on = dt.date.min  # again after the next publish
                    return
            if events := self._segments.rows(EVENTS, self._segments.days(EVENTS, dt.date.min, before - DAY)):
                self._store.sql(RETAINING["keep_campaigns"].format(events=events))
            self._store.sql(RETAINING["freeze"].replace("$before", f"DATE '{before}'"))
            self._forget_events(before - DAY)
            self._segments.reload()
            yield

    def _forget_events(self, before: dt.date) -> None:
        gone = [segment for segment in self._segments.files(EVENTS).values() if segment.day < before]
        if not gone:
            return
        days = {segment.day for segment in gone}
        self._store.sql(RETAINING["count_expired"].format(events=self._segments.rows(EVENTS, days)))
        self._segments.forget(EVENTS, before)
        self._note("events", None, min(days), max(days), sum(segment.rows for segment in gone), len(gone))

    def _is_any_recalled(self, before: dt.date) -> bool:
        ((first,),) = self._store.sql(RETAINING["first_recalled"]).fetchall()
        return first is not None and first < before

    def _settle_all(self) -> None:
        """Write files again in which rows do not count, however few."""
        if (before := self._store.archive.closed_before()) is not None:
            self._store.archive.settle(before, 0)

    def _delete_calls(self, today: dt.date) -> Iterator[None]:
        """Write each file again without the calls that have reached their age. Its sums stay, and so does the work."""
        # a call that was answered much later has a part in work that is not final yet
        until = self._segments.frozen_before - SETTLED_WORK
        for segment in self._old_files("calls", today):
            file = read_files([segment.file], PLACED)
            campaigns = self._store.sql(f"SELECT DISTINCT campaign FROM {file}").fetchall()
            old = [name for (name,) in campaigns if segment.day < self._first_kept("calls", name, today)]
            gone = f"campaign IN ({', '.join(map(quoted, old)) or 'NULL'})"
            gone += f" AND coalesce(answered_at < TIMESTAMPTZ '{until} 00:00:00+00', true)"
            counts = self._store.sql(f"SELECT campaign, count(*) FROM {file} WHERE {gone} GROUP BY ALL").fetchall()
            if counts:
                self._segments.keep_sums(segment.file)
                self._segments.reload()
                self._segments.finish_work(segment.day)
                kept = f"SELECT * EXCLUDE (filename, file_row_number) FROM {file} WHERE NOT ({gone})"
                self._segments.rewrite("calls", segment, f"{kept} ORDER BY file_row_number")
                self._segments.reload()
                for client, rows in self._by_client(counts).items():
                    self._note("calls", client, segment.day, segment.day, rows, 1)
            yield

    def _rename_agents(self, today: dt.date) -> Iterator[None]:
        """Give the agents of each file a pseudonym in rows that have reached the age of agents' states."""
        for relation in ("agent_states", "calls"):
            for segment in self._old_files("agent_states", today, relation):
                self._rename_agents_of(relation, segment, today)
                yield

    def _rename_agents_of(self, relation: str, segment: Segment, today: dt.date) -> None:
        file = read_files([segment.file], PLACED)
        campaigns = self._store.sql(f"SELECT DISTINCT campaign FROM {file}").fetchall()
        old = [name for (name,) in campaigns if segment.day < self._first_kept("agent_states", name or "", today)]
        is_old = f"list_contains([{', '.join(quoted(name or '') for name in old)}], coalesce(campaign, ''))"
        agents = self._store.sql(AGENTS_OF[relation].format(rows=f"FROM {file} WHERE {is_old}"))
        named = [agent for (agent,) in agents.fetchall() if not PSEUDONYM.fullmatch(agent)] if old else []
        if not named:
            return
        pseudonyms = [self._pseudonym(agent, segment.day) for agent in named]
        with self._store.registered("former_agents", pa.table({"agent": named, "pseudonym": pseudonyms})):
            self._store.sql(RETAINING["take_pseudonyms"])
        columns = of_agent(
            lambda what: f"CASE WHEN {is_old} THEN coalesce(getvariable('pseudonyms')[{what}], {what}) ELSE {what} END"
        )[relation]
        if relation == "calls":
            self._segments.finish_work(segment.day)
        replaced = ", ".join(f"{becomes} AS {column}" for column, becomes in columns.items())
        selected = f"SELECT * EXCLUDE (filename, file_row_number) REPLACE ({replaced}) FROM {file}"
        self._segments.rewrite(relation, segment, f"{selected} ORDER BY file_row_number")
        self._segments.reload()
        counts = self._store.sql(f"SELECT coalesce(campaign, ''), count(*) FROM {file} WHERE {is_old} GROUP BY ALL")
        for client, rows in self._by_client(counts.fetchall()).items():
            self._note("agent_states", client, segment.day, segment.day, rows, 1)

    def _pseudonym(self, agent: str, day: dt.date) -> str:
        at_us = (day - keys.FIRST_DAY).days * 86_400_000_000
        return f"former-{self._keys.hashed('agent', agent, self._keys.period(at_us))}"

    def _forget_former_agents(self, today: dt.date) -> Iterator[None]:
        """Forget the names of agents who did nothing since their states reached their age, and that they logged out."""
        kept = [self._kept.days("agent_states", client) for client in ("", *self._configuration.clients)]
        if None in kept:
            return  # the rows of some client keep the ids of agents, which need their names
        longest = max(days for days in kept if days is not None)
        first_kept = min(today - dt.timedelta(days=longest), self._segments.frozen_before - SETTLED_WORK)
        before = {"before": dt.datetime.combine(first_kept, dt.time(), dt.UTC)}
        self._store.sql(RETAINING["forget_first_agents"], before)
        self._store.sql(RETAINING["find_former_agents"], before)
        for relation, agents in AGENTS_OF.items():  # a source may tell calls only, and a profile once
            rows = self._segments.rows(relation, self._segments.days(relation, first_kept))
            if rows and self._store.sql(RETAINING["any_former_agent"]).fetchone():
                active = agents.format(rows=f"FROM ({rows}) WHERE true")
                self._store.sql(RETAINING["leave_out_active"].format(active=active))
        gone = self._store.sql(RETAINING["events_of_former_agents"])
        ((rows, first, last),) = gone.fetchall()
        if rows:
            events = RETAINING["gone_events"]
            self._store.sql(RETAINING["count_expired"].format(events=events))
            self._store.sql(RETAINING["forget_former_agents"].format(events=events))
            self._note("agent_states", None, first, last, rows, 0)
            yield

    def _old_files(self, what: OfClient, today: dt.date, relation: str = "calls") -> list[Segment]:
        """The files that may have rows of that age, oldest first."""
        clients = ("", *self._configuration.clients)
        days = [days for client in clients if (days := self._kept.days(what, client)) is not None]
        if not days:
            return []
        first_kept = min(today - dt.timedelta(days=min(days)), self._segments.frozen_before - SETTLED_WORK)
        files = [segment for segment in self._segments.files(relation).values() if segment.rows]
        return sorted((s for s in files if s.day < first_kept), key=lambda segment: (segment.day, segment.file))

    def _first_kept(self, what: OfClient, campaign: str, today: dt.date) -> dt.date:
        """The first day of which a campaign's rows of a class stay."""
        days = self._kept.days(what, self._configuration.campaign(campaign).client)
        if days is None:
            return dt.date.min
        return min(today - dt.timedelta(days=days), self._segments.frozen_before - SETTLED_WORK)

    def _by_client(self, counts: Iterable[tuple[str, int]]) -> Counter[str]:
        rows: Counter[str] = Counter()
        for campaign, count in counts:
            rows[self._configuration.campaign(campaign).client] += count
        return rows

    def _note(self, what: str, client: str | None, first: dt.date, last: dt.date, rows: int, files: int) -> None:
        deleted = {"first_day": first, "last_day": last, "rows": rows, "files": files}
        self._store.sql(
            RETAINING["note"], {"deleted_on": self._deleted_on, "class": what, "client": client or None} | deleted
        )
