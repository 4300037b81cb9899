"""Amazon Connect's contact records and agent events: what each means, and that a newer version replaces a record."""

import copy
import datetime as dt
import itertools
import json
import threading
import types
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import UnknownTopicOrPartitionError

from ingest.events import contract
from ingest.events.batch import Batch, Partition
from ingest.sources import names
from ingest.sources.connect import Instance
from ingest.sources.events import Rejected, encoded
from ingest.sources.input import topic as topic_of_records
from ingest.sources.input.bookmark import Bookmark
from ingest.sources.input.documents import Documents
from ingest.topic.broker import Broker, ensure_topic
from ingest.topic.feed import TopicChanged
from ingest.topic.producing import deliver, open_producer
from ingest.topic.servers import Security
from metrics.configuration.campaigns import load
from tests.support import processes
from tests.support.processes import ROOT, catch_up, one_sentence, run, totals
from tests.support.servers.apache_kafka import ApacheKafka
from tests.support.stories.stream import folded, rows, valid

pytestmark = pytest.mark.slow

Event = dict[str, Any]
Document = dict[str, Any]
SAMPLES = ROOT / "samples"
NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
HOUR = "(TIMESTAMPTZ '2026-03-10 08:00:00Z', TIMESTAMPTZ '2026-03-10 09:00:00Z')"
FIELDS = (
    "outcome",
    "wait_s",
    "talk_s",
    "hold_s",
    "wrap_s",
    "agent",
    "transferred",
    "ended_by",
    "direction",
    "left_reason",
)


def found(data: bytes, size: int | None = None) -> list[Any]:
    """Return the documents in a stream that comes in pieces of `size`."""
    documents = Documents()
    pieces = [data[at : at + (size or len(data))] for at in range(0, len(data), size or len(data) or 1)]
    fed = [document for piece in pieces for document, _ in documents.feed(piece)]
    return fed + [document for document, _ in documents.finish()]


RECORDS = found((SAMPLES / "connect_records.json").read_bytes())
AGENT_EVENTS = found((SAMPLES / "connect_agents.ndjson").read_bytes())
KNOWN = names.load(SAMPLES / "connect.toml")


def record(number: int, **changed: Any) -> Document:
    """Return contact record `number` (from 1) of the sample with fields changed; `Agent__x` names an inner field."""
    changes = copy.deepcopy(RECORDS[number - 1])
    for name, value in changed.items():
        outer, _, inner = name.partition("__")
        if inner:
            changes[outer][inner] = value
        else:
            changes[outer] = value
    return changes


def events_of(*documents: Document) -> list[Event]:
    """Return the events of documents; none may be rejected, and each event passes the contract."""
    results = [result for result, _ in Instance("aws", KNOWN).take((document, "") for document in documents)]
    return valid(results, "aws")


def calls(place: Path, documents: Iterable[Document]) -> list[Event]:
    with folded(place, events_of(*documents), NOON, load(ROOT / "campaigns.toml")) as reader:
        return rows(reader, "FROM calls ORDER BY queued_at, call_id")


def published_fields(place: Path, *documents: Document) -> dict[str, Any]:
    """Return the published fields of the only call that are neither null nor false."""
    (call,) = calls(place, documents)
    return {field: call[field] for field in FIELDS if call[field] is not None and call[field] is not False}


def at(clock: str) -> str:
    return f"2026-03-10T{clock}Z"


# A contact record is one call

RECORDED = {
    "answered, with a hold and after-call work": (
        record(1),
        {"outcome": "answered", "wait_s": 15, "talk_s": 210, "hold_s": 30, "wrap_s": 40, "agent": "ines",
         "ended_by": "customer", "direction": "inbound"},
    ),
    "hung up while waiting": (record(2), {"outcome": "abandoned", "wait_s": 45, "direction": "inbound"}),
    "handed on by an agent": (
        record(3),
        {"outcome": "answered", "wait_s": 30, "talk_s": 120, "hold_s": 0, "wrap_s": 10, "agent": "marc",
         "transferred": True, "direction": "inbound"},
    ),
    "still talking": (
        record(1, DisconnectTimestamp=None, DisconnectReason=None, Agent__AfterContactWorkStartTimestamp=None,
               Agent__AfterContactWorkEndTimestamp=None, Agent__CustomerHoldDuration=0),
        {"outcome": "answered", "wait_s": 15, "agent": "ines", "direction": "inbound"},
    ),
    "still waiting": (
        record(2, DisconnectTimestamp=None, DisconnectReason=None, Queue__DequeueTimestamp=None),
        {"outcome": "open", "wait_s": 13_790, "direction": "inbound"},
    ),
    "handed on by the queue": (
        record(2, NextContactId="x", DisconnectReason=None),
        {"outcome": "overflowed", "wait_s": 45, "direction": "inbound", "left_reason": "overflow"},
    ),
    "ended by the contact flow": (
        record(2, DisconnectReason="CONTACT_FLOW_DISCONNECT"),
        {"outcome": "dropped", "wait_s": 45, "direction": "inbound", "left_reason": "system"},
    ),
    "expired": (
        record(2, DisconnectReason="EXPIRED"),
        {"outcome": "dropped", "wait_s": 45, "direction": "inbound", "left_reason": "timeout"},
    ),
    "a callback": (
        record(2, InitiationMethod="CALLBACK"),
        {"outcome": "abandoned", "wait_s": 45, "direction": "callback"},
    ),
    "dialed by an agent": (
        record(6),
        {"outcome": "answered", "wait_s": 0, "talk_s": 180, "hold_s": 0, "wrap_s": 30, "agent": "marc",
         "ended_by": "customer", "direction": "outbound"},
    ),
    "dialed in vain": (record(7), {"outcome": "not_connected", "wait_s": None, "direction": "outbound"}),
}  # fmt: skip


