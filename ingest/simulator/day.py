"""One day of the floor as a discrete-event simulation: calls come, wait, are answered; agents log in, pause, leave.

Each action happens at its simulated time and adds the events that a switch would have sent, so events come in order of
`ts`. A day starts with nobody on the floor and ends when its last call is over, at most half an hour into the next day.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from heapq import heappop, heappush
from math import ceil
from operator import attrgetter
from random import Random
from typing import Any

from ingest.simulator import parameters, plan
from ingest.simulator.incidents import Event, Incident, incidents
from ingest.simulator.parameters import CAMPAIGNS, Queue
from ingest.simulator.people import asked_at, number_of, profile
from ingest.simulator.plan import Shift
from ingest.simulator.state import Agent, Call, Lane

DAY_S = plan.DAY_S
LAST_REQUEUE = plan.LAST_REQUEUE


class Day:
    """The floor on one day: a function of (day, agents, seed, staffing) only."""

    def __init__(self, day: date, *, agents: int, seed: int, staffing: float = 1.0) -> None:
        self.rng = rng = Random(f"{seed}/{day.isoformat()}/{agents}/{staffing}")
        self.tag = f"{seed}-{agents}-{day:%y%m%d}-"
        self.events: list[Event] = []
        self.heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self.pushed = self.event_count = self.call_count = 0
        self.now = 0.0
        self.stamp = ""
        self.started = plan.day_start(day)
        volume = plan.volume_for(agents)
        self.lanes = {campaign.id: Lane(campaign, day, volume) for campaign in CAMPAIGNS}
        happening = incidents(day, seed)
        for incident in happening:
            if incident.kind == "sick":
                self.at(incident.starts, self.fall_sick, incident)
            elif incident.kind == "left":
                self.at(incident.starts, self.forget_to_log_out, incident)
        for lane in self.lanes.values():
            spikes = [(i.starts, i.ends) for i in happening if i.kind == "spike" and i.campaign is lane.campaign]
            lane.arrivals = iter(plan.arrivals(lane.campaign, day, volume, rng, spikes))
            self.at(next(lane.arrivals, DAY_S), self.arrive, lane)
            planned = plan.shifts(lane.campaign, day, volume, rng, staffing)
            lane.off_duty = plan.off_duty(lane.campaign, volume, planned)
            for shift in planned:
                agent = Agent(shift, lane, rng)
                self.at(shift.starts, self.log_in, agent)
            if lane.campaign.dialer:
                self.at(1.0, self.dial, lane)

    def run(self) -> Iterator[Event]:
        """Yield the day's events in order of `ts`."""
        heap, events = self.heap, self.events
        second, prefix = -1, ""
        dates = [(self.started + timedelta(days=days)).date().isoformat() for days in range(3)]
        first_second = self.started.hour * 3600
        while heap:
            self.now, _, action, subject = heappop(heap)
            now_s = int(self.now)
            if now_s != second:
                second = now_s
                days, rest = divmod(first_second + now_s, 86_400)
                prefix = f"{dates[days]}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}."
            self.stamp = f"{prefix}{int((self.now - now_s) * 1000):03d}Z"
            action(subject)
            if events:
                yield from events
                events.clear()

    def at(self, instant: float, action: Callable[[Any], None], subject: object) -> None:
        self.pushed += 1
        heappush(self.heap, (instant, self.pushed, action, subject))

    def emit(self, type: str, lane: Lane, **fields: object) -> None:
        self.event_count += 1
        self.events.append(
            {
                "event_id": f"{self.tag}{self.event_count:07d}",
                "type": type,
                "ts": self.stamp,
                "campaign": lane.campaign.id,
                "source": lane.campaign.source,
                **fields,
            }
        )

    def new_call(self, lane: Lane, queue: Queue, number: str, linked_id: str = "", hops: int = 0) -> Call:
        self.call_count += 1
        id = f"{self.tag}c{self.call_count:06d}"
        return Call(id, lane, queue, number, linked_id or id, hops)

    # Calls arrive and wait

    def arrive(self, lane: Lane) -> None:
        if self.now >= DAY_S:
            return
        self.at(next(lane.arrivals, DAY_S), self.arrive, lane)
        queue = self.rng.choices(lane.campaign.queues, cum_weights=lane.shares)[0]
        self.enqueue(self.new_call(lane, queue, number_of(lane.campaign.language, self.rng)))

    def enqueue(self, call: Call) -> None:
        lane, rng, campaign = call.lane, self.rng, call.lane.campaign
        more = {"linked_id": call.linked_id} if call.linked_id != call.id else {}
        if campaign.language == "es" and call.direction == "inbound":
            more["asked_for_human_at"] = asked_at(self.started, self.now, rng)
        self.emit(
            "call.queued", lane, call_id=call.id, queue=call.queue.id, direction=call.direction,
            caller=call.number, language=campaign.language, priority=call.queue.priority, **more,
        )  # fmt: skip
        hour = lane.hours[min(int(self.now // 3600), 24) + 1]
        if not call.queue.opens <= hour < call.queue.closes:
            self.leave_queue(call, "closed")
        elif len(lane.waiting[0]) >= lane.limit and call.direction == "inbound":
            self.leave_queue(call, "full")
        else:
            self.at(self.now + self.stays_s(call), self.give_up, call)
            self.place(call)

    def stays_s(self, call: Call) -> float:
        """Draw how long the caller waits if nobody answers [s]. `call.leaves` says how the wait ends then."""
        rng, campaign = self.rng, call.lane.campaign
        if call.direction == "callback":
            call.leaves = "timeout"
            return parameters.TIMEOUT_S
        if rng.random() < parameters.SHORT_ABANDON_SHARE and not call.hops:
            return rng.uniform(0.6, parameters.SHORT_ABANDON_S)
        stays = rng.expovariate(1 / campaign.patience_s)
        others = [(parameters.TIMEOUT_S, "timeout")]
        callback_s = campaign.offers_callback_after_s
        if callback_s and self.now < LAST_REQUEUE - 3600 and rng.random() < campaign.callback_share:
            others.append((callback_s + rng.uniform(2, 15), "callback"))
        if campaign.overflows_after_s:
            others.append((campaign.overflows_after_s, "overflow"))
        if campaign.voicemail_after_s and rng.random() < 0.5:
            others.append((campaign.voicemail_after_s + rng.uniform(2, 12), "voicemail"))
        after, reason = min(others)
        if after < stays:
            call.leaves = reason
            return after
        return stays

    def place(self, call: Call, first: bool = False) -> None:
        """Offer the call to the agent who has been idle longest, or queue it, at the front if `first`."""
        lane = call.lane
        if lane.idle:
            self.offer(call, lane.idle.popleft())
        elif first:
            lane.waiting[1].appendleft(call)
        else:
            lane.waiting[call.queue.priority].append(call)

    def give_up(self, call: Call) -> None:
        if call.state == "ringing" and call.leaves != "abandon":
            self.at(self.now + 5, self.give_up, call)
        elif call.state in ("waiting", "ringing"):
            if call.state == "waiting":
                for line in call.lane.waiting:
                    if call in line:
                        line.remove(call)
            if call.leaves == "abandon":
                self.emit("call.abandoned", call.lane, call_id=call.id)
            else:
                self.leave_queue(call, call.leaves)
            call.state = "over"
            if call.agent:
                self.free(call.agent)

    def leave_queue(self, call: Call, reason: str) -> None:
        call.state = "over"
        self.emit("call.left_queue", call.lane, call_id=call.id, reason=reason)
        if reason == "callback":
            again = self.new_call(call.lane, call.queue, call.number, call.linked_id, hops=1)
            again.direction = "callback"
            self.at(self.now + self.rng.uniform(600, 2400), self.enqueue, again)

    # Calls with an agent

    def offer(self, call: Call, agent: Agent) -> None:
        call.agent = agent
        if call.direction == "outbound":  # the customer is on the line already: no ringing
            call.lane.outbound += 1
            if agent.state != "busy":
                self.set_state(agent, "busy")
            self.answer(call)
            return
        call.state = "ringing"
        self.emit("call.rang", call.lane, call_id=call.id, agent=agent.id)
        if agent.state != "busy":  # the agent is busy if the caller before hung up while it rang
            self.set_state(agent, "busy")
        is_missed = agent.has_left or self.rng.random() < parameters.MISSED_SHARE
        if is_missed and self.now < LAST_REQUEUE:
            self.at(self.now + parameters.MISSED_AFTER_S, self.miss, call)
        else:
            self.at(self.now + 1 + self.rng.expovariate(1 / (parameters.RING_S - 1)), self.answer, call)

    def miss(self, call: Call) -> None:
        agent = call.agent
        if call.state != "ringing" or agent is None:
            return
        self.emit("call.missed", call.lane, call_id=call.id, agent=agent.id)
        call.state, call.agent = "waiting", None
        self.pause(agent, "no_answer", self.rng.uniform(0.5, 1.5) * parameters.MISSED_PAUSE_S)
        self.place(call, first=True)

    def answer(self, call: Call) -> None:
        if call.state == "over" or call.agent is None:
            return
        call.state = "talking"
        lane, rng = call.lane, self.rng
        self.emit("call.answered", lane, call_id=call.id, agent=call.agent.id)
        talk_s = 4 + rng.lognormvariate(lane.talk_mu, lane.campaign.talk_sigma)
        if call.direction == "outbound" and lane.campaign.dialer:
            talk_s *= lane.campaign.dialer.talk_s / lane.campaign.talk_s
        if rng.random() < lane.campaign.hold_share:
            before = rng.uniform(0.2, 0.7) * talk_s
            call.rest_s = talk_s - before
            self.at(self.now + before, self.hold, call)
        else:
            self.at(self.now + talk_s, self.finish, call)

    def hold(self, call: Call) -> None:
        self.emit("call.held", call.lane, call_id=call.id)
        self.at(self.now + 3 + self.rng.expovariate(1 / parameters.HOLD_S), self.resume, call)

    def resume(self, call: Call) -> None:
        self.emit("call.resumed", call.lane, call_id=call.id)
        self.at(self.now + call.rest_s, self.finish, call)

    def finish(self, call: Call) -> None:
        lane, rng, agent = call.lane, self.rng, call.agent
        assert agent is not None
        call.state = "over"
        campaign = lane.campaign
        outbound = call.direction == "outbound"
        lane.outbound -= outbound
        onward = campaign.transfer_to if call.hops == 0 and not outbound and self.now < LAST_REQUEUE else ()
        if onward and rng.random() < campaign.transfer_share:
            self.transfer(call, *rng.choice(onward))
        else:
            by = "customer" if rng.random() < 0.72 else "agent"
            self.emit("call.ended", lane, call_id=call.id, ended_by=by)
            if rng.random() < parameters.RATED_SHARE:
                self.at(self.now + rng.uniform(*parameters.RATED_AFTER_S), self.rate, call)
        self.set_state(agent, "wrap_up")
        self.at(self.now + 2 + rng.lognormvariate(lane.wrap_mu, 0.5), self.wrap, call)

    def transfer(self, call: Call, campaign: str, queue: str) -> None:
        lane = self.lanes[campaign]
        warm = self.rng.random() < 0.4
        self.emit("call.transferred", call.lane, call_id=call.id, to_queue=queue, warm=warm)
        onward = self.new_call(lane, lane.queues[queue], call.number, call.linked_id, hops=1)
        self.at(self.now + self.rng.uniform(0.3, 2), self.enqueue, onward)

    def wrap(self, call: Call) -> None:
        lane, rng, campaign = call.lane, self.rng, call.lane.campaign
        sold: Event = {"disposition": rng.choices(lane.dispositions, cum_weights=lane.weights)[0]}
        if campaign.sale_share:
            sold["sale"] = rng.random() < campaign.sale_share and sold["disposition"] not in parameters.NOTHING_SOLD
        if sold.get("sale"):
            sold["amount"] = round(campaign.sale_amount * rng.lognormvariate(-0.08, 0.4), 2)
            sold["currency"] = campaign.currency
            if "vente" in lane.dispositions:
                sold["disposition"] = "vente"
        self.emit("call.wrapped", lane, call_id=call.id, **sold)
        assert call.agent is not None
        self.free(call.agent)

    def rate(self, call: Call) -> None:
        score = self.rng.choices((1, 2, 3, 4, 5), (7, 6, 14, 33, 40))[0]
        self.emit("call.rated", call.lane, call_id=call.id, score=score)

    # The dialer

    def dial(self, lane: Lane) -> None:
        dialer = lane.campaign.dialer
        assert dialer is not None
        hour = int(self.now // 3600)
        allowed = lane.dialing_hours[hour + 1]
        if self.now < LAST_REQUEUE:
            self.at(self.now + dialer.every_s if allowed else (hour + 1) * 3600.0, self.dial, lane)
        wanted = ceil(dialer.agents * lane.volume) - lane.outbound
        free = min(len(lane.idle) - dialer.idle_kept, wanted)
        if not allowed or free <= 0:
            return
        rng = self.rng
        for _ in range(ceil(free * dialer.lines) - lane.dialing):
            lane.dialing += 1
            number = number_of(lane.campaign.language, rng)
            call = self.new_call(lane, Queue(dialer.queue, 1.0), number)
            call.direction = "outbound"
            consent = "contract" if rng.random() < 0.35 else "consent"
            self.emit(
                "call.dialed", lane, call_id=call.id, queue=dialer.queue, list=rng.choice(dialer.lists),
                callee=number, consent=consent,
            )  # fmt: skip
            self.at(self.now + rng.uniform(4, 22), self.dialed, call)

    def dialed(self, call: Call) -> None:
        lane, rng, dialer = call.lane, self.rng, call.lane.campaign.dialer
        assert dialer is not None
        lane.dialing -= 1
        fate = rng.random()
        if fate < dialer.human:
            self.emit("call.connected", lane, call_id=call.id, answered_by="human")
            self.at(self.now + rng.uniform(1.5, 5), self.give_up, call)
            self.place(call, first=True)
        elif fate < dialer.human + dialer.machine:
            self.emit("call.connected", lane, call_id=call.id, answered_by="machine")
            self.at(self.now + rng.uniform(1.5, 4), self.hang_up, call)
        else:
            reason = rng.choices(("no_answer", "busy", "invalid", "refused"), (80, 10, 6, 4))[0]
            self.emit("call.not_connected", lane, call_id=call.id, reason=reason)

    def hang_up(self, call: Call) -> None:
        self.emit("call.ended", call.lane, call_id=call.id, ended_by="system")

    # Agents

    def set_state(self, agent: Agent, state: str, **fields: object) -> None:
        agent.state = state
        self.emit("agent.state", agent.lane, agent=agent.id, state=state, **fields)

    def log_in(self, agent: Agent) -> None:
        lane = agent.lane
        lane.agents.append(agent)
        self.emit("agent.profile", lane, agent=agent.id, **profile(agent.number, lane.campaign))
        self.free(agent, queues=list(lane.queues))
        for due, _, _ in agent.pauses:
            self.at(due, self.check_plan, agent)
        self.at(agent.ends, self.check_plan, agent)

    def check_plan(self, agent: Agent) -> None:
        """Let an idle or paused agent notice that a pause is due or the shift is over."""
        if agent.state == "available":
            agent.lane.idle.remove(agent)
            self.free(agent, was_idle=True)
        elif agent.state == "paused" and self.now >= agent.ends and not agent.lane.waits():
            agent.lane.paused -= 1
            self.go_home(agent)

    def free(self, agent: Agent, was_idle: bool = False, **fields: object) -> None:
        """Decide what an agent without a call does next: go home, pause, take the next call, or be idle."""
        lane = agent.lane
        waits = lane.waits()
        if self.now >= agent.ends and not (waits and agent.ends >= DAY_S):
            self.go_home(agent)
        elif agent.pauses and self.now >= agent.pauses[0][0] and self.may_pause(agent, waits):
            _, reason, lasts = agent.pauses.pop(0)
            self.pause(agent, reason, lasts)
        elif waits:
            self.offer((lane.waiting[1] or lane.waiting[0]).popleft(), agent)
        else:
            lane.idle.append(agent)
            if not was_idle:
                self.set_state(agent, "available", **fields)

    def may_pause(self, agent: Agent, waits: bool) -> bool:
        """Whether a due pause may begin: it waits up to 20 min for a calm moment, and a fifth of a team may be away."""
        lane, due = agent.lane, agent.pauses[0][0]
        if self.now > agent.ends - 1800:
            agent.pauses.clear()
            return False
        if lane.paused >= max(1, parameters.MOST_PAUSED * len(lane.agents)) or (waits and self.now < due + 1200):
            self.at(self.now + 240, self.check_plan, agent)
            return False
        return True

    def pause(self, agent: Agent, reason: str, lasts: float) -> None:
        agent.lane.paused += 1
        self.set_state(agent, "paused", reason=reason)
        self.at(self.now + lasts, self.come_back, agent)

    def come_back(self, agent: Agent) -> None:
        if agent.state == "paused":
            agent.lane.paused -= 1
            self.free(agent)

    def go_home(self, agent: Agent) -> None:
        agent.lane.agents.remove(agent)
        self.set_state(agent, "offline")

    # What happens to a team

    def fall_sick(self, incident: Incident) -> None:
        """Send a part of the team home, and let colleagues of their shift who are off today take over at the end."""
        lane, rng = self.lanes[incident.campaign.id], self.rng
        count = min(ceil(parameters.SICK_SHARE * len(lane.agents)), len(lane.agents) - 1)
        for agent in rng.sample(lane.agents, max(count, 0)):
            off_duty = [number for number in lane.off_duty if number // 2_500 == agent.number // 2_500]
            if off_duty and agent.ends > incident.ends + 1800:
                lane.off_duty.remove(off_duty[0])
                starts = incident.ends + rng.uniform(0, parameters.SICK_WITHIN_S)
                shift = Shift(off_duty[0], starts, agent.ends, rng.random())
                self.at(starts, self.log_in, Agent(shift, lane, rng))
                self.at(self.now + rng.uniform(0, parameters.SICK_WITHIN_S), self.leave_early, agent)

    def leave_early(self, agent: Agent) -> None:
        agent.ends = min(agent.ends, self.now)
        self.check_plan(agent)

    def forget_to_log_out(self, incident: Incident) -> None:
        """Let the agent whose shift ends first go home without logging out. Somebody else does it at the end."""
        staying = [agent for agent in self.lanes[incident.campaign.id].agents if agent.ends > incident.ends]
        if len(staying) > 1:
            agent = min(staying, key=attrgetter("ends"))
            agent.has_left, agent.ends = True, incident.ends
            agent.pauses.clear()
            self.at(agent.ends, self.check_plan, agent)
