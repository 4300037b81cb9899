"""A queue_log without the lines that came before: what is inferred from the lines that are there, and what rings."""

import itertools
from pathlib import Path

import pytest

from ingest.judging.alarms import HOLD_OFF
from ingest.sources import names
from ingest.sources.asterisk import Switch
from ingest.sources.events import Rejected
from tests.support.stories.queue_log import NEXT_DAY, WINDOW, events_of, lines, published, summaries
from tests.support.stories.stream import rows

pytestmark = pytest.mark.slow

# One line of a call, and nothing before it

ALONE = {
    "CONNECT": ("SIP/9 CONNECT|12|1.2|4", ["08:59:48 queued 1.1/q inferred", "09:00:00 answered 1.1/q SIP/9"]),
    "CONNECT of Asterisk 1.4": (
        "SIP/9 CONNECT|12|1.2",
        ["08:59:48 queued 1.1/q inferred", "09:00:00 answered 1.1/q SIP/9"],
    ),
    "COMPLETECALLER": (
        "SIP/9 COMPLETECALLER|12|198|1",
        [
            "08:56:30 queued 1.1/q inferred",
            "08:56:42 answered 1.1/q SIP/9 inferred",
            "09:00:00 ended 1.1/q customer",
        ],
    ),
    "TRANSFER": (
        "SIP/9 TRANSFER|501|default|10|60|1",
        [
            "08:58:50 queued 1.1/q inferred",
            "08:59:00 answered 1.1/q SIP/9 inferred",
            "09:00:00 transferred 1.1/q 501",
        ],
    ),
    "ATTENDEDTRANSFER to a bridge": (
        "SIP/9 ATTENDEDTRANSFER|BRIDGE|b7c1|170|10|1",
        [
            "08:57:00 queued 1.1/q inferred",
            "08:59:50 answered 1.1/q SIP/9 inferred",
            "09:00:00 transferred 1.1/q",
        ],
    ),
    "ATTENDEDTRANSFER by a link, which names two channels": (
        "SIP/9 ATTENDEDTRANSFER|LINK|Local/1;1|Local/1;2|170|10|1",
        [
            "08:57:00 queued 1.1/q inferred",
            "08:59:50 answered 1.1/q SIP/9 inferred",
            "09:00:00 transferred 1.1/q",
        ],
    ),
    "ABANDON": ("NONE ABANDON|1|1|30", ["08:59:30 queued 1.1/q inferred", "09:00:00 abandoned 1.1/q"]),
    "EXITWITHKEY": (
        "NONE EXITWITHKEY|2|1|1|30",
        ["08:59:30 queued 1.1/q inferred", "09:00:00 left_queue 1.1/q overflow"],
    ),
    "EXITWITHTIMEOUT": (
        "NONE EXITWITHTIMEOUT|1|1|60",
        ["08:59:00 queued 1.1/q inferred", "09:00:00 left_queue 1.1/q timeout"],
    ),
    "EXITEMPTY": (
        "NONE EXITEMPTY|1|1|60",
        ["08:59:00 queued 1.1/q inferred", "09:00:00 left_queue 1.1/q system"],
    ),
    "WITHDRAW": (
        "NONE WITHDRAW|1|1|60|moved",
        ["08:59:00 queued 1.1/q inferred", "09:00:00 left_queue 1.1/q overflow"],
    ),
    "EXITWITHTIMEOUT of Asterisk 1.8, without the wait": (
        "NONE EXITWITHTIMEOUT|1",
        ["09:00:00 left_queue 1.1/q timeout"],
    ),
    "RINGNOANSWER, whose number is no wait": ("SIP/9 RINGNOANSWER|2000", ["09:00:00 missed 1.1/q SIP/9"]),
    "a wait that no call has": ("NONE ABANDON|1|1|999999", ["09:00:00 abandoned 1.1/q"]),
}


@pytest.mark.parametrize(("alone", "events"), ALONE.values(), ids=ALONE)
def test_a_line_without_the_lines_before_it(alone: str, events: list[str]) -> None:
    found = summaries(f"09:00:00 1.1 q {alone}")
    assert [summary for summary in found if " rang " not in summary] == events


