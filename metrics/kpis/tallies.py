"""Tallies: calls grouped by the columns that the measures distinguish, and counted and added up in one pass.

A day of 25,000 calls becomes a few hundred rows; the measures of this package are sums over those rows. A row holds the
calls of one key (campaign, queue, agent, …) with the same `direction`, `outcome`, `formula` and `in_threshold`.
"""

from dataclasses import dataclass

from metrics.kpis.kpi import Aggregate

BY = "direction, outcome, formula, in_threshold"

HANDLED = "handle_s IS NOT NULL"  # answered, and talk has ended
CONNECTED = "connected_at IS NOT NULL"


@dataclass(frozen=True)
class Tally:
    """`total` aggregates the rows of `calls` for which `where` is true; `of` is the aggregate that combines tallies."""

    total: str
    where: str = ""
    of: str = "sum"

    @property
    def sql(self) -> str:
        return f"{self.total} FILTER (WHERE {self.where})" if self.where else self.total


def _millionths(column: str, of: str = "sum") -> str:
    return f"{of}(CAST(round({column} * 1e6) AS BIGINT))"


# times are in whole microseconds, targets and scores in whole millionths
TALLIES = {
    "calls": Tally("count(*)"),
    "targets": Tally(_millionths("target")),
    "waited": Tally(_millionths("wait_s")),
    "waits": Tally("count(*)", "wait_s IS NOT NULL"),
    "longest": Tally(_millionths("wait_s", "max"), of="max"),
    "handled_calls": Tally("count(*)", HANDLED),
    "transfers": Tally("count(*)", f"{HANDLED} AND transferred"),
    "sold": Tally("count(*)", f"{HANDLED} AND sale"),
    "talked": Tally(_millionths("talk_s"), HANDLED),
    "held": Tally(_millionths("hold_s"), HANDLED),
    "wrapped": Tally(_millionths("wrap_s"), HANDLED),
    "rated_calls": Tally("count(*)", "score IS NOT NULL"),
    "satisfied_calls": Tally("count(*)", "score >= 4"),
    "scores": Tally(_millionths("score"), "score IS NOT NULL"),
    "picked_up": Tally("count(*)", CONNECTED),
    "people": Tally("count(*)", f"{CONNECTED} AND answered_by IS DISTINCT FROM 'machine'"),
}

# conditions on a row of tallies that measures use
FACTS = {
    "inbound": "direction IS DISTINCT FROM 'outbound'",
    "inside": "outcome = 'open' AND in_threshold IS TRUE",  # still waiting, and can still be answered in time
}


def tally(name: str, where: str = "") -> Aggregate:
    """Return the aggregate that adds up a tally over the rows for which `where` is true."""
    added = f"{TALLIES[name].of}({name})"
    conditions = [condition for condition in (where, TALLIES[name].where) if condition]
    return Aggregate(f"{added} FILTER (WHERE {where})" if where else added, " AND ".join(conditions) or "true")
