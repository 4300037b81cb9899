"""Alert rules, by what is published: when they fire, how long they last, and what a restart leaves."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from ingest.alerting.alerting import COLUMNS, KEPT
from ingest.publishing.publish import Moment, Place
from ingest.rebuild import rebuild
from metrics.configuration import campaigns
from metrics.configuration.alerts import AlertRule
from metrics.configuration.campaigns import Configuration
from metrics.kpis.alert_figures import MOST_KEPT
from metrics.published import relations
from tests.support.processes import ROOT
from tests.support.stories.stream import PARTITION, PERSONS, Desk, Event, at, campaign, configured, read_story

pytestmark = pytest.mark.slow

WAIT = AlertRule("long-wait", "longest_wait_s", "above", 120, 60, for_s=30, notify=("floor",))
LEVEL = AlertRule("level", "service_level", "below", 0.7, 0.8, for_s=0, min_calls=10)
SILENT = AlertRule("stale", "feed_age_s", "above", 60, 60, for_s=30, quiet_when_closed=False)
FIRES = "SELECT * FROM alerts WHERE ended_at IS NULL ORDER BY campaign"
ALL = "SELECT * FROM alerts ORDER BY fired_at, campaign"


def rules(*alerts: AlertRule, **other: object) -> Configuration:
    return replace(configured(campaign("sav", **other)), alerts=alerts)


def beat(desk: Desk, moment: dt.datetime) -> None:
    """Let somebody without a campaign do something: a feed without an event for SILENT_S is silent."""
    event = {"event_id": f"beat-{moment}", "ts": moment.isoformat(), "type": "agent.state"}
    desk.apply([event | {"agent": "beat", "state": "available"}], moment)


def fires_at(desk: Desk, clock: str) -> list[Event]:
    """Publish at `clock`, while the feed is not silent; return the alerts that fire."""
    beat(desk, at(clock))
    desk.publish(at(clock))
    return desk.rows(FIRES)


def published(desk: Desk, as_of: str, published_at: str) -> dict[str, float]:
    """Publish what was at `as_of` at `published_at`; return what fires: rule → value."""
    moment = Moment(at(as_of), at(published_at))
    desk.publisher.judge(moment)
    desk.publisher.write(moment)
    return {row["rule"]: row["value"] for row in desk.rows(FIRES)}


def answered(n: int, begin: str, wait_s: int) -> list[Event]:
    """A call queued at `begin` and answered after `wait_s`."""
    queued_at = at(begin)
    answered_at = queued_at + dt.timedelta(seconds=wait_s)
    ended_at = answered_at + dt.timedelta(seconds=1)
    steps = (("queued", queued_at), ("answered", answered_at), ("ended", ended_at))
    events = []
    for step, moment in steps:
        (event,) = read_story(f"09:00:00 {step} call_id=c-{n}" + (f" agent=a{n}" if step == "answered" else ""))
        events.append(event | {"event_id": f"{n}-{step}", "ts": moment.isoformat()})
    return events


def many(begin: str, waits_s: Sequence[int], first: int = 0) -> list[Event]:
    return [event for n, wait_s in enumerate(waits_s, first) for event in answered(n, begin, wait_s)]


def test_a_rule_fires_after_its_time_and_ends_at_its_second_threshold(tmp_path: Path) -> None:
    """The caller still waits when it fires."""
    desk = Desk(tmp_path, rules(WAIT))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    assert fires_at(desk, "09:02:00") == []  # 120 s: not above
    assert fires_at(desk, "09:02:01") == []
    assert fires_at(desk, "09:02:30") == []  # above for 29 s
    (alert,) = fires_at(desk, "09:02:31")
    assert alert | {"alert_id": ""} == {
        **dict.fromkeys(relations.COLUMNS["alerts"]),
        **{"alert_id": "", "rule": "long-wait", "severity": "warning", "figure": "longest_wait_s"},
        **{"campaign": "sav", "client": "client", "comparison": "above", "threshold": 120, "end_threshold": 60},
        **{"value": 151, "worst": 151, "worst_at": at("09:02:31")},
        **{"began_at": at("09:02:01"), "fired_at": at("09:02:31"), "notify": ["floor"], "escalate": []},
    }
    desk.apply(read_story("09:03:30 queued call_id=c2 event_id=second"), at("09:03:30"))
    assert fires_at(desk, "09:03:40")[0]["worst"] == 220
    desk.apply(read_story("09:03:41 abandoned event_id=gone"), at("09:03:41"))
    desk.apply(read_story("09:03:42 queued call_id=c3 event_id=third"), at("09:03:42"))
    (again,) = fires_at(desk, "09:04:31")  # the next caller has waited for 61 s: not below the second threshold
    assert (again["value"], again["worst"], again["worst_at"]) == (61, 220, at("09:03:40"))
    assert again["alert_id"] == alert["alert_id"]
    desk.apply(read_story("09:04:32 abandoned call_id=c2 event_id=gone2"), at("09:04:32"))
    assert fires_at(desk, "09:04:33") == []
    (ended,) = desk.rows(ALL)
    assert (ended["value"], ended["worst"], ended["ended_at"], ended["end_reason"]) == (
        *(51, 220, at("09:04:33"), "recovered"),
    )
    desk.publish(at("09:06:33"))  # the third caller has waited for 171 s
    desk.publish(at("09:07:10"))
    first, second = desk.rows(ALL)
    assert first == ended and second["alert_id"] != ended["alert_id"]


def test_a_condition_that_is_interrupted_begins_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(WAIT))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    assert fires_at(desk, "09:02:20") == []
    desk.apply(read_story("09:02:21 abandoned event_id=e2\n09:02:21 queued call_id=c2 event_id=e3"), at("09:02:21"))
    assert fires_at(desk, "09:02:22") == []
    assert fires_at(desk, "09:04:30") == []
    assert fires_at(desk, "09:04:59") == []
    assert len(fires_at(desk, "09:05:00")) == 1


def test_too_few_calls_neither_fire_nor_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(LEVEL))
    desk.apply(many("09:00:00", [90] * 9), at("09:00:00"))
    assert fires_at(desk, "09:02:00") == []
    desk.apply(many("09:05:00", [90], 9), at("09:05:00"))
    (alert,) = fires_at(desk, "09:07:00")
    assert (alert["value"], alert["calls"], alert["campaign"]) == (0.0, 10, "sav")
    (held,) = fires_at(desk, "09:31:00")  # one call is left in the window
    assert (held["value"], held["calls"]) == (0.0, 10)
    assert fires_at(desk, "09:36:00") == []  # none is left
    assert [(row["end_reason"], row["value"]) for row in desk.rows(ALL)] == [("unmeasured", 0.0)]  # it is not better


def test_what_cannot_be_judged_for_half_an_hour_ends(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(LEVEL))
    desk.apply(many("09:00:00", [90] * 10), at("09:00:00"))
    assert len(fires_at(desk, "09:29:00")) == 1
    for n, minute in enumerate(range(35, 60, 5), 10):  # a late call every five minutes
        desk.apply(answered(n, f"09:{minute}:00", 90), at(f"09:{minute}:00"))
        assert len(fires_at(desk, f"09:{minute}:59" if minute < 55 else "09:58:59")) == 1
    assert fires_at(desk, "09:59:01") == []
    assert [(row["end_reason"], row["calls"]) for row in desk.rows(ALL)] == [("unjudged", 10)]


def test_a_level_above_the_first_threshold_fires_until_the_second(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(LEVEL))
    desk.apply(many("09:00:00", [90] * 4 + [5] * 6), at("09:00:00"))
    assert fires_at(desk, "09:02:00")[0]["value"] == 0.6
    desk.apply(many("09:03:00", [5] * 5, 10), at("09:03:00"))
    (alert,) = fires_at(desk, "09:04:00")  # 11 of 15
    assert alert["value"] == pytest.approx(11 / 15) and alert["worst"] == 0.6
    desk.apply(many("09:05:00", [5] * 5, 15), at("09:05:00"))
    assert fires_at(desk, "09:06:00") == []  # 16 of 20: at the second threshold


def test_nothing_fires_on_old_data_and_one_alert_says_that_it_is_old(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(WAIT, SILENT))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))

    assert published(desk, "09:02:05", "09:02:05") == {}
    assert published(desk, "09:02:10", "09:04:00") == {}  # the caller would have fired by this clock
    assert published(desk, "09:02:10", "09:04:29") == {}
    assert published(desk, "09:02:10", "09:04:30") == {"stale": 140.0}
    assert desk.rows("SELECT began_at, fired_at FROM alerts") == [
        {"began_at": at("09:04:00"), "fired_at": at("09:04:30")}
    ]
    beat(desk, at("09:04:59"))
    assert published(desk, "09:05:00", "09:05:00") == {"long-wait": 300.0}  # a minute of the three counts
    assert published(desk, "09:05:30", "09:05:30") == {"long-wait": 330.0}
    assert published(desk, "09:05:40", "09:07:00") == {"long-wait": 330.0}  # held as it was
    assert published(desk, "09:05:40", "09:07:30") == {"long-wait": 330.0, "stale": 110.0}
    desk.apply(read_story("09:07:31 abandoned event_id=e2"), at("09:07:31"))
    assert published(desk, "09:07:40", "09:07:40") == {}


def test_what_a_rule_about_the_feed_says_holds_no_other(tmp_path: Path) -> None:
    """Only data older than 30 s and five minutes of silence do."""
    touchy = [
        AlertRule("age", "feed_age_s", "above", 0.05, 0, for_s=0, severity="info", quiet_when_closed=False),
        AlertRule("silence", "feed_silent_s", "above", 5, 5, for_s=0, severity="info", quiet_when_closed=False),
    ]
    desk = Desk(tmp_path, rules(*touchy, replace(WAIT, for_s=0)))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    assert published(desk, "09:02:01", "09:02:02") == {"age": 1.0, "silence": 121.0, "long-wait": 121.0}
    desk.apply(read_story("09:02:02 abandoned event_id=e2"), at("09:02:02"))
    assert published(desk, "09:02:10", "09:02:40") == {"age": 30.0, "silence": 8.0}  # 30 s are not old yet


def test_after_a_lag_figures_are_judged_before_the_rule_about_it_ends(tmp_path: Path) -> None:
    old = AlertRule("old", "feed_age_s", "above", 60, 10, for_s=0, quiet_when_closed=False)
    desk = Desk(tmp_path, rules(old, replace(WAIT, for_s=0)))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    assert published(desk, "09:02:10", "09:03:20") == {"old": 70.0}
    assert published(desk, "09:02:50", "09:03:21") == {"old": 31.0}
    assert published(desk, "09:02:52", "09:03:22") == {"old": 30.0, "long-wait": 172.0}


def test_a_silent_feed_holds_other_alerts_without_any_rule_about_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(AlertRule("wait", "longest_wait_s", "above", 298, 298, for_s=0)))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    assert published(desk, "09:04:58", "09:04:58") == {}
    assert published(desk, "09:05:01", "09:05:01") == {}
    beat(desk, at("09:05:02"))
    assert published(desk, "09:05:03", "09:05:03") == {"wait": 303.0}
    assert published(desk, "09:10:02", "09:10:02") == {"wait": 602.0}
    assert published(desk, "09:10:03", "09:10:03") == {"wait": 602.0}  # held as it was


def test_while_no_source_sends_anything_other_alerts_are_held(tmp_path: Path) -> None:
    silent = AlertRule("silent", "feed_silent_s", "above", 300, 10, for_s=0, quiet_when_closed=False)
    of_source = AlertRule("switch", "source_silent_s", "above", 310, 10, for_s=0, quiet_when_closed=False)
    desk = Desk(tmp_path, rules(WAIT, of_source, silent))
    desk.apply(read_story('09:00:00 queued source="pbx"'), at("09:00:00"))
    assert published(desk, "09:05:01", "09:05:01") == {"silent": 301.0}
    assert published(desk, "09:08:00", "09:08:00") == {"silent": 480.0}
    desk.apply(read_story('09:08:01 queued call_id=c2 event_id=e2 source="dialer"'), at("09:08:01"))
    desk.publish(at("09:08:02"))
    (alert,) = desk.rows(FIRES)
    assert (alert["rule"], alert["source"], alert["campaign"], alert["value"]) == ("switch", "pbx", None, 482.0)


def test_a_rule_about_sources_can_name_some(tmp_path: Path) -> None:
    some = AlertRule(
        "s", "source_silent_s", "above", 1, 1, for_s=0, sources=frozenset({"pbx"}), quiet_when_closed=False
    )
    desk = Desk(tmp_path, rules(some))
    story = '09:00:00 queued source="pbx"\n09:00:00 queued call_id=c2 source="dialer"'
    desk.apply(read_story(story), at("09:00:00"))
    assert [row["source"] for row in fires_at(desk, "09:00:05")] == ["pbx"]


def test_a_source_that_is_silent_for_a_week_is_not_watched(tmp_path: Path) -> None:
    rule = AlertRule("s", "source_silent_s", "above", 60, 60, for_s=0, quiet_when_closed=False)
    desk = Desk(tmp_path, rules(rule))
    desk.apply(read_story('09:00:00 queued source="pbx"'), at("09:00:00"))
    assert len(fires_at(desk, f"{24 * 7 + 9}:00:00")) == 1
    assert fires_at(desk, f"{24 * 7 + 9}:00:01") == []


def test_what_is_not_read_and_what_was_rejected_can_fire(tmp_path: Path) -> None:
    behind = AlertRule("behind", "lag", "above", 100, 50, for_s=0, quiet_when_closed=False)
    rejected = AlertRule("rejected", "new_dead_letters", "above", 1, 0, for_s=0, quiet_when_closed=False)
    desk = Desk(tmp_path, rules(behind, rejected))
    desk.apply([b"{", b"[", b"no JSON"], at("09:00:00"))

    def publish(clock: str, lag: int) -> dict[str, float]:
        moment = Moment(at(clock), at(clock), {PARTITION: Place(0, lag)})
        desk.publisher.judge(moment)
        desk.publisher.write(moment)
        return {row["rule"]: row["value"] for row in desk.rows(FIRES)}

    assert publish("09:00:01", 101) == {"behind": 101, "rejected": 3}
    assert publish("09:14:00", 51) == {"behind": 51, "rejected": 3}
    assert publish("09:15:01", 50) == {}  # a quarter of an hour later


def test_a_consumer_that_publishes_every_70_s_fires_after_five_minutes(tmp_path: Path) -> None:
    """A minute of each 70 s counts."""
    desk = Desk(tmp_path, rules(AlertRule("queue", "waiting", "above", 0, 0, for_s=300)))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    for clock in ("09:00:10", "09:01:20", "09:02:30", "09:03:40", "09:04:50"):
        assert fires_at(desk, clock) == []
    (alert,) = fires_at(desk, "09:06:00")
    assert (alert["began_at"], alert["fired_at"]) == (at("09:01:00"), at("09:06:00"))
    assert fires_at(desk, "09:07:10")[0] == alert  # while it fires, it began when it began


def test_a_consumer_that_is_behind_says_so_though_it_publishes_every_70_s(tmp_path: Path) -> None:
    (old,) = (rule for rule in campaigns.load(ROOT / "campaigns.toml").alerts if rule.figure == "feed_age_s")
    desk = Desk(tmp_path, rules(old))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    assert published(desk, "09:00:10", "09:00:41") == {}
    assert published(desk, "09:01:15", "09:01:51") == {old.name: 36.0}


@pytest.mark.parametrize("seconds_away", [20, 601])
def test_a_restart_neither_fires_twice_nor_waits_anew(tmp_path: Path, seconds_away: int) -> None:
    """A pending condition goes on if the consumer was away for less than ten minutes."""
    desk = Desk(tmp_path, rules(WAIT))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    assert fires_at(desk, "09:02:11") == []
    desk.close()
    desk = Desk(tmp_path, rules(WAIT))
    back_at = at("09:02:11") + dt.timedelta(seconds=seconds_away)
    beat(desk, back_at)
    desk.publish(back_at)
    desk.publish(back_at + dt.timedelta(seconds=10))
    went_on = seconds_away < 600
    assert [row["began_at"] for row in desk.rows(FIRES)] == [at("09:02:11")] * went_on
    (alert,) = fires_at(desk, "09:14:00")
    desk.close()
    again = Desk(tmp_path, rules(WAIT))
    assert fires_at(again, "09:15:00") == [alert | {"value": 900.0, "worst": 900.0, "worst_at": at("09:15:00")}]
    assert len(again.rows(ALL)) == 1


def test_the_worst_value_outlives_a_kill_within_seconds(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(WAIT))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    for clock in ("09:02:11", "09:02:41"):
        desk.publish(at(clock))
    desk.apply(read_story("09:05:00 queued call_id=c2 event_id=e2"), at("09:05:00"))
    for clock in ("09:06:00", "09:06:09"):
        desk.publish(at(clock))
    desk.apply(read_story("09:06:10 abandoned event_id=e3"), at("09:06:10"))
    desk.close()  # what was not saved by now is lost
    again = Desk(tmp_path, rules(WAIT))
    (alert,) = fires_at(again, "09:06:11")
    assert (alert["value"], alert["worst"], alert["worst_at"]) == (71, 360, at("09:06:00"))


def test_a_changed_rule_goes_on_and_a_removed_one_ends(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(WAIT))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    desk.publish(at("09:02:01"))
    (alert,) = fires_at(desk, "09:02:31")
    desk.publisher.configure(rules(replace(WAIT, severity="critical", notify=("office",), threshold=150)))
    (changed,) = fires_at(desk, "09:02:32")
    assert changed == alert | {
        **{"severity": "critical", "notify": ["office"], "threshold": 150, "value": 152, "worst": 152},
        "worst_at": at("09:02:32"),
    }
    desk.publisher.configure(rules(replace(WAIT, campaigns=frozenset({"ventes"}))))
    assert fires_at(desk, "09:02:33") == []
    assert [(row["ended_at"], row["end_reason"]) for row in desk.rows(ALL)] == [(at("09:02:33"), "removed")]
    desk.publisher.configure(rules(WAIT))
    desk.publish(at("09:02:40"))
    assert len(fires_at(desk, "09:03:10")) == 1
    desk.publisher.configure(rules())
    assert fires_at(desk, "09:03:11") == []
    assert [row["end_reason"] for row in desk.rows(ALL)] == ["removed", "removed"]


def test_a_rule_that_was_removed_while_the_consumer_was_stopped_ends(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(replace(WAIT, for_s=0)))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    assert len(fires_at(desk, "09:03:00")) == 1
    desk.close()
    same_name = AlertRule("long-wait", "waiting", "above", 0, 0, for_s=0)
    again = Desk(tmp_path, rules(same_name))
    assert [row["figure"] for row in fires_at(again, "09:03:05")] == ["waiting"]
    assert [row["end_reason"] for row in again.rows(ALL)] == ["removed", None]


def test_a_closed_campaign_is_quiet_unless_the_rule_says_otherwise(tmp_path: Path) -> None:
    hours = ((540, 543),)  # 09:00–09:03
    always = replace(WAIT, name="always", quiet_when_closed=False)
    desk = Desk(tmp_path, rules(WAIT, always, opening=(hours,) * 7))
    desk.apply(read_story("08:50:00 queued"), at("08:50:00"))
    beat(desk, at("08:59:00"))
    desk.publish(at("08:59:00"))
    assert [row["rule"] for row in fires_at(desk, "08:59:30")] == ["always"]
    desk.publish(at("09:00:01"))
    assert {row["rule"] for row in fires_at(desk, "09:00:31")} == {"always", "long-wait"}
    assert [row["rule"] for row in fires_at(desk, "09:03:00")] == ["always"]
    assert [row["end_reason"] for row in desk.rows(ALL)] == [None, "closed"]


def test_an_alert_is_about_one_campaign(tmp_path: Path) -> None:
    floor = replace(configured(campaign("sav"), campaign("ventes")), alerts=(replace(WAIT, for_s=0),))
    desk = Desk(tmp_path, floor)
    desk.apply(read_story("09:00:00 queued\n09:00:00 queued call_id=c2 campaign=ventes"), at("09:00:00"))
    assert [(row["campaign"], row["value"]) for row in fires_at(desk, "09:03:00")] == [("sav", 180), ("ventes", 180)]
    desk.apply(read_story("09:03:01 abandoned event_id=e3"), at("09:03:01"))
    assert [row["campaign"] for row in fires_at(desk, "09:03:02")] == ["ventes"]


def test_agents_are_counted_for_the_campaign_they_work_for(tmp_path: Path) -> None:
    figures = ("agents_available", "agents_strained", "breaks_overdue", "pauses_too_long")
    watch = [AlertRule(name, name, "above", 0, 0, for_s=0) for name in figures]
    desk = Desk(tmp_path, rules(*watch))
    story = """
        01:00:00 state agent=tired state=busy campaign=sav
        09:00:00 state agent=free state=available campaign=sav
        08:00:00 state agent=away state=paused reason=break campaign=sav
        08:00:00 state agent=eats state=paused reason=lunch campaign=sav
    """
    desk.apply(read_story(story), at("09:00:00"))
    assert {row["rule"]: row["value"] for row in fires_at(desk, "09:00:00")} == {
        **{"agents_available": 1, "agents_strained": 1, "breaks_overdue": 1},
        "pauses_too_long": 1,  # lunch may last an hour, a break a quarter of one
    }


def test_a_rule_counts_the_agents_of_its_sites(tmp_path: Path) -> None:
    watch = [
        AlertRule("fes", "agents_available", "above", 0, 0, for_s=0, sites=frozenset({"fes"})),
        AlertRule("both", "agents_available", "above", 0, 0, for_s=0, sites=frozenset({"fes", "rabat"})),
        AlertRule("oujda", "agents_available", "below", 1, 1, for_s=0, sites=frozenset({"oujda"})),
        AlertRule("nobody's", "agents_available", "below", 1, 1, for_s=0, sites=frozenset({"atlantis"})),
        AlertRule("every", "agents_available", "above", 0, 0, for_s=0),
    ]
    desk = Desk(tmp_path, rules(*watch))
    sites = {"a": "fes", "b": "fes", "c": "rabat", "d": ""}
    story = [f"09:00:00 state agent={agent} state=available campaign=sav" for agent in sites]
    sites |= {"e": "oujda"}  # is not there
    story += [f"08:59:00 profile agent={agent} site={site}" for agent, site in sites.items() if site]
    desk.apply(read_story("\n".join(story)), at("09:00:00"))
    found = {row["rule"]: row["value"] for row in fires_at(desk, "09:00:00")}
    assert found == {"fes": 2, "both": 3, "oujda": 0, "every": 4}  # there is no value for a site that no agent has


def test_a_rule_ends_at_the_highest_level_that_its_target_leaves(tmp_path: Path) -> None:
    """1 - 0.8 is less than 0.2 in floating point."""
    desk = Desk(
        tmp_path, rules(AlertRule("level", "service_level_to_target", "below", -0.1, 0.2, for_s=0, min_calls=1))
    )
    desk.apply(many("09:00:00", [90] * 2), at("09:00:00"))
    assert len(fires_at(desk, "09:02:00")) == 1
    desk.apply(many("09:20:00", [5] * 2, 2), at("09:20:00"))
    assert len(fires_at(desk, "09:21:00")) == 1
    assert fires_at(desk, "09:33:00") == []


def test_the_month_is_compared_with_the_targets_of_its_days(tmp_path: Path) -> None:
    rule = AlertRule("month", "month_to_target", "below", -0.1, 0, for_s=0, min_calls=10)
    desk = Desk(tmp_path, rules(rule))
    desk.apply(many("09:00:00", [90] * 5 + [5] * 5), at("09:00:00"))
    (alert,) = fires_at(desk, "33:00:00")
    assert alert["value"] == pytest.approx(-0.3) and alert["calls"] == 10
    assert fires_at(desk, f"{24 * 30}:00:00") == []  # another month


def test_what_is_usual_is_the_same_time_of_the_last_weeks(tmp_path: Path) -> None:
    rule = AlertRule("odd", "offered", "above", 0.5, 0.2, by_usual=True, for_s=0)
    desk = Desk(tmp_path, rules(rule, timezone="Europe/Paris"))
    number = 0
    for week, calls in ((-3, 20), (-2, 30), (-1, 10), (0, 31)):  # the clocks change between the last two
        moment = dt.datetime(2026, 3, 30, 7, 0, tzinfo=dt.UTC) + dt.timedelta(weeks=week, hours=week < 0)
        events = many("09:00:00", [5] * calls, number)
        moved = moment - at("09:00:00")
        desk.apply([e | {"ts": (dt.datetime.fromisoformat(e["ts"]) + moved).isoformat()} for e in events], moment)
        number += calls
    beat(desk, dt.datetime(2026, 3, 30, 7, 20, tzinfo=dt.UTC))
    desk.publish(dt.datetime(2026, 3, 30, 7, 20, tzinfo=dt.UTC))
    (alert,) = desk.rows(FIRES)
    assert (alert["value"], alert["usual"], alert["threshold"], alert["end_threshold"]) == (31, 20, 30, 24)


def test_without_two_known_weeks_nothing_is_usual(tmp_path: Path) -> None:
    rule = AlertRule("odd", "offered", "above", 0.5, 0.2, by_usual=True, for_s=0)
    desk = Desk(tmp_path, rules(rule))
    desk.apply(many("09:00:00", [5] * 10), at("09:00:00"))
    desk.apply(many(f"{24 * 7 + 9}:00:00", [5] * 30, 10), at("09:00:00"))
    assert fires_at(desk, f"{24 * 7 + 9}:20:00") == []


def test_a_rebuild_keeps_what_fired(tmp_path: Path) -> None:
    configuration = rules(replace(WAIT, for_s=0))
    desk = Desk(tmp_path, configuration)
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    desk.publish(at("09:03:00"))
    before = desk.rows(ALL)
    desk.close()
    rebuild(tmp_path, configuration, PERSONS, lambda *_: None)
    with duckdb.connect(str(tmp_path / "published" / "vigie.duckdb"), read_only=True) as snapshot:
        assert snapshot.execute("SELECT alert_id FROM alerts").fetchall() == [(before[0]["alert_id"],)]


def test_a_store_of_an_older_vigie_gets_the_table(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(replace(WAIT, for_s=0)))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    desk.store.sql("DROP TABLE alerts")
    desk.close()
    assert len(fires_at(Desk(tmp_path, rules(replace(WAIT, for_s=0))), "09:03:00")) == 1


def test_the_store_keeps_the_columns_of_the_relation(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    stored = [row[0] for row in desk.store.sql("DESCRIBE alerts").fetchall()]
    assert stored == [*relations.COLUMNS["alerts"], "seen_at"] == COLUMNS.names


def test_alerts_that_ended_long_ago_are_forgotten(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(AlertRule("queue", "waiting", "above", 0, 0, for_s=0)))
    for n, days in enumerate((0, 1, KEPT.days + 1)):
        hour = 24 * days + 9
        desk.apply(read_story(f"{hour}:00:00 queued call_id=c{n} event_id=q{n}"), at(f"{hour}:00:00"))
        desk.publish(at(f"{hour}:00:30"))
        desk.apply(read_story(f"{hour}:01:00 abandoned call_id=c{n} event_id=a{n}"), at(f"{hour}:01:00"))
        desk.publish(at(f"{hour}:02:00"))
    kept = [row["ended_at"] for row in desk.rows(ALL)]
    assert kept == [at("33:02:00"), at(f"{24 * (KEPT.days + 1) + 9}:02:00")]  # the second ended 93 days before


ENDED = """
INSERT INTO alerts
SELECT a.* REPLACE (concat(alert_id, n) AS alert_id, began_at - to_minutes(n) AS ended_at, 'recovered' AS end_reason)
FROM alerts a, range(1, ?) r(n)
"""


def test_of_many_alerts_that_ended_the_latest_are_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rules(replace(WAIT, for_s=0)))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    (alert,) = fires_at(desk, "09:03:00")
    desk.store.sql(ENDED, [MOST_KEPT + 1])
    desk.apply(read_story("09:03:01 abandoned event_id=e2"), at("09:03:01"))
    assert fires_at(desk, "09:03:02") == []
    ended = desk.rows("SELECT alert_id FROM alerts ORDER BY ended_at DESC")
    assert len(ended) == MOST_KEPT and ended[0] == {"alert_id": alert["alert_id"]}


def test_a_thousand_alerts_fire_at_once_and_end(tmp_path: Path) -> None:
    storm = [replace(WAIT, name=f"rule-{n:04}", for_s=0) for n in range(1_000)]
    desk = Desk(tmp_path, rules(*storm))
    desk.apply(read_story("09:00:00 queued"), at("09:00:00"))
    first = fires_at(desk, "09:03:00")
    assert len({row["alert_id"] for row in first}) == 1_000
    assert {row["alert_id"] for row in fires_at(desk, "09:03:01")} == {row["alert_id"] for row in first}
    desk.apply(read_story("09:03:02 abandoned event_id=e2"), at("09:03:02"))
    assert fires_at(desk, "09:03:03") == []
    assert len(desk.rows(ALL)) == 1_000
