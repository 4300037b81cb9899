"""Runs an SQL query on the newest snapshot, for viewers who may see all of it, in a separate process with limits.

It is a separate process because killing a process is the surest limit. Also, a connection in this process would share
DuckDB's instance of the file, with its threads and its memory, with every wallboard.
"""

import contextlib
import io
import json
import logging
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

import metrics.readers.analysis.sandbox
from metrics import CALENDAR_FOLDER
from metrics.authorisation.viewer import Viewer
from metrics.readers.analysis import spreadsheet
from metrics.readers.analysis.sandbox import BATCH_ROWS, Question
from metrics.readers.snapshot import Published

log = logging.getLogger("vigie.analysis")

SECONDS = 20
COLUMNS = 500
ROWS = 10_000
CELLS = 1_000_000
SIZE = 32 * 2**20
"""Limits: time [s], columns, rows, cells, size [bytes]. Past the first two there is no answer; past the others it is
truncated."""
MOST_SENT = 2 * SIZE
"""More than this is not read from the process: an answer of SIZE, and what Arrow adds to each batch and column."""
AT_ONCE = 2
"""Run at most this many queries at once, for all people together."""
LONGEST = 20_000
"""A query has at most this many characters; the rest is cut off."""

Reason = Literal[
    "not_one_read", "same_name", "too_wide", "said", "too_much", "too_long", "interrupted", "busy", "ended", "written"
]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no answer; `words` is DuckDB's message, or the column name that occurs twice."""

    reason: Reason
    words: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows, from the snapshot of `as_of`; `cut` if there are more rows."""

    table: pa.Table
    as_of: datetime
    cut: bool
    took_s: float

    def csv(self) -> bytes:
        """Return the rows as CSV, instants in UTC. Text that looks like a spreadsheet formula gets an apostrophe.

        Another process writes it: a million cells take seconds, and as objects of Python a hundred megabytes.
        """
        rows = io.BytesIO()
        with pa.ipc.new_stream(rows, self.table.schema) as stream:
            stream.write_table(self.table, max_chunksize=BATCH_ROWS)
        command = [sys.executable, "-I", spreadsheet.__file__]
        return subprocess.run(command, input=rows.getvalue(), stdout=subprocess.PIPE, check=True).stdout

    def parquet(self) -> bytes:
        out = io.BytesIO()
        pq.write_table(self.table, out, compression="zstd")
        return out.getvalue()


class Query:
    """A query that was started: `outcome` is None while it runs."""

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
        """Stop the query, unless it has already ended."""
        if self._process is not None and self.outcome is None:
            self._ended = Trouble("interrupted")
            self._process.kill()

    def wait(self) -> "Answer | Trouble":
        """Wait for the end of the query and return its outcome."""
        if self._reader is not None:
            self._reader.join()
        return cast("Answer | Trouble", self.outcome)

    def _start(self, path: Path, seconds: int) -> None:
        command = [sys.executable, "-I", metrics.readers.analysis.sandbox.__file__]
        question = Question(
            path=str(path), sql=self.sql, seconds=seconds, columns=COLUMNS, rows=ROWS, cells=CELLS, size=SIZE
        )
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        calendar = {CALENDAR_FOLDER: os.environ[CALENDAR_FOLDER]}
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, env=calendar, cwd=path.anchor)
        self._reader = Thread(target=self._read, args=(self._process, json.dumps(question).encode()), daemon=True)
        self._reader.start()

    def _read(self, process: "subprocess.Popen[bytes]", question: bytes) -> None:
        outcome: Answer | Trouble = Trouble("ended")
        try:
            with process:
                output = _exchange(process, question)
            outcome = _outcome(output, process.returncode)
        except Exception:  # whatever it was, somebody waits for the outcome
            log.exception("a query ended without an answer")
        finally:
            self.outcome = self._ended or outcome


def _exchange(process: "subprocess.Popen[bytes]", question: bytes) -> bytes:
    """Send the question and return what the process answers; nothing if it is too much."""
    assert process.stdin is not None and process.stdout is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(question)
    output = process.stdout.read(MOST_SENT + 1)
    if len(output) > MOST_SENT:
        process.kill()
        return b""
    return output


_lock = Lock()
_latest: dict[str, Query] = {}
"""The latest query of each person, while it runs."""


def may_query(viewer: Viewer) -> bool:
    """Whether the viewer may use SQL. SQL cannot be limited to some campaigns or to the agents of some sites."""
    return viewer.role in ("manager", "analyst") and viewer.campaigns is None and viewer.sites is None


def query(published: Published, viewer: Viewer, sql: str, seconds: int = SECONDS) -> Query | None:
    """Start a query and return it; None if the viewer may not. The same person's previous query is interrupted."""
    if not may_query(viewer):
        return None
    with _lock:
        before = _latest.pop(viewer.name, None)
        if before is not None:
            before.interrupt()
        for name in [name for name, latest in _latest.items() if latest.outcome is not None]:
            del _latest[name]
        if len(_latest) >= AT_ONCE:
            return Query(sql, Trouble("busy"))
        started = Query(sql[:LONGEST])
        started._start(published.path, seconds)
        _latest[viewer.name] = started
    return started


def _outcome(output: bytes, code: int) -> Answer | Trouble:
    """Parse the output of the process that ended with this exit code."""
    line, _, rows = output.partition(b"\n")
    if code != 0 or not line:
        return Trouble("too_long" if code == -signal.SIGALRM else "ended")
    header = json.loads(line)
    if "trouble" in header:
        return Trouble(header["trouble"] if header["trouble"] in get_args(Reason) else "ended", header["words"])
    table = pa.ipc.open_stream(rows).read_all()
    as_of = datetime.fromtimestamp(header["as_of"], UTC)
    return Answer(_numbers(table), as_of, header["cut"], header["took_s"])


def _numbers(table: pa.Table) -> pa.Table:
    """Return the table with DuckDB's 128-bit sums of integers converted to types that other tools know."""
    for place, column in enumerate(table.columns):
        if pa.types.is_decimal(column.type) and column.type.scale == 0:
            try:
                column = pc.cast(column, pa.int64())
            except pa.ArrowInvalid:
                column = pc.cast(column, pa.float64())
            table = table.set_column(place, table.column_names[place], column)
    return table
