"""Runs programs in a fork of a process that has imported them, which takes half the processor time of a start.

Code, signals, files and exit codes are those of a real start, but that a consumer copies the published objects (see
templates.py). What only a real start shows, such as warnings of imports
and the end of the interpreter, is seen by the tests that start `processes.command` themselves.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType

from tests.support import templates

#: Forks the children. It has imported what they need; DuckDB would import pandas at their first query with parameters.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        *("ingest.run", "ingest.sources", "tests.support.doomed"),
        *("streamlit.web.cli", "plotly.graph_objects", "pages.accounts.sign_in", "pages.operations.prometheus"),
    ]
)

#: kafka-python's warnings, not ours: of its import (see conftest.py), and of sockets it leaves when no broker answers
IGNORED: tuple[tuple[str, type[Warning]], ...] = (
    ("read_text is deprecated", DeprecationWarning),
    ("open_text is deprecated", DeprecationWarning),
    ("", ResourceWarning),
)


def forked(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """Return a running child that calls `target`, a function of a module; it is terminated when this process ends."""
    process = SERVER.Process(target=target, args=arguments, daemon=True)
    with _no_main_module():
        process.start()
    return process


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Start a child without the parent's main module: the child would run it, and Streamlit puts a page there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class Program:
    """A running program, with what tests use of `subprocess.Popen`. Its output is appended to files."""

    def __init__(
        self,
        main: Callable[[Sequence[str]], object],
        *arguments: str,
        cwd: Path,
        environment: Mapping[str, str],
        stdout: Path = Path(os.devnull),
        stderr: Path = Path(os.devnull),
    ) -> None:
        self.args = [main.__name__, *arguments]
        for output in (stdout, stderr):
            output.open("ab").close()  # it is there when the program has only begun to start
        self._process = forked(_become, main, arguments, cwd, dict(environment), stdout, stderr)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or minus the number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become(
    main: Callable[[Sequence[str]], object],
    arguments: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    stdout: Path,
    stderr: Path,
) -> None:
    templates.share()
    for number, path in enumerate((stdout, stderr), start=1):  # multiprocessing has given it an empty standard input
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()
    sys.exit(main(arguments))  # type: ignore[arg-type]


def ingest(arguments: Sequence[str]) -> int:
    """`python -W error -m ingest`."""
    from ingest.__main__ import main

    warnings.simplefilter("error")
    for message, category in IGNORED:
        warnings.filterwarnings("ignore", message, category)
    return main([*arguments])


def streamlit(arguments: Sequence[str]) -> object:
    """`python -m streamlit`."""
    from streamlit.web.cli import main

    return main([*arguments], prog_name="streamlit")
