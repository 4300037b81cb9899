"""Asterisk's manager interface: what each event means, alone and beside the queue_log of the same calls.

No Asterisk was tried: a server that speaks AMI stands in for it, with the fields that docs.asterisk.org documents.
"""

import datetime as dt
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ingest.sources import names
from ingest.sources.ami.connection import server
from ingest.sources.ami.floor import Floor
from ingest.sources.asterisk import Switch
from tests.support.processes import command, environment, one_sentence, run
from tests.support.servers.asterisk_manager import running_manager
from tests.support.stories.stream import at, folded, rows, valid

pytestmark = pytest.mark.slow

Event = dict[str, Any]
NOON = at("12:00:00")


def manager_event(clock: str, name: str, **fields: Any) -> Event:
    """Return an event as AMI sends it: about call 1.1 in queue q and member Ana, unless `fields` say otherwise."""
    caller = {"Channel": "PJSIP/trunk-1", "ChannelState": "6", "ChannelStateDesc": "Up", "CallerIDNum": "0612345678"}
    channel = caller | {"Uniqueid": "1.1", "Linkedid": "1.1"}
    called = {"DestChannel": "PJSIP/1001-2", "DestUniqueid": "1.2", "DestLinkedid": "1.1"}
    member = {"MemberName": "Ana", "Interface": "PJSIP/1001"}
    status = {"StateInterface": "PJSIP/1001", "Membership": "dynamic", "Penalty": "0", "CallsTaken": "0"}
    parts: Event = {"Queue": "q"}
    if name.startswith("QueueCaller"):
        parts = channel | parts | {"Position": "1"}
    elif name.startswith("Agent"):
        parts = channel | called | parts | member
    elif name.startswith("Queue"):
        parts = parts | member | status | {"Paused": "0", "PausedReason": ""}
    else:
        parts = channel
    privilege = "agent,all" if name.startswith(("Queue", "Agent")) else "call,all"
    stamp = f"{at(clock).timestamp():.6f}"
    return {"Event": name, "Privilege": privilege, "Timestamp": stamp, **parts, **fields}


def messages(*events: Event) -> list[dict[str, str]]:
    return [{name: str(value) for name, value in event.items()} for event in events]


def events_of(*said_events: Event, until: str | None = None, known: names.Names | None = None) -> list[Event]:
    floor = Floor("pbx", known or names.Names())
    results = [result for result, _ in floor.take(messages(*said_events), NOON)]
    results += [result for result, _ in floor.pass_time(at(until))] if until else []
    return valid(results, "pbx")


def logged(story: str) -> list[Event]:
    """Return the events of lines of queue_log, `09:00:00 callid queue agent EVENT|data…`."""
    lines = []
    for text in story.strip().splitlines():
        clock, callid, queue, agent, event = text.split(" ", 4)
        lines.append(f"{int(at(clock).timestamp())}|{callid}|{queue}|{agent}|{event}".encode())
    return [e for e, _ in Switch("pbx", names.Names(), ZoneInfo("UTC")).take(lines) if isinstance(e, dict)]


JOINED = manager_event("09:00:00.2", "QueueCallerJoin", Count=1)
CALLED = manager_event("09:00:06.1", "AgentCalled")
LEFT = manager_event("09:00:10.1", "QueueCallerLeave", Count=0)
CONNECTED = manager_event("09:00:10.1", "AgentConnect", HoldTime=10, RingTime=4)
COMPLETED = manager_event("09:01:10.3", "AgentComplete", HoldTime=10, TalkTime=60, Reason="caller")
MISSED = manager_event("09:00:26.1", "AgentRingNoAnswer", RingTime=20000)
ASKED = manager_event("09:00:30", "HangupRequest", Cause=16)
GONE = manager_event("09:00:30.1", "QueueCallerAbandon", OriginalPosition=1, HoldTime=30)
OUT = manager_event("09:00:30.1", "QueueCallerLeave", Count=0)
HUNG_UP = manager_event("09:00:30.2", "Hangup", Cause=16)
ADDED = manager_event("08:00:00", "QueueMemberAdded")

