"""What is settled is brought back by every event that changes it, and its earlier content stays away for good."""

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest

from ingest.archive.inventory import RELATIONS
from ingest.publishing.publish import Moment
from tests.support.stories.stream import DAY, PARTITION, Desk, Event, at, read_story

pytestmark = pytest.mark.slow

LATER = at("20:00:00")
NEVER = 1_000_000  # rows: so many are never there to settle
CALLS = "SELECT call_id, agent, answered_at, ended_at, inferred_end, handle_s FROM calls ORDER BY call_id"
FIGURES = "SELECT campaign, day, handled, aht_s, service_level FROM kpi_daily"
STATES = "SELECT agent, state, campaign, started_at, ended_at FROM agent_states ORDER BY agent, started_at"


def rows_after(home: Path, deliveries: list[list[Event]], settle_rows: int) -> list[list[Event]]:
    """The calls, figures and states after `deliveries`, each of them published, and settled, before the next."""
    desk = Desk(home, settle_rows=settle_rows)
    for number, events in enumerate(deliveries):
        desk.apply(events, LATER)
        desk.publish(LATER + dt.timedelta(minutes=number))
    found = [desk.rows(CALLS), desk.rows(FIGURES), desk.rows(STATES)]
    desk.close()
    return found


def as_never_settled(tmp_path: Path, *deliveries: list[Event]) -> list[Event]:
    """Return the calls after `deliveries`.

    They, the figures and the states are those of a store that never settled anything.
    """
    found = rows_after(tmp_path / "settled", [*deliveries], 1)
    assert found == rows_after(tmp_path / "fresh", [[event for each in deliveries for event in each]], NEVER)
    return found[0]


def ends(calls: list[Event]) -> dict[str, str | None]:
    return {call["call_id"]: call["ended_at"] and f"{call['ended_at']:%H:%M:%S}" for call in calls}


# Corrected, then merged -----------------------------------------------------------------------------------------


def call(number: int, wait_s: int = 10) -> list[Event]:
    story = f"""
        09:00:00 queued event_id=q{number}
        09:00:01 missed event_id=m{number} agent=bob
        09:00:{wait_s} answered event_id=a{number}
        09:02:00 ended event_id=e{number}
    """
    return [event | {"call_id": f"k{number}"} for event in read_story(story)]


def test_what_was_corrected_stays_so_when_files_of_its_day_are_merged(tmp_path: Path) -> None:
    """Case 30: the marks of what no longer counts are there until the files that they mark are written again."""
    corrected = next(event for event in call(0, wait_s=30) if event["event_id"] == "a0") | {"revision": 1}
    desk = Desk(tmp_path)
    for load in (call(0), [corrected, *call(1)], call(2), call(3), call(4), call(5)):
        desk.apply(load, LATER)
        desk.publish(LATER)
    kept = Counter(
        event_id
        for (event_id,) in desk.store.connection.execute(
            f"SELECT event_id FROM ({desk.store.segments.rows('events')}) UNION ALL SELECT event_id FROM events"
        ).fetchall()
    )
    assert set(kept.values()) == {1}

    for score in (3, 5):  # each takes the call back, and lets it settle again
        rated = {"event_id": f"r{score}", "type": "call.rated", "call_id": "k0", "score": score}
        desk.apply([rated | {"ts": at(f"09:0{score}:00").isoformat()}], LATER)
        desk.publish(LATER)
    (first, *others) = desk.rows("SELECT call_id, wait_s, missed_offers, score FROM calls ORDER BY call_id")
    assert first == {"call_id": "k0", "wait_s": 30, "missed_offers": 1, "score": 5}
    assert [(row["wait_s"], row["missed_offers"]) for row in others] == [(10, 1)] * 5
    assert desk.rows("SELECT events, duplicates FROM ingest_status") == [{"events": 6 * 4 + 2, "duplicates": 1}]
    desk.close()


# Ends that somebody else's call gives --------------------------------------------------------------------------

CLOSED_BY_THE_NEXT = """
    09:00:00 queued call_id=c1
    09:00:10 answered call_id=c1 agent=ana
    09:09:00 queued call_id=c2
    09:10:00 answered call_id=c2 agent=ana event_id=a2
    09:20:00 ended call_id=c2
"""


@pytest.mark.parametrize(
    ("late", "end"),
    [
        pytest.param("09:12:00 answered call_id=c2 agent=ana event_id=a2 revision=1", "09:12:00", id="moved"),
        pytest.param("09:10:00 answered call_id=c2 agent=bob event_id=a2 revision=1", None, id="another agent's"),
        pytest.param("09:09:30 answered call_id=c2 agent=bob event_id=a3", None, id="an earlier answer by another"),
    ],
)
def test_a_settled_end_goes_where_the_next_answer_goes(tmp_path: Path, late: str, end: str | None) -> None:
    """Case 31: what gave a settled call its end is changed, and no longer gives it."""
    found = as_never_settled(tmp_path, read_story(CLOSED_BY_THE_NEXT), read_story(late))
    assert ends(found) == {"c1": end, "c2": "09:20:00"}


def test_a_settled_end_stays_where_another_answer_takes_over_from_the_one_that_moved(tmp_path: Path) -> None:
    """Both come in one batch. The end is the same, but from then on it goes where the other answer goes."""
    taken_over = """
        09:12:00 answered call_id=c2 agent=ana event_id=a2 revision=1
        09:05:00 queued call_id=c3 event_id=q3
        09:10:00 answered call_id=c3 agent=ana event_id=a3
        09:40:00 ended call_id=c3 event_id=e3
    """
    moved_too = "09:30:00 answered call_id=c3 agent=ana event_id=a3 revision=1"
    desk = Desk(tmp_path)
    for story, end in ((CLOSED_BY_THE_NEXT, "09:10:00"), (taken_over, "09:10:00"), (moved_too, "09:12:00")):
        desk.apply(read_story(story), LATER)
        desk.publish(LATER)
        assert ends(desk.rows(CALLS))["c1"] == end
    desk.close()


