"""What is usual for a campaign: the same weekday lately, and its weeks by weekday and hour.

Past days hardly change, and to read weeks of them costs a second, so these answers are kept for an hour: it is the same
price however many look, however often. Counts and seconds are added up, ratios are taken last; a day on which no call
was offered is closed, and in no mean.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from metrics.authorisation.viewer import Viewer
from metrics.kpis.compose import KPIS
from metrics.readers import wall
from metrics.readers.campaigns import MINUTES, NAMES, STEPS, Campaign, Kpis, needed, on_day, sums
from metrics.readers.snapshot import Published, Snapshot, fetch

HISTORY_S = 3600.0
"""So long [s between two snapshots' `as_of`] an answer about past days is given again."""
SO_FAR_S = 300.0
"""The same for a day up to its last whole interval: calls that were open then have ended since."""
SAME_WEEKDAYS = 4
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
    """Intervals added up: `kpis` has the sums of their counts and the ratios of their sums."""

    intervals: int
    kpis: Kpis

    def mean(self, count: str) -> float:
        """Return the mean of a count an interval."""
        return float(getattr(self.kpis, count)) / self.intervals


@dataclass(frozen=True, slots=True)
class Slots:
    """What `days` add up to by slots, and up to the end of each slot: days on which calls were offered."""

    days: tuple[date, ...]
    each: Mapping[int, Added]
    so_far: Mapping[int, Added]

    def without_work(self) -> "Slots":
        """Return the same for a viewer who does not see how people work."""
        each, so_far = (
            {slot: Added(one.intervals, one.kpis.without_work()) for slot, one in of.items()}
            for of in (self.each, self.so_far)
        )
        return Slots(self.days, each, so_far)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A day, as far as its last whole interval, beside the same weekday of the weeks before.

    `until` is the end of that interval, `own` the day up to it, `usual_so_far` the other days up to the same time.
    `days` are those of them on which calls were offered.
    """

    campaign: Campaign
    days: tuple[date, ...]
    until: datetime | None
    own: Kpis | None
    usual_so_far: Added | None
    usual: Mapping[int, Added]

    def usual_at(self, start: datetime) -> Added | None:
        """Return the same weekdays together at the time of day of an interval."""
        return self.usual.get(_minute(start, ZoneInfo(self.campaign.timezone)))


@dataclass(frozen=True, slots=True)
class Weeks:
    """The days `[first, until)` of a campaign by weekday (0 is Monday) and hour of the clock on the wall."""

    first: date
    until: date
    days: tuple[date, ...]
    cells: Mapping[tuple[int, int], Added]


def compare(
    published: Published, viewer: Viewer, campaign: str, *, day: date | None = None, minutes: int = MINUTES
) -> Comparison | None:
    """Return a local day (default: today) beside the SAME_WEEKDAYS before it; None: the viewer has no such."""
    if minutes not in STEPS:
        raise ValueError(f"intervals of {minutes} minutes do not fill every day, allowed are {STEPS}")
    one, known = wall.campaign(published, viewer, campaign, day), wall.freshness(published, viewer)
    if one is None or known is None:
        return None
    days = [one.day - timedelta(weeks=n) for n in range(SAME_WEEKDAYS, 0, -1)]
    step = timedelta(minutes=minutes)
    whole = (min(known.as_of, one.t1) - one.t0) // step
    asked = campaign, one.day, minutes
    usual = published.ask(("usual", *asked), lambda s: _slots(s, one, days, minutes, _minute), HISTORY_S)
    own = published.ask(
        ("so far", *asked, whole), lambda s: _slots(s, one, [one.day], minutes, _minute, closed=True), SO_FAR_S
    )
    if usual is None or own is None:
        return None
    if not viewer.sees_work:
        usual, own = usual.without_work(), own.without_work()
    if whole <= 0:
        return Comparison(one, usual.days, None, None, None, usual.each)
    end = one.t0 + step * whole
    last = _minute(end - step, ZoneInfo(one.timezone))
    reached = own.so_far.get(last)
    return Comparison(one, usual.days, end, reached.kpis if reached else None, usual.so_far.get(last), usual.each)


def weeks(published: Published, viewer: Viewer, campaign: str, count: int = WEEKS[0]) -> Weeks | None:
    """Return the last so many weeks of a campaign, up to yesterday; None: the viewer has no such."""
    if count not in WEEKS:
        raise ValueError(f"no {count} weeks are told of, allowed are {WEEKS}")
    one = wall.campaign(published, viewer, campaign)
    if one is None:
        return None
    days = [one.day - timedelta(days=n) for n in range(7 * count, 0, -1)]
    found = published.ask(("weeks", campaign, one.day, count), lambda s: _slots(s, one, days, 60, _hour), HISTORY_S)
    if found is None:
        return None
    if not viewer.sees_work:
        found = found.without_work()
    return Weeks(days[0], one.day, found.days, {divmod(slot, 24): cell for slot, cell in found.each.items()})


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
    """Add up the days of a campaign by slots; of a day that is not over, its whole intervals. `closed`: those too."""
    zone = ZoneInfo(campaign.timezone)
    step = timedelta(minutes=minutes)
    starts: list[datetime] = []
    of_day: list[date] = []
    for day in days:
        bounds = on_day(campaign, day)
        whole = range((min(bounds.t1, snapshot.freshness.as_of) - bounds.t0) // step)
        starts += [bounds.t0 + step * n for n in whole]
        of_day += [day] * len(whole)
    if not starts:
        return Slots((), {}, {})
    # intervals count from t0, and a change of clocks between days moves midnight by whole hours only
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
    told: tuple[date, ...] = ()
    for is_so_far, slot, intervals, open_days, *kpis in rows:
        (so_far if is_so_far else each)[slot] = Added(int(intervals), Kpis(*kpis))
        told = tuple(open_days)
    return Slots(told, each, so_far)
