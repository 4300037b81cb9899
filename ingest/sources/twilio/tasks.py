"""The calls that TaskRouter's tasks are: one for each visit of a task to a task queue.

A visit is known by the task and its queue. What else an event belongs to, such as the second visit of a transferred
task, follows from the events before it, which are remembered.
"""

import datetime as dt
import re
from typing import Any

import msgspec
from msgspec import Struct

from ingest.sources.events import Event, Unreadable, event
from ingest.sources.names import Names
from ingest.sources.twilio.events import TaskRouterEvent
from ingest.sources.twilio.workers import agent_of

NOT_TAKEN = ("reservation.rejected", "reservation.timeout")
WITHDRAWN = ("reservation.canceled", "reservation.rescinded", "reservation.failed")  # by nobody's fault
RESERVED = ("reservation.created", "reservation.accepted", *NOT_TAKEN, *WITHDRAWN)
ENDED = ("reservation.wrapup", "reservation.completed", "task.wrapup", "task.completed")
TRANSFERS = ("task.transfer-initiated", "task.transfer-completed", "task.transfer-failed", "task.transfer-canceled")
TYPES = ("task-queue.entered", "task-queue.timeout", "task.canceled", *RESERVED, *ENDED, *TRANSFERS)
HUNG_UP = re.compile(r"hang ?up|hung up", re.IGNORECASE)
TIMED_OUT = re.compile(r"time ?out|timed out|ttl", re.IGNORECASE)
NUMBER = re.compile(r"(?:[a-z]+:)?(\+?\d{5,15})")
KEPT = dt.timedelta(days=14)  # the longest that a task can live
KEPT_AFTER_END = dt.timedelta(hours=1)


class Visit(Struct):
    """A task in a queue."""

    call_id: str
    queue: str
    since: dt.datetime
    is_handed_over: bool = False  # from one worker to another: no queue was entered
    opened_at: dt.datetime | None = None  # None while no event has told
    answered_at: dt.datetime | None = None
    has_left: bool = False


class Task(Struct):
    visits: list[Visit] = []
    reservations: dict[str, str] = {}  # each with the call_id of its visit
    handing_over: str | None = None  # the call_id that is being transferred
    last_at: dt.datetime = dt.datetime.min.replace(tzinfo=dt.UTC)
    has_ended: bool = False


