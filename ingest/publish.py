"""From the store to the published file: judged by the configuration at one instant, replaced by an atomic rename."""

import contextlib
import datetime as dt
import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

import metrics
from ingest.archive import RECALLED, RELATIONS
from ingest.errors import StoreError
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
        self.configuration = configuration
        self._settle_rows = settle_rows
        directory.mkdir(parents=True, exist_ok=True)
        for left_over in directory.glob(".vigie-*"):
            left_over.unlink()

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
            raise StoreError(f"{self.path} could not be published: {error}") from error

    def _judge(self, moment: Moment) -> None:
        sql = self._store.connection.execute
        for name, value in {
            "as_of": moment.as_of,
            "published_at": moment.published_at,
            "lag": moment.lag,
            "version": VERSION,
            "max_state_s": self.configuration.defaults.max_state_s,
            "lateness_s": self.configuration.defaults.lateness_s,
        }.items():
            sql(f"SET VARIABLE {name} = $value", {"value": value})
        self._configure()
        sql(JUDGE)
        settled_before = moment.as_of - dt.timedelta(seconds=self.configuration.defaults.lateness_s)
        self._store.archive.settle(settled_before, self._settle_rows)

    def _configure(self) -> None:
        """Fill known_campaigns, terms and zone_offsets."""
        sql = self._store.connection.execute
        seen = sql(
            "SELECT campaign FROM events WHERE campaign IS NOT NULL"
            " UNION SELECT name FROM archived_names WHERE kind = 'campaign'"
        ).fetchall()
        configured = self.configuration.campaigns
        clients = self.configuration.clients
        known = [self.configuration.campaign(name) for name in sorted(configured.keys() | {name for (name,) in seen})]
        self._table(
            "known_campaigns",
            "campaign VARCHAR, client VARCHAR, client_name VARCHAR, name VARCHAR, language VARCHAR,"
            " timezone VARCHAR, give_up_after_s DOUBLE, configured BOOLEAN",
            [
                (
                    c.id,
                    c.client or None,
                    clients[c.client].name if c.client in clients else None,
                    c.name,
                    c.language,
                    c.timezone,
                    c.give_up_after_s,
                    c.id in configured,
                )
                for c in known
            ],
        )
        self._table(
            "terms",
            "campaign VARCHAR, valid_from TIMESTAMP, valid_to TIMESTAMP, formula VARCHAR,"
            " threshold_s DOUBLE, target DOUBLE, wait_at_threshold_counts BOOLEAN, short_abandon_s DOUBLE",
            [
                (
                    c.id,
                    t.valid_from,
                    t.valid_to,
                    t.formula,
                    t.threshold_s,
                    t.target,
                    t.wait_at_threshold_counts,
                    t.short_abandon_s,
                )
                for c in known
                for t in c.terms
            ],
        )
        quarters = sql(
            "SELECT DISTINCT timezone, epoch_us(coalesce(queued_at, dialed_at)) // 900000000 AS quarter"
            " FROM calls JOIN known_campaigns USING (campaign) WHERE quarter IS NOT NULL"
        ).fetchall()
        self._table(
            "zone_offsets",
            "timezone VARCHAR, quarter BIGINT, offset_s BIGINT",
            [(zone, quarter, _offset_s(zone, quarter)) for zone, quarter in quarters],
        )

    def _table(self, name: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
        sql = self._store.connection.execute
        sql(f"CREATE OR REPLACE TEMP TABLE {name} ({columns})")
        names = [column.split()[0] for column in columns.split(", ")]
        rows = list(rows)
        if rows:
            table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
            self._store.connection.register("rows", table)
            sql(f"INSERT INTO {name} BY NAME FROM rows")
            self._store.connection.unregister("rows")

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


@functools.cache
def _offset_s(zone: str, quarter: int) -> int:
    """A zone's distance from UTC [s] in a quarter of an hour, counted since 1970; no zone changes within one."""
    offset = dt.datetime.fromtimestamp(quarter * 900, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())
