"""Runs one SQL query in a separate process that can do nothing else. metrics/readers/analysis/query.py starts it.

The query comes on standard input as JSON (a Question). The answer goes to what standard output was when the process
began: a line of JSON (a Header), then the rows as an Arrow stream if there are any. From then on nobody reads standard
output, because a SELECT can make DuckDB write a log there. The process runs isolated (`python -I sandbox.py`), and its
environment has only the folder of DuckDB's calendar, so there is nothing to leak.

The limits, from the inside out. DuckDB opens one file read-only, can also read the Parquet files of that snapshot but
nothing else, and accepts no settings. There must be exactly one statement, a SELECT. The operating system ends the
process at the time limit, limits its memory, and lets it write to no file. For memory and files, DuckDB's own limits
are not enough: its `memory_limit` does not count what a function allocates (`repeat('x', 3_000_000_000)` takes 6 GB),
and a SELECT can make it write a log.
"""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

import duckdb
import pyarrow as pa

MEMORY_BYTES = 512 * 2**20
"""Memory for DuckDB. The process gets as much again for its own start and for what DuckDB does not count."""
BATCH_ROWS = 1_000
CONFIG: dict[str, Any] = {
    "threads": 1,
    "memory_limit": f"{MEMORY_BYTES}B",
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,  # a name in SQL never means a variable of this module
}
PLAIN = frozenset(
    [
        *("boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint"),
        *("hugeint", "uhugeint", "float", "double", "decimal", "varchar", "date", "time"),
        *("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"),
    ]
)
"""Types that tables, CSV and Parquet all support. Values of other types are returned as text, as DuckDB writes them."""


class Question(TypedDict):
    """A query and its limits. The answer is truncated after `rows` rows, `cells` cells or `size` bytes.

    One of more than `columns` columns is refused.
    """

    path: str
    sql: str
    seconds: int
    columns: int
    rows: int
    cells: int
    size: int


class Header(TypedDict, total=False):
    """Either `trouble` with DuckDB's message in `words`, or `as_of`, `took_s` and whether the rows were `cut`."""

    trouble: str
    words: str
    as_of: str
    cut: bool
    took_s: float


class Refused(Exception):
    """The statement was not run. The arguments are `trouble` and `words` of the Header."""


def main() -> None:
    question: Question = json.load(sys.stdin)
    out = private_output()
    confine(question["seconds"])
    table = None
    try:
        header, table = answer(question)
    except Refused as refused:
        header = dict(zip(("trouble", "words"), refused.args, strict=True))  # type: ignore[assignment]
    except (MemoryError, duckdb.OutOfMemoryException, pa.ArrowMemoryError):
        header = {"trouble": "too_much", "words": ""}
    except duckdb.Error as error:
        header = {"trouble": "said", "words": str(error)}
    out.write(json.dumps(header).encode() + b"\n")
    if table is not None:
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
    out.flush()
    os._exit(0)  # nothing is left to clean up, and DuckDB may still be running the query


def private_output() -> BinaryIO:
    """Return standard output, for the answer only. What anything else writes there or to standard error is dropped."""
    out = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(nothing, standard)
    return out


def confine(seconds: int) -> None:
    """Put this process under the operating system's limits. At the time limit it ends, whatever it is doing."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    os.nice(10)  # pages come first
    resource.setrlimit(resource.RLIMIT_AS, (2 * MEMORY_BYTES, 2 * MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(question: Question) -> tuple[Header, pa.Table]:
    started = time.monotonic()
    connection = opened(Path(question["path"]))
    ((as_of,),) = connection.execute("SELECT epoch(as_of) FROM ingest_status").fetchall()
    relation = readable(connection, question["sql"])
    if len(relation.columns) > question["columns"]:
        raise Refused("too_wide", "")
    rows, cut = fetched(relation, min(question["rows"], question["cells"] // len(relation.columns)), question["size"])
    return {"as_of": as_of, "cut": cut, "took_s": time.monotonic() - started}, rows


def opened(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the published file, and deny access to everything else."""
    refuse_foreign_log(path)
    try:
        connection = duckdb.connect(str(path), read_only=True, config=CONFIG)
    except duckdb.IOException as error:
        if "lock on file" not in str(error):
            raise
        raise Refused("written", "") from error
    refuse_foreign_log(path)  # it may have come in between
    # allow the history's files by name, not their directory, because DuckDB may also write where it may read
    history = ", ".join(quoted(file) for file in path.parent.glob("*/*=*/*.parquet"))
    connection.execute("SET TimeZone = 'UTC'")
    # a literal: DuckDB imports pandas with a process's first parameter, which takes longer than most queries
    connection.execute(f"SET VARIABLE vigie_folder = {quoted(path.parent)}")
    connection.execute(f"SET allowed_paths = [{history}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def quoted(path: Path) -> str:
    """Return a path as an SQL literal. This is not `metrics.quoting`: nothing of Vigie can be imported here."""
    return "'" + str(path).replace("'", "''") + "'"


def refuse_foreign_log(path: Path) -> None:
    """Raise Refused if somebody opened the file for writing: DuckDB would answer with what they wrote."""
    # not `metrics.published.opening.foreign_logs`: nothing of Vigie can be imported here
    if any(os.path.lexists(f"{path}.wal{ending}") for ending in ("", ".checkpoint", ".recovery")):
        raise Refused("written", "")


def readable(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """Return the relation of a single SELECT, without running it. Raises Refused for anything else."""
    statements = connection.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise Refused("not_one_read", "")
    relation = connection.sql(statements[0].query)
    names = [name.casefold() for name in relation.columns]
    for name in relation.columns:
        if names.count(name.casefold()) > 1:
            raise Refused("same_name", name)
    columns = []
    for place, (name, kind) in enumerate(zip(relation.columns, relation.types, strict=True), start=1):
        # by position, because DuckDB would read a column name like min("day") as an expression
        value = f"#{place}" if str(kind.id) in PLAIN else f"CAST(#{place} AS VARCHAR)"
        columns.append(f"{value} AS " + '"' + name.replace('"', '""') + '"')
    return relation.project(", ".join(columns))


def fetched(relation: duckdb.DuckDBPyRelation, rows: int, size: int) -> tuple[pa.Table, bool]:
    """Return the first rows, and whether there are more. Without sorting, DuckDB never computes the rest."""
    reader = relation.to_arrow_reader(BATCH_ROWS)
    batches: list[pa.RecordBatch] = []
    left = rows
    for batch in reader:
        size -= batch.nbytes
        if batch.num_rows > left or size < 0:
            batches.append(batch.slice(0, left if size >= 0 else 0))
            return pa.Table.from_batches(batches, reader.schema), True
        batches.append(batch)
        left -= batch.num_rows
    return pa.Table.from_batches(batches, reader.schema), False


if __name__ == "__main__":
    main()
