"""How a month can still end: what the contract page says is what happens when the calls come, one by one."""

import io
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from metrics import readers
from metrics.authorisation.viewer import Viewer
from metrics.configuration.campaigns import Campaign, Term
from metrics.kpis.distance import Judged, ToCome, distance, outlook
from metrics.kpis.service_level import FORMULAS
from metrics.published.examples import EXAMPLES
from metrics.readers import Period, Published, Sla
from pages.contract import downloads, standing, statement
from pages.shared import i18n
from pages.shared.terms import terms_in_words
from tests.support.published import Row, call, campaign, publish, rows
from tests.support.statements import read as text_of

pytestmark = pytest.mark.slow

MANAGER = Viewer("manager", None)
KEY = b"a key for tests, as long as it takes"
AT = datetime.fromisoformat
OCTOBER, NOVEMBER = Period.month(date(2026, 10, 1)), Period.month(date(2026, 11, 1))
TARGETS = (0.0, 0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


def read(path: Path, calls: Sequence[Row], of: Campaign, as_of: str, period: Period = NOVEMBER) -> Sla:
    path.unlink(missing_ok=True)
    publish(path, calls, campaigns=[of], as_of=as_of).close()
    sla = readers.sla(Published(path), MANAGER, of.id, period, KEY)
    assert sla is not None
    return sla


def distance_text(sla: Sla, language: str = "en") -> str:
    return plain(standing.distance(sla, i18n.text(language)))


def plain(text: str) -> str:
    return text.replace("\xa0", " ").replace("\u202f", " ")


def holds(calls: Sequence[tuple[bool, Fraction]]) -> bool:
    """Return whether calls, each in time or late and with its own term's target, are on target together."""
    return sum(in_time for in_time, _ in calls) >= sum((p for _, p in calls), Fraction())


# call by call

targets = st.sampled_from(TARGETS)
so_far = st.builds(
    lambda base, late, p: Judged(max(0, base - late), base, p), st.integers(0, 40), st.integers(0, 40), targets
)
coming = st.builds(
    lambda calls, share, p: ToCome(calls, calls * share, p), st.integers(0, 30), st.floats(0, 1), targets
)


def one_by_one(terms: Sequence[Judged]) -> list[tuple[bool, Fraction]]:
    return [(n < term.hits, Fraction(str(term.target))) for term in terms for n in range(term.base)]


@given(terms=st.lists(so_far, max_size=3), to_come=st.lists(coming, max_size=3))
def test_how_many_of_the_calls_to_come_may_be_late(terms: list[Judged], to_come: list[ToCome]) -> None:
    calls = one_by_one(terms)
    ahead = outlook(terms, to_come)
    targets_to_come = [Fraction(str(term.target)) for term in to_come for _ in range(term.calls)]
    if not calls and not targets_to_come:
        assert ahead is None
        return
    ends = [
        holds(calls + [(n >= late, p) for n, p in enumerate(targets_to_come)])
        for late in range(len(targets_to_come) + 1)
    ]
    allowed = [late for late, is_met in enumerate(ends) if is_met]
    assert ahead is not None and ahead.calls == len(targets_to_come)
    assert ahead.may_be_late == (max(allowed) if allowed else None)
    hits, base = sum(hit for hit, _ in calls), len(calls) + len(targets_to_come)
    assert ahead.best == (hits + len(targets_to_come)) / base
    assert ahead.target == pytest.approx(float(sum((p for _, p in calls), sum(targets_to_come, Fraction())) / base))
    assert ahead.expected == pytest.approx((hits + sum(term.hits for term in to_come)) / base)


@given(terms=st.lists(so_far, min_size=1, max_size=3), p=targets)
def test_the_level_after_the_calls_that_change_the_verdict(terms: list[Judged], p: float) -> None:
    calls, away, own = one_by_one(terms), distance(terms, p), Fraction(str(p))
    if away is None:
        return
    is_met, hits, base = holds(calls), sum(hit for hit, _ in calls), len(calls)
    required = sum((target for _, target in calls), Fraction())
    counted = away.until_missed if is_met else away.until_reached
    for n in range(1, 1_000):
        hits, base, required = hits + (not is_met), base + 1, required + own
        if (hits >= required) is not is_met:
            assert counted == n and away.level_then == hits / base
            return
    assert counted is None or counted >= 1_000
    assert (away.level_then is None) is (counted is None)


# over a change of terms, with nothing else known

CHANGE = (Term(None, AT("2026-10-29"), target=0.8), Term(AT("2026-10-29"), None, target=0.9))


def calls_of(hits: int, late: int, of: Campaign, queued: str) -> list[Row]:
    return [call(of=of, wait=9, queued=queued)] * hits + [call(of=of, wait=60, queued=queued)] * late


@pytest.mark.parametrize(
    ("language", "aim", "words"),
    [
        (
            "en",
            "Target so far 85.12%",
            "It would take 4,894 more calls in time under the terms now in force (target 90%) for October to be on "
            "target, at 88.13%",
        ),
        (
            "fr",
            "Objectif à ce jour 85,12 %",
            "Octobre ne tiendrait l’objectif, à 88,13 %, qu’avec 4 894 appels à temps de plus selon les conditions en "
            "vigueur (objectif 90 %)",
        ),
        (
            "es",
            "Objetivo hasta ahora 85,12 %",
            "Harían falta 4.894 llamadas más a tiempo con las condiciones vigentes (objetivo 90 %) para que octubre "
            "estuviera en objetivo, con un 88,13 %",
        ),
    ],
)
def test_after_a_change_of_terms_the_level_includes_the_calls_to_come(
    tmp_path: Path, language: str, aim: str, words: str
) -> None:
    of = campaign(terms=CHANGE)
    before = calls_of(1100, 388, of, "2026-10-28 10:00") + calls_of(1005, 555, of, "2026-10-29 10:00")
    sla = read(tmp_path / "v.duckdb", before, of, "2026-10-30 12:00", OCTOBER)
    assert sla.outlook is None and sla.target == pytest.approx(0.8512, abs=5e-5)
    assert distance_text(sla, language) == words
    assert plain(standing.target_words(sla, i18n.text(language))) == aim
    enough = before + calls_of(4894, 0, of, "2026-10-30 11:00")
    ends = read(tmp_path / "v.duckdb", enough, of, "2026-10-30 12:00", OCTOBER)
    assert ends.distance is not None and ends.distance.is_met
    assert ends.total.service_level == pytest.approx(0.8813, abs=5e-5)
    short = read(tmp_path / "v.duckdb", enough[:-1], of, "2026-10-30 12:00", OCTOBER)
    assert short.distance is not None and not short.distance.is_met


@pytest.mark.parametrize(
    ("hits", "words"),
    [
        (
            27,  # 20 and 10 calls require 25 in time, 2 more 26.8, 3 more 27.7
            {
                "en": "3 more late calls under the terms now in force (target 90%) and October is off "
                "target, at 81.82%",
                "fr": "Encore 3 appels hors délai selon les conditions en vigueur (objectif 90 %) et octobre ne tient "
                "plus l’objectif, à 81,82 %",
                "es": "3 llamadas más fuera de plazo con las condiciones vigentes (objetivo 90 %) y octubre deja de "
                "estar en objetivo, con un 81,82 %",
            },
        ),
        (
            25,
            {
                "en": "1 more late call under the terms now in force (target 90%) and October is off target, at 80.65%",
                "fr": "Encore 1 appel hors délai selon les conditions en vigueur (objectif 90 %) et octobre ne tient "
                "plus l’objectif, à 80,65 %",
                "es": "1 llamada más fuera de plazo con las condiciones vigentes (objetivo 90 %) y octubre deja de "
                "estar en objetivo, con un 80,65 %",
            },
        ),
    ],
)
def test_after_a_change_of_terms_late_calls_are_judged_by_the_new_one(
    tmp_path: Path, hits: int, words: dict[str, str]
) -> None:
    of = campaign(terms=CHANGE)
    before = calls_of(hits - 9, 29 - hits, of, "2026-10-28 10:00") + calls_of(9, 1, of, "2026-10-29 10:00")
    sla = read(tmp_path / "v.duckdb", before, of, "2026-10-30 12:00", OCTOBER)
    assert {language: distance_text(sla, language) for language in words} == words


# the usual number of calls


def weeks(
    of: Campaign, until: str, per_day: int = 6, first: str = "2026-09-28", late: int = 0, **kind: Any
) -> list[Row]:
    """Return `per_day` calls at noon of each day `[first, until)` in the campaign's zone; the first `late` are late."""
    day, end, calls = date.fromisoformat(first), date.fromisoformat(until), []
    while day < end:
        at = f"{day} 12:00"
        calls += [call(of=of, wait=60 if n < late else 9, queued=at, zone=of.timezone, **kind) for n in range(per_day)]
        day += timedelta(1)
    return calls


def numbers(sentence: str) -> list[int]:
    """Return the counts in a sentence, in order, without the ratios."""
    counts_only = re.sub(r"[\d.,]+\s?%", "", sentence)
    return [int(re.sub(r"\D", "", found)) for found in re.findall(r"\d[\d.,\s]*\d|\d", counts_only)]


@pytest.mark.parametrize(
    ("language", "words", "beside"),
    [
        (
            "en",
            "November can no longer reach 85%: with all of about 600 calls still to come in time, it ends at 80.0%",
            "Calls still to come: as many as on the same weekdays of the last four weeks|If they go as on those days, "
            "November ends at about 70.0%",
        ),
        (
            "fr",
            "Novembre ne peut plus atteindre 85 % : même avec environ 600 appels à venir tous à temps, le niveau "
            "finit à 80,0 %",
            "Appels à venir : autant que les mêmes jours des quatre dernières semaines|S’ils se passent comme ces "
            "jours-là, novembre finit vers 70,0 %",
        ),
        (
            "es",
            "Noviembre ya no puede alcanzar el 85 %: aun con unas 600 llamadas por entrar y todas a tiempo, acaba "
            "en el 80,0 %",
            "Llamadas por entrar: tantas como los mismos días de las últimas cuatro semanas|Si van como esos días, "
            "noviembre acaba en torno al 70,0 %",
        ),
    ],
)
def test_a_month_that_cannot_reach_its_target_says_so(tmp_path: Path, language: str, words: str, beside: str) -> None:
    """18 of 60 calls a day are late and ten days are left: (1200 * 0.7 + 600) / 1800 = 80 %."""
    of = campaign(zone="Europe/Paris", terms=[Term(target=0.85)])
    sla = read(tmp_path / "v.duckdb", weeks(of, "2026-11-21", 60, late=18), of, "2026-11-20 23:00")
    assert distance_text(sla, language) == words
    text = i18n.text(language)
    assert [plain(line) for line in standing.outlook(sla, text)] == beside.split("|")
    pdf = plain(text_of(statement.as_pdf(sla, text)))
    workbook = plain(summary(downloads.as_excel(sla, text)))
    for line in (words, *beside.split("|")):
        assert line in pdf and line in workbook


def summary(workbook: bytes) -> str:
    sheet = load_workbook(io.BytesIO(workbook)).worksheets[0]
    return " ".join(str(cell.value) for row in sheet.iter_rows() for cell in row)


@pytest.mark.parametrize(
    ("target", "late", "words"),
    [
        # 600 calls so far, 300 to come: 900 * 0.8 = 720 must be in time
        (0.8, 3, "November reaches 80% if at most 120 of about 300 calls still to come are late"),
        (0.8, 7, "November reaches 80% if at most 40 of about 300 calls still to come are late"),
        (0.6, 1, "November reaches 60% even if all of about 300 calls still to come are late"),
        (0.8, 9, "November reaches 80% only if all of about 300 calls still to come are in time"),
        (
            1.0,
            1,
            "November can no longer reach 100%: with all of about 300 calls still to come in time, it ends at 97.8%",
        ),
    ],
)
def test_a_month_that_can_be_saved_says_how_many_calls_may_be_late(
    tmp_path: Path, target: float, late: int, words: str
) -> None:
    of = campaign(terms=[Term(target=target)])
    calls = weeks(of, "2026-11-21", 30, late=late)
    sla = read(tmp_path / "v.duckdb", calls, of, "2026-11-21 00:00")
    assert distance_text(sla) == words


def test_a_month_with_no_more_usual_calls_says_how_it_ends(tmp_path: Path) -> None:
    of = campaign(terms=[Term(target=0.8)])
    for late, words in ((4, "November ends at 60.0% and misses 80%"), (2, "November ends at 80.0% and reaches 80%")):
        sla = read(tmp_path / "v.duckdb", weeks(of, "2026-12-01", 10, late=late), of, "2026-11-30 13:00")
        assert distance_text(sla) == f"{words}: usually no more calls come"
        assert len(standing.outlook(sla, i18n.text("en"))) == 1


def test_a_level_just_below_its_target_is_not_written_as_the_target() -> None:
    text = i18n.text("en")
    assert standing.percent_below(0.84996, 0.85, text) == "84.996%"
    assert (standing.percent_below(0.8496, 0.85, text), standing.percent_below(0.81, 0.85, text)) == ("84.96%", "81.0%")


terms_of_a_month = st.lists(
    st.tuples(
        st.sampled_from(
            [None, "2026-11-05", "2026-11-12T13:00", "2026-11-16", "2026-11-18T09:30", "2026-11-24", "2026-11-30"]
        ),
        st.sampled_from(TARGETS),
        st.sampled_from([5.0, 20.0]),
        st.sampled_from(list(FORMULAS)),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda term: term[0],
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.slow
@given(
    drawn=terms_of_a_month,
    late=st.integers(0, 4),
    day=st.integers(9, 30),
    hour=st.sampled_from([0, 9, 13, 23]),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Pacific/Auckland"]),
    language=st.sampled_from([*i18n.LANGUAGES]),
)
def test_what_the_page_says_is_what_happens_when_the_calls_come(
    tmp_path: Path, drawn: Any, late: int, day: int, hour: int, zone: str, language: str
) -> None:
    """The usual calls are added under the terms in force: one more late call than allowed changes the verdict."""
    drawn = sorted(drawn, key=lambda term: term[0] or "")
    starts = [None, *(AT(since or "2026-11-02") for since, *_ in drawn[1:])]
    of = campaign(
        zone=zone,
        terms=[
            Term(since, until, formula, threshold_s, target)
            for (_, target, threshold_s, formula), since, until in zip(drawn, starts, [*starts[1:], None], strict=True)
        ],
    )
    now = AT(f"2026-11-{day:02}") + timedelta(hours=hour)
    month = weeks(of, "2026-12-01", 4, late=late)
    path = tmp_path / "v.duckdb"
    moment = now.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)

    def happened(row: Row) -> bool:
        return bool(row["queued_at"] < moment)

    past = [row for row in month if happened(row)]
    sla = read(path, past, of, f"{moment:%Y-%m-%d %H:%M}")
    left = [row for row in month if not happened(row)]
    ahead = sla.outlook
    assert ahead is not None and ahead.calls == len(left)
    counts = numbers(distance_text(sla, language))
    assert counts in ([], [len(left)], [ahead.may_be_late, len(left)], [len(left), ahead.may_be_late])

    def ends(late_calls: int) -> Sla:
        more = [call(of=of, wait=60 if n < late_calls else 1, queued=row["queued_at"]) for n, row in enumerate(left)]
        return read(path, past + more, of, "2026-12-02 12:00")

    allowed = ahead.may_be_late
    if allowed is None:
        best = ends(0)
        assert best.distance is not None and not best.distance.is_met
        assert best.total.service_level == pytest.approx(ahead.best)
        assert best.target == pytest.approx(ahead.target)
        return
    for late_calls in range(allowed, min(allowed + 1, len(left)) + 1):
        found = ends(late_calls)
        assert found.is_over and found.distance is not None and found.distance.is_met is (late_calls == allowed)
        assert found.target == pytest.approx(ahead.target)


def test_usual_calls_are_those_of_open_days_from_this_time_of_day_on(tmp_path: Path) -> None:
    """Mondays have 8 calls but for a holiday, Sundays none; at 12:07:30 on Tuesday, half a quarter hour is to come."""
    of = campaign(zone="Europe/Paris")
    at = datetime.fromisoformat("2026-10-20")
    calls = []
    while at < AT("2026-11-24"):
        if at.weekday() != 6 and at.date() != date(2026, 11, 16):
            times = ["09:00", "12:03", "12:03", "12:03", "12:03", "12:20", "18:00", "18:00"]
            calls += [call(of=of, queued=f"{at:%Y-%m-%d} {time}", zone=of.timezone) for time in times]
        at += timedelta(1)
    sla = read(tmp_path / "v.duckdb", calls, of, "2026-11-24 11:07:30")
    # today 2 + 3, then Wednesday to Saturday, nothing on Sunday, and Monday
    assert sla.outlook is not None and sla.outlook.calls == 5 + 4 * 8 + 8


def test_waiting_calls_are_to_come_and_a_new_threshold_judges_the_usual_calls_again(tmp_path: Path) -> None:
    of = campaign(
        terms=[Term(None, AT("2026-11-25"), threshold_s=30.0), Term(AT("2026-11-25"), None, threshold_s=10.0)]
    )
    calls = weeks(of, "2026-11-24", 4)
    calls = [row | {"wait_s": 20.0, "in_threshold": True} for row in calls]
    calls += [call("open", of=of, queued="2026-11-23 23:59:50", wait=10, zone="UTC")]
    sla = read(tmp_path / "v.duckdb", calls, of, "2026-11-24 00:00")
    assert sla.outlook is not None and sla.outlook.calls == 7 * 4 + 1
    # 23 days so far and the 24th are in time by the first term, six days are late by the second
    assert sla.outlook.expected == pytest.approx((23 * 4 + 4 + 1) / (30 * 4 + 1))


def test_usual_calls_of_a_term_that_is_gone_are_judged_again(tmp_path: Path) -> None:
    of, noon, day = campaign(), "2026-11-24 11:00", Period.day(date(2026, 11, 24))
    known, gone = (
        read(tmp_path / "v.duckdb", weeks(of, "2026-11-24", 10, late=3, **kind), of, noon, day).outlook
        for kind in ({}, {"term_from": AT("2026-01-01")})
    )
    assert known is not None and (known.calls, known.expected) == (10, pytest.approx(0.7))
    assert gone == known


def test_the_usual_calls_are_those_of_the_instant_that_the_page_names(tmp_path: Path) -> None:
    of, path = campaign(), tmp_path / "v.duckdb"
    reader = Published(path)
    seen = []
    for at, per_day in (("11:00:00", 4), ("11:00:30", 6), ("11:01:00", 8)):
        publish(tmp_path / "next", weeks(of, "2026-11-24", per_day), campaigns=[of], as_of=f"2026-11-24 {at}").close()
        (tmp_path / "next").replace(path)
        sla = readers.sla(reader, MANAGER, of.id, NOVEMBER, KEY)
        assert sla is not None and sla.outlook is not None
        seen.append((f"{sla.freshness.as_of:%H:%M:%S}", sla.outlook.calls))
    assert seen == [("11:00:00", 7 * 4), ("11:00:00", 7 * 4), ("11:01:00", 7 * 8)]


@pytest.mark.parametrize("known_from", ["2026-11-09", "2026-11-17"])
def test_with_too_little_history_only_the_distance_is_shown(tmp_path: Path, known_from: str) -> None:
    of = campaign()
    sla = read(tmp_path / "v.duckdb", weeks(of, "2026-11-23", 4, known_from, late=2), of, "2026-11-23 00:00")
    n = sla.distance and sla.distance.until_reached
    assert (
        sla.outlook is None and distance_text(sla) == f"It would take {n} more calls in time for November to reach 80%"
    )
    assert standing.outlook(sla, i18n.text("en")) == []
    enough = read(tmp_path / "v.duckdb", weeks(of, "2026-11-23", 4, "2026-11-02", late=2), of, "2026-11-23 00:00")
    assert enough.outlook is not None


def test_a_target_of_100_percent_is_lost_unless_a_later_term_requires_less(tmp_path: Path) -> None:
    late = [call(wait=60, queued="2026-11-23 09:00")]
    for terms, words in (
        ([Term(target=1.0)], "November can no longer reach 100%"),
        ([Term(None, AT("2026-11-28"), target=1.0), Term(AT("2026-11-28"), None, target=0.5)], ""),
    ):
        assert distance_text(read(tmp_path / "v.duckdb", late, campaign(terms=terms), "2026-11-23 12:00")) == words


def test_a_day_has_an_outlook_too(tmp_path: Path) -> None:
    of = campaign(zone="Europe/Paris", terms=[Term(target=0.8)])
    calls = weeks(of, "2026-11-24", 10) + calls_of(1, 2, of, "2026-11-24 07:00")
    sla = read(tmp_path / "v.duckdb", calls, of, "2026-11-24 09:00", Period.day(date(2026, 11, 24)))
    assert distance_text(sla) == "This day reaches 80% only if all of about 10 calls still to come are in time"


def test_the_year_of_a_month_is_left_out_by_the_campaigns_own_calendar(tmp_path: Path) -> None:
    """At 23:30 UTC on 31 December it is 2027 in Paris."""
    of, at = campaign(zone="Europe/Paris"), "2026-12-31 23:30"
    january = read(
        tmp_path / "v.duckdb", [call(of=of, queued="2026-12-31 23:10")], of, at, Period.month(date(2027, 1, 1))
    )
    december = read(
        tmp_path / "v.duckdb", [call(of=of, queued="2026-12-31 22:10")], of, at, Period.month(date(2026, 12, 1))
    )
    assert (standing.period(january, i18n.text("en")), standing.period(december, i18n.text("en"))) == (
        "January",
        "December 2026",
    )
    assert (january.is_over, december.is_over, january.today) == (False, True, date(2027, 1, 1))


# validity of a term in words


@pytest.mark.parametrize(
    ("since", "until", "english", "french", "spanish"),
    [
        (None, None, "always", "toujours", "siempre"),
        (
            None,
            "2026-11-29",
            "up to and including 28 Nov 2026",
            "jusqu’au 28 nov. 2026 inclus",
            "hasta el 28 nov 2026 inclusive",
        ),
        ("2026-11-29", None, "from 29 Nov 2026 on", "à partir du 29 nov. 2026", "a partir del 29 nov 2026"),
        (
            None,
            "2026-11-29T18:00",
            "until just before 18:00 on 29 Nov 2026",
            "avant le 29 nov. 2026 à 18:00",
            "antes del 29 nov 2026, 18:00 h",
        ),
        (
            "2026-11-29T18:00",
            None,
            "from 18:00 on 29 Nov 2026",
            "à partir du 29 nov. 2026 à 18:00",
            "a partir del 29 nov 2026, 18:00 h",
        ),
        (
            "2026-11-01",
            "2026-12-01",
            "from 1 Nov 2026 up to and including 30 Nov 2026",
            "du 1er nov. 2026 au 30 nov. 2026 inclus",
            "del 1 nov 2026 al 30 nov 2026, ambos inclusive",
        ),
        (
            "2026-11-01",
            "2026-11-29T08:30:15",
            "from 1 Nov 2026 until just before 08:30:15 on 29 Nov 2026",
            "du 1er nov. 2026 au 29 nov. 2026 à 08:30:15 exclu",
            "desde el 1 nov 2026 hasta antes del 29 nov 2026, 08:30:15 h",
        ),
    ],
)
def test_the_validity_of_a_term_in_words(
    since: str | None, until: str | None, english: str, french: str, spanish: str
) -> None:
    term = readers.Term(0, since and AT(since), until and AT(until), "exclude_short", 20, 0.8, True, 5)
    for language, words in (("en", english), ("fr", french), ("es", spanish)):
        assert plain(terms_in_words(term, i18n.text(language))[0]) == words


# the analysts' example


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.slow
@given(
    first=targets,
    second=targets | st.none(),
    change=st.sampled_from(["2026-11-10", "2026-11-10T18:00", "2026-11-28"]),
    counts=st.tuples(*(st.integers(0, 30) for _ in range(4))),
    zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Auckland"]),
    as_of=st.sampled_from(["2026-11-23 12:00", "2026-11-30 23:30"]),
)
def test_the_example_of_a_month_says_what_the_page_says(
    tmp_path: Path, first: float, second: float | None, change: str, counts: Any, zone: str, as_of: str
) -> None:
    two = second is not None
    terms = [Term(None, AT(change) if two else None, target=first)] + (
        [Term(AT(change), None, target=second)] if two else []
    )
    of = campaign(zone=zone, terms=terms)
    calls = calls_of(counts[0], counts[1], of, "2026-11-03 10:00") + calls_of(
        counts[2], counts[3], of, "2026-11-11 01:00"
    )
    path = tmp_path / "v.duckdb"
    path.unlink(missing_ok=True)
    publish(path, calls, campaigns=[of], as_of=as_of).close()
    local = datetime.fromisoformat(as_of).replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()
    sla = readers.sla(Published(path), MANAGER, of.id, Period.month(min(local, date(2026, 11, 11))), KEY)
    with duckdb.connect(str(path), read_only=True) as published:
        found = rows(published, EXAMPLES["month_to_target"])
    if sla is None or not sla.total.service_level_base:
        assert found == []
        return
    (row,) = found
    assert (row["in_time"], row["counted"]) == (sla.total.service_level_hits, sla.total.service_level_base)
    assert row["target"] == pytest.approx(sla.target, abs=1e-6) and row["next_target"] == sla.next_target
    away = sla.distance
    assert away is not None
    assert row["calls_to_reach"] == away.until_reached
    if away.is_met:
        assert row["late_calls_to_spare"] == (None if away.until_missed is None else away.until_missed - 1)
    elif row["late_calls_to_spare"] is not None:
        assert row["late_calls_to_spare"] < 0
