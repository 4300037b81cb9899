"""What happened in one call and in the calls linked to it, step by step.

The steps come from `calls` alone. `agent_states` knows no call: a state covers ringing, talk and hold, and equal states
are merged.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from urllib.parse import quote

from metrics.authorisation.viewer import Viewer
from metrics.readers import wall
from metrics.readers.campaigns import Campaign
from metrics.readers.snapshot import SLOW_S, Freshness, Published, Snapshot, fetch

# linked calls are at most a day apart: a call waits, and an agent works on it, for a day at most
VISITS = """
WITH linked AS (
    SELECT linked_id FROM calls WHERE day = $day::DATE AND campaign = $campaign AND call_id = $call_id
)
SELECT c.call_id, linked_id, c.campaign, coalesce(k.name, c.campaign), k.recording, queue, direction, caller, callee,
       c.day, outcome, agent, left_reason, disposition, ended_by, transferred,
       coalesce(inferred_end, false), wait_s, talk_s, hold_s, wrap_s,
       dialed_at, connected_at, asked_for_human_at, queued_at, answered_at, abandoned_at, left_at, ended_at, wrapped_at,
       missed_by, offers, holds
FROM calls AS c JOIN linked USING (linked_id) LEFT JOIN campaigns AS k ON k.campaign = c.campaign
WHERE c.day BETWEEN $day::DATE - 1 AND $day::DATE + 1
ORDER BY cohort_at, c.call_id
"""
AGENTS = "SELECT agent, coalesce(name, agent), site FROM agents WHERE list_contains($agents::VARCHAR[], agent)"
Kind = Literal[
    "dialed",
    "connected",
    "queued",
    "asked_for_human",
    "rang",
    "missed",
    "answered",
    "held",
    "resumed",
    "abandoned",
    "left",
    "transferred",
    "ended",
    "wrapped",
]
ORDER: tuple[Kind, ...] = (
    *("dialed", "connected", "queued", "asked_for_human", "rang", "missed", "answered", "held", "resumed"),
    *("abandoned", "left", "transferred", "ended", "wrapped"),
)
"""Order of steps at one instant."""
OF_WAITING = frozenset({"dialed", "connected", "queued", "asked_for_human", "answered", "abandoned", "left"})
"""Steps that say nothing about how an agent worked; a client sees only these."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a visit. `at` None: nobody knows when. `agent` None: nobody, or one whom the viewer may not see."""

    kind: Kind
    at: datetime | None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """A row of `calls`, with its steps in order. For a client, the times of work and the recording are None."""

    call_id: str
    campaign: str
    campaign_name: str
    queue: str | None
    direction: str | None
    caller: str | None
    callee: str | None
    day: date
    outcome: str
    agent: str | None
    left_reason: str | None
    disposition: str | None
    ended_by: str | None
    inferred_end: bool
    wait_s: float | None
    talk_s: float | None
    hold_s: float | None
    wrap_s: float | None
    recording: str | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """The visits of one phone call that the viewer may see, in order of their beginning."""

    freshness: Freshness
    campaign: Campaign
    visits: tuple[Visit, ...]


def story(published: Published, viewer: Viewer, campaign: str, day: date, call_id: str) -> Story | None:
    """Return the visits of the phone call to which `call_id`, a call of this campaign's local day, belongs.

    Only visits to campaigns that the viewer may see are returned. A client sees how the caller waited, but not who
    worked, when or for how long. None: there is no such call, or the viewer may not see it.
    """
    visible = wall.campaign(published, viewer, campaign, day)
    if visible is None:
        return None
    question = ("story", campaign, day, call_id)
    found = published.ask(question, lambda s: _rows(s, campaign, day, call_id), SLOW_S)
    if not found:
        return None
    freshness, rows, agents = found
    visits = tuple(_visit(row, viewer, agents) for row in rows if viewer.sees(row["campaign"]))
    return Story(freshness, visible, visits)


