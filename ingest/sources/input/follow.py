"""Reads a log while it is written, through its rotations: each line once, in order.

A file is recognised by its beginning, not by its name. Whether it was renamed, copied and truncated (`copytruncate`) or
compressed (`.gz`), or all of that while nobody read it, it is found beside the log, and reading continues where it
stopped.
"""

import contextlib
import gzip
import hashlib
import logging
import os
import re
from pathlib import Path
from typing import IO, cast

import msgspec

from ingest.errors import UsageError, VigieError
from ingest.sources.input.files import CHUNK, TORN, unpacked, why_torn

log = logging.getLogger(__name__)

HEAD = 1024  # bytes by which a file is recognised: lines begin with their time, so no two files share them
LONGEST_LINE = 1 << 24


class Position(msgspec.Struct, frozen=True):
    """Where reading stopped: after `offset` bytes of the file whose first `known` bytes have the digest `head`.

    `seen_ns` [ns since 1970]: when that file had last been written, as of the last read.
    """

    offset: int
    known: int
    head: str
    seen_ns: int = 0

    @classmethod
    def at(cls, offset: int, first: bytes, seen_ns: int = 0) -> "Position":
        return cls(offset, len(first), hashlib.sha256(first).hexdigest(), seen_ns)

    def is_of(self, first: bytes) -> bool:
        return self.head == hashlib.sha256(first).hexdigest()


class Followed:
    """The lines of a log as they come. `position` is the place after the lines that `read` returned last, or None.

    Without a position, or when its place is gone, reading begins with the oldest rotated file that may have unread
    lines.

    Raises UsageError when there is no log to read, VigieError when a compressed one is incomplete.
    """

    def __init__(self, path: Path, position: Position | None = None) -> None:
        self._path = path
        try:
            unpacked(path).close()
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror}); name a log with --queue-log.") from error
        self._file: IO[bytes] | None = None  # the current file; None before anything was written
        self._offset = 0
        self._first = b""  # the first bytes of the current file, as far as they were read
        self.position = position
        if position and not self._find(position):
            log.warning(
                "%s: the place where reading stopped is neither in this file nor in a rotated one; "
                "reading what was written since and still exists; lines that were removed are missing",
                path,
            )

    def read(self) -> list[bytes]:
        """The next complete lines, at most a chunk of them; empty when all are read."""
        while self._file or self._open_next():
            file = cast(IO[bytes], self._file)
            is_finished = self._is_finished(file)  # before reading, so that what is written until now is read
            seen_ns = os.fstat(file.fileno()).st_mtime_ns
            chunk, is_all = self._chunk(file)
            if self._is_rewritten(file):
                self._recover()
                continue
            end = chunk.rfind(b"\n") + 1
            if (is_all and is_finished) or (not end and len(chunk) >= LONGEST_LINE):
                end = len(chunk)
            if end:
                return self._lines_of(chunk[:end], seen_ns)
            if not is_finished or not self._open_next():
                break
        return []

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _chunk(self, file: IO[bytes]) -> tuple[bytes, bool]:
        """The next bytes, at least one line of them, and whether they reach the end of the file."""
        try:
            file.seek(self._offset)
            chunk = more = file.read(CHUNK)
            while b"\n" not in chunk and len(more) == CHUNK and len(chunk) < LONGEST_LINE:
                more = file.read(CHUNK)
                chunk += more
        except TORN as error:
            raise _torn(Path(file.name), error) from error
        return chunk, len(more) < CHUNK

    def _lines_of(self, chunk: bytes, seen_ns: int) -> list[bytes]:
        first = (self._first[: self._offset] + chunk)[:HEAD]
        self._first = max(self._first, first, key=len)
        self._offset += len(chunk)
        self.position = Position.at(self._offset, self._first, seen_ns)
        return chunk.removesuffix(b"\n").split(b"\n")

    # Rotation

    def _is_finished(self, file: IO[bytes]) -> bool:
        """Whether the current file is no longer written, because a later file has content."""
        try:
            log_status = self._path.stat()
        except OSError:  # the log was renamed, and there is no new one yet
            return False
        if os.path.samestat(log_status, os.fstat(file.fileno())):
            return False
        return log_status.st_size > 0 or bool(self._later_files())

    def _later_files(self) -> list[tuple[int, Path]]:
        """The rotated files that were written after the current file, or after the position; oldest first.

        A copy in progress is left out: the log that is being copied is still there.
        """
        if self._file:
            since = os.fstat(self._file.fileno()).st_mtime_ns
        else:
            since = self.position.seen_ns if self.position else 0
        while True:
            rotated = _rotated(self._path)
            later = [(at, path) for at, path in rotated if at > since and not self._is_being_copied_to(path)]
            if rotated == _rotated(self._path):  # otherwise some were renamed before they were opened
                return later

    def _is_being_copied_to(self, path: Path) -> bool:
        first = _beginning(path)
        return _beginning(self._path).startswith(
            first
        )  # read after the copy: the log may grow, and a copy is behind it

    def _open_next(self) -> bool:
        """Open the file that was written after the current one; False if there is none, or during a rotation."""
        later = self._later_files()
        at, path = later[0] if later else (0, self._path)
        try:
            following, first = _open_with_beginning(path)
        except FileNotFoundError:
            return False
        seen_ns = os.fstat(following.fileno()).st_mtime_ns
        # A complete line identifies the log. It is the next file if nothing was rotated before its beginning was read.
        is_known = b"\n" in first or len(first) == HEAD
        is_next = seen_ns == at if later else is_known and not self._later_files()
        if not is_next:
            following.close()
            return False
        self._open_at(following, 0, first)
        self.position = Position.at(0, first, seen_ns)
        return True

    def _open_at(self, file: IO[bytes], offset: int, first: bytes) -> None:
        self.close()
        self._file, self._offset, self._first = file, offset, first

    def _is_rewritten(self, file: IO[bytes]) -> bool:
        """Whether the current file is no longer the one that we have read: it was truncated and written again."""
        if isinstance(file, gzip.GzipFile):
            return False
        number = file.fileno()
        return os.fstat(number).st_size < self._offset or os.pread(number, len(self._first), 0) != self._first

    def _recover(self) -> None:
        """Continue in the copy that was made before the log was truncated."""
        if not self.position or not self._find(self.position):
            log.warning("%s was truncated, and no copy beside it has the lines that may have been unread", self._path)
            self.close()

    def _find(self, position: Position) -> bool:
        """Open the file that contains `position`, at that position; return whether there is one."""
        rotated = _rotated(self._path)
        for path in (self._path, *(path for _, path in reversed(rotated))):
            try:
                file = unpacked(path)
            except OSError:
                continue
            first = _first(file, position)
            if first is not None:
                self._open_at(file, position.offset, first)
                return True
            file.close()
        # if files were compressed or renamed meanwhile, look again: the new names were not in the list
        return rotated != _rotated(self._path) and self._find(position)


