"""What each visit to a queue in a conversation of Genesys Cloud becomes: one call, with its offers and its holds."""

import datetime as dt

from ingest.sources.events import Event, event
from ingest.sources.genesys.conversations import DIALING, TALK, Conversation, Participant, Visit, end_of, visits
from ingest.sources.names import NO_NAME, Names
from ingest.sources.whole_call import OUTBOUND, WholeCall

PLACES = ("queued", "outcome", "end", "wrapped")  # holds have events of their own: the record says when they were
CUSTOMERS = ("customer", "external")
TRANSFERS = (
    "transfer", "conferenceTransfer", "consultTransfer", "forwardTransfer", "noAnswerTransfer", "notAvailableTransfer",
    "dndTransfer",
)  # fmt: skip
HUNG_UP = ("peer", "endpoint", "client")
BY_AGENT = ("client", "endpoint")  # what the agent's own session says of who ended it; peer is the other side
WITHDRAWN = dt.timedelta(seconds=1)  # an offer that ends so close to the end of the visit was ended by it


def events(conversation: Conversation, source: str, names: Names) -> list[Event]:
    """The events of a conversation; none if it entered no queue and nobody dialed for one."""
    conversation.check()
    revision = conversation.revision()
    found, made = visits(conversation), []
    for visit in found:
        call = _call(conversation, visit, source, names)
        _end(call, conversation, visit, [other for other in found if other is not visit], names)
        made += call.events(PLACES + OUTBOUND if call.dialed_at else PLACES, revision)
        made += _offers(call, visit, revision, names)
        if agent := visit.answering():
            made += _holds(call, agent, revision)
    offered = [offer for visit in found for offer in visit.offers]
    for agent in conversation.of_purpose("agent"):
        if agent not in offered and agent.is_outbound() and agent.queue_id():
            call = _dialed(conversation, agent, source, names)
            made += [*call.events(PLACES + OUTBOUND, revision), *_holds(call, agent, revision)]
    return made


def _begun(
    conversation: Conversation, place: str, queue_id: str, queue_name: str | None, source: str, names: Names
) -> WholeCall:
    """A call of a queue, which the map may know by its id or by its name."""
    queue = queue_name or queue_id or NO_NAME
    settings = names.queue_of(queue_id, queue_name)
    return WholeCall(
        call_id=f"{source}/{conversation.conversation_id}/{place}",
        linked_id=f"{source}/{conversation.conversation_id}",
        campaign=settings.campaign or queue,
        queue=queue,
        direction=settings.direction,
        language=settings.language,
    )


def _call(conversation: Conversation, visit: Visit, source: str, names: Names) -> WholeCall:
    session = visit.session
    place = f"{session.session_id}/{visit.number}" if visit.number else session.session_id
    call = _begun(conversation, place, visit.queue_id, visit.name, source, names)
    call.queued_at = visit.started_at()
    call.channel = "voice" if session.media_type in (None, "callback") else session.media_type
    if session.media_type == "callback":
        call.direction = "callback"
    elif session.direction == "outbound" and conversation.originating_direction != "inbound":
        # a dialer reached the customer before it looked for an agent
        call.direction = "outbound"
        _dial(call, conversation)
    if call.direction != "outbound":
        call.caller = _number(conversation, "ani")
    return call


def _end(call: WholeCall, conversation: Conversation, visit: Visit, others: list[Visit], names: Names) -> None:
    """What became of the visit. A metric of Genesys Cloud counts more than how a session was disconnected."""
    if agent := visit.answering():
        _answer(call, agent, names)
        return
    left_at, how = visit.ended_at(), visit.disconnect_type()
    if left_at is None:
        return
    after = left_at - WITHDRAWN
    boxes = [segment for box in conversation.of_purpose("voicemail") for segment in box.segments()]
    if visit.has_metric("tAbandon"):
        call.abandoned_at = left_at
    elif any(other.session.media_type == "callback" and other.started_at() >= after for other in others):
        call.left_at, call.left = left_at, "callback"
    elif any(segment.segment_start >= after for segment in boxes):
        call.left_at, call.left = left_at, "voicemail"
    elif how in HUNG_UP and not visit.has_metric("tFlowOut"):
        call.abandoned_at = left_at
    elif visit.has_metric("tFlowOut") or how in TRANSFERS:
        call.left_at, call.left = left_at, "overflow"
    else:
        call.left_at, call.left = left_at, "timeout" if how == "timeout" else "system"


