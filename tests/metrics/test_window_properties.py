"""What must always hold between windows on generated floors: sums, days, settled windows, contracts."""

import datetime as dt
import itertools
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import given

from metrics.composition import figures
from metrics.composition.figures import DAY_COLUMNS
from metrics.configuration.campaigns import Campaign, Configuration, Term
from tests.support import oracle
from tests.support.stories.floors import (
    AGENTS,
    CAMPAIGNS,
    CONFIGURATION,
    KPIS,
    LATEST,
    START,
    SUMS,
    as_of,
    delivered,
    floor,
    floors,
    published,
    rare,
    window,
)
from tests.support.stories.stream import Desk, Event, campaign, configured, rows

pytestmark = pytest.mark.slow

# not sales_per_hour: a sale counts when its call was queued, and that window may have no logged-in hours
RATIOS_AND_MEANS = [kpi.name for kpi in figures.KPIS.values() if not kpi.is_equation and kpi.name != "sales_per_hour"]


def by_campaign(connection: duckdb.DuckDBPyConnection, hours: tuple[float, float]) -> dict[str, Event]:
    return {row["campaign"]: row for row in rows(connection, KPIS, window(hours))}


@rare
@given(rng=floors)
def test_a_day_is_the_sum_of_its_intervals_and_the_campaigns_window(rng: random.Random) -> None:
    """This includes a day of 25 hours: Paris and London turn their clocks back in it, Kolkata does not."""
    with published(delivered(rng, floor(rng, 40)), as_of(rng)) as connection:
        check_days(connection)


def check_days(connection: duckdb.DuckDBPyConnection) -> None:
    days = rows(
        connection,
        "SELECT k.*, from_at, until_at FROM kpi_daily AS k JOIN campaigns USING (campaign)"
        " JOIN local_days USING (timezone, day)",
    )
    if not days:
        return
    span = {"t0": min(day["from_at"] for day in days), "t1": max(day["until_at"] for day in days)}
    sums = [column for column in SUMS if column in DAY_COLUMNS]
    added = ", ".join(f"sum({column})::DOUBLE AS {column}" for column in sums)
    of_intervals = {
        (row["campaign"], row["day"]): row
        for row in rows(
            connection,
            f"SELECT campaign, day, {added} FROM kpi_interval($t0, $t1, 30) JOIN campaigns USING (campaign)"
            " JOIN local_days USING (timezone) WHERE interval_start >= from_at AND interval_start < until_at"
            " GROUP BY campaign, day",
            span,
        )
    }
    for day in days:
        found = of_intervals[day["campaign"], day["day"]]
        for column in sums:
            assert found[column] == pytest.approx(day[column], abs=1e-6), (day["campaign"], day["day"], column)
    windows = {(day["from_at"], day["until_at"]) for day in days}
    lasted_h = {(until_at - from_at) / dt.timedelta(hours=1) for from_at, until_at in windows}
    assert lasted_h <= {24, 25}
    for from_at, until_at in windows:
        found_of = {row["campaign"]: row for row in rows(connection, KPIS, {"t0": from_at, "t1": until_at})}
        for day in days:
            if (day["from_at"], day["until_at"]) == (from_at, until_at):
                window_of = found_of[day["campaign"]]
                assert {column: window_of[column] for column in DAY_COLUMNS}.items() <= day.items()


@rare
@given(rng=floors)
def test_the_kpi_of_a_sum_lies_between_its_parts(rng: random.Random) -> None:
    """For a window cut in two, and for campaigns taken together."""
    with published(delivered(rng, floor(rng, 40)), as_of(rng)) as connection:
        first, second, total = (by_campaign(connection, hours) for hours in ((0, 5), (5, 40), (0, 40)))
        for name, row in total.items():
            between(row, (first[name], second[name]))
        among = list(rng.sample(CAMPAIGNS, rng.randint(2, len(CAMPAIGNS))))
        (together,) = rows(connection, "FROM kpi_total($t0, $t1, $among)", window((0, 40)) | {"among": among})
        parts = [total[name] for name in among if name in total]
        between(together, parts)
        for column in SUMS:
            added = sum(part[column] for part in parts)
            if column == "workload_s":  # an agent's simultaneous calls of two campaigns count once
                assert max((part[column] for part in parts), default=0) - 1e-6 <= together[column] <= added + 1e-6
            else:
                assert added == pytest.approx(together[column]), column


