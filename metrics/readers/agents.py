"""The agents on the floor: what each is doing now, their figures today, and who most needs support or a break.

Only managers and analysts get an answer. A viewer limited to sites sees only the agents there. A viewer limited to
campaigns sees the agents who work for those campaigns today, with their figures for those campaigns. An agent's current
state and strain are shown only while they work for one of those campaigns. Strain then covers all their work, because
the person is tired whatever campaign it was. While they work for another client, they are "elsewhere" without any
details.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from metrics.authorisation.viewer import Viewer
from metrics.composition.figures import KPIS
from metrics.configuration.campaigns import AgentLimits
from metrics.readers.campaigns import Campaign, campaigns_on
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

NEEDS = ("hold", "break_due", "call", "too_busy", "wrap_up", "pause", "missed", "rest_due", "streak", "busy", "before")
"""Reasons why an agent needs somebody, the most urgent first."""
STATES = ("busy", "wrap_up", "available", "paused", "elsewhere", "offline")
AWAY = ("elsewhere", "offline")
"""States of agents who are not working for the viewer's campaigns now."""

NOW = """
SELECT agent, name, team, site, campaign, state, reason, since, call_since, held_since
FROM agents
WHERE state <> 'offline' OR since >= $day_ago::TIMESTAMPTZ
ORDER BY lower(name), agent
"""
LIMITS = """
SELECT * EXCLUDE (breaks, sites), map_entries(breaks) AS breaks,
       list_transform(map_entries(sites), lambda s: {'key': s.key, 'value': map_entries(s.value)}) AS sites
FROM agent_limits
"""
STRAIN = """
SELECT agent, occupancy, streak_calls, streak_s, since_rest_s, since_break_s, previous_occupancy
FROM agent_strain($as_of::TIMESTAMPTZ)
"""
PAUSES = """
SELECT agent, coalesce(sum(pauses) FILTER (rests), 0)::BIGINT, coalesce(sum(paused_s) FILTER (rests), 0),
       coalesce(sum(paused_s) FILTER (NOT rests), 0)
FROM agent_pauses($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)
GROUP BY agent
"""
MISSED = "SELECT agent, campaign, missed FROM agent_missed($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ)"
_RATIOS = ("aht_s", "occupancy", "utilisation")
_SUMS = sorted({"answered", "handled"} | {name for ratio in _RATIOS for name in KPIS[ratio].inputs})
DAY = """
SELECT * FROM kpi_agent_campaign($t0_{n}::TIMESTAMPTZ, $t1_{n}::TIMESTAMPTZ)
WHERE list_contains($campaigns_{n}, campaign)
"""
TODAY = f"""
SELECT agent, answered, handled, {", ".join(f"{KPIS[name].sql} AS {name}" for name in _RATIOS)}, worked_for
FROM (
    SELECT agent, {", ".join(f"sum({name}) AS {name}" for name in _SUMS)},
           list((campaign, answered, {", ".join(_RATIOS)}) ORDER BY answered DESC, campaign)
               FILTER (answered + handled + logged_in_s > 0) AS worked_for
    FROM ({{days}})
    GROUP BY agent
)
"""


@dataclass(frozen=True, slots=True)
class Share:
    """How many offers of one campaign an agent missed."""

    campaign: str
    name: str
    calls: int


@dataclass(frozen=True, slots=True)
class Stint:
    """An agent's day so far for one campaign: answered calls, AHT [s] and ratios 0–1."""

    campaign: str
    name: str
    answered: int
    aht_s: float | None
    occupancy: float | None
    utilisation: float | None


@dataclass(frozen=True, slots=True)
class AgentDay:
    """An agent's day so far, for the selected campaigns.

    `worked_for` are the campaigns for which they had calls or were logged in, the most answered calls first.
    """

    answered: int
    handled: int
    aht_s: float | None
    occupancy: float | None
    utilisation: float | None
    worked_for: tuple[Stint, ...] = ()


