"""The agents of a floor: what each does now, their figures today, and who needs a person, or a break, first.

Only managers and analysts are answered; who is limited to sites, of the agents there. Whoever sees some campaigns only
is told of the agents who work for those today, and their figures are of those campaigns. What an agent does now, and
how strained they are, is told while they work for one of them, and then it is of the whole person, whatever campaign
tired them; while they work for another client they are "elsewhere", and nothing more is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import AgentLimits
from metrics.kpis.compose import KPIS
from metrics.readers.campaigns import Campaign, campaigns_on
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

NEEDS = ("hold", "break_due", "call", "too_busy", "wrap_up", "pause", "missed", "rest_due", "streak", "busy")
"""What an agent may need somebody for, the most pressing first."""
STATES = ("busy", "wrap_up", "available", "paused", "elsewhere", "offline")
AWAY = ("elsewhere", "offline")
"""Who is not on the viewer's floor now."""

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
SELECT agent, occupancy, streak_calls, streak_s, since_rest_s, since_break_s FROM agent_strain($as_of::TIMESTAMPTZ)
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
SELECT * FROM kpi_agent_campaign($t0_{n}::TIMESTAMPTZ, $t1_{n}::TIMESTAMPTZ) WHERE list_contains($of_{n}, campaign)
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
    """How many of the offers that an agent missed were one campaign's."""

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
    """An agent's day so far, in the campaigns that were asked for.

    `worked_for` are those of their calls and of the time that they were logged in, the most answered calls first.
    """

    answered: int
    handled: int
    aht_s: float | None
    occupancy: float | None
    utilisation: float | None
    worked_for: tuple[Stint, ...] = ()


@dataclass(frozen=True, slots=True)
class Pauses:
    """An agent's pauses today: how many were rest, for how long [s], and the time in others, such as training [s]."""

    rests: int = 0
    rest_s: float = 0.0
    other_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Strain:
    """A row of `agent_strain`; `occupancy` is that of the last `lately_s`."""

    occupancy: float | None
    streak_calls: int
    streak_s: float
    since_rest_s: float
    since_break_s: float