def _answer(call: WholeCall, agent: Participant, names: Names) -> None:
    talk = agent.segments(*TALK)
    call.answered_at, call.ended_at = talk[0].segment_start, end_of(talk)
    if agent.user_id:
        call.agent = names.agent(agent.user_id)
    if call.ended_at is None:
        return
    last = max(talk, key=lambda segment: segment.segment_end or segment.segment_start)
    if last.disconnect_type in TRANSFERS:
        call.transferred_at = call.ended_at
    elif last.disconnect_type:
        call.ended_by = {"peer": "customer", **dict.fromkeys(BY_AGENT, "agent")}.get(last.disconnect_type, "system")
    wrap_up = agent.segments("wrapup")
    if wrapped_at := end_of(wrap_up):
        call.wrapped_at = max(wrapped_at, call.ended_at)  # it may begin a moment before the talk ends
        call.disposition = next((segment.wrap_up_code for segment in reversed(wrap_up) if segment.wrap_up_code), None)


def _offers(call: WholeCall, visit: Visit, revision: int, names: Names) -> list[Event]:
    """Each time that the call rang at an agent's. An offer is missed if it ended while the call went on waiting."""
    made = []
    until = call.answered_at or visit.ended_at()
    for offer in visit.offers:
        if not offer.user_id:
            continue
        agent = names.agent(offer.user_id)
        for alert in offer.segments("alert"):
            identity = (call.call_id, offer.participant_id, alert.segment_start.isoformat())
            fields = {"call_id": call.call_id, "agent": agent, "revision": revision}
            made.append(event("call.rang", alert.segment_start, *identity, "rang", **fields))
            is_over = alert.segment_end and not offer.segments(*TALK)
            if is_over and alert.segment_end and (until is None or alert.segment_end < until - WITHDRAWN):
                made.append(event("call.missed", alert.segment_end, *identity, "missed", **fields))
    return made


def _holds(call: WholeCall, agent: Participant, revision: int) -> list[Event]:
    made = []
    for hold in agent.segments("hold"):
        identity, fields = (call.call_id, hold.segment_start.isoformat()), {"call_id": call.call_id}
        made.append(event("call.held", hold.segment_start, *identity, "held", **fields, revision=revision))
        if hold.segment_end:
            made.append(event("call.resumed", hold.segment_end, *identity, "resumed", **fields, revision=revision))
    return made


def _dialed(conversation: Conversation, agent: Participant, source: str, names: Names) -> WholeCall:
    """A call that an agent dialed for a queue. The agent hears who answers."""
    call = _begun(conversation, agent.participant_id, agent.queue_id() or "", None, source, names)
    call.direction = "outbound"
    if agent.user_id:
        call.agent = names.agent(agent.user_id)
    _dial(call, conversation)
    call.dialed_at = (agent.segments(*DIALING) or agent.segments())[0].segment_start
    if call.connected_at and agent.segments(*TALK):
        call.answered_by = "human"
        _answer(call, agent, names)
    return call


def _dial(call: WholeCall, conversation: Conversation) -> None:
    call.callee = _number(conversation, "dnis")
    customers = conversation.of_purpose(*CUSTOMERS)
    segments = [segment for customer in customers for segment in customer.segments()]
    dialing = [segment.segment_start for segment in segments if segment.segment_type in DIALING]
    talking = [segment.segment_start for segment in segments if segment.segment_type in TALK]
    call.dialed_at = min(dialing, default=conversation.conversation_start)
    if talking:
        call.connected_at = min(talking)
    elif not_connected_at := end_of(segments) or conversation.conversation_end:
        is_wrong = any(segment.disconnect_type == "uncallable" for segment in segments)
        call.not_connected_at, call.not_connected = not_connected_at, "invalid" if is_wrong else "no_answer"


def _number(conversation: Conversation, field: str) -> str | None:
    """The customer's telephone number; other addresses are not one."""
    for customer in conversation.of_purpose(*CUSTOMERS):
        for session in customer.sessions or []:
            address = str(getattr(session, field) or "")
            if address.startswith("tel:"):
                return address.removeprefix("tel:") or None
    return None
