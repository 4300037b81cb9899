"""Hides figures about small groups of people, and other figures from which they could be computed.

A figure about how a few people work reveals individuals. If only that figure were hidden, it could still be computed
from the total and the other groups. So more groups are hidden, until the hidden ones have at least SMALLEST people
together.

A client sees how people work for whole months only (`metrics.readers.contract.sla`), and none of WORK_FIGURES for
shorter periods. Otherwise the difference between a period and a part of it could show one person's call.
"""

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

from metrics.authorisation.viewer import Viewer
from metrics.composition.figures import KPIS
from metrics.kpis import agent_time, handling

SMALLEST = 5
"""Figures about fewer people than this are hidden."""

_TIME = frozenset(
    measure.name
    for measure in (*handling.MEASURES, *agent_time.STATE_MEASURES, *agent_time.WORK_MEASURES)
    if measure.unit == "s"
)
_MADE_OF_TIME = {kpi.name for kpi in KPIS.values() if not _TIME.isdisjoint(kpi.inputs)}
WORK_FIGURES = _TIME | _MADE_OF_TIME | frozenset(agent_time.AGENTS)
"""Columns of the KPI relations about how long people work: handling, agents' time, and what is computed from them."""

Group = TypeVar("Group", bound=Hashable)


def may_show(viewer: Viewer, column: str) -> bool:
    """Whether a viewer may see this column of the KPI relations for less than a whole month."""
    return viewer.sees_work or column not in WORK_FIGURES


def hidden(groups: Mapping[Group, AbstractSet[str]], never: AbstractSet[Group] = frozenset()) -> frozenset[Group]:
    """Return the groups to hide. `groups` has the people of every group in a total that is shown.

    `never` are groups that are hidden anyway. If more must be hidden, the smallest are chosen first; among equals, the
    later one.
    """
    hiding = {group for group, people in groups.items() if group in never or 0 < len(people) < SMALLEST}
    people: set[str] = set().union(*(groups[group] for group in hiding))
    candidates = sorted((group for group in groups if group not in hiding), key=lambda group: -len(groups[group]))
    while 0 < len(people) < SMALLEST and candidates:
        group = candidates.pop()
        hiding.add(group)
        people |= groups[group]
    return frozenset(hiding)


def pooled(calls: Mapping[str, int]) -> frozenset[str]:
    """Return the people whose figures are shown only as one group; `calls` is the number that each handled.

    An agent with fewer than SMALLEST calls could be recognised by anyone who remembers one of the calls. Agents with
    the next fewest calls join them until the group has SMALLEST people. If there are fewer people than that, all are
    returned, and even the group's figures are not shown.
    """
    by_calls = sorted(calls, key=lambda person: (calls[person], person))
    few = sum(n < SMALLEST for n in calls.values())
    return frozenset(by_calls[: max(few, SMALLEST) if few or len(calls) < SMALLEST else 0])
