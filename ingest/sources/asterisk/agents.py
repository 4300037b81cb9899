"""The agents of a queue_log: what each does, pieced together from lines that each tell a part of it.

An agent may be a member of several queues, is paused in each by itself, and works for one caller at a time. What we
say of them is one state: busy (ringing or talking), wrap_up, paused (in every queue they are in), available, offline.
"""

import datetime as dt
from typing import Any

import msgspec

from ingest.sources.events import Event, event
from ingest.sources.names import Names

DISORDER = dt.timedelta(seconds=60)  # a line this much older than the one before is not late but read again


class WrapUp(msgspec.Struct):
    """After-call work on a call until an instant."""

    until: dt.datetime
    call_id: str
    campaign: str


class Saying(msgspec.Struct, frozen=True):
    """A state as it is told; two that are equal are told once."""

    state: str
    reason: str | None = None
    campaign: str | None = None
    queues: tuple[str, ...] = ()


class Agent(msgspec.Struct):
    """What the lines so far tell of an agent. `is_in` is None while nothing told whether they are logged in."""

    id: str
    is_in: bool | None = None
    has_login: bool = False
    has_joined: bool = False  # the log tells of which queues they are a member
    queues: dict[str, bool] = {}  # those they are a member of: whether they are paused there
    is_paused: bool = False  # in whatever queue
    reason: str | None = None
    talks: dict[str, str] = {}  # call_id: campaign
    last_call: tuple[str, str] | None = None  # the call_id and campaign of the last talk that ended
    wrap_up: WrapUp | None = None
    said: Saying | None = None
    said_at: dt.datetime | None = None
    said_times: int = 0  # at that instant
    profile: dict[str, str] = {}

    def is_available(self) -> bool:
        return bool(self.is_in and not self.talks and not self.wrap_up and not self.is_resting())

    def is_resting(self) -> bool:
        """Whether no queue offers them a call."""
        return self.is_paused or (bool(self.queues) and all(self.queues.values()))

    def saying(self, campaigns: list[str]) -> Saying:
        """Their state now; `campaigns` are those of their queues, in the order they joined them."""
        queues = tuple(sorted(self.queues))
        if self.talks:
            return Saying("busy", None, next(reversed(self.talks.values())), queues)
        if self.wrap_up:
            return Saying("wrap_up", None, self.wrap_up.campaign, queues)
        if not self.is_in:
            return Saying("offline")
        campaign = campaigns[0] if campaigns else None
        if self.last_call and self.last_call[1] in campaigns:  # of several, the one they worked for last
            campaign = self.last_call[1]
        if self.is_resting():
            return Saying("paused", self.reason, campaign, queues)
        return Saying("available", None, campaign, queues)