@pytest.mark.parametrize(("document", "expected"), RECORDED.values(), ids=RECORDED)
def test_a_contact_record_is_one_call(tmp_path: Path, document: Document, expected: Event) -> None:
    assert published_fields(tmp_path, document) == {
        field: value for field, value in expected.items() if value is not None
    }


def test_contacts_of_one_conversation_share_a_linked_id(tmp_path: Path) -> None:
    found = calls(tmp_path, [record(3), record(4)])
    assert [call["linked_id"] for call in found] == ["aws/" + RECORDS[2]["ContactId"]] * 2
    assert len({call["call_id"] for call in found}) == 2


@pytest.mark.parametrize(("channel", "ours"), [("VOICE", "voice"), ("CHAT", "chat"), ("TASK", "task"), (None, "voice")])
def test_a_channel(channel: str | None, ours: str) -> None:
    assert events_of(record(1, Channel=channel))[0]["channel"] == ours


@pytest.mark.parametrize(("channel", "direction"), [("VOICE", "outbound"), ("CHAT", None)])
def test_a_call_begun_by_an_api_is_outbound(channel: str, direction: str | None) -> None:
    assert events_of(record(1, InitiationMethod="API", Channel=channel))[0].get("direction") == direction


@pytest.mark.parametrize(
    ("method", "heard", "answered_by"),
    [
        ("API", "HUMAN_ANSWERED", "human"),
        ("API", "VOICEMAIL_BEEP", "machine"),
        ("API", None, None),
        ("OUTBOUND", None, "human"),
    ],
)
def test_who_answered_an_outbound_call(method: str, heard: str | None, answered_by: str | None) -> None:
    events = events_of(record(6, InitiationMethod=method, AnsweringMachineDetectionStatus=heard))
    (connected,) = [event for event in events if event["type"] == "call.connected"]
    assert connected.get("answered_by") == answered_by


def test_an_address_that_is_no_telephone_number_is_no_caller() -> None:
    assert (
        "caller" not in events_of(record(1, CustomerEndpoint={"Address": "x@example.org", "Type": "EMAIL_ADDRESS"}))[0]
    )


def test_a_contact_that_entered_no_queue_makes_no_call_and_is_counted() -> None:
    instance = Instance("aws", KNOWN)
    assert list(instance.take([(record(5), "")])) == []
    assert instance.passed_over() == "contacts that entered no queue (1)"


# A newer version of a record replaces the older

ANSWERED = {
    **RECORDS[0]["Agent"],
    "ConnectedToAgentTimestamp": at("08:10:20"),
    "AfterContactWorkStartTimestamp": at("08:10:55"),
    "AfterContactWorkEndTimestamp": at("08:11:30"),
}

VERSIONS = {
    "abandoned": record(2),
    "answered after all": record(2, Agent=ANSWERED),
    "answered, on hold and handed on": record(
        2, Agent=ANSWERED, TransferCompletedTimestamp=at("08:10:50"), NextContactId="x",
        DisconnectReason=None,
    ),
    "answered, not on hold, no after-call work": record(
        2, Agent={**ANSWERED, "CustomerHoldDuration": 0, "AfterContactWorkEndTimestamp": None}
    ),
    "in another queue": record(2, Queue={**RECORDS[1]["Queue"], "Name": "Ventes"}),
    "handed on by the queue": record(2, NextContactId="x", DisconnectReason=None),
    "still waiting": record(2, DisconnectTimestamp=None, DisconnectReason=None, Queue__DequeueTimestamp=None),
}  # fmt: skip


