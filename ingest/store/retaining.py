"""What is older than `[retention]` says is deleted: once a day, in small steps, each of them one transaction.

Days are frozen before their events go: their settled rows and sums stay as they are, and an event that would change
them is not taken. So nothing is recalled without its events, and sums may keep what their rows no longer have. Rows are
deleted of frozen days only. A file without them, with the same sums, takes the place of the file that had them.

A file that is damaged stays as it is, and rings: nothing can be made of it. expiry.py says what is old.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Iterator

import pyarrow as pa

from ingest import statements
from ingest.archive.inventory import EVENTS, read_files
from ingest.archive.segments import Segment
from ingest.events import keys
from ingest.events.keys import Keys
from ingest.store.expiry import AGENTS_OF, DAY, Due, Expiry
from ingest.store.keeping import PLACED, of_agent
from ingest.store.store import Store
from metrics.audit import trail
from metrics.audit.trail import Trail
from metrics.configuration.campaigns import Configuration

log = logging.getLogger(__name__)

RETAINING = statements.read_parts("store/retaining.sql")
#: The words of the audit trail, which its page translates.
WORDS = {
    "events": "events", "calls": "calls", "agent_states": "names of agents", "dead_letters": "rejected records",
}  # fmt: skip
DAYS_AT_ONCE = 7
DELETED_CALLS_KNOWN = dt.timedelta(days=366)
"""What comes of a deleted call is recognised for so long."""


class Retention:
    """Deletes from `store` what is older than `configuration` says, and notes it in `audit`.

    Agents' pseudonyms are made with `own_keys`.
    """

    def __init__(self, store: Store, configuration: Configuration, own_keys: Keys, audit: Trail) -> None:
        self._store = store
        self._segments = store.segments
        self._keys = own_keys
        self._audit = audit
        self.configure(configuration)

    def configure(self, configuration: Configuration | None) -> None:
        """Delete by `configuration` from the next step on; None: delete nothing, because nobody knows by what."""
        self._configuration = configuration
        self._steps: Iterator[None] | None = None
        self._looked_on = dt.date.min

    def step(self, as_of: dt.datetime, now: dt.datetime) -> bool:
        """Take one step, after rows have settled; return whether there was one. `now` is the time by the clock.

        Raises StoreError when the disk refuses it; then open the store again.
        """
        if self._configuration is None:
            return False
        if self._steps is None:
            today = min(as_of, now).date()
            if today == self._looked_on:
                return False
            self._looked_on = today
            self._steps = self._all_steps(Expiry(self._store, self._configuration, today), now)
        with self._store.transaction():
            if next(self._steps, False) is False:
                self._steps = None
        return self._steps is not None

    def _all_steps(self, expiry: Expiry, now: dt.datetime) -> Iterator[None]:
        self._deleted_on = now.date()
        yield from self._tell(now)  # what a consumer deleted that was killed before it told
        yield from self._delete_letters(expiry)
        yield from self._delete_events(expiry)
        yield from self._delete_calls(expiry)
        yield from self._rename_agents(expiry)
        yield from self._forget_former_agents(expiry)
        yield from self._tell(now)

    def _delete_letters(self, expiry: Expiry) -> Iterator[None]:
        if due := list(expiry.letters()):
            self._store.sql(RETAINING["forget_letters"], {"before": expiry.letters_before()})
            self._segments.forget("dead_letters", expiry.letters_before())
            self._note(due)
            yield

    def _delete_events(self, expiry: Expiry) -> Iterator[None]:
        """Freeze days, some at once, and delete the events of all but the last."""
        to = expiry.frozen_to()
        while (frozen := self._segments.frozen_before) < to:
            pending = sorted(day for day in self._segments.days(EVENTS, frozen) if day < to)
            before = expiry.sound_until(pending[DAYS_AT_ONCE] if len(pending) > DAYS_AT_ONCE else to)
            if before <= frozen:
                log.warning("retention: events of %s and later stay, because a file of them is damaged", before)
                return
            if self._is_any_recalled(before):
                self._settle_all()
            if self._is_any_recalled(before):
                log.warning(
                    "retention: events stay until tomorrow, because a late event opened a day before %s", before
                )
                return
            if events := self._segments.rows(EVENTS, {segment.day for segment in expiry.events(before)}):
                self._store.sql(RETAINING["keep_campaigns"].format(events=events))
            self._store.sql(RETAINING["freeze"].replace("$before", f"DATE '{before}'"))
            self._forget_events(expiry.events(before))
            self._segments.reload()
            yield

    def _forget_events(self, gone: list[Segment]) -> None:
        if not gone:
            return
        days = {segment.day for segment in gone}
        self._store.sql(RETAINING["count_expired"].format(events=self._segments.rows(EVENTS, days)))
        self._segments.forget(EVENTS, max(days) + DAY)
        self._note([Due("events", "", min(days), max(days), sum(segment.rows for segment in gone), len(gone))])

    def _is_any_recalled(self, before: dt.date) -> bool:
        ((first,),) = self._store.sql(RETAINING["first_recalled"]).fetchall()
        return first is not None and first < before

    def _settle_all(self) -> None:
        """Write files again in which rows do not count, however few."""
        if (before := self._store.archive.closed_before()) is not None:
            self._store.archive.settle(before, 0)

    def _delete_calls(self, expiry: Expiry) -> Iterator[None]:
        """Write each file again without the calls that are old. Its sums stay, and so does the work."""
        frozen_before = self._segments.frozen_before
        for segment in expiry.files("calls", "calls", frozen_before):
            if (old := expiry.calls(segment, frozen_before)) and expiry.today:
                self._segments.keep_sums(segment.file)
                self._segments.reload()
                self._segments.finish_work(segment.day)
                file = read_files([segment.file], PLACED)
                gone = f"SELECT call_id FROM {file} WHERE {old.which}"
                self._store.sql(RETAINING["note_deleted_calls"].format(today=expiry.today, calls=gone))
                self._store.sql(RETAINING["forget_deleted_calls"], {"before": expiry.today - DELETED_CALLS_KNOWN})
                self._store.archive.learn_deleted_calls(expiry.today)
                kept = f"SELECT * EXCLUDE (filename, file_row_number) FROM {file} WHERE NOT ({old.which})"
                self._segments.rewrite("calls", segment, f"{kept} ORDER BY file_row_number")
                self._segments.reload()
                self._note(old.due("calls", segment.day))
            yield

    def _rename_agents(self, expiry: Expiry) -> Iterator[None]:
        """Give the agents of each file a pseudonym in rows that are old."""
        frozen_before = self._segments.frozen_before
        for relation in AGENTS_OF:
            for segment in expiry.files("agent_states", relation, frozen_before):
                if found := expiry.agents(relation, segment, frozen_before):
                    old, agents = found
                    self._rename_agents_of(relation, segment, old.which, agents)
                    self._note(old.due("agent_states", segment.day))
                yield

    def _rename_agents_of(self, relation: str, segment: Segment, which: str, agents: list[str]) -> None:
        pseudonyms = [self._pseudonym(agent, segment.day) for agent in agents]
        with self._store.registered("former_agents", pa.table({"agent": agents, "pseudonym": pseudonyms})):
            self._store.sql(RETAINING["take_pseudonyms"])
        columns = of_agent(
            lambda what: f"CASE WHEN {which} THEN coalesce(getvariable('pseudonyms')[{what}], {what}) ELSE {what} END"
        )[relation]
        if relation == "calls":
            self._segments.finish_work(segment.day)
        replaced = ", ".join(f"{becomes} AS {column}" for column, becomes in columns.items())
        file = read_files([segment.file], PLACED)
        selected = f"SELECT * EXCLUDE (filename, file_row_number) REPLACE ({replaced}) FROM {file}"
        self._segments.rewrite(relation, segment, f"{selected} ORDER BY file_row_number")
        self._segments.reload()

    def _pseudonym(self, agent: str, day: dt.date) -> str:
        at_us = (day - keys.FIRST_DAY).days * 86_400_000_000
        return f"former-{self._keys.hashed('agent', agent, self._keys.period(at_us))}"

    def _forget_former_agents(self, expiry: Expiry) -> Iterator[None]:
        """Forget the names of agents who did nothing since their states reached their age, and that they logged out."""
        first_kept = expiry.first_with_names(self._segments.frozen_before)
        if first_kept is None:
            return
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
            self._note([Due("agent_states", "", first, last, rows, 0)])
            yield

    def _note(self, deleted: Iterable[Due]) -> None:
        for due in deleted:
            columns = {"class": due.what, "client": due.client or None, "first_day": due.first, "last_day": due.last}
            counts = {"rows": due.rows, "files": due.files}
            self._store.sql(RETAINING["note"], {"deleted_on": self._deleted_on} | columns | counts)

    def _tell(self, now: dt.datetime) -> Iterator[None]:
        """Tell the log and the audit trail what was deleted; what the trail cannot take is told again tomorrow."""
        untold = self._store.sql(RETAINING["untold"]).fetchall()
        if not untold:
            return
        for deleted_on, *due in untold:
            log.info("retention: deleted on %s: %s", deleted_on, Due(*due))
        try:
            with self._audit.transaction(now.timestamp()) as add:
                for _, *due in untold:
                    add("erasure", trail.operator(), trail.HERE, _entry(Due(*due)))
        except trail.AuditError as error:
            log.warning("retention: the audit trail does not have this yet: %s", error)
        else:
            self._store.sql(RETAINING["mark_told"])
        yield


def _entry(due: Due) -> str:
    parts = ("retention", WORDS[due.what], due.client, f"{due.first} – {due.last}", str(due.rows))
    return " · ".join(part for part in parts if part)