def _rows(
    snapshot: Snapshot, campaign: str, day: date, call_id: str
) -> tuple[Freshness, list[dict[str, Any]], dict[str, tuple[str, str | None]]] | None:
    names = (
        *("call_id", "linked_id", "campaign", "campaign_name", "recording", "queue", "direction", "caller", "callee"),
        *("day", "outcome", "agent", "left_reason", "disposition", "ended_by"),
        *("transferred", "inferred_end", "wait_s", "talk_s", "hold_s", "wrap_s"),
        *("dialed_at", "connected_at", "asked_for_human_at", "queued_at", "answered_at", "abandoned_at", "left_at"),
        *("ended_at", "wrapped_at", "missed_by", "offers", "holds"),
    )
    found = fetch(snapshot.connection, VISITS, campaign=campaign, day=day, call_id=call_id)
    rows = [dict(zip(names, row, strict=True)) for row in found]
    if not rows:
        return None
    people = {row["agent"] for row in rows if row["agent"]}
    people |= {agent for row in rows for agent in row["missed_by"] or ()}
    people |= {offer["agent"] for row in rows for offer in row["offers"] or ()}
    agents = {agent: (name, site) for agent, name, site in fetch(snapshot.connection, AGENTS, agents=sorted(people))}
    return snapshot.freshness, rows, agents


def _visit(row: dict[str, Any], viewer: Viewer, agents: dict[str, tuple[str, str | None]]) -> Visit:
    def name(agent: str | None) -> str | None:
        shown, site = agents.get(agent or "", (agent, None))
        return shown if viewer.names_agents_of(site) else None

    steps = [step for step in _steps(row) if viewer.sees_work or step.kind in OF_WAITING]
    work = ("talk_s", "hold_s", "wrap_s", "ended_by")
    shown = row if viewer.sees_work else row | dict.fromkeys(work) | {"inferred_end": False}
    has_recording = viewer.sees_work and row["recording"] and row["answered_at"]
    own = (
        *("call_id", "campaign", "campaign_name", "queue", "direction", "caller", "callee", "day", "outcome"),
        *("left_reason", "disposition", "inferred_end", "wait_s", *work),
    )
    return Visit(
        **{column: shown[column] for column in own},
        agent=name(row["agent"]),
        recording=recording_link(row["recording"], row) if has_recording else None,
        steps=tuple(Step(step.kind, step.at, name(step.agent)) for step in steps),
    )


def _steps(row: dict[str, Any]) -> list[Step]:
    """Return the steps of a visit in order. A step without a time comes after the call entered its queue."""
    agent = row["agent"]
    ended: Kind = "transferred" if row["transferred"] else "ended"
    steps = [
        Step("dialed", row["dialed_at"]),
        Step("connected", row["connected_at"]),
        Step("queued", row["queued_at"]),
        Step("asked_for_human", row["asked_for_human_at"]),
        Step("answered", row["answered_at"], agent),
        Step("abandoned", row["abandoned_at"]),
        Step("left", row["left_at"]),
        Step(ended, row["ended_at"], agent),
        Step("wrapped", row["wrapped_at"], agent),
    ]
    steps += [
        Step("missed" if offer["missed"] else "rang", offer["ts"], offer["agent"]) for offer in row["offers"] or ()
    ]
    steps += [Step("held" if hold["held"] else "resumed", hold["ts"], agent) for hold in row["holds"] or ()]
    known = sorted((s for s in steps if s.at is not None), key=lambda s: (s.at, ORDER.index(s.kind)))
    unknown: list[Step] = []
    if row["offers"] is None:  # the call was published before its offers were
        unknown += [Step("missed", None, agent) for agent in row["missed_by"] or ()]
    if row["outcome"] in ("abandoned", "short_abandoned") and row["abandoned_at"] is None and row["ended_at"] is None:
        unknown.append(Step("abandoned", None))
    if row["left_reason"] and row["left_at"] is None:
        unknown.append(Step("left", None))
    place = next((n + 1 for n, step in enumerate(known) if step.kind == "queued"), 0)
    return known[:place] + unknown + known[place:]


def recording_link(template: str, call: dict[str, Any]) -> str:
    """Fill the words of a campaign's `recording` with the call's columns, escaped for an address."""
    return re.sub(r"{(\w+)}", lambda word: quote(str(call[word[1]] or ""), safe=""), template)
