"""A year of settled days in a store: one week as a consumer settles it, and copies of that week.

The simulated floor is too small and too slow for a year, so each of its rows counts `copies` times, as that of another
agent and caller. The week is written by the store itself, with its sums. The weeks before it are copies of its files:
with timestamps and days that are whole weeks earlier, and counted like the store's own. All zones are without summer
time, so a call keeps its local day. No events are copied: nothing of the year can be recalled.
"""

import datetime as dt
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from bench.children import ROOT
from bench.simulated import AGENTS, MONDAY
from ingest.archive.inventory import EVENTS, folder_of
from ingest.archive.segments import DIGEST, Segment
from ingest.events.batch import Batch, Partition
from ingest.events.keys import FIRST_DAY, Keys
from ingest.events.persons import Persons
from ingest.events.sorting import Sorter
from ingest.judging.conservation import DAY_COUNTS, Conservation
from ingest.publishing.publish import Moment, Publisher
from ingest.simulator.day import Day
from ingest.simulator.incidents import Event
from ingest.simulator.past import PAST_LINES, records_by_key, records_of
from ingest.store.store import Store
from ingest.topic.producing import Record
from metrics.composition.grains import DAY_US
from metrics.composition.sums import SUMS, WORK_SUMS
from metrics.configuration.campaigns import Campaign, Client, Configuration, load
from metrics.quoting import quoted

PARTITION = Partition("bench", 0, "bench", "bench")
PERSONS = Persons(Keys([(FIRST_DAY, "a key of the benchmark only, and of nobody")]))
WEEK = 7
ZONES = {"Europe/London": "Africa/Abidjan"}
"""Zones without summer time, with the winter time of the campaigns' own; all others are an hour ahead."""
EVENT_WEEKS = 4
FLOORS = 4
"""The copies are of so many floors, each with clients and campaigns of its own."""
HOURS = (0, 10, 14, 18, 20, 24)
"""A day's rows arrive in so many files, from one of these hours [UTC] to the next: as many as live settling leaves."""
IDS = ("call_id", "linked_id", "event_id")
INSTANTS = {"calls": "cohort_at", "agent_states": "started_at"}
"""By which a row is in one of these files."""


def configuration(floors: int = FLOORS) -> Configuration:
    """The example's clients and campaigns, once for each floor, in zones without summer time and with one contract."""
    example = load(ROOT / "campaigns.toml")
    clients: dict[str, Client] = {}
    campaigns: dict[str, Campaign] = {}
    for floor in range(floors):
        clients |= {_on(floor, own.id): replace(own, id=_on(floor, own.id)) for own in example.clients.values()}
        for own in example.campaigns.values():
            zone = ZONES.get(own.timezone, "Africa/Tunis")
            terms = (replace(own.terms[-1], valid_from=None),)
            name, client = _on(floor, own.id), _on(floor, own.client)
            campaigns[name] = replace(own, id=name, client=client, timezone=zone, terms=terms)
    return replace(example, clients=clients, campaigns=campaigns, alerts=())


def _on(floor: int, name: str) -> str:
    return f"{name}-{floor}" if floor else name


def apply(store: Store, records: Iterable[Record]) -> None:
    """Store records as a consumer stores a batch, without Kafka."""
    begin = store.position(PARTITION) or 0
    arrived = [SimpleNamespace(offset=begin + n, timestamp=-1, value=value) for n, (_, value) in enumerate(records)]
    store.apply(Sorter(PERSONS).sort(Batch({PARTITION: list(arrived)}, {PARTITION: begin + len(arrived)})))


def events_between(day: dt.date, begin: dt.datetime | None, until: dt.datetime) -> Iterator[Record]:
    """Yield the events of the floor's `day` that happen from `begin` (None: the first) to before `until`."""
    first, last = "" if begin is None else begin.isoformat(), until.isoformat()
    events = (event for event in _events(day) if first <= event["ts"] < last)
    return records_of(events, PAST_LINES)


@cache
def _events(day: dt.date) -> list[Event]:
    return list(Day(day, agents=AGENTS, seed=1).run())


def add_history(store: Store, weeks: int, copies: int) -> None:
    """Add `weeks` to the empty `store`. The last one begins with MONDAY."""
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as directory:
        made = Store(Path(directory, "store.duckdb"))
        publisher = Publisher(made, Path(directory, "published"), configuration(1))
        as_of = dt.datetime.combine(MONDAY + dt.timedelta(days=WEEK), dt.time(6), dt.UTC)
        for back in range(1, WEEK + 1):  # newest first, as the demo does
            day = Day(MONDAY + dt.timedelta(days=WEEK - back), agents=AGENTS, seed=1)
            with made.transaction():
                apply(made, records_by_key(day.run(), PAST_LINES))
                publisher.judge(Moment(as_of, as_of))
                publisher.settle(Moment(as_of, as_of))
        limit_s = publisher.configuration.defaults.max_state_s
        store.set_variables({"as_of": as_of, "published_at": as_of, "max_state_s": limit_s})
        _write_week(store, made, copies)
        store.segments.sweep(0.0)  # SQL by hand reads whatever is in the folder
        _note_extent(store, made, weeks)
        _note_events(store, made)
        _copy(store, EVENTS, made.segments.files(EVENTS).values(), range(EVENT_WEEKS))
        made.close()
    for name in (*INSTANTS, *SUMS):
        _copy(store, name, store.segments.files(name).values(), range(1, weeks))
    _keep_sums(store, weeks)


