"""FreeSWITCH's mod_callcenter: what each event and each CDR means, alone and together.

The messages are those of the module's documentation, with times, and the fields that every event has. The CDRs have the
variables that mod_callcenter.c writes.
"""

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ingest.sources import names
from ingest.sources.events import Rejected
from ingest.sources.freeswitch import Switch
from ingest.topic.broker import Broker
from ingest.topic.producing import deliver, open_producer
from ingest.topic.servers import Security
from tests.support.processes import named_pipe, one_sentence, run
from tests.support.stories.stream import at, folded, rows, valid

pytestmark = pytest.mark.slow

Event = dict[str, Any]
NOON = at("12:00:00")
MEMBER = "453324f8-3424-4322-4242362fd23d"
SESSION = "b77c49c2-a732-11df-9438-e7d9456f8886"
DAY = "(TIMESTAMPTZ '2026-03-10 00:00:00Z', TIMESTAMPTZ '2026-03-11 00:00:00Z')"
MAP = """
[queues."support@default"]
campaign = "support"
on_timeout = "voicemail"
on_key = { "1" = "callback" }
wrap_up_s = 20

[agents.ana]
interfaces = ["AgentNameHere"]

[reasons]
"On Break" = "break"
"""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> names.Names:
    path = tmp_path_factory.mktemp("map") / "map.toml"
    path.write_text(MAP)
    return names.load(path)


def epoch(clock: str) -> str:
    return str(int(at(clock).timestamp()))


def happened(clock: str, action: str, **more: Any) -> Event:
    """Return the documented event of an action. `clock` may have fractions of a second; `CC_Agent` names CC-Agent."""
    of_member = {
        "CC-Queue": "support@default",
        "CC-Member-UUID": MEMBER,
        "CC-Member-Session-UUID": SESSION,
        "CC-Member-CID-Name": "CHOUINARD MO",
        "CC-Member-CID-Number": "4385551212",
    }
    of_agent = {"CC-Agent": "AgentNameHere", "CC-Agent-System": "single_box"}
    parts: dict[str, Event] = {
        "member-queue-start": of_member,
        "member-queue-resume": of_member,
        "agent-offering": of_member | of_agent,
        "bridge-agent-start": of_member | of_agent,
        "bridge-agent-end": of_member | of_agent,
        "bridge-agent-fail": of_member | of_agent,
        "member-queue-end": of_member,
        "agent-status-change": {"CC-Agent": "AgentNameHere"},
        "agent-state-change": {"CC-Agent": "AgentNameHere"},
        "members-count": {"CC-Queue": "support@default", "CC-Count": "1", "CC-Selection": "Single-Queue"},
    }
    fields = {name.replace("_", "-") if name.startswith("CC") else name: value for name, value in more.items()}
    return {
        "Event-Name": "CUSTOM",
        "Event-Subclass": "callcenter::info",
        "Event-Date-Timestamp": str(round(at(clock).timestamp() * 1_000_000)),
        **parts.get(action, of_member),
        "CC-Action": action,
        **fields,
    }


def cdr(**changed: Any) -> Event:
    """Return the CDR of a caller, as mod_json_cdr writes it by default: the variables are URL-encoded."""
    variables = {
        "uuid": SESSION,
        "cc_side": "member",
        "cc_member_uuid": MEMBER,
        "cc_queue": "support@default",
        "cc_queue_joined_epoch": epoch("09:00:00"),
        "cc_agent": "AgentNameHere",
        "cc_queue_answered_epoch": epoch("09:00:10"),
        "cc_queue_terminated_epoch": epoch("09:01:10"),
        "cc_cause": "answered",
        "end_epoch": epoch("09:01:10"),
        "end_uepoch": epoch("09:01:10") + "000000",
        **changed,
    }
    return {
        "core-uuid": "c1",
        "switchname": "fs1",
        "channel_data": {"state": "CS_REPORTING", "direction": "inbound", "state_number": "11"},
        "variables": {name: quote(value) for name, value in variables.items() if value is not None},
        "callflow": [{"caller_profile": {"caller_id_number": "4385551212", "uuid": SESSION}}],
    }


def cancelled(**changed: Any) -> Event:
    return cdr(
        **{
            "cc_agent": None,
            "cc_queue_answered_epoch": None,
            "cc_queue_terminated_epoch": None,
            "cc_queue_canceled_epoch": epoch("09:00:30"),
            "cc_cause": "cancel",
            "cc_cancel_reason": "BREAK_OUT",
            "end_epoch": epoch("09:00:30"),
            "end_uepoch": epoch("09:00:30") + "000000",
            **changed,
        }
    )