BETWEEN = {
    "a call": (
        "09:05:00 queued call_id=c5 event_id=l1 \n 09:05:10 answered call_id=c5 agent=ana event_id=l2",
        "09:05:10",
    ),
    "a state": ("09:05:00 state agent=ana state=paused event_id=l1", "09:05:00"),
    "a state of the second before": ("09:09:59 state agent=ana state=wrap_up event_id=l1", "09:09:59"),
    "a microsecond after the answer": ("09:00:10.000001 state agent=ana state=paused event_id=l1", "09:00:10"),
}


@pytest.mark.parametrize(("late", "end"), BETWEEN.values(), ids=BETWEEN)
def test_a_settled_end_goes_back_to_a_late_step_in_between(tmp_path: Path, late: str, end: str) -> None:
    found = as_never_settled(tmp_path, read_story(CLOSED_BY_THE_NEXT), read_story(late))
    assert ends(found)["c1"] == end


ELSEWHERE = {
    "another agent's state": "09:05:00 state agent=bob state=paused event_id=l1",
    "another agent's call": """
        09:05:00 queued call_id=c5 event_id=l1
        09:05:10 answered call_id=c5 agent=bob event_id=l2
    """,
    "a call of nobody": "09:05:00 queued call_id=c5 event_id=l1 \n 09:05:10 answered call_id=c5 event_id=l2",
    "a call not answered": "09:05:00 queued call_id=c5 event_id=l1 \n 09:05:10 abandoned call_id=c5 event_id=l2",
    "a chat": """
        09:05:00 queued call_id=c5 event_id=l1 channel=chat
        09:05:10 answered call_id=c5 agent=ana event_id=l2
    """,
    "busy": "09:05:00 state agent=ana state=busy event_id=l1",
    "a profile": "09:05:00 profile agent=ana name=Ana event_id=l1",
    "before the answer": "08:59:00 state agent=ana state=paused event_id=l1",
    "at the answer": "09:00:10 state agent=ana state=paused event_id=l1",
    "at the end": "09:10:00 state agent=ana state=paused event_id=l1",
    "after the end": "09:15:00 state agent=ana state=paused event_id=l1",
    "the next call is wrapped up": "09:20:30 wrapped call_id=c2 event_id=l1",
    "the next call was queued earlier": "09:08:00 queued call_id=c2 event_id=l1",
    "the next answer has another name": "09:10:00 answered call_id=c2 agent=ana event_id=a1",
}


@pytest.mark.parametrize("late", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_does_not_give_another_end_leaves_a_call_settled(tmp_path: Path, late: str) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(CLOSED_BY_THE_NEXT), LATER)
    desk.publish(LATER)
    desk.apply(read_story(late), LATER)
    unsettled = desk.store.connection.execute("SELECT call_id FROM calls").fetchall()
    desk.publish(LATER)
    assert ends(desk.rows(CALLS))["c1"] == "09:10:00"
    assert ("c1",) not in unsettled
    desk.close()


CLOSED_BY_A_STATE = """
    09:00:00 queued call_id=c1
    09:00:10 answered call_id=c1 agent=ana
    09:10:00 state agent=ana state=wrap_up event_id=s1
"""


@pytest.mark.parametrize(
    ("late", "end"),
    [
        pytest.param("09:12:00 state agent=ana state=wrap_up event_id=s1 revision=1", "09:12:00", id="later"),
        pytest.param("09:10:00 state agent=ana state=busy event_id=s1 revision=1", None, id="busy"),
        pytest.param("09:10:00 state agent=bob state=wrap_up event_id=s1 revision=1", None, id="another agent's"),
        pytest.param("09:10:00 state agent=ana state=paused event_id=s1 revision=1", "09:10:00", id="another kind"),
    ],
)
def test_a_settled_end_goes_where_the_state_goes_that_gave_it(tmp_path: Path, late: str, end: str | None) -> None:
    assert ends(as_never_settled(tmp_path, read_story(CLOSED_BY_A_STATE), read_story(late)))["c1"] == end


AT_ONE_INSTANT = """
    09:00:00 queued call_id=c1
    09:00:10 answered call_id=c1 agent=ana
    09:01:00 queued call_id=c2
    09:01:00 queued call_id=c3 channel=chat
    09:01:00 queued call_id=c4
    09:01:00 queued call_id=c6
    09:10:00 answered call_id=c2 agent=ana event_id=a2
    09:10:00 answered call_id=c3 agent=ana event_id=a3
    09:10:00 answered call_id=c4 agent=bob event_id=a4
    09:10:00 state agent=bob state=paused event_id=s1
    09:10:00 state agent=ana state=busy event_id=s2
    09:20:00 ended call_id=c2
    09:20:00 ended call_id=c3
    09:20:00 ended call_id=c4
    09:30:00 state agent=ana state=paused event_id=s3
    09:40:00 answered call_id=c6 agent=ana event_id=a6
    09:50:00 ended call_id=c6
    09:50:00 state agent=ana state=wrap_up event_id=s6
"""
NOT_THE_STEP = {
    "a chat's answer": ("09:11:00 answered call_id=c3 agent=ana event_id=a3 revision=1", "c1"),
    "another agent's answer": ("09:11:00 answered call_id=c4 agent=bob event_id=a4 revision=1", "c1"),
    "another agent's state": ("09:11:00 state agent=bob state=paused event_id=s1 revision=1", "c1"),
    "busy": ("09:11:00 state agent=ana state=busy event_id=s2 revision=1", "c1"),
    "the agent's next state but one": ("09:31:00 state agent=ana state=paused event_id=s3 revision=1", "c1"),
    "the agent's next call but one": ("09:41:00 answered call_id=c6 agent=ana event_id=a6 revision=1", "c1"),
    "a state as the talk ended": ("09:51:00 state agent=ana state=wrap_up event_id=s6 revision=1", "c6"),
}