@dataclass(frozen=True, slots=True)
class Pauses:
    """An agent's pauses today: number and time [s] of those that were rest, time [s] of others, such as training."""

    rests: int = 0
    rest_s: float = 0.0
    other_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Strain:
    """A row of `agent_strain`; `occupancy` is over the last `lately_s`, `previous_occupancy` before the last login."""

    occupancy: float | None
    streak_calls: int
    streak_s: float
    since_rest_s: float
    since_break_s: float
    previous_occupancy: float | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """One of NEEDS, with its value: seconds, a ratio or a count."""

    kind: str
    value: float


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as the viewer may see them; `state` is one of STATES.

    `campaign`, `reason`, times, `pauses` and `strain` are None while the agent is elsewhere. `strain` is also None
    while they are offline. `missed_for` are today's missed offers by campaign, the most first.
    """

    agent: str
    name: str
    team: str | None
    site: str | None
    state: str
    campaign: str | None = None
    campaign_name: str | None = None
    reason: str | None = None
    state_s: float | None = None
    call_s: float | None = None
    hold_s: float | None = None
    today: AgentDay | None = None
    missed_for: tuple[Share, ...] = ()
    missed_lately: int = 0
    pauses: Pauses | None = None
    strain: Strain | None = None
    needs: tuple[Need, ...] = ()

    @property
    def missed(self) -> int:
        """Offers missed today."""
        return sum(share.calls for share in self.missed_for)


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents of a viewer's campaigns: first by urgency of their needs, then by name, and those away last."""

    freshness: Freshness
    limits: AgentLimits
    agents: tuple[Agent, ...]


@dataclass(frozen=True, slots=True)
class _AgentRow:
    """A row of NOW."""

    agent: str
    name: str
    team: str | None
    site: str | None
    campaign: str | None
    state: str
    reason: str | None
    since: datetime
    call_since: datetime | None
    held_since: datetime | None


@dataclass(frozen=True, slots=True)
class _Now:
    freshness: Freshness
    limits: AgentLimits
    agents: tuple[_AgentRow, ...]


@dataclass(frozen=True, slots=True)
class _Lately:
    """Slowly changing data of all agents, for any viewer. Missed offers are by agent and campaign."""

    campaigns: Mapping[str, Campaign]
    strain: Mapping[str, Strain]
    pauses: Mapping[tuple[datetime, datetime], Mapping[str, Pauses]]
    missed: Mapping[tuple[str, str], int]
    missed_lately: Mapping[tuple[str, str], int]


def agents(published: Published, viewer: Viewer, campaign: str | None = None) -> Agents | None:
    """Return the agents of the viewer's campaigns, or those who work for `campaign` now, with their figures for it.

    None: nothing is published, the viewer is no manager or analyst, or may not see the campaign.
    """
    if not viewer.names_agents or (campaign is not None and not viewer.sees(campaign)):
        return None
    scope = viewer.campaigns if campaign is None else frozenset((campaign,))
    now = published.ask("agents now", _now)
    lately = published.ask("agents lately", _lately, SLOW_S)
    today = published.ask(("agents today", scope), lambda s: _today(s, scope), SLOW_S)
    if now is None or lately is None or today is None or campaign not in (None, *lately.campaigns):
        return None
    missed = _shares(scope, lately.missed, lately.campaigns)
    missed_lately = _shares(scope, lately.missed_lately, lately.campaigns)
    listed = []
    for row in now.agents:
        here = viewer.sees(row.campaign)
        selected = row.campaign == campaign if campaign else here or row.agent in today
        if selected and viewer.names_agents_of(row.site):
            day = today.get(row.agent), missed.get(row.agent, ())
            lately_missed = sum(share.calls for share in missed_lately.get(row.agent, ()))
            listed.append(_here(row, *day, lately_missed, now, lately) if here else _away(row, *day))
    return Agents(now.freshness, now.limits, tuple(sorted(listed, key=_urgency)))


