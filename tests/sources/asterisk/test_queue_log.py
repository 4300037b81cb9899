"""Asterisk's queue_log: what each line means, as text tables, and what a floor manager then sees published."""

import csv
import datetime as dt
import gzip
import io
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import UsageError
from ingest.events import contract
from ingest.sources import names
from ingest.sources.asterisk import Switch
from ingest.sources.asterisk.queue_log import Reader
from ingest.sources.asterisk.translator import Translator
from ingest.sources.asterisk.verbs import NOTES, SILENT
from ingest.sources.events import encoded
from ingest.topic.broker import Broker
from metrics.configuration.campaigns import load
from tests.support import processes
from tests.support.processes import ROOT, WITHIN_S, catch_up, command, environment, one_sentence, run, status, totals
from tests.support.stories.queue_log import DAY, events_of, line, lines, summaries
from tests.support.stories.stream import folded, rows

SAMPLE = ROOT / "samples" / "queue_log"
MAP = """
[queues.vip]
campaign = "gold"
language = "es"
direction = "callback"
on_timeout = "voicemail"
on_empty = "no_agents"
on_key = { "1" = "callback" }
wrap_up_s = 20

[queues.back]
on_key = "voicemail"

[agents.ana]
name = "Ana"
team = "Norte"
interfaces = ["SIP/1", "Local/1@from-queue/n", "Ana Díaz"]

[reasons]
"Pausa comida" = "lunch"
"""


@pytest.fixture(scope="module")
def queue_map(tmp_path_factory: pytest.TempPathFactory) -> names.Names:
    path = tmp_path_factory.mktemp("map") / "queues.toml"
    path.write_text(MAP)
    return names.load(path)


# What each line means for a call

QUEUED = "09:00:00 1.1 q NONE ENTERQUEUE||0612345678|1"
TALKS = QUEUED + "\n09:00:10 1.1 q SIP/9 CONNECT|10|1.2|4"
ENTERED = ["09:00:00 queued 1.1/q 0612345678"]
ANSWERED = [*ENTERED, "09:00:06 rang 1.1/q SIP/9", "09:00:10 answered 1.1/q SIP/9"]

CALLS = {
    "ENTERQUEUE": ("", ENTERED),
    "ABANDON": ("09:00:30 1.1 q NONE ABANDON|1|1|30", [*ENTERED, "09:00:30 abandoned 1.1/q"]),
    "EXITWITHTIMEOUT": ("09:01:00 1.1 q NONE EXITWITHTIMEOUT|1|1|60", [*ENTERED, "09:01:00 left_queue 1.1/q timeout"]),
    "EXITWITHKEY": ("09:00:30 1.1 q NONE EXITWITHKEY|2|1|1|30", [*ENTERED, "09:00:30 left_queue 1.1/q overflow"]),
    "EXITEMPTY": ("09:00:30 1.1 q NONE EXITEMPTY|1|1|30", [*ENTERED, "09:00:30 left_queue 1.1/q system"]),
    "LEAVEEMPTY": ("09:00:30 1.1 q NONE LEAVEEMPTY|", [*ENTERED, "09:00:30 left_queue 1.1/q system"]),
    "SYSCOMPAT": ("09:00:30 1.1 q SIP/9 SYSCOMPAT|", [*ENTERED, "09:00:30 left_queue 1.1/q system"]),
    "QUEUESTART": ("09:00:30 NONE NONE NONE QUEUESTART|", [*ENTERED, "09:00:30 left_queue 1.1/q system"]),
    "DID": ("09:00:30 1.1 q NONE DID|0123", ENTERED),
    "CONFIGRELOAD": ("09:00:30 NONE NONE NONE CONFIGRELOAD|", ENTERED),
    "RINGNOANSWER": (
        "09:00:20 1.1 q SIP/8 RINGNOANSWER|15000",
        [*ENTERED, "09:00:20 missed 1.1/q SIP/8", "09:00:05 rang 1.1/q SIP/8"],
    ),
    "RINGNOANSWER, longer than the call waits": (
        "09:00:20 1.1 q SIP/8 RINGNOANSWER|45000",
        [*ENTERED, "09:00:20 missed 1.1/q SIP/8", "09:00:00 rang 1.1/q SIP/8"],
    ),
    "RINGCANCELED": ("09:00:20 1.1 q SIP/8 RINGCANCELED|5000", [*ENTERED, "09:00:15 rang 1.1/q SIP/8"]),
    "AGENTDUMP": (
        "09:00:20 1.1 q SIP/8 AGENTDUMP|",
        [*ENTERED, "09:00:20 missed 1.1/q SIP/8", "09:00:20 rang 1.1/q SIP/8"],
    ),
    "CONNECT": ("09:00:10 1.1 q SIP/9 CONNECT|10|1.2|4", ANSWERED),
}
TALK_ENDS = {
    "COMPLETEAGENT": ("COMPLETEAGENT|10|60|1", "09:01:10 ended 1.1/q agent"),
    "COMPLETECALLER": ("COMPLETECALLER|10|60|1", "09:01:10 ended 1.1/q customer"),
    "TRANSFER": ("TRANSFER|501|default|10|60|1", "09:01:10 transferred 1.1/q 501"),
    "BLINDTRANSFER": ("BLINDTRANSFER|501|default|10|60|1", "09:01:10 transferred 1.1/q 501"),
    "ATTENDEDTRANSFER": ("ATTENDEDTRANSFER|BRIDGE|5f1c|10|60|1", "09:01:10 transferred 1.1/q"),
    "QUEUESTART": ("QUEUESTART|", "09:01:10 ended 1.1/q system"),
}
REFUSALS = {
    "JOINEMPTY": "no_agents",
    "CLOSED": "closed",
    "FULL": "full",
    "DIVERT_CA_RATIO": "overflow",
    "DIVERT_HOLDTIME": "overflow",
}


