"""A late event brings back as much of a settled timeline as it can change, and no more; so does a late call."""

import contextlib
import datetime as dt
import itertools
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.publishing.publish import Moment
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


def published(desk: Desk) -> list[list[Event]]:
    return [desk.rows(query) for query in (STATES, CALLS, FIGURES)]


def published_unsettled(home: Path, events: Sequence[Event], as_of: dt.datetime) -> list[list[Event]]:
    """What is published where all events came at once and nothing ever settled."""
    desk = Desk(home, settle_rows=NEVER)
    desk.apply(events, as_of)
    desk.publish(as_of)
    found = published(desk)
    desk.close()
    return found


EACH = """
    56:00:00 state agent=ana state=offline event_id=y1
    80:00:00 state agent=ana state=busy event_id=y2
    93:00:00 state agent=ana state=available campaign=sav event_id=y4
    104:00:00 state agent=ana state=offline event_id=z9
"""  # what has no end does not settle, nor what named the campaign last


def of_case(name: str, story: str) -> list[Event]:
    """The events of a story, of agents and calls of its own."""
    events = read_story(story)
    return [
        event | {key: f"{event[key]}: {name}" for key in ("event_id", "agent", "call_id") if key in event}
        for event in events
    ]


# How much comes back --------------------------------------------------------------------------------------------

PAST = 5


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
    desk.close()


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
    desk.close()


def rows_of_files(file: Path, query: str) -> int:
    """Return how many rows of agents' states a query reads from Parquet files."""

    def read(operator: dict[str, Any]) -> int:
        info = operator.get("extra_info", {})
        is_states = info.get("Function") == "READ_PARQUET" and "started_at" in info["Projections"]
        return (operator["operator_cardinality"] if is_states else 0) + sum(map(read, operator["children"]))

    with duckdb.connect(str(file), read_only=True) as reader:
        ((_, plan),) = reader.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}").fetchall()
    return sum(map(read, json.loads(plan)["children"]))


def test_who_asks_for_now_reads_the_last_days_only(tmp_path: Path) -> None:
    later = at("20:00:00", DAY + dt.timedelta(days=PAST))
    desk = Desk(tmp_path)
    desk.apply([event for day in range(PAST + 1) for event in shift("ana", day)], later)
    desk.publish(later)
    desk.close()
    file = tmp_path / "published" / "vigie.duckdb"
    of_all_days = len(read_story(SHIFT.format(agent="ana", day=0))) - 3  # three of its lines are no states
    settled = rows_of_files(file, "SELECT max(started_at) FROM agent_states")
    assert settled > PAST * 5
    assert 0 < rows_of_files(file, "SELECT * FROM kpi_now") <= 3 * of_all_days


#: The days on which an agent, busy at eight, names this campaign; after the last of them nothing has settled.
NOW_AND_THEN = {
    "dan": {0: "vip", 20: "vip", 21: None, 22: None, 23: "vip", 40: None},
    "eve": {20: None, 21: None, 22: None},
    "fay": {16: None, 17: None, 22: None},
    "gil": {21: None, 22: None, 40: None},
    "hal": {19: "vip", 22: "vip", 23: "vip", 40: None},
    "ida": {36: "vip", 37: None, 38: "vip", 40: None},
    "kim": {20: "vip", 21: "vip", 22: "vip", 40: None},
    "lea": {20: "vip", 21: None, 22: None, 23: "vip", 40: None},
    "moe": {20: "vip", 32: "vip", 40: None},
}
PROFILE = "08:00:00 profile agent=gil campaign=vip event_id=gil-19"
LATE = (  # the lines of each batch: day, agent, campaign
    ((21, "bob", "sav"),),
    ((21, "cleo", "vip"),),
    ((21, "dan", None),),
    ((21, "eve", None),),  # has no more states
    ((21, "fay", None),),  # has none for some days before
    ((30, "moe", None),),  # nobody has any for some days before
    ((21, "kim", None), (21, "lea", None), (37, "ida", None)),
    ((22, "lea", None),),  # what names the campaign is back already
)


def told(day: int, clock: str, agent: str, state: str, campaign: str | None) -> Event:
    moment = at(clock, DAY + dt.timedelta(days=day))
    event = {"event_id": f"{agent}-{day}-{clock}", "type": "agent.state", "agent": agent, "state": state}
    return event | {"ts": moment.isoformat()} | ({"campaign": campaign} if campaign else {})


