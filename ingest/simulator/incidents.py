"""What happens on the floor: every few minutes something that a floor manager would recognise.

- `spike`: an advertisement is broadcast, and twice as many callers call.
- `sick`: a quarter of the team falls ill and goes home within minutes; at the end, colleagues who were off take over.
- `left`: an agent goes home and forgets to log out. The telephone rings and nobody answers, until somebody notices.
- `silence`: the connection of a source is down. Its events arrive once it is up again.

The first three are part of the day itself (day.py), so every run repeats them. A silence delays the delivery of events
and changes none of them. All times are seconds of a floor day.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any

from ingest.simulator import parameters, plan
from ingest.simulator.parameters import CAMPAIGNS, Campaign, Kind

Event = dict[str, Any]


@dataclass(frozen=True)
class Incident:
    """Something that happens to a campaign, from `starts` to `ends` [s of the floor day]."""

    kind: Kind
    campaign: Campaign
    starts: float
    ends: float

    def words(self) -> str:
        """Say what happens, for the log."""
        return {
            "spike": "an advertisement: many callers call",
            "sick": "agents fall ill and go home",
            "left": "an agent forgets to log out",
            "silence": f"no news from its source, {self.campaign.source}",
        }[self.kind]


def incidents(day: date, seed: int) -> tuple[Incident, ...]:
    """Return the incidents of a floor day, in order of their start: a function of (day, seed) only.

    Kinds and campaigns are dealt like cards, so that all kinds come in turn. A campaign has one incident at a time.
    """
    rng = Random(f"{seed}/{day.isoformat()}/incidents")
    dealt: list[Incident] = []
    kinds: list[Kind] = []
    campaigns: list[Campaign] = []
    quiet_from = {campaign.id: 0.0 for campaign in CAMPAIGNS}
    starts = rng.uniform(0, parameters.INCIDENTS_EVERY_S[0])
    while starts < plan.DAY_S - parameters.INCIDENTS_EVERY_S[1]:
        kinds = kinds or rng.sample(parameters.INCIDENTS, len(parameters.INCIDENTS))
        campaigns = campaigns or rng.sample(CAMPAIGNS, len(CAMPAIGNS))
        kind = kinds.pop()
        ends = starts + rng.uniform(*parameters.INCIDENT_S[kind])
        # nobody is there to answer: no call may ring that has no time left to ring somewhere else, and none of a dialer
        possible = [
            campaign
            for campaign in campaigns
            if quiet_from[campaign.id] <= starts
            and ends < plan.DAY_S
            and (kind != "left" or (campaign.dialer is None and ends < plan.LAST_REQUEUE))
        ]
        if possible:
            campaigns.remove(possible[0])
            quiet_from[possible[0].id] = ends + parameters.QUIET_AFTER_S
            dealt.append(Incident(kind, possible[0], starts, ends))
        starts += rng.uniform(*parameters.INCIDENTS_EVERY_S)
    return tuple(dealt)


def as_delivered(events: Iterable[Event], seed: int) -> Iterator[tuple[str, Event]]:
    """Yield (instant of delivery, event), in order of delivery. Events of a silent source arrive when it is back.

    `events` are in order of `ts`; instants have the same format as `ts`.
    """
    waiting: list[tuple[str, int, Event]] = []
    silences: dict[date, list[tuple[str, str, str]]] = {}
    for number, event in enumerate(events):
        at = event["ts"]
        while waiting and waiting[0][0] <= at:
            due, _, late = heappop(waiting)
            yield due, late
        day = plan.floor_day(datetime.fromisoformat(at))
        if day not in silences:
            silences = {day: _silences(day, seed)}
        back_at = next(
            (ends for source, starts, ends in silences[day] if source == event["source"] and starts <= at < ends), None
        )
        if back_at is None:
            yield at, event
        else:
            heappush(waiting, (back_at, number, event))


def _silences(day: date, seed: int) -> list[tuple[str, str, str]]:
    """Return (source, start, end) of the day's silences."""

    def stamp(seconds: float) -> str:
        return f"{plan.day_start(day) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.000Z"

    return [
        (incident.campaign.source, stamp(incident.starts), stamp(incident.ends))
        for incident in incidents(day, seed)
        if incident.kind == "silence"
    ]
