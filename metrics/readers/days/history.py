"""What is usual for a campaign: the same weekday of recent weeks, and its weeks by weekday and hour.

Past days hardly change, and reading weeks of them takes a second, so these answers are cached for an hour for all
viewers. Counts and seconds are added up first, ratios are computed last. A day without offered calls counts as closed
and is in no mean.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from metrics.authorisation.viewer import Viewer
from metrics.composition.figures import KPIS
from metrics.kpis.distance import SAME_WEEKDAYS
from metrics.readers import wall
from metrics.readers.campaigns import MINUTES, NAMES, STEPS, Campaign, Kpis, needed, on_day, sums
from metrics.readers.contract.to_come import HISTORY_S
from metrics.readers.snapshot import Published, Snapshot, fetch

SO_FAR_S = 300.0
"""The same for the current day up to its last complete interval. It is shorter, because calls open then end later."""
WEEKS = (4, 8, 12)

_TERMS = ("target", "threshold_s")
_COUNTS = [name for name in NAMES if name not in KPIS and name not in _TERMS]
_NEEDED = needed(_COUNTS, [name for name in NAMES if name in KPIS])
_SHOWN = ", ".join("NULL" if name in _TERMS else KPIS[name].sql if name in KPIS else name for name in NAMES)
SLOTS = f"""
WITH each AS (
    SELECT day, slot, {", ".join(_NEEDED)}
    FROM kpi_interval($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, {{minutes}})
    JOIN (SELECT unnest($starts::TIMESTAMPTZ[]) AS interval_start, unnest($days::DATE[]) AS day,
                 unnest($slots::BIGINT[]) AS slot) USING (interval_start)
    WHERE campaign = $campaign
), open_days AS (
    SELECT day FROM each GROUP BY day HAVING $closed OR sum(offered) > 0
), by_slot AS (
    SELECT slot, count(*) AS intervals, {sums(_NEEDED)} FROM each SEMI JOIN open_days USING (day) GROUP BY slot
)
SELECT so_far, slot, intervals, (SELECT list(day ORDER BY day) FROM open_days), {_SHOWN}
FROM (
    SELECT false AS so_far, * FROM by_slot
    UNION ALL BY NAME
    SELECT true AS so_far, slot, {", ".join(f"sum({name}) OVER slots AS {name}" for name in ("intervals", *_NEEDED))}
    FROM by_slot
    WINDOW slots AS (ORDER BY slot)
)
ORDER BY so_far, slot
"""


@dataclass(frozen=True, slots=True)
class Added:
    """The total of several intervals: `kpis` has the sums of their counts, and the ratios of their sums."""

    intervals: int
    kpis: Kpis

    def mean(self, count: str) -> float:
        """Return the mean of a count per interval."""
        return float(getattr(self.kpis, count)) / self.intervals


@dataclass(frozen=True, slots=True)
class Slots:
    """Totals of `days` for each slot, and for the time up to the end of each slot. `days` had offered calls."""

    days: tuple[date, ...]
    each: Mapping[int, Added]
    so_far: Mapping[int, Added]

    def without_work(self) -> "Slots":
        """Return the same for a viewer who may not see how people work."""
        each, so_far = (
            {slot: Added(added.intervals, added.kpis.without_work()) for slot, added in slots.items()}
            for slots in (self.each, self.so_far)
        )
        return Slots(self.days, each, so_far)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A day up to its last complete interval, compared with the same weekday of the weeks before.

    `until` is the end of that interval, `own` the day up to then, `usual_so_far` the earlier days up to the same time.
    `days` are the earlier days with offered calls.
    """

    campaign: Campaign
    days: tuple[date, ...]
    until: datetime | None
    own: Kpis | None
    usual_so_far: Added | None
    usual: Mapping[int, Added]

    def usual_at(self, start: datetime) -> Added | None:
        """Return the total of the earlier days in the interval at this time of day."""
        return self.usual.get(_minute(start, ZoneInfo(self.campaign.timezone)))


@dataclass(frozen=True, slots=True)
class Weeks:
    """The days `[first, until)` of a campaign by weekday (0 is Monday) and local hour."""

    first: date
    until: date
    days: tuple[date, ...]
    cells: Mapping[tuple[int, int], Added]