@pytest.mark.parametrize(("late", "settled"), NOT_THE_STEP.values(), ids=NOT_THE_STEP)
def test_a_call_stays_settled_when_what_did_not_end_it_is_corrected(tmp_path: Path, late: str, settled: str) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(AT_ONE_INSTANT), LATER)
    desk.publish(LATER)
    desk.apply(read_story(late), LATER)
    unsettled = desk.store.connection.execute("SELECT call_id FROM calls").fetchall()
    desk.publish(LATER)
    assert ends(desk.rows(CALLS)) == {
        "c1": "09:10:00",
        "c2": "09:20:00",
        "c3": "09:20:00",
        "c4": "09:20:00",
        "c6": "09:50:00",
    }
    assert (settled,) not in unsettled
    desk.close()


TWO_SETTLED = """
    09:10:00 queued call_id=c3
    09:10:10 answered call_id=c3 agent=ana
    09:11:00 ended call_id=c3
    09:30:00 queued call_id=c4
    09:30:10 answered call_id=c4 agent=ana
    09:31:00 ended call_id=c4
"""
TWO_LATE = """
    09:00:00 queued call_id=c1 event_id=l1
    09:00:10 answered call_id=c1 agent=ana event_id=l2
    09:20:00 queued call_id=c2 event_id=l3
    09:20:10 answered call_id=c2 agent=ana event_id=l4
"""


def test_each_of_two_late_calls_is_closed_by_its_own_settled_next(tmp_path: Path) -> None:
    """Both are of one agent and come in one batch: the answer after the first closes that one only."""
    found = as_never_settled(tmp_path, read_story(TWO_SETTLED), read_story(TWO_LATE))
    assert ends(found) == {"c1": "09:10:10", "c2": "09:30:10", "c3": "09:11:00", "c4": "09:31:00"}


NOT_THE_NEXT = {
    "a chat": """
        09:05:00 queued call_id=c9 channel=chat
        09:05:10 answered call_id=c9 agent=ana
        09:06:00 ended call_id=c9
    """,
    "another agent's": """
        09:05:00 queued call_id=c9
        09:05:10 answered call_id=c9 agent=bob
        09:06:00 ended call_id=c9
    """,
    "answered at the same instant": """
        09:00:00 queued call_id=c9
        09:00:10 answered call_id=c9 agent=ana
        09:06:00 ended call_id=c9
    """,
}


@pytest.mark.parametrize("settled", NOT_THE_NEXT.values(), ids=NOT_THE_NEXT)
def test_a_late_call_is_closed_by_the_first_settled_step_that_counts(tmp_path: Path, settled: str) -> None:
    first = [e | {"event_id": f"n{e['event_id']}"} for e in read_story(settled)] + read_story(TWO_SETTLED)
    found = as_never_settled(tmp_path, first, read_story(TWO_LATE))
    assert (ends(found)["c1"], ends(found)["c2"]) == ("09:10:10", "09:30:10")


UNCONCERNED = {
    "ended": "09:00:00 queued call_id=c1 event_id=l1 \n 09:00:10 answered call_id=c1 agent=ana event_id=l2"
    " \n 09:01:00 ended call_id=c1 event_id=l3",
    "by nobody": "09:00:00 queued call_id=c1 event_id=l1 \n 09:00:10 answered call_id=c1 event_id=l2",
    "of another agent": "09:00:00 queued call_id=c1 event_id=l1 \n 09:00:10 answered call_id=c1 agent=bob event_id=l2",
    "not answered": "09:00:00 queued call_id=c1 event_id=l1",
    "as the last state began": """
        09:40:00 queued call_id=c1 event_id=l1
        09:40:00 answered call_id=c1 agent=ana event_id=l2
    """,
    "after all of them": "09:50:00 queued call_id=c1 event_id=l1 \n 09:50:10 answered call_id=c1 agent=ana event_id=l2",
}


@pytest.mark.parametrize("late", UNCONCERNED.values(), ids=UNCONCERNED)
def test_a_late_call_brings_nothing_back_that_cannot_close_it(tmp_path: Path, late: str) -> None:
    desk = Desk(tmp_path)
    states = "09:15:00 state agent=ana state=available event_id=s1 \n 09:40:00 state agent=ana state=paused event_id=s2"
    desk.apply(read_story(TWO_SETTLED) + read_story(states), LATER)
    desk.publish(LATER)
    before = unsettled(desk)
    desk.apply(read_story(late), LATER)
    assert [event_id for event_id in unsettled(desk) if not event_id.startswith("l")] == before
    desk.close()


FIRST_DAY = DAY - dt.timedelta(days=9)


def steps(text: str) -> list[Event]:
    """Read agents' steps of the ten days until LATER, one agent a line: "ana: hour:minute what, …".

    `what` is a state, or the agent answers: a `call` that ends half a minute later, or one that is `unended`. It was
    queued at that instant, or at `queued=`. An event is named after its agent, the time and what it tells.
    """
    story = []
    for line in filter(None, map(str.strip, text.splitlines())):
        agent, _, told = line.partition(": ")
        for step in told.split(", "):
            clock, what, *more = step.split()
            call = f"{agent}-{clock}"
            if what not in ("call", "unended"):
                story.append(f"{clock}:00 state agent={agent} state={what} event_id={call}-{what} {' '.join(more)}")
                continue
            queued = more[0].removeprefix("queued=") if more else clock
            story.append(f"{queued}:00 queued call_id={call} event_id={call}-queued")
            story.append(f"{clock}:00 answered call_id={call} agent={agent} event_id={call}-answered")
            if what == "call":
                story.append(f"{clock}:30 ended call_id={call} event_id={call}-ended")
    return read_story("\n".join(story), FIRST_DAY)


