"""The event contract, version 1: what a line must contain to become an event.

The classes below are the contract: one per event type, with its fields and their ranges. Other code reads fields from
the line itself, in SQL (sorting.py, fold.sql).
Source: docs/events.md.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Literal, TypeGuard

import msgspec
from msgspec import Meta, Struct

from ingest.events import masking

EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
FUTURE_ALLOWANCE = dt.timedelta(minutes=5)
#: After the clock of the machine that reads, whose fault a smaller difference may be. A record's Kafka timestamp may be
#: the producer's, and as wrong as the event's: one event of the year 9999 would make every day until then.
CLOCK_ALLOWANCE = dt.timedelta(days=1)
PAYLOAD_LIMIT = 64 * 1024
REASON_LIMIT = 500  # characters of a source's reason

# Each text has a greatest length: one of thousands of characters makes a table unusable. The longest names of the
# systems that we read have 100 (Amazon Connect's users) and 127 (its queues), the longest addresses 254 (e-mail).
Campaign = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(min_length=1, max_length=128)]  # that is required
Name = Annotated[str, Meta(max_length=128)]
Word = Annotated[str, Meta(max_length=64)]
Address = Annotated[str, Meta(max_length=256)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Instant = Annotated[dt.datetime, Meta(tz=True)]
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Event(Struct, tag_field="type", kw_only=True, gc=False):
    """The fields that every event has."""

    event_id: Text
    ts: Instant
    campaign: Campaign | None = None
    source: Name | None = None
    revision: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None


class CallEvent(Event):
    call_id: Text


class AgentEvent(Event):
    agent: Text


class CallQueued(CallEvent, tag="call.queued"):
    campaign: Campaign
    queue: Text
    linked_id: Name | None = None
    direction: Literal["inbound", "outbound", "callback"] | None = None
    channel: Word | None = None
    caller: Address | None = None
    language: Word | None = None
    priority: Integer | None = None
    asked_for_human_at: Instant | None = None


class CallDialed(CallEvent, tag="call.dialed"):
    campaign: Campaign
    queue: Name | None = None
    list: Name | None = None
    callee: Address | None = None
    agent: Name | None = None
    consent: Literal["consent", "contract", "none"] | None = None
    linked_id: Name | None = None


class CallConnected(CallEvent, tag="call.connected"):
    answered_by: Literal["human", "machine"] | None = None


class CallNotConnected(CallEvent, tag="call.not_connected"):
    reason: Literal["no_answer", "busy", "invalid", "refused"]


class CallRang(CallEvent, tag="call.rang"):
    agent: Text


class CallMissed(CallEvent, tag="call.missed"):
    agent: Text


class CallAnswered(CallEvent, tag="call.answered"):
    agent: Name | None = None
    wait_unknown: bool | None = None  # true: nobody knows when, and talk is counted from `ts`


class CallHeld(CallEvent, tag="call.held"):
    pass


class CallResumed(CallEvent, tag="call.resumed"):
    pass


class CallAbandoned(CallEvent, tag="call.abandoned"):
    wait_unknown: bool | None = None  # true: nobody knows when, and `ts` is some instant of the call


class CallLeftQueue(CallEvent, tag="call.left_queue"):
    reason: Literal["overflow", "callback", "voicemail", "timeout", "closed", "full", "no_agents", "system"]
    wait_unknown: bool | None = None


class CallTransferred(CallEvent, tag="call.transferred"):
    to_queue: Name | None = None
    to_agent: Name | None = None
    to_number: Address | None = None
    warm: bool | None = None


class CallEnded(CallEvent, tag="call.ended"):
    ended_by: Literal["customer", "agent", "system"] | None = None


class CallWrapped(CallEvent, tag="call.wrapped"):
    disposition: Name | None = None
    sale: bool | None = None
    amount: float | None = None
    currency: Currency | None = None


class CallRated(CallEvent, tag="call.rated"):
    score: Annotated[float, Meta(ge=1, le=5)]


class AgentState(AgentEvent, tag="agent.state"):
    state: Literal["available", "busy", "wrap_up", "paused", "offline"]
    reason: Name | None = None
    queues: Annotated[list[Name], Meta(max_length=1_000)] | None = None
    lasts_s: Annotated[float, Meta(ge=1)] | None = None


class AgentProfile(AgentEvent, tag="agent.profile"):
    name: Name | None = None
    team: Name | None = None
    site: Name | None = None
    languages: Annotated[list[Word], Meta(max_length=100)] | None = None
    hourly_cost: Annotated[float, Meta(ge=0)] | None = None
    currency: Currency | None = None
    hired_on: dt.date | None = None


class Unreadable(Struct, tag_field="type", tag="unreadable", kw_only=True):
    """Not an event: input that a source could not read. It is kept as a dead letter with the source's reason."""

    source: Text
    reason: Annotated[str, Meta(min_length=1)]
    line: str


