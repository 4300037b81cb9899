"""A month compared with its contract: the reader of the SLA page, the distance in calls, and which people it hides."""

import re
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from metrics import readers
from metrics.authorisation.pseudonyms import pseudonyms
from metrics.authorisation.suppression import SMALLEST, hidden, pooled
from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import Campaign, Term
from metrics.kpis.distance import Judged, distance, target
from metrics.kpis.service_level import FORMULAS
from metrics.readers import Period, Published
from pages.contract import month_chart, standing
from pages.shared import i18n
from pages.shared.i18n import text
from tests.support.dashboard.drawing import open_page, words
from tests.support.published import Row, call, campaign, publish, rows, state

pytestmark = pytest.mark.slow

MANAGER = Viewer("manager", None)
KEY = b"a key for tests, as long as it takes"
NOVEMBER = Period.month(date(2026, 11, 23))
MIDMONTH = datetime.fromisoformat("2026-11-10")  # local, like the terms of contracts
TWO_TERMS = (Term(None, MIDMONTH, threshold_s=30.0), Term(MIDMONTH, None, target=0.9))


def read(tmp_path: Path, calls: list[Row], of: Campaign, period: Period = NOVEMBER, **given: Any) -> readers.Sla:
    path = tmp_path / "v.duckdb"
    path.unlink(missing_ok=True)
    publish(path, calls, campaigns=[of], **given).close()
    sla = readers.sla(Published(path), MANAGER, of.id, period, KEY)
    assert sla is not None
    return sla


# the distance to the target

judged = st.builds(
    lambda base, missed, target: Judged(max(0, base - missed), base, target),
    st.integers(0, 60),
    st.integers(0, 60),
    st.sampled_from([0.0, 0.333, 0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 0.999, 1.0]),
)


@given(terms=st.lists(judged, min_size=1, max_size=3), p=st.sampled_from([0.0, 0.5, 0.8, 0.9, 0.95, 1.0]))
def test_the_distance_is_the_first_call_that_changes_the_verdict(terms: list[Judged], p: float) -> None:
    hits, required = sum(t.hits for t in terms), sum((Fraction(str(t.target)) * t.base for t in terms), Fraction())
    own = Fraction(str(p))

    def holds(late: int = 0, in_time: int = 0) -> bool:
        return hits + in_time >= required + own * (late + in_time)

    found = distance(terms, p)
    if not sum(t.base for t in terms):
        assert found is None and target(terms) is None
        return
    assert found is not None and found.is_met is holds()
    if holds():
        until_missed = next((n for n in range(1, 4000) if not holds(late=n)), None)
        could_be_late = max(n for n in range(hits + 1) if hits - n >= required)
        assert (found.until_missed, found.could_be_late) == (until_missed, could_be_late)
        assert found.until_reached is None and found.too_late is None
    else:
        until_reached = next((n for n in range(1, 4000) if holds(in_time=n)), None)
        too_late = next(n for n in range(1, 200) if hits + n >= required)
        assert (found.until_reached, found.too_late) == (until_reached, too_late)
        assert found.until_missed is None and found.could_be_late is None


@pytest.mark.parametrize(
    ("hits", "base", "p", "found"),
    [
        pytest.param(860, 1000, 0.8, ("until_missed", 76), id="860/1075 = 80 %, 860/1076 misses: 76"),
        pytest.param(4, 5, 0.8, ("until_missed", 1), id="4/5 is 80 % in fractions, not 0.8000000000000000444: 1"),
        pytest.param(788, 1000, 0.8, ("until_reached", 60), id="848/1060 = 80 %: 60"),
        pytest.param(788, 1000, 0.8, ("too_late", 12), id="800/1000 = 80 %: 12"),
        pytest.param(860, 1000, 0.8, ("could_be_late", 60), id="800/1000 = 80 %: 60"),
        pytest.param(9, 10, 1.0, ("until_reached", None), id="100 % never comes back"),
        pytest.param(9, 10, 0.0, ("until_missed", None), id="0 % is never missed"),
    ],
)
def test_distances_worked_by_hand(hits: int, base: int, p: float, found: tuple[str, int | None]) -> None:
    away = distance([Judged(hits, base, p)], p)
    assert away is not None and getattr(away, found[0]) == found[1]


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_distance_changes_the_verdict_under_each_formula(tmp_path: Path, formula: str) -> None:
    of = campaign(terms=[Term(formula=formula, target=0.75)])
    day = [call(of=of, wait=w) for w in (5, 6, 7, 8, 9, 10, 25)]
    day += [call("abandoned", of=of, wait=w) for w in (3, 12, 60)] + [call("open", of=of, wait=50), call("open", of=of)]

    def level(more: list[Row]) -> float:
        path = tmp_path / f"{len(more)}.duckdb"
        with publish(path, day + more, campaigns=[of]) as published:
            (row,) = rows(published, "FROM kpi_campaign('2026-11-01', '2026-12-01')")
        path.unlink()
        return float(row["service_level"])

    found = read(tmp_path, day, of).distance
    assert found is not None
    if found.is_met:
        n = found.until_missed or 0
        assert level([call(of=of, wait=99)] * (n - 1)) >= 0.75 > level([call(of=of, wait=99)] * n)
    else:
        n = found.until_reached or 0
        assert level([call(of=of, wait=1)] * (n - 1)) < 0.75 <= level([call(of=of, wait=1)] * n)


