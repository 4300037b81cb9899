"""The classes that the modules of this package declare: measures, which add up, and KPIs, which are computed from them.

A KPI is declared once, as sums of measures. Its SQL, its formula text, the fraction on a page and the list of its calls
are derived from that declaration.
"""

from collections.abc import Mapping
from dataclasses import dataclass

RATIO = "ratio 0–1"
SECONDS = "s"


@dataclass(frozen=True)
class Tally:
    """A count or a sum over the calls of one row of tallies (`metrics.kpis.tallies`), as a column called `name`.

    `total` aggregates the rows of `calls` for which `where` is true; `of` is the aggregate that combines tallies.
    """

    name: str
    total: str
    where: str = ""
    of: str = "sum"

    @property
    def sql(self) -> str:
        return f"{self.total} FILTER (WHERE {self.where})" if self.where else self.total


@dataclass(frozen=True)
class Aggregate:
    """`sql` is an aggregate over a tally of calls, or over pieces of agents' time, which have no `tally`.

    `calls` is the condition of the calls that it counts: SQL over a row of `calls` with `tallies.FACTS` and
    `service_level.FACTS`. None: it does not count calls.
    """

    sql: str
    calls: str | None = None
    tally: Tally | None = None


@dataclass(frozen=True)
class Measure:
    """A count, or a number of seconds, that can be added over calls, agents, campaigns and windows.

    `total` is an aggregate over tallies of calls (`metrics.kpis.tallies`) or pieces of agents' time
    (`metrics.kpis.agent_time`). Anything other than a count, such as seconds, is added in whole millionths, so that the
    sum does not depend on the order of its parts.
    """

    name: str
    total: Aggregate
    unit: str  # "calls", "agents", "s", "calls, not whole"
    meaning: str
    zero: bool = True  # 0 if there is nothing to add; False, for an aggregate that is not a sum: NULL
    by_agent: bool = False  # all that it counts belongs to an agent, such as calls that one answered

    @property
    def sql(self) -> str:
        return self.total.sql

    @property
    def is_count(self) -> bool:
        return self.unit in ("calls", "agents")

    @property
    def summed(self) -> str:
        """Its column in the relations of sums, which have whole numbers only: counts, microseconds, millionths."""
        if self.is_count:
            return self.name
        return f"{self.name.removesuffix('_s')}_us" if self.unit == "s" else f"{self.name}_e6"

    @property
    def of(self) -> str:
        """The aggregate that combines its sums."""
        return self.total.tally.of if self.total.tally else "sum"


@dataclass(frozen=True)
class Sum:
    """Names of measures: those that are added, and those that are subtracted."""

    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        return " - ".join((" + ".join(self.plus), *self.minus))

    @property
    def measures(self) -> tuple[str, ...]:
        return self.plus + self.minus

    @property
    def signed(self) -> tuple[tuple[int, str], ...]:
        """Each measure after its sign, 1 or -1."""
        return tuple((1, name) for name in self.plus) + tuple((-1, name) for name in self.minus)

    def calls(self, measures: Mapping[str, Measure]) -> str | None:
        """Return the SQL condition for the calls that this sum counts; None if it does not count calls."""
        conditions = {name: measures[name].total.calls for name in self.measures}
        if None in conditions.values():
            return None
        counted = " OR ".join(f"({conditions[name]})" for name in self.plus)
        if not self.minus:
            return counted
        if len(self.plus) > 1:
            counted = f"({counted})"
        return " AND ".join((counted, *(f"({conditions[name]}) IS NOT TRUE" for name in self.minus)))


def sum_of(*plus: str, less: tuple[str, ...] = ()) -> Sum:
    """Return the sum of the measures `plus` minus the measures `less`."""
    return Sum(plus, less)


def ratio(numerator: Sum, denominator: Sum) -> str:
    """Return SQL for a ratio of sums, NULL when the denominator is 0."""
    return f"{_side(numerator)} / nullif({denominator.sql}, 0)"


def fraction(numerator: Sum, denominator: Sum) -> str:
    """Return a ratio of sums as text."""
    return f"{_side(numerator)} / {_side(denominator)}"


def _side(side: Sum) -> str:
    return f"({side.sql})" if len(side.measures) > 1 else side.sql


@dataclass(frozen=True)
class Printed:
    """The formula by which another system computes a figure, over the same calls; `how` describes it in words."""

    system: str
    numerator: Sum
    denominator: Sum
    how: str

    @property
    def sql(self) -> str:
        return ratio(self.numerator, self.denominator)


@dataclass(frozen=True)
class Kpi:
    """A figure computed from sums of measures.

    Without a denominator, the figure is the numerator. `times` multiplies the ratio: 3600 gives a rate per hour from a
    denominator in seconds. If `is_equation`, the figure is whether both sides are equal.
    """

    name: str
    numerator: Sum
    denominator: Sum | None
    unit: str  # RATIO, SECONDS, "true or false", …
    undefined: str  # when the figure is NULL
    source: str
    note: str = ""  # what the formula alone does not show
    times: int = 1
    is_equation: bool = False
    by_contract: bool = False  # the terms of the contract decide which calls it counts
    beside: tuple[str, ...] = ()  # measures that explain the figure but are not in its formula
    elsewhere: tuple[Printed, ...] = ()

    @property
    def sql(self) -> str:
        if self.denominator is None:
            return self.numerator.sql
        if self.is_equation:
            return f"{self.numerator.sql} = {self.denominator.sql}"
        return (f"{self.times} * " if self.times != 1 else "") + ratio(self.numerator, self.denominator)

    @property
    def formula(self) -> str:
        """The formula in columns of the KPI relations, followed by the note."""
        formula = self.sql
        if self.denominator is not None and not self.is_equation:
            formula = fraction(self.numerator, self.denominator) + (f" * {self.times}" if self.times != 1 else "")
        return formula + (f": {self.note}" if self.note else "")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The measures in its formula and those beside it, each once."""
        divisors = self.denominator.measures if self.denominator else ()
        return tuple(dict.fromkeys((*self.numerator.measures, *divisors, *self.beside)))

    def by_agent(self, measures: Mapping[str, Measure]) -> bool:
        """Return whether the figure exists by agent: all that is in its formula does."""
        return all(measures[name].by_agent for name in self.inputs)

    def calls(self, measures: Mapping[str, Measure]) -> str | None:
        """Return the SQL condition for the calls in its denominator; None if it is computed from agents' time."""
        return (self.denominator or self.numerator).calls(measures)
