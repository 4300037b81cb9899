"""The files that sources read, plain or packed with gzip."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from ingest.errors import UsageError, VigieError

CHUNK = 1 << 20
TORN = (OSError, EOFError, zlib.error)  # what reading a file raises that is not whole


def unpacked(path: Path) -> IO[bytes]:
    """Open a file to read its bytes; one that is packed says so by `.gz`."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path))
    return path.open("rb")


def chunks(name: str, option: str) -> Iterator[bytes]:
    """Yield the bytes of a file, or of standard input (-) as they come.

    Raises UsageError, which names the `option`, when there is no such file, VigieError when it cannot be read on.
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
            f"{name} cannot be read to its end ({error}); what stands before that was handed on, and an event counts "
            "once: read it again when it is whole."
        ) from error
