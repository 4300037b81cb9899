"""The agents who worked for a campaign on one of its days, with their figures for that day and campaign only.

A client sees only the number of agents, and nothing about one of them: `metrics.authorisation.suppression`.
"""

from dataclasses import dataclass
from datetime import date

from metrics.authorisation.suppression import SMALLEST
from metrics.authorisation.viewer import Viewer
from metrics.readers import wall
from metrics.readers.campaigns import Campaign
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

SHIFTS = """
SELECT campaign, agent, coalesce(a.name, agent), a.team, a.site, logged_in_s, paused_s, answered, aht_s, occupancy,
       utilisation, coalesce(missed, 0)
FROM kpi_agent_campaign($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
    FULL JOIN agent_missed($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ) USING (agent, campaign)
    LEFT JOIN (SELECT agent, name, team, site FROM agents) AS a USING (agent)
ORDER BY campaign, lower(coalesce(a.name, agent)), agent
"""


@dataclass(frozen=True, slots=True)
class Shift:
    """An agent's day for a campaign: times [s], ratios 0–1. They are None for an agent who only missed calls.

    `missed` is the number of offers that they did not pick up.
    """

    agent: str
    name: str
    team: str | None
    site: str | None
    logged_in_s: float | None
    paused_s: float | None
    answered: int | None
    aht_s: float | None
    occupancy: float | None
    utilisation: float | None
    missed: int


@dataclass(frozen=True, slots=True)
class Shifts:
    """The agents who worked for a campaign on a day, by name. `shifts` None: the viewer may not see who they are.

    `people` is their number, even if `shifts` is None. None: there are too few to tell a client.
    """

    freshness: Freshness
    campaign: Campaign
    people: int | None
    shifts: tuple[Shift, ...] | None


def shifts(published: Published, viewer: Viewer, campaign: str, day: date) -> Shifts | None:
    """Return the agents who were logged in for the campaign on this local day, missed a call of it or worked on one.

    None: nothing is published, or the viewer may not see the campaign. A viewer limited to sites sees only their
    agents.
    """
    visible = wall.campaign(published, viewer, campaign, day)
    if visible is None:
        return None
    # campaigns whose days begin at the same instant share a query
    answer = published.ask(("shifts", visible.t0, visible.t1), lambda s: _shifts(s, visible), SLOW_S)
    if answer is None:
        return None
    freshness, by_campaign = answer
    everybody = by_campaign.get(campaign, ())
    if viewer.role == "client":
        people = len(everybody)
        return Shifts(freshness, visible, None if 0 < people < SMALLEST else people, None)
    named = tuple(shift for shift in everybody if viewer.names_agents_of(shift.site))
    return Shifts(freshness, visible, len(named), named)


def _shifts(snapshot: Snapshot, day: Campaign) -> tuple[Freshness, dict[str, tuple[Shift, ...]]]:
    by_campaign: dict[str, list[Shift]] = {}
    for campaign, *row in fetch(snapshot.connection, SHIFTS, t0=day.t0, t1=day.t1):
        by_campaign.setdefault(campaign, []).append(Shift(*row))
    return snapshot.freshness, {campaign: tuple(shifts) for campaign, shifts in by_campaign.items()}
