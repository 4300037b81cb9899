"""What is usual for a campaign: the same weekday of recent weeks, and its weeks by weekday and hour.

One query answers for all campaigns of a time zone. Counts and seconds are added up first, ratios are computed last. A
day without offered calls counts as closed and is in no mean.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from metrics.authorisation.viewer import Viewer
from metrics.composition.compose import select
from metrics.composition.figures import KPIS
from metrics.composition.grains import GRAINS
from metrics.kpis.agent_time import STATE_MEASURES
from metrics.kpis.distance import SAME_WEEKDAYS
from metrics.readers import wall
from metrics.readers.campaigns import MINUTES, NAMES, STEPS, Campaign, Kpis, bounds, needed, sums
from metrics.readers.snapshot import SLOW_S, Published, Snapshot, fetch

WEEKS = (4, 8, 12)

_TERMS = ("target", "threshold_s")
_COUNTS = [name for name in NAMES if name not in KPIS and name not in _TERMS]
_NEEDED = needed(_COUNTS, [name for name in NAMES if name in KPIS])
_SHOWN = ", ".join("NULL" if name in _TERMS else KPIS[name].sql if name in KPIS else name for name in NAMES)
_INTERVAL = GRAINS["kpi_interval"]
_COLUMNS = tuple(dict.fromkeys((*_NEEDED, *(measure.name for measure in STATE_MEASURES))))
# without workload_s, which takes more than half of kpi_interval's time
INTERVALS = f"""
CREATE OR REPLACE TEMP MACRO intervals({", ".join(_INTERVAL.parameters)}) AS TABLE
{select(replace(_INTERVAL, columns=_COLUMNS))}
"""
SLOTS = f"""
WITH each AS (
    SELECT campaign, coalesce(day = $own::DATE, false) AS own, day, slot, {", ".join(_NEEDED)}
    FROM intervals($t0::TIMESTAMPTZ, $t1::TIMESTAMPTZ, {{minutes}})
    JOIN (SELECT unnest($starts::TIMESTAMPTZ[]) AS interval_start, unnest($days::DATE[]) AS day,
                 unnest($slots::BIGINT[]) AS slot) USING (interval_start)
), open_days AS (
    SELECT campaign, own, day FROM each GROUP BY ALL HAVING own OR sum(offered) > 0
), by_slot AS (
    SELECT campaign, own, slot, count(*) AS intervals, {sums(_NEEDED)}
    FROM each
    SEMI JOIN open_days USING (campaign, day)
    GROUP BY campaign, own, slot
)
SELECT campaign, own, so_far, slot, intervals, days, {_SHOWN}
FROM (
    SELECT false AS so_far, * FROM by_slot
    UNION ALL BY NAME
    SELECT campaign, own, true AS so_far, slot,
           {", ".join(f"sum({name}) OVER slots AS {name}" for name in ("intervals", *_NEEDED))}
    FROM by_slot
    WINDOW slots AS (PARTITION BY campaign, own ORDER BY slot)
)
JOIN (SELECT campaign, own, list(day ORDER BY day) AS days FROM open_days GROUP BY ALL) USING (campaign, own)
ORDER BY campaign, own, so_far, slot
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
    each: dict[int, Added]
    so_far: dict[int, Added]

    def without_work(self) -> "Slots":
        """Return the same for a viewer who may not see how people work."""
        each, so_far = (
            {slot: Added(added.intervals, added.kpis.without_work()) for slot, added in slots.items()}
            for slots in (self.each, self.so_far)
        )
        return Slots(self.days, each, so_far)


CLOSED = Slots((), {}, {})


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
    visible = wall.campaign(published, viewer, campaign, day)
    if visible is None:
        return None
    days = [visible.day - timedelta(weeks=n) for n in range(SAME_WEEKDAYS, -1, -1)]
    zone = ZoneInfo(visible.timezone)
    found = published.ask(
        ("compared", visible.timezone, visible.day, minutes),
        lambda s: (s.freshness.as_of, _slots(s, zone, days, minutes, _minute, own=visible.day)),
        SLOW_S,
    )
    if found is None:
        return None
    as_of, slots = found
    usual, own = (slots.get((campaign, is_own), CLOSED) for is_own in (False, True))
    if not viewer.sees_work:
        usual, own = usual.without_work(), own.without_work()
    step = timedelta(minutes=minutes)
    complete = (min(as_of, visible.t1) - visible.t0) // step  # number of complete intervals
    if complete <= 0:
        return Comparison(visible, usual.days, None, None, None, usual.each)
    end = visible.t0 + step * complete
    last = _minute(end - step, zone)
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
    zone = ZoneInfo(visible.timezone)
    question = ("weeks", visible.timezone, visible.day, count)
    by_campaign = published.ask(question, lambda s: _slots(s, zone, days, 60, _hour), SLOW_S)
    if by_campaign is None:
        return None
    slots = by_campaign.get((campaign, False), CLOSED)
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
    zone: ZoneInfo,
    days: Sequence[date],
    minutes: int,
    slot_of: Callable[[datetime, ZoneInfo], int],
    *,
    own: date | None = None,
) -> dict[tuple[str, bool], Slots]:
    """Add up the complete intervals of these days by slot, by campaign and whether the day is `own`.

    Days without offered calls are left out, but not `own`.
    """
    step = timedelta(minutes=minutes)
    starts: list[datetime] = []
    of_day: list[date] = []
    for day in days:
        t0, t1 = bounds(day, zone)
        complete = range((min(t1, snapshot.freshness.as_of) - t0) // step)
        starts += [t0 + step * n for n in complete]
        of_day += [day] * len(complete)
    if not starts:
        return {}
    snapshot.connection.execute(INTERVALS)
    # intervals are counted from t0; a clock change between the days moves midnight by full hours, so they still match
    rows = fetch(
        snapshot.connection,
        SLOTS.format(minutes=minutes),
        t0=starts[0],
        t1=starts[-1] + step,
        own=own,
        starts=starts,
        days=of_day,
        slots=[slot_of(at, zone) for at in starts],
    )
    found: dict[tuple[str, bool], Slots] = {}
    for campaign, is_own, is_so_far, slot, intervals, open_days, *kpis in rows:
        of = found.setdefault((campaign, is_own), Slots(tuple(open_days), {}, {}))
        (of.so_far if is_so_far else of.each)[slot] = Added(int(intervals), Kpis(*kpis))
    return found
