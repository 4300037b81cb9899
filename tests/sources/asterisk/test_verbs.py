"""The events that VICIdial, QueueMetrics and others write into a queue_log, and what Asterisk leaves unsaid."""

import datetime as dt
from pathlib import Path

import pytest

from ingest.sources import names
from ingest.sources.asterisk import Switch
from ingest.sources.events import Rejected
from tests.support.stories.queue_log import DAY, WINDOW, events_of, lines, published, summaries
from tests.support.stories.stream import rows

pytestmark = pytest.mark.slow

# Calls that a dialer or an agent makes

REACHED = "09:00:00 V1 sales NONE CALLOUTBOUND||0600000101"
OUTBOUND = f"""SELECT offered, dialed, contacts, outbound_answered, drops, drop_rate, aht_s
    FROM kpi_campaign{WINDOW} WHERE campaign = 'sales'"""
DIALED = {
    "answered": (
        f"{REACHED}\n09:00:01 V1 sales Agent/8 CONNECT|1\n09:02:01 V1 sales Agent/8 COMPLETEAGENT|1|120|1",
        (0, 1, 1, 1, 0, 0.0, 120),
    ),
    "dropped by the dialer": (f"{REACHED}\n09:00:05 V1 sales NONE EXITWITHTIMEOUT|1", (0, 1, 1, 0, 1, 1.0, None)),
    "hung up": (f"{REACHED}\n09:00:03 V1 sales NONE ABANDON|1|1|3", (0, 1, 1, 0, 1, 1.0, None)),
    "answered, and CONNECT is missing": (
        f"{REACHED}\n09:02:01 V1 sales Agent/8 COMPLETEAGENT|1|120|1",
        (0, 1, 1, 1, 0, 0.0, 120),
    ),
    "the second call's CALLOUTBOUND is missing": (
        f"{REACHED}\n09:00:03 V1 sales NONE ABANDON|1|1|3\n09:09:03 V2 sales NONE ABANDON|1|1|3",
        (0, 2, 2, 0, 2, 1.0, None),
    ),
    "QueueUpdate() after a talk": (
        "09:02:00 1.1 sales SIP/9 OUTCALL|ANSWER|90|110 | 0600000101",
        (0, 1, 1, 1, 0, 0.0, 90),
    ),
    "QueueUpdate() after nobody picked up": (
        "09:02:00 1.1 sales SIP/9 OUTCALL|NOANSWER||30 | 0600000101",
        (0, 1, 0, 0, 0, None, None),
    ),
}


@pytest.mark.parametrize(("story", "figures"), DIALED.values(), ids=DIALED)
def test_an_outbound_call(tmp_path: Path, story: str, figures: tuple[float | None, ...]) -> None:
    with published(tmp_path / "store", story) as reader:
        assert [tuple(row.values()) for row in rows(reader, OUTBOUND)] == [figures]


def test_a_call_that_an_agent_dialed_is_their_work() -> None:
    story = "08:00:00 NONE sales SIP/9 ADDMEMBER|\n09:02:00 1.1 sales SIP/9 OUTCALL|ANSWER|90|110 | 0600000101"
    assert summaries(story) == [
        "09:00:10 dialed 1.1/sales 0600000101 SIP/9",
        "09:00:30 connected 1.1/sales human",
        "09:00:30 answered 1.1/sales SIP/9",
        "09:02:00 ended 1.1/sales",
    ]
    assert summaries(story, of="agent.") == [
        "08:00:00 agent.state SIP/9 available",
        "09:00:30 agent.state SIP/9 busy",
        "09:02:00 agent.state SIP/9 available",
    ]


# A pause, and its reason in a line of its own

