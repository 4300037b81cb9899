"""From the store to the published file: judged at one instant by the configuration, replaced by an atomic rename."""

import contextlib
import datetime as dt
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from ingest import statements
from ingest.alerting.alerting import Alerting
from ingest.archive.extent import LATE_ANSWERS
from ingest.archive.inventory import PUBLISHED, RELATIONS
from ingest.errors import StoreError
from ingest.events.batch import Partition
from ingest.judging.alarms import Alarms
from ingest.judging.conservation import Conservation
from ingest.judging.judging import Judging
from ingest.judging.settings import Settings
from ingest.publishing import folder
from ingest.publishing.snapshot import Snapshot
from ingest.store.store import Store
from metrics.configuration.campaigns import Configuration

log = logging.getLogger(__name__)

VERSION = "1"
NOT_YET = dt.datetime.min.replace(tzinfo=dt.UTC)
"""The `complete_until` of a moment as long as it is not known how much the topic has."""
SETTLE_ROWS = 5_000  # settled rows are moved to the archive when there are this many
PUBLISH = statements.read_parts("publishing/publish.sql")
TABLES = {relation: f"recent_{relation}" for relation in RELATIONS}


@dataclass(frozen=True)
class Place:
    """How far a partition is read: `position` is the offset of the next record, `end` one past the last."""

    position: int
    end: int

    @property
    def lag(self) -> int:
        """Records left to read."""
        return max(0, self.end - self.position)


@dataclass(frozen=True)
class Moment:
    """The instant at which a snapshot is judged (`as_of`), and how far and how fast the consumer reads and publishes.

    `records_per_s`: the recent reading rate; `publish_s`: how long the last publish took; None while unknown.
    `read_until`: one of several partitions may be hours behind the others. All events up to this instant have been
    read from each partition; None when everything has been read. `complete_until`: everything has been read that the
    topic had at this time, by the clock of `published_at`; None: at `published_at`.
    """

    as_of: dt.datetime
    published_at: dt.datetime
    places: Mapping[Partition, Place] = field(default_factory=dict)
    records_per_s: float | None = None
    publish_s: float | None = None
    read_until: dt.datetime | None = None
    complete_until: dt.datetime | None = None


