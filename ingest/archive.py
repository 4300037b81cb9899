"""What is settled lies apart, in Parquet files, one folder a day: its rows to be published, its events to be recalled.

So a batch is folded, and a snapshot written, at a cost that does not grow with history. Whatever a later event
touches is recalled first, and settles again some time after: the published rows stay a function of the events.
"""

import datetime as dt
from collections.abc import Collection
from pathlib import Path

import duckdb
import numpy as np

from ingest import contract, extent
from ingest.inventory import EVENTS
from ingest.keys import KeyDays
from ingest.segments import IDENTITY, Segments

HERE = Path(__file__).parent
SETTLE = (HERE / "settle.sql").read_text()
REOPENED = (HERE / "reopened.sql").read_text()

RECALLED_STATE_DAYS = """
SELECT s.day FROM segments s
WHERE relation = 'agent_states' AND s.day >= (SELECT min(make_timestamp(epoch_us(from_at)))::DATE FROM recalled_states)
"""
#: Calls without an end, just folded, after which their agent may have done something that is settled.
UNENDED = """
CREATE OR REPLACE TEMP TABLE unended_before AS
SELECT call_id, agent, answered_at
FROM calls
SEMI JOIN touched USING (call_id)
WHERE talk_end_at IS NULL AND agent IS NOT NULL AND answered_at < (SELECT max(closed_before) FROM archived_until)
"""
#: For each of them, not for each agent: of two calls without an end each has a next answer of its own.
NEXT_ANSWERS = """
SELECT arg_min(s.call_id, s.answered_at) AS call_id
FROM ({settled}) s
JOIN unended_before u ON u.agent = s.agent AND s.answered_at > u.answered_at
WHERE s.channel = 'voice'
GROUP BY u.call_id
"""
#: Made anew rather than deleted from: a table in memory keeps the room of what was deleted.
NO_LONGER_JUDGED = """
CREATE OR REPLACE TEMP TABLE steady_calls AS FROM steady_calls ANTI JOIN settled_calls USING (call_id);
CREATE OR REPLACE TEMP TABLE just_judged AS FROM just_judged ANTI JOIN settled_calls USING (call_id);
CREATE OR REPLACE TEMP TABLE timeline AS
SELECT t.* FROM timeline t LEFT JOIN new_marks m USING (agent) WHERE hot_from IS NULL OR started_at >= hot_from;
"""
NONE_ARCHIVED = "SELECT *, NULL::DATE AS day, '' AS filename, 0 AS file_row_number FROM events LIMIT 0"
LOOK_BACK = dt.timedelta(days=2)
EPOCH = dt.date(1970, 1, 1)

EVENT_COLUMNS = "event_id, revision, type, ts, call_id, agent, campaign, source, state, reason, raw"


