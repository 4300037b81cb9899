"""Runs the commands of `python -m ingest` as processes, and reads their results as another process does."""

import contextlib
import datetime as dt
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn

import duckdb
import pytest

from ingest.events import keys
from ingest.simulator import floor_events
from ingest.topic.producing import deliver, open_producer
from metrics import CALENDAR_FOLDER
from metrics.clock import VARIABLE
from tests.support import RUN, forks
from tests.support.forks import IGNORED, Program
from tests.support.oracle import KEY

ROOT = Path(__file__).parent.parent.parent
WITHIN_S = 180.0  # far longer than anything takes, even on a busy machine

MONDAY = dt.date(2024, 3, 4)
NOON = dt.datetime(2024, 3, 4, 12, tzinfo=dt.UTC)

Row = tuple[Any, ...]
Event = dict[str, Any]


def command(*arguments: str) -> list[str]:
    """Return the command line of `python -m ingest` with warnings as errors."""
    ignored = (f"-Wignore:{message}:{category.__name__}" for message, category in IGNORED)
    return [sys.executable, "-W", "error", *ignored, "-m", "ingest", *arguments]


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment: of VIGIE_… only the clock and the run's mark, and the pinned zone rules.

    All processes know callers by the key of the tests, so that two data directories can be compared.
    """
    kept = {
        name: value for name, value in os.environ.items() if name in (VARIABLE, RUN) or not name.startswith("VIGIE_")
    }
    return {**kept, "PYTHONTZPATH": "", keys.VARIABLE: KEY, **more}


def run(
    *arguments: str, given: str | None = None, within_s: float = WITHIN_S, cwd: Path = ROOT, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command and wait for it to end.

    It is forked, or started if it is `given` an input, a variable that is read while modules are imported, or a folder
    with other modules.
    """
    if given is not None or CALENDAR_FOLDER in variables or cwd != ROOT:
        return subprocess.run(
            command(*arguments),
            input=given or "",
            capture_output=True,
            encoding="utf-8",
            timeout=within_s,
            cwd=cwd,
            env=environment(**variables),
            check=False,
        )
    return ended(forks.ingest, *arguments, environment=environment(**variables), within_s=within_s)


def ended(
    main: Callable[[Sequence[str]], object],
    *arguments: str,
    environment: Mapping[str, str],
    within_s: float = WITHIN_S,
) -> "subprocess.CompletedProcess[str]":
    """Fork a program and wait for it to end."""
    with tempfile.TemporaryDirectory() as place:
        stdout, stderr = Path(place, "stdout"), Path(place, "stderr")
        process = Program(main, *arguments, cwd=ROOT, environment=environment, stdout=stdout, stderr=stderr)
        try:
            code = process.wait(within_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, code, stdout.read_text(), stderr.read_text())


@contextmanager
def named_pipe(path: Path, content: bytes) -> Iterator[Path]:
    """Yield a named pipe out of which the content comes once."""
    os.mkfifo(path)
    writer = Thread(target=path.write_bytes, args=(content,), daemon=True)
    writer.start()
    yield path
    writer.join(WITHIN_S)