# a month of two terms


def test_a_contracts_version_is_the_same_on_the_sla_and_kpi_pages(tmp_path: Path) -> None:
    of = campaign(zone="Europe/Paris", terms=TWO_TERMS)
    found = read(tmp_path, [call(of=of, queued="2026-11-02 10:00"), call(of=of, queued="2026-11-12 10:00")], of)
    published = Published(tmp_path / "v.duckdb")
    codes = []
    for days in ((0, 30), (8, 10), (1, 2), (11, 12)):
        t0, t1 = (datetime(2026, 10, 31, 23, tzinfo=UTC) + timedelta(days=day) for day in days)
        explained = readers.explain(published, MANAGER, of.id, "service_level", t0, t1)
        assert explained is not None
        codes.append(explained.contract)
    both, about_the_turn, old, new = codes
    assert both == about_the_turn == found.contract and len({both, old, new}) == 3


def test_the_target_of_a_month_of_two_terms_weighs_both(tmp_path: Path) -> None:
    of = campaign(zone="Europe/Paris", terms=TWO_TERMS)
    early = [call(of=of, wait=25, queued="2026-11-02 10:00")] * 18 + [
        call(of=of, wait=40, queued="2026-11-03 10:00")
    ] * 2
    late = [call(of=of, wait=9, queued="2026-11-12 10:00")] * 8 + [call(of=of, wait=25, queued="2026-11-12 11:00")] * 2
    edges = [
        call(of=of, wait=25, queued="2026-11-09 22:59:59"),  # 23:59:59 in Paris: the old 30 s, in time
        call(of=of, wait=25, queued="2026-11-09 23:00:00"),  # midnight there: the new 20 s, late
    ]
    found = read(tmp_path, early + late + edges, of)
    assert [(judged_by.term.target, judged_by.hits, judged_by.term.calls) for judged_by in found.terms] == [
        (0.8, 19, 21),
        (0.9, 8, 11),
    ]
    assert [(judged_by.term.valid_from, judged_by.term.valid_to) for judged_by in found.terms] == [
        (None, MIDMONTH),
        (MIDMONTH, None),
    ]
    assert found.total.service_level == 27 / 32
    assert found.target == pytest.approx((0.8 * 21 + 0.9 * 11) / 32)  # of 32 calls, 26.7 must be in time
    assert found.distance is not None and found.distance.is_met
    assert found.distance.until_missed == 1  # 27 >= 26.7, but not 26.7 + 0.9
    assert len({found.contract, read(tmp_path, early, campaign(terms=TWO_TERMS[:1])).contract}) == 2


def test_the_parts_add_up_to_the_whole(tmp_path: Path) -> None:
    of = campaign(zone="Europe/London")
    calls = [
        call(of=of, queued=f"2026-11-{d:02} {h:02}:40", queue=q, wait=h)
        for d in (1, 9, 22)
        for h in (9, 17, 22)
        for q in "ab"
    ]
    calls += [
        call("abandoned", of=of, wait=60, queued="2026-11-23 08:00"),
        call("open", of=of, queued="2026-11-23 09:00"),
    ]
    found = read(tmp_path, calls, of, as_of="23 12:00")
    assert (found.total.offered, found.total.answered, found.total.open) == (20, 18, 1)
    for parts in ([d.figures for d in found.days], [f for _, f in found.queues], [s.figures for s in found.slots]):
        for name in ("offered", "answered", "abandoned", "open", "service_level_hits", "service_level_base"):
            assert sum(getattr(part, name) for part in parts) == getattr(found.total, name), name
    assert [day.day.day for day in found.days] == [*range(1, 24)]
    assert not found.settled and not found.is_over and found.total.conserved
    assert (found.slots[0].start, found.slots[-1].end) == (8 * 60, 23 * 60)
    assert found.total.service_level_worst == 12 / 20 and found.total.service_level_best == 13 / 20


