"""Gives a command and its child processes another wall clock, which starts at a chosen instant and may run faster.

`python -m bench.clock 2026-12-31T23:59Z COMMAND…` runs a command with it, including its child processes, the browser
and Java. The monotonic clock, which waits use, is unchanged. Timestamps of files stay the machine's. It needs a C
compiler.

It preloads clock.c. Debian's libfaketime 0.9.10 was tried and does not work: if it leaves the monotonic clock alone,
Python's `time.sleep` fails with EINVAL; if not, `Event.wait` with a timeout never returns.
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
    """Yield the environment variables for a process whose clock shows `begin` now (None: the current time).

    Raises ValueError if `begin` is not ISO 8601. Without an offset it is in the machine's time zone.
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
