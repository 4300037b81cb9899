"""Groups of people too small to be told of: hidden, together with what would give them away.

A figure of how few people work shows a person. Hidden alone it could still be computed, from the total and the groups
that are shown; so as much more is hidden as it takes for what is hidden to be the work of SMALLEST people at least.

A client is told how people work of whole months only (`metrics.readers.sla`), and no figure of WORK_FIGURES of less:
what one stretch of time shows, less what a part of it shows, is the rest, and that may be one person's call.
"""

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

from metrics.authorisation.viewer import Viewer
from metrics.kpis import agent_time, handling
from metrics.kpis.compose import KPIS

SMALLEST = 5
"""Fewer people than these are not told of."""

_TIME = frozenset(
    measure.name
    for measure in (*handling.MEASURES, *agent_time.STATE_MEASURES, *agent_time.WORK_MEASURES)
    if measure.unit == "s"
)
WORK_FIGURES = _TIME | {kpi.name for kpi in KPIS.values() if not _TIME.isdisjoint(kpi.inputs)}
"""How long people work, in columns of the KPI relations: handling and agents' time, and the figures made of them."""

Group = TypeVar("Group", bound=Hashable)


def may_show(viewer: Viewer, column: str) -> bool:
    """Whether a viewer may be told a column of the KPI relations of less than a whole month."""
    return viewer.sees_work or column not in WORK_FIGURES


def hidden(groups: Mapping[Group, AbstractSet[str]], never: AbstractSet[Group] = frozenset()) -> frozenset[Group]:
    """Return the groups to hide, of all that add up to a total which is shown; `groups` are the people in each.

    `never` are groups that are not shown anyhow. The smallest of the others go first; of equals, the later.
    """
    away = {group for group, people in groups.items() if group in never or 0 < len(people) < SMALLEST}
    people: set[str] = set().union(*(groups[group] for group in away))
    left = sorted((group for group in groups if group not in away), key=lambda group: -len(groups[group]))
    while 0 < len(people) < SMALLEST and left:
        group = left.pop()
        away.add(group)
        people |= groups[group]
    return frozenset(away)


def pooled(calls: Mapping[str, int]) -> frozenset[str]:
    """Return the people who are told of only together; `calls` is how many each handled.

    Who handled fewer than SMALLEST could be known by them, by whoever remembers one. People with more go with them
    until they are SMALLEST; when there are not as many, all are returned, and together they are not told of either.
    """
    by_calls = sorted(calls, key=lambda person: (calls[person], person))
    few = sum(n < SMALLEST for n in calls.values())
    return frozenset(by_calls[: max(few, SMALLEST) if few or len(calls) < SMALLEST else 0])