@pytest.mark.parametrize("order", ["in order", "the later one first"])
def test_only_the_latest_delivery_of_a_record_counts(tmp_path: Path, order: str) -> None:
    delivered, last = [], []
    for pair in itertools.permutations(VERSIONS, 2):
        earlier, later = (
            {**VERSIONS[version], "ContactId": ", then ".join(pair), "LastUpdateTimestamp": at(clock)}
            for version, clock in zip(pair, ("08:12:00", "10:00:00"), strict=True)
        )
        delivered += [earlier, later] if order == "in order" else [later, earlier]
        last.append(later)
    both, alone = (
        {call["call_id"]: call for call in calls(tmp_path / n, d)} for n, d in (("2", delivered), ("1", last))
    )
    assert [version for version in both if both[version] != alone[version]] == []
    assert len(both) == len(alone) == 42


def test_the_same_record_again_gives_the_same_events() -> None:
    assert events_of(record(1)) == events_of(record(1))
    assert len({event["event_id"] for event in events_of(record(1))}) == len(events_of(record(1)))


# Agent events


def agent_event(
    type: str = "STATE_CHANGE", status: str = "Available", kind: str | None = "ROUTABLE", **contact: str
) -> Document:
    document = copy.deepcopy(next(e for e in AGENT_EVENTS if e["CurrentAgentSnapshot"]["Contacts"]))
    document |= {"AgentARN": AGENT_EVENTS[0]["AgentARN"], "EventTimestamp": at("08:00:35")}
    document["CurrentAgentSnapshot"]["Configuration"] = AGENT_EVENTS[0]["CurrentAgentSnapshot"]["Configuration"]
    document["EventType"] = type
    snapshot = document["CurrentAgentSnapshot"]
    snapshot["AgentStatus"] = {"Name": status, **({"Type": kind} if kind else {})}
    template = snapshot["Contacts"][0]
    snapshot["Contacts"] = [{**template, **contact}] if contact else []
    return document


DOING = {
    "available": (agent_event(), "available"),
    "available, in the form of older events": (agent_event(kind=None), "available"),
    "a break": (agent_event(status="Pause déjeuner", kind="CUSTOM"), "paused lunch"),
    "a break that the map does not know": (agent_event(status="Formation", kind="CUSTOM"), "paused Formation"),
    "offline": (agent_event(status="Offline", kind="OFFLINE"), "offline"),
    "logged out": (agent_event("LOGOUT"), "offline"),
    "it rings": (agent_event(State="INCOMING"), "busy orea-sinistres"),
    "talking": (agent_event(State="CONNECTED"), "busy orea-sinistres"),
    "talking, and about to be offline": (
        agent_event(status="Offline", kind="OFFLINE", State="CONNECTED"),
        "busy orea-sinistres",
    ),
    "on hold": (agent_event(State="CONNECTED_ONHOLD"), "busy orea-sinistres"),
    "after-call work": (agent_event(State="ENDED"), "wrap_up orea-sinistres"),
    "did not pick up, and is offered nothing until they say so": (agent_event(State="MISSED"), "paused missed"),
    "went away after they did not pick up": (agent_event(status="Offline", kind="OFFLINE", State="MISSED"), "offline"),
    "begins the day": (agent_event("LOGIN"), "available orea-sinistres"),
}


@pytest.mark.parametrize(("document", "expected"), DOING.values(), ids=DOING)
def test_the_events_of_an_agent(document: Document, expected: str) -> None:
    (state,) = [event for event in events_of(document) if event["type"] == "agent.state"]
    assert " ".join(filter(None, (state["state"], state.get("reason"), state.get("campaign")))) == expected
    assert (state["agent"], state["ts"]) == ("ines", at("08:00:35"))


def test_an_agent_without_a_snapshot_is_identified_by_the_arn() -> None:
    (state,) = events_of({**agent_event("LOGOUT"), "CurrentAgentSnapshot": None})
    assert (state["agent"], state["state"]) == ("ines", "offline")


def test_an_agent_gets_a_profile_when_something_about_them_is_new() -> None:
    profiles = [event for event in events_of(*AGENT_EVENTS) if event["type"] == "agent.profile"]
    assert [(p["agent"], p["name"], p["team"]) for p in profiles] == [
        ("ines", "Inès Alaoui", "Plateau 2"),
        ("marc", "Marc Petit", "Plateau 2"),
    ]


def test_a_new_type_of_event_is_counted_and_passed_over() -> None:
    instance = Instance("aws", KNOWN)
    assert list(instance.take([(agent_event("STRETCH"), "")])) == []
    assert instance.passed_over() == "agent events of an unknown type (1)"


