"""A row of a call list as a call, by its mapping."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from ingest.errors import UsageError
from ingest.events.contract import EARLIEST
from ingest.sources.call_list.mapping import LEFT, NOT_CONNECTED, VOCABULARIES, Mapping
from ingest.sources.events import Event, Unreadable
from ingest.sources.whole_call import WholeCall

Row = Callable[[str], Any]  # gives the value of a column, None when there is none

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2}(?:[.,]\d+)?)")
MOST_S = 7 * 86_400.0
MILLISECONDS = 100_000_000_000  # since 1970; seconds that are as many lie in the year 5138
UNSAID = ("", "-", "null", "none", "n/a")


class CallList:
    """Makes calls of rows. `revision` is that of rows which have none of their own."""

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
        said = {field: self._said(field, row) for field in self._mapping.columns.__struct_fields__}
        instants = {field: self._instant(field, text) for field, text in said.items() if field.endswith("_at")}
        durations = {field: _seconds(field, text) for field, text in said.items() if field.endswith("_s")}
        if said["call_id"] is None:
            raise Unreadable("The call has no id.")
        begins = instants["queued_at"]
        if begins is None:
            raise Unreadable("The call has no beginning.")
        call = WholeCall(
            call_id=f"{self._source}/{said['call_id']}",
            linked_id=f"{self._source}/{said['linked_id']}" if said["linked_id"] else None,
            campaign=said["campaign"] or said["queue"] or "",
            queue=said["queue"] or said["campaign"],
            **{field: said[field] for field in ("direction", "channel", "language", "agent", "ended_by")},
            **{
                field: said[field] for field in ("to_queue", "to_agent", "to_number", "disposition", "sale", "currency")
            },
            amount=_number("amount", said["amount"]),
            score=_number("score", said["score"]),
            hold_s=durations["hold_s"] or 0.0,
        )
        if not call.campaign:
            raise Unreadable("The call has neither a campaign nor a queue.")
        _tell(call, said, begins, instants, durations)
        return call.events(self._places, self._revision_of(said["revision"]))

    def _said(self, field: str, row: Row) -> Any:
        """What a row says of a field: its columns joined, in our words; None when nothing."""
        names = self._mapping.names(field)
        parts = [str(value).strip() for name in names if (value := row(name)) is not None]
        text = " ".join(part for part in parts if part.casefold() not in UNSAID)
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
            raise Unreadable(f"{field}: {text!r} is no time by {self._mapping.file.instants}.") from None
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


def _tell(
    call: WholeCall,
    said: dict[str, Any],
    begins: dt.datetime,
    instants: dict[str, dt.datetime | None],
    durations: dict[str, float | None],
) -> None:
    """Fill in when what happened, from instants or from durations one after the other."""
    waited = instants["answered_at"] or _after(begins, durations["wait_s"])
    talk_s = durations["call_s"]
    if talk_s is None and durations["talk_s"] is not None:
        talk_s = durations["talk_s"] + call.hold_s
    outcome = said["outcome"] or ("answered" if instants["answered_at"] or talk_s else "abandoned")
    if call.direction == "outbound":
        call.dialed_at, call.callee = begins, said["caller"]
        _connect(call, outcome, waited or instants["ended_at"] or begins)
    else:
        call.queued_at, call.caller = begins, said["caller"]
    if outcome in ("answered", "transferred"):
        if waited is None:
            raise Unreadable("The call was answered, but neither answered_at nor wait_s tells when.")
        call.answered_at = waited
        call.ended_at = instants["ended_at"] or _after(waited, talk_s)
        call.transferred_at = call.ended_at if outcome == "transferred" else None
        call.wrapped_at = instants["wrapped_at"] or _after(call.ended_at, durations["wrap_s"])
    left_at = call.ended_at or instants["ended_at"] or waited or begins
    if call.wrapped_at is None and (call.disposition or call.sale is not None or call.amount is not None):
        call.wrapped_at = left_at
    if outcome == "abandoned":
        call.abandoned_at = left_at
    elif outcome in LEFT:
        call.left_at, call.left = left_at, outcome


def _connect(call: WholeCall, outcome: str, at: dt.datetime) -> None:
    """Whether and by whom an outbound call was picked up."""
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
        found = hours * 3600 + minutes * 60 + seconds
    else:
        number = _number(field, text)
        assert number is not None
        found = number
    if not 0 <= found <= MOST_S:
        raise Unreadable(f"{field}: {text!r} is no duration.")
    return found


def _number(field: str, text: str | None) -> float | None:
    """A number with a point or a comma, blanks between thousands, and a sign of money."""
    if text is None:
        return None
    plain = re.sub(r"[\s€$£]", "", text).replace(",", ".")
    if not NUMBER.fullmatch(plain):
        raise Unreadable(f"{field}: {text!r} is no number.")
    return float(plain)
