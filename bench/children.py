"""Child processes: one that returns a result as a line of JSON, one that runs in the background."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.topic.children import ends_with_us

ROOT = Path(__file__).parent.parent
STOPS_WITHIN_S = 20.0


class ChildFailed(Exception):
    """A child process failed; the message has the last line of its output."""


def result_of(module: str, *arguments: object, within_s: float = 900.0) -> dict[str, Any]:
    """Run `python -m MODULE ARGUMENTS…` to its end and return the JSON object on its last line of output."""
    with subprocess.Popen(
        ends_with_us([sys.executable, "-m", module, *map(str, arguments)]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        cwd=ROOT,
        text=True,
    ) as child:
        try:
            output, errors = child.communicate(timeout=within_s)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise ChildFailed(f"{module} {arguments[0]} ended with {child.returncode}: {_last_line(errors)}")
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def report(result: dict[str, Any]) -> None:
    """Print the result of this child process for `result_of`."""
    sys.stdout.write(json.dumps(result) + "\n")


@contextlib.contextmanager
def in_background(*command: str, log: Path, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `python COMMAND…` for as long as the context lasts, with its output in the file `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ends_with_us([sys.executable, *command]),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment() | variables,
            cwd=ROOT,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def must_run(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Raise ChildFailed, with the last line of its log, if `process` has ended."""
    if process.poll() is not None:
        raise ChildFailed(f"{log.stem} ended with {process.returncode}: {_last_line(log.read_text(errors='replace'))}")


def cpu_s(pid: int) -> float | None:
    """Return the CPU time [s] of a running process; None if the system does not report it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return the resident memory of a running process [MB]; Linux only."""
    return _status(pid, "VmRSS") * 1024 / 1e6


def peak_mb(pid: int) -> float:
    """Return the highest resident memory of a running process so far [MB]; Linux only."""
    return _status(pid, "VmHWM") * 1024 / 1e6


def threads(pid: int) -> int:
    return _status(pid, "Threads")


def open_files(pid: int) -> int:
    """Return the number of open files, sockets and pipes of a running process; Linux only."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _status(pid: int, field: str) -> int:
    (value,) = re.findall(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(value)


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
    return inherited | {"PYTHONTZPATH": "", "PYTHONUNBUFFERED": "1"}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]