def one_sentence(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the error message of a failed command: one line that starts with `vigie:`, after log lines at most."""
    assert done.returncode in (1, 2), done.stderr
    messages = [line for line in done.stderr.splitlines() if " INFO " not in line and " WARNING " not in line]
    assert len(messages) == 1, done.stderr
    assert messages[0].startswith("vigie: "), done.stderr
    assert messages[0].endswith("."), done.stderr
    return messages[0]


def wait_for(condition: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    """Return the first true result of `condition`; fail with `what` if there is none in time."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {within_s:g} s for: {what}"
        time.sleep(0.1)
    return answer


def not_here(reason: str, required: str) -> NoReturn:
    """Skip the test because of what this machine lacks; fail where the environment variable `required` is set."""
    if os.environ.get(required, "0") not in ("", "0"):
        pytest.fail(reason)
    pytest.skip(reason)


def left_running(run: str, within_s: float = 10.0) -> list[str]:
    """Return the processes started by this test run that have not ended in time.

    A process is recognised by the mark in its environment or by a recognised parent, because the embedded broker gets
    an environment of its own. Without /proc none is found.
    """
    deadline = time.monotonic() + within_s
    while (left := _processes_of(run)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [f"{pid} {command}" for pid, command in sorted(left.items())]


def _processes_of(run: str) -> dict[int, str]:
    mark = f"{RUN}={run}".encode()
    parents, ours, commands = {}, {os.getpid()}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has just ended, or belongs to another user
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state in "ZX":
                continue
            pid = int(entry.name)
            command_line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parents[pid], commands[pid] = int(parent), command_line.strip()
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                ours.add(pid)
    count = 0
    while len(ours) > count:
        count = len(ours)
        ours |= {pid for pid, parent in parents.items() if parent in ours}
    # multiprocessing's own servers end with the process that started them
    ends_with_us = {pid for pid in ours if parents.get(pid) == os.getpid() and "from multiprocessing." in commands[pid]}
    return {pid: commands[pid] for pid in ours - ends_with_us if pid != os.getpid()}


def free_port() -> int:
    """Return a port that is free now, below the range from which outgoing connections take theirs."""
    for port in random.SystemRandom().sample(range(15_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


# The consumer


def options(place: Path, servers: str, topic: str, campaigns: Path | None = None) -> list[str]:
    """Return the options of `run` for the data directory `place`."""
    chosen = ["--bootstrap-servers", servers, "--topic", topic, "--data-dir", str(place)]
    return [*chosen, "--campaigns", str(campaigns)] if campaigns else chosen


def catch_up(place: Path, servers: str, topic: str, campaigns: Path | None = None) -> None:
    """Consume everything in the topic."""
    done = run("run", *options(place, servers, topic, campaigns), "--until-caught-up")
    assert done.returncode == 0, done.stderr


@contextmanager
def consumer(place: Path, servers: str, topic: str, *more: str) -> Iterator[Program]:
    """Run a consumer and kill it at the end if it still runs; `consumer_log(place)` returns its log."""
    place.mkdir(parents=True, exist_ok=True)
    _log(place).unlink(missing_ok=True)
    arguments = ["run", *options(place, servers, topic), *more]
    process = Program(forks.ingest, *arguments, cwd=ROOT, environment=environment(), stderr=_log(place))
    try:
        yield process
    except BaseException:
        sys.stdout.write(consumer_log(place))  # for the report of the failure
        raise
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def consumer_log(place: Path) -> str:
    """Return the log so far of the last consumer of `place`."""
    return _log(place).read_text()


def _log(place: Path) -> Path:
    return place / "consumer.log"


def stop(process: "Program | subprocess.Popen[bytes]", place: Path, number: int = signal.SIGTERM) -> None:
    """Ask the consumer to stop; it must exit with 0 and without a traceback."""
    process.send_signal(number)
    assert process.wait(WITHIN_S) == 0, consumer_log(place)
    assert "Traceback" not in consumer_log(place)


# What it published and stored


def published(place: Path) -> Path:
    return place / "published" / "vigie.duckdb"


def rows(place: Path, query: str, parameters: object = None) -> list[Row]:
    """Return the rows of a query on the published file, opened read-only; times in UTC."""
    with duckdb.connect(str(published(place)), read_only=True) as reader:
        reader.execute("SET TimeZone = 'UTC'")
        return reader.execute(query, parameters).fetchall()


def published_rows(place: Path, query: str) -> list[dict[str, Any]]:
    """Return the rows of a query on the published file as dicts; times in UTC."""
    with duckdb.connect(str(published(place)), read_only=True) as reader:
        reader.execute("SET TimeZone = 'UTC'")
        result = reader.execute(query)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def status(place: Path) -> dict[str, Any]:
    """Return the published `ingest_status`; empty before the first publish."""
    return published_rows(place, "FROM ingest_status")[0] if published(place).exists() else {}


def totals(place: Path) -> dict[str, int]:
    """Return the store's counts; its consumer must have ended."""
    with duckdb.connect(str(place / "store.duckdb"), read_only=True) as store:
        result = store.execute("SELECT records, records_with_events, lines, duplicates, dead_letters FROM totals")
        return dict(zip((column[0] for column in result.description), result.fetchall()[0], strict=True))


def count_calls(place: Path) -> int:
    return int(rows(place, "SELECT count(*) FROM calls")[0][0]) if published(place).exists() else 0


def differences(first: Path, second: Path, *queries: str) -> dict[str, list[str]]:
    """Return for each query up to three rows that occur in one published file more often than in the other."""
    found = {}
    for query in queries:
        as_text = f"SELECT r::VARCHAR FROM ({query}) r"
        here, there = (Counter(text for (text,) in rows(place, as_text)) for place in (first, second))
        assert here, f"nothing to compare: {query}"
        if here != there:
            found[query] = [*(here - there)][:3] + [*(there - here)][:3]
    return found


# Events


def floor(count: int) -> list[Event]:
    """Return the first events of a simulated floor: calls and agents."""
    return list(itertools.islice(floor_events(MONDAY, agents=20, seed=5), count))


def queued(number: int, at: dt.datetime = NOON, prefix: str = "c") -> Event:
    """Return a call's only event, so that there are as many calls as events; they are spread over 40 minutes."""
    ts = at + dt.timedelta(seconds=number % 2400)
    call = {"call_id": f"{prefix}{number}", "campaign": "orea-sinistres", "queue": "main"}
    return {"event_id": f"{prefix}{number}", "type": "call.queued", "ts": ts.isoformat(), **call}


def send(servers: str, topic: str, values: Iterable[Any]) -> int:
    """Send records (an event or bytes each) to all partitions; return how many Kafka acknowledged."""
    with closing(open_producer(servers)) as producer:
        return deliver(producer, topic, [(str(n).encode(), _value(value)) for n, value in enumerate(values)])


def _value(value: Any) -> Any:
    return json.dumps(value).encode() if isinstance(value, dict) else value