PAUSES = {
    "the reason comes after the pause": (
        """09:00:00 NONE NONE A PAUSEALL|
        09:00:02 NONE NONE A PAUSEREASON|TRAIN
        11:00:00 NONE NONE A UNPAUSEALL|""",
        [("TRAIN", 7200)],
    ),
    "the reason comes before it, in the same second": (
        """09:00:00 NONE NONE A PAUSEREASON|TRAIN
        09:00:00 NONE NONE A PAUSEALL|
        11:00:00 NONE NONE A UNPAUSEALL|""",
        [("TRAIN", 7200)],
    ),
    "each pause has its own": (
        """09:00:00 NONE NONE A PAUSEALL|
        09:00:02 NONE NONE A PAUSEREASON|TRAIN
        10:00:00 NONE NONE A UNPAUSEALL|
        11:00:00 NONE NONE A PAUSEALL|
        12:00:00 NONE NONE A UNPAUSEALL|""",
        [("TRAIN", 3600), (None, 3600)],
    ),
    "an agent says later what the pause is": (
        """09:00:00 NONE NONE A PAUSEALL|
        09:00:02 NONE NONE A PAUSEREASON|LOGIN
        09:10:00 NONE NONE A PAUSEREASON|TRAIN
        10:00:00 NONE NONE A UNPAUSEALL|""",
        [("TRAIN", 3600)],
    ),
    "a pause in each queue": (
        """08:00:00 NONE q A ADDMEMBER|
        08:00:00 NONE r A ADDMEMBER|
        09:00:00 NONE q A PAUSE|
        09:00:00 NONE r A PAUSE|
        09:00:05 NONE NONE A PAUSEREASON|TRAIN
        10:00:00 NONE q A UNPAUSE|""",
        [("TRAIN", 3600)],
    ),
    "VICIdial's LOGOFF names no pause": (
        """09:00:00 NONE NONE A PAUSEALL|
        09:00:02 NONE NONE A PAUSEREASON|TRAIN
        10:00:00 NONE NONE A PAUSEREASON|LOGOFF""",
        [("TRAIN", 3600)],
    ),
}
SPENT = """SELECT reason, sum(seconds) AS s FROM agent_states WHERE state = 'paused'
    GROUP BY reason, started_at ORDER BY started_at"""


@pytest.mark.parametrize(("story", "pauses"), PAUSES.values(), ids=PAUSES)
def test_the_reason_of_a_pause(tmp_path: Path, story: str, pauses: list[tuple[str | None, float]]) -> None:
    with published(tmp_path / "store", story) as reader:
        assert [tuple(row.values()) for row in rows(reader, SPENT)] == pauses


# Holds

TALK = """09:00:00 1.1 q NONE ENTERQUEUE|||1
    09:00:10 1.1 q SIP/9 CONNECT|10|1.2|4
    {}
    09:03:10 1.1 q SIP/9 COMPLETEAGENT|10|180|1"""
HOLDS = {
    "held and resumed": (
        "09:01:00 1.1 q SIP/9 CALLERONHOLD|PARK\n09:01:45 1.1 q SIP/9 CALLEROFFHOLD|45|PARK",
        (135, 45),
    ),
    "twice": (
        """09:01:00 1.1 q SIP/9 CALLERONHOLD|
        09:01:45 1.1 q SIP/9 CALLEROFFHOLD|
        09:02:00 1.1 q SIP/9 CALLERONHOLD|
        09:02:15 1.1 q SIP/9 CALLEROFFHOLD|""",
        (120, 60),
    ),
    "the line of its beginning is missing": ("09:01:45 1.1 q SIP/9 CALLEROFFHOLD|45|PARK", (135, 45)),
    "never resumed": ("09:03:00 1.1 q SIP/9 CALLERONHOLD|PARK", (170, 10)),
    "logged under another queue": (
        "09:01:00 1.1 park SIP/9 CALLERONHOLD|PARK\n09:01:45 1.1 park SIP/9 CALLEROFFHOLD|45|PARK",
        (135, 45),
    ),
}


@pytest.mark.parametrize(("holds", "figures"), HOLDS.values(), ids=HOLDS)
def test_holds_are_not_talk(tmp_path: Path, holds: str, figures: tuple[int, int]) -> None:
    with published(tmp_path / "store", TALK.format(holds)) as reader:
        found = rows(reader, f"SELECT avg_talk_s, avg_hold_s FROM kpi_campaign{WINDOW} WHERE offered > 0")
    assert [tuple(row.values()) for row in found] == [figures]


