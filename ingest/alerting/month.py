"""Where each campaign's month stands against its contract, and how it ends if the usual calls come.

The arithmetic is that of the contract page (`metrics/kpis/distance.py`), by whole days. A day's usual calls are the
mean of the SAME_WEEKDAYS before today, without days on which no call was offered. Of today's, those that have not come
yet are to come. With fewer than KNOWN_WEEKDAYS known days of a weekday that is still to come, the end of the month is
not known. References: docs/alerts.md; docs/kpis.md, Distance to the target.
"""

import calendar
import datetime as dt
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metrics.kpis.distance import KNOWN_WEEKDAYS, SAME_WEEKDAYS, Judged, ToCome, outlook, target

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DaysCalls:
    """One local day of a campaign: calls that count in the service level, those in time, and all that were offered."""

    day: dt.date
    base: int
    hits: int
    target: float
    offered: int


@dataclass(frozen=True, slots=True)
class Month:
    """Service levels minus the target [ratio]: so far, as the month usually ends, and at best; None: not known.

    Below 0 at best, the target is out of reach. `calls` count so far.
    """

    calls: int
    to_target: float | None
    expected_to_target: float | None
    best_to_target: float | None


def month_of(days: Iterable[DaysCalls], today: dt.date, targets: Sequence[tuple[dt.date | None, float]]) -> Month:
    """Return a campaign's month.

    `days` reach back SAME_WEEKDAYS weeks and one more. `targets` are in order, each with the first day of its term.
    """
    by_day = {day.day: day for day in days}
    of_month = [day for day in by_day.values() if day.day >= today.replace(day=1) and day.base]
    judged = [Judged(day.hits, day.base, day.target) for day in of_month]
    base = sum(term.base for term in judged)
    target_so_far = target(judged)
    so_far = None if target_so_far is None else sum(term.hits for term in judged) / base - target_so_far
    to_come = _to_come(by_day, today, targets)
    end = None if to_come is None else outlook(judged, to_come)
    if end is None:
        return Month(base, so_far, None, None)
    return Month(base, so_far, end.expected - end.target, end.best - end.target)


def _to_come(
    by_day: Mapping[dt.date, DaysCalls], today: dt.date, targets: Sequence[tuple[dt.date | None, float]]
) -> list[ToCome] | None:
    """Return the calls that usually come from today to the end of the month; None: that is not known."""
    first = min((day.day for day in by_day.values() if day.offered), default=today)  # its earlier calls may be missing
    known = [day for n in range(1, 7 * SAME_WEEKDAYS + 1) if (day := today - n * DAY) > first]
    last = today.replace(day=calendar.monthrange(today.year, today.month)[1])
    to_come = []
    for n in range((last - today).days + 1):
        day = today + n * DAY
        same = [other for other in known if other.weekday() == day.weekday()]
        if len(same) < KNOWN_WEEKDAYS:
            return None
        open_days = [by_day[other] for other in same if other in by_day and by_day[other].offered]
        if not open_days:
            continue
        usual = statistics.fmean(other.base for other in open_days)
        in_time = statistics.fmean(other.hits for other in open_days)
        so_far = by_day[day].base if day in by_day else 0
        calls = max(0, round(usual) - so_far)
        if calls and usual:
            in_force = [target for valid_from, target in targets if valid_from is None or valid_from <= day]
            to_come.append(ToCome(calls, calls * in_time / usual, in_force[-1]))
    return to_come