class Tasks:
    """The tasks of a workspace, with what was told of each."""

    def __init__(self, source: str, names: Names) -> None:
        self._source = source
        self._names = names
        self._tasks: dict[str, Task] = {}

    def memory(self) -> dict[str, Any]:
        memory = msgspec.to_builtins(self._tasks)
        assert isinstance(memory, dict)
        return memory

    def recall(self, memory: dict[str, Any]) -> None:
        self._tasks = msgspec.convert(memory, dict[str, Task])

    def events(self, told: TaskRouterEvent) -> list[Event] | None:
        """The events of the task's calls; None if no queue, or no answer, was ever told that the event could belong to.

        Raises Unreadable if it names no task.
        """
        if not told.task_sid:
            raise Unreadable("The event names no task")
        self._forget(told.at)
        task = self._tasks.setdefault(told.task_sid, Task())
        task.last_at = max(task.last_at, told.at)
        task.has_ended |= told.event_type in ("task.completed", "task.canceled")
        if told.event_type in TRANSFERS:
            return self._transfer(task, told)
        visit = self._visit(task, told)
        if visit is None:
            return None
        if visit.is_handed_over and visit.answered_at is None and told.event_type != "reservation.accepted":
            return []  # if it is declined, the first worker keeps the call
        made = self._opening(visit, told)
        if told.event_type == "task-queue.entered":
            return [*self._leave_others(task, visit, told), *made]
        if told.event_type == "task-queue.timeout":
            visit.has_left = True
            return [*made, _event("call.left_queue", told, visit, "left", reason="overflow")]
        if told.event_type in RESERVED:
            return [*made, *self._reserved(visit, told)]
        over = self._over(visit, told)
        return None if over is None else [*made, *over]

    def _visit(self, task: Task, told: TaskRouterEvent) -> Visit | None:
        """The visit that an event belongs to, which it may begin."""
        known = {visit.call_id: visit for visit in task.visits}
        if of_reservation := known.get(task.reservations.get(told.reservation_sid or "", "")):
            return of_reservation
        current = task.visits[-1] if task.visits else None
        queue = told.task_queue_name or told.task_queue_sid or (current.queue if current else None)
        if queue is None:
            return None
        is_next = current is not None and self._begins_another(current, told, queue)
        if current is None or is_next:
            current = Visit(self._call_id(task, told, queue), queue, told.at)
            current.is_handed_over = is_next and told.event_type != "task-queue.entered"
            task.visits.append(current)
        current.since = min(current.since, told.at)
        if told.reservation_sid:
            task.reservations[told.reservation_sid] = current.call_id
        return current

    def _begins_another(self, current: Visit, told: TaskRouterEvent, queue: str) -> bool:
        """Whether the task is somewhere else now: in another queue, or with another worker after a transfer."""
        if told.event_type == "task-queue.entered":
            is_later = told.at > (current.answered_at or current.since)
            return is_later and (queue != current.queue or current.answered_at is not None)
        is_after = current.answered_at is not None and told.at > current.answered_at
        return told.event_type == "reservation.created" and is_after

    def _call_id(self, task: Task, told: TaskRouterEvent, queue: str) -> str:
        """The task and its queue; for a later visit to the same queue also when it began."""
        call_id = f"{self._source}/{told.task_sid}/{told.task_queue_sid or queue}"
        if any(visit.call_id == call_id for visit in task.visits):
            return f"{call_id}/{told.at.isoformat()}"
        return call_id

    def _opening(self, visit: Visit, told: TaskRouterEvent) -> list[Event]:
        """The beginning of the visit, from the first event that says when it was."""
        at = told.at if told.event_type == "task-queue.entered" else None
        at = visit.since if visit.is_handed_over else told.task_queue_entered_date or at
        if at is None or visit.opened_at not in (None, at):
            return []
        visit.opened_at = at
        attributes = told.task()
        settings = self._names.queue_of(visit.queue, told.task_queue_sid)
        linked = attributes.get("conversations")
        linked_id = linked.get("conversation_id") if isinstance(linked, dict) else None
        is_outbound = attributes.get("direction") == "outbound"
        number = NUMBER.fullmatch(str(attributes.get("outbound_to" if is_outbound else "from") or ""))
        fields = {
            "campaign": settings.campaign or visit.queue,
            "queue": visit.queue,
            "linked_id": f"{self._source}/{linked_id or told.task_sid}",
            ("callee" if is_outbound else "caller"): number[1] if number else None,
        }
        if not is_outbound:
            fields |= {"channel": _channel(told), "direction": settings.direction, "language": settings.language}
        return [_event("call.dialed" if is_outbound else "call.queued", told, visit, "queued", at=at, **fields)]

    def _leave_others(self, task: Task, visit: Visit, told: TaskRouterEvent) -> list[Event]:
        """The task was moved: whatever queue it waited in before handed it on."""
        left = [v for v in task.visits if v is not visit and v.answered_at is None and not v.has_left]
        for other in left:
            other.has_left = True
        return [_event("call.left_queue", told, other, "left", reason="overflow") for other in left]

    def _reserved(self, visit: Visit, told: TaskRouterEvent) -> list[Event]:
        agent = agent_of(told, self._names)
        if told.event_type == "reservation.accepted":
            visit.answered_at = min(visit.answered_at or told.at, told.at)
            return [_event("call.answered", told, visit, f"answered/{told.reservation_sid}", agent=agent)]
        if agent is None or told.event_type in WITHDRAWN:
            return []
        type = "call.missed" if told.event_type in NOT_TAKEN else "call.rang"
        return [_event(type, told, visit, f"{type}/{told.reservation_sid}", agent=agent)]

    def _over(self, visit: Visit, told: TaskRouterEvent) -> list[Event] | None:
        """The talk, the after-call work or the wait is over. A wrap-up says more exactly when the talk was."""
        if told.event_type == "task.canceled" and visit.answered_at is None:
            reason = told.task_canceled_reason or ""
            if HUNG_UP.search(reason):
                return [_event("call.abandoned", told, visit, "abandoned")]
            left = "timeout" if TIMED_OUT.search(reason) else "system"
            return [_event("call.left_queue", told, visit, "left", revision=1, reason=left)]
        if told.event_type in ("task.wrapup", "task.completed"):
            # the event of the reservation says the same, and whose it is
            return None if visit.answered_at is None else []
        is_exact = told.event_type == "reservation.wrapup"
        made = [_event("call.ended", told, visit, f"ended/{told.reservation_sid}", revision=1 if is_exact else None)]
        if told.event_type == "reservation.completed":
            made.append(_event("call.wrapped", told, visit, "wrapped"))
        return made

    def _transfer(self, task: Task, told: TaskRouterEvent) -> list[Event]:
        handed_over, task.handing_over = task.handing_over, None
        if told.event_type == "task.transfer-initiated":
            task.handing_over = task.visits[-1].call_id if task.visits else None
        elif told.event_type == "task.transfer-completed" and handed_over:
            visit = next(visit for visit in task.visits if visit.call_id == handed_over)
            return [_event("call.transferred", told, visit, "transferred")]
        return []

    def _forget(self, now: dt.datetime) -> None:
        """Forget tasks of which nothing can come."""
        if len(self._tasks) % 100 == 0:
            ends = {sid: t.last_at + (KEPT_AFTER_END if t.has_ended else KEPT) for sid, t in self._tasks.items()}
            self._tasks = {sid: task for sid, task in self._tasks.items() if ends[sid] > now}


def _channel(told: TaskRouterEvent) -> str:
    """The channel; a task of the channel `default` is a call if it has one, and otherwise a task."""
    channel = (told.task_channel_unique_name or "default").lower()
    return channel if channel != "default" else ("voice" if told.task().get("call_sid") else "task")


def _event(
    type: str, told: TaskRouterEvent, visit: Visit, place: str, *, at: dt.datetime | None = None, **fields: Any
) -> Event:
    return event(type, at or told.at, visit.call_id, place, call_id=visit.call_id, **fields)