def come_late(desk: Desk, *lines: tuple[int, str, str | None]) -> None:
    late = [told(day, "12:30:00", agent, "wrap_up", campaign) for day, agent, campaign in lines]
    desk.apply(late, DAY + dt.timedelta(days=50))


@contextlib.contextmanager
def away(home: Path, *days: int, relations: Collection[str] = ("agent_states", "calls", "events")) -> Iterator[None]:
    """The files of these days cannot be read meanwhile."""
    names = [f"day={(DAY + dt.timedelta(days=day)).date()}" for day in days]
    folders = [folder for name in names for folder in home.rglob(name) if folder.parent.name in relations]
    assert {(folder.parent.name, folder.name) for folder in folders} == set(itertools.product(relations, names))
    for folder in folders:
        folder.rename(folder.with_suffix(".away"))
    yield
    for folder in folders:
        folder.with_suffix(".away").rename(folder)


def test_a_late_state_reads_the_days_around_it_only(tmp_path: Path) -> None:
    later = DAY + dt.timedelta(days=50)
    past = [event for name in ("ana", "bob", "cleo") for day in (0, 20, 21, 22, 40) for event in shift(name, day)]
    for name, days in NOW_AND_THEN.items():
        past += [told(day, "08:00:00", name, "busy", campaign) for day, campaign in days.items()]
    desk = Desk(tmp_path)
    desk.apply([*past, *read_story(PROFILE, DAY + dt.timedelta(days=19))], later)
    desk.publish(later)
    with away(tmp_path, 0, 40):
        with away(tmp_path, 17, 22, relations=("events",)):
            come_late(desk, (21, "ana", None))
            come_late(desk, (21, "gil", None))  # a profile names the campaign
            come_late(desk, (21, "hal", None))
        for lines in LATE:
            come_late(desk, *lines)
    desk.publish(later)
    assert len(desk.rows("SELECT * FROM agent_states WHERE state = 'wrap_up'")) == 3 + sum(map(len, LATE))
    desk.close()


def test_a_campaigns_first_state_is_sought_again_in_no_more_days_than_it_takes(tmp_path: Path) -> None:
    later = DAY + dt.timedelta(days=50)
    desk = Desk(tmp_path)
    past = [(1, "ana"), (2, "ana"), (3, "bob"), (40, "bob"), (45, "bob")]
    desk.apply([told(day, "08:00:00", name, "busy", "vip") for day, name in past], later)
    desk.publish(later)
    with away(tmp_path, 40, relations=("agent_states",)):
        come_late(desk, (1, "ana", "sav"))
    first = {campaign: at for campaign, _agent, at in desk.store.sql("FROM first_states").fetchall()}
    assert first["vip"] == at("08:00:00", DAY + dt.timedelta(days=3))
    desk.publish(later)
    (day,) = desk.rows("SELECT min(day) AS day FROM kpi_daily WHERE logged_in_s > 0 AND campaign = 'vip'")
    assert day == {"day": (DAY + dt.timedelta(days=1)).date()}
    desk.close()


def test_a_late_state_before_all_others_of_its_agent_writes_no_earlier_file_again(tmp_path: Path) -> None:
    later = DAY + dt.timedelta(days=50)
    earlier = f"SELECT file FROM segments WHERE relation = 'agent_states' AND day < DATE '{DAY.date()}' + 2"
    desk = Desk(tmp_path)
    days = {"ana": range(3, 6), "bob": range(6)}
    desk.apply([told(day, "08:00:00", name, "busy", None) for name in days for day in days[name]], later)
    desk.publish(later)
    before = desk.store.connection.execute(earlier).fetchall()
    come_late(desk, (2, "ana", None), (3, "bob", None))
    desk.publish(later)
    assert len(before) == 2
    assert desk.store.connection.execute(earlier).fetchall() == before
    desk.close()