class Agents:
    """Takes what lines tell of agents; each method gives the events that follow."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._agents: dict[str, Agent] = {}

    # Being there

    def join(self, at: dt.datetime, interface: str, queue: str, is_paused: bool) -> list[Event]:
        agent = self._agent(interface)
        agent.queues[queue] = is_paused
        agent.is_in = agent.has_joined = True
        return self._tell(agent, at)

    def leave(self, at: dt.datetime, interface: str, queue: str) -> list[Event]:
        agent = self._agent(interface)
        agent.queues.pop(queue, None)
        if not agent.queues and not agent.has_login:
            agent.is_in = False
        return self._tell(agent, at)

    def log_in(self, at: dt.datetime, interface: str) -> list[Event]:
        agent = self._agent(interface)
        agent.is_in = agent.has_login = True
        return self._tell(agent, at)

    def log_off(self, at: dt.datetime, interface: str) -> list[Event]:
        agent = self._agent(interface)
        agent.is_in = agent.has_login = agent.is_paused = False
        agent.queues.clear()
        return self._end_wrap_up(agent, at) + self._tell(agent, at)

    # Pauses

    def pause(self, at: dt.datetime, interface: str, queue: str, reason: str | None) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is False:  # Wazo ends all pauses after a logout: nobody came back by that
            return []
        agent.reason = reason or (agent.reason if agent.is_resting() else None)
        agent.is_in = agent.queues[queue] = True
        return self._tell(agent, at)

    def unpause(self, at: dt.datetime, interface: str, queue: str) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is False:
            return []
        agent.is_in, agent.is_paused, agent.queues[queue] = True, False, False
        return self._tell(agent, at)

    def pause_all(self, at: dt.datetime, interface: str, is_paused: bool, reason: str | None) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is False:
            return []
        agent.reason = reason or (agent.reason if agent.is_resting() else None)
        agent.is_in, agent.is_paused = True, is_paused
        agent.queues = dict.fromkeys(agent.queues, is_paused)
        return self._tell(agent, at)

    # Calls

    def ring(self, since: dt.datetime, until: dt.datetime, interface: str, campaign: str) -> list[Event]:
        """The agent's telephone rang, which the log tells only when it has stopped."""
        agent = self._agent(interface)
        since = self._not_before_said(agent, since)
        if not agent.is_available() or since >= until:
            return []
        rang = self._say(agent, since, Saying("busy", None, campaign, tuple(sorted(agent.queues))))
        return rang + self._tell(agent, until)

    def answer(self, rang_at: dt.datetime, interface: str, queue: str, call_id: str, campaign: str) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is None:  # a member by configuration, of whom no line says that they are one
            agent.is_in = True
        if agent.is_in and not agent.has_joined:
            agent.queues.setdefault(queue, False)
        rang_at = self._not_before_said(agent, rang_at)
        agent.talks[call_id] = campaign
        return self._end_wrap_up(agent, rang_at) + self._tell(agent, rang_at)

    def end_talk(self, at: dt.datetime, interface: str, call_id: str, campaign: str, wrap_up_s: float) -> list[Event]:
        agent = self._agent(interface)
        if agent.is_in is None:
            agent.is_in = True
        agent.talks.pop(call_id, None)
        agent.last_call = (call_id, campaign)
        if wrap_up_s and not agent.talks:
            agent.wrap_up = WrapUp(at + dt.timedelta(seconds=wrap_up_s), call_id, campaign)
        return self._tell(agent, at)

    def wrap_up(self, at: dt.datetime, interface: str, seconds: float) -> list[Event]:
        """After-call work on the agent's last call begins."""
        agent = self._agent(interface)
        if agent.last_call is None or not seconds or agent.is_in is False or agent.talks:
            return []
        agent.wrap_up = WrapUp(at + dt.timedelta(seconds=seconds), *agent.last_call)
        return self._tell(agent, at)

    def drop_calls(self, at: dt.datetime) -> list[Event]:
        """Asterisk was started again: nobody talks any more."""
        made = []
        for agent in self._agents.values():
            agent.talks.clear()
            made += self._end_wrap_up(agent, at) + self._tell(agent, at)
        return made

    def pass_time(self, now: dt.datetime) -> list[Event]:
        """What happens by itself until `now`: after-call work is over."""
        over = [(a.wrap_up.until, a) for a in self._agents.values() if a.wrap_up and a.wrap_up.until <= now]
        return [
            told
            for until, agent in sorted(over, key=lambda one: one[0])
            for told in self._end_wrap_up(agent, until) + self._tell(agent, until)
        ]

    def remembered(self) -> Any:
        """What to know to read on after this line."""
        return msgspec.to_builtins(self._agents)

    def recall(self, remembered: Any) -> None:
        self._agents = msgspec.convert(remembered, dict[str, Agent])

    # Telling

    def _agent(self, interface: str) -> Agent:
        id = self._names.agent(interface)
        return self._agents.setdefault(id, Agent(id))

    def _tell(self, agent: Agent, at: dt.datetime) -> list[Event]:
        saying = agent.saying([self._names.campaign(queue) for queue in agent.queues])
        return [] if saying == agent.said else self._say(agent, at, saying)

    def _say(self, agent: Agent, at: dt.datetime, saying: Saying) -> list[Event]:
        """One event an agent and instant: what is said again of the same one replaces it, as a revision.

        Asterisk logs whole seconds, and two states at one instant would have no order.
        """
        at = self._not_before_said(agent, at)
        agent.said_times = agent.said_times + 1 if at == agent.said_at else 0
        agent.said, agent.said_at = saying, at
        return [
            *self._introduce(agent, at),
            event(
                "agent.state",
                at,
                self._source,
                "state",
                agent.id,
                at.isoformat(),
                agent=agent.id,
                state=saying.state,
                reason=saying.reason,
                campaign=saying.campaign,
                queues=list(saying.queues) or None,
                revision=agent.said_times or None,
            ),
        ]

    def _introduce(self, agent: Agent, at: dt.datetime) -> list[Event]:
        profile = self._names.profile(agent.id)
        if profile == agent.profile:
            return []
        agent.profile = profile
        return [
            event("agent.profile", at, self._source, "profile", agent.id, *profile.values(), agent=agent.id, **profile)
        ]

    def _end_wrap_up(self, agent: Agent, at: dt.datetime) -> list[Event]:
        if agent.wrap_up is None:
            return []
        call_id, agent.wrap_up = agent.wrap_up.call_id, None
        return [event("call.wrapped", at, call_id, "wrapped", call_id=call_id)]

    def _not_before_said(self, agent: Agent, at: dt.datetime) -> dt.datetime:
        """Not before the agent's last state; but what is far older is not late, it is read again."""
        if agent.said_at and at < agent.said_at <= at + DISORDER:
            return agent.said_at
        return at
