"""The calls of a queue_log: which visit of which queue a line tells of.

A line names a phone call (the caller's channel) and a queue, and a phone call may visit a queue again. The first
visit of a queue is known by those two, so that its lines belong together whatever was read before; a later one
also by when it began. A line that is read again is thereby of the same visit again.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec

from ingest.sources.asterisk.queue_log import Entry

FORGOTTEN_AFTER = dt.timedelta(hours=4)  # a phone call that is over; its channel hardly comes back later
GIVEN_UP_AFTER = dt.timedelta(hours=24)  # one whose end was never logged
LOOK_EVERY = 1_000  # new visits


class Visit(msgspec.Struct):
    """One visit of a queue; `put_out_at`: the queue put it out then, and nobody knows yet where to."""

    call_id: str
    linked_id: str
    queue: str
    entered_at: dt.datetime
    last_at: dt.datetime
    state: str = "waiting"  # talking, over
    agent: str | None = None
    put_out_at: dt.datetime | None = None


class Visits:
    """The visits of the phone calls that are not long over, by channel and in the order they began."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._calls: dict[str, list[Visit]] = {}
        self._begun = 0

    def enter(self, entry: Entry) -> tuple[Visit, Visit | None]:
        """The visit that `entry` begins, again when it was read before, and the one that the phone call leaves."""
        self._forget(entry.at)
        visits = self._calls.setdefault(entry.callid, [])
        for visit in visits:
            if visit.queue == entry.queue and visit.entered_at == entry.at:
                visits.remove(visit)
                visits.append(visit)
                visit.state = "waiting"
                return visit, None
        left = visits[-1] if visits else None
        return self._begin(entry), left

    def waiting(self, entry: Entry) -> Visit:
        """The visit that a line about a waiting call tells of."""
        return self._of(entry, lambda visit: visit.state == "waiting")

    def talking(self, entry: Entry, agent: str | None) -> Visit:
        """The visit that a line about the end of a talk tells of."""
        return self._of(entry, lambda visit: visit.state == "talking" and visit.agent == agent)

    def is_waiting(self, entry: Entry) -> bool:
        visits = self._calls.get(entry.callid, [])
        return any(visit.state == "waiting" and visit.queue == entry.queue for visit in visits)

    def unfinished(self) -> list[Visit]:
        return [visit for visits in self._calls.values() for visit in visits if visit.state != "over"]

    def remembered(self) -> Any:
        """What to know to read on after this line."""
        return msgspec.to_builtins(self._calls)

    def recall(self, remembered: Any) -> None:
        self._calls = msgspec.convert(remembered, dict[str, list[Visit]])

    def _begin(self, entry: Entry) -> Visit:
        visits = self._calls.setdefault(entry.callid, [])
        call_id = f"{self._source}/{entry.callid}/{entry.queue}"
        if any(visit.queue == entry.queue for visit in visits):
            call_id += f"/{entry.at.timestamp():.6f}"
        visit = Visit(call_id, f"{self._source}/{entry.callid}", entry.queue, entry.at, entry.at)
        visits.append(visit)
        return visit

    def _of(self, entry: Entry, is_meant: Callable[[Visit], bool]) -> Visit:
        visits = [visit for visit in self._calls.get(entry.callid, []) if visit.queue == entry.queue]
        visit = next(filter(is_meant, reversed(visits)), None) or (visits[-1] if visits else self._begin(entry))
        visit.last_at = entry.at
        return visit

    def _forget(self, now: dt.datetime) -> None:
        self._begun += 1
        if self._begun % LOOK_EVERY == 0:
            self._calls = {callid: visits for callid, visits in self._calls.items() if not _is_past(visits, now)}


def _is_past(visits: list[Visit], now: dt.datetime) -> bool:
    is_over = all(visit.state == "over" for visit in visits)
    return now - max(visit.last_at for visit in visits) > (FORGOTTEN_AFTER if is_over else GIVEN_UP_AFTER)