def test_the_chart_of_a_month_has_a_bar_for_each_of_its_days(tmp_path: Path) -> None:
    found = read(tmp_path, [call(queued=f"2026-11-{day} 10:00") for day in (20, 22)], campaign(), as_of="23 12:00")
    in_time = month_chart.figure(found, text("en")).data[0]
    assert len(in_time.x) == 30 and {n + 1: count for n, count in enumerate(in_time.y) if count} == {20: 1, 22: 1}
    assert in_time.y[29] is None  # the 30th is still to come


def test_bounds_are_shown_if_they_differ_after_rounding(tmp_path: Path) -> None:
    calls = [call(queued="2026-11-20 10:00"), call("open", queued="2026-11-23 11:59:55")]
    few = read(tmp_path, calls, campaign(), as_of="23 12:00")
    many = read(
        tmp_path, [call(queued="2026-11-20 10:00") for _ in range(3000)] + calls[1:], campaign(), as_of="23 12:00"
    )
    assert "Between 50.0% and 100.0%" in standing.bounds(few, text("en"))
    assert many.total.service_level_worst != many.total.service_level_best and standing.bounds(many, text("en")) == ""


def test_a_month_that_is_over_is_settled_after_the_lateness_allowance(tmp_path: Path) -> None:
    calls = [call(queued="2026-11-20 10:00")]
    before, after = (read(tmp_path, calls, campaign(), as_of=at) for at in ("2026-12-01 00:14", "2026-12-01 00:16"))
    assert (before.is_over, before.settled) == (True, False)
    assert (after.is_over, after.settled) == (True, True)


def test_the_repeated_hour_is_two_rows_of_its_day_and_one_of_its_month(tmp_path: Path) -> None:
    of = campaign(zone="Europe/Paris")
    calls = [call(of=of, queued=f"2026-10-25 {at}") for at in ("00:30", "01:30")]  # 02:30 twice in Paris
    day = read(tmp_path, calls, of, Period.day(date(2026, 10, 25)))
    assert [(slot.start, slot.figures.offered) for slot in day.slots] == [(120, 1), (120, 1)]
    month = read(tmp_path, calls, of, Period.month(date(2026, 10, 1)))
    assert [(slot.start, slot.figures.offered) for slot in month.slots] == [(120, 2)]


def test_an_empty_month_has_no_level_and_no_distance(tmp_path: Path) -> None:
    found = read(tmp_path, [], campaign())
    assert (found.total.offered, found.total.service_level, found.distance) == (0, None, None)
    assert found.target == 0.8 and found.known_from is None and found.days_without_calls == ()
    assert found.slots == () and found.queues == () and found.total.conserved


def test_a_month_without_calls_has_the_target_of_the_term_in_force(tmp_path: Path) -> None:
    early, late = (read(tmp_path, [], campaign(terms=TWO_TERMS), as_of=at).target for at in ("09 12:00", "10 12:00"))
    assert (early, late) == (0.8, 0.9)


PARIS = campaign(zone="Europe/Paris")
FEW_DAYS = [call(of=PARIS, queued=f"2026-11-{at}") for at in ("18 22:00", "20 09:00", "21 09:00", "24 09:00")]


def test_calls_are_known_from_the_first_call_of_a_store_that_begins_inside_the_period(tmp_path: Path) -> None:
    found = read(tmp_path, FEW_DAYS, PARIS, as_of="25 12:00")
    assert found.known_from == datetime(2026, 11, 18, 22, tzinfo=UTC)
    assert [day.day.day for day in found.days] == [*range(18, 26)]
    assert [day.day for day in found.days_without_calls] == [19, 22, 23]  # the 25th is not over
    first = read(tmp_path, FEW_DAYS, PARIS, Period.day(date(2026, 11, 18)))
    assert first.known_from == found.known_from and first.days_without_calls == ()
    assert read(tmp_path, FEW_DAYS, PARIS, Period.day(date(2026, 11, 20))).known_from is None


