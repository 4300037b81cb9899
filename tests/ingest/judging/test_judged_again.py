"""A configuration that changes judges what is settled again, where it must, and leaves the rest alone."""

import datetime as dt
from pathlib import Path

import pytest

from ingest.judging.judging import Judging
from ingest.publishing.publish import Moment
from metrics.configuration.campaigns import Configuration, Defaults, Term
from tests.support.stories.stream import DEFAULTS, Desk, Event, at, campaign, configured, local, read_story

pytestmark = pytest.mark.slow

SHIFTS = """
08:00:00 state agent=amina state=available
08:00:00 state agent=driss state=busy
09:00:00 state agent=driss state=offline
32:00:00 state agent=amina state=busy
33:00:00 state agent=amina state=offline
34:00:00 state agent=driss state=busy
35:00:00 state agent=driss state=offline
60:00:00 state agent=amina state=available
60:00:00 state agent=driss state=available
"""
LATER = at("61:00:00")
STATES = "SELECT agent, state, started_at, ended_at, seconds FROM agent_states ORDER BY agent, started_at"


def limited(hours: float) -> Configuration:
    return configured(defaults=Defaults(max_state_s=hours * 3600))


def timeline(home: Path, *limits: float, settle_rows: int = 1) -> list[Event]:
    """What is published by the last limit [h], after the others were in force one after the other."""
    desk = Desk(home, limited(limits[0]), settle_rows)
    desk.apply(read_story(SHIFTS), LATER)
    for limit in limits:
        desk.publisher.configure(limited(limit))
        desk.publish(LATER)
        desk.publish(LATER)
    return desk.rows(STATES)


@pytest.mark.parametrize("limits", [(12, 6), (6, 12), (12, 0.5), (12, 30, 12)], ids=str)
def test_settled_states_are_cut_by_a_new_limit(tmp_path: Path, limits: tuple[float, ...]) -> None:
    expected = timeline(tmp_path / "fresh", limits[-1], settle_rows=10_000)
    assert timeline(tmp_path / "changed", *limits) == expected
    assert timeline(tmp_path / "before", limits[0], settle_rows=10_000) != expected or limits[0] == limits[-1]


def test_a_limit_changed_while_the_consumer_was_down_is_noticed(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "changed", limited(12))
    desk.apply(read_story(SHIFTS), LATER)
    desk.publish(LATER)
    desk.close()
    desk = Desk(tmp_path / "changed", limited(6))
    desk.publish(LATER)
    assert desk.rows(STATES) == timeline(tmp_path / "fresh", 6, settle_rows=10_000)


def test_states_that_a_new_limit_does_not_cut_stay_settled(tmp_path: Path) -> None:
    desk = Desk(tmp_path, limited(12), settle_rows=1)
    desk.apply([e for e in read_story(SHIFTS) if e["agent"] == "driss"], LATER)
    desk.publish(LATER)
    files = set((tmp_path / "published").rglob("*.parquet"))
    desk.publisher.configure(limited(6))
    desk.publish(LATER)
    assert files and set((tmp_path / "published").rglob("*.parquet")) == files


CALLS = """
08:00:00 queued call_id=monday
08:00:30 answered call_id=monday agent=amina
08:10:00 ended call_id=monday
32:00:00 queued call_id=tuesday
32:00:30 answered call_id=tuesday agent=amina
32:10:00 ended call_id=tuesday
"""
TUESDAY = local("2026-03-11 00:00")
IN_TIME = "SELECT call_id, in_threshold, threshold_s FROM calls ORDER BY cohort_at"


def of_terms(*terms: Term) -> Configuration:
    return configured(campaign("sav", "UTC", *terms))


def in_time(desk: Desk) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in desk.rows(IN_TIME)]


def test_a_term_added_judges_settled_calls_from_its_day_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path, of_terms(Term()))
    desk.apply(read_story(CALLS), LATER)
    desk.publish(LATER)
    assert in_time(desk) == [("monday", False, 20), ("tuesday", False, 20)]
    monday = set((tmp_path / "published" / "calls" / "day=2026-03-10").iterdir())
    desk.publisher.configure(of_terms(Term(valid_to=TUESDAY), Term(valid_from=TUESDAY, threshold_s=30)))
    desk.publish(LATER)
    assert in_time(desk) == [("monday", False, 20), ("tuesday", True, 30)]
    assert set((tmp_path / "published" / "calls" / "day=2026-03-10").iterdir()) == monday
    desk.publisher.configure(of_terms(Term(threshold_s=40)))  # a term rewritten is another contract
    desk.publish(LATER)
    assert in_time(desk) == [("monday", True, 40), ("tuesday", True, 40)]