@dataclass(frozen=True, slots=True)
class Need:
    """One of NEEDS, and how much of it there is: seconds, a ratio or a count."""

    kind: str
    value: float


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as the viewer may see them; `state` is one of STATES.

    `campaign`, `reason`, times, `pauses` and `strain` are None while the agent is elsewhere, `strain` also offline.
    `missed_for` are the offers of today that were missed, by campaign, the most first.
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
    """The agents of a viewer's campaigns, who needs somebody first, first; then by name; who is away, last."""

    freshness: Freshness
    limits: AgentLimits
    agents: tuple[Agent, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
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
    seen: tuple[_Seen, ...]


@dataclass(frozen=True, slots=True)
class _Lately:
    """What moves slowly, of every agent: before a viewer is known. Missed offers are by agent and campaign."""

    campaigns: Mapping[str, Campaign]
    strain: Mapping[str, Strain]
    pauses: Mapping[tuple[datetime, datetime], Mapping[str, Pauses]]
    missed: Mapping[tuple[str, str], int]
    missed_lately: Mapping[tuple[str, str], int]


def agents(published: Published, viewer: Viewer, campaign: str | None = None) -> Agents | None:
    """Return the agents of the viewer's campaigns, or those who work for `campaign` now, with their figures for it.

    None: nothing is published, the viewer is no manager or analyst, or has no such campaign.
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
    found = []
    for seen in now.seen:
        here = viewer.sees(seen.campaign)
        asked = seen.campaign == campaign if campaign else here or seen.agent in today
        if asked and viewer.names_agents_of(seen.site):
            day = today.get(seen.agent), missed.get(seen.agent, ())
            lately_missed = sum(one.calls for one in missed_lately.get(seen.agent, ()))
            found.append(_here(seen, *day, lately_missed, now, lately) if here else _away(seen, *day))
    return Agents(now.freshness, now.limits, tuple(sorted(found, key=_urgency)))


def _urgency(agent: Agent) -> tuple[int, float]:
    if agent.needs:
        return NEEDS.index(agent.needs[0].kind), -round(agent.needs[0].value, 2)  # calm: not by a tenth of a percent
    return len(NEEDS) + (AWAY.index(agent.state) + 1 if agent.state in AWAY else 0), 0.0


def _shares(
    scope: frozenset[str] | None, counts: Mapping[tuple[str, str], int], campaigns: Mapping[str, Campaign]
) -> dict[str, tuple[Share, ...]]:
    """Return what is counted by agent and campaign, for each agent, of the campaigns in scope."""
    found: dict[str, tuple[Share, ...]] = {}
    for (agent, campaign), n in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        if scope is None or campaign in scope:
            name = campaigns[campaign].name if campaign in campaigns else campaign
            found[agent] = (*found.get(agent, ()), Share(campaign, name, n))
    return found


def _away(seen: _Seen, today: AgentDay | None, missed: tuple[Share, ...]) -> Agent:
    """Return an agent who works for a campaign that the viewer does not see."""
    return Agent(seen.agent, seen.name, seen.team, seen.site, "elsewhere", today=today, missed_for=missed)


def _here(
    seen: _Seen, today: AgentDay | None, missed: tuple[Share, ...], missed_lately: int, now: _Now, lately: _Lately
) -> Agent:
    """Return an agent who works, or worked last, for a campaign of the viewer."""

    def so_far_s(since: datetime | None) -> float | None:
        return None if since is None else max(0.0, (now.freshness.as_of - since).total_seconds())

    campaign = lately.campaigns.get(seen.campaign or "")
    day = (campaign.t0, campaign.t1) if campaign else next(iter(lately.pauses), None)
    offline = seen.state == "offline"
    one = Agent(
        seen.agent,
        seen.name,
        seen.team,
        seen.site,
        seen.state,
        campaign=seen.campaign,
        campaign_name=campaign.name if campaign else seen.campaign,
        reason=seen.reason,
        state_s=so_far_s(seen.since),
        call_s=None if offline else so_far_s(seen.call_since),
        hold_s=None if offline else so_far_s(seen.held_since),
        today=today,
        missed_for=missed,
        missed_lately=missed_lately,
        pauses=lately.pauses[day].get(seen.agent, Pauses()) if day else None,
        strain=None if offline else lately.strain.get(seen.agent),
    )
    needs = () if offline else _needs(one, now.limits.at(one.site))
    return replace(one, needs=needs) if needs else one


def _needs(one: Agent, limits: AgentLimits) -> tuple[Need, ...]:
    """Return what an agent needs somebody for, the most pressing first. Who rests is left to rest."""
    breaks = dict(limits.breaks)
    paused = one.state == "paused"
    resting = paused and (one.reason is None or one.reason in breaks)
    strain = one.strain or Strain(None, 0, 0.0, 0.0, 0.0)
    occupancy = strain.occupancy or 0.0
    planned_s = breaks.get(one.reason or "", limits.pause_long_s)
    break_due = strain.since_break_s >= limits.break_within_s
    too_busy = occupancy > limits.occupancy_too_high
    found = {
        "hold": (one.hold_s, (one.hold_s or 0.0) > limits.hold_long_s),
        "break_due": (strain.since_break_s, not resting and break_due),
        "call": (one.call_s, (one.call_s or 0.0) > limits.call_long_s),
        "too_busy": (occupancy, not paused and too_busy),
        "wrap_up": (one.state_s, one.state == "wrap_up" and (one.state_s or 0.0) > limits.wrap_up_long_s),
        "pause": (one.state_s, paused and (one.state_s or 0.0) > planned_s),
        "missed": (one.missed_lately, one.missed_lately >= limits.missed_offers),
        "rest_due": (strain.since_rest_s, not (resting or break_due) and strain.since_rest_s >= limits.rest_within_s),
        "streak": (strain.streak_calls, not paused and strain.streak_calls >= limits.streak_calls),
        "busy": (occupancy, not (paused or too_busy) and occupancy > limits.occupancy_high),
    }
    return tuple(Need(kind, float(found[kind][0] or 0.0)) for kind in NEEDS if found[kind][1])


def _now(snapshot: Snapshot) -> _Now:
    result = snapshot.connection.execute(LIMITS)
    names = [column[0] for column in result.description or ()]
    limits = dict(zip(names, result.fetchone() or (), strict=True))
    limits["breaks"] = _pairs(limits["breaks"])
    limits["sites"] = tuple((site, _pairs(differs)) for site, differs in _pairs(limits["sites"]))
    seen = fetch(snapshot.connection, NOW, day_ago=snapshot.freshness.as_of - timedelta(days=1))
    return _Now(snapshot.freshness, AgentLimits(**limits), tuple(_Seen(*row) for row in seen))


def _pairs(entries: Sequence[Mapping[str, Any]] | None) -> tuple[tuple[str, Any], ...]:
    """Return the entries of a map of DuckDB."""
    return tuple((entry["key"], entry["value"]) for entry in entries or ())


def _days(campaigns: Sequence[Campaign]) -> dict[tuple[datetime, datetime], list[str]]:
    """Return the campaigns by the bounds of their local day: those that share them share a query."""
    found: dict[tuple[datetime, datetime], list[str]] = {}
    for one in campaigns:
        found.setdefault((one.t0, one.t1), []).append(one.campaign)
    return found


def _lately(snapshot: Snapshot) -> _Lately:
    connection, as_of = snapshot.connection, snapshot.freshness.as_of
    ((lately_s,),) = fetch(connection, "SELECT lately_s FROM agent_limits")

    def missed(t0: datetime, t1: datetime) -> dict[tuple[str, str], int]:
        return {(agent, campaign): n for agent, campaign, n in fetch(connection, MISSED, t0=t0, t1=t1)}

    campaigns = campaigns_on(connection, as_of)
    days = _days(campaigns)
    return _Lately(
        campaigns={one.campaign: one for one in campaigns},
        strain={agent: Strain(*row) for agent, *row in fetch(connection, STRAIN, as_of=as_of)},
        pauses={
            (t0, t1): {agent: Pauses(*row) for agent, *row in fetch(connection, PAUSES, t0=t0, t1=t1)}
            for t0, t1 in days
        },
        missed={key: n for (t0, t1), of in days.items() for key, n in missed(t0, t1).items() if key[1] in of},
        missed_lately=missed(as_of - timedelta(seconds=lately_s), as_of),
    )


def _today(snapshot: Snapshot, scope: frozenset[str] | None) -> dict[str, AgentDay]:
    """Return each agent's figures of the local days of the campaigns in scope: sums over those, ratios last."""
    campaigns = campaigns_on(snapshot.connection, snapshot.freshness.as_of)
    days = _days([one for one in campaigns if scope is None or one.campaign in scope])
    if not days:
        return {}
    parameters: dict[str, object] = {}
    for n, ((t0, t1), of) in enumerate(days.items()):
        parameters |= {f"t0_{n}": t0, f"t1_{n}": t1, f"of_{n}": of}
    sql = TODAY.format(days=" UNION ALL BY NAME ".join(DAY.format(n=n) for n in range(len(days))))
    names = {one.campaign: one.name for one in campaigns}
    found = {}
    for agent, *figures, worked_for in fetch(snapshot.connection, sql, **parameters):
        stints = tuple(Stint(campaign, names[campaign], *told) for campaign, *told in worked_for or ())
        found[agent] = replace(AgentDay(*figures), worked_for=stints)
    return found
