"""A disk that refuses to be written or is slow, and a clock that jumps, while a program runs. It needs a C compiler."""

import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class Trouble:
    """What programs with the environment variables `variables` meet: nothing, until `make` says what."""

    def __init__(self, folder: Path) -> None:
        library = folder / "trouble.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
        self._file = folder / "trouble"
        self._file.write_bytes(struct.pack("3q", 0, 0, 0))
        self.variables: Mapping[str, str] = {"LD_PRELOAD": str(library), "TROUBLE": str(self._file)}

    def make(self, *, write_fails: int = 0, flush_takes_ms: int = 0, clock_ahead_s: int = 0) -> None:
        """From now on writing fails with an errno, flushing takes longer, or the clock is ahead by so much."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("3q", write_fails, flush_takes_ms, clock_ahead_s))


@contextmanager
def troubles() -> Iterator[Trouble]:
    with tempfile.TemporaryDirectory(prefix="vigie-trouble-") as folder:
        yield Trouble(Path(folder))
