"""Keeps events again that are at rest: in the store's table, and in the files of the archive, row by row."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.compute as pc

from ingest.archive.inventory import EVENTS, read_files
from ingest.archive.segments import Segments
from ingest.events import masking
from ingest.events.persons import DOT, KEY_OF, KNOWN, Persons, kept_events

IS_UNKNOWN = f"NOT list_has_all({sorted(KNOWN.union(KEY_OF.values()))}, json_keys(raw))"
"""SQL: whether a kept event has a field that the contract does not know."""
HAS_NUMBER = " OR ".join(f"NOT contains(coalesce(raw ->> '$.{n}', '{DOT}'), '{DOT}')" for n in masking.NUMBER_FIELDS)
HAS_NUMBER = f"({HAS_NUMBER} OR {IS_UNKNOWN})"
"""SQL: whether an event has a phone number, or a field that may have one."""
PLACED = ", hive_partitioning = true, hive_types = {day: DATE}, filename = true, file_row_number = true"
REWRITTEN = """
SELECT
    e.* EXCLUDE (filename, file_row_number)
        REPLACE (coalesce(k.raw, e.raw) AS raw, coalesce(k.agent, e.agent) AS agent)
FROM {file} e
LEFT JOIN kept_again k ON k.place = e.file_row_number
ORDER BY e.file_row_number
"""


def of_agent(renamed: Callable[[str], str]) -> dict[str, dict[str, str]]:
    """For each column of a published relation that names agents what it becomes, as SQL; an id becomes `renamed`."""
    offer = f"{{'ts': o.ts, 'agent': {renamed('o.agent')}, 'missed': o.missed}}"
    return {
        "calls": {
            "agent": renamed("agent"),
            "missed_by": f"list_transform(missed_by, lambda a: {renamed('a')})",
            "offers": f"list_transform(offers, lambda o: {offer})",
        },
        "agent_states": {"agent": renamed("agent")},
    }


def keep_again(connection: duckdb.DuckDBPyConnection, segments: Segments, persons: Persons, which: str) -> set[str]:
    """Keep the events again that the SQL condition `which` selects; return the ids of their calls.

    Call it in a transaction. The calls and states made from them are not touched.
    """
    sql = connection.execute
    calls: set[str] = set()

    def kept(source: str, place: str) -> bool:
        """Register as `kept_again` what has changed in the events of `source`; return whether anything has."""
        columns = f"{place} AS place, ts, call_id, agent, raw, {IS_UNKNOWN} AS is_unknown"
        events = sql(f"SELECT {columns} FROM {source} WHERE {which}").to_arrow_table()
        unknown = np.flatnonzero(events["is_unknown"].to_numpy()).tolist()
        again = kept_events(persons, events, range(len(events)), unknown)
        is_renamed = pc.fill_null(pc.not_equal(again["agent"], events["agent"]), False)
        again = again.filter(pc.or_(pc.not_equal(again["raw"], events["raw"]), is_renamed))
        calls.update(call_id for call_id in again["call_id"].to_pylist() if call_id is not None)
        connection.register("kept_again", again)
        return len(again) > 0

    if kept("events", "rowid"):
        sql("UPDATE events SET raw = k.raw, agent = k.agent FROM kept_again k WHERE k.place = events.rowid")
    files = segments.files(EVENTS)
    for file in _with_hits(connection, list(files), which):
        source = read_files([file], PLACED)
        if kept(source, "file_row_number"):
            segments.rewrite(EVENTS, files[file], REWRITTEN.format(file=source))
    connection.unregister("kept_again")
    segments.reload()
    return calls


def _with_hits(connection: duckdb.DuckDBPyConnection, files: list[Path], which: str) -> list[Path]:
    """The files with an event that `which` selects."""
    if not files:
        return []
    found = connection.execute(f"SELECT DISTINCT filename FROM {read_files(files, PLACED)} WHERE {which}").fetchall()
    return sorted(Path(name) for (name,) in found)


#: Of the calls of a file that an older Vigie wrote, as fold.sql makes them.
WITH_KEYS = """
SELECT c.* EXCLUDE (filename, file_row_number), k.caller_key, k.callee_key
FROM {file} c
LEFT JOIN (
    SELECT
        call_id,
        arg_min_null(raw ->> '$.caller_key', (ts, event_id)) FILTER (type = 'call.queued') AS caller_key,
        arg_min_null(raw ->> '$.callee_key', (ts, event_id)) FILTER (type = 'call.dialed') AS callee_key
    FROM ({events})
    GROUP BY call_id
) k USING (call_id)
ORDER BY c.file_row_number
"""


def add_keys(connection: duckdb.DuckDBPyConnection, segments: Segments) -> None:
    """Give the settled calls of an older Vigie their keys, from their events, which have them. As `keep_again`."""
    for file, segment in segments.files("calls").items():
        columns = connection.execute("SELECT name FROM parquet_schema(?)", [str(file)]).fetchall()
        events = segments.rows(EVENTS, [segment.day])
        if ("caller_key",) not in columns and events is not None:
            segments.rewrite("calls", segment, WITH_KEYS.format(file=read_files([file], PLACED), events=events))
    segments.reload()