@pytest.mark.parametrize(("then", "events"), CALLS.values(), ids=CALLS)
def test_a_line_of_a_waiting_call(then: str, events: list[str]) -> None:
    assert summaries(f"{QUEUED}\n{then}") == events


@pytest.mark.parametrize(("then", "event"), TALK_ENDS.values(), ids=TALK_ENDS)
def test_a_line_that_ends_a_talk(then: str, event: str) -> None:
    assert summaries(f"{TALKS}\n09:01:10 1.1 q SIP/9 {then}") == [*ANSWERED, event]


@pytest.mark.parametrize(("event", "reason"), REFUSALS.items())
def test_a_call_refused_on_arrival_was_queued_for_no_time(event: str, reason: str) -> None:
    queued, left = events_of(f"09:00:00 1.1 q NONE {event}|")
    assert (queued["type"], queued["campaign"], left["reason"]) == ("call.queued", "q", reason)
    assert queued["ts"] == left["ts"]


@pytest.mark.parametrize("event", REFUSALS)
def test_a_call_refused_after_it_entered_is_one_call(event: str) -> None:
    queued, left = events_of(f"{QUEUED}\n09:00:05 1.1 q NONE {event}|")
    assert (queued["call_id"], queued["type"]) == (left["call_id"], "call.queued")


def test_the_map_describes_a_queue(queue_map: names.Names) -> None:
    (queued,) = events_of("09:00:00 1.1 vip NONE ENTERQUEUE||0612345678|1", queue_map)
    assert queued | {"event_id": "", "ts": ""} == {
        "event_id": "", "type": "call.queued", "ts": "", "call_id": "pbx/1.1/vip", "linked_id": "pbx/1.1",
        "campaign": "gold", "queue": "vip", "language": "es", "direction": "callback", "caller": "0612345678",
        "revision": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("queue", "exit", "reason"),
    [
        ("vip", "EXITWITHTIMEOUT|1|1|9", "voicemail"),
        ("vip", "EXITEMPTY|1|1|9", "no_agents"),
        ("vip", "LEAVEEMPTY|", "no_agents"),
        ("back", "EXITEMPTY|1|1|9", "system"),
        ("vip", "EXITWITHKEY|1|1|1|9", "callback"),
        ("vip", "EXITWITHKEY|7|1|1|9", "overflow"),
        ("back", "EXITWITHKEY|7|1|1|9", "voicemail"),
        ("back", "EXITWITHTIMEOUT|1|1|9", "timeout"),
    ],
)
def test_the_map_says_where_an_exit_leads(queue_map: names.Names, queue: str, exit: str, reason: str) -> None:
    story = f"09:00:00 1.1 {queue} NONE ENTERQUEUE|||1\n09:00:09 1.1 {queue} NONE {exit}"
    assert events_of(story, queue_map)[-1]["reason"] == reason


@pytest.mark.parametrize("caller", ["", "unknown", "Anonymous"])
def test_an_unknown_caller_is_left_out(caller: str) -> None:
    assert "caller" not in events_of(f"09:00:00 1.1 q NONE ENTERQUEUE||{caller}|1")[0]


@pytest.mark.parametrize(
    "data", ["|06123|1", "|06123", "|06123|1|Ana", "|06123|1|4", "http://x/?a=1|b|06123|12", "a||b|06123|1|4"]
)
def test_the_caller_is_the_field_before_the_position(data: str) -> None:
    """A URL may have pipes; the caller's name comes after the position, in newer versions."""
    (queued,) = events_of(f"09:00:00 1.1 q NONE ENTERQUEUE|{data}")
    assert queued["caller"] == "06123"


def test_a_transfer_to_a_queue_of_the_map(queue_map: names.Names) -> None:
    assert (
        events_of(f"{TALKS}\n09:01:10 1.1 q SIP/9 BLINDTRANSFER|vip|default|10|60|1", queue_map)[-2]["to_queue"]
        == "vip"
    )


# One phone call, several visits


def test_a_call_that_visits_two_queues_is_two_calls_with_one_linked_id() -> None:
    story = f"{QUEUED}\n09:00:30 1.1 q NONE EXITWITHKEY|2|1|1|30\n09:00:30 1.1 r NONE ENTERQUEUE||06|1"
    events = events_of(story)
    assert [e["call_id"] for e in events] == ["pbx/1.1/q", "pbx/1.1/q", "pbx/1.1/r"]
    assert {e["linked_id"] for e in events if e["type"] == "call.queued"} == {"pbx/1.1"}


@pytest.mark.parametrize(
    ("out", "reason"),
    [("EXITWITHTIMEOUT|1|1|30", "timeout"), ("EXITEMPTY|1|1|30", "system"), ("LEAVEEMPTY|", "system")],
)
def test_a_call_that_moves_on_to_another_queue_has_overflowed(out: str, reason: str) -> None:
    story = f"{QUEUED}\n09:00:30 1.1 q NONE {out}\n09:00:31 1.1 r NONE ENTERQUEUE|||1"
    first, later = [e for e in events_of(story) if "reason" in e]
    assert (first["reason"], "revision" in first) == (reason, False)
    assert later == {**first, "reason": "overflow", "revision": 1}


def test_a_call_cannot_wait_in_two_queues() -> None:
    assert summaries(f"{QUEUED}\n09:00:31 1.1 r NONE ENTERQUEUE|||1") == [
        *ENTERED,
        "09:00:31 left_queue 1.1/q overflow",
        "09:00:31 queued 1.1/r",
    ]


