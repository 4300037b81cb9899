"""Somebody else who opens the published file for writing, in a process of their own, and is killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WRITES = """
import os, signal, sys, time
import duckdb
path, goes_on, *statements = sys.argv[1:]
deadline = time.monotonic() + 60
while True:  # a reader has the file open for a moment, and DuckDB's locks let one write or many read
    try:
        os.chmod(path, 0o644)  # nobody may write to it, but who does so on purpose can
        connection = duckdb.connect(path)
        break
    except duckdb.IOException:
        if time.monotonic() > deadline:
            raise
for statement in statements:
    connection.execute(statement)
if goes_on == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
print("written", flush=True)
while True:
    for statement in statements:
        connection.execute(statement)
    connection.execute("CHECKPOINT")
    connection.execute(statements[-1])
    time.sleep(0.002)
"""

ANSWERED = "UPDATE recent_calls SET outcome = 'answered'"
"""Every snapshot that is read with this log has only answered calls."""
POISON = ("CREATE TABLE mine AS SELECT 1 AS n", "CHECKPOINT", "INSERT INTO mine VALUES (2)")
"""No other snapshot can be read with this log: it inserts into a table that only this one had."""


def write_and_be_killed(path: Path, *statements: str) -> None:
    """Run statements on a file in a process that is killed (SIGKILL) before it can close it."""
    done = subprocess.run([sys.executable, "-c", WRITES, str(path), "killed", *statements], check=False, timeout=120)
    assert done.returncode == -9


@contextmanager
def writing(path: Path, *statements: str) -> Iterator[None]:
    """Run statements on a file, and checkpoint, again and again in another process, which is killed at the end."""
    command = [sys.executable, "-c", WRITES, str(path), "goes on", *statements]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"written\n"
            yield
            assert process.poll() is None
        finally:
            process.kill()
