"""Fields that few sources write: where no event has one, no fold and no judging reads JSON for it."""

import duckdb

from ingest.events import contract

FIELDS = ("lasts_s", "wait_unknown")
LOOK = """
SELECT coalesce(bool_or(CASE WHEN type IN {types} THEN contains(raw, '"{field}"') END), false) FROM {events}
"""


class RareFields:
    """Keeps for each field the session variable `has_…`: whether any event that `look` has seen may have it.

    DuckDB plans a query with the variable's value as a constant, so what depends on a field that no event has costs
    nothing.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._sql = connection.execute
        self._unseen = set(FIELDS)
        for field in FIELDS:
            self._sql(f"SET VARIABLE has_{field} = false")

    def look(self, events: str) -> None:
        """Look at the events of a table that are about to be folded."""
        for field in sorted(self._unseen):
            types = contract.types_with(field)
            ((is_there,),) = self._sql(LOOK.format(types=types, field=field, events=events)).fetchall()
            if is_there:
                self._unseen.remove(field)
                self._sql(f"SET VARIABLE has_{field} = true")