def _urgency(agent: Agent) -> tuple[int, float]:
    if agent.needs:
        # rounded, so that a change of a tenth of a percent does not change the order
        return NEEDS.index(agent.needs[0].kind), -round(agent.needs[0].value, 2)
    return len(NEEDS) + (AWAY.index(agent.state) + 1 if agent.state in AWAY else 0), 0.0


def _shares(
    scope: frozenset[str] | None, counts: Mapping[tuple[str, str], int], campaigns: Mapping[str, Campaign]
) -> dict[str, tuple[Share, ...]]:
    """Return the counts of each agent by campaign, for the campaigns in scope."""
    shares: dict[str, tuple[Share, ...]] = {}
    for (agent, campaign), n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if scope is None or campaign in scope:
            name = campaigns[campaign].name if campaign in campaigns else campaign
            shares[agent] = (*shares.get(agent, ()), Share(campaign, name, n))
    return shares


def _away(row: _AgentRow, today: AgentDay | None, missed: tuple[Share, ...]) -> Agent:
    """Return an agent who works for a campaign that the viewer may not see."""
    return Agent(row.agent, row.name, row.team, row.site, "elsewhere", today=today, missed_for=missed)


def _here(
    row: _AgentRow, today: AgentDay | None, missed: tuple[Share, ...], missed_lately: int, now: _Now, lately: _Lately
) -> Agent:
    """Return an agent who works, or worked last, for a campaign of the viewer."""

    def so_far_s(since: datetime | None) -> float | None:
        return None if since is None else max(0.0, (now.freshness.as_of - since).total_seconds())

    campaign = lately.campaigns.get(row.campaign or "")
    day = (campaign.t0, campaign.t1) if campaign else next(iter(lately.pauses), None)
    offline = row.state == "offline"
    agent = Agent(
        row.agent,
        row.name,
        row.team,
        row.site,
        row.state,
        campaign=row.campaign,
        campaign_name=campaign.name if campaign else row.campaign,
        reason=row.reason,
        state_s=so_far_s(row.since),
        call_s=None if offline else so_far_s(row.call_since),
        hold_s=None if offline else so_far_s(row.held_since),
        today=today,
        missed_for=missed,
        missed_lately=missed_lately,
        pauses=lately.pauses[day].get(row.agent, Pauses()) if day else None,
        strain=None if offline else lately.strain.get(row.agent),
    )
    needs = () if offline else _needs(agent, now.limits.at(agent.site))
    return replace(agent, needs=needs) if needs else agent


def _needs(agent: Agent, limits: AgentLimits) -> tuple[Need, ...]:
    """Return why an agent needs somebody, the most urgent first. An agent at rest does not need rest or relief."""
    breaks = dict(limits.breaks)
    paused = agent.state == "paused"
    resting = paused and (agent.reason is None or agent.reason in breaks)
    strain = agent.strain or Strain(None, 0, 0.0, 0.0, 0.0)
    occupancy = strain.occupancy or 0.0
    planned_s = breaks.get(agent.reason or "", limits.pause_long_s)
    break_due = strain.since_break_s >= limits.break_within_s
    too_busy = occupancy > limits.occupancy_too_high
    before = strain.previous_occupancy or 0.0
    was_too_busy = strain.occupancy is None and before > limits.occupancy_too_high
    checks = {  # kind of need → value, whether the agent has this need
        "hold": (agent.hold_s, (agent.hold_s or 0.0) > limits.hold_long_s),
        "break_due": (strain.since_break_s, not resting and break_due),
        "call": (agent.call_s, (agent.call_s or 0.0) > limits.call_long_s),
        "too_busy": (occupancy, not paused and too_busy),
        "wrap_up": (agent.state_s, agent.state == "wrap_up" and (agent.state_s or 0.0) > limits.wrap_up_long_s),
        "pause": (agent.state_s, paused and (agent.state_s or 0.0) > planned_s),
        "missed": (agent.missed_lately, agent.missed_lately >= limits.missed_offers),
        "rest_due": (strain.since_rest_s, not (resting or break_due) and strain.since_rest_s >= limits.rest_within_s),
        "streak": (strain.streak_calls, not paused and strain.streak_calls >= limits.streak_calls),
        "busy": (occupancy, not (paused or too_busy) and occupancy > limits.occupancy_high),
        "before": (before, not paused and was_too_busy),
    }
    return tuple(Need(kind, float(checks[kind][0] or 0.0)) for kind in NEEDS if checks[kind][1])


