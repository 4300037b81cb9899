"""Where a month stands, and how it ends."""

import datetime as dt

import pytest

from ingest.alerting.month import DaysCalls, Month, month_of

TODAY = dt.date(2026, 11, 27)  # a Friday; three days are to come after it
ALWAYS = ((None, 0.8),)


def days(first: int, last: int, base: int, hits: int, target: float = 0.8) -> list[DaysCalls]:
    """Days counted from today."""
    return [DaysCalls(TODAY + dt.timedelta(days=n), base, hits, target, base) for n in range(first, last + 1)]


def close(month: Month) -> tuple[int, object, object, object]:
    return month.calls, *(
        None if v is None else pytest.approx(v)
        for v in (month.to_target, month.expected_to_target, month.best_to_target)
    )


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(
            days(-40, -1, 100, 80), (2600, 0.0, 0.0, 400 / 3000 * 0.2), id="26 days on target, 400 calls to come"
        ),
        pytest.param(days(-40, -1, 100, 70), (2600, -0.1, -0.1, 2220 / 3000 - 0.8), id="out of reach: below 0 at best"),
        pytest.param(
            [*days(-40, -1, 100, 80), *days(0, 0, 60, 60)],
            (2660, 2140 / 2660 - 0.8, (2140 + 272) / 3000 - 0.8, (2140 + 340) / 3000 - 0.8),
            id="of today's usual calls, 40 are to come",
        ),
        pytest.param(
            [*days(-40, -1, 100, 80), *days(0, 0, 130, 130)],
            (2730, 2210 / 2730 - 0.8, (2210 + 240) / 3030 - 0.8, (2210 + 300) / 3030 - 0.8),
            id="more calls than usual today: none is to come",
        ),
        pytest.param(days(-13, -1, 100, 80), (1300, 0.0, None, None), id="only one such weekday is known"),
        pytest.param([], (0, None, None, None), id="no calls"),
    ],
)
def test_a_month_by_its_days(known: list[DaysCalls], expected: tuple[int, object, object, object]) -> None:
    assert close(month_of(known, TODAY, ALWAYS)) == expected


def test_a_weekday_on_which_the_campaign_is_closed_brings_no_calls() -> None:
    open_days = [day for day in days(-40, -1, 100, 80) if day.day.weekday() < 5]
    month = month_of(open_days, TODAY, ALWAYS)  # today and Monday are to come
    assert month.best_to_target == pytest.approx(200 / (month.calls + 200) * 0.2)


def test_calls_to_come_are_held_to_the_term_of_their_day() -> None:
    terms = (*ALWAYS, (dt.date(2026, 11, 29), 0.9))
    month = month_of(days(-40, -1, 100, 80), TODAY, terms)
    assert month.best_to_target == pytest.approx((2080 + 400) / 3000 - (2600 * 0.8 + 200 * 0.8 + 200 * 0.9) / 3000)
