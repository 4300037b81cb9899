"""Fresh processes: one that answers with a line of JSON, one that runs beside us."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.children import ends_with_us

ROOT = Path(__file__).parent.parent
STOPS_WITHIN_S = 20.0


class ChildFailed(Exception):
    """A child ended with an error; its last words are the message."""


def ask(module: str, *arguments: object, within_s: float = 900.0) -> dict[str, Any]:
    """Run `python -m MODULE ARGUMENTS…` to its end and return the JSON object that is its last line."""
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
            said, errors = child.communicate(timeout=within_s)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise ChildFailed(f"{module} {arguments[0]} ended with {child.returncode}: {_last_line(errors)}")
    answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    return answer


def tell(answer: dict[str, Any]) -> None:
    """What a child says to `ask`."""
    sys.stdout.write(json.dumps(answer) + "\n")


@contextlib.contextmanager
def beside(*command: str, log: Path, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `python COMMAND…` for as long as the context lasts; its words go to the file `log`."""
    with log.open("wb") as words:
        process = subprocess.Popen(
            ends_with_us([sys.executable, *command]),
            stdin=subprocess.DEVNULL,
            stdout=words,
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
    """Raise ChildFailed, with its last words, if `process` has ended."""
    if process.poll() is not None:
        raise ChildFailed(f"{log.stem} ended with {process.returncode}: {_last_line(log.read_text(errors='replace'))}")


def cpu_s(pid: int) -> float | None:
    """The processor time [s] that a running process has taken; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """The memory of a running process that is not swapped out [MB]; only Linux tells."""
    return _status(pid, "VmRSS") * 1024 / 1e6


def threads(pid: int) -> int:
    return _status(pid, "Threads")


def open_files(pid: int) -> int:
    """How many files, sockets and pipes a running process has open; only Linux tells."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _status(pid: int, what: str) -> int:
    (value,) = re.findall(rf"^{what}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(value)


def _environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
    return ours | {"PYTHONTZPATH": "", "PYTHONUNBUFFERED": "1"}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["without a word"])[-1]
