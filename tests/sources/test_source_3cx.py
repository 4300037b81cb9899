"""The CDR output of 3CX: what each record means. The first line is one of 3CX V20 that a user published."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ingest.errors import UsageError
from ingest.sources import names
from ingest.sources.events import Rejected
from ingest.sources.threecx import FIELDS, Records
from tests.support.processes import one_sentence, run
from tests.support.stories.stream import at, folded, rows, valid

Event = dict[str, Any]
V20 = (
    "Call 265500,89d3af2d8f010000_3456,00:08:10,2024/04/30 06:27:28,2024/04/30 06:27:36,2024/04/30 06:35:46,"
    "TerminatedByDst,070XXXXXXX,Ext.80002,10020,80002,80002,ReplacedDst,Ext.10013,10013,,,,,"
    "Chain: 070XXXXXXX;Ext.80002;Ext.10013;,Line,Queue,Extension,070XXXXXXX,Partnersupport,Måns Last name Last Name,"
)
UTC = ZoneInfo("UTC")


def line(**changed: str) -> str:
    """Return the line with fields changed; `time_end` is time-end."""
    row = dict(zip(FIELDS, V20.split(","), strict=True))
    return ",".join({**row, **{name.replace("_", "-"): value for name, value in changed.items()}}.values())


def taken(*lines: str, zone: ZoneInfo = UTC) -> tuple[list[Any], str]:
    records = Records("pbx", names.Names(), FIELDS, zone)
    return [produced for produced, _ in records.take(text.encode() for text in lines)], records.passed_over()


def only(place: Path, text: str, zone: ZoneInfo = UTC) -> Event:
    """Return the published fields of the only call that are neither null nor false nor 0."""
    events, _ = taken(text, text, zone=zone)
    with folded(place, valid(events, "pbx"), at("12:00:00")) as reader:
        (call,) = rows(reader, "FROM calls")
    shown = ("outcome", "wait_s", "talk_s", "agent", "ended_by", "left_reason")
    return {field: call[field] for field in shown if call[field]}


ANSWERED = {"outcome": "answered", "wait_s": 8, "talk_s": 490, "agent": "10013", "ended_by": "agent"}
NOBODY = {"time_answered": "", "final_type": "", "final_dn": "", "final_number": ""}
WAITED = {"wait_s": 498}
CALLS: dict[str, tuple[str, Event]] = {
    "the published line": (V20, ANSWERED),
    "the caller hung up": (line(reason_terminated="TerminatedBySrc"), ANSWERED | {"ended_by": "customer"}),
    "in the words of newer versions": (
        line(reason_terminated="src_participant_terminated"),
        ANSWERED | {"ended_by": "customer"},
    ),
    "with dashes in its dates": (line().replace("2024/04/30", "2024-04-30"), ANSWERED),
    "handed on: who answered first is unknown": (
        line(chain="Chain: 070XXXXXXX;Ext.80002;Ext.10013;Ext.10014;", final_dn="10014"),
        {name: value for name, value in ANSWERED.items() if name != "agent"},
    ),
    "hung up": (line(**NOBODY, reason_terminated="TerminatedBySrc"), {"outcome": "abandoned"} | WAITED),
    "hung up after the queue itself answered": (
        line(**{**NOBODY, "time_answered": "2024/04/30 06:27:28"}, reason_terminated="TerminatedBySrc"),
        {"outcome": "abandoned"} | WAITED,
    ),
    "put out": (
        line(**NOBODY, reason_terminated="Failed"),
        {"outcome": "dropped", "left_reason": "system"} | WAITED,
    ),
}


@pytest.mark.parametrize(("text", "expected"), CALLS.values(), ids=CALLS)
def test_a_record_of_a_queue_is_one_call(tmp_path: Path, text: str, expected: Event) -> None:
    assert only(tmp_path, text) == expected


@pytest.mark.parametrize(("final_type", "reason"), [("VMail", "voicemail"), ("IVR", "overflow")])
def test_a_caller_who_was_passed_on_has_no_wait(final_type: str, reason: str) -> None:
    """The record ends when the caller had done at the other destination."""
    (_, left, _), _ = taken(line(final_type=final_type))
    assert (left["type"], left["reason"], left["wait_unknown"]) == ("call.left_queue", reason, True)


def test_times_are_utc_unless_a_zone_is_named() -> None:
    (queued, *_), _ = taken(V20)
    (local, *_), _ = taken(V20, zone=ZoneInfo("Europe/Stockholm"))
    assert (queued["ts"], local["ts"]) == ("2024-04-30T06:27:28Z", "2024-04-30T04:27:28Z")
    assert (queued["call_id"], queued["linked_id"]) == ("pbx/89d3af2d8f010000_3456", "pbx/265500")


def test_times_in_the_hour_that_comes_twice_follow_each_other() -> None:
    text = line(time_start="2026/10/25 02:50:00", time_answered="2026/10/25 02:55:00", time_end="2026/10/25 02:05:00")
    events, _ = taken(text, zone=ZoneInfo("Europe/Paris"))
    assert [event["ts"][11:16] for event in events] == ["00:50", "00:55", "01:05"]
    text = line(time_start="2026/03/29 02:30:00", time_answered="", time_end="2026/03/29 03:05:00")
    (fault,), _ = taken(text, zone=ZoneInfo("Europe/Paris"))
    assert fault.reason == "time-start: a time that the clocks skip in Europe/Paris; check --timezone."


def test_two_records_of_one_call_that_differ_are_told() -> None:
    first, other = line(), line(final_dn="10014")
    produced, _ = taken(first, first, other)
    assert produced[:3] == produced[3:6]
    (fault,) = produced[6:]
    assert fault.reason.startswith("A record with the callid of one before it")


UNREADABLE = {
    "the queue itself answered": (line(time_answered="2024/04/30 06:27:28"), "nothing says when an agent did"),
    "an agent without an answer": (line(time_answered=""), "nothing says when an agent did"),
    "no end": (line(time_end=""), "without its beginning or its end"),
    "an end before the beginning": (line(time_end="2024/04/30 06:20:00"), "an end before its beginning"),
    "no date": (line(time_start="070XXXXXXX"), "time-start: not a date and time"),
    "no day": (line(time_start="06:27:28"), "time-start: not a date and time."),
    "before calls": (line(time_start="1989/04/30 06:27:28"), "time-start: a time before 1990."),
    "an answer after the end": (line(time_answered="2024/04/30 06:40:00"), "time-answered lies before the beginning"),
    "an answer before the beginning": (line(time_answered="2024/04/30 06:00:00"), "time-answered lies before"),
    "an answer that never was": (line(time_answered="0001/01/01 00:00:00"), "nothing says when an agent did"),
    "no id": (line(callid=""), "without historyid"),
    "a name with a comma": (line(final_dispname="Last, Måns"), "28 fields"),
    "another order of fields": (V20.partition(",")[2], "26 fields"),
}


@pytest.mark.parametrize(("text", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_a_dead_letter_that_repeats_nothing(text: str, reason: str) -> None:
    (fault,), _ = taken(text)
    assert isinstance(fault, Rejected) and reason in fault.reason and fault.line == text
    assert "070X" not in fault.reason and "Last" not in fault.reason


def test_other_calls_are_skipped_and_counted() -> None:
    assert taken(line(to_type="Extension"), "") == ([], "calls to no queue (1)")


def test_a_header_names_the_fields() -> None:
    turned = [*reversed(FIELDS)]
    row = dict(zip(FIELDS, V20.split(","), strict=True))
    events, _ = taken(",".join(turned), ",".join(row[name] for name in turned))
    assert [event["type"] for event in events] == ["call.queued", "call.answered", "call.ended"]


def test_a_field_that_is_needed() -> None:
    with pytest.raises(UsageError, match="has no to-type"):
        Records("pbx", names.Names(), [name for name in FIELDS if name != "to-type"], UTC)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "cdr.log"
    file.write_text(V20 + "\r\n" + line(to_type="Line") + "\r\n")
    done = run("source", "3cx", "--records", str(file), "--print")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3), done.stderr
    assert "--records is missing" in one_sentence(run("source", "3cx", "--print"))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_the_output_in_any_unicode(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "cdr.log"
    file.write_bytes(f"{V20}\n".encode(encoding))
    done = run("source", "3cx", "--records", str(file), "--print")
    assert (done.returncode, done.stdout.count("\n")) == (0, 3), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("text", [V20.replace(",", ";"), V20.rpartition(",")[0], "Måns;070XXXXXXX"])
def test_a_file_of_which_no_line_is_a_record_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cdr.log"
    file.write_text(f"{text}\n" * 30)
    done = run("source", "3cx", "--records", str(file), "--print")
    assert one_sentence(done).startswith("vigie: Nothing was sent, because none of the first lines can be read: ")
    assert not done.stdout and "070X" not in done.stderr and "Måns" not in done.stderr


@pytest.mark.slow
def test_a_broken_line_before_a_record_is_a_dead_letter(tmp_path: Path) -> None:
    file = tmp_path / "cdr.log"
    file.write_text(f"Måns\n{V20}\n")
    done = run("source", "3cx", "--records", str(file), "--print")
    assert (done.returncode, done.stdout.count("\n")) == (1, 3)
    assert "3 events; 1 unreadable" in done.stderr
