"""Sums and calls give the same figures: for any window, stream, recall and restart, and after an upgrade."""

import contextlib
import datetime as dt
import itertools
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given

from ingest.publishing.publish import Moment
from metrics.composition.compose import select
from metrics.composition.grains import GRAINS
from metrics.composition.sums import SUMS
from tests.support.stories.floors import (
    AGENTS,
    CAMPAIGNS,
    CONFIGURATION,
    LATEST,
    START,
    as_of,
    delivered,
    floor,
    floors,
    rare,
)
from tests.support.stories.stream import Desk, Event

pytestmark = pytest.mark.slow

SUMMED = {name: grain for name, grain in GRAINS.items() if grain.sums}
QUARTER = dt.timedelta(minutes=15)


def check_sums(desk: Desk, rng: random.Random) -> None:
    """Compare macros, over windows of several shapes, with the same figures made of calls and states alone."""
    for t0, t1 in rng.sample(windows(rng), 2):
        given: dict[str, Any] = {"t0": t0, "t1": t1, "minutes": rng.choice((5, 15, 30, 45, 60, 0.5)), "among": None}
        given |= {"day0": t0.date(), "day1": t1.date() + dt.timedelta(days=1)}
        given["among"] = rng.choice((None, list(rng.sample(CAMPAIGNS, 2))))
        if (t1 - t0) > dt.timedelta(days=3):
            given["minutes"] = 60
        for name in {"kpi_campaign", *rng.sample(sorted(SUMMED), 1)}:
            grain = SUMMED[name]
            found, expected = (
                rows(desk, select(g), grain.parameters, given) for g in (grain, replace(grain, sums=None))
            )
            assert found == expected, (name, given)
    for name, sums in SUMS.items():
        check_relation(desk, name, sums.of_rows(sums.up_to_now(sums.of)))


def windows(rng: random.Random) -> list[tuple[dt.datetime, dt.datetime]]:
    whole = START + rng.randint(0, 100) * QUARTER
    ragged = START + dt.timedelta(seconds=rng.uniform(0, 100_000))
    week = dt.timedelta(days=7)
    return [
        (START - week, LATEST + week),
        (whole, whole + rng.randint(1, 40) * QUARTER),
        (ragged, ragged + dt.timedelta(seconds=rng.choice((1, 600, 900, 5_000, 90_000)))),
        (whole, ragged) if whole < ragged else (ragged, whole),
    ]


def rows(desk: Desk, query: str, parameters: tuple[str, ...], given: dict[str, Any]) -> list[Event]:
    """The rows of a SELECT of a macro, with constants for its parameters, as a caller gives them."""
    desk.rows(f"CREATE OR REPLACE TEMP MACRO asked({', '.join(parameters)}) AS TABLE {query}")
    arguments = ", ".join(f"${name}" for name in parameters)
    return desk.rows(f"FROM asked({arguments}) ORDER BY ALL", {name: given[name] for name in parameters})


def check_relation(desk: Desk, name: str, made_of_rows: str) -> None:
    """Compare a relation of sums with the sums of all rows."""
    keys = ", ".join(SUMS[name].keys)
    added = ", ".join(f"{m.of}({m.summed}) AS {m.summed}" for m in SUMS[name].measures)
    whole = f"SELECT {keys}, {added} FROM ({{}}) GROUP BY ALL ORDER BY ALL"
    nothing = [m.summed for m in SUMS[name].measures]
    found, expected = (
        [row for row in desk.rows(whole.format(source)) if any(row[column] for column in nothing)]
        for source in (f"FROM {name}", made_of_rows)
    )
    assert found == expected, name


@rare
@given(rng=floors)
def test_sums_and_calls_give_the_same_figures(rng: random.Random) -> None:
    check_floor(rng, 12)


@pytest.mark.parametrize("seed", [3, 4])
def test_sums_and_calls_of_a_big_floor_give_the_same_figures(seed: int) -> None:
    check_floor(random.Random(seed), 150)


def call_on(instant: dt.datetime, name: str) -> list[Event]:
    steps: list[Event] = [
        {"type": "call.queued", "campaign": "paris", "queue": "a"},
        {"type": "call.answered", "agent": AGENTS[0]},
        {"type": "call.ended"},
    ]
    return [
        step | {"event_id": f"{name}-{n}", "call_id": name, "ts": (instant + dt.timedelta(seconds=n)).isoformat()}
        for n, step in enumerate(steps)
    ]


def check_floor(rng: random.Random, most_calls: int) -> None:
    """Feed a floor in any order, so that late events recall what settled; check before and after it settles again."""
    events = delivered(rng, floor(rng, most_calls))
    if rng.random() < 0.5:
        rng.shuffle(events)
    instant = as_of(rng)
    if rng.random() < 0.7:  # days with later ones after them, whose work is kept
        instant = LATEST + dt.timedelta(days=9)
        events = [*call_on(LATEST + dt.timedelta(days=4), "later"), *events]
    cuts = [0, *sorted(rng.randint(0, len(events)) for _ in range(3)), len(events)]
    with tempfile.TemporaryDirectory() as home, contextlib.closing(Desk(Path(home), CONFIGURATION)) as desk:
        for begin, end in itertools.pairwise(cuts):
            desk.apply(events[begin:end], instant)
            desk.publisher.judge(Moment(instant, instant))
            desk.publisher.write(Moment(instant, instant))
            check_sums(desk, rng)
            desk.publish(instant)
            check_sums(desk, rng)
        desk.apply(call_on(LATEST + dt.timedelta(days=5), "after all"), instant)
        desk.publish(instant)  # the work of all days is kept now
        check_sums(desk, rng)


def test_a_local_day_begins_with_a_quarter_of_an_hour_in_every_zone() -> None:
    """Since 1990, before which no event counts: so sums by quarter of an hour are sums by local day."""
    months = [dt.datetime(year, month, 1, tzinfo=dt.UTC) for year in range(1990, 2038) for month in range(1, 13)]
    odd = {
        zone
        for zone in available_timezones()
        for month in months
        if (month.astimezone(ZoneInfo(zone)).utcoffset() or dt.timedelta()) % QUARTER
    }
    assert odd == set()
