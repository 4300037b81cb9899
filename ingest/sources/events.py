"""What a source makes of its input: events of the contract, or what it could not read and why."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from ingest.events import contract

Event = dict[str, Any]

ID_LIMIT = 128  # characters of an event_id, by the contract
EVENT_LIMIT = 32 * 1024  # bytes: several together still fit into one Kafka record

_encode = msgspec.json.Encoder().encode


class Unreadable(Exception):
    """Input that no event can be made of; the message says why, in one sentence."""


@dataclass(frozen=True)
class Rejected:
    """A piece of input that was not understood, as it came."""

    line: str
    reason: str


def event(type: str, at: dt.datetime, *identity: object, **fields: Any) -> Event:
    """An event of `type` at `at` (UTC), identified by `identity`; fields that are None are left out."""
    said = {name: value for name, value in fields.items() if value is not None}
    return {"event_id": event_id(*identity), "type": type, "ts": instant(at), **said}


def event_id(*identity: object) -> str:
    """The parts joined by colons; their digest when that is too long to be an event_id."""
    joined = ":".join(map(str, identity))
    return joined if len(joined) <= ID_LIMIT else hashlib.sha256(joined.encode()).hexdigest()


def instant(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def encoded(made: Event | Rejected, source: str, origin: str) -> tuple[bytes, bytes, str | None]:
    """A Kafka record (key, value) of what a source made, and why it will be a dead letter, or None.

    What was not understood is handed on too, as `unreadable` with the reason: ingest keeps it. So is an event that
    would break the contract, for a name too long or the like. `origin` is the input that it was made of.
    """
    if isinstance(made, Rejected):
        return _unreadable(made, source)
    value = _encode({**made, "source": source})
    try:
        contract.decode(value)
    except msgspec.ValidationError as error:
        return _unreadable(Rejected(origin, f"{made['type']} would break the contract: {error}."), source)
    if len(value) > EVENT_LIMIT:
        return _unreadable(Rejected(origin, f"{made['type']} is longer than {EVENT_LIMIT} bytes."), source)
    return str(made.get("call_id") or made.get("agent")).encode(), value, None


def _unreadable(rejected: Rejected, source: str) -> tuple[bytes, bytes, str]:
    line = rejected.line[: contract.PAYLOAD_LIMIT]  # a dead letter keeps no more
    told = contract.Unreadable(source=source, reason=rejected.reason, line=line)
    return source.encode(), _encode(told), rejected.reason