def events_of(documents: Iterable[Event], known: names.Names | None = None, until: str | None = None) -> list[Event]:
    """Return the events; none may be rejected, and each passes the contract."""
    switch = Switch("fs", known or names.Names())
    results = [result for result, _ in switch.take((document, "") for document in documents)]
    results += [result for result, _ in switch.pass_time(at(until))] if until else []
    return valid(results, "fs")


def calls(place: Path, documents: Sequence[Event], known: names.Names | None = None) -> list[Event]:
    with folded(place, events_of(documents, known), NOON) as reader:
        return rows(reader, "FROM calls ORDER BY queued_at, call_id")


def only(place: Path, documents: Sequence[Event], known: names.Names | None = None) -> Event:
    """Return the published fields of the only call that are neither null nor false nor 0 s."""
    (call,) = calls(place, documents, known)
    shown = ("outcome", "wait_s", "talk_s", "agent", "ended_by", "missed_offers", "left_reason", "inferred_end")
    return {field: call[field] for field in shown if call[field]}


JOINED = happened("09:00:00", "member-queue-start")
TIMES = {"CC_Member_Joined_Time": epoch("09:00:00"), "CC_Agent_Called_Time": epoch("09:00:06")}
OFFERED = happened("09:00:06", "agent-offering")
ANSWERED = happened("09:00:10", "bridge-agent-start", CC_Agent_Answered_Time=epoch("09:00:10"), **TIMES)
ENDED = happened(
    "09:01:10",
    "bridge-agent-end",
    CC_Agent_Answered_Time=epoch("09:00:10"),
    CC_Bridge_Terminated_Time=epoch("09:01:10"),
    **TIMES,
)
NOT_BRIDGED = {**ENDED, "CC-Agent-Bridged": "false"}
LEFT = happened(
    "09:01:10",
    "member-queue-end",
    CC_Cause="Terminated",
    CC_Agent="AgentNameHere",
    CC_Agent_Answered_Time=epoch("09:00:10"),
    CC_Member_Leaving_Time=epoch("09:01:10"),
    **TIMES,
)
TALKED = {"outcome": "answered", "wait_s": 10, "talk_s": 60, "agent": "AgentNameHere"}


def gave_up(reason: str, clock: str = "09:00:30", **more: Any) -> Event:
    joined = {"CC_Member_Joined_Time": epoch("09:00:00"), "CC_Member_Leaving_Time": epoch(clock)}
    return happened(clock, "member-queue-end", CC_Cause="Cancel", CC_Cancel_Reason=reason, **joined, **more)


def failed(cause: str) -> Event:
    joined = {"CC_Member_Joined_Time": epoch("09:00:00"), "CC_Agent_Aborted_Time": epoch("09:00:26")}
    return happened("09:00:26", "bridge-agent-fail", CC_Hangup_Cause=cause, **joined)


