"""Twilio TaskRouter's events: what each becomes, in the forms in which Twilio delivers them."""

import copy
import datetime as dt
import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import contract
from ingest.sources.events import Rejected, encoded
from ingest.sources.input.documents import LONGEST_ANSWER, Documents
from ingest.sources.names import Agent, Names, Queue
from ingest.sources.twilio import OF_NOTHING, Workspace
from ingest.sources.twilio.events import form
from ingest.topic.broker import Broker, ensure_topic
from ingest.topic.producing import deliver, open_producer
from tests.support.processes import one_sentence, run
from tests.support.stories.stream import folded, rows, valid

Event = dict[str, Any]
Document = dict[str, Any]
NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
MAP = Names(
    {"Support": Queue(campaign="sav", language="fr")},
    {"ana": Agent(["ana@example.org"], "Ana B."), "bob": Agent(["WKbob"])},
    {"Lunch": "lunch", "Ready": "available"},
)
ATTRIBUTES = '{"from": "+33600000001", "call_sid": "CA1", "direction": "inbound"}'
#: The example of an accepted reservation on www.twilio.com/docs/events/event-types/taskrouter/reservation.
STREAMED: Document = {
    "specversion": "1.0",
    "type": "com.twilio.taskrouter.reservation.accepted",
    "source": "AB00000000000000000000000001",
    "id": "NO00000000000000000000000001",
    "dataschema": "https://events-schemas.twilio.com/TaskRouter.WDSEvent/4",
    "datacontenttype": "2025-10-08T07:17:02.363Z",
    "data": {
        "sid": "EV0000000000000000000000000000001",
        "name": "ReservationCreated",
        "account_sid": "AC0000000000000000000000000000001",
        "timestamp": "2025-01-01T00:00:00.000Z",
        "level": "INFO",
        "group": "reservation",
        "product_name": "TaskRouter",
        "publisher": "Flex Task Assignment",
        "publisher_metadata": "{}",
        "payload_type": "application/json",
        "payload": {
            "sid": "EV0000000000000000000000000000001",
            "eventtype": "reservation.created",
            "account_sid": "AC0000000000000000000000000000001",
            "timestamp": "2025-01-01T00:00:00.000Z",
            "workspace_sid": "WS0000000000000000000000000000001",
            "workspace_name": "Flex Task Assignment",
            "task_sid": "WT0000000000000000000000000000001",
            "task_attributes": "{}",
            "task_age": 31088,
            "task_date_created": "2025-01-01T00:00:00.000Z",
            "task_priority": 1,
            "task_assignment_status": "reserved",
            "task_completed_reason": "All reservations were completed",
            "task_canceled_reason": "hangup",
            "reason": "hangup",
        },
    },
}


def told(type: str, clock: str, worker: str = "", queue: str = "Support", **more: str) -> Document:
    """Return an event callback as an object; the names are those of the event reference."""
    at = dt.datetime.fromisoformat(f"2026-03-10T{clock}Z")
    ms = str(round(at.timestamp() * 1000))
    document = {"EventType": type, "Sid": f"EV{type}{clock}{worker}", "Timestamp": ms[:10], "TimestampMs": ms}
    if not type.startswith("worker."):
        document |= {"TaskSid": "WT1", "TaskAttributes": ATTRIBUTES, "TaskChannelUniqueName": "voice"}
    if type.startswith(("task-queue.", "reservation.")):
        document |= {"TaskQueueName": queue, "TaskQueueSid": f"WQ{queue}"}
    if type.startswith("reservation."):
        document |= {"ReservationSid": f"WR{worker}", "WorkerActivityName": "Available"}
    if worker:
        document |= {"WorkerSid": f"WK{worker}", "WorkerName": f"{worker}@example.org"}
    return document | more


