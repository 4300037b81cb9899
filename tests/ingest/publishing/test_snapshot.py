"""What a publish writes: what changed, into the file of the last one; everything, when it cannot know what changed."""

import itertools
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from ingest.errors import StoreError
from ingest.publishing import snapshot
from ingest.publishing.publish import Moment
from tests.support.stories.stream import Desk, Event, at, campaign, configured, read_story

SAV = configured(campaign("sav"))
FIRST = """
08:00:00 state agent=ana state=available campaign=sav
08:00:00 state agent=ben state=available campaign=sav
09:00:00 queued
09:00:10 answered agent=ana
09:00:10 state agent=ana state=busy
09:05:00 ended
09:05:00 state agent=ana state=available
"""
SECOND = """
09:06:00 queued call_id=c2
09:06:20 answered call_id=c2 agent=ben
09:06:20 state agent=ben state=busy
"""
CALLS = "SELECT call_id, caller FROM calls ORDER BY ALL"
STATES = "SELECT agent, state, reason FROM agent_states ORDER BY agent, started_at"
NUMBERS = itertools.count()
NEW = [{"call_id": "c1", "caller": None}, {"call_id": "c2", "caller": None}]


def events(story: str) -> list[Event]:
    """Return the events of `story`, with identifiers that no other event has."""
    return [event | {"event_id": f"e{next(NUMBERS)}"} for event in read_story(story)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A floor with one call, published. The next file has a mark in every row of calls and states."""
    desk = Desk(tmp_path, SAV, settle_rows=1_000)
    desk.apply(events(FIRST), at("09:05:30"))
    desk.publish(at("09:05:30"))
    desk.store.sql("UPDATE snapshot.recent_calls SET caller = 'mark'")
    desk.store.sql("UPDATE snapshot.recent_agent_states SET reason = 'mark'")
    return desk


def test_a_publish_writes_the_rows_that_changed_and_no_others(desk: Desk) -> None:
    desk.apply(events(SECOND), at("09:06:30"))
    desk.publish(at("09:06:30"))
    assert desk.rows(CALLS) == [{"call_id": "c1", "caller": "mark"}, {"call_id": "c2", "caller": None}]
    assert [(row["agent"], row["state"], row["reason"]) for row in desk.rows(STATES)] == [
        ("ana", "available", "mark"),
        ("ana", "busy", "mark"),
        ("ana", "available", "mark"),
        ("ben", "available", None),
        ("ben", "busy", None),
    ]


def test_a_state_rewrites_its_agents_timeline_from_the_state_before_it_on(desk: Desk) -> None:
    """All of it, for an agent who was in no state before."""
    desk.apply(events("09:06:00 state agent=ana state=paused \n 09:06:00 state agent=cai state=paused"), at("09:06:30"))
    desk.publish(at("09:06:30"))
    assert [(row["agent"], row["state"], row["reason"]) for row in desk.rows(STATES)] == [
        ("ana", "available", "mark"),
        ("ana", "busy", "mark"),
        ("ana", "available", None),
        ("ana", "paused", None),
        ("ben", "available", "mark"),
        ("cai", "paused", None),
    ]


def test_what_settles_leaves_the_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path, SAV)
    desk.apply(events(FIRST), at("09:05:30"))
    for clock, calls, states in (
        ("09:05:30", ["c1"], ["available", "busy", "available"]),
        ("09:30:00", [], ["available"]),
    ):
        desk.publish(at(clock))
        assert [row["call_id"] for row in desk.rows("SELECT call_id FROM recent_calls")] == calls
        recent = "SELECT state FROM recent_agent_states WHERE agent = 'ana' ORDER BY started_at"
        assert [row["state"] for row in desk.rows(recent)] == states
    assert len(desk.rows(CALLS)) == 1 and len(desk.rows(STATES)) == 4
    desk.close()


def test_the_state_in_force_lasts_longer_at_each_publish(desk: Desk) -> None:
    desk.publish(at("09:07:30"))
    seconds = "SELECT seconds FROM agent_states WHERE ended_at IS NULL ORDER BY agent"
    assert desk.rows(seconds) == [{"seconds": 150.0}, {"seconds": 4050.0}]


@pytest.mark.parametrize("clocks", [("09:00:00", "09:30:00", "11:00:00"), ("11:00:00",)], ids=["goes on", "has ended"])
@pytest.mark.parametrize("is_first", [True, False], ids=["new file", "file of the last publish"])
def test_a_state_lasts_until_its_end_or_until_now(tmp_path: Path, clocks: tuple[str, ...], is_first: bool) -> None:
    """Its end may be ahead of the clock."""
    desk = Desk(tmp_path, SAV, settle_rows=1_000)
    if not is_first:
        desk.publish(at("08:30:00"))
    desk.apply(events("08:00:00 state agent=ana state=busy \n 10:00:00 state agent=ana state=paused"), at("10:00:00"))
    for clock in clocks:
        desk.publish(at(clock))
        lasted = min(at(clock), at("10:00:00")) - at("08:00:00")
        assert desk.rows("SELECT seconds FROM agent_states WHERE state = 'busy'") == [
            {"seconds": lasted.total_seconds()}
        ]
    desk.close()


TALK = """
09:00:00 queued call_id=c1 event_id=q1
09:01:00 answered call_id=c1 agent=ana event_id=a1
"""
AGENTS = {
    "a call begins and ends": [
        ("09:02:00", TALK, {"ana": "c1"}),
        ("09:06:00", "09:05:00 ended call_id=c1", {"ana": None}),
    ],
    "a call moves to another agent": [
        ("09:02:00", TALK, {"ana": "c1"}),
        ("09:03:00", "09:00:30 answered call_id=c1 agent=ben event_id=a0", {"ana": None, "ben": "c1"}),
    ],
    "an event names another agent": [
        ("09:02:00", TALK, {"ana": "c1"}),
        ("09:03:00", "09:01:00 answered call_id=c1 agent=ben event_id=a1 revision=1", {"ben": "c1"}),
    ],
    "a content that does not count names nobody": [
        ("09:02:00", TALK.replace("event_id=a1", "event_id=a1 revision=2"), {"ana": "c1"}),
        ("09:03:00", "09:01:00 answered call_id=c1 agent=ben event_id=a1 revision=1", {"ana": "c1"}),
    ],
    "another event still names the agent": [
        ("09:02:00", TALK + "09:00:30 rang call_id=c1 agent=ana", {"ana": "c1"}),
        ("09:03:00", "09:01:00 answered call_id=c1 agent=ben event_id=a1 revision=1", {"ana": None, "ben": "c1"}),
    ],
    "a call rings": [
        ("09:02:00", TALK, {"ana": "c1"}),
        ("09:03:00", "09:02:30 rang call_id=c2 agent=ben", {"ana": "c1", "ben": None}),
    ],
    "nothing happens for twelve hours": [("09:02:00", TALK, {"ana": "c1"}), ("21:01:01", "", {"ana": None})],
    "a dialer names an agent": [
        ("09:02:00", TALK, {"ana": "c1"}),
        ("09:03:00", "09:02:30 dialed call_id=c2 agent=ben", {"ana": "c1"}),
    ],
}


@pytest.mark.parametrize("steps", AGENTS.values(), ids=AGENTS)
def test_agents_are_published_as_they_are(tmp_path: Path, steps: list[tuple[str, str, dict[str, str | None]]]) -> None:
    """In the file of the last publish as in a new one."""
    desk = Desk(tmp_path, SAV, settle_rows=1_000)
    desk.publish(at("08:59:00"))
    for clock, story, expected in steps:
        desk.apply([{"event_id": f"e{next(NUMBERS)}"} | event for event in read_story(story)], at(clock))
        for is_new in (False, True):
            if is_new:
                desk.publisher.configure(SAV)
            desk.publish(at(clock))
            found = desk.rows("SELECT agent, call_id FROM agents ORDER BY agent")
            assert {row["agent"]: row["call_id"] for row in found} == expected
    desk.close()


def test_agents_that_did_nothing_are_not_written(desk: Desk) -> None:
    desk.store.sql("UPDATE snapshot.agents SET team = 'mark'")
    second = events(SECOND)
    for load in (second, [second[1] | {"revision": 1}]):
        desk.apply(load, at("09:06:30"))
    desk.publish(at("09:06:30"))
    teams = desk.rows("SELECT agent, team FROM agents ORDER BY agent")
    assert teams == [{"agent": "ana", "team": "mark"}, {"agent": "ben", "team": None}]


def test_a_profile_is_published_from_its_instant_on(desk: Desk) -> None:
    desk.apply(events("09:06:00 profile agent=ana team=blue"), at("09:05:40"))
    for clock, team in (("09:05:50", None), ("09:06:00", "blue")):
        desk.publish(at(clock))
        assert desk.rows("SELECT team FROM agents WHERE agent = 'ana'") == [{"team": team}]
    desk.close()


def judged(desk: Desk, clock: str) -> list[tuple[str, bool]]:
    """The calls judged at `clock`, and whether their end is inferred."""
    desk.publisher.judge(Moment(at(clock), at(clock)))
    return desk.store.sql("SELECT call_id, inferred_end FROM just_judged_calls ORDER BY ALL").fetchall()


def test_a_call_in_talk_is_judged_again_only_if_its_agent_does_something(tmp_path: Path) -> None:
    """An event that is delivered again is nothing that the agent does."""
    desk = Desk(tmp_path, SAV, settle_rows=1_000)
    talks = (f"09:00:0{n} queued call_id=c{n}\n09:01:00 answered call_id=c{n} agent=a{n}\n" for n in range(3))
    paused = events("09:01:00 state agent=a2 state=paused campaign=sav")
    desk.apply(events("".join(talks)) + paused, at("09:02:00"))
    desk.publish(at("09:02:00"))
    desk.apply(events("09:03:00 state agent=a1 state=available campaign=sav") + paused, at("09:03:01"))
    assert judged(desk, "09:03:01") == [("c1", True)]


def test_a_call_in_talk_ends_with_its_agents_next_answer_and_goes_on_if_that_moves_away(tmp_path: Path) -> None:
    """Each time it is judged with that batch, and not again at later publishes."""
    desk = Desk(tmp_path, SAV, settle_rows=1_000)
    for story, ended_at in (
        ("09:00:00 queued call_id=c1 event_id=q1 \n 09:01:00 answered call_id=c1 agent=ana event_id=a1", None),
        (
            "09:02:00 queued call_id=c2 event_id=q2 \n 09:03:00 answered call_id=c2 agent=ana event_id=a2",
            at("09:03:00"),
        ),
        ("09:03:00 answered call_id=c2 agent=ben event_id=a2 revision=1", None),
    ):
        desk.apply(read_story(story), at("09:03:10"))
        desk.publish(at("09:03:10"))
        assert desk.rows("SELECT ended_at FROM calls WHERE call_id = 'c1'") == [{"ended_at": ended_at}]
        assert judged(desk, "09:03:10") == []
    desk.close()


def an_hour(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(snapshot, "ANEW_AFTER_S", 0.0)


def a_large_file(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(snapshot, "LEAST_BYTES", 0)
    patch.setattr(snapshot, "ANEW_AT_TIMES", 0)


def a_configuration(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    desk.publisher.configure(SAV)


def an_earlier_clock(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    desk.publish(at("09:05:00"))


def an_error_while_it_is_written(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    desk.store.sql("ALTER TABLE snapshot.alarms RENAME TO elsewhere")
    with pytest.raises(StoreError):
        desk.publish(at("09:06:30"))


def an_error_while_it_is_copied(desk: Desk, patch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with patch.context() as here:
        here.setattr(snapshot.shutil, "copyfile", full)
        with pytest.raises(StoreError):
            desk.publish(at("09:06:30"))


@pytest.mark.parametrize(
    "trouble",
    [
        an_hour,
        a_large_file,
        a_configuration,
        an_earlier_clock,
        an_error_while_it_is_written,
        an_error_while_it_is_copied,
    ],
)
def test_everything_is_written_after(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Desk, pytest.MonkeyPatch], None]
) -> None:
    desk.apply(events(SECOND), at("09:06:30"))
    trouble(desk, monkeypatch)
    desk.publish(at("09:06:30"))
    assert desk.rows(CALLS) == NEW
    assert not [row for row in desk.rows(STATES) if row["reason"] == "mark"]


def test_what_a_killed_consumer_left_is_not_used(desk: Desk, tmp_path: Path) -> None:
    left = tmp_path / "snapshot.duckdb"
    desk.close()
    assert left.exists()
    with duckdb.connect(str(left)) as foreign:
        foreign.execute("CREATE TABLE recent_foreign AS SELECT 1")
    desk = Desk(tmp_path, SAV, settle_rows=1_000)
    assert not left.exists()
    desk.publish(at("09:06:30"))
    assert desk.rows(CALLS) == NEW[:1]
    desk.publisher.close()
    assert not left.exists()
