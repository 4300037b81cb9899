"""Which version of its tables a store was written by, and what is done to one that an older Vigie wrote.

0   Settled events lay in a table of the store. Only `rebuild` reads it.
1   The rows of corrected events were merged into new files again: a store that was corrected may count them twice.
    A settled call did not know by what it was closed.
2   Files are only deleted when the store names them as replaced; a settled call knows what closed it.
"""

import logging
from collections.abc import Set
from pathlib import Path

import duckdb

from ingest.segments import EVENTS, archived_files, folder_of, quoted

log = logging.getLogger(__name__)

LAYOUT = 2

#: What closed a settled call is found where the same step is settled; it is no harm to know of too many steps.
NAME_WHAT_CLOSED = """
CREATE OR REPLACE TEMP TABLE named_ends AS
WITH unnamed AS (SELECT DISTINCT call_id, agent, answered_at, ended_at, day FROM inferred_ends)
SELECT u.*, e.event_id AS closed_by_event, NULL::VARCHAR AS closed_by_call
FROM unnamed u
JOIN ({events}) e ON e.agent = u.agent AND e.ts = u.ended_at AND e.type = 'agent.state' AND e.state != 'busy'
UNION ALL
SELECT u.*, NULL, c.call_id
FROM unnamed u
JOIN ({answered}) c ON c.agent = u.agent AND c.answered_at = u.ended_at AND c.channel = 'voice'
"""
ANSWERED = "SELECT call_id, agent, answered_at, channel FROM calls WHERE answered_at IS NOT NULL"


def tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The names of the tables in the store that is the connection's default catalog."""
    named = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    return {name for (name,) in connection.execute(named).fetchall()}


def version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The layout of the store that is the connection's default catalog; None for one that is empty."""
    names = tables(connection)
    if "archived_events" in names:
        return 0
    if "layout" in names:
        ((found,),) = connection.execute("SELECT max(version) FROM layout").fetchall()
        return int(found) if found is not None else 1
    return 1 if "positions" in names else None


def upgrade(connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
    """Turn a store of layout 1 into one of LAYOUT, in the transaction that is open; what it counts twice stays so."""
    sql = connection.execute
    for column in ("closed_by_event", "closed_by_call"):
        sql(f"ALTER TABLE inferred_ends ADD COLUMN IF NOT EXISTS {column} VARCHAR")
    segments = sql("SELECT relation, file FROM segments").fetchall()
    counted = {folder_of(data_dir, relation) / name for relation, name in segments}
    events, answered = "SELECT event_id, agent, ts, type, state FROM events", ANSWERED
    if files := [file for file in counted if file.parent.parent.name == EVENTS]:
        events += f" UNION ALL SELECT event_id, agent, ts, type, state FROM {_read(files)}"
    if files := [file for file in counted if file.parent.parent.name == "calls"]:
        answered += f" UNION ALL SELECT call_id, agent, answered_at, channel FROM {_read(files)}"
    if sql("FROM inferred_ends LIMIT 1").fetchone():
        sql(NAME_WHAT_CLOSED.format(events=events, answered=answered))
        sql("DELETE FROM inferred_ends")
        sql("INSERT INTO inferred_ends BY NAME FROM named_ends")
    _adopt(connection, data_dir, archived_files(data_dir) - counted, events)
    sql("UPDATE layout SET version = ?", [LAYOUT])


def _adopt(connection: duckdb.DuckDBPyConnection, data_dir: Path, unknown: Set[Path], known: str) -> None:
    """Take for replaced the files that layout 1 did not name, if no event is in them that the store does not know."""
    if files := [file for file in unknown if file.parent.parent.name == EVENTS]:
        news = f"SELECT event_id FROM {_read(files)} ANTI JOIN ({known}) USING (event_id) LIMIT 1"
        if connection.execute(news).fetchone():
            return  # they belong to another store, or a later one: it is refused for them
    elif not connection.execute("FROM segments LIMIT 1").fetchone():
        return
    for file in unknown:
        relation = file.parent.parent.name
        name = str(file.relative_to(folder_of(data_dir, relation)))
        connection.execute("INSERT INTO replaced_files VALUES (?, ?)", [relation, name])


def _read(files: list[Path]) -> str:
    return f"read_parquet([{', '.join(map(quoted, sorted(files)))}])"
