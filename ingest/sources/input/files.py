"""The files that sources read, plain or compressed with gzip."""

import gzip
import sys
import zlib
from collections.abc import Iterator
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
        raise UsageError(f"{name} cannot be read ({error.strerror}); name another with {option}.") from error
    try:
        with file:
            while chunk := file.read1(CHUNK):
                yield chunk
    except TORN as error:
        raise VigieError(
            f"{name} cannot be read to its end ({why_torn(error)}); what was read before that was sent, and an event "
            "counts once: read it again when the file is complete."
        ) from error