def _now(snapshot: Snapshot) -> _Now:
    result = snapshot.connection.execute(LIMITS)
    names = [column[0] for column in result.description or ()]
    limits = dict(zip(names, result.fetchone() or (), strict=True))
    limits["breaks"] = _pairs(limits["breaks"])
    limits["sites"] = tuple((site, _pairs(differs)) for site, differs in _pairs(limits["sites"]))
    rows = fetch(snapshot.connection, NOW, day_ago=snapshot.freshness.as_of - timedelta(days=1))
    return _Now(snapshot.freshness, AgentLimits(**limits), tuple(_AgentRow(*row) for row in rows))


def _pairs(entries: Sequence[Mapping[str, Any]] | None) -> tuple[tuple[str, Any], ...]:
    """Return the entries of a DuckDB map as pairs."""
    return tuple((entry["key"], entry["value"]) for entry in entries or ())


def _days(campaigns: Sequence[Campaign]) -> dict[tuple[datetime, datetime], list[str]]:
    """Return the campaigns by the bounds of their local day. Campaigns with the same bounds share a query."""
    by_bounds: dict[tuple[datetime, datetime], list[str]] = {}
    for campaign in campaigns:
        by_bounds.setdefault((campaign.t0, campaign.t1), []).append(campaign.campaign)
    return by_bounds


def _lately(snapshot: Snapshot) -> _Lately:
    connection, as_of = snapshot.connection, snapshot.freshness.as_of
    ((lately_s,),) = fetch(connection, "SELECT lately_s FROM agent_limits")

    def missed(t0: datetime, t1: datetime) -> dict[tuple[str, str], int]:
        return {(agent, campaign): n for agent, campaign, n in fetch(connection, MISSED, t0=t0, t1=t1)}

    campaigns = campaigns_on(connection, as_of)
    days = _days(campaigns)
    return _Lately(
        campaigns={campaign.campaign: campaign for campaign in campaigns},
        strain={agent: Strain(*row) for agent, *row in fetch(connection, STRAIN, as_of=as_of)},
        pauses={
            (t0, t1): {agent: Pauses(*row) for agent, *row in fetch(connection, PAUSES, t0=t0, t1=t1)}
            for t0, t1 in days
        },
        missed={
            (agent, campaign): n
            for (t0, t1), with_these_bounds in days.items()
            for (agent, campaign), n in missed(t0, t1).items()
            if campaign in with_these_bounds
        },
        missed_lately=missed(as_of - timedelta(seconds=lately_s), as_of),
    )


def _today(snapshot: Snapshot, scope: frozenset[str] | None) -> dict[str, AgentDay]:
    """Return each agent's figures over the local days of the campaigns in scope: sums first, ratios last."""
    campaigns = campaigns_on(snapshot.connection, snapshot.freshness.as_of)
    days = _days([campaign for campaign in campaigns if scope is None or campaign.campaign in scope])
    if not days:
        return {}
    parameters: dict[str, object] = {}
    for n, ((t0, t1), campaign_ids) in enumerate(days.items()):
        parameters |= {f"t0_{n}": t0, f"t1_{n}": t1, f"campaigns_{n}": campaign_ids}
    sql = TODAY.format(days=" UNION ALL BY NAME ".join(DAY.format(n=n) for n in range(len(days))))
    names = {campaign.campaign: campaign.name for campaign in campaigns}
    agent_days = {}
    for agent, *figures, worked_for in fetch(snapshot.connection, sql, **parameters):
        stints = tuple(Stint(campaign, names[campaign], *rest) for campaign, *rest in worked_for or ())
        agent_days[agent] = replace(AgentDay(*figures), worked_for=stints)
    return agent_days
