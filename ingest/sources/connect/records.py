"""Amazon Connect's contact records: a report of a whole contact, after its end and again after each change.

The classes have the fields that we use; other fields are ignored.
Source: docs.aws.amazon.com/connect/latest/adminguide/ctr-data-model.html
"""

import datetime as dt
from typing import Annotated

from msgspec import Meta, Struct, field

from ingest.events.contract import Text
from ingest.sources.events import Event, Unreadable
from ingest.sources.names import NO_NAME, Names
from ingest.sources.whole_call import COMMON, OUTBOUND, WholeCall

Instant = Annotated[dt.datetime, Meta(tz=True)]

DIALED = ("OUTBOUND", "EXTERNAL_OUTBOUND", "CAMPAIGN_PREVIEW")
ENDED_BY = {"CUSTOMER_DISCONNECT": "customer", "AGENT_DISCONNECT": "agent", "AGENT_COMPLETED": "agent"}
AROUND_END_S = (-1, 5)  # an offer that failed then was ended by the end of the contact; records have whole seconds
PER_S = 4  # places of failed offers in a second: an agent who refuses takes longer
ROUNDED_S = 1.0


class Endpoint(Struct, rename="pascal"):
    """A telephone number, or the address of something else."""

    address: str | None = None
    type: str | None = None

    def number(self) -> str | None:
        return self.address if self.type == "TELEPHONE_NUMBER" else None


class Named(Struct, rename="pascal"):
    """Something with a name, or at least an ARN: names are empty for some tasks, and for an agent's own queue."""

    name: str | None = None
    arn: str | None = field(name="ARN", default=None)

    def known_name(self) -> str | None:
        return known_name(self.name, self.arn)


class Queue(Named, rename="pascal"):
    enqueue_timestamp: Instant | None = None
    dequeue_timestamp: Instant | None = None


class Agent(Struct, rename="pascal"):
    username: str | None = None
    arn: str | None = field(name="ARN", default=None)
    connected_to_agent_timestamp: Instant | None = None
    customer_hold_duration: Annotated[float, Meta(ge=0)] | None = None
    after_contact_work_start_timestamp: Instant | None = None
    after_contact_work_end_timestamp: Instant | None = None


class ContactRecord(Struct, rename="pascal"):
    contact_id: Text
    initiation_method: str | None
    initiation_timestamp: Instant | None
    initial_contact_id: str | None = None
    previous_contact_id: str | None = None
    next_contact_id: str | None = None
    channel: str | None = None
    queue: Queue | None = None
    agent: Agent | None = None
    customer_endpoint: Endpoint | None = None
    transferred_to_endpoint: Endpoint | None = None
    transfer_completed_timestamp: Instant | None = None
    connected_to_system_timestamp: Instant | None = None
    disconnect_timestamp: Instant | None = None
    disconnect_reason: str | None = None
    answering_machine_detection_status: str | None = None
    last_update_timestamp: Instant | None = None
    agent_connection_attempts: int | None = None

    def is_outbound(self) -> bool:
        return self.initiation_method in DIALED or is_call_by_api(self.channel, self.initiation_method)

    def revision(self) -> int:
        """Grows with each delivery that has something new. It is above 0, the revision of what agent events report."""
        updated = self.last_update_timestamp
        return int(updated.timestamp() * 1000) if updated else 1


def events(record: ContactRecord, source: str, names: Names) -> list[Event]:
    """The events of a record; none for a contact that neither entered a queue nor was dialled for one."""
    if record.queue is None:
        return []
    initial_id = record.initial_contact_id or record.previous_contact_id
    queue = record.queue.known_name() or NO_NAME
    call = begun(source, names, record.contact_id, initial_id, queue, record.channel, record.initiation_method)
    call.queued_at = record.queue.enqueue_timestamp
    number = record.customer_endpoint.number() if record.customer_endpoint else None
    if record.is_outbound():
        call.direction, call.callee = "outbound", number
        _dial(call, record)
    else:
        call.caller = number
    if record.agent and (username := known_name(record.agent.username, record.agent.arn)):
        call.agent = names.agent(username)
    if record.agent and record.agent.connected_to_agent_timestamp and call.not_connected_at is None:
        _answer(call, record, record.agent)
    elif call.queued_at and call.not_connected_at is None:
        _leave(call, record, record.queue.dequeue_timestamp or record.disconnect_timestamp)
    _check_order(call)
    places = COMMON + OUTBOUND if record.is_outbound() else COMMON
    return call.events((*places, *_offers_that_nobody_missed(call, record)), record.revision())