def test_a_changed_contract_leaves_the_calls_of_other_campaigns_settled(tmp_path: Path) -> None:
    desk = Desk(tmp_path, of_terms(Term()))
    desk.apply(read_story(CALLS) + read_story("08:00:00 queued call_id=vip campaign=vip event_id=v1"), LATER)
    desk.publish(LATER)
    desk.publisher.configure(of_terms(Term(threshold_s=40)))
    desk.publisher.judge(Moment(LATER, LATER))
    assert desk.store.connection.execute("SELECT call_id FROM calls ORDER BY ALL").fetchall() == [
        ("monday",),
        ("tuesday",),
    ]
    desk.close()


def test_a_stop_between_the_change_and_its_judging_is_made_up_for(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    desk = Desk(tmp_path, of_terms(Term()))
    desk.apply(read_story(CALLS), LATER)
    desk.publish(LATER)
    desk.publisher.configure(of_terms(Term(threshold_s=40)))
    rejudge, desk.store.rejudge = desk.store.rejudge, stop  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        desk.publish(LATER)
    desk.store.rejudge = rejudge  # type: ignore[method-assign]
    desk.publish(LATER)
    assert in_time(desk) == [("monday", True, 40), ("tuesday", True, 40)]


@pytest.mark.parametrize("settle_rows", [1, 10_000], ids=["settled", "not settled"])
def test_defaults_judge_campaigns_that_nobody_configured(tmp_path: Path, settle_rows: int) -> None:
    desk = Desk(tmp_path, DEFAULTS, settle_rows)
    desk.apply(read_story(CALLS), LATER)
    desk.publish(LATER)
    desk.publisher.configure(configured(defaults=Defaults(term=Term(threshold_s=40))))
    desk.publish(LATER + dt.timedelta(seconds=1))
    assert in_time(desk) == [("monday", True, 40), ("tuesday", True, 40)]


def test_a_correction_may_take_the_only_campaign_away(tmp_path: Path) -> None:
    desk = Desk(tmp_path, DEFAULTS)
    desk.apply(read_story("09:00:00 state agent=ana state=available campaign=sav event_id=s1"), LATER)
    desk.publish(LATER)
    desk.apply(read_story("09:00:00 state agent=ana state=available event_id=s1 revision=1"), LATER)
    desk.publish(LATER)
    assert desk.rows("SELECT DISTINCT campaign FROM agent_states") == [{"campaign": None}]
    assert desk.rows("FROM campaigns") == []
    desk.close()


def test_a_call_given_up_by_a_clock_that_was_ahead_is_open_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, DEFAULTS)
    desk.apply(read_story("09:00:00 queued"), at("09:00:10"))
    desk.publish(at("60:00:00"))
    desk.publish(at("60:00:00"))
    outcome = "SELECT outcome, wait_s FROM calls"
    assert desk.rows(outcome) == [{"outcome": "dropped", "wait_s": 14_400.0}]
    assert desk.rows("FROM recent_calls") == []  # it has settled
    desk.publish(at("09:05:00"))
    assert desk.rows(outcome) == [{"outcome": "open", "wait_s": 300.0}]
    desk.publish(at("13:00:01"))
    assert desk.rows(outcome) == [{"outcome": "dropped", "wait_s": 14_400.0}]


def test_a_state_that_settled_by_a_clock_that_was_ahead_lasts_until_now(tmp_path: Path) -> None:
    desk = Desk(tmp_path, DEFAULTS)
    desk.apply(read_story("08:00:00 state agent=ana state=busy\n10:00:00 state agent=ana state=paused"), at("10:00:00"))
    desk.publish(at("60:00:00"))
    seconds = "SELECT seconds FROM agent_states WHERE state = 'busy'"
    assert desk.rows(seconds) == [{"seconds": 7_200.0}]
    desk.publish(at("09:00:00"))
    assert desk.rows(seconds) == [{"seconds": 3_600.0}]
    desk.publish(at("60:00:00"))
    assert desk.rows(seconds) == [{"seconds": 7_200.0}]


