"""A question of SQL on the newest snapshot, for who may see all of it: in a process of its own, with limits.

A process, because a killed process is the surest limit, and because a connection of this one would share DuckDB's
instance of the file, its threads and its memory with every wallboard.
"""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import Literal, cast, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import metrics.readers.sandbox
from metrics import CALENDAR_FOLDER
from metrics.authorisation.viewer import Viewer
from metrics.readers.sandbox import Question
from metrics.readers.snapshot import Published
from metrics.readers.spreadsheet import cell

SECONDS = 20
ROWS = 10_000
SIZE = 32 * 2**20
"""Of a longer answer [s], or a bigger one [rows, bytes], nothing, or its beginning, is given."""
AT_ONCE = 2
"""So many queries run at once, of all people."""
LONGEST = 20_000
"""So many characters a query has at most."""

Reason = Literal["not_one_read", "same_name", "said", "too_much", "too_long", "interrupted", "busy", "ended"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no answer; `words` are DuckDB's, or the name that was given twice."""

    reason: Reason
    words: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows, as the snapshot of `as_of` has them; `cut` when there are more."""

    table: pa.Table
    as_of: datetime
    cut: bool
    took_s: float

    def csv(self) -> bytes:
        """Return the rows as CSV, instants in UTC; text that a spreadsheet takes for a formula gets an apostrophe."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(self.table.column_names)
        columns = [_written(column) for column in self.table.columns]
        writer.writerows(zip(*columns, strict=True))
        return out.getvalue().encode("utf-8-sig")

    def parquet(self) -> bytes:
        out = io.BytesIO()
        pq.write_table(self.table, out, compression="zstd")
        return out.getvalue()


class Query:
    """A question that was asked: `outcome` is None while it runs."""

    def __init__(self, sql: str, outcome: Trouble | None = None) -> None:
        self.sql = sql
        self.outcome: Answer | Trouble | None = outcome
        self._began = time.monotonic()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: Thread | None = None
        self._ended: Trouble | None = None

    @property
    def running_s(self) -> float:
        return time.monotonic() - self._began

    def interrupt(self) -> None:
        """End it; nothing happens when it has ended by itself."""
        if self._process is not None and self.outcome is None:
            self._ended = Trouble("interrupted")
            self._process.kill()

    def wait(self) -> "Answer | Trouble":
        """Return the outcome when there is one."""
        if self._reader is not None:
            self._reader.join()
        return cast("Answer | Trouble", self.outcome)

    def _start(self, path: Path, seconds: int) -> None:
        command = [sys.executable, "-I", metrics.readers.sandbox.__file__]
        asked: Question = {"path": str(path), "sql": self.sql, "seconds": seconds, "rows": ROWS, "size": SIZE}
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        calendar = {CALENDAR_FOLDER: os.environ[CALENDAR_FOLDER]}
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, env=calendar, cwd=path.anchor)
        self._reader = Thread(target=self._read, args=(self._process, json.dumps(asked).encode()), daemon=True)
        self._reader.start()

    def _read(self, process: "subprocess.Popen[bytes]", asked: bytes) -> None:
        said, _ = process.communicate(asked)
        self.outcome = self._ended or _outcome(said, process.returncode)


_lock = Lock()
_latest: dict[str, Query] = {}
"""The query of each person that was asked last, while it runs."""


def may_query(viewer: Viewer) -> bool:
    """Whether somebody may ask in SQL: it cannot be limited to some campaigns, nor to the agents of some sites."""
    return viewer.role in ("manager", "analyst") and viewer.campaigns is None and viewer.sites is None


def query(published: Published, viewer: Viewer, sql: str, seconds: int = SECONDS) -> Query | None:
    """Ask, and return at once; None when this viewer may not. What the same person asked before is interrupted."""
    if not may_query(viewer):
        return None
    with _lock:
        before = _latest.pop(viewer.name, None)
        if before is not None:
            before.interrupt()
        for name in [name for name, one in _latest.items() if one.outcome is not None]:
            del _latest[name]
        if len(_latest) >= AT_ONCE:
            return Query(sql, Trouble("busy"))
        asked = Query(sql[:LONGEST])
        asked._start(published.path, seconds)
        _latest[viewer.name] = asked
    return asked


def _outcome(said: bytes, code: int) -> Answer | Trouble:
    """Read what the process has said before it ended."""
    line, _, rows = said.partition(b"\n")
    if code != 0 or not line:
        return Trouble("too_long" if code == -signal.SIGALRM else "ended")
    header = json.loads(line)
    if "trouble" in header:
        return Trouble(header["trouble"] if header["trouble"] in get_args(Reason) else "ended", header["words"])
    table = pa.ipc.open_stream(rows).read_all()
    as_of = datetime.fromtimestamp(header["as_of"], UTC)
    return Answer(_numbers(table), as_of, header["cut"], header["took_s"])


def _numbers(table: pa.Table) -> pa.Table:
    """Return the table with DuckDB's sums of whole numbers, 128 bits wide, as numbers that other tools know."""
    for place, column in enumerate(table.columns):
        if pa.types.is_decimal(column.type) and column.type.scale == 0:
            try:
                column = pc.cast(column, pa.int64())
            except pa.ArrowInvalid:
                column = pc.cast(column, pa.float64())
            table = table.set_column(place, table.column_names[place], column)
    return table


def _written(column: pa.ChunkedArray) -> list[object]:
    values = column.to_pylist()
    if pa.types.is_timestamp(column.type):
        return [None if at is None else at.isoformat() for at in values]
    return [cell(value) for value in values]