#: What has settled; what comes late, in one batch; the ends that it gets; and what comes back for it.
AMONG_DAYS = [
    ("fay: 8:00 available, 154:00 available, 200:00 busy", "fay: 10:00 unended", "154:00", "154:00-available"),
    ("flo: 8:00 available, 154:00 available, 200:00 paused", "flo: 10:00 unended", "154:00", "154:00-available"),
    (  # only the first state after it that is not busy
        "gil: 9:00 paused, 10:00 available, 11:00 busy, 12:00 busy, 12:00 wrap_up, 13:00 available, 200:00 paused",
        *("gil: 10:00 unended", "12:00", "12:00-wrap_up"),
    ),
    # what is here already: the state that names the campaign, and the last one
    ("ona: 8:00 available, 11:00 paused campaign=vip, 12:00 wrap_up, 200:00 paused", "ona: 10:00 unended", "11:00", ""),
    ("hal: 8:00 available, 9:40 paused, 9:50 call", "hal: 9:40 unended", "9:50", "9:50"),
    ("ida: 8:00 available, 9:45 busy, 9:50 call", "ida: 9:42 unended", "9:50", "9:50"),
    # an answer before the next state, and after it
    (
        "jo: 8:00 available, 11:00 call, 12:00 paused, 200:00 paused",
        *("jo: 10:00 unended", "11:00", "11:00 12:00-paused"),
    ),
    ("lea: 8:00 available, 11:00 call, 12:00 paused, 200:00 busy", "lea: 10:00 unended", "11:00", "11:00 12:00-paused"),
    ("kim: 8:00 available, 11:00 call, 12:00 paused", "kim: 10:00 unended", "11:00", "11:00"),
    ("uma: 8:00 available, 12:00 paused, 13:00 call, 200:00 paused", "uma: 10:00 unended", "12:00", "12:00-paused"),
    ("una: 8:00 available, 12:00 paused, 13:00 call, 200:00 busy", "una: 10:00 unended", "12:00", "12:00-paused"),
    ("eli: 8:00 available, 12:00 paused, 13:00 call", "eli: 10:00 unended", "12:00", ""),
    # the answer of a call of another day
    ("mia: 8:00 available, 130:00 call queued=9:00, 140:00 paused", "mia: 129:00 unended", "130:00", "130:00"),
    ("nia: 130:00 call queued=9:00", "nia: 129:00 unended", "130:00", "130:00"),
    ("oda: 72:01 call queued=70:30", "oda: 72:00 unended", "72:01", "72:01"),
    ("pam: 8:00 available, 23:30 call queued=24:05, 23:50 paused", "pam: 23:10 unended", "23:30", "23:30"),
    # two calls on different days
    (
        """
            quin: 8:00 available, 12:00 wrap_up, 13:00 available, 200:00 paused
            rex: 100:00 available, 132:00 paused, 200:00 paused
            sam: 58:00 call
            tom: 180:00 call
        """,
        "quin: 10:00 unended \n rex: 130:00 unended \n sam: 57:00 unended \n tom: 130:00 unended",
        *("12:00 132:00 58:00 180:00", "12:00-wrap_up 132:00-paused 58:00 180:00"),
    ),
    (
        """
            ula: 8:00 available, 12:00 paused, 200:00 paused
            vic: 100:00 available, 131:00 call, 136:00 paused, 200:00 paused
        """,
        *("ula: 10:00 unended \n vic: 130:00 unended", "12:00 131:00", "12:00-paused 131:00 136:00-paused"),
    ),
    # after a state that comes late too, or before it
    (
        "wes: 8:00 available, 12:00 wrap_up, 97:00 available, 98:00 paused, 121:00 available, 200:00 paused",
        *("wes: 97:30 paused, 10:00 unended", "12:00", "12:00-wrap_up 97:00-available 98:00-paused"),
    ),
    (
        "zed: 8:00 available, 9:00 paused, 32:00 available, 33:00 paused, 200:00 paused",
        *("zed: 8:30 paused, 10:00 unended", "32:00", "8:00-available 9:00-paused 32:00-available"),
    ),
    (
        """
            xia: 8:00 available, 12:00 wrap_up, 14:00 paused campaign=vip, 200:00 paused
            yan: 8:00 available, 20:00 paused, 32:00 available, 200:00 paused
        """,
        *("xia: 10:00 unended \n yan: 9:00 paused", "12:00", "12:00-wrap_up 8:00-available 20:00-paused"),
    ),
]