def test_agent_events_describe_a_call_in_progress(tmp_path: Path) -> None:
    until = [e for e in AGENT_EVENTS if e["EventTimestamp"] < at("08:01:30")]
    call, *_ = calls(tmp_path, until)
    assert (call["outcome"], call["wait_s"], call["agent"], call["ended_at"]) == ("answered", 15, "ines", None)
    assert call["missed_offers"] == 1


@pytest.mark.parametrize("first", ["records", "agent events"])
def test_the_record_replaces_the_agent_events_of_its_call(tmp_path: Path, first: str) -> None:
    documents = [*RECORDS, *AGENT_EVENTS] if first == "records" else [*AGENT_EVENTS, *RECORDS]
    both, alone = calls(tmp_path / "both", documents), calls(tmp_path / "alone", RECORDS)
    rung = ("missed_offers", "missed_by", "offers")
    assert [{**call, **dict.fromkeys(rung)} for call in both] == [{**call, **dict.fromkeys(rung)} for call in alone]


def test_the_sample_has_the_figures_counted_by_hand(tmp_path: Path) -> None:
    with folded(tmp_path, events_of(*AGENT_EVENTS, *RECORDS), NOON, load(ROOT / "campaigns.toml")) as reader:
        sinistres, ventes = (
            rows(reader, f"FROM kpi_campaign{HOUR} WHERE campaign = '{campaign}'")[0]
            for campaign in ("orea-sinistres", "orea-ventes")
        )
        agents = {row["agent"]: row for row in rows(reader, f"FROM kpi_agent{HOUR}")}
    assert {f: sinistres[f] for f in ("offered", "answered", "abandoned", "transferred", "asa_s", "aht_s")} == {
        "offered": 3, "answered": 2, "abandoned": 1, "transferred": 1, "asa_s": 22.5, "aht_s": (280 + 130) / 2,
    }  # fmt: skip
    assert {f: ventes[f] for f in ("offered", "answered", "dialed", "connected", "contacts", "asa_s", "aht_s")} == {
        "offered": 1, "answered": 1, "dialed": 2, "connected": 1, "contacts": 1, "asa_s": 10, "aht_s": 210,
    }  # fmt: skip
    spent = ("available_s", "busy_s", "wrap_up_s", "paused_s")
    # ines: a ring of 4 s and two talks; marc: two rings of 5 s, two talks and a dialing of 12 s
    assert [agents["ines"][f] for f in spent] == [3600 - 244 - 40 - 180 - 30 - 1120, 244 + 180, 40 + 30, 1120]
    assert [agents["marc"][f] for f in spent] == [3600 - 5 - 30 - 125 - 10 - 192 - 30, 5 + 125 + 192, 10 + 30, 30]


OFFERED = {
    "StateStartTimestamp": at("08:10:55.300"),
    "ContactId": RECORDS[1]["ContactId"],
    "QueueTimestamp": at("08:10:10"),
}
LONG_AFTER = [{"State": "REJECTED", "StateStartTimestamp": at("08:11:30")}]
FAILED_OFFERS = {
    "rejected": [{"State": "REJECTED"}],
    "missed": [{"State": "MISSED"}],
    "in error": [{"State": "ERROR"}],
    "just before the record's whole second": [{"State": "REJECTED", "StateStartTimestamp": at("08:10:54.900")}],
    "told seconds later": [{"State": "REJECTED", "StateStartTimestamp": at("08:10:58.000")}],
    "told when the contact ended, long after it left its queue": LONG_AFTER,
    "told twice": [{"State": "REJECTED"}, {"State": "REJECTED"}],
}


@pytest.mark.parametrize("first", ["record", "agent events"])
@pytest.mark.parametrize("states", FAILED_OFFERS.values(), ids=FAILED_OFFERS)
def test_an_offer_that_the_customer_ended_is_missed_by_nobody(
    tmp_path: Path, states: list[dict[str, str]], first: str
) -> None:
    offers = [agent_event(**{**OFFERED, "State": "CONNECTING", "StateStartTimestamp": at("08:10:48")})]
    offers += [agent_event(**{**OFFERED, **state}) for state in states]
    ended = record(2, AgentConnectionAttempts=1)
    if states == LONG_AFTER:
        ended["DisconnectTimestamp"] = at("08:11:30")
    documents = [ended, *offers] if first == "record" else [*offers, ended]
    (call,) = calls(tmp_path, documents)
    assert (call["outcome"], call["missed_offers"], call["missed_by"]) == ("abandoned", 0, None)


