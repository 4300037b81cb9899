"""How much of agents' settled timelines a change affects. It is found first, so that no more of them is recalled.

A change reaches back to the settled state at its instant: that one ends earlier, or is followed by another. It reaches
on to the next settled state that stays the same whatever happens before it: the first of a later UTC day that is not
`offline`. A state continues the one before it only within a UTC day (judge.sql), and what follows a lost logout is
`offline`, so that state begins anew in any case. Its campaign has to stay too: an event of its own names it, or the
change names no other. What lies between is a stretch, which is judged alone while it is recalled. Where there is no
such state, the stretch reaches up to what is not settled, and joins it. It reaches back to the end of the frozen days
at most: what an agent's events named before that is in campaigns_before.
"""

import datetime as dt

import duckdb

from ingest import statements
from ingest.archive.inventory import EVENTS
from ingest.archive.segments import Segments
from ingest.events import contract

STRETCHES = statements.read_parts("archive/stretches.sql")

#: Settled states are first sought within so many days, because most agents work every few days.
LOOK_ROUND = (dt.timedelta(days=2), dt.timedelta(days=14), dt.timedelta(days=40_000))


class Stretches:
    """Finds stretches in the settled states and events of `segments`, for the store that `connection` has open."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, segments: Segments) -> None:
        self._sql = connection.execute
        self._segments = segments

    def find(self, changes: str) -> bool:
        """Make stretches_to_recall: the settled stretches that `changes` affect. Return whether there are any.

        `changes` selects (agent, ts, last_at, campaign, is_replaced): something changes between `ts` and `last_at`
        (NULL: everything after `ts` may change), and it names this campaign, or named it if it is replaced.
        """
        frozen = self._frozen_at()
        self._sql(STRETCHES["list_changes"].format(changes=changes), {"frozen": frozen})
        ((first, last, first_change, last_change),) = self._sql(STRETCHES["days_of_changes"]).fetchall()
        if first is None:
            return False
        self._find_marks(first, last)
        self._find_boundaries(first_change, last_change)
        self._sql(STRETCHES["list_stretches"], {"earliest": contract.EARLIEST, "frozen": frozen})
        return True

    def _frozen_at(self) -> dt.datetime | None:
        """The instant before which no settled state changes; None while all may."""
        before = self._segments.frozen_before
        return None if before == dt.date.min else dt.datetime.combine(before, dt.time(), dt.UTC)

    def _find_marks(self, first: dt.date, last: dt.date) -> None:
        for look in LOOK_ROUND:
            since = max(first - look, self._segments.frozen_before)
            self._sql(
                STRETCHES["find_marks"].format(settled=self._states(since, last), events=self._events(since, last))
            )
            has_more = any(day < since for day in self._segments.days("agent_states", self._segments.frozen_before))
            if not has_more or not self._sql(STRETCHES["any_without_mark"]).fetchall():
                return

    def _find_boundaries(self, first: dt.date | None, last: dt.date | None) -> None:
        if first is None or last is None:
            self._sql(STRETCHES["find_boundaries"].format(settled=STRETCHES["no_states"]))
            return
        for look in LOOK_ROUND:
            until = later(last, look)
            self._sql(STRETCHES["find_boundaries"].format(settled=self._states(first, until)))
            if days := {day for (day,) in self._sql(STRETCHES["unsure_days"]).fetchall()}:
                self._sql(STRETCHES["keep_naming_boundaries"].format(events=self._events_of(days)))
            ((lacking_until,),) = self._sql(STRETCHES["last_day_of_boundaries"]).fetchall()
            if lacking_until is None or lacking_until <= until:
                return

    def select_events(self) -> None:
        """Make events_to_recall, the archived events of stretches_to_recall, and outdated_state_days, of its rows."""
        self._find_naming_events()
        ((first, last),) = self._sql(STRETCHES["days_of_stretches"]).fetchall()
        self._sql(STRETCHES["list_outdated_state_days"].format(settled=self._states(first, last)))
        days = {day for (day,) in self._sql(STRETCHES["outdated_days"]).fetchall()}
        self._sql(STRETCHES["list_events"].format(events=self._events_of(days)))

    def _find_naming_events(self) -> None:
        self._sql(STRETCHES["find_naming_events"].format(events=STRETCHES["no_events"]))
        ((first, last),) = self._sql(STRETCHES["days_of_marks"]).fetchall()
        if first is None:
            return
        for look in LOOK_ROUND:
            since = max(first - look, self._segments.frozen_before)
            self._sql(STRETCHES["find_naming_events"].format(events=self._events(since, last)))
            if self._sql(STRETCHES["count_unnamed"], {"since": since}).fetchall() == [(0,)]:
                return

    def take_up(self) -> None:
        """Note that the events of stretches_to_recall are back."""
        self._sql(STRETCHES["take_up"])

    def _states(self, since: dt.date, until: dt.date) -> str:
        days = self._segments.days("agent_states", since, until)
        return self._segments.rows("agent_states", days) or STRETCHES["no_states"]

    def _events(self, since: dt.date, until: dt.date) -> str:
        return self._events_of(self._segments.days(EVENTS, since, until))

    def _events_of(self, days: set[dt.date]) -> str:
        return self._segments.rows(EVENTS, days) or STRETCHES["no_events"]


def later(day: dt.date, by: dt.timedelta) -> dt.date:
    """`by` after a day, or the last day there is."""
    return day + by if dt.date.max - day > by else dt.date.max
