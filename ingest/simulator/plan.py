"""The plan: the demand of each hour, the seats that it needs, and the shifts that fill them.

A floor day of date D runs from 22:00 UTC of the day before to 22:00 UTC: it starts with the night shift, and every
local day D of the campaigns' zones is within the floor days D and D + 1. All times here are seconds of a floor day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from math import exp, sqrt
from random import Random
from zoneinfo import ZoneInfo

from ingest.simulator import parameters
from ingest.simulator.parameters import CAMPAIGNS, Campaign

DAY_S = 86_400.0
LAST_REQUEUE = DAY_S - 3600  # after this no call enters a queue again, so the next day starts with an empty floor
BANDS = (4, 9, 14, 24)  # a shift belongs to the first band that ends after its first hour
REFERENCE_WEEK = tuple(date(2026, 1, 5) + timedelta(days=n) for n in range(7))


@dataclass(frozen=True)
class Shift:
    """The shift of an agent. `number` identifies the agent, the same on every day; `turn`, 0–1, orders the pauses."""

    number: int
    starts: float
    ends: float
    turn: float


def day_start(day: date) -> datetime:
    """Return the first instant of the floor day `day`, in UTC."""
    return datetime.combine(day, time(), UTC) + timedelta(hours=parameters.FLOOR_DAY_STARTS)


def floor_day(instant: datetime) -> date:
    """Return the floor day of `instant` (aware); it began at 22:00 UTC of the day before."""
    return (instant - timedelta(hours=parameters.FLOOR_DAY_STARTS)).date()


@cache
def local_hours(zone: str, day: date) -> tuple[tuple[int, int], ...]:
    """Return (weekday, local hour) at the middle of the hours -1 to 24 of the floor day."""
    first = day_start(day) + timedelta(minutes=30)
    local = [(first + timedelta(hours=n)).astimezone(ZoneInfo(zone)) for n in range(-1, 25)]
    return tuple((moment.weekday(), moment.hour) for moment in local)


def hourly_rates(campaign: Campaign, day: date) -> list[float]:
    """Return the planned calls a minute, at the default size, in the hours -1 to 24 of the floor day."""
    rise = campaign.peak - campaign.night
    hours = local_hours(campaign.zone, day)
    return [campaign.night + rise * campaign.curve[hour] * campaign.week[weekday] for weekday, hour in hours]


def dialing_hours(campaign: Campaign, day: date) -> list[bool]:
    """Return for the hours -1 to 24 of the floor day whether the dialer may call."""
    hours = campaign.dialer.hours if campaign.dialer else ()
    return [weekday < 5 and hour in hours for weekday, hour in local_hours(campaign.zone, day)]


def seats(campaign: Campaign, day: date, volume: float) -> list[float]:
    """Return the agents needed in the hours 0 to 23: (a + b √a) / (1 - paused), with a the offered load [erlang]."""
    handle_s = parameters.RING_S + campaign.talk_s + campaign.hold_share * parameters.HOLD_S + campaign.wrap_s
    visits = 1 + campaign.transfer_share * bool(campaign.transfer_to)
    outbound = campaign.dialer.agents if campaign.dialer else 0.0
    loads = [
        volume * (rate / 60 * visits * handle_s + outbound * dialing)
        for rate, dialing in zip(hourly_rates(campaign, day), dialing_hours(campaign, day), strict=True)
    ]
    return [(load + campaign.staffing * sqrt(load)) / (1 - parameters.PAUSED_SHARE) for load in loads[1:25]]


@cache
def volume_for(agents: int) -> float:
    """Return the factor on all rates at which the busiest hour of a week needs `agents` agents."""
    low, high = 0.0, agents / 8
    for _ in range(30):
        volume = (low + high) / 2
        peak = max(
            sum(hour)
            for day in REFERENCE_WEEK
            for hour in zip(*(seats(campaign, day, volume) for campaign in CAMPAIGNS), strict=True)
        )
        low, high = (volume, high) if peak < agents else (low, volume)
    return volume


def shifts(campaign: Campaign, day: date, volume: float, rng: Random, staffing: float = 1.0) -> list[Shift]:
    """Return the day's shifts: seat k is staffed while at least k agents are needed, in stretches of 4 to 8 h."""
    needed = [max(1, round(staffing * count)) for count in seats(campaign, day, volume)]
    bands = _split(needed)
    base = 10_000 * (CAMPAIGNS.index(campaign) + 1)
    planned = []
    for band, hours in enumerate(bands):
        people = max(_people(campaign, volume)[band], len(hours))
        for n, (start, end) in enumerate(hours):
            number = base + 2_500 * band + (day.toordinal() * len(hours) + n) % people
            early = rng.uniform(0, 60) if start == 0 else rng.uniform(-480, 0)
            late = rng.uniform(0, 60) if end == DAY_S else rng.uniform(0, 300)
            planned.append(Shift(number, start + early, end + late, n * 0.618034 % 1))
    return planned