@pytest.mark.parametrize("first", ["record", "agent events"])
@pytest.mark.parametrize(
    ("fate", "missed"),
    [
        ({}, 1),
        ({"DisconnectReason": "EXPIRED"}, 1),
        ({"NextContactId": "x", "DisconnectReason": None}, 1),
        ({"Agent": ANSWERED}, 2),
    ],
    ids=["hung up", "expired", "handed on by the queue", "answered by another agent"],
)
def test_an_earlier_offer_stays_missed(tmp_path: Path, fate: dict[str, Any], missed: int, first: str) -> None:
    offers = [agent_event(**{**OFFERED, "State": "MISSED", "StateStartTimestamp": at("08:10:40")})]
    offers += [agent_event(**{**OFFERED, "State": "REJECTED"})]
    ended = record(2, AgentConnectionAttempts=2, **fate)
    documents = [ended, *offers] if first == "record" else [*offers, ended]
    (call,) = calls(tmp_path, documents)
    assert call["missed_offers"] == missed


def test_two_agents_who_refuse_one_contact_within_a_second_both_missed_it(tmp_path: Path) -> None:
    first = agent_event(**{**OFFERED, "State": "REJECTED", "StateStartTimestamp": at("08:10:40.100")})
    second = agent_event(**{**OFFERED, "State": "ERROR", "StateStartTimestamp": at("08:10:40.900")})
    second["CurrentAgentSnapshot"]["Configuration"] = {"Username": "omar"}
    (call,) = calls(tmp_path, [first, second, record(2, AgentConnectionAttempts=2)])
    assert (call["missed_offers"], sorted(call["missed_by"])) == (2, ["ines", "omar"])


@pytest.mark.parametrize(("attempts", "made"), [(0, 6), (1, 6 + 24), (None, 6 + 24)])
def test_places_of_failed_offers_are_emptied_where_there_may_be_some(attempts: int | None, made: int) -> None:
    assert len(events_of(record(2, AgentConnectionAttempts=attempts))) == made


BACKWARDS = {
    "answered before it was queued": {"Agent": {**ANSWERED, "ConnectedToAgentTimestamp": at("08:09:00")}},
    "ended before it was answered": {"Agent": {**ANSWERED, "AfterContactWorkStartTimestamp": at("08:10:15")}},
    "left the queue before it entered": {"Queue__DequeueTimestamp": at("08:10:00")},
}


@pytest.mark.parametrize("changes", BACKWARDS.values(), ids=BACKWARDS)
def test_a_record_that_runs_backwards_is_refused(changes: dict[str, Any]) -> None:
    instance = Instance("aws", KNOWN)
    ((rejected, _),) = instance.take([(record(2, **changes), "")])
    assert rejected == Rejected("", "The record has an answer or an end that is before its beginning.")


# What has no name

ARN = "arn:aws:connect:eu-west-3:123456789012:instance/5f1c/"
UNNAMED = {
    "a queue with an empty name, as tasks have": ({"Name": "", "ARN": ARN + "queue/q-uuid"}, "q-uuid"),
    "an agent's own queue": ({"Name": None, "ARN": ARN + "queue/agent/a1"}, "a1"),
    "a name of blanks": ({"Name": "  ", "ARN": ARN + "queue/q-uuid"}, "q-uuid"),
    "neither a name nor an ARN": ({"Name": None, "ARN": None}, "no name"),
    "nothing at all": ({}, "no name"),
}


@pytest.mark.parametrize(("queue", "named"), UNNAMED.values(), ids=UNNAMED)
def test_a_queue_without_a_name_is_called_by_its_arn(tmp_path: Path, queue: Document, named: str) -> None:
    times = {name: value for name, value in RECORDS[0]["Queue"].items() if name.endswith("Timestamp")}
    (call,) = calls(tmp_path / "record", [record(1, Queue={**times, **queue})])
    assert (call["queue"], call["campaign"], call["outcome"]) == (named, named, "answered")
    ringing = agent_event(State="CONNECTING")
    ringing["CurrentAgentSnapshot"]["Contacts"][0]["Queue"] = queue
    assert [e["queue"] for e in events_of(ringing) if e["type"] == "call.queued"] == [named]


EMPTY = [
    {"InitiationMethod": None},
    {"InitiationMethod": ""},
    {"InitiationTimestamp": None},
    {"Channel": ""},
    {"InitialContactId": ""},
    {"CustomerEndpoint": {"Address": None, "Type": None}},
    {"DisconnectReason": ""},
]


@pytest.mark.parametrize("empty", EMPTY, ids=str)
@pytest.mark.parametrize("number", [1, 2])
def test_a_field_that_is_empty_does_not_lose_the_contact(number: int, empty: Document) -> None:
    types = [event["type"] for event in events_of(record(number, **empty))]
    assert types[:2] == ["call.queued", "call.answered" if number == 1 else "call.abandoned"]