def compare(
    published: Published, viewer: Viewer, campaign: str, *, day: date | None = None, minutes: int = MINUTES
) -> Comparison | None:
    """Compare a local day (default: today) with the SAME_WEEKDAYS before it; None if the viewer may not see it."""
    if minutes not in STEPS:
        raise ValueError(f"intervals of {minutes} minutes do not fill every day, allowed are {STEPS}")
    visible, freshness = wall.campaign(published, viewer, campaign, day), wall.freshness(published, viewer)
    if visible is None or freshness is None:
        return None
    days = [visible.day - timedelta(weeks=n) for n in range(SAME_WEEKDAYS, 0, -1)]
    step = timedelta(minutes=minutes)
    complete = (min(freshness.as_of, visible.t1) - visible.t0) // step  # number of complete intervals
    key = campaign, visible.day, minutes
    usual = published.ask(("usual", *key), lambda s: _slots(s, visible, days, minutes, _minute), HISTORY_S)
    own = published.ask(
        ("so far", *key, complete),
        lambda s: _slots(s, visible, [visible.day], minutes, _minute, closed=True),
        SO_FAR_S,
    )
    if usual is None or own is None:
        return None
    if not viewer.sees_work:
        usual, own = usual.without_work(), own.without_work()
    if complete <= 0:
        return Comparison(visible, usual.days, None, None, None, usual.each)
    end = visible.t0 + step * complete
    last = _minute(end - step, ZoneInfo(visible.timezone))
    own_so_far = own.so_far.get(last)
    kpis = own_so_far.kpis if own_so_far else None
    return Comparison(visible, usual.days, end, kpis, usual.so_far.get(last), usual.each)


def weeks(published: Published, viewer: Viewer, campaign: str, count: int = WEEKS[0]) -> Weeks | None:
    """Return the last `count` weeks of a campaign, up to yesterday; None if the viewer may not see it."""
    if count not in WEEKS:
        raise ValueError(f"{count} weeks cannot be shown, allowed are {WEEKS}")
    visible = wall.campaign(published, viewer, campaign)
    if visible is None:
        return None
    days = [visible.day - timedelta(days=n) for n in range(7 * count, 0, -1)]
    key = ("weeks", campaign, visible.day, count)
    slots = published.ask(key, lambda s: _slots(s, visible, days, 60, _hour), HISTORY_S)
    if slots is None:
        return None
    if not viewer.sees_work:
        slots = slots.without_work()
    return Weeks(days[0], visible.day, slots.days, {divmod(slot, 24): cell for slot, cell in slots.each.items()})


def _minute(at: datetime, zone: ZoneInfo) -> int:
    local = at.astimezone(zone)
    return local.hour * 60 + local.minute


def _hour(at: datetime, zone: ZoneInfo) -> int:
    local = at.astimezone(zone)
    return local.weekday() * 24 + local.hour


def _slots(
    snapshot: Snapshot,
    campaign: Campaign,
    days: Sequence[date],
    minutes: int,
    slot_of: Callable[[datetime, ZoneInfo], int],
    *,
    closed: bool = False,
) -> Slots:
    """Add up the complete intervals of these days by slot. `closed`: include days without offered calls."""
    zone = ZoneInfo(campaign.timezone)
    step = timedelta(minutes=minutes)
    starts: list[datetime] = []
    of_day: list[date] = []
    for day in days:
        bounds = on_day(campaign, day)
        complete = range((min(bounds.t1, snapshot.freshness.as_of) - bounds.t0) // step)
        starts += [bounds.t0 + step * n for n in complete]
        of_day += [day] * len(complete)
    if not starts:
        return Slots((), {}, {})
    # intervals are counted from t0; a clock change between the days moves midnight by full hours, so they still match
    rows = fetch(
        snapshot.connection,
        SLOTS.format(minutes=minutes),
        t0=starts[0],
        t1=starts[-1] + step,
        campaign=campaign.campaign,
        closed=closed,
        starts=starts,
        days=of_day,
        slots=[slot_of(at, zone) for at in starts],
    )
    each: dict[int, Added] = {}
    so_far: dict[int, Added] = {}
    counted_days: tuple[date, ...] = ()
    for is_so_far, slot, intervals, open_days, *kpis in rows:
        (so_far if is_so_far else each)[slot] = Added(int(intervals), Kpis(*kpis))
        counted_days = tuple(open_days)
    return Slots(counted_days, each, so_far)
