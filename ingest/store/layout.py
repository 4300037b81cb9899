"""The layout (version of the tables) of a store, and the upgrade of a store that an older Vigie wrote.

0   Settled events were in a table of the store. Only `rebuild` reads it.
1   Corrected events were written to merged files again: a store with corrections may count them twice. Nothing recorded
    what had closed a settled call.
2   Files are deleted only when the store names them as replaced; what closed a settled call is recorded. Events had
    phone numbers.
3   No phone number is in the store or in its files.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from ingest.archive import inventory
from ingest.archive.inventory import EVENTS, PUBLISHED, Inventory, read_files, relation_of

log = logging.getLogger(__name__)

LAYOUT = 3
WITHOUT_NUMBERS = 3
ALL = (EVENTS, *PUBLISHED)
IDENTITY = {EVENTS: "event_id, revision, raw", "dead_letters": 'topic, "partition", "offset", line'}

#: Finds what closed a settled call: the agent's step at the call's end. Too many steps do no harm.
NAME_WHAT_CLOSED = """
CREATE OR REPLACE TEMP TABLE unnamed_ends AS
SELECT DISTINCT call_id, agent, answered_at, ended_at, day FROM inferred_ends;
CREATE OR REPLACE TEMP TABLE named_ends AS
SELECT u.*, e.event_id AS closed_by_event, NULL::VARCHAR AS closed_by_call
FROM unnamed_ends u
JOIN ({events}) e ON e.agent = u.agent AND e.ts = u.ended_at AND e.type = 'agent.state' AND e.state != 'busy'
UNION ALL
SELECT u.*, NULL, c.call_id
FROM unnamed_ends u
JOIN ({answered}) c ON c.agent = u.agent AND c.answered_at = u.ended_at AND c.channel = 'voice';
INSERT INTO named_ends SELECT *, NULL, NULL FROM unnamed_ends ANTI JOIN named_ends USING (call_id);
"""
EVENTS_HERE = "SELECT event_id, agent, ts, type, state FROM events"
ANSWERED_HERE = "SELECT call_id, agent, answered_at, channel FROM calls WHERE answered_at IS NOT NULL"


def tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The names of the tables of the store, which is the connection's default catalog."""
    named = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    return {name for (name,) in connection.execute(named).fetchall()}


def version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The layout of the store, which is the connection's default catalog; None for an empty store."""
    names = tables(connection)
    if "archived_events" in names:
        return 0
    if "layout" in names:
        ((version,),) = connection.execute("SELECT max(version) FROM layout").fetchall()
        return int(version) if version is not None else 1
    return 1 if "positions" in names else None


def upgrade(connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
    """Upgrade a store from layout 1 to 2, in the open transaction. Events that it counts twice stay so."""
    sql = connection.execute
    for column in ("closed_by_event", "closed_by_call"):
        sql(f"ALTER TABLE inferred_ends ADD COLUMN IF NOT EXISTS {column} VARCHAR")
    files = inventory.take(connection, data_dir)
    counted = {relation: [f for f in files.counted & files.there if relation_of(f) == relation] for relation in ALL}
    if sql("FROM inferred_ends LIMIT 1").fetchone():
        events, answered = EVENTS_HERE, ANSWERED_HERE
        if counted[EVENTS]:
            events += f" UNION ALL SELECT event_id, agent, ts, type, state FROM {read_files(counted[EVENTS])}"
        if counted["calls"]:
            answered += f" UNION ALL SELECT call_id, agent, answered_at, channel FROM {read_files(counted['calls'])}"
        sql(NAME_WHAT_CLOSED.format(events=events, answered=answered))
        sql("DELETE FROM inferred_ends")
        sql("INSERT INTO inferred_ends BY NAME FROM named_ends")
    if files.unknown and _holds_nothing_new(connection, files, counted):
        for file in sorted(files.unknown):
            sql("INSERT INTO replaced_files VALUES (?, ?)", [relation_of(file), inventory.name_of(data_dir, file)])
    sql("UPDATE layout SET version = 2")


def _holds_nothing_new(
    connection: duckdb.DuckDBPyConnection, files: Inventory, counted: Mapping[str, Sequence[Path]]
) -> bool:
    """Whether the store has everything that is in the unknown files: then these are files that layout 1 had replaced.

    Events and dead letters are compared row by row; calls and states are made from events. A file that cannot be read
    was never finished.
    """
    if not any(counted.values()):
        return False
    for relation, columns in IDENTITY.items():
        stored = f"SELECT {columns} FROM {relation}"
        if counted[relation]:
            stored += f" UNION ALL SELECT {columns} FROM {read_files(counted[relation])}"
        for file in files.unknown:
            if relation_of(file) == relation:
                new_rows = f"FROM {read_files([file])} ANTI JOIN ({stored}) USING ({columns}) LIMIT 1"
                try:
                    if connection.execute(new_rows).fetchone():
                        return False
                except duckdb.InvalidInputException:
                    log.warning("%s is not a complete Parquet file: it was never finished", file)
    return True