CALLS: dict[str, tuple[list[Event], Event]] = {
    "answered": ([JOINED, OFFERED, ANSWERED, ENDED, LEFT], TALKED),
    "the agent's telephone said goodbye": (
        [JOINED, OFFERED, ANSWERED, {**ENDED, "variable_sip_hangup_disposition": "recv_bye"}, LEFT],
        TALKED | {"ended_by": "agent"},
    ),
    "FreeSWITCH said goodbye to the agent": (
        [JOINED, OFFERED, ANSWERED, {**ENDED, "variable_sip_hangup_disposition": "send_bye"}, LEFT],
        TALKED | {"ended_by": "customer"},
    ),
    "only the last event came": ([LEFT], TALKED),
    "only the end of the talk came": ([ENDED], TALKED),
    "still talking": ([JOINED, OFFERED, ANSWERED], {"outcome": "answered", "wait_s": 10, "agent": "AgentNameHere"}),
    "hung up": (
        [JOINED, gave_up("BREAK_OUT", **{"Answer-State": "hangup"})],
        {"outcome": "abandoned", "wait_s": 30},
    ),
    "hung up, by an event without the channel": (
        [JOINED, gave_up("BREAK_OUT")],
        {"outcome": "abandoned", "wait_s": 30},
    ),
    "taken out of the queue, and still there": (
        [JOINED, gave_up("BREAK_OUT", **{"Answer-State": "answered", "Channel-State": "CS_EXECUTE"})],
        {"outcome": "overflowed", "wait_s": 30, "left_reason": "overflow"},
    ),
    "hung up, which Channel-State does not know yet": (
        [JOINED, gave_up("BREAK_OUT", **{"Answer-State": "hangup", "Channel-State": "CS_EXECUTE"})],
        {"outcome": "abandoned", "wait_s": 30},
    ),
    "hung up while an agent was connected": ([JOINED, gave_up("NONE")], {"outcome": "abandoned", "wait_s": 30}),
    "waited too long": ([JOINED, gave_up("TIMEOUT")], {"outcome": "dropped", "wait_s": 30, "left_reason": "timeout"}),
    "no agents": (
        [JOINED, gave_up("NO_AGENT_TIMEOUT")],
        {"outcome": "dropped", "wait_s": 30, "left_reason": "system"},
    ),
    "pressed a key": (
        [JOINED, gave_up("EXIT_WITH_KEY", variable_cc_exit_key="1")],
        {"outcome": "overflowed", "wait_s": 30, "left_reason": "overflow"},
    ),
    "not picked up, then answered": (
        [JOINED, OFFERED, failed("NO_ANSWER"), ANSWERED, ENDED, LEFT],
        TALKED | {"missed_offers": 1},
    ),
    "picked up, but never met; then hung up": (
        [JOINED, OFFERED, ANSWERED, NOT_BRIDGED, gave_up("NONE", "09:01:12")],
        {"outcome": "abandoned", "wait_s": 72},
    ),
    "picked up, but never met; waits": ([JOINED, ANSWERED, NOT_BRIDGED], {"outcome": "open", "wait_s": 10_800}),
}


@pytest.mark.parametrize(("events", "expected"), CALLS.values(), ids=CALLS)
def test_a_visit_is_one_call(tmp_path: Path, events: list[Event], expected: Event) -> None:
    assert only(tmp_path, events) == expected


@pytest.mark.parametrize(
    ("cause", "missed"),
    [
        ("NO_ANSWER", 1),
        ("CALL_REJECTED", 1),
        ("USER_BUSY", 1),
        ("ORIGINATOR_CANCEL", 0),  # the caller hung up
        ("LOSE_RACE", 0),  # another agent was faster
        ("USER_NOT_REGISTERED", 0),  # the telephone is unplugged
        ("GATEWAY_DOWN", 0),
    ],
)
def test_whether_an_agent_missed_an_offer(tmp_path: Path, cause: str, missed: int) -> None:
    (call,) = calls(tmp_path, [JOINED, OFFERED, failed(cause)])
    assert call["missed_offers"] == missed


def test_offers_to_dead_telephones_are_counted() -> None:
    switch = Switch("fs", names.Names())
    list(switch.take((event, "") for event in [JOINED, OFFERED, failed("USER_NOT_REGISTERED")]))
    assert switch.passed_over() == "offers to telephones that could not be reached (1)"


@pytest.mark.parametrize(
    ("reason", "left"),
    [("TIMEOUT", "voicemail"), ("EXIT_WITH_KEY", "callback")],
    ids=["on_timeout", "on_key"],
)
def test_the_map_says_where_callers_go(tmp_path: Path, known: names.Names, reason: str, left: str) -> None:
    from_event = only(tmp_path / "a", [JOINED, gave_up(reason, variable_cc_exit_key="1")], known)
    from_record = only(tmp_path / "b", [cancelled(cc_cancel_reason=reason, cc_exit_key="1")], known)
    assert from_event["left_reason"] == from_record["left_reason"] == left