# A talk that was handed on, and no line says so

HANDED_ON = """08:00:00 NONE q {agent} ADDMEMBER|
    09:00:00 1.1 q NONE ENTERQUEUE|||1
    09:00:10 1.1 q {agent} CONNECT|10|1.2|4
    09:05:00 2.1 q NONE ENTERQUEUE|||1
    09:05:08 2.1 q {agent} CONNECT|8|2.2|3
    09:07:00 2.1 q {agent} COMPLETEAGENT|8|112|1
    10:01:30 1.1 q {agent} COMPLETECALLER|10|3680|1"""


@pytest.mark.parametrize("agent", ["Local/1@from-queue/n", "SIP/9"])
def test_a_talk_ends_when_its_agent_answers_the_next_call(tmp_path: Path, agent: str) -> None:
    with published(tmp_path / "store", HANDED_ON.format(agent=agent)) as reader:
        busy = rows(reader, f"SELECT busy_s FROM kpi_agent{WINDOW}")
        talks = rows(reader, "SELECT talk_s, ended_by FROM calls ORDER BY queued_at")
    assert busy == [{"busy_s": 7 * 60 - 6}]  # from the first ring to the end of the second talk
    assert talks == [{"talk_s": 298, "ended_by": None}, {"talk_s": 112, "ended_by": "agent"}]


LATER = DAY + dt.timedelta(hours=9, minutes=10)
BEFORE = "09:00:00 1.1 q NONE ENTERQUEUE||06|1\n09:00:05 1.1 q SIP/9 CONNECT|5|1.2|4"
NEXT = {
    "another queue": (
        "09:05:00 1.1 r NONE ENTERQUEUE||06|1\n09:05:10 1.1 r SIP/8 CONNECT|10|1.3|4",
        [("q", 295.0), ("r", None)],
    ),
    "the same queue": (
        "09:05:00 1.1 q NONE ENTERQUEUE||06|1\n09:05:10 1.1 q SIP/8 CONNECT|10|1.3|4",
        [("q", 295.0), ("q", None)],
    ),
    "the same queue, and its ENTERQUEUE is lost too": (
        "09:05:10 1.1 q SIP/8 CONNECT|10|1.3|4",
        [("q", 295.0), ("q", None)],
    ),
    "the same queue, and the line of the end comes late": (
        "09:05:00 1.1 q NONE ENTERQUEUE||06|1\n09:05:02 1.1 q SIP/9 COMPLETEAGENT|5|297|1",
        [("q", 297.0), ("q", None)],
    ),
}


@pytest.mark.parametrize(("story", "talks"), NEXT.values(), ids=NEXT)
def test_a_talk_is_over_when_its_caller_enters_a_queue(
    tmp_path: Path, story: str, talks: list[tuple[str, float | None]]
) -> None:
    with published(tmp_path / "store", f"{BEFORE}\n{story}", as_of=LATER) as reader:
        queue_and_talk = "SELECT queue, date_diff('second', answered_at, ended_at)::DOUBLE AS talked FROM calls"
        found = rows(reader, f"{queue_and_talk} ORDER BY queued_at")
        assert [(row["queue"], row["talked"]) for row in found] == talks
        (state,) = rows(reader, "SELECT state FROM agents WHERE agent = 'SIP/9'")
        assert state["state"] == "available"


# Results that agents name

ENDED = f"{BEFORE}\n09:01:05 1.1 q SIP/9 COMPLETEAGENT|5|60|1"
RESULTS = {
    "after the talk": (f"{ENDED}\n09:01:20 1.1 q SIP/9 CALLSTATUS|SALE", "SALE"),
    "in the talk": (f"{BEFORE}\n09:00:30 1.1 q SIP/9 CALLSTATUS|NI\n09:01:05 1.1 q SIP/9 COMPLETEAGENT|5|60|1", "NI"),
    "with no queue": (f"{ENDED}\n09:01:20 1.1 NONE SIP/9 CALLSTATUS|SALE", "SALE"),
    "twice": (f"{ENDED}\n09:01:20 1.1 q SIP/9 CALLSTATUS|NI\n09:02:20 1.1 q SIP/9 CALLSTATUS|SALE", "SALE"),
    "by nobody": (f"{ENDED}\n09:01:20 1.1 q NONE CALLSTATUS|DROP", None),
    "by an agent who did not talk": (f"{ENDED}\n09:01:20 1.1 q SIP/8 CALLSTATUS|DROP", None),
}


