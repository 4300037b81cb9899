"""The extent of the settled rows, kept in the store, so that no publish reads the files of past days for it.

`late_answers`: days whose calls were answered more than a day away, for metrics.kpis.agent_time.answered_between.
`first_states`: when agents' time begins in each campaign, for the first day of `kpi_daily`.
"""

import datetime as dt

import duckdb

from ingest import statements

EXTENT = statements.read_parts("archive/extent.sql")
LATE_ANSWERS = EXTENT["late_answers"]
FIRST_STATES = EXTENT["first_states"]
ADD_LATE_ANSWERS = EXTENT["add_late_answers"].format(late_answers=LATE_ANSWERS.format(calls="FROM settled_calls"))
ADD_FIRST_STATES = EXTENT["add_first_states"].format(first_states=FIRST_STATES.format(states="FROM settled_states"))


def make(connection: duckdb.DuckDBPyConnection, calls: str | None, states: str | None) -> None:
    """Create the tables if the store lacks them, from its settled rows (SELECTs; None: there are none)."""
    late_answers = LATE_ANSWERS.format(calls=calls or EXTENT["no_calls"])
    first_states = FIRST_STATES.format(states=states or EXTENT["no_states"])
    connection.execute(EXTENT["make"].format(late_answers=late_answers, first_states=first_states))


def add_settled(connection: duckdb.DuckDBPyConnection) -> None:
    """Add what is in settled_calls and settled_states."""
    connection.execute(ADD_LATE_ANSWERS)
    connection.execute(ADD_FIRST_STATES)


def take_recalled(connection: duckdb.DuckDBPyConnection) -> dt.date | None:
    """Forget the first states that are recalled with stretches_to_recall; return their first UTC date, None for none.

    After that, note_recalled_first_states has to find the campaigns' first states again.
    """
    connection.execute(EXTENT["take_recalled"])
    first: dt.date | None
    ((first,),) = connection.execute(EXTENT["first_recalled"]).fetchall()
    return first


def note_recalled_first_states(connection: duckdb.DuckDBPyConnection, states: str) -> bool:
    """Find the first state, among the settled `states`, of each campaign that take_recalled has forgotten.

    `states` are those of some days from the first on. Return whether all were found; if not, ask again with more days.
    """
    still_sought = EXTENT["still_sought"]
    sought = FIRST_STATES.format(states=EXTENT["states_sought"].format(states=states, still_sought=still_sought))
    connection.execute(EXTENT["note_first_states"].format(first_states=sought))
    return not connection.execute(still_sought).fetchall()
