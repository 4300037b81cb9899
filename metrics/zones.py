"""The clock of every zone, by one set of rules: those of the pinned tzdata.

Campaign days and contract terms are local. Python takes its rules from the machine's zone files where there are any,
and those of 2025 do not know that Morocco left UTC+1 for good on 2026-09-20; nor does the calendar inside DuckDB
1.5.5. So no figure asks DuckDB for a zone: what is local is computed here and published (`local_days`, and the
instants in `sla_terms`), and a start on a machine whose Python has other rules than the pinned ones is refused.
"""

import importlib.resources
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from metrics.errors import ConfigurationError

FIRST = int(datetime(2019, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2031, 1, 1, tzinfo=UTC).timestamp())
DAY_S = 86_400


def instant(local: datetime | None, zone: str) -> datetime | None:
    """Return the instant at which clocks in `zone` first show `local` (naive); None for None."""
    return None if local is None else local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def local_days(zone: str, first: date, last: date) -> Iterator[tuple[date, datetime, datetime]]:
    """Yield (day, its first instant, the next day's first instant) of `zone` for `first` to `last`, included."""
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        yield day, _midnight(zone, day), _midnight(zone, day + timedelta(days=1))


@cache
def _midnight(zone: str, day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def check_zones(zones: Iterable[str]) -> None:
    """Raise ConfigurationError naming the first zone, and the first day, on which Python is not by the pinned rules."""
    for zone in sorted(set(zones)):
        try:
            here, pinned = ZoneInfo(zone), _pinned(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigurationError(f"There is no zone {zone!r} here: install the pinned tzdata.") from error
        for instant_s in range(FIRST, END + 1, DAY_S):
            if _offset_s(here, instant_s) != _offset_s(pinned, instant_s):
                raise ConfigurationError(
                    f"This machine's zone files put {zone} at {_offset_s(here, instant_s) / 3600:+g} h from UTC on "
                    f"{datetime.fromtimestamp(instant_s, UTC):%Y-%m-%d}, the pinned tzdata at "
                    f'{_offset_s(pinned, instant_s) / 3600:+g} h: start Python with PYTHONTZPATH="".'
                )


def zones_unknown_to_duckdb(connection: duckdb.DuckDBPyConnection, zones: Iterable[str]) -> list[str]:
    """Return those of `zones` in which DuckDB's own calendar differs: figures are right, `timezone()` in SQL is not."""
    days = range(FIRST, END + 1, DAY_S)
    query = "SELECT (epoch(timezone($zone, to_timestamp(s))) - s)::BIGINT FROM range($first, $end, $step) r(s)"
    differing = []
    for zone in sorted(set(zones)):
        given = {"zone": zone, "first": FIRST, "end": END + 1, "step": DAY_S}
        theirs = [offset for (offset,) in connection.execute(query, given).fetchall()]
        if theirs != [_offset_s(ZoneInfo(zone), s) for s in days]:
            differing.append(zone)
    return differing


def _pinned(zone: str) -> ZoneInfo:
    """The zone as the installed tzdata package has it, whatever zone files the machine has."""
    package, _, name = ("tzdata.zoneinfo." + zone.replace("/", ".")).rpartition(".")
    try:
        with importlib.resources.files(package).joinpath(name).open("rb") as rules:
            return ZoneInfo.from_file(rules, key=zone)
    except ModuleNotFoundError as error:
        raise ZoneInfoNotFoundError(zone) from error


def _offset_s(zone: ZoneInfo, instant_s: int) -> int:
    offset = datetime.fromtimestamp(instant_s, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
