"""Genesys Cloud's notifications of users: their presence, and their routing status.

A notification has one of the two, or both (`activity`). The state of an agent needs both, so the one that was told
last is remembered.
Source: developer.genesys.cloud/notificationsalerts/notifications/available-topics, v2.users.{id}.activity,
v2.users.{id}.presence, v2.users.{id}.routingStatus
"""

import datetime as dt
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ingest.events.contract import Text
from ingest.sources.events import Event, event
from ingest.sources.names import Names

Instant = Annotated[dt.datetime, Meta(tz=True)]

TOPIC = re.compile(r"v2\.users\.([^.]+)\.(activity|presence|routingStatus)")
BUSY = ("INTERACTING", "COMMUNICATING")
REASONS = {"MEAL": "lunch", "AVAILABLE": "off_queue"}  # others are their own word: break, training, meeting, away, busy


class Definition(Struct, rename="camel"):
    system_presence: Text
    id: str | None = None


class Presence(Struct, rename="camel"):
    presence_definition: Definition
    modified_date: Instant

    def name(self) -> str:
        return re.sub(r"\W+", "_", self.presence_definition.system_presence).upper()

    def reason(self, names: Names) -> str:
        """Our word for the presence, by the map: of its own definition, of the system presence, or the usual one."""
        own, system = self.presence_definition.id or "", self.presence_definition.system_presence
        for theirs in (own, system):
            if (ours := names.reason(theirs)) and ours != theirs:
                return ours
        return REASONS.get(self.name(), self.name().lower())


class RoutingStatus(Struct, rename="camel"):
    status: Text
    start_time: Instant


class Activity(Struct, rename="camel"):
    """What is known of a user: `eventBody` of the topic `activity`, or parts of it."""

    presence: Presence | None = None
    routing_status: RoutingStatus | None = None
    active_queue_ids: list[str] | None = None

    def at(self) -> dt.datetime:
        """When the newer of the two began; the beginning of time if neither is known."""
        instants = [self.presence.modified_date] if self.presence else []
        instants += [self.routing_status.start_time] if self.routing_status else []
        return max(instants, default=dt.datetime.min.replace(tzinfo=dt.UTC))

    def after(self, known: "Activity") -> "Activity":
        """This, and what was known before where this says nothing."""
        queues = known.active_queue_ids if self.active_queue_ids is None else self.active_queue_ids
        return Activity(self.presence or known.presence, self.routing_status or known.routing_status, queues)

    def state(self, names: Names) -> tuple[str, str | None] | None:
        """(the state, its reason); None between the two notifications of one change, when the first says ON_QUEUE.

        Nobody measured what a user does whose other half was never told: such a user is offline, which counts nowhere.
        """
        presence = self.presence.name() if self.presence else None
        status = self.routing_status.status if self.routing_status else None
        if status in BUSY:
            return "busy", None
        if presence == "OFFLINE":
            return "offline", None
        if presence and self.presence and presence != "ON_QUEUE":
            return "paused", self.presence.reason(names)
        if status == "IDLE":
            return "available", None
        if status == "NOT_RESPONDING":
            return "paused", names.reason("not_responding")
        return ("offline", None) if presence is None or status is None else None


class Users:
    """The users of an organisation, with what was told last of each."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._known: dict[str, Activity] = {}

    def memory(self) -> dict[str, Any]:
        known = msgspec.to_builtins(self._known)
        assert isinstance(known, dict)
        return known

    def recall(self, memory: dict[str, Any]) -> None:
        self._known = msgspec.convert(memory, dict[str, Activity])

    def events(self, user_id: str, kind: str, body: dict[str, Any]) -> list[Event]:
        """The state after a notification of this kind. Raises msgspec.ValidationError if it cannot be read."""
        if kind == "presence":
            told = Activity(presence=msgspec.convert(body, Presence))
        else:
            told = msgspec.convert(body, Activity)
        if told.presence is None and told.routing_status is None:
            raise msgspec.ValidationError("The notification has neither a presence nor a routing status")
        known = self._known.get(user_id, Activity())
        now = told.after(known)
        if told.at() >= known.at():  # a notification may be late
            self._known[user_id] = now
        return self._state(user_id, now, told.at())

    def _state(self, user_id: str, activity: Activity, at: dt.datetime) -> list[Event]:
        state = activity.state(self._names)
        if state is None:
            return []
        queues = [queue for queue in activity.active_queue_ids or [] if self._names.knows_queue(queue)]
        campaigns = {self._names.campaign(queue) for queue in queues}
        return [
            event(
                "agent.state",
                at,
                self._source,
                "agent",
                user_id,
                at.isoformat(),
                agent=self._names.agent(user_id),
                state=state[0],
                reason=state[1],
                campaign=campaigns.pop() if len(campaigns) == 1 and state[0] != "offline" else None,
            )
        ]
