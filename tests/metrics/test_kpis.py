"""The KPIs as specified: one table per KPI, with its boundary and its empty case."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from metrics.composition.figures import AGENT_COLUMNS, COLUMNS, DAY_COLUMNS, KPIS, MEASURES, QUEUE_COLUMNS
from metrics.configuration.campaigns import Term
from metrics.kpis.kpi import Kpi
from metrics.published.objects import macros
from tests.support.published import Row, at, call, campaign, day, publish, rows, state


def figure(path: Path, calls: list[Row], states: list[Row], name: str, **other: Any) -> Any:
    return day(publish(path / "vigie.duckdb", calls, states, **other))[name]


def under(formula: str = "exclude_short", **other: Any) -> Any:
    return campaign(terms=[Term(formula=formula, **other)])


# 1000 answered, 860 of them in 20 s; 60 abandoned, 20 of them in 20 s, 10 of those in 5 s
GOLDEN = (
    [call(wait=20)] * 860
    + [call(wait=21)] * 140
    + [call("abandoned", wait=4)] * 10
    + [call("abandoned", wait=20)] * 10
    + [call("abandoned", wait=60)] * 40
)
FIVE = {
    "exclude_short": 81.90,
    "all_offered": 81.13,
    "ignore_abandons_in_threshold": 82.69,
    "abandon_counts_as_success": 83.02,
    "answered_only": 86.00,
}


def test_golden_day_under_each_formula(tmp_path: Path) -> None:
    (row,) = rows(publish(tmp_path / "g.duckdb", GOLDEN), f"FROM kpi_formulas('{at('00:00')}', '{at('24 00:00')}')")
    assert {name: round(row[name] * 100, 2) for name in FIVE} == FIVE


@pytest.mark.parametrize("formula", FIVE)
def test_golden_day_under_its_contract(tmp_path: Path, formula: str) -> None:
    judged = [row | {"formula": formula} for row in GOLDEN]
    assert figure(tmp_path, judged, [], "service_level") == pytest.approx(FIVE[formula] / 100, abs=5e-5)


WAITING = {"queued": "09:00", "agent": None}
SERVICE_LEVEL = {
    "no call: undefined": ([], under(), None, None, None),
    "only short abandons: undefined": ([call("abandoned", wait=1)], under(), None, None, None),
    "wait of exactly T counts": ([call(wait=20)], under(), 1, 1, 1),
    "wait of exactly T does not count under <": (
        [call(wait=20, of=under(wait_at_threshold_counts=False))],
        under(wait_at_threshold_counts=False),
        *(0, 0, 0),
    ),
    "abandon at exactly the short limit is not short": (
        [call(), call("abandoned", wait=5)],
        under(),
        1 / 2,
        1 / 2,
        1 / 2,
    ),
    "open inside T: left out, worst a miss, best a hit": ([call(), call("open", wait=7)], under(), 1, 1 / 2, 1),
    "only open inside T: undefined between 0 and 1": ([call("open", wait=7)], under(), None, 0, 1),
    "open past T is a miss at once": ([call(), call("open", wait=21)], under(), 1 / 2, 1 / 2, 1 / 2),
    "answered_only: open past T may only spoil the worst": (
        [call(of=under("answered_only")), call("open", wait=21, of=under("answered_only"))],
        under("answered_only"),
        *(1, 1 / 2, 1),
    ),
    "overflow, callback, voicemail, dropped are offered": (
        [call(), *(call(o, wait=3) for o in ("overflowed", "callback", "voicemail", "dropped"))],
        under(),
        *(1 / 5, 1 / 5, 1 / 5),
    ),
    "refused is not offered": ([call(), call("refused", wait=0)], under(), 1, 1, 1),
    "outbound is left out": ([call(wait=99), call(direction="outbound")], under(), 0, 0, 0),
    "callback direction is judged like inbound": (
        [call(wait=99), call(direction="callback")],
        under(),
        1 / 2,
        1 / 2,
        1 / 2,
    ),
}


@pytest.mark.parametrize(("calls", "of", "level", "worst", "best"), SERVICE_LEVEL.values(), ids=SERVICE_LEVEL)
def test_service_level(tmp_path: Path, calls: list[Row], of: Any, level: Any, worst: Any, best: Any) -> None:
    row = day(publish(tmp_path / "v.duckdb", calls, campaigns=[of]))
    assert (row["service_level"], row["service_level_worst"], row["service_level_best"]) == (level, worst, best)


COHORT = {
    "abandon_rate": {
        "no call: undefined": ([], None),
        "only short abandons: undefined": ([call("abandoned", wait=1)], None),
        "1 of 4, the short one left out of both": (
            [call(), call(), call("overflowed"), call("abandoned", wait=60), call("abandoned", wait=1)],
            1 / 4,
        ),
        "open calls are in the denominator": ([call("open"), call("abandoned", wait=60)], 1 / 2),
    },
    "asa_s": {
        "no answer: undefined": ([call("abandoned", wait=60)], None),
        "(10+20)/2 = 15 s, abandoned waits left out": ([call(wait=10), call(wait=20), call("abandoned", wait=90)], 15),
        "outbound waits left out": ([call(wait=10), call(wait=90, direction="outbound")], 10),
        "a wait that nobody measured left out": ([call(wait=10), call(wait=20), call(wait_s=None)], 15),
        "no wait measured: undefined": ([call(wait_s=None)], None),
    },
    "longest_wait_s": {
        "nobody waits: undefined": ([call(wait=300)], None),
        "longest of the open": ([call("open", wait=30), call("open", wait=90), call("abandoned", wait=400)], 90),
    },
    "aht_s": {
        "nothing handled: undefined": ([call(talk=None)], None),
        "(400+60+140)/2 = 300 s": ([call(talk=400, hold=60, wrap=140), call(talk=0)], 300),
        "no wrap-up counts 0": ([call(talk=100, wrap=0), call(talk=100, wrap=50)], 125),
        "outbound counts too": ([call(talk=100), call(talk=200, direction="outbound")], 150),
        "a call still talking is not handled": ([call(talk=100), call(talk=None)], 100),
    },
    "avg_talk_s": {
        "nothing handled: undefined": ([], None),
        "all share one denominator": ([call(talk=100), call(talk=50)], 75),
    },
    "avg_hold_s": {"nothing handled: undefined": ([], None), "calls without hold count": ([call(hold=60), call()], 30)},
    "avg_wrap_s": {
        "nothing handled: undefined": ([], None),
        "calls without wrap-up count": ([call(wrap=60), call()], 30),
    },
    "transfer_rate": {
        "nothing handled: undefined": ([], None),
        "1 of 4": ([call(transferred=True), call(), call(), call()], 1 / 4),
        "still talking does not count": ([call(), call(talk=None, transferred=True)], 0),
    },
    "conversion": {
        "nothing handled: undefined": ([], None),
        "1 of 2, inbound and outbound": ([call(sale=True, direction="outbound"), call()], 1 / 2),
        "a sale while still talking counts later": ([call(), call(talk=None, sale=True)], 0),
    },
    "answer_rate": {
        "nothing offered: undefined": ([call("refused", wait=0), call(direction="outbound")], None),
        "1 of 3: short abandons and open calls are offered": ([call(), call("abandoned", wait=1), call("open")], 1 / 3),
        "all": ([call(), call(wait=300)], 1),
    },
    "avg_score": {
        "no call rated: undefined": ([call()], None),
        "(5+4+1.5)/3, the unrated left out": ([call(score=5.0), call(score=4.0), call(score=1.5), call()], 3.5),
        "outbound counts too": ([call(score=5.0), call(score=2.0, direction="outbound")], 3.5),
    },
    "satisfaction": {
        "no call rated: undefined": ([call()], None),
        "2 of 4: from 4 on, the unrated left out": (
            [call(score=4.0), call(score=5.0), call(score=3.9), call(score=1.0), call()],
            2 / 4,
        ),
        "nobody satisfied": ([call(score=3.0)], 0),
    },
    "contact_rate": {
        "nothing dialled: undefined": ([call()], None),
        "2 of 4: human, unsaid; machine and no answer are none": (
            [
                call(direction="outbound", connected_at=at("09:00"), answered_by="human"),
                call("open", direction="outbound", connected_at=at("09:00")),
                call("not_connected", direction="outbound", connected_at=at("09:00"), answered_by="machine"),
                call("not_connected", direction="outbound"),
            ],
            2 / 4,
        ),
    },
    "drop_rate": {
        "nobody reached: undefined": ([call("not_connected", direction="outbound")], None),
        "1 hung up, 1 cut off, 2 answered: 2/4": (
            [
                *[call(direction="outbound", connected_at=at("09:00"), answered_by="human")] * 2,
                call("short_abandoned", direction="outbound", connected_at=at("09:00"), answered_by="human"),
                call("dropped", direction="outbound", connected_at=at("09:00"), answered_by="human"),
                call("dropped", direction="outbound", connected_at=at("09:00"), answered_by="machine"),
            ],
            2 / 4,
        ),
    },
}


@pytest.mark.parametrize(
    ("name", "calls", "expected"),
    [pytest.param(n, *case, id=f"{n}: {text}") for n, cases in COHORT.items() for text, case in cases.items()],
)
def test_cohort_figures(tmp_path: Path, name: str, calls: list[Row], expected: Any) -> None:
    assert figure(tmp_path, calls, [], name) == expected


SALES_PER_HOUR = {
    "nobody logged in: undefined": ([call(sale=True)], [state("offline", "09:00", None)], None),
    "no sale": ([call()], [state("busy", "09:00", "10:00")], 0),
    "3 in 1:30, the pause is logged in": (
        [*[call(sale=True)] * 3, call()],
        [state("busy", "09:00", "10:00"), state("paused", "10:00", "10:30"), state("offline", "10:30", None)],
        2,
    ),
}


@pytest.mark.parametrize(("calls", "states", "expected"), SALES_PER_HOUR.values(), ids=SALES_PER_HOUR)
def test_sales_per_hour(tmp_path: Path, calls: list[Row], states: list[Row], expected: Any) -> None:
    assert figure(tmp_path, calls, states, "sales_per_hour") == expected


def test_parts_of_aht_add_up(tmp_path: Path) -> None:
    row = day(publish(tmp_path / "v.duckdb", [call(talk=100, hold=7), call(talk=50, wrap=31), call(talk=3)]))
    assert row["aht_s"] == pytest.approx(row["avg_talk_s"] + row["avg_hold_s"] + row["avg_wrap_s"])


HOUR = [state("available", "09:00", "09:10"), state("busy", "09:10", "09:30"), state("wrap_up", "09:30", "09:40")]
ACCRUAL = {
    "occupancy": {
        "nobody logged in: undefined": ([], None),
        "only paused: undefined": ([state("paused", "09:00", "10:00")], None),
        "(20+10)/(20+10+10), the pause out": ([*HOUR, state("paused", "09:40", "10:00")], 3 / 4),
        "ratio of sums, not mean of ratios": (
            [*HOUR, state("available", "09:00", "11:00", agent="bea")],
            30 / (30 + 10 + 120),
        ),
    },
    "utilisation": {
        "nobody logged in: undefined": ([state("offline", "00:00", None)], None),
        "(20+10)/60, the pause in": ([*HOUR, state("paused", "09:40", "10:00")], 1 / 2),
        "offline is not logged in": ([*HOUR, state("offline", "09:40", None)], 3 / 4),
    },
    "available_s": {
        "nobody: measured zero": ([], 0),
        "clipped at the window's start": ([state("available", "2026-11-22 23:50", "00:10")], 600),
        "clipped at the window's end": ([state("available", "23:50", "24 00:10")], 600),
        "a state that lasts ends at as_of": ([state("available", "11:30", None)], 1800),
        "a state after as_of counts nothing": ([state("available", "12:30", None)], 0),
        "no campaign: with nobody": ([state("available", "09:00", "10:00", of=None)], 0),
    },
    "busy_s": {"in seconds": (HOUR, 1200)},
    "wrap_up_s": {"in seconds": (HOUR, 600)},
    "paused_s": {"in seconds": ([state("paused", "09:00", "09:05")], 300)},
}


@pytest.mark.parametrize(
    ("name", "states", "expected"),
    [pytest.param(n, *case, id=f"{n}: {text}") for n, cases in ACCRUAL.items() for text, case in cases.items()],
)
def test_accrual_figures(tmp_path: Path, name: str, states: list[Row], expected: Any) -> None:
    as_of = "12:00" if name == "available_s" and any(s["ended_at"] is None for s in states) else "24 12:00"
    assert figure(tmp_path, [], states, name, as_of=as_of) == expected


TWO_CALLS = [call(queued="09:16", wait=0, until="09:32"), call(queued="09:35", wait=0, until="10:05")]
WORKLOAD = {
    "09:16–09:32 and 09:35–10:05: 14, 27 and 5 min": (TWO_CALLS, [14, 27, 5]),
    "a chat at once counts once": ([*TWO_CALLS, call(queued="09:20", wait=0, until="09:40")], [14, 30, 5]),
    "another agent's call counts on its own": (
        [*TWO_CALLS, call(queued="09:20", wait=0, until="09:30", agent="bea")],
        [24, 27, 5],
    ),
    "wrap-up is work": ([call(queued="09:10", wait=0, until="09:25", wrap=600)], [20, 5, 0]),
    "no agent known: for itself": ([call(queued="09:00", wait=0, until="09:10", agent=None)] * 2, [20, 0, 0]),
    "still talking: to as_of": ([call(queued="10:20", wait=0, talk=None)], [0, 0, 5]),
    "queued the day before": ([call(queued="2026-11-22 23:59", wait=60, until="09:05")], [5, 0, 0]),
    "an end before its start is nothing": ([call(queued="09:10", wait=0, until="09:05")], [0, 0, 0]),
}


@pytest.mark.parametrize(("calls", "minutes"), WORKLOAD.values(), ids=WORKLOAD)
def test_workload_by_half_hours(tmp_path: Path, calls: list[Row], minutes: list[int]) -> None:
    with publish(tmp_path / "v.duckdb", calls, as_of="10:25") as published:
        found = rows(
            published, "FROM kpi_interval($t0, $t1, 30) ORDER BY interval_start", t0=at("09:00"), t1=at("10:30")
        )
        assert [row["workload_s"] / 60 for row in found] == minutes
        assert day(published, "09:00", "10:30")["workload_s"] == sum(minutes) * 60


WHO_WORKED = {
    ("09:00", "09:30"): 14,
    ("09:30", "10:00"): 27,
    ("10:00", "10:30"): 5,  # no call was queued and no agent's state is known, but there was work
    ("10:05", "10:30"): None,  # a window begins where the work ended
    ("09:32", "09:34"): None,
}


@pytest.mark.parametrize(("window", "minutes"), WHO_WORKED.items(), ids=str)
def test_work_has_its_agent_and_its_queue_in_the_window_where_it_was_done(
    tmp_path: Path, window: tuple[str, str], minutes: int | None
) -> None:
    with publish(tmp_path / "v.duckdb", TWO_CALLS) as published:
        for relation in ("kpi_agent", "kpi_agent_campaign", "kpi_queue"):
            found = rows(published, f"FROM {relation}($t0, $t1)", t0=at(window[0]), t1=at(window[1]))
            assert [row["workload_s"] / 60 for row in found] == ([] if minutes is None else [minutes]), relation


def test_cohort_and_accrual_do_not_mix(tmp_path: Path) -> None:
    """Queued at 09:28, answered at 09:31: the call belongs to the first half hour, the talk to the second."""
    calls_and_states = [call(queued="09:28", wait=180, until="09:40")], [state("busy", "09:31", "09:40")]
    with publish(tmp_path / "v.duckdb", *calls_and_states) as published:
        found = rows(
            published, "FROM kpi_interval($t0, $t1, 30) ORDER BY interval_start", t0=at("09:00"), t1=at("10:00")
        )
    assert [row["answered"] for row in found] == [1, 0]
    assert [row["aht_s"] for row in found] == [540, None]
    assert [row["busy_s"] for row in found] == [0, 540]


SETTLED = {
    "closed and 15 min old": ([call()], "24 00:15", True),
    "a second too young": ([call()], "24 00:14:59", False),
    "an open call": ([call(), call("open")], "24 00:30", False),
    "an open outbound attempt": ([call("open", direction="outbound")], "24 00:30", False),
    "empty": ([], "24 00:15", True),
}


@pytest.mark.parametrize(("calls", "as_of", "expected"), SETTLED.values(), ids=SETTLED)
def test_settled(tmp_path: Path, calls: list[Row], as_of: str, expected: bool) -> None:
    assert figure(tmp_path, calls, [], "settled", as_of=as_of) is expected


def test_conservation_holds_and_a_violation_is_shown(tmp_path: Path) -> None:
    outcomes = ["answered", "abandoned", "overflowed", "callback", "voicemail", "refused", "dropped", "open"]
    with publish(tmp_path / "v.duckdb", [call(o, wait=30) for o in outcomes]) as published:
        (row,) = rows(published, "FROM conservation($t0, $t1)", t0=at("00:00"), t1=at("24 00:00"))
    assert row == {"campaign": "c", "offered": 7, "accounted": 7, "refused": 1, "conserved": True}
    assert figure(tmp_path, [call("lost in a bug")], [], "conserved") is False


# contracts -----------------------------------------------------------------------------------------------------------

CHANGE = dt.datetime.fromisoformat("2026-11-23")
OLD = Term(valid_to=CHANGE, formula="all_offered", threshold_s=30)
NEW = Term(valid_from=CHANGE, formula="answered_only", threshold_s=10, target=0.9)
TERMS = {
    "before": ("2026-11-22 00:00", "2026-11-23 00:00", 1 / 2, False, 30),
    "after": ("2026-11-23 00:00", "2026-11-24 00:00", 0, False, 10),
    "both: (1+0)/(2+1), each by its own": ("2026-11-22 00:00", "2026-11-24 00:00", 1 / 3, True, 10),
    "to its local midnight": ("2026-11-22 23:00", "2026-11-23 00:00", None, False, 30),
}


@pytest.mark.parametrize(("t0", "t1", "level", "changed", "threshold"), TERMS.values(), ids=TERMS)
def test_two_terms_in_one_window(tmp_path: Path, t0: str, t1: str, level: Any, changed: bool, threshold: int) -> None:
    paris = campaign(zone="Europe/Paris", terms=[OLD, NEW])
    calls = [
        call(wait=25, of=paris, queued="2026-11-22 10:00"),
        call("abandoned", wait=25, of=paris, queued="2026-11-22 10:00"),
        call(wait=25, of=paris, queued="2026-11-23 10:00"),
        call("abandoned", wait=25, of=paris, queued="2026-11-23 10:00"),
    ]
    with publish(tmp_path / "v.duckdb", calls, campaigns=[paris]) as published:
        row = day(published, t0, t1, zone="Europe/Paris")
    assert (row["service_level"], row["terms_changed"], row["threshold_s"]) == (level, changed, threshold)


def test_adding_a_term_never_changes_the_past(tmp_path: Path) -> None:
    calls = [call(wait=25, queued="2026-11-22 10:00", of=campaign(terms=[OLD, NEW]))]
    first = day(
        publish(tmp_path / "1.duckdb", calls, campaigns=[campaign(terms=[OLD, NEW])]), "2026-11-22", "2026-11-23"
    )
    later = [
        OLD,
        Term(**NEW.__dict__ | {"valid_to": dt.datetime.fromisoformat("2027-01-01")}),
        Term(valid_from=dt.datetime.fromisoformat("2027-01-01")),
    ]
    again = day(publish(tmp_path / "2.duckdb", calls, campaigns=[campaign(terms=later)]), "2026-11-22", "2026-11-23")
    assert first == again


# windows -------------------------------------------------------------------------------------------------------------


def test_half_open_windows(tmp_path: Path) -> None:
    with publish(tmp_path / "v.duckdb", [call(queued="09:00"), call(queued="10:00")]) as published:
        assert [
            day(published, *w)["offered"] for w in (("09:00", "10:00"), ("10:00", "11:00"), ("08:00", "09:00"))
        ] == [1, 1, 0]


def test_across_midnight_a_call_stays_in_the_day_when_it_was_queued(tmp_path: Path) -> None:
    with publish(tmp_path / "v.duckdb", [call(queued="2026-11-22 23:59:50", wait=15, talk=600)]) as published:
        assert [day(published, d, e)["answered"] for d, e in (("22 00:00", "23 00:00"), ("23 00:00", "24 00:00"))] == [
            1,
            0,
        ]
        assert day(published, "23 00:00", "24 00:00")["workload_s"] == 600


DAYS = {
    "Paris, 23 h": ("Europe/Paris", "2026-03-29", 23),
    "Paris, 25 h": ("Europe/Paris", "2026-10-25", 25),
    "Madrid, 25 h": ("Europe/Madrid", "2026-10-25", 25),
    "Paris, 24 h": ("Europe/Paris", "2026-11-23", 24),
}


@pytest.mark.parametrize(("zone", "date", "hours"), DAYS.values(), ids=DAYS)
def test_local_days_have_23_24_or_25_hours(tmp_path: Path, zone: str, date: str, hours: int) -> None:
    of, start = campaign(zone=zone), dt.datetime.fromisoformat(date)
    first, last = at(start.isoformat(), zone), at((start + dt.timedelta(days=1)).isoformat(), zone)
    one_s = dt.timedelta(seconds=1)
    calls = [call(of=of, queued=t) for t in (first - one_s, first, last - one_s, last)]
    states = [
        state(
            "available",
            (first + dt.timedelta(hours=h)).isoformat()[:19],
            (first + dt.timedelta(hours=h + 12)).isoformat()[:19],
        )
        for h in (-12, 0, 12, 24)
    ]
    with publish(tmp_path / "v.duckdb", calls, states, campaigns=[of], as_of="2026-12-01 00:00") as published:
        by_window = day(published, first.isoformat()[:19], last.isoformat()[:19])
        (by_day,) = rows(published, "FROM kpi_days($day, $day + 1)", day=start.date())
        (daily,) = rows(published, "FROM kpi_daily WHERE day = $day", day=start.date())
        intervals = rows(published, "FROM kpi_interval($t0, $t1, 60)", t0=first, t1=last)
    assert by_day == daily
    assert {n: by_day[n] for n in DAY_COLUMNS} == {n: by_window[n] for n in DAY_COLUMNS}
    assert (by_day["offered"], by_day["available_s"]) == (2, hours * 3600)
    assert len(intervals) == hours
    assert sum(row["offered"] for row in intervals) == 2


def test_two_zones_have_their_own_midnights(tmp_path: Path) -> None:
    paris, london = campaign("paris", "Europe/Paris"), campaign("london", "Europe/London")
    calls = [call(of=c, queued="2026-11-22 23:30") for c in (paris, london)]
    with publish(tmp_path / "v.duckdb", calls, campaigns=[paris, london]) as published:
        found = rows(published, "SELECT campaign, day, offered FROM kpi_daily WHERE offered > 0 ORDER BY campaign")
    assert [(r["campaign"], str(r["day"])) for r in found] == [("london", "2026-11-22"), ("paris", "2026-11-23")]


def test_an_empty_campaign_has_a_row_and_every_interval(tmp_path: Path) -> None:
    with publish(tmp_path / "v.duckdb", campaigns=[campaign("a"), campaign("b")]) as published:
        found = rows(published, "FROM kpi_interval($t0, $t1, 30)", t0=at("09:00"), t1=at("10:10"))
        assert sorted((r["campaign"], f"{r['interval_start']:%H:%M}", f"{r['interval_end']:%H:%M}") for r in found) == [
            (name, *edges) for name in "ab" for edges in (("09:00", "09:30"), ("09:30", "10:00"), ("10:00", "10:10"))
        ]
        (row, _) = rows(published, "FROM kpi_campaign($t0, $t1) ORDER BY campaign", t0=at("09:00"), t1=at("10:10"))
    assert all(row[name] == 0 for name in ("offered", "answered", "busy_s", "dialed", "workload_s"))
    assert all(row[name] is None for name in KPIS if name != "conserved")


# relations -----------------------------------------------------------------------------------------------------------

MIXED = [
    *(
        call(o, wait=w, queued=q)
        for o, w, q in (("answered", 10, "09:05"), ("abandoned", 60, "09:20"), ("callback", 9, "10:40"))
    ),
    call(queued="09:50", queue="r", agent="bea", talk=900, wrap=60, sale=True),
    call(queued="10:10", queue="r", wait=44, transferred=True),
]
MIXED_STATES = [*HOUR, state("busy", "09:55", "11:10", agent="bea"), state("available", "08:00", "09:55", agent="bea")]
ADDITIVE = [
    name for name in COLUMNS if name not in KPIS and name not in ("settled", "target", "threshold_s", "terms_changed")
]


@pytest.mark.parametrize("cut", ["09:00", "09:20", "09:55:30", "10:40"])
def test_adjacent_windows_add_up_to_their_union(tmp_path: Path, cut: str) -> None:
    with publish(tmp_path / "v.duckdb", MIXED, MIXED_STATES) as published:
        whole, first, second = (day(published, *w) for w in (("08:00", "12:00"), ("08:00", cut), (cut, "12:00")))
        assert {n: first[n] + second[n] for n in ADDITIVE} == {n: whole[n] for n in ADDITIVE}
        queues = rows(published, "FROM kpi_queue($t0, $t1)", t0=at("08:00"), t1=at("12:00"))
        agents = rows(published, "FROM kpi_agent($t0, $t1)", t0=at("08:00"), t1=at("12:00"))
        split = rows(published, "FROM kpi_agent_campaign($t0, $t1)", t0=at("08:00"), t1=at("12:00"))
    for name in set(ADDITIVE) & set(QUEUE_COLUMNS):
        assert sum(row[name] for row in queues) == whole[name], name
    for name in set(ADDITIVE) & set(AGENT_COLUMNS):
        assert sum(row[name] for row in agents) == sum(row[name] for row in split) == whole[name], name


def test_total_is_the_ratio_of_the_sums(tmp_path: Path) -> None:
    a, b, other = campaign("a"), campaign("b"), campaign("other")
    calls = [call(of=a), *[call(wait=99, of=b)] * 3, call(wait=99, of=other)]
    with publish(tmp_path / "v.duckdb", calls, campaigns=[a, b, other]) as published:
        ask = "SELECT offered, service_level FROM kpi_total($t0, $t1, {})"
        window = {"t0": at("00:00"), "t1": at("24 00:00")}
        assert published.execute(ask.format("['a', 'b']"), window).fetchall() == [(4, 1 / 4)]
        assert published.execute(ask.format("NULL"), window).fetchall() == [(5, 1 / 5)]
        assert published.execute(ask.format("[]"), window).fetchall() == [(0, None)]


def test_simultaneous_calls_of_two_campaigns_count_once_in_the_total(tmp_path: Path) -> None:
    a, b = campaign("a"), campaign("b")
    calls = [call(of=of, queued=q, wait=0, until=u) for of, q, u in ((a, "09:00", "09:20"), (b, "09:10", "09:30"))]
    window = {"t0": at("09:05"), "t1": at("10:00")}
    with publish(tmp_path / "v.duckdb", calls, campaigns=[a, b]) as published:
        each = rows(published, "FROM kpi_campaign($t0, $t1) ORDER BY campaign", **window)
        (total,) = rows(published, "FROM kpi_total($t0, $t1, NULL)", **window)
        (agent,) = rows(published, "FROM kpi_agent($t0, $t1)", **window)
    assert [row["workload_s"] / 60 for row in each] == [15, 20]
    assert total["workload_s"] == agent["workload_s"] == 25 * 60


def test_time_after_as_of_does_not_count(tmp_path: Path) -> None:
    """A switch whose clock is ahead reports a state and a call that end after the snapshot."""
    states = [state("busy", "11:50", "12:04")]
    with publish(tmp_path / "v.duckdb", [call(queued="11:55", wait=0, until="12:04")], states, as_of="12:00") as file:
        whole, after = day(file, "11:00", "13:00"), day(file, "12:00", "13:00")
        halves = rows(file, "FROM kpi_interval($t0, $t1, 60)", t0=at("11:00"), t1=at("13:00"))
        (daily,) = rows(file, "FROM kpi_daily")
    assert (whole["busy_s"], whole["workload_s"], daily["busy_s"]) == (600, 300, 600)
    assert [(row["busy_s"], row["workload_s"]) for row in halves] == [(600, 300), (0, 0)]
    assert (after["busy_s"], after["workload_s"], after["occupancy"]) == (0, 0, None)


def test_an_agent_who_works_two_campaigns(tmp_path: Path) -> None:
    a, b = campaign("a"), campaign("b")
    states = [state("busy", "09:00", "09:30", of="a"), state("busy", "09:30", "10:00", of="b")]
    with publish(tmp_path / "v.duckdb", [call(of=a), call(of=b)], states, campaigns=[a, b]) as published:
        window = {"t0": at("00:00"), "t1": at("24 00:00")}
        (agent,) = rows(published, "FROM kpi_agent($t0, $t1)", **window)
        split = rows(published, "FROM kpi_agent_campaign($t0, $t1) ORDER BY campaign", **window)
    assert (agent["answered"], agent["busy_s"]) == (2, 3600)
    assert [(r["campaign"], r["answered"], r["busy_s"]) for r in split] == [("a", 1, 1800), ("b", 1, 1800)]


EXPLAINED = {
    "Amazon Connect": 83.02,
    "Genesys Cloud": 81.13,
    "Genesys Cloud, short abandons excluded": 81.90,
    "Cisco, ignore abandons": 82.69,
    "Cisco, abandons negative": 81.13,
    "Cisco, abandons positive": 83.02,
    "Talkdesk": 81.90,
    "Wazo": 86.00,
}


def test_explain_kpi_of_the_golden_day(tmp_path: Path) -> None:
    with publish(tmp_path / "v.duckdb", GOLDEN, campaigns=[campaign(), campaign("d")]) as published:
        ask = "FROM explain_kpi('c', $t0, $t1, $kpi)"
        found = rows(published, ask, t0=at("00:00"), t1=at("24 00:00"), kpi="service_level")
        assert found[0]["name"] == "service_level" and found[0]["value"] == pytest.approx(860 / 1050)
        steps = {
            step: {r["name"]: r["value"] for r in found if r["step"] == step}
            for step in ("count", "elsewhere", "contract")
        }
        assert steps["contract"] == {"calls judged by it": 1050}
        assert steps["count"] == {"service_level_hits": 860, "service_level_base": 1050, "open_in_threshold": 0}
        assert {name: round(value * 100, 2) for name, value in steps["elsewhere"].items()} == EXPLAINED
        assert rows(published, ask.replace("'c'", "'nobody'"), t0=at("00:00"), t1=at("24 00:00"), kpi="asa_s") == []


EVERY_OUTCOME = (  # offered: 19, of which 2 are open
    [call(wait=20)] * 6
    + [call(wait=21)] * 2
    + [call("abandoned", wait=w) for w in (3, 12, 60, 60)]
    + [call("callback", wait=10), call("callback", wait=40), call("voicemail", wait=25)]
    + [call("overflowed", wait=30), call("dropped", wait=50)]
    + [call("refused", wait=0)] * 2
    + [call("open", wait=10, queued="11:59:50"), call("open", wait=3_600, queued="11:00")]
)
BY_HAND = {
    "service_level": {
        "Vigie": 6 / (19 - 1 - 1),  # without the short one and the one that waits within T
        "Amazon Connect": (6 + 2 + 1) / 17,  # left the queue within T: also by hanging up or for a callback
        "Genesys Cloud": 6 / (8 + 4),
        "Genesys Cloud, short abandons excluded": 6 / (8 + 3),
        "Cisco, ignore abandons": 6 / (18 - 2),  # a call that waits longer than T counts already
        "Cisco, abandons negative": 6 / 18,
        "Cisco, abandons positive": (6 + 2) / 18,
        "Talkdesk": 6 / (8 + 3 + 1 + 1),
        "Wazo": 6 / 8,
    },
    "abandon_rate": {
        "Vigie": 3 / (19 - 1),
        "Amazon Connect": 4 / 17,
        "Genesys Cloud": 4 / 19,
        "Cisco": 3 / (19 - 1),
    },
    "asa_s": {"Vigie": (6 * 20 + 2 * 21) / 8, "Amazon Connect": (6 * 20 + 2 * 21) / 8},
}


@pytest.mark.parametrize("kpi", BY_HAND)
def test_explain_kpi_of_a_day_with_every_outcome(tmp_path: Path, kpi: str) -> None:
    with publish(tmp_path / "v.duckdb", EVERY_OUTCOME, as_of="12:00") as published:
        assert day(published)["offered"] == 19 and day(published)["refused"] == 2
        found = rows(published, "FROM explain_kpi('c', $t0, $t1, $kpi)", t0=at("00:00"), t1=at("24 00:00"), kpi=kpi)
    printed = {row["name"]: row["value"] for row in found if row["step"] == "elsewhere" and row["value"] is not None}
    assert {"Vigie": found[0]["value"], **printed} == pytest.approx(BY_HAND[kpi])


def test_every_count_explains_itself(tmp_path: Path) -> None:
    assert all(f"('{name}', 0, 'figure'" in macros()["explain_kpi"] for name in MEASURES.keys() & set(COLUMNS))
    counts = ("offered", "refused", "talk_s", "available_s", "workload_s", "drops")
    window = {"t0": at("08:00"), "t1": at("12:00")}
    with publish(tmp_path / "v.duckdb", MIXED, MIXED_STATES) as published:
        shown = day(published, "08:00", "12:00")
        explained = {
            name: rows(published, "FROM explain_kpi('c', $t0, $t1, $kpi)", kpi=name, **window) for name in counts
        }
    for name, (first, *parts) in explained.items():
        assert (first["step"], first["name"], first["value"]) == ("figure", name, shown[name])
        assert first["text"] == f"{MEASURES[name].meaning} [{MEASURES[name].unit}]"
        assert sum(part["value"] for part in parts) == (shown["offered"] if name == "offered" else 0)


def test_explain_kpi_gives_each_term_in_columns(tmp_path: Path) -> None:
    turn = dt.datetime.fromisoformat("2026-11-23 10:00")
    first = Term(valid_to=turn)
    second = Term(turn, None, "all_offered", 30.0, 0.9, False, 8.0)
    c = campaign(terms=[first, second])
    with publish(tmp_path / "v.duckdb", [call(of=c), call(of=c, queued="11:00")] * 2, campaigns=[c]) as published:
        ask = "FROM explain_kpi('c', $t0, $t1, 'abandon_rate')"
        found = rows(published, ask, t0=at("00:00"), t1=at("24 00:00"))
        columns = list(found[0])
    assert columns[:4] == ["step", "name", "value", "text"]
    terms = [[row[column] for column in columns[4:]] for row in found]
    expected = [[getattr(term, column) for column in columns[4:]] for term in (first, second)]
    assert [term for term, row in zip(terms, found, strict=True) if row["step"] == "contract"] == expected
    assert [row["value"] for row in found if row["step"] == "contract"] == [2, 2]
    assert all(set(term) == {None} for term, row in zip(terms, found, strict=True) if row["step"] != "contract")


@pytest.mark.parametrize("kpi", KPIS.values(), ids=KPIS)
def test_every_figure_explains_itself(tmp_path: Path, kpi: Kpi) -> None:
    with publish(tmp_path / "v.duckdb", MIXED, MIXED_STATES) as published:
        found = rows(published, "FROM explain_kpi('c', $t0, $t1, $kpi)", t0=at("08:00"), t1=at("12:00"), kpi=kpi.name)
        shown = day(published, "08:00", "12:00")[kpi.name]
    assert (found[0]["step"], found[0]["name"], found[0]["value"]) == ("figure", kpi.name, shown)
    assert kpi.formula in found[0]["text"]
    assert {row["name"].split(",")[0] for row in found if row["step"] == "elsewhere"} >= {"Amazon Connect", "Wazo"}
