"""What the modules of this package declare: numbers that add up, and ratios made of them last."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A count, or a number of seconds, that may be added over calls, agents, campaigns and windows.

    `sql` is an aggregate over tallies of calls (`metrics.tallies`) or pieces of agents' time (`metrics.agent_time`).
    What is no count, such as seconds, is added as whole millionths: the sum does not depend on the order of its parts.
    """

    name: str
    sql: str
    unit: str  # "calls", "agents", "s", "calls, not whole"
    meaning: str
    zero: bool = True  # nothing to add is 0; else NULL, for what is not a sum

    @property
    def is_count(self) -> bool:
        return self.unit in ("calls", "agents")


@dataclass(frozen=True)
class Kpi:
    """A figure computed from sums: `sql` names measures, and only measures."""

    name: str
    sql: str
    unit: str  # "ratio 0–1", "s", "true or false"
    formula: str
    undefined: str  # when the figure is NULL
    source: str
    inputs: tuple[str, ...]


def ratio(numerator: str, denominator: str) -> str:
    """Return SQL for a ratio of sums that is NULL when there is nothing to divide by."""
    return f"({numerator}) / nullif({denominator}, 0)"


def tally(column: str, where: str = "") -> str:
    """Return SQL that adds a column of the tallies, over those of which `where` is true."""
    return f"sum({column}) FILTER (WHERE {where})" if where else f"sum({column})"
