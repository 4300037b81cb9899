"""The states of TaskRouter's workers: their activity, and above it their reservations."""

import datetime as dt
from typing import Any

import msgspec
from msgspec import Struct

from ingest.sources.events import Event, event
from ingest.sources.names import Names
from ingest.sources.twilio.events import TaskRouterEvent

WORKING = {"reservation.created": "busy", "reservation.accepted": "busy", "reservation.wrapup": "wrap_up"}
STATES = {"available": "available", "idle": "available", "offline": "offline"}  # of activities; others are pauses
LONGEST = dt.timedelta(hours=12)  # after that the end of a reservation was lost


class Reservation(Struct):
    state: str
    campaign: str | None
    since: dt.datetime


class Worker(Struct):
    activity: str | None = None
    reservations: dict[str, Reservation] = {}
    at: dt.datetime | None = None  # of the last event
    revision: int = 0  # of the state at that instant


def agent_of(told: TaskRouterEvent, names: Names) -> str | None:
    """The agent: the worker's name, which people know, unless the map knows the SID."""
    by_sid = names.agent(told.worker_sid or "")
    return (
        by_sid if by_sid != (told.worker_sid or "") else names.agent(told.worker_name or told.worker_sid or "") or None
    )


class Workers:
    """The workers of a workspace, with what was told last of each."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._workers: dict[str, Worker] = {}
        self._profiles: dict[str, dict[str, str]] = {}

    def memory(self) -> dict[str, Any]:
        memory = msgspec.to_builtins(self._workers)
        assert isinstance(memory, dict)
        return memory

    def recall(self, memory: dict[str, Any]) -> None:
        self._workers = msgspec.convert(memory, dict[str, Worker])

    def events(self, told: TaskRouterEvent) -> list[Event]:
        """The worker's state after an event of theirs, and their profile if it is new."""
        agent = agent_of(told, self._names)
        if agent is None:
            return []
        worker = self._workers.setdefault(told.worker_sid or agent, Worker())
        worker.activity = told.worker_activity_name or worker.activity
        if told.reservation_sid and told.event_type in WORKING:
            settings = self._names.queue_of(told.task_queue_name, told.task_queue_sid)
            campaign = settings.campaign or told.task_queue_name or told.task_queue_sid
            worker.reservations[told.reservation_sid] = Reservation(WORKING[told.event_type], campaign, told.at)
        elif told.reservation_sid:
            worker.reservations.pop(told.reservation_sid, None)
        worker.reservations = {
            sid: reservation
            for sid, reservation in worker.reservations.items()
            if told.at - reservation.since < LONGEST
        }
        return [*self._state(agent, worker, told), *self._profile(agent, told)]

    def _state(self, agent: str, worker: Worker, told: TaskRouterEvent) -> list[Event]:
        state, reason, campaign = self._doing(worker, told)
        if state is None:
            return []
        worker.revision = (
            worker.revision + 1 if worker.at == told.at else 0
        )  # of several at one instant the last counts
        worker.at = told.at
        identity = (self._source, "agent", agent, told.at.isoformat())
        fields = {"agent": agent, "state": state, "reason": reason, "campaign": campaign}
        return [event("agent.state", told.at, *identity, **fields, revision=worker.revision or None)]

    def _doing(self, worker: Worker, told: TaskRouterEvent) -> tuple[str | None, str | None, str | None]:
        """(state, reason, campaign). Whoever has a task works, whatever the activity says."""
        if told.event_type == "worker.deleted":
            return "offline", None, None
        for state in ("busy", "wrap_up"):
            if working := [r for r in worker.reservations.values() if r.state == state]:
                return state, None, working[0].campaign
        if worker.activity is None:
            return None, None, None
        reason = self._names.reason(worker.activity) or ""
        state_of = STATES.get(reason.casefold())
        return (state_of, None, None) if state_of else ("paused", reason, None)

    def _profile(self, agent: str, told: TaskRouterEvent) -> list[Event]:
        attributes = told.worker()
        given = {"name": attributes.get("full_name"), "team": attributes.get("team_name")}
        profile = {field: value for field, value in given.items() if isinstance(value, str) and value.strip()}
        profile |= self._names.profile(agent)
        if not profile or profile == self._profiles.get(agent):
            return []
        self._profiles[agent] = profile
        return [
            event("agent.profile", told.at, self._source, "profile", agent, *profile.values(), agent=agent, **profile)
        ]
