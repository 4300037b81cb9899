"""What is older than configured is deleted, by class and client, and nothing else: figures and sums stay."""

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.events.sorting import Sorter
from ingest.rebuild import rebuild
from ingest.store.layout import ALL
from ingest.store.retaining import PSEUDONYM, Retention
from metrics.configuration import retention
from metrics.configuration.campaigns import Client, Configuration
from tests.support.stories.stream import (
    DAY,
    PARTITION,
    PERSONS,
    Batch,
    Desk,
    Event,
    at,
    campaign,
    configured,
    messages,
    read_story,
)

pytestmark = pytest.mark.slow

DAYS = 20
#: ana works for one client and bob for another; ana is on two calls at once, and her state lasts over midnight.
A_DAY = """
    08:00:00 state agent=ana state=available
    09:00:00 queued call_id=a caller=+33612345678
    09:00:20 answered call_id=a agent=ana
    09:03:00 queued call_id=b
    09:04:00 answered call_id=b agent=ana
    09:05:00 ended call_id=a
    09:08:00 ended call_id=b
    09:30:00 dialed call_id=c campaign=club callee=+33698765432 agent=bob
    09:30:05 connected call_id=c answered_by=human
    09:30:06 answered call_id=c agent=bob
    10:00:00 queued call_id=d campaign=club queue=vip
    10:00:30 abandoned call_id=d
    10:30:00 state agent=bob state=available campaign=club
    11:00:00 state agent=bob state=offline
    12:00:00 queued call_id=e
    12:00:05 missed call_id=e agent=ana
    12:01:00 abandoned call_id=e
    22:00:00 state agent=ana state=paused reason=lunch
    25:00:00 state agent=ana state=offline
"""
LAST = DAY + dt.timedelta(days=DAYS)
NOW = at("26:00:00", LAST)
SUMS = (
    "SELECT * EXCLUDE (day) FROM call_sums ORDER BY ALL",
    "FROM state_sums ORDER BY ALL",
    "FROM kpi_daily ORDER BY ALL",
    f"FROM kpi_campaign('{DAY}', '{NOW}') ORDER BY ALL",
    f"FROM kpi_queue('{DAY}', '{NOW}') ORDER BY ALL",
    f"FROM kpi_interval('{DAY}', '{NOW}', 1440) ORDER BY ALL",
    "SELECT campaign, day, conserved FROM conservation_checks ORDER BY ALL",
    "FROM alarms",
    "SELECT events, duplicates, records FROM ingest_status",
    "FROM feed_sources",
)
CALLS = "SELECT call_id FROM calls ORDER BY ALL"


def configuration(**kept: object) -> Configuration:
    known = configured(campaign("sav"), replace(campaign("club"), client="club"))
    clients = {"client": Client("client", "Client"), "club": Client("club", "Club")}
    return replace(known, clients=clients, retention=retention.Retention(**kept))  # type: ignore[arg-type]


def day(number: int, story: str = A_DAY) -> list[Event]:
    """The events of a day, from 0; ana's campaign is named on the first one only."""
    begins = DAY + dt.timedelta(days=number)
    events = read_story(story, begins)
    for event in events:
        event["event_id"] = f"{number}-{event['event_id']}"
        if "call_id" in event:
            event["call_id"] = f"{number:02}{event['call_id']}"
    if number == 0:
        events[0]["campaign"] = "sav"
    return events


class Floor(Desk):
    """A desk that also deletes."""

    def __init__(self, home: Path, kept: Configuration) -> None:
        super().__init__(home, kept)
        self.retention = Retention(self.store, kept, PERSONS.keys)

    def retain(self, as_of: dt.datetime = NOW, now: dt.datetime | None = None) -> int:
        """Delete all that is to be deleted, and publish; return in how many steps."""
        self.publish(as_of)
        steps = 0
        while self.retention.step(as_of, now or as_of):
            steps += 1
        self.publish(as_of)
        return steps

    def all(self) -> list[list[Event]]:
        return [self.rows(query) for query in SUMS]

    def days_of(self, relation: str) -> list[int]:
        """The days of files with rows, from 0."""
        files = self.store.segments.files(relation).values()
        return sorted({(segment.day - DAY.date()).days for segment in files if segment.rows})


