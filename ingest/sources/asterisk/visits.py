"""The calls of a queue_log: which visit to which queue each line belongs to.

A line names a phone call (the caller's channel) and a queue, and a phone call may visit a queue again. The first visit
to a queue is identified by these two, so that its lines belong together whatever was read before. A later visit is
identified by its beginning too. So a line that is read again belongs to the same visit again.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from ingest.sources.asterisk.durations import began_at
from ingest.sources.asterisk.queue_log import Entry

FORGOTTEN_AFTER = dt.timedelta(hours=4)  # a phone call that is over: its channel is unlikely to come back later
GIVEN_UP_AFTER = dt.timedelta(hours=24)  # a phone call whose end was never logged
LOOK_EVERY = 1_000  # new visits
ROUNDING = dt.timedelta(seconds=5)  # a beginning that is counted back from whole seconds may be off by this much
LATER_VISIT = dt.timedelta(seconds=60)  # a line whose visit began this long after the last line is of another visit

# how a beginning is known: "no" line of it was read yet; "read" in its line; "inferred" from a later line; "unknown"
# when its line has an event that we do not know
Known = Literal["no", "read", "inferred", "unknown"]


class Visit(msgspec.Struct):
    """One visit to a queue. `put_out_at`: when the queue removed the caller, while it is unknown where they go.

    `is_cut`: the end of the talk was inferred, because the caller entered another queue. `outcome` is what the agent
    calls the result of a talk that lasts, and when they said it.
    """

    call_id: str
    linked_id: str
    queue: str
    entered_at: dt.datetime  # the time of its first line, until the beginning is known
    last_at: dt.datetime
    state: str = "waiting"  # talking, over
    agent: str | None = None
    put_out_at: dt.datetime | None = None
    beginning: Known = "read"
    answer: Known = "no"
    is_held: bool = False
    answered_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None  # of the talk
    is_cut: bool = False
    outcome: tuple[dt.datetime, str] | None = None


class Visits:
    """The visits of phone calls that are not long over, by channel, in the order they began."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._calls: dict[str, list[Visit]] = {}
        self._begun = 0

    def enter(self, entry: Entry) -> tuple[Visit, Visit | None]:
        """(the visit that `entry` begins, or began when it was read before, and the visit that the call leaves)."""
        self._forget(entry.at)
        visits = self._calls.setdefault(entry.callid, [])
        for visit in visits:
            if visit.queue == entry.queue and visit.beginning == "read" and visit.entered_at == entry.at:
                visits.remove(visit)
                visits.append(visit)
                visit.state, visit.answer, visit.is_held, visit.is_cut = "waiting", "no", False, False
                visit.answered_at = visit.ended_at = visit.outcome = None
                return visit, None
        for visit in visits:
            if visit.queue == entry.queue and _is_late_beginning(entry, visit):
                visit.entered_at, visit.beginning = entry.at, "read"
                return visit, None
        left = visits[-1] if visits else None
        visit = self._begin(entry, entry.at)
        visit.beginning = "read"
        return visit, left

    def waiting(self, entry: Entry) -> Visit:
        """The visit to which a line about a waiting call belongs."""
        return self._of(entry, lambda visit: visit.state == "waiting")

    def talking(self, entry: Entry, agent: str | None) -> Visit:
        """The visit to which a line about the end of a conversation belongs."""
        return self._of(
            entry, lambda visit: (visit.state == "talking" or visit.is_cut) and visit.agent in (agent, None)
        )

    def talk_of(self, entry: Entry, agent: str) -> Visit | None:
        """The last visit in which the agent talked with the caller; the line may name another queue or none."""
        visits = [visit for visit in self._calls.get(entry.callid, []) if visit.agent == agent]
        return visits[-1] if visits else None

    def in_talk(self, entry: Entry, agent: str | None) -> Visit:
        """The visit to which a line about a conversation belongs; the line may name another queue."""
        visits = self._calls.get(entry.callid, [])
        talks = [visit for visit in visits if visit.state == "talking" and visit.agent in (agent, None)]
        return talks[-1] if talks else self.talking(entry, agent)

    def talks_before(self, entry: Entry, visit: Visit) -> list[Visit]:
        """The visits of the same phone call in which they still talk, as far as is known, and which began before."""
        return [
            other
            for other in self._calls.get(entry.callid, [])
            if other.state == "talking" and other is not visit and (other.answered_at or entry.at) <= visit.entered_at
        ]

    def is_waiting(self, entry: Entry) -> bool:
        visits = self._calls.get(entry.callid, [])
        return any(visit.state == "waiting" and visit.queue == entry.queue for visit in visits)

    def is_new(self, entry: Entry) -> bool:
        """Whether no line of this phone call was read yet."""
        return not self._calls.get(entry.callid)

    def hand_on(self, call_id: str, at: dt.datetime) -> list[Visit]:
        """The talk of a visit ended at `at` without a line; returns the visit, if it is known."""
        handed_on = [visit for visit in self.unfinished() if visit.call_id == call_id]
        for visit in handed_on:
            visit.state, visit.last_at, visit.ended_at = "over", at, at
        return handed_on

    def unfinished(self) -> list[Visit]:
        return [visit for visits in self._calls.values() for visit in visits if visit.state != "over"]

    def remembered(self) -> Any:
        """The state that is needed to read on after this line."""
        return msgspec.to_builtins(self._calls)

    def recall(self, remembered: Any) -> None:
        self._calls = msgspec.convert(remembered, dict[str, list[Visit]])

    def _begin(self, entry: Entry, at: dt.datetime) -> Visit:
        visits = self._calls.setdefault(entry.callid, [])
        call_id = f"{self._source}/{entry.callid}/{entry.queue}"
        if any(visit.queue == entry.queue for visit in visits):
            call_id += f"/{at.timestamp():.6f}"
        visit = Visit(call_id, f"{self._source}/{entry.callid}", entry.queue, at, entry.at, beginning="no")
        visits.append(visit)
        return visit

    def _of(self, entry: Entry, is_meant: Callable[[Visit], bool]) -> Visit:
        """The visit that is meant, or one that still waits, or the last one; a new one when none of them fits."""
        began = began_at(entry)
        visits = [visit for visit in self._calls.get(entry.callid, []) if visit.queue == entry.queue]
        in_order = [
            *filter(is_meant, reversed(visits)),
            *(visit for visit in reversed(visits) if visit.state == "waiting"),
            *visits[-1:],
        ]
        visit = next((visit for visit in in_order if _fits(visit, entry, began)), None)
        visit = visit or self._begin(entry, began or entry.at)
        visit.last_at = max(visit.last_at, entry.at)
        return visit

    def _forget(self, now: dt.datetime) -> None:
        self._begun += 1
        if self._begun % LOOK_EVERY == 0:
            self._calls = {callid: visits for callid, visits in self._calls.items() if not _is_past(visits, now)}


def _fits(visit: Visit, entry: Entry, began: dt.datetime | None) -> bool:
    """Whether the visit can be the one that began at `began`, as a line says of its own."""
    if began is None or entry.at <= visit.last_at:
        return True
    return began < visit.last_at if visit.state == "over" else began <= visit.last_at + LATER_VISIT


def _is_late_beginning(entry: Entry, visit: Visit) -> bool:
    """Whether the line is the beginning of a visit of which later lines were read before."""
    match visit.beginning:
        case "inferred":
            return abs(entry.at - visit.entered_at) <= ROUNDING
        case "unknown":
            return visit.state == "waiting"
        case "no":
            return entry.at <= visit.entered_at
    return False


def _is_past(visits: list[Visit], now: dt.datetime) -> bool:
    is_over = all(visit.state == "over" for visit in visits)
    return now - max(visit.last_at for visit in visits) > (FORGOTTEN_AFTER if is_over else GIVEN_UP_AFTER)
