"""What is settled lies apart, in Parquet files, one folder a day: its rows to be published, its events to be recalled.

So a batch is folded, and a snapshot written, at a cost that does not grow with history. Whatever a later event
touches is recalled first, and settles again some time after: the published rows stay a function of the events.
"""

import datetime as dt
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from ingest import contract, extent
from ingest.keys import KeyDays
from metrics.relations import FOLDER

HERE = Path(__file__).parent
SETTLE = (HERE / "settle.sql").read_text()

RELATIONS = ("calls", "agent_states", "dead_letters")
EVENTS = "events"  # archived beside them, and private
RECALLED = """
CREATE TABLE IF NOT EXISTS recalled_calls (call_id VARCHAR NOT NULL, day DATE NOT NULL);
COMMENT ON TABLE recalled_calls IS 'Calls with a row in a Parquet file that no longer counts.';
CREATE TABLE IF NOT EXISTS recalled_states (agent VARCHAR NOT NULL, from_at TIMESTAMPTZ NOT NULL);
COMMENT ON TABLE recalled_states IS 'An agent''s rows in Parquet files, started at from_at or later, no longer count.';
"""
OUTDATED = {
    "calls": "ANTI JOIN recalled_calls USING (call_id)",
    "agent_states": "r WHERE NOT EXISTS (FROM recalled_states x WHERE x.agent = r.agent AND r.started_at >= x.from_at)",
    "dead_letters": "",
    EVENTS: "ANTI JOIN recalled_events x ON x.file = parse_filename(filename) AND x.place = file_row_number",
}
RECALLED_STATE_DAYS = """
SELECT s.day FROM segments s
WHERE relation = 'agent_states' AND s.day >= (SELECT min(make_timestamp(epoch_us(from_at)))::DATE FROM recalled_states)
"""
#: Made anew rather than deleted from: a table in memory keeps the room of what was deleted.
NO_LONGER_JUDGED = """
CREATE OR REPLACE TEMP TABLE steady_calls AS FROM steady_calls ANTI JOIN settled_calls USING (call_id);
CREATE OR REPLACE TEMP TABLE just_judged AS FROM just_judged ANTI JOIN settled_calls USING (call_id);
CREATE OR REPLACE TEMP TABLE timeline AS
SELECT t.* FROM timeline t LEFT JOIN new_marks m USING (agent) WHERE hot_from IS NULL OR started_at >= hot_from;
"""
NONE_ARCHIVED = "SELECT *, NULL::DATE AS day, '' AS filename, 0 AS file_row_number FROM events LIMIT 0"
#: Texts that hardly repeat, read rarely: no dictionary is tried, and they are packed well.
PACKED = {EVENTS: "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 4096)"}
LOOK_BACK = dt.timedelta(days=2)
MERGE_AT_FILES = 4  # so many of a day's files of one size are merged into one of the next
KEEP_REPLACED_S = 600.0  # a file that was replaced stays for those who hold an older snapshot open
EPOCH = dt.date(1970, 1, 1)

EVENT_COLUMNS = "event_id, revision, type, ts, call_id, agent, campaign, source, state, reason, raw"


@dataclass(frozen=True)
class Segment:
    """A Parquet file that counts, and how many rows are in it."""

    day: dt.date
    file: Path
    rows: int