def _check_order(call: WholeCall) -> None:
    """Raises Unreadable for a record in which something happens before what it follows."""
    ends = (call.abandoned_at, call.left_at, call.ended_at, call.transferred_at)
    for before, after in ((call.queued_at, (call.answered_at, *ends)), (call.answered_at, ends)):
        if before and any(at and (before - at).total_seconds() > ROUNDED_S for at in after):
            raise Unreadable("The record has an answer or an end that is before its beginning.")


def begun(
    source: str,
    names: Names,
    contact_id: str,
    initial_id: str | None,
    queue: str,
    channel: str | None,
    method: str | None,
) -> WholeCall:
    """A contact as it enters a queue; both records and agent events report it."""
    return WholeCall(
        call_id=f"{source}/{contact_id}",
        linked_id=f"{source}/{initial_id or contact_id}",
        campaign=names.campaign(queue),
        queue=queue,
        direction="callback" if method == "CALLBACK" else names.queue(queue).direction,
        channel=(channel or "VOICE").lower(),
        language=names.queue(queue).language,
    )


def known_name(name: str | None, arn: str | None) -> str | None:
    """The name; without one the last part of the ARN, and None without either."""
    return (name or "").strip() or (arn or "").rpartition("/")[2].strip() or None


def is_call_by_api(channel: str | None, method: str | None) -> bool:
    """Whether an API had the customer called. Chats and tasks begin by an API too, and come from the customer."""
    return channel in (None, "VOICE") and method == "API"


def missed_place(at: dt.datetime) -> str:
    """The place of an offer that an agent did not take: a contact is offered to one agent at a time."""
    return _missed_place(int(at.timestamp() * PER_S))


def _missed_place(number: int) -> str:
    return f"missed-{number // PER_S}.{number % PER_S * 100 // PER_S:02}"


def _offers_that_nobody_missed(call: WholeCall, record: ContactRecord) -> list[str]:
    """The places of offers that failed because the contact left its queue at that moment.

    Agent events say MISSED, REJECTED or ERROR then, as if it had been the agent. The record says otherwise. A contact
    that was offered to nobody has none: most of those that are abandoned.
    """
    if call.answered_at or not (call.abandoned_at or call.left_at) or record.agent_connection_attempts == 0:
        return []
    ends = {end for end in (call.abandoned_at, call.left_at, record.disconnect_timestamp) if end}
    first, until = (seconds * PER_S for seconds in AROUND_END_S)
    around = {int(end.timestamp()) * PER_S + after for end in ends for after in range(first, until)}
    return [_missed_place(number) for number in sorted(around)]


def _dial(call: WholeCall, record: ContactRecord) -> None:
    call.dialed_at = record.initiation_timestamp or record.connected_to_system_timestamp
    call.connected_at = record.connected_to_system_timestamp
    if call.connected_at is None:
        call.not_connected_at = record.disconnect_timestamp
        is_wrong = record.disconnect_reason == "OUTBOUND_DESTINATION_ENDPOINT_ERROR"
        call.not_connected = "invalid" if is_wrong else "no_answer"
        return
    detected = record.answering_machine_detection_status or ""
    if detected.startswith("VOICEMAIL"):
        call.answered_by = "machine"
    elif detected == "HUMAN_ANSWERED" or record.initiation_method in DIALED:  # an agent who dials hears who it is
        call.answered_by = "human"


def _answer(call: WholeCall, record: ContactRecord, agent: Agent) -> None:
    """The record says how long the customer was on hold, not when: the hold is put at the start of the conversation."""
    call.answered_at = agent.connected_to_agent_timestamp
    call.hold_s = agent.customer_hold_duration or 0.0
    call.ended_at = agent.after_contact_work_start_timestamp or record.disconnect_timestamp
    call.ended_by = ended_by(record)
    call.wrapped_at = agent.after_contact_work_end_timestamp
    call.transferred_at = record.transfer_completed_timestamp
    if record.transferred_to_endpoint:
        call.to_number = record.transferred_to_endpoint.number()


def ended_by(record: ContactRecord) -> str | None:
    return ENDED_BY.get(record.disconnect_reason, "system") if record.disconnect_reason else None


def _leave(call: WholeCall, record: ContactRecord, at: dt.datetime | None) -> None:
    """The contact left the queue without an agent: passed on, hung up, or ended by the system.

    Nobody hangs up a task: without a reason the system ended it.
    """
    if record.next_contact_id or record.transferred_to_endpoint or record.disconnect_reason == "TRANSFERRED":
        call.left_at, call.left = at, "overflow"
    elif record.disconnect_reason == "CUSTOMER_DISCONNECT" or (
        not record.disconnect_reason and record.channel != "TASK"
    ):
        call.abandoned_at = at
    else:
        call.left_at, call.left = at, "timeout" if record.disconnect_reason == "EXPIRED" else "system"
