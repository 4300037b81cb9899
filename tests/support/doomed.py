"""A consumer in its own process that can be killed at any SQL statement, and the parent's requests to it.

The child has the store open and does what the Writer does, one step at a time. A Death names the statement of the step
at which it is killed, like `kill -9` or a power cut: anything not on disk by then is lost.
"""

import os
import re
import signal
import traceback
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb

from ingest import rebuild
from ingest.archive import segments
from ingest.events.batch import Batch, Partition
from ingest.events.sorting import Sorter
from ingest.publishing.publish import Moment, Publisher
from ingest.store.retaining import Retention
from ingest.store.store import Store
from metrics.audit.trail import Trail
from metrics.configuration.campaigns import Configuration
from tests.support.forks import SERVER, forked
from tests.support.stories.stream import DEFAULTS, LONG_AFTER, MANY_LETTERS, PERSONS

LEADING_COMMENTS = re.compile(r"\A(\s|--.*\n)*")


class Died(Exception):
    """The consumer was killed during the step, as planned."""


@dataclass(frozen=True)
class Death:
    """Kill the consumer before its `statement`-th statement (from 0), or `after_s` from the start of that statement.

    With `of`, only statements that begin with this word count. A statement that takes less than `after_s` completes,
    and the consumer dies in a later one.
    """

    statement: int
    of: str = ""
    after_s: float = 0.0


class Failed(AssertionError):
    """The consumer raised an error in the step; the text is its traceback."""


@dataclass(frozen=True)
class Apply:
    """Store a batch; with `moment` also judge and settle in its transaction, as a consumer that is far behind does."""

    batch: Batch
    moment: Moment | None = None


@dataclass(frozen=True)
class Publish:
    """Judge, write and settle, in the Writer's order; `configuration` is given if the file has changed."""

    moment: Moment
    configuration: Configuration | None = None


@dataclass(frozen=True)
class Retain:
    """Delete all that is older than `configuration` says; return in how many steps."""

    moment: Moment
    configuration: Configuration


@dataclass(frozen=True)
class Positions:
    """Return the stored position of each partition; None for one that was never read."""

    partitions: tuple[Partition, ...]


@dataclass(frozen=True)
class Kept:
    """Return every (event_id, raw) that is stored and counts, archived or not."""


@dataclass(frozen=True)
class Close:
    """Close the store and end the process."""


Step = Apply | Publish | Retain | Positions | Kept | Close