RECORDS: dict[str, tuple[Event, Event]] = {
    "answered": (cdr(), TALKED),
    "the caller hung up": (cdr(sip_hangup_disposition="recv_bye"), TALKED | {"ended_by": "customer"}),
    "FreeSWITCH hung up": (cdr(sip_hangup_disposition="send_bye"), TALKED | {"ended_by": "agent"}),
    "the caller stayed after the talk": (
        cdr(sip_hangup_disposition="recv_bye", end_epoch=epoch("09:05:00"), end_uepoch=None),
        TALKED,
    ),
    "written before the agent's side ended": (cdr(cc_queue_terminated_epoch=None), TALKED),
    "hung up": (cancelled(), {"outcome": "abandoned", "wait_s": 30}),
    "put out, and the CDR does not say when": (
        cancelled(cc_cancel_reason="TIMEOUT", cc_queue_canceled_epoch="0"),
        {"outcome": "dropped", "left_reason": "timeout"},
    ),
    "taken out of the queue": (
        cancelled(end_epoch=epoch("09:04:00"), end_uepoch=None),
        {"outcome": "overflowed", "wait_s": 30, "left_reason": "overflow"},
    ),
    "waited too long": (
        cancelled(cc_cancel_reason="TIMEOUT"),
        {"outcome": "dropped", "wait_s": 30, "left_reason": "timeout"},
    ),
    "an answer from an earlier queue of the channel": (
        cancelled(
            cc_agent="bob", cc_queue_answered_epoch=epoch("08:50:00"), cc_queue_terminated_epoch=epoch("08:55:00")
        ),
        {"outcome": "abandoned", "wait_s": 30},
    ),
    "a cancellation from an earlier queue of the channel": (
        cdr(cc_queue_canceled_epoch=epoch("08:50:00"), cc_cancel_reason="TIMEOUT"),
        TALKED,
    ),
    "not URL-encoded": ({**cdr(), "variables": {**cdr()["variables"], "cc_queue": "support@default"}}, TALKED),
}


@pytest.mark.parametrize(("record", "expected"), RECORDS.values(), ids=RECORDS)
def test_a_cdr_is_one_call(tmp_path: Path, record: Event, expected: Event) -> None:
    assert only(tmp_path, [record]) == expected
    (call,) = calls(tmp_path / "again", [record, record])
    assert call["queue"] == "support@default"


@pytest.mark.parametrize(
    "record",
    [cdr(cc_side="agent"), cdr(cc_side=None), cdr(cc_queue=None)],
    ids=["the agent's leg", "a leg of neither side", "a call without a queue"],
)
def test_other_legs_make_no_call_and_are_counted(record: Event) -> None:
    switch = Switch("fs", names.Names())
    assert not list(switch.take([(record, "")]))
    assert switch.passed_over() == "CDRs of other legs and calls (1)"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_events_and_cdr_of_a_call_count_once_in_any_order(tmp_path: Path, order: Sequence[int]) -> None:
    parts = [[JOINED, OFFERED, ANSWERED], [ENDED, LEFT], [cdr()]]
    assert only(tmp_path, [event for place in order for event in parts[place]]) == TALKED


def test_a_cdr_corrects_an_answer_whose_failure_was_lost(tmp_path: Path) -> None:
    assert only(tmp_path, [JOINED, OFFERED, ANSWERED, cancelled()]) == {"outcome": "abandoned", "wait_s": 30}


def test_a_second_queue_and_a_caller_who_comes_back_are_new_calls(tmp_path: Path) -> None:
    elsewhere = {"CC_Member_UUID": "m2", "CC_Queue": "sales@default"}
    again = {"CC_Member_Session_UUID": "s2"}
    found = calls(
        tmp_path,
        [
            JOINED,
            gave_up("TIMEOUT"),
            happened("09:00:31", "member-queue-start", **elsewhere),
            happened("09:02:00", "member-queue-resume", **again),
        ],
    )
    assert [(call["queue"], call["outcome"]) for call in found] == [
        ("support@default", "dropped"),
        ("sales@default", "open"),
        ("support@default", "open"),
    ]
    assert [call["linked_id"] for call in found] == [f"fs/{SESSION}", f"fs/{SESSION}", "fs/s2"]


# Agents


def status(clock: str, value: str) -> Event:
    return happened(clock, "agent-status-change", CC_Agent_Status=value)


def state(clock: str, value: str) -> Event:
    return happened(clock, "agent-state-change", CC_Agent_State=value)