def test_a_late_state_writes_no_later_file_again_than_those_of_its_stretch(tmp_path: Path) -> None:
    later = DAY + dt.timedelta(days=50)
    files = f"SELECT file FROM segments WHERE relation = 'agent_states' AND day > DATE '{DAY.date()}' + 3"
    desk = Desk(tmp_path)
    desk.apply([told(day, "08:00:00", "ana", "busy", "sav") for day in range(7)], later)
    desk.publish(later)
    before = desk.store.sql(files).fetchall()
    come_late(desk, (2, "ana", None))
    assert desk.store.sql("SELECT agent FROM recalled_stretches").fetchall() == [("ana",)]
    desk.publish(later)
    desk.publish(later)
    assert len(before) == 2
    assert desk.store.sql(files).fetchall() == before
    assert desk.store.sql("FROM recalled_stretches").fetchall() == []
    desk.close()


COVERED = {  # an agent's past, what comes late, how much that brings back, what comes into the same days then
    "none names a campaign": (
        "12:00:00 state agent=ana state=available \n 30:00:00 state agent=ana state=available",
        "12:30:00 state agent=ana state=paused event_id=l1",
        1,
        "12:45:00 state agent=ana state=busy event_id=l2",
    ),
    "all name the campaign that the next day has": (
        "12:00:00 state agent=ana state=available campaign=sav \n 30:00:00 state agent=ana state=available",
        """
            12:30:00 state agent=ana state=paused campaign=sav event_id=l1
            12:40:00 state agent=ana state=wrap_up campaign=sav event_id=l3
        """,
        1,
        "12:45:00 state agent=ana state=busy campaign=sav event_id=l2",
    ),
    "the next day names its campaign": (
        """
            12:00:00 state agent=ana state=available
            30:00:00 state agent=ana state=available campaign=sav
            54:00:00 state agent=ana state=available campaign=vip
        """,
        "12:30:00 state agent=ana state=paused campaign=vip event_id=l1",
        1,
        "12:45:00 state agent=ana state=busy campaign=vip event_id=l2",
    ),
    "a later day names its campaign, while the states of another agent end": (
        """
            12:00:00 state agent=ana state=available
            30:00:00 state agent=ana state=available
            78:00:00 state agent=ana state=available campaign=sav
            08:00:00 state agent=bob state=available
            33:00:00 state agent=bob state=available
        """,
        """
            12:30:00 state agent=ana state=paused campaign=vip event_id=l1
            12:30:00 state agent=bob state=paused event_id=l3
        """,
        3 + 1,
        "12:45:00 state agent=ana state=busy campaign=vip event_id=l2",
    ),
}


def test_what_comes_where_states_are_back_already_brings_back_no_more(tmp_path: Path) -> None:
    before = "08:00:00 state agent=ana state=busy event_id=x1"
    desk = Desk(tmp_path)
    desk.apply(
        [event for name, (past, *_) in COVERED.items() for event in of_case(name, f"{past}\n{before}\n{EACH}")],
        at("110:00:00"),
    )
    desk.publish(at("110:00:00"))
    found = []
    for name, (_, first, _, second) in COVERED.items():
        for late in (first, second):
            here = unsettled(desk, "events")
            events = of_case(name, late)
            desk.apply(events, at("110:00:00"))
            found.append(unsettled(desk, "events") - here - len(events))
    assert found == [count for _, _, count, _ in COVERED.values() for count in (count, 0)]
    desk.close()


def test_a_state_that_lasts_too_long_brings_back_itself_and_all_that_follows(tmp_path: Path) -> None:
    story = """
        08:00:00 state agent=ana state=available
        09:00:00 state agent=ana state=busy
        15:00:00 state agent=ana state=available
        33:00:00 state agent=ana state=busy
        104:00:00 state agent=ana state=offline
    """
    desk = Desk(tmp_path)
    desk.apply(read_story(story), at("110:00:00"))
    desk.publish(at("110:00:00"))
    desk.apply(read_story("09:30:00 state agent=ana state=paused event_id=l1"), at("110:00:00"))
    desk.publish(at("110:00:00"))
    with desk.store.transaction():
        desk.store.archive.recall_long_states(5 * 3600.0)
    found = desk.store.connection.execute("SELECT event_id FROM recalled_contents ORDER BY ts").fetchall()
    assert found == [("l1",), ("e03",), ("e04",)]
    desk.close()


# What comes back is all that changes ----------------------------------------------------------------------------