def test_a_call_that_the_most_patient_campaign_gave_up_ahead_of_time_is_open_again(tmp_path: Path) -> None:
    """It lies on the day before, in its campaign's local time, and at this instant has not waited for too long."""
    patient = campaign("patient", "America/New_York", give_up_after_s=72 * 3600)
    hasty = campaign("hasty", give_up_after_s=3600)
    desk = Desk(tmp_path, configured(hasty, patient))
    desk.apply(read_story("01:00:00 queued campaign=patient"), at("01:00:00"))
    outcome = "SELECT day, outcome FROM calls"
    for clock, expected in (("100:00:00", "dropped"), ("73:00:00", "open"), ("73:00:01", "dropped")):
        desk.publish(at(clock))
        assert desk.rows(outcome) == [{"day": dt.date(2026, 3, 9), "outcome": expected}]
    desk.close()


NO_LONGER_MOVING = """
55:00:00 queued call_id=given-up
58:00:00 queued call_id=left
58:05:00 left_queue call_id=left reason=timeout
58:00:00 queued call_id=closed-by-a-state
58:01:00 answered call_id=closed-by-a-state agent=amina
58:30:00 state agent=amina state=available
59:00:00 state agent=amina state=paused
"""


def test_what_no_longer_moves_stays_settled_when_the_consumer_starts_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(read_story(NO_LONGER_MOVING), LATER)
    desk.publish(LATER)
    desk.close()
    desk = Desk(tmp_path)
    desk.publisher.judge(Moment(LATER, LATER))
    assert desk.store.connection.execute("SELECT event_id FROM events").fetchall() == [("e07",)]
    desk.close()


def test_settled_states_stay_so_while_the_clock_is_behind_them(tmp_path: Path) -> None:
    """At the next settling their agent's state at that time is not old enough to settle."""
    desk = Desk(tmp_path)
    story = "08:00:00 state agent=ana state=busy campaign=sav\n08:50:00 state agent=ana state=paused"
    desk.apply(read_story(story), at("08:50:00"))
    desk.publish(at("60:00:00"))
    desk.apply(read_story("08:00:00 queued event_id=l1\n08:01:00 abandoned event_id=l2"), at("08:50:00"))
    desk.publish(at("09:00:00"))
    assert desk.rows("FROM recent_calls") == []  # it has settled
    desk.close()
    desk = Desk(tmp_path)
    desk.publish(at("09:00:00"))
    assert [row["state"] for row in desk.rows(STATES)] == ["busy", "paused"]
    desk.close()


ENDED_AND_GOING_ON = """
08:00:00 queued call_id=ended
08:00:30 answered call_id=ended agent=amina
08:10:00 ended call_id=ended
08:20:00 queued call_id=abandoned
08:21:00 abandoned call_id=abandoned
60:59:00 queued call_id=going-on
40:00:00 state agent=sara state=busy
49:00:00 state agent=sara state=available
60:00:00 state agent=sara state=available
40:00:00 profile agent=sara name=Sara
"""


def test_only_what_moves_is_judged_at_later_publishes(tmp_path: Path) -> None:
    """A state told again lasts for 12 h from then: sara's timeline does not change at 61:00."""
    desk = Desk(tmp_path, settle_rows=10_000)
    desk.apply(read_story(ENDED_AND_GOING_ON), LATER)
    desk.publish(LATER)
    for later_s in (1, 2):
        moment = LATER + dt.timedelta(seconds=later_s)
        desk.publisher.judge(Moment(moment, moment))
        assert desk.store.connection.execute("FROM calls_to_judge").fetchall() == [("going-on",)]
        assert desk.store.connection.execute("FROM changed_timelines").fetchall() == []
        assert desk.store.connection.execute("FROM changed_profiles").fetchall() == []
    desk.close()


def test_a_later_state_is_judged_from_the_one_before_it_on(tmp_path: Path) -> None:
    """What is not settled before that one stays as it is, once."""
    desk = Desk(tmp_path)
    for clock, story in (
        ("12:00:00", "08:00:00 state agent=ana state=busy \n 09:00:00 state agent=ana state=available"),
        ("12:01:00", "11:50:00 state agent=ana state=paused \n 11:55:00 state agent=ana state=busy"),
        ("12:02:00", "12:01:30 state agent=ana state=wrap_up"),
        ("14:00:00", "13:59:00 state agent=ana state=offline"),  # all before it settles
    ):
        desk.apply([event | {"event_id": event["ts"]} for event in read_story(story)], at(clock))
        desk.publish(at(clock))
    states = [(row["state"], row["started_at"]) for row in desk.rows(STATES)]
    assert states == [
        ("busy", at("08:00:00")),
        ("available", at("09:00:00")),
        ("paused", at("11:50:00")),
        ("busy", at("11:55:00")),
        ("wrap_up", at("12:01:30")),
        ("offline", at("13:59:00")),
    ]
    desk.close()