AGENTS: dict[str, tuple[list[Event], list[str]]] = {
    "a shift": (
        [status("08:00:00", "Available"), status("10:00:00", "On Break"), status("10:15:00", "Logged Out")],
        ["08:00:00 available", "10:00:00 paused break", "10:15:00 offline"],
    ),
    "rings while it rings": (
        [status("08:00:00", "Available"), JOINED, state("09:00:05.9", "Receiving"), OFFERED],
        ["08:00:00 available", "09:00:06 busy"],
    ),
    "rang in vain": (
        [status("08:00:00", "Available"), JOINED, OFFERED, failed("NO_ANSWER"), state("09:00:26.1", "Waiting")],
        ["08:00:00 available", "09:00:06 busy", "09:00:26 available"],
    ),
    "rang until the caller hung up": (
        [status("08:00:00", "Available"), JOINED, OFFERED, gave_up("BREAK_OUT", "09:00:15")],
        ["08:00:00 available", "09:00:06 busy", "09:00:15 available"],
    ),
    "a call, and the map's after-call work": (
        [status("08:00:00", "Available"), JOINED, OFFERED, ANSWERED, ENDED, LEFT, state("09:01:10.1", "Waiting")],
        ["08:00:00 available", "09:00:06 busy", "09:01:10 wrap_up", "09:01:30 available"],
    ),
    "a break that begins during a call": (
        [status("08:00:00", "Available"), JOINED, OFFERED, ANSWERED, status("09:00:40", "On Break"), ENDED, LEFT],
        ["08:00:00 available", "09:00:06 busy", "09:01:10 wrap_up", "09:01:30 paused break"],
    ),
    "logs out during a call": (
        [status("08:00:00", "Available"), JOINED, OFFERED, ANSWERED, status("09:00:40", "Logged Out"), ENDED, LEFT],
        ["08:00:00 available", "09:00:06 busy", "09:00:40 busy", "09:01:10 wrap_up", "09:01:30 offline"],
    ),
    "on demand: idle until ready again": (
        [
            status("08:00:00", "Available (On Demand)"),
            state("09:01:10", "Idle"),
            state("09:03:00", "Waiting"),
        ],
        ["08:00:00 available", "09:01:10 paused Idle", "09:03:00 available"],
    ),
    "waiting on a break is a break": (
        [status("08:00:00", "On Break"), state("08:10:00", "Waiting")],
        ["08:00:00 paused break"],
    ),
    "nothing but a state": ([state("08:00:00", "Waiting")], []),
    "offered a call before anything else": ([JOINED, OFFERED], ["09:00:06 busy"]),
}


@pytest.mark.parametrize(("events", "expected"), AGENTS.values(), ids=AGENTS)
def test_what_an_agent_does(known: names.Names, events: list[Event], expected: list[str]) -> None:
    states = [event for event in events_of(events, known, until="11:00:00") if event["type"] == "agent.state"]
    found = {event["event_id"]: event for event in states}.values()  # a later one under one id is a revision
    assert [" ".join(filter(None, (e["ts"][11:19], e["state"], e.get("reason")))) for e in found] == expected
    assert {event["agent"] for event in found} <= {"ana"}


def test_time_on_calls_belongs_to_the_campaign(tmp_path: Path, known: names.Names) -> None:
    story = [status("08:00:00", "Available"), JOINED, OFFERED, ANSWERED, ENDED, LEFT, status("09:10:00", "Logged Out")]
    with folded(tmp_path, events_of(story, known, until="11:00:00"), NOON) as reader:
        (day,) = rows(reader, f"SELECT busy_s, wrap_up_s FROM kpi_campaign{DAY} WHERE campaign = 'support'")
    assert day == {"busy_s": 64, "wrap_up_s": 20}


def test_reading_on_remembers_the_agents(known: names.Names) -> None:
    story = [status("08:00:00", "On Break"), JOINED, state("09:30:00", "Waiting"), status("09:40:00", "Available")]
    first = Switch("fs", known)
    whole = [event for event, _ in first.take((document, "") for document in story)]
    for cut in range(1, len(story)):
        before, after = Switch("fs", known), Switch("fs", known)
        pieces = list(before.take((document, "") for document in story[:cut]))
        after.recall(json.loads(json.dumps(before.memory())))
        assert [e for e, _ in pieces + list(after.take((document, "") for document in story[cut:]))] == whole


# What cannot be read