def between(total: Event, parts: list[Event] | tuple[Event, ...]) -> None:
    for name in RATIOS_AND_MEANS:
        values = [part[name] for part in parts if part[name] is not None]
        if not values:
            assert total[name] is None, name
        elif name == "longest_wait_s":
            assert total[name] == max(values)
        else:
            assert min(values) - 1e-9 <= total[name] <= max(values) + 1e-9, name


MAIL = configured(campaign("paris", "Europe/Paris"), campaign("lima", "America/Lima"))
ANSWERED_AFTER_H = (0, 0.1, 20, 30, 49, 100, 300)
TALKS_H = (None, None, 0.1, 11.99, 12, 12.01, 30, 120)
WRAPPED_AFTER_H = (None, None, 0.1, 12, 40, 200)


def long_work(rng: random.Random) -> list[Event]:
    """Generate calls that are answered late, last for days or without end, and are wrapped up days later."""
    events: list[Event] = []
    for number in range(rng.randint(3, 12)):
        moment = START + dt.timedelta(hours=rng.choice((0, 2, 3.5, 9, 30, 70)), seconds=rng.randint(0, 7200))
        steps: list[tuple[str, float | None]] = [("queued", 0), ("answered", rng.choice(ANSWERED_AFTER_H))]
        steps += [("ended", rng.choice(TALKS_H)), ("wrapped", rng.choice(WRAPPED_AFTER_H))]
        for kind, after_h in steps:
            if after_h is None:
                continue
            moment += dt.timedelta(hours=after_h)
            event = {"event_id": f"{number}-{kind}", "type": f"call.{kind}", "call_id": f"c{number}"}
            if kind == "queued":
                event |= {"campaign": rng.choice(("paris", "lima")), "queue": rng.choice("ab")}
                event |= {"channel": rng.choice(("voice", "email"))}
            if kind == "answered":
                event |= {"agent": rng.choice(AGENTS[:3])}
            events.append(event | {"ts": moment.isoformat()})
    rng.shuffle(events)
    return events


@rare
@given(rng=floors)
def test_windows_add_up_to_their_union_whatever_is_open_late_or_long(rng: random.Random) -> None:
    """Publishing and settling in between puts work into the files of much earlier days."""
    events = long_work(rng)
    instants = [START + dt.timedelta(hours=hours) for hours in sorted(rng.sample((10, 40, 110, 400, 700), 2))]
    edges = sorted({-24.0, *(rng.choice((0, 3, 12, 26, 50, 51.5, 100, 104, 301, 330)) for _ in range(4)), 720.0})
    with tempfile.TemporaryDirectory() as home:
        desk = Desk(Path(home), MAIL, settle_rows=rng.choice((1, 1, 10_000)))
        for begin, instant in itertools.pairwise((START, *instants)):
            desk.apply([e for e in events if begin <= dt.datetime.fromisoformat(e["ts"]) < instant], instant)
            desk.publish(instant)
        calls = oracle.calls([e for e in events if dt.datetime.fromisoformat(e["ts"]) < instant], MAIL, instant)
        for relation in ("kpi_campaign", "kpi_queue", "kpi_agent"):
            ask = f"SELECT coalesce(sum(workload_s), 0) AS s FROM {relation}($t0, $t1)"
            parts = [desk.rows(ask, window(hours))[0]["s"] for hours in itertools.pairwise(edges)]
            whole = desk.rows(ask, window((edges[0], edges[-1])))[0]["s"]
            assert sum(parts) == pytest.approx(whole, abs=1e-6), (relation, edges, events)
        for hours in itertools.pairwise(edges):
            span = window(hours)
            expected = oracle.kpi_campaign(calls, [], MAIL, span["t0"], span["t1"], instant)
            found = {row["campaign"]: row["workload_s"] for row in desk.rows(KPIS, span)}
            assert found == pytest.approx({name: row["workload_s"] for name, row in expected.items()}), (hours, events)
        desk.close()


HOURS = tuple(itertools.pairwise(range(-1, 42, 2)))


def settled_windows(desk: Desk) -> dict[tuple[str, dt.datetime], Event]:
    span = window((HOURS[0][0], HOURS[-1][1]))
    found = desk.rows("FROM kpi_interval($t0, $t1, 120) WHERE settled", span)
    return {(row["campaign"], row["interval_start"]): row for row in found}


