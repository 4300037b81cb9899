"""Alarms, checked at every publish: counts that are possible only if something is wrong in the store or in judging.

An active alarm is a row of the store's table `alarms`, from the publish that first finds it to the publish that no
longer does. So it is logged once, even across restarts, and readers of the published file see when it began.

What is missing may be on its way: a call's events come by several partitions and from several senders, and one may be
read seconds before the other. So an alarm about something missing is held off: each thing that lacks something is a row
of `pending_alarms` from the publish that first finds it, and counts only once everything that the topic had HOLD_OFF
later is read.
"""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import astuple, dataclass

from ingest import statements
from ingest.judging.conservation import BOUNDS, DAY_COUNTS, IMPOSSIBLE
from ingest.store.store import Store

log = logging.getLogger(__name__)

FLOOD_LASTS = dt.timedelta(minutes=15)  # after the last dead letter that was not kept
HOLD_OFF = dt.timedelta(seconds=10)  # senders and partitions that are in step are not this far apart

ALARMS = statements.read_parts("judging/alarms.sql")
DAYS = ALARMS["days"].format(counts=", ".join(DAY_COUNTS), impossible=IMPOSSIBLE)
UNPLACED = ALARMS["unplaced"]
FIRST_AT = ALARMS["first_at"].format(unplaced=UNPLACED)


@dataclass(frozen=True)
class Alarm:
    """`measure` is `counted`, and should be `expected` or at most that.

    `campaign`, `day` and `source` are None where the alarm does not concern one.
    """

    kind: str
    measure: str
    campaign: str | None
    day: dt.date | None
    source: str | None
    counted: int
    expected: int

    @property
    def subject(self) -> tuple[str, str, str | None, dt.date | None, str | None]:
        """The identity of the alarm from one publish to the next, whatever was counted."""
        return (self.kind, self.measure, self.campaign, self.day, self.source)

    def __str__(self) -> str:
        """One line for the log."""
        match self.kind:
            case "calls_not_conserved":
                return (
                    f"calls of {self.campaign} are not conserved on {self.day or 'no day'}:"
                    f" {self.expected} offered, {self.counted} accounted for"
                )
            case "events_not_conserved":
                where = "stored" if self.measure == "stored" else "counted by source"
                return f"events are not conserved: {self.expected} accepted, {self.counted} {where}"
            case "records_not_conserved":
                return f"records are not conserved: {self.expected} read, {self.counted} with events or dead letters"
            case "letters_left_out":
                of = f"source {self.source}" if self.source else "no source that they name"
                return f"more lines of {of} are rejected than are kept: {self.counted} were only counted"
            case "rows_doubled":
                return (
                    f"archived {self.measure} of {self.day} are stored more than once:"
                    f" {self.counted} rows, {self.expected} distinct"
                )
            case "files_damaged":
                return f"archived {self.measure} of {self.day} have damaged files: {self.counted}"
            case "calls_in_no_campaign":
                return f"calls are in no campaign, because no call.queued or call.dialed came: {self.counted}"
        of = f" of {self.campaign} on {self.day or 'no day'}" if self.campaign else ""
        of += f" of source {self.source}" if self.source else ""
        limit = f"more than {self.expected}" if self.counted >= 0 else "negative"
        return f"{self.measure}{of} cannot be {limit}: {self.counted}"


@dataclass(frozen=True)
class Pending:
    """Something is missing, found by the publish at `since`; `rings`: it counts in an alarm."""

    since: dt.datetime
    rings: bool


