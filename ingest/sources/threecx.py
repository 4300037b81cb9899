"""`python -m ingest source 3cx`: turn the CDR output of 3CX (cdr.log) into events.

Sources: 3cx.com/docs/cdr-call-data-records for the fields, and for what they hold a line of 3CX V20 in
github.com/dorel14/3CX-Cdr-Server/issues/16.
"""

import argparse
import csv
import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

from ingest.cli import Parser
from ingest.errors import UsageError
from ingest.sources import delivery, names
from ingest.sources.delivery import Produced
from ingest.sources.events import Event, Rejected, Unreadable
from ingest.sources.input.files import chunks
from ingest.sources.input.instants import Cells, Instants, NoInstant, NotInForm, zone
from ingest.sources.input.lines import complete_lines
from ingest.sources.input.text import as_utf8
from ingest.sources.names import Names
from ingest.sources.reading import PassedOver
from ingest.sources.whole_call import WholeCall

Row = dict[str, str]

# the fields of a new installation, in its order
FIELDS = (
    *("historyid", "callid", "duration", "time-start", "time-answered", "time-end", "reason-terminated"),
    *("from-no", "to-no", "from-dn", "to-dn", "dial-no", "reason-changed", "final-number", "final-dn"),
    *("bill-code", "bill-rate", "bill-cost", "bill-name", "chain", "from-type", "to-type", "final-type"),
    *("from-dispname", "to-dispname", "final-dispname", "missed-queue-calls"),
)
NEEDED = {"historyid", "callid", "time-start", "time-answered", "time-end", "reason-terminated", "from-no", "to-dn"}
NEEDED |= {"final-dn", "chain", "to-type", "final-type"}
TIMES = {"queued_at": "time-start", "answered_at": "time-answered", "ended_at": "time-end"}
FIRST = 20  # lines; if none of them is a record, --fields does not fit
RECENT = 10_000  # records
PLACES = ("queued", "outcome", "end")
ENDED_BY = {
    **dict.fromkeys(("terminatedbysrc", "src_participant_terminated", "failed_cancelled"), "customer"),
    **dict.fromkeys(("terminatedbydst", "dst_participant_terminated"), "agent"),
}
VOICEMAIL = ("vmail", "voicemail")


def arguments(parser: Parser) -> None:
    parser.option("--records", default=None, help="the CDR output, such as cdr.log; - for standard input")
    parser.option("--fields", default=",".join(FIELDS), help="its fields in order, unless a header names them")
    parser.option("--timezone", default=ZoneInfo("UTC"), type=zone, help="IANA zone of its times")
    parser.option("--map", default=None, type=Path, help="our names for queues and agents, TOML")
    delivery.options(parser, "3cx")


def main(options: argparse.Namespace) -> int:
    if not options.records:
        raise UsageError("--records is missing; name the CDR output, such as cdr.log.")
    records = Records(options.source, names.load(options.map), options.fields.split(","), options.timezone)
    with closing(delivery.opened(options)) as destination:
        held: list[Produced] = []  # nothing is sent before one line could be read
        for lines in complete_lines(as_utf8(chunks(options.records, "--records"))):
            held += records.take(lines)
            if len(records.faults) >= FIRST:
                break
            if not records.faults:
                if not destination.send(held):
                    break
                held = []
        if records.faults:
            raise UsageError(f"Nothing was sent, because none of the first lines can be read: {records.faults[0]}")
        return destination.finish(records.passed_over())


