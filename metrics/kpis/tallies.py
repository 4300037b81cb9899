"""Tallies: calls counted and added up by what the measures tell apart, before anything else is asked of them.

A day of 25,000 calls becomes a few hundred rows in one pass; the measures of this package are sums over them. A row
holds the calls of one key (campaign, queue, agent, …) that share `direction`, `outcome`, `formula` and `in_threshold`.
"""

from dataclasses import dataclass

from metrics.kpis.kpi import Aggregate

BY = "direction, outcome, formula, in_threshold"

HANDLED = "handle_s IS NOT NULL"  # answered, and talk has ended
CONNECTED = "connected_at IS NOT NULL"


@dataclass(frozen=True)
class Tally:
    """`total` is an aggregate over the rows of `calls` of which `where` is true; `of` adds up tallies."""

    total: str
    where: str = ""
    of: str = "sum"

    @property
    def sql(self) -> str:
        return f"{self.total} FILTER (WHERE {self.where})" if self.where else self.total


def _millionths(column: str, of: str = "sum") -> str:
    return f"{of}(CAST(round({column} * 1e6) AS BIGINT))"


# times are whole microseconds, targets and scores whole millionths
TALLIES = {
    "calls": Tally("count(*)"),
    "asked": Tally(_millionths("target")),
    "waited": Tally(_millionths("wait_s")),
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

# what the measures ask of a row of tallies
FACTS = {
    "inbound": "direction IS DISTINCT FROM 'outbound'",
    "inside": "outcome = 'open' AND in_threshold IS TRUE",  # still waiting, and may still be answered in time
}


def tally(name: str, where: str = "") -> Aggregate:
    """Return what adds up a tally, over those rows of which `where` is true."""
    added = f"{TALLIES[name].of}({name})"
    conditions = [condition for condition in (where, TALLIES[name].where) if condition]
    return Aggregate(f"{added} FILTER (WHERE {where})" if where else added, " AND ".join(conditions) or "true")
