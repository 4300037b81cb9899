"""One process at a time uses a data directory. DuckDB's own lock is on the store's file, which may be missing."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from ingest.errors import StoreError
from metrics.command_line import NOT_FOR_OTHERS

LOCK = ".lock"


@contextlib.contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Lock a data directory. Until the end, only this user may write to what this process makes, and its group read it.

    Raises StoreError when another process has locked it, or it is not writable.
    """
    store = data_dir / "store.duckdb"
    with contextlib.ExitStack() as until_the_end:
        until_the_end.callback(os.umask, before := os.umask(NOT_FOR_OTHERS))
        os.umask(before | NOT_FOR_OTHERS)
        try:
            lock = until_the_end.enter_context((data_dir / LOCK).open("w"))
        except OSError as error:
            raise StoreError(
                f"{store} cannot be written; give its folder to this user, or choose another --data-dir."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"{store} is in use by another consumer; stop that one, or give this one another --data-dir."
            ) from error
        yield
