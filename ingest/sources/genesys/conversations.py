"""Genesys Cloud's conversation detail records: each participant of a conversation, and what they did when.

The classes have the fields that we use; other fields are ignored. The enumerations are those of the Platform API.
Source: developer.genesys.cloud/analyticsdatamanagement/analytics, conversation detail query and its data model
"""

import datetime as dt
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from ingest.events.contract import Text
from ingest.sources.events import Unreadable

Instant = Annotated[dt.datetime, Meta(tz=True)]

TALK = ("interact", "hold")
DIALING = ("dialing", "contacting")
AFTER_QUEUE = dt.timedelta(seconds=5)  # an agent may join so long after the call left its queue for them


class Segment(Struct, rename="camel"):
    """What a participant did from one instant to another; no end while it lasts."""

    segment_type: Text
    segment_start: Instant
    segment_end: Instant | None = None
    queue_id: str | None = None
    disconnect_type: str | None = None
    wrap_up_code: str | None = None


class Metric(Struct, rename="camel"):
    name: Text


class Session(Struct, rename="camel"):
    session_id: Text
    media_type: str | None = None
    direction: str | None = None
    ani: str | None = None
    dnis: str | None = None
    segments: list[Segment] | None = None
    metrics: list[Metric] | None = None


class Participant(Struct, rename="camel"):
    participant_id: Text
    purpose: Text
    participant_name: str | None = None
    user_id: str | None = None
    sessions: list[Session] | None = None

    def segments(self, *types: str) -> list[Segment]:
        """The segments of these types in all sessions, or all segments, in order of time."""
        found = [segment for session in self.sessions or [] for segment in session.segments or []]
        return in_order(segment for segment in found if not types or segment.segment_type in types)

    def queue_id(self) -> str | None:
        return next((segment.queue_id for segment in self.segments() if segment.queue_id), None)

    def is_outbound(self) -> bool:
        return any(session.direction == "outbound" for session in self.sessions or [])


class Conversation(Struct, rename="camel"):
    conversation_id: Text
    conversation_start: Instant
    participants: list[Participant]
    conversation_end: Instant | None = None
    originating_direction: str | None = None

    def revision(self) -> int:
        """The last instant in the record [ms]: it grows with each report that has something new."""
        instants = [self.conversation_start, self.conversation_end]
        for participant in self.participants:
            for segment in participant.segments():
                instants += [segment.segment_start, segment.segment_end]
        return max(int(instant.timestamp() * 1000) for instant in instants if instant)

    def of_purpose(self, *purposes: str) -> list[Participant]:
        return [participant for participant in self.participants if participant.purpose in purposes]

    def check(self) -> None:
        """Raise Unreadable if something ends before it starts."""
        if self.conversation_end and self.conversation_end < self.conversation_start:
            raise Unreadable("The conversation ends before it starts")
        for participant in self.participants:
            if any(s.segment_end and s.segment_end < s.segment_start for s in participant.segments()):
                raise Unreadable("A segment ends before it starts")


class Visit(Struct, kw_only=True):
    """A time in a queue: segments of one session of the participant `acd` that have the same queue."""

    queue_id: str  # may be empty
    name: str | None
    session: Session
    number: int  # of the visits in the session, from 0
    segments: list[Segment]
    offers: list[Participant] = []

    def started_at(self) -> dt.datetime:
        return self.segments[0].segment_start

    def ended_at(self) -> dt.datetime | None:
        return end_of(self.segments)

    def disconnect_type(self) -> str | None:
        return next((s.disconnect_type for s in reversed(self.segments) if s.disconnect_type), None)

    def has_metric(self, name: str) -> bool:
        return any(metric.name == name for metric in self.session.metrics or [])

    def answering(self) -> Participant | None:
        """The agent who answered first."""
        answered = [offer for offer in self.offers if offer.segments(*TALK)]
        return min(answered, key=lambda offer: offer.segments(*TALK)[0].segment_start, default=None)

    def is_offered(self, agent: Participant) -> bool:
        """Whether the call was offered to this agent from here."""
        segments, ended_at = agent.segments(), self.ended_at()
        return (
            bool(segments)
            and (agent.queue_id() or "") == self.queue_id
            and self.started_at() <= segments[0].segment_start
            and (ended_at is None or segments[0].segment_start <= ended_at + AFTER_QUEUE)
        )


def in_order(segments: Iterable[Segment]) -> list[Segment]:
    return sorted(segments, key=lambda segment: segment.segment_start)


def end_of(segments: Iterable[Segment]) -> dt.datetime | None:
    """When the last of them ended; None while one lasts, or if there are none."""
    ends = [segment.segment_end for segment in segments]
    known = [end for end in ends if end]
    return max(known) if known and len(known) == len(ends) else None


def visits(conversation: Conversation) -> list[Visit]:
    """The visits to queues in order of time, each with the agents to whom its call was offered."""
    found: list[Visit] = []
    for acd in conversation.of_purpose("acd"):
        for session in acd.sessions or []:
            name = (acd.participant_name or "").strip() or None
            of_session: list[Visit] = []
            for segment in in_order(session.segments or []):
                last = of_session[-1] if of_session else None
                if last is None or (segment.queue_id and last.queue_id and segment.queue_id != last.queue_id):
                    last = Visit(queue_id="", name=name, session=session, number=len(of_session), segments=[])
                    of_session.append(last)
                last.segments.append(segment)
                last.queue_id = last.queue_id or segment.queue_id or ""
            found += of_session
    found.sort(key=Visit.started_at)
    for agent in conversation.of_purpose("agent"):
        if offering := [visit for visit in found if visit.is_offered(agent)]:
            offering[-1].offers.append(agent)
    return found
