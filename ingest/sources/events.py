"""The output of a source: events of the contract, or input that it could not read, with the reason."""

import datetime as dt
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ingest.events import contract

Event = dict[str, Any]

ID_LIMIT = 128  # characters of an event_id, by the contract
EVENT_LIMIT = 32 * 1024  # bytes: several events still fit into one Kafka record

QUOTED = re.compile(r"\s*'.*'", re.DOTALL)

_encode = msgspec.json.Encoder().encode


class Unreadable(Exception):
    """Input that no event can be made from; the message says why, in one sentence."""


@dataclass(frozen=True)
class Rejected:
    """Unreadable input, as it came."""

    line: str
    reason: str  # repeats nothing of the input: it is logged
    row: int | None = field(default=None, compare=False)  # of a list, from 1


def event(type: str, at: dt.datetime, *identity: object, **fields: Any) -> Event:
    """An event of `type` at `at` (UTC), identified by `identity`; fields that are None are left out."""
    present = {name: value for name, value in fields.items() if value is not None}
    return {"event_id": event_id(*identity), "type": type, "ts": instant(at), **present}


def event_id(*identity: object) -> str:
    """The parts joined by colons; a digest of them if that is too long for an event_id."""
    joined = ":".join(map(str, identity))
    return joined if len(joined) <= ID_LIMIT else hashlib.sha256(joined.encode()).hexdigest()


def instant(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def encoded(produced: Event | Rejected, source: str, origin: str) -> tuple[bytes, bytes, str | None]:
    """The Kafka record (key, value) of an event or of unreadable input, and why it will be a dead letter, or None.

    Unreadable input is sent too, as `unreadable` with the reason: ingest keeps it. So is an event that would break the
    contract, for example by a name that is too long. `origin` is the input from which the event was made.
    """
    if isinstance(produced, Rejected):
        return _unreadable(produced, source)
    value = _encode({**produced, "source": source})
    try:
        contract.decode(value)
    except msgspec.ValidationError as error:
        fault = QUOTED.sub("", str(error))  # it quotes a value that is not one of those allowed
        return _unreadable(Rejected(origin, f"{produced['type']} would break the contract: {fault}."), source)
    if len(value) > EVENT_LIMIT:
        return _unreadable(Rejected(origin, f"{produced['type']} is longer than {EVENT_LIMIT} bytes."), source)
    return str(produced.get("call_id") or produced.get("agent")).encode(), value, None


def _unreadable(rejected: Rejected, source: str) -> tuple[bytes, bytes, str]:
    line = rejected.line[: contract.PAYLOAD_LIMIT]  # a dead letter keeps no more
    unreadable = contract.Unreadable(source=source, reason=rejected.reason, line=line)
    return source.encode(), _encode(unreadable), rejected.reason