ANSWERED_LOG = """
08:00:00 NONE q Ana ADDMEMBER|
09:00:00 1.1 q NONE ENTERQUEUE||0612345678|1
09:00:10 1.1 q Ana CONNECT|10|1.2|4
09:01:10 1.1 q Ana COMPLETECALLER|10|60|1
"""
MISSED_LOG = """
08:00:00 NONE q Ana ADDMEMBER|
09:00:00 1.1 q NONE ENTERQUEUE||0612345678|1
09:00:26 1.1 q Ana RINGNOANSWER|20000
09:00:30 1.1 q NONE ABANDON|1|1|30
"""
TIMEOUT_LOG = """
09:00:00 1.1 q NONE ENTERQUEUE||0612345678|1
09:00:30 1.1 q NONE EXITEMPTY|1|1|30
"""
KEY_LOG = """
09:00:00 1.1 q NONE ENTERQUEUE||0612345678|1
09:00:30 1.1 q NONE EXITWITHKEY|1|1|1|30
"""
SAME: dict[str, tuple[list[Event], str, Event]] = {
    "answered": (
        [ADDED, JOINED, CALLED, LEFT, CONNECTED, COMPLETED],
        ANSWERED_LOG,
        {"outcome": "answered", "wait_s": 10, "talk_s": 60, "agent": "Ana", "ended_by": "customer"},
    ),
    "not picked up, then hung up": (
        [ADDED, JOINED, CALLED, MISSED, ASKED, GONE, OUT, HUNG_UP],
        MISSED_LOG,
        {"outcome": "abandoned", "wait_s": 30, "missed_offers": 1},
    ),
    "put out of an empty queue, for which AMI says QueueCallerAbandon": (
        [JOINED, GONE, OUT],
        TIMEOUT_LOG,
        {"outcome": "dropped", "wait_s": 30},
    ),
    "pressed a key": ([JOINED, OUT], KEY_LOG, {"outcome": "overflowed", "wait_s": 30}),
}


def shown(call: Event) -> Event:
    fields = ("outcome", "wait_s", "talk_s", "agent", "ended_by", "missed_offers")
    return {field: call[field] for field in fields if call[field]}


@pytest.mark.parametrize(("live", "log", "expected"), SAME.values(), ids=SAME)
def test_a_call_is_the_same_from_ami_from_the_log_and_from_both(
    tmp_path: Path, live: list[Event], log: str, expected: Event
) -> None:
    from_ami, from_log = events_of(*live, until="09:30:00"), logged(log)
    orders = {"ami": from_ami, "log": from_log, "both": from_ami + from_log, "other": from_log + from_ami}
    for name, events in orders.items():
        with folded(tmp_path / name, events, NOON) as reader:
            (call,) = rows(reader, "FROM calls")
            states = rows(reader, "SELECT agent, state, started_at FROM agent_states ORDER BY agent, started_at")
        assert shown(call) == expected, name
        if name in ("both", "other"):
            with folded(tmp_path / f"{name} again", from_log, NOON) as reader:
                assert states == rows(
                    reader, "SELECT agent, state, started_at FROM agent_states ORDER BY agent, started_at"
                )


def test_where_ami_and_the_log_differ_the_log_counts(tmp_path: Path) -> None:
    """Asterisk wrote the line when the next second had begun."""
    live = events_of(manager_event("09:00:00.999", "QueueCallerJoin"), LEFT, CONNECTED)
    log = logged("09:00:01 1.1 q NONE ENTERQUEUE||0612345678|1\n09:00:11 1.1 q Ana CONNECT|10|1.2|4")
    for name, events in (("a", live + log), ("b", log + live)):
        with folded(tmp_path / name, events, NOON) as reader:
            (call,) = rows(reader, "FROM calls")
        assert (call["queued_at"], call["answered_at"]) == (at("09:00:01"), at("09:00:11"))


def states(*said_events: Event, until: str | None = None) -> list[str]:
    found = [event for event in events_of(*said_events, until=until) if event["type"] == "agent.state"]
    latest = {event["event_id"]: event for event in found}
    return [" ".join(filter(None, (e["ts"][11:19], e["state"], e.get("reason")))) for e in latest.values()]


