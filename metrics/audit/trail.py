"""The audit trail of one directory, in one SQLite database. Any process may append to it:

    from metrics.audit import trail
    trail.of_this_machine().append("erasure", who="anna", address="here", what="call 4711", at=clock.now_s())

Every append is one transaction. An entry has the hash of the one before, so a changed, missing or inserted entry
breaks the chain. Whoever may write to the file can make a whole new chain: note the newest hash elsewhere now and then.

Strangers can be refused without end. So refusals are counted by the hour, each once for the same person, address and
reason, and beyond MOST_COUNTED of them together. No count is lost, and an hour adds a few kilobytes at most.
"""

import getpass
import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from metrics.errors import ConfigurationError, MetricsError

FILE = "audit.sqlite"
SCHEMA = Path(__file__).with_name("trail.sql")
LAYOUT = 1
WAIT_S = 10.0
"""A writer waits this long for another one [s]."""
LONGEST = 2000
"""Characters of `what` that are kept; of a name and an address fewer."""
LONGEST_NAME = 100
HOUR_S, DAY_S = 3600, 86_400
MOST_COUNTED = 100
"""Count at most this many different refusals in an hour apart."""
OTHERS = "*"
HERE = "this machine"
"""The address of commands, and of browsers on the machine itself."""
KEPT_DAYS = 400
DAYS_VARIABLE = "VIGIE_AUDIT_DAYS"

Kind = Literal[
    "sign-in", "sign-out", "refusal", "export", "query", "payload", "acknowledge", "silence", "end-silence",
    "account", "configuration", "erasure",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)

OWN_WORDS: frozenset[Kind] = frozenset({"configuration", "erasure"})
"""These entries are Vigie's own text, with hashes, which may look like numbers."""

NUMBERS = re.compile(r"(\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?)|\+?\d(?:[ .()/-]{0,2}\d){6,}")
"""A day or an instant, or else what may be a phone number."""


