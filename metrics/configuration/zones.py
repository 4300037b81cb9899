"""Local time by one set of rules: those of the pinned tzdata, with which DuckDB's calendar must agree.

Campaign days and contract terms are local. Python uses the machine's zone files if there are any, and those of 2025 do
not know that Morocco left UTC+1 for good on 2026-09-20. Neither does the calendar inside DuckDB 1.5.5, which is
therefore given `metrics/icu`. Local days and terms are computed here and published (`local_days`, and the instants in
`sla_terms`), but analysts may also use DuckDB's own functions. If Python and DuckDB disagree, the programs refuse to
start.
"""

import importlib.resources
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from metrics import CALENDAR, CALENDAR_FOLDER
from metrics.errors import ConfigurationError

FIRST = int(datetime(2019, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())
DAY_S = 86_400
QUARTER_S = 900
"""Zones change their offset from UTC only at quarter hours."""


def instant(local: datetime | None, zone: str) -> datetime | None:
    """Return the instant at which clocks in `zone` first show `local` (naive); None for None."""
    return None if local is None else _instant(local, zone)


def local_days(zone: str, first: date, last: date) -> Iterator[tuple[date, datetime, datetime]]:
    """Yield (day, its first instant, the next day's first instant) of `zone` for `first` to `last`, included."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        yield day, _midnight(zone, day), _midnight(zone, day + timedelta(days=1))


def spans_of(
    zone: str, opening: Sequence[Sequence[tuple[int, int]]], first: date, last: date
) -> Iterator[tuple[date, datetime, datetime]]:
    """Yield (local day, opens, closes) of the weekly hours `opening` for `first` to `last`, included.

    `opening` has spans in minutes of the local day, from Monday to Sunday. Hours that the clocks skip are left out.
    """
    for ordinal in range(first.toordinal(), last.toordinal() + 1) if opening else ():
        day = date.fromordinal(ordinal)
        for minutes in opening[day.weekday()]:
            opens, closes = (_instant(datetime.combine(day, time()) + timedelta(minutes=m), zone) for m in minutes)
            if opens < closes:
                yield day, opens, closes


@cache
def _midnight(zone: str, day: date) -> datetime:
    return _instant(datetime.combine(day, time()), zone)


def _instant(local: datetime, zone: str) -> datetime:
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def check_zones(zones: Iterable[str]) -> None:
    """Raise ConfigurationError if Python or DuckDB differs from the pinned rules in one of `zones`, from 2019 to 2037.

    The message names the first such zone, the first day on which they differ, and what to do.
    """
    with duckdb.connect() as connection:
        for zone in sorted(set(zones)):
            _check_python(zone)
            _check_duckdb(connection, zone)


def _check_python(zone: str) -> None:
    try:
        here, rules = ZoneInfo(zone), _rules(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(f"There is no zone {zone!r} here: install the pinned tzdata.") from error
    for instant_s, pinned_s in rules.items():
        if (offset_s := _offset_s(here, instant_s)) != pinned_s:
            raise ConfigurationError(
                f"This machine's zone files put {zone} at {_difference(offset_s, pinned_s, instant_s)}: start Python "
                'with PYTHONTZPATH="".'
            )


def _check_duckdb(connection: duckdb.DuckDBPyConnection, zone: str) -> None:
    query = "SELECT (epoch(timezone($zone, to_timestamp(s))) - s)::BIGINT FROM unnest($instants) r(s)"
    rules = _rules(zone)
    try:
        offsets = connection.execute(query, {"zone": zone, "instants": [*rules]}).fetchall()
    except duckdb.Error as error:
        cause = str(error).splitlines()[0].rstrip("!.")
        raise ConfigurationError(f"DuckDB's calendar cannot be asked for {zone} ({cause}): {_to_do()}.") from error
    for (instant_s, pinned_s), (offset_s,) in zip(rules.items(), offsets, strict=True):
        if offset_s != pinned_s:
            difference = _difference(offset_s, pinned_s, instant_s)
            raise ConfigurationError(f"DuckDB's calendar puts {zone} at {difference}: {_to_do()}.")


def _difference(offset_s: int, pinned_s: int, instant_s: int) -> str:
    day = datetime.fromtimestamp(instant_s, UTC).date()
    return f"{offset_s / 3600:+g} h from UTC on {day}, the pinned tzdata at {pinned_s / 3600:+g} h"


def _to_do() -> str:
    """Return how to give DuckDB the right calendar."""
    chosen = os.environ.get(CALENDAR_FOLDER, "")
    if Path(chosen) != CALENDAR.parent:
        return f"start without {CALENDAR_FOLDER}, which is {chosen!r}, or put a newer zoneinfo64.res there"
    return f"install the tzdata of requirements.txt, or renew {CALENDAR} as the README.md beside it says"


@cache
def _rules(zone: str) -> dict[int, int]:
    """Return the pinned offset from UTC [s] at each instant [s since 1970] to compare.

    These are each midnight UTC, and each quarter hour of a day on which the offset changes.
    """
    pinned = _pinned(zone)
    rules = {instant_s: _offset_s(pinned, instant_s) for instant_s in range(FIRST, END + 1, DAY_S)}
    changes = [day_s for day_s in [*rules][:-1] if rules[day_s] != rules[day_s + DAY_S]]
    for day_s in changes:
        rules |= {quarter_s: _offset_s(pinned, quarter_s) for quarter_s in range(day_s, day_s + DAY_S, QUARTER_S)}
    return dict(sorted(rules.items()))


def _pinned(zone: str) -> ZoneInfo:
    """Return the zone from the installed tzdata package, whatever zone files the machine has."""
    package, _, name = ("tzdata.zoneinfo." + zone.replace("/", ".")).rpartition(".")
    try:
        with importlib.resources.files(package).joinpath(name).open("rb") as rules:
            return ZoneInfo.from_file(rules, key=zone)
    except ModuleNotFoundError as error:
        raise ZoneInfoNotFoundError(zone) from error


def _offset_s(zone: ZoneInfo, instant_s: int) -> int:
    offset = datetime.fromtimestamp(instant_s, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
