"""A late event brings back as much of a settled timeline as it can change, and no more; so does a late call."""

import datetime as dt
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.stories.stream import DAY, Desk, Event, at, read_story
from tests.support.stories.stretches import busy_days, days_far_apart

pytestmark = pytest.mark.slow

NEVER = 1_000_000  # rows: so many are never there to settle
STATES = "SELECT agent, state, reason, campaign, started_at, ended_at, day FROM agent_states ORDER BY agent, started_at"
CALLS = "SELECT call_id, agent, answered_at, ended_at, inferred_end FROM calls ORDER BY call_id"
FIGURES = "SELECT campaign, day, available_s, busy_s, paused_s FROM kpi_daily ORDER BY campaign, day"

SHIFT = """
    08:00:00 state agent={agent} state=available campaign=sav
    12:00:00 state agent={agent} state=paused campaign=sav
    13:00:00 state agent={agent} state=available campaign=sav
    14:00:00 queued call_id={agent}-{day}
    14:00:10 answered call_id={agent}-{day} agent={agent}
    14:00:10 state agent={agent} state=busy campaign=sav
    14:05:00 ended call_id={agent}-{day}
    14:05:00 state agent={agent} state=available campaign=sav
    17:00:00 state agent={agent} state=offline campaign=sav
"""


def shift(agent: str, day: int) -> list[Event]:
    """What an agent did on a day, counted from DAY."""
    events = read_story(SHIFT.format(agent=agent, day=day), DAY + dt.timedelta(days=day))
    return [event | {"event_id": f"{agent}-{day}-{event['event_id']}"} for event in events]


def unsettled(desk: Desk, relation: str) -> int:
    ((count,),) = desk.store.connection.execute(f"SELECT count(*) FROM {relation}").fetchall()
    return int(count)


def rows_after(home: Path, deliveries: Iterable[Sequence[Event]], as_of: dt.datetime, settle_rows: int) -> list[object]:
    """What is published after `deliveries`, each of them published, and settled, before the next."""
    desk = Desk(home, settle_rows=settle_rows)
    for events in deliveries:
        desk.apply(events, as_of)
        desk.publish(as_of)
    found = [desk.rows(query) for query in (STATES, CALLS, FIGURES)]
    desk.store.close()
    return found


def assert_as_never_settled(home: Path, deliveries: Sequence[Sequence[Event]], as_of: dt.datetime) -> None:
    settled = rows_after(home / "settled", deliveries, as_of, 1)
    assert settled == rows_after(home / "fresh", [list(itertools.chain(*deliveries))], as_of, NEVER)


# How much comes back --------------------------------------------------------------------------------------------

PAST = 8


