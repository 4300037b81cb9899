"""What is older than configured is deleted, by class and client, and nothing else: figures and sums stay."""

import datetime as dt
import itertools
import logging
import shutil
from argparse import Namespace
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from ingest import retention as command
from ingest.consumer.writer import Writer
from ingest.errors import StoreError
from ingest.events.sorting import Sorter
from ingest.publishing.observed import Observed
from ingest.publishing.publish import Moment
from ingest.rebuild import rebuild
from ingest.store.expiry import PSEUDONYM, Due, Expiry
from ingest.store.layout import ALL
from ingest.store.retaining import Retention
from metrics.audit.trail import Trail
from metrics.configuration import retention
from metrics.configuration.campaigns import Client, Configuration
from tests.support.doomed import Consumer, Death, Died, Publish, Retain
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

DAYS = 11
KEPT = 2  # days of events, in most tests
TODAY = DAYS - 2  # the third newest day with settled events, counted from 0 as all days here
FROZEN = TODAY - KEPT - 1  # so many days are frozen then
OLD = FROZEN - 3  # and so many can lose rows
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
SUM_KEYS = "quarter_start, campaign, queue, term_from"
FIGURES = (
    f"SELECT {SUM_KEYS}, sum(COLUMNS(* EXCLUDE (day, month, {SUM_KEYS}))) FROM call_sums GROUP BY ALL ORDER BY ALL",
    "FROM state_sums ORDER BY ALL",
    "FROM kpi_daily ORDER BY ALL",
    f"FROM kpi_campaign('{DAY}', '{NOW}') ORDER BY ALL",
    f"FROM kpi_queue('{at('00:45:00')}', '{at('47:15:00')}') ORDER BY ALL",  # of no whole UTC day
    f"FROM kpi_interval('{at('09:00:00')}', '{at('34:00:00')}', 15) ORDER BY ALL",
    "SELECT campaign, day, conserved FROM conservation_checks ORDER BY ALL",
    "FROM alarms",
    "FROM feed_sources",
)
STATUS = "SELECT events, duplicates, records FROM ingest_status"
ROWS = tuple(f"FROM {relation} ORDER BY ALL" for relation in ("calls", "agent_states", "agents"))
Figures = dict[str, list[Event]]


def configuration(**kept: object) -> Configuration:
    known = configured(campaign("sav"), replace(campaign("club", "Europe/Paris"), client="club"))
    clients = {"client": Client("client", "Client"), "club": Client("club", "Club")}
    return replace(known, clients=clients, retention=retention.Retention(**kept))  # type: ignore[arg-type]


NOTHING = configuration()
CALLS = configuration(events=KEPT, calls=KEPT)
#: One client's calls go, and names in those of the other.
MIXED = configuration(events=KEPT, agent_states=KEPT, clients={"client": {"calls": KEPT}})


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


def date(number: int) -> dt.date:
    return DAY.date() + dt.timedelta(days=number)


class Floor(Desk):
    """A desk that also deletes."""

    def __init__(self, home: Path, kept: Configuration) -> None:
        super().__init__(home, kept)
        self.audit = Trail(home.parent / "access")
        self.retention = Retention(self.store, kept, PERSONS.keys, self.audit)

    def delete(self, as_of: dt.datetime = NOW, now: dt.datetime | None = None) -> int:
        """Delete all that is to be deleted, as after a publish; return in how many steps."""
        self.publisher.judge(Moment(as_of, as_of))
        return sum(1 for _ in iter(lambda: self.retention.step(as_of, now or as_of), False))

    def figures(self, *more: str) -> Figures:
        """Publish, and read everything that has to stay."""
        self.publish(NOW)
        return {query: self.rows(query) for query in (*FIGURES, STATUS, *more)}

    def days_of(self, relation: str) -> list[int]:
        """The days of files with rows, from 0."""
        files = self.store.segments.files(relation).values()
        return sorted({(segment.day - DAY.date()).days for segment in files if segment.rows})

    def calls(self) -> set[str]:
        rows = self.store.segments.rows("calls")
        return {call for (call,) in self.store.sql(f"SELECT call_id FROM ({rows})").fetchall()}

    def deletions(self) -> list[Due]:
        columns = "class, coalesce(client, ''), first_day, last_day, rows, files"
        return [Due(*row) for row in self.store.sql(f"SELECT {columns} FROM deletions ORDER BY ALL").fetchall()]