def _write_week(store: Store, made: Store, copies: int) -> None:
    """Write the settled rows of `made`, `copies` times, as the store writes rows that settle, with their sums."""
    floor = f"CASE WHEN n % {FLOORS} > 0 THEN '-' || n % {FLOORS} ELSE '' END"
    own = {
        "calls": ", ".join(f"{name} || '-' || n AS {name}" for name in ("call_id", "linked_id", "caller_key")),
        "agent_states": "seconds AS seconds",
    }
    for begin, end in itertools.pairwise(HOURS):
        with store.transaction():
            for relation, instant in INSTANTS.items():
                store.sql(
                    f"CREATE OR REPLACE TEMP TABLE settled AS"
                    f" SELECT * EXCLUDE (n) REPLACE ({own[relation]}, agent || '-' || n AS agent,"
                    f" campaign || {floor} AS campaign)"
                    f" FROM ({made.segments.rows(relation)}), range({copies}) AS copies(n)"
                    f" WHERE hour({instant}) >= {begin} AND hour({instant}) < {end}"
                )
                store.segments.write(relation, "settled")
            store.sql("DROP TABLE settled")
        _keep_some(store)


def _note_extent(store: Store, made: Store, weeks: int) -> None:
    """Note of the days what is noted when rows settle."""
    Conservation(store).count_settled()
    counts = ", ".join(f"sum({name}) AS {name}" for name in DAY_COUNTS)
    store.sql(
        "CREATE TEMP TABLE checks AS"
        f" SELECT campaign, day - {WEEK} * week::INTEGER AS day, {counts}, max(checked_at) AS checked_at"
        f" FROM settled_checks, range({weeks}) AS weeks(week) GROUP BY ALL"
    )
    store.sql("DELETE FROM settled_checks")
    store.sql("INSERT INTO settled_checks BY NAME FROM checks")
    ((closed_before,),) = made.sql("SELECT max(closed_before) FROM archived_until").fetchall()
    store.sql("INSERT INTO archived_until VALUES (?)", [closed_before])
    for day, answered_on in made.sql("FROM late_answers").fetchall():
        for week in range(weeks):
            back = dt.timedelta(days=WEEK * week)
            store.sql("INSERT INTO late_answers VALUES (?, ?)", [day - back, answered_on - back])
    for campaign, agent, started_at in made.sql("SELECT campaign, agent, started_at FROM first_states").fetchall():
        at = started_at - dt.timedelta(days=WEEK * (weeks - 1))
        for floor in range(FLOORS):
            store.sql(
                "INSERT INTO first_states (campaign, agent, started_at) VALUES (?, ?, ?)",
                [_on(floor, campaign), f"{agent}-{floor}", at],
            )


def _note_events(store: Store, made: Store) -> None:
    """Count the events that are copied as read."""
    ((lines,),) = made.sql("SELECT sum(rows)::BIGINT FROM segments WHERE relation = 'events'").fetchall()
    store.sql("UPDATE totals SET lines = lines + ?", [lines * EVENT_WEEKS])
    store.sql("INSERT INTO sources SELECT 'history', ?, max(closed_before) FROM archived_until", [lines * EVENT_WEEKS])


def _copy(
    store: Store, relation: str, segments: Iterable[Segment], weeks: range, begins: dict[dt.date, str] | None = None
) -> None:
    """Copy the files of the last week so many weeks back. `begins`: how names begin, for days that get a copy."""
    for segment, week in itertools.product(segments, weeks):
        day = segment.day - dt.timedelta(days=WEEK * week)
        if begins is not None and day not in begins:
            continue
        begin = segment.file.stem[:-4] if begins is None else begins[day] + segment.file.stem[DIGEST:-4]
        name = f"{relation}/day={day}/{begin}{week:04x}.parquet"
        file = folder_of(store.folder.resolve(), relation) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        source = f"read_parquet({quoted(segment.file)}, hive_partitioning = false)"
        kinds = {column: kind for column, kind, *_ in store.sql(f"DESCRIBE FROM {source}").fetchall()}
        changed = [
            f"make_timestamptz(epoch_us({column}) - {WEEK * week * DAY_US}) AS {column}"
            for column, kind in kinds.items()
            if kind == "TIMESTAMP WITH TIME ZONE"
        ]
        changed += [f"{column} || '-{week}' AS {column}" for column in IDS if column in kinds]
        store.sql(f"COPY (SELECT * REPLACE ({', '.join(changed)}) FROM {source}) TO {quoted(file)}")
        store.sql("INSERT INTO segments VALUES (?, ?, ?, ?)", [relation, day, name, segment.rows])
        store.segments.checksums.note(name, file)


def _keep_sums(store: Store, weeks: int) -> None:
    """Keep the work of the last days, as the store does, and copy a week of it; keep the sums of all months."""
    _keep_some(store)
    while any(work.missing for work in store.segments.works()[:WEEK]):
        _keep_some(store)
    works = store.segments.works()
    first = works[-1].day + dt.timedelta(days=2)  # before it, there are no calls of the days before
    begins = {work.day: work.digest for work in works if work.missing and work.day >= first}
    _copy(store, WORK_SUMS, [file for work in works[:WEEK] for file in work.files.values()], range(1, weeks), begins)
    for _ in range(weeks // 4 + 2):
        _keep_some(store)


def _keep_some(store: Store) -> None:
    store.segments.reload()
    with store.transaction():
        store.segments.keep_sums()
        store.segments.keep_months()
        store.segments.keep_work()
    store.segments.reload()