def test_calls_are_known_for_the_whole_period_if_the_store_begins_before_it(tmp_path: Path) -> None:
    for earlier in ("2026-11-01 09:00", "2026-10-31 09:00"):
        found = read(tmp_path, [call(of=campaign("d"), queued=earlier), *FEW_DAYS], PARIS, as_of="20 12:00")
        assert found.known_from is None and [day.day.day for day in found.days] == [*range(1, 21)]
        assert [day.day for day in found.days_without_calls] == [*range(1, 18), 19]


def test_earlier_agent_states_do_not_make_calls_known(tmp_path: Path) -> None:
    path = tmp_path / "v.duckdb"
    shift = state("available", "2026-09-30 09:00", "2026-09-30 10:00")
    publish(path, FEW_DAYS, [shift], campaigns=[PARIS], as_of="25 12:00").close()
    found = readers.sla(Published(path), MANAGER, "c", Period.month(date(2026, 11, 1)), KEY)
    assert found is not None and found.known_from == datetime(2026, 11, 18, 22, tzinfo=UTC)
    assert readers.months(Published(path), MANAGER, "c") == (date(2026, 11, 1),)


def test_months_that_may_have_calls(tmp_path: Path) -> None:
    path = tmp_path / "v.duckdb"
    publish(path, [call(queued="2026-08-31 10:00"), call(queued="2026-09-01 10:00")]).close()
    assert readers.months(Published(path), MANAGER, "c") == (date(2026, 11, 1), date(2026, 9, 1), date(2026, 8, 1))


def test_viewers_read_only_their_own_campaigns_and_televisions_none(tmp_path: Path) -> None:
    path = tmp_path / "v.duckdb"
    publish(path, [call()], campaigns=[campaign(), campaign("foreign")]).close()
    reader = Published(path)
    assert readers.sla(reader, MANAGER, "foreign", NOVEMBER, KEY)  # the cache must not serve this to others
    for viewer in (Viewer("client", frozenset({"c"})), Viewer("television", None)):
        assert readers.sla(reader, viewer, "foreign", NOVEMBER, KEY) is None
        assert readers.months(reader, viewer, "foreign") == ()
    assert readers.sla(reader, Viewer("client", frozenset({"c"})), "c", NOVEMBER, KEY) is not None


# people


def team(n: int, calls: int = 6, queue: str = "q", name: str = "agent", **fields: Any) -> list[Row]:
    return [call(agent=f"{name} {i}", queue=queue, **fields) for i in range(n) for _ in range(calls)]


def test_agents_have_pseudonyms_that_stay(tmp_path: Path) -> None:
    first = read(tmp_path, team(6), campaign()).people
    again = read(tmp_path, team(9, calls=7), campaign()).people
    assert first is not None and again is not None and first.whole is not None
    names = [agent.name for agent in first.agents]
    assert len(set(names)) == 6 and set(names) < {agent.name for agent in again.agents}
    assert not any("agent" in name for name in names) and names == sorted(names)
    assert (first.whole.agents, first.whole.handled, first.whole.aht_s, first.others) == (6, 36, 180.0, None)
    assert pseudonyms(KEY, "other client", ["agent 0"]) != pseudonyms(KEY, "client", ["agent 0"])
    assert pseudonyms(b"another key", "client", ["agent 0"]) != pseudonyms(KEY, "client", ["agent 0"])


def test_agents_who_would_share_a_pseudonym_get_longer_ones() -> None:
    agents = [f"agent {n}" for n in range(5000)]
    named = pseudonyms(KEY, "client", agents)
    assert len(set(named.values())) == len(agents) and {len(name) for name in named.values()} != {4}


def test_nothing_is_shown_of_fewer_than_five_agents(tmp_path: Path) -> None:
    people = read(tmp_path, team(4), campaign()).people
    assert people is not None and (people.agents, people.others, people.whole, people.aht_s) == ((), None, None, {})
    assert read(tmp_path, team(9), campaign(), Period.day(date(2026, 11, 23))).people is None


def test_agents_with_few_calls_are_shown_only_together_with_others(tmp_path: Path) -> None:
    calls = team(8) + team(1, calls=2, name="newcomer", talk=1000)
    people = read(tmp_path, calls, campaign()).people
    assert people is not None and people.others is not None
    assert (len(people.agents), people.others.agents, people.others.handled) == (4, 5, 4 * 6 + 2)
    assert people.others.aht_s == (24 * 180 + 2 * 1000) / 26