@pytest.mark.parametrize(
    ("agent", "named"),
    [
        ({"Username": None, "ARN": ARN + "agent/a-uuid"}, "a-uuid"),
        ({"Username": "", "ARN": ARN + "agent/a-uuid"}, "a-uuid"),
        ({"Username": None, "ARN": None}, None),
    ],
)
def test_an_agent_without_a_name_is_called_by_their_arn(tmp_path: Path, agent: Document, named: str | None) -> None:
    (call,) = calls(tmp_path, [record(1, Agent={**RECORDS[0]["Agent"], **agent})])
    assert (call["agent"], call["outcome"], call["talk_s"]) == (named, "answered", 210)


# Heart beats that stop


@pytest.mark.parametrize("last", ["HEART_BEAT", "STATE_CHANGE"])
def test_a_state_ends_minutes_after_the_last_heart_beat(tmp_path: Path, last: str) -> None:
    beats = []
    for minute in range(0, 12, 2):
        document = {**agent_event("LOGIN" if minute == 0 else "HEART_BEAT"), "EventId": f"beat {minute}"}
        beats.append({**document, "EventTimestamp": at(f"08:{minute:02}:00")})
    beats[-1]["EventType"] = last
    with folded(tmp_path, events_of(*beats), NOON, load(ROOT / "campaigns.toml")) as reader:
        spent = rows(reader, "SELECT state, seconds FROM agent_states ORDER BY started_at")
    assert spent == [{"state": "available", "seconds": 16 * 60}, {"state": "offline", "seconds": 4 * 3600 - 16 * 60}]


# Chats, tasks and transfers


def test_a_chat_is_seen_while_it_lasts(tmp_path: Path) -> None:
    chatting = agent_event(
        State="CONNECTED", Channel="CHAT", InitiationMethod="API", ConnectedToAgentTimestamp=at("08:00:35")
    )
    (call,) = calls(tmp_path, [chatting])
    assert (call["outcome"], call["channel"], call["direction"]) == ("answered", "chat", "inbound")


def test_a_call_placed_by_an_api_is_not_taken_for_inbound_while_it_rings() -> None:
    ringing = agent_event(State="CONNECTING", InitiationMethod="API")
    assert [event["type"] for event in events_of(ringing)] == ["agent.state", "agent.profile"]


def test_several_chats_are_busy_until_the_last_has_ended() -> None:
    two = agent_event(State="ENDED", Channel="CHAT")
    contacts = two["CurrentAgentSnapshot"]["Contacts"]
    contacts.append({**contacts[0], "ContactId": "another", "State": "CONNECTED"})
    assert [e["state"] for e in events_of(two) if e["type"] == "agent.state"] == ["busy"]


TASKS = {
    "completed by the agent": (
        record(1, Channel="TASK", InitiationMethod="API", DisconnectReason="AGENT_COMPLETED"),
        {"outcome": "answered", "ended_by": "agent"},
    ),
    "expired in its queue": (
        record(2, Channel="TASK", InitiationMethod="API", DisconnectReason="EXPIRED"),
        {"outcome": "dropped", "left_reason": "timeout"},
    ),
    "ended in its queue, nothing says by whom": (
        record(2, Channel="TASK", InitiationMethod="API", DisconnectReason=None),
        {"outcome": "dropped", "left_reason": "system"},
    ),
}


@pytest.mark.parametrize(("document", "expected"), TASKS.values(), ids=TASKS)
def test_a_task_is_not_hung_up(tmp_path: Path, document: Document, expected: Event) -> None:
    found = published_fields(tmp_path, document)
    assert {field: found.get(field) for field in expected} == expected


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the last leg first"])
def test_a_contact_that_is_transferred_twice_is_three_calls_of_one_conversation(tmp_path: Path, order: int) -> None:
    legs = [
        record(3, ContactId="leg 1", InitialContactId=None, NextContactId="leg 2"),
        record(3, ContactId="leg 2", InitialContactId="leg 1", PreviousContactId="leg 1", NextContactId="leg 3",
               InitiationMethod="TRANSFER"),
        record(2, ContactId="leg 3", InitialContactId="leg 1", PreviousContactId="leg 2", NextContactId=None,
               InitiationMethod="TRANSFER"),
    ]  # fmt: skip
    found = {call["call_id"]: call for call in calls(tmp_path, legs[::order])}
    assert {call["linked_id"] for call in found.values()} == {"aws/leg 1"}
    assert [found[f"aws/leg {n}"]["transferred"] for n in (1, 2, 3)] == [True, True, False]
    assert [found[f"aws/leg {n}"]["outcome"] for n in (1, 2, 3)] == ["answered", "answered", "abandoned"]


# How documents arrive

