"""The state of the simulation: calls, agents, and the waiting calls and idle agents of each campaign."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import date
from itertools import accumulate
from math import ceil, log
from random import Random

from ingest.simulator import plan
from ingest.simulator.parameters import Campaign, Queue
from ingest.simulator.people import pauses
from ingest.simulator.plan import Shift


class Call:
    """A visit to a queue. `state` is waiting, ringing, talking or over."""

    __slots__ = (
        "agent",
        "direction",
        "hops",
        "id",
        "lane",
        "leaves",
        "linked_id",
        "number",
        "queue",
        "rest_s",
        "state",
    )

    def __init__(self, id: str, lane: Lane, queue: Queue, number: str, linked_id: str, hops: int = 0) -> None:
        self.id = id
        self.lane = lane
        self.queue = queue
        self.number = number
        self.linked_id = linked_id
        self.hops = hops
        self.direction = "inbound"
        self.state = "waiting"
        self.leaves = "abandon"
        self.rest_s = 0.0
        self.agent: Agent | None = None


class Lane:
    """A campaign on this day: its waiting calls and its idle agents (longest idle first)."""

    def __init__(self, campaign: Campaign, day: date, volume: float) -> None:
        self.campaign = campaign
        self.volume = volume
        self.idle: deque[Agent] = deque()
        self.agents: list[Agent] = []  # logged in, in order of their login
        self.off_duty: list[int] = []  # numbers of those who can take over
        self.waiting: tuple[deque[Call], ...] = (deque(), deque())  # by priority
        self.arrivals: Iterator[float] = iter(())
        self.queues = {queue.id: queue for queue in campaign.queues}
        self.shares = list(accumulate(queue.share for queue in campaign.queues))
        self.dispositions = [disposition for disposition, _ in campaign.dispositions]
        self.weights = list(accumulate(weight for _, weight in campaign.dispositions))
        self.hours = [hour for _, hour in plan.local_hours(campaign.zone, day)]
        self.dialing_hours = plan.dialing_hours(campaign, day)
        self.talk_mu = log(campaign.talk_s) - campaign.talk_sigma**2 / 2
        self.wrap_mu = log(campaign.wrap_s) - 0.5**2 / 2
        self.limit = max(3, ceil(campaign.line_limit * volume)) if campaign.line_limit else 10**9
        self.paused = self.dialing = self.outbound = 0

    def waits(self) -> bool:
        return bool(self.waiting[0] or self.waiting[1])


class Agent:
    """An agent on this day. `pauses` are (due, reason, seconds), in order.

    `has_left`: the agent is logged in, but went home.
    """

    __slots__ = ("ends", "has_left", "id", "lane", "number", "pauses", "state")

    def __init__(self, shift: Shift, lane: Lane, rng: Random) -> None:
        self.number = shift.number
        self.id = f"agent-{shift.number}"
        self.lane = lane
        self.ends = shift.ends
        self.state = "offline"
        self.has_left = False
        self.pauses = pauses(shift.starts, shift.ends, shift.turn, rng)