def test_a_call_that_comes_back_to_a_queue_is_another_call() -> None:
    story = f"""{TALKS}
        09:01:10 1.1 q SIP/9 BLINDTRANSFER|q|default|10|60|1
        09:01:11 1.1 q NONE ENTERQUEUE||06|1
        09:01:15 1.1 q SIP/9 RINGNOANSWER|2000
        09:01:20 1.1 q SIP/8 CONNECT|9|1.3|1
        09:02:20 1.1 q SIP/8 COMPLETEAGENT|9|60|1"""
    events = [e for e in events_of(story) if e["type"].startswith("call.")]
    first, second = {e["call_id"]: None for e in events}
    assert {e["type"] for e in events if e["call_id"] == first} == {
        "call.queued", "call.rang", "call.answered", "call.transferred",
    }  # fmt: skip
    assert [e["type"] for e in events if e["call_id"] == second] == [
        "call.queued", "call.missed", "call.rang", "call.rang", "call.answered", "call.ended",
    ]  # fmt: skip


def test_a_transfer_logged_after_the_next_visit_began_belongs_to_the_visit_that_talked() -> None:
    story = f"{TALKS}\n09:01:10 1.1 q NONE ENTERQUEUE||06|1\n09:01:10 1.1 q SIP/9 BLINDTRANSFER|q|default|10|60|1"
    last = {event["event_id"]: event for event in events_of(story)}  # the transfer takes the place of an inferred end
    assert [event["type"] for event in last.values() if event.get("call_id") == "pbx/1.1/q"] == [
        *("call.queued", "call.rang", "call.answered", "call.transferred"),
    ]


def test_a_call_without_its_first_lines_gets_the_same_id() -> None:
    from_start = events_of(TALKS + "\n09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1")
    rest = events_of("09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1")
    assert {e["call_id"] for e in rest if "call_id" in e} == {"pbx/1.1/q"}
    assert [e for e in rest if e["type"] == "call.ended"] == [e for e in from_start if e["type"] == "call.ended"]


def test_lines_read_twice_are_the_same_events() -> None:
    story = lines(f"""{TALKS}
        09:01:10 1.1 q SIP/9 BLINDTRANSFER|q|default|10|60|1
        09:01:11 1.1 q NONE ENTERQUEUE||06|1
        09:01:15 1.1 q SIP/9 RINGNOANSWER|2000
        09:01:20 1.1 q SIP/8 CONNECT|9|1.3|1
        09:02:20 1.1 q SIP/8 COMPLETEAGENT|9|60|1""")
    of_calls = [{e["event_id"] for e in events_of(s) if e["type"].startswith("call.")} for s in (story, story + story)]
    assert of_calls[0] == of_calls[1]


def test_two_equal_lines_count_once() -> None:
    ids = [e["event_id"] for e in events_of(f"{QUEUED}\n{QUEUED}\n09:00:05 1.1 q SIP/9 RINGNOANSWER|2000\n"
                                       "09:00:05 1.1 q SIP/9 RINGNOANSWER|2000")]  # fmt: skip
    assert len(set(ids)) == 3  # queued, missed, rang


def test_another_switch_has_other_call_and_event_ids() -> None:
    here, there = (
        {
            (e["event_id"], e.get("call_id", ""), e.get("linked_id", ""))
            for e, _ in Switch(name, names.Names(), None).take(lines(TALKS))
        }
        for name in ("casa", "rabat")
    )
    assert not {part for ids in here for part in ids if part} & {part for ids in there for part in ids}


# What each line means for an agent

