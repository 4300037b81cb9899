"""Opens the published file for reading, without what somebody else may have written beside it.

Whoever opens a DuckDB file for writing gets a log beside it, such as `vigie.duckdb.wal`. If the writer is killed, the
log stays. DuckDB then replays it into whatever has that path, also for readers and into every later snapshot. Figures
are then wrong, or the file cannot be opened at all. The consumer writes no such log, and removes those of others when
it publishes (ingest/publishing/folder.py). Until then a reader has to open another path.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb

LOGS = (".wal", ".wal.checkpoint", ".wal.recovery")
"""What DuckDB may append to the name of a database file for its log."""


def foreign_logs(path: Path) -> list[Path]:
    """Return what lies beside the published file at `path` under the names of its logs, whatever it is."""
    return [log for ending in LOGS if os.path.lexists(log := path.with_name(path.name + ending))]


def open_snapshot(path: Path, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Open the published file read-only; while a foreign log lies beside it or another has it locked, a copy of it.

    Raises duckdb.Error when it cannot be read.
    """
    config: dict[str, Any] = {} if threads is None else {"threads": threads}
    if not foreign_logs(path):
        try:
            connection = duckdb.connect(str(path), read_only=True, config=config)
        except duckdb.IOException as error:
            if "lock on file" not in str(error) and not foreign_logs(path):
                raise
        else:
            if not foreign_logs(path):  # otherwise it may have come first
                return connection
            connection.close()
    try:
        with tempfile.TemporaryDirectory(prefix="vigie-") as folder:  # an open file stays readable after its removal
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            return duckdb.connect(str(copy), read_only=True, config=config)
    except OSError as error:
        raise duckdb.IOException(f"no copy could be made: {error}") from error