ENTERED = told("task-queue.entered", "08:00:00")
HANDLED = [
    told("task.created", "08:00:00"),
    ENTERED,
    told("reservation.created", "08:00:05", "bob"),
    told("reservation.timeout", "08:00:20", "bob"),
    told("reservation.created", "08:00:21", "ana"),
    told("reservation.accepted", "08:00:30", "ana"),
    told("reservation.wrapup", "08:03:30", "ana"),
    told("reservation.completed", "08:03:50", "ana"),
    told("task.completed", "08:03:50"),
]


def results(*documents: Document) -> list[Event | Rejected]:
    return [result for result, _ in Workspace("tw", MAP).take((d, "text") for d in documents)]


def events_of(*documents: Document) -> list[Event]:
    """Return the events of documents; none may be rejected, and each event passes the contract."""
    return valid(results(*documents), "tw")


def calls(place: Path, documents: Iterable[Document]) -> list[Event]:
    with folded(place, events_of(*documents), NOON) as reader:
        return rows(reader, "FROM calls ORDER BY queued_at NULLS FIRST, call_id")


# A task in a queue is a call

FATES = {
    "answered by the second worker": (
        HANDLED,
        {"outcome": "answered", "wait_s": 30, "talk_s": 180, "wrap_s": 20, "agent": "ana", "missed_by": ["bob"],
         "campaign": "sav", "queue": "Support", "language": "fr", "channel": "voice", "direction": "inbound"},
    ),
    "without after-call work": (
        [event for event in HANDLED if "wrapup" not in event["EventType"]],
        {"outcome": "answered", "talk_s": 200, "wrap_s": 0},
    ),
    "the caller hung up while it rang: nobody missed it": (
        [ENTERED, told("reservation.created", "08:00:05", "bob"), told("reservation.canceled", "08:00:20", "bob"),
         told("task.canceled", "08:00:20", TaskCanceledReason="hangup")],
        {"outcome": "abandoned", "wait_s": 20, "missed_offers": 0},
    ),
    "another worker was quicker: nobody missed it": (
        [ENTERED, told("reservation.created", "08:00:05", "bob"), told("reservation.created", "08:00:05", "ana"),
         told("reservation.accepted", "08:00:10", "ana"), told("reservation.rescinded", "08:00:10", "bob")],
        {"outcome": "answered", "wait_s": 10, "missed_offers": 0, "agent": "ana"},
    ),
    "declined": (
        [ENTERED, told("reservation.created", "08:00:05", "bob"), told("reservation.rejected", "08:00:09", "bob")],
        {"outcome": "open", "missed_by": ["bob"]},
    ),
    "canceled after a time limit": (
        [ENTERED, told("task.canceled", "08:10:00", TaskCanceledReason="Task TTL Exceeded")],
        {"outcome": "dropped", "wait_s": 600},
    ),
    "canceled, nobody says why": ([ENTERED, told("task.canceled", "08:10:00")], {"outcome": "dropped"}),
    "the workflow had no other queue": (
        [ENTERED, told("task-queue.timeout", "08:01:00"),
         told("task.canceled", "08:01:00", TaskCanceledReason="Workflow timed out")],
        {"outcome": "dropped", "wait_s": 60},
    ),
    "canceled in the talk": (
        [*HANDLED[:6], told("task.canceled", "08:02:30", TaskCanceledReason="hangup")],
        {"outcome": "answered", "talk_s": 120},
    ),
    "still waiting": ([ENTERED], {"outcome": "open"}),
    "a task of the channel default without a call": (
        [{**ENTERED, "TaskChannelUniqueName": "default", "TaskAttributes": "{}"}], {"channel": "task"},
    ),
    "attributes that are no JSON": ([{**ENTERED, "TaskAttributes": "{from"}], {"outcome": "open", "caller": None}),
}  # fmt: skip


@pytest.fixture(scope="module")
def fates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Event]:
    """The call of each task of FATES, from one store."""
    own = ("TaskSid", "ReservationSid")
    documents = [
        {key: f"{value} {name}" if key in own else value for key, value in document.items()}
        for name, (story, _) in FATES.items()
        for document in story
    ]
    found = calls(tmp_path_factory.mktemp("calls"), documents)
    assert len(found) == len(FATES)
    return {call["linked_id"].removeprefix("tw/WT1 "): call for call in found}


