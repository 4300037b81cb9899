"""The events of Twilio TaskRouter in the forms in which Twilio delivers them, read into one.

An event callback is a form with names like `TaskSid`: its body as it was posted, or an object with the same names. An
event of Event Streams is a CloudEvent whose `data.payload` has names like `task_sid`; an Event resource of the API has
them in `event_data`.
Source: www.twilio.com/docs/taskrouter/api/event/reference, www.twilio.com/docs/events/event-types/taskrouter
"""

import datetime as dt
import json
import re
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct

from ingest.sources.events import Unreadable

Text = Annotated[str, Meta(min_length=1)]
Instant = Annotated[dt.datetime, Meta(tz=True)]

STREAM = "com.twilio.taskrouter."
WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class TaskRouterEvent(Struct):
    """The fields that we use, of the event, its task, its reservation and its worker."""

    event_type: Text
    at: Instant
    sid: str | None = None
    task_sid: str | None = None
    task_attributes: str | dict[str, Any] | None = None
    task_canceled_reason: str | None = None
    task_channel_unique_name: str | None = None
    task_queue_sid: str | None = None
    task_queue_name: str | None = None
    task_queue_entered_date: Instant | None = None
    reservation_sid: str | None = None
    worker_sid: str | None = None
    worker_name: str | None = None
    worker_attributes: str | dict[str, Any] | None = None
    worker_activity_name: str | None = None

    def task(self) -> dict[str, Any]:
        return _attributes(self.task_attributes)

    def worker(self) -> dict[str, Any]:
        return _attributes(self.worker_attributes)


FIELDS = TaskRouterEvent.__struct_fields__


def form(line: str) -> dict[str, Any] | None:
    """The body of an event callback as it was posted; None if the line is something else."""
    fields = dict(parse_qsl(line.strip()))
    return fields if "EventType" in fields else None


def read(document: dict[str, Any]) -> TaskRouterEvent:
    """Read an event in any of the forms. Raises Unreadable, or msgspec.ValidationError."""
    if "specversion" in document:
        fields = _streamed(document)
    elif isinstance(document.get("event_data"), dict):
        named = {"event_type": document.get("event_type"), "timestamp": document.get("event_date")}
        fields = {**document["event_data"], **named, "timestamp_ms": document.get("event_date_ms")}
        fields["sid"] = document.get("sid")
    elif "EventType" in document:
        fields = {WORD.sub("_", name).lower(): value for name, value in document.items()}
    else:
        raise Unreadable("Not an event of TaskRouter")
    known = {name: value for name, value in fields.items() if name in FIELDS and value not in (None, "")}
    entered = known.get("task_queue_entered_date")
    if entered is not None:
        known["task_queue_entered_date"] = _instant(entered)
    return msgspec.convert(
        {**known, "at": _instant(fields.get("timestamp_ms") or fields.get("timestamp"))}, TaskRouterEvent
    )


def _streamed(document: dict[str, Any]) -> dict[str, Any]:
    data = document.get("data")
    payload = data.get("payload") if isinstance(data, dict) else None
    kind = str(document.get("type"))
    if not isinstance(payload, dict) or not kind.startswith(STREAM):
        raise Unreadable("Not an event of TaskRouter")
    event_type = kind.removeprefix(STREAM)
    if payload.get("eventtype") not in (None, event_type):
        raise Unreadable("The type of the event and the eventtype of its payload contradict each other")
    return {**payload, "event_type": event_type}


def _instant(value: object) -> dt.datetime:
    """An instant as RFC 3339, or as seconds or milliseconds since 1970, also as text."""
    text = str(value or "")
    if re.fullmatch(r"\d{9,10}|\d{12,13}", text):
        return dt.datetime.fromtimestamp(int(text) / (1000 if len(text) > 10 else 1), dt.UTC)
    try:
        return msgspec.convert(text, Instant)
    except msgspec.ValidationError:
        raise Unreadable("The event has no time that can be read") from None


def _attributes(given: str | dict[str, Any] | None) -> dict[str, Any]:
    """Attributes are a JSON object, usually in a string; a customer of Twilio may write anything into them."""
    try:
        attributes = json.loads(given or "{}") if isinstance(given, str | None) else given
    except (ValueError, RecursionError):
        return {}
    return attributes if isinstance(attributes, dict) else {}