SMALL = [{"a": 1}, {"b": "é} {"}, {"c": [{"d": "\n{"}]}]
WRITTEN = {
    "an array": json.dumps(SMALL),
    "an array, indented": json.dumps(SMALL, indent=2, ensure_ascii=False),
    "one a line": "\n".join(map(json.dumps, SMALL)),
    "one after the other": "".join(json.dumps(document, ensure_ascii=False) for document in SMALL),
    "with blanks and a byte order mark": "\ufeff \n\n" + " \r\n ".join(map(json.dumps, SMALL)) + "\n",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("size", [None, 1, 7])
def test_documents_may_arrive_in_any_form_and_in_any_pieces(text: str, size: int | None) -> None:
    assert found(text.encode(), size) == SMALL


@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize("broken", ['{"a": }', "nothing", '{"a": 1', "[17]", '"x"'])
def test_a_broken_document_is_rejected_and_the_next_is_read(broken: str, size: int | None) -> None:
    rejected, good = found(f'{broken}\n{{"b": 2}}\n'.encode(), size)
    assert isinstance(rejected, Rejected)
    assert rejected.line.strip("[]") == broken.strip("[]")
    assert good == {"b": 2}


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_become_objects_or_are_rejected(pieces: list[bytes]) -> None:
    documents = Documents()
    for piece in pieces:
        documents.feed(piece)
    for document, _ in documents.finish():
        assert isinstance(document, dict | Rejected)


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from([at("08:00:00"), "CONNECTED"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=4,
)


@given(
    st.sampled_from([*RECORDS[:4], RECORDS[6], *AGENT_EVENTS[:8]]),
    st.lists(st.tuples(st.randoms(use_true_random=False), JSON), max_size=4),
)
def test_any_document_makes_valid_events_or_is_rejected(document: Document, changes: list[Any]) -> None:
    document = copy.deepcopy(document)
    for chance, value in changes:
        inner = document
        while (
            isinstance(following := inner[chance.choice(sorted(inner))], dict) and following and chance.random() < 0.7
        ):
            inner = following
        inner[chance.choice(sorted(inner))] = value
    for result, origin in Instance("aws", KNOWN).take([(document, "")]):
        _, value, reason = encoded(result, "aws", origin)
        ((_, _, fault),) = contract.faulty_lines(value)
        assert (fault is None) == (reason is None)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"ContactId": "x"}, "Object missing required field `InitiationMethod`."),
        (record(1, InitiationTimestamp="yesterday"), "Invalid RFC3339 encoded datetime - at `$.InitiationTimestamp`."),
        ({"hello": 1}, "Neither a contact record nor an agent event."),
    ],
)
def test_a_document_that_is_no_record_is_rejected_with_the_reason(document: Document, reason: str) -> None:
    ((rejected, _),) = Instance("aws", KNOWN).take([(document, "x")])
    assert rejected == Rejected("x", reason)


# The command


def test_records_from_a_topic_are_read_on_from_where_the_last_run_stopped(
    broker: Broker, topic: str, tmp_path: Path
) -> None:
    servers, contacts = broker.bootstrap_servers, f"{topic}-contacts"
    ensure_topic(servers, contacts)
    arguments = ("--from-topic", contacts, "--until-caught-up", "--data-dir", str(tmp_path), "--source", "aws")
    to = ("--map", str(SAMPLES / "connect.toml"), "--bootstrap-servers", servers, "--topic", topic)

    def send(documents: list[Document]) -> str:
        with closing(open_producer(servers)) as producer:
            deliver(
                producer,
                contacts,
                [(str(n).encode(), msgspec.json.encode(document)) for n, document in enumerate(documents)],
            )
        done = run("source", "connect", *arguments, *to)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert send([*RECORDS[:4], {"hello": 1}]).startswith("24 events; 1 unreadable, the last: Neither a contact")
    assert send([record(2, Agent=ANSWERED, LastUpdateTimestamp=at("10:00:00"))]).startswith("6 events; ack")
    catch_up(tmp_path, servers, topic, ROOT / "campaigns.toml")
    assert totals(tmp_path)["dead_letters"] == 1
    assert totals(tmp_path)["lines"] == 30
    found = processes.rows(tmp_path, "SELECT outcome FROM calls ORDER BY queued_at")
    assert found == [("answered",)] * 4