@pytest.mark.parametrize("name", FATES)
def test_a_task_in_a_queue_is_one_call(fates: dict[str, Event], name: str) -> None:
    _, expected = FATES[name]
    assert {field: fates[name][field] for field in expected} == expected


@pytest.mark.parametrize("last", [told("task-queue.entered", "08:01:00", queue="Experts"), None])
def test_a_task_that_is_moved_overflows_from_the_queue_before(tmp_path: Path, last: Document | None) -> None:
    moved = [ENTERED, told("task-queue.timeout", "08:01:00")] if last is None else [ENTERED, last]
    found = {call["queue"]: call for call in calls(tmp_path, moved)}
    assert (found["Support"]["outcome"], found["Support"]["wait_s"]) == ("overflowed", 60)
    if last:
        assert found["Experts"]["outcome"] == "open"
        assert {call["linked_id"] for call in found.values()} == {"tw/WT1"}


AGAIN = {"worker": "bob", "ReservationSid": "WRbob2"}
TRANSFERRED = [
    *HANDLED[:6],
    told("task.transfer-initiated", "08:02:00"),
    told("reservation.created", "08:02:01", **AGAIN),
    told("reservation.accepted", "08:02:10", **AGAIN),
    told("task.transfer-completed", "08:02:30"),
    told("reservation.wrapup", "08:02:30", "ana"),
    told("reservation.completed", "08:02:40", "ana"),
    told("reservation.wrapup", "08:05:10", **AGAIN),
    told("reservation.completed", "08:05:10", **AGAIN),
]


def test_a_transfer_to_a_worker_is_a_call_of_its_own(tmp_path: Path) -> None:
    first, second = calls(tmp_path, TRANSFERRED)
    assert (first["agent"], first["talk_s"], first["wrap_s"], first["transferred"]) == ("ana", 120, 10, True)
    assert (second["agent"], second["wait_s"], second["talk_s"], second["transferred"]) == ("bob", 9, 180, False)
    assert first["linked_id"] == second["linked_id"]


def test_a_transfer_that_the_other_worker_declines_makes_no_call(tmp_path: Path) -> None:
    declined = [
        *TRANSFERRED[:8],
        told("reservation.rejected", "08:02:10", **AGAIN),
        told("task.transfer-failed", "08:02:10"),
    ]
    ended = [told("reservation.wrapup", "08:05:30", "ana"), told("reservation.completed", "08:05:30", "ana")]
    (call,) = calls(tmp_path, [*declined, *ended])
    assert (call["agent"], call["talk_s"], call["transferred"], call["missed_by"]) == ("ana", 300, False, ["bob"])


def test_a_task_that_enters_its_queue_again_waits_from_the_first_time() -> None:
    again = told("task-queue.entered", "08:00:50")
    assert events_of(ENTERED, again, ENTERED) == events_of(ENTERED) * 2


def test_a_transfer_to_a_queue_is_a_call_of_its_own(tmp_path: Path) -> None:
    story = [
        *HANDLED[:6],
        told("task.transfer-initiated", "08:02:00"),
        told("task-queue.entered", "08:02:00", queue="Experts"),
        told("reservation.wrapup", "08:02:05", "ana"),
        told("reservation.created", "08:02:20", "bob", queue="Experts", ReservationSid="WR9"),
        told("reservation.accepted", "08:02:30", "bob", queue="Experts", ReservationSid="WR9"),
        told("reservation.completed", "08:04:30", "bob", queue="Experts", ReservationSid="WR9"),
    ]
    first, second = calls(tmp_path, story)
    assert (first["outcome"], first["agent"], first["talk_s"]) == ("answered", "ana", 95)
    assert (second["queue"], second["wait_s"], second["agent"], second["talk_s"]) == ("Experts", 30, "bob", 120)


