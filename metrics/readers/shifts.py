"""Who worked for a campaign on one of its days, and their figures of that day, of that campaign only.

A client is told how many they were, and nothing of what one of them did: `metrics.authorisation.suppression`.
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
    """An agent's day for a campaign: times [s], ratios 0–1; None where nothing is known, as of who only missed calls.

    `missed` are the calls that were offered to them and that they did not pick up.
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
    """Who worked for a campaign on a day, by name; `shifts` None: the viewer may not know who.

    `people` is how many they are, in `shifts` or not; None: so few that a client is not told.
    """

    freshness: Freshness
    campaign: Campaign
    people: int | None
    shifts: tuple[Shift, ...] | None


def shifts(published: Published, viewer: Viewer, campaign: str, day: date) -> Shifts | None:
    """Return who was logged in for a campaign on a local day of it, was offered one of its calls or worked on one.

    None: nothing is published, or the viewer has no such campaign. Who is limited to sites is told of the agents there.
    """
    one = wall.campaign(published, viewer, campaign, day)
    if one is None:
        return None
    # campaigns whose days begin at the same instant share a query
    asked = published.ask(("shifts", one.t0, one.t1), lambda s: _shifts(s, one), SLOW_S)
    if asked is None:
        return None
    freshness, found = asked
    everybody = found.get(campaign, ())
    if viewer.role == "client":
        n = len(everybody)
        return Shifts(freshness, one, None if 0 < n < SMALLEST else n, None)
    told = tuple(shift for shift in everybody if viewer.names_agents_of(shift.site))
    return Shifts(freshness, one, len(told), told)


def _shifts(snapshot: Snapshot, day: Campaign) -> tuple[Freshness, dict[str, tuple[Shift, ...]]]:
    found: dict[str, list[Shift]] = {}
    for campaign, *row in fetch(snapshot.connection, SHIFTS, t0=day.t0, t1=day.t1):
        found.setdefault(campaign, []).append(Shift(*row))
    return snapshot.freshness, {campaign: tuple(shifts) for campaign, shifts in found.items()}
