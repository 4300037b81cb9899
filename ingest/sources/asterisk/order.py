"""The order of a log: Asterisk writes the oldest line first, and an export may have another order.

A line means what it does only after the lines before it, so a log that runs backwards is sorted before it is read.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import pairwise
from zoneinfo import ZoneInfo

from ingest.events.contract import EARLIEST
from ingest.sources.asterisk import verbs
from ingest.sources.asterisk.queue_log import NOBODY, Entry, Reader, decoded
from ingest.sources.asterisk.table import header
from ingest.sources.events import Unreadable
from ingest.sources.input.direction import Direction

# of two lines of one call in one queue at one instant, the one with the lower rank happened first
RANKS = {
    "DID": 0,
    **dict.fromkeys(("ENTERQUEUE", "CALLOUTBOUND"), 1),
    **dict.fromkeys(verbs.RINGS, 2),
    "CONNECT": 3,
    **dict.fromkeys(verbs.HOLDS, 4),
    **dict.fromkeys((*verbs.ENDED_BY, *verbs.TRANSFERS, *verbs.EMPTY), 5),
    **dict.fromkeys(("ABANDON", "EXITWITHTIMEOUT", "EXITWITHKEY", "WITHDRAW"), 5),
}
FIRST = 20  # lines; if none of them can be read, this is no queue_log
NEXT_QUEUE = 6  # entering another queue comes after leaving this one


class FirstLook:
    """What the lines of a log tell before they are read: whether they are those of a queue_log, and their order."""

    def __init__(self, timezone: ZoneInfo | None) -> None:
        self._reader = Reader(timezone)
        self.direction = Direction()
        self._faults: list[str] = []
        self._is_log = False

    def take(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            try:
                entry = self._reader.read(decoded(line))
            except Unreadable as unreadable:
                if not self._is_log and len(self._faults) < FIRST:
                    self._faults.append(str(unreadable))
                continue
            if entry:
                self._is_log = self._is_log or len(self._faults) < FIRST
                self.direction.note(entry.at)

    @property
    def fault(self) -> str | None:
        """Why this is no queue_log, in one sentence; None if one of the first lines could be read."""
        if self._is_log or not self._faults:
            return None
        which = f"each of the first {len(self._faults)} lines" if len(self._faults) > 1 else "the first line"
        return f"{which} is unreadable: {self._faults[0]}"


def oldest_first(lines: Iterable[bytes], timezone: ZoneInfo | None) -> Iterator[bytes]:
    """The lines by time, each after the header that it needs. Lines of one instant keep their order, or turn it round.

    Local times of the hour that occurs twice in autumn are told apart by the order of the lines, as far as they have
    one.
    """
    kept = list(lines)
    rows, entries = list(_under_headers(kept)), list(_entries(kept, timezone))
    is_newest_first = sum(_step(pair) for pair in pairwise(entries)) < 0
    if is_newest_first and not _keeps_instants_in_order(entries):
        rows.reverse()
    keyed, at, reader, current = [], EARLIEST, Reader(timezone), b""
    for head, line in rows:
        if head != current:
            reader.read(decoded(head))
            current = head
        at = _instant(reader, line) or at  # an unreadable line stays behind the line before it
        keyed.append((at, head, line))
    keyed.sort(key=lambda row: row[0])
    current = b""
    for _, head, line in keyed:
        if head != current:
            yield head
            current = head
        yield line


def _under_headers(lines: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Each line that is no header, with the header above it; empty bytes when there is none."""
    head = b""
    for line in lines:
        if header(decoded(line)):
            head = line
        else:
            yield head, line


def _entries(lines: Iterable[bytes], timezone: ZoneInfo | None) -> Iterator[Entry]:
    reader = Reader(timezone)
    for line in lines:
        try:
            entry = reader.read(decoded(line))
        except Unreadable:
            continue
        if entry:
            yield entry


def _instant(reader: Reader, line: bytes) -> dt.datetime | None:
    try:
        entry = reader.read(decoded(line))
    except Unreadable:
        return None
    return entry.at if entry else None


def _step(pair: tuple[Entry, Entry]) -> int:
    before, entry = pair
    return (entry.at > before.at) - (entry.at < before.at)


def _keeps_instants_in_order(entries: list[Entry]) -> bool:
    """Whether lines of one instant are in order though the log is not, as when it was sorted by time alone."""
    order = 0
    for before, entry in pairwise(entries):
        if (entry.at, entry.callid) == (before.at, before.callid) and entry.callid not in NOBODY:
            first, second = _rank(before, entry), _rank(entry, before)
            if first is not None and second is not None:
                order += (first < second) - (first > second)
    return order > 0


def _rank(entry: Entry, other: Entry) -> int | None:
    is_next = entry.event == "ENTERQUEUE" and entry.queue != other.queue and other.event != "DID"
    return NEXT_QUEUE if is_next else RANKS.get(entry.event)
