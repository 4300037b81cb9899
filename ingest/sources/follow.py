"""A log that is being written, read through its rotations: each line once, in order.

A file is known by its beginning, not by its name: rotated by renaming, by copying and truncating (`copytruncate`),
packed (`.gz`) or all of them while nobody read, it is found again beside the log, at the place where reading stopped.
"""

import contextlib
import gzip
import hashlib
import logging
import os
import re
from pathlib import Path
from typing import IO

import msgspec

from ingest.errors import UsageError, VigieError
from ingest.sources.files import CHUNK, TORN, unpacked

log = logging.getLogger(__name__)

HEAD = 1024  # bytes by which a file is known: lines begin with their time, so no two files share them
LONGEST_LINE = 1 << 24


class Position(msgspec.Struct, frozen=True):
    """Where reading stopped: after `offset` bytes of the file whose first `known` bytes have this digest."""

    offset: int
    known: int
    head: str

    @classmethod
    def at(cls, offset: int, first: bytes) -> "Position":
        return cls(offset, len(first), hashlib.sha256(first).hexdigest())


class Followed:
    """The lines of a log as they come; `position` is the one after those that `read` gave last (None: an empty log).

    Raises UsageError when there is no log to read, VigieError when a packed one is torn.
    """

    def __init__(self, path: Path, position: Position | None = None) -> None:
        self._path = path
        try:
            self._file = unpacked(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror}); name a log with --queue-log.") from error
        self._offset = 0
        self._first = self._file.read(HEAD)  # what the file at hand is known by, of what was seen of it
        self.position = position or (Position.at(0, self._first) if self._first else None)
        if position and not self._find(position):
            log.warning(
                "%s: the place where reading stopped is neither in it nor in a rotated file beside it; "
                "reading it from its beginning, and lines written in between are missing",
                path,
            )

    def read(self) -> list[bytes]:
        """The whole lines that are there now, a chunk of them at most; none when all are read."""
        while True:
            is_finished = self._is_finished()  # asked before reading: what is written until then is read
            chunk, is_all = self._chunk()
            if self._is_rewritten():
                self._recover()
                continue
            end = chunk.rfind(b"\n") + 1
            if (is_all and is_finished) or (not end and len(chunk) >= LONGEST_LINE):
                end = len(chunk)
            if end:
                return self._give(chunk[:end])
            if not is_finished or not self._go_on():
                return []

    def close(self) -> None:
        self._file.close()

    def _chunk(self) -> tuple[bytes, bool]:
        """What follows, at least a line of it, and whether that is all there is."""
        try:
            self._file.seek(self._offset)
            chunk = more = self._file.read(CHUNK)
            while b"\n" not in chunk and len(more) == CHUNK and len(chunk) < LONGEST_LINE:
                more = self._file.read(CHUNK)
                chunk += more
        except TORN as error:
            raise VigieError(
                f"{self._file.name} cannot be read to its end ({error}); put a whole copy in its place, or move it "
                "away to go on without what it held."
            ) from error
        return chunk, len(more) < CHUNK

    def _give(self, chunk: bytes) -> list[bytes]:
        first = (self._first[: self._offset] + chunk)[:HEAD]
        self._first = max(self._first, first, key=len)
        self._offset += len(chunk)
        self.position = Position.at(self._offset, self._first)
        return chunk.removesuffix(b"\n").split(b"\n")

    # Rotation

    def _is_finished(self) -> bool:
        """Whether nobody writes to the file at hand any more, since something was written after it."""
        try:
            found = self._path.stat()
        except OSError:  # the log was renamed, and there is no new one yet
            return False
        if os.path.samestat(found, os.fstat(self._file.fileno())):
            return False
        return found.st_size > 0 or bool(self._later())

    def _later(self) -> list[Path]:
        """The rotated files that were written after the one at hand, the oldest first."""
        own = os.fstat(self._file.fileno())
        return [path for at, path in _rotated(self._path) if at > own.st_mtime_ns]

    def _go_on(self) -> bool:
        """Go on to the file that was written after the one at hand."""
        try:
            following = unpacked(next(iter(self._later()), self._path))
        except OSError:  # rotated again at this moment: look again
            return False
        self._file.close()
        self._file, self._offset, self._first = following, 0, b""
        return True

    def _is_rewritten(self) -> bool:
        """Whether the file at hand is not the one any more of which we have read: truncated, and written anew."""
        if isinstance(self._file, gzip.GzipFile):
            return False
        number = self._file.fileno()
        return os.fstat(number).st_size < self._offset or os.pread(number, len(self._first), 0) != self._first

    def _recover(self) -> None:
        """Go on with the copy that was made before the log was truncated."""
        if self.position and not self._find(self.position):
            log.warning("%s was truncated, and no copy beside it holds what may have stood there unread", self._path)
            self._offset, self._first = 0, b""

    def _find(self, position: Position) -> bool:
        """Open the file that holds `position`, and stand there."""
        rotated = _rotated(self._path)
        for path in (self._path, *(path for _, path in reversed(rotated))):
            try:
                file = unpacked(path)
            except OSError:
                continue
            first = _first(file, position)
            if first is not None:
                self._file.close()
                self._file, self._offset, self._first = file, position.offset, first
                return True
            file.close()
        # packed or renamed between the look and the opening: its new name was not among those
        return rotated != _rotated(self._path) and self._find(position)


def _first(file: IO[bytes], position: Position) -> bytes | None:
    """What the file is known by, if `position` is in it."""
    try:
        first = file.read(position.known)
        file.seek(max(0, position.offset - 1))
        return first if Position.at(position.offset, first) == position and file.read(1) else None
    except TORN:
        return None


def _rotated(path: Path) -> list[tuple[int, Path]]:
    """The rotated files of a log by when they were last written [ns], oldest first.

    A packed one whose like is still there is not counted: it is not whole yet.
    """
    like = re.compile(re.escape(path.name) + r"[.-]\d[\d._:T-]*(\.gz)?")
    names = {beside.name for beside in path.parent.iterdir()}
    found = []
    for name in filter(like.fullmatch, names):
        if name.endswith(".gz") and name.removesuffix(".gz") in names:
            continue
        with contextlib.suppress(OSError):  # renamed at this moment
            found.append(((path.parent / name).stat().st_mtime_ns, path.parent / name))
    return sorted(found)