def test_a_task_whose_beginning_was_not_read_says_when_it_entered_its_queue(tmp_path: Path) -> None:
    entered = "2026-03-10T08:00:00.000Z"
    (call,) = calls(tmp_path, [{**event, "TaskQueueEnteredDate": entered} for event in HANDLED[4:]])
    assert (call["outcome"], call["wait_s"], call["campaign"]) == ("answered", 30, "sav")


def test_without_that_date_no_wait_is_made_up(tmp_path: Path) -> None:
    (call,) = calls(tmp_path, HANDLED[4:])
    assert (call["outcome"], call["wait_s"], call["campaign"]) == ("answered", None, None)


def test_a_callback_that_comes_late_changes_nothing(tmp_path: Path) -> None:
    story = [event for event in HANDLED if event["EventType"] != "task.created"]
    orders = [[*story[:n], *story[n + 1 : n + 3], story[n], *story[n + 3 :]] for n in range(5)]
    documents = [{**e, "TaskSid": f"WT{n}", "ReservationSid": f"{e.get('ReservationSid')}{n}"}
                 for n, order in enumerate([story, *orders]) for e in order]  # fmt: skip
    columns = ("outcome", "wait_s", "talk_s", "wrap_s", "agent", "missed_by")
    found = [{column: call[column] for column in columns} for call in calls(tmp_path, documents)]
    assert found == [found[0]] * 6
    assert found[0]["talk_s"] == 180


def test_an_outbound_task_is_a_dialed_call(tmp_path: Path) -> None:
    attributes = '{"direction": "outbound", "outbound_to": "+33600000002"}'
    (call,) = calls(tmp_path, [{**event, "TaskAttributes": attributes} for event in HANDLED])
    assert (call["direction"], call["queued_at"], call["talk_s"], call["agent"]) == ("outbound", None, 180, "ana")


# Workers

DOING = {
    "available": ([told("worker.activity.update", "08:00:00", "ana", WorkerActivityName="Available")], "available"),
    "idle": ([told("worker.activity.update", "08:00:00", "ana", WorkerActivityName="Idle")], "available"),
    "offline": ([told("worker.activity.update", "08:00:00", "ana", WorkerActivityName="Offline")], "offline"),
    "a pause": ([told("worker.activity.update", "08:00:00", "ana", WorkerActivityName="Break")], "paused Break"),
    "a pause of the map": (
        [told("worker.activity.update", "08:00:00", "ana", WorkerActivityName="Lunch")],
        "paused lunch",
    ),
    "an activity that the map calls available": (
        [told("worker.activity.update", "08:00:00", "ana", WorkerActivityName="Ready")], "available",
    ),
    "it rings": (HANDLED[4:5], "busy sav"),
    "talking": (HANDLED[4:6], "busy sav"),
    "after-call work": (HANDLED[4:7], "wrap_up sav"),
    "done": (HANDLED[4:8], "available"),
    "did not pick up": ([told("reservation.timeout", "08:00:20", "ana")], "available"),
    "goes on a break while talking": (
        [*HANDLED[4:6], told("worker.activity.update", "08:01:00", "ana", WorkerActivityName="Break")], "busy sav",
    ),
    "two chats, one of them over": (
        [told("reservation.accepted", "08:00:00", "ana", ReservationSid="WR8"), *HANDLED[4:8]], "busy sav",
    ),
    "removed": ([told("worker.deleted", "08:00:00", "ana", WorkerActivityName="Available")], "offline"),
}  # fmt: skip


@pytest.mark.parametrize(("story", "expected"), DOING.values(), ids=DOING)
def test_the_state_of_a_worker(story: list[Document], expected: str) -> None:
    state = [event for event in events_of(*story) if event["type"] == "agent.state"][-1]
    assert " ".join(filter(None, (state["state"], state.get("reason"), state.get("campaign")))) == expected
    assert state["agent"] == "ana"