def test_a_hidden_queue_cannot_be_computed_from_the_others(tmp_path: Path) -> None:
    calls = team(9, queue="large") + team(6, queue="middle") + team(2, queue="small", talk=1000)
    people = read(tmp_path, calls, campaign()).people
    assert people is not None and people.aht_s.keys() == {"large", None}  # hiding only "small" would leave the rest


@given(
    st.dictionaries(
        st.sampled_from("abcdef") | st.none(), st.frozensets(st.integers(0, 12).map(str), max_size=9), max_size=6
    )
)
def test_hidden_work_is_that_of_at_least_five_agents_or_of_everybody(groups: dict[str | None, frozenset[str]]) -> None:
    away = hidden(groups, never=frozenset({None}))
    people = frozenset().union(*(groups[group] for group in away))
    shown = groups.keys() - away
    assert all(len(groups[group]) >= SMALLEST or not groups[group] for group in shown) and None not in shown
    assert not people or len(people) >= SMALLEST or all(not groups[group] for group in shown)


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 12), max_size=12))
def test_which_agents_are_pooled(calls: dict[str, int]) -> None:
    together = pooled(calls)
    assert all(calls[person] >= SMALLEST for person in calls.keys() - together)
    assert not together or len(together) >= SMALLEST or together == calls.keys()
    assert bool(together) == (
        (len(calls) < SMALLEST and bool(calls)) or min(calls.values(), default=SMALLEST) < SMALLEST
    )


def test_a_period_is_a_month_or_a_day() -> None:
    assert (Period.month(date(2024, 2, 29)), Period.month(date(2026, 12, 31))) == (
        Period(date(2024, 2, 1), date(2024, 3, 1)),
        Period(date(2026, 12, 1), date(2027, 1, 1)),
    )
    assert Period.day(date(2026, 12, 31)).until - date(2026, 12, 31) == timedelta(1)
    assert NOVEMBER.is_month and not Period.day(date(2026, 11, 1)).is_month