class Archive:
    """What is settled of the store that `connection` has open: it lies in the files of `segments`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, segments: Segments) -> None:
        self._connection = connection
        self._sql = connection.execute
        self._segments = segments
        self._events = KeyDays()
        self._calls = KeyDays()
        extent.make(connection, segments.rows("calls"), segments.rows("agent_states"))
        self._learn(f"SELECT event_id, call_id, day AS home FROM ({self._archived()})")

    def _archived(self, homes: Collection[dt.date] | None = None) -> str:
        """The SELECT of the archived events that count, of the days `homes` or of all, with where they are."""
        return self._segments.rows(EVENTS, homes) or NONE_ARCHIVED

    def _learn(self, query: str) -> None:
        """Note where the events of `query` are."""
        for keys, column in ((self._events, "event_id"), (self._calls, "call_id")):
            found = self._sql(
                f"SELECT DISTINCT hash({column}) AS key, (home - DATE '1970-01-01')::INTEGER AS day"
                f" FROM ({query}) WHERE {column} IS NOT NULL"
            ).fetchnumpy()
            keys.add(found["key"].astype(np.uint64), found["day"].astype(np.int32))

    def _homes(self, keys: KeyDays, column: str, table: str) -> list[dt.date]:
        """The days at which something in `column` of `table` may be archived."""
        found = self._sql(f"SELECT hash({column}) AS key FROM {table} WHERE {column} IS NOT NULL").fetchnumpy()
        return [EPOCH + dt.timedelta(days=day) for day in sorted(keys.days(found["key"].astype(np.uint64)))]

    def recall_for_incoming(self) -> int:
        """Bring back what the events of `incoming` touch; drop those archived word for word, and count them."""
        homes = self._homes(self._events, "event_id", "incoming")
        self._sql(
            "CREATE OR REPLACE TEMP TABLE met AS"
            f" SELECT {EVENT_COLUMNS} FROM ({self._archived(homes)}) SEMI JOIN incoming USING (event_id)"
            f" UNION ALL SELECT {EVENT_COLUMNS} FROM events SEMI JOIN incoming USING (event_id)"
        )
        same = self._sql(
            "DELETE FROM incoming WHERE n IN"
            " (SELECT i.n FROM incoming i JOIN met m USING (event_id) WHERE m.raw = i.raw) RETURNING n"
        ).fetchall()
        self._sql("DELETE FROM met WHERE event_id NOT IN (SELECT event_id FROM incoming)")
        self._recall_calls("SELECT call_id FROM incoming UNION SELECT call_id FROM met")
        # from just before: at one instant the last of several counts, and may be as the settled state that it follows
        self._recall_states("""
            SELECT agent, ts - INTERVAL 1 MICROSECOND AS ts
            FROM (SELECT agent, ts, type FROM incoming UNION ALL SELECT agent, ts, type FROM met)
            WHERE type IN ('agent.state', 'agent.profile')
        """)
        return len(same)

    def recall_of_campaign(self, campaign: str, from_day: dt.date | None) -> None:
        """Bring back the settled calls of a campaign, of `from_day` and later (None: all), to be judged again."""
        if settled := self._segments.rows("calls"):
            self._sql("SET VARIABLE campaign = $campaign", {"campaign": campaign})
            self._sql("SET VARIABLE from_day = $day", {"day": from_day or dt.date.min})
            self._recall_calls(
                f"SELECT call_id FROM ({settled})"
                " WHERE campaign = getvariable('campaign') AND day >= getvariable('from_day')"
            )

    def recall_ahead(self, as_of: dt.datetime) -> None:
        """Bring back what settled by a clock that was ahead of `as_of`.

        These are the calls that were given up on, and at `as_of` are not yet; and each agent's states from the one at
        `as_of` on.
        """
        self._sql("SET VARIABLE as_of = $as_of", {"as_of": as_of})
        ((longest_s,),) = self._sql("SELECT max(give_up_after_s) FROM known_campaigns").fetchall()
        since = (as_of - dt.timedelta(seconds=longest_s or 0)).date() - dt.timedelta(days=1)  # days are local
        if settled := self._segments.rows("calls", self._segments.days("calls", since)):
            self._recall_calls(
                f"SELECT call_id FROM ({settled}) JOIN known_campaigns USING (campaign)"
                " WHERE outcome = 'dropped' AND inferred_end"
                " AND epoch_us(getvariable('as_of')) - epoch_us(cohort_at) <= give_up_after_s * 1e6"
            )
        self._recall_states("SELECT agent, getvariable('as_of') AS ts FROM agent_marks")

    def recall_long_states(self, least_s: float) -> None:
        """Bring back each agent's settled states from the first on that lasted `least_s` [s] or longer."""
        if settled := self._segments.rows("agent_states"):
            self._sql("SET VARIABLE least_s = $least_s", {"least_s": least_s})
            self._recall_states(
                f"SELECT agent, started_at AS ts FROM ({settled})"
                " WHERE state != 'offline' AND seconds >= getvariable('least_s')"
            )

    def _recall_calls(self, query: str) -> None:
        self._sql(
            f"CREATE OR REPLACE TEMP TABLE wanted AS SELECT DISTINCT call_id FROM ({query}) WHERE call_id IS NOT NULL"
        )
        homes = self._homes(self._calls, "call_id", "wanted")
        if not homes:
            return
        self._sql(
            "CREATE OR REPLACE TEMP TABLE moving AS"
            f" SELECT event_id, call_id, day AS home FROM ({self._archived(homes)}) SEMI JOIN wanted USING (call_id)"
        )
        self._bring_back(homes)
        self._sql("INSERT INTO recalled_calls SELECT DISTINCT call_id, home FROM moving")
        self._sql("DELETE FROM settled_checks WHERE day IN (SELECT home FROM moving)")
        self._sql("DELETE FROM inferred_ends WHERE call_id IN (SELECT call_id FROM moving)")
        self._sql("INSERT INTO touched SELECT DISTINCT call_id FROM moving WHERE call_id NOT IN (FROM touched)")

    def _recall_states(self, query: str) -> None:
        """Bring back agents' states, for each (agent, ts) of `query` before the agent's mark: from the one then on."""
        self._sql(
            "CREATE OR REPLACE TEMP TABLE late AS SELECT agent, min(ts) AS ts"
            f" FROM ({query}) JOIN agent_marks USING (agent) WHERE ts < hot_from GROUP BY agent"
        )
        ((first,),) = self._sql("SELECT make_timestamp(epoch_us(min(ts)))::DATE FROM late").fetchall()
        if first is None:
            return
        for since in (first - LOOK_BACK, dt.date.min):  # most states began a short time before
            self._find_marks(since)
            if not self._sql("FROM found_marks WHERE mark IS NULL LIMIT 1").fetchall():
                break
        self._sql(f"""
            CREATE OR REPLACE TEMP TABLE moving AS
            WITH theirs AS (
                SELECT event_id, call_id, day AS home, ts, agent, campaign, mark
                FROM ({self._archived()})
                JOIN found_marks USING (agent)
                WHERE type = 'agent.state'
            )
            SELECT event_id, call_id, home FROM theirs WHERE mark IS NULL OR ts >= mark
            UNION
            SELECT event_id, call_id, home FROM theirs WHERE ts < mark AND campaign IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY agent ORDER BY ts DESC, event_id DESC) = 1
        """)
        self._bring_back([day for (day,) in self._sql("SELECT DISTINCT home FROM moving").fetchall()])
        self._sql("DELETE FROM agent_marks WHERE agent IN (SELECT agent FROM found_marks)")
        self._sql("INSERT INTO agent_marks SELECT agent, mark FROM found_marks WHERE mark IS NOT NULL")
        self._sql(
            "INSERT INTO recalled_states SELECT agent, coalesce(mark, $earliest) FROM found_marks",
            {"earliest": contract.EARLIEST},
        )
        if (began := extent.take_recalled(self._connection)) is not None and (
            settled := self._segments.rows("agent_states", self._segments.days("agent_states", began))
        ):
            extent.note_begun_anew(self._connection, settled)
        self._sql("INSERT INTO dirty_agents SELECT agent, '-infinity', false FROM found_marks")

    def _find_marks(self, since: dt.date) -> None:
        """For each agent in `late` find the start of the settled state then, begun on `since` or later, by an event."""
        settled = self._segments.rows("agent_states", self._segments.days("agent_states", since))
        starts = f"SELECT agent, started_at FROM ({settled})" if settled else "FROM agent_marks LIMIT 0"
        began = self._archived(self._segments.days(EVENTS, since))
        self._sql(f"""
            CREATE OR REPLACE TEMP TABLE found_marks AS
            SELECT l.agent, max(s.started_at) AS mark
            FROM late l
            LEFT JOIN (
                SELECT agent, started_at
                FROM ({starts}) AS begun(agent, started_at)
                SEMI JOIN (SELECT agent, ts FROM ({began}) WHERE type = 'agent.state') e
                    ON e.agent = begun.agent AND e.ts = begun.started_at
            ) s ON s.agent = l.agent AND s.started_at <= l.ts
            GROUP BY l.agent
        """)

    def recall_for_folded(self) -> bool:
        """Bring back what the calls just folded need, or make different; whether any call came back.

        A settled call that its agent's next step closed comes back when that step changed (reopened.sql). A call in
        `touched` that has no end needs its agent's next step, also where that is settled. What comes back is then in
        `touched`, alone, to be folded; ask again after that.
        """
        self._sql("CREATE OR REPLACE TEMP TABLE reopened AS " + REOPENED)
        self._sql(UNENDED)
        self._sql("DELETE FROM touched")
        self._recall_calls("FROM reopened")
        if self._sql("FROM unended_before LIMIT 1").fetchall():
            self._recall_states("SELECT agent, answered_at AS ts FROM unended_before")
            if settled := self._segments.rows("calls"):
                self._recall_calls(NEXT_ANSWERS.format(settled=settled))
        return bool(self._sql("FROM touched LIMIT 1").fetchall())

    def _bring_back(self, homes: list[dt.date]) -> None:
        """Move the events in `moving` from the archive to the events that are folded."""
        self._sql(
            f"CREATE OR REPLACE TEMP TABLE brought AS FROM ({self._archived(homes)}) SEMI JOIN moving USING (event_id)"
        )
        self._sql(f"INSERT INTO events SELECT {EVENT_COLUMNS} FROM brought")
        self._count_names("FROM brought", -1)
        self._sql("INSERT INTO recalled_events SELECT parse_filename(filename), file_row_number FROM brought")

    def _count_names(self, query: str, sign: int) -> None:
        self._sql(
            "CREATE OR REPLACE TEMP TABLE counted AS"
            " SELECT kind, name, sum(events) AS events FROM ("
            f"  SELECT 'agent' AS kind, agent AS name, {sign} AS events FROM ({query}) WHERE type != 'call.dialed'"
            f"  UNION ALL SELECT 'campaign', campaign, {sign} FROM ({query})"
            "  UNION ALL FROM archived_names"
            " ) WHERE name IS NOT NULL GROUP BY kind, name HAVING sum(events) > 0"
        )
        self._sql("DELETE FROM archived_names")
        self._sql("INSERT INTO archived_names FROM counted")

    def settle(self, settled_before: dt.datetime, at_least: int) -> None:
        """Move what is settled, if it is `at_least` so many rows, from the tables just judged to the archive.

        To be called in a transaction; if that fails, open the store anew.
        """
        self._sql("SET VARIABLE settled_before = $at", {"at": settled_before})
        ((at_most,),) = self._sql(  # cheap, and mostly enough
            "SELECT (SELECT count(*) FROM judged_calls WHERE cohort_at < $at)"
            " + (SELECT count(*) FROM timeline WHERE started_at < $at) + (SELECT count(*) FROM dead_letters)",
            {"at": settled_before},
        ).fetchall()
        if at_most < at_least:
            return
        self._sql(SETTLE)
        ((rows,),) = self._sql(
            "SELECT (SELECT count(*) FROM settled_calls) + (SELECT count(*) FROM settled_states)"
            " + (SELECT count(*) FROM settled_letters)"
        ).fetchall()
        if rows < at_least:
            return
        merged = {
            "calls": self._segments.write("calls", "settled_calls", "SELECT day FROM recalled_calls"),
            "agent_states": self._segments.write("agent_states", "settled_states", RECALLED_STATE_DAYS),
            "dead_letters": self._segments.write("dead_letters", "settled_letters"),
            EVENTS: self._segments.write(EVENTS, "leaving"),
        }
        self._sql("DELETE FROM settled_checks WHERE day IN (SELECT day FROM settled_calls)")
        self._sql("DELETE FROM dead_letters")
        self._sql("DELETE FROM recalled_calls")
        self._sql("DELETE FROM recalled_states")
        self._sql("INSERT INTO inferred_ends BY NAME FROM settled_ends")
        extent.add_settled(self._connection)
        self._count_names("FROM settled_events", +1)
        self._sql("DELETE FROM events WHERE rowid IN (SELECT place FROM settled_events)")
        self._sql("DELETE FROM calls WHERE call_id IN (SELECT call_id FROM settled_calls)")
        self._sql("DELETE FROM agent_marks WHERE agent IN (SELECT agent FROM new_marks)")
        self._sql("INSERT INTO agent_marks SELECT agent, hot_from FROM new_marks")
        self._sql("INSERT INTO archived_until VALUES (?)", [settled_before])
        self._sql("DELETE FROM archived_until WHERE closed_before < (SELECT max(closed_before) FROM archived_until)")
        self._segments.reload()
        for relation in IDENTITY:
            self._segments.count_rows(relation, merged[relation])
        self._learn("FROM settled_events")
        self._sql(NO_LONGER_JUDGED)