UNREADABLE: dict[str, tuple[Event, str]] = {
    "no time": (happened("09:00:00", "member-queue-start", **{"Event-Date-Timestamp": "soon"}), "Event-Date-Timestamp"),
    "no member": (happened("09:00:00", "member-queue-start", CC_Member_UUID=""), "CC-Member-UUID"),
    "no queue": (happened("09:00:00", "member-queue-start", CC_Queue=None), "CC-Queue"),
    "no agent": (happened("09:00:00", "agent-offering", CC_Agent=""), "CC-Agent"),
    "an unknown action of a call": (happened("09:00:00", "member-queue-parked"), "unknown CC-Action"),
    "an unknown cause": (happened("09:00:00", "member-queue-end", CC_Cause="Odd"), "CC-Cause"),
    "an unknown reason": (gave_up("EVICTED"), "The reason why the caller left the queue is unknown"),
    "neither event nor CDR": ({"caller": "4385551212"}, "Neither an event nor a CDR"),
    "a CDR without an entry": (cdr(cc_queue_joined_epoch="0"), "cc_queue_joined_epoch"),
    "a CDR answered before it came": (cdr(cc_queue_answered_epoch=epoch("08:59:00")), "neither when it was answered"),
    "a CDR without an outcome": (cdr(cc_cause=None), "neither when it was answered"),
    "a CDR without its channel": (cdr(uuid=None), "uuid"),
    "a CDR of a talk without an end": (cdr(cc_queue_terminated_epoch="0", end_uepoch="0", end_epoch="0"), "no end"),
    "a CDR of a talk that ended before it began": (
        cdr(cc_queue_answered_epoch=epoch("09:00:20"), cc_queue_terminated_epoch=epoch("09:00:05")),
        "one before the answer",
    ),
    "a caller who came after the event": (
        happened("09:00:05", "bridge-agent-start", **{"CC-Member-Joined-Time": epoch("09:05:00")}),
        "CC-Member-Joined-Time after itself",
    ),
    "an end without its time": (
        happened("09:00:05", "member-queue-end", **{"CC-Cause": "Terminated", "CC-Member-Leaving-Time": "0"}),
        "without CC-Member-Leaving-Time",
    ),
}


@pytest.mark.parametrize(("document", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_a_dead_letter_that_repeats_nothing(document: Event, reason: str) -> None:
    ((fault, text),) = Switch("fs", names.Names()).take([(document, json.dumps(document))])
    assert isinstance(fault, Rejected) and reason in fault.reason and fault.line == text
    assert not [value for value in ("4385551212", MEMBER, "EVICTED", "Odd", "soon") if value in fault.reason]


def test_other_events_are_skipped_and_counted() -> None:
    switch = Switch("fs", names.Names())
    others = [{"Event-Name": "HEARTBEAT"}, happened("09:00:00", "members-count"), happened("09:00:00", "agent-sings")]
    assert not list(switch.take((other, "") for other in others))
    assert switch.passed_over() == "other events (1), unknown actions (1)"


# The command


def test_a_file_of_events_and_records(tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text("\n".join(json.dumps(document) for document in [JOINED, OFFERED, ANSWERED, ENDED, LEFT, cdr()]))
    done = run("source", "freeswitch", "--records", str(file), "--print")
    assert done.returncode == 0, done.stderr
    types = {json.loads(line)["type"] for line in done.stdout.splitlines()}
    assert {"call.queued", "call.answered", "call.ended", "agent.state"} <= types


def test_a_file_with_its_newest_event_first_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text("\n".join(json.dumps(document) for document in [LEFT, ENDED, ANSWERED, OFFERED, JOINED]))
    done = run("source", "freeswitch", "--records", str(file), "--print")
    assert one_sentence(done) == "vigie: The events run backwards in time; sort the file by Event-Date-Timestamp."
    assert not done.stdout


def test_a_file_with_two_events_a_second_out_of_order_is_read(tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    swapped = [happened("09:00:01", "members-count"), happened("09:00:00", "members-count")]
    file.write_text("\n".join(json.dumps(document) for document in swapped))
    done = run("source", "freeswitch", "--records", str(file), "--print")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_named_pipe_is_read_from_its_beginning(tmp_path: Path) -> None:
    with named_pipe(tmp_path / "events", json.dumps(cdr()).encode()) as pipe:
        done = run("source", "freeswitch", "--records", str(pipe), "--print")
    assert json.loads(done.stdout.splitlines()[0])["type"] == "call.queued", done.stderr


def test_a_topic_is_read_on_where_the_last_run_stopped(broker: Broker, topic: str, tmp_path: Path) -> None:
    producer = open_producer(broker.bootstrap_servers, Security())
    arguments = ("--from-topic", topic, "--until-caught-up", "--data-dir", str(tmp_path))
    servers = ("--bootstrap-servers", broker.bootstrap_servers, "--topic", f"{topic}-events")
    for documents, made in ([[JOINED, OFFERED], 4], [[failed("NO_ANSWER")], 4], [[], 0]):
        deliver(producer, topic, [(b"key", json.dumps(document).encode()) for document in documents])
        done = run("source", "freeswitch", *arguments, *servers)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{made} events")
    producer.close()


def test_a_file_or_a_topic_must_be_named() -> None:
    done = run("source", "freeswitch")
    assert one_sentence(done) == "vigie: Name either a file with --records or a topic with --from-topic."