STATES: dict[str, tuple[list[Event], list[str]]] = {
    "rings while it rings": ([ADDED, JOINED, CALLED], ["08:00:00 available", "09:00:06 busy"]),
    "rang in vain": ([ADDED, JOINED, CALLED, MISSED], ["08:00:00 available", "09:00:06 busy", "09:00:26 available"]),
    "could not be rung": (
        [ADDED, JOINED, CALLED, manager_event("09:00:06.4", "AgentRingNoAnswer", RingTime=0)],
        ["08:00:00 available", "09:00:06 available"],
    ),
    "rang until the caller hung up": (
        [ADDED, JOINED, CALLED, ASKED, GONE, OUT, HUNG_UP],
        ["08:00:00 available", "09:00:06 busy", "09:00:30 available"],
    ),
    "rang until another agent was faster": (
        [ADDED, JOINED, CALLED, LEFT, {**CONNECTED, "MemberName": "Bob", "Interface": "PJSIP/2"}],
        ["08:00:00 available", "09:00:06 busy", "09:00:10 available", "09:00:06 busy"],
    ),
    "a pause with its reason": (
        [ADDED, manager_event("08:30:00", "QueueMemberPause", Paused=1, PausedReason="lunch")],
        ["08:00:00 available", "08:30:00 paused lunch"],
    ),
    "a pause and its end": (
        [ADDED, manager_event("08:30:00", "QueueMemberPause", Paused=1), manager_event("08:40:00", "QueueMemberPause")],
        ["08:00:00 available", "08:30:00 paused", "08:40:00 available"],
    ),
    "removed": ([ADDED, manager_event("10:00:00", "QueueMemberRemoved")], ["08:00:00 available", "10:00:00 offline"]),
    "a status repeats what is known": ([ADDED, manager_event("08:10:00", "QueueMemberStatus")], ["08:00:00 available"]),
    "a status tells what was missed": (
        [manager_event("08:10:00", "QueueMemberStatus", Paused=1, PausedReason="lunch")],
        ["08:10:00 paused lunch"],
    ),
    "a static member may be at home": ([manager_event("08:10:00", "QueueMemberStatus", Membership="static")], []),
}


@pytest.mark.parametrize(("live", "expected"), STATES.values(), ids=STATES)
def test_what_an_agent_does(live: list[Event], expected: list[str]) -> None:
    assert states(*live) == expected


def test_a_transfer_ends_the_agents_part(tmp_path: Path) -> None:
    events = events_of(JOINED, LEFT, CONNECTED, {**COMPLETED, "Reason": "transfer"})
    with folded(tmp_path, events, NOON) as reader:
        (call,) = rows(reader, "FROM calls")
    assert call["transferred"] and call["talk_s"] == 60


def test_every_event_is_marked_and_its_number_is_whole() -> None:
    events = events_of(ADDED, JOINED, CALLED, LEFT, CONNECTED, COMPLETED)
    assert {event["_via"] for event in events} == {"ami"}
    assert [event["caller"] for event in events if event["type"] == "call.queued"] == ["0612345678"]


# The list after a login


def listed(*entries: Event) -> Sequence[Event]:
    return [*entries, {"Event": "QueueStatusComplete", "EventList": "Complete"}]


MEMBER = {"Event": "QueueMember", "Queue": "q", "Name": "Ana", "Location": "PJSIP/1001", "Membership": "dynamic",
          "InCall": "0", "Status": "1", "Paused": "0", "PausedReason": ""}  # fmt: skip
ENTRY = {"Event": "QueueEntry", "Queue": "q", "Position": "1", "Uniqueid": "1.1", "CallerIDNum": "0612345678",
         "Wait": "90", "Priority": "0"}  # fmt: skip


