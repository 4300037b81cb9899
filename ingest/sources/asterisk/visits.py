"""The calls of a queue_log: which visit to which queue each line belongs to.

A line names a phone call (the caller's channel) and a queue, and a phone call may visit a queue again. The first visit
to a queue is identified by these two, so that its lines belong together whatever was read before. A later visit is
identified by its beginning too. So a line that is read again belongs to the same visit again.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec

from ingest.sources.asterisk.queue_log import Entry

FORGOTTEN_AFTER = dt.timedelta(hours=4)  # a phone call that is over: its channel is unlikely to come back later
GIVEN_UP_AFTER = dt.timedelta(hours=24)  # a phone call whose end was never logged
LOOK_EVERY = 1_000  # new visits


class Visit(msgspec.Struct):
    """One visit to a queue. `put_out_at`: when the queue removed the caller, while it is unknown where they go."""

    call_id: str
    linked_id: str
    queue: str
    entered_at: dt.datetime
    last_at: dt.datetime
    state: str = "waiting"  # talking, over
    agent: str | None = None
    put_out_at: dt.datetime | None = None


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
            if visit.queue == entry.queue and visit.entered_at == entry.at:
                visits.remove(visit)
                visits.append(visit)
                visit.state = "waiting"
                return visit, None
        left = visits[-1] if visits else None
        return self._begin(entry), left

    def waiting(self, entry: Entry) -> Visit:
        """The visit to which a line about a waiting call belongs."""
        return self._of(entry, lambda visit: visit.state == "waiting")

    def talking(self, entry: Entry, agent: str | None) -> Visit:
        """The visit to which a line about the end of a conversation belongs."""
        return self._of(entry, lambda visit: visit.state == "talking" and visit.agent == agent)

    def is_waiting(self, entry: Entry) -> bool:
        visits = self._calls.get(entry.callid, [])
        return any(visit.state == "waiting" and visit.queue == entry.queue for visit in visits)

    def unfinished(self) -> list[Visit]:
        return [visit for visits in self._calls.values() for visit in visits if visit.state != "over"]

    def remembered(self) -> Any:
        """The state that is needed to read on after this line."""
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