STATES = {
    "a member is available": ("09:00:00 NONE q SIP/9 ADDMEMBER|", ["09:00:00 available q"]),
    "a member who comes paused": ("09:00:00 NONE q SIP/9 ADDMEMBER|PAUSED", ["09:00:00 paused q"]),
    "in two queues, left one by one": (
        """09:00:00 NONE q SIP/9 ADDMEMBER|
        09:00:10 NONE r SIP/9 ADDMEMBER|
        10:00:00 NONE q SIP/9 REMOVEMEMBER|
        10:00:10 NONE r SIP/9 REMOVEMEMBER|""",
        ["09:00:00 available q", "09:00:10 available q+r", "10:00:00 available r", "10:00:10 offline"],
    ),
    "paused in one of two queues still takes calls": (
        """09:00:00 NONE q SIP/9 ADDMEMBER|
        09:00:10 NONE r SIP/9 ADDMEMBER|
        09:30:00 NONE q SIP/9 PAUSE|coffee
        09:40:00 NONE r SIP/9 PAUSE|coffee
        09:50:00 NONE q SIP/9 UNPAUSE|""",
        ["09:00:00 available q", "09:00:10 available q+r", "09:40:00 paused q+r coffee", "09:50:00 available q+r"],
    ),
    "PAUSEALL gives no reason, the lines of the queues do": (
        """09:00:00 NONE q SIP/9 ADDMEMBER|
        09:30:00 NONE NONE SIP/9 PAUSEALL|
        09:30:00 NONE q SIP/9 PAUSE|coffee
        09:40:00 NONE NONE SIP/9 UNPAUSEALL|
        09:40:00 NONE q SIP/9 UNPAUSE|""",
        ["09:00:00 available q", "09:30:00 paused q", "09:30:00 paused q coffee r1", "09:40:00 available q"],
    ),
    "a reason stays when the next line gives none": (
        "09:30:00 NONE q SIP/9 PAUSE|coffee\n09:30:00 NONE r SIP/9 PAUSE|",
        ["09:30:00 paused q coffee", "09:30:00 paused q+r coffee r1"],
    ),
    "the next pause has its own reason": (
        """09:30:00 NONE q SIP/9 PAUSE|coffee
        09:40:00 NONE q SIP/9 UNPAUSE|
        09:50:00 NONE q SIP/9 PAUSE|""",
        ["09:30:00 paused q coffee", "09:40:00 available q", "09:50:00 paused q"],
    ),
    "PAUSEALL, then back in one queue": (
        """09:00:00 NONE q SIP/9 ADDMEMBER|
        09:00:00 NONE r SIP/9 ADDMEMBER|
        09:30:00 NONE NONE SIP/9 PAUSEALL|
        09:40:00 NONE r SIP/9 UNPAUSE|""",
        ["09:00:00 available q", "09:00:00 available q+r r1", "09:30:00 paused q+r", "09:40:00 available q+r"],
    ),
    "an agent logs in and off; Wazo's end of pauses afterwards brings nobody back": (
        """09:00:00 1.1 NONE Agent/9 AGENTCALLBACKLOGIN|1001@default
        10:00:00 NONE NONE Agent/9 AGENTCALLBACKLOGOFF|1001@default|3600|CommandLogoff
        10:00:01 NONE NONE Agent/9 UNPAUSEALL|
        10:00:01 NONE q Agent/9 UNPAUSE|""",
        ["09:00:00 available", "10:00:00 offline"],
    ),
    "AGENTLOGIN and AGENTLOGOFF": (
        "09:00:00 1.1 NONE 9 AGENTLOGIN|SIP/9-1\n10:00:00 1.1 NONE 9 AGENTLOGOFF|SIP/9-1|3600",
        ["09:00:00 available", "10:00:00 offline"],
    ),
    "busy from the ring on, available after the talk": (
        f"08:00:00 NONE q SIP/9 ADDMEMBER|\n{TALKS}\n09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1",
        ["08:00:00 available q", "09:00:06 busy q", "09:01:10 available q"],
    ),
    "a member by configuration, whom no line adds": (
        f"{TALKS}\n09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1",
        ["09:00:06 busy q", "09:01:10 available q"],
    ),
    "a talk whose beginning was not read": (
        "09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1",
        ["09:00:10 busy q", "09:01:10 available q"],
    ),
    "the telephone rang in vain": (
        f"08:00:00 NONE q SIP/9 ADDMEMBER|\n{QUEUED}\n09:00:20 1.1 q SIP/9 RINGNOANSWER|15000",
        ["08:00:00 available q", "09:00:05 busy q", "09:00:20 available q"],
    ),
    "rang in vain, and paused for it at once": (
        f"08:00:00 NONE q SIP/9 ADDMEMBER|\n{QUEUED}\n09:00:20 1.1 q SIP/9 RINGNOANSWER|15000\n"
        "09:00:20 NONE q SIP/9 PAUSE|Auto-Pause",
        ["08:00:00 available q", "09:00:05 busy q", "09:00:20 available q", "09:00:20 paused q Auto-Pause r1"],
    ),
    "a telephone that did not ring says nothing of its agent": (
        f"{QUEUED}\n09:00:20 1.1 q SIP/9 RINGNOANSWER|0",
        [],
    ),
    "a call ends and the next begins in one second": (
        f"""{TALKS}
        09:01:00 2.1 q NONE ENTERQUEUE|||1
        09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1
        09:01:10 2.1 q SIP/9 CONNECT|10|2.2|0
        09:02:00 2.1 q SIP/9 COMPLETEAGENT|10|50|1""",
        ["09:00:06 busy q", "09:01:10 available q", "09:01:10 busy q r1", "09:02:00 available q"],
    ),
    "leaves while talking: offline when the talk ends": (
        f"""08:00:00 NONE q SIP/9 ADDMEMBER|
        {TALKS}
        09:01:00 NONE q SIP/9 REMOVEMEMBER|
        09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1""",
        ["08:00:00 available q", "09:00:06 busy q", "09:01:00 busy", "09:01:10 offline"],
    ),
    "pauses while talking: paused when the talk ends": (
        f"{TALKS}\n09:01:00 NONE q SIP/9 PAUSE|coffee\n09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1",
        ["09:00:06 busy q", "09:01:10 paused q coffee"],
    ),
    "after-call work, reported by Wazo": (
        f"""{TALKS}
        09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1
        09:01:10 NONE NONE SIP/9 WRAPUPSTART|15
        09:05:00 NONE NONE NONE CONFIGRELOAD|
        09:06:00 2.1 q NONE ENTERQUEUE|||1""",
        ["09:00:06 busy q", "09:01:10 available q", "09:01:10 wrap_up q r1", "09:01:25 available q"],
    ),
    "after-call work is work, though they asked for a pause": (
        f"""{TALKS}
        09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1
        09:01:10 1.1 q SIP/9 WRAPUPSTART|15
        09:01:15 NONE q SIP/9 PAUSE|coffee
        09:06:00 2.1 q NONE ENTERQUEUE|||1""",
        ["09:00:06 busy q", "09:01:10 available q", "09:01:10 wrap_up q r1", "09:01:25 paused q coffee"],
    ),
    "after-call work is cut short by a logoff": (
        f"""{TALKS}
        09:01:10 1.1 q SIP/9 COMPLETEAGENT|10|60|1
        09:01:10 1.1 q SIP/9 WRAPUPSTART|15
        09:01:15 NONE NONE SIP/9 AGENTLOGOFF|
        09:06:00 2.1 q NONE ENTERQUEUE|||1""",
        ["09:00:06 busy q", "09:01:10 available q", "09:01:10 wrap_up q r1", "09:01:15 offline"],
    ),
    "Asterisk is started again in the middle of a talk": (
        f"{TALKS}\n09:01:10 NONE NONE NONE QUEUESTART|",
        ["09:00:06 busy q", "09:01:10 available q"],
    ),
}