class Consumer:
    """The child and the connection to it; each call waits for the answer. Raises Died if it is killed as it starts."""

    def __init__(self, home: Path, configuration: Configuration, settle_rows: int, death: Death | None = None) -> None:
        self._connection, theirs = SERVER.Pipe()
        self._process = forked(_serve, theirs, home, configuration, settle_rows, death)
        theirs.close()
        self._answer()

    def do(self, step: Step, death: Death | None = None) -> Any:
        """Do one step; raise Died if `death` killed the consumer, Failed if the step failed."""
        self._connection.send((step, death))
        return self._answer()

    def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, int | None]:
        answer: Mapping[Partition, int | None] = self.do(Positions(tuple(partitions)))
        return answer

    def kept(self) -> Sequence[tuple[str, str]]:
        answer: Sequence[tuple[str, str]] = self.do(Kept())
        return answer

    def close(self) -> None:
        """Close the store, as a consumer does when it is stopped."""
        self.do(Close())
        self._process.join()
        self._connection.close()

    def kill(self) -> None:
        """End the process, if it still runs, like `kill -9`."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _answer(self) -> Any:
        try:
            error, answer = self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            self._connection.close()
            raise Died from None
        if error:
            self.kill()
            raise Failed(error)
        return answer


class _Counted:
    """A connection that counts its statements and is killed at the one that a Death names."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, death: Death | None) -> None:
        self._connection = connection
        self.await_death(death)

    def await_death(self, death: Death | None) -> None:
        """Count from now on; with None a planned death is cancelled."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._death, self._left = death, death.statement if death else 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, query: str, parameters: object = None) -> duckdb.DuckDBPyConnection:
        *statements, last = self._connection.extract_statements(query)
        for statement in statements:
            self._count(statement.query)
            self._connection.execute(statement)
        self._count(last.query)
        return self._connection.execute(last, parameters)

    def _count(self, statement: str) -> None:
        if self._death is None or not LEADING_COMMENTS.sub("", statement).startswith(self._death.of):
            return
        self._left -= 1
        if self._left == -1 and self._death.after_s:
            signal.setitimer(signal.ITIMER_REAL, self._death.after_s)  # SIGALRM ends the process, even inside DuckDB
        elif self._left < 0 and not self._death.after_s:
            os.kill(os.getpid(), signal.SIGKILL)


def _serve(
    connection: Connection, home: Path, configuration: Configuration, settle_rows: int, death: Death | None
) -> None:
    zoneinfo.reset_tzpath(to=[])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    segments.KEEP_REPLACED_S = 0.0  # replaced files are swept at once
    sorter = Sorter(PERSONS, MANY_LETTERS, lambda: LONG_AFTER)
    connect = duckdb.connect
    duckdb.connect = lambda *given, **named: _Counted(connect(*given, **named), death)
    try:
        store = Store(home / "store.duckdb")
        desk = _Desk(store, Publisher(store, home / "published", configuration, settle_rows), sorter)
    except BaseException:
        connection.send((traceback.format_exc(), None))
        return
    store.connection.await_death(None)
    connection.send((None, None))
    while True:
        try:
            step, death = connection.recv()
        except EOFError:
            return
        store.connection.await_death(death)
        try:
            answer = desk.do(step)
        except BaseException:
            store.connection.await_death(None)
            connection.send((traceback.format_exc(), None))
            return
        store.connection.await_death(None)
        connection.send((None, answer))
        if isinstance(step, Close):
            return


class _Desk:
    """Does the steps in the child, in the order of ingest/consumer/writer.py."""

    def __init__(self, store: Store, publisher: Publisher, sorter: Sorter) -> None:
        self._store = store
        self._publisher = publisher
        self._sorter = sorter

    def do(self, step: Step) -> Any:
        match step:
            case Apply(batch, moment):
                with self._store.transaction():
                    self._store.apply(self._sorter.sort(batch))
                    if moment is not None:
                        self._publisher.judge(moment)
                        self._publisher.settle(moment)
            case Publish(moment, configuration):
                if configuration is not None:
                    self._publisher.configure(configuration)
                self._publisher.judge(moment)
                self._publisher.write(moment)
                self._publisher.settle(moment)
            case Retain(moment, configuration):
                self._publisher.judge(moment)
                self._publisher.settle(moment)
                audit = Trail(self._store.folder / "access")
                retention = Retention(self._store, configuration, PERSONS.keys, audit)
                steps = 0
                while retention.step(moment.as_of, moment.published_at):
                    steps += 1
                return steps
            case Positions(partitions):
                return {partition: self._store.position(partition) for partition in partitions}
            case Kept():
                settled = self._store.segments.rows("events")
                query = "SELECT event_id, raw FROM events"
                query += f" UNION ALL SELECT event_id, raw FROM ({settled})" if settled else ""
                return self._store.connection.execute(query).fetchall()
            case Close():
                self._store.close()
        return None


def rebuild_until(home: Path, step: int, *, from_: Path | None = None) -> bool:
    """Rebuild `home` in a process that dies at the `step`-th critical step; return whether it ended by itself.

    With `from_`, only the steps from the time when this file exists count.
    """
    process = forked(_rebuild, home, step, from_ or home)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def _rebuild(home: Path, left: int, from_: Path) -> None:
    zoneinfo.reset_tzpath(to=[])

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def doomed(*given: object, **named: object) -> Any:
            nonlocal left
            left -= from_.exists()
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*given, **named)

        return doomed

    for owner, name in (
        *((Path, "replace"), (Path, "unlink"), (os, "unlink")),
        *((rebuild, "_mark_complete"), (Store, "apply"), (Store, "__init__")),
    ):
        setattr(owner, name, counted(getattr(owner, name)))
    rebuild.rebuild(home, DEFAULTS, PERSONS, lambda *_: None)