@pytest.fixture(scope="module")
def kept_floor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A floor of many days, of which only the last has not settled."""
    home = tmp_path_factory.mktemp("floor") / "data"
    desk = Desk(home, configuration())
    for number in range(DAYS):
        desk.apply(day(number), NOW)
        if number % 4 == 0:
            desk.publish(at("26:00:00", DAY + dt.timedelta(days=number)))
    desk.apply(day(DAYS, "08:00:00 state agent=ana state=available \n 09:00:00 queued call_id=z"), NOW)
    desk.publish(NOW)
    desk.close()
    return home


@pytest.fixture
def home(kept_floor: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept_floor, tmp_path / "data"))


def opened(home: Path, kept: Configuration) -> Floor:
    desk = Floor(home, kept)
    desk.publish(NOW)
    return desk


def test_nothing_is_deleted_that_is_not_named(home: Path) -> None:
    desk = opened(home, configuration())
    before = (desk.all(), desk.rows("FROM calls ORDER BY ALL"), set(home.rglob("*.parquet")))
    assert desk.retain() == 0
    assert (desk.all(), desk.rows("FROM calls ORDER BY ALL"), set(home.rglob("*.parquet"))) == before


def test_events_go_and_rows_and_figures_stay(home: Path) -> None:
    desk = opened(home, configuration(events=7))
    before = (desk.all(), desk.rows("FROM calls ORDER BY ALL"), desk.rows("FROM agent_states ORDER BY ALL"))
    assert desk.retain() > 0
    assert (desk.all(), desk.rows("FROM calls ORDER BY ALL"), desk.rows("FROM agent_states ORDER BY ALL")) == before
    assert desk.days_of("events")[0] == DAYS - 2 - 7 - 2  # the third day from the end is today; two days more stay
    assert desk.retain() == 0


def test_calls_go_by_client_and_sums_stay(home: Path) -> None:
    kept = configuration(events=7, calls=13, clients={"club": {"calls": 7}})
    desk = opened(home, kept)
    before = desk.all()
    calls = {row["call_id"] for row in desk.rows(CALLS)}
    desk.retain()
    assert desk.all() == before
    desk.close()
    desk = opened(home, kept)
    desk.retain()
    assert desk.all() == before
    gone = calls - {row["call_id"] for row in desk.rows(CALLS)}
    frozen = DAYS - 2 - 7 - 1
    days_gone = {"abe": DAYS - 2 - 13, "cd": frozen - 3}
    assert gone == {f"{n:02}{call}" for calls_, days in days_gone.items() for call in calls_ for n in range(days)}
    deleted = desk.store.sql("SELECT class, client, rows FROM deletions WHERE class = 'calls' ORDER BY ALL").fetchall()
    assert deleted == [("calls", "client", 3 * (DAYS - 15)), ("calls", "club", 2 * (frozen - 3))]


LATE = """
    09:10:00 rated call_id=a score=5
    09:00:00 state agent=ana state=paused reason=late
    09:00:00 queued call_id=new
"""


def test_what_comes_for_a_frozen_day_changes_nothing_and_is_told(home: Path) -> None:
    kept = configuration(events=7, calls=7)
    desk = opened(home, kept)
    desk.retain()
    before = desk.all()
    frozen = DAYS - 2 - 7 - 1
    takes_from = desk.store.archive.takes_from()
    assert takes_from == DAY + dt.timedelta(days=frozen + 1)
    sorter = Sorter(PERSONS)
    sorter.keep_from(takes_from)
    late = [e | {"event_id": f"late-{n}-{e['event_id']}"} for n in (0, frozen - 1, frozen) for e in day(n, LATE)]
    arrivals = sorter.sort(Batch({PARTITION: messages(late, NOW)}, {PARTITION: 900}))
    assert len(arrivals.dead) == len(late)
    assert {letter.reason for letter in arrivals.dead} == {
        "ts lies before the days of which events are kept ([retention] in campaigns.toml)."
    }
    desk.apply(late, NOW)  # read before the days were frozen, and written after it
    rating = day(frozen + 1, "09:00:00 rated call_id=x score=5")[0] | {"call_id": f"{frozen - 1:02}a"}
    desk.apply([rating], NOW)
    desk.publish(NOW)
    assert desk.all()[:-2] == before[:-2]
    assert desk.rows("SELECT events, duplicates FROM ingest_status") == [
        {"events": before[-2][0]["events"], "duplicates": len(late) + 1}
    ]


def test_what_is_not_frozen_is_corrected_as_ever(home: Path) -> None:
    """Also a state without its campaign's name, which was given on a day whose events are gone."""
    kept, number = configuration(events=7, calls=7), DAYS - 2 - 7
    late = [e | {"event_id": f"late-{e['event_id']}"} for e in day(number, LATE)]
    untouched = opened(Path(shutil.copytree(home, home.parent / "untouched")), configuration())
    untouched.apply(late, NOW)
    untouched.publish(NOW)
    desk = opened(home, kept)
    desk.retain()
    desk.apply(late, NOW)
    desk.publish(NOW)
    assert desk.all() == untouched.all()
    states = f"FROM agent_states WHERE day > '{DAY.date() + dt.timedelta(days=number - 2)}' ORDER BY ALL"
    assert desk.rows(states) == untouched.rows(states)
    assert desk.rows("SELECT DISTINCT campaign FROM agent_states WHERE agent = 'ana'") == [{"campaign": "sav"}]


@pytest.mark.parametrize("kept", [{"events": 7}, {"events": 7, "calls": 7}], ids=["events", "calls"])
def test_a_rebuild_gives_the_same(home: Path, kept: dict[str, int]) -> None:
    desk = opened(home, configuration(**kept))
    desk.retain()
    asked = ("FROM calls ORDER BY ALL", "FROM agent_states ORDER BY ALL", "FROM agents ORDER BY ALL")
    before = desk.all(), [desk.rows(query) for query in asked]
    desk.close()
    rebuild(home, configuration(**kept), PERSONS, lambda *_: None)
    desk = opened(home, configuration(**kept))
    after = desk.all(), [desk.rows(query) for query in asked]
    for query, old, new in zip((*SUMS, *asked), before[0] + before[1], after[0] + after[1], strict=True):
        assert new == old, query
    assert desk.retain() == 0
    desk.close()
    store = Floor(home, configuration(**kept)).store  # whose files are all known
    assert store.archive.takes_from() is not None