@pytest.mark.parametrize(("story", "states"), STATES.values(), ids=STATES)
def test_the_states_of_an_agent(story: str, states: list[str]) -> None:
    found = [
        " ".join(
            filter(
                None,
                [
                    e["ts"][11:].removesuffix("Z"),
                    e["state"],
                    "+".join(e.get("queues", [])),
                    e.get("reason"),
                    f"r{e['revision']}" if "revision" in e else "",
                ],
            )
        )
        for e in events_of(story)
        if e["type"] == "agent.state"
    ]
    assert found == states


def test_an_agent_with_several_interfaces_gets_one_profile(queue_map: names.Names) -> None:
    story = lines("""09:00:00 NONE q SIP/1 ADDMEMBER|
        09:30:00 NONE NONE Local/1@from-queue/n PAUSEALL|Pausa comida
        09:40:00 NONE q ANA UNPAUSE|""")
    profile, *states = events_of([entry.replace(b"ANA", "Ana Díaz".encode()) for entry in story], queue_map)
    assert profile["type"] == "agent.profile"
    assert (profile["agent"], profile["name"], profile["team"]) == ("ana", "Ana", "Norte")
    assert [(e["agent"], e["state"], e.get("reason")) for e in states] == [
        ("ana", "available", None),
        ("ana", "paused", "lunch"),
        ("ana", "available", None),
    ]


def test_the_campaign_of_an_agent_in_several(queue_map: names.Names) -> None:
    events = events_of(
        """09:00:00 NONE q SIP/9 ADDMEMBER|
        09:00:00 NONE vip SIP/9 ADDMEMBER|
        09:10:00 1.1 vip NONE ENTERQUEUE|||1
        09:10:05 1.1 vip SIP/9 CONNECT|5|1.2|5
        09:11:00 1.1 vip SIP/9 COMPLETEAGENT|5|55|1
        09:30:00 NONE NONE SIP/9 PAUSEALL|""",
        queue_map,
    )
    states = [(e["state"], e["campaign"]) for e in events if e["type"] == "agent.state"]
    assert states == [
        *(("available", "q"), ("available", "q"), ("busy", "gold")),
        *(("wrap_up", "gold"), ("available", "gold"), ("paused", "gold")),
    ]


def test_a_queue_with_a_wrap_up_of_its_own(queue_map: names.Names) -> None:
    story = """09:10:00 1.1 vip NONE ENTERQUEUE|||1
        09:10:05 1.1 vip SIP/9 CONNECT|5|1.2|5
        09:11:00 1.1 vip SIP/9 COMPLETEAGENT|5|55|1
        09:30:00 NONE NONE SIP/9 PAUSEALL|"""
    assert "09:11:20 wrapped 1.1/vip" in summaries(story, queue_map)


# Both formats


