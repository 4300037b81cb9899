"""Tallies: calls grouped by the columns that the measures distinguish, and counted and added up in one pass.

A day of 25,000 calls becomes a few hundred rows; the measures of this package are sums over those rows. A row holds the
calls of one key (campaign, queue, agent, …) with the same `direction`, `outcome`, `formula` and `in_threshold`.
"""

from metrics.kpis.kpi import Aggregate, Tally

BY = "direction, outcome, formula, in_threshold"

HANDLED = "handle_s IS NOT NULL"  # answered, and talk has ended

CALLS = Tally("calls", "count(*)")


def millionths(column: str, of: str = "sum") -> str:
    """Return the aggregate `of` a column, in whole millionths: times in microseconds, targets and scores."""
    return f"{of}(CAST(round({column} * 1e6) AS BIGINT))"


# conditions on a row of tallies that measures use
FACTS = {
    "inbound": "direction IS DISTINCT FROM 'outbound'",
    "inside": "outcome = 'open' AND in_threshold IS TRUE",  # still waiting, and can still be answered in time
}


def added(tally: Tally, where: str = "") -> Aggregate:
    """Return the aggregate that adds up a tally over the rows for which `where` is true."""
    total = f"{tally.of}({tally.name})"
    conditions = " AND ".join(condition for condition in (where, tally.where) if condition)
    return Aggregate(f"{total} FILTER (WHERE {where})" if where else total, conditions or "true", tally)
