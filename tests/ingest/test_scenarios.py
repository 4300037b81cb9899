"""Difficult input, docs/kpis.md at work: each scenario goes through store, publisher and published file.

Scenarios that are published at the same times share a floor, each under names of its own. A floor is played as written,
and again shuffled, with repetitions, in other batches and with publishes in between; at every publish everything that
can settle does. Both must be published as the scenarios say, and equally.
"""

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingest.events.batch import Batch
from ingest.publishing.publish import Moment, Publisher
from ingest.store.store import Store
from tests.support.stories.scenario import Row, Scenario, ScenarioError
from tests.support.stories.stream import PARTITION, Event, configured, messages, publish, rows, sort

SCENARIOS = [Scenario(path) for path in sorted((Path(__file__).parent / "scenarios").glob("*.txt"))]
WAYS = ("as written", "shuffled")

# per table of a scenario: the query of the rows to compare with, and their key
RELATIONS = {
    "calls": ("FROM calls", ("call_id",)),
    "states": ("FROM agent_states", ("agent", "started_at")),
    "campaigns": ("FROM kpi_campaign($start, $stop)", ("campaign",)),
    "queues": ("FROM kpi_queue($start, $stop)", ("queue",)),
    "agents": ("FROM kpi_agent($start, $stop)", ("agent",)),
    "formulas": ("FROM kpi_formulas($start, $stop)", ("campaign",)),
    "intervals": ("FROM kpi_interval($start, $stop, $minutes)", ("campaign", "interval_start")),
    "days": ("FROM kpi_daily", ("campaign", "day")),
}
NAMES = ("event_id", "call_id", "linked_id", "agent", "campaign")

Published = list[duckdb.DuckDBPyConnection]


@pytest.fixture(scope="module")
def floors(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that returns the published files, part by part, of a scenario's floor played in one of the WAYS."""

    @cache
    def play(instants: tuple[Any, ...], way: str) -> Published:
        sharing = [s for s in SCENARIOS if instants_of(s) == instants]
        home = tmp_path_factory.mktemp("floor")
        store = Store(home / "store.duckdb")
        campaigns = [replace(c, id=f"{s.path.stem}/{c.id}") for s in sharing for c in s.campaigns]
        publisher = Publisher(store, home / "published", configured(*campaigns), settle_rows=1)
        batches = [[named(e, s) for s in sharing for e in s.parts[n].events] for n in range(len(instants))]
        if way == "shuffled":
            events = [event for batch in batches for event in batch]
            events += events[::2]
            random.Random(len(events)).shuffle(events)
            batches, instants = [events[n::3] for n in range(3)], (instants[-1],) * 3
        published = []
        for offset, (events, as_of) in enumerate(zip(batches, instants, strict=True)):
            store.apply(sort(Batch({PARTITION: messages(events, as_of)}, {PARTITION: offset})))
            publish(publisher, Moment(as_of, as_of))
            published.append(duckdb.connect(str(publisher.path.rename(home / f"{offset}.duckdb")), read_only=True))
        store.close()
        return published

    return lambda scenario, way: play(instants_of(scenario), way)


def instants_of(scenario: Scenario) -> tuple[Any, ...]:
    return tuple(part.as_of for part in scenario.parts)


def named(event: Event, scenario: Scenario) -> Event:
    """Prefix an event's names with the scenario's."""
    return event | {n: f"{scenario.path.stem}/{event[n]}" for n in NAMES if n in event}


@cache
def read(published: duckdb.DuckDBPyConnection, query: str, given: tuple[Any, ...] = ()) -> list[Event]:
    return rows(published, query, dict(given) or None)


def own(found: list[Event], scenario: Scenario) -> list[Event]:
    """Return a scenario's own rows, with the names that it uses."""
    world = f"{scenario.path.stem}/"
    short = [{n: v.removeprefix(world) if n in NAMES and v else v for n, v in row.items()} for row in found]
    return [mine for mine, row in zip(short, found, strict=True) if any(mine.get(n) != row.get(n) for n in NAMES)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.path.stem)
def test_a_scenario_is_published_as_it_says(floors: Any, scenario: Scenario, way: str) -> None:
    published = floors(scenario, way)
    parts = scenario.parts if way == "as written" else scenario.parts[-1:]
    for part, connection in zip(parts, published[-len(parts) :], strict=True):
        wrong = differences(scenario, connection, part.rows)
        assert not wrong, "\n".join([f"{scenario.path.name} ({scenario.title}), {way}:", *wrong])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.path.stem)