def as_table(story: list[bytes], zone: str, delimiter: str = ",") -> list[bytes]:
    """Return the same lines as rows of the realtime table, in local time, with extra columns that we do not know."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(
        ["id", "time", "callid", "queuename", "agent", "event", *(f"data{n}" for n in range(1, 6)), "created"]
    )
    for number, entry in enumerate(story):
        time, callid, queue, agent, event, *data = entry.decode().split("|")
        local = dt.datetime.fromtimestamp(int(time), ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S.%f")
        writer.writerow([number, local, callid, queue, agent, event, *(data + [""] * 5)[:5], local])
    return out.getvalue().encode().splitlines()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_realtime_table_gives_the_same_events_as_the_file(delimiter: str) -> None:
    story = SAMPLE.read_bytes().splitlines()
    assert events_of(as_table(story, "Europe/Paris", delimiter)) == events_of(story)


def test_the_columns_of_queuemetrics() -> None:
    table = [b"partition,time_id,call_id,queue,agent,verb,data1,data2,data3,data4,data5,serverid",
             b"P001,1773129900,1.1,q,NONE,ENTERQUEUE,,0612345678,1,,,pbx"]  # fmt: skip
    assert events_of(table) == events_of("08:05:00 1.1 q NONE ENTERQUEUE||0612345678|1")


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        ("1773129900", "2026-03-10T08:05:00+00:00"),
        ("1773129900.250", "2026-03-10T08:05:00.250000+00:00"),
        ("2026-03-10 09:05:00.123456", "2026-03-10T08:05:00.123456+00:00"),
        ("2026-03-10 08:05:00.5+00", "2026-03-10T08:05:00.500000+00:00"),
        ("2026-07-10T09:05:00", "2026-07-10T07:05:00+00:00"),
    ],
)
def test_times(time: str, instant: str) -> None:
    entry = Reader(ZoneInfo("Europe/Paris")).read(f"{time}|1.1|q|NONE|ENTERQUEUE||06|1")
    assert entry
    assert entry.at.isoformat() == instant


def test_the_repeated_hour_is_resolved_by_the_order_of_the_lines() -> None:
    reader = Reader(ZoneInfo("Europe/Paris"))
    clocks = ("01:30:00", "02:10:00", "02:59:58", "02:00:01", "02:00:00.5", "02:59:59", "03:00:00")
    entries = [reader.read(f"2026-10-25 {clock}|1.1|q|NONE|ABANDON") for clock in clocks]
    assert [e.at.strftime("%H:%M:%S") for e in entries if e] == [
        *("23:30:00", "00:10:00", "00:59:58", "01:00:01", "01:00:00", "01:59:59", "02:00:00"),
    ]


def test_a_local_time_without_a_zone_is_an_error() -> None:
    with pytest.raises(UsageError, match="no zone; name it with --timezone"):
        Reader().read("2026-03-10 09:05:00|1.1|q|NONE|ABANDON")


def test_names_in_latin_1_are_read() -> None:
    (paused,) = events_of([line("09:00:00 NONE q SIP/9 PAUSE|") + "Pause déjeuner".encode("latin-1")])
    assert paused["reason"] == "Pause déjeuner"


# Lines that are not understood

BROKEN = {
    "1773129900|1.1|q": "3 fields, where a line of queue_log has at least 5.",
    "soon|1.1|q|NONE|ABANDON|1|1|3": "The time is neither seconds since 1970 nor a date and time.",
    "99999999999999999999|1.1|q|NONE|ABANDON": "The time is neither seconds since 1970 nor a date and time.",
    "3|1.1|q|NONE|ABANDON": "The time lies before 1990.",
    "0|1.1|q|NONE|ABANDON": "The time is empty, or one that means never.",
    "1773129900|1.1|q|NONE|": "The event is empty.",
    "1773129900|1.1|q|NONE|RINGNOANSWER|1000": "RINGNOANSWER without an agent.",
    "1773129900|NONE|q|NONE|ENTERQUEUE||06|1": "ENTERQUEUE without a call or a queue.",
    "1773129900|NONE|NONE|SIP/9|PAUSE|": "PAUSE without a queue.",
    "1773129900|1.1|q|SIP/9|OUTCALL|": "OUTCALL without its status; nothing says whether somebody picked up.",
}


@pytest.mark.parametrize(("broken", "reason"), BROKEN.items(), ids=BROKEN.values())
def test_a_broken_line_is_rejected_with_the_reason(broken: str, reason: str) -> None:
    ((rejected, origin),) = Switch("pbx", names.Names(), None).take([broken.encode()])
    _, value, why = encoded(rejected, "pbx", origin)
    assert why == reason
    assert contract.faulty_lines(value) == [(1, value.decode(), f"pbx: {reason}")]
    assert json.loads(value)["line"] == broken


def test_a_name_that_the_contract_forbids_is_rejected_with_the_reason() -> None:
    ((event, origin),) = Switch("pbx", names.Names(), None).take([line(f"09:00:00 1.1 {'q' * 65} NONE ENTERQUEUE|||1")])
    _, value, why = encoded(event, "pbx", origin)
    assert why == "call.queued would break the contract: Expected `str` of length <= 64 - at `$.campaign`."
    assert json.loads(value)["line"] == origin


def test_an_unknown_event_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    floor, reader = Translator("pbx", names.Names()), Reader()
    for text in lines(  # of a call that was not read
        "09:00:00 1.1 q SIP/9 CALLSTATUS|A\n09:00:00 1.1 q NONE CALLSTATUS|B\n09:00:01 1.1 q SIP/9 INFO|"
    ):
        entry = reader.read(text.decode())
        assert entry
        assert floor.take(entry) == []
    assert floor.unknown == {"CALLSTATUS": 2, "INFO": 1}
    assert len(caplog.messages) == 2


KNOWN_EVENTS = sorted(Translator("pbx", names.Names())._handlers)
FIELD = st.one_of(st.text(max_size=12), st.sampled_from(["NONE", "q", "1.1", "SIP/9", "0", "15000", "PAUSED"]))
LINE = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda at, fields, event, data: "|".join([str(at), *fields, event, *data]).encode(),
        st.one_of(st.integers(1773129600, 1773133200), st.integers(), st.text(max_size=20)),
        st.lists(FIELD, min_size=3, max_size=3),
        st.one_of(st.sampled_from(KNOWN_EVENTS), st.text(max_size=8)),
        st.lists(FIELD, max_size=6),
    ),
)


@given(st.lists(LINE, max_size=30), st.integers(0, 30))
def test_any_lines_make_valid_events_or_are_rejected_and_a_restart_changes_nothing(
    story: list[bytes], cut: int
) -> None:
    def records(*parts: list[bytes]) -> list[tuple[bytes, bytes, str | None]]:
        found, remembered = [], None
        for part in parts:
            switch = Switch("pbx", names.Names(), ZoneInfo("Europe/Paris"))
            if remembered is not None:
                switch.recall(json.loads(json.dumps(remembered)))
            found += [encoded(result, "pbx", origin) for result, origin in switch.take(part)]
            remembered = switch.remembered()
        return found

    at_once = records(story)
    assert records(story[:cut], story[cut:]) == at_once
    for _, value, reason in at_once:
        ((_, _, fault),) = contract.faulty_lines(value)
        assert (fault is None) == (reason is None)


# The sample, as a newcomer tries it, compared with a count by hand


NOON = DAY + dt.timedelta(hours=12)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    done = run(
        "source", "asterisk", "--queue-log", str(SAMPLE), "--map", str(SAMPLE.with_name("queues.toml")), "--print"
    )
    assert done.returncode == 0, done.stderr
    assert '"disposition":"RAPPEL"' in done.stdout
    events = [json.loads(line) for line in done.stdout.splitlines()]
    with folded(tmp_path_factory.mktemp("sample"), events, NOON, load(ROOT / "campaigns.toml")) as reader:
        yield reader


BY_HAND = {
    "orea-sinistres": {
        "offered": 6, "answered": 4, "abandoned": 1, "short_abandoned": 1, "overflowed": 0, "callback": 0, "refused": 1,
        "dropped": 0, "open": 0, "transferred": 2, "service_level": 3 / 5, "asa_s": 82 / 4, "aht_s": 780 / 4,
    },
    "orea-ventes": {
        "offered": 2, "answered": 1, "abandoned": 0, "short_abandoned": 0, "overflowed": 1, "callback": 0, "refused": 1,
        "dropped": 0, "open": 0, "transferred": 0, "service_level": 1 / 2, "asa_s": 9, "aht_s": 300,
    },
    "lucero-soporte": {
        "offered": 3, "answered": 1, "abandoned": 0, "short_abandoned": 0, "overflowed": 0, "callback": 1, "refused": 0,
        "dropped": 1, "open": 0, "transferred": 0, "service_level": 1 / 3, "asa_s": 8, "aht_s": 330,
    },
}  # fmt: skip
AGENTS_BY_HAND = {  # for the hour from 08:00
    "amina": {"handled": 2, "busy_s": 184 + 10 + 183, "wrap_up_s": 0, "paused_s": 900, "available_s": 2018},
    "youssef": {"handled": 3, "busy_s": 15 + 245 + 304 + 186, "wrap_up_s": 0, "paused_s": 0, "available_s": 2560},
    "lucia": {"handled": 1, "busy_s": 303, "wrap_up_s": 30, "paused_s": 0, "available_s": 2997},
}
HOUR = "(TIMESTAMPTZ '2026-03-10 08:00:00Z', TIMESTAMPTZ '2026-03-10 09:00:00Z')"


@pytest.mark.parametrize("campaign", BY_HAND)
def test_the_sample_has_the_figures_counted_by_hand(sample: duckdb.DuckDBPyConnection, campaign: str) -> None:
    (found,) = rows(sample, f"FROM kpi_campaign{HOUR} WHERE campaign = $campaign", {"campaign": campaign})
    assert {figure: found[figure] for figure in BY_HAND[campaign]} == BY_HAND[campaign]
    assert found["conserved"]


@pytest.mark.parametrize("agent", AGENTS_BY_HAND)
def test_the_agents_of_the_sample_spent_their_hour_as_counted_by_hand(
    sample: duckdb.DuckDBPyConnection, agent: str
) -> None:
    (found,) = rows(sample, f"FROM kpi_agent{HOUR} WHERE agent = $agent", {"agent": agent})
    assert {figure: found[figure] for figure in AGENTS_BY_HAND[agent]} == AGENTS_BY_HAND[agent]


def test_without_a_map_a_queue_is_its_campaign(tmp_path: Path) -> None:
    with folded(tmp_path, events_of(SAMPLE.read_bytes().splitlines()), NOON) as reader:
        found = {row["campaign"] for row in rows(reader, "SELECT DISTINCT campaign FROM calls")}
    assert found == {"sinistres", "ventes", "soporte"}


# The map


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[queue.q]", "queues.toml: Table contains unknown field `queue`, allowed are queues, agents, reasons."),
        ("[queues.q]\ncolour = 1", "queues.toml, queue 1: Table contains unknown field `colour`, allowed are"),
        ("[queues.p]\n[queues.q]\ncampaign = 7", "queues.toml, queue 2, campaign: Expected `str | null`, got `int`."),
        ("[queues.q]\ndirection = 'in'", "queues.toml, queue 1, direction: Not one of the words that are allowed here"),
        ("[queues.q]\non_timeout = 'later'", "queues.toml, queue 1, on_timeout: Not one of the words that are allowed"),
        ("queues = 3", "queues.toml, queues: Expected a table, got `int`."),
        ("[agents.a]\ninterfaces = ['x']\n[agents.b]\ninterfaces = ['x']",
         "queues.toml, agent 2, interfaces: number 1 belongs to agent 1 too."),
        ("[reasons]\nx = ''", "queues.toml, [reasons], line 1: Expected `str` of length >= 1."),
        ("[queues", "queues.toml is not valid TOML"),
    ],
)  # fmt: skip
def test_a_wrong_map_is_reported_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "queues.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        names.load(path)
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(says)


@pytest.mark.parametrize(
    "text",
    [
        "[queues.'Jean 0612345678']\ncampaign = 7",
        "[queues.q]\non_timeout = 'Jean 0612345678'",
        "[queues.q]\non_key = {'Jean 0612345678' = 'Jean 0612345678'}",
        "[agents.'Jean 0612345678']\nname = 7",
        "[agents.'Jean 0612345678']\ninterfaces = ['Jean 0612345678']\n[agents.b]\ninterfaces = ['Jean 0612345678']",
        "[agents.'Jean 0612345678']\n[agents.'Jean 0612345678']",
        "agents = {'Jean 0612345678' = {}, 'Jean 0612345678' = {}}",
        "[reasons]\n'Jean 0612345678' = 7",
    ],
)
def test_no_fault_of_a_map_repeats_a_name_or_a_value(tmp_path: Path, text: str) -> None:
    path = tmp_path / "queues.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        names.load(path)
    assert "Jean" not in str(error.value) and "0612345678" not in str(error.value)


# The command, through a real broker into a store


def test_a_log_with_broken_lines_is_published_and_the_broken_lines_are_kept(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    log = tmp_path / "queue_log"
    broken = "1773129700|1.1|sinistres|0612345678\n"
    log.write_bytes(SAMPLE.read_bytes() + broken.encode() + b"1773129700|2.1|sinistres|NONE|INFO|x\n")
    to = ("--bootstrap-servers", broker.bootstrap_servers, "--topic", topic)
    for _ in range(2):
        done = run("source", "asterisk", "--queue-log", str(log), *to)
        assert done.returncode == 0, done.stderr
        assert "76 events; skipped: unknown events INFO (1); 1 unreadable" in done.stdout
    catch_up(tmp_path, broker.bootstrap_servers, topic)
    counted = totals(tmp_path)
    assert (counted["lines"], counted["dead_letters"]) == (2 * 76, 2)
    ids = {e["event_id"] for e in events_of(SAMPLE.read_bytes().splitlines())}
    assert status(tmp_path)["events"] == len(ids) < 76  # of an agent's states in one second, the last one counts
    ((reason, payload),) = set(processes.rows(tmp_path, "SELECT reason, payload FROM dead_letters"))
    assert reason == "asterisk: 4 fields, where a line of queue_log has at least 5."
    assert "sinistres" in payload
    assert "0612345678" not in payload
    found = processes.rows(tmp_path, f"SELECT campaign, offered, answered FROM kpi_campaign{HOUR} ORDER BY campaign")
    assert [row for row in found if row[1]] == [("sinistres", 6, 4), ("soporte", 3, 1), ("ventes", 2, 1)]


@pytest.mark.slow
def test_printing_a_log_with_broken_lines(tmp_path: Path) -> None:
    log = tmp_path / "queue_log"
    log.write_bytes(b"1773129900|1.1|q\n1773129900|1.1|q|NONE|ENTERQUEUE||06|1")
    done = run("source", "asterisk", "--queue-log", str(log), "--print")
    assert json.loads(done.stdout)["type"] == "call.queued"
    unreadable, summary = done.stderr.splitlines()
    assert json.loads(unreadable) == {
        "type": "unreadable",
        "source": "asterisk",
        "reason": "3 fields, where a line of queue_log has at least 5.",
    }
    assert summary == "vigie: 1 events; 1 unreadable, the last: 3 fields, where a line of queue_log has at least 5."
    assert done.returncode == 1


@pytest.mark.slow
def test_a_compressed_log_and_a_pipe_give_the_same_events(tmp_path: Path) -> None:
    compressed = tmp_path / "queue_log.1.gz"
    compressed.write_bytes(gzip.compress(SAMPLE.read_bytes()))
    printed = [
        run("source", "asterisk", "--queue-log", str(log_file), "--print").stdout for log_file in (SAMPLE, compressed)
    ]
    assert printed[0].count("\n") == 76
    assert printed[1] == printed[0]
    written = SAMPLE.read_bytes().splitlines(keepends=True)
    for order in (written, written[::-1]):
        piped = subprocess.run(
            command("source", "asterisk", "--queue-log", "-", "--print"),
            input=b"".join(order), capture_output=True, cwd=ROOT, env=environment(), timeout=WITHIN_S, check=True,
        )  # fmt: skip
        assert piped.stdout.decode() == printed[0]


@pytest.mark.slow
def test_a_pipe_that_does_not_end_is_read_as_it_comes() -> None:
    """As `tail -F queue_log | python -m ingest source asterisk --queue-log -` has it."""
    written = SAMPLE.read_bytes().splitlines(keepends=True)
    with subprocess.Popen(
        command("source", "asterisk", "--queue-log", "-", "--print"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"".join(written[:10]) + written[10][:20])
        process.stdin.flush()
        first = process.stdout.readline()
        process.stdin.write(written[10][20:] + b"".join(written[11:]))
        process.stdin.flush()
        rest = [process.stdout.readline() for _ in range(75)]
        process.stdin.write(b"1773140000|9.9|soporte|NONE|ENTERQUEUE||060")  # Asterisk is still writing it
        process.stdin.flush()
        process.send_signal(signal.SIGTERM)
        rest.append(process.stdout.read())
        assert process.wait(WITHIN_S) == 0, process.stderr.read()
    printed = run("source", "asterisk", "--queue-log", str(SAMPLE), "--print").stdout
    assert b"".join([first, *rest]).decode() == printed


@pytest.mark.slow
def test_a_pipe_that_does_not_end_and_runs_backwards_is_refused() -> None:
    backwards = SAMPLE.read_bytes().splitlines(keepends=True)[::-1]
    with subprocess.Popen(
        command("source", "asterisk", "--queue-log", "-", "--print"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"".join(backwards[:2]))
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdin.write(b"".join(backwards[2:]))
        process.stdin.flush()
        assert process.wait(WITHIN_S) == 1
        assert (
            process.stderr.read().decode().splitlines()[-1].startswith("vigie: Standard input runs backwards in time")
        )


TABLE = "time,callid,queuename,agent,event\n2026-03-10 09:05:00,1.1,q,NONE,ABANDON\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--queue-log is missing"),
        (("--queue-log", "-", "--follow"), "--follow needs a file"),
        (("--queue-log", "{place}/none"), "none cannot be read"),
        (("--queue-log", "{place}/" + 300 * "n"), "n cannot be read (File name too long)"),
        (("--queue-log", "{place}/table.csv"), "have no zone; name it with --timezone"),
        (("--queue-log", "{place}/table.csv", "--timezone", "Paris"), "'Paris' is not an IANA zone"),
        (("--queue-log", "{place}/torn.gz"), "cannot be read to its end"),
        (("--queue-log", "{place}/table.csv", "--map", "{place}/none.toml"), "none.toml cannot be read"),
        (("--queue-log", "{place}/table.csv", "--source", ""), "--source is empty"),
    ],
    ids=lambda argument: argument if isinstance(argument, str) else "",
)
def test_wrong_usage_is_reported_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    (tmp_path / "torn.gz").write_bytes(gzip.compress(SAMPLE.read_bytes())[:400])
    chosen = [argument.format(place=tmp_path) for argument in arguments]
    assert says in one_sentence(run("source", "asterisk", *chosen, "--print"))


def test_the_documentation_lists_every_event() -> None:
    documentation = (ROOT / "docs" / "sources.md").read_text()
    assert [event for event in (*KNOWN_EVENTS, *SILENT, *NOTES) if f"`{event}`" not in documentation] == []
