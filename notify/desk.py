"""The desk: acknowledgements and silences with their audit trail, and the state of channels, in one SQLite database.

Several processes read and write it: pages, and notify, which also keeps its outbox here (notify/outbox.py). Every write
is one transaction. The database is in WAL mode, so nobody waits for a reader. It must be on a local disk.
"""

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from metrics.authorisation.viewer import Role, Viewer
from metrics.errors import MetricsError
from metrics.readers import Alert, may_see_alert

FILE = "desk.sqlite"
SCHEMA = Path(__file__).with_name("desk.sql")
LAYOUT = 1
WAIT_S = 10.0
"""A writer waits this long for another one [s]."""
LONGEST_WHY = 200
"""Characters of a reason that are kept."""
STOPS: Role = "manager"
"""The role whose acknowledgement stops messages. A client's must not keep them from the centre's own people."""
MOST_SILENT_S = 7 * 86_400
"""A silence lasts at most this long: a forgotten one must not hide trouble for good [s]."""


class DeskError(MetricsError):
    """The desk cannot be used, or this viewer may not do what they asked for."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """`who` has seen this alert. If it is a manager, somebody works on it: it is not repeated and does not escalate."""

    alert_id: str
    who: str
    role: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Silence:
    """No messages about the alerts of `rule` and `campaign` (None: of all) in `[from_at, until_at)`."""

    silence_id: int
    rule: str | None
    campaign: str | None
    who: str
    why: str
    from_at: datetime
    until_at: datetime

    def covers(self, alert: Alert, now: datetime) -> bool:
        return (
            self.from_at <= now < self.until_at
            and self.rule in (None, alert.rule)
            and self.campaign in (None, alert.campaign)
        )


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what; see `audit` in desk.sql."""

    at: datetime
    who: str
    action: str
    alert_id: str | None
    rule: str | None
    campaign: str | None
    until_at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel that was used: when it last delivered, how often it has failed since, and how many messages wait."""

    channel: str
    service: str
    sent_at: datetime | None
    failures: int
    failing_since: datetime | None
    reason: str | None
    waiting: int
    given_up: int


class Desk:
    """The database in one directory. Any thread and process may use it; each call opens its own connection."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE

    def version(self) -> tuple[tuple[int, int], ...]:
        """Return what changes with every write of any process, for those who keep what they read."""
        versions = []
        for ending in ("", "-wal"):
            try:
                stat = os.stat(f"{self.path}{ending}")
            except OSError:
                versions.append((0, 0))
            else:
                versions.append((stat.st_mtime_ns, stat.st_size))
        return tuple(versions)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose statements all happen, or none. Makes the database if there is none.

        Raises DeskError if it cannot be used.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            self._make(connection)
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        finally:
            connection.close()  # rolls back what was not committed

    def _make(self, connection: sqlite3.Connection) -> None:
        if self._is_made(connection):
            return
        statement = ""
        for line in SCHEMA.read_text().splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                connection.execute(statement)
                statement = ""

    def _is_made(self, connection: sqlite3.Connection) -> bool:
        """Whether the tables are there. Raises DeskError for those of another version."""
        ((layout,),) = connection.execute("PRAGMA user_version")
        if layout not in (0, LAYOUT):
            raise DeskError(f"{self.path} has layout {layout} and this version knows {LAYOUT}; use a newer version.")
        return bool(layout)

    def rows(self, sql: str, *given: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query; none while there is no database."""
        if not self.path.exists():
            return []
        try:
            connection = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=WAIT_S)
            try:
                return connection.execute(sql, given).fetchall() if self._is_made(connection) else []
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> DeskError:
        return DeskError(
            f"{self.path} cannot be used ({error}); give this user the right to write there, or set VIGIE_DESK_DIR."
        )

    def acknowledge(self, viewer: Viewer, alerts: Iterable[Alert], why: str, now: datetime) -> None:
        """Note that the viewer has seen these alerts. A manager's acknowledgement stops their messages, no other does.

        After one of a manager, or of the viewer's role, another adds nothing: the first stays. Raises DeskError if the
        viewer may not see one of them.
        """
        alerts = tuple(alerts)
        _must_be_a_person(viewer)
        if not all(may_see_alert(viewer, alert) for alert in alerts):
            raise DeskError("You may not see one of these alerts; reload the page.")
        with self.transaction() as connection:
            for alert in alerts:
                done = connection.execute(
                    "INSERT INTO acknowledgements SELECT $alert, $who, $role, $at, $why WHERE NOT EXISTS"
                    f" (SELECT 1 FROM acknowledgements WHERE alert_id = $alert AND role IN ('{STOPS}', $role))",
                    {
                        "alert": alert.alert_id,
                        "who": viewer.name,
                        "role": viewer.role,
                        "at": now.timestamp(),
                        "why": _kept(why),
                    },
                )
                if done.rowcount:
                    connection.execute(
                        "INSERT INTO audit (at, who, action, alert_id, rule, campaign, why)"
                        " VALUES (?, ?, 'acknowledge', ?, ?, ?, ?)",
                        (now.timestamp(), viewer.name, alert.alert_id, alert.rule, alert.campaign, _kept(why)),
                    )

    def silence(
        self, viewer: Viewer, rule: str | None, campaign: str | None, why: str, now: datetime, until: datetime
    ) -> None:
        """Stop messages about a rule, a campaign or both until `until`. A silence has a reason.

        Raises DeskError if there is no reason, if `until` is past or after more than MOST_SILENT_S, or if the viewer
        may not: only managers silence, and only what they see.
        """
        _must_be_a_person(viewer)
        if not may_silence(viewer, campaign):
            raise DeskError("Only managers silence alerts, and only those of campaigns that they see.")
        if not why.strip():
            raise DeskError("A silence needs a reason: say why in a few words.")
        if not 0 < (until - now).total_seconds() <= MOST_SILENT_S:
            raise DeskError("A silence ends within seven days; choose a shorter time.")
        with self.transaction() as connection:
            span = (now.timestamp(), until.timestamp())
            done = connection.execute(
                "INSERT INTO silences (rule, campaign, who, why, from_at, until_at) VALUES (?, ?, ?, ?, ?, ?)",
                (rule, campaign, viewer.name, _kept(why), *span),
            )
            connection.execute(
                "INSERT INTO audit (at, who, action, silence_id, rule, campaign, until_at, why)"
                " VALUES (?, ?, 'silence', ?, ?, ?, ?, ?)",
                (span[0], viewer.name, done.lastrowid, rule, campaign, span[1], _kept(why)),
            )

    def end_silence(self, viewer: Viewer, silence_id: int, now: datetime) -> None:
        """End a silence before its time. Raises DeskError if the viewer may not, or there is none any more."""
        _must_be_a_person(viewer)
        found = [silence for silence in self.silences(now) if silence.silence_id == silence_id]
        if not found or not may_silence(viewer, found[0].campaign):
            raise DeskError("This silence has ended, or is not yours to end; reload the page.")
        with self.transaction() as connection:
            at = now.timestamp()
            connection.execute("UPDATE silences SET until_at = ? WHERE silence_id = ?", (at, silence_id))
            connection.execute(
                "INSERT INTO audit (at, who, action, silence_id, rule, campaign, until_at, why)"
                " VALUES (?, ?, 'end_silence', ?, ?, ?, ?, '')",
                (at, viewer.name, silence_id, found[0].rule, found[0].campaign, at),
            )

    def acknowledgements(self, alerts: Iterable[Alert]) -> dict[str, tuple[Acknowledgement, ...]]:
        """Return the acknowledgements of these alerts by alert_id, the first first."""
        rows = self.rows(
            "SELECT alert_id, who, role, at, why FROM acknowledgements"
            " WHERE alert_id IN (SELECT value FROM json_each(?)) ORDER BY at",
            json.dumps([alert.alert_id for alert in alerts]),
        )
        found: defaultdict[str, tuple[Acknowledgement, ...]] = defaultdict(tuple)
        for alert_id, who, role, at, why in rows:
            found[alert_id] += (Acknowledgement(alert_id, who, role, _utc(at), why),)
        return dict(found)

    def silences(self, now: datetime) -> tuple[Silence, ...]:
        """Return the silences that hold at `now`, the one that ends first first."""
        rows = self.rows(
            "SELECT silence_id, rule, campaign, who, why, from_at, until_at FROM silences"
            " WHERE from_at <= ? AND until_at > ? ORDER BY until_at, silence_id",
            now.timestamp(),
            now.timestamp(),
        )
        return tuple(
            Silence(number, rule, campaign, who, why, _utc(from_at), _utc(until_at))
            for number, rule, campaign, who, why, from_at, until_at in rows
        )

    def audit(self, viewer: Viewer, most: int = 200) -> tuple[AuditEntry, ...]:
        """Return the newest entries about what the viewer sees, the latest first; none for a client.

        The reasons of the centre's people may be about how agents work.
        """
        if not viewer.sees_work:
            return ()
        rows = self.rows(
            "SELECT at, who, action, alert_id, rule, campaign, until_at, why FROM audit ORDER BY entry DESC"
        )
        seen = (row for row in rows if viewer.campaigns is None or row[5] in viewer.campaigns)
        return tuple(
            AuditEntry(_utc(at), who, action, alert_id, rule, campaign, _instant(until_at), why)
            for at, who, action, alert_id, rule, campaign, until_at, why in islice(seen, most)
        )

    def channels(self, now: datetime) -> tuple[ChannelState, ...]:
        """Return the channels that were used, those that fail first. Messages given up are those of the last day."""
        rows = self.rows(
            "SELECT channel, service, c.sent_at, failures, failing_since, reason,"
            " count(message_id) FILTER (WHERE m.sent_at IS NULL AND given_up_at IS NULL),"
            " count(given_up_at) FILTER (WHERE given_up_at > ?)"
            " FROM channels c LEFT JOIN messages m USING (channel)"
            " GROUP BY channel ORDER BY failing_since IS NULL, channel",
            now.timestamp() - 86_400,
        )
        return tuple(
            ChannelState(channel, service, _instant(sent_at), failures, _instant(since), *rest)
            for channel, service, sent_at, failures, since, *rest in rows
        )


def desk_dir() -> Path:
    """Return the directory VIGIE_DESK_DIR, by default `desk` in the data directory."""
    data_dir = Path(os.environ.get("VIGIE_DATA_DIR") or "data")
    return Path(os.environ.get("VIGIE_DESK_DIR") or data_dir / "desk").resolve()


def may_silence(viewer: Viewer, campaign: str | None) -> bool:
    """Whether the viewer may stop the messages about a campaign (None: about all)."""
    return viewer.role == "manager" and (viewer.campaigns is None if campaign is None else viewer.sees(campaign))


def _must_be_a_person(viewer: Viewer) -> None:
    if viewer.role == "television":
        raise DeskError("A television shows alerts and takes no input; sign in as a person.")


def _kept(why: str) -> str:
    return " ".join(why.split())[:LONGEST_WHY]


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else _utc(seconds)
