"""Genesys Cloud's conversation detail records and notifications of users: what each means."""

import copy
import datetime as dt
import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import contract
from ingest.sources.events import Rejected, encoded
from ingest.sources.genesys import Organisation
from ingest.sources.input.documents import LONGEST_ANSWER, Documents
from ingest.sources.names import Agent, Names, Queue
from ingest.topic.broker import Broker, ensure_topic
from ingest.topic.producing import deliver, open_producer
from tests.support.processes import ROOT, one_sentence, run
from tests.support.stories.stream import folded, rows, valid

Event = dict[str, Any]
Document = dict[str, Any]
NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
SAMPLE = ROOT / "samples" / "genesys_conversations.json"
PUBLISHED = json.loads(SAMPLE.read_text())["conversations"][0]
QUEUE, ANA, BOB = "q-1", "u-ana", "u-bob"
MAP = Names({QUEUE: Queue(campaign="sav", language="fr")}, {"ana": Agent([ANA], "Ana B."), "bob": Agent([BOB])})


def at(clock: str) -> str:
    return f"2026-03-10T{clock}Z"


def segment(kind: str, start: str, end: str | None, how: str | None = None, **more: Any) -> Document:
    times = {"segmentStart": at(start), **({"segmentEnd": at(end)} if end else {})}
    ended = {"disconnectType": how} if how else {}
    return {"segmentType": kind, "queueId": QUEUE, "conference": False, **times, **ended, **more}


def participant(purpose: str, *segments: Document, **more: Any) -> Document:
    session = {"sessionId": more.pop("session", f"s-{purpose}"), "mediaType": "voice", "direction": "inbound"}
    session |= {name: more.pop(name) for name in ("mediaType", "direction", "ani", "dnis", "metrics") if name in more}
    named = {"participantId": f"p-{purpose}-{more.get('userId', '')}", "purpose": purpose}
    return {**named, **more, "sessions": [{**session, "segments": list(segments)}]}


def conversation(*participants: Document, **more: Any) -> Document:
    begun = {"conversationId": "c-1", "conversationStart": at("08:00:00"), "originatingDirection": "inbound"}
    return {**begun, "participants": list(participants), **more}


def metrics(*names: str) -> list[Document]:
    return [{"name": name, "value": 1, "emitDate": at("08:01:00")} for name in names]


CUSTOMER = participant("customer", segment("interact", "08:00:00", None), ani="tel:+33600000001")


def waiting(how: str | None, *names: str, end: str | None = "08:00:40", **more: Any) -> Document:
    return participant(
        "acd", segment("interact", "08:00:10", end, how), participantName="Support", metrics=metrics(*names), **more
    )


def agent(user: str, *segments: Document, **more: Any) -> Document:
    return participant("agent", *segments, userId=user, session=f"s-{user}", **more)


MISSED = agent(BOB, segment("alert", "08:00:12", "08:00:20", "client"), metrics=metrics("tAlert", "tNotResponding"))
ANSWERED = agent(
    ANA,
    segment("alert", "08:00:32", "08:00:40"),
    segment("interact", "08:00:40", "08:02:00"),
    segment("hold", "08:02:00", "08:02:30"),
    segment("interact", "08:02:30", "08:04:00", "peer"),
    segment("wrapup", "08:04:00", "08:04:20", "peer", wrapUpCode="w-1"),
)


def results(*documents: Document) -> list[Event | Rejected]:
    return [result for result, _ in Organisation("gc", MAP).take((d, json.dumps(d)) for d in documents)]


def events_of(*documents: Document) -> list[Event]:
    """Return the events of documents; none may be rejected, and each event passes the contract."""
    return valid(results(*documents), "gc")


def calls(place: Path, documents: Iterable[Document]) -> list[Event]:
    with folded(place, events_of(*documents), NOON) as reader:
        return rows(reader, "FROM calls ORDER BY queued_at NULLS FIRST, call_id")


# A conversation: one call for each visit to a queue