def test_a_clock_that_is_wrong_deletes_nothing(home: Path) -> None:
    """Nor does a source with a wrong clock beside it, nor one that goes back."""
    kept = configuration(events=7, calls=7)
    desk = opened(home, kept)
    years = NOW + dt.timedelta(days=3_650)
    desk.apply(day(3_650), years)
    files = desk.days_of("events")
    assert desk.retain(years) > 0 and desk.days_of("events")[0] == files[0] + DAYS - 1 - 7 - 2
    frozen = desk.store.segments.frozen_before
    desk.retention.configure(configuration(events=15))
    assert desk.retain(NOW) == 0 and desk.store.segments.frozen_before == frozen


def names_of(home: Path, desk: Floor) -> set[str]:
    """Every agent in what is published of days before the last eleven."""
    until = f"day < '{DAY.date() + dt.timedelta(days=DAYS - 2 - 7 - 1 - 3)}'"
    asked = (
        f"SELECT agent FROM agent_states WHERE {until} AND state != 'offline'",
        f"SELECT unnest([agent] || coalesce(missed_by, []) || list_transform(offers, lambda o: o.agent)) AS agent"
        f" FROM calls WHERE {until}",
    )
    return {row["agent"] for query in asked for row in desk.rows(query) if row["agent"]}


def test_agents_get_pseudonyms_and_figures_stay(home: Path) -> None:
    kept = configuration(events=7, agent_states=7)
    gone = read_story("07:00:00 profile agent=eva name=Eva \n 08:00:00 state agent=eva state=available campaign=sav")
    gone += read_story("09:00:00 state agent=eva state=offline")
    desk = opened(home, kept)
    desk.apply([event | {"event_id": f"eva-{n}"} for n, event in enumerate(gone)], NOW)
    call = "09:00:00 queued call_id=t \n 09:00:09 answered call_id=t agent=tom \n 09:01:00 ended call_id=t"
    stays = read_story("07:00:00 profile agent=tom name=Tom") + day(DAYS - 3, call)  # his source tells no states
    desk.apply([event | {"event_id": f"tom-{n}"} for n, event in enumerate(stays)], NOW)
    desk.publish(NOW)
    agents = f"SELECT * EXCLUDE (agent, name) FROM kpi_agent('{DAY}', '{DAY + dt.timedelta(days=7)}') ORDER BY ALL"
    before = desk.all(), desk.rows(agents)
    assert names_of(home, desk) == {"ana", "bob", "eva"}
    desk.retain()
    assert (desk.all(), desk.rows(agents)) == before
    former = names_of(home, desk)
    assert len(former) == 3 and all(PSEUDONYM.fullmatch(agent) for agent in former)
    (ana,) = desk.rows("SELECT agent, name FROM agents WHERE agent = 'ana'")  # who is still here
    assert ana == {"agent": "ana", "name": "ana"}
    assert {row["agent"] for row in desk.rows("SELECT agent FROM agents")} == former | {"ana", "bob", "tom"}
    assert desk.rows("SELECT name FROM agents WHERE agent = 'tom'") == [{"name": "Tom"}]
    assert "eva" not in {name for (name,) in desk.store.sql("SELECT name FROM archived_names").fetchall()}
    desk.close()
    rebuild(home, kept, PERSONS, lambda *_: None)
    desk = opened(home, kept)
    assert (desk.all(), desk.rows(agents)) == before and names_of(home, desk) == former
    files = [desk.store.segments.files(relation).keys() for relation in ("calls", "agent_states")]
    desk.retain()
    assert [desk.store.segments.files(relation).keys() for relation in ("calls", "agent_states")] == files


@pytest.mark.parametrize("kill_at", range(3))
def test_a_kill_between_steps_or_within_one_costs_nothing(home: Path, kill_at: int) -> None:
    """What a killed consumer left is deleted by the next one; files of the step that did not commit are removed."""
    kept = configuration(events=7, calls=7, agent_states=7)
    desk = opened(home, kept)
    before = desk.all()
    for _ in range(2 + 4 * kill_at):
        desk.retention.step(NOW, NOW)
    with pytest.raises(KeyboardInterrupt), desk.store.transaction():
        desk.retention.step(NOW, NOW)
        raise KeyboardInterrupt
    desk.close()  # without a checkpoint of anything that was not committed
    desk = opened(home, kept)
    assert desk.all() == before
    desk.retain()
    assert desk.all() == before
    assert all(PSEUDONYM.fullmatch(agent) for agent in names_of(home, desk))
    desk.store.segments.sweep(0.0)
    named = {file for relation in ALL for file in desk.store.segments.files(relation)}
    assert set(home.resolve().rglob("*.parquet")) == named
