"""Do Python and DuckDB agree on the clock of every zone? Campaign days and contract terms are computed with both.

DuckDB carries its own zone rules; Python reads the system's files first, and those of 2025 do not know that Morocco
left UTC+1 for good on 2026-09-20; DuckDB 1.5.5 does not either (1.5.6 does). Both are asked for each day of 2019 to
2030, and around every change each quarter of an hour.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from metrics.errors import ConfigurationError

FIRST = int(datetime(2019, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2031, 1, 1, tzinfo=UTC).timestamp())
DAY_S = 86_400
QUARTER_S = 900
OFFSETS = "SELECT s, (epoch(timezone($zone, to_timestamp(s))) - s)::BIGINT FROM ({}) AS t(s)"
DAILY = f"SELECT unnest(range({FIRST}, {END} + 1, {DAY_S}))"


def check_zones(connection: duckdb.DuckDBPyConnection, zones: Iterable[str]) -> None:
    """Raise ConfigurationError naming the first zone, and its first instant, on which Python and DuckDB differ."""
    for zone in sorted(set(zones)):
        try:
            here = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigurationError(f"Python has no zone {zone!r}: install the pinned tzdata.") from error
        days = range(FIRST, END + 1, DAY_S)
        differs = _first_difference(connection, zone, here, DAILY)
        if differs is None or differs[0] > FIRST:
            known = [_offset(here, s) for s in days]
            changes = [s for s, before, after in zip(days, known, known[1:], strict=False) if before != after]
            around = [s for day in changes for s in range(day, day + DAY_S, QUARTER_S)]
            if differs:  # find where on the day before they parted
                around += range(differs[0] - DAY_S, differs[0], QUARTER_S)
            closer = around and _first_difference(connection, zone, here, f"SELECT unnest({around})")
            differs = min((d for d in (differs, closer) if d), default=None)
        if differs:
            instant, python, database = differs
            when = f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%d %H:%M}"
            raise ConfigurationError(
                f"Python and DuckDB disagree on {zone} from {when} UTC on "
                f"(Python UTC{python / 3600:+g} h, DuckDB UTC{database / 3600:+g} h): "
                'start Python with PYTHONTZPATH="" and the pinned tzdata, and use a DuckDB that knows the same rules.'
            )


def _first_difference(
    connection: duckdb.DuckDBPyConnection, zone: str, here: ZoneInfo, instants: str
) -> tuple[int, int, int] | None:
    """Return the first instant [s since 1970] on which the two differ, with both offsets [s]."""
    try:
        rows = connection.execute(OFFSETS.format(instants), {"zone": zone}).fetchall()
    except duckdb.Error as error:
        raise ConfigurationError(f"DuckDB has no zone {zone!r}: use an IANA zone that it knows.") from error
    return min(((s, own, offset) for s, offset in rows if (own := _offset(here, s)) != offset), default=None)


def _offset(zone: ZoneInfo, instant: int) -> int:
    offset = datetime.fromtimestamp(instant, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