def _first(file: IO[bytes], position: Position) -> bytes | None:
    """The first bytes of the file, by which it is recognised, if `position` is in it."""
    try:
        first = file.read(position.known)
        file.seek(max(0, position.offset - 1))
        return first if position.is_of(first) and file.read(1) else None
    except TORN:
        return None


def _torn(path: Path, error: Exception) -> VigieError:
    return VigieError(
        f"{path} cannot be read to its end ({why_torn(error)}); replace it by a complete copy, or move it away to go "
        "on without its lines."
    )


def _open_with_beginning(path: Path) -> tuple[IO[bytes], bytes]:
    """Open a file; return it with its first bytes."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(unpacked(path))
            first = file.read(HEAD)
        except FileNotFoundError:
            raise
        except TORN as error:
            raise _torn(path, error) from error
        stack.pop_all()
    return file, first


def _beginning(path: Path) -> bytes:
    """The first bytes of a file; empty when there is none, and zeros for an incomplete one: they match no other."""
    try:
        with unpacked(path) as file:
            return file.read(HEAD)
    except FileNotFoundError:
        return b""
    except TORN:
        return bytes(HEAD)


def _rotated(path: Path) -> list[tuple[int, Path]]:
    """The rotated files of a log, each with when it was last written [ns since 1970]; oldest first.

    A compressed file whose original still exists is left out: it is not complete yet.
    """
    pattern = re.compile(re.escape(path.name) + r"[.-]\d[\d._:T-]*(\.gz)?")
    names = {beside.name for beside in path.parent.iterdir()}
    rotated = []
    for name in filter(pattern.fullmatch, names):
        if name.endswith(".gz") and name.removesuffix(".gz") in names:
            continue
        with contextlib.suppress(OSError):  # it was renamed just now
            rotated.append(((path.parent / name).stat().st_mtime_ns, path.parent / name))
    return sorted(rotated)
