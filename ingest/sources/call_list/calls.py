"""Turns a row of a call list into a call, by the list's mapping."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from ingest.sources.call_list.mapping import FIELDS, INSTANTS, LEFT, NOT_CONNECTED, VOCABULARIES, Mapping
from ingest.sources.call_list.quantities import money, number, seconds
from ingest.sources.events import Event, Unreadable
from ingest.sources.input.instants import Cells, Instant, Instants
from ingest.sources.input.never import is_none_word
from ingest.sources.whole_call import WholeCall

Row = Callable[[str], Any]  # returns the value of a column; None when there is none

BLANK = ("-", "–", "—", "none", "n/a", "#n/a")
REFUSED = ("closed", "full", "no_agents")
ROUNDED_S = 1.0  # some columns have whole seconds, others fractions
APART_S = 60.0  # some columns have whole minutes


class CallList:
    """Makes calls from rows. `revision` is used for rows without one of their own."""

    def __init__(self, source: str, mapping: Mapping, revision: int) -> None:
        self._source = source
        self._mapping = mapping
        self._revision = revision
        self._instants = Instants(mapping.file.instants, mapping.zone())
        self._places = mapping.places()
        self._words = {
            field: {
                **{str(word).lower(): word for word in VOCABULARIES.get(field, ())},
                **{word.casefold(): meaning for word, meaning in mapping.words.get(field, {}).items()},
            }
            for field in FIELDS
        }
        self._date = (mapping.names("queued_at") or [""])[0]
        self._rows: dict[int, int] = {}  # what each call's row said, by its id and revision, as hashes

    def events(self, row: Row) -> list[Event]:
        """The events of a row, none if another row said the same; raises Unreadable."""
        fields = {field: self._field(field, row) for field in FIELDS if field not in INSTANTS}
        unit, decimal = self._mapping.file.durations, self._mapping.file.decimal
        durations = {
            field: seconds(field, text, unit, decimal) for field, text in fields.items() if field.endswith("_s")
        }
        call_s = durations["call_s"]
        if call_s is None and durations["talk_s"] is not None:
            call_s = durations["talk_s"] + (durations["hold_s"] or 0.0)
        if fields["call_id"] is None:
            raise Unreadable("The call has no id.")
        instants = self._instants.of_row(
            {field: self._cells(field, row) for field in INSTANTS},
            {"answered_at": durations["wait_s"], "ended_at": call_s, "wrapped_at": durations["wrap_s"]},
        )
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
            amount=money("amount", fields["amount"], decimal or ("." if self._mapping.file.format == "json" else None)),
            score=number("score", fields["score"], decimal),
            hold_s=durations["hold_s"] or 0.0,
        )
        if not call.campaign:
            raise Unreadable("The call has neither a campaign nor a queue.")
        _fill_in(call, fields, begins, instants, durations | {"call_s": call_s})
        revision = self._revision_of(fields["revision"])
        events = call.events(self._places, revision)
        return events if self._is_news(call.call_id, revision, events) else []

    def _is_news(self, call_id: str, revision: int, events: list[Event]) -> bool:
        """Whether no row said the same of this call; raises Unreadable if one said something else."""
        key, said = hash((call_id, revision)), hash(repr(events))
        if key not in self._rows:
            self._rows[key] = said
            return True
        if self._rows[key] != said:
            raise Unreadable(
                "Another row with this call's id says something else; call_id must differ from call to call,"
                " or a column must have the revision."
            )
        return False

    def _cells(self, field: str, row: Row) -> Cells:
        """The texts of a time's columns."""
        names = self._mapping.names(field)
        texts = self._texts(field, row)
        if (meaning := self._words.get(field, {}).get(" ".join(texts).casefold())) is not None:
            texts = [str(meaning)]
        elif all(map(_is_blank, texts)):
            texts = [self._mapping.fixed.get(field, "")]
        shares_date = len(names) > 1 and names[0] == self._date
        return Cells(["" if _is_blank(text) else text for text in texts], shares_date)

    def _texts(self, field: str, row: Row) -> list[str]:
        """The texts of a field's columns; raises Unreadable where one has values inside."""
        values = [row(name) for name in self._mapping.names(field)]
        if any(isinstance(value, dict | list) for value in values):
            raise Unreadable(f"{field}: there are values inside; name the path of one of them under [columns].")
        return ["" if value is None else str(value).strip() for value in values]

    def _field(self, field: str, row: Row) -> Any:
        """The value of a field in a row: its columns joined, translated to our words; None when it is empty."""
        texts = self._texts(field, row)
        words = self._words.get(field, {})
        if (word := words.get(" ".join(texts).casefold())) is not None and texts:
            return word
        text = " ".join(text for text in texts if not _is_blank(text))
        if not text:
            return self._mapping.fixed.get(field)
        word = words.get(text.casefold(), text)
        allowed = VOCABULARIES.get(field)
        if allowed and word not in allowed:
            raise Unreadable(f"{field}: there is no word for what this row says; add it under [words.{field}].")
        return word

    def _revision_of(self, text: str | None) -> int:
        if text is None:
            return self._revision
        if text.isdecimal() and len(text) < 18:
            return int(text)
        at = self._instants.one("revision", [text])
        return self._revision if at is None else round(at.timestamp() * 1000)


