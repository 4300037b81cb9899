"""How a call of a queue_log begins, as events: read in its line, or inferred from a later one.

An inferred event has the id of the event that its line would have given, and a lower revision. So the line corrects it
whenever it is read.
"""

import datetime as dt
import re
from typing import Any

from ingest.sources.asterisk.queue_log import Entry
from ingest.sources.asterisk.verbs import NOT_CONNECTED
from ingest.sources.asterisk.visits import Visit
from ingest.sources.events import Event, event
from ingest.sources.names import Names

POSITION = re.compile(r"\d{1,3}")
NOT_A_NUMBER = ("", "unknown", "anonymous", "restricted", "unavailable", "<unknown>")


def caller(entry: Entry) -> str:
    """The caller's number, the field before the position: url|caller|position. Pipes in the URL are not escaped."""
    places = range(3, len(entry.data) + 1)
    return entry.data_field(next((n for n in places if POSITION.fullmatch(entry.data_field(n))), 3) - 1)


def queued(visit: Visit, names: Names, caller: str = "", is_inferred: bool = False) -> Event:
    queue = names.queue(visit.queue)
    return event(
        "call.queued",
        visit.entered_at,
        visit.call_id,
        "queued",
        call_id=visit.call_id,
        linked_id=visit.linked_id,
        campaign=names.campaign(visit.queue),
        queue=visit.queue,
        direction=queue.direction,
        language=queue.language,
        caller=_number(caller),
        **_source_of(is_inferred),
    )


def reached(visit: Visit, names: Names, callee: str = "", is_inferred: bool = False) -> list[Event]:
    """A dialer hands over a call that somebody picked up. When it dialed is not logged."""
    connected = event(
        "call.connected",
        visit.entered_at,
        visit.call_id,
        "connected",
        call_id=visit.call_id,
        answered_by="human",
        **_source_of(is_inferred),
    )
    return [_dialed(visit, names, visit.entered_at, callee, **_source_of(is_inferred)), connected]


def dialed_by_agent(visit: Visit, names: Names, entry: Entry) -> list[Event]:
    """A call that an agent dialed, told in one line when it is over: status|talk|dialed for|number."""
    status, talked, dialed_for = entry.data_field(1).upper(), entry.number(2), ""
    *times, number = " ".join(entry.data[2:]).replace(",", " ").split() or [""]
    dialed_for = times[0] if times else ""
    agent = names.agent(entry.agent) if entry.has_agent() else None
    since_s = float(dialed_for) if dialed_for.isdecimal() and len(dialed_for) < 7 else talked
    begun = _dialed(visit, names, entry.at - dt.timedelta(seconds=max(since_s, talked)), number, agent=agent)
    fields: dict[str, Any] = {"call_id": visit.call_id}
    if status != "ANSWER":
        reason = NOT_CONNECTED.get(status, "no_answer")
        return [begun, event("call.not_connected", entry.at, visit.call_id, "not_connected", **fields, reason=reason)]
    at = entry.at - dt.timedelta(seconds=talked)
    return [
        begun,
        event("call.connected", at, visit.call_id, "connected", **fields, answered_by="human"),
        answered(visit, at, agent),
        event("call.ended", entry.at, visit.call_id, "ended", **fields),
    ]


def answered(visit: Visit, at: dt.datetime, agent: str | None, is_inferred: bool = False) -> Event:
    fields = {"call_id": visit.call_id, "agent": agent, **_source_of(is_inferred)}
    return event("call.answered", at, visit.call_id, "answered", **fields)


def _dialed(visit: Visit, names: Names, at: dt.datetime, callee: str, **fields: Any) -> Event:
    return event(
        "call.dialed",
        at,
        visit.call_id,
        "dialed",
        call_id=visit.call_id,
        linked_id=visit.linked_id,
        campaign=names.campaign(visit.queue),
        queue=visit.queue,
        callee=_number(callee),
        **fields,
    )


def _source_of(is_inferred: bool) -> dict[str, Any]:
    return {"inferred": True} if is_inferred else {"revision": 1}


def _number(text: str) -> str | None:
    return None if text.lower() in NOT_A_NUMBER else text