class Publisher:
    """Writes `directory`/vigie.duckdb from a store at each publish."""

    def __init__(
        self, store: Store, directory: Path, configuration: Configuration, settle_rows: int = SETTLE_ROWS
    ) -> None:
        self._store = store
        self._directory = directory
        self._settle_rows = settle_rows
        self._conservation = Conservation(store)
        self._alarms = Alarms(store)
        self._judging = Judging(store)
        self._alerting = Alerting(store)
        self._snapshot = Snapshot(store, store.folder / "snapshot.duckdb")
        self._had_foreign_log = False
        self.foreign_logs_removed = 0
        self.configure(configuration)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            folder.close(store.folder, directory)
            for left_over in directory.glob(".vigie-*"):
                folder.remove(left_over)
            self._warn(folder.remove_logs(self.path))
        except OSError as error:
            raise StoreError(f"{directory} cannot be written ({error.strerror}); choose another --data-dir.") from error

    def configure(self, configuration: Configuration, notice: str | None = None) -> None:
        """Judge by `configuration` from the next publish on; `notice` is published with the status."""
        self.configuration = configuration
        self._notice = notice
        self._settings = Settings(self._store, configuration)
        self._alerting.configure(configuration.alerts)
        self._judging.forget()

    @property
    def path(self) -> Path:
        """The published file."""
        return self._directory / "vigie.duckdb"

    @property
    def alarms(self) -> Mapping[str, int]:
        """The number of active alarms by kind, as of the last `judge`. A kind without alarms may be missing."""
        return self._alarms.ringing

    def close(self) -> None:
        """Remove what only a running consumer needs. Raises StoreError when the disk refuses it."""
        with self._store_errors():
            self._snapshot.remove()

    def judge(self, moment: Moment) -> None:
        """Judge what changed, at `moment`; check that calls are conserved, and check for alarms.

        Raises StoreError when the disk refuses it.
        """
        with self._store_errors():
            self._judge(moment)
            self._conservation.check()
            complete_until = moment.complete_until or moment.published_at
            self._alarms.check(moment.published_at, self._settled_before(moment), complete_until)

    def settle(self, moment: Moment) -> bool:
        """Move what is settled, as `judge` left it at the same moment, to the archive. Judge again before `write`.

        Return whether anything was moved. Raises StoreError when the disk refuses it.
        """
        with self._store_errors(), self._store.transaction():
            archive = self._store.archive
            # a past that comes later does not hold up what settled without it: the demo sends the newest day first
            before = max(self._settled_before(moment), archive.closed_before() or NOT_YET)
            return archive.settle(min(before, moment.as_of - self._lateness()), self._settle_rows)

    def _settled_before(self, moment: Moment) -> dt.datetime:
        """The instant before which no event is expected any more."""
        return min(moment.as_of, moment.read_until or moment.as_of) - self._lateness()

    def _lateness(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.configuration.defaults.lateness_s)

    def write(self, moment: Moment) -> None:
        """Replace the published file by the content of the store, as `judge` left it at the same moment, with alerts.

        Raises StoreError when the disk refuses it; the previous file stays.
        """
        fresh = self._directory / f".vigie-{os.getpid()}.duckdb"
        with self._store_errors():
            try:
                self._write(fresh, moment)
                folder.forbid_writing(fresh)
                foreign = folder.remove_logs(self.path)  # a reader would open the new file with the log of the old one
                os.replace(fresh, self.path)
            except (duckdb.Error, OSError, StoreError):
                with contextlib.suppress(OSError, duckdb.Error):
                    fresh.unlink(missing_ok=True)
                    self._snapshot.discard()
                raise
            foreign += folder.remove_logs(self.path)  # the writer of the old file may have begun another
            self._store.segments.sweep()
            with self._store.transaction():
                self._store.segments.checksums.check_some()
            self._store.checkpoint_daily(moment.published_at.date())
        self._warn(foreign)

    def _warn(self, foreign: list[str]) -> None:
        """Count foreign logs that were removed; log it once for as long as each publish finds some."""
        self.foreign_logs_removed += len(foreign)
        if foreign and not self._had_foreign_log:
            log.warning(
                "%s beside the published file was removed: somebody opened the file for writing, and what other tools"
                " than the pages have read since may be wrong",
                *foreign[:1],
            )
        self._had_foreign_log = bool(foreign)

    @contextlib.contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, OSError) as error:
            self._judging.forget()
            raise self._store.trouble(str(self.path), error) from error
        except StoreError:
            self._judging.forget()
            raise

    def _judge(self, moment: Moment) -> None:
        snapshot_bytes = self.path.stat().st_size if self.path.exists() else 0
        self._store.set_variables(
            {
                "published_at": moment.published_at,
                "lag": sum(place.lag for place in moment.places.values()),
                "records_per_s": moment.records_per_s,
                "publish_s": moment.publish_s,
                "store_bytes": self._store.bytes(),
                "published_bytes": snapshot_bytes + self._store.segments.bytes(*PUBLISHED),
                "disk_free_bytes": shutil.disk_usage(self._directory).free,
                "version": VERSION,
                "max_state_s": self.configuration.defaults.max_state_s,
                "lateness_s": self.configuration.defaults.lateness_s,
                "notice": self._notice,
            }
        )
        self._settings.fill()
        self._rejudge()
        if self._judging.starts_over(moment.as_of):
            self._snapshot.forget()
            self._store.rejudge_ahead(moment.as_of)
        self._judging.begin(moment.as_of)
        self._settings.fill_offsets()
        self._judging.finish(moment.as_of)
        self._conservation.count_settled()
        self._store.set_variables(asdict(self._settings.fill_days(moment.as_of)))
        self._settings.fill_opening(moment.as_of)

    def _rejudge(self) -> None:
        """Recall settled rows that were judged by other rules, to be judged again."""
        for campaign, from_day in self._settings.changed():
            self._store.rejudge(campaign, from_day)
        limit_s = self._settings.changed_limit_s()
        if limit_s is not None:
            self._store.rejudge_states(limit_s)
        self._settings.note()

    def _write(self, fresh: Path, moment: Moment) -> None:
        folder.remove(fresh)
        folder.remove_logs(fresh)
        is_new = self._snapshot.begin()
        late_answers = LATE_ANSWERS.format(calls="FROM judged_calls")
        with self._store.registered("partition_places", _table(moment.places)):
            self._store.sql((PUBLISH["everything"] if is_new else PUBLISH["changes"]).format(**TABLES))
            self._store.sql(PUBLISH["rest"].format(**TABLES, late_answers=late_answers))
        self._alerting.evaluate(moment.as_of, moment.published_at)
        self._snapshot.copy(fresh)
        self._store.sql(PUBLISH["published"])


def _table(places: Mapping[Partition, Place]) -> pa.Table:
    """The rows of feed_partitions."""
    return pa.table(
        {
            "topic": pa.array([partition.topic for partition in places], pa.string()),
            "partition": pa.array([partition.number for partition in places], pa.int32()),
            "position": pa.array([place.position for place in places.values()], pa.int64()),
            "end_offset": pa.array([place.end for place in places.values()], pa.int64()),
            "lag": pa.array([place.lag for place in places.values()], pa.int64()),
        }
    )
