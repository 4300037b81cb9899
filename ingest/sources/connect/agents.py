"""Amazon Connect's agent events: what an agent was doing at an instant, with their contacts at that time.

The classes have the fields that we use; other fields are ignored.
Source: docs.aws.amazon.com/connect/latest/adminguide/agent-event-stream-model.html
"""

import datetime as dt
from typing import Annotated

from msgspec import Meta, Struct, field

from ingest.events.contract import Text
from ingest.sources.connect.records import DIALED, Named, begun, is_call_by_api, known_name, missed_place
from ingest.sources.events import Event, event
from ingest.sources.names import NO_NAME, Names

Instant = Annotated[dt.datetime, Meta(tz=True)]

KNOWN_TYPES = ("LOGIN", "LOGOUT", "STATE_CHANGE", "HEART_BEAT")
WORKING = ("PENDING", "INCOMING", "CONNECTING", "CONNECTED", "CONNECTED_ONHOLD", "PAUSED")
RINGING = ("INCOMING", "CONNECTING")
NOT_TAKEN = ("MISSED", "REJECTED", "ERROR")
TYPES = {"Available": "ROUTABLE", "Offline": "OFFLINE"}  # of statuses, for older events that have no type
LASTS_S = 360  # a heart beat comes every 120 s if there is no other event; three are missing then


class Group(Struct, rename="pascal"):
    name: str | None = None
    group_name: str | None = None


class Status(Struct, rename="pascal"):
    name: str | None = None
    type: str | None = None

    def kind(self) -> str:
        return self.type or TYPES.get(self.name or "", "CUSTOM")


class RoutingProfile(Struct, rename="pascal"):
    inbound_queues: list[Named] | None = None


class Configuration(Struct, rename="pascal"):
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    routing_profile: RoutingProfile | None = None
    agent_hierarchy_groups: dict[str, Group | None] | None = None

    def queues(self) -> list[str]:
        queues = (self.routing_profile.inbound_queues if self.routing_profile else None) or []
        return [name for queue in queues if (name := queue.known_name())]

    def profile(self) -> dict[str, str]:
        """The fields of `agent.profile`: the name, and the lowest group of the hierarchy as the team."""
        name = " ".join(filter(None, (self.first_name, self.last_name)))
        groups = [group for _, group in sorted((self.agent_hierarchy_groups or {}).items()) if group]
        teams = [team for group in groups if (team := group.group_name or group.name)]
        return {**({"name": name} if name else {}), **({"team": teams[-1]} if teams else {})}


class Contact(Struct, rename="pascal"):
    contact_id: Text
    state: Text
    state_start_timestamp: Instant
    initial_contact_id: str | None = None
    initiation_method: str | None = None
    channel: str | None = None
    queue: Named | None = None
    queue_timestamp: Instant | None = None
    connected_to_agent_timestamp: Instant | None = None


class Snapshot(Struct, rename="pascal"):
    configuration: Configuration | None = None
    agent_status: Status | None = None
    contacts: list[Contact] | None = None


class AgentEvent(Struct, rename="pascal"):
    event_id: Text
    event_timestamp: Instant
    event_type: Text
    arn: Annotated[str, Meta(min_length=1)] = field(name="AgentARN")
    current_agent_snapshot: Snapshot | None = None
    previous_agent_snapshot: Snapshot | None = None

    def username(self) -> str:
        """The username, which contact records have too; the end of the ARN when the event has none."""
        for snapshot in (self.current_agent_snapshot, self.previous_agent_snapshot):
            if snapshot and snapshot.configuration and (snapshot.configuration.username or "").strip():
                return known_name(snapshot.configuration.username, None) or ""
        return known_name(None, self.arn) or self.arn


def profile(agent_event: AgentEvent, names: Names) -> dict[str, str]:
    """The agent's profile; the map's values take precedence."""
    snapshot = agent_event.current_agent_snapshot
    configured = snapshot.configuration.profile() if snapshot and snapshot.configuration else {}
    return {**configured, **names.profile(names.agent(agent_event.username()))}


def state(agent_event: AgentEvent, source: str, names: Names) -> Event:
    """The agent's state. A heartbeat repeats it, so a lost event is corrected by the next heartbeat."""
    snapshot = agent_event.current_agent_snapshot or Snapshot()
    contacts = snapshot.contacts or []
    kind = snapshot.agent_status.kind() if snapshot.agent_status else "OFFLINE"
    queues = snapshot.configuration.queues() if snapshot.configuration else []
    campaigns = [names.campaign(queue) for queue in queues]
    # with several campaigns, the one that was named last stays; a login begins with the first
    campaign = campaigns[0] if len(set(campaigns)) == 1 or (campaigns and agent_event.event_type == "LOGIN") else None
    reason = None
    if agent_event.event_type == "LOGOUT":
        state = "offline"
    elif working := [contact for contact in contacts if contact.state in WORKING]:
        state, campaign = "busy", _campaign(working[0], names) or campaign
    elif ended := [contact for contact in contacts if contact.state == "ENDED"]:
        state, campaign = "wrap_up", _campaign(ended[0], names) or campaign
    elif kind == "OFFLINE":
        state = "offline"
    elif missed := [contact.state for contact in contacts if contact.state in NOT_TAKEN]:
        state, reason = "paused", names.reason(missed[0].lower())  # offered nothing until they clear it
    elif kind == "ROUTABLE":
        state = "available"
    else:
        state, reason = "paused", names.reason((snapshot.agent_status.name or "") if snapshot.agent_status else "")
    return event(
        "agent.state",
        agent_event.event_timestamp,
        source,
        "agent",
        agent_event.event_id,
        agent=names.agent(agent_event.username()),
        state=state,
        reason=reason,
        campaign=None if state == "offline" else campaign,
        queues=queues or None,
        lasts_s=None if state == "offline" else LASTS_S,
    )


def calls(agent_event: AgentEvent, source: str, names: Names) -> list[Event]:
    """The events of the contacts, long before their contact records come, which replace them."""
    snapshot = agent_event.current_agent_snapshot
    if agent_event.event_type == "HEART_BEAT" or snapshot is None:
        return []
    agent = names.agent(agent_event.username())
    events = []
    for contact in snapshot.contacts or []:
        is_inbound = contact.initiation_method not in (*DIALED, "MONITOR")
        is_inbound &= not is_call_by_api(contact.channel, contact.initiation_method)
        if contact.queue and contact.queue_timestamp and is_inbound:
            events += _contact(contact, source, names, agent)
    return events


def _contact(contact: Contact, source: str, names: Names, agent: str) -> list[Event]:
    assert contact.queue
    queue = contact.queue.known_name() or NO_NAME
    call = begun(
        source, names, contact.contact_id, contact.initial_contact_id, queue, contact.channel, contact.initiation_method
    )
    call.queued_at, call.answered_at, call.agent = contact.queue_timestamp, contact.connected_to_agent_timestamp, agent
    events = call.events(("queued", "outcome") if call.answered_at else ("queued",), revision=0)
    at = contact.state_start_timestamp
    if contact.state in RINGING:
        identity = (call.call_id, "call.rang", agent, at.isoformat())
        events.append(event("call.rang", at, *identity, call_id=call.call_id, agent=agent))
    if contact.state in NOT_TAKEN:
        events.append(event("call.missed", at, call.call_id, missed_place(at), call_id=call.call_id, agent=agent))
    return events


def _campaign(contact: Contact, names: Names) -> str | None:
    queue = contact.queue.known_name() if contact.queue else None
    return names.campaign(queue) if queue else None
