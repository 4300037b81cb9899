"""The state of the feed: counters, partitions, sources, conservation of calls, and rejected records."""

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
    """The conservation check of a campaign's day, done when the file was published or when the day was settled.

    `accounted` is the sum of the parts of `offered`. `day` None: calls without a day, or judged twice.
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
    """Something that cannot be right: `measure` is `counted`, but should be `expected`, or at most that.

    `kind` is one of metrics.published.alarms.KINDS. `campaign`, `day` or `source` None: the alarm is not about one.
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
    """How far a partition was read: `position` is the next offset to read, `end` the offset after the last record."""

    topic: str
    partition: int
    position: int
    end: int
    lag: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets `[begin, end)` of a partition that Kafka deleted before they were read: at most `records` are missing."""

    topic: str
    partition: int
    begin: int
    end: int
    records: int
    noticed_at: datetime


@dataclass(frozen=True, slots=True)
class Source:
    """A source named in events, such as a switch or a dialer."""

    source: str
    events: int
    last_event_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A rejected record, or a rejected line of one. The payload is already masked in the published file."""

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
    """The state of the feed.

    `today` are the checks of each campaign's current day, `violated` the failed checks of any day, `checked` the number
    of checks. Data that belongs to no campaign is None for a viewer of only some campaigns: sources, the notice about
    the configuration, calls without a campaign, dead letters. `alarms` are the alarms about the viewer's campaigns or
    about all events. `ringing` counts all active alarms by kind, just as `counters` counts everything that was read.
    `foreign_logs` lie beside the published file now: other tools read them as part of it.
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
    foreign_logs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Tables:
    """The small tables about the feed, read from each snapshot."""

    checks: tuple[tuple[Any, ...], ...]
    alarms: tuple[tuple[Any, ...], ...]
    partitions: tuple[Partition, ...]
    gaps: tuple[Gap, ...]
    sources: tuple[Source, ...]
    notice: str | None


def feed(published: Published, viewer: Viewer) -> Feed | None:
    """Return the state of the feed. None: nothing is published, or the viewer is no manager or analyst."""
    floor = wall.whole_floor(published)
    if floor is None or viewer.role not in ("manager", "analyst"):
        return None
    tables, rejected = published.ask("feed", _tables), published.ask("rejected", _rejected, SLOW_S)
    if tables is None or rejected is None:
        return None
    campaigns = (tile.campaign for tile in floor.board.campaigns)
    visible = {campaign.campaign: campaign for campaign in campaigns if viewer.sees(campaign.campaign)}
    checks = {(name, day): Check(visible[name], day, *rest) for name, day, *rest in tables.checks if name in visible}
    unplaced, letters = rejected
    sees_all = viewer.campaigns is None
    return Feed(
        freshness=floor.board.freshness,
        counters=floor.counters,
        ringing=Counter(kind for _, kind, *_ in tables.alarms),
        alarms=tuple(_alarms(tables, visible, sees_all)),
        today=tuple(checks[name, today.day] for name, today in visible.items() if (name, today.day) in checks),
        violated=tuple(check for check in checks.values() if not check.conserved),
        checked=len(checks),
        unconfigured=tuple(campaign for campaign in visible.values() if not campaign.configured),
        partitions=tables.partitions,
        gaps=tables.gaps,
        sources=tables.sources if sees_all else None,
        notice=tables.notice if sees_all else None,
        unplaced=unplaced if sees_all else None,
        letters=letters if sees_all else None,
        foreign_logs=published.foreign_logs(),
    )


def _alarms(tables: _Tables, visible: Mapping[str, Campaign], sees_all: bool) -> Iterator[Alarm]:
    """Yield the alarms about the campaigns `visible`, and alarms about no campaign.

    Of the latter, those about a source or about calls without a campaign are only for viewers of all campaigns.
    """
    for name, *about in tables.alarms:
        alarm = Alarm(visible.get(name), *about)
        is_internal = alarm.source or alarm.kind in ("calls_in_no_campaign", "letters_left_out")
        if alarm.campaign or (name is None and (sees_all or not is_internal)):
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