def test_a_ring_does_not_say_when_the_call_began() -> None:
    story = "09:00:00 1.1 q SIP/9 RINGNOANSWER|2000\n09:00:09 1.1 q NONE ABANDON|1|1|30"
    assert summaries(story)[-2:] == ["08:59:39 queued 1.1/q inferred", "09:00:09 abandoned 1.1/q"]
    events = events_of("09:00:00 1.1 q NONE ENTERQUEUE|||1\n09:00:20 1.1 q SIP/8 RINGNOANSWER|0")
    assert {event["call_id"] for event in events} == {"pbx/1.1/q"}


def test_an_answer_that_no_line_gave_is_counted_back_from_the_end() -> None:
    story = "09:00:00 1.1 q NONE ENTERQUEUE||0612345678|1\n09:03:00 1.1 q SIP/9 ATTENDEDTRANSFER|BRIDGE|b7c1|170|10|1"
    assert summaries(story) == [
        "09:00:00 queued 1.1/q 0612345678",
        "09:02:50 answered 1.1/q SIP/9 inferred",
        "09:03:00 transferred 1.1/q",
    ]


@pytest.mark.parametrize("end", ["NONE COMPLETEAGENT|32|2|1", "SIP/9 COMPLETEAGENT|32|2|1"])
def test_an_answer_by_an_unknown_agent_is_an_answer(end: str, tmp_path: Path) -> None:
    story = f"09:00:00 1.1 q NONE ENTERQUEUE||1003|1\n09:00:31 1.1 q NONE CONNECT|32|1.2|6\n09:00:33 1.1 q {end}"
    with published(tmp_path, events_of(story)) as reader:
        assert rows(reader, "SELECT outcome, wait_s, talk_s, agent FROM calls") == [
            {"outcome": "answered", "wait_s": 31, "talk_s": 2, "agent": None}
        ]


def test_a_talk_of_unknown_length_without_its_answer_is_rejected() -> None:
    story = lines("09:00:00 1.1 q NONE ENTERQUEUE|||1\n09:03:00 1.1 q SIP/9 COMPLETEAGENT|")
    *_, (rejected, _) = Switch("pbx", names.Names(), None).take(story)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "COMPLETEAGENT without the duration of the talk, and no CONNECT came before it."


def test_a_later_visit_whose_beginning_is_missing_is_another_call() -> None:
    events = events_of("""09:00:00 1.1 q NONE ENTERQUEUE|||1
        09:00:10 1.1 q SIP/9 CONNECT|10|1.2|4
        09:01:10 1.1 q SIP/9 BLINDTRANSFER|q|default|10|60|1
        10:00:00 1.1 q SIP/8 COMPLETECALLER|10|60|1""")
    assert len({event["call_id"] for event in events if event["type"] == "call.queued"}) == 2


# The lost line comes late

WHOLE = """09:00:00 1.1 q NONE ENTERQUEUE||0612345678|1
    09:00:13 1.1 q SIP/9 CONNECT|12|1.2|4
    09:03:30 1.1 q SIP/9 COMPLETECALLER|12|198|1"""
FIGURES = f"SELECT offered, answered, asa_s, aht_s FROM kpi_campaign{WINDOW} WHERE campaign = 'q'"


LOST = {  # lines, and the wait and the talk that the other lines say
    "ENTERQUEUE": (1, (12, 197)),
    "ENTERQUEUE and CONNECT": (2, (12, 198)),
}


@pytest.mark.parametrize(("lost", "said"), LOST.values(), ids=LOST)
def test_what_was_inferred_is_corrected_by_the_lines_when_they_come(
    tmp_path: Path, lost: int, said: tuple[int, int]
) -> None:
    part, whole = events_of("\n".join(WHOLE.splitlines()[lost:])), events_of(WHOLE)
    stories = {"lost": (part, said), "late": (part + whole, (13, 197)), "again": (whole + part, (13, 197))}
    for name, (events, (wait_s, talk_s)) in stories.items():
        with published(tmp_path / name, events) as reader:
            assert rows(reader, FIGURES) == [{"offered": 1, "answered": 1, "asa_s": wait_s, "aht_s": talk_s}], name


