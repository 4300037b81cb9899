"""The next content of the published file: a database beside the store, to which only changes are applied.

It stays attached, so a publish costs what has changed, and a copy of the file. It can be thrown away at any time: then
the next one is filled with everything.
"""

import os
import shutil
import time
from pathlib import Path

import metrics
from ingest.archive.inventory import sync
from ingest.archive.segments import RECALLED
from ingest.publishing import folder
from ingest.store.store import Store
from metrics.published.objects import renew
from metrics.quoting import quoted

ANEW_AFTER_S = 3_600.0  # what its tables held at most is never given back to the disk
ANEW_AT_TIMES = 3  # so many times the size of the last one that was filled with everything
LEAST_BYTES = 16_000_000  # below that, size does not matter


class Snapshot:
    """The database `file`, attached to the connection of `store` as `snapshot`."""

    def __init__(self, store: Store, file: Path) -> None:
        self._store = store
        self._file = file
        self._is_attached = False
        self._is_current = False
        self._past: dict[str, str] = {}
        self._made_at = 0.0
        self._made_bytes: int | None = None
        folder.remove(file)  # of a consumer that was killed

    def forget(self) -> None:
        """Begin with a new file next time: more than the notes of changes say may have changed."""
        self._is_current = False

    def begin(self) -> bool:
        """Make sure that it has the published relations, views and macros; return whether it is new and empty."""
        past = self._store.segments.past()
        if self._is_current and not self._is_bloated():
            if past != self._past:
                renew(self._store.connection, "snapshot", past)
                self._past = past
            return False
        self.discard()
        folder.remove(self._file)
        folder.remove_logs(self._file)
        # a file that is thrown away after a crash needs no log
        self._store.sql(f"ATTACH {quoted(self._file)} AS snapshot (BLOCK_SIZE 16384, RECOVERY_MODE no_wal_writes)")
        self._is_attached = True
        metrics.install(self._store.connection, "snapshot", past, RECALLED)
        self._past = past
        self._made_at, self._made_bytes = time.monotonic(), None
        return True

    def copy(self, to: Path) -> None:
        """Copy its content to a new file that needs nothing else, and flush that to the disk."""
        self._store.sql("CHECKPOINT snapshot")
        shutil.copyfile(self._file, to)
        sync(to)
        self._is_current = True
        if self._made_bytes is None:
            self._made_bytes = os.path.getsize(self._file)

    def discard(self) -> None:
        """Detach it, whatever is in it."""
        self._is_current = False
        if self._is_attached:
            self._is_attached = False
            self._store.sql("DETACH snapshot")

    def remove(self) -> None:
        """Detach it, and delete the file."""
        self.discard()
        folder.remove(self._file)

    def _is_bloated(self) -> bool:
        most = ANEW_AT_TIMES * max(self._made_bytes or 0, LEAST_BYTES)
        return time.monotonic() - self._made_at > ANEW_AFTER_S or os.path.getsize(self._file) > most
