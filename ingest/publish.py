"""From the store to the published file: judged by the configuration at one instant, replaced by an atomic rename."""

import contextlib
import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

import metrics
from ingest.archive import RECALLED, RELATIONS
from ingest.errors import StoreError, disk_trouble
from ingest.settings import Settings
from ingest.store import Store
from metrics.campaigns import Configuration

VERSION = "1"
SETTLE_ROWS = 5_000  # settled calls and states are moved out of the tables by so many
HERE = Path(__file__).parent
JUDGE = (HERE / "judge.sql").read_text()
FILL = (HERE / "publish.sql").read_text()


@dataclass(frozen=True)
class Moment:
    """What a snapshot believes of time: figures are judged at `as_of`; `lag` [records] is what was left to read."""

    as_of: dt.datetime
    published_at: dt.datetime
    lag: int


class Publisher:
    """Writes `directory`/vigie.duckdb from a store, again and again."""

    def __init__(
        self, store: Store, directory: Path, configuration: Configuration, settle_rows: int = SETTLE_ROWS
    ) -> None:
        self._store = store
        self._directory = directory
        self._settle_rows = settle_rows
        self.configure(configuration)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for left_over in directory.glob(".vigie-*"):
                left_over.unlink()
        except OSError as error:
            raise StoreError(f"{directory} cannot be written ({error.strerror}); choose another --data-dir.") from error

    def configure(self, configuration: Configuration, notice: str | None = None) -> None:
        """Judge by `configuration` from the next publish on; `notice` is published with the status."""
        self.configuration = configuration
        self._notice = notice
        self._settings = Settings(self._store.connection, configuration)

    @property
    def path(self) -> Path:
        """The published file."""
        return self._directory / "vigie.duckdb"

    def publish(self, moment: Moment) -> None:
        """Replace the published file by one made of all that the store holds.

        Raises StoreError when the disk does not take it; what was published before stays.
        """
        fresh = self._directory / f".vigie-{os.getpid()}.duckdb"
        try:
            self._judge(moment)
            self._write(fresh)
            os.replace(fresh, self.path)
            self._store.archive.sweep()
        except (duckdb.Error, OSError) as error:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise disk_trouble(str(self.path), error) from error

    def _judge(self, moment: Moment) -> None:
        sql = self._store.connection.execute
        for name, value in {
            "as_of": moment.as_of,
            "published_at": moment.published_at,
            "lag": moment.lag,
            "version": VERSION,
            "max_state_s": self.configuration.defaults.max_state_s,
            "lateness_s": self.configuration.defaults.lateness_s,
            "notice": self._notice,
        }.items():
            sql(f"SET VARIABLE {name} = $value", {"value": value})
        self._settings.fill()
        for campaign, from_day in self._settings.changed():
            self._store.rejudge(campaign, from_day)
        sql(JUDGE)
        self._settings.fill_days(moment.as_of)
        settled_before = moment.as_of - dt.timedelta(seconds=self.configuration.defaults.lateness_s)
        self._store.archive.settle(settled_before, self._settle_rows)

    def _write(self, fresh: Path) -> None:
        sql = self._store.connection.execute
        fresh.unlink(missing_ok=True)
        quoted = str(fresh).replace("'", "''")
        sql(f"ATTACH '{quoted}' AS snapshot (BLOCK_SIZE 16384)")
        try:
            past = self._store.archive.past()
            metrics.install(self._store.connection, "snapshot", past, RECALLED)
            tables = {name: f"recent_{name}" if name in past else name for name in RELATIONS}
            sql(FILL.format(**tables))
        finally:
            sql("DETACH snapshot")