PAST_BEFORE = {  # an agent's past beside EACH, and the batches that come late
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
    "two campaigns are named at once": (
        "09:00:00 state agent=ana state=busy campaign=sav \n 30:00:00 state agent=ana state=available",
        """
            10:00:00 state agent=ana state=busy campaign=sav event_id=l1
            11:00:00 state agent=ana state=paused campaign=vip event_id=l2
        """,
    ),
    "a campaign is named that was first named later on the next day": (
        """
            09:00:00 state agent=ana state=busy
            30:00:00 state agent=ana state=available
            31:00:00 state agent=ana state=busy campaign=sav
        """,
        "15:00:00 state agent=ana state=busy campaign=sav event_id=l1",
    ),
    "a campaign is named that was first named two days later": (
        """
            09:00:00 state agent=ana state=busy
            30:00:00 state agent=ana state=available
            54:00:00 state agent=ana state=busy campaign=sav
        """,
        "14:00:00 state agent=ana state=paused event_id=l1",
        "15:00:00 state agent=ana state=busy campaign=sav event_id=l2",
    ),
    "another campaign is named where states are back already": (
        "09:00:00 state agent=ana state=busy campaign=sav \n 30:00:00 state agent=ana state=available",
        "14:00:00 state agent=ana state=paused event_id=l1",
        "15:00:00 state agent=ana state=busy campaign=vip event_id=l2",
    ),
    "a campaign is named no more where states are back already": (
        """
            09:00:00 state agent=ana state=available
            09:30:00 state agent=ana state=busy campaign=vip event_id=a1
            30:00:00 state agent=ana state=available
        """,
        "09:10:00 state agent=ana state=paused event_id=l1",
        "09:30:00 state agent=ana state=busy event_id=a1 revision=1",
    ),
    "a campaign is named before all states, which are back already": (
        "30:00:00 state agent=ana state=available",
        "09:00:00 state agent=ana state=busy event_id=l1",
        "10:00:00 state agent=ana state=busy campaign=vip event_id=l2",
    ),
    "an earlier state, where later ones are back already": (
        """
            09:00:00 state agent=ana state=busy
            12:00:00 state agent=ana state=available
            30:00:00 state agent=ana state=available
        """,
        "14:00:00 state agent=ana state=paused event_id=l1",
        "10:00:00 state agent=ana state=paused event_id=l2",
    ),
    "a state of an earlier day, after one of a later day": (
        """
            09:00:00 state agent=ana state=busy
            32:00:00 state agent=ana state=busy
            33:00:00 state agent=ana state=available
            55:00:00 state agent=ana state=busy
        """,
        "34:00:00 state agent=ana state=paused event_id=l1",
        "10:00:00 state agent=ana state=paused event_id=l2",
    ),
    "the day at which another agent's states end again names a campaign": (
        """
            09:00:00 state agent=ana state=busy campaign=sav
            30:00:00 state agent=ana state=available
            78:00:00 state agent=ana state=available campaign=sav
            32:00:00 state agent=bob state=busy
            78:00:00 state agent=bob state=available
            104:00:00 state agent=bob state=offline
        """,
        """
            14:00:00 state agent=ana state=paused event_id=l1
            33:00:00 state agent=bob state=busy campaign=vip event_id=l2
        """,
        "15:00:00 state agent=ana state=busy campaign=vip event_id=l3",
    ),
    "a call names a campaign when the first state that is brought back begins": (
        """
            09:00:00 state agent=ana state=busy campaign=vip
            30:00:00 state agent=ana state=available
            30:00:00 dialed agent=ana campaign=sav
        """,
        "31:00:00 state agent=ana state=paused event_id=l1",
    ),
    "a call names a campaign when the next day begins": (
        """
            09:00:00 state agent=ana state=busy
            30:00:00 state agent=ana state=available
            30:00:00 dialed agent=ana campaign=sav
        """,
        "15:00:00 state agent=ana state=busy campaign=vip event_id=l1",
    ),
}
NAMED_DAYS_BEFORE = {  # a past beside EACH: it names the campaign of the state at 80:00
    "a profile follows at that instant": """
        09:00:00 state agent=ana state=busy campaign=vip
        80:00:00 profile agent=ana campaign=sav event_id=y3
    """,
    "a profile comes before": """
        09:00:00 profile agent=ana campaign=sav
        10:00:00 state agent=ana state=busy campaign=vip
    """,
    "a profile without a campaign follows": """
        09:00:00 state agent=ana state=busy campaign=vip
        60:00:00 profile agent=ana name=Ana
    """,
    "another agent's profile follows": """
        09:00:00 state agent=ana state=busy campaign=vip
        60:00:00 profile agent=bob campaign=sav
    """,
}