def test_the_lines_of_a_call_may_come_in_any_order(tmp_path: Path) -> None:
    for number, story in enumerate(itertools.permutations(lines(WHOLE))):
        with published(tmp_path / str(number), events_of(story)) as reader:
            assert rows(reader, FIGURES) == [{"offered": 1, "answered": 1, "asa_s": 13, "aht_s": 197}], number
            assert rows(reader, "SELECT count(*) AS calls FROM calls") == [{"calls": 1}]


# What no figure shows rings

LATER = NEXT_DAY
RINGING = "SELECT kind, counted FROM alarms"
RINGS = {
    "a call whose only line does not say when it began": ("09:00:00 1.1 q NONE EXITWITHTIMEOUT|1", 1),
    "a call that was only offered": ("09:00:00 1.1 q SIP/9 RINGNOANSWER|15000", 1),
    "a call whose beginning was inferred": ("09:00:00 1.1 q NONE ABANDON|1|1|30", 0),
}


@pytest.mark.parametrize(("story", "calls"), RINGS.values(), ids=RINGS)
def test_a_call_in_no_campaign_raises_an_alarm(tmp_path: Path, story: str, calls: int) -> None:
    with published(tmp_path / "store", story, LATER, before=LATER - HOLD_OFF) as reader:
        expected = [{"kind": "calls_in_no_campaign", "counted": calls}] if calls else []
        assert rows(reader, RINGING) == expected


UNKNOWN = "09:00:00 1.1 q NONE CALLPREDICTIVE|0612345678"
BEGINNINGS = {
    "alone": (UNKNOWN, 1),
    "and its outcome": (f"{UNKNOWN}\n09:00:30 1.1 q NONE ABANDON|1|1|30", 1),
    "and its talk": (
        f"{UNKNOWN}\n09:00:09 1.1 q SIP/9 CONNECT|9|1.2|4\n09:01:09 1.1 q SIP/9 COMPLETEAGENT|9|60|1",
        1,
    ),
    "and ENTERQUEUE, so it was none": (f"{UNKNOWN}\n09:00:02 1.1 q NONE ENTERQUEUE|||1", 0),
}


@pytest.mark.parametrize(("story", "calls"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_an_unknown_event_that_begins_a_call_raises_an_alarm_and_is_told(
    tmp_path: Path, story: str, calls: int
) -> None:
    produced = [result for result, _ in Switch("pbx", names.Names(), None).take(lines(story))]
    (rejected,) = [result for result in produced if isinstance(result, Rejected)]
    assert rejected.reason.startswith("The first line of a call has an unknown event")
    assert "CALLPREDICTIVE" not in rejected.reason
    events = [event for event in produced if not isinstance(event, Rejected)]
    with published(tmp_path / "store", events, LATER, before=LATER - HOLD_OFF) as reader:
        assert rows(reader, RINGING) == ([{"kind": "calls_in_no_campaign", "counted": 1}] if calls else [])
        assert rows(reader, f"SELECT offered FROM kpi_campaign{WINDOW} WHERE offered > 0") == (
            [] if calls else [{"offered": 1}]
        )


@pytest.mark.parametrize(
    "line",
    [
        "NONE NONE SIP/9 SHIFTCHANGE|A",
        "MANAGER q SIP/9 SHIFTCHANGE|A",
        "1.1 NONE NONE MENU|2",
        "1.1 q SIP/9 CALLSTATUS|SALE",
        "1.1 q NONE DID|0123",
    ],
)
def test_a_line_that_begins_no_call_raises_nothing(line: str) -> None:
    assert events_of(f"09:00:00 {line}") == []


def test_a_name_that_we_do_not_know_is_never_repeated(caplog: pytest.LogCaptureFixture) -> None:
    switch = Switch("pbx", names.Names(), None)
    story = lines("09:00:00 NONE NONE NONE Amina Berrada|0612345678\n09:00:01 1.1 q SIP/9 INFO|x")
    assert list(switch.take(story)) == []
    assert switch.passed_over() == "unknown events others (1), INFO (1)"
    assert "amina" not in " ".join([switch.passed_over(), *caplog.messages]).lower()