@rare
@given(rng=floors)
def test_a_settled_window_changes_only_by_an_event_for_it(rng: random.Random) -> None:
    """Publish again and again while events of other calls come; all that can settle moves to Parquet in between."""
    events = floor(rng, 20)
    instant = START + dt.timedelta(hours=rng.choice((6, 12, 30, 41)))
    earlier = [event for event in events if dt.datetime.fromisoformat(event["ts"]) < instant]
    # columns of a window that is not settled
    waits_since = instant - dt.timedelta(minutes=rng.choice((16, 90, 150, 239)))
    waits = {"type": "call.queued", "call_id": "waits", "campaign": rng.choice(CAMPAIGNS), "queue": "a"}
    earlier.append(waits | {"event_id": "waits", "ts": waits_since.isoformat()})
    others = [  # events of other calls and agents, later than every settled window
        event
        | {name: f"other-{event[name]}" for name in ("event_id", "call_id", "agent") if name in event}
        | {"ts": (dt.datetime.fromisoformat(event["ts"]) + (LATEST - START)).isoformat()}
        for event in floor(rng, 10)
    ]
    with tempfile.TemporaryDirectory() as home:
        desk = Desk(Path(home), CONFIGURATION, settle_rows=rng.choice((1, 10_000)))
        desk.apply(earlier, instant)
        desk.publish(instant)
        settled = settled_windows(desk)
        for hours in (0.5, 12, 100):
            later = instant + dt.timedelta(hours=hours)
            desk.apply([e for e in others if dt.datetime.fromisoformat(e["ts"]) <= later], LATEST)
            if hours == 12:
                desk.close()
                desk = Desk(Path(home), CONFIGURATION)
            desk.publish(later)
            now = settled_windows(desk)
            assert {key: now[key] for key in settled} == settled
        desk.close()


@rare
@given(rng=floors)
def test_a_term_added_changes_no_past_figure(rng: random.Random) -> None:
    """Settled calls are judged again only from the term's first day on, and as if it had always been there."""
    events = delivered(rng, floor(rng, 20))
    instant = LATEST + dt.timedelta(hours=rng.choice((1, 20)))
    turn = dt.datetime(2026, 10, 24, 22) + dt.timedelta(minutes=rng.randint(0, 40 * 60))  # noqa: DTZ001 - local
    added = renewed(CONFIGURATION, turn, rng)
    with tempfile.TemporaryDirectory() as home:
        desk = Desk(Path(home) / "added", CONFIGURATION, settle_rows=rng.choice((1, 10_000)))
        desk.apply(events, instant)
        desk.publish(instant)
        before = desk.rows("FROM calls ORDER BY call_id"), desk.rows("FROM kpi_daily ORDER BY ALL")
        desk.publisher.configure(added)
        desk.publish(instant)
        after = desk.rows("FROM calls ORDER BY call_id"), desk.rows("FROM kpi_daily ORDER BY ALL")
        desk.close()
        fresh = Desk(Path(home) / "fresh", added)
        fresh.apply(events, instant)
        fresh.publish(instant)
        assert after == (fresh.rows("FROM calls ORDER BY call_id"), fresh.rows("FROM kpi_daily ORDER BY ALL"))
        fresh.store.close()
    judged = {row["call_id"]: row for row in after[0]}
    for row in before[0]:
        is_past = row["term_from"] == judged[row["call_id"]]["term_from"]
        assert judged[row["call_id"]] == row or not is_past
    for was, now in zip(before[1], after[1], strict=True):
        assert now == was or now["day"] >= turn.date()


def renewed(configuration: Configuration, turn: dt.datetime, rng: random.Random) -> Configuration:
    """Add a term from `turn` on to some campaigns, after their last term or within it."""
    campaigns = []
    for changed in configuration.campaigns.values():
        *rest, last = changed.terms
        since = max(turn, last.valid_from) if last.valid_from else turn
        if rng.random() < 0.7 and since != last.valid_from:
            changed = with_term(changed, rest, last, since, rng)
        campaigns.append(changed)
    return configured(*campaigns)


def with_term(changed: Campaign, rest: list[Term], last: Term, since: dt.datetime, rng: random.Random) -> Campaign:
    term = Term(
        valid_from=since,
        formula=rng.choice(("exclude_short", "all_offered", "answered_only", "abandon_counts_as_success")),
        threshold_s=rng.choice((5.0, 10.0, 60.0)),
        target=0.9,
        wait_at_threshold_counts=rng.random() < 0.5,
        short_abandon_s=rng.choice((0.0, 4.0, 21.0)),
    )
    return replace(changed, terms=(*rest, replace(last, valid_to=since), term))