def test_the_last_of_two_states_at_one_instant_counts(tmp_path: Path) -> None:
    story = [*HANDLED[4:8], told("worker.activity.update", "08:03:50", "ana", WorkerActivityName="Break")]
    with folded(tmp_path, events_of(*story), NOON) as reader:
        (last,) = rows(reader, "SELECT state, reason FROM agent_states WHERE ended_at IS NULL")
    assert last == {"state": "paused", "reason": "Break"}


def test_a_worker_is_known_by_name_or_by_what_the_map_says() -> None:
    attributes = '{"full_name": "Carla D.", "team_name": "Nights"}'
    story = [told("worker.activity.update", "08:00:00", name, WorkerAttributes=attributes, WorkerActivityName="Idle")
             for name in ("ana", "bob", "carla")]  # fmt: skip
    profiles = [event for event in events_of(*story) if event["type"] == "agent.profile"]
    assert [(p["agent"], p["name"], p["team"]) for p in profiles] == [
        ("ana", "Ana B.", "Nights"), ("bob", "Carla D.", "Nights"), ("carla@example.org", "Carla D.", "Nights"),
    ]  # fmt: skip


def test_what_was_known_survives_a_restart() -> None:
    made: list[Event | Rejected] = []
    memory: Any = {"tasks": {}, "workers": {}}
    for document in TRANSFERRED:
        workspace = Workspace("tw", MAP)
        workspace.recall(memory)
        made += [result for result, _ in workspace.take([(document, "")])]
        memory = msgspec.json.decode(msgspec.json.encode(workspace.memory()))
    in_one_run = results(*TRANSFERRED)
    assert [event for event in made if event in in_one_run] == in_one_run  # profiles are sent again


# The forms in which events arrive


def test_the_published_event_of_event_streams(tmp_path: Path) -> None:
    agreed = copy.deepcopy(STREAMED)
    agreed["data"]["payload"] |= {"eventtype": "reservation.accepted", "task_queue_name": "Support"}
    (answered,) = events_of(agreed)
    assert (answered["type"], answered["ts"]) == ("call.answered", "2025-01-01T00:00:00Z")
    assert answered["call_id"] == "tw/WT0000000000000000000000000000001/Support"


def test_an_event_that_contradicts_itself_is_refused() -> None:
    """As the published one does: its type is an accepted reservation, that of its payload a created one."""
    (rejected,) = results(STREAMED)
    assert isinstance(rejected, Rejected) and "contradict each other" in rejected.reason


def as_stream(document: Document) -> Document:
    words = {"EventType": "eventtype", "TimestampMs": "", "Timestamp": ""}
    names = {
        name: words.get(name, "".join("_" + c.lower() if c.isupper() else c for c in name)[1:]) for name in document
    }
    payload = {names[name]: value for name, value in document.items() if names[name]}
    moment = dt.datetime.fromtimestamp(int(document["TimestampMs"]) / 1000, dt.UTC)
    payload["timestamp"] = moment.isoformat().replace("+00:00", "Z")
    return {
        "specversion": "1.0",
        "type": "com.twilio.taskrouter." + document["EventType"],
        "data": {"payload": payload},
    }


def as_resource(document: Document) -> Document:
    payload = as_stream(document)["data"]["payload"]
    return {"sid": document["Sid"], "event_type": document["EventType"], "event_date": payload["timestamp"],
            "event_date_ms": int(document["TimestampMs"]), "event_data": payload}  # fmt: skip


