"""The extent of the settled rows, kept in the store, so that no publish reads the files of past days for it.

`late_answers`: days whose calls were answered more than a day away, for metrics.kpis.agent_time.answered_between.
`first_states`: when agents' time begins in each campaign, for the first day of `kpi_daily`.
"""

import datetime as dt

import duckdb

LATE_ANSWERS = """
SELECT DISTINCT day, make_timestamp(epoch_us(answered_at))::DATE AS answered_on
FROM ({calls})
WHERE answered_on - day NOT BETWEEN -1 AND 1
"""
FIRST_STATES = """
SELECT campaign, arg_min(agent, started_at) AS agent, min(started_at) AS started_at
FROM ({states})
WHERE state != 'offline' AND campaign IS NOT NULL
GROUP BY campaign
"""
NO_CALLS = "SELECT NULL::DATE AS day, NULL::TIMESTAMPTZ AS answered_at LIMIT 0"
NO_STATES = (
    "SELECT NULL::VARCHAR AS campaign, NULL::VARCHAR AS agent, NULL::VARCHAR AS state,"
    " NULL::TIMESTAMPTZ AS started_at LIMIT 0"
)
MAKE = f"""
CREATE TABLE IF NOT EXISTS late_answers AS {LATE_ANSWERS};
COMMENT ON TABLE late_answers IS 'Of settled calls. Recalled calls may be among them: it only costs reading their day.';
CREATE TABLE IF NOT EXISTS first_states AS {FIRST_STATES};
COMMENT ON TABLE first_states IS 'The first settled state of each campaign that is not offline.';
"""
ADD_SETTLED = f"""
INSERT INTO late_answers ({LATE_ANSWERS.format(calls="FROM settled_calls")}) EXCEPT FROM late_answers;
MERGE INTO first_states
USING ({FIRST_STATES.format(states="FROM settled_states")}) AS s USING (campaign)
WHEN MATCHED AND s.started_at < first_states.started_at THEN UPDATE SET agent = s.agent, started_at = s.started_at
WHEN NOT MATCHED THEN INSERT;
"""
TAKE_RECALLED = """
CREATE OR REPLACE TEMP TABLE recalled_first_states AS
SELECT f.campaign, f.started_at
FROM first_states f
JOIN stretches_to_recall s USING (agent)
WHERE f.started_at >= s.from_at AND (s.until_at IS NULL OR f.started_at < s.until_at);
DELETE FROM first_states WHERE campaign IN (SELECT campaign FROM recalled_first_states);
"""
STILL_SOUGHT = "SELECT campaign FROM recalled_first_states EXCEPT SELECT campaign FROM first_states"
FIRST_RECALLED = "SELECT make_timestamp(epoch_us(min(started_at)))::DATE FROM recalled_first_states"


def make(connection: duckdb.DuckDBPyConnection, calls: str | None, states: str | None) -> None:
    """Create the tables if the store lacks them, from its settled rows (SELECTs; None: there are none)."""
    connection.execute(MAKE.format(calls=calls or NO_CALLS, states=states or NO_STATES))


def add_settled(connection: duckdb.DuckDBPyConnection) -> None:
    """Add what is in settled_calls and settled_states."""
    connection.execute(ADD_SETTLED)


def take_recalled(connection: duckdb.DuckDBPyConnection) -> dt.date | None:
    """Forget the first states that are recalled with stretches_to_recall; return their first UTC date, None for none.

    After that, note_recalled_first_states has to find the campaigns' first states again.
    """
    connection.execute(TAKE_RECALLED)
    first: dt.date | None
    ((first,),) = connection.execute(FIRST_RECALLED).fetchall()
    return first


def note_recalled_first_states(connection: duckdb.DuckDBPyConnection, states: str) -> bool:
    """Find the first state, among the settled `states`, of each campaign that take_recalled has forgotten.

    `states` are those of some days from the first on. Return whether all were found; if not, ask again with more days.
    """
    of_campaigns = f"SELECT * FROM ({states}) WHERE campaign IN (FROM ({STILL_SOUGHT}))"
    connection.execute(f"INSERT INTO first_states {FIRST_STATES.format(states=of_campaigns)}")
    return not connection.execute(STILL_SOUGHT).fetchall()