ALL = {
    "answered by the second agent, with a hold and after-call work": (
        conversation(CUSTOMER, waiting("transfer", "nOffered", "tAcd"), MISSED, ANSWERED),
        {"outcome": "answered", "wait_s": 30, "talk_s": 170, "hold_s": 30, "wrap_s": 20, "agent": "ana",
         "ended_by": "customer", "missed_by": ["bob"], "disposition": "w-1", "campaign": "sav", "queue": "Support"},
    ),
    "hung up while it rang: nobody missed it": (
        conversation(CUSTOMER, waiting("peer"), agent(BOB, segment("alert", "08:00:30", "08:00:40", "peer"))),
        {"outcome": "abandoned", "wait_s": 30, "missed_by": None, "agent": None},
    ),
    "abandoned, by the metric": (
        conversation(CUSTOMER, waiting("system", "nOffered", "tAbandon")),
        {"outcome": "abandoned", "wait_s": 30},
    ),
    "flowed out to another queue": (
        conversation(CUSTOMER, waiting("transfer", "nOffered", "tFlowOut")),
        {"outcome": "overflowed", "wait_s": 30},
    ),
    "hung up, by the metric it flowed out": (
        conversation(CUSTOMER, waiting("client", "tFlowOut")),
        {"outcome": "overflowed"},
    ),
    "ended by the system": (conversation(CUSTOMER, waiting("system")), {"outcome": "dropped"}),
    "left to voicemail": (
        conversation(CUSTOMER, waiting("transfer"), participant("voicemail", segment("voicemail", "08:00:40", None))),
        {"outcome": "voicemail"},
    ),
    "still waiting": (conversation(CUSTOMER, waiting(None, end=None)), {"outcome": "open", "agent": None}),
    "still talking": (
        conversation(CUSTOMER, waiting("transfer"), agent(ANA, segment("interact", "08:00:40", None))),
        {"outcome": "answered", "wait_s": 30, "ended_at": None, "talk_s": None},
    ),
    "ended by the agent": (
        conversation(
            CUSTOMER, waiting("transfer"), agent(ANA, segment("interact", "08:00:40", "08:01:40", "client"))
        ),
        {"outcome": "answered", "talk_s": 60, "ended_by": "agent", "wrap_s": 0},
    ),
    "handed on by the agent": (
        conversation(
            CUSTOMER, waiting("transfer"), agent(ANA, segment("interact", "08:00:40", "08:01:40", "transfer"))
        ),
        {"outcome": "answered", "transferred": True, "ended_by": None},
    ),
    "after-call work that is noted a moment before the end": (
        conversation(
            CUSTOMER,
            waiting("transfer"),
            agent(ANA, segment("interact", "08:00:40", "08:01:40"), segment("wrapup", "08:01:39", "08:01:39")),
        ),
        {"wrap_s": 0, "clock_skew": False},
    ),
    "a chat": (
        conversation(waiting("transfer", mediaType="chat"), agent(ANA, segment("interact", "08:00:40", None))),
        {"channel": "chat", "outcome": "answered"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def all_calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Event]:
    """The call of each conversation of ALL, from one store."""
    documents = [{**document, "conversationId": name} for name, (document, _) in ALL.items()]
    found = calls(tmp_path_factory.mktemp("calls"), documents)
    assert len(found) == len(ALL)
    return {call["linked_id"].removeprefix("gc/"): call for call in found}


@pytest.mark.parametrize("name", ALL)
def test_a_visit_to_a_queue_is_one_call(all_calls: dict[str, Event], name: str) -> None:
    _, expected = ALL[name]
    assert {field: all_calls[name][field] for field in expected} == expected


@pytest.mark.parametrize(("name", "queue"), [("Support", "Support"), ("", "no name"), (None, "no name")])
def test_a_visit_to_a_queue_without_an_id_is_not_lost(name: str | None, queue: str) -> None:
    document = conversation(CUSTOMER, waiting("transfer"), MISSED, ANSWERED)
    document["participants"][1]["participantName"] = name
    document = json.loads(json.dumps(document).replace('"queueId"', '"unused"'))
    events = events_of(document)
    assert [event["type"] for event in events][:2] == ["call.queued", "call.answered"]
    assert (events[0]["queue"], events[0]["campaign"], events[1]["agent"]) == (queue, queue, "ana")


def test_the_published_example(tmp_path: Path) -> None:
    """Genesys' own metrics of it: tAnswered 11.179 s, tTalk 374.561 s, tHeld 544.176 s."""
    (call,) = calls(tmp_path, [PUBLISHED])
    assert (call["outcome"], call["channel"], call["ended_by"]) == ("answered", "chat", "customer")
    assert call["wait_s"] == pytest.approx(11.179, abs=0.005)
    assert (call["talk_s"], call["hold_s"]) == (pytest.approx(374.561), pytest.approx(544.176))


def test_a_time_that_does_not_exist_is_refused_without_repeating_it() -> None:
    """As in the second example that Genesys published with the first: 2021-04-2T15:30:51.418Z."""
    broken = copy.deepcopy(PUBLISHED)
    broken["participants"][0]["sessions"][0]["segments"][0]["segmentStart"] = "2021-04-2T15:30:51.418Z"
    (rejected,) = results(broken)
    assert isinstance(rejected, Rejected)
    assert "datetime" in rejected.reason and "2021" not in rejected.reason


@pytest.mark.parametrize(
    "document",
    [
        conversation(waiting("peer", end="08:00:05")),
        conversation(waiting("peer"), conversationEnd=at("07:00:00")),
    ],
    ids=["a segment", "the conversation"],
)
def test_an_end_before_the_start_is_refused(document: Document) -> None:
    (rejected,) = results(document)
    assert isinstance(rejected, Rejected) and rejected.reason.endswith("ends before it starts.")


def test_a_conversation_through_two_queues_is_two_calls(tmp_path: Path) -> None:
    second = participant(
        "acd",
        {**segment("interact", "08:01:40", "08:01:50", "transfer"), "queueId": "q-2"},
        participantName="Ventes",
        session="s-2",
    )
    expert = agent(BOB, {**segment("interact", "08:01:50", "08:03:00", "client"), "queueId": "q-2"})
    first = agent(ANA, segment("interact", "08:00:40", "08:01:40", "transfer"))
    one, two = calls(tmp_path, [conversation(CUSTOMER, waiting("transfer"), first, second, expert)])
    assert one["linked_id"] == two["linked_id"] == "gc/c-1"
    assert (one["agent"], one["transferred"], one["talk_s"]) == ("ana", True, 60)
    assert (two["agent"], two["transferred"], two["talk_s"], two["campaign"]) == ("bob", False, 70, "Ventes")


def test_a_callback_is_a_call_of_its_own_and_the_first_left_for_it(tmp_path: Path) -> None:
    back = participant(
        "acd", segment("interact", "08:00:41", "08:30:00", "transfer"), mediaType="callback", session="s-2"
    )
    clerk = agent(ANA, segment("alert", "08:29:50", "08:30:00"), segment("interact", "08:30:00", "08:33:00", "client"))
    first, second = calls(tmp_path, [conversation(CUSTOMER, waiting("client"), back, clerk)])
    assert (first["outcome"], first["direction"]) == ("callback", "inbound")
    assert (second["outcome"], second["direction"], second["channel"]) == ("answered", "callback", "voice")


@pytest.mark.parametrize(
    ("customer", "expected"),
    [
        ([segment("dialing", "08:00:00", "08:00:15"), segment("interact", "08:00:15", "08:02:15", "endpoint")],
         {"outcome": "answered", "talk_s": 120, "agent": "ana"}),
        ([segment("dialing", "08:00:00", "08:00:25", "timeout")], {"outcome": "not_connected", "talk_s": None}),
    ],
    ids=["reached", "in vain"],
)  # fmt: skip
def test_a_call_that_an_agent_dials_for_a_queue(tmp_path: Path, customer: list[Document], expected: Event) -> None:
    party = participant("customer", *customer, direction="outbound", dnis="tel:+33600000002")
    talk = [segment("interact", "08:00:15", "08:02:15", "peer")] if len(customer) == 2 else []
    clerk = agent(ANA, segment("dialing", "08:00:00", "08:00:15"), *talk, direction="outbound")
    (call,) = calls(tmp_path, [conversation(clerk, party, originatingDirection="outbound")])
    assert {field: call[field] for field in expected} == expected
    assert (call["direction"], call["queued_at"]) == ("outbound", None)


def test_a_later_report_replaces_the_earlier_one_in_any_order(tmp_path: Path) -> None:
    early = conversation(CUSTOMER, waiting(None, end=None), MISSED)
    late = conversation(CUSTOMER, waiting("transfer"), MISSED, ANSWERED, conversationEnd=at("08:04:20"))
    found = [calls(tmp_path / name, order) for name, order in (("1", [early, late]), ("2", [late, early, late]))]
    assert found[0] == found[1] == calls(tmp_path / "3", [late])


def test_a_conversation_in_no_queue_is_counted() -> None:
    organisation = Organisation("gc", MAP)
    assert not [*organisation.take([(conversation(CUSTOMER), "")])]
    assert organisation.passed_over() == "conversations that entered no queue (1)"


# Notifications of users


def notification(kind: str, body: Document, user: str = ANA) -> Document:
    return {"topicName": f"v2.users.{user}.{kind}", "version": "2", "eventBody": body, "metadata": {}}


def presence(name: str, clock: str = "08:00:00", definition: str = "d-1") -> Document:
    return {"presenceDefinition": {"id": definition, "systemPresence": name}, "modifiedDate": at(clock)}


def status(name: str, clock: str = "08:00:00") -> Document:
    return {"status": name, "startTime": at(clock)}


DOING = {
    ("ON_QUEUE", "IDLE"): ("available", None),
    ("On Queue", "IDLE"): ("available", None),
    ("ON_QUEUE", "INTERACTING"): ("busy", None),
    ("ON_QUEUE", "COMMUNICATING"): ("busy", None),
    ("ON_QUEUE", "NOT_RESPONDING"): ("paused", "not_responding"),
    ("BREAK", "OFF_QUEUE"): ("paused", "break"),
    ("MEAL", "OFF_QUEUE"): ("paused", "lunch"),
    ("TRAINING", "OFF_QUEUE"): ("paused", "training"),
    ("AVAILABLE", "OFF_QUEUE"): ("paused", "off_queue"),
    ("BREAK", "INTERACTING"): ("busy", None),
    ("OFFLINE", "OFF_QUEUE"): ("offline", None),
}


@pytest.mark.parametrize(("told", "expected"), DOING.items(), ids=map(" and ".join, DOING))
def test_an_activity_is_a_state(told: tuple[str, str], expected: tuple[str, str | None]) -> None:
    body = {"id": ANA, "presence": presence(told[0]), "routingStatus": status(told[1], "08:00:01")}
    (state,) = events_of(notification("activity", body))
    assert (state["state"], state.get("reason")) == expected
    assert (state["agent"], state["ts"]) == ("ana", "2026-03-10T08:00:01Z")


def test_the_published_activity() -> None:
    """The example of the article on notifications in the command line, with the brace that it lacks."""
    body = {
        "id": "e40f28ea-fa86-493f-a5b8-d559c8533c96",
        "routingStatus": {"status": "OFF_QUEUE", "startTime": "2021-05-14T09:03:17.067Z"},
        "presence": {
            "presenceDefinition": {"id": "6a3af858-942f-489d-9700-5f9bcdcdae9b", "systemPresence": "AVAILABLE"},
            "modifiedDate": "2021-05-14T09:03:17.047Z",
        },
        "outOfOffice": {"active": False, "modifiedDate": "2018-04-02T01:42:52.505Z"},
        "activeQueueIds": ["4750048b-1994-41d4-8410-a5760c49a6cd"],
        "dateActiveQueuesChanged": "2021-03-25T04:15:44.913Z",
    }
    (state,) = events_of(notification("activity", body, "e40f28ea-fa86-493f-a5b8-d559c8533c96"))
    assert (state["agent"], state["state"], state["reason"]) == (body["id"], "paused", "off_queue")


def test_presence_and_routing_status_that_come_apart_are_put_together() -> None:
    story = [
        ("presence", presence("ON_QUEUE", "08:00:00")),
        ("routingStatus", {"id": ANA, "routingStatus": status("IDLE", "08:00:01")}),
        ("routingStatus", {"id": ANA, "routingStatus": status("INTERACTING", "08:10:00")}),
        ("presence", presence("BREAK", "08:12:00")),  # asked for during the call
        ("routingStatus", {"id": ANA, "routingStatus": status("OFF_QUEUE", "08:15:00")}),
        ("presence", presence("ON_QUEUE", "08:30:00")),
        ("routingStatus", {"id": ANA, "routingStatus": status("IDLE", "08:30:00.500")}),
    ]
    states = events_of(*(notification(kind, body) for kind, body in story))
    told = [(state["ts"][11:16], state["state"], state.get("reason")) for state in states]
    assert told == [
        ("08:00", "offline", None), ("08:00", "available", None), ("08:10", "busy", None), ("08:12", "busy", None),
        ("08:15", "paused", "break"), ("08:30", "available", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body"),
    [("presence", presence("ON_QUEUE")), ("routingStatus", {"routingStatus": status("OFF_QUEUE")})],
    ids=["a presence alone", "a routing status alone"],
)
def test_a_user_of_whom_half_was_told_is_not_counted_as_at_work(kind: str, body: Document) -> None:
    assert [event["state"] for event in events_of(notification(kind, body))] == ["offline"]


def test_the_map_names_a_presence_by_its_definition() -> None:
    names = Names(reasons={"d-2": "coaching"})
    body = {"presence": presence("BUSY", definition="d-2"), "routingStatus": status("OFF_QUEUE")}
    ((state, _),) = Organisation("gc", names).take([(notification("activity", body), "")])
    assert not isinstance(state, Rejected) and state["reason"] == "coaching"


def test_what_was_known_of_users_survives_a_restart() -> None:
    before = Organisation("gc", MAP)
    assert len([*before.take([(notification("presence", presence("BREAK")), "")])]) == 1
    after = Organisation("gc", MAP)
    after.recall(msgspec.json.decode(msgspec.json.encode(before.memory())))
    body = {"routingStatus": status("OFF_QUEUE", "08:01:00")}
    ((state, _),) = after.take([(notification("routingStatus", body), "")])
    assert not isinstance(state, Rejected) and (state["state"], state["reason"]) == ("paused", "break")


# How documents arrive


@pytest.mark.parametrize(
    "wrapped",
    [
        {"conversations": [PUBLISHED, PUBLISHED], "totalHits": 2},
        {
            "version": "0",
            "detail-type": "v2.users.{id}.presence",
            "detail": notification("presence", presence("BREAK")),
        },
    ],
    ids=["the answer of a query", "through EventBridge"],
)
def test_documents_may_come_in_a_wrapper(wrapped: Document) -> None:
    assert len(events_of(wrapped)) == len(events_of(*wrapped.get("conversations", [wrapped.get("detail")])))


def test_one_bad_conversation_in_an_answer_leaves_the_others() -> None:
    made = results({"conversations": [{"conversationId": "c-2", "participants": []}, PUBLISHED, "x"]})
    assert [r.reason for r in made if isinstance(r, Rejected)] == [
        "Object missing required field `conversationStart`.", "Not a JSON object.",
    ]  # fmt: skip
    assert len(made) == len(events_of(PUBLISHED)) + 2


def test_an_answer_may_be_longer_than_one_object_of_a_stream() -> None:
    answer = json.dumps({"conversations": [PUBLISHED] * 400}).encode()
    documents = Documents(LONGEST_ANSWER)
    found = [*documents.feed(answer[: 1 << 20]), *documents.feed(answer[1 << 20 :]), *documents.finish()]
    assert len(answer) > 1 << 20 and len(found) == 1


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"hello": 1}, "Neither a conversation detail record nor a notification."),
        (notification("presence", {}), "Object missing required field `presenceDefinition`."),
        (notification("activity", {"id": "x"}), "The notification has neither a presence nor a routing status."),
        ({"topicName": f"v2.users.{ANA}.presence"}, "The notification has no eventBody."),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_with_the_reason(document: Document, reason: str) -> None:
    assert results(document) == [Rejected(json.dumps(document), reason)]


@pytest.mark.parametrize(
    ("topic", "counted"),
    [
        ("channel.metadata", "heart beats of the channel (1)"),
        ("v2.users.x.station", "notifications of other topics (1)"),
    ],
)
def test_other_topics_are_counted(topic: str, counted: str) -> None:
    organisation = Organisation("gc", MAP)
    assert not [*organisation.take([({"topicName": topic, "eventBody": {}}, "")])]
    assert organisation.passed_over() == counted


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([at("08:00:00"), "interact"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
FULL = conversation(CUSTOMER, waiting("transfer", "tAcd"), MISSED, ANSWERED)


@settings(max_examples=60)
@given(st.sampled_from([FULL, PUBLISHED, notification("activity", {"presence": presence("BREAK")})]), st.data())
def test_any_document_makes_valid_events_or_is_rejected(document: Document, data: st.DataObject) -> None:
    document = copy.deepcopy(document)
    inner: Any = document
    while isinstance(inner, dict | list) and inner:
        key: Any = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if not isinstance(inner[key], dict | list) or data.draw(st.integers(0, 3)) == 0:
            inner[key] = data.draw(JSON)
            break
        inner = inner[key]
    for result, origin in Organisation("gc", MAP).take([(document, "")]):
        _, value, reason = encoded(result, "gc", origin)
        ((_, _, fault),) = contract.faulty_lines(value)
        assert (fault is None) == (reason is None)


# The command


@pytest.mark.slow
def test_the_sample_is_printed() -> None:
    done = run("source", "genesys", "--records", str(SAMPLE), "--print")
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["source"] for line in done.stdout.splitlines()} == {"genesys"}


@pytest.mark.slow
def test_wrong_usage_is_reported_in_one_sentence() -> None:
    assert "Name either a file with --records" in one_sentence(run("source", "genesys", "--print"))


def test_notifications_from_a_topic_are_read_on_with_what_was_known(broker: Broker, topic: str, tmp_path: Path) -> None:
    servers, told = broker.bootstrap_servers, f"{topic}-users"
    ensure_topic(servers, told)
    arguments = ("--from-topic", told, "--until-caught-up", "--data-dir", str(tmp_path), "--topic", topic)
    sent = []
    for document in (
        notification("presence", presence("BREAK")),
        notification("routingStatus", {"routingStatus": status("OFF_QUEUE", "08:01:00")}),
    ):
        with closing(open_producer(servers)) as producer:
            deliver(producer, told, [(b"key", msgspec.json.encode(document))])
        done = run("source", "genesys", *arguments, "--bootstrap-servers", servers)
        assert done.returncode == 0, done.stderr
        sent.append(done.stdout.split(";")[0])
    assert sent == ["1 events", "1 events"]
    kept = json.loads(next((tmp_path / "sources").glob("*.json")).read_text())["memory"]
    assert kept[ANA]["presence"]["presenceDefinition"]["systemPresence"] == "BREAK"
