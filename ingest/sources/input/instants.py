"""The times of a row: by their format, in their zone, and in the order in which they follow each other."""

import argparse
import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ingest.errors import UsageError
from ingest.events.contract import EARLIEST
from ingest.sources.events import Unreadable
from ingest.sources.input.clocks import TimeOfDay, read

ORDER = ("queued_at", "answered_at", "ended_at", "wrapped_at")
DAY = dt.timedelta(days=1)
OVERNIGHT = dt.timedelta(hours=6)  # a time of day before the call's beginning is on the next day if not later than this

Instant = dt.datetime | None


class NoInstant(Unreadable):
    """The cells of `field` are no instant; `why` is a part of a sentence, with its full stop."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class NotInForm(NoInstant):
    """They are not a date and a time in the form of the others."""


class Cells(NamedTuple):
    """The texts of a field's columns in a row, and whether its first column, with the date, is the beginning's too."""

    texts: Sequence[str]
    shares_date: bool = False


class Instants:
    """Reads times in `form`, those without an offset in `zone`, which is named by `setting`."""

    def __init__(self, form: str, zone: ZoneInfo | None, setting: str = "timezone under [file]") -> None:
        self._form = form
        self._zone = zone
        self._setting = setting

    def one(self, field: str, texts: Sequence[str]) -> Instant:
        """Read one time (UTC); raises Unreadable."""
        at = self._read(field, texts)
        if isinstance(at, TimeOfDay):
            raise _without_date(field)
        return None if at is None else self._moments(field, at)[0]

    def of_row(self, cells: Mapping[str, Cells], lasting_s: Mapping[str, float | None]) -> dict[str, Instant]:
        """Read the times of a row (UTC), by field; raises Unreadable.

        `lasting_s` are the durations from the time before, by field [s]. In the hour that comes twice, of all readings
        in which the times follow each other, the one that is closest to these durations counts, then the shortest call.
        """
        readings = {field: self._read(field, of_field.texts) for field, of_field in cells.items()}
        begins = readings.get("queued_at")
        if isinstance(begins, TimeOfDay):
            raise _without_date("queued_at")
        if begins is None:
            return dict.fromkeys(cells)
        moments: dict[str, list[dt.datetime]] = {}
        for field in ORDER:
            at = readings.get(field)
            if isinstance(at, TimeOfDay):
                at = self._on_a_day(at, self._local(begins))
            elif at is not None and field != "queued_at" and cells[field].shares_date and at.tzinfo is None:
                at = self._overnight(at, self._local(begins))
            if at is not None:
                if at.tzinfo is None and self._zone is None:
                    at = at.replace(tzinfo=begins.tzinfo)
                moments[field] = self._moments(field, at)
        return dict.fromkeys(cells) | _in_order(moments, lasting_s)

    def _read(self, field: str, texts: Sequence[str]) -> dt.datetime | TimeOfDay | None:
        try:
            return read(texts, self._form)
        except (ValueError, OverflowError, OSError):
            raise NotInForm(field, f"not a time in the format {self._form}.") from None

    def _local(self, at: dt.datetime) -> dt.datetime:
        """The time on the clock that the list shows."""
        return at.astimezone(self._zone or at.tzinfo).replace(tzinfo=None) if at.tzinfo else at

    def _on_a_day(self, time: TimeOfDay, begins: dt.datetime) -> Instant:
        """A time of day on the day of the call, or after midnight; None if it can only mean never."""
        return self._overnight(begins.replace(hour=0, minute=0, second=0, microsecond=0) + time.since_midnight, begins)

    def _overnight(self, at: dt.datetime, begins: dt.datetime) -> Instant:
        if at >= begins:
            return at
        if at + DAY - begins <= OVERNIGHT:
            return at + DAY
        return None if at.time() == dt.time() else at  # 00:00:00 is how many systems write never

    def _moments(self, field: str, at: dt.datetime) -> list[dt.datetime]:
        """The instants (UTC) that a time may be: two in the hour that comes twice in autumn."""
        if at.tzinfo is None:
            if self._zone is None:
                raise UsageError(f"The times of this list have no zone; name it as {self._setting}.")
            both = [at.replace(tzinfo=self._zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1)]
            moments = sorted({moment for moment in both if moment.astimezone(self._zone).replace(tzinfo=None) == at})
            if not moments:
                raise NoInstant(field, f"a time that the clocks skip in {self._zone}; check {self._setting}.")
        else:
            moments = [at.astimezone(dt.UTC)]
        if moments[0] < EARLIEST:
            raise NoInstant(field, "a time before 1990.")
        return moments


def zone(name: str) -> ZoneInfo:
    """The zone of an option's IANA name."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{name!r} is not an IANA zone such as Europe/Paris") from None


def _without_date(field: str) -> NotInForm:
    return NotInForm(field, "a time without a date; name the column of the date before that of the time.")


def _in_order(moments: Mapping[str, list[dt.datetime]], lasting_s: Mapping[str, float | None]) -> dict[str, Instant]:
    """Choose one of the instants of each field."""

    def cost(chosen: tuple[dt.datetime, ...]) -> tuple[float, ...]:
        steps = [(later - before).total_seconds() for before, later in itertools.pairwise(chosen)]
        backwards = sum(step < 0 for step in steps)
        at = dict(zip(moments, chosen, strict=True))
        apart, reached = 0.0, chosen[0].timestamp()
        for field in ORDER[1:]:
            lasting, moment = lasting_s.get(field), at.get(field)
            if moment is not None and lasting is not None:
                apart += abs(moment.timestamp() - reached - lasting)
            if moment is None and lasting is None:
                break
            reached = moment.timestamp() if moment is not None else reached + (lasting or 0.0)
        return (backwards, apart, sum(map(abs, steps)), *(moment.timestamp() for moment in chosen[1:]))

    if all(len(each) == 1 for each in moments.values()):
        return {field: each[0] for field, each in moments.items()}
    closest: tuple[dt.datetime, ...] = min(itertools.product(*moments.values()), key=cost)
    return dict(zip(moments, closest, strict=True))
