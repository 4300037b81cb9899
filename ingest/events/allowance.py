"""How many dead letters are kept: so many a minute of a source, and of all sources. The others are only counted.

A misconfigured source may send as many bad records as good ones for days. The first letters of a minute say what is
wrong; all of them would fill the disk, and masking them would hold up the good records.
Model: the dead-letter limits of getsentry/arroyo.
"""

import datetime as dt
import re
import time
from collections.abc import Callable

from ingest.events import masking
from metrics.configuration.campaigns import DeadLetterLimits

KEPT_CHARACTERS = 4_096  # of a line: enough to find a fault, masked within some 20 ms
MASKING_S = 3.0  # of processor time a minute: then even hostile letters take a twentieth of the reader's time …
MASKING_A_BATCH_S = 0.25  # … and good events wait only so long for them
MOST_SOURCES = 50  # named a day; further ones count under no name, because a name may be different in each line

_SOURCE = re.compile(r'"source"\s*:\s*"([^"\\]{1,128})"')
_LAST_WORD = re.compile(r"[\w.+%'@-]{1,64}\Z")


class Allowance:
    """Grants letters by source and minute of `clock`. Counts start at 0 when the process does."""

    def __init__(self, limits: DeadLetterLimits, clock: Callable[[], dt.datetime]) -> None:
        self.limits = limits
        self._clock = clock
        self._minute: dt.datetime | None = None
        self._kept: dict[str, int] = {}
        self._masking_s = 0.0  # in this minute
        self._masking_a_batch_s = 0.0
        self._named: set[str] = set()

    def begin(self) -> dt.datetime:
        """Begin a batch; return the time at which it is read."""
        now = self._clock()
        minute = now.replace(second=0, microsecond=0)
        if minute != self._minute:
            if self._minute is None or minute.date() != self._minute.date():
                self._named = set()
            self._minute, self._kept, self._masking_s = minute, {}, 0.0
        self._masking_a_batch_s = 0.0
        return now

    def source_of(self, line: str) -> str:
        """The source that a line names, masked; "" for a line that names none, or one too many today."""
        found = _SOURCE.search(line[:KEPT_CHARACTERS])
        if found is None:
            return ""
        if found[1] not in self._named and len(self._named) >= MOST_SOURCES:
            return ""
        self._named.add(found[1])
        return masking.mask_source_reason(found[1])

    def masked(self, source: str, line: str) -> str | None:
        """The beginning of a line, masked; None if no more letters are kept in this minute, or batch."""
        kept = self._kept.get(source, 0)
        if (
            kept >= self.limits.source_per_minute
            or sum(self._kept.values()) >= self.limits.all_per_minute
            or self._masking_s >= MASKING_S
            or self._masking_a_batch_s >= MASKING_A_BATCH_S
        ):
            return None
        self._kept[source] = kept + 1
        began = time.thread_time()
        payload = masking.mask_payload(_beginning(line))
        took_s = time.thread_time() - began
        self._masking_s += took_s
        self._masking_a_batch_s += took_s
        return payload


def _beginning(line: str) -> str:
    """The part of a line that is kept. A word that is cut could be a part of what has to be hidden."""
    if len(line) <= KEPT_CHARACTERS:
        return line
    return _LAST_WORD.sub("", line[:KEPT_CHARACTERS])