@pytest.mark.parametrize(
    "deliver_as",
    [
        lambda story: [as_stream(event) for event in story],
        lambda story: [{"events": [as_resource(event) for event in story], "meta": {"page": 0}}],
        lambda story: [{name: value for name, value in event.items() if name != "TimestampMs"} for event in story],
    ],
    ids=["Event Streams", "the API's list of events", "callbacks with seconds only"],
)
def test_each_form_of_the_events_means_the_same(deliver_as: Any) -> None:
    assert events_of(*deliver_as(HANDLED)) == events_of(*HANDLED)


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_callbacks_may_be_written_one_a_line_as_they_were_posted(size: int) -> None:
    lines = [urlencode(event) if number % 2 else json.dumps(event) for number, event in enumerate(HANDLED)]
    data = "\n".join([*lines, "nothing", ""]).encode()
    documents = Documents(LONGEST_ANSWER, form)
    pieces = [documents.feed(data[at : at + size]) for at in range(0, len(data), size)]
    found = [document for piece in [*pieces, documents.finish()] for document, _ in piece]
    assert found[:-1] == HANDLED
    assert isinstance(found[-1], Rejected) and found[-1].line == "nothing"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"hello": 1}, "Not an event of TaskRouter."),
        ({**STREAMED, "type": "com.twilio.voice.insights.call-summary.complete"}, "Not an event of TaskRouter."),
        ({**ENTERED, "TimestampMs": "soon"}, "The event has no time that can be read."),
        ({k: v for k, v in ENTERED.items() if k != "TaskSid"}, "The event names no task."),
        ({**ENTERED, "TaskSid": 7}, "Expected `str | null`, got `int` - at `$.task_sid`."),
    ],
)
def test_an_event_that_cannot_be_read_is_refused_with_the_reason(document: Document, reason: str) -> None:
    assert results(document) == [Rejected("text", reason)]


COUNTED = {
    **dict.fromkeys(OF_NOTHING, "events that say nothing of calls or agents (1)"),
    "task.exploded": "events of an unknown type (1)",
    "task.canceled": "events of tasks of which no queue or no answer was told (1)",
    "task.completed": "events of tasks of which no queue or no answer was told (1)",
}


@pytest.mark.parametrize(("type", "counted"), COUNTED.items())
def test_what_makes_no_event_is_counted(type: str, counted: str) -> None:
    workspace = Workspace("tw", MAP)
    document = {k: v for k, v in told(type, "08:00:00").items() if not k.startswith("TaskQueue")}
    assert not [*workspace.take([(document, "")])]
    assert workspace.passed_over() == counted


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=3), max_size=2)


@settings(max_examples=60)
@given(st.sampled_from([*HANDLED, as_stream(ENTERED)["data"]["payload"]]), st.data())
def test_any_event_makes_valid_events_or_is_rejected(document: Document, data: st.DataObject) -> None:
    changed = {**document, data.draw(st.sampled_from(sorted(document))): data.draw(JSON)}
    for result, origin in Workspace("tw", MAP).take([(ENTERED, ""), (changed, "")]):
        _, value, reason = encoded(result, "tw", origin)
        ((_, _, fault),) = contract.faulty_lines(value)
        assert (fault is None) == (reason is None)


# The command


@pytest.mark.slow
def test_a_file_of_callbacks_is_printed(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("\n".join(map(urlencode, HANDLED)))
    done = run("source", "twilio", "--records", str(tmp_path / "events"), "--print")
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["source"] for line in done.stdout.splitlines()} == {"twilio"}
    assert "skipped: events that say nothing of calls or agents (1)" in done.stderr


@pytest.mark.slow
def test_wrong_usage_is_reported_in_one_sentence() -> None:
    assert "Name either a file with --records" in one_sentence(run("source", "twilio", "--print"))


def test_events_from_a_topic_are_read_on_with_what_was_known(broker: Broker, topic: str, tmp_path: Path) -> None:
    servers, callbacks = broker.bootstrap_servers, f"{topic}-callbacks"
    ensure_topic(servers, callbacks)
    arguments = ("--from-topic", callbacks, "--until-caught-up", "--data-dir", str(tmp_path), "--topic", topic)
    sent = []
    for document in (ENTERED, told("task.canceled", "08:00:20", TaskCanceledReason="hangup")):
        with closing(open_producer(servers)) as producer:
            deliver(producer, callbacks, [(b"key", urlencode(document).encode())])
        done = run("source", "twilio", *arguments, "--bootstrap-servers", servers)
        assert done.returncode == 0, done.stderr
        sent.append(done.stdout.split(";")[0])
    assert sent == ["1 events", "1 events"]  # the second knows the queue from the first