# the page


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the pages look for the published file, which is not there yet."""
    monkeypatch.setenv("VIGIE_DATA_DIR", str(tmp_path))
    (tmp_path / "published").mkdir()
    return tmp_path / "published" / "vigie.duckdb"


def drawn(test: AppTest) -> str:
    drawn = [html.proto.body for html in test.get("html")]
    return words(" ".join(html for html in drawn if html.startswith(('<div class="vigie-s', '<p class="vigie-quiet'))))


CANARY = "canary"
OTHER = campaign(CANARY)


def october(path: Path, **given: Any) -> None:
    """Publish 848 of 1000 calls in time, over two days and queues, and a canary of another client."""
    calls = [
        call(wait=9 if n < 848 else 60, queued=f"2026-10-{5 + n % 2:02} {8 + n % 9:02}:10", queue="ab"[n % 2])
        | {"agent": f"agent {n % 7}"}
        for n in range(1000)
    ]
    calls += [call(of=OTHER, queue=CANARY, queued="2026-10-05 09:00", agent=CANARY)] * 7
    publish(path, calls, campaigns=[campaign(), OTHER], **given).close()


@pytest.mark.parametrize(
    ("language", "as_of", "expected"),
    [
        ("en", "2026-10-06 20:00", "84.8% On target, +4.8 pts 61 more late calls and October misses 80%"),
        ("fr", "2026-10-06 20:00", "Encore 61 appels hors délai et octobre n’atteint plus 80\xa0%"),
        ("es", "2026-10-06 20:00", "61 llamadas más fuera de plazo y octubre ya no alcanza el 80\xa0%"),
        ("en", "2026-11-23 12:00", "October reached 80%, with 48 calls to spare Settled"),
        ("fr", "2027-01-05 12:00", "Octobre 2026 a atteint 80\xa0%, avec 48 appels de marge Définitif"),
        ("es", "2026-11-23 12:00", "Octubre alcanzó el 80\xa0%, con 48 llamadas de margen Definitivo"),
    ],
)
def test_the_page_shows_the_months_distance_to_its_target(
    shown: Path, language: str, as_of: str, expected: str
) -> None:
    october(shown, as_of=as_of)
    test = open_page("sla.py", campaign="c", month="2026-10", lang=language)
    assert expected.replace("\xa0", " ") in drawn(test).replace("\xa0", " ")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            "No calls are known before 18/11/2026 23:00: 17 of 30 days are missing|call: Thu 19, Sun 22 – Mon 23",
        ),
        (
            "fr",
            "Aucun appel n’est connu avant le 18/11/2026 23:00 : il manque 17 jours sur 30|appel : jeu. 19, dim. 22",
        ),
        ("es", "No constan llamadas anteriores al 18/11/2026 23:00: faltan 17 días de 30|llamadas: jue 19, dom"),
    ],
)
def test_the_page_says_what_is_not_known_and_its_chart_shows_it(shown: Path, language: str, expected: str) -> None:
    publish(shown, FEW_DAYS, campaigns=[PARIS], as_of="25 12:00").close()
    test = open_page("sla.py", campaign="c", lang=language)
    plain = drawn(test).replace("\xa0", " ")
    for part in expected.split("|"):
        assert part in plain, plain
    sla = readers.sla(Published(shown), MANAGER, "c", NOVEMBER, KEY)
    assert sla is not None
    text = i18n.text(language)
    chart = month_chart.figure(sla, text)
    in_time = chart.data[0].y
    assert len(in_time) == 30 and [n for n, calls in enumerate(in_time, start=1) if calls is not None] == [
        *range(18, 26)
    ]
    assert in_time[17:25] == (1, 0, 1, 1, 0, 0, 1, 0)
    (band,), (words_on_it,) = chart.layout.shapes, chart.layout.annotations
    assert (band.x0, band.x1, words_on_it.text) == (-0.5, 16.5, text.gettext("No data"))


def test_bounds_that_look_the_same_are_not_shown(shown: Path) -> None:
    many = [call()] * 3000 + [call("open", queued="11:59:50")]
    publish(shown, many, as_of="23 12:00").close()
    # 99.97 % and 100 %: both are shown as 100.0 %
    assert "Between" not in drawn(open_page("sla.py", campaign="c", lang="en"))
    publish(shown.with_name("few.duckdb"), many[-30:], as_of="23 12:00").close()
    shown.with_name("few.duckdb").replace(shown)
    assert "Between 96.7% and 100.0%" in drawn(open_page("sla.py", campaign="c", lang="en"))


def test_a_month_without_calls_shows_its_target(shown: Path) -> None:
    publish(shown, []).close()
    assert "Service level · Target 80%" in drawn(open_page("sla.py", campaign="c", lang="en"))


def test_a_period_without_known_calls_says_so_and_has_no_downloads(shown: Path) -> None:
    october(shown, as_of="2026-10-06 20:00")
    shown_page = open_page("sla.py", campaign="c", month="2026-10")
    assert drawn(shown_page) and shown_page.get("download_button")
    months = [{"month": month} for month in ("2020-10", "2026-11", "9999-12", "0001-01")]
    days = [{"day": day} for day in ("2020-10-05", "2026-10-07", "2027-01-01", "9999-12-31", "0001-01-01")]
    for parameters in (*months, *days):
        unknown = open_page("sla.py", campaign="c", **parameters)
        assert not drawn(unknown) and not unknown.get("download_button") and not unknown.get("plotly_chart")
        assert any("No calls are known for this period" in element.value for element in unknown.markdown)
        chosen = [unknown.selectbox(key=key).value for key in ("month_choice", "month_day_choice")]
        asked_for = next(iter(parameters.values()))
        assert chosen[0].isoformat()[:7] == asked_for[:7] and chosen[1] == parameters.get("day", "")
    unknown.selectbox(key="month_choice").set_value(date(2026, 10, 1)).run()
    assert not unknown.exception and drawn(unknown) == drawn(shown_page)


def test_a_client_sees_their_own_and_nothing_of_the_canary(shown: Path) -> None:
    october(shown)
    client = Viewer("client", frozenset({"c"}))
    own = open_page("sla.py", viewer=client, campaign="c", month="2026-10")
    assert "1,000" in drawn(own) and "Agent " in drawn(own) and CANARY not in str(own.main).lower()
    assert "agent 3" not in str(own.main)
    foreign = open_page("sla.py", viewer=client, campaign=CANARY, month="2026-10")
    assert any("There is no such campaign here" in element.value for element in foreign.markdown)
    assert not drawn(foreign) and not foreign.get("download_button")
    with pytest.raises(ValueError, match=r"sla\.py"):  # televisions have no such page
        open_page("sla.py", viewer=Viewer("television", None))


def test_a_day_can_be_chosen_and_invalid_parameters_give_this_month(shown: Path) -> None:
    october(shown, as_of="2026-10-06 20:00")
    day = drawn(open_page("sla.py", campaign="c", day="2026-10-05", minutes="30"))
    assert "This day" in day and "08:00–08:30" in day and "Agent " not in day
    for wrong in ({"month": "x"}, {"day": "2026-10-99"}, {"day": ""}, {"minutes": "7"}):
        test = open_page("sla.py", campaign="c", **wrong)
        assert test.selectbox(key="month_choice").value == date(2026, 10, 1)
        assert "08:00–09:00" in drawn(test)


def ways(test: AppTest) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the targets of the page's links by their text: page and parameters."""
    html = "".join(html.proto.body for html in test.get("html") if html.proto.body.startswith('<div class="vigie-s'))
    found = re.findall(r'<a href="([^"]*)" target="_self"[^>]*>(.*?)</a>', html)
    parts = {label: urlsplit(unescape(href)) for href, label in found}
    return {label: (url.path, dict(parse_qsl(url.query))) for label, url in parts.items()}


