"""FreeSWITCH's JSON CDR (mod_json_cdr): the channel variables that mod_callcenter leaves on the caller's channel.

Source: mod_callcenter.c ("for xml_cdr needs") and switch_ivr_generate_json_cdr.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ingest.sources.events import Event, Unreadable
from ingest.sources.freeswitch import fields
from ingest.sources.freeswitch.callcenter import left_reason
from ingest.sources.names import Names
from ingest.sources.whole_call import WholeCall

PLACES = ("queued", "outcome", "end")
WITH_THE_CALL = dt.timedelta(seconds=2)  # what ends this soon before the caller's channel ended with it

Variables = Mapping[str, Any]


def is_of_a_caller(variables: Variables) -> bool:
    """Whether the channel is a caller's who entered a queue; agents' legs carry the same variables."""
    return fields.text(variables, "cc_side") == "member" and fields.text(variables, "cc_queue") is not None


def events(record: Mapping[str, Any], source: str, names: Names) -> list[Event]:
    """The events of the last visit of the caller to a queue; raises Unreadable.

    A channel keeps its variables, so those of an earlier visit may still be there: they lie before the entry.
    """
    variables: Variables = record["variables"]
    joined_at = fields.instant(variables, "cc_queue_joined_epoch")
    if joined_at is None:
        raise Unreadable("The CDR of a caller in a queue has no cc_queue_joined_epoch.")
    queue, session = _text(variables, "cc_queue"), _text(variables, "uuid")
    if not session:
        raise Unreadable("The CDR of a caller in a queue has no uuid.")
    mapped = names.queue(queue)
    call = WholeCall(
        call_id=fields.call_id(source, _text(variables, "cc_member_uuid"), session),
        linked_id=f"{source}/{session}",
        campaign=names.campaign(queue),
        queue=queue,
        direction=mapped.direction,
        language=mapped.language,
        caller=_caller(record),
        queued_at=joined_at,
    )
    hung_up_at = fields.instant(variables, "end_uepoch", fields.PER_SECOND) or fields.instant(variables, "end_epoch")
    answered_at = _since(joined_at, fields.instant(variables, "cc_queue_answered_epoch"))
    cause = _text(variables, "cc_cause").lower()
    if cause == "answered" and answered_at:
        _talk(call, variables, answered_at, hung_up_at, names)
    elif cause == "cancel":
        canceled_at = _since(joined_at, fields.instant(variables, "cc_queue_canceled_epoch"))
        _leave(call, variables, canceled_at or hung_up_at, hung_up_at, names)
        call.wait_unknown = canceled_at is None and call.left is not None  # the channel may have gone on
    else:
        raise Unreadable("The CDR of a caller in a queue says neither when it was answered nor that it was not.")
    return call.events(PLACES, _revision(hung_up_at or joined_at))


def _caller(record: Mapping[str, Any]) -> str | None:
    """The caller's number, which is not among the variables; callflow begins with what the channel was last."""
    flow = record.get("callflow")
    first = flow[0] if isinstance(flow, list) and flow and isinstance(flow[0], dict) else {}
    profile = first.get("caller_profile")
    return fields.text(profile, "caller_id_number") if isinstance(profile, dict) else None


def _talk(
    call: WholeCall, variables: Variables, answered_at: dt.datetime, hung_up_at: dt.datetime | None, names: Names
) -> None:
    call.answered_at = answered_at
    agent = _text(variables, "cc_agent")
    call.agent = names.agent(agent) if agent else None
    assert call.queued_at
    terminated_at = _since(call.queued_at, fields.instant(variables, "cc_queue_terminated_epoch"))
    # it is missing if the caller hung up first: the record may be written before the agent's side has ended
    call.ended_at = terminated_at or hung_up_at
    if call.ended_at is None or call.ended_at < answered_at:
        raise Unreadable("The CDR of an answered call has no end, or one before the answer.")
    if call.ended_at and hung_up_at and hung_up_at - call.ended_at < WITH_THE_CALL:
        disposition = _text(variables, "sip_hangup_disposition")
        call.ended_by = {"recv_bye": "customer", "send_bye": "agent"}.get(disposition)


def _leave(
    call: WholeCall, variables: Variables, left_at: dt.datetime | None, hung_up_at: dt.datetime | None, names: Names
) -> None:
    if left_at is None:
        raise Unreadable("The CDR of a caller who left a queue says neither when they left nor when they hung up.")
    reason = left_reason(
        _text(variables, "cc_cancel_reason") or None,
        names,
        call.queue or "",
        _text(variables, "cc_exit_key"),
        is_caller_there=hung_up_at is not None and hung_up_at - left_at >= WITH_THE_CALL,
    )
    if reason:
        call.left_at, call.left = left_at, reason
    else:
        call.abandoned_at = left_at


def _since(begin: dt.datetime, at: dt.datetime | None) -> dt.datetime | None:
    return at if at and at >= begin else None


def _revision(hung_up_at: dt.datetime) -> int:
    """In microseconds, and so above the revisions of the call's events, which count milliseconds."""
    return int(hung_up_at.timestamp() * fields.PER_SECOND)


def _text(variables: Variables, name: str) -> str:
    """A variable; mod_json_cdr writes it URL-encoded, unless encode-values is false."""
    return unquote(fields.text(variables, name) or "")