def test_late_states_change_what_they_would_have_changed_unsettled(tmp_path: Path) -> None:
    as_of = at("110:00:00")
    stories = {name: story for name, (story, *_) in PAST_BEFORE.items()} | NAMED_DAYS_BEFORE
    past = [event for name, story in stories.items() for event in of_case(name, story) + of_case(name, EACH)]
    rounds = defaultdict(list)
    for name, (_, *batches) in PAST_BEFORE.items():
        for number, batch in enumerate(batches):
            rounds[number] += of_case(name, batch)
    # not at once, because what is sought further back for one agent is found for all
    alone = [of_case(name, "81:00:00 state agent=ana state=paused event_id=l1") for name in NAMED_DAYS_BEFORE]
    late = [rounds[0], rounds[1], *alone]
    desk = Desk(tmp_path / "store")
    desk.apply(past, as_of)
    desk.publish(as_of)
    for events in late:
        desk.apply(events, as_of)
    overlaps = "a.rowid < b.rowid AND a.from_at < b.until_at AND b.from_at < a.until_at"
    assert unsettled(desk, f"recalled_stretches a JOIN recalled_stretches b USING (agent) WHERE {overlaps}") == 0
    desk.publish(as_of)
    assert published(desk) == published_unsettled(tmp_path / "fresh", [*past, *itertools.chain(*late)], as_of)
    desk.close()


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
    desk.close()


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
        desk.close()
        desk = Desk(tmp_path / "store")
    desk.publish(later)
    assert published(desk) == published_unsettled(tmp_path / "fresh", [*of_days, *late, *later_still], later)
    desk.close()


CHANGES_AGAIN = {
    "a state within it": "33:30:00 state agent=ana state=busy event_id=l2",
    "an outdated content of a state before it": "33:30:00 state agent=ana state=paused event_id=x1 revision=1",
}


@pytest.mark.parametrize("then", CHANGES_AGAIN.values(), ids=CHANGES_AGAIN)
def test_a_stretch_changes_again_that_was_judged_and_has_not_settled(tmp_path: Path, then: str) -> None:
    later = at("20:00:00", DAY + dt.timedelta(days=3))
    of_days = [event for day in range(4) for event in shift("ana", day)]
    past = [*read_story("06:00:00 state agent=ana state=busy event_id=x1 revision=2"), *of_days]
    late = read_story("33:00:00 state agent=ana state=paused event_id=l1")
    desk = Desk(tmp_path / "store")
    desk.apply(past, later)
    desk.publish(later)
    desk.apply(late, later)
    desk.publisher.judge(Moment(later, later))
    desk.apply(read_story(then), later)
    desk.publish(later)
    assert published(desk) == published_unsettled(tmp_path / "fresh", [*past, *late, *read_story(then)], later)
    desk.close()


def test_what_came_back_stays_while_a_call_of_its_agent_goes_on(tmp_path: Path) -> None:
    """The call was answered before the agent's mark, and nothing has ended it. What came back of bob settles."""
    later = at("20:00:00", DAY + dt.timedelta(days=2))
    past = read_story("""
        08:00:00 state agent=ana state=available event_id=s1
        09:00:00 state agent=ana state=paused event_id=s2
        12:00:00 state agent=ana state=busy event_id=s3
        32:00:00 state agent=ana state=busy event_id=s4
        56:00:00 state agent=ana state=busy event_id=s5
    """) + [event for day in range(3) for event in shift("bob", day)]
    late = read_story("""
        09:30:00 state agent=ana state=wrap_up event_id=l1
        10:00:00 queued event_id=l2
        10:00:10 answered agent=ana event_id=l3
        12:30:00 state agent=bob state=busy event_id=l4
    """)
    desk = Desk(tmp_path / "store")
    for events in (past, late):
        desk.apply(events, later)
        desk.publish(later)
    stretches = desk.store.connection.execute("SELECT agent, from_at, until_at FROM recalled_stretches").fetchall()
    assert stretches == [("ana", at("09:00:00"), at("32:00:00"))]
    desk.close()
    desk = Desk(tmp_path / "store")
    desk.publish(later)
    assert published(desk) == published_unsettled(tmp_path / "fresh", [*past, *late], later)
    desk.close()


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
    desk.close()