class Records:
    """Makes a call of each record of a call to a queue. Raises UsageError if a field that it needs is not there."""

    def __init__(self, source: str, names: Names, fields: Iterable[str], timezone: ZoneInfo) -> None:
        self._source = source
        self._names = names
        self._times = Instants("iso", timezone, "--timezone")
        self._passed_over = PassedOver()
        self._fields = _checked(fields)
        self._recent: dict[str, Row] = {}  # by callid
        self._has_read = False
        self.faults: list[str] = []  # why lines are no records, as long as none is

    def take(self, lines: Iterable[bytes]) -> Iterator[Produced]:
        """Yield the events of each line, or that it is unreadable."""
        for line in lines:
            text = line.decode("utf-8-sig", "replace").strip()
            try:
                row = self._row(text)
                if row:
                    self._has_read, self.faults = True, []
                events = self._events(row) if row else []
            except Unreadable as unreadable:
                if not self._has_read:
                    self.faults.append(str(unreadable))
                yield Rejected(text, str(unreadable)), text
            else:
                for event in events:
                    yield event, text

    def passed_over(self) -> str:
        return str(self._passed_over)

    def _row(self, text: str) -> Row | None:
        """The fields of a line; None for an empty line or a header."""
        try:
            values = [value.strip() for value in next(csv.reader([text], strict=True), [])]
        except csv.Error:
            raise Unreadable("Not CSV.") from None
        if not any(values):
            return None
        if "time-start" in values:
            self._fields = _checked(values)
            return None
        if len(values) != len(self._fields):
            raise Unreadable(
                f"{len(values)} fields, where --fields names {len(self._fields)}; name those of 3CX's CDR settings, "
                "and let it put quotes around names with a comma."
            )
        return dict(zip(self._fields, values, strict=True))

    def _events(self, row: Row) -> list[Event]:
        if row["to-type"].casefold() != "queue":
            return self._passed_over.count("calls to no queue")
        history, id, queue = row["historyid"].removeprefix("Call").strip(), row["callid"], row["to-dn"]
        if not (history and id and queue):
            raise Unreadable("A call to a queue without historyid, callid or to-dn.")
        if self._recent.setdefault(id, row) != row:
            raise Unreadable("A record with the callid of one before it, and other contents; the first one counts.")
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        began_at, answered_at, ended_at = self._instants(row)
        if began_at is None or ended_at is None or ended_at < began_at:
            raise Unreadable("A call to a queue without its beginning or its end, or with an end before its beginning.")
        if answered_at and not began_at <= answered_at <= ended_at:
            raise Unreadable("time-answered lies before the beginning of the call or after its end.")
        mapped = self._names.queue(queue)
        call = WholeCall(
            call_id=f"{self._source}/{id}",
            linked_id=f"{self._source}/{history}",
            campaign=self._names.campaign(queue),
            queue=queue,
            direction=mapped.direction,
            language=mapped.language,
            caller=None if row["from-no"].startswith("Ext.") else row["from-no"] or None,
            queued_at=began_at,
        )
        if row["final-type"].casefold() == "extension":
            self._talk(call, row, answered_at, ended_at)
        else:
            _leave(call, row, ended_at)
        events = call.events(PLACES, 0)
        if call.left in ("voicemail", "overflow"):  # time-end is when the caller had done there
            events = [
                event | {"wait_unknown": True} if event["type"] == "call.left_queue" else event for event in events
            ]
        return events

    def _talk(self, call: WholeCall, row: Row, answered_at: dt.datetime | None, ended_at: dt.datetime) -> None:
        if answered_at is None or answered_at == call.queued_at:
            raise Unreadable(
                "time-answered is missing, or is the instant at which the queue itself answered; nothing says when an "
                "agent did, so the call has no wait."
            )
        call.answered_at, call.ended_at = answered_at, ended_at
        call.ended_by = ENDED_BY.get(row["reason-terminated"].casefold())
        reached = [part.strip() for part in row["chain"].removeprefix("Chain:").split(";") if part.strip()]
        if f"Ext.{call.queue}" in reached and len(reached) - reached.index(f"Ext.{call.queue}") > 2:
            return  # several extensions were involved, and only the last one is named: who answered first is unknown
        call.agent = self._names.agent(row["final-dn"]) if row["final-dn"] else None

    def _instants(self, row: Row) -> list[dt.datetime | None]:
        """The beginning, the answer and the end (UTC); None for never. In the hour that comes twice, in their order."""
        cells = {ours: Cells([row[theirs].replace("/", "-")]) for ours, theirs in TIMES.items()}
        try:
            instants = self._times.of_row(cells, {})
        except NoInstant as fault:
            why = "not a date and time." if isinstance(fault, NotInForm) else fault.why
            raise Unreadable(f"{TIMES[fault.field]}: {why}") from None
        return [instants[ours] for ours in TIMES]


def _leave(call: WholeCall, row: Row, at: dt.datetime) -> None:
    """The caller reached no agent: they hung up, or the queue passed them on or put them out."""
    final = row["final-type"].casefold()
    if final in VOICEMAIL:
        call.left_at, call.left = at, "voicemail"
    elif final not in ("", "queue"):
        call.left_at, call.left = at, "overflow"
    elif ENDED_BY.get(row["reason-terminated"].casefold()) == "customer":
        call.abandoned_at = at
    else:
        call.left_at, call.left = at, "system"


def _checked(fields: Iterable[str]) -> list[str]:
    names_of_fields = [name.strip().lower() for name in fields]
    if missing := NEEDED - set(names_of_fields):
        raise UsageError(
            f"The CDR output has no {', '.join(sorted(missing))}; add them in 3CX's CDR settings, and name its fields "
            "with --fields."
        )
    return names_of_fields