def links(row: str) -> list[tuple[str, dict[str, str]]]:
    """Return the targets of a row's links: page and parameters."""
    parts = [urlsplit(unescape(href)) for href in re.findall(r'<a href="([^"]*)"', row)]
    return [(url.path, dict(parse_qsl(url.query))) for url in parts]


def counted(way: tuple[str, dict[str, str]], viewer: Viewer = MANAGER) -> str:
    """Open the list of calls and return how many it says there are."""
    page, parameters = way
    assert page == "calls"
    (count_line,) = (
        element.value
        for element in open_page("calls.py", viewer=viewer, **parameters).markdown
        if "call" in element.value
    )
    return count_line.split("**")[1].split()[0]


def test_the_figures_of_a_month_link_to_their_calls(shown: Path) -> None:
    october(shown, as_of="2026-11-06 20:00")
    month = ways(open_page("sla.py", campaign="c", month="2026-10", lang="en"))
    october_link = {"campaign": "c", "from": "2026-10-01", "to": "2026-11-01", "lang": "en"}
    assert month["84.8%"] == ("kpi", october_link | {"kpi": "service_level"})
    assert month["848"] == ("calls", october_link | {"kpi": "service_level", "counts": "hit"})
    assert [counted(month[label]) for label in ("848", "152", "a", "b")] == ["848", "152", "500", "500"]
    figures = open_page("kpi.py", **month["84.8%"][1])
    assert any("84.8%" in html.proto.body for html in figures.get("html"))
    assert any(
        "1 October 2026 – Saturday 31 October 2026" in element.value.replace(",", "") for element in figures.caption
    )
    page, parameters = month["Mon 5"]
    assert (page, parameters["day"]) == ("sla", "2026-10-05")


def test_the_figures_of_a_day_link_to_their_calls(shown: Path) -> None:
    october(shown, as_of="2026-11-06 20:00")
    test = open_page("sla.py", campaign="c", day="2026-10-05", lang="en")
    day = ways(test)
    assert counted(day["500"]) == "500"
    (row,) = re.findall(r"08:00–09:00 (\d+)", drawn(test))
    assert counted(day["08:00–09:00"]) == row


