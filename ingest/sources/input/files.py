"""The files that sources read, plain or compressed with gzip."""

import gzip
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ingest.errors import UsageError, VigieError

CHUNK = 1 << 20
TORN = (OSError, EOFError, zlib.error)  # what reading an incomplete file raises


def unpacked(path: Path) -> IO[bytes]:
    """Open a file to read its bytes; a file whose name ends in `.gz` is decompressed."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path))
    return path.open("rb")


def is_pipe(name: str) -> bool:
    """Whether it is standard input (-) or another pipe, by its name. What is read of it is gone, so it is read once."""
    if name == "-":
        return True
    try:
        mode = Path(name).stat().st_mode
    except OSError:  # it is raised again when it is opened
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


@contextmanager
def piped(name: str, option: str) -> Iterator[int]:
    """Open a pipe; yield its descriptor. Raises UsageError, which names the `option`, when it cannot be opened."""
    if name == "-":
        yield sys.stdin.fileno()
        return
    try:
        descriptor = os.open(name, os.O_RDONLY)
    except OSError as error:
        raise _unopened(name, option, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def beginning(name: str, option: str) -> bytes:
    """The first bytes of a file, for a look before it is read; of a pipe none. Raises as `chunks` does."""
    return b"" if is_pipe(name) else next(chunks(name, option), b"")


def why_torn(error: Exception) -> str:
    """What to say of an error of TORN; its own message may quote what was read."""
    return getattr(error, "strerror", None) or "it is incomplete or damaged"


def chunks(name: str, option: str) -> Iterator[bytes]:
    """Yield the bytes of a file, or of standard input (-) as they come.

    Raises UsageError, which names the `option`, when the file cannot be opened; VigieError when it cannot be read
    further.
    """
    try:
        file: Any = sys.stdin.buffer if name == "-" else unpacked(Path(name))
    except OSError as error:
        raise _unopened(name, option, error) from error
    try:
        with file:
            while chunk := file.read1(CHUNK):
                yield chunk
    except TORN as error:
        raise VigieError(
            f"{name} cannot be read to its end ({why_torn(error)}); what was read before that was sent, and an event "
            "counts once: read it again when the file is complete."
        ) from error


def _unopened(name: str, option: str, error: OSError) -> UsageError:
    return UsageError(f"{name} cannot be read ({error.strerror}); name another with {option}.")