def test_all_is_judged_after_a_judging_that_did_not_end_and_when_the_clock_went_back(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.publish(LATER)  # the configuration is beside the store by then
    judging = Judging(desk.store)
    assert judging.starts_over(LATER)
    judging.begin(LATER)
    assert judging.starts_over(LATER)
    judging.finish(LATER)
    assert not judging.starts_over(LATER)
    assert judging.starts_over(LATER - dt.timedelta(microseconds=1))
    judging.begin(LATER)
    assert judging.starts_over(LATER)
    desk.close()


def test_a_lost_logout_is_published_when_its_limit_comes_and_stays(tmp_path: Path) -> None:
    """Whatever the agent does after it; a logout that came after all goes on with it."""

    def states(as_of: str) -> list[tuple[object, ...]]:
        desk.publish(at(as_of))
        return [(row["state"], row["started_at"], row["ended_at"]) for row in desk.rows(STATES)]

    def tell(line: str) -> None:
        desk.apply([event | {"event_id": line} for event in read_story(line)], LATER)

    desk = Desk(tmp_path, settle_rows=10_000)
    tell("08:00:00 state agent=amina state=available")
    begin, limit, login = at("08:00:00"), at("20:00:00"), at("23:00:00")
    assert states("19:59:59.999999") == [("available", begin, None)]
    available = ("available", begin, limit)
    assert states("20:00:00") == [available, ("offline", limit, None)]
    tell("22:00:00 state agent=amina state=offline")
    assert states("22:30:00") == [available, ("offline", limit, None)]
    tell("23:00:00 state agent=amina state=busy")
    assert states("23:30:00") == [available, ("offline", limit, login), ("busy", login, None)]
    desk.close()


def test_who_lost_all_states_and_profiles_to_a_correction_has_none_when_all_is_judged_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, settle_rows=10_000)
    events = read_story("""
        08:00:00 state agent=ana state=available
        08:00:00 profile agent=ana name=Ana
        08:00:00 rang agent=ana
    """)
    desk.apply(events, LATER)
    desk.publish(at("09:00:00"))
    desk.apply([event | {"agent": "bea", "revision": 1} for event in events[:2]], LATER)
    desk.publisher.configure(DEFAULTS)
    desk.publish(at("09:00:00"))
    agents = desk.rows("SELECT agent, name, state FROM agents ORDER BY agent")
    assert [tuple(row.values()) for row in agents] == [("ana", "ana", None), ("bea", "Ana", "available")]
    assert [row["agent"] for row in desk.rows(STATES)] == ["bea"]
    desk.close()


def test_a_call_that_lost_its_only_event_to_a_correction_is_gone_when_all_is_judged_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, settle_rows=10_000)
    desk.apply(read_story("09:00:00 abandoned call_id=old"), LATER)
    desk.publish(LATER)
    desk.apply(read_story("09:00:00 abandoned call_id=new revision=1"), LATER)
    desk.publisher.configure(DEFAULTS)
    desk.publish(LATER)
    assert desk.rows("SELECT call_id FROM calls") == [{"call_id": "new"}]
    desk.close()


def test_a_profile_told_later_or_of_an_earlier_time_is_published_at_once(tmp_path: Path) -> None:
    names = "SELECT name, team FROM agents"
    desk = Desk(tmp_path, settle_rows=10_000)
    desk.apply(read_story("08:00:00 profile agent=amina name=Amina team=red"), LATER)
    desk.publish(LATER)
    assert desk.rows(names) == [{"name": "Amina", "team": "red"}]
    desk.apply(read_story("09:00:00 profile agent=amina name=Nour event_id=p2"), LATER)
    desk.publish(LATER)
    assert desk.rows(names) == [{"name": "Nour", "team": "red"}]
    desk.apply(read_story("08:30:00 profile agent=amina name=Old team=blue event_id=p3"), LATER)
    desk.publish(LATER)
    assert desk.rows(names) == [{"name": "Nour", "team": "blue"}]
    desk.close()


def test_a_profile_of_the_future_is_published_when_its_time_comes(tmp_path: Path) -> None:
    desk = Desk(tmp_path, settle_rows=10_000)
    story = "08:00:00 profile agent=amina name=Amina \n 60:30:00 profile agent=amina name=Nour"
    desk.apply(read_story(story), LATER)
    for before_s, name in ((1801, "Amina"), (1800, "Nour")):
        desk.publish(LATER - dt.timedelta(seconds=before_s))
        assert desk.rows("SELECT name FROM agents") == [{"name": name}]
    desk.close()