class Alarms:
    """Keeps the tables `alarms` and `pending_alarms` of `store`; `ringing` counts its rows by kind."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._first_at: dict[str, dt.datetime] = {}  # the time of the first event of each call that is in no campaign
        self._pending: dict[str, dict[str, Pending]] = {}  # by kind and subject, as in the table
        for kind, subject, *lack in store.sql("FROM pending_alarms").fetchall():
            self._pending.setdefault(kind, {})[subject] = Pending(*lack)
        self._ringing_since: dict[str, dt.datetime] = dict(store.sql(ALARMS["ringing_since"]).fetchall())
        self.ringing: Counter[str] = Counter()

    def check(self, noticed_at: dt.datetime, settled_before: dt.datetime, complete_until: dt.datetime) -> None:
        """Check for alarms.

        No event from before `settled_before` is expected any more. Everything is read that the topic had at
        `complete_until`.
        """
        sql = self._store.sql
        alarms = {alarm.subject: alarm for alarm in self._find(noticed_at, settled_before, complete_until)}
        before = {
            alarm.subject: (alarm, since)
            for *columns, since in sql("FROM alarms").fetchall()
            for alarm in [Alarm(*columns)]
        }
        self.ringing = Counter(alarm.kind for alarm in alarms.values())
        if alarms == {subject: alarm for subject, (alarm, _) in before.items()}:
            return
        with self._store.transaction():
            sql("DELETE FROM alarms")
            for subject, alarm in alarms.items():
                since = before[subject][1] if subject in before else noticed_at
                sql("INSERT INTO alarms VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [*astuple(alarm), since])
        for subject, alarm in alarms.items():
            if subject not in before:
                log.error("%s", alarm)
        for subject, (alarm, _) in before.items():
            if subject not in alarms:
                log.info("alarm ended: %s", alarm)

    def _find(
        self, noticed_at: dt.datetime, settled_before: dt.datetime, complete_until: dt.datetime
    ) -> Iterator[Alarm]:
        sql = self._store.sql
        for campaign, day, conserved, *counts in sql(DAYS).fetchall():
            counted = dict(zip(DAY_COUNTS, counts, strict=True))
            if not conserved:
                yield Alarm(
                    "calls_not_conserved", "accounted", campaign, day, None, counted["accounted"], counted["offered"]
                )
            most = {measure: counted.get(bound, 0) for measure, bound in BOUNDS.items()}
            for measure, n in counted.items():
                if n < 0:
                    yield Alarm("impossible_count", measure, campaign, day, None, n, 0)
                elif n > most.get(measure, n):
                    yield Alarm("impossible_count", measure, campaign, day, None, n, most[measure])
        ((records, accounted, events, duplicates, dead_letters, stored, by_source),) = sql(ALARMS["totals"]).fetchall()
        totals = {"records": records, "events": events, "duplicates": duplicates, "dead_letters": dead_letters}
        for measure, n in totals.items():
            if n < 0:
                yield Alarm("impossible_count", measure, None, None, None, n, 0)
        if records != accounted:
            yield Alarm("records_not_conserved", "accounted", None, None, None, accounted, records)
        for measure, n in {"stored": stored, "by_source": by_source}.items():
            if n != events:
                yield Alarm("events_not_conserved", measure, None, None, None, n, events)
        for source, n in sql(ALARMS["sources_below_zero"]).fetchall():
            yield Alarm("impossible_count", "events", None, None, source, n, 0)
        for source, n in sql(ALARMS["letters_left_out"], {"since": noticed_at - FLOOD_LASTS}).fetchall():
            yield Alarm("letters_left_out", "lines", None, None, source or None, n, 0)
        for relation, day, rows, distinct_rows in sql(ALARMS["doubled"]).fetchall():
            yield Alarm("rows_doubled", relation, None, day, None, rows, distinct_rows)
        for relation, day, files in sql(ALARMS["damaged"]).fetchall():
            yield Alarm("files_damaged", relation, None, day, None, files, 0)
        if {
            call_id for (call_id,) in sql(UNPLACED).fetchall()
        } != self._first_at.keys():  # they are few and rarely change
            self._first_at = dict(sql(FIRST_AT).fetchall())
        overdue = {call_id for call_id, first_at in self._first_at.items() if first_at < settled_before}
        if calls := self._lasting("calls_in_no_campaign", overdue, noticed_at, complete_until):
            yield Alarm("calls_in_no_campaign", "calls", None, None, None, calls, 0)

    def _lasting(self, kind: str, found: Set[str], noticed_at: dt.datetime, complete_until: dt.datetime) -> int:
        """How many of the things `found` to lack something still do although the rest has had time to arrive."""
        sql = self._store.sql
        pending = self._pending.setdefault(kind, {})
        new, gone = found - pending.keys(), pending.keys() - found
        due = {s for s in found - new if not pending[s].rings and pending[s].since + HOLD_OFF <= complete_until}
        if new or gone or due:
            since = self._ringing_since.pop(kind, None)
            lack = Pending(since or noticed_at, rings=since is not None)
            with self._store.transaction():
                sql(ALARMS["found_again"], [kind, sorted(gone)])
                sql(ALARMS["missing"], [kind, sorted(new), lack.since, lack.rings])
                sql(ALARMS["overdue"], [kind, sorted(due)])
            pending |= dict.fromkeys(new, lack)
            pending |= {subject: Pending(pending[subject].since, True) for subject in due}
            for subject in gone:
                del pending[subject]
        return sum(lack.rings for lack in pending.values())
