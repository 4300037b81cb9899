"""A call that is reported as a whole, after its end, and may be reported again: the last report replaces all others.

Each thing that a report may contain has a place: an event_id made from the call and the place. A later report has a
higher revision and fills the same places. A place for which it has nothing gets the call's first event once more, which
adds nothing. So what an earlier report had there is gone, although events are never deleted.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import msgspec

from ingest.sources.events import Event, event

Instant = dt.datetime | None
Text = str | None
Content = tuple[str, Instant, dict[str, Any]]  # type, timestamp, fields

# the places of every call, then those of some calls
COMMON = ("queued", "outcome", "held", "resumed", "end", "wrapped")
OUTBOUND = ("dialed", "connected")
RATED = ("rated",)


class WholeCall(msgspec.Struct, kw_only=True):
    """A report of one visit to a queue, or of one outbound call. Durations in seconds."""

    call_id: str
    linked_id: Text = None
    campaign: str
    queue: Text = None
    direction: Text = None
    channel: Text = None
    caller: Text = None
    callee: Text = None
    language: Text = None
    queued_at: Instant = None
    dialed_at: Instant = None
    connected_at: Instant = None
    answered_by: Text = None
    not_connected_at: Instant = None
    not_connected: Text = None  # why
    answered_at: Instant = None
    agent: Text = None
    abandoned_at: Instant = None
    left_at: Instant = None
    left: Text = None  # why
    wait_unknown: bool = False  # answered_at, abandoned_at or left_at is some instant of the call: nobody knows when
    hold_s: float = 0.0
    transferred_at: Instant = None
    to_queue: Text = None
    to_agent: Text = None
    to_number: Text = None
    ended_at: Instant = None
    ended_by: Text = None
    wrapped_at: Instant = None
    disposition: Text = None
    sale: bool | None = None
    amount: float | None = None
    currency: Text = None
    score: float | None = None

    def events(self, places: Iterable[str], revision: int) -> list[Event]:
        """One event for each of `places`, all that the source may ever fill; none if the call has no beginning.

        A place that is not one of a report's own is emptied: there an event of another report of the call was wrong. A
        later report may not empty it again, so it gets a resume before any talk, which adds nothing.
        """
        contents = self._contents()
        first = next((contents[place] for place in ("queued", "dialed") if contents[place][1]), None)
        if first is None:
            return []
        events_made = []
        for place in places:
            content = contents.get(place, ("call.resumed", first[1], {}))
            type, at, fields = content if content[1] else first
            assert at is not None
            events_made.append(
                event(type, at, self.call_id, place, call_id=self.call_id, revision=revision or None, **fields)
            )
        return events_made

    def _contents(self) -> dict[str, Content]:
        """The content of each place; its timestamp is None where there is none."""
        held_at = self.answered_at if self.hold_s else None
        resumed_at = held_at + dt.timedelta(seconds=self.hold_s) if held_at else None
        return {
            "queued": (
                "call.queued",
                self.queued_at,
                self._fields("campaign", "queue", "linked_id", "direction", "channel", "caller", "language"),
            ),
            "dialed": (
                "call.dialed",
                self.dialed_at,
                self._fields("campaign", "queue", "linked_id", "callee", "agent"),
            ),
            "connected": self._connected(),
            "outcome": self._outcome(),
            "held": ("call.held", held_at, {}),
            "resumed": ("call.resumed", resumed_at, {}),
            "end": self._end(),
            "wrapped": ("call.wrapped", self.wrapped_at, self._fields("disposition", "sale", "amount", "currency")),
            "rated": ("call.rated", self._rated_at(), self._fields("score")),
        }

    def _rated_at(self) -> Instant:
        """The end of the call, or the last that is known of it."""
        known = (self.ended_at, self.wrapped_at, self.answered_at, self.queued_at, self.dialed_at)
        return None if self.score is None else next(filter(None, known), None)

    def _connected(self) -> Content:
        if self.connected_at:
            return ("call.connected", self.connected_at, self._fields("answered_by"))
        return ("call.not_connected", self.not_connected_at, {"reason": self.not_connected})

    def _outcome(self) -> Content:
        fields = {"wait_unknown": self.wait_unknown or None}
        if self.answered_at:
            return ("call.answered", self.answered_at, self._fields("agent") | fields)
        if self.abandoned_at:
            return ("call.abandoned", self.abandoned_at, fields)
        return ("call.left_queue", self.left_at, {"reason": self.left} | fields)

    def _end(self) -> Content:
        if self.transferred_at:
            return ("call.transferred", self.transferred_at, self._fields("to_queue", "to_agent", "to_number"))
        return ("call.ended", self.ended_at, self._fields("ended_by"))

    def _fields(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names}