def due(desk: Desk, kept: Configuration, by_clock: dt.datetime = NOW) -> list[Due]:
    """What is to be deleted next."""
    return sorted(Expiry(desk.store, kept, by_clock.date()).all(), key=astuple)


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Figures]:
    """A floor of many days, of which only the last has not settled, and what is published of it."""
    home = tmp_path_factory.mktemp("floor") / "data"
    desk = Floor(home, NOTHING)
    last = day(DAYS, "08:00:00 state agent=ana state=available \n 09:00:00 queued call_id=z")
    desk.apply([event for number in range(4) for event in day(number)], NOW)
    desk.publish(at("26:00:00", DAY + dt.timedelta(days=3)))
    desk.apply([*(event for number in range(4, DAYS) for event in day(number)), *last], NOW)
    figures = desk.figures(*ROWS)
    desk.close()
    return home, figures


@pytest.fixture
def home(floor: tuple[Path, Figures], tmp_path: Path) -> Path:
    return Path(shutil.copytree(floor[0], tmp_path / "data"))


@pytest.fixture
def before(floor: tuple[Path, Figures]) -> Figures:
    return floor[1]


@pytest.fixture(scope="module")
def floor_without(floor: tuple[Path, Figures], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The floor after MIXED."""
    home = Path(shutil.copytree(floor[0], tmp_path_factory.mktemp("deleted") / "data"))
    desk = Floor(home, MIXED)
    assert desk.delete() > 0
    desk.close()
    return home


@pytest.fixture
def home_without(floor_without: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(floor_without, tmp_path / "without"))


def same(found: Figures, before: Figures) -> None:
    for query, rows in found.items():
        assert rows == before[query], query


def test_nothing_is_deleted_that_is_not_named(home: Path) -> None:
    desk = Floor(home, NOTHING)
    files = set(home.rglob("*.parquet"))
    assert due(desk, NOTHING) == [] and desk.delete() == 0
    desk.retention.configure(CALLS)
    desk.retention.configure(None)  # the file cannot be read any more
    assert desk.delete() == 0 and set(home.rglob("*.parquet")) == files
    desk.retention.configure(CALLS)
    assert desk.delete() > 0


def test_events_go_and_rows_and_figures_stay(home: Path, before: Figures) -> None:
    desk = Floor(home, configuration(events=KEPT))
    assert desk.delete() > 0
    same(desk.figures(*ROWS), before)
    assert desk.days_of("events")[0] == FROZEN - 1
    assert desk.delete(NOW + dt.timedelta(days=1)) == 0


def test_calls_go_by_client_and_it_is_told(home: Path, before: Figures, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kept = configuration(events=KEPT, calls=7, clients={"club": {"calls": KEPT}})
    desk = Floor(home, kept)
    calls, planned = desk.calls(), due(desk, kept)
    desk.delete()
    days_gone = {"abe": TODAY - 7, "cd": OLD}
    assert calls - desk.calls() == {
        f"{n:02}{call}" for some, days in days_gone.items() for call in some for n in range(days)
    }
    same(desk.figures(), before)
    rows = [
        ("calls", "client", date(0), date(TODAY - 8), 3 * (TODAY - 7), TODAY - 7),
        ("calls", "club", date(0), date(OLD - 1), 2 * OLD, OLD),
        ("events", "", date(0), date(FROZEN - 2)),
    ]
    assert [astuple(told)[: len(row)] for told, row in zip(desk.deletions(), rows, strict=True)] == rows
    assert planned == desk.deletions() and due(desk, kept) == []
    told = {
        f"retention · calls · client · {date(0)} – {date(TODAY - 8)} · {3 * (TODAY - 7)}",
        f"retention · calls · club · {date(0)} – {date(OLD - 1)} · {2 * OLD}",
        f"retention · events · {date(0)} – {date(FROZEN - 2)} · {planned[-1].rows}",
    }
    assert {entry.what for entry in desk.audit.entries(kind="erasure")} == told
    logged = {record.getMessage() for record in caplog.records}
    assert logged >= {f"retention: deleted on {NOW.date()}: {one}" for one in planned}
    desk.close()
    desk = Floor(home, kept)
    desk.delete()
    assert desk.deletions() == planned
    same(desk.figures(), before)


def test_a_file_that_is_broken_while_the_consumer_runs_deletes_nothing(home: Path, tmp_path: Path) -> None:
    desk, file = Floor(home, CALLS), tmp_path / "campaigns.toml"
    running = replace(CALLS, path=file)
    writer = Writer(desk.store, desk.publisher, lambda: NOW, running, Observed(), PERSONS.keys, desk.audit)
    file.write_text("[retention]\nevents = ")
    writer._reread_configuration()
    assert not writer._retention.step(NOW, NOW) and desk.deletions() == []
    desk.retention.configure(running)
    assert desk.delete() > 0


CONTRACT = """
clients = { client = { name = "Client" } }
campaigns = { sav = { name = "Sav", client = "client" } }
[retention]
events = 7
"""


def test_the_command_shows_what_would_go_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, file = tmp_path / "data", tmp_path / "campaigns.toml"
    desk = Floor(home, NOTHING)
    call = "09:00:00 queued call_id=a \n 09:01:00 abandoned call_id=a"
    desk.apply([event for number in range(14) for event in day(number, call)], NOW + dt.timedelta(days=9))
    desk.publish(NOW + dt.timedelta(days=9))
    desk.close()
    files = set(home.rglob("*.parquet"))
    options = Namespace(data_dir=home, campaigns=file)
    file.write_text(CONTRACT)
    assert command.main(options) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "Ages are counted back from 2026-03-21, the newest day that is confirmed by later events.",
        "events of 2026-03-10 to 2026-03-11: 4 rows in 2 files",
    ]
    file.write_text(CONTRACT.replace("7", "70"))
    assert command.main(options) == 0
    assert capsys.readouterr().out.endswith("Nothing is old enough to be deleted.\n")
    assert set(home.rglob("*.parquet")) == files
    with pytest.raises(StoreError, match="has no store"):
        command.main(Namespace(data_dir=tmp_path / "other", campaigns=file))


def test_what_the_audit_trail_cannot_take_is_told_tomorrow(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Floor(home, configuration(events=KEPT))
    desk.audit.path.parent.mkdir()
    desk.audit.path.mkdir()  # in the place of its file
    desk.delete()
    assert "the audit trail does not have this yet" in caplog.text
    desk.audit.path.rmdir()
    tomorrow = NOW + dt.timedelta(days=1)
    for _ in range(2):
        desk.delete(tomorrow)
        (entry,) = desk.audit.entries()
        assert entry.what.startswith(f"retention · events · {date(0)} – {date(FROZEN - 2)} · ")
        tomorrow += dt.timedelta(days=1)


def test_a_campaign_that_is_not_configured_keeps_its_calls_for_the_longest(home: Path) -> None:
    """Whose it was, the file does not say any more. Else a mistake in it deletes what a contract keeps for years."""
    desk = Floor(home, NOTHING)
    kept = configuration(events=KEPT, calls=KEPT, clients={"club": {"calls": 400}})
    without = replace(kept, campaigns={"sav": kept.campaigns["sav"]})
    for one in (kept, without):
        assert [(calls.client, calls.rows) for calls in due(desk, one) if calls.what == "calls"] == [
            ("client", 3 * OLD)
        ]


LATE = """
    09:10:00 rated call_id=a score=5
    09:00:00 state agent=ana state=paused reason=late
    09:00:00 queued call_id=new
"""
TOO_LATE = "ts lies before the days of which events are kept ([retention] in campaigns.toml)."


def test_what_comes_for_a_frozen_day_changes_nothing_and_is_told(home_without: Path, before: Figures) -> None:
    """Nor does it make a call without a beginning of one that is deleted."""
    desk = Floor(home_without, MIXED)
    takes_from = desk.store.archive.takes_from()
    assert takes_from == DAY + dt.timedelta(days=FROZEN + 1)
    sorter = Sorter(PERSONS)
    sorter.keep_from(takes_from)
    late = [e | {"event_id": f"late-{n}-{e['event_id']}"} for n in (0, FROZEN - 1, FROZEN) for e in day(n, LATE)]
    arrivals = sorter.sort(Batch({PARTITION: messages(late, NOW)}, {PARTITION: 900}))
    assert [letter.reason for letter in arrivals.dead] == [TOO_LATE] * len(late)
    desk.apply(late, NOW)  # read before the days were frozen, and written after it
    of_calls = [  # of a call that is deleted, and of one whose events are
        day(FROZEN + 1, f"09:0{n}:00 rated call_id=x score=5")[0] | {"event_id": f"rated-{n}", "call_id": f"{n:02}a"}
        for n in (0, FROZEN - 1)
    ]
    assert "00a" not in desk.calls() and f"{FROZEN - 1:02}a" in desk.calls()
    desk.apply(of_calls, NOW)
    same(desk.figures() | {STATUS: before[STATUS]}, before)
    counts = {"events": before[STATUS][0]["events"], "duplicates": len(late) + 2, "records": len(late) + 2}
    assert desk.rows(STATUS) == [counts | {"records": counts["records"] + before[STATUS][0]["records"]}]
    assert desk.rows("FROM calls WHERE queued_at IS NULL AND dialed_at IS NULL") == []


def test_what_is_not_frozen_is_corrected_as_ever(home: Path, home_without: Path) -> None:
    """Also a state without its campaign's name, which was given on a day whose events are gone."""
    late = [event | {"event_id": f"late-{event['event_id']}"} for event in day(FROZEN + 1, LATE)]
    states = f"FROM agent_states WHERE day > '{date(FROZEN - 1)}' ORDER BY ALL"
    untouched, desk = Floor(home, NOTHING), Floor(home_without, MIXED)
    for one in (untouched, desk):
        one.apply(late, NOW)
    same(desk.figures(states), untouched.figures(states))
    assert desk.rows("SELECT DISTINCT campaign FROM agent_states WHERE agent = 'ana'") == [{"campaign": "sav"}]


def test_a_day_that_a_late_event_has_opened_is_closed_before_its_events_go(home: Path, before: Figures) -> None:
    desk = Floor(home, CALLS)
    late = [event | {"event_id": f"late-{event['event_id']}"} for event in day(1, LATE)]
    desk.apply(late, NOW)
    desk.publisher.judge(Moment(NOW, NOW))
    assert desk.store.sql("SELECT count(*) FROM recalled_calls").fetchall() != [(0,)]
    desk.delete()
    assert desk.days_of("events")[0] == FROZEN - 1
    (status,) = desk.figures()[STATUS]
    assert status["events"] == before[STATUS][0]["events"] + len(late)
    assert desk.rows("FROM alarms") == []
    rated = "SELECT sum(rated) AS n FROM call_sums"
    assert desk.rows(rated) == [{"n": 1}]


def test_a_rebuild_gives_the_same(home_without: Path, before: Figures) -> None:
    desk = Floor(home_without, MIXED)
    figures = desk.figures(*ROWS)
    same({query: rows for query, rows in figures.items() if query not in ROWS}, before)
    former = names_of(desk)
    assert len(former) == 2 and all(PSEUDONYM.fullmatch(agent) for agent in former)
    assert (month := set(desk.store.segments.files("call_sums_of_months")))
    desk.close()
    rebuild(home_without, MIXED, PERSONS, lambda *_: None)
    desk = Floor(home_without, MIXED)
    assert not month & desk.store.segments.files("call_sums_of_months").keys()
    same(desk.figures(*ROWS), figures)
    files = {file for relation in ALL for file in desk.store.segments.files(relation)}
    desk.delete()
    assert {file for relation in ALL for file in desk.store.segments.files(relation)} == files
    assert names_of(desk) == former and desk.store.archive.takes_from() is not None
    rated = day(FROZEN + 1, "09:00:00 rated call_id=x score=5")[0] | {"call_id": "00a"}
    desk.apply([rated], NOW)
    assert desk.store.sql("SELECT count(*) FROM calls WHERE call_id = '00a'").fetchall() == [(0,)]


def test_a_clock_that_is_wrong_deletes_nothing(home: Path) -> None:
    """Nor does a source with a wrong clock beside it, nor one that goes back."""
    desk = Floor(home, CALLS)
    years = NOW + dt.timedelta(days=3_650)
    planned = due(desk, CALLS)
    assert planned and due(desk, CALLS, years) == planned  # the consumer's clock alone
    desk.apply([*day(3_650), b"broken"], years)
    desk.publish(years)
    files = desk.days_of("events")
    assert files[-1] == 3_650
    assert desk.delete(years) > 0
    assert desk.days_of("events") == [n for n in files if n >= files[-3] - KEPT - 2]  # as if this were one day more
    assert desk.days_of("dead_letters") == [3_650 + DAYS + 1]
    frozen = desk.store.segments.frozen_before
    desk.retention.configure(configuration(events=KEPT + 5))
    assert desk.delete(NOW) == 0 and desk.store.segments.frozen_before == frozen


def test_dead_letters_go_with_the_days_that_are_told(tmp_path: Path) -> None:
    """They count as days themselves: a feed of nothing but dead letters forgets the oldest too."""
    kept = configuration(dead_letters=10)
    desk = Floor(tmp_path / "data", kept)
    for number in (0, 1, 11):
        desk.apply([b"broken"] * 2, DAY + dt.timedelta(days=number))
        desk.publish(DAY + dt.timedelta(days=number))
    assert desk.delete(DAY + dt.timedelta(days=400)) == 0  # the third newest day is today
    for number in (12, 13):
        desk.apply([b"broken"], DAY + dt.timedelta(days=number))
        desk.publish(DAY + dt.timedelta(days=number))
    assert due(desk, kept) == [Due("dead_letters", "", date(0), date(0), 2, 1)]
    assert desk.delete(DAY + dt.timedelta(days=401)) > 0
    desk.publish(DAY + dt.timedelta(days=13))
    assert len(desk.rows("FROM dead_letters")) == 6 and desk.store.totals().dead_letters == 8
    assert desk.rows("FROM alarms") == [] and desk.deletions() == [Due("dead_letters", "", date(0), date(0), 2, 1)]


def names_of(desk: Desk) -> set[str]:
    """Every agent in what is published of the days that can lose rows."""
    until = f"day < '{date(OLD)}'"
    asked = (
        f"SELECT agent FROM agent_states WHERE {until} AND state != 'offline'",
        f"SELECT unnest([agent] || coalesce(missed_by, []) || list_transform(offers, lambda o: o.agent)) AS agent"
        f" FROM calls WHERE {until}",
    )
    return {row["agent"] for query in asked for row in desk.rows(query) if row["agent"]}


def test_agents_get_pseudonyms_and_figures_stay(home: Path) -> None:
    kept = configuration(events=KEPT, agent_states=KEPT)
    gone = read_story("07:00:00 profile agent=eva name=Eva \n 08:00:00 state agent=eva state=available campaign=sav")
    gone += read_story("09:00:00 state agent=eva state=offline")
    desk = Floor(home, kept)
    desk.apply([event | {"event_id": f"eva-{n}"} for n, event in enumerate(gone)], NOW)
    call = "09:00:00 queued call_id=t \n 09:00:09 answered call_id=t agent=tom \n 09:01:00 ended call_id=t"
    stays = read_story("07:00:00 profile agent=tom name=Tom") + day(TODAY - 1, call)  # his source tells no states
    desk.apply([event | {"event_id": f"tom-{n}"} for n, event in enumerate(stays)], NOW)
    agents = f"SELECT * EXCLUDE (agent, name) FROM kpi_agent('{DAY}', '{DAY + dt.timedelta(days=OLD)}') ORDER BY ALL"
    before = desk.figures(agents)
    assert names_of(desk) == {"ana", "bob", "eva"}
    planned = due(desk, kept)
    desk.delete()
    assert [one for one in desk.deletions() if one.files] == planned
    same(desk.figures(agents), before)
    former = names_of(desk)
    assert len(former) == 3 and all(PSEUDONYM.fullmatch(agent) for agent in former)
    (ana,) = desk.rows("SELECT agent, name FROM agents WHERE agent = 'ana'")  # who is still here
    assert ana == {"agent": "ana", "name": "ana"}
    assert {row["agent"] for row in desk.rows("SELECT agent FROM agents")} == former | {"ana", "bob", "tom"}
    assert desk.rows("SELECT name FROM agents WHERE agent = 'tom'") == [{"name": "Tom"}]
    assert "eva" not in {name for (name,) in desk.store.sql("SELECT name FROM archived_names").fetchall()}


def test_work_on_a_call_that_never_ends_stays_too(tmp_path: Path) -> None:
    """Nobody ended it, so it does not settle, while the other calls of its day are deleted."""
    stuck = "09:00:00 queued call_id=stuck \n 09:01:00 answered call_id=stuck agent=eve"
    desk = Floor(tmp_path / "data", CALLS)
    own = "10:00:00 queued call_id=a \n 10:01:00 answered call_id=a agent=ana \n 10:02:00 ended call_id=a"
    desk.apply(
        [*day(0, stuck), *(e | {"event_id": f"own-{e['event_id']}"} for n in range(DAYS + 1) for e in day(n, own))], NOW
    )
    work = f"SELECT workload_s FROM kpi_campaign('{at('08:00:00')}', '{at('24:00:00')}')"
    desk.publish(NOW)
    before = desk.rows(work)
    assert before[0]["workload_s"] > 3_600  # for max_state_s at most
    assert desk.delete() > 0 and "00a" not in desk.calls()
    desk.publish(NOW)
    assert desk.rows(work) == before


def damage(file: Path) -> bytes:
    """Change a bit that no reader notices; return what was there."""
    sound = file.read_bytes()
    file.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
    return sound


def test_a_damaged_file_stays_and_holds_up_only_what_is_made_of_it(home: Path, before: Figures) -> None:
    desk = Floor(home, CALLS)
    files = {
        relation: {s.day: file for file, s in desk.store.segments.files(relation).items()}
        for relation in ("calls", "events")
    }
    calls = damage(files["calls"][date(0)])
    events = damage(files["events"][date(2)])
    desk.delete()
    assert desk.days_of("events")[0] == 1 and desk.store.segments.frozen_before == date(2)
    files["events"][date(2)].write_bytes(events)
    desk.store.segments.checksums.check_damaged()
    desk.delete(NOW + dt.timedelta(days=1))
    assert desk.days_of("events")[0] == FROZEN - 1
    assert desk.days_of("calls")[:OLD] == list(range(OLD))  # work on calls of these days is made of that file too
    damaged = desk.store.sql("SELECT file FROM checksums WHERE is_damaged").fetchall()
    assert [name for (name,) in damaged] == [f"calls/day={date(0)}/{files['calls'][date(0)].name}"]
    desk.close()
    rebuild(home, CALLS, PERSONS, lambda *_: None)  # which cannot make it again
    desk = Floor(home, CALLS)
    assert desk.store.sql("SELECT file FROM checksums WHERE is_damaged").fetchall() == damaged
    files["calls"][date(0)].write_bytes(calls)
    desk.close()
    desk = Floor(home, CALLS)
    desk.publish(NOW)
    desk.delete()
    same(desk.figures(), before)
    assert desk.days_of("calls")[0] == OLD


def test_a_kill_at_any_statement_costs_nothing(home: Path, before: Figures) -> None:
    """What a killed consumer left is deleted by the next one; files of the step that did not commit are removed."""
    kept = configuration(events=KEPT, calls=KEPT, agent_states=KEPT)
    step = Retain(Moment(NOW, NOW), kept)
    kills = 0
    for statement in itertools.count(50, 30):
        try:
            consumer = Consumer(home, kept, 1, Death(statement) if kills == 3 else None)
            consumer.do(step, Death(statement, after_s=0.0003 if kills % 2 else 0.0))
        except Died:
            kills += 1
            continue
        consumer.do(Publish(step.moment))
        consumer.close()
        break
    assert kills > 5
    desk = Floor(home, kept)
    assert due(desk, kept) == []
    same(desk.figures(), before)
    assert all(PSEUDONYM.fullmatch(agent) for agent in names_of(desk))
    desk.store.segments.sweep(0.0)
    named = {file for relation in ALL for file in desk.store.segments.files(relation)}
    assert set(home.resolve().rglob("*.parquet")) == named