@pytest.mark.parametrize("parts", [1, 3])
def test_a_past_that_comes_newest_first_brings_back_no_more_the_longer_it_is(tmp_path: Path, parts: int) -> None:
    later = at("20:00:00", DAY + dt.timedelta(days=PAST))
    desk = Desk(tmp_path)
    desk.apply(shift("ana", PAST) + shift("bob", PAST), later)
    desk.publish(later)
    events, states, files = [], [], []
    for day in reversed(range(PAST)):
        of_day = sorted(shift("ana", day) + shift("bob", day), key=lambda event: event["ts"])
        for part in range(parts):
            before = {file.name for file in counted_files(desk)}
            desk.apply(of_day[part * len(of_day) // parts : (part + 1) * len(of_day) // parts], later)
            events.append(unsettled(desk, "events"))
            desk.publish(later)
            states.append(unsettled(desk, "timeline"))
            files.append(len(before - {file.name for file in counted_files(desk)}))
    assert events[-parts:] == events[parts : 2 * parts]
    assert max(states) == 2  # who is offline now
    assert max(files[2 * parts :]) <= max(files[: 2 * parts])
    assert len(desk.rows(STATES)) == 2 * 6 * (PAST + 1)
    desk.store.close()


def counted_files(desk: Desk) -> list[Path]:
    found = desk.store.connection.execute("SELECT file FROM segments WHERE relation = 'agent_states'").fetchall()
    return [Path(file) for (file,) in found]


def test_a_late_state_brings_back_the_rest_of_its_day_only(tmp_path: Path) -> None:
    later = at("20:00:00", DAY + dt.timedelta(days=PAST))
    desk = Desk(tmp_path)
    desk.apply([event for day in range(PAST + 1) for event in shift("ana", day)], later)
    desk.publish(later)
    before = unsettled(desk, "events")
    desk.apply(read_story("12:30:00 state agent=ana state=busy campaign=sav event_id=late"), later)
    found = desk.store.connection.execute("SELECT min(ts), max(ts), count(*) FROM recalled_contents").fetchall()
    assert found == [(at("12:00:00"), at("17:00:00"), 5)]
    assert unsettled(desk, "events") == before + 5 + 1
    desk.publish(later)
    assert unsettled(desk, "events") == before
    assert unsettled(desk, "recalled_stretches") == 0
    desk.store.close()


def rows_of_files(published: Path, query: str) -> int:
    """Return how many rows of agents' states a query reads from Parquet files."""

    def read(operator: dict[str, Any]) -> int:
        info = operator.get("extra_info", {})
        is_states = info.get("Function") == "READ_PARQUET" and "started_at" in info["Projections"]
        return (operator["operator_cardinality"] if is_states else 0) + sum(map(read, operator["children"]))

    with duckdb.connect(str(published), read_only=True) as reader:
        ((_, plan),) = reader.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}").fetchall()
    return sum(map(read, json.loads(plan)["children"]))


def test_who_asks_for_now_reads_the_last_days_only(tmp_path: Path) -> None:
    later = at("20:00:00", DAY + dt.timedelta(days=PAST))
    desk = Desk(tmp_path)
    desk.apply([event for day in range(PAST + 1) for event in shift("ana", day)], later)
    desk.publish(later)
    desk.store.close()
    published = tmp_path / "published" / "vigie.duckdb"
    of_all_days = len(read_story(SHIFT.format(agent="ana", day=0))) - 3  # three of its lines are no states
    settled = rows_of_files(published, "SELECT max(started_at) FROM agent_states")
    assert settled > PAST * 5
    assert 0 < rows_of_files(published, "SELECT * FROM kpi_now") <= 3 * of_all_days


def test_a_late_state_reads_the_days_around_it_only(tmp_path: Path) -> None:
    days = {day: DAY + dt.timedelta(days=day) for day in (0, 16, 17, 20, 21, 22, 40, 50)}
    desk = Desk(tmp_path)
    for day in (0, 20, 21, 22, 40):
        named = "campaign=vip" if day < 21 else ""
        events = read_story(f"08:00:00 state agent=dan state=busy {named} event_id=dan-{day}", days[day])
        desk.apply([*events, *(event for name in ("ana", "bob", "cleo") for event in shift(name, day))], days[50])
    for agent, own in (
        ("eve", (20, 21, 22)),
        ("fay", (16, 17, 22)),
    ):  # has no more states; has none for some days before
        for day in own:
            story = f"08:00:00 state agent={agent} state=busy event_id={agent}-{day}"
            desk.apply(read_story(story, days[day]), days[50])
    desk.publish(days[50])
    far = [folder for day in (0, 40) for folder in tmp_path.rglob(f"day={days[day].date()}")]
    assert {folder.parent.name for folder in far} == {"agent_states", "calls", "events"}
    for folder in far:
        folder.rename(folder.with_suffix(".away"))
    for agent in ("ana", "bob campaign=sav", "cleo campaign=vip", "dan", "eve", "fay"):
        desk.apply(read_story(f"12:30:00 state agent={agent} state=wrap_up event_id={agent[:3]}", days[21]), days[50])
    for folder in far:
        folder.with_suffix(".away").rename(folder)
    desk.publish(days[50])
    assert len(desk.rows("SELECT * FROM agent_states WHERE state = 'wrap_up'")) == 6
    desk.store.close()


# What comes back is all that changes ----------------------------------------------------------------------------

LAST = "104:00:00 state agent=ana state=offline event_id=z9"  # what has no end does not settle
PAST_BEFORE = {
    "a night": (
        "24:10:00 state agent=ana state=wrap_up \n 30:00:00 state agent=ana state=available",
        "22:00:00 state agent=ana state=busy event_id=l1",
    ),
    "a state goes on over midnight": (
        "25:00:00 state agent=ana state=busy \n 30:00:00 state agent=ana state=available",
        "22:00:00 state agent=ana state=busy event_id=l1",
    ),
    "a lost logout reaches into the next day": (
        "30:00:00 state agent=ana state=offline \n 31:00:00 state agent=ana state=available",
        "15:00:00 state agent=ana state=busy event_id=l1",
    ),
    "a campaign is named for all that follows": (
        "30:00:00 state agent=ana state=available \n 31:00:00 state agent=ana state=busy",
        "15:00:00 state agent=ana state=busy campaign=vip event_id=l1",
    ),
    "a campaign is named until another is": (
        "30:00:00 state agent=ana state=available \n 54:00:00 state agent=ana state=busy campaign=sav",
        "15:00:00 state agent=ana state=busy campaign=vip event_id=l1",
    ),
    "a profile names the campaign": (
        "30:00:00 state agent=ana state=available \n 54:00:00 state agent=ana state=busy campaign=sav",
        "15:00:00 profile agent=ana name=Ana campaign=vip event_id=l1",
    ),
    "a campaign is named no more": (
        "09:00:00 state agent=ana state=busy campaign=vip event_id=a1 \n 30:00:00 state agent=ana state=available",
        "09:00:00 state agent=ana state=busy event_id=a1 revision=1",
    ),
    "another campaign, named after the first": (
        "09:00:00 state agent=ana state=busy campaign=vip \n 30:00:00 state agent=ana state=available campaign=vip",
        "10:00:00 state agent=ana state=paused campaign=sav event_id=l1",
    ),
    "the state that begins the next day is another's": (
        "09:00:00 state agent=ana state=busy \n 30:00:00 state agent=ana state=available event_id=a2",
        "30:00:00 state agent=bob state=available event_id=a2 revision=1",
    ),
    "the only state that names the campaign is another's": (
        "09:00:00 state agent=ana state=busy campaign=vip event_id=a1 \n 30:00:00 state agent=ana state=available",
        "09:00:00 state agent=bob state=offline event_id=a1 revision=1",
    ),
    "the state that begins the next day is moved": (
        "09:00:00 state agent=ana state=busy \n 30:00:00 state agent=ana state=available event_id=a2",
        "11:00:00 state agent=ana state=available event_id=a2 revision=1",
    ),
}


@pytest.mark.parametrize(("story", "late"), PAST_BEFORE.values(), ids=PAST_BEFORE)
def test_a_late_state_changes_what_it_would_have_changed_unsettled(tmp_path: Path, story: str, late: str) -> None:
    days = "\n 56:00:00 state agent=ana state=offline event_id=y1 \n 80:00:00 state agent=ana state=busy event_id=y2"
    assert_as_never_settled(tmp_path, [read_story(f"{story}{days}\n{LAST}"), read_story(late)], at("110:00:00"))


def test_the_campaign_of_an_agents_call_is_not_that_of_the_agents_states(tmp_path: Path) -> None:
    story = """
        08:00:00 state agent=ana state=busy campaign=vip
        248:00:00 state agent=ana state=available
        272:00:00 state agent=ana state=available campaign=sav
        274:00:00 state agent=ana state=offline
    """
    of_a_call = read_story("247:00:00 dialed agent=ana campaign=sav event_id=d1")
    late = read_story("249:00:00 state agent=ana state=paused event_id=l1")
    as_of = at("280:00:00")
    desk = Desk(tmp_path)
    desk.apply(read_story(story), as_of)
    desk.publish(as_of)
    desk.apply(of_a_call, as_of)
    desk.apply(late, as_of)  # while the call is here
    desk.publish(as_of)
    campaigns = [(row["campaign"], row["state"]) for row in desk.rows(STATES) if row["state"] != "offline"]
    assert campaigns == [("vip", "busy"), ("vip", "available"), ("vip", "paused"), ("sav", "available")]
    desk.store.close()


def test_a_stretch_is_kept_over_a_restart_and_grows_with_what_comes(tmp_path: Path) -> None:
    later = at("20:00:00", DAY + dt.timedelta(days=2))
    late = read_story("10:00:00 state agent=ana state=busy campaign=sav event_id=l1")
    later_still = read_story("33:00:00 state agent=ana state=paused campaign=vip event_id=l2")
    of_days = [event for day in range(3) for event in shift("ana", day)]
    desk = Desk(tmp_path / "store")
    desk.apply(of_days, later)
    desk.publish(later)
    for events in (late, later_still):
        desk.apply(events, later)
        desk.store.close()
        desk = Desk(tmp_path / "store")
    desk.publish(later)
    fresh = rows_after(tmp_path / "fresh", [[*of_days, *late, *later_still]], later, NEVER)
    assert [desk.rows(query) for query in (STATES, CALLS, FIGURES)] == fresh
    desk.store.close()


# What comes back is all that changes, and nothing else ------------------------------------------------------------


def test_invariant_2_late_states_bring_back_all_that_they_change_and_nothing_else(tmp_path: Path) -> None:
    busy_days(tmp_path, 1)


def test_what_comes_late_brings_back_no_more_of_agents_who_work_now_and_then(tmp_path: Path) -> None:
    days_far_apart(tmp_path, 2)


# The next step of a call without an end --------------------------------------------------------------------------

NEXT_STATES = """
    09:10:10 state agent=ana state=wrap_up event_id=s1
    09:30:10 state agent=ana state=paused event_id=s2
    34:00:00 state agent=ana state=available event_id=s3
"""
UNENDED = "09:00:00 queued call_id=c1 event_id=l1 \n 09:00:10 answered call_id=c1 agent=ana event_id=l2"


def test_a_late_call_brings_back_its_agents_next_state_and_no_timeline(tmp_path: Path) -> None:
    later = at("50:00:00")
    desk = Desk(tmp_path)
    desk.apply(read_story(NEXT_STATES), later)
    desk.publish(later)
    before = unsettled(desk, "events")
    desk.apply(read_story(UNENDED), later)
    assert desk.store.connection.execute("SELECT event_id FROM recalled_contents").fetchall() == [("s1",)]
    assert (unsettled(desk, "recalled_stretches"), unsettled(desk, "recalled_states")) == (0, 0)
    desk.publish(later)
    assert unsettled(desk, "events") == before
    desk.store.close()
