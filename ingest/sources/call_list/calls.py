"""Turns a row of a call list into a call, by the list's mapping."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from ingest.errors import UsageError
from ingest.events.contract import EARLIEST
from ingest.sources.call_list.mapping import LEFT, NOT_CONNECTED, VOCABULARIES, Mapping
from ingest.sources.events import Event, Unreadable
from ingest.sources.whole_call import WholeCall

Row = Callable[[str], Any]  # returns the value of a column; None when there is none

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2}(?:[.,]\d+)?)")
MOST_S = 7 * 86_400.0
MILLISECONDS = 100_000_000_000  # since 1970, from this number on: as seconds it would be the year 5138
EMPTY = ("", "-", "null", "none", "n/a")


class CallList:
    """Makes calls from rows. `revision` is used for rows without one of their own."""

    def __init__(self, source: str, mapping: Mapping, revision: int) -> None:
        self._source = source
        self._mapping = mapping
        self._revision = revision
        self._zone = mapping.zone()
        self._places = mapping.places()
        self._words = {
            field: {word.casefold(): meaning for word, meaning in words.items()}
            for field, words in mapping.words.items()
        }

    def events(self, row: Row) -> list[Event]:
        """The events of a row; raises Unreadable."""
        fields = {field: self._field(field, row) for field in self._mapping.columns.__struct_fields__}
        instants = {field: self._instant(field, text) for field, text in fields.items() if field.endswith("_at")}
        durations = {field: _seconds(field, text) for field, text in fields.items() if field.endswith("_s")}
        if fields["call_id"] is None:
            raise Unreadable("The call has no id.")
        begins = instants["queued_at"]
        if begins is None:
            raise Unreadable("The call has no beginning.")
        call = WholeCall(
            call_id=f"{self._source}/{fields['call_id']}",
            linked_id=f"{self._source}/{fields['linked_id']}" if fields["linked_id"] else None,
            campaign=fields["campaign"] or fields["queue"] or "",
            queue=fields["queue"] or fields["campaign"],
            **{field: fields[field] for field in ("direction", "channel", "language", "agent", "ended_by")},
            **{
                field: fields[field]
                for field in ("to_queue", "to_agent", "to_number", "disposition", "sale", "currency")
            },
            amount=_number("amount", fields["amount"]),
            score=_number("score", fields["score"]),
            hold_s=durations["hold_s"] or 0.0,
        )
        if not call.campaign:
            raise Unreadable("The call has neither a campaign nor a queue.")
        _fill_in(call, fields, begins, instants, durations)
        return call.events(self._places, self._revision_of(fields["revision"]))

    def _field(self, field: str, row: Row) -> Any:
        """The value of a field in a row: its columns joined, translated to our words; None when it is empty."""
        names = self._mapping.names(field)
        parts = [str(value).strip() for name in names if (value := row(name)) is not None]
        text = " ".join(part for part in parts if part.casefold() not in EMPTY)
        if not text:
            return self._mapping.fixed.get(field)
        word: Any = self._words.get(field, {}).get(text.casefold(), text)
        allowed = VOCABULARIES.get(field)
        if allowed and word not in allowed:
            raise Unreadable(f"{field}: there is no word for {text!r}; add it under [words.{field}].")
        return word

    def _instant(self, field: str, text: str | None) -> dt.datetime | None:
        if text is None:
            return None
        try:
            at = _parsed(text, self._mapping.file.instants)
            if at.tzinfo is None:
                if self._zone is None:
                    raise UsageError("The times of this list have no zone; name it as timezone under [file].")
                at = at.replace(tzinfo=self._zone)
            at = at.astimezone(dt.UTC)
        except (ValueError, OverflowError, OSError):
            raise Unreadable(f"{field}: {text!r} is not a time in the format {self._mapping.file.instants}.") from None
        if at < EARLIEST:
            raise Unreadable(f"{field}: {text!r} lies before 1990.")
        return at

    def _revision_of(self, text: str | None) -> int:
        if text is None:
            return self._revision
        if text.isdecimal() and len(text) < 18:
            return int(text)
        at = self._instant("revision", text)
        assert at is not None
        return round(at.timestamp() * 1000)


def _fill_in(
    call: WholeCall,
    fields: dict[str, Any],
    begins: dt.datetime,
    instants: dict[str, dt.datetime | None],
    durations: dict[str, float | None],
) -> None:
    """Fill in the times of the call, from timestamps or from consecutive durations."""
    wait_ended_at = instants["answered_at"] or _after(begins, durations["wait_s"])
    talk_s = durations["call_s"]
    if talk_s is None and durations["talk_s"] is not None:
        talk_s = durations["talk_s"] + call.hold_s
    outcome = fields["outcome"] or ("answered" if instants["answered_at"] or talk_s else "abandoned")
    if call.direction == "outbound":
        call.dialed_at, call.callee = begins, fields["caller"]
        _connect(call, outcome, wait_ended_at or instants["ended_at"] or begins)
    else:
        call.queued_at, call.caller = begins, fields["caller"]
    if outcome in ("answered", "transferred"):
        if wait_ended_at is None:
            raise Unreadable("The call was answered, but neither answered_at nor wait_s says when.")
        call.answered_at = wait_ended_at
        call.ended_at = instants["ended_at"] or _after(wait_ended_at, talk_s)
        call.transferred_at = call.ended_at if outcome == "transferred" else None
        call.wrapped_at = instants["wrapped_at"] or _after(call.ended_at, durations["wrap_s"])
    left_at = call.ended_at or instants["ended_at"] or wait_ended_at or begins
    if call.wrapped_at is None and (call.disposition or call.sale is not None or call.amount is not None):
        call.wrapped_at = left_at
    if outcome == "abandoned":
        call.abandoned_at = left_at
    elif outcome in LEFT:
        call.left_at, call.left = left_at, outcome


def _connect(call: WholeCall, outcome: str, at: dt.datetime) -> None:
    """Fill in whether and by whom an outbound call was picked up."""
    if outcome in NOT_CONNECTED:
        call.not_connected_at, call.not_connected = at, outcome
    elif outcome != "open":
        call.connected_at = at
        call.answered_by = "machine" if outcome == "machine" else "human"
        call.ended_at = at if outcome == "machine" else None


def _after(at: dt.datetime | None, seconds: float | None) -> dt.datetime | None:
    return None if at is None or seconds is None else at + dt.timedelta(seconds=seconds)


def _parsed(text: str, form: str) -> dt.datetime:
    if form == "iso":
        return dt.datetime.fromisoformat(text)
    if form == "epoch":
        seconds = float(text)
        return dt.datetime.fromtimestamp(seconds / 1000 if seconds > MILLISECONDS else seconds, dt.UTC)
    return dt.datetime.strptime(text, form)  # noqa: DTZ007  the zone follows, unless the format has one


def _seconds(field: str, text: str | None) -> float | None:
    """Seconds, or h:mm:ss, or m:ss."""
    if text is None:
        return None
    if clock := CLOCK.fullmatch(text):
        hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in clock.groups())
        duration_s = hours * 3600 + minutes * 60 + seconds
    else:
        number = _number(field, text)
        assert number is not None
        duration_s = number
    if not 0 <= duration_s <= MOST_S:
        raise Unreadable(f"{field}: {text!r} is not a duration.")
    return duration_s


def _number(field: str, text: str | None) -> float | None:
    """A number with a decimal point or comma; spaces between thousands and a currency sign are allowed."""
    if text is None:
        return None
    plain = re.sub(r"[\s€$£]", "", text).replace(",", ".")
    if not NUMBER.fullmatch(plain):
        raise Unreadable(f"{field}: {text!r} is not a number.")
    return float(plain)
