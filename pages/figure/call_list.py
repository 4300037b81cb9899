"""The list of calls as a table, and as a file for spreadsheets."""

import csv
import io
from collections.abc import Iterable
from html import escape
from zoneinfo import ZoneInfo

from metrics.readers import Call, CallList
from metrics.readers.analysis.spreadsheet import cell
from pages.shared import names, table
from pages.shared.i18n import DASH, Text, short
from pages.shared.links import story_link
from pages.shared.marks import state_mark

MARKS = {
    "answered": "met",
    "open": "waiting",
    "abandoned": "missed",
    "dropped": "missed",
    "refused": "near",
    "overflowed": "near",
}
"""Outcome → shape and colour, beside its word. The other outcomes have no colour."""
COLUMNS = (
    *("call_id", "campaign", "queue", "direction", "channel", "language", "day", "queued_at", "answered_at"),
    *("ended_at", "outcome", "in_time", "wait_s", "talk_s", "hold_s", "wrap_s", "agent", "agent_name", "caller"),
    *("disposition", "transferred", "inferred_end", "clock_skew"),
)
WORK_COLUMNS = ("ended_at", "talk_s", "hold_s", "wrap_s", "agent", "agent_name")
"""Columns about who worked on a call, and for how long."""


def calls(page: CallList, zone: str, text: Text, *, judged: bool, worked: bool, dated: bool) -> str:
    """Draw a page of calls, with whether each was in time (`judged`), agent and times (`worked`), and day (`dated`).

    A column is left out if it is empty for all calls of the list, on all its pages.
    """
    _ = text.gettext
    head = [(_("Queued at"), ""), (_("Queue"), ""), (_("Wait"), "num"), (_("Outcome"), "")]
    if judged:
        head.append((_("By contract"), ""))
    if worked:
        head += [(_("Agent"), ""), (_("Talk"), "num"), (_("Hold"), "num"), (_("Wrap-up"), "num")]
    head += [(_("Result"), "")] if page.has_dispositions else []
    head.append((_("Caller"), ""))
    head += [(_("Notes"), "")] if page.noted else []
    heads = "".join(table.head(escape(word), kind) for word, kind in head)
    rows = [_row(call, page, zone, text, judged, worked, dated) for call in page.calls]
    return table.table(heads, rows, "calls", scrolls=True)


def _row(call: Call, page: CallList, zone: str, text: Text, judged: bool, worked: bool, dated: bool) -> str:
    _ = text.gettext
    time = text.clock(call.cohort_at, zone, seconds=True)
    if dated:
        time = f"{text.date(call.cohort_at.astimezone(ZoneInfo(zone)))} {time}"
    cells = [
        _cell(call.queue or DASH),
        _cell(text.duration(call.wait_s), "num"),
        table.cell(state_mark(MARKS.get(call.outcome, "none"), names.outcome(call.outcome, text))),
    ]
    if judged:
        kind, words = {
            True: ("met", _("in time")),
            False: ("missed", _("not in time")),
            None: ("none", _("not counted")),
        }[call.hit]
        cells.append(table.cell(state_mark(kind, words)))
    if worked:
        cells.append(_cell(call.agent_name or DASH))
        cells += [_cell(text.duration(seconds), "num") for seconds in (call.talk_s, call.hold_s, call.wrap_s)]
    notes = [
        note
        for applies, note in (
            (call.direction == "outbound", _("outbound")),
            (call.direction == "callback", _("call-back")),
            (call.transferred, _("transferred")),
            (call.inferred_end, _("end inferred")),
            (call.clock_skew, _("clocks differ")),
        )
        if applies
    ]
    cells += [_cell(call.disposition or DASH)] if page.has_dispositions else []
    cells.append(_cell(call.caller or DASH))
    cells += [_cell(", ".join(notes))] if page.noted else []
    day = call.cohort_at.astimezone(ZoneInfo(zone)).date()
    return table.row(story_link(call.campaign, day, call.call_id, time, text), "".join(cells))


def _cell(words: str, kind: str = "") -> str:
    return table.cell(escape(short(words)), kind)


def as_csv(calls: Iterable[Call], zone: str, *, worked: bool) -> bytes:
    """Return the calls as CSV with stable English column names and times in the campaign's zone.

    Text that a spreadsheet would read as a formula gets an apostrophe in front. A byte order mark says UTF-8.
    """
    columns = [name for name in COLUMNS if worked or name not in WORK_COLUMNS]
    local = ZoneInfo(zone)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for call in calls:
        row = {name: getattr(call, name, None) for name in columns}
        row["day"] = call.cohort_at.astimezone(local).date().isoformat()
        row["in_time"] = call.hit
        for name in {"queued_at", "answered_at", "ended_at"} & row.keys():
            at = row[name]
            row[name] = at.astimezone(local).isoformat() if at else None
        writer.writerow([cell(row[name]) for name in columns])
    return out.getvalue().encode("utf-8-sig")
