"""Settled rows and their events are kept in Parquet files, one folder a day: rows to publish, events to recall.

So the cost of folding a batch and of writing a snapshot does not grow with history. Whatever a later event touches is
recalled first and settles again later: the published rows stay a function of the events.
"""

import datetime as dt
from collections.abc import Collection

import duckdb
import numpy as np

from ingest import statements
from ingest.archive import extent
from ingest.archive.inventory import EVENTS
from ingest.archive.keys import KeyDays
from ingest.archive.segments import IDENTITY, RECALLED_DAYS, Segments
from ingest.archive.stretches import LOOK_ROUND, Stretches, later
from ingest.events.rare_fields import RareFields

SETTLE = statements.read("archive/settle.sql")
REOPENED = statements.read("archive/reopened.sql")
ARCHIVE = statements.read_parts("archive/archive.sql")
RECALL = statements.read_parts("archive/recall.sql")

EPOCH = dt.date(1970, 1, 1)

EVENT_COLUMNS = "event_id, revision, type, ts, call_id, agent, campaign, source, state, reason, raw"


class Archive:
    """The settled part of the store that `connection` has open. It is in the files of `segments`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, segments: Segments, rare_fields: RareFields) -> None:
        self._connection = connection
        self._sql = connection.execute
        self._segments = segments
        self._rare_fields = rare_fields
        self._events = KeyDays()
        self._calls = KeyDays()
        self._stretches = Stretches(connection, segments)
        extent.make(connection, segments.rows("calls"), segments.rows("agent_states"))
        self._learn(RECALL["archived_keys"].format(archived=self._archived()))
        if frozen := segments.rows("calls", self._frozen_days("calls")):
            self._learn_calls(RECALL["final_keys"].format(settled=frozen))
        self._deleted_calls = KeyDays()
        self.learn_deleted_calls()
        self.takes_all = False  # a rebuild takes what an earlier Vigie took

    def _frozen_days(self, relation: str) -> set[dt.date]:
        return {day for day in self._segments.days(relation, dt.date.min) if day < self._segments.frozen_before}

    def takes_from(self) -> dt.datetime | None:
        """The instant before which no event is taken any more; None: events of all times are.

        A day after the frozen days, because an agent's state and work on a call may last a day.
        """
        before = self._segments.frozen_before
        return None if before == dt.date.min else dt.datetime.combine(before, dt.time(), dt.UTC) + dt.timedelta(days=1)

    def drop_final(self) -> int:
        """Drop from `incoming_events` those that would change a row whose events are gone; return how many."""
        takes_from = self.takes_from()
        if takes_from is None or self.takes_all:
            return 0
        frozen = self._days_of(self._calls, "call_id", "incoming_events") & self._frozen_days("calls")
        final = self._segments.rows("calls", frozen) or RECALL["no_final_calls"]
        found = self._sql(RECALL["deleted_keys_of_incoming"]).fetchnumpy()
        may_be_deleted = self._deleted_calls.days(found["key"].astype(np.uint64))
        deleted = RECALL["incoming_of_deleted_calls"] if may_be_deleted else RECALL["no_final_calls"]
        drop = RECALL["drop_final"].format(settled=final, deleted=deleted)
        return len(self._sql(drop, {"takes_from": takes_from}).fetchall())

    def learn_deleted_calls(self, deleted_on: dt.date = dt.date.min) -> None:
        """Note which calls were deleted because of their age on a day or later."""
        found = self._sql(RECALL["deleted_keys"], {"since": deleted_on}).fetchnumpy()
        self._deleted_calls.add(found["key"].astype(np.uint64), found["day"].astype(np.int32))

    def _archived(self, homes: Collection[dt.date] | None = None) -> str:
        """The SELECT of the archived events that count, with file and place; of the days `homes`, or of all days."""
        return self._segments.rows(EVENTS, homes) or RECALL["none_archived"]

    def _learn(self, query: str) -> None:
        """Note the days in which the events of `query` are archived."""
        self._learn_keys(self._events, "event_id", query)
        self._learn_calls(query)

    def _learn_calls(self, query: str) -> None:
        self._learn_keys(self._calls, "call_id", query)

    def _learn_keys(self, keys: KeyDays, column: str, query: str) -> None:
        found = self._sql(RECALL["keys"].format(column=column, events=query)).fetchnumpy()
        keys.add(found["key"].astype(np.uint64), found["day"].astype(np.int32))

    def _days_of(self, keys: KeyDays, column: str, table: str) -> set[dt.date]:
        """The days in which a key in `column` of `table` may be."""
        found = self._sql(RECALL["keys_of"].format(column=column, table=table)).fetchnumpy()
        return {EPOCH + dt.timedelta(days=day) for day in keys.days(found["key"].astype(np.uint64))}

    def _homes(self, keys: KeyDays, column: str, table: str) -> list[dt.date]:
        """The days in which a key in `column` of `table` may be archived; none of them is frozen."""
        return sorted(day for day in self._days_of(keys, column, table) if day >= self._segments.frozen_before)

    def recall_for_incoming(self) -> int:
        """Recall what `incoming_events` touch. Drop events that are archived word for word; return their number."""
        homes = self._homes(self._events, "event_id", "incoming_events")
        self._segments.require_sound(EVENTS, homes)
        find_known = RECALL["find_known"].format(columns=EVENT_COLUMNS, archived=self._archived(homes))
        ((known,),) = self._sql(find_known).fetchall()
        repeated = self._drop_repeated() if known else 0
        self._recall_calls(RECALL["calls_of_incoming"])
        self._recall_states(RECALL["states_of_incoming"])
        return repeated

    def _drop_repeated(self) -> int:
        """Keep of `known_events` those that `incoming_events` change, and drop the others from both."""
        repeated = self._sql(RECALL["drop_repeated"]).fetchall()
        self._sql(RECALL["forget_repeated"])
        self._sql(RECALL["note_lost_states"])
        return len(repeated)

    def recall_of_campaign(self, campaign: str, from_day: dt.date | None) -> None:
        """Recall the settled calls of a campaign, of `from_day` and later (None: all), to judge them again."""
        if settled := self._segments.rows("calls"):
            self._sql("SET VARIABLE recalled_campaign = $campaign", {"campaign": campaign})
            self._sql("SET VARIABLE recalled_from_day = $day", {"day": from_day or dt.date.min})
            self._recall_calls(RECALL["calls_of_campaign"].format(settled=settled))

    def recall_ahead(self, as_of: dt.datetime) -> None:
        """Recall what settled by a clock that was ahead of `as_of`.

        These are the calls that were given up on but would not be at `as_of`, and each agent's states from the one at
        `as_of` on.
        """
        self._sql("SET VARIABLE as_of = $as_of", {"as_of": as_of})
        ((longest_s,),) = self._sql(RECALL["longest_give_up"]).fetchall()
        since = (as_of - dt.timedelta(seconds=longest_s or 0)).date() - dt.timedelta(days=1)  # days are local
        if settled := self._segments.rows("calls", self._segments.days("calls", since)):
            self._recall_calls(RECALL["calls_given_up"].format(settled=settled))
        self._recall_states(RECALL["states_ahead"])

    def recall_long_states(self, least_s: float) -> None:
        """Recall each agent's settled states, from the first that lasted `least_s` [s] or longer."""
        if settled := self._segments.rows("agent_states"):
            self._sql("SET VARIABLE shortest_recalled_s = $least_s", {"least_s": least_s})
            self._recall_states(RECALL["long_states"].format(settled=settled))

    def _recall_calls(self, query: str) -> None:
        self._sql(RECALL["list_calls"].format(calls=query))
        homes = self._homes(self._calls, "call_id", "calls_to_recall")
        if not homes:
            return
        self._sql(RECALL["list_events_of_calls"].format(archived=self._archived(homes)))
        self._bring_back(homes)
        self._sql(RECALL["note_recalled_calls"])

    def _recall_states(self, changes: str) -> None:
        """Recall the agents' states that `changes` affect, a query as `Stretches.find` takes it."""
        if not self._stretches.find(changes):
            return
        self._stretches.select_events()
        self._bring_back([day for (day,) in self._sql(RECALL["homes_to_recall"]).fetchall()])
        self._stretches.take_up()
        self._note_first_states(extent.take_recalled(self._connection))
        self._sql(RECALL["note_dirty_agents"])

    def _note_first_states(self, first: dt.date | None) -> None:
        """Find the first settled states again of the campaigns whose first one, of day `first` or later, came back."""
        if first is None:
            return
        for look in LOOK_ROUND:
            days = self._segments.days("agent_states", first, later(first, look))
            if (settled := self._segments.rows("agent_states", days)) and extent.note_recalled_first_states(
                self._connection, settled
            ):
                return

    def recall_for_folded(self) -> bool:
        """Recall what the calls just folded need or change. Return whether any call was recalled.

        A settled call that was closed by its agent's next step is recalled when that step changed (reopened.sql). A
        call in `calls_to_fold` without an end needs its agent's next step, even a settled one; so does any other that
        loses its next step. Afterwards `calls_to_fold` has only the recalled calls. Fold them, then call this again.
        """
        self._sql(REOPENED)
        self._sql(RECALL["find_unended"])
        self._sql(RECALL["forget_folded"])
        self._recall_calls(RECALL["reopened_calls"])
        if self._sql(RECALL["any_unended"]).fetchall():
            self._recall_next_steps()
        return bool(self._sql(RECALL["any_to_fold"]).fetchall())

    def _recall_next_steps(self) -> None:
        """Recall for each call in `calls_to_end` its agent's first settled step after it, if that may close the call.

        Of a state only the event is recalled, because the timeline stays the same.
        """
        self._sql(RECALL["find_next_states"])
        self._sql(RECALL["find_archived_next_states"].format(archived=RECALL["none_archived"]))
        ((first, last),) = self._sql(RECALL["days_of_unsure"]).fetchall()
        for look in LOOK_ROUND if first is not None else ():
            until = later(last, look)
            archived = self._archived(self._segments.days(EVENTS, first, until))
            self._sql(RECALL["find_archived_next_states"].format(archived=archived))
            if self._sql(RECALL["count_sought_further"], {"until": until}).fetchall() == [(0,)]:
                break
        if days := [day for (day,) in self._sql(RECALL["days_of_archived_next_states"]).fetchall()]:
            self._sql(RECALL["list_next_states"].format(archived=self._archived(days)))
            self._bring_back(days)
        days = [day for (day,) in self._sql(RECALL["days_of_next_answers"]).fetchall()]
        if settled := self._segments.rows("calls", days):
            self._recall_calls(RECALL["next_answers"].format(settled=settled))

    def _bring_back(self, homes: list[dt.date]) -> None:
        """Move the events in `events_to_recall` from the archive to the events that are folded."""
        self._segments.require_sound(EVENTS, homes)
        self._sql(RECALL["bring_back"].format(columns=EVENT_COLUMNS, archived=self._archived(homes)))
        self._rare_fields.look("recalled_contents")
        self._count_names(RECALL["recalled_contents"], -1)
        self._sql(RECALL["note_recalled_events"])

    def _count_names(self, query: str, sign: int) -> None:
        self._sql(ARCHIVE["count_names"].format(sign=sign, events=query))

    def closed_before(self) -> dt.datetime | None:
        """An instant before which all settled rows were closed; None while there are none."""
        at: dt.datetime | None
        ((at,),) = self._sql(ARCHIVE["closed_before"]).fetchall()
        return at

    def settle(self, settled_before: dt.datetime, at_least: int) -> bool:
        """Move the settled rows from the tables just judged to the archive, if there are `at_least` this many.

        Return whether there were. Call it in a transaction. If that fails, open the store again.
        """
        self._sql("SET VARIABLE settled_before = $at", {"at": settled_before})
        ((at_most,),) = self._sql(ARCHIVE["count_unsettled"]).fetchall()
        if at_most < at_least:
            return False
        self._sql(SETTLE)
        ((rows,),) = self._sql(ARCHIVE["count_settled"]).fetchall()
        if rows < at_least:
            return False
        merged = {
            "calls": self._segments.write("calls", "settled_calls", RECALLED_DAYS["calls"]),
            "agent_states": self._segments.write("agent_states", "settled_states", RECALLED_DAYS["agent_states"]),
            "dead_letters": self._segments.write("dead_letters", "settled_letters"),
            EVENTS: self._segments.write(EVENTS, "leaving_events"),
        }
        self._sql(ARCHIVE["forget_recalled"])
        extent.add_settled(self._connection)
        self._count_names(ARCHIVE["settled_events"], +1)
        self._sql(ARCHIVE["forget_settled"])
        self._segments.reload()
        self._segments.keep_sums()
        self._segments.keep_months()
        self._segments.keep_work()
        self._segments.reload()
        for relation in IDENTITY:
            self._segments.count_rows(relation, merged[relation])
        self._learn(ARCHIVE["settled_events"])
        self._sql(ARCHIVE["forget_judged"])
        return True