def test_every_row_links_to_its_calls_or_its_explanation(shown: Path) -> None:
    zone = {"of": campaign(zone="Europe/Paris"), "zone": "Europe/Paris"}
    calls = [call(wait=5, queued=f"2026-10-{day:02} 10:15", queue="a", **zone) for day in range(1, 31)]
    calls += [call(wait=99, queued=f"2026-10-{day:02} 10:59:59", queue="b", **zone) for day in (3, 29)]
    calls += [call(wait=99, queued=f"2026-10-{day:02} 11:00", **zone) for day in (3, 5, 29)]
    publish(shown, calls, campaigns=[zone["of"]], as_of="2026-11-06 20:00").close()  # type: ignore[list-item]
    month = open_page("sla.py", campaign="c", month="2026-10", lang="en")
    html = "".join(element.proto.body for element in month.get("html"))
    lines = {
        name: links(row) for name, row in re.findall(r'<tr><th scope="row"><a [^>]*>([^<]*)</a></th>(.*?)</tr>', html)
    }
    month_link = {"campaign": "c", "from": "2026-10-01", "to": "2026-11-01", "lang": "en"}
    for name, late, total in (
        ("10:00–11:00", "2", "32"),
        ("11:00–12:00", "3", "3"),
        ("b", "2", "2"),
        ("Sat 3", "2", "3"),
    ):
        (too_late,) = (way for way in lines[name] if way[1].get("counts") == "miss")
        assert counted(too_late) == late
        listed_too = [way for way in lines[name] if way[0] == "calls" and way != too_late]
        of_all = [way for way in listed_too if way[1].get("counts") is None]
        assert {counted(way) for way in of_all} == {total}
        level = dict(lines[name][-3][1])
        assert level.pop("kpi") == "service_level" and counted(("calls", level)) == total
    at_ten = month_link | {"kpi": "service_level", "time": "10:00-11:00"}
    assert all(way in lines["10:00–11:00"] for way in (("calls", at_ten | {"counts": "miss"}), ("calls", at_ten)))
    of_day = {"campaign": "c", "day": "2026-10-03", "lang": "en"}
    assert lines["Sat 3"][-3:] == [("kpi", of_day | {"kpi": kpi}) for kpi in ("service_level", "abandon_rate", "asa_s")]
    (way,) = re.findall(r'<th scope="row"><a href="([^"]*)" target="_self">10:00–11:00', html)
    listed = open_page("calls.py", **dict(parse_qsl(urlsplit(unescape(way)).query)))
    assert any(element.value.startswith("**32 calls**") for element in listed.markdown)
    listed.button(key="without_time").click().run()
    assert any(element.value.startswith("**35 calls**") for element in listed.markdown)


def test_each_term_of_the_contract_links_to_the_calls_that_it_judged(shown: Path) -> None:
    of = campaign(zone="Europe/Paris", terms=TWO_TERMS)
    calls = [call(of=of, wait=25, queued="2026-11-09 22:59:59")] * 3  # the old 30 s: in time
    calls += [call(of=of, wait=25, queued="2026-11-09 23:00")] * 2 + [call(of=of, wait=5, queued="2026-11-30 22:59")]
    publish(shown, calls, campaigns=[of], as_of="2026-12-02 12:00").close()
    html = "".join(element.proto.body for element in open_page("sla.py", campaign="c", month="2026-11").get("html"))
    (table,) = re.findall(r'<table class="vigie-table terms">(.*?)</table>', html)
    old, new = (links(row) for row in re.findall(r"<tr>(.*?)</tr>", table)[1:])
    assert [way[0] for way in old] == ["calls", "calls", "kpi"]
    assert [counted(way) for way in (*old[:2], *new[:2])] == ["3", "3", "3", "1"]
    for (_page, parameters), level in ((old[2], "100.0%"), (new[2], "33.3%")):
        explained = "".join(element.proto.body for element in open_page("kpi.py", **parameters).get("html"))
        assert level in words(explained) and "Calls judged" in explained
        assert "The contract changed inside this window" not in explained


@pytest.mark.parametrize("viewer", [MANAGER, Viewer("client", frozenset({"c"}))], ids=["manager", "client"])
def test_a_terms_number_of_calls_is_that_of_the_linked_list(shown: Path, viewer: Viewer) -> None:
    of = campaign(zone="Europe/Paris", terms=TWO_TERMS)
    calls = [call(of=of, queued="2026-11-09 22:30")] * 3 + [call("abandoned", of=of, wait=3, queued="2026-11-09 22:40")]
    calls += [call(of=of, queued="2026-11-09 23:30")] * 2 + [call("refused", of=of, queued="2026-11-09 23:40")] * 4
    calls += [call("open", of=of, queued="2026-11-09 23:59:55")]
    publish(shown, calls, campaigns=[of], as_of="2026-11-10 00:00").close()
    span = {"from": "2026-11-09T22:15Z", "to": "2026-11-10T00:00Z"}
    test = open_page("kpi.py", viewer=viewer, campaign="c", kpi="service_level", lang="en", **span)
    html = "".join(element.proto.body for element in test.get("html"))
    (table,) = re.findall(r'<table class="vigie-table terms">(.*?)</table>', html)
    rows = re.findall(r"<tr>(.*?)</tr>", table)[1:]
    judged = [re.findall(r">([^<]+)</a></td>", row)[0] for row in rows]
    assert judged == ["3", "2"] == [counted(*links(row), viewer) for row in rows]


def test_before_anything_is_published_the_page_says_so(shown: Path) -> None:
    assert any("Waiting for the first data" in element.value for element in open_page("sla.py").markdown)