@pytest.mark.parametrize(("story", "disposition"), RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("wrap_up_s", [0, 30])
def test_a_result_is_a_disposition_and_no_wrap_up(
    tmp_path: Path, story: str, disposition: str | None, wrap_up_s: float
) -> None:
    queue_map = names.Names({"q": names.Queue(wrap_up_s=wrap_up_s)})
    later = "09:10:00 NONE q SIP/9 PAUSE|"
    with published(tmp_path / "store", f"{story}\n{later}", queue_map=queue_map) as reader:
        (call,) = rows(reader, "SELECT disposition, talk_s, wrap_s FROM calls")
        assert call == {"disposition": disposition, "talk_s": 60, "wrap_s": wrap_up_s}


WRAPPED = {
    "in the wrap-up": "{end}\n09:01:05 1.1 q SIP/9 WRAPUPSTART|60\n09:01:20 1.1 q SIP/9 CALLSTATUS|SALE",
    "before the wrap-up": "{end}\n09:01:05 1.1 q SIP/9 CALLSTATUS|SALE\n09:01:05 1.1 q SIP/9 WRAPUPSTART|60",
    "in the talk": "09:00:30 1.1 q SIP/9 CALLSTATUS|SALE\n{end}\n09:01:05 1.1 q SIP/9 WRAPUPSTART|60",
    "after the wrap-up": "{end}\n09:01:05 1.1 q SIP/9 WRAPUPSTART|60\n09:03:00 1.1 q SIP/9 CALLSTATUS|SALE",
    "before, in and after it": (
        "{end}\n09:01:05 1.1 q SIP/9 CALLSTATUS|A\n09:01:05 1.1 q SIP/9 WRAPUPSTART|60\n"
        "09:01:20 1.1 q SIP/9 CALLSTATUS|B\n09:03:00 1.1 q SIP/9 CALLSTATUS|SALE"
    ),
    "after the next talk": (
        "{end}\n09:01:05 1.1 q SIP/9 WRAPUPSTART|60\n09:03:00 1.2 q NONE ENTERQUEUE||06|1\n"
        "09:03:05 1.2 q SIP/9 CONNECT|5|1.3|4\n09:04:05 1.2 q SIP/9 COMPLETEAGENT|5|60|1\n"
        "09:04:05 1.2 q SIP/9 WRAPUPSTART|60\n09:04:20 1.1 q SIP/9 CALLSTATUS|SALE"
    ),
}


@pytest.mark.parametrize("wrap_up_s", [0, 30])
def test_a_result_leaves_the_wrap_up_of_the_log_as_it_is(tmp_path: Path, wrap_up_s: float) -> None:
    told = []
    for number, story in enumerate(WRAPPED.values()):
        whole = f"{BEFORE}\n{story.format(end='09:01:05 1.1 q SIP/9 COMPLETEAGENT|5|60|1')}"
        told += whole.replace(" 1.", f" {number}.").replace("SIP/9", f"SIP/{number}").splitlines()
    told = [*sorted(told, key=lambda text: text[:8]), "09:10:00 NONE q SIP/9 PAUSE|"]
    queue_map = names.Names({"q": names.Queue(wrap_up_s=wrap_up_s)})
    with published(tmp_path / "store", "\n".join(told), queue_map=queue_map) as reader:
        query = "SELECT linked_id, disposition, wrap_s FROM calls WHERE linked_id LIKE '%.1' ORDER BY linked_id"
        found = [(row["disposition"], row["wrap_s"]) for row in rows(reader, query)]
    assert dict(zip(WRAPPED, found, strict=True)) == dict.fromkeys(WRAPPED, ("SALE", 60))


# Lines that contradict each other

CONTRADICTIONS = {
    "CONNECT says more seconds than passed": BEFORE.replace("CONNECT|5", "CONNECT|30"),
    "COMPLETEAGENT says more seconds than passed": f"{BEFORE}\n09:00:25 1.1 q SIP/9 COMPLETEAGENT|5|60|1",
    "BLINDTRANSFER says more seconds than passed": f"{BEFORE}\n09:00:25 1.1 q SIP/9 BLINDTRANSFER|501|x|5|60|1",
    "CALLEROFFHOLD says more seconds than passed": f"{BEFORE}\n09:00:50 1.1 q SIP/9 CALLEROFFHOLD|200",
    "COMPLETECALLER names another agent": f"{BEFORE}\n09:01:05 1.1 q SIP/8 COMPLETECALLER|5|60|1",
    "ABANDON of a call that an agent had answered": f"{ENDED}\n09:01:05 1.1 q NONE ABANDON|1|1|65",
    "EXITWITHTIMEOUT of a call that an agent had answered": f"{BEFORE}\n09:00:30 1.1 q NONE EXITWITHTIMEOUT|1|1|30",
    "CONNECT of a call that had left its queue": (
        "09:00:00 1.1 q NONE ENTERQUEUE||06|1\n09:00:05 1.1 q NONE ABANDON|1|1|5\n09:00:06 1.1 q SIP/9 CONNECT|6|1.2|4"
    ),
}


@pytest.mark.parametrize(("reason", "story"), CONTRADICTIONS.items(), ids=CONTRADICTIONS)
def test_lines_that_contradict_each_other_are_told(tmp_path: Path, reason: str, story: str) -> None:
    produced = [result for result, _ in Switch("pbx", names.Names(), None).take(lines(story))]
    (fault,) = [result for result in produced if isinstance(result, Rejected)]
    assert fault.reason.startswith(reason) and "SIP" not in fault.reason
    events = [result for result in produced if not isinstance(result, Rejected)]
    with published(tmp_path / "store", events, as_of=LATER) as reader:
        (call,) = rows(reader, "SELECT outcome, agent FROM calls")
        assert call == {"outcome": "answered", "agent": "SIP/9"}
        busy = rows(reader, "SELECT agent FROM agents WHERE state = 'busy'")
        assert busy == ([{"agent": "SIP/9"}] if "COMPLETE" not in story and "BLIND" not in story else [])


# A telephone that cannot be rung

OFFERS = {
    "nobody picked up": ([15_000], 1),
    "it is off": ([0, 0, 0], 0),
    "it is off, and the clock ticked meanwhile": ([0, 1_000, 0], 0),
    "refused within a second": ([1_000], 1),
    "it is back": ([0, 15_000, 1_000], 2),
    "the line does not say": ([None], 1),
}


@pytest.mark.parametrize(("rang_ms", "missed"), OFFERS.values(), ids=OFFERS)
def test_an_offer_to_a_telephone_that_did_not_ring_is_nobodys_miss(
    tmp_path: Path, rang_ms: list[int | None], missed: int
) -> None:
    rang = ["" if ms is None else str(ms) for ms in rang_ms]
    story = "09:00:00 1.1 q NONE ENTERQUEUE|||1\n" + "\n".join(
        f"09:00:{20 * number + 15} 1.1 q SIP/9 RINGNOANSWER|{ms}" for number, ms in enumerate(rang)
    )
    with published(tmp_path / "store", story) as reader:
        assert rows(reader, "SELECT missed_offers FROM calls") == [{"missed_offers": missed}]
    assert len([event for event in events_of(story) if event["type"] == "call.rang"]) == len(rang_ms)


def test_offers_to_telephones_that_did_not_ring_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    switch = Switch("pbx", names.Names(), None)
    story = "09:00:00 1.1 q NONE ENTERQUEUE|||1\n" + "09:00:05 1.1 q SIP/9 RINGNOANSWER|0\n" * 2
    list(switch.take(lines(story)))
    switch.report()
    assert caplog.messages == ["pbx: 2 offers went to telephones that could not be rung; nobody missed them"]