def off_duty(campaign: Campaign, volume: float, planned: list[Shift]) -> list[int]:
    """Return the numbers of the agents who have no shift on the day of the `planned` ones."""
    base = 10_000 * (CAMPAIGNS.index(campaign) + 1)
    working = {shift.number for shift in planned}
    bands = enumerate(_people(campaign, volume))
    numbers = [base + 2_500 * band + n for band, people in bands for n in range(people)]
    return [number for number in numbers if number not in working]


def _stretches(staffed: list[bool]) -> list[tuple[int, int]]:
    """Return the staffed stretches [first hour, last hour), without gaps under 3 h, each at least 4 h long."""
    stretches: list[tuple[int, int]] = []
    for hour, present in enumerate(staffed):
        if not present:
            continue
        if stretches and hour - stretches[-1][1] < 3:
            stretches[-1] = (stretches[-1][0], hour + 1)
        else:
            stretches.append((hour, hour + 1))
    longer: list[tuple[int, int]] = []
    for first, last in stretches:
        last = min(24, max(last, first + parameters.SHORTEST_SHIFT_H))
        first = min(first, last - parameters.SHORTEST_SHIFT_H)
        if longer and first <= longer[-1][1]:
            longer[-1] = (longer[-1][0], last)
        else:
            longer.append((first, last))
    return longer


@cache
def _people(campaign: Campaign, volume: float) -> tuple[int, ...]:
    """Return the number of agents of each band: all work five days of seven, so 7/5 of the seats of a Monday."""
    bands = _split([max(1, round(count)) for count in seats(campaign, REFERENCE_WEEK[0], volume)])
    return tuple(-(-len(hours) * 7 // 5) for hours in bands)


def _split(needed: list[int]) -> list[list[tuple[float, float]]]:
    """Return the shifts (start, end) of each band, which together have `needed` agents in each hour."""
    bands: list[list[tuple[float, float]]] = [[] for _ in BANDS]
    for seat in range(1, max(needed) + 1):
        for first, last in _stretches([count >= seat for count in needed]):
            pieces = -(-(last - first) // parameters.SHIFT_H)
            edges = [first + (last - first) * piece // pieces for piece in range(pieces + 1)]
            for starts, ends in pairwise(edges):
                band = next(number for number, end in enumerate(BANDS) if starts < end)
                bands[band].append((starts * 3600.0, ends * 3600.0))
    return bands


def arrivals(
    campaign: Campaign, day: date, volume: float, rng: Random, spikes: Sequence[tuple[float, float]] = ()
) -> list[float]:
    """Return the arrival times [s] of a non-homogeneous Poisson process, by thinning.

    The planned rate is interpolated between the middles of the hours. Every quarter of an hour deviates a little, and
    some days have an unplanned rush. `spikes` are (start, end) of the times with many more calls.
    """
    rates = [volume * rate / 60 for rate in hourly_rates(campaign, day)]
    quarters = [exp(rng.gauss(0, parameters.QUARTER_NOISE)) for _ in range(96)]
    rush = rng.uniform(0, DAY_S) if rng.random() < parameters.RUSH_SHARE else DAY_S
    most = max(rates) * max(quarters) * parameters.RUSH_FACTOR * parameters.SPIKE_FACTOR
    arrival_times = []
    instant = rng.expovariate(most)
    while instant < DAY_S:
        hour = instant / 3600 + 0.5
        before = int(hour)
        rate = rates[before] + (rates[before + 1] - rates[before]) * (hour - before)
        rate *= quarters[int(instant / 900)]
        if rush <= instant < rush + parameters.RUSH_S:
            rate *= parameters.RUSH_FACTOR
        if any(start <= instant < end for start, end in spikes):
            rate *= parameters.SPIKE_FACTOR
        if rng.random() * most < rate:
            arrival_times.append(instant)
        instant += rng.expovariate(most)
    return arrival_times
