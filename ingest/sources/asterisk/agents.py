"""The agents of a queue_log: the state of each, combined from lines that each report a part of it.

An agent may be a member of several queues, is paused in each queue separately, and serves one caller at a time. We
report one state: busy (ringing or talking), wrap_up, paused (in all of their queues), available, offline.
"""

import datetime as dt
from typing import Any

import msgspec

from ingest.sources.asterisk.agent import Agent, Report, Saying, WrapUp
from ingest.sources.events import Event, event
from ingest.sources.names import Names

# a line that is older than the line before by more than this is not late: it is being read again
DISORDER = dt.timedelta(seconds=60)
TOGETHER = dt.timedelta(seconds=2)  # a pause, and its reason that is logged before it
NEVER_RANG_MS = 1_000.0  # whole seconds are logged: a failure at once is 0, or 1 s when the clock ticked meanwhile


class Agents:
    """Keeps the state of agents from line to line; each method returns the events that follow."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._agents: dict[str, Agent] = {}

    # Presence

    def join(self, at: dt.datetime, interface: str, queue: str, is_paused: bool) -> list[Event]:
        agent = self._agent(interface)
        agent.queues[queue] = is_paused
        agent.is_in = agent.has_joined = True
        return self._report_change(agent, at)

    def leave(self, at: dt.datetime, interface: str, queue: str) -> list[Event]:
        agent = self._agent(interface)
        agent.queues.pop(queue, None)
        if not agent.queues and not agent.has_login:
            agent.is_in = False
        return self._report_change(agent, at)

    def log_in(self, at: dt.datetime, interface: str) -> list[Event]:
        agent = self._agent(interface)
        agent.is_in = agent.has_login = True
        return self._report_change(agent, at)

    def log_off(self, at: dt.datetime, interface: str) -> list[Event]:
        agent = self._agent(interface)
        agent.is_in = agent.has_login = agent.is_paused = False
        agent.queues.clear()
        return self._end_wrap_up(agent, at) + self._report_change(agent, at)

    # Pauses

    def pause(self, at: dt.datetime, interface: str, queue: str, reason: str | None) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is False:  # Wazo ends all pauses after a logout: that does not mean that the agent came back
            return []
        agent.reason = self._reason_of_pause(agent, at, reason)
        agent.is_in = agent.queues[queue] = True
        return self._report_change(agent, at)

    def unpause(self, at: dt.datetime, interface: str, queue: str) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is False:
            return []
        agent.is_in, agent.is_paused, agent.queues[queue] = True, False, False
        return self._report_change(agent, at)

    def pause_all(self, at: dt.datetime, interface: str, is_paused: bool, reason: str | None) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is False:
            return []
        if is_paused:
            agent.reason = self._reason_of_pause(agent, at, reason)
        agent.is_in, agent.is_paused = True, is_paused
        agent.queues = dict.fromkeys(agent.queues, is_paused)
        return self._report_change(agent, at)

    def name_pause(self, at: dt.datetime, interface: str, reason: str) -> list[Event]:
        """The reason of the pause that lasts, from its beginning, comes in a line of its own."""
        agent = self._agent(interface)
        if agent.is_in is False:
            return []
        if not agent.is_resting():
            agent.unnamed_reason = (at, reason)
            return []
        agent.reason = reason
        events = []
        for report in agent.rest:
            if report.saying.reason == reason:
                continue
            report.saying = msgspec.structs.replace(report.saying, reason=reason)
            report.revision += 1
            events.append(self._state(agent, report))
            if report.at == agent.said_at:
                agent.said, agent.said_times = report.saying, report.revision
        return events

    # Calls

    def ring(self, since: dt.datetime, until: dt.datetime, interface: str, campaign: str) -> list[Event]:
        """The agent's telephone rang. The log reports it only when the ringing has stopped."""
        agent = self._agent(interface)
        since = self._not_before_last_report(agent, since)
        if not agent.is_available() or since >= until:
            return []
        rang = self._report(agent, since, Saying("busy", None, campaign, tuple(sorted(agent.queues))))
        return rang + self._report_change(agent, until)

    def answer(self, rang_at: dt.datetime, interface: str, queue: str, call_id: str, campaign: str) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is None:  # a static member of the queue: no line reports the membership
            agent.is_in = True
        if agent.is_in and not agent.has_joined:
            agent.queues.setdefault(queue, False)
        rang_at = self._not_before_last_report(agent, rang_at)
        agent.talks[call_id] = campaign
        agent.is_unreachable = False
        return self._end_wrap_up(agent, rang_at) + self._report_change(agent, rang_at)

    def talked(
        self, since: dt.datetime, until: dt.datetime, interface: str, queue: str, call_id: str, campaign: str
    ) -> list[Event]:
        """The agent talked, though no line said so when the talk began. What was reported since then stays."""
        agent = self._agent(interface)
        since = max(since, agent.said_at) if agent.said_at else since
        if agent.talks or since >= until:
            return []
        return self.answer(since, interface, queue, call_id, campaign)

    def hand_on(self, interface: str, call_id: str) -> list[str]:
        """The agent answers the call `call_id`, so their other talks are over; returns the calls of those."""
        agent = self._agent(interface)
        others = [other for other in agent.talks if other != call_id]
        agent.talks = {other: campaign for other, campaign in agent.talks.items() if other == call_id}
        return others

    def could_ring(self, interface: str, ms: float) -> bool:
        """Whether the agent's telephone rang, as far as the log can tell. It says so at once when it cannot."""
        agent = self._agent(interface)
        agent.is_unreachable = ms == 0 or (agent.is_unreachable and ms <= NEVER_RANG_MS)
        return not agent.is_unreachable

    def end_talk(self, at: dt.datetime, interface: str, call_id: str, campaign: str, wrap_up_s: float) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is None:
            agent.is_in = True
        agent.talks.pop(call_id, None)
        agent.last_call, agent.result = (call_id, campaign), None
        if wrap_up_s and not agent.talks:
            agent.wrap_up = WrapUp(at + dt.timedelta(seconds=wrap_up_s), call_id, campaign)
        return self._report_change(agent, at)

    def wrap_up(self, at: dt.datetime, interface: str, seconds: float) -> list[Event]:
        """The agent begins after-call work on their last call."""
        agent = self._agent(interface)
        if agent.last_call is None or not seconds or agent.is_in is False or agent.talks:
            return []
        agent.wrap_up = WrapUp(at + dt.timedelta(seconds=seconds), *agent.last_call)
        return self._report_change(agent, at)

    def name_result(self, interface: str, call_id: str, result: str) -> bool:
        """Keep the result of the agent's last call; return whether the end of their wrap-up will tell it."""
        agent = self._agent(interface)
        if agent.last_call is None or agent.last_call[0] != call_id:
            return False
        agent.result = result
        return agent.wrap_up is not None and agent.wrap_up.call_id == call_id

    def drop_calls(self, at: dt.datetime) -> list[Event]:
        """Asterisk was restarted: nobody talks any more."""
        events = []
        for agent in self._agents.values():
            agent.talks.clear()
            events += self._end_wrap_up(agent, at) + self._report_change(agent, at)
        return events

    def pass_time(self, now: dt.datetime) -> list[Event]:
        """The events that happen until `now` without a line: the end of after-call work."""
        over = [(a.wrap_up.until, a) for a in self._agents.values() if a.wrap_up and a.wrap_up.until <= now]
        return [
            event
            for until, agent in sorted(over, key=lambda until_and_agent: until_and_agent[0])
            for event in self._end_wrap_up(agent, until) + self._report_change(agent, until)
        ]

    def remembered(self) -> Any:
        """The state that is needed to read on after this line."""
        return msgspec.to_builtins(self._agents)

    def recall(self, remembered: Any) -> None:
        self._agents = msgspec.convert(remembered, dict[str, Agent])

    # Reporting

    def _agent(self, interface: str) -> Agent:
        id = self._names.agent(interface)
        return self._agents.setdefault(id, Agent(id))

    def _report_change(self, agent: Agent, at: dt.datetime) -> list[Event]:
        saying = agent.saying([self._names.campaign(queue) for queue in agent.queues])
        return [] if saying == agent.said else self._report(agent, at, saying)

    def _report(self, agent: Agent, at: dt.datetime, saying: Saying) -> list[Event]:
        """One event per agent and timestamp: a second state at the same timestamp replaces the first, as a revision.

        Asterisk logs whole seconds, and two states at one timestamp would have no order.
        """
        at = self._not_before_last_report(agent, at)
        agent.said_times = agent.said_times + 1 if at == agent.said_at else 0
        agent.said, agent.said_at = saying, at
        report = Report(at, saying, agent.said_times)
        agent.rest = [*agent.rest, report] if saying.state == "paused" else []
        return [*self._report_profile(agent, at), self._state(agent, report)]

    def _state(self, agent: Agent, report: Report) -> Event:
        saying = report.saying
        return event(
            "agent.state",
            report.at,
            self._source,
            "state",
            agent.id,
            report.at.isoformat(),
            agent=agent.id,
            state=saying.state,
            reason=saying.reason,
            campaign=saying.campaign,
            queues=list(saying.queues) or None,
            revision=report.revision or None,
        )

    def _report_profile(self, agent: Agent, at: dt.datetime) -> list[Event]:
        profile = self._names.profile(agent.id)
        if profile == agent.profile:
            return []
        agent.profile = profile
        return [
            event("agent.profile", at, self._source, "profile", agent.id, *profile.values(), agent=agent.id, **profile)
        ]

    def _reason_of_pause(self, agent: Agent, at: dt.datetime, reason: str | None) -> str | None:
        """The reason in the line of a pause, or in a line just before it, or of the pause that lasts already."""
        named, agent.unnamed_reason = agent.unnamed_reason, None
        if named and at - named[0] > TOGETHER:
            named = None
        return reason or (named[1] if named else None) or (agent.reason if agent.is_resting() else None)

    def _end_wrap_up(self, agent: Agent, at: dt.datetime) -> list[Event]:
        if agent.wrap_up is None:
            return []
        call_id, agent.wrap_up = agent.wrap_up.call_id, None
        ended = wrapped(call_id, at, revision=1)
        if agent.result is None or agent.last_call is None or agent.last_call[0] != call_id:
            return [ended]
        return [ended, result_named(call_id, at, agent.result, at)]

    def _not_before_last_report(self, agent: Agent, at: dt.datetime) -> dt.datetime:
        """`at`, but not before the agent's last report. A much older `at` stays: the line is being read again."""
        if agent.said_at and at < agent.said_at <= at + DISORDER:
            return agent.said_at
        return at


def wrapped(call_id: str, at: dt.datetime, revision: int | None = None) -> Event:
    """The end of a wrap-up: revision 1 of one that was read, and no revision where the call may have none."""
    return event("call.wrapped", at, call_id, "wrapped", call_id=call_id, revision=revision)


def result_named(call_id: str, at: dt.datetime, result: str, named_at: dt.datetime) -> Event:
    """The result of a call, at the end of its wrap-up or later.

    The earliest `call.wrapped` of a call is the end of the wrap-up, and the latest has the disposition: of two at one
    instant this one, by its longer id.
    """
    fields = {"call_id": call_id, "disposition": result, "revision": int(named_at.timestamp())}
    return event("call.wrapped", at, call_id, "wrapped", "disposition", **fields)
