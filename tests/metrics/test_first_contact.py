"""First-contact resolution: what is a contact, when it is decided, and who called again."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from metrics.configuration.campaigns import Term
from tests.support.published import Row, at, call, campaign, publish, rows

NOTHING = {"contacts": 0, "unknown": 0, "pending": 0, "decided": 0, "resolved": 0, "fcr": None, "callers": 0}
HOUR = timedelta(hours=1)
ELSEWHERE = "another campaign"
ABANDONED: dict[str, Any] = {"outcome": "abandoned", "wait": 60}


def ann(queued: str, **columns: Any) -> Row:
    return call(queued=queued, **{"caller_key": "ann"} | columns)


def first_contact(
    path: Path, calls: list[Row], *, t0: str = "01 00:00", t1: str = "09 00:00", as_of: str = "24 12:00", **of: Any
) -> Row:
    with publish(path / "v.duckdb", calls, as_of=as_of, **of) as published:
        (row,) = rows(published, "FROM first_contact($t0, $t1) WHERE campaign = 'c'", t0=at(t0), t1=at(t1))
    return row


CASES: dict[str, tuple[list[Row], Row]] = {
    "no call": ([], {"repeat_callers": 0, **NOTHING}),
    "one call": ([ann("02 09:00")], {"contacts": 1, "decided": 1, "resolved": 1, "fcr": 1.0}),
    "again just within 7 days": ([ann("02 09:00"), ann("09 08:59:59")], {"decided": 1, "resolved": 0, "fcr": 0.0}),
    "again after just 7 days": ([ann("02 09:00"), ann("09 09:00")], {"decided": 1, "resolved": 1}),
    "gave up then": ([ann("02 09:00"), ann("03 09:00", **ABANDONED)], {"decided": 1, "resolved": 0}),
    "gave up first": ([ann("02 09:00", **ABANDONED), ann("03 09:00")], {"decided": 1, "resolved": 1}),
    "three times": (
        [ann("02 09:00"), ann("03 09:00"), ann("04 09:00")],
        {"contacts": 3, "resolved": 1, "callers": 1, "repeat_callers": 1},
    ),
    "two queues in one phone call": (
        [ann("02 09:00", linked_id="p"), ann("02 09:10", linked_id="p")],
        {"contacts": 1, "resolved": 1, "repeat_callers": 0},
    ),
    "answered in the second queue, which was not told who calls": (
        [ann("02 09:00", linked_id="p", **ABANDONED), ann("02 09:10", linked_id="p", caller_key=None)],
        {"contacts": 1, "resolved": 1, "unknown": 0},
    ),
    "another caller": ([ann("02 09:00"), ann("03 09:00", caller_key="bo")], {"resolved": 2, "callers": 2}),
    "elsewhere": ([ann("02 09:00"), ann("03 09:00", campaign=ELSEWHERE)], {"contacts": 1, "resolved": 1}),
    "called by the floor": (
        [ann("02 09:00"), ann("03 09:00", direction="outbound"), ann("03 10:00", direction="callback")],
        {"contacts": 1, "resolved": 1},
    ),
    "withheld": (
        [ann("02 09:00", caller_key=None), ann("03 09:00", caller_key=None)],
        NOTHING | {"unknown": 2, "repeat_callers": 0},
    ),
    "the window's last second": ([ann("08 23:59:59")], {"contacts": 1}),
    "after the window": ([ann("09 00:00")], {"contacts": 0, "callers": 0}),
    "never answered": ([ann("02 09:00", outcome="abandoned", wait=60)], {"contacts": 0, "callers": 1}),
}


@pytest.fixture(scope="module")
def of_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Row]]:
    """Every case is a campaign of its own in one file."""
    calls = [
        row | ({"campaign": name} if row["campaign"] == "c" else {}) for name, (of, _) in CASES.items() for row in of
    ]
    campaigns = [campaign(name) for name in (*CASES, ELSEWHERE)]
    with publish(tmp_path_factory.mktemp("cases") / "v.duckdb", calls, campaigns=campaigns) as published:
        query = "FROM first_contact($t0, $t1)"
        yield {row["campaign"]: row for row in rows(published, query, t0=at("01 00:00"), t1=at("09 00:00"))}


@pytest.mark.parametrize("name", CASES)
def test_contacts(of_case: dict[str, Row], name: str) -> None:
    expected = CASES[name][1]
    assert {column: of_case[name][column] for column in expected} == expected


@pytest.mark.parametrize(("as_of", "pending"), [("09 08:59:59", 1), ("09 09:00", 0)])
@pytest.mark.parametrize("again", [False, True])
def test_a_contact_is_decided_after_its_days_not_before(tmp_path: Path, as_of: str, pending: int, again: bool) -> None:
    """Nor when the caller has called again: this would count such contacts earlier than others."""
    calls = [ann("02 09:00")] + [ann("02 10:00", **ABANDONED)] * again
    row = first_contact(tmp_path, calls, as_of=as_of)
    assert (row["pending"], row["decided"]) == (pending, 1 - pending)
    assert row["fcr"] == (None if pending else float(not again))


def test_the_term_in_force_says_how_many_days(tmp_path: Path) -> None:
    start = at("05 00:00").replace(tzinfo=None)
    terms = (Term(valid_to=start, fcr_days=1), Term(valid_from=start, fcr_days=3))
    again_in_two_days = [ann("02 09:00"), ann("04 09:00", caller_key="ann"), ann("06 09:00")]
    row = first_contact(tmp_path, again_in_two_days, campaigns=(campaign(terms=terms),))
    assert (row["fcr_days"], row["decided"], row["resolved"]) == (3, 3, 3)
    row = first_contact(tmp_path / "..", again_in_two_days, campaigns=(campaign(terms=(Term(fcr_days=3),)),))
    assert (row["fcr_days"], row["decided"], row["resolved"]) == (3, 3, 1)


def test_it_is_what_a_count_by_hand_gives(tmp_path: Path) -> None:
    """Forty campaigns with random calls and terms."""
    chance, as_of, t0, t1 = Random(7), at("24 12:00"), at("05 00:00"), at("20 00:00")
    days = {f"c{n}": chance.randint(1, 30) for n in range(40)}
    contacts = [
        (name, key, at("01 00:00") + timedelta(hours=chance.randrange(29 * 24)), chance.random() < 0.7)
        for name in days
        for key in chance.choices(["ann", "bo", None], k=chance.randint(0, 9))
    ]
    calls = []
    for n, (name, key, began_at, is_answered) in enumerate(contacts):
        visit = {"campaign": name, "caller_key": key, "linked_id": f"p{n}"}
        calls.append(call("abandoned", 60, queued=began_at, **visit))
        calls.append(call("answered" if is_answered else "abandoned", 60, queued=began_at + HOUR, **visit))
    decided, resolved = Counter[str](), Counter[str]()
    for name, key, began_at, is_answered in contacts:
        until = began_at + timedelta(days=days[name])
        if key and is_answered and t0 <= began_at < t1 and until <= as_of:
            same = [at for other, other_key, at, _ in contacts if (other, other_key) == (name, key)]
            decided[name] += 1
            resolved[name] += not any(began_at < other < until for other in same) and same.count(began_at) == 1
    campaigns = [campaign(name, terms=(Term(fcr_days=fcr_days),)) for name, fcr_days in days.items()]
    with publish(tmp_path / "v.duckdb", calls, campaigns=campaigns) as published:
        counted = rows(published, "FROM first_contact($t0, $t1)", t0=t0, t1=t1)
    assert [(row["campaign"], row["decided"], row["resolved"]) for row in counted if row["decided"]] == [
        (row["campaign"], decided[row["campaign"]], resolved[row["campaign"]])
        for row in counted
        if decided[row["campaign"]]
    ]
    assert decided.total() > resolved.total() > 10
