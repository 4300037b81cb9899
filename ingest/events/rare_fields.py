"""Fields that few sources write: where no event has one, no fold and no judging reads JSON for it."""

import itertools

import duckdb

from ingest.events import contract

FIELDS = ("lasts_s", "wait_unknown")
IS_THERE = """
coalesce(bool_or(CASE WHEN type IN {types} THEN contains(raw, '{field}') OR {escaped} END), false)"""
ESCAPED = r"(contains(raw, '\u00') AND regexp_matches(raw, '\\u00[2-7]'))"
"""JSON may write any letter of a name as its number."""


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
        if not self._unseen:
            return
        fields = sorted(self._unseen)
        columns = (IS_THERE.format(types=contract.types_with(field), field=field, escaped=ESCAPED) for field in fields)
        (are_there,) = self._sql(f"SELECT {', '.join(columns)} FROM {events}").fetchall()
        for field in itertools.compress(fields, are_there):
            self._unseen.remove(field)
            self._sql(f"SET VARIABLE has_{field} = true")
