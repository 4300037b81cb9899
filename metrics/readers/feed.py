"""How the data comes in: counters, partitions, sources, whether calls are conserved, what was rejected."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from metrics.authorisation.viewer import Viewer
from metrics.readers import wall
from metrics.readers.campaigns import Campaign
from metrics.readers.snapshot import SLOW_S, Counters, Freshness, Published, Snapshot, fetch

LETTERS = 100
CHECKS = """
SELECT campaign, day, offered, accounted, refused, conserved, checked_at
FROM conservation_checks
ORDER BY conserved, day DESC NULLS FIRST, campaign
"""
ALARMS = """
SELECT campaign, kind, measure, day, source, counted, expected, since
FROM alarms
ORDER BY day DESC NULLS FIRST, campaign NULLS FIRST, kind, measure, source NULLS FIRST
"""
PARTITIONS = """
SELECT topic, "partition", "position", end_offset, lag FROM feed_partitions ORDER BY topic, "partition"
"""
GAPS = """
SELECT topic, "partition", from_offset, to_offset, records, noticed_at
FROM feed_gaps
ORDER BY noticed_at DESC, topic, "partition", from_offset
"""
SOURCES = """
SELECT source, events, last_event_at FROM feed_sources ORDER BY source
"""
NOTICE = """
SELECT notice FROM ingest_status
"""
DEAD_LETTERS = f"""
SELECT topic, "partition", "offset", line, received_at, reason, payload
FROM dead_letters
ORDER BY received_at DESC NULLS LAST, "partition", "offset" DESC, line DESC
LIMIT {LETTERS}
"""
UNPLACED = """
SELECT count(*) FROM calls WHERE day IS NULL AND cohort_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Check:
    """The identity of a campaign's day, as it was checked when the file was published, or the day was settled.

    `accounted` is the sum of the parts of `offered`. `day` None: calls that stand in no day, or were judged twice.
    """

    campaign: Campaign
    day: date | None
    offered: int
    accounted: int
    refused: int
    conserved: bool
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that cannot be right: `counted` of `measure` where `expected` should be, or may be at most.

    `kind` is one of metrics.published.alarms.KINDS; `campaign`, `day`, `source` None: it is not about one.
    """

    campaign: Campaign | None
    kind: str
    measure: str
    day: date | None
    source: str | None
    counted: int
    expected: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Partition:
    """How far a partition is read: `position` is the next offset to read, `end` is one past the last record."""

    topic: str
    partition: int
    position: int
    end: int
    lag: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets `begin` to before `end` of a partition, deleted before they were read: at most `records` are missing."""

    topic: str
    partition: int
    begin: int
    end: int
    records: int
    noticed_at: datetime


@dataclass(frozen=True, slots=True)
class Source:
    """A switch or a dialer, as events name it."""

    source: str
    events: int
    last_event_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record, or a line of it, that was rejected; the payload is masked as it was published."""

    topic: str | None
    partition: int | None
    offset: int | None
    line: int | None
    received_at: datetime | None
    reason: str | None
    payload: str | None

    @property
    def position(self) -> str:
        return "/".join(str(part) for part in (self.topic, self.partition, self.offset, self.line) if part is not None)


@dataclass(frozen=True, slots=True)
class Feed:
    """How the data comes in.

    `today` are the checks of each campaign's own day, `violated` those that failed, of any day, `checked` how many
    there are in all. What belongs to no campaign is None for who sees only some: sources, the notice about the
    configuration, calls without a campaign, dead letters. `alarms` are those about the viewer's campaigns, or about
    all events; `ringing` counts all that ring, by kind, as `counters` counts all that was read.
    """

    freshness: Freshness
    counters: Counters
    ringing: Mapping[str, int]
    alarms: tuple[Alarm, ...]
    today: tuple[Check, ...]
    violated: tuple[Check, ...]
    checked: int
    unconfigured: tuple[Campaign, ...]
    partitions: tuple[Partition, ...]
    gaps: tuple[Gap, ...]
    sources: tuple[Source, ...] | None
    notice: str | None
    unplaced: int | None
    letters: tuple[DeadLetter, ...] | None


@dataclass(frozen=True, slots=True)
class _Tables:
    """What the publisher tells of its own making: small tables, read from each snapshot."""

    checks: tuple[tuple[Any, ...], ...]
    alarms: tuple[tuple[Any, ...], ...]
    partitions: tuple[Partition, ...]
    gaps: tuple[Gap, ...]
    sources: tuple[Source, ...]
    notice: str | None


def feed(published: Published, viewer: Viewer) -> Feed | None:
    """Return how the data comes in, for managers and analysts; None for others, and before it comes."""
    now = wall.whole(published)
    if now is None or viewer.role not in ("manager", "analyst"):
        return None
    tables, rejected = published.ask("feed", _tables), published.ask("rejected", _rejected, SLOW_S)
    if tables is None or rejected is None:
        return None
    theirs = {one.campaign.campaign: one.campaign for one in now.board.campaigns if viewer.sees(one.campaign.campaign)}
    checks = {(name, day): Check(theirs[name], day, *rest) for name, day, *rest in tables.checks if name in theirs}
    unplaced, letters = rejected
    whole = viewer.campaigns is None
    return Feed(
        freshness=now.board.freshness,
        counters=now.counters,
        ringing=Counter(kind for _, kind, *_ in tables.alarms),
        alarms=tuple(_alarms(tables, theirs, whole)),
        today=tuple(checks[name, one.day] for name, one in theirs.items() if (name, one.day) in checks),
        violated=tuple(check for check in checks.values() if not check.conserved),
        checked=len(checks),
        unconfigured=tuple(one for one in theirs.values() if not one.configured),
        partitions=tables.partitions,
        gaps=tables.gaps,
        sources=tables.sources if whole else None,
        notice=tables.notice if whole else None,
        unplaced=unplaced if whole else None,
        letters=letters if whole else None,
    )


def _alarms(tables: _Tables, theirs: Mapping[str, Campaign], whole: bool) -> Iterator[Alarm]:
    """Yield the alarms about the campaigns `theirs`; those about none, unless a source or a call is meant, to all."""
    for name, *about in tables.alarms:
        alarm = Alarm(theirs.get(name), *about)
        if alarm.campaign or (name is None and (whole or not (alarm.source or alarm.kind == "calls_in_no_campaign"))):
            yield alarm


def _tables(snapshot: Snapshot) -> _Tables:
    connection = snapshot.connection
    ((notice,),) = fetch(connection, NOTICE)
    return _Tables(
        checks=tuple(fetch(connection, CHECKS)),
        alarms=tuple(fetch(connection, ALARMS)),
        partitions=tuple(Partition(*row) for row in fetch(connection, PARTITIONS)),
        gaps=tuple(Gap(*row) for row in fetch(connection, GAPS)),
        sources=tuple(Source(*row) for row in fetch(connection, SOURCES)),
        notice=notice,
    )


def _rejected(snapshot: Snapshot) -> tuple[int, tuple[DeadLetter, ...]]:
    ((unplaced,),) = fetch(snapshot.connection, UNPLACED)
    return unplaced, tuple(DeadLetter(*row) for row in fetch(snapshot.connection, DEAD_LETTERS))