def test_records_deleted_unread_become_a_dead_letter_with_their_number(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    servers, topic, contacts = apache_kafka.bootstrap_servers, f"calls-{uuid4().hex}", f"contacts-{uuid4().hex}"
    for name in (topic, contacts):
        ensure_topic(servers, name, 1)
    arguments = ("--from-topic", contacts, "--until-caught-up", "--data-dir", str(tmp_path), "--topic", topic)

    def fill(*documents: Document) -> None:
        with closing(open_producer(servers)) as producer:
            deliver(producer, contacts, [(b"key", msgspec.json.encode(document)) for document in documents])

    def read() -> str:
        done = run("source", "connect", *arguments, "--bootstrap-servers", servers)
        assert done.returncode == 0, done.stderr
        return done.stdout

    fill(*RECORDS[:2])
    assert "unreadable" not in read()
    fill(*RECORDS[2:7])
    with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
        admin.delete_records({TopicPartition(contacts, 0): 6})
    gap = "At most 4 records (offsets 2 to 5) were deleted before they were read."
    assert f"1 unreadable, the last: {gap.rstrip('.')}" in read()
    assert "unreadable" not in read()  # logged once
    with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
        fill(RECORDS[0])
        admin.delete_records({TopicPartition(contacts, 0): 8})
    assert "0 events; 1 unreadable" in read()  # also if no record is left behind it
    assert "unreadable" not in read()
    catch_up(tmp_path, servers, topic, ROOT / "campaigns.toml")
    found = processes.rows(tmp_path, 'SELECT reason FROM dead_letters ORDER BY "offset"')
    assert len(found) == 2
    assert found[0][0].endswith(gap)


def test_a_topic_of_records_that_is_made_again_is_read_to_its_end(broker: Broker, topic: str, tmp_path: Path) -> None:
    servers, contacts = broker.bootstrap_servers, f"{topic}-contacts"

    def send(*values: bytes) -> None:
        with closing(open_producer(servers)) as producer:
            deliver(producer, contacts, [(b"key", value) for value in values])

    ensure_topic(servers, contacts)
    send(b"1", b"2")
    stopped = threading.Event()
    limit = threading.Timer(processes.WITHIN_S, stopped.set)
    limit.start()
    with closing(Bookmark(tmp_path, "aws")) as bookmark:
        read = topic_of_records.Topic(servers, contacts, bookmark, Security())
        assert [*itertools.chain(*read.values(stopped, until_caught_up=True))] == [b"1", b"2"]
        read.keep()
        with closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:

            def is_gone() -> bool:
                with suppress(UnknownTopicOrPartitionError):
                    admin.delete_topics([contacts])
                return bool(admin.describe_topics([contacts])[0]["error_code"])

            processes.wait_for(is_gone, "the topic is gone")
        ensure_topic(servers, contacts)
        send(b"3", b"4", b"5")
        assert [*itertools.chain(*read.values(stopped, until_caught_up=True))] == [b"3", b"4", b"5"]
        assert not stopped.is_set()
        limit.cancel()
        read.keep()
        written = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")}
        read.keep()
        assert written and written == {file: file.stat().st_mtime_ns for file in written}
        read.close()


def test_a_topic_that_changes_again_while_it_is_opened_is_opened_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """This happens when a topic is made again: its leader may change before the position is known."""
    record = types.SimpleNamespace(value=b"a record")
    partition = Partition("contacts", 0, "cluster", "topic")
    opened: list[Any] = []

    class Changing:
        gaps: ClassVar[dict[Partition, tuple[int, int]]] = {}

        def __init__(self, *_: object) -> None:
            opened.append(self)
            if len(opened) == 2:
                raise TopicChanged("contacts-0 has no position")

        def poll(self, _: float) -> Batch:
            if len(opened) == 1:
                raise TopicChanged("topic contacts was recreated or changed")
            return Batch({partition: [record]}, {partition: 1})

        def ends(self) -> dict[Partition, int]:
            return {partition: 1}

        def close(self) -> None: ...

    monkeypatch.setattr(topic_of_records, "Feed", Changing)
    monkeypatch.setattr(topic_of_records, "AGAIN_AFTER_S", 0.0)
    topic = topic_of_records.Topic("localhost:9092", "contacts", None, Security())
    assert list(topic.values(threading.Event(), until_caught_up=True)) == [[b"a record"]]
    assert len(opened) == 3


def test_a_file_of_records_is_printed() -> None:
    done = run("source", "connect", "--records", str(SAMPLES / "connect_records.json"), "--print")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4 * 6 + 2 * 8
    assert "skipped: contacts that entered no queue (1)" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Name either a file with --records or a topic with --from-topic"),
        (("--records", "x", "--from-topic", "y"), "Name either"),
        (("--records", "/none"), "/none cannot be read"),
    ],
)
def test_wrong_usage_is_reported_in_one_sentence(arguments: tuple[str, ...], says: str) -> None:
    assert says in one_sentence(run("source", "connect", *arguments, "--print"))


def test_a_missing_topic_is_reported_in_one_sentence(tmp_path: Path) -> None:
    arguments = (
        "--from-topic",
        "x",
        "--bootstrap-servers",
        f"127.0.0.1:{processes.free_port()}",
        "--data-dir",
        str(tmp_path),
    )
    assert "does not answer" in one_sentence(run("source", "connect", *arguments))