def test_callers_and_members_who_were_there_before(tmp_path: Path) -> None:
    with folded(tmp_path, events_of(*listed(MEMBER, ENTRY)), NOON) as reader:
        (call,) = rows(reader, "FROM calls")
        (agent,) = rows(reader, "FROM agents")
    assert (call["outcome"], call["wait_s"], agent["state"]) == ("open", 90, "available")


def test_who_left_while_we_were_not_connected(tmp_path: Path) -> None:
    events = events_of(ADDED, JOINED, *listed())
    with folded(tmp_path, events, NOON) as reader:
        (call,) = rows(reader, "FROM calls")
        (agent,) = rows(reader, "FROM agents")
    assert (call["outcome"], agent["state"]) == ("dropped", "offline")


def test_a_talk_that_ended_while_we_were_not_connected_has_no_side_that_ended_it(tmp_path: Path) -> None:
    events = events_of(ADDED, JOINED, LEFT, CONNECTED, *listed(MEMBER))
    with folded(tmp_path, events, NOON) as reader:
        (call,) = rows(reader, "FROM calls")
        (agent,) = rows(reader, "FROM agents")
    assert (call["outcome"], call["ended_by"], agent["state"]) == ("answered", None, "available")


# The command

SECRET = "correct-horse-battery"


def started(port: int, secret_file: Path, *arguments: str) -> "subprocess.Popen[str]":
    address = ("--ami", f"127.0.0.1:{port}", "--ami-user", "vigie", "--ami-secret-file", str(secret_file))
    return subprocess.Popen(
        command("source", "ami", *address, "--source", "pbx", "--print", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
    )


def read_until(process: "subprocess.Popen[str]", wanted: str) -> list[str]:
    lines = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            return lines
    raise AssertionError(f"{wanted} never came: {lines}, {process.stderr.read() if process.stderr else ''}")


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


@pytest.mark.slow
def test_it_reads_reconnects_and_tells_the_gap(secret_file: Path) -> None:
    with running_manager(SECRET) as manager:
        manager.listed = [MEMBER]
        process = started(manager.port, secret_file)
        manager.say([JOINED, CALLED])
        read_until(process, '"call.rang"')
        read_until(process, '"busy"')
        manager.drop()
        manager.listed = [MEMBER, ENTRY]
        manager.say([LEFT, CONNECTED])
        read_until(process, '"call.answered"')
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
    assert "AMI was not connected for" in stderr
    assert SECRET not in stderr and "0612345678" not in stderr.replace('"line"', "")
    assert manager.actions[0] == {
        "Action": "Login",
        "ActionID": "login",
        "Username": "vigie",
        "Secret": SECRET,
        "Events": "agent,call,system",
    }


@pytest.mark.slow
def test_a_refused_user_stops_it_in_one_sentence(secret_file: Path) -> None:
    with running_manager("another") as manager:
        process = started(manager.port, secret_file)
        stdout, stderr = process.communicate(timeout=60)
    done = subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
    assert "Asterisk refused the AMI user" in one_sentence(done)
    assert SECRET not in stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--ami", "asterisk"), "--ami is not HOST:PORT"),
        (("--ami-user", ""), "--ami-user is missing"),
        ((), "There is no AMI secret"),
        (("--ami-secret-file", "/nowhere"), "--ami-secret-file cannot be read"),
    ],
)
def test_options_that_cannot_be_used(arguments: tuple[str, ...], sentence: str) -> None:
    done = run("source", "ami", *(() if "--ami-user" in arguments else ("--ami-user", "vigie")), *arguments, "--print")
    assert sentence in one_sentence(done)


def test_the_secret_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_AMI_SECRET", SECRET)
    found = server("127.0.0.1:5038", "vigie", "", False, "")
    assert found.secret == SECRET and SECRET not in repr(found)
    assert os.environ["VIGIE_AMI_SECRET"] and found.port == 5038


def test_times_without_a_timestamp_are_those_of_their_arrival() -> None:
    message = {name: value for name, value in JOINED.items() if name != "Timestamp"}
    (queued,) = events_of(message)
    assert queued["ts"] == NOON.isoformat().replace("+00:00", "Z")
    assert dt.datetime.fromisoformat(queued["ts"]) == NOON