def _is_blank(text: str) -> bool:
    return is_none_word(text) or text.casefold() in BLANK


def _fill_in(
    call: WholeCall,
    fields: dict[str, Any],
    begins: dt.datetime,
    instants: dict[str, Instant],
    durations: dict[str, float | None],
) -> None:
    """Fill in the times of the call, from timestamps or from consecutive durations."""
    call_s, ended_at = durations["call_s"], instants["ended_at"]
    _check_order(begins, instants)
    outcome = fields["outcome"] or ("answered" if instants["answered_at"] or call_s else "abandoned")
    _check(outcome, begins, instants, durations)
    wait_ended_at = instants["answered_at"] or _after(begins, durations["wait_s"])
    is_answered = outcome in ("answered", "transferred")
    if wait_ended_at is None and ended_at and call_s is not None and is_answered:
        wait_ended_at = ended_at - dt.timedelta(seconds=call_s)
    if call.direction == "outbound":
        call.dialed_at, call.callee = begins, fields["caller"]
        _connect(call, outcome, wait_ended_at or (begins if is_answered else ended_at) or begins)
    else:
        call.queued_at, call.caller = begins, fields["caller"]
    if is_answered:
        call.answered_at = wait_ended_at or begins
        call.ended_at = ended_at if wait_ended_at else None  # without the answer, the end would make up a talk
        call.ended_at = call.ended_at or _after(call.answered_at, call_s)
        if call.ended_at is None:
            call.agent = None  # the agent's next answer would end the call, and make up a talk
        if outcome == "transferred":
            if call.ended_at is None:
                raise Unreadable("The call was transferred, but neither ended_at nor talk_s says when.")
            call.transferred_at = call.ended_at
        call.wrapped_at = instants["wrapped_at"] or _after(call.ended_at, durations["wrap_s"])
    left_at = call.ended_at or ended_at or wait_ended_at or begins
    # a call that was refused did not wait; when somebody picked up an outbound call, a list does not say
    call.wait_unknown = wait_ended_at is None and (ended_at is None or call.answered_at is not None)
    call.wait_unknown |= call.answered_at is None and call.direction == "outbound"
    if call.wrapped_at is None and (call.disposition or call.sale is not None or call.amount is not None):
        call.wrapped_at = left_at
    if outcome == "abandoned":
        call.abandoned_at = left_at
    elif outcome in LEFT:
        call.left_at, call.left = left_at, outcome
        call.wait_unknown &= outcome not in REFUSED


def _check_order(begins: dt.datetime, instants: dict[str, Instant]) -> None:
    """Raises Unreadable if a time is before the one that it follows."""
    before, at_before = "queued_at", begins
    for field in ("answered_at", "ended_at", "wrapped_at"):
        if (at := instants[field]) is None:
            continue
        if (at_before - at).total_seconds() > ROUNDED_S:
            raise Unreadable(f"{field}: a time before that of {before}.")
        before, at_before = field, at


def _check(outcome: str, begins: dt.datetime, instants: dict[str, Instant], durations: dict[str, float | None]) -> None:
    """Raises Unreadable if what the row says of the call cannot all be true."""
    answered_at, ended_at, call_s = instants["answered_at"], instants["ended_at"], durations["call_s"]
    if outcome == "abandoned" and (answered_at or call_s):
        raise Unreadable("outcome: the call was abandoned, but answered_at or a talk time says that it was answered.")
    wait_ended_at = answered_at or (ended_at if outcome == "abandoned" else None)
    wait_s = durations["wait_s"]
    if wait_ended_at and wait_s is not None and abs((wait_ended_at - begins).total_seconds() - wait_s) > APART_S:
        raise Unreadable(f"wait_s: another wait than from queued_at to {'answered_at' if answered_at else 'ended_at'}.")
    if answered_at and ended_at and call_s is not None and call_s - (ended_at - answered_at).total_seconds() > APART_S:
        raise Unreadable("talk_s, call_s: longer than from answered_at to ended_at.")


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