class AuditError(MetricsError):
    """The audit trail cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; see `entries` in trail.sql."""

    entry: int
    at: float
    kind: str
    who: str
    address: str
    what: str
    times: int

    def hash_after(self, before: str) -> str:
        """Return the hash of this entry after one with the hash `before`."""
        content = json.dumps([before, *astuple(self)], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Chain:
    """What verifying found: how many entries, the newest good one's number and hash, and the first broken entry."""

    entries: int
    newest: int
    hash: str
    broken: int | None


class Trail:
    """The trail in one directory. Any thread and process may use it; each call opens its own connection."""

    def __init__(self, directory: Path, kept_days: float = KEPT_DAYS) -> None:
        self.path = directory / FILE
        self._kept_s = kept_days * DAY_S

    def append(self, kind: Kind, *, who: str, address: str, what: str, at: float) -> None:
        """Append an entry. Raises AuditError if it cannot be written."""
        with self.transaction(at) as add:
            add(kind, who, address, what)

    @contextmanager
    def transaction(self, at: float) -> Iterator["Add"]:
        """Give a function that appends entries, which stay only if the block succeeds."""
        with self._writing(at) as connection:

            def add(kind: Kind, who: str, address: str, what: str) -> None:
                kept = _line(what)[:LONGEST] if kind in OWN_WORDS else _kept(what)
                _append(connection, at, kind, _short(who), _short(address), kept, 1)

            yield add

    def count_refusal(self, *, who: str, address: str, what: str, at: float) -> bool:
        """Count a refusal, and return whether it is the first of its kind in this hour. Raises AuditError."""
        with self._writing(at, durable=False) as connection:
            hour = int(at // HOUR_S)
            key = (hour, "refusal", _short(who), _short(address), _kept(what))
            known = "SELECT 1 FROM refusals WHERE (hour, kind, who, address, what) = (?, ?, ?, ?, ?)"
            ((counted,),) = connection.execute("SELECT count(*) FROM refusals WHERE hour = ?", (hour,))
            if counted >= MOST_COUNTED and connection.execute(known, key).fetchone() is None:
                key = (hour, "refusal", OTHERS, OTHERS, OTHERS)
            ((times,),) = connection.execute(
                "INSERT INTO refusals VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1"
                " RETURNING times",
                (*key, at),
            ).fetchall()
        return bool(times == 1)

    def entries(
        self,
        *,
        kind: str | None = None,
        who: str | None = None,
        since: float | None = None,
        until: float | None = None,
        most: int = 200,
    ) -> list[Entry]:
        """Return the newest entries, the latest first, and this hour's refusals, which have the number 0 so far.

        `since` and `until` bound `at` [s since 1970), `who` is a whole name.
        """
        where: list[str] = ["TRUE"]
        given: list[object] = []
        for condition, value in (("kind = ?", kind), ("who = ?", who), ("at >= ?", since), ("at < ?", until)):
            if value is not None:
                where.append(condition)
                given.append(value)
        columns, conditions = "at, kind, who, address, what, times", " AND ".join(where)
        rows = self._rows(
            f"SELECT entry, {columns} FROM entries WHERE {conditions}"
            f" UNION ALL SELECT 0, {columns} FROM refusals WHERE {conditions} ORDER BY at DESC, entry DESC LIMIT ?",
            *given,
            *given,
            most,
        )
        return [Entry(*row) for row in rows]

    def people(self) -> list[str]:
        """Return everybody who is in an entry."""
        return [who for (who,) in self._rows("SELECT DISTINCT who FROM entries ORDER BY who")]

    def verify(self) -> Chain:
        """Check every entry's hash, from the anchor on."""
        rows = self._rows(
            "SELECT entry, hash, NULL, NULL, NULL, NULL, NULL, NULL FROM anchor UNION ALL"
            " SELECT * FROM (SELECT entry, hash, at, kind, who, address, what, times FROM entries ORDER BY entry)"
        )
        if not rows:
            return Chain(0, 0, "", None)
        (number, before, *_), *chained = rows
        for entry, stored, *content in chained:
            if entry != number + 1 or stored != Entry(entry, *content).hash_after(before):
                return Chain(len(chained), number, before, number + 1)
            number, before = entry, stored
        return Chain(len(chained), number, before, None)

    def hash_of(self, entry: int) -> str | None:
        """Return the hash of an entry, or of the last one that was deleted; None if there is neither."""
        both = "SELECT entry, hash FROM entries UNION ALL SELECT entry, hash FROM anchor"
        rows = self._rows(f"SELECT hash FROM ({both}) WHERE entry = ?", entry)
        return str(rows[0][0]) if rows else None

    @contextmanager
    def _writing(self, at: float, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
            connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            if not self._is_made(connection):
                _make(connection)
            _close_hours(connection, at)
            self._delete_old(connection, at)
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        finally:
            connection.close()  # rolls back what was not committed

    def _is_made(self, connection: sqlite3.Connection) -> bool:
        ((layout,),) = connection.execute("PRAGMA user_version")
        if layout not in (0, LAYOUT):
            raise AuditError(f"{self.path} has layout {layout} and this version knows {LAYOUT}; use a newer version.")
        return bool(layout)

    def _delete_old(self, connection: sqlite3.Connection, at: float) -> None:
        """Delete what is older than the retention, a day's entries at once. The anchor keeps the last one's hash."""
        oldest = connection.execute("SELECT at FROM entries ORDER BY entry LIMIT 1").fetchone()
        if oldest is None or oldest[0] >= at - self._kept_s - DAY_S:
            return
        # up to the first entry that is young enough, so that the chain has no gap if a clock was set back
        young = "SELECT coalesce(min(entry), 1 << 62) FROM entries WHERE at >= ?"
        last = f"SELECT max(entry) FROM entries WHERE entry < ({young})"
        connection.execute(
            f"UPDATE anchor SET (entry, hash) = (SELECT entry, hash FROM entries WHERE entry = ({last}))",
            (at - self._kept_s,),
        )
        connection.execute("DELETE FROM entries WHERE entry <= (SELECT entry FROM anchor)")

    def _rows(self, sql: str, *given: object) -> list[tuple[Any, ...]]:
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

    def _unusable(self, error: Exception) -> AuditError:
        return AuditError(f"{self.path} cannot be used ({error}); give this user the right to read and write there.")


class Add(Protocol):
    """Appends an entry within a transaction."""

    def __call__(self, kind: Kind, who: str, address: str, what: str) -> None: ...


def of_this_machine(data_dir: Path | None = None) -> Trail:
    """Return the trail in the access directory, which may be in `data_dir` (None: VIGIE_DATA_DIR)."""
    return Trail(access_dir(data_dir), kept_days())


def operator() -> str:
    """Return the name of the user who runs this command; in a container the user may have a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def kept_days() -> int:
    """Return how many days entries are kept: VIGIE_AUDIT_DAYS, by default KEPT_DAYS."""
    given = os.environ.get(DAYS_VARIABLE) or str(KEPT_DAYS)
    if not given.isascii() or not given.isdigit() or not int(given):
        raise ConfigurationError(f"{DAYS_VARIABLE}={given!r} is not a number of days from 1 on.")
    return int(given)


def access_dir(data_dir: Path | None = None) -> Path:
    """Return the directory VIGIE_ACCESS_DIR, by default `access` in `data_dir` (None: VIGIE_DATA_DIR)."""
    data_dir = data_dir or Path(os.environ.get("VIGIE_DATA_DIR") or "data")
    return Path(os.environ.get("VIGIE_ACCESS_DIR") or data_dir / "access").resolve()


def _make(connection: sqlite3.Connection) -> None:
    statement = ""
    for line in SCHEMA.read_text().splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def _append(
    connection: sqlite3.Connection, at: float, kind: str, who: str, address: str, what: str, times: int
) -> None:
    ((number, before),) = connection.execute(
        "SELECT entry, hash FROM anchor UNION ALL SELECT entry, hash FROM entries ORDER BY entry DESC LIMIT 1"
    )
    entry = Entry(number + 1, float(at), kind, who, address, what, times)
    row = (*astuple(entry), entry.hash_after(before))
    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def _close_hours(connection: sqlite3.Connection, at: float) -> None:
    """Append the refusals of past hours."""
    past = (int(at // HOUR_S),)
    columns = "at, kind, who, address, what, times"
    for row in connection.execute(f"SELECT {columns} FROM refusals WHERE hour < ? ORDER BY at", past).fetchall():
        _append(connection, *row)
    connection.execute("DELETE FROM refusals WHERE hour < ?", past)


def _short(name: str) -> str:
    return _line(name)[:LONGEST_NAME]


def _kept(words: str) -> str:
    """Return the text as it is kept: on one line, of limited length, without what may be a phone number."""
    return NUMBERS.sub(lambda found: found[1] or "•••", _line(words))[:LONGEST]


def _line(words: str) -> str:
    return " ".join(words[: 4 * LONGEST].encode(errors="replace").decode().split())