def test_late_calls_bring_back_the_steps_that_close_them_and_no_others(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply([event for settled, *_ in AMONG_DAYS for event in steps(settled)], LATER)
    desk.publish(LATER)
    expected = {}
    for _, late, times, steps_back in AMONG_DAYS:
        events, before = steps(late), unsettled(desk)
        desk.apply(events, LATER)
        back = {*unsettled(desk)} - {*before} - {event["event_id"] for event in events}
        names = {name.split("-", 1)[1] for name in back}
        calls = {name.split("-")[0] for name in names if name.endswith("-queued")}
        assert {name for name in names if name.split("-")[0] not in calls} | calls == {*steps_back.split()}, late
        unended = (event["call_id"] for event in events if event["type"] == "call.answered")
        expected |= {call: at(f"{clock}:00", FIRST_DAY) for call, clock in zip(unended, times.split(), strict=True)}
    desk.publish(LATER)
    found = {call["call_id"]: call["ended_at"] for call in desk.rows(CALLS)}
    assert {call: found[call] for call in expected} == expected
    desk.close()


ALL_DAYS = "zoe: 8:00 call, 32:00 call, 56:00 call, 80:00 call, 104:00 call, 128:00 call, 152:00 call"
SOUGHT = """
    ana: 80:00 available, 84:00 paused, 200:00 paused
    cara: 80:00 available, 84:00 paused, 200:00 paused
    dan: 80:00 available, 84:00 paused
    eve: 80:00 available, 84:00 paused
    fay: 80:00 available, 84:00 paused, 104:00 available, 200:00 paused
    gil: 55:00 call queued=1:00
    hal: 130:00 call queued=1:00
"""


def keep_days(home: Path, relation: str, first: int, last: int) -> None:
    """Put away the files of all days but these of FIRST_DAY."""
    for folder in sorted((home / relation).iterdir()):
        day = dt.date.fromisoformat(folder.name[-10:])
        name = f"day={day}" if first <= (day - FIRST_DAY.date()).days <= last else f"away-{day}"
        folder.rename(folder.with_name(name))


def test_what_closes_a_late_call_is_sought_in_no_more_days_than_it_takes(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(steps(ALL_DAYS) + steps(SOUGHT), LATER)
    desk.publish(LATER)
    desk.apply(steps("fay: 82:00 paused"), LATER)
    keep_days(tmp_path, "events", 1, 0)
    desk.apply(steps("eve: 84:00 unended, 85:00 unended \n fay: 80:00 unended, 81:00 unended"), LATER)

    keep_days(tmp_path, "events", 3, 5)
    desk.apply(steps("ana: 82:00 unended \n bob: 82:00 unended"), LATER)

    keep_days(tmp_path / "published", "calls", 2, 4)
    for late in ("cara: 82:00 unended", "dan: 82:00 unended"):
        desk.apply(steps(late), LATER)
    assert {"ana-84:00-paused", "cara-84:00-paused"} <= {*unsettled(desk)}
    desk.close()


def test_nothing_is_sought_for_calls_that_a_batch_does_not_concern(tmp_path: Path) -> None:
    """A call goes on since ten o'clock. What is told has nothing to do with it, or not with what follows it."""
    states = "ana: 224:00 available, 225:00 paused, 226:00 paused, 226:30 busy \n bob: 227:00 paused, 228:00 available"
    desk = Desk(tmp_path)
    desk.apply(steps("zoe: 224:00 call \n ana: 226:00 unended") + steps(states), LATER)
    desk.publish(LATER)
    others = (
        "229:30:00 queued call_id=c2 channel=chat event_id=h1 \n 229:31:00 answered call_id=c2 agent=ana event_id=h2"
    )
    ended = "229:32:00 ended call_id=c2 event_id=h3"
    desk.apply(steps("ana: 229:00 call") + read_story(f"{others} \n {ended}", FIRST_DAY), LATER)
    keep_days(tmp_path / "published", "calls", 1, 0)
    for what in (
        read_story("229:10:00 wrapped call_id=ana-229:00 event_id=w1", FIRST_DAY),
        read_story("229:40:00 wrapped call_id=c2 event_id=w2", FIRST_DAY),
        steps("eva: 235:50 unended"),
        read_story("09:05:00 queued event_id=n1 \n 09:05:10 answered event_id=n2"),
        steps("bob: 228:00 available revision=1 state=busy"),
        steps("ana: 225:00 paused revision=1 state=busy"),
        steps("ana: 226:00 paused revision=1 state=busy"),
        steps("ana: 226:30 busy revision=1 agent=bob"),
    ):
        desk.apply(what, LATER)
    desk.close()


SETTLED_STEPS = {
    "answers": """
        09:10:00 queued call_id=c3 event_id=q3
        09:10:10 answered call_id=c3 agent=ana event_id=a3
        09:11:00 ended call_id=c3 event_id=e3
        09:30:00 queued call_id=c4 event_id=q4
        09:30:10 answered call_id=c4 agent=ana event_id=a4
        09:31:00 ended call_id=c4 event_id=e4
    """,
    "states": """
        09:10:10 state agent=ana state=wrap_up event_id=s1
        09:30:10 state agent=ana state=paused event_id=s2
        34:00:00 state agent=ana state=available event_id=s3
    """,
    "a state, then an answer": """
        09:10:10 state agent=ana state=wrap_up event_id=s1
        09:30:00 queued call_id=c4 event_id=q4
        09:30:10 answered call_id=c4 agent=ana event_id=a4
        09:31:00 ended call_id=c4 event_id=e4
        34:00:00 state agent=ana state=available event_id=s3
    """,
}
LOST_STEPS = {
    "an answer that is another's": ("answers", "09:10:10 answered call_id=c3 agent=bob event_id=a3 revision=1"),
    "an answer after another's": ("answers", "09:10:05 answered call_id=c3 agent=bob event_id=n1"),
    "an answer to what is a chat": ("answers", "09:10:00 queued call_id=c3 channel=chat event_id=q3 revision=1"),
    "an answer that is later": ("answers", "09:40:05 answered call_id=c3 agent=ana event_id=a3 revision=1"),
    "a state that is another's": ("states", "09:10:10 state agent=bob state=wrap_up event_id=s1 revision=1"),
    "a state that is busy": ("states", "09:10:10 state agent=ana state=busy event_id=s1 revision=1"),
    "a state before an answer": (
        "a state, then an answer",
        "09:10:10 state agent=ana state=busy event_id=s1 revision=1",
    ),
    "a state that is later": ("states", "09:40:10 state agent=ana state=wrap_up event_id=s1 revision=1"),
}


@pytest.mark.parametrize(("settled", "correction"), LOST_STEPS.values(), ids=LOST_STEPS)
def test_a_call_that_loses_its_next_step_before_it_settles_finds_the_one_after(
    tmp_path: Path, settled: str, correction: str
) -> None:
    later = at("50:00:00")
    desk = Desk(tmp_path)
    desk.apply(read_story(SETTLED_STEPS[settled]), later)
    desk.publish(later)
    desk.apply(
        read_story("09:00:00 queued call_id=c1 event_id=l1 \n 09:00:10 answered call_id=c1 agent=ana event_id=l2"),
        later,
    )
    desk.apply(read_story(correction), later)
    desk.publish(later)
    (call,) = desk.rows("SELECT ended_at FROM calls WHERE call_id = 'c1'")
    assert call["ended_at"] == at("09:30:10")
    desk.close()


def unsettled(desk: Desk) -> list[str]:
    found = desk.store.connection.execute("SELECT event_id FROM events ORDER BY event_id").fetchall()
    return [event_id for (event_id,) in found]


def test_a_late_call_is_closed_by_a_settled_state_where_no_call_has_settled(tmp_path: Path) -> None:
    states = """
        09:00:00 state agent=ana state=busy event_id=s1
        09:00:10 state agent=ana state=available event_id=s2
        09:30:00 state agent=ana state=busy event_id=s3
    """
    late = "08:59:30 queued event_id=l1 \n 08:59:40 answered event_id=l2 agent=ana"
    assert ends(as_never_settled(tmp_path, read_story(states), read_story(late))) == {"c1": "09:00:10"}


def test_a_call_that_ended_before_its_answer_settles_by_the_answer(tmp_path: Path) -> None:
    """Clocks differ. Had it settled by its end, no late call would look for an answer after that."""
    skewed = "09:00:00 queued call_id=c2 \n 10:00:00 answered call_id=c2 agent=ana \n 09:10:00 ended call_id=c2"
    late = "09:54:00 queued event_id=l1 \n 09:55:00 answered event_id=l2 agent=ana"
    desk = Desk(tmp_path)
    desk.apply(read_story(skewed), at("10:05:00"))
    desk.publish(at("10:05:00"))
    desk.apply(read_story(late), at("10:06:00"))
    desk.publish(at("10:06:00"))
    assert ends(desk.rows(CALLS)) == {"c1": "10:00:00", "c2": "09:10:00"}
    desk.close()


DAYS_OF_STATES = """
    09:00:00 state agent=ana state=available event_id=d1
    10:00:00 state agent=ana state=offline event_id=d2
    33:00:00 state agent=ana state=available event_id=d3
    34:00:00 state agent=ana state=offline event_id=d4
    57:00:00 state agent=ana state=available event_id=d5
    58:00:00 state agent=ana state=offline event_id=d6
    81:00:00 state agent=ana state=available event_id=d7
    09:00:00 queued call_id=c1 event_id=q1
    09:00:30 abandoned call_id=c1 event_id=q2
    72:30:00 queued call_id=c2 event_id=q3
    72:30:30 abandoned call_id=c2 event_id=q4
"""


def test_a_late_state_writes_its_day_and_later_ones_again_and_no_other(tmp_path: Path) -> None:
    later = at("90:00:00")
    desk = Desk(tmp_path)
    desk.apply(read_story(DAYS_OF_STATES), later)
    desk.publish(later)
    files = {file.parent.name: file.name for file in counted(desk, "agent_states")}
    assert set(files) == {"day=2026-03-10", "day=2026-03-11", "day=2026-03-12"}

    desk.apply(read_story("33:30:00 state agent=ana state=paused event_id=d8"), later)
    desk.publish(later)
    now = {file.parent.name: file.name for file in counted(desk, "agent_states")}
    assert {day for day in now if now[day] != files.get(day)} == {"day=2026-03-11", "day=2026-03-12"}
    assert set(now) == set(files)
    states = desk.rows("SELECT started_at::DATE AS day, count(*) AS n FROM agent_states GROUP BY ALL ORDER BY ALL")
    assert [row["n"] for row in states] == [2, 3, 2, 1]
    desk.close()


def counted(desk: Desk, relation: str) -> list[Path]:
    """The files that count."""
    found = desk.store.connection.execute("SELECT file FROM segments WHERE relation = ?", [relation]).fetchall()
    return [Path(file) for (file,) in found]


def test_a_late_call_brings_back_its_next_and_no_other(tmp_path: Path) -> None:
    elsewhere = "08:00:00 queued call_id=c8 \n 08:00:10 answered call_id=c8 agent=bob \n 08:05:00 ended call_id=c8"
    first = [e | {"event_id": f"n{e['event_id']}"} for e in read_story(elsewhere)] + read_story(TWO_SETTLED)
    desk = Desk(tmp_path)
    desk.apply(first, LATER)
    desk.publish(LATER)
    desk.apply(read_story(TWO_LATE)[:2], LATER)
    calls = desk.store.connection.execute("SELECT call_id FROM calls ORDER BY ALL").fetchall()
    assert calls == [("c1",), ("c3",)]
    desk.close()


NAMED = """
    07:00:00 state agent=ana state=available campaign=sav event_id=s1
    08:00:00 state agent=ana state=paused event_id=s2
    09:00:00 state agent=ana state=available campaign=vip event_id=s3
    10:00:00 state agent=ana state=offline campaign=vip event_id=s4
    11:00:00 state agent=ana state=available event_id=s5
"""


def test_a_late_state_is_in_the_campaign_that_was_named_before_it(tmp_path: Path) -> None:
    """The event that names it is older than the settled state at which the timeline begins again."""
    desk = Desk(tmp_path)
    desk.apply(read_story(NAMED), LATER)
    desk.publish(LATER)
    desk.apply(read_story("08:30:00 state agent=ana state=busy event_id=l1"), LATER)
    desk.publish(LATER)
    states = desk.rows("SELECT state, campaign FROM agent_states ORDER BY started_at")
    expected = ["available sav", "paused sav", "busy sav", "available vip", "offline vip", "available vip"]
    assert [" ".join(row.values()) for row in states] == expected
    desk.close()


SHIFTS = """
    05:00:00 state agent=ana state=available campaign=old event_id=a1
    06:00:00 state agent=ana state=available campaign=old event_id=a2
    06:00:00 state agent=ana state=available campaign=sav event_id=a3
    08:00:00 state agent=ana state=paused event_id=a4
    09:00:00 state agent=ana state=available campaign=vip event_id=a5
    10:00:00 state agent=ana state=paused event_id=a6
    06:00:00 state agent=bob state=available campaign=sav event_id=b0
    07:00:00 state agent=bob state=available campaign=tech event_id=b1
    08:00:00 state agent=bob state=paused event_id=b2
    09:00:00 state agent=bob state=available campaign=vip event_id=b3
    10:00:00 state agent=bob state=paused event_id=b4
    07:00:00 state agent=zoe state=available campaign=tech event_id=z1
    08:00:00 state agent=zoe state=paused event_id=z2
    09:00:00 state agent=zoe state=available campaign=vip event_id=z3
    10:00:00 state agent=zoe state=paused event_id=z4
"""


def test_a_late_state_brings_back_the_state_then_and_what_named_its_campaign(tmp_path: Path) -> None:
    """Of each agent that a batch tells of: the last event that named a campaign. Nothing earlier, and nobody else."""
    late = """
        08:30:00 state agent=ana state=busy event_id=l1
        08:00:00.000001 state agent=bob state=busy event_id=l2
    """
    desk = Desk(tmp_path)
    desk.apply(read_story(SHIFTS), LATER)
    desk.publish(LATER)
    before = unsettled(desk)
    assert before == ["a5", "a6", "b3", "b4", "z3", "z4"]
    desk.apply(read_story(late), LATER)
    assert sorted({*unsettled(desk)} - {*before}) == ["a3", "a4", "b1", "b2", "l1", "l2"]
    desk.publish(LATER)
    states = desk.rows(f"FROM ({STATES}) WHERE state = 'busy'")
    assert [(row["agent"], row["campaign"]) for row in states] == [("ana", "sav"), ("bob", "tech")]
    desk.close()


def test_a_late_profile_names_the_campaign_of_settled_states(tmp_path: Path) -> None:
    states = """
        07:00:00 state agent=ana state=available campaign=sav event_id=s1
        08:00:00 state agent=ana state=paused event_id=s2
        09:00:00 state agent=ana state=available event_id=s3
        10:00:00 state agent=ana state=paused event_id=s4
    """
    desk = Desk(tmp_path)
    desk.apply(read_story(states), LATER)
    desk.publish(LATER)
    desk.apply(read_story("08:30:00 profile agent=ana name=Ana campaign=vip event_id=l1"), LATER)
    desk.publish(LATER)
    assert [row["campaign"] for row in desk.rows(STATES)] == ["sav", "sav", "vip", "vip"]
    desk.close()


LOST_LOGOUT = """
    08:00:00 state agent=ana state=busy event_id=s1
    30:00:00 state agent=ana state=available event_id=s2
    31:00:00 state agent=ana state=paused event_id=s3
    19:59:00 queued event_id=q1
    20:00:00 answered agent=ana event_id=q2
    20:05:00 ended event_id=q3
    20:00:00 state agent=bob state=available event_id=b1
    31:00:00 state agent=bob state=paused event_id=b2
"""


def test_a_late_state_while_its_agent_was_offline_by_a_lost_logout(tmp_path: Path) -> None:
    """That settled state began by no event of its agent's, whatever else was told of that instant."""
    late = read_story("21:00:00 state agent=ana state=paused event_id=l1")
    desk = Desk(tmp_path)
    for events in (read_story(LOST_LOGOUT), late):
        desk.apply(events, at("40:00:00"))
        desk.publish(at("40:00:00"))
    states = desk.rows(f"SELECT state, started_at FROM ({STATES}) WHERE agent = 'ana'")
    assert [(row["state"], row["started_at"]) for row in states] == [
        ("busy", at("08:00:00")),
        ("offline", at("20:00:00")),
        ("paused", at("21:00:00")),
        ("available", at("30:00:00")),
        ("paused", at("31:00:00")),
    ]
    desk.close()


def test_a_late_state_after_days_off_leaves_the_days_before_settled(tmp_path: Path) -> None:
    week = """
        08:00:00 state agent=ana state=available event_id=s1
        09:00:00 state agent=ana state=paused event_id=s2
        10:00:00 state agent=ana state=offline event_id=s3
        177:00:00 state agent=ana state=available event_id=s4
        178:00:00 state agent=ana state=paused event_id=s5
        80:00:00 queued
        80:01:00 abandoned
    """
    desk = Desk(tmp_path)
    desk.apply(read_story(week), at("180:00:00"))
    desk.publish(at("180:00:00"))
    assert unsettled(desk) == ["s5"]
    desk.apply(read_story("153:00:00 state agent=ana state=available event_id=l1"), at("180:00:00"))
    assert unsettled(desk) == ["l1", "s3", "s5"]
    desk.publish(at("180:00:00"))
    days = {(dt.date.fromisoformat(file.parent.name[-10:]) - DAY.date()).days for file in counted(desk, "agent_states")}
    assert days == {0, 6, 7}
    desk.close()


DAYS = """
    09:00:00 queued call_id=c{day} event_id=q{day}
    09:00:10 answered call_id=c{day} agent=ana event_id=a{day}
    09:10:00 ended call_id=c{day} event_id=e{day}
"""
SHIFTS_OF_DAYS = """
    08:00:00 state agent=ana state=available event_id=s0
    24:00:00 state agent=bob state=available event_id=s1
    72:00:00 state agent=ana state=busy event_id=s2
    125:00:00 state agent=ana state=paused campaign=new event_id=s3
    126:00:00 state agent=bob state=paused event_id=s4
    150:00:00 state agent=ana state=offline event_id=s5
    150:00:00 state agent=bob state=offline event_id=s6
"""


def test_files_of_days_that_cannot_matter_are_not_read(tmp_path: Path) -> None:
    """They are away while a new call ends, two states come late, and the clock turns out to have been ahead."""
    days = [event for day in range(6) for event in read_story(DAYS.format(day=day), at(f"{day * 24}:00:00"))]
    desk = Desk(tmp_path)
    desk.apply(days + read_story(SHIFTS_OF_DAYS), at("152:00:00"))
    desk.publish(at("152:00:00"))
    for relation, first_needed in (("calls", "day=2026-03-15"), ("agent_states", "day=2026-03-13")):
        folders = sorted((tmp_path / "published" / relation).iterdir())
        away = [folder for folder in folders if folder.name < first_needed]
        assert 0 < len(away) < len(folders)
        for folder in away:
            folder.rename(folder.with_name(f"away-{folder.name}"))
    fresh = """
        149:00:00 queued call_id=new event_id=n1
        149:00:30 answered call_id=new agent=eva event_id=n2
        149:01:00 ended call_id=new event_id=n3
    """
    desk.apply(read_story(fresh), at("152:00:00"))
    late = "124:00:00 state agent=ana state=available event_id=l1 \n 145:00:00 state agent=bob state=busy event_id=l2"
    desk.apply(read_story(late), at("152:00:00"))
    assert {"l1", "l2", "s2", "s3", "s4"} <= {*unsettled(desk)}
    desk.publisher.judge(Moment(at("151:00:00"), at("151:00:00")))
    desk.close()


def test_an_agent_and_a_campaign_that_no_event_names_any_more_leave(tmp_path: Path) -> None:
    call = "09:00:00 queued event_id=q1 \n 09:00:10 answered agent=bob event_id=a1 \n 09:10:00 ended event_id=e1"
    corrected = """
        09:00:00 queued campaign=vip event_id=q1 revision=1
        09:00:10 answered agent=ana event_id=a1 revision=1
    """
    desk = Desk(tmp_path)
    for events, names in (
        (read_story(call), {"agent": "bob", "campaign": "sav"}),
        (read_story(corrected), {"agent": "ana", "campaign": "vip"}),
    ):
        desk.apply(events, LATER)
        desk.publish(LATER)
        assert desk.rows("SELECT a.agent, c.campaign FROM agents a, campaigns c") == [names]
    desk.close()


def test_an_agent_may_have_the_name_of_a_campaign(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for story in (
        "09:00:00 queued event_id=q1 \n 09:00:10 answered agent=sav event_id=a1 \n 09:10:00 ended event_id=e1",
        "09:20:00 queued call_id=c2 event_id=q2 \n 09:30:00 abandoned call_id=c2 event_id=b2",
        "09:00:10 answered agent=ana event_id=a1 revision=1",
    ):
        desk.apply(read_story(story), LATER)
        desk.publish(LATER)
    assert desk.rows("SELECT a.agent, c.campaign FROM agents a, campaigns c") == [{"agent": "ana", "campaign": "sav"}]
    desk.close()


SETTLING = """
    09:00:00 queued call_id=c1
    09:00:30 abandoned call_id=c1
    09:00:00 queued call_id=c2
    09:00:10 answered call_id=c2 agent=eva
    09:05:00 ended call_id=c2
"""
STAYING = """
    09:00:00 queued call_id=c3 event_id=s1
    09:00:10 answered call_id=c3 agent=bob event_id=s2
    07:00:00 state agent=ana state=available event_id=s3
    08:00:00 state agent=ana state=paused event_id=s4
    09:00:00 state agent=ana state=available event_id=s5
    10:00:00 state agent=ana state=paused event_id=s6
"""
LETTERS = [b"1", b"2"]


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        pytest.param([*read_story(SETTLING), *LETTERS], 2 + 2, id="calls and letters"),
        pytest.param(
            [*read_story(SETTLING), *LETTERS, *read_story(STAYING)], 2 + 2 + 3, id="calls, letters and states"
        ),
    ],
)
def test_what_is_settled_leaves_as_soon_as_it_is_so_many_rows(
    tmp_path: Path, values: list[Event | bytes], rows: int
) -> None:
    """Counted are the rows that leave: not an agent's last state, nor a call that goes on."""
    for settle_rows in (rows, rows + 1):
        desk = Desk(tmp_path / str(settle_rows), settle_rows=settle_rows)
        desk.apply(values, LATER)
        desk.publish(LATER)
        counted = f"SELECT coalesce(sum(rows), 0) FROM segments WHERE relation IN {RELATIONS}"
        left = desk.store.connection.execute(counted)
        assert left.fetchall() == [(rows if settle_rows == rows else 0,)]
        assert desk.rows("SELECT count(*) AS letters FROM dead_letters") == [{"letters": len(LETTERS)}]
        desk.close()


def test_what_fails_in_a_transaction_leaves_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(KeyboardInterrupt), desk.store.transaction():
        desk.apply(read_story("09:00:00 queued event_id=q1"), LATER)
        raise KeyboardInterrupt
    assert unsettled(desk) == [] and desk.store.position(PARTITION) is None
    desk.apply(read_story("09:00:00 queued event_id=q1"), LATER)
    assert unsettled(desk) == ["q1"]
    desk.close()


def test_a_store_keeps_its_name(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        desk = Desk(tmp_path)
        names.append(desk.store.identity())
        assert desk.store.connection.execute("SELECT count(*) FROM identity").fetchall() == [(1,)]
        desk.close()
    assert names == names[:1] * 3


def test_where_nothing_is_archived_nothing_is_brought_back(tmp_path: Path) -> None:
    desk = Desk(tmp_path, settle_rows=NEVER)
    desk.apply(read_story("09:00:00 queued event_id=q1"), LATER)
    desk.close()
    desk = Desk(tmp_path, settle_rows=NEVER)
    desk.apply(read_story("09:00:10 answered event_id=a1 agent=ana"), LATER)
    assert unsettled(desk) == ["a1", "q1"]
    desk.close()