def test_a_scenario_is_published_equally_in_any_order(floors: Any, scenario: Scenario) -> None:
    ways = [floors(scenario, way)[-1] for way in WAYS]
    for relation in ("calls", "agent_states", "agents", "campaigns", "kpi_daily"):
        as_written, shuffled = (own(read(p, f"FROM {relation} ORDER BY ALL"), scenario) for p in ways)
        assert shuffled == as_written
        assert relation != "kpi_daily" or all(row["conserved"] for row in shuffled)
    assert all(read(p, "FROM dead_letters") == [] for p in ways)


def differences(scenario: Scenario, published: duckdb.DuckDBPyConnection, expected: list[Row]) -> list[str]:
    """Describe each difference in a line; of calls, and of an agent's states, all rows must be expected."""
    wrong = []
    for row in expected:
        query, key = RELATIONS[row.table]
        found = own(read(published, query, tuple(row.given.items())), scenario)
        expected_keys = {r.key for r in expected if r.table == row.table}
        there = {tuple(r[column] for column in key): r for r in found}
        if row.table in ("calls", "states"):
            whose = {row.key[0]} if row.table == "states" else {name for name, *_ in there}
            wrong += [f"line {row.line}: not expected: {k}" for k in there if k not in expected_keys and k[0] in whose]
        if row.key not in there:
            wrong.append(f"line {row.line}: {row.table} has no row {row.key}")
        for word, figure in row.figures.items() if row.key in there else ():
            column = next((c for c in (word, f"{word}_s", f"{word}_at") if c in found[0]), None)
            if column is None:
                wrong.append(f"line {row.line}: {row.table} has no column {word}")
            elif there[row.key][column] != figure:
                wrong.append(f"line {row.line}: {row.key[0]} {column} {there[row.key][column]}, expected {figure}")
    return list(dict.fromkeys(wrong))


GOOD = """# t
day 2026-03-10
campaign c1 Europe/Paris
events
  09:00 call A queued
published 10:00
calls
  A dropped
"""


@pytest.mark.parametrize(
    ("wrong", "instead", "says"),
    [
        ("queued", "queeued", "line 5: this is no event of the contract: Invalid value 'call.queeued'"),
        ("queued", "queued language", "line 5: `language` is not made of pairs of a word and a value"),
        ("09:00", "9 o'clock", "line 5: `9 o'clock call A queued` is no event"),
        ("day 2026-03-10\n", "", "line 4: `09:00` is on no day; add a `day` line"),
        ("day 2026-03-10\n", "zone Europe/Paris\nday 2026-03-29\n", "line 6: `02:30` comes twice or never"),
        (
            "published 10:00",
            "published 08:00",
            "line 6: call.queued at 2026-03-10T09:00:00+00:00 had not happened by then",
        ),
        ("calls\n  A dropped", "", "line 7: nothing is expected of the last events"),
        ("calls", "call", "line 7: `call` is no heading; allowed are zone, day"),
        ("A dropped", "A dropped wait", "line 8: `outcome dropped wait` is not made of pairs"),
    ],
)
def test_a_scenario_that_cannot_be_read_says_where(tmp_path: Path, wrong: str, instead: str, says: str) -> None:
    path = tmp_path / "s.txt"
    text = GOOD.replace(wrong, instead, 1)
    path.write_text(text.replace("09:00 call", "02:30 call") if "comes twice" in says else text)
    with pytest.raises(ScenarioError) as error:
        Scenario(path)
    assert f"s.txt, {says}" in str(error.value)