class Archive:
    """The settled part of a store: `connection` is the store's; events are kept beneath `private`, rows to be
    published beneath `published`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, private: Path, published: Path) -> None:
        self._connection = connection
        self._sql = connection.execute
        self._private = private.resolve()
        self._published = published.resolve()
        self._events = KeyDays()
        self._calls = KeyDays()
        self._replaced: list[tuple[float, Path]] = []
        self._sizes: dict[Path, int] = {}
        self._read_segments()
        extent.make(connection, self.rows("calls"), self.rows("agent_states"))
        self._learn(f"SELECT event_id, call_id, day AS home FROM ({self._archived()})")
        for relation in (EVENTS, *RELATIONS):
            counted = {segment.file for segment in self._segments.get(relation, ())}
            for file in (self._root(relation) / relation).glob("day=*/*.parquet"):
                self._sizes[file] = file.stat().st_size
                if file not in counted:
                    self._replaced.append((time.monotonic(), file))

    def bytes(self, *relations: str) -> int:
        """What the files of `relations` take of the disk, with those that were replaced and are still there."""
        roots = [self._root(relation) / relation for relation in relations]
        return sum(size for file, size in self._sizes.items() if file.parent.parent in roots)

    def _root(self, relation: str) -> Path:
        return self._private if relation == EVENTS else self._published

    def _archived(self, homes: Collection[dt.date] | None = None) -> str:
        """The SELECT of the archived events that count, of the days `homes` or of all, with where they are."""
        return self.rows(EVENTS, homes) or NONE_ARCHIVED

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
        if settled := self.rows("calls"):
            self._sql("SET VARIABLE campaign = $campaign", {"campaign": campaign})
            self._sql("SET VARIABLE from_day = $day", {"day": from_day or dt.date.min})
            self._recall_calls(
                f"SELECT call_id FROM ({settled})"
                " WHERE campaign = getvariable('campaign') AND day >= getvariable('from_day')"
            )

    def recall_long_states(self, least_s: float) -> None:
        """Bring back each agent's settled states from the first on that lasted `least_s` [s] or longer."""
        if settled := self.rows("agent_states"):
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
            settled := self.rows("agent_states", self._days("agent_states", began))
        ):
            extent.note_begun_anew(self._connection, settled)
        self._sql("INSERT INTO dirty_agents SELECT agent, '-infinity', false FROM found_marks")

    def _find_marks(self, since: dt.date) -> None:
        """For each agent in `late` find the start of the settled state then, begun on `since` or later, by an event."""
        settled = self.rows("agent_states", self._days("agent_states", since))
        starts = f"SELECT agent, started_at FROM ({settled})" if settled else "FROM agent_marks LIMIT 0"
        began = self._archived(self._days(EVENTS, since))
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

        A settled call was closed by what its agent did next: it is wanted when an agent in `changed_agents` did
        something else in between. A call in `touched` that has no end needs what its agent did next, also where that
        is settled. What comes back is then in `touched`, alone, to be folded; ask again after that.
        """
        self._sql(
            "CREATE OR REPLACE TEMP TABLE waiting AS SELECT agent, min(answered_at) AS ts"
            " FROM calls SEMI JOIN touched USING (call_id) WHERE talk_end_at IS NULL AND agent IS NOT NULL"
            " AND answered_at < (SELECT max(closed_before) FROM archived_until) GROUP BY agent"
        )
        self._sql("DELETE FROM touched")
        self._recall_calls(
            "SELECT call_id FROM inferred_ends i JOIN changed_agents c"
            " ON c.agent = i.agent AND c.ts > i.answered_at AND c.ts <= i.ended_at"
        )
        self._sql("DELETE FROM changed_agents")
        settled = self.rows("calls")
        if settled and self._sql("FROM waiting LIMIT 1").fetchall():
            self._recall_states("FROM waiting")
            self._recall_calls(
                f"SELECT arg_min(call_id, answered_at) AS call_id FROM ({settled}) JOIN waiting USING (agent)"
                " WHERE answered_at > ts AND channel = 'voice' GROUP BY agent"
            )
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
        replaced = self._write("calls", "settled_calls", "SELECT day FROM recalled_calls")
        replaced += self._write("agent_states", "settled_states", RECALLED_STATE_DAYS)
        replaced += self._write("dead_letters", "settled_letters")
        replaced += self._write(EVENTS, "leaving")
        self._sql("DELETE FROM settled_checks WHERE day IN (SELECT day FROM recalled_calls)")
        self._sql("DELETE FROM settled_checks WHERE day IN (SELECT day FROM settled_calls)")
        self._sql("DELETE FROM dead_letters")
        self._sql("DELETE FROM recalled_calls")
        self._sql("DELETE FROM recalled_states")
        self._sql(
            "INSERT INTO inferred_ends SELECT call_id, agent, answered_at, ended_at, day"
            " FROM settled_calls WHERE inferred_end AND answered_at IS NOT NULL"
        )
        extent.add_settled(self._connection)
        self._count_names("FROM settled_events", +1)
        self._sql("DELETE FROM events WHERE rowid IN (SELECT place FROM settled_events)")
        self._sql("DELETE FROM calls WHERE call_id IN (SELECT call_id FROM settled_calls)")
        self._sql("DELETE FROM agent_marks WHERE agent IN (SELECT agent FROM new_marks)")
        self._sql("INSERT INTO agent_marks SELECT agent, hot_from FROM new_marks")
        self._sql("INSERT INTO archived_until VALUES (?)", [settled_before])
        self._sql("DELETE FROM archived_until WHERE closed_before < (SELECT max(closed_before) FROM archived_until)")
        self._read_segments()
        self._learn("FROM settled_events")
        self._sql(NO_LONGER_JUDGED)
        self._replaced.extend((time.monotonic(), file) for file in replaced)

    def _write(self, relation: str, fresh: str, outdated: str = "SELECT NULL::DATE LIMIT 0") -> list[Path]:
        """Write `fresh` rows to a new file for each of their days; return the files that were merged into them.

        A day that `outdated` selects gets all its rows written again.
        """
        days = self._sql(
            f"SELECT day, count(fresh)::BIGINT, day IN ({outdated})"
            f" FROM (SELECT day, true AS fresh FROM {fresh} UNION ALL SELECT *, NULL FROM ({outdated}))"
            " GROUP BY day ORDER BY day"
        ).fetchall()
        replaced = []
        for day, count, is_outdated in days:
            older = [segment for segment in self._segments.get(relation, ()) if segment.day == day]
            merged = older if is_outdated else _alike(older, count)
            selected = f"SELECT * FROM {fresh} WHERE day = DATE '{day}'"
            if merged:
                unplaced = "EXCLUDE (filename, file_row_number)" if relation == EVENTS else ""
                selected += f" UNION ALL BY NAME SELECT * {unplaced} FROM ({self._read(relation, merged)})"
                names = [segment.file.name for segment in merged]
                self._sql("DELETE FROM segments WHERE parse_filename(file) IN (SELECT unnest(?))", [names])
                self._sql("DELETE FROM recalled_events WHERE file IN (SELECT unnest(?))", [names])
                replaced += [segment.file for segment in merged]
            name = f"{relation}/day={day}/{uuid.uuid4().hex}.parquet"
            file = self._root(relation) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            copy = f"COPY (SELECT * EXCLUDE (day) FROM ({selected})) TO {_quoted(file)} {PACKED.get(relation, '')}"
            ((rows,),) = self._sql(copy).fetchall()
            self._sizes[file] = file.stat().st_size
            self._sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [relation, day, name, rows])
        return replaced

    def _read_segments(self) -> None:
        self._segments: dict[str, list[Segment]] = {}
        for relation, day, name, rows in self._sql("FROM segments ORDER BY ALL").fetchall():
            self._segments.setdefault(relation, []).append(Segment(day, self._root(relation) / name, rows))

    def _read(self, relation: str, segments: list[Segment]) -> str:
        """The SELECT of the rows of `segments` that count; of events, with the file and the place in it.

        DuckDB takes a relative path from where a process stands, so files have whole ones; who has the published folder
        elsewhere says where in the variable FOLDER.
        """
        root = self._root(relation)
        names = ", ".join(_quoted(segment.file.relative_to(root)) for segment in segments)
        placed = "filename = true, file_row_number = true, " if relation == EVENTS else ""
        folder = _quoted(root) if relation == EVENTS else f"coalesce(getvariable('{FOLDER}'), {_quoted(root)})"
        return (
            f"SELECT * FROM read_parquet(list_transform([{names}], lambda name: {folder} || '/' || name),"
            f" {placed}hive_partitioning = true, hive_types = {{day: DATE}}) {OUTDATED[relation]}"
        )

    def _days(self, relation: str, since: dt.date) -> set[dt.date]:
        return {segment.day for segment in self._segments.get(relation, ()) if segment.day >= since}

    def rows(self, relation: str, days: Collection[dt.date] | None = None) -> str | None:
        """The SELECT of the settled rows that count, of some days or of all; None when there are none."""
        segments = self._segments.get(relation, [])
        if days is not None:
            segments = [segment for segment in segments if segment.day in days]
        return self._read(relation, segments) if segments else None

    def past(self) -> dict[str, str]:
        """For each relation the SELECT of its settled rows that count; it reads the tables of RECALLED.

        Also where there are none yet: what is made for the published file stays the same when the first settle.
        """
        return {relation: self.rows(relation) or f"FROM recent_{relation} WHERE false" for relation in RELATIONS}

    def sweep(self) -> None:
        """Delete the files that were replaced long enough ago."""
        now = time.monotonic()
        for since, file in self._replaced:
            if now - since > KEEP_REPLACED_S:
                del self._sizes[file]
                file.unlink()
        self._replaced = [(since, file) for since, file in self._replaced if now - since <= KEEP_REPLACED_S]


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _alike(segments: list[Segment], rows: int) -> list[Segment]:
    """Those to be merged with so many new rows: `MERGE_AT_FILES` files of a size become one of the next.

    So a row is written again a logarithm of times, and the files of a day are about as many.
    """
    merged: list[Segment] = []
    while True:
        size = (rows + sum(segment.rows for segment in merged)).bit_length() // 2
        alike = [segment for segment in segments if segment.rows.bit_length() // 2 <= size]
        if len(alike) - len(merged) + 1 < MERGE_AT_FILES:
            return merged
        merged = alike
