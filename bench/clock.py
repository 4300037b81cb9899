"""Another clock on the wall for a command and all that it starts: it begins at an instant, and may run faster.

`python -m bench.clock 2026-12-31T23:59Z COMMAND…` runs a command by it: its children, the browser and Java too. What
waits goes by the monotonic clock, which stays as it is. Times of files stay the machine's. It needs a C compiler.

clock.c is preloaded. Debian's libfaketime 0.9.10 was tried: told to leave the monotonic clock alone, it makes Python's
`time.sleep` fail with EINVAL; else `Event.wait` with a time limit never returns.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


@contextmanager
def another_clock(begin: str | None, speed: int = 1) -> Iterator[Mapping[str, str]]:
    """Yield the environment by which a process goes by a clock that shows `begin` now (None: the present).

    Raises ValueError when `begin` is not ISO 8601; without a zone it is in the machine's.
    """
    real_s = int(time.time())
    shown_s = int(datetime.fromisoformat(begin).astimezone(UTC).timestamp()) if begin else real_s
    with tempfile.TemporaryDirectory(prefix="vigie-clock-") as directory:
        library = Path(directory, "clock.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
        yield {"LD_PRELOAD": str(library), "PRELOADED_CLOCK": f"{speed} {real_s} {shown_s}"}


def main(arguments: list[str]) -> int:
    begin, *command = arguments
    with another_clock(begin) as clock:
        return subprocess.run(command, env=os.environ | clock, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