EVENT_CLASSES = (
    CallQueued,
    CallDialed,
    CallConnected,
    CallNotConnected,
    CallRang,
    CallMissed,
    CallAnswered,
    CallHeld,
    CallResumed,
    CallAbandoned,
    CallLeftQueue,
    CallTransferred,
    CallEnded,
    CallWrapped,
    CallRated,
    AgentState,
    AgentProfile,
)
EVENT_TYPES = tuple(str(c.__struct_config__.tag) for c in EVENT_CLASSES)


def types_with(field: str) -> tuple[str, ...]:
    """The event types that have a field of this name."""
    return tuple(str(c.__struct_config__.tag) for c in EVENT_CLASSES if field in c.__struct_fields__)


#: Decodes one line into its event. Raises msgspec.DecodeError (ValidationError is one) or RecursionError.
#: The range of `ts` is checked later, in SQL (sorting.py).
decode = msgspec.json.Decoder(
    CallQueued
    | CallDialed
    | CallConnected
    | CallNotConnected
    | CallRang
    | CallMissed
    | CallAnswered
    | CallHeld
    | CallResumed
    | CallAbandoned
    | CallLeftQueue
    | CallTransferred
    | CallEnded
    | CallWrapped
    | CallRated
    | AgentState
    | AgentProfile
).decode

_unreadable = msgspec.json.Decoder(Unreadable).decode


def are_events(values: Sequence[bytes | None]) -> TypeGuard[Sequence[bytes]]:
    """Whether each value is exactly one event."""
    try:
        for value in values:
            decode(value)  # type: ignore[arg-type]  # None, a tombstone, is a TypeError
        b"\n".join(values).decode()  # type: ignore[arg-type]  # UTF-8, also where `decode` does not look
    except (TypeError, ValueError, RecursionError):  # msgspec.DecodeError is a ValueError
        return False
    return True


def faulty_lines(value: bytes | None) -> list[tuple[int, str, str | None]]:
    """Split a record's value into (line number from 1, line, what is wrong with it or None).

    A value that is one JSON document is one line, even with line breaks in it. Blank lines are skipped. An empty value
    is a fault too, so that every record leaves a trace.
    """
    if not value:
        return [(1, "", "Empty record (a tombstone)." if value is None else "Empty record.")]
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        if b"\n" not in value:
            return [(1, value.decode(errors="replace"), f"Not UTF-8: {error.reason} at byte {error.start}.")]
    else:
        fault = _fault(text)
        if fault is None or "\n" not in text or _is_one_document(text):
            return [(1, text, fault)]
    return [
        (number, text, fault)
        for number, line in enumerate(value.split(b"\n"), 1)
        if line.strip()
        for _, text, fault in faulty_lines(line)
    ] or [(1, "", "Empty record.")]


def _fault(line: str) -> str | None:
    try:
        decode(line)
    except msgspec.ValidationError as error:
        return _fault_from_source(line) or f"{error}."
    except msgspec.DecodeError as error:
        return f"Not JSON: {error}."
    except RecursionError:
        return "Not JSON: nested too deeply."
    return None


def _fault_from_source(line: str) -> str | None:
    """The reason why a source could not read this input; None for a line that is not of type `unreadable`."""
    try:
        unreadable = _unreadable(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    reason = masking.mask_source_reason(unreadable.reason[:REASON_LIMIT])
    return f"{masking.mask_source_reason(unreadable.source)}: {reason}"


def _is_one_document(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
